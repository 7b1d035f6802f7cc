"""Open letters are read once each; what today's rules accept is sent again once, the rest stays."""

import asyncio
import json
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import pytest
from memory_log import T0_MS, MemoryConsumer, MemoryLog

from models.door import InputRecord, Rejected
from models.errors import BrokerError
from models.parameters import DEFAULTS
from streams.changelog import LogReader
from streams.dead_letters import REDRIVEN, DeadLetters, OpenLetter, Wanted
from streams.redriving import Redriver, Verdict
from streams.settings import Settings
from streams.wire import ELSEWHERE, dead_letter, decode_dead_letter

SETTINGS = Settings(topic_prefix="shop-")
BROWSE, ORDERS, LETTERS = "shop-browse", "shop-orders", "shop-dead-letters"
NOW_MS = T0_MS + 3_600_000
AHEAD = {"event_id": "e1", "session_id": "s1", "item_id": "tea", "time": T0_MS + 700_000}


class Producer:
    """A producer into the log in memory, which loses what a test wants lost."""

    def __init__(self, log: MemoryLog, loses: Callable[[str, bytes], bool] = lambda topic, value: False) -> None:
        self.sent: list[tuple[str, int, bytes | None, bytes]] = []
        self._log = log
        self._loses = loses
        self._reports: list[Callable[[], None]] = []

    def produce(self, topic: str, *, key: bytes | None, value: bytes, partition: int, on_delivery: Any) -> None:
        if self._loses(topic, value):
            self._reports.append(lambda: on_delivery(Answer("timed out"), None))
            return
        offset = self._log.append(topic, partition, [(key, value)], NOW_MS)
        self.sent.append((topic, partition, key, value))
        self._reports.append(lambda: on_delivery(None, Answer(offset=offset)))

    def flush(self, timeout: float) -> int:
        for report in self._reports:
            report()
        self._reports.clear()
        return 0


class Answer:
    """A delivered message, or an error."""

    def __init__(self, text: str = "", offset: int = -1) -> None:
        self.str = lambda: text
        self.offset = lambda: offset


class Shop:
    """A log with dead letters as ingest writes them."""

    def __init__(self, partitions: int = 2) -> None:
        self.log = MemoryLog()
        self.partitions = partitions
        self.steps: list[tuple[int, int]] = []

    def refuse(
        self,
        offset: int,
        reason: str = "future-time",
        *,
        kind: Any = "browse",
        partition: int = 0,
        value: bytes | None = json.dumps(AHEAD).encode(),
        timestamp_ms: int = T0_MS,
        detail: str = "why",
    ) -> None:
        rejected = Rejected(InputRecord(kind, partition, offset, timestamp_ms, b"s1", value), reason, detail)
        letter = dead_letter(f"shop-{kind}", rejected)
        self.log.append(LETTERS, partition % self.partitions, [(b"s1", letter)], timestamp_ms)

    def letters(self) -> DeadLetters:
        reader = LogReader(lambda: MemoryConsumer(self.log))  # type: ignore[arg-type,return-value]
        return DeadLetters(SETTINGS, reader, self.partitions, lambda records, done: self.steps.append((records, done)))

    def open(self, wanted: Wanted = Wanted()) -> list[OpenLetter]:  # noqa: B008  immutable
        found: list[OpenLetter] = []
        asyncio.run(self.letters().read(wanted, found.extend))
        return found

    def places(self, wanted: Wanted = Wanted()) -> list[tuple[str, int, int]]:  # noqa: B008  immutable
        return [(letter.topic, letter.partition, letter.offset) for letter, _ in self.open(wanted)]

    def redrive(self, producer: Producer | None, wanted: Wanted = Wanted()) -> list[Verdict]:  # noqa: B008  immutable
        verdicts: list[Verdict] = []
        redriver = Redriver(SETTINGS, producer, DEFAULTS, lambda: NOW_MS)

        def take(found: Sequence[OpenLetter]) -> None:
            verdicts.extend(redriver.send(found))

        asyncio.run(self.letters().read(wanted, take))
        return verdicts


# -- reading


def test_without_letters_there_is_nothing_to_read() -> None:
    assert Shop().open() == []


def test_every_letter_is_read_with_what_it_holds() -> None:
    shop = Shop()
    shop.refuse(7, partition=3, value=b"\xff\0", detail="é")
    [(letter, partition)] = shop.open()
    assert (letter.key, letter.value, letter.detail, letter.timestamp) == (b"s1", b"\xff\0", "é", T0_MS)
    assert partition == 1


def test_a_letter_that_was_written_again_after_a_crash_counts_once() -> None:
    shop = Shop()
    for offset in (3, 5, 3, 5, 8):
        shop.refuse(offset)
    shop.refuse(3, kind="orders")
    shop.refuse(3, partition=2)
    assert shop.places() == [(BROWSE, 0, 3), (BROWSE, 0, 5), (BROWSE, 0, 8), (ORDERS, 0, 3), (BROWSE, 2, 3)]


def test_what_no_sidecart_has_written_is_left_out() -> None:
    shop = Shop()
    shop.log.append(LETTERS, 0, [(b"k", None), (None, b"{"), (None, b"\xff"), (None, b"{}")])
    shop.refuse(1)
    assert shop.places() == [(BROWSE, 0, 1)]


def test_letters_that_retention_has_taken_are_gone() -> None:
    shop = Shop()
    for offset in range(4):
        shop.refuse(offset)
    shop.log.cut(LETTERS, 0, 3)
    assert shop.places() == [(BROWSE, 0, 3)]


def test_letters_are_chosen_by_reason_topic_and_time() -> None:
    shop = Shop()
    shop.refuse(1, "invalid-json", timestamp_ms=T0_MS)
    shop.refuse(2, "invalid-field", timestamp_ms=T0_MS + 1)
    shop.refuse(3, "invalid-field", kind="orders", timestamp_ms=T0_MS + 2)
    for wanted, offsets in (
        (Wanted(["invalid-field"]), [2, 3]),
        (Wanted(["invalid-field", "invalid-json"], [BROWSE]), [1, 2]),
        (Wanted(topics=[ORDERS]), [3]),
        (Wanted(since_ms=T0_MS + 1), [2, 3]),
        (Wanted(since_ms=T0_MS + 3), []),
    ):
        assert [letter.offset for letter, _ in shop.open(wanted)] == offsets


def test_progress_is_told_in_records_and_partitions() -> None:
    shop = Shop()
    shop.refuse(1)
    shop.open()
    assert tuple(map(sum, zip(*shop.steps, strict=True))) == (2, shop.letters().steps)


# -- redriving


def test_what_is_accepted_now_is_sent_again_as_it_was_where_it_was_and_is_closed() -> None:
    shop = Shop()
    shop.refuse(7, partition=3)
    producer = Producer(shop.log)
    [verdict] = shop.redrive(producer)
    assert verdict.refusal is None
    (first, closing) = producer.sent
    assert first == (BROWSE, 3, b"s1", json.dumps(AHEAD).encode())
    assert closing[:3] == (LETTERS, 1, b"s1")
    closed = decode_dead_letter(closing[3])
    assert closed is not None
    assert (closed.reason, closed.topic, closed.partition, closed.offset) == (REDRIVEN, BROWSE, 3, 7)
    assert closed.detail == "sent again as shop-browse/3@0"
    assert shop.open() == []


def test_nothing_is_sent_twice() -> None:
    shop = Shop()
    shop.refuse(1)
    shop.refuse(2, "invalid-json", value=b"{")
    first, second = Producer(shop.log), Producer(shop.log)
    assert [verdict.refusal for verdict in shop.redrive(first)] == [None, "invalid-json"]
    assert [verdict.refusal for verdict in shop.redrive(second)] == ["invalid-json"]
    assert (len(first.sent), second.sent) == (2, [])
    letters = shop.letters()
    asyncio.run(letters.read(Wanted(), lambda found: None))
    assert letters.closed == 1


def test_a_letter_written_again_after_it_was_closed_stays_closed() -> None:
    shop = Shop()
    shop.refuse(1)
    shop.redrive(Producer(shop.log))
    shop.refuse(1)
    assert shop.open() == []


def test_a_dry_run_sends_nothing_and_says_the_same() -> None:
    shop = Shop()
    shop.refuse(1)
    shop.refuse(2, "invalid-json", value=b"{")
    before = shop.log.end(LETTERS, 0)
    assert [verdict.refusal for verdict in shop.redrive(None)] == [None, "invalid-json"]
    assert shop.log.end(LETTERS, 0) == before


def test_only_the_chosen_are_sent() -> None:
    shop = Shop()
    shop.refuse(1, "invalid-field")
    shop.refuse(2)
    shop.redrive(Producer(shop.log), Wanted(["future-time"]))
    assert shop.places() == [(BROWSE, 0, 1)]


@pytest.mark.parametrize(
    ("reason", "value", "detail", "refusal"),
    [
        ("empty-message", None, "why", "empty-message"),
        ("too-large", None, "why" + ELSEWHERE, "too-large"),
        ("future-time", json.dumps(AHEAD | {"time": NOW_MS + 600_001}).encode(), "why", "future-time"),
        ("future-time", json.dumps(AHEAD | {"quantity": 0}).encode(), "why", "invalid-field"),
    ],
)
def test_what_is_refused_today_stays_with_todays_reason(
    reason: str, value: bytes | None, detail: str, refusal: str
) -> None:
    shop = Shop()
    shop.refuse(1, reason, value=value, detail=detail)
    [verdict] = shop.redrive(Producer(shop.log))
    assert verdict.refusal == refusal
    assert verdict.detail
    assert shop.places() == [(BROWSE, 0, 1)]


def test_a_letter_of_a_topic_that_is_no_input_any_more_stays() -> None:
    shop = Shop()
    rejected = Rejected(InputRecord("browse", 0, 1, T0_MS, None, json.dumps(AHEAD).encode()), "future-time", "why")
    shop.log.append(LETTERS, 0, [(None, dead_letter("views", rejected))])
    [verdict] = shop.redrive(Producer(shop.log))
    assert (verdict.refusal, verdict.detail) == ("unknown-topic", "views is not an input topic of these settings")


def test_what_was_not_acknowledged_stays_open_and_what_was_is_closed() -> None:
    shop = Shop()
    for offset in range(3):
        shop.refuse(offset, value=json.dumps(AHEAD | {"event_id": f"e{offset}"}).encode())
    with pytest.raises(BrokerError, match=r"^1 of 3 records were not acknowledged \(timed out\)"):
        shop.redrive(Producer(shop.log, lambda topic, value: topic == BROWSE and b'"e1"' in value))
    assert shop.places() == [(BROWSE, 0, 1)]


def test_a_hundred_are_sent_and_closed_before_the_next() -> None:
    shop = Shop()
    for offset in range(250):
        shop.refuse(offset)
    producer = Producer(shop.log)
    Redriver(SETTINGS, producer, DEFAULTS, lambda: NOW_MS).send(shop.open())
    topics = [(topic, len(list(sent))) for topic, sent in groupby(producer.sent, key=lambda record: record[0])]
    assert topics == [(BROWSE, 100), (LETTERS, 100), (BROWSE, 100), (LETTERS, 100), (BROWSE, 50), (LETTERS, 50)]


def test_a_letter_that_could_not_be_closed_stays_open() -> None:
    shop = Shop()
    shop.refuse(1)
    with pytest.raises(BrokerError, match="1 of 1 records were not acknowledged"):
        shop.redrive(Producer(shop.log, lambda topic, value: topic == LETTERS))
    assert shop.places() == [(BROWSE, 0, 1)]


def test_letters_that_come_while_they_are_redriven_wait_for_the_next_time() -> None:
    shop = Shop()
    shop.refuse(1)
    producer = Producer(shop.log)
    send = producer.produce

    def refused_again(topic: str, **arguments: Any) -> None:
        send(topic, **arguments)
        if topic == BROWSE and shop.log.end(BROWSE, 0) < 5:
            shop.refuse(shop.log.end(BROWSE, 0) + 10)

    producer.produce = refused_again  # type: ignore[method-assign]
    assert len(shop.redrive(producer)) == 1
    assert len(shop.open()) == 1
