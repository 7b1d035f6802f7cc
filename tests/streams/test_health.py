"""The worker's pages over real HTTP: what answers 200, what 503, and a port that somebody else has."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from models.errors import ConfigurationError
from streams.health import HealthServer


class Worker:
    """What the pages show, for the test to change."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.is_live = True
        self.is_ready = True
        self.content: Any = {"ready": True}
        self.replica: Any = [{"partition": 0, "digest": "ab"}]

    def show_replica(self) -> Any:
        if isinstance(self.replica, Exception):
            raise self.replica
        return self.replica


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def server(worker: Worker, port: int, host: str = "127.0.0.1") -> HealthServer:
    return HealthServer(
        host,
        port,
        worker.registry,
        lambda: worker.is_live,
        lambda: (worker.is_ready, worker.content),
        worker.show_replica,
    )


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Worker, int]]:
    worker, port = Worker(), free_port()
    pages = server(worker, port)
    pages.start()
    yield worker, port
    pages.stop()


@pytest.fixture
def worker(running: tuple[Worker, int]) -> Worker:
    """What the running server shows, as at first: one server for all tests, since a stop takes half a second."""
    vars(running[0]).update(vars(Worker()) | {"registry": running[0].registry})
    return running[0]


@pytest.fixture
def port(running: tuple[Worker, int]) -> int:
    return running[1]


def get(port: int, path: str, method: str = "GET") -> tuple[int, str, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read()


def test_live_follows_the_event_loop(worker: Worker, port: int) -> None:
    status, kind, body = get(port, "/live")
    assert (status, kind, json.loads(body)) == (200, "application/json", {"live": True})
    worker.is_live = False
    status, _, body = get(port, "/live")
    assert (status, json.loads(body)) == (503, {"live": False})


def test_ready_says_what_is_missing(worker: Worker, port: int) -> None:
    worker.is_ready, worker.content = False, {"ready": False, "missing": ["tables are being recovered"]}
    status, kind, body = get(port, "/ready")
    assert (status, kind, json.loads(body)) == (503, "application/json", worker.content)
    worker.is_ready, worker.content = True, {"ready": True, "missing": []}
    status, _, body = get(port, "/ready")
    assert (status, json.loads(body)) == (200, worker.content)


def test_metrics_are_those_of_the_registry_and_no_other(worker: Worker, port: int) -> None:
    Counter("sidecart_test", "A counter", registry=worker.registry).inc(3)
    status, kind, body = get(port, "/metrics")
    assert status == 200 and kind.startswith("text/plain")
    assert "sidecart_test_total 3.0" in body.decode()
    assert "python_info" not in body.decode()


def test_replica_shows_what_the_replica_holds(worker: Worker, port: int) -> None:
    status, _, body = get(port, "/replica")
    assert (status, json.loads(body)) == (200, worker.replica)


def test_there_is_no_other_page(worker: Worker, port: int) -> None:
    for path in ("/", "/table/", "/live/", "/metrics2"):
        status, _, body = get(port, path)
        assert (status, json.loads(body)) == (404, {"error": f"no page {path}"})


def test_nothing_can_be_sent_to_it(worker: Worker, port: int) -> None:
    assert get(port, "/live", method="POST")[0] == 501


@pytest.mark.parametrize("error", [RuntimeError("closed"), TimeoutError("no answer")], ids=["closed", "timeout"])
def test_a_page_that_fails_says_why_and_does_not_end_the_server(worker: Worker, port: int, error: Exception) -> None:
    worker.replica = error
    status, _, body = get(port, "/replica")
    assert (status, json.loads(body)) == (500, {"error": str(error)})
    assert get(port, "/live")[0] == 200


def test_scrapes_are_not_logged(worker: Worker, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    get(port, "/metrics")
    get(port, "/nothing")
    assert capsys.readouterr() == ("", "")


def test_a_port_in_use_is_refused_in_one_sentence() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            ConfigurationError,
            match=rf"^metrics_port={port} cannot be used on 127\.0\.0\.1 \(Address already in use\): give another",
        ):
            server(Worker(), port)


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be used on 192\.0\.2\.1"):
        server(Worker(), free_port(), host="192.0.2.1")


def test_the_port_is_free_after_a_stop() -> None:
    port = free_port()
    pages = server(Worker(), port)
    pages.start()
    assert get(port, "/live")[0] == 200
    pages.stop()
    with pytest.raises(ConnectionRefusedError):
        get(port, "/live")
    server(Worker(), port)._server.server_close()  # it could be bound again
