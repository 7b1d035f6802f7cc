"""Measuring folds each tally once, and closes windows for good after the retention."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.coverage import Packed, Span
from models.kpi import Tally, Window, metrics_message
from models.measuring import KpiShard, TallyEntry, measure, row_key, window_key
from models.parameters import Parameters
from models.shard import Shard

PARAMETERS = Parameters(kpi_window_ms=1_000, kpi_retention_ms=5_000)


def tally(start: int, moment: str = "cart") -> Tally:
    return Tally(start, moment, suggestions=1)


def fold_all(shard: KpiShard, *tallies: Tally) -> tuple[set[str], dict[str, int]]:
    """Fold one record that goes on where the shard stands, each tally with its own offset.

    Returns the changed keys, and the suggestions of the windows that were closed.
    """
    start = shard.watermarks.as_dict().get("0", -1)
    entries = [TallyEntry(0, start + 1 + n, one) for n, one in enumerate(tallies)]
    record = Packed([Span("0", start, start + len(entries))], entries)
    verdicts, changed, closed = measure(shard, shard.position, record, PARAMETERS)
    assert verdicts == ["new"]
    return changed, {key: window.suggestions for key, window in closed.items()}


def fold(shard: KpiShard, *tallies: Tally) -> set[str]:
    """Fold one record that closes no window; return the changed keys."""
    changed, closed = fold_all(shard, *tallies)
    assert closed == {}
    return changed


# -- keys


@pytest.mark.parametrize("key", [(0, "cart"), (1_767_607_200_000, ""), (5, "a|b|"), (60_000, "é|")])
def test_a_window_is_read_back_from_its_row_key(key: tuple[int, str]) -> None:
    assert window_key(row_key(key)) == key


def test_a_row_key_is_the_start_and_the_moment() -> None:
    assert row_key((60_000, "cart")) == "60000|cart"


# -- the fold


def test_tallies_of_one_window_and_moment_add_up() -> None:
    shard: KpiShard = Shard(0)
    changed = fold(shard, tally(0), tally(0), tally(0, "browse"), tally(1_000))
    assert changed == {"0|cart", "0|browse", "1000|cart"}
    assert {key: window.suggestions for key, window in shard.rows.items()} == {
        "0|cart": 2,
        "0|browse": 1,
        "1000|cart": 1,
    }
    assert (shard.newest, shard.position) == (1_000, 1)
    assert shard.take_dirty() == shard.rows


def test_only_the_windows_of_this_record_are_changed() -> None:
    shard: KpiShard = Shard(0)
    fold(shard, tally(0))
    assert fold(shard, tally(1_000)) == {"1000|cart"}


def test_a_record_before_the_position_changes_nothing() -> None:
    shard: KpiShard = Shard(0, position=5)
    record = Packed([Span("0", -1, 0), Span("1", -1, 0)], [TallyEntry(0, 0, tally(0))])
    assert measure(shard, 4, record, PARAMETERS) == (["repeat", "repeat"], set(), {})
    assert (shard.rows, shard.position) == ({}, 5)


def test_entries_up_to_the_watermark_are_not_counted_again() -> None:
    shard: KpiShard = Shard(0, watermarks={"0": 1})
    entries = [TallyEntry(0, offset, tally(0)) for offset in (0, 1, 2, 3)]
    verdicts, changed, _ = measure(shard, 0, Packed([Span("0", -1, 3)], entries), PARAMETERS)
    assert (verdicts, changed, shard.rows["0|cart"].suggestions) == (["new"], {"0|cart"}, 2)


@pytest.mark.parametrize(("span", "verdict"), [(Span("0", -1, 4), "repeat"), (Span("0", 5, 9), "gap")])
def test_repeats_and_gaps_count_nothing(span: Span, verdict: str) -> None:
    shard: KpiShard = Shard(0, watermarks={"0": 4})
    record = Packed([span], [TallyEntry(0, span.end, tally(0))])
    assert measure(shard, 0, record, PARAMETERS) == ([verdict], set(), {})
    assert (shard.rows, shard.newest, shard.position) == ({}, 0, 1)


# -- retention


def test_a_window_exactly_as_old_as_the_retention_still_counts() -> None:
    shard: KpiShard = Shard(0)
    fold(shard, tally(0), tally(5_000))
    assert fold(shard, tally(0)) == {"0|cart"}
    assert shard.rows["0|cart"].suggestions == 2


def test_a_window_older_than_the_retention_is_dropped_with_its_totals_and_stays_closed() -> None:
    shard: KpiShard = Shard(0)
    fold(shard, tally(0), tally(0))
    shard.take_dirty()
    assert fold_all(shard, tally(5_001)) == ({"5001|cart"}, {"0|cart": 2})
    assert shard.take_dirty().keys() == {"0|cart", "5001|cart"}
    assert fold(shard, tally(0)) == set()
    assert shard.rows.keys() == shard.keys == {"5001|cart"}
    assert shard.take_dirty() == {}


def test_a_window_that_closes_within_one_record_has_changed_too() -> None:
    shard: KpiShard = Shard(0)
    assert fold_all(shard, tally(0), tally(6_000), tally(0)) == ({"0|cart", "6000|cart"}, {"0|cart": 1})
    assert shard.rows.keys() == {"6000|cart"}


def test_late_tallies_within_the_retention_are_counted_and_move_nothing() -> None:
    shard: KpiShard = Shard(0)
    fold(shard, tally(4_000))
    assert fold(shard, tally(1_000)) == {"1000|cart"}
    assert shard.newest == 4_000


@given(
    tallies=st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["cart", "browse"])), max_size=25),
    cuts=st.lists(st.integers(0, 25), max_size=5),
    again=st.integers(0, 25),
)
def test_windows_are_the_plain_counts_however_the_log_is_cut_and_repeated(
    tallies: list[tuple[int, str]], cuts: list[int], again: int
) -> None:
    log = [tally(1_000 * second, moment) for second, moment in tallies]
    counts: dict[str, int] = {}
    newest = 0
    for one in log:
        if newest - one.start <= 5_000:
            newest = max(newest, one.start)
            key = f"{one.start}|{one.moment}"
            counts[key] = counts.get(key, 0) + 1
    kept = {key: count for key, count in counts.items() if newest - int(key.split("|")[0]) <= 5_000}

    shard: KpiShard = Shard(0)
    position = 0
    for end in sorted([*(min(cut, len(log)) for cut in cuts), len(log)]):
        if end > position:
            fold_all(shard, *log[position:end])
            position = end
    repeated = [TallyEntry(0, offset, one) for offset, one in enumerate(log) if offset >= again]
    measure(shard, shard.position, Packed([Span("0", again - 1, len(log) - 1)], repeated), PARAMETERS)
    assert {key: window.suggestions for key, window in shard.rows.items()} == kept


def test_each_change_of_a_window_has_a_higher_revision() -> None:
    shard: KpiShard = Shard(0)
    revisions = []
    for _ in range(3):
        (key,) = fold(shard, tally(0))
        message = metrics_message(window_key(key), shard.rows[key], shard.position, PARAMETERS)
        revisions.append((message["revision"], message["suggestions"]))
    assert revisions == [(1, 1), (2, 2), (3, 3)]


def test_a_window_starts_from_nothing() -> None:
    assert Window() == Window(0, 0, 0, 0, 0, 0, {})


def test_beyond_so_many_rows_new_moments_of_the_shop_count_as_other() -> None:
    parameters = replace(PARAMETERS, kpi_rows_max=2)
    shard = KpiShard(0)
    moments = ("home", "search", "wish-list", "home", "cart", "help")
    for n, moment in enumerate(moments):
        record = Packed([Span("0", n - 1, n)], [TallyEntry(0, n, tally(1_000, moment))])
        measure(shard, n, record, parameters)
    assert {key: window.suggestions for key, window in shard.rows.items()} == {
        "1000|home": 2, "1000|search": 1, "1000|other": 2, "1000|cart": 1,
    }  # fmt: skip
