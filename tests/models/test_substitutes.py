"""Rivals share a category; where none is known, most who met both compared them."""

import pytest

from models.cooccurrence import Row
from models.parameters import DEFAULTS
from models.rows import PlainRows
from models.substitutes import is_rival


def categories(item: str | None, held: str | None) -> PlainRows:
    rows = PlainRows(DEFAULTS)
    rows.update({"green": Row(0, category=item), "black": Row(0, category=held)})
    return rows


def met(count: float, compared: float, rows: PlainRows | None = None, anchor: str = "black") -> PlainRows:
    """Rows in which `anchor` met the other tea so often, and was compared with it."""
    rows = rows or PlainRows(DEFAULTS)
    other = {"black": "green", "green": "black"}[anchor]
    category = rows.category(anchor)
    rows[anchor] = Row(0, 1.0, count, count, {other: 1.0}, {other: count}, {other: compared}, category)
    return rows


def green_rivals_black(rows: PlainRows, time_ms: int = 0) -> bool:
    return is_rival(rows, "green", "black", time_ms, DEFAULTS)


# -- by category


def test_items_of_one_category_are_rivals() -> None:
    assert green_rivals_black(categories("tea", "tea"))


def test_items_of_two_categories_are_none() -> None:
    assert not green_rivals_black(categories("tea", "cups"))


def test_where_both_categories_are_known_timing_does_not_matter() -> None:
    assert not green_rivals_black(met(100.0, 100.0, categories("tea", "cups")))
    assert green_rivals_black(met(100.0, 0.0, categories("tea", "tea")))


@pytest.mark.parametrize(("item", "held"), [("tea", None), (None, "tea"), (None, None)])
def test_where_a_category_is_missing_timing_tells(item: str | None, held: str | None) -> None:
    assert not green_rivals_black(categories(item, held))
    assert not green_rivals_black(met(10.0, 0.0, categories(item, held)))
    assert green_rivals_black(met(10.0, 10.0, categories(item, held)))


# -- by timing


@pytest.mark.parametrize("anchor", ["black", "green"])
def test_the_row_of_either_item_can_tell(anchor: str) -> None:
    assert green_rivals_black(met(10.0, 10.0, anchor=anchor))


def test_one_row_is_enough_when_the_other_knows_better() -> None:
    assert green_rivals_black(met(10.0, 10.0, met(100.0, 0.0), anchor="green"))


@pytest.mark.parametrize(("count", "expected"), [(2.0, False), (2.70, False), (2.71, True), (3.0, True)])
def test_few_comparisons_make_no_rival(count: float, expected: bool) -> None:
    # All of n prove n / (n + 2.706025): more than a half from n > 2.706025 on.
    assert green_rivals_black(met(count, count)) == expected


@pytest.mark.parametrize(("compared", "expected"), [(50.0, False), (58.0, False), (59.0, True)])
def test_most_who_met_both_must_have_compared_them(compared: float, expected: bool) -> None:
    # Wilson's bound is above a half when the share is more than 1.645 standard errors of a half above it. Of 100 the
    # error is 0.05: 0.58 is 1.6 of them above, 0.59 is 1.8.
    assert green_rivals_black(met(100.0, compared)) == expected


def test_items_that_never_met_are_no_rivals() -> None:
    assert not green_rivals_black(PlainRows(DEFAULTS))


def test_what_was_proven_wears_off_with_time() -> None:
    # 10 decay to 2.5, which prove 2.5 / 5.2
    assert green_rivals_black(met(10.0, 10.0), DEFAULTS.half_life_ms)
    assert not green_rivals_black(met(10.0, 10.0), 2 * DEFAULTS.half_life_ms)
