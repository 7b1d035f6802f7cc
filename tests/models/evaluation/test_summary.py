"""The object for machines: its keys, its figures by hand, and null where a figure is unknown."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from math import log2

import numpy as np
import pytest

from models.errors import InvariantError
from models.evaluation.recommender import Interaction
from models.evaluation.replay import NOVEL, Clock, Replay, replay_frozen, replay_prequential
from models.evaluation.summary import Comparison, compare, summarise
from models.records import Kind

METRICS = ["hr@4", "hr@20", "mrr@4", "mrr@20", "ndcg@4", "ndcg@20"]
FIGURES = {
    *METRICS,
    *(f"{metric}_ci" for metric in METRICS),
    *("coverage", "popularity", "abstained", "queries", "query_us", "learn_us", "bytes_per_item", "moments"),
}


class Shelf:
    """Shows the same items to everybody."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def learn(self, session: Sequence[Interaction]) -> None: ...

    def learn_session(self, session: Sequence[Interaction]) -> None: ...

    def recommend(self, session: Sequence[Interaction], n: int, excluded: Collection[str]) -> list[str]:
        return [item for item in self._shown if item not in excluded]


def visit(session: str, steps: str, kinds: Sequence[Kind] = ()) -> list[Interaction]:
    return [
        Interaction(session, item, 10 + place, kinds[place] if place < len(kinds) else "browse")
        for place, item in enumerate(steps)
    ]


TRAIN = [Interaction(f"t{number}", item, number) for number, item in enumerate("aaaabbcd")]
#: Ranks on the shelf "bcdefg", of which a session's own items are gone: b 1, c 1, g 4; then g 6.
TEST = [*visit("s", "abcg", ["browse", "add-to-cart"]), *visit("u", "ag")]


def frozen(shelf: str = "bcdefg", clock: Clock | None = None, categories: Mapping[str, str] | None = None) -> Replay:
    return replay_frozen(Shelf(shelf), TRAIN, TEST, NOVEL, clock=clock, categories=categories)


def test_figures_are_those_worked_by_hand() -> None:
    [figures] = summarise("shop", "novel", frozen={"shelf": frozen()})["frozen"].values()
    assert {name: figures[name] for name in METRICS} == {
        "hr@4": 0.75,
        "hr@20": 1.0,
        "mrr@4": 0.5625,
        "mrr@20": pytest.approx((2 + 1 / 4 + 1 / 6) / 4, abs=1e-6),
        "ndcg@4": pytest.approx((2 + 1 / log2(5)) / 4, abs=1e-6),
        "ndcg@20": pytest.approx((2 + 1 / log2(5) + 1 / log2(7)) / 4, abs=1e-6),
    }
    assert figures["queries"] == 4
    # Of a, b, c and d all but a were shown.
    assert figures["coverage"] == 0.75
    # Lists: bcdefg, cdefg, defg, bcdefg; counts over the 4 of a: b 1/2, c and d 1/4, others 0.
    assert figures["popularity"] == pytest.approx((1 / 6 + 0.5 / 5 + 0.25 / 4 + 1 / 6) / 4, abs=1e-6)
    assert figures["abstained"] == 0.0


def test_every_metric_has_the_interval_of_its_own_draws() -> None:
    [figures] = summarise("shop", "novel", frozen={"shelf": frozen()})["frozen"].values()
    # Draws of two sessions: only u, with rank 6, or only s, with ranks 1, 1 and 4, or both.
    assert figures["hr@4_ci"] == [0.0, 1.0]
    assert figures["hr@20_ci"] == [1.0, 1.0]
    assert figures["mrr@4_ci"] == [0.0, 0.75]
    assert figures["mrr@20_ci"] == [pytest.approx(1 / 6, abs=1e-6), 0.75]
    assert figures["ndcg@4_ci"] == [0.0, pytest.approx((2 + 1 / log2(5)) / 3, abs=1e-6)]
    assert figures["ndcg@20_ci"] == [
        pytest.approx(1 / log2(7), abs=1e-6),
        pytest.approx((2 + 1 / log2(5)) / 3, abs=1e-6),
    ]


def test_a_protocol_that_was_not_run_is_absent() -> None:
    replay = replay_prequential(Shelf("b"), TRAIN, TEST, NOVEL)
    assert list(summarise("shop", "novel", frozen={"shelf": frozen()})) == ["dataset", "target", "frozen"]
    assert list(summarise("shop", "any", prequential={"shelf": replay})) == ["dataset", "target", "prequential"]
    both = summarise("shop", "novel", {"one": frozen(), "two": frozen()}, {"one": replay})
    assert list(both["frozen"]) == ["one", "two"] and list(both["prequential"]) == ["one"]
    assert (both["dataset"], both["target"]) == ("shop", "novel")


def test_the_catalogue_of_a_prequential_replay_holds_what_was_learnt_on_the_way() -> None:
    replay = replay_prequential(Shelf("bcdefg"), TRAIN, TEST, NOVEL)
    [figures] = summarise("shop", "novel", prequential={"shelf": replay})["prequential"].values()
    # Of a, b, c, d and g all but a were shown; e and f are known to nobody.
    assert figures["coverage"] == 0.8


def test_an_empty_list_is_a_miss_and_counted() -> None:
    [figures] = summarise("shop", "novel", frozen={"shelf": frozen("b")})["frozen"].values()
    assert (figures["hr@20"], figures["abstained"]) == (0.25, 0.5)


def test_what_is_unknown_is_null_and_the_object_is_strict_json() -> None:
    nothing = replay_frozen(Shelf(""), [], [], NOVEL)
    summary = summarise("shop", "novel", frozen={"nothing": nothing})
    [figures] = json.loads(json.dumps(summary, allow_nan=False))["frozen"].values()
    assert set(figures) == FIGURES
    assert {name for name, value in figures.items() if value is not None} == {"queries", "moments"}
    assert figures["moments"]["cart"] == {"queries": 0, "hr@4": None, "hr@20": None, "mrr@20": None}


def test_times_and_sizes_are_there_where_they_were_measured() -> None:
    seconds = iter(np.arange(0.0, 100.0, 0.002).tolist())
    timed = frozen(clock=lambda: next(seconds))
    by_model = summarise("shop", "novel", {"one": timed, "two": frozen()}, bytes_per_item={"frozen": {"one": 3400.5}})[
        "frozen"
    ]
    # Eight interactions learnt in sixteen calls of 2 ms.
    assert [by_model["one"][name] for name in ("query_us", "learn_us", "bytes_per_item")] == [
        pytest.approx(2000.0),
        pytest.approx(4000.0),
        3400.5,
    ]
    assert by_model["two"]["query_us"] is None and by_model["two"]["bytes_per_item"] is None


def test_figures_by_moment_split_the_queries() -> None:
    [figures] = summarise("shop", "novel", frozen={"shelf": frozen()})["frozen"].values()
    assert figures["moments"] == {
        "browse": {
            "queries": 3,
            "hr@4": pytest.approx(2 / 3, abs=1e-6),
            "hr@20": 1.0,
            "mrr@20": pytest.approx(17 / 36),
        },
        "cart": {"queries": 1, "hr@4": 1.0, "hr@20": 1.0, "mrr@20": 1.0},
        "order": {"queries": 0, "hr@4": None, "hr@20": None, "mrr@20": None},
    }


def test_hits_of_the_category_leave_out_targets_without_one() -> None:
    # Targets b, c, g, g; c has no category; f, at places 5, 3 and 5, is the first of g's.
    categories = {"b": "pot", "f": "tea", "g": "tea"}
    [figures] = summarise("shop", "novel", frozen={"shelf": frozen(categories=categories)})["frozen"].values()
    assert figures["category_hr@4"] == pytest.approx(2 / 3, abs=1e-6)
    assert figures["category_hr@20"] == 1.0
    assert set(figures) == FIGURES | {"category_hr@4", "category_hr@20"}


def test_models_are_compared_on_the_same_draws() -> None:
    # The rival's ranks are 5, 3, 4 and, in u, 6: its HR@4 is 2/4, and 0 where only u is drawn.
    result = compare(frozen(), frozen("decfbg"))
    assert list(result) == METRICS
    assert result["hr@20"] == Comparison(1.0, (1.0, 1.0))
    assert result["hr@4"] == Comparison(1.5, None)
    ratio, interval = result["mrr@20"]
    assert ratio == pytest.approx((2 + 1 / 4 + 1 / 6) / (1 / 5 + 1 / 3 + 1 / 4 + 1 / 6))
    # Only u: both have 1/6. Only s: 2.25 over what the rival has there.
    assert interval == (pytest.approx(1.0), pytest.approx(2.25 / (1 / 5 + 1 / 3 + 1 / 4)))


def test_nothing_over_nothing_is_unknown() -> None:
    assert compare(frozen(), frozen("x"))["hr@20"] == Comparison(None, None)


def test_replays_of_different_queries_are_not_compared() -> None:
    other = replace(frozen(), sessions=np.array([0, 0, 1, 1], np.int32))
    for rival in (other, replay_frozen(Shelf("b"), TRAIN, TEST[:-1], NOVEL)):
        with pytest.raises(InvariantError, match="different queries"):
            compare(frozen(), rival)
