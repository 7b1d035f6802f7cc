"""The report on one item: its row decayed, its neighbours in order; and ids that may have been meant."""

import random

from models.cooccurrence import TOTALS, Row
from models.decay import EPOCH_HALF_LIVES
from models.evidence import Evidence
from models.inspection import ItemReport, Neighbour, close_ids, inspect_item
from models.parameters import DEFAULTS
from models.rows import PlainRows

HALF_LIFE_MS = DEFAULTS.half_life_ms


def plain(rows: dict[str, Row]) -> PlainRows:
    result = PlainRows(DEFAULTS)
    result.update(rows)
    return result


def test_everything_is_decayed_to_the_moment_asked_for() -> None:
    # One half-life into epoch 0: all stored values count half.
    rows = {
        TOTALS: Row(0, sessions=20.0),
        "tea": Row(0, 3.0, 10.0, 8.0, {"cup": 2.0, "pot": 1.0}, {"cup": 6.0, "pot": 2.0}),
        "cup": Row(0, sessions=10.0),
    }
    assert inspect_item(plain(rows), "tea", 20, HALF_LIFE_MS, DEFAULTS) == ItemReport(
        item_id="tea",
        time=HALF_LIFE_MS,
        sessions=4.0,
        events=5.0,
        mass=1.5,
        neighbour_count=2,
        neighbours=(
            # 3 of 10 sessions have both, 3 of 4 with tea, and 5 of 10 have a cup: 0.75 / 0.5
            Neighbour("cup", 1.0, Evidence("pair", "tea", None, 3.0, 0.3, 0.75, 1.5)),
            # no row of its own: no lift
            Neighbour("pot", 0.5, Evidence("pair", "tea", None, 1.0, 0.1, 0.25, None)),
        ),
    )


def test_rows_of_different_epochs_are_brought_to_the_same_moment() -> None:
    rows = {
        TOTALS: Row(1, sessions=8.0),
        "tea": Row(1, 1.0, 2.0, 2.0, {"cup": 1.0}, {"cup": 1.0}),
        "cup": Row(0, sessions=4.0 * 2**EPOCH_HALF_LIVES),
    }
    report = inspect_item(plain(rows), "tea", 20, EPOCH_HALF_LIVES * HALF_LIFE_MS, DEFAULTS)
    # 1 of 2 sessions with tea has a cup, and 4 of all 8
    assert report.neighbours[0].evidence == Evidence("pair", "tea", None, 1.0, 0.125, 0.5, 1.0)


def test_the_heaviest_neighbours_come_first_and_of_equals_the_smaller_id() -> None:
    weights = {"d": 1.0, "b": 2.0, "c": 1.0, "a": 0.5}
    rows = {"tea": Row(0, 4.5, 1.0, 1.0, weights, dict.fromkeys(weights, 1.0))}
    for top, expected in ((1, ["b"]), (3, ["b", "c", "d"]), (4, ["b", "c", "d", "a"]), (5, ["b", "c", "d", "a"])):
        report = inspect_item(plain(rows), "tea", top, 0, DEFAULTS)
        assert [neighbour.item_id for neighbour in report.neighbours] == expected
        assert report.neighbour_count == 4


def test_an_item_without_neighbours_has_a_report() -> None:
    report = inspect_item(plain({"tea": Row(0, events=1.0, sessions=1.0)}), "tea", 20, 0, DEFAULTS)
    assert (report.sessions, report.mass, report.neighbour_count, report.neighbours) == (1.0, 0.0, 0, ())


def test_ids_that_contain_the_text_come_first_shortest_first() -> None:
    assert close_ids("tea", ["green-tea", "tea-pot", "TEA", "team", "cup"]) == ["TEA", "team", "tea-pot", "green-tea"]


def test_at_most_so_many_ids_are_returned() -> None:
    ids = [f"tea-{number}" for number in range(9)]
    assert close_ids("tea", ids) == ids[:5]
    assert close_ids("tea", ids, 2) == ids[:2]
    assert close_ids("tea", []) == []


def test_each_slip_of_the_pen_finds_the_id() -> None:
    ids = [f"SKU-{number:06d}" for number in random.Random(1).sample(range(10**6), 20_000)]
    meant = ids[0] = "SKU-012345"
    for slip in ("SKU-12345", "SKU-0123345", "SKU-102345", "SKU-01Z345", "sku-012345x", "KU-012345", "SKU012345"):
        assert meant in close_ids(slip, ids), slip


def test_what_is_not_like_the_id_is_not_named() -> None:
    assert close_ids("tea-1", ["coffee", "x", "123", ""]) == []
