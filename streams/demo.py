"""The demo: a broker, a worker and a simulated shop on one machine, and a view of what happens."""

import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Final, Literal

import msgspec
from confluent_kafka import KafkaError, Message, Producer
from rich.console import Console

from models.attribution import Outcome
from models.errors import BrokerError
from models.records import Kind
from models.simulation import Shop
from models.suggesting import Suggestion
from streams.admin import EMBEDDED_PARTITIONS, create_topics
from streams.brokers.embedded import EmbeddedBroker
from streams.brokers.kafka import KafkaBroker
from streams.metadata import CLIENT_CONFIG
from streams.scoreboard import Scoreboard
from streams.settings import Settings, load_settings
from streams.topics import INPUTS, topic_table
from streams.view import Status, View, open_view, summary
from streams.watching import Watcher
from streams.worker_process import WorkerProcess

__all__ = ["DemoOptions", "run_demo"]

_FOLDER: Final = Path(".sidecart")
_WATCHED: Final = ("suggestions", "acceptance", "dead-letters")
#: A first start compiles.
_READY_S: Final = 240.0
#: How long a poll for messages may take, and so how late an event may be sent.
_POLL_S: Final = 0.01
#: A wait that the embedded broker does not end early: it would be part of the latency shown.
_FETCH_WAIT_MS: Final = 5
#: After the last event: how long its suggestion is waited for.
_DRAIN_S: Final = 3.0
_LOG_LINES: Final = 15


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the demo is asked for; without `seconds` it runs until Ctrl-C."""

    broker: Literal["embedded", "kafka"]
    seconds: float | None
    rate: float
    seed: int


class _WorkerFailed(Exception):  # noqa: N818 - the demo's end, not an error of Sidecart
    """The worker ended, or did not get ready in time; the text says so."""


def run_demo(options: DemoOptions, environment: Mapping[str, str], console: Console) -> int:
    """Run the demo until its time is over or Ctrl-C or SIGTERM comes; leave no process and no data behind.

    After a failure the worker's log stays.

    Returns
    -------
    int
        The exit code: 1 if the worker failed, or if a run of given length brought no suggestion or no outcome.

    Raises
    ------
    BrokerError
        If the broker does not start, or goes away.
    ConfigurationError
        For a rate or a setting out of range.
    """
    shop = Shop(options.seed, options.rate)
    board = Scoreboard(shop.complements, shop.chance_share)
    _FOLDER.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir=_FOLDER))
    run = _Run(options, shop, board, folder / "worker.log")
    failure = None
    try:
        with _sigterm_as_interrupt():
            run.play(environment, console, folder)
        if not (board.shown and board.outcomes):
            missing = "outcome" if board.shown else "suggestion with items"
            failure = f"no {missing} was seen; the worker's log is {folder / 'worker.log'}"
    except KeyboardInterrupt:
        pass
    except _WorkerFailed as error:
        failure = str(error)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    for line in summary(board, run.status) if board.sent else ():
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    if failure is None:
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    for data in ("state", "kafka"):
        shutil.rmtree(folder / data, ignore_errors=True)
    console.print(f"sidecart: {failure}", soft_wrap=True, markup=False, highlight=False)
    return 1


class _Run:
    """One run, from the broker's start to its stop."""

    def __init__(self, options: DemoOptions, shop: Shop, board: Scoreboard, log_file: Path) -> None:
        self._options = options
        self._shop = shop
        self._board = board
        self._log_file = log_file
        about = f"The shop is simulated: seed {options.seed}, {options.rate:g} events/s."
        self.status = Status("starting", 0.0, f"broker {options.broker}", about, "-", str(log_file))

    def play(self, environment: Mapping[str, str], console: Console, folder: Path) -> None:
        with ExitStack() as stack:
            console.print(f"starting the {self._options.broker} broker", highlight=False)
            broker = EmbeddedBroker() if self._options.broker == "embedded" else KafkaBroker(folder / "kafka")
            stack.enter_context(broker)
            settings = load_settings(
                environment,
                bootstrap_servers=broker.bootstrap_servers,
                state_dir=folder / "state",
                metrics_port=_free_port(),
            )
            create_topics(settings, EMBEDDED_PARTITIONS)
            worker = stack.enter_context(WorkerProcess(settings, self._log_file))
            watcher = stack.enter_context(Watcher(settings, _WATCHED, fetch_wait_ms=_FETCH_WAIT_MS))
            producer = _ShopProducer(settings)
            self.status = replace(
                self.status,
                broker=f"broker {self._options.broker} at {settings.bootstrap_servers}",
                metrics_url=f"http://127.0.0.1:{settings.metrics_port}/metrics",
            )
            view = stack.enter_context(open_view(console))
            self._wait_until_ready(worker, view)
            self._sell(worker, watcher, producer, view)

    def _wait_until_ready(self, worker: WorkerProcess, view: View) -> None:
        deadline = time.monotonic() + _READY_S
        shown_s = float("-inf")
        while not worker.is_ready():
            self._check_worker(worker)
            now_s = time.monotonic()
            if now_s > deadline:
                raise _WorkerFailed(self._worker_failure(worker, f"is not ready after {_READY_S:g} s"))
            if now_s - shown_s >= view.interval_s:
                view.refresh(self._board, self.status)
                shown_s = now_s
            time.sleep(0.1)

    def _sell(self, worker: WorkerProcess, watcher: Watcher, producer: "_ShopProducer", view: View) -> None:
        start_s = time.monotonic()
        end_s = float("inf") if self._options.seconds is None else start_s + self._options.seconds
        shown_s = float("-inf")
        while (now_s := time.monotonic()) < end_s or (self._board.under_way and now_s < end_s + _DRAIN_S):
            if now_s < end_s:
                for kind, event in self._shop.step(int(time.time() * 1000)):
                    self._board.add_sent(kind, str(event["event_id"]), time.monotonic())
                    producer.send(kind, str(event["session_id"]), msgspec.json.encode(event))
            producer.check()
            for message in watcher.poll(_POLL_S):
                self._take(message.row, message.value, message.received_s)
            if now_s - shown_s >= view.interval_s:
                self._check_worker(worker)
                self.status = replace(self.status, state="ready", elapsed_s=min(now_s, end_s) - start_s)
                view.refresh(self._board, self.status)
                shown_s = now_s
        self.status = replace(self.status, elapsed_s=end_s - start_s)

    def _take(self, row: str, value: bytes, received_s: float) -> None:
        if row == "suggestions":
            self._board.add_suggestion(msgspec.json.decode(value, type=Suggestion), received_s)
            self._shop.offer(msgspec.json.decode(value))
        elif row == "acceptance":
            self._board.add_outcome(msgspec.json.decode(value, type=Outcome))
        else:
            self._board.add_dead_letter()

    def _check_worker(self, worker: WorkerProcess) -> None:
        if worker.exit_code is not None:
            raise _WorkerFailed(self._worker_failure(worker, f"ended with exit code {worker.exit_code}"))

    def _worker_failure(self, worker: WorkerProcess, what: str) -> str:
        return f"the worker {what}; its log {self._log_file} ends with:{worker.log_tail(_LOG_LINES)}"


class _ShopProducer:
    """Sends the shop's events to the input topics."""

    def __init__(self, settings: Settings) -> None:
        table = topic_table(settings)
        self._topics = {kind: table[kind].name for kind in INPUTS}
        self._producer = Producer({**CLIENT_CONFIG, "bootstrap.servers": settings.bootstrap_servers, "linger.ms": 0})
        self._failure: str | None = None

    def send(self, kind: Kind, key: str, value: bytes) -> None:
        """Hand over one event for sending."""
        self._producer.produce(self._topics[kind], key=key, value=value, on_delivery=self._on_delivery)

    def check(self) -> None:
        """Raise `BrokerError` if an event could not be delivered."""
        self._producer.poll(0)
        if self._failure is not None:
            raise BrokerError(f"an event could not be sent: {self._failure}")

    def _on_delivery(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failure = error.str()


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
