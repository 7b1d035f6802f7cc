"""The one table of topics: name, key, content, partitions, retention."""

from dataclasses import dataclass
from enum import Enum

from models.records import KINDS
from streams.settings import Settings

__all__ = ["INPUTS", "MAX_RECORD_BYTES", "TABLES", "Role", "Topic", "changelog_name", "topic_table"]

#: The largest record batch in bytes. A packed record is made from at most 4,000 lines (`streams.batching.cut`): with
#: orders of a hundred items they give pairs of 5.6 MB, if all are for one partition.
MAX_RECORD_BYTES = 8 * 1024 * 1024

#: The tables of the stages suggest, learn and measure, in the data's order.
TABLES = ("sessions", "cooccurrence", "kpi")

#: The three input topics, by the kind of their events.
INPUTS = KINDS

#: Of a changelog, whose newest segment is never compacted: with the broker's default of a gigabyte, a start would read
#: as much of every partition.
_SEGMENT_BYTES = 64 * 1024 * 1024

_DAY_MS = 24 * 3600 * 1000


class Role(Enum):
    """What a topic is for; only an input's partition count and key are the shop's own affair."""

    INPUT = "input"
    INTERNAL = "internal"
    OUTPUT = "output"
    CHANGELOG = "changelog"


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the table of topics."""

    name: str
    role: Role
    key: str
    content: str
    config: dict[str, str]


def changelog_name(settings: Settings, table: str) -> str:
    """Return the name that Faust gives to the changelog of a table."""
    return f"{settings.group_id}-{table}-changelog"


def topic_table(settings: Settings) -> dict[str, Topic]:
    """Return every topic of a deployment, by its role's name in this table (``browse`` … ``kpi-changelog``)."""
    week = {"cleanup.policy": "delete", "retention.ms": str(7 * _DAY_MS)}
    packed = week | {"max.message.bytes": str(MAX_RECORD_BYTES)}
    compacted = {
        "cleanup.policy": "compact",
        "max.message.bytes": str(MAX_RECORD_BYTES),
        "segment.bytes": str(_SEGMENT_BYTES),
    }
    rows = (
        ("browse", settings.topic_browse, Role.INPUT, "any", "JSON, one product view", week),
        ("add-to-cart", settings.topic_add_to_cart, Role.INPUT, "any", "JSON, one cart change", week),
        ("orders", settings.topic_orders, Role.INPUT, "any", "JSON, one order", week),
        ("dead-letters", settings.topic_dead_letters, Role.OUTPUT, "as the event's", "JSON, one refused event", packed),
        ("session-events", settings.topic_session_events, Role.INTERNAL, "session", "packed accepted events", packed),
        ("pairs", settings.topic_pairs, Role.INTERNAL, "anchor item", "packed row increments", packed),
        ("tallies", settings.topic_tallies, Role.INTERNAL, "window", "packed KPI increments", packed),
        ("suggestions", settings.topic_suggestions, Role.OUTPUT, "session", "JSON, one suggestion", week),
        ("acceptance", settings.topic_acceptance, Role.OUTPUT, "session", "JSON, one outcome", week),
        (
            "acceptance-metrics",
            settings.topic_acceptance_metrics,
            Role.OUTPUT,
            "window",
            "JSON, one window's totals",
            week,
        ),
    )
    table = {
        row: Topic(settings.topic_prefix + name, role, key, content, config)
        for row, name, role, key, content, config in rows
    }
    for name in TABLES:
        table[f"{name}-changelog"] = Topic(
            changelog_name(settings, name), Role.CHANGELOG, "row", f"rows and mark of the table {name}", compacted
        )
    return table
