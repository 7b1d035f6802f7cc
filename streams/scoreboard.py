"""What the demo has sent and seen so far, in totals."""

from collections import Counter, deque
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from models.attribution import Outcome
from models.records import Kind
from models.suggesting import Suggestion

__all__ = ["Scoreboard"]

#: Latest messages that a view can show.
_LATEST: Final = 60
#: Events under way and message ids that are remembered: minutes of the largest rate.
_REMEMBERED: Final = 200_000
#: Latest latencies that quantiles are taken of: sorted in some milliseconds.
_LATENCIES: Final = 20_000


class Scoreboard:
    """Totals of one run; of messages published twice under one id, the first counts.

    Parameters
    ----------
    complements : mapping
        The simulated shop's planted truth, by item.
    chance_share : float
        The planted share that blindly drawn suggestions would have, to compare with.
    """

    def __init__(self, complements: Mapping[str, AbstractSet[str]], chance_share: float) -> None:
        self.chance_share = chance_share
        self.sent: Counter[Kind] = Counter()
        self.suggestions = 0
        self.empty: Counter[str] = Counter()
        self.items = 0
        self.planted = 0
        self.planted_first = 0
        self.outcomes: Counter[str] = Counter()
        self.accepted = 0
        self.revenue: dict[str, float] = {}
        self.dead_letters = 0
        self.latest_suggestions: deque[Suggestion] = deque(maxlen=_LATEST)
        self.latest_outcomes: deque[Outcome] = deque(maxlen=_LATEST)
        self._complements = complements
        self._latencies_ms: deque[float] = deque(maxlen=_LATENCIES)
        self._under_way: dict[str, float] = {}
        self._ids: dict[str, None] = {}

    @property
    def shown(self) -> int:
        """Suggestions with at least one item."""
        return self.suggestions - self.empty.total()

    @property
    def planted_share(self) -> float | None:
        """Share of suggested items that the shop planted with the item named in their evidence; None without any."""
        return self.planted / self.items if self.items else None

    @property
    def planted_first_share(self) -> float | None:
        """The same share among the items ranked first; the lower ranks often have no complement left to show."""
        return self.planted_first / self.shown if self.shown else None

    @property
    def acceptance_rate(self) -> float | None:
        """Accepted items over suggestions with items, as in `acceptance-metrics`; None without any."""
        return self.accepted / self.shown if self.shown else None

    @property
    def under_way(self) -> int:
        """Events sent whose suggestion has not come yet."""
        return len(self._under_way)

    def latency_ms(self, quantile: float) -> float | None:
        """Return a quantile (0 to 1) of the latest times from sent event to received suggestion."""
        if not self._latencies_ms:
            return None
        ordered = sorted(self._latencies_ms)
        return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]

    def add_sent(self, kind: Kind, event_id: str, at_s: float) -> None:
        """Count an event as sent at `at_s` (monotonic seconds)."""
        self.sent[kind] += 1
        self._under_way[event_id] = at_s
        if len(self._under_way) > _REMEMBERED:
            del self._under_way[next(iter(self._under_way))]

    def add_suggestion(self, suggestion: Suggestion, at_s: float) -> None:
        """Count a suggestion as received at `at_s` (monotonic seconds)."""
        if not self._is_new(suggestion.suggestion_id):
            return
        sent_s = self._under_way.pop(suggestion.event_id, None)
        if sent_s is not None:
            self._latencies_ms.append((at_s - sent_s) * 1000)
        self.suggestions += 1
        self.latest_suggestions.append(suggestion)
        if not suggestion.items:
            self.empty[suggestion.reason or "no reason given"] += 1
        for item in suggestion.items:
            self.items += 1
            is_planted = item.item_id in self._complements.get(item.evidence.anchor or "", ())
            self.planted += is_planted
            self.planted_first += is_planted and item.rank == 1

    def add_outcome(self, outcome: Outcome) -> None:
        """Count an outcome; revenue is the value of what was ordered."""
        if not self._is_new(outcome.outcome_id):
            return
        self.outcomes[outcome.stage] += 1
        self.accepted += outcome.is_first
        self.latest_outcomes.append(outcome)
        if outcome.stage == "ordered" and outcome.value is not None:
            currency = outcome.currency or ""
            self.revenue[currency] = self.revenue.get(currency, 0.0) + outcome.value

    def add_dead_letter(self) -> None:
        """Count an event that the worker refused."""
        self.dead_letters += 1

    def _is_new(self, message_id: str) -> bool:
        if message_id in self._ids:
            return False
        self._ids[message_id] = None
        if len(self._ids) > _REMEMBERED:
            del self._ids[next(iter(self._ids))]
        return True
