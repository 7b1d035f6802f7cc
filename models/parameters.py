"""Every constant of the model, once, with unit and reason."""

from dataclasses import dataclass

__all__ = ["DEFAULTS", "SUGGESTIONS_LIMIT", "Parameters"]

#: `suggestions_max` is never more: a session's offers have room for so many items.
SUGGESTIONS_LIMIT = 20

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
    #: After this long a count weighs half: a month, or a shop with few visits would forget before it has learnt.
    half_life_ms: int = 30 * _DAY_MS
    #: Event times may be this far ahead of the record's own timestamp: clocks of shop front-ends differ.
    future_skew_ms: int = 10 * _MINUTE_MS

    #: Items in a suggestion, at most: what a cross-sell slot shows.
    suggestions_max: int = 4
    #: Candidates that the evidence is asked about, at most: enough for a list of 20 of which half has too little.
    candidates_max: int = 64
    #: Standard normal quantile of all floors: what is claimed holds with 95 % confidence, one-sided.
    confidence_z: float = 1.645
    #: Sessions with a pair below which they are no evidence: one session is, for five half-lives.
    pair_count_floor: float = 2.0**-5
    #: A popular item fills a place when at least this share of all sessions meets it.
    popular_share_floor: float = 0.01
    #: Sessions that must have met it: fewer are an accident, not a fashion.
    popular_sessions_floor: float = 20.0
    #: Most popular items that are kept, over all and for each category.
    leaders_max: int = 32

    #: Items with a row, at most, divided over the partitions; beyond it those least met of late are dropped.
    catalogue_max: int = 1_000_000
    #: Neighbours in a row, at most; half as many lose half a point of hit rate.
    row_size: int = 64
    #: Session positions that an arriving item is paired with.
    pair_positions: int = 8
    #: Exponent of the distance in positions, and time constant, of a pair's weight.
    pair_distance_exponent: float = -2.0
    pair_time_constant_ms: float = 600_000.0
    #: Exponent of the session's length: long sessions are less focused.
    pair_length_exponent: float = -0.25
    #: Weight of the pair seen backwards (later item to earlier one).
    pair_backward_weight: float = 0.5
    #: Weight of a pair by what the later item's event was, and of two items both ordered; views are one.
    cart_weight: float = 2.0
    order_weight: float = 2.0
    ordered_together_weight: float = 6.0
    #: Two items viewed one after the other within this time are compared, so they may be rivals.
    comparison_ms: int = 15_000
    #: An item is a rival of another when more than this share of their sessions compared the two.
    rival_share: float = 0.5

    #: Distinct session items that a query starts from.
    query_items: int = 10
    #: Exponent of an item's place in the session, and time constant of its age, in a query.
    query_place_exponent: float = -1.5
    query_time_constant_ms: float = 900_000.0
    #: Added to a row's mass and to an item's count: keeps thin rows from winning by chance.
    mass_prior: float = 5.0
    popularity_prior: float = 5.0
    #: Exponent of an item's share of a row: below one, many weak paths count more than a strong one.
    compression: float = 0.6
    #: Exponent of popularity: what everybody meets says little.
    popularity_exponent: float = -0.25
    #: Recent arrivals decay so many times as fast as counts, in a day; their share of all arrivals, with this floor,
    #: to this exponent tells what is in fashion.
    trend_speed: int = 30
    trend_floor: float = 0.02
    trend_exponent: float = 0.2
    #: Popularity and fashion change slowly: they are read as of the beginning of such a step of event time.
    prior_step_ms: int = 60 * _MINUTE_MS
    #: The heaviest neighbours of the session that the second hop goes through, how many of each one's heaviest it goes
    #: to, and what a path over them is worth. With twice as many the hit rate is .002 higher, for twice the work.
    hop_neighbours: int = 16
    hop_row_size: int = 32
    hop_weight: float = 0.8

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
    #: Windows in a partition beyond which a further one is opened for the usual moments only: those of events that name
    #: a moment of the shop's own then count as `other`. Seven moments for each minute of a week in one partition.
    kpi_rows_max: int = 70_000

    @property
    def session_retention_ms(self) -> int:
        """How long after its last event a session row is forgotten."""
        return self.session_retention_gaps * self.session_gap_ms


DEFAULTS = Parameters()
