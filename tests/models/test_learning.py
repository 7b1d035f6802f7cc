"""Learning folds each increment once, into the row of its anchor."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cooccurrence import TOTALS, Increment, Row, fold
from models.coverage import Chain, Span
from models.kernel.rows import DenseRows
from models.learning import PackedPairs, PairEntry, RowShard, learn
from models.parameters import DEFAULTS
from models.rows import PlainRows, Rows
from models.shard import Shard

TEA = Increment("tea", 1, 1, (("cup", 0.5, 1, 0),))
POT = Increment("pot", 1, 1)


def entry(offset: int, increment: Increment = TEA, span: int = 0, time: int = 0) -> PairEntry:
    return PairEntry(span, offset, time, time, increment)


def shard_at(position: int = 0, watermarks: dict[str, int] | None = None) -> tuple[RowShard, PlainRows]:
    rows = PlainRows(DEFAULTS)
    return Shard(0, rows, position, watermarks), rows


def packed(start: int, end: int, *entries: PairEntry, origin: str = "0") -> PackedPairs:
    return PackedPairs([Span(origin, start, end)], list(entries))


def test_each_increment_is_folded_into_the_row_of_its_anchor() -> None:
    shard, rows = shard_at()
    learned = learn(shard, rows, 0, packed(-1, 4, entry(1), entry(1, POT), entry(3)))
    assert learned == (["new"], 0)
    assert shard.rows == {
        "tea": Row(0, 1.0, 2.0, 2.0, {"cup": 1.0}, {"cup": 2.0}, recent=2.0),
        "pot": Row(0, 0.0, 1.0, 1.0, recent=1.0),
    }
    assert shard.take_dirty().keys() == {"tea", "pot"}
    assert (shard.position, shard.watermarks.as_dict()) == (1, {"0": 4})


def test_the_changed_rows_alone_are_dirty() -> None:
    shard, rows = shard_at()
    learn(shard, rows, 0, packed(-1, 0, entry(0)))
    shard.take_dirty()
    learn(shard, rows, 1, packed(0, 1, entry(1, POT)))
    assert shard.take_dirty() == {"pot": rows["pot"]}


def test_shards_that_share_rows_own_what_they_folded() -> None:
    one, rows = shard_at()
    other: RowShard = Shard(1, rows)
    learn(one, rows, 0, packed(-1, 0, entry(0)))
    learn(other, rows, 0, packed(-1, 0, entry(0, POT)))
    assert (one.keys, other.keys, rows.keys()) == ({"tea"}, {"pot"}, {"tea", "pot"})


def test_a_record_before_the_position_changes_nothing() -> None:
    shard, rows = shard_at(position=5)
    assert learn(shard, rows, 4, packed(-1, 4, entry(1))).verdicts == ["repeat"]
    assert (shard.rows, shard.position, shard.watermarks.as_dict()) == ({}, 5, {})


def test_a_record_at_the_position_is_folded() -> None:
    shard, rows = shard_at(position=5)
    assert learn(shard, rows, 5, packed(-1, 4, entry(1))).verdicts == ["new"]
    assert (shard.position, shard.rows["tea"].events) == (6, 1.0)


@pytest.mark.parametrize(("watermark", "folded"), [(1, 1.0), (2, 0.0), (0, 2.0)])
def test_only_entries_above_the_watermark_are_folded(watermark: int, folded: float) -> None:
    shard, rows = shard_at(watermarks={"0": watermark})
    learn(shard, rows, 0, packed(-1, 4, entry(1), entry(2)))
    assert (shard.rows["tea"].events if shard.rows else 0.0) == folded


@pytest.mark.parametrize(("span", "verdict"), [(Span("0", -1, 4), "repeat"), (Span("0", 5, 9), "gap")])
def test_a_repeat_and_a_gap_change_no_row_and_move_the_position(span: Span, verdict: str) -> None:
    shard, rows = shard_at(watermarks={"0": 4})
    assert learn(shard, rows, 0, PackedPairs([span], [entry(span.end, time=9)])).verdicts == [verdict]
    assert (shard.rows, shard.position, shard.newest, shard.take_dirty()) == ({}, 1, 0, {})


def test_the_spans_of_one_record_are_judged_one_by_one() -> None:
    shard, rows = shard_at(watermarks={"0": 4})
    record = PackedPairs([Span("0", -1, 4), Span("1", -1, 7)], [entry(3), entry(7, POT, span=1)])
    assert learn(shard, rows, 0, record).verdicts == ["repeat", "new"]
    assert shard.rows.keys() == {"pot"}


def test_the_newest_time_is_the_greatest_and_not_the_last() -> None:
    shard, rows = shard_at()
    learn(shard, rows, 0, packed(-1, 2, entry(0, time=50), entry(1, time=90), entry(2, time=70)))
    assert shard.newest == 90


@given(
    history=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 10**10)), max_size=15),
    cuts=st.lists(st.integers(0, 15), max_size=6),
    again=st.integers(0, 15),
)
def test_a_log_folds_to_the_same_rows_however_it_is_cut_and_repeated(
    history: list[tuple[str, str, int]], cuts: list[int], again: int
) -> None:
    entries = [
        entry(offset, Increment(anchor, 1, 1, ((other, 0.5, 1, 0),)), time=time)
        for offset, (anchor, other, time) in enumerate(history)
    ]
    expected: dict[str, Row] = {}
    for one in entries:
        anchor = one.increment.anchor
        expected[anchor] = fold(expected.get(anchor), one.increment, one.time, DEFAULTS)
    shard, rows = shard_at()
    position = 0
    for end in sorted([*(min(cut, len(entries)) for cut in cuts), len(entries)]):
        if end > position:
            learn(shard, rows, shard.position, packed(position - 1, end - 1, *entries[position:end]))
            position = end
    restarted = Chain("0", {0: again - 1})
    if again < len(entries):
        record = PackedPairs([restarted.extend(0, len(entries) - 1)], entries[again:])
        learn(shard, rows, shard.position, record)
    assert shard.rows == expected


# -- the bound


def arrival(item: str) -> Increment:
    return Increment(item, 1, 1, (("cup", 1.0, 1, 0),))


def bounded(shard: RowShard, rows: Rows, rows_max: int | None, *increments: Increment, time: int = 0) -> int:
    """Fold one record with a bound; return how many rows it dropped."""
    offset = shard.position
    return learn(
        shard,
        rows,
        offset,
        PackedPairs([Span("0", offset - 1, offset)], [*map(on(offset, time), increments)], rows_max),
    ).dropped


def on(offset: int, time: int) -> Callable[[Increment], PairEntry]:
    return lambda increment: entry(offset, increment, time=time)


def test_a_partition_that_is_full_drops_those_least_met_of_late_and_a_sixteenth_more() -> None:
    shard, rows = shard_at()
    items = [arrival(f"i{number:02}") for number in range(32) for _ in range(1 + number)]
    assert bounded(shard, rows, 32, *items) == 0
    shard.take_dirty()
    assert bounded(shard, rows, 32, *[arrival("new")] * 10) == 3
    assert shard.keys == rows.keys() == {f"i{number:02}" for number in range(3, 32)} | {"new"}
    assert shard.take_dirty() == {"i00": None, "i01": None, "i02": None, "new": rows["new"]}


def test_a_few_arrivals_of_today_are_more_than_many_of_last_week() -> None:
    shard, rows = shard_at()
    day = DEFAULTS.half_life_ms // DEFAULTS.trend_speed
    bounded(shard, rows, 2, *[arrival("old")] * 100, time=0)
    bounded(shard, rows, 2, arrival("young"), time=7 * day)
    assert bounded(shard, rows, 2, arrival("younger"), time=8 * day) == 1
    assert rows.keys() == {"young", "younger"}
    assert bounded(shard, rows, 2, arrival("old"), time=40 * day) == 1
    assert rows.keys() == {"old", "younger"}


def test_of_items_met_equally_often_the_greatest_ids_go() -> None:
    shard, rows = shard_at()
    bounded(shard, rows, 3, *(Increment(item, 1, 1) for item in ("b", "d", "a", "c")))
    assert rows.keys() == {"a", "b", "c"}


def test_the_row_of_all_sessions_is_neither_counted_nor_dropped() -> None:
    shard, rows = shard_at()
    assert bounded(shard, rows, 2, Increment(TOTALS, 0, 1), arrival("a"), arrival("b")) == 0
    assert bounded(shard, rows, 2, arrival("c"), arrival("c")) == 1
    assert rows.keys() == {TOTALS, "a", "c"}


def test_without_a_bound_every_row_stays() -> None:
    shard, rows = shard_at()
    assert bounded(shard, rows, None, *(arrival(str(number)) for number in range(100))) == 0
    assert len(rows) == 100


def test_the_rows_of_other_partitions_stay() -> None:
    shard, rows = shard_at()
    other: RowShard = Shard(1, rows)
    bounded(other, rows, 9, *(arrival(f"o{number}") for number in range(9)))
    bounded(shard, rows, 2, arrival("a"), arrival("b"), arrival("c"))
    assert (len(other.keys), len(shard.keys), len(rows)) == (9, 2, 11)


#: Some tens of items, a few of which come often; times within and beyond an epoch; weights of which many are equal.
arrivals_of_few = st.tuples(
    st.integers(0, 40).map(str),
    st.integers(0, 40).map(str),
    st.sampled_from([0.5, 1.0, 3.0]),
    st.sampled_from([0, DEFAULTS.half_life_ms]) | st.integers(0, 5 * 10**10),
)


@given(
    records=st.lists(st.lists(arrivals_of_few, max_size=8), max_size=20),
    bounds=st.lists(st.none() | st.integers(1, 20), min_size=20, max_size=20),
    reload_at=st.integers(0, 20),
)
def test_all_who_fold_a_log_drop_the_same_rows(
    records: list[list[tuple[str, str, float, int]]], bounds: list[int | None], reload_at: int
) -> None:
    plain, dense = PlainRows(DEFAULTS), DenseRows(DEFAULTS)
    dense._tidy_at = 0  # tidies up with every drop
    plain_shard: RowShard = Shard(0, plain)
    dense_shard: RowShard = Shard(0, dense)
    for number, (record, rows_max) in enumerate(zip(records, bounds, strict=False)):
        if number == reload_at:  # a replica that starts from what is stored
            stored = {item: dense[item] for item in dense_shard.keys}
            dense = DenseRows(DEFAULTS)
            dense_shard = Shard(0, dense, dense_shard.position, dense_shard.watermarks.as_dict())
            for item, row in stored.items():
                dense_shard.load(item, row)
        entries = [
            entry(number, Increment(anchor, 1, 1, ((other, weight, 1, 0),)), time=time)
            for anchor, other, weight, time in record
        ]
        packed_record = PackedPairs([Span("0", number - 1, number)], entries, rows_max)
        assert learn(plain_shard, plain, number, packed_record) == learn(dense_shard, dense, number, packed_record)
    assert dict(dense) == dict(plain)
    assert dense_shard.keys == plain_shard.keys
    asked = [("1", 0), ("2", 0)]
    assert [one.item_id for one in dense.rank(asked, {"1"}, 0)] == [one.item_id for one in plain.rank(asked, {"1"}, 0)]
