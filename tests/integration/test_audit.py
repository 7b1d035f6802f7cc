"""`sidecart audit` on real Kafka: exact on a live and on a stopped deployment, and it finds what is planted."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from deployment import Deployment, simulated_traffic

from models.audit.findings import KINDS
from models.cooccurrence import Increment
from models.coverage import Span
from models.errors import TopicError
from models.learning import PackedPairs, PairEntry
from streams.audit import audit
from streams.settings import Settings
from streams.topics import topic_table
from streams.wire import PACKED_PAIRS, ROWS, row_key

pytestmark = pytest.mark.kafka


def _sidecart(deployment: Deployment, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "streams.cli.main", "audit", *arguments],
        env=os.environ | deployment.settings.as_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _audit_json(deployment: Deployment, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = _sidecart(deployment, "--json", *arguments)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def _append(deployment: Deployment, row: str, partition: int, key: bytes | None, value: bytes) -> int:
    """Write a record by hand; return its offset."""
    places: list[int] = []
    producer = Producer({"bootstrap.servers": deployment.settings.bootstrap_servers})
    name = topic_table(deployment.settings)[row].name
    producer.produce(
        name, value, key, partition=partition, on_delivery=lambda _, message: places.append(message.offset())
    )
    assert producer.flush(30) == 0
    return places[0]


def test_a_live_deployment_under_load_has_no_difference_and_neither_has_a_stopped_one(deployment: Deployment) -> None:
    deployment.start("one", "two")
    traffic = simulated_traffic(5_000)
    bad = deployment.send_raw([("browse", b"k", b"no json", 0)])
    deployment.send(traffic[:2_000])
    deployment.wait_for("suggestions", 1_000)
    deployment.send(traffic[2_000:])
    workers = [deployment.address(name) for name in ("one", "two")]
    progress: list[tuple[int, int]] = []
    live = audit(deployment.settings, lambda done, total: progress.append((done, total)), workers)
    assert live.found == ()
    assert live.counts["events"].compared + live.counts["events"].pending == len(traffic) + bad
    assert live.counts["increments"].compared > 0
    assert progress[-1][0] == progress[-1][1] > 0
    deployment.logs.settle()
    settled = audit(deployment.settings, None, workers)
    assert (settled.found, settled.pending, settled.uncountable, settled.repeated) == ((), 0, 0, 0)
    assert settled.counts["events"].compared == len(traffic) + bad
    assert settled.counts["suggestions"].compared == len(traffic)
    assert settled.counts["replicas"].compared == 8
    assert settled.counts["outcomes"].compared == len(deployment.logs.values("acceptance")) > 0
    assert all(settled.counts[kind].compared for kind in KINDS)
    deployment.stop("one")
    deployment.stop("two")
    code, report = _audit_json(deployment)
    assert code == 0
    numbers = ("events", "increments", "rows", "suggestions", "outcomes", "differences", "uncountable", "pending")
    assert {name: report[name] for name in numbers} == {
        name: getattr(settled, name, None) if name not in settled.counts else settled.counts[name].compared
        for name in numbers
    }
    deployment.send(traffic[:7])
    code, report = _audit_json(deployment)
    assert (code, report["differences"], report["pending"]) == (0, 0, 7)


def _run_and_stop(deployment: Deployment) -> None:
    deployment.start("one")
    deployment.send(simulated_traffic(1_000))
    deployment.wait_for("suggestions", 1_000)
    deployment.logs.settle()
    deployment.stop("one")


def test_what_is_planted_is_found_and_named(deployment: Deployment) -> None:
    _run_and_stop(deployment)
    _, marks = deployment.logs.table("cooccurrence")
    end = marks[2].watermarks["1"]
    entry = PairEntry(0, end + 1, 1_760_000_000_000, 1_760_000_000_000, Increment("tea", 1, 1))
    value = PACKED_PAIRS.encode(PackedPairs([Span("1", end, end + 1)], [entry], None))
    offset = _append(deployment, "pairs", 2, None, value)
    rows, _ = deployment.logs.table("cooccurrence")
    partition, item, row = next((at, item, row) for at in rows for item, row in rows[at].items() if row.weights)
    neighbour, weight = next(iter(row.weights.items()))
    row.weights[neighbour] = weight * 2
    _append(deployment, "cooccurrence-changelog", partition, row_key(item), ROWS["cooccurrence"].encode(row))
    code, report = _audit_json(deployment)
    assert (code, report["differences"]) == (1, 2)
    prefix = deployment.settings.topic_prefix
    found = {finding["place"]: finding["difference"] for finding in report["found"]}
    assert found == {
        f"{prefix}pairs/2@{offset}": f"{prefix}session-events/1@{end + 1} determines no increments for here, found "
        f"{(entry.time, entry.timestamp, entry.increment)!r}",
        f"cooccurrence/{partition} {item!r}": f"expected weights[{neighbour!r}] {weight!r}, found {weight * 2!r}",
    }
    done = _sidecart(deployment)
    assert done.returncode == 1
    assert f"{prefix}pairs/2@{offset}: " in done.stdout
    assert done.stdout.splitlines()[-1].startswith("2 differences among 1,000 events and ")


def test_records_that_retention_has_deleted_are_left_out_and_said(deployment: Deployment) -> None:
    _run_and_stop(deployment)
    table = topic_table(deployment.settings)
    admin = AdminClient({"bootstrap.servers": deployment.settings.bootstrap_servers})
    cuts = [TopicPartition(table["browse"].name, 1, 20), TopicPartition(table["session-events"].name, 2, 1)]
    for deleted in admin.delete_records(cuts).values():
        deleted.result()
    code, report = _audit_json(deployment)
    assert (code, report["found"]) == (0, [])
    assert report["uncountable"] > 0
    sentences = " ".join(report["not_counted"])
    for cut in cuts:
        assert f"{cut.topic}/{cut.partition}" in sentences


def test_missing_topics_are_one_sentence(settings: Settings) -> None:
    with pytest.raises(TopicError, match="run: sidecart topics create"):
        audit(settings)
