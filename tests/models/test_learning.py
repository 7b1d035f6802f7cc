"""Learning folds each increment once, into the row of its anchor."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cooccurrence import Increment, Row, fold
from models.coverage import Chain, Packed, Span
from models.learning import PairEntry, RowShard, learn
from models.parameters import DEFAULTS
from models.rows import PlainRows
from models.shard import Shard

TEA = Increment("tea", 1, 1, (("cup", 0.5, 1, 0),))
POT = Increment("pot", 1, 1)


def entry(offset: int, increment: Increment = TEA, span: int = 0, time: int = 0) -> PairEntry:
    return PairEntry(span, offset, time, time, increment)


def shard_at(position: int = 0, watermarks: dict[str, int] | None = None) -> tuple[RowShard, PlainRows]:
    rows = PlainRows(DEFAULTS)
    return Shard(0, rows, position, watermarks), rows


def packed(start: int, end: int, *entries: PairEntry, origin: str = "0") -> Packed[PairEntry]:
    return Packed([Span(origin, start, end)], list(entries))


def test_each_increment_is_folded_into_the_row_of_its_anchor() -> None:
    shard, rows = shard_at()
    verdicts = learn(shard, rows, 0, packed(-1, 4, entry(1), entry(1, POT), entry(3)))
    assert verdicts == ["new"]
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
    assert learn(shard, rows, 4, packed(-1, 4, entry(1))) == ["repeat"]
    assert (shard.rows, shard.position, shard.watermarks.as_dict()) == ({}, 5, {})


def test_a_record_at_the_position_is_folded() -> None:
    shard, rows = shard_at(position=5)
    assert learn(shard, rows, 5, packed(-1, 4, entry(1))) == ["new"]
    assert (shard.position, shard.rows["tea"].events) == (6, 1.0)


@pytest.mark.parametrize(("watermark", "folded"), [(1, 1.0), (2, 0.0), (0, 2.0)])
def test_only_entries_above_the_watermark_are_folded(watermark: int, folded: float) -> None:
    shard, rows = shard_at(watermarks={"0": watermark})
    learn(shard, rows, 0, packed(-1, 4, entry(1), entry(2)))
    assert (shard.rows["tea"].events if shard.rows else 0.0) == folded


@pytest.mark.parametrize(("span", "verdict"), [(Span("0", -1, 4), "repeat"), (Span("0", 5, 9), "gap")])
def test_a_repeat_and_a_gap_change_no_row_and_move_the_position(span: Span, verdict: str) -> None:
    shard, rows = shard_at(watermarks={"0": 4})
    assert learn(shard, rows, 0, Packed([span], [entry(span.end, time=9)])) == [verdict]
    assert (shard.rows, shard.position, shard.newest, shard.take_dirty()) == ({}, 1, 0, {})


def test_the_spans_of_one_record_are_judged_one_by_one() -> None:
    shard, rows = shard_at(watermarks={"0": 4})
    record = Packed([Span("0", -1, 4), Span("1", -1, 7)], [entry(3), entry(7, POT, span=1)])
    assert learn(shard, rows, 0, record) == ["repeat", "new"]
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
        record = Packed([restarted.extend(0, len(entries) - 1)], entries[again:])
        learn(shard, rows, shard.position, record)
    assert shard.rows == expected
