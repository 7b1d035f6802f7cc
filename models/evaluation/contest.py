"""The models that are compared, and the contest: each of them under the same protocols, on the same queries."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final

from models.errors import ConfigurationError
from models.evaluation.baselines.association_rules import AssociationRules
from models.evaluation.baselines.item_knn import ItemKnn
from models.evaluation.baselines.popularity import Popularity
from models.evaluation.baselines.sequential_rules import SequentialRules
from models.evaluation.baselines.vsknn import VSknn
from models.evaluation.baselines.vstan import VStan
from models.evaluation.baskets import BASKETS
from models.evaluation.recommender import Interaction, Recommender
from models.evaluation.replay import (
    ANY,
    NOVEL,
    Clock,
    Protocol,
    Replay,
    Target,
    Task,
    has_questions,
    replay_frozen,
    replay_prequential,
)
from models.evaluation.rivalry import rival_effect
from models.evaluation.sidecart import Sidecart
from models.evaluation.summary import Summary, summarise
from models.kernel.rows import DenseRows
from models.parameters import DEFAULTS

__all__ = ["MODELS", "TARGETS", "contest"]

#: How to make each model anew; the rivals with the values that were tuned for them.
MODELS: Final[Mapping[str, Callable[[], Recommender]]] = {
    "sidecart": lambda: Sidecart(DEFAULTS, DenseRows),
    "popularity": Popularity,
    "item-knn": ItemKnn,
    "ar": AssociationRules,
    "sr": SequentialRules,
    "v-sknn": VSknn,
    "v-stan": VStan,
}

#: What can be asked: the next item that the session has not met; any next item; the next item added to the cart or
#: ordered; each item of an order, given the others.
TARGETS: Final[Mapping[str, Task]] = {
    "novel": NOVEL,
    "any": ANY,
    "added": Target(is_novel=True, kinds=frozenset({"add-to-cart", "orders"})),
    "basket": BASKETS,
}

#: What a test part lacks that holds no question.
_LACKS: Final[Mapping[str, str]] = {
    "novel": "no session goes on to an item that it has not met",
    "any": "no session goes on after its first item",
    "added": "no session goes on to add or order an item that it has not",
    "basket": "no order has two different items",
}

_REPLAYS: Final = {"frozen": replay_frozen, "prequential": replay_prequential}


def contest(
    dataset: str,
    train: Sequence[Interaction],
    test: Sequence[Interaction],
    target: str,
    models: Collection[str],
    protocols: Collection[Protocol],
    *,
    clock: Clock | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Summary:
    """Replay the test part through each model under each protocol.

    Where items have categories, the target ``added`` also shows what it does to keep back the rivals of what is in the
    cart, if ``sidecart`` is among the models.

    Parameters
    ----------
    dataset : str
        Its name, for the summary.
    target : str
        A key of `TARGETS`.
    models : collection of str
        Keys of `MODELS`.
    clock : callable, optional
        Returns seconds, for the microseconds a query.
    on_progress : callable, optional
        Called with the name of a step, the number of interactions done in it since the last call, and the number that
        it will have done at its end.

    Raises
    ------
    ConfigurationError
        If the test part holds nothing that the target asks.

    Examples
    --------
    >>> visits = [Interaction(f"s{n}", item, n) for n in range(9) for item in ("tea", "cup")]
    >>> summary = contest("shop", visits[:-2], visits[-2:], "novel", ["sr", "popularity"], ["frozen"])
    >>> {model: figures["hr@4"] for model, figures in summary["frozen"].items()}
    {'sr': 1.0, 'popularity': 1.0}
    """
    task = TARGETS[target]
    if not has_questions(test, task):
        raise ConfigurationError(
            f"the test part of {dataset} asks nothing: {_LACKS[target]}; take another dataset or --target"
        )
    categories = {each.item_id: each.category for part in (train, test) for each in part if each.category is not None}
    replays: dict[Protocol, dict[str, Replay]] = {protocol: {} for protocol in protocols}
    sizes: dict[Protocol, dict[str, float]] = {protocol: {} for protocol in protocols}

    def replay(
        recommender: Recommender, protocol: Protocol, step: str, rounds: int = 1, clock: Clock | None = None
    ) -> Replay:
        def advance(done: int) -> None:
            if on_progress is not None:
                on_progress(f"{step}, {protocol}", done, rounds * (len(train) + len(test)))

        return _REPLAYS[protocol](
            recommender, train, test, task, categories=categories or None, clock=clock, on_progress=advance
        )

    for name in models:
        for protocol in protocols:
            model = MODELS[name]()
            replays[protocol][name] = replay(model, protocol, name, clock=clock)
            if isinstance(model, Sidecart) and (size := model.bytes_per_item) is not None:
                sizes[protocol][name] = size
    summary = summarise(dataset, target, replays.get("frozen"), replays.get("prequential"), sizes)
    if target == "added" and categories and "sidecart" in models:
        summary["rivals"] = {
            protocol: rival_effect(partial(replay, protocol=protocol, step="rivals", rounds=2), categories, DenseRows)
            for protocol in protocols
        }
    return summary
