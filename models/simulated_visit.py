"""What a simulated shopper intends to do: the plan of a visit, and how an offer changes it."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from models.simulated_catalogue import KITS, POPULAR, PRICES

__all__ = ["Act", "feasible", "led_by_offer", "plan_visit"]

#: Chances that make the visits; those of the kits are the signal, the others the noise around it.
_HAS_MISSION: Final = 0.8
_WANTS_COMPLEMENT: Final = 0.6
_STRAYS: Final = 0.25
_STRAYS_TO_POPULAR: Final = 0.6
_ADDS_ANCHOR: Final = 0.6
_ADDS_COMPLEMENT: Final = 0.45
_ADDS_STRAY: Final = 0.15
_REMOVES: Final = 0.12
_CLEARS: Final = 0.05
_ORDERS: Final = 0.7

#: Chances that a shopper acts on an offer that holds a complement of something seen, or only other items.
_TAKES_COMPLEMENT: Final = 0.3
_TAKES_OTHER: Final = 0.02
#: After that: straight into the cart, else a look first and then perhaps the cart.
_ADDS_UNSEEN: Final = 0.25
_ADDS_SUGGESTED: Final = 0.5

_ANCHORS: Final = tuple(KITS)
# Popularity falls gently with the place: every kit is seen within a minute, none dominates.
_ANCHOR_WEIGHTS: Final = tuple((place + 3) ** -0.5 for place in range(len(KITS)))
_ITEMS: Final = tuple(PRICES)


@dataclass(frozen=True, slots=True)
class Act:
    """One intended event; `suggestion_id` if it follows a suggestion."""

    kind: Literal["browse", "add", "remove", "clear", "order"]
    item_id: str = ""
    suggestion_id: str | None = None


def plan_visit(random: Random) -> list[Act]:
    """Draw a visit: what would happen if nothing were offered; it starts with a browse.

    Examples
    --------
    >>> [(act.kind, act.item_id) for act in plan_visit(Random(5))]
    [('browse', 'laser-printer'), ('browse', 'usb-cable')]
    """
    chosen: dict[str, float] = {}
    if random.random() < _HAS_MISSION:
        anchor = random.choices(_ANCHORS, _ANCHOR_WEIGHTS)[0]
        chosen[anchor] = _ADDS_ANCHOR
        for item in KITS[anchor]:
            if random.random() < _WANTS_COMPLEMENT:
                chosen[item] = _ADDS_COMPLEMENT
            if random.random() < _STRAYS:
                chosen.setdefault(_stray(random), _ADDS_STRAY)
    else:
        chosen = {_stray(random): _ADDS_STRAY for _ in range(random.randint(1, 5))}
    plan, added = [], []
    for item, chance in chosen.items():
        plan.append(Act("browse", item))
        if random.random() < chance:
            plan.append(Act("add", item))
            added.append(item)
    if added and random.random() < _REMOVES:
        plan.append(Act("remove", random.choice(added)))
    if random.random() < _CLEARS:
        plan.append(Act("clear"))
    elif random.random() < _ORDERS:
        plan.append(Act("order"))
    return feasible(plan, cart=())


def feasible(plan: Sequence[Act], cart: Sequence[str]) -> list[Act]:
    """Leave out what the cart does not allow: removing what is not in it, clearing or ordering nothing."""
    held, left = set(cart), []
    for act in plan:
        if (act.kind == "remove" and act.item_id not in held) or (act.kind in ("clear", "order") and not held):
            continue
        if act.kind == "add":
            held.add(act.item_id)
        elif act.kind == "remove":
            held.discard(act.item_id)
        elif act.kind == "clear":
            held.clear()
        left.append(act)
    return left


def led_by_offer(
    random: Random,
    plan: Sequence[Act],
    suggestion_id: str,
    items: Sequence[str],
    *,
    cart: Sequence[str],
    seen: AbstractSet[str],
    complements: Mapping[str, AbstractSet[str]],
) -> list[Act]:
    """Return the plan after a look at an offer: unchanged, or beginning with one of the suggested items.

    An offer tempts far more often when it holds a complement of something `seen`; the best-ranked one is taken.
    """
    fresh = [item for item in items if item in complements and item not in cart]
    wanted = [item for item in fresh if not complements[item].isdisjoint(seen)]
    if not fresh or random.random() >= (_TAKES_COMPLEMENT if wanted else _TAKES_OTHER):
        return list(plan)
    item = (wanted or fresh)[0]
    look, add = Act("browse", item, suggestion_id), Act("add", item, suggestion_id)
    if random.random() < _ADDS_UNSEEN:
        acts = [add]
    elif random.random() < _ADDS_SUGGESTED:
        acts = [look, add]
    else:
        acts = [look]
    rest = [act for act in plan if act.item_id != item]
    if add in acts and Act("order") not in rest and random.random() < _ORDERS:
        rest.append(Act("order"))
    return feasible(acts + rest, cart)


def _stray(random: Random) -> str:
    return random.choice(POPULAR if random.random() < _STRAYS_TO_POPULAR else _ITEMS)
