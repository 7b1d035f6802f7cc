"""Compiled: `models.attribution.judge`, which earlier suggestion an event of the session accepts."""

import numpy as np
from numpy.typing import NDArray

from models.kernel.compiling import merged
from models.kernel.entry import ACTION, ADD, KIND, NAMED, TIME
from models.kernel.session import JUDGED, MOMENT_WORDS, OFFER_HEAD, OFFERS, Layout, put_last, take_out

__all__ = ["OUTCOME_WORDS", "judge"]

#: An outcome: the line of its item, stage (its bit), rank, whether it is the first; then the offer's time, its kind and
#: partition, its offset, and its moment: bytes and words.
OUTCOME_WORDS = 8 + MOMENT_WORDS

_ZERO, _NINE, _A, _F = 48, 57, 97, 102


@merged
def judge(
    session: NDArray[np.int64],
    layout: Layout,
    entry: NDArray[np.int64],
    buffer: NDArray[np.uint8],
    lines: NDArray[np.int64],
    count: int,
    window_ms: int,
    outcomes: NDArray[np.int64],
) -> int:
    """Find the outcomes of an event and mark their stages as judged; return how many there are."""
    found = 0
    if entry[ACTION] != ADD or session[OFFERS] == 0:
        return found
    stage = 1 << entry[KIND]
    for line in range(count):
        item = lines[line, 0]
        is_repeated = False
        for earlier in range(line):
            is_repeated |= lines[earlier, 0] == item
        if is_repeated:
            continue
        place, rank = _offer(session, layout, entry, buffer, item, window_ms)
        if not rank:
            continue
        bits = 0
        for judged in range(layout.judged, layout.judged + 2 * session[JUDGED], 2):
            if session[judged] == item:
                bits = session[judged + 1]
        if bits & stage:
            continue
        take_out(session, JUDGED, layout.judged, item)
        put_last(session, JUDGED, layout.judged, item, bits | stage, layout.seen_max)
        outcomes[found, 0] = line
        outcomes[found, 1] = stage
        outcomes[found, 2] = rank
        outcomes[found, 3] = not bits
        for word in range(4):
            outcomes[found, 4 + word] = session[place + word]
        for word in range(MOMENT_WORDS):
            outcomes[found, 8 + word] = session[place + OFFER_HEAD - MOMENT_WORDS + word]
        found += 1
    return found


@merged
def _offer(
    session: NDArray[np.int64],
    layout: Layout,
    entry: NDArray[np.int64],
    buffer: NDArray[np.uint8],
    item: int,
    window_ms: int,
) -> tuple[int, int]:
    """Return the place of the offer that an item is judged by, and the item's rank in it; rank 0 where none is."""
    start, end = entry[NAMED], entry[NAMED + 1]
    is_named = end > start
    time_ms, origin, offset = _read_id(buffer, start, end)
    latest = latest_rank = 0
    for number in range(session[OFFERS] - 1, -1, -1):
        place = layout.offers + number * layout.offer_words
        age = entry[TIME] - session[place]
        if not 0 <= age <= window_ms:
            continue
        rank = 0
        for k in range(session[place + 4] - 1, -1, -1):
            if session[place + OFFER_HEAD + k] == item:
                rank = k + 1
        if not rank:
            continue
        is_it = session[place] == time_ms and session[place + 1] == origin and session[place + 2] == offset
        if not is_named or is_it:
            return place, rank
        if not latest_rank:
            latest, latest_rank = place, rank
    return latest, latest_rank


@merged
def _read_id(buffer: NDArray[np.uint8], start: int, end: int) -> tuple[int, int, int]:
    """Return time, kind and partition, and offset of a suggestion's id; -1 for a text that is none."""
    if end - start != 32:
        return -1, -1, -1
    time_ms = origin = offset = 0
    for place in range(32):
        byte = np.int64(buffer[start + place])
        if _ZERO <= byte <= _NINE:
            digit = byte - _ZERO
        elif _A <= byte <= _F:
            digit = byte - _A + 10
        else:
            return -1, -1, -1
        if place < 12:
            time_ms = time_ms << 4 | digit
        elif place < 18:
            origin = origin << 4 | digit
        else:
            offset = offset << 4 | digit
    return time_ms, origin, offset
