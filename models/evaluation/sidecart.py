"""Sidecart's own rule under evaluation: the functions that the agents call, fed with recorded interactions."""

from collections.abc import Callable, Collection, Sequence
from copy import deepcopy

from models.cooccurrence import Increment
from models.evaluation.recommender import Interaction, is_same_order
from models.kernel.rows import DenseRows
from models.ladder import Query, SuggestedItem, answer
from models.pairs import session_opened
from models.parameters import DEFAULTS, Parameters
from models.records import MOMENTS, Event, Line
from models.rows import PlainRows, Rows
from models.session import Session, admit, is_forgotten
from models.suggesting import advance, query

__all__ = ["Sidecart"]


class Sidecart:
    """A `Recommender` that learns with each interaction, and suggests and learns what the worker does.

    Sessions are followed as the stage suggest follows them: one that pauses for longer than the inactivity gap starts
    anew, with its cart. The lines of an order are one event, so an order is learnt with whatever is taught next: only
    then it is known to be whole.

    Parameters
    ----------
    new_rows : callable
        Makes the rows: plain or compiled, they answer alike.
    is_keeping_back_rivals : bool
        Whether rivals of what is in the cart or ordered are kept back, as the worker does.

    Examples
    --------
    >>> model = Sidecart()
    >>> first = [Interaction("a", "tea", 0), Interaction("a", "cup", 1000)]
    >>> for place in range(len(first)):
    ...     model.learn(first[: place + 1])
    >>> model.rows.pair("tea", "cup", 1000)[0] > 0.99
    True
    """

    def __init__(
        self,
        parameters: Parameters = DEFAULTS,
        new_rows: Callable[[Parameters], Rows] = PlainRows,
        *,
        is_keeping_back_rivals: bool = True,
    ) -> None:
        self.rows = new_rows(parameters)
        self._parameters = parameters
        self._is_keeping_back_rivals = is_keeping_back_rivals
        self._learnt: dict[str, _Followed] = {}
        self._ordering: _Followed | None = None
        self._asked = _Followed(parameters)
        self._newest_ms = 0

    @property
    def bytes_per_item(self) -> float | None:
        """Bytes of the rows' arrays over the number of rows; None for plain rows, and without any."""
        return self.rows.nbytes / len(self.rows) if isinstance(self.rows, DenseRows) and self.rows else None

    def learn(self, session: Sequence[Interaction]) -> None:
        """Fold what the newest interaction adds into the rows, or what the last order did, now that it is over."""
        newest = session[-1]
        if self._ordering is not None and not self._ordering.is_continued_by(newest):
            self._end_order(self._ordering)
        followed = self._learnt.get(newest.session_id)
        if followed is None:
            followed = self._learnt[newest.session_id] = _Followed(self._parameters)
        self.rows.fold_all(followed.follow(session))
        self._newest_ms = max(self._newest_ms, newest.time_ms)
        self._ordering = followed if newest.kind == "orders" else None

    def learn_session(self, session: Sequence[Interaction]) -> None:
        """Forget a session that has ended: all of it has been learnt."""
        followed = self._learnt.pop(session[-1].session_id, None)
        if followed is not None and followed is self._ordering:
            self._end_order(followed)

    def recommend(self, session: Sequence[Interaction], n: int, excluded: Collection[str]) -> list[str]:
        """Return the items that a suggestion of n places would show."""
        return [item.item_id for item in self.suggest(session, n, excluded)[0]]

    def suggest(
        self, session: Sequence[Interaction], n: int, excluded: Collection[str]
    ) -> tuple[tuple[SuggestedItem, ...], str | None]:
        """Return what would be shown, with its evidence, or the reason for nothing."""
        asked = self.query(session, excluded)
        if not self._is_keeping_back_rivals:
            asked = asked._replace(held=())
        return answer(self.rows, asked, n, self._parameters)

    def query(self, session: Sequence[Interaction], excluded: Collection[str]) -> Query:
        """Return what is asked after the newest interaction of a session, learnt or not."""
        newest = session[-1]
        # A session is followed once, then only what is new in it; one that is shown otherwise than it was learnt anew.
        followed = self._learnt.get(newest.session_id)
        if followed is None or followed.count != len(session) or not followed.is_start_of(session):
            if not self._asked.is_start_of(session):
                self._asked = _Followed(self._parameters)
            followed = self._asked
            followed.follow(session)
        now_ms = max(self._newest_ms, newest.time_ms)
        asked = query(followed.session, _event(newest.session_id, [newest], 0), self.rows, now_ms, self._parameters)
        return asked._replace(excluded=set(excluded))

    def _end_order(self, followed: "_Followed") -> None:
        self.rows.fold_all(followed.end_order())
        self._ordering = None


class _Followed:
    """A session as far as its interactions have been followed."""

    def __init__(self, parameters: Parameters) -> None:
        self.session = Session(0, 0)
        self._parameters = parameters
        self._interactions: list[Interaction] = []
        self._order: list[Interaction] = []
        self._before_order = self.session

    @property
    def count(self) -> int:
        """How many interactions have been followed."""
        return len(self._interactions)

    def is_start_of(self, session: Sequence[Interaction]) -> bool:
        """Tell whether a session begins with what has been followed."""
        return self._interactions == list(session[: self.count])

    def is_continued_by(self, interaction: Interaction) -> bool:
        """Tell whether an interaction is a further line of the order that was followed last."""
        if not self._order or self._order[-1].session_id != interaction.session_id:
            return False
        return is_same_order(self._order[-1], interaction)

    def follow(self, session: Sequence[Interaction]) -> list[tuple[Increment, int]]:
        """Let the interactions happen that are new; return what they add, orders when they are over."""
        added: list[tuple[Increment, int]] = []
        for interaction in session[self.count :]:
            event = _event(interaction.session_id, [interaction], self.count)
            is_order = interaction.kind == "orders"
            if not self.is_continued_by(interaction):
                added += self.end_order()
                added += self._admit(event)
                if is_order:
                    self._before_order = deepcopy(self.session)
            if is_order:
                self._order.append(interaction)
            increments = advance(self.session, event, self._parameters)
            if not is_order:
                added += [(increment, event.time) for increment in increments]
            self._interactions.append(interaction)
        return added

    def end_order(self) -> list[tuple[Increment, int]]:
        """Return what the last order adds, if that has not been returned yet."""
        if not self._order:
            return []
        event = _event(self._order[0].session_id, self._order, 0)
        self._order = []
        return [(increment, event.time) for increment in advance(self._before_order, event, self._parameters)]

    def _admit(self, event: Event) -> list[tuple[Increment, int]]:
        known = self.session if self.count else None
        if known is not None and is_forgotten(known, event.time, self._parameters):
            known = None
        self.session, fate = admit(known, event, self._parameters)
        return [(session_opened(), event.time)] if fate == "opened" else []


def _event(session_id: str, lines: Sequence[Interaction], number: int) -> Event:
    """Return what the shop sent: a view or a cart addition of one item, or an order of some."""
    first = lines[0]
    return Event(
        kind=first.kind,
        event_id=str(number),
        session_id=session_id,
        time=first.time_ms,
        moment=MOMENTS[first.kind],
        lines=tuple(Line(line.item_id, category=line.category) for line in lines),
    )
