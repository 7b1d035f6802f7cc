"""The parameters that a shop may set for itself, each with its range: one table for the search and for settings."""

from dataclasses import replace
from math import exp, floor, log, log10
from typing import Any, Final, Literal, NamedTuple

from models.parameters import DEFAULTS, Parameters

__all__ = ["TUNABLES", "Tunable", "Unit"]

#: What a value is shown in.
Unit = Literal["days", "seconds", "items", ""]

#: How much of a field's own unit, milliseconds or one, a shown unit is.
_SIZES: Final[dict[Unit, float]] = {"days": 86_400_000.0, "seconds": 1000.0, "items": 1.0, "": 1.0}

#: Digits of a value that is moved: more would be noise, and hard to read in a file.
_DIGITS: Final = 3


class Tunable(NamedTuple):
    """One field of `models.parameters.Parameters`: the range it may have, and the scale on which it is moved."""

    name: str
    low: float
    high: float
    scale: Literal["linear", "log", "integer"]
    meaning: str
    unit: Unit = ""

    @property
    def default(self) -> float:
        """The value in `models.parameters.DEFAULTS`."""
        return self.of(DEFAULTS)

    def of(self, parameters: Parameters) -> float:
        """Return the field's value in its own unit; an int where the field is one."""
        value: float = getattr(parameters, self.name)
        return value

    def put(self, parameters: Parameters, value: float) -> Parameters:
        """Return the parameters with this field set; rounded where it is an int."""
        values: dict[str, Any] = {self.name: round(value) if isinstance(self.default, int) else value}
        return replace(parameters, **values)

    def shown(self, parameters: Parameters) -> float:
        """Return the field's value in `unit`."""
        return self.of(parameters) / _SIZES[self.unit]

    def moved(self, parameters: Parameters, by: float) -> Parameters:
        """Return the parameters with this field moved by a share of its range, at most to the range's end.

        The new value has three digits, so that it can be written as it was tried. A whole number moves by one at least.

        Examples
        --------
        >>> hops = next(each for each in TUNABLES if each.name == "hop_neighbours")
        >>> [hops.moved(DEFAULTS, by).hop_neighbours for by in (0.001, -0.1, 9.0)]
        [17, 10, 64]
        """
        value = self.of(parameters)
        if self.scale == "log":
            moved = exp(log(value) + by * log(self.high / self.low))
        else:
            moved = value + by * (self.high - self.low)
        if self.scale == "integer" and by:
            moved = max(moved, value + 1) if by > 0 else min(moved, value - 1)
        moved = self._readable(min(max(moved, self.low), self.high))
        return self.put(parameters, moved)

    def place(self, parameters: Parameters) -> float:
        """Return where in its range the field is, 0 at the low end and 1 at the high one."""
        value = self.of(parameters)
        if self.scale == "log":
            return log(value / self.low) / log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def _readable(self, value: float) -> float:
        size = _SIZES[self.unit]
        places = _DIGITS - 1 - floor(log10(abs(value / size))) if value else 0
        return min(max(round(value / size, places) * size, self.low), self.high)


#: What the ranking depends on. Not here is what decides what may be shown at all (evidence, rivals), what a cart or an
#: order weighs (the search asks for the next item of any kind, of which most are views), how large the tables are, and
#: in what units they count, which tables that exist could not follow (`trend_speed`; of the half-life a worker checks
#: it).
TUNABLES: Final = (
    Tunable("half_life_ms", 43_200_000, 31_536_000_000, "log", "after this long a count weighs half", "days"),
    Tunable("pair_positions", 1, 20, "integer", "session positions that an arriving item is paired with", "items"),
    Tunable("pair_distance_exponent", -3.0, 0.0, "linear", "exponent of the distance in positions of a pair"),
    Tunable("pair_time_constant_ms", 30_000.0, 86_400_000.0, "log", "time constant of a pair's weight", "seconds"),
    Tunable("pair_length_exponent", -1.0, 0.0, "linear", "exponent of the session's length in a pair's weight"),
    Tunable("pair_backward_weight", 0.0, 1.0, "linear", "weight of a pair seen backwards, later item to earlier one"),
    Tunable("query_items", 1, 20, "integer", "distinct session items that a query starts from", "items"),
    Tunable("query_place_exponent", -4.0, 0.0, "linear", "exponent of an item's place in the session, in a query"),
    Tunable("query_time_constant_ms", 30_000.0, 86_400_000.0, "log", "time constant of an item's age", "seconds"),
    Tunable("mass_prior", 0.1, 100.0, "log", "added to a row's mass: keeps thin rows from winning by chance"),
    Tunable("popularity_prior", 0.1, 100.0, "log", "added to an item's count, likewise"),
    Tunable("popularity_exponent", -1.0, 0.2, "linear", "exponent of an item's popularity in its score"),
    Tunable("trend_floor", 0.001, 1.0, "log", "added to the share of an item's arrivals that are recent"),
    Tunable("trend_exponent", 0.0, 1.0, "linear", "exponent of that share in the item's score"),
    Tunable("compression", 0.2, 1.0, "linear", "exponent of each path's weight: less counts paths more than weights"),
    Tunable("hop_neighbours", 1, 64, "integer", "neighbours that the second hop goes through", "items"),
    Tunable("hop_weight", 0.0, 2.0, "linear", "what a path over a neighbour is worth"),
)
