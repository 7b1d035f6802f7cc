"""The compiled rows are the plain ones: whatever is folded, loaded and dropped, and whatever is asked."""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cooccurrence import Increment, Row
from models.decay import EPOCH_HALF_LIVES, growth
from models.kernel.rows import DenseRows
from models.parameters import DEFAULTS, Parameters
from models.ranking import distinct, rank
from models.rows import PlainRows, Rows

HALF_LIFE_MS = 1_000_000
EPOCH_MS = EPOCH_HALF_LIVES * HALF_LIFE_MS
#: Beyond the 512 half-lives at which growth ends.
FAR_MS = 600 * HALF_LIFE_MS

#: The empty id of the totals row, prefixes of each other, and such as UTF-16 would sort otherwise.
ITEMS = ["", "a", "ab", "b", "é", "日本", "\uffff", "\U0001f600"]
CATEGORIES = ["x", "y"]

#: Below this a score is dust: its decayed parts are too small for floats to hold them with full precision.
DUST = 1e-150

items = st.sampled_from(ITEMS)
categories = st.sampled_from([None, *CATEGORIES])
amounts = st.sampled_from([0.25, 0.5, 1.0]) | st.floats(0.01, 10.0)
times = st.integers(0, 3 * EPOCH_MS) | st.sampled_from([-FAR_MS, -EPOCH_MS, EPOCH_MS - 1, EPOCH_MS, FAR_MS])
others = st.lists(st.tuples(items, amounts, st.integers(0, 1), st.integers(0, 1)), max_size=4).map(tuple)
increments = st.builds(Increment, items, st.integers(0, 1), st.integers(0, 1), others, categories)
batches = st.lists(st.tuples(increments, times), max_size=12)
positions_of = st.lists(st.tuples(items, st.integers(0, 3 * EPOCH_MS)), max_size=6)


@st.composite
def loads(draw: st.DrawFn) -> tuple[str, Row]:
    weights = draw(st.dictionaries(items, amounts, max_size=2))
    return draw(items), Row(
        epoch=draw(st.integers(-2, 3)),
        mass=sum(weights.values()),
        events=draw(amounts),
        sessions=draw(st.just(0.0) | amounts),
        weights=weights,
        pairs={item: draw(amounts) for item in weights},
        comparisons={item: draw(st.just(0.0) | amounts) for item in weights if draw(st.booleans())},
        category=draw(categories),
        recent=draw(st.just(0.0) | amounts),
    )


#: A batch to fold, a row to load, an item to drop, or how many of the least met to drop.
histories = st.lists(batches | loads() | items | st.integers(1, 3), max_size=6)

parameters_of = st.builds(
    replace,
    st.just(DEFAULTS),
    half_life_ms=st.just(HALF_LIFE_MS),
    row_size=st.integers(2, 4),
    leaders_max=st.integers(1, 3),
    candidates_max=st.sampled_from([1, 2, 64]),
    hop_neighbours=st.sampled_from([0, 1, 2, 32]),
    query_items=st.sampled_from([1, 2, 10]),
    popularity_exponent=st.sampled_from([-0.25, 0.0, 0.2]),
    trend_exponent=st.sampled_from([0.0, 0.2, 1.0]),
    hop_row_size=st.sampled_from([1, 2, 32]),
)


def both(history: Iterable[object], parameters: Parameters) -> tuple[DenseRows, PlainRows]:
    dense, plain = DenseRows(parameters), PlainRows(parameters)
    dense._tidy_at = 0  # so that indices are given anew
    for step in history:
        for rows in (dense, plain):
            take(rows, step)
    return dense, plain


def take(rows: Rows, step: object) -> None:
    match step:
        case str(item):
            rows.pop(item, None)
        case (str(item), Row() as row):
            rows[item] = deepcopy(row)
        case list(batch):
            rows.fold_all(batch)
        case int(count):
            for item in rows.least_met(rows.keys(), min(count, len(rows))) if rows else ():
                del rows[item]
            rows.tidy()


def same_row(row: Row, expected: Row) -> bool:
    """Tell whether two rows are equal to the last bit, the compiled one's neighbours heaviest first, ties by id."""
    return row == expected and list(row.pairs) == list(row.weights) == [item for item, _ in heaviest_first(row)]


def heaviest_first(row: Row) -> list[tuple[str, float]]:
    return sorted(row.weights.items(), key=lambda pair: (-pair[1], pair[0]))


Parts = dict[tuple[str, str], float]


def parts_of(rows: Rows, positions: list[tuple[str, int]], now: int, parameters: Parameters) -> tuple[Parts, Parts]:
    """What speaks for each candidate: the parts of its anchors, and those of the vias of the second hop."""
    pairs: Parts = {}
    paths: Parts = {}
    near: dict[str, float] = {}
    for place, (anchor, time) in enumerate(distinct(positions)[: parameters.query_items]):
        row = rows.get(anchor, Row(0))
        recency = (place + 1) ** parameters.query_place_exponent
        recency *= exp(-abs(now - time) / parameters.query_time_constant_ms)
        mass = row.mass + parameters.mass_prior * growth(now, row.epoch, HALF_LIFE_MS)
        for item, weight in row.weights.items():
            pairs[item, anchor] = recency * (weight / mass) ** parameters.compression
            near[item] = near.get(item, 0.0) + pairs[item, anchor]
    for via, nearness in near.items():
        row = rows.get(via, Row(0))
        for item, weight in heaviest_first(row)[: parameters.hop_row_size] if row.mass > 0 else ():
            paths[item, via] = nearness * (parameters.hop_weight * weight / row.mass) ** parameters.compression
    return pairs, paths


def is_best(part: float, best: float) -> bool:
    return part == pytest.approx(best, rel=1e-12, abs=DUST)


@settings(max_examples=400)
@given(history=histories, parameters=parameters_of)
def test_rows_are_equal_to_the_last_bit(history: list[object], parameters: Parameters) -> None:
    dense, plain = both(history, parameters)
    assert set(dense) == set(plain)
    assert len(dense) == len(plain)
    for item in ITEMS:
        assert (item in dense) == (item in plain)
        row, expected = dense.get(item), plain.get(item)
        assert row is expected or (row is not None and expected is not None and same_row(row, expected))


@settings(max_examples=200)
@given(history=histories, parameters=parameters_of)
def test_leaders_are_equal(history: list[object], parameters: Parameters) -> None:
    dense, plain = both(history, parameters)
    for category in (None, *CATEGORIES, "unknown"):
        assert dense.leaders(category) == plain.leaders(category)


@settings(max_examples=200)
@given(history=histories, parameters=parameters_of, now=times)
def test_what_is_asked_of_a_row_is_equal(history: list[object], parameters: Parameters, now: int) -> None:
    dense, plain = both(history, parameters)
    assert dense.total(now) == plain.total(now)
    for item in (*ITEMS, "unknown"):
        assert dense.sessions(item, now) == plain.sessions(item, now)
        assert dense.category(item) == plain.category(item)
        assert dense.has_neighbours(item) == plain.has_neighbours(item)
        for other in (*ITEMS, "unknown"):
            assert dense.pair(item, other, now) == plain.pair(item, other, now)


@settings(max_examples=600)
@given(
    history=histories,
    parameters=parameters_of,
    positions=positions_of,
    excluded=st.sets(items, max_size=3),
    now=st.integers(3 * EPOCH_MS, 4 * EPOCH_MS) | st.just(2 * FAR_MS),
)
def test_rankings_are_equal(
    history: list[object], parameters: Parameters, positions: list[tuple[str, int]], excluded: set[str], now: int
) -> None:
    dense, plain = both(history, parameters)
    candidates = dense.rank(positions, excluded, now)
    expected = plain.rank(positions, excluded, now)
    assert [c.score for c in candidates] == pytest.approx([c.score for c in expected], rel=1e-12, abs=DUST)
    every = rank(plain, positions, excluded, now, replace(parameters, candidates_max=len(ITEMS)))
    known = {candidate.item_id: candidate for candidate in every}
    pairs, paths = parts_of(plain, positions, now, parameters)
    for item, score, anchor, path in candidates:
        # Where scores or parts differ by no more than rounding, another may be preferred than by the plain rule.
        same = known[item]
        assert score == pytest.approx(same.score, rel=1e-12, abs=DUST)
        if anchor != same.anchor:
            assert is_best(pairs.get((item, anchor or ""), 0.0), pairs.get((item, same.anchor or ""), 0.0))
        if path is not None and same.path is not None and path[1] == same.path[1]:
            assert path == same.path
        elif path != same.path:
            ours, theirs = (paths[item, via[1]] if via else 0.0 for via in (path, same.path))
            assert is_best(ours, theirs)
    assert candidates == sorted(candidates, key=lambda c: (-c.score, c.item_id))
    assert dense.rank(positions, excluded, now) == candidates
