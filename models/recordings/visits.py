"""Rows that name a user but no session: cut into sessions at the inactivity gap, order rows joined into orders."""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from models.recordings.record import InputEvent, InputLine, Recorded
from models.records import Kind

__all__ = ["GAP_MS", "Visits"]

#: A session ends after more than this without an event: 30 minutes, the convention of web analytics.
GAP_MS: Final = 30 * 60 * 1000


class _Row(NamedTuple):
    """Sorts by time, then by line; the line number is unique, so nothing after it is ever compared."""

    time_ms: int
    number: int
    user: str
    kind: Kind
    item_or_order: str
    category: str


class Visits:
    """The rows of one file, kept until all are there: only then the sessions of each user are known.

    A session id is the user and a running number from 1; the event id is the number of the (first) line. An order's
    id is the user and the order's label, its time that of its earliest row.

    Examples
    --------
    >>> visits = Visits()
    >>> visits.add(0, 1, "ann", "browse", "tent")
    >>> visits.add(GAP_MS + 1, 2, "ann", "browse", "stove")
    >>> [(event["session_id"], event["item_id"]) for _, event, _ in visits.recorded()]
    [('ann-1', 'tent'), ('ann-2', 'stove')]
    """

    def __init__(self) -> None:
        self._rows: list[_Row] = []
        self._order_rows: dict[tuple[str, str], _Row] = {}
        self._order_lines: dict[tuple[str, str], list[InputLine]] = {}

    def add(
        self,
        time_ms: int,
        number: int,
        user: str,
        kind: Literal["browse", "add-to-cart"],
        item: str,
        category: str = "",
    ) -> None:
        """Take one view or cart row, with its line number; an empty category is none."""
        self._rows.append(_Row(time_ms, number, user, kind, item, category))

    def add_order_line(self, time_ms: int, number: int, user: str, order: str, item: str, category: str = "") -> None:
        """Take one bought item; all rows of a user with the same label `order` are one order."""
        key = user, order
        bought: InputLine = {"item_id": item, "quantity": 1}
        if category:
            bought["category"] = category
        row = self._order_rows.get(key)
        if row is None:
            self._order_rows[key] = _Row(time_ms, number, user, "orders", order, "")
            self._order_lines[key] = [bought]
        else:
            self._order_rows[key] = row._replace(time_ms=min(row.time_ms, time_ms))
            self._order_lines[key].append(bought)

    def recorded(self) -> Iterator[Recorded]:
        """Yield every event, in time order; events of the same millisecond in the order of their lines."""
        last_ms: dict[str, int] = {}
        sessions: dict[str, str] = {}
        counts: dict[str, int] = {}
        for time_ms, number, user, kind, item_or_order, category in sorted([*self._rows, *self._order_rows.values()]):
            if user not in last_ms or time_ms - last_ms[user] > GAP_MS:
                counts[user] = counts.get(user, 0) + 1
                sessions[user] = f"{user}-{counts[user]}"
            last_ms[user] = time_ms
            event: InputEvent = {"event_id": str(number), "session_id": sessions[user], "user_id": user}
            if kind == "orders":
                event["order_id"] = f"{user}-{item_or_order}"
                event["time"] = time_ms
                event["lines"] = self._order_lines[user, item_or_order]
            else:
                event["item_id"] = item_or_order
                if category:
                    event["category"] = category
                event["time"] = time_ms
                if kind == "add-to-cart":
                    event["action"] = "add"
            yield Recorded(kind, event, time_ms)
