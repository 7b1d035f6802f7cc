"""A short run of `make fuzz`: nothing leaves a stage, and every input is applied or in the dead letters."""

import json
from collections.abc import Iterator

import pytest
from campaign import fuzz_door, fuzz_worker
from fuzzed_worker import FuzzedWorker, run_rounds
from memory_log import run
from memory_worker import Deployment, MemoryWorker, event
from mutator import T0_MS, Input, Mutator
from oracles import check_input

from models.coverage import Packed, Span
from models.errors import InvariantError
from models.records import REASONS
from models.suggesting import EventEntry
from streams.brokers.embedded import EmbeddedBroker
from streams.settings import Settings
from streams.topics import MAX_RECORD_BYTES, topic_table
from streams.wire import PACKED_EVENTS


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as running:
        running.create_topics(topic.name for topic in topic_table(Settings()).values())
        yield running


# -- the two runs


def test_whatever_comes_the_door_accepts_it_or_names_one_of_its_reasons() -> None:
    outcome = fuzz_door(10_000, seed=2)
    assert outcome.failure is None
    assert outcome.events == outcome.counts.total() == 10_000
    assert outcome.counts.keys() == {"applied", *REASONS}
    assert outcome.counts["applied"] > 3_000


def test_whatever_comes_the_stages_apply_it_or_set_it_aside_once() -> None:
    outcome = fuzz_worker(10_000, seed=3)
    assert outcome.failure is None
    assert outcome.events == outcome.counts.total() == 10_000
    assert outcome.counts["applied"] > 3_000
    assert outcome.line().startswith(f"10,000 events: {outcome.counts['applied']:,} applied, ")
    assert outcome.line().endswith(", 0 failures")
    assert {"suggestions", "acceptance", "acceptance-metrics", "pairs", "sessions", "kpi"} <= outcome.largest.keys()


def test_the_same_seed_makes_the_same_inputs() -> None:
    one, same, other = Mutator(5), Mutator(5), Mutator(6)
    inputs = [one.next() for _ in range(300)]
    assert inputs == [same.next() for _ in range(300)]
    assert inputs != [other.next() for _ in range(300)]


def test_a_failure_is_reported_with_the_smallest_input_that_fails() -> None:
    def check(given: Input) -> str | None:
        assert b"check-out" not in (given.value or b"")
        return check_input(given)

    outcome = fuzz_door(10_000, seed=2, check=check)
    assert outcome.failure is not None
    assert "AssertionError" in outcome.failure
    assert "value=b'check-out'" in outcome.failure
    assert outcome.line().endswith(", 1 failures")


# -- the heaviest input


def test_the_records_of_the_heaviest_batches_stay_below_the_limit(broker: EmbeddedBroker) -> None:
    """Orders of a hundred items with the shortest ids: the most increments that the lines of a record can bring."""
    lines = [{"item_id": chr(33 + at)} for at in range(94) if chr(33 + at) not in '"\\'] * 2

    def order(number: int) -> Input:
        message = {"event_id": f"{number}", "session_id": "s", "time": T0_MS, "order_id": f"{number}"}
        value = json.dumps(message | {"lines": lines[:100]}, separators=(",", ":")).encode()
        return Input("orders", b"s", value, T0_MS)

    worker = FuzzedWorker(broker, partitions=1)
    run_rounds(worker, [[(order(number), 0) for number in range(200)]], reload_every=1)
    assert worker.counts == {"applied": 200}
    assert MAX_RECORD_BYTES // 8 < worker.largest["pairs"] < MAX_RECORD_BYTES


# -- what somebody else has written to an internal log

_EVENT = Packed([Span("browse-0", -1, 0)], [EventEntry(0, 0, T0_MS, event("s", "e", "tea"))])
_DAMAGED = bytearray(PACKED_EVENTS.encode(_EVENT))
_DAMAGED[-3] ^= 1


@pytest.mark.parametrize("row", ["session-events", "pairs", "tallies"])
@pytest.mark.parametrize("value", [None, b"", b'{"event_id": "e1"}', b"\x04", bytes(_DAMAGED)], ids=repr)
def test_a_foreign_or_damaged_record_stops_its_stage_in_one_sentence_and_changes_nothing(
    row: str, value: bytes | None
) -> None:
    async def test() -> None:
        deployment = Deployment(partitions=1)
        worker = MemoryWorker(deployment)
        await worker.take_over()
        deployment.log.append(row, 0, [(None, value)])
        stage = next(stage for stage in worker.table_stages if stage.log == row)
        with pytest.raises(InvariantError, match=r"^a packed record (is empty|starts with|is damaged)"):
            await stage.handle(worker.batch(stage))
        assert not stage.shards[0].keys
        assert await worker.flush(*worker.table_stages) == {}
        await worker.stop()

    run(test)


def test_a_record_of_an_origin_that_is_no_input_stops_suggest_in_one_sentence_and_changes_nothing() -> None:
    async def test() -> None:
        deployment = Deployment(partitions=1)
        worker = MemoryWorker(deployment)
        await worker.take_over()
        foreign = Packed([Span("elsewhere", -1, 0)], _EVENT.entries)
        deployment.log.append("session-events", 0, [(None, PACKED_EVENTS.encode(foreign))])
        with pytest.raises(InvariantError, match="comes from 'elsewhere', which is no partition of an input"):
            await worker.suggest.handle(worker.batch(worker.suggest))
        assert not worker.suggest.shards[0].keys
        assert await worker.flush(*worker.table_stages) == {}
        await worker.stop()

    run(test)
