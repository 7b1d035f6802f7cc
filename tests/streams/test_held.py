"""Batches are slices of what is held, merged by timestamp as one record after the other would be."""

import heapq
from collections.abc import Collection, Sequence

from hypothesis import given
from hypothesis import strategies as st

from streams.held import Place, Record, StageRecords

PLACES: list[Place] = [("add-to-cart", 0), ("browse", 0), ("browse", 1), ("orders", 0)]


def records(place: Place, timestamps: Sequence[int]) -> list[Record]:
    return [Record(*place, offset, timestamp, None, b"v") for offset, timestamp in enumerate(timestamps)]


def merged(streams: dict[Place, list[Record]], behind: Collection[Place]) -> list[Record]:
    """Take one record after the other, the earliest first, up to the last of a partition that is behind."""
    if any(place in behind and not stream for place, stream in streams.items()):
        return []
    heads = [(stream[0].timestamp, place, 0) for place, stream in streams.items() if stream]
    heapq.heapify(heads)
    taken = []
    while heads:
        _, place, at = heapq.heappop(heads)
        taken.append(streams[place][at])
        if at + 1 < len(streams[place]):
            heapq.heappush(heads, (streams[place][at + 1].timestamp, place, at + 1))
        elif place in behind:
            break
    return taken


@given(
    st.lists(st.lists(st.integers(0, 6), max_size=6), min_size=4, max_size=4),
    st.sets(st.sampled_from(PLACES)),
    st.integers(1, 5),
)
def test_records_come_as_if_the_earliest_head_were_taken_each_time(
    timestamps: list[list[int]], behind: set[Place], most: int
) -> None:
    streams = {place: records(place, times) for place, times in zip(PLACES, timestamps, strict=True)}
    held = StageRecords(PLACES)
    held.note(behind)
    for place, stream in streams.items():
        if stream:
            held.hold(place, stream)
    handed: list[Record] = []
    expected = merged(streams, behind)
    while len(handed) < len(expected):
        batch = held.take(most * 64, now=0.0)
        assert 0 < len(batch) <= most
        handed += batch
    assert handed == expected
    total = sum(map(len, streams.values()))
    assert held.lags().total() == total - len(expected)


def test_what_was_left_behind_follows_with_the_next_fetch() -> None:
    held = StageRecords([("browse", 0), ("orders", 0)])
    held.note([("orders", 0)])
    held.hold(("browse", 0), records(("browse", 0), [1, 5, 9]))
    held.hold(("orders", 0), records(("orders", 0), [4]))
    assert [record.timestamp for record in held.take(10**6, 0.0)] == [1, 4]
    assert held.take(10**6, 0.0) == []  # more orders are on their way
    held.note([])
    held.hold(("orders", 0), [Record("orders", 0, 1, 7, None, b"v")])
    assert [record.timestamp for record in held.take(10**6, 0.0)] == [5, 7, 9]
    assert held.lags() == {"browse": 0, "orders": 0}
