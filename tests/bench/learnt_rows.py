"""A catalogue that has been learnt already: rows in the changelog, as a worker would have left them."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from bench_topics import PARTITIONS, BenchTopics, new_producer
from traffic import category_of, complements, item_name

from models.cooccurrence import TOTALS, Row
from models.decay import epoch_of, growth
from models.errors import BrokerError
from models.parameters import DEFAULTS
from models.partitioning import partition_of
from streams.admin import check_topics
from streams.wire import MARK_KEY, ROWS, Mark, encode_mark, row_key

__all__ = ["learnt_events", "learnt_rows", "write_learnt_rows"]

#: Neighbours of a row: all that fit for the most popular items, few down the long tail, 13 on average of a million.
_NEIGHBOURS_MAX: Final = 64
_NEIGHBOURS_MIN: Final = 12
#: Sessions that have met all these items.
_SESSIONS: Final = 5_000_000
_DRAWN_AT_ONCE: Final = 10_000


def learnt_events(item: int) -> int:
    """Return how often an item had arrived when its row was written."""
    return 1 + _SESSIONS // (20 * (item + 1))


def learnt_rows(catalogue: int, now_ms: int) -> Iterator[tuple[str, Row]]:
    """Yield a row for each item of a catalogue and the one of all sessions, their counts those of `now_ms`."""
    half_life_ms = DEFAULTS.half_life_ms
    epoch = epoch_of(now_ms, half_life_ms)
    grown = growth(now_ms, epoch, half_life_ms)
    grown_recent = growth(now_ms, epoch, half_life_ms, DEFAULTS.trend_speed)
    yield TOTALS, Row(epoch, sessions=_SESSIONS * grown)
    rng = np.random.default_rng(catalogue)
    related = complements(catalogue)
    for start in range(0, catalogue, _DRAWN_AT_ONCE):
        count = min(_DRAWN_AT_ONCE, catalogue - start)
        strays = (rng.random((count, _NEIGHBOURS_MAX)) ** 3 * catalogue).astype(np.int64).tolist()
        shares = rng.random((count, _NEIGHBOURS_MAX)).tolist()
        for at in range(count):
            item = start + at
            events = learnt_events(item)
            size = min(_NEIGHBOURS_MAX, _NEIGHBOURS_MIN + events // 50)
            drawn = dict.fromkeys([*related[item].tolist(), *strays[at]])
            others = [item_name(other) for other in drawn if other != item][:size]
            # Heaviest first, as the worker keeps them.
            heavy = sorted(shares[at][: len(others)], reverse=True)
            weights = {other: (share + 0.01) * grown for other, share in zip(others, heavy, strict=True)}
            yield (
                item_name(item),
                Row(
                    epoch,
                    mass=sum(weights.values()),
                    events=events * grown,
                    sessions=events * grown,
                    weights=weights,
                    pairs=dict.fromkeys(others, grown),
                    category=category_of(item),
                    recent=grown_recent,
                ),
            )


def write_learnt_rows(topics: BenchTopics, catalogue: int, now_ms: int) -> int:
    """Write the rows of a catalogue and the marks that speak for them; return how many rows that is.

    The topics must be new: the marks say that nothing of `pairs` has been folded yet.
    """
    producer = new_producer(topics.servers, **{"linger.ms": 20, "compression.type": "lz4"})
    changelog, encode = topics.name("cooccurrence-changelog"), ROWS["cooccurrence"].encode
    failed: list[str] = []
    count = 0

    def note_failure(error: Any, _: object) -> None:
        failed.append(error.str())

    def send(partition: int, key: bytes, value: bytes) -> None:
        producer.produce(changelog, value, key, partition, on_delivery=note_failure)

    for item, row in learnt_rows(catalogue, now_ms):
        send(partition_of(item, PARTITIONS), row_key(item), encode(row))
        count += 1
        if count % 1_000 == 0:
            producer.poll(0)
    info = check_topics(topics.settings)
    mark = Mark(
        position=0,
        watermarks={},
        newest=now_ms,
        topic_ids={row: info.topic_ids[row] for row in ("pairs", "session-events")},
        partitions=PARTITIONS,
        half_life_ms=DEFAULTS.half_life_ms,
    )
    for partition in range(PARTITIONS):
        send(partition, MARK_KEY, encode_mark(mark))
    left = producer.flush(120)
    if left or failed:
        raise BrokerError(f"the rows could not be written: {left} are left, {failed[:1]}")
    return count
