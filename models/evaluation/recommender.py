"""What is evaluated: a recommender, and the interactions it learns from and is asked about."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from models.records import Kind

__all__ = ["Interaction", "Recommender", "is_same_order"]


class Interaction(NamedTuple):
    """One item that a session met: browsed, added to the cart or ordered; `time_ms` in epoch milliseconds."""

    session_id: str
    item_id: str
    time_ms: int
    kind: Kind = "browse"
    category: str | None = None


class Recommender(Protocol):
    """A model that learns from sessions and ranks items for a running one.

    A model that learns as events arrive does so in `learn`, one whose unit is the session in `learn_session`; the
    other of the two does nothing. Both are called in order of event time.
    """

    def learn(self, session: Sequence[Interaction]) -> None:
        """Learn the newest interaction, ``session[-1]``, of a session that goes on."""

    def learn_session(self, session: Sequence[Interaction]) -> None:
        """Learn a session that has ended."""

    def recommend(self, session: Sequence[Interaction], n: int, excluded: Collection[str]) -> list[str]:
        """Return at most n items, best first, none of them in `excluded`; ties by item id.

        Parameters
        ----------
        session : sequence of Interaction
            The session so far, oldest first, at least one interaction; it may not have been learnt.
        """


def is_same_order(line: Interaction, after: Interaction) -> bool:
    """Tell whether two interactions of a session, side by side, are lines of one order: ordered at the same time.

    Examples
    --------
    >>> tea, cup = Interaction("s", "tea", 1, "orders"), Interaction("s", "cup", 1, "orders")
    >>> is_same_order(tea, cup), is_same_order(tea, cup._replace(time_ms=2))
    (True, False)
    """
    return line.kind == after.kind == "orders" and line.time_ms == after.time_ms
