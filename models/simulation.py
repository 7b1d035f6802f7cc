"""A small simulated shop: what the demo sends when there is no real one.

Many shoppers act at once, sped up: a visit that takes ten minutes in a real shop takes some twenty seconds here.
Time is an argument and chance comes from the seed, so a run with the same offers repeats exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, TypedDict

from models.errors import ConfigurationError
from models.records import ADD, CLEAR, REMOVE, Kind
from models.simulated_catalogue import PRICES, complements_of
from models.simulated_visit import Act, led_by_offer, plan_visit

__all__ = ["RATE_MAX", "InputEvent", "Offer", "OfferedItem", "Shop"]

#: One event as a shop writes it, ready for JSON.
InputEvent = dict[str, object]

#: Events a second, at most: beyond it one Python process that also watches no longer sends in time.
RATE_MAX: Final = 2000.0

#: Mean seconds between two acts of a shopper: a suggestion has arrived by then.
_THINK_S: Final = 2.0
_SHOPPERS_MIN: Final = 3
_ADDS_TWO_CHANCE: Final = 0.12
_CURRENCY: Final = "EUR"


class OfferedItem(TypedDict):
    """The part of a suggested item that a shopper sees."""

    item_id: str


class Offer(TypedDict):
    """The part of a suggestion message that the shop reads; items best first."""

    suggestion_id: str
    session_id: str
    items: Sequence[OfferedItem]


@dataclass(slots=True)
class _Shopper:
    session_id: str
    plan: list[Act]
    events: int = 0
    cart: dict[str, int] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    offer: Offer | None = None


class Shop:
    """Shoppers who browse, add to the cart and order, some of them led by what they are offered.

    Parameters
    ----------
    seed : int
        Decides everything that is left to chance.
    rate : float
        Mean events a second; arrivals are a Poisson process.

    Attributes
    ----------
    complements : mapping
        The planted truth: for every item, those that shoppers want with it (`complements_of`).

    Raises
    ------
    ConfigurationError
        For a rate outside of 0 (exclusive) to `RATE_MAX`.

    Examples
    --------
    >>> shop = Shop(seed=7, rate=10)
    >>> shop.step(1_767_607_200_000)
    []
    >>> kind, event = shop.step(1_767_607_210_000)[0]
    >>> kind, event["session_id"], event["event_id"]
    ('browse', 'shopper-7-9', 'shopper-7-9-1')
    """

    def __init__(self, seed: int = 1, rate: float = 40.0) -> None:
        if not 0 < rate <= RATE_MAX:
            raise ConfigurationError(f"rate={rate:g} is out of range: above 0, at most {RATE_MAX:g} events a second")
        self.complements: Mapping[str, frozenset[str]] = complements_of()
        self._seed = seed
        self._rate = rate
        self._random = Random(seed)
        self._arrivals = 0
        self._due_ms: float | None = None
        # From the one who has waited longest to the one who acted last.
        self._queue: list[_Shopper] = []
        self._by_session: dict[str, _Shopper] = {}
        for _ in range(max(_SHOPPERS_MIN, round(rate * _THINK_S))):
            self._arrive()

    @property
    def chance_share(self) -> float:
        """Share of planted complements, between 0 and 1, that blindly drawn suggestions would have."""
        items = len(self.complements)
        return sum(len(found) for found in self.complements.values()) / (items * (items - 1))

    def step(self, now_ms: int) -> list[tuple[Kind, InputEvent]]:
        """Advance to `now_ms` (epoch ms) and return what happened since the last step, oldest first.

        The first step only sets the clock. Without offers the events do not depend on how time is cut into steps.
        """
        if self._due_ms is None:
            self._due_ms = now_ms + self._gap_ms()
        happened = []
        while self._due_ms <= now_ms:
            happened.append(self._happen(int(self._due_ms)))
            self._due_ms += self._gap_ms()
        return happened

    def offer(self, suggestion: Offer) -> None:
        """Show a suggestion to its session: the shopper may act on it the next time they act.

        A newer offer replaces one not yet looked at; an empty one, and one for a visit that has ended, is ignored.
        """
        shopper = self._by_session.get(suggestion["session_id"])
        if shopper is not None and suggestion["items"]:
            shopper.offer = suggestion

    def _gap_ms(self) -> float:
        return self._random.expovariate(self._rate) * 1000

    def _arrive(self) -> None:
        self._arrivals += 1
        shopper = _Shopper(f"shopper-{self._seed}-{self._arrivals}", plan_visit(self._random))
        self._queue.append(shopper)
        self._by_session[shopper.session_id] = shopper

    def _happen(self, time_ms: int) -> tuple[Kind, InputEvent]:
        # One of the half that has waited longest: everyone thinks for a while, nobody for ever.
        shopper = self._queue.pop(self._random.randrange(len(self._queue) // 2 + 1))
        if shopper.offer is not None:
            shopper.plan = led_by_offer(
                self._random,
                shopper.plan,
                shopper.offer["suggestion_id"],
                [item["item_id"] for item in shopper.offer["items"]],
                cart=tuple(shopper.cart),
                seen=shopper.seen,
                complements=self.complements,
            )
            shopper.offer = None
        kind, event = self._perform(shopper, shopper.plan.pop(0), time_ms)
        if shopper.plan:
            self._queue.append(shopper)
        else:
            del self._by_session[shopper.session_id]
            self._arrive()
        return kind, event

    def _perform(self, shopper: _Shopper, act: Act, time_ms: int) -> tuple[Kind, InputEvent]:
        shopper.events += 1
        event: InputEvent = {
            "event_id": f"{shopper.session_id}-{shopper.events}",
            "session_id": shopper.session_id,
            "time": time_ms,
        }
        if act.suggestion_id is not None:
            event["suggestion_id"] = act.suggestion_id
        cart, item = shopper.cart, act.item_id
        if act.kind == "order":
            lines = [{"item_id": held, "quantity": pieces, "price": PRICES[held]} for held, pieces in cart.items()]
            cart.clear()
            return "orders", event | {"order_id": f"order-{shopper.session_id}", "currency": _CURRENCY, "lines": lines}
        if act.kind == "clear":
            cart.clear()
            return "add-to-cart", event | {"action": CLEAR}
        event |= {"item_id": item, "price": PRICES[item], "currency": _CURRENCY}
        if act.kind == "browse":
            shopper.seen.add(item)
            return "browse", event
        if act.kind == "remove":
            return "add-to-cart", event | {"action": REMOVE, "quantity": cart.pop(item)}
        pieces = 2 if self._random.random() < _ADDS_TWO_CHANCE else 1
        cart[item] = cart.get(item, 0) + pieces
        return "add-to-cart", event | {"action": ADD, "quantity": pieces}
