"""A short set of drills on a real broker, and the drills' own parts without one."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from time import time

import pytest
from accidents import ACCIDENTS, schedule
from drill import Drill
from drill_traffic import Message, mixed, poison, simulated_events
from faulty_worker import Trap
from ledger import Account
from run import last_line

from models.coverage import Packed, Span
from models.errors import BadEventError
from models.parameters import DEFAULTS
from models.records import REASONS, accept
from models.suggesting import EventEntry, Suggestion
from streams.brokers.kafka import KafkaBroker
from streams.settings import Settings
from streams.wire import PACKED_EVENTS, encode_json

_NOW_MS = int(time() * 1000)
_SHORT_SET = (
    "kill at rows-uncommitted",
    "kill at forwarded-partly",
    "zombie at outputs-unacknowledged",
    "lose disk",
    "kill broker",
    "failed send",
)


@pytest.fixture(scope="module")
def drill(kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    """Three workers under traffic, on a broker that may be killed."""
    folder = tmp_path_factory.mktemp("drills")
    with KafkaBroker(folder / "kafka", heap="512m") as broker:
        drill = Drill(broker, folder / "workers", Random(1), rate=100.0)
        try:
            yield drill
        finally:
            drill.close(is_kept=True)


@pytest.mark.kafka
@pytest.mark.parametrize("name", _SHORT_SET)
def test_nothing_differs_and_nothing_is_lost_after(name: str, drill: Drill) -> None:
    (accident,) = [accident for accident in ACCIDENTS if accident.name == name]
    outcome = drill.round(accident, Random(name))
    assert outcome.differences == []
    assert outcome.lost == []
    assert "did not come" not in outcome.details
    assert outcome.events > 200


def test_the_last_line_says_rounds_differences_and_lost() -> None:
    assert last_line(100, 0, 0) == "100 rounds, 0 differences, 0 lost"


def test_every_kind_of_accident_comes_before_one_comes_again() -> None:
    kinds = list(islice(schedule(Random(3)), 2 * len(ACCIDENTS)))
    assert len({accident.name for accident in ACCIDENTS}) == len(ACCIDENTS)
    assert Counter(kinds[: len(ACCIDENTS)]) == Counter(ACCIDENTS) == Counter(kinds[len(ACCIDENTS) :])
    assert kinds == list(islice(schedule(Random(3)), len(kinds)))


def test_a_trap_springs_at_its_point_the_given_time(tmp_path: Path) -> None:
    file = tmp_path / "trap"
    trap = Trap(file)
    trap.at("fenced")
    file.write_text("fenced 2 0")  # signal 0 does nothing
    trap.at("loaded")
    trap.at("fenced")
    assert file.exists()
    trap.at("fenced")
    assert not file.exists()


def _fate(message: Message) -> str:
    kind, _, value = message
    try:
        accept(kind, value, _NOW_MS, DEFAULTS)
    except BadEventError as error:
        return error.reason
    return "accepted"


def test_traffic_holds_retries_wrong_order_wrong_clocks_and_poison() -> None:
    rng = Random(5)
    messages = list(islice(mixed(simulated_events(rng), rng), 4_000))
    assert {"accepted", "future-time", "invalid-time", "invalid-json"} <= {_fate(message) for message in messages}
    values = Counter(value for _, _, value in messages)
    assert sum(count > 1 for count in values.values()) > 50
    events = [json.loads(value) for _, _, value in messages if value and value.startswith(b'{"event_id": "shopper')]
    times = [event["time"] for event in events]
    assert times != sorted(times)
    assert Counter(key for _, key, _ in messages)[b"hot-session"] > 100
    assert {_fate(poison(rng, _NOW_MS)) for _ in range(2_000)} == set(REASONS) - {"future-time"}


def _event(number: int, offset: int) -> EventEntry:
    value = {"event_id": f"e{number}", "session_id": "s", "item_id": "tea", "time": _NOW_MS}
    return EventEntry(0, offset, _NOW_MS, accept("browse", json.dumps(value).encode(), _NOW_MS, DEFAULTS))


def _record(start: int, end: int, *entries: EventEntry) -> bytes:
    return PACKED_EVENTS.encode(Packed([Span("browse-0", start, end)], list(entries)))


def _suggestion(entry: EventEntry) -> bytes:
    event, key = entry.event, f"{entry.offset:032x}"
    return encode_json(Suggestion(key, event.event_id, "s", event.time, "browse", "tea", (), "weak-evidence"))


def test_an_account_finds_what_is_lost_and_what_stands_twice() -> None:
    account = Account(Settings(), 2)
    first, second, fourth = _event(1, 0), _event(2, 1), _event(4, 3)
    account.take("session-events", 1, _record(-1, 1, first, second), _NOW_MS)
    account.take("session-events", 1, _record(2, 3, fourth), _NOW_MS)  # a gap: of a late worker, not applied
    account.take("suggestions", 1, _suggestion(first), _NOW_MS + 2_500)
    account.take("suggestions", 1, _suggestion(first), _NOW_MS + 9_000)
    letter = json.dumps({"topic": "orders", "partition": 4, "offset": 7}).encode()
    account.take("dead-letters", 0, letter, _NOW_MS)
    acknowledged = {("browse", 0, 0), ("browse", 0, 1), ("browse", 0, 3), ("orders", 4, 7)}
    assert account.lost(acknowledged) == [
        "input ('browse', 0, 3) is neither applied nor in the dead letters",
        "event e2 of session s has no suggestion",
    ]
    assert account.second_versions == 1
    assert account.longest_wait_s(_NOW_MS) == 2.5
    assert account.longest_wait_s(_NOW_MS + 1) == 0
    assert (account.unserved(_NOW_MS), account.unserved(_NOW_MS + 1)) == ([0], [0, 1])
