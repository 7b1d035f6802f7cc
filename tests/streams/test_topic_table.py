"""The table of topics: every topic once, and each holds what is written to it."""

import os

import pytest

from models.door import InputRecord, Rejected
from models.records import MESSAGE_BYTES_MAX
from streams.settings import Settings
from streams.topics import INPUTS, MAX_RECORD_BYTES, TABLES, Role, changelog_name, topic_table
from streams.wire import dead_letter

TABLE = topic_table(Settings())
#: What a broker allows a record batch where a topic says nothing.
BROKER_BYTES_MAX = 1024 * 1024 + 12


def test_the_topics_are_those_of_the_data_path() -> None:
    roles = {
        Role.INPUT: {"browse", "add-to-cart", "orders"},
        Role.INTERNAL: {"session-events", "pairs", "tallies"},
        Role.OUTPUT: {"dead-letters", "suggestions", "acceptance", "acceptance-metrics"},
        Role.CHANGELOG: {"sessions-changelog", "cooccurrence-changelog", "kpi-changelog"},
    }
    for role, rows in roles.items():
        assert {row for row, topic in TABLE.items() if topic.role is role} == rows
    assert roles[Role.INPUT] == set(INPUTS)
    assert roles[Role.CHANGELOG] == {f"{table}-changelog" for table in TABLES}


def test_a_row_is_named_like_its_topic_by_default() -> None:
    for row, topic in TABLE.items():
        assert topic.name == ("sidecart-" + row if topic.role is Role.CHANGELOG else row)


def test_no_two_topics_share_a_name_and_each_says_what_it_holds() -> None:
    assert len({topic.name for topic in TABLE.values()}) == len(TABLE)
    assert all(topic.content and topic.key for topic in TABLE.values())


def test_the_prefix_stands_before_every_name() -> None:
    settings = Settings(topic_prefix="shop.", topic_browse="views")
    table = topic_table(settings)
    assert table["browse"].name == "shop.views"
    assert table["kpi-changelog"].name == changelog_name(settings, "kpi") == "shop.sidecart-kpi-changelog"
    assert {topic.name.startswith("shop.") for topic in table.values()} == {True}


def test_the_longest_names_are_names_for_kafka() -> None:
    longest = Settings(topic_prefix="p" * 60, topic_browse="b" * 180)
    assert max(len(topic.name) for topic in topic_table(longest).values()) <= 249


def test_changelogs_are_compacted_and_never_deleted_from() -> None:
    for topic in TABLE.values():
        policy = "compact" if topic.role is Role.CHANGELOG else "delete"
        assert topic.config["cleanup.policy"] == policy
        assert ("retention.ms" in topic.config) == (policy == "delete")


def test_of_a_changelog_at_most_64_mb_a_partition_stay_uncompacted() -> None:
    for topic in TABLE.values():
        if topic.role is Role.CHANGELOG:
            assert MAX_RECORD_BYTES < int(topic.config["segment.bytes"]) <= 64 * 1024 * 1024


def test_what_sidecart_packs_may_be_as_large_as_it_packs() -> None:
    for topic in TABLE.values():
        if topic.role in (Role.INTERNAL, Role.CHANGELOG):
            assert int(topic.config["max.message.bytes"]) == MAX_RECORD_BYTES


def room_for_dead_letter(size: int, key: bytes) -> int:
    """Return the bytes left in a record of `dead-letters` that holds a refused record of this size."""
    value = os.urandom(size - len(key))  # as images or encrypted records are: no compression helps
    letter = dead_letter("browse", Rejected(InputRecord("browse", 0, 0, 0, key, value), "too-large", ""))
    return int(TABLE["dead-letters"].config.get("max.message.bytes", BROKER_BYTES_MAX)) - len(letter) - len(key) - 100


def test_an_event_that_is_just_too_large_fits_the_dead_letters() -> None:
    assert room_for_dead_letter(MESSAGE_BYTES_MAX + 1, b"session") > 0


@pytest.mark.parametrize("key_bytes", [10, 100_000])
def test_whatever_stands_in_an_input_topic_fits_the_dead_letters(key_bytes: int) -> None:
    assert room_for_dead_letter(BROKER_BYTES_MAX - 100, os.urandom(key_bytes)) > 0
