"""The contest: each model under each protocol on the same questions, its sizes, its progress, and rivals."""

from collections.abc import Sequence
from itertools import count

import pytest

from models.errors import ConfigurationError
from models.evaluation.contest import MODELS, TARGETS, contest
from models.evaluation.recommender import Interaction
from models.evaluation.replay import replay_frozen, replay_prequential
from models.evaluation.summary import PROTOCOLS, summarise
from models.records import Kind


def visits(prefix: str, count: int, start_ms: int, category: str | None = None) -> list[Interaction]:
    """Return sessions that look at tea and cup, put cup into the cart, and order pot and cup."""
    found: list[Interaction] = []
    for number in range(count):
        steps: Sequence[tuple[str, Kind, int]] = (
            ("tea", "browse", 0), ("cup", "browse", 1), ("cup", "add-to-cart", 2), ("pot", "orders", 3),
            ("cup", "orders", 3),
        )  # fmt: skip
        for item, kind, second in steps:
            time_ms = start_ms + 60_000 * number + 1_000 * second
            found.append(Interaction(f"{prefix}{number}", item, time_ms, kind, category))
    return found


TRAIN, TEST = visits("a", 12, 1_000), visits("b", 3, 2_000_000)


def test_models_and_targets_are_those_of_the_command() -> None:
    assert list(MODELS) == ["sidecart", "popularity", "item-knn", "ar", "sr", "v-sknn", "v-stan"]
    assert list(TARGETS) == ["novel", "any", "added", "basket"]


def test_each_model_is_replayed_under_each_protocol_anew() -> None:
    summary = contest("shop", TRAIN, TEST, "novel", ["sr", "popularity"], PROTOCOLS)
    alone = summarise(
        "shop",
        "novel",
        {name: replay_frozen(MODELS[name](), TRAIN, TEST, TARGETS["novel"]) for name in ("sr", "popularity")},
        {name: replay_prequential(MODELS[name](), TRAIN, TEST, TARGETS["novel"]) for name in ("sr", "popularity")},
    )
    assert summary == alone


@pytest.mark.parametrize("target", TARGETS)
def test_every_model_answers_every_target(target: str) -> None:
    summary = contest("shop", TRAIN, TEST, target, MODELS, ["frozen"])
    assert summary["target"] == target
    assert list(summary["frozen"]) == list(MODELS)
    assert {figures["queries"] for figures in summary["frozen"].values()} == {
        {"novel": 6, "any": 12, "added": 9, "basket": 6}[target]
    }
    assert "prequential" not in summary and "rivals" not in summary


def test_only_sidecart_has_a_size_and_it_is_that_of_each_protocol() -> None:
    test = [*TEST, *(Interaction("c", f"new-{n}", 3_000_000 + n) for n in range(500))]
    summary = contest("shop", TRAIN, test, "novel", ["sidecart", "sr"], PROTOCOLS)
    sizes = [summary[protocol]["sidecart"]["bytes_per_item"] for protocol in PROTOCOLS]
    assert None not in sizes and sizes[0] != sizes[1]
    assert summary["frozen"]["sr"]["bytes_per_item"] is None


def test_times_are_known_with_a_clock_only() -> None:
    seconds = count()
    timed = contest("shop", TRAIN, TEST, "novel", ["sr"], ["frozen"], clock=lambda: float(next(seconds)))
    assert timed["frozen"]["sr"]["query_us"] == 1e6
    assert contest("shop", TRAIN, TEST, "novel", ["sr"], ["frozen"])["frozen"]["sr"]["query_us"] is None


def test_progress_of_each_step_adds_up_to_its_total() -> None:
    train, test = visits("a", 2, 1_000, "kitchen"), visits("b", 2, 2_000_000, "kitchen")
    done: dict[str, int] = {}
    totals: dict[str, int] = {}

    def advance(step: str, new: int, total: int) -> None:
        done[step] = done.get(step, 0) + new
        totals[step] = total

    contest("shop", train, test, "added", ["sidecart", "sr"], PROTOCOLS, on_progress=advance)
    assert done == totals
    assert totals == {
        "sidecart, frozen": 20,
        "sidecart, prequential": 20,
        "sr, frozen": 20,
        "sr, prequential": 20,
        "rivals, frozen": 40,
        "rivals, prequential": 40,
    }


def test_categories_bring_hit_rates_by_category_and_rivals() -> None:
    others = [Interaction(f"o{n}", f"other-{n}", n) for n in range(20)]
    train, test = [*others, *visits("a", 12, 1_000, "kitchen")], visits("b", 3, 2_000_000, "kitchen")
    summary = contest("shop", train, test, "added", ["sidecart"], PROTOCOLS)
    assert summary["frozen"]["sidecart"]["category_hr@4"] is not None
    assert list(summary["rivals"]) == ["frozen", "prequential"]
    cart = summary["rivals"]["frozen"]["cart"]
    assert cart["offered"]["same_category@4"] == 1.0
    assert cart["kept_back"]["empty"] == cart["kept_back"]["queries"] == 3


@pytest.mark.parametrize(
    ("target", "category", "model"),
    [("added", None, "sidecart"), ("novel", "kitchen", "sidecart"), ("added", "kitchen", "sr")],
)
def test_rivals_need_the_target_the_categories_and_sidecart(target: str, category: str | None, model: str) -> None:
    train, test = visits("a", 2, 1_000, category), visits("b", 2, 2_000_000, category)
    assert "rivals" not in contest("shop", train, test, target, [model], ["frozen"])


@pytest.mark.parametrize(
    ("target", "lack"),
    [
        ("novel", "no session goes on to an item that it has not met"),
        ("any", "no session goes on after its first item"),
        ("added", "no session goes on to add or order an item that it has not"),
        ("basket", "no order has two different items"),
    ],
)
def test_a_test_part_that_asks_nothing_is_one_sentence(target: str, lack: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        contest("shop", TRAIN, [Interaction("b", "tea", 2_000_000)], target, ["sr"], ["frozen"])
    assert str(caught.value) == f"the test part of shop asks nothing: {lack}; take another dataset or --target"
