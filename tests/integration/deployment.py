"""A deployment on the real broker: topics of its own, workers that can be killed, and events for them."""

import json
import os
import signal
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.request import ProxyHandler, build_opener

from confluent_kafka import Producer
from recount import Logs

from models.simulation import Shop
from streams.admin import create_topics
from streams.settings import Settings
from streams.topics import topic_table
from streams.worker_process import WorkerProcess

_READY_S = 45
_open = build_opener(ProxyHandler({})).open


class Deployment:
    """Topics and workers that share the broker with nothing else."""

    def __init__(self, settings: Settings, folder: Path, stack: ExitStack, partitions: int = 4) -> None:
        self.settings = settings
        self.workers: dict[str, WorkerProcess] = {}
        self._own: dict[str, Settings] = {}
        self._folder = folder
        self._stack = stack
        create_topics(settings, partitions)
        self.logs = Logs(settings)

    def start(self, *names: str) -> None:
        """Start workers, each with its own folder and port, and wait until all that run are ready."""
        for name in names:
            self.workers[name] = self._begin(name)
        self.wait_until_ready()

    def _begin(self, name: str) -> WorkerProcess:
        own = self._own.setdefault(
            name, replace(self.settings, state_dir=self.folder_of(name), metrics_port=_free_port())
        )
        return self._stack.enter_context(WorkerProcess(own, self._folder / f"{name}.log"))

    def folder_of(self, name: str) -> Path:
        """Return a worker's state folder."""
        return self._folder / name

    def start_and_fail(self, name: str) -> tuple[int, str]:
        """Start a worker that refuses; return its exit code and its log."""
        worker = self._begin(name)
        deadline = monotonic() + _READY_S
        while worker.exit_code is None:
            assert monotonic() < deadline, f"worker {name} does not refuse:{worker.log_tail(30)}"
            sleep(0.05)
        return worker.exit_code, worker.log_tail(30)

    def stop(self, name: str) -> None:
        """Stop a worker as an operator would."""
        worker = self.workers.pop(name)
        os.kill(worker.pid, signal.SIGTERM)
        while worker.exit_code is None:
            sleep(0.01)
        assert worker.exit_code == 0, worker.log_tail(30)

    def wait_until_ready(self) -> None:
        """Wait for every running worker."""
        deadline = monotonic() + _READY_S
        for name, worker in self.workers.items():
            while not worker.is_ready():
                assert worker.exit_code is None, f"worker {name} ended:{worker.log_tail(30)}"
                assert monotonic() < deadline, f"worker {name} is not ready:{worker.log_tail(30)}"
                sleep(0.05)

    def kill(self, name: str) -> None:
        """Kill a worker without a chance to clean up."""
        worker = self.workers.pop(name)
        os.kill(worker.pid, signal.SIGKILL)
        while worker.exit_code is None:
            sleep(0.01)

    def page(self, name: str, path: str) -> bytes:
        """Fetch a page of a worker."""
        with _open(f"{self.address(name)}{path}", timeout=60) as response:
            body: bytes = response.read()
        return body

    def address(self, name: str) -> str:
        """Return where a worker serves its pages."""
        return f"http://127.0.0.1:{self._own[name].metrics_port}"

    def replicas(self) -> list[Any]:
        """Return the /replica page of every running worker."""
        return [json.loads(self.page(name, "/replica")) for name in self.workers]

    def send(self, events: Iterable[tuple[str, dict[str, Any]]]) -> int:
        """Send events as a shop would, keyed by session, and wait for the broker; return their number."""
        return self.send_raw(
            (kind, event["session_id"].encode(), json.dumps(event).encode(), None) for kind, event in events
        )

    def send_raw(
        self, messages: Iterable[tuple[str, bytes | None, bytes | None, int | None]], timestamp_ms: int = 0
    ) -> int:
        """Send (kind, key, value, partition or None), stamped with a time, 0 for now."""
        table = topic_table(self.settings)
        producer = Producer({"bootstrap.servers": self.settings.bootstrap_servers, "linger.ms": 5})
        count = 0
        for kind, key, value, partition in messages:
            where = {} if partition is None else {"partition": partition}
            producer.produce(table[kind].name, key=key, value=value, timestamp=timestamp_ms, **where)
            producer.poll(0)
            count += 1
        assert producer.flush(30) == 0
        return count

    def wait_for(self, row: str, count: int, seconds: float = 60) -> list[Any]:
        """Wait until a public topic holds so many messages, and return them."""
        deadline = monotonic() + seconds
        while len(messages := self.logs.values(row)) < count:
            assert monotonic() < deadline, f"{row}: {len(messages)} of {count} messages after {seconds} s"
            sleep(0.05)
        return messages

    def wait_for_ids(self, row: str, count: int) -> None:
        """Wait until `suggestions` holds so many different ids."""
        deadline = monotonic() + 90
        while (seen := len({message["suggestion_id"] for message in self.logs.values(row)})) < count:
            assert monotonic() < deadline, f"{row}: {seen} of {count} ids"
            sleep(0.2)

    def wait_for_metric(self, name: str, at_least: float, seconds: float = 30) -> None:
        """Wait until a metric without labels has reached a value on every running worker."""
        deadline = monotonic() + seconds
        for worker in self.workers:
            while self._metric(worker, name) < at_least:
                assert monotonic() < deadline, f"{name} of worker {worker} has not reached {at_least}"
                sleep(0.02)

    def _metric(self, worker: str, name: str) -> float:
        lines = self.page(worker, "/metrics").decode().splitlines()
        return next((float(line.split()[1]) for line in lines if line.startswith(name + " ")), 0.0)


def simulated_traffic(count: int, seed: int = 7) -> list[tuple[str, dict[str, Any]]]:
    """Return the first events of a simulated shop, in time order."""
    shop = Shop(seed=seed, rate=500.0)
    events: list[tuple[str, dict[str, Any]]] = []
    now_ms = 1_760_000_000_000
    while len(events) < count:
        events += [(kind, dict(event)) for kind, event in shop.step(now_ms)]
        now_ms += 100
    return events[:count]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
