"""`sidecart dead-letters` answers a user's mistakes with one sentence, and people and programs in their own way."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer

from models.door import InputRecord, Rejected
from models.errors import BrokerError
from streams.admin import create_topics
from streams.brokers.embedded import EmbeddedBroker
from streams.cli.dead_letters import command
from streams.settings import Settings
from streams.wire import dead_letter

T0_MS = 1_767_607_200_000  # 2026-01-05T10:00:00Z


def letter(kind: Any, offset: int, reason: str, value: bytes | None, seconds: int = 0, detail: str = "why") -> bytes:
    record = InputRecord(kind, 1, offset, T0_MS + seconds * 1000, b"s1", value)
    return dead_letter(kind, Rejected(record, reason, detail))


LETTERS = [
    letter("browse", 4, "invalid-json", b"{", 1, "\x1b[31mno object"),
    letter("browse", 5, "invalid-json", b"\x07" + b"x" * 200, 3),
    letter("orders", 0, "empty-message", None, 2),
]


@pytest.fixture
def servers() -> Iterator[str]:
    with EmbeddedBroker() as broker:
        create_topics(Settings(bootstrap_servers=broker.bootstrap_servers), 4)
        yield broker.bootstrap_servers


@pytest.fixture
def refused(servers: str) -> str:
    producer = Producer({"bootstrap.servers": servers, "log_level": 0})
    for value in (*LETTERS, *LETTERS):
        producer.produce("dead-letters", value=value, partition=1)
    producer.flush()
    return servers


def run(servers: str, *arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments), env={"SIDECART_BOOTSTRAP_SERVERS": servers})


def lines(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [line.rstrip() for line in result.stdout.splitlines()]


@pytest.mark.parametrize("arguments", [[], ["list"], ["reasons"], ["redrive"], ["redrive", "--dry-run"]])
def test_without_letters_one_sentence_says_so(servers: str, arguments: list[str]) -> None:
    result = run(servers, *arguments)
    assert (result.exit_code, result.output) == (0, "there are no such dead letters\n")


def test_the_default_is_a_table_of_reasons_the_most_frequent_first(refused: str) -> None:
    expected = [
        " reason         letters  first                last                 latest",
        " invalid-json         2  2026-01-05 10:00:01  2026-01-05 10:00:03  browse/1@5  why",
        " empty-message        1  2026-01-05 10:00:02  2026-01-05 10:00:02  orders/1@0  why",
    ]
    assert lines(run(refused)) == lines(run(refused, "reasons")) == expected


def test_reasons_are_one_json_object_a_line(refused: str) -> None:
    groups = [json.loads(line) for line in lines(run(refused, "reasons", "--json"))]
    assert [(group["reason"], group["count"], group["first"], group["last"]) for group in groups] == [
        ("invalid-json", 2, T0_MS + 1_000, T0_MS + 3_000),
        ("empty-message", 1, T0_MS + 2_000, T0_MS + 2_000),
    ]
    assert groups[0]["example"]["offset"] == 5


def test_the_list_is_newest_first_and_nothing_steers_the_terminal(refused: str) -> None:
    assert lines(run(refused, "list")) == [
        "2026-01-05 10:00:03  browse/1@5  invalid-json  why",
        f"    �{'x' * 159}… (201 bytes)",
        "2026-01-05 10:00:02  orders/1@0  empty-message  why",
        "    (no value)",
        "2026-01-05 10:00:01  browse/1@4  invalid-json  �[31mno object",
        "    {",
    ]


def test_the_list_is_cut_and_says_so(refused: str) -> None:
    shown = lines(run(refused, "list", "--limit", "1"))
    assert shown[0].startswith("2026-01-05 10:00:03")
    assert shown[2:] == ["and 2 more: --limit 3"]


@pytest.mark.parametrize(
    ("flags", "offsets"),
    [
        (["--reason", "empty-message"], [0]),
        (["--topic", "browse"], [5, 4]),
        (["--since", "2026-01-05T11:00:02+01:00"], [5, 0]),
        (["--since", "1h"], []),
        (["--since", "99999d"], [5, 0, 4]),
    ],
)
def test_letters_are_chosen_by_flags(refused: str, flags: list[str], offsets: list[int]) -> None:
    found = [json.loads(line) for line in lines(run(refused, "list", "--json", *flags))]
    assert [one["offset"] for one in found] == offsets


def test_redrive_says_of_each_letter_why_it_stays(refused: str) -> None:
    assert lines(run(refused, "redrive", "--reason", "empty-message")) == [
        "2026-01-05 10:00:02  orders/1@0  stays, empty-message  the message has no value",
        "1 are still refused and stay",
    ]


@pytest.mark.parametrize(
    "flags",
    [["--since", "yesterday"], ["--since", "2026-01-05"], ["--since", "²h"], ["--reason", "other"], ["--topic", "x"]],
)
def test_wrong_flags_are_refused(flags: list[str]) -> None:
    assert CliRunner().invoke(command, ["list", *flags]).exit_code == 2


@pytest.mark.parametrize("subcommand", ["list", "reasons", "redrive"])
def test_an_unreachable_broker_is_one_sentence(subcommand: str) -> None:
    result = run("127.0.0.1:1", subcommand)
    assert isinstance(result.exception, BrokerError)
    assert str(result.exception).startswith("no Kafka broker answers at 127.0.0.1:1: start one")
