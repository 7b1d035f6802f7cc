"""Compiled: the stage suggest, `models.suggesting.suggest`, one call a batch of records of `session-events`.

The kernel stops between two events where an array has no room for what the next may need; it goes on from there when
it is called again.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.kernel.arrays import Table
from models.kernel.attribution import OUTCOME_WORDS, judge
from models.kernel.compiling import inner, kernel, merged
from models.kernel.constants import Decay, Weighing
from models.kernel.entry import (
    ACTION,
    ADD,
    ADD_TO_CART,
    BROWSE,
    CLEAR,
    ENTRY_WORDS,
    EVENT_ID,
    KIND,
    LINES,
    MOMENT,
    NAMED,
    OFFSET,
    ORDER_ID,
    ORDERS,
    SESSION_ID,
    SPAN,
    TIME,
    TIMESTAMP,
    read_entry,
    read_lines,
)
from models.kernel.evidence import Floors
from models.kernel.interning import Ids, hash64, intern_id
from models.kernel.ladder import Shown, answer, no_shown
from models.kernel.leading import Boards
from models.kernel.message import message_bytes_max, put_message
from models.kernel.octets import get_u16
from models.kernel.pairs import INCREMENT_WORDS, Pairing, Tape, add_arrival, add_totals
from models.kernel.ranking import Board, exclude, tally_session
from models.kernel.session import (
    BOUGHT,
    CART,
    EVENT_IDS,
    LAST,
    MOMENT_WORDS,
    OFFER_HEAD,
    ORDER_IDS,
    POSITIONS,
    SEEN,
    STARTED,
    Layout,
    arrive,
    begin,
    change_quantity,
    holds,
    offer,
    remember,
    take_out,
)
from models.kernel.session_arena import ABSENT, Sessions, forget_old, has_room, load_session, save_session
from models.parameters import Parameters
from models.records import ID_BYTES_MAX, LINES_MAX

__all__ = [
    "BYTES",
    "ORIGIN_PARTITIONS",
    "OUTCOMES",
    "RECORD_WORDS",
    "SERVED",
    "SERVED_WORDS",
    "SKIPPED",
    "TALLIES",
    "TALLY_WORDS",
    "Batch",
    "Kept",
    "Out",
    "Rules",
    "Work",
    "out_for",
    "serve",
    "with_room",
    "work_for",
]

#: A record of a batch: place of its first entry, number of entries, its partition, its first span.
RECORD_WORDS = 4

#: Instead of the offset above which entries of a span are new: none is.
SKIPPED = 2**62

#: An event that was served: number of its record; place of its message and the place after it, the same where it had
#: been published before; both places of its session id in the batch; its arrival in ms; reason of silence, 0 for none;
#: time in ms, kind, partition and offset of the event.
SERVED_WORDS = 11

#: What one record adds to a window: number of the record, start of the window, both places of the moment in the batch,
#: suggestions, empty ones.
TALLY_WORDS = 6

#: Kind and partition of an input topic are kept as one number.
ORIGIN_PARTITIONS = 1 << 20

#: Words of an outcome: number of its record, place of its entry, then as `models.kernel.attribution` has them.
_OUTCOME_WORDS = 2 + OUTCOME_WORDS

#: What an event brings about, usually; and what one event may need at most, in bytes of messages and in lines, or
#: twice the increments of an order.
_BYTES_OF_EVENT, _BYTES_MIN = 1024, 512 * 1024
_LINES_MIN = 2 * LINES_MAX
_PAIRS_OF_EVENT, _PAIRS_MIN = 20, 100 * LINES_MAX

#: Places in `Out.ends`.
BYTES, SERVED, OUTCOMES, TALLIES = range(4)


class Rules(NamedTuple):
    """What the fold depends on beside its state and its input; durations in ms, as in `models.parameters`."""

    session_gap_ms: int
    session_retention_ms: int
    attribution_window_ms: int
    kpi_window_ms: int
    suggestions_max: int
    pairing: Pairing
    decay: Decay
    weighing: Weighing
    floors: Floors


class Batch(NamedTuple):
    """Records of `session-events`, one after the other.

    Attributes
    ----------
    buffer : ndarray of uint8
        Their contents.
    records : ndarray of int64, records × 4
        See `RECORD_WORDS`.
    after, origins : ndarray of int64, by span
        The offset above which entries are new, or `SKIPPED`; the partition of the input topic.
    """

    buffer: NDArray[np.uint8]
    records: NDArray[np.int64]
    after: NDArray[np.int64]
    origins: NDArray[np.int64]


class Kept(NamedTuple):
    """What was published before for events that are still to come, in ascending order of kind, partition and offset.

    `ids` holds kind and partition as one number, offset, number of items; `items` the items of each.
    """

    ids: NDArray[np.int64]
    items: NDArray[np.int64]


class Work(NamedTuple):
    """Room for one event; `aside` for the session of an event that comes too late for its own."""

    session: NDArray[np.int64]
    aside: NDArray[np.int64]
    entry: NDArray[np.int64]
    lines: NDArray[np.int64]
    anchors: NDArray[np.int64]
    times: NDArray[np.int64]
    held: NDArray[np.int64]
    shown: Shown


class Out(NamedTuple):
    """What a batch brings about; `ends` says how much of `bytes`, `served`, `outcomes` and `tallies` there is.

    `duplicates` counts by kind the events that were met before.
    """

    bytes: NDArray[np.uint8]
    served: NDArray[np.int64]
    outcomes: NDArray[np.int64]
    tallies: NDArray[np.int64]
    tape: Tape
    duplicates: NDArray[np.int64]
    ends: NDArray[np.int64]


def work_for(layout: Layout, parameters: Parameters) -> Work:
    """Return room for one event."""
    return Work(
        session=np.zeros(layout.size, np.int64),
        aside=np.zeros(layout.size, np.int64),
        entry=np.zeros(ENTRY_WORDS, np.int64),
        lines=np.zeros((LINES_MAX, 3), np.int64),
        anchors=np.zeros(parameters.query_items, np.int64),
        times=np.zeros(parameters.query_items, np.int64),
        held=np.zeros(max(2 * layout.seen_max, layout.offer_words), np.int64),
        shown=no_shown(parameters.suggestions_max),
    )


def out_for(events: int) -> Out:
    """Return room for what so many events usually bring about."""
    pairs = _PAIRS_MIN + events * _PAIRS_OF_EVENT
    return Out(
        bytes=np.zeros(_BYTES_MIN + events * _BYTES_OF_EVENT, np.uint8),
        served=np.zeros((events, SERVED_WORDS), np.int64),
        outcomes=np.zeros((_LINES_MIN + events, _OUTCOME_WORDS), np.int64),
        tallies=np.zeros((events, TALLY_WORDS), np.int64),
        tape=Tape(
            np.zeros((pairs, INCREMENT_WORDS), np.int64),
            np.zeros((pairs, 2), np.int64),
            np.zeros(pairs),
            np.zeros(2, np.int64),
        ),
        duplicates=np.zeros(3, np.int64),
        ends=np.zeros(4, np.int64),
    )


def with_room(out: Out, events: int) -> Out:
    """Return the same with room for so many events."""
    if events <= len(out.served):
        return out
    roomier = out_for(events)
    for array, former in zip(_arrays(roomier), _arrays(out), strict=True):
        array[: len(former)] = former
    return roomier


def _arrays(out: Out) -> list[NDArray[Any]]:
    return [out.bytes, out.served, out.outcomes, out.tallies, *out.tape, out.duplicates, out.ends]


@kernel
def serve(
    batch: Batch,
    cursor: NDArray[np.int64],
    newest: NDArray[np.int64],
    sessions: Sessions,
    layout: Layout,
    items: Ids,
    categories: Ids,
    table: Table,
    boards: Boards,
    board: Board,
    kept: Kept,
    work: Work,
    rules: Rules,
    out: Out,
) -> bool:
    """Serve the events of a batch; tell whether all are served, or more room is needed.

    Parameters
    ----------
    cursor : ndarray of int64
        Record, entry and place to go on at, and the first tally of the record; is moved.
    newest : ndarray of int64, by partition
        The newest event time of each; is moved.
    """
    buffer, records, entry, session, aside = batch.buffer, batch.records, work.entry, work.session, work.aside
    while cursor[0] < len(records):
        record = cursor[0]
        partition, first_span = records[record, 2], records[record, 3]
        if cursor[1] == 0:
            cursor[2] = records[record, 0]
            cursor[3] = out.ends[TALLIES]
        while cursor[1] < records[record, 1]:
            at = cursor[2]
            read_entry(buffer, at, entry)
            count = get_u16(buffer, entry[LINES])
            if not _has_room(entry, count, sessions, rules, out):
                return False
            cursor[1] += 1
            cursor[2] = read_lines(buffer, entry[LINES], items, categories, work.lines)
            if entry[OFFSET] <= batch.after[first_span + entry[SPAN]]:
                continue
            origin = batch.origins[first_span + entry[SPAN]]
            time_ms = entry[TIME]
            newest[partition] = max(newest[partition], time_ms)
            slot = intern_id(sessions.ids, buffer, entry[SESSION_ID], entry[SESSION_ID + 1])
            event_id = hash64(buffer, entry[EVENT_ID], entry[EVENT_ID + 1])
            order_id = hash64(buffer, entry[ORDER_ID], entry[ORDER_ID + 1])
            has_order = entry[ORDER_ID + 1] > entry[ORDER_ID]
            is_known = sessions.slots[slot].place != ABSENT
            if is_known and newest[partition] - sessions.slots[slot].last > rules.session_retention_ms:
                is_known = False
            is_opened, is_late = True, False
            if is_known:
                load_session(sessions, layout, slot, session)
                if holds(session, layout.event_ids, 1, session[EVENT_IDS], event_id) or (
                    has_order and holds(session, layout.order_ids, 1, session[ORDER_IDS], order_id)
                ):
                    out.duplicates[entry[KIND]] += 1
                    continue
                is_opened = time_ms - session[LAST] > rules.session_gap_ms
                is_late = not is_opened and session[STARTED] - time_ms > rules.session_gap_ms
                if is_opened:
                    begin(session, time_ms)
                elif not is_late:
                    session[STARTED] = min(session[STARTED], time_ms)
                    session[LAST] = max(session[LAST], time_ms)
            else:
                begin(session, time_ms)
                session[CART] = session[EVENT_IDS] = session[ORDER_IDS] = 0
            remember(session, EVENT_IDS, layout.event_ids, event_id, layout.event_ids_max)
            if has_order:
                remember(session, ORDER_IDS, layout.order_ids, order_id, layout.order_ids_max)
            # An event of a session that has ended is served and counted by itself.
            context = session
            if is_late:
                begin(aside, time_ms)
                aside[CART] = 0
                context = aside
            outcomes = judge(
                context,
                layout,
                entry,
                buffer,
                work.lines,
                count,
                rules.attribution_window_ms,
                out.outcomes[out.ends[OUTCOMES] :, 2:],
            )
            for outcome in range(out.ends[OUTCOMES], out.ends[OUTCOMES] + outcomes):
                out.outcomes[outcome, 0], out.outcomes[outcome, 1] = record, at
            out.ends[OUTCOMES] += outcomes
            if is_opened:
                add_totals(out.tape, record, time_ms, entry[TIMESTAMP])
            _advance(context, layout, rules.pairing, entry, work.lines, count, not is_late, record, out.tape)
            served = out.served[out.ends[SERVED]]
            served[0] = record
            served[1] = served[2] = out.ends[BYTES]
            served[3], served[4] = entry[SESSION_ID], entry[SESSION_ID + 1]
            served[5] = entry[TIMESTAMP]
            served[6] = 0
            served[7], served[8], served[9], served[10] = time_ms, entry[KIND], origin, entry[OFFSET]
            out.ends[SERVED] += 1
            known = _find_kept(kept, entry[KIND] * ORIGIN_PARTITIONS + origin, entry[OFFSET])
            if known >= 0:
                shown = kept.ids[known, 2]
                for k in range(shown):
                    work.held[k] = kept.items[known, k]
            else:
                shown, reason, anchor = _choose(
                    context,
                    session,
                    is_late,
                    layout,
                    entry,
                    count,
                    newest[partition],
                    items,
                    table,
                    boards,
                    board,
                    work,
                    rules,
                )
                served[6] = reason
                served[2] = out.ends[BYTES] = put_message(
                    out.bytes, out.ends[BYTES], buffer, entry, origin, items, anchor, work.shown, shown, reason
                )
                for k in range(shown):
                    work.held[k] = work.shown.items[k, 0]
            if shown:
                _offer(context, layout, entry, origin, buffer, work.held, shown)
            save_session(sessions, layout, slot, partition, session, True)
            _tally(out, cursor[3], record, time_ms - time_ms % rules.kpi_window_ms, buffer, entry, shown == 0)
        forget_old(sessions, partition, newest[partition] - rules.session_retention_ms)
        cursor[0] += 1
        cursor[1] = 0
    return True


@merged
def _has_room(entry: NDArray[np.int64], count: int, sessions: Sessions, rules: Rules, out: Out) -> bool:
    """Tell whether there is room for what an event of so many lines brings about at most."""
    tape, ends = out.tape, out.ends
    arrivals = count * (rules.pairing.positions + 1) + 1
    message = message_bytes_max(entry[NAMED] - entry[SESSION_ID], ID_BYTES_MAX, rules.suggestions_max)
    return (
        has_room(sessions)
        and ends[BYTES] + message <= len(out.bytes)
        and ends[OUTCOMES] + count <= len(out.outcomes)
        and tape.ends[0] + arrivals <= len(tape.increments)
        and tape.ends[1] + 2 * arrivals <= len(tape.others)
    )


@merged
def _advance(
    session: NDArray[np.int64],
    layout: Layout,
    pairing: Pairing,
    entry: NDArray[np.int64],
    lines: NDArray[np.int64],
    count: int,
    is_counted: bool,
    record: int,
    tape: Tape,
) -> None:
    """Let an event happen in its session: arrivals, cart, purchases (`models.suggesting.advance`)."""
    kind, action = entry[KIND], entry[ACTION]
    if action == ADD:
        for line in range(count):
            add_arrival(session, layout, pairing, entry, lines, count, line, is_counted, record, tape)
            arrive(session, layout, lines[line, 0], entry[TIME])
    if kind == ORDERS:
        for line in range(count):
            take_out(session, CART, layout.cart, lines[line, 0])
            remember(session, BOUGHT, layout.bought, lines[line, 0], layout.seen_max)
    elif kind == ADD_TO_CART:
        if action == CLEAR:
            session[CART] = 0
        for line in range(count):
            change_quantity(session, layout, lines[line, 0], lines[line, 2] if action == ADD else -lines[line, 2])


@merged
def _choose(
    context: NDArray[np.int64],
    session: NDArray[np.int64],
    is_late: bool,
    layout: Layout,
    entry: NDArray[np.int64],
    count: int,
    now_ms: int,
    items: Ids,
    table: Table,
    boards: Boards,
    board: Board,
    work: Work,
    rules: Rules,
) -> tuple[int, int, int]:
    """Choose what to show; return how many items, why none, and the newest session item, -1 for none."""
    anchors, times, lines, held = work.anchors, work.times, work.lines, work.held
    # Wide numbers from the start: numba would compile what is called once more for each constant.
    asked = held_count = np.int64(0)
    for place in range(layout.positions + 2 * (context[POSITIONS] - 1), layout.positions - 1, -2):
        if asked == len(anchors):
            break
        item = context[place]
        is_met = False
        for k in range(asked):
            is_met |= anchors[k] == item
        if not is_met:
            anchors[asked], times[asked] = item, context[place + 1]
            asked += 1
    anchor = category = np.int64(-1)
    if asked:
        anchor = anchors[0]
        category = np.int64(table.items[anchor].category)
        for line in range(count - 1, -1, -1):
            if lines[line, 0] == anchor and lines[line, 1] >= 0:
                category = lines[line, 1]
    if entry[KIND] != BROWSE:
        for place in range(layout.cart, layout.cart + 2 * context[CART], 2):
            held[held_count] = context[place]
            held_count += 1
        for place in range(layout.bought, layout.bought + context[BOUGHT]):
            held[held_count] = context[place]
            held_count += 1
    tally_session(table, items, board, anchors, times, asked, entry[TIME], rules.decay, rules.weighing)
    _exclude_own(context, layout, board)
    if is_late:
        _exclude_own(session, layout, board)
    shown, reason = answer(
        table,
        items,
        boards,
        board,
        anchors,
        asked,
        category,
        held,
        held_count,
        entry[TIME],
        now_ms,
        rules.suggestions_max,
        rules.decay,
        rules.weighing,
        rules.floors,
        work.shown,
    )
    return shown, reason, anchor


@inner
def _exclude_own(session: NDArray[np.int64], layout: Layout, board: Board) -> None:
    """Exclude everything seen, in the cart or bought in a session (`models.session.own_items`)."""
    for place in range(layout.seen, layout.seen + session[SEEN]):
        exclude(board, session[place])
    for place in range(layout.cart, layout.cart + 2 * session[CART], 2):
        exclude(board, session[place])
    for place in range(layout.bought, layout.bought + session[BOUGHT]):
        exclude(board, session[place])


@merged
def _offer(
    session: NDArray[np.int64],
    layout: Layout,
    entry: NDArray[np.int64],
    origin: int,
    buffer: NDArray[np.uint8],
    offered: NDArray[np.int64],
    count: int,
) -> None:
    """Note in the session what its event's suggestion offers."""
    place = offer(session, layout)
    start, size = entry[MOMENT], entry[MOMENT + 1] - entry[MOMENT]
    session[place] = entry[TIME]
    session[place + 1] = entry[KIND] * ORIGIN_PARTITIONS + origin
    session[place + 2] = entry[OFFSET]
    session[place + 3] = size
    session[place + 4] = count
    moment = place + OFFER_HEAD - MOMENT_WORDS
    for word in range(MOMENT_WORDS):
        session[moment + word] = 0
    for byte in range(size):
        session[moment + byte // 8] |= np.int64(buffer[start + byte]) << 8 * (byte % 8)
    for k in range(count):
        session[place + OFFER_HEAD + k] = offered[k]


@inner
def _find_kept(kept: Kept, origin: int, offset: int) -> int:
    """Return the number of what was published for an event, -1 for nothing."""
    low, high = 0, len(kept.ids)
    while low < high:
        middle = (low + high) // 2
        if (kept.ids[middle, 0], kept.ids[middle, 1]) < (origin, offset):
            low = middle + 1
        else:
            high = middle
    if low < len(kept.ids) and kept.ids[low, 0] == origin and kept.ids[low, 1] == offset:
        return low
    return -1


@merged
def _tally(
    out: Out,
    first: int,
    record: int,
    start_ms: int,
    buffer: NDArray[np.uint8],
    entry: NDArray[np.int64],
    is_empty: bool,
) -> None:
    """Add one suggestion to what its record adds to its window and moment."""
    start, size = entry[MOMENT], entry[MOMENT + 1] - entry[MOMENT]
    tallies, number = out.tallies, first
    while number < out.ends[TALLIES]:
        if tallies[number, 1] == start_ms and tallies[number, 3] - tallies[number, 2] == size:
            byte = 0
            while byte < size and buffer[tallies[number, 2] + byte] == buffer[start + byte]:
                byte += 1
            if byte == size:
                break
        number += 1
    if number == out.ends[TALLIES]:
        tally = tallies[number]
        tally[0], tally[1], tally[2], tally[3] = record, start_ms, entry[MOMENT], entry[MOMENT + 1]
        tally[4] = tally[5] = 0
        out.ends[TALLIES] += 1
    tallies[number, 4] += 1
    tallies[number, 5] += is_empty
