"""Rows in arrays: what they hold, drop and rank, by hand; `test_kernel_equality` compares them with the plain ones."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.cooccurrence import TOTALS, Increment, Row
from models.decay import EPOCH_HALF_LIVES, growth
from models.errors import InvariantError
from models.kernel.arrays import FREE, LINES, ROWS, STEP, USED
from models.kernel.constants import decay_of
from models.kernel.folding import drop_rows, fold_pairs, mark_used, place_of, texts_size
from models.kernel.growth import grown_at
from models.kernel.interning import INTERNING, Interner
from models.kernel.leading import count_leader
from models.kernel.lines import move_lines
from models.kernel.order import precedes
from models.kernel.ranking import find_candidates
from models.kernel.row_bytes import count_leaders, put_rows, read_rows
from models.kernel.rows import DenseRows, compile_kernels
from models.parameters import DEFAULTS
from models.ranking import Candidate
from models.rows import PlainRows

HALF_LIFE_MS = 1_000_000
EPOCH_MS = EPOCH_HALF_LIVES * HALF_LIFE_MS
SMALL = replace(DEFAULTS, half_life_ms=HALF_LIFE_MS, row_size=3)


def row(weights: dict[str, float], mass: float | None = None, events: float = 0.0) -> Row:
    mass = sum(weights.values()) if mass is None else mass
    return Row(0, mass, events, events, weights, dict.fromkeys(weights, 1.0))


def rows_of(rows: dict[str, Row]) -> DenseRows:
    dense = DenseRows(SMALL)
    dense.update(rows)
    return dense


def add(rows: DenseRows, other: str, weight: float, time_ms: int = 0) -> None:
    rows.fold_all([(Increment("tea", others=((other, weight, 1, 0),)), time_ms)])


# -- rows


def test_an_increment_makes_a_row_and_no_row_of_its_neighbour() -> None:
    rows = DenseRows(SMALL)
    rows.fold_all([(Increment("tea", 1, 1, (("cup", 0.5, 1, 1), ("pot", 0.25, 0, 0)), "drinks"), 0)])
    assert dict(rows) == {
        "tea": Row(0, 0.75, 1.0, 1.0, {"cup": 0.5, "pot": 0.25}, {"cup": 1.0, "pot": 0.0}, {"cup": 1.0}, "drinks", 1.0)
    }
    assert len(rows) == 1
    assert "tea" in rows
    assert "cup" not in rows
    assert rows.get("cup") is None
    assert not rows.has_neighbours("cup")


def test_the_totals_row_is_a_row_once_it_is_folded() -> None:
    rows = DenseRows(SMALL)
    assert TOTALS not in rows
    rows.fold_all([(Increment(TOTALS, sessions=1), 0)])
    assert (list(rows), rows.total(0), rows.leaders(None)) == ([TOTALS], 1.0, [])


def test_what_comes_a_half_life_later_weighs_double() -> None:
    rows = rows_of({"tea": row({"cup": 0.5})})
    add(rows, "cup", 0.5, HALF_LIFE_MS)
    assert rows["tea"] == Row(0, 1.5, 0.0, 0.0, {"cup": 1.5}, {"cup": 3.0})


def test_the_first_increment_of_a_later_epoch_rescales_all_of_a_row_but_no_other_row() -> None:
    old = Row(0, 1.0, 3.0, 2.0, {"cup": 1.0}, {"cup": 4.0}, {"cup": 5.0}, "drinks", 7.0)
    rows = rows_of({"tea": old, "pot": old})
    rows.fold_all([(Increment("tea"), EPOCH_MS)])
    share = 2.0**-EPOCH_HALF_LIVES
    cup = {"cup": share}, {"cup": 4 * share}, {"cup": 5 * share}
    assert rows["tea"] == Row(1, share, 3 * share, 2 * share, *cup, "drinks", 7.0 * share**SMALL.trend_speed)
    assert rows["pot"] == old


def test_a_full_row_drops_its_smallest_weight_and_leaves_no_gap() -> None:
    full = Row(0, 6.0, 0.0, 0.0, {"a": 3.0, "b": 1.0, "c": 2.0}, {"a": 7.0, "b": 8.0, "c": 9.0}, {"b": 4.0, "c": 5.0})
    rows = rows_of({"tea": full})
    add(rows, "d", 5.0)
    left = rows["tea"]
    assert left == Row(0, 10.0, 0.0, 0.0, {"a": 3.0, "c": 2.0, "d": 5.0}, {"a": 7.0, "c": 9.0, "d": 1.0}, {"c": 5.0})
    assert list(left.weights) == ["d", "a", "c"]


def test_of_equal_weights_the_greatest_item_id_is_dropped() -> None:
    rows = rows_of({"tea": row({"item-9": 1.0, "item-10": 1.0, "item-1": 1.0})})
    add(rows, "z", 1.0)
    assert rows["tea"].weights.keys() == {"item-10", "item-1", "z"}


def test_a_neighbour_that_was_dropped_starts_anew() -> None:
    rows = rows_of({"tea": row({"a": 3.0, "b": 1.0, "c": 2.0})})
    add(rows, "d", 4.0)
    add(rows, "b", 0.5)
    assert rows["tea"].weights == {"a": 3.0, "d": 4.0, "b": 0.5}
    assert rows["tea"].pairs["b"] == 1.0


def test_a_row_that_is_read_is_a_copy() -> None:
    rows = rows_of({"tea": row({"cup": 1.0})})
    rows["tea"].weights["cup"] = 5.0
    assert rows["tea"].weights == {"cup": 1.0}


def test_a_dropped_row_is_gone_and_its_item_may_come_back() -> None:
    rows = DenseRows(SMALL)
    rows.fold_all([(Increment("tea", 1, 1, (("cup", 0.5, 1, 1),), "drinks"), 5 * EPOCH_MS)])
    del rows["tea"]
    assert (len(rows), list(rows), rows.get("tea")) == (0, [], None)
    assert (rows.sessions("tea", 0), rows.category("tea"), rows.pair("tea", "cup", 0)) == (0.0, None, (0.0, 0.0))
    assert (rows.leaders(None), rows.leaders("drinks")) == ([], [])
    add(rows, "pot", 0.25)
    assert dict(rows) == {"tea": Row(0, 0.25, 0.0, 0.0, {"pot": 0.25}, {"pot": 1.0})}


def test_an_item_without_a_row_cannot_be_read_or_dropped() -> None:
    rows = rows_of({"tea": row({"cup": 1.0})})
    for item in ("cup", "unknown"):
        with pytest.raises(KeyError, match=item):
            rows[item]
        with pytest.raises(KeyError, match=item):
            del rows[item]


def test_a_row_that_replaces_another_leaves_nothing_of_it() -> None:
    rows = rows_of({"tea": Row(2, 3.0, 1.0, 1.0, {"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 1.0}, {"b": 1.0}, "drinks")})
    rows["tea"] = Row(1, weights={"c": 1.0}, pairs={"c": 1.0})
    assert rows["tea"] == Row(1, weights={"c": 1.0}, pairs={"c": 1.0})


def test_a_row_that_does_not_fit_is_refused() -> None:
    rows = DenseRows(SMALL)
    rows["tea"] = row({"a": 1.0, "b": 1.0, "c": 1.0})
    with pytest.raises(InvariantError, match="'tea' has 4 neighbours: at most row_size=3"):
        rows["tea"] = row({"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0})


def test_a_loaded_row_ranks_as_the_folded_one() -> None:
    folded = DenseRows(SMALL)
    for n in range(40):
        folded.fold_all([(Increment(f"i{n % 7}", 1, 1, ((f"i{n % 5}", 0.3 + n, 1, 0),)), n * HALF_LIFE_MS)])
    loaded = rows_of(dict(folded))
    question = [("i1", 0), ("i2", 0)], {"i1", "i2"}, 40 * HALF_LIFE_MS
    assert loaded.rank(*question) == folded.rank(*question) != []


def test_the_arrays_double_as_items_come() -> None:
    rows = DenseRows(SMALL)
    sizes = []
    for n in range(9):
        rows[f"{n}"] = Row(0)
        sizes.append(rows.nbytes)
    assert len(set(sizes)) < len(sizes)
    # 56 bytes for each of 16 items, 16 for their priors and 5 for their owners; 36 a neighbour, for eight of each row,
    # of which there is room for more; rows, places given and free, and the first free line of the one length there is
    assert len(rows.table.neighbours) == 128
    table = 16 * (56 + 16 + 5) + 128 * 36 + 8 * 5
    # bounds, two slots, hash and free index; an arena has room for all texts that a row of so many bytes might bring
    items, no_categories = 16 * (16 + 8 + 8 + 4) + 64 + 40, (16 + 8 + 8 + 4) + 64 + 40
    ranking = sum(array.nbytes for array in rows.board)
    assert sizes[-1] == table + items + no_categories + 2 * (32 * 12 + 4) + ranking  # two boards of leaders


# -- ranking


def test_one_neighbour_of_one_item_scores_as_the_formula_says() -> None:
    rows = rows_of({"tea": row({"cup": 4.0}, mass=11.0)})
    # F = (4 / 16)^0.6 = 0.435275, popularity 5^-0.25, no arrival, so trend 0.02^0.2
    assert rows.rank([("tea", 0)], {"tea"}, 0) == [Candidate("cup", pytest.approx(0.133_115, rel=1e-5), "tea")]


def test_what_is_popular_scores_less_and_what_is_in_fashion_more() -> None:
    rows = rows_of({"tea": row({"cup": 4.0}, mass=11.0), "cup": Row(0, events=11.0, recent=5.5)})
    # F = 0.435275, popularity 16^-0.25 = 1/2, trend (5.5 / 11 + 0.02)^0.2
    assert rows.rank([("tea", 0)], {"tea"}, 0)[0].score == pytest.approx(0.190_957, rel=1e-5)


def test_what_came_after_the_query_is_no_more_in_fashion_than_what_all_came_at_once() -> None:
    # A replica may be ahead of a session: what came since then has grown from the query's time, the trend 30 times as
    # fast. A tenth of a half-life: 2^2.9 · recent / events = 1 for cup and 7.5, capped at 1, for jug.
    now = -HALF_LIFE_MS // 10
    for rows in (DenseRows(SMALL), PlainRows(SMALL)):
        rows["tea"] = row({"cup": 4.0, "jug": 4.0})
        rows["cup"] = Row(0, events=1.0, recent=2.0**-2.9)
        rows["jug"] = Row(0, events=1.0, recent=1.0)
        cup, jug = rows.rank([("tea", now)], {"tea"}, now)
        assert cup.score == pytest.approx(jug.score)


def test_a_shop_may_favour_what_is_popular() -> None:
    favouring = replace(SMALL, popularity_exponent=0.2, trend_exponent=0.0, candidates_max=1)
    for rows in (DenseRows(favouring), PlainRows(favouring)):
        rows["tea"] = row({"cup": 4.0, "jug": 3.9})
        rows["jug"] = Row(0, events=995.0)
        # (3.9 / 4)^0.6 · (1000 / 5)^0.2 > 1
        assert [c.item_id for c in rows.rank([("tea", 0)], {"tea"}, 0)] == ["jug"]


def test_a_neighbour_of_a_neighbour_is_found_by_way_of_it() -> None:
    rows = rows_of({"tea": row({"cup": 4.0}, mass=11.0), "cup": row({"jug": 5.0}, mass=10.0)})
    cup, jug = rows.rank([("tea", 0)], {"tea"}, 0)
    assert (cup.anchor, cup.path, jug.anchor, jug.path) == ("tea", None, None, ("tea", "cup"))
    # u = 1/4, G = (0.8 / 4 · 5 / 10)^0.6 = 0.251189, popularity 5^-0.25, trend 0.02^0.2
    assert jug.score == pytest.approx(0.076_818, rel=1e-5)


def test_a_candidate_of_two_items_has_both_parts() -> None:
    rows = rows_of({"tea": row({"cup": 4.0}), "pot": row({"cup": 4.0})})
    (alone,) = rows.rank([("tea", 0)], set(), 0)
    (both,) = rows.rank([("tea", 0), ("pot", 0)], set(), 0)
    # 1 + 2^-1.5
    assert both.score / alone.score == pytest.approx(1.353_553, rel=1e-5)
    assert both.anchor == "tea"


def test_of_equal_parts_the_newer_anchor_and_the_nearer_via_are_told() -> None:
    rows = DenseRows(replace(SMALL, query_place_exponent=0.0))
    leads = row({"k2": 1.0, "k1": 1.0})
    rows.update({"tea": leads, "pot": leads, "k1": row({"cup": 2.0}), "k2": row({"cup": 2.0})})
    # k1 and k2 are equally near, by tea as by pot, and stand in the order of their ids
    for anchors in (["tea", "pot"], ["pot", "tea"]):
        found = {c.item_id: (c.anchor, c.path) for c in rows.rank([(anchor, 0) for anchor in anchors], set(), 0)}
        assert found == {"k1": (anchors[0], None), "k2": (anchors[0], None), "cup": (None, (anchors[0], "k1"))}


def test_of_equal_scores_the_least_item_ids_are_kept_in_their_order() -> None:
    rows = DenseRows(replace(SMALL, candidates_max=2))
    rows["tea"] = row({"日": 2.0, "\U0001f600": 2.0, "é": 2.0})
    assert [c.item_id for c in rows.rank([("tea", 0)], {"tea"}, 0)] == ["é", "日"]
    rows["tea"] = row({"item-9": 2.0, "item-10": 2.0, "item-1": 2.0})
    assert [c.item_id for c in rows.rank([("tea", 0)], {"tea"}, 0)] == ["item-1", "item-10"]


def test_an_excluded_item_is_passed_through() -> None:
    rows = rows_of({"tea": row({"cup": 4.0}), "cup": row({"jug": 5.0})})
    assert [(c.item_id, c.path) for c in rows.rank([("tea", 0)], {"cup", "tea", "unknown"}, 0)] == [
        ("jug", ("tea", "cup"))
    ]


def test_only_the_nearest_neighbours_are_passed_through() -> None:
    rows = DenseRows(replace(SMALL, hop_neighbours=1))
    rows.update({"tea": row({"far": 1.0, "near": 2.0}), "near": row({"jug": 1.0}), "far": row({"mug": 1.0})})
    assert {c.item_id for c in rows.rank([("tea", 0)], set(), 0)} == {"near", "far", "jug"}


def test_a_ranking_leaves_nothing_for_the_next() -> None:
    rows = rows_of({"tea": row({"cup": 4.0}), "pot": row({"jug": 4.0}), "cup": row({"mug": 1.0})})
    first = rows.rank([("tea", 0)], {"cup"}, 0)
    rows.rank([("pot", 0), ("cup", 0)], {"mug"}, 0)
    assert rows.rank([("tea", 0)], {"cup"}, 0) == first


def test_without_positions_or_rows_there_is_no_candidate() -> None:
    rows = rows_of({"tea": row({"cup": 4.0}), "bare": row({})})
    assert rows.rank([], set(), 0) == []
    assert rows.rank([("unknown", 0), ("cup", 0), ("bare", 0)], set(), 0) == []
    assert DenseRows(SMALL).rank([("tea", 0)], {"tea"}, 0) == []


# -- what the kernels are made of


@settings(max_examples=500)
@given(time_ms=st.integers(-(10**13), 10**13), epoch=st.integers(-400, 400))
def test_growth_is_that_of_the_plain_rule_to_the_last_bit(time_ms: int, epoch: int) -> None:
    for half_life_ms in (DEFAULTS.half_life_ms, 1_000_003):
        decay = decay_of(replace(DEFAULTS, half_life_ms=half_life_ms))
        for speed in (1, DEFAULTS.trend_speed):
            assert grown_at(time_ms, epoch, decay, speed) == growth(time_ms, epoch, half_life_ms, speed)


def test_growth_agrees_where_exp2_would_round_otherwise() -> None:
    half_life_ms = DEFAULTS.half_life_ms
    decay = decay_of(DEFAULTS)
    times = range(0, EPOCH_HALF_LIVES * half_life_ms, 10_000_019)
    assert [grown_at(time, 0, decay, 1) for time in times] == [growth(time, 0, half_life_ms) for time in times]


@given(st.lists(st.text(st.characters()), min_size=2, unique=True))
def test_ids_sort_as_python_sorts_them(ids: list[str]) -> None:
    items = Interner()
    for item in ids:
        items.intern(item)
    for item, other in pairwise(ids):
        indices, (arena, bounds, *_) = (items.find(item), items.find(other)), items.arrays
        assert precedes(*indices, arena, bounds) == (item < other)
        assert not precedes(indices[0], indices[0], arena, bounds)


def test_kernels_compile_for_all_parameters_at_once() -> None:
    compile_kernels(DEFAULTS)
    own = drop_rows, fold_pairs, mark_used, place_of, texts_size, count_leaders, put_rows, read_rows, move_lines
    kernels = *INTERNING, count_leader, find_candidates, *own
    compiled = [len(kernel.signatures) for kernel in kernels]
    compile_kernels(replace(DEFAULTS, row_size=2, trend_floor=0, hop_weight=1, half_life_ms=7))
    assert [len(kernel.signatures) for kernel in kernels] == compiled == [1] * len(kernels)


def test_an_endless_stream_of_new_items_needs_no_more_room() -> None:
    rows = DenseRows(SMALL)
    sizes = set()
    for start in range(0, 100_000, 500):
        rows.fold_all(
            (Increment(f"i{n:06}", 1, 1, ((f"i{n + 1:06}", 1.0, 1, 0),)), n) for n in range(start, start + 500)
        )
        for item in rows.least_met(list(rows), max(0, len(rows) - 2_000)):
            del rows[item]
        rows.tidy()
        if start >= 10_000:
            sizes.add(rows.nbytes)
    assert len(sizes) == 1
    assert len(rows.ids.arrays.bounds) <= 4_096


def test_an_endless_stream_of_new_categories_needs_no_more_room() -> None:
    rows = DenseRows(SMALL)
    sizes = set()
    for start in range(0, 20_000, 500):
        rows.fold_all((Increment(f"i{n:05}", 1, 1, (), f"c{n:05}"), n) for n in range(start, start + 500))
        for item in rows.least_met(list(rows), max(0, len(rows) - 1_000)):
            del rows[item]
        rows.tidy()
        if start >= 5_000:
            sizes.add(rows.nbytes)
    assert len(sizes) == 1
    assert rows.leaders("c00000") == []
    assert rows.leaders("c19999") == ["i19999"]


def test_an_item_on_a_board_keeps_its_index_though_its_row_is_dropped() -> None:
    rows = DenseRows(SMALL)
    rows._tidy_at = 0
    rows.fold_all([(Increment("tea", 1, 1, (), "drinks"), 0), (Increment("tea", 1, 1, (), "hot"), 0)])
    del rows["tea"]
    rows.tidy()
    rows.fold_all([(Increment("pot", 1, 1), 0)])
    assert (rows.leaders("drinks"), rows.leaders(None)) == (["tea"], ["pot"])


def test_what_others_hold_keeps_its_index() -> None:
    rows = DenseRows(SMALL)
    rows._tidy_at = 0
    held, free = rows.ids.intern("held"), rows.ids.intern("free")

    def mark_held(used: NDArray[np.bool_]) -> None:
        used[held] = True

    rows.mark_held = mark_held
    rows.tidy()
    assert (rows.ids.find("held"), rows.ids.find("free"), rows.ids.intern("new")) == (held, -1, free)
    assert rows.ids.find(TOTALS) == 0


def test_a_neighbour_without_a_row_takes_no_line() -> None:
    rows = DenseRows(DEFAULTS)
    rows["tea"] = Row(0, weights={f"cup-{n}": 1.0 for n in range(64)}, pairs={f"cup-{n}": 1.0 for n in range(64)})
    assert len(rows.ids) == 66
    assert (rows.table.blocks[ROWS], rows.table.blocks[USED]) == (1, STEP + 64)


def test_the_lines_of_dropped_rows_are_given_again() -> None:
    rows = DenseRows(SMALL)
    for n in range(100):
        rows[f"tea-{n}"] = Row(0, weights={f"cup-{n}": 1.0}, pairs={f"cup-{n}": 1.0})
        del rows[f"tea-{n}"]
        rows.fold_all([(Increment(f"pot-{n}", 1, 1, (("cup", 1.0, 1, 0),)), 0)])
        assert rows[f"pot-{n}"].weights == {"cup": 1.0}
        del rows[f"pot-{n}"]
    assert (rows.table.blocks[USED], rows.table.blocks[FREE]) == (2 * STEP, STEP)
    assert len(rows.table.neighbours) == 32


def test_a_row_that_grows_moves_to_a_longer_line_and_leaves_its_own_to_others() -> None:
    rows = DenseRows(DEFAULTS)
    rows.make_room(0, 0, 10_000)  # so that no line is moved for want of places
    blocks = rows.table.blocks
    for n in range(17):
        add(rows, f"cup-{n:02}", 1.0 + n)
    assert rows["tea"].weights == {f"cup-{n:02}": 1.0 + n for n in range(17)}
    assert rows["tea"].pairs == dict.fromkeys(rows["tea"].weights, 1.0)
    # Lines of 8, 16 and 24 places, of which the first two are free.
    assert (blocks[USED], blocks[FREE]) == (STEP + 8 + 16 + 24, 8 + 16)
    rows["pot"] = row({"a": 1.0})
    rows["jug"] = row({f"b{n}": 1.0 for n in range(9)})
    assert (blocks[USED], blocks[FREE], blocks[ROWS]) == (STEP + 8 + 16 + 24, 0, 3)
    rows["jug"] = row({"b": 1.0})
    assert (blocks[USED], blocks[FREE]) == (STEP + 8 + 16 + 24 + 8, 16)


@pytest.mark.parametrize("dropped", [2, 3])
def test_lines_are_moved_together_where_an_eighth_of_the_places_is_free(dropped: int) -> None:
    rows = DenseRows(DEFAULTS)
    for n in range(23):
        rows[f"item-{n:02}"] = row({f"cup-{place}": 99.0 + n - place for place in range(STEP)})
    for n in range(dropped):
        del rows[f"item-{n:02}"]
    before = dict(rows)
    assert (rows.table.blocks[USED], rows.table.blocks[FREE]) == (24 * STEP, dropped * STEP)
    rows.make_room(0, 0, len(rows.table.neighbours))
    # An eighth is three lines; where less is free, the places stay where they are.
    kept = {2: (24 * STEP, 2 * STEP), 3: (21 * STEP, 0)}[dropped]
    assert (rows.table.blocks[USED], rows.table.blocks[FREE]) == kept
    assert dict(rows) == before
    for n in range(30):
        rows[f"new-{n:02}"] = row({f"jug-{n}": 2.0})
    assert dict(rows) == before | {f"new-{n:02}": row({f"jug-{n}": 2.0}) for n in range(30)}


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40), st.booleans()), max_size=150),
    st.integers(1, 20),
)
def test_no_place_is_given_twice_or_lost(steps: list[tuple[int, int, bool]], row_size: int) -> None:
    rows = DenseRows(replace(DEFAULTS, row_size=row_size))
    for number, (item, other, is_added) in enumerate(steps):
        if is_added:
            rows.fold_all([(Increment(f"i{item}", 1, 1, ((f"o{other}", 1.0 + number, 1, 0),)), 0)])
        elif f"i{item}" in rows:
            del rows[f"i{item}"]
        if number % 10 == 9:
            rows.make_room(0, 0, number)
    taken = np.zeros(len(rows.table.neighbours), np.int64)
    free = 0
    for own in rows.table.items[rows.table.items["line"] > 0]:
        assert own["size"] <= min(own["room"], row_size)
        taken[own["line"] : own["line"] + own["room"]] += 1
    for step, line in enumerate(rows.table.blocks[LINES:].tolist()):
        while line:
            taken[line : line + STEP * step] += 1
            free += STEP * step
            line = rows.table.neighbours[line]
    used = rows.table.blocks[USED]
    assert not taken[:STEP].any() and not taken[used:].any() and (taken[STEP:used] == 1).all()
    assert (free, len(rows)) == (rows.table.blocks[FREE], len(list(rows)))
