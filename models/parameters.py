"""Every constant of the model, once, with unit and reason."""

from dataclasses import dataclass

__all__ = ["DEFAULTS", "Parameters"]

_MINUTE_MS = 60_000
_DAY_MS = 24 * 60 * _MINUTE_MS


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the folds and the ranking depend on beside their state and their input.

    All durations are milliseconds of event time.
    """

    #: Inactivity gap: an event later than this after the last one opens a new session. The usual web-analytics value.
    session_gap_ms: int = 30 * _MINUTE_MS
    #: A session row is forgotten this many gaps after its last event: two for late events, two for client retries.
    session_retention_gaps: int = 4
    #: How long after it was made a suggestion can be accepted.
    attribution_window_ms: int = 30 * _MINUTE_MS
    #: After this long a count weighs half: two weeks, a usual assortment rhythm.
    half_life_ms: int = 14 * _DAY_MS
    #: Event times may be this far ahead of the record's own timestamp: clocks of shop front-ends differ.
    future_skew_ms: int = 10 * _MINUTE_MS

    #: Items in a suggestion, at most: what a cross-sell slot shows.
    suggestions_max: int = 4
    #: Decayed pair count below which a pair is no evidence: one session, seen no longer ago than a half-life.
    pair_count_floor: float = 0.5

    #: Neighbours in a row, at most; half as many lose half a point of hit rate.
    row_size: int = 64
    #: Session positions that an arriving item is paired with.
    pair_positions: int = 8
    #: Exponent of the distance in positions, and time constant, of a pair's weight.
    pair_distance_exponent: float = -1.5
    pair_time_constant_ms: float = 600_000.0
    #: Exponent of the session's length: long sessions are less focused.
    pair_length_exponent: float = -0.25
    #: Weight of the pair seen backwards (later item to earlier one).
    pair_backward_weight: float = 0.5

    #: Distinct session items that a query starts from.
    query_items: int = 10
    #: Exponent of an item's place in the session, and time constant of its age, in a query.
    query_place_exponent: float = -1.5
    query_time_constant_ms: float = 900_000.0
    #: Added to a row's mass and to an item's count: keeps thin rows from winning by chance.
    mass_prior: float = 5.0
    popularity_prior: float = 5.0
    #: Exponents of row mass and of popularity in an association, and the compression of their product.
    mass_exponent: float = -0.5
    popularity_exponent: float = -0.4
    compression: float = 0.6
    #: Bonus for each further session item that leads to the same candidate.
    hit_bonus: float = 0.1

    #: Positions of a session that are kept, and items, cart lines and purchases that are excluded from suggestions.
    positions_max: int = 50
    seen_max: int = 200
    #: Suggestions of a session that can still be accepted: the latest non-empty ones.
    offers_max: int = 20
    #: Recent event ids and order ids by which a client's retry is recognised.
    event_ids_max: int = 64
    order_ids_max: int = 16

    #: Length of a KPI window, and how far behind the newest one a window may still change.
    kpi_window_ms: int = _MINUTE_MS
    kpi_retention_ms: int = 7 * _DAY_MS

    @property
    def session_retention_ms(self) -> int:
        """How long after its last event a session row is forgotten."""
        return self.session_retention_gaps * self.session_gap_ms


DEFAULTS = Parameters()
