"""Counts on real Kafka with two workers: global, and right through kill -9."""

import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from deployment import Deployment, simulated_traffic
from recount import differences, replica_digests

from models.partitioning import partition_of
from streams.settings import Settings
from streams.topics import topic_table

pytestmark = pytest.mark.kafka

_START_MS = 1_760_000_000_000


def _browse(session: str, item: str, at_s: int, number: int) -> tuple[str, dict[str, object]]:
    time = _START_MS + at_s * 1000
    return "browse", {"event_id": f"{session}-{number}", "session_id": session, "item_id": item, "time": time}


def test_sessions_of_different_partitions_add_to_the_same_row(deployment: Deployment) -> None:
    deployment.start("one", "two")
    sessions = [f"shopper-{number}" for number in range(40)]
    assert {partition_of(session, 4) for session in sessions} == {0, 1, 2, 3}
    deployment.send(
        event for session in sessions for event in (_browse(session, "tea", 0, 1), _browse(session, "cup", 9, 2))
    )
    # A cup in every session would be no evidence for tea and cup.
    deployment.send(_browse(f"other-{number}", "mat", 0, 1) for number in range(15))
    deployment.logs.settle()
    rows, _ = deployment.logs.table("cooccurrence")
    row = rows[partition_of("tea", 4)]["tea"]
    assert row.pairs["cup"] / row.sessions == pytest.approx(1, abs=1e-4)  # nine seconds of decay between them
    deployment.send([_browse("the-next-one", "tea", 20, 1)])
    suggestion = deployment.wait_for("suggestions", 96)
    evidence = next(message for message in suggestion if message["session_id"] == "the-next-one")["items"][0]
    assert (evidence["item_id"], round(evidence["evidence"]["pair_count"])) == ("cup", 40)
    deployment.logs.settle()
    assert differences(deployment.logs) == []
    assert len(replica_digests(deployment.replicas())) == 1


def test_a_killed_workers_partitions_are_taken_over_without_a_lost_or_doubled_event(deployment: Deployment) -> None:
    deployment.start("one", "two")
    traffic = simulated_traffic(9_000)
    deployment.send(traffic[:3_000])
    deployment.wait_for("suggestions", 1_000)
    deployment.kill("one")
    deployment.send(traffic[3_000:6_000])
    deployment.logs.settle()
    assert differences(deployment.logs) == []
    deployment.start("one")
    deployment.send(traffic[6_000:])
    deployment.wait_for("suggestions", 7_000)
    deployment.kill("two")
    deployment.logs.settle()
    deployment.start("two")
    deployment.logs.settle()
    assert differences(deployment.logs) == []
    assert len(deployment.logs.values("suggestions")) == len(traffic)
    assert len(replica_digests(deployment.replicas())) == 1


def test_all_workers_killed_at_once_go_on_where_they_stood(deployment: Deployment) -> None:
    deployment.start("one", "two")
    traffic = simulated_traffic(6_000, seed=8)
    deployment.send(traffic[:4_000])
    deployment.wait_for("suggestions", 1_500)
    deployment.kill("one")
    deployment.kill("two")
    deployment.send(traffic[4_000:])
    deployment.start("one", "two")
    deployment.logs.settle()
    assert differences(deployment.logs) == []
    kinds = Counter(kind for kind, _ in traffic)
    assert len(deployment.logs.values("suggestions")) == kinds.total()


def test_a_lost_disk_is_made_good_from_the_changelog(deployment: Deployment) -> None:
    deployment.start("one")
    traffic = simulated_traffic(3_000, seed=9)
    deployment.send(traffic[:2_000])
    deployment.wait_for("suggestions", 1_000)
    deployment.kill("one")
    deployment.start("another")
    deployment.send(traffic[2_000:])
    deployment.logs.settle()
    assert differences(deployment.logs) == []


def test_inputs_of_any_partition_count_and_any_key_are_counted_exactly(settings: Settings, tmp_path: Path) -> None:
    counts = {"browse": 3, "add-to-cart": 1, "orders": 7}
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
    topics = topic_table(settings)
    for made in admin.create_topics([NewTopic(topics[kind].name, count) for kind, count in counts.items()]).values():
        made.result()
    with ExitStack() as stack:
        deployment = Deployment(settings, tmp_path, stack)
        assert deployment.logs.info.input_partitions == counts
        deployment.start("one", "two")
        keys = (None, b"", b"the same for all")
        sent = deployment.send_raw(
            (kind, keys[number % 3], json.dumps(event).encode(), number % counts[kind])
            for number, (kind, event) in enumerate(simulated_traffic(2_000, seed=11))
        )
        deployment.wait_for("suggestions", sent)
        deployment.logs.settle()
        assert differences(deployment.logs) == []
        assert len(replica_digests(deployment.replicas())) == 1
