"""Recorded shop traffic, whole, through real Kafka with two workers: nothing lost, nothing twice, replicas alike."""

import os
import re
import subprocess
import sys

import pytest
from deployment import Deployment
from recorded_file import recorded_file
from recount import differences, replica_digests

pytestmark = pytest.mark.kafka

_FILES = {"taobao": "taobao/user_behavior.csv.gz", "rees46": "rees46/2019-Oct.head.csv.gz"}


@pytest.mark.parametrize("name", sorted(_FILES))
def test_whole_recording_is_counted_exactly(deployment: Deployment, name: str) -> None:
    deployment.start("one", "two")
    replay = subprocess.run(
        [sys.executable, "-m", "streams.cli.main", "replay", str(recorded_file(_FILES[name])), "--format", name],
        env=os.environ | deployment.settings.as_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    sent = {
        kind: int(count.replace(",", ""))
        for count, kind in re.findall(r"sent ([\d,]+) events to \S*?(browse|add-to-cart|orders)\n", replay.stdout)
    }
    assert "bad lines: 0" in replay.stdout
    assert sent.keys() == {"browse", "add-to-cart", "orders"}
    deployment.wait_for("suggestions", sum(sent.values()), seconds=240)
    deployment.logs.settle()
    suggestions = deployment.logs.values("suggestions")
    assert len(suggestions) == len({message["suggestion_id"] for message in suggestions}) == sum(sent.values())
    assert deployment.logs.values("dead-letters") == []
    assert differences(deployment.logs) == []
    # How many there are of the rarer stages depends on how far the replica is when a session is served.
    stages = {outcome["stage"] for outcome in deployment.logs.values("acceptance")}
    assert {"viewed"} <= stages <= {"viewed", "added", "ordered"}
    assert len(replica_digests(deployment.replicas())) == 1
