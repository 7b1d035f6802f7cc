"""Accidents that would silently miscount are refused at the start, in one sentence; others are made good."""

import os
import shutil
import signal
from time import monotonic, sleep

import pytest
from confluent_kafka.admin import AdminClient
from deployment import Deployment, simulated_traffic
from recount import differences

from streams.admin import create_topics
from streams.topics import topic_table

pytestmark = pytest.mark.kafka


def _make_again(deployment: Deployment, row: str) -> None:
    name = topic_table(deployment.settings)[row].name
    admin = AdminClient({"bootstrap.servers": deployment.settings.bootstrap_servers})
    admin.delete_topics([name])[name].result()
    deadline = monotonic() + 30
    while name in admin.list_topics(timeout=10).topics:
        assert monotonic() < deadline, f"{name} is still there"
        sleep(0.05)
    create_topics(deployment.settings, 4)


def _run_and_stop(deployment: Deployment) -> None:
    deployment.start("one")
    deployment.send(simulated_traffic(400))
    deployment.wait_for("suggestions", 400)
    deployment.logs.settle()
    deployment.stop("one")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("browse", "was deleted and made again"),
        ("cooccurrence-changelog", "was deleted or cut"),
    ],
)
def test_a_topic_that_was_made_again_is_refused(deployment: Deployment, row: str, sentence: str) -> None:
    _run_and_stop(deployment)
    _make_again(deployment, row)
    code, log = deployment.start_and_fail("one")
    assert code == 2
    (line,) = [line for line in log.splitlines() if "worker stops" in line]
    assert topic_table(deployment.settings)[row].name in line
    assert sentence in line


def test_a_changelog_lost_with_its_disk_is_refused(deployment: Deployment) -> None:
    _run_and_stop(deployment)
    _make_again(deployment, "sessions-changelog")
    code, log = deployment.start_and_fail("another")
    assert code == 2
    assert "the table sessions is empty" in log


def test_an_older_disk_is_brought_up_from_the_changelog(deployment: Deployment) -> None:
    traffic = simulated_traffic(3_000)
    deployment.start("one")
    deployment.send(traffic[:1_000])
    deployment.logs.settle()
    deployment.stop("one")
    folder = deployment.folder_of("one")
    shutil.copytree(folder, folder.with_suffix(".old"))
    deployment.start("one")
    deployment.send(traffic[1_000:2_000])
    deployment.logs.settle()
    deployment.kill("one")
    shutil.rmtree(folder)
    folder.with_suffix(".old").rename(folder)
    deployment.start("one")
    deployment.send(traffic[2_000:])
    deployment.logs.settle()
    assert differences(deployment.logs) == []


def test_a_paused_worker_that_wakes_up_late_changes_no_count(deployment: Deployment) -> None:
    traffic = simulated_traffic(9_000)
    deployment.start("one", "two")
    deployment.send(traffic[:4_000])
    deployment.wait_for("suggestions", 500)
    paused = deployment.workers.pop("one")
    os.kill(paused.pid, signal.SIGSTOP)
    deployment.send(traffic[4_000:6_000])
    deployment.wait_for_ids("suggestions", 6_000)
    os.kill(paused.pid, signal.SIGCONT)
    deployment.send(traffic[6_000:])
    deployment.wait_for_ids("suggestions", 9_000)
    deployment.logs.settle()
    assert differences(deployment.logs, may_be_published_twice=True) == []
