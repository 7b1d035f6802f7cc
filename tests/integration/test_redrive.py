"""`sidecart dead-letters` on a real Kafka: what stays, what is sent again, and that it counts once."""

import json
from time import time
from typing import Any

import pytest
from click.testing import CliRunner, Result
from deployment import Deployment
from recount import differences

from streams.cli.dead_letters import command

pytestmark = pytest.mark.kafka

NOTHING = "there are no such dead letters\n"


def dead_letters(deployment: Deployment, *arguments: str) -> Result:
    settings = deployment.settings
    environment = {
        "SIDECART_TOPIC_PREFIX": settings.topic_prefix,
        "SIDECART_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
    }
    result = CliRunner().invoke(command, list(arguments), env=environment)
    assert result.exception is None, result.output
    return result


def objects(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def event(number: int, time_ms: int, item: str = "tea") -> bytes:
    return json.dumps({"event_id": f"e{number}", "session_id": "s", "item_id": item, "time": time_ms}).encode()


def test_what_time_has_mended_is_sent_again_once_and_a_poisoned_message_stays(deployment: Deployment) -> None:
    prefix = deployment.settings.topic_prefix
    assert dead_letters(deployment).stdout == dead_letters(deployment, "list").stdout == NOTHING
    assert dead_letters(deployment, "redrive").stdout == NOTHING
    assert dead_letters(deployment, "list", "--json").stdout == ""

    now_ms = int(time() * 1000)
    deployment.start("one")
    # What a front-end without network has kept: its record is stamped with the time at which the shopper was there.
    early = now_ms - 1_200_000
    deployment.send_raw([("browse", b"s", event(1, now_ms - 1_000), 2)], timestamp_ms=early)
    deployment.send_raw(
        [("browse", b"s", b"\xff\x00 poison \x1b[31m", 1), ("browse", b"s", event(2, now_ms, "cup"), 2)]
    )
    deployment.wait_for("dead-letters", 2)
    deployment.wait_for("suggestions", 1)

    poisoned, ahead = objects(dead_letters(deployment, "list", "--json"))
    assert (poisoned["reason"], poisoned["partition"], poisoned["offset"]) == ("invalid-json", 1, 0)
    assert (ahead["reason"], ahead["partition"], ahead["timestamp"]) == ("future-time", 2, early)
    listed = dead_letters(deployment, "list", "--reason", "invalid-json").stdout
    assert f"{prefix}browse/1@0  invalid-json" in listed
    assert "\x1b" not in listed and "poison" in listed
    assert dead_letters(deployment, "list", "--topic", "orders").stdout == NOTHING
    assert dead_letters(deployment, "list", "--since", "10m", "--reason", "future-time").stdout == NOTHING
    assert [(group["reason"], group["count"]) for group in objects(dead_letters(deployment, "reasons", "--json"))] == [
        ("future-time", 1), ("invalid-json", 1),
    ]  # fmt: skip

    assert f"would send 1 events again to {prefix}browse\n" in dead_letters(deployment, "redrive", "--dry-run").stdout
    first = dead_letters(deployment, "redrive").stdout
    assert f"sent 1 events again to {prefix}browse\n1 are still refused and stay\n" in first
    suggestions = deployment.wait_for("suggestions", 2)
    assert {message["event_id"] for message in suggestions} == {"e1", "e2"}
    second = objects(dead_letters(deployment, "redrive", "--json"))
    assert [(one["partition"], one["sent"], one["refusal"]) for one in second] == [(1, False, "invalid-json")]
    assert "1 more were sent again" in dead_letters(deployment).stdout

    # One that had come through after all is a retry, which counts once.
    deployment.send_raw([("browse", b"s", event(1, now_ms - 1_000), 2)])
    deployment.wait_for_metric('sidecart_duplicates_total{type="browse"}', at_least=1)
    deployment.logs.settle()
    assert len(deployment.logs.values("suggestions")) == 2
    assert differences(deployment.logs) == []
