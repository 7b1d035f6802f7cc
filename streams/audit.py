"""`sidecart audit`: a whole deployment recounted from its logs, live or stopped.

Partition by partition, what the logs determine is computed again by the functions that the agents call and by the plain
rows, and compared with what stands in the next log and in the tables: see `models.audit`. An event takes eight bytes
while all is read, 250 more while its partition is, and 20 for each partition of `pairs` and of `tallies` that its
record brings something to; beside that, the tables `sessions` and `kpi` are held as bytes, and of one partition at a
time the sessions or the rows. The settings must be those that the workers had.
"""

from collections.abc import Callable, Iterable

from models.audit.findings import Report
from streams.admin import check_topics
from streams.audit_logs import KafkaLogs
from streams.audit_recount import Recount
from streams.audit_replicas import fetch_replicas
from streams.context import model_parameters
from streams.settings import Settings

__all__ = ["audit"]


def _unseen(done: int, total: int) -> None:
    """Take no notice of progress."""


def audit(settings: Settings, show: Callable[[int, int], None] | None = None, workers: Iterable[str] = ()) -> Report:
    """Recount a deployment from its logs and return what differs; it is not stopped, nor written to.

    Parameters
    ----------
    show : callable, optional
        Called with the records passed and those to pass in all.
    workers : iterable of str
        Addresses of running workers, each as ``http://host:port``: their replicas are compared too.

    Raises
    ------
    ConfigurationError
        For a wrong address of a worker.
    TopicError
        If topics are missing or have the wrong shape.
    BrokerError
        If the broker cannot be reached.
    AccidentError
        If a topic was made again, or the tables were written by another version: there is nothing to compare with.
    """
    info = check_topics(settings)
    replicas = fetch_replicas(workers)
    with KafkaLogs(settings, info, show or _unseen) as logs:
        return Recount(logs, model_parameters(settings), replicas).run()
