"""What every stage is given: settings, topics, model parameters, the outbox, the metrics, the clock."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import time

from models.parameters import Parameters
from streams.admin import TopicsInfo
from streams.changelog import LogReader
from streams.metrics import Metrics
from streams.outbox import Outbox
from streams.recovery import Recovery
from streams.settings import Settings
from streams.topics import Topic

__all__ = ["Context", "model_parameters"]


@dataclass(frozen=True, slots=True)
class Context:
    """The surroundings of the stages, wired once by `streams.app`.

    `epoch` returns the consumer's current epoch: a batch of an earlier one is superseded. `die` stops the process at
    once, before anything more is sent or committed. `recovery` is told what is loaded. `now_ms` is the wall clock.
    """

    settings: Settings
    topics: dict[str, Topic]
    info: TopicsInfo
    parameters: Parameters
    outbox: Outbox
    reader: LogReader
    metrics: Metrics
    epoch: Callable[[], int]
    die: Callable[[BaseException], None]
    recovery: Recovery = field(default_factory=Recovery)

    @property
    def partitions(self) -> int:
        """Partitions of every internal and output topic."""
        return self.info.partitions

    @property
    def rows_max(self) -> int:
        """Rows that a partition of the table `cooccurrence` may hold."""
        return max(1, self.parameters.catalogue_max // self.partitions)

    def name(self, row: str) -> str:
        """Return the name of a topic by its row in the table of topics."""
        return self.topics[row].name

    @staticmethod
    def now_ms() -> float:
        """Return the wall clock in epoch milliseconds."""
        return time() * 1000


def model_parameters(settings: Settings) -> Parameters:
    """Return the model's parameters with those that are settings."""
    return replace(
        settings.model,
        session_gap_ms=round(settings.session_gap_s * 1000),
        attribution_window_ms=round(settings.attribution_window_s * 1000),
        half_life_ms=round(settings.half_life_days * 86_400_000),
        suggestions_max=settings.suggestions_max,
        catalogue_max=settings.catalogue_max,
        kpi_window_ms=round(settings.kpi_window_s * 1000),
    )
