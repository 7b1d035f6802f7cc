"""Workers are asked for their replicas; a wrong address is refused, a silent worker is said."""

import socket
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from models.errors import ConfigurationError
from streams.audit_replicas import ReplicaPart, fetch_replicas
from streams.health import HealthServer

PAGE = [
    {"partition": 0, "position": 7, "rows": 3, "events": 1.5, "digest": "ab"},
    {"partition": 1, "position": 9, "rows": 4, "events": 2.5, "digest": None},
]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


@pytest.fixture
def address() -> Iterator[str]:
    port = free_port()
    server = HealthServer("127.0.0.1", port, CollectorRegistry(), lambda: True, list, lambda: PAGE)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


def test_pages_are_sorted_by_partition(address: str) -> None:
    replicas = fetch_replicas([address, f"{address}/"])
    assert replicas.parts == {
        0: [ReplicaPart(address, 7, 3, "ab"), ReplicaPart(f"{address}/", 7, 3, "ab")],
        1: [ReplicaPart(address, 9, 4, None), ReplicaPart(f"{address}/", 9, 4, None)],
    }
    assert replicas.silent == []


def test_a_worker_that_does_not_answer_is_said(address: str) -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    replicas = fetch_replicas([gone, address])
    assert [sentence.split(",")[0] for sentence in replicas.silent] == [f"the replica of {gone} is not compared"]
    assert replicas.parts.keys() == {0, 1}


@pytest.mark.parametrize("address", ["worker:9464", "http://", "ftp://worker", "http://worker:port", "http://w:99999"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="is not http://host:port"):
        fetch_replicas([address])
