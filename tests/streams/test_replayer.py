import gzip
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from models.errors import BrokerError, RecordingError
from models.recordings.record import Recorded
from models.records import Kind
from streams.replayer import Replayer, open_lines

TOPICS: dict[Kind, str] = {"browse": "shop-browse", "add-to-cart": "shop-cart", "orders": "shop-orders"}


class FakeProducer:
    """Acknowledges at `poll`; takes at most `room` records between two; refuses the keys in `refused`."""

    def __init__(self, room: int = 1000, refused: tuple[bytes, ...] = ()) -> None:
        self.room = room
        self.refused = refused
        self.time_s = 100.0
        self.sent: list[tuple[str, bytes, bytes]] = []
        self.times_s: list[float] = []
        self._open: list[tuple[str, bytes, Callable[[Any, Any], None]]] = []

    def produce(self, topic: str, *, key: bytes, value: bytes, on_delivery: Callable[[Any, Any], None]) -> None:
        if len(self._open) == self.room:
            raise BufferError
        self.sent.append((topic, key, value))
        self.times_s.append(self.time_s)
        self._open.append((topic, key, on_delivery))

    def poll(self, timeout: float) -> int:
        self.time_s += timeout
        served, self._open = self._open, []
        for topic, key, on_delivery in served:
            error = SimpleNamespace(str=lambda: "refused") if key in self.refused else None
            on_delivery(error, SimpleNamespace(topic=lambda topic=topic: topic))
        return len(served)

    def flush(self, timeout: float) -> int:
        self.poll(0)
        return 0

    def purge(self) -> None:
        self.refused = (*self.refused, *(key for _, key, _ in self._open))


def event(kind: Kind, session: str, time_ms: int) -> Recorded:
    return Recorded(kind, {"session_id": session, "time": time_ms}, time_ms)


def test_each_event_goes_to_its_topic_under_its_session() -> None:
    producer = FakeProducer()
    replayer = Replayer(producer, TOPICS)
    replayer.send([event("browse", "a", 1), event("orders", "b", 2), event("add-to-cart", "é", 3)])
    replayer.flush()
    assert producer.sent == [
        ("shop-browse", b"a", b'{"session_id":"a","time":1}'),
        ("shop-orders", b"b", b'{"session_id":"b","time":2}'),
        ("shop-cart", "é".encode(), '{"session_id":"é","time":3}'.encode()),
    ]
    assert replayer.sent == {"browse": 1, "orders": 1, "add-to-cart": 1}


def test_recorded_time_passes_at_the_speed_asked_for() -> None:
    producer = FakeProducer()
    replayer = Replayer(producer, TOPICS, speed=60, now=lambda: producer.time_s)
    replayer.send([event("browse", "a", time_ms) for time_ms in (500_000, 500_000, 560_000, 680_000)])
    assert producer.times_s == pytest.approx([100.0, 100.0, 101.0, 103.0])


def test_an_event_whose_time_has_passed_is_not_held_back() -> None:
    producer = FakeProducer()
    replayer = Replayer(producer, TOPICS, speed=1, now=lambda: producer.time_s)
    replayer.send([event("browse", "a", time_ms) for time_ms in (2000, 1000, 3000)])
    assert producer.times_s == pytest.approx([100.0, 100.0, 101.0])


def test_without_a_speed_nothing_waits() -> None:
    producer = FakeProducer()
    Replayer(producer, TOPICS, now=lambda: producer.time_s).send([event("browse", "a", time) for time in (0, 10**9)])
    assert producer.times_s == [100.0, 100.0]


def test_a_full_queue_is_waited_for() -> None:
    producer = FakeProducer(room=1)
    replayer = Replayer(producer, TOPICS)
    replayer.send([event("browse", str(number), number) for number in range(5)])
    replayer.flush()
    assert replayer.sent == {"browse": 5}
    assert [key for _, key, _ in producer.sent] == [b"0", b"1", b"2", b"3", b"4"]


def test_nothing_is_sent_after_a_failed_delivery_is_known() -> None:
    producer = FakeProducer(room=2, refused=(b"1",))
    replayer = Replayer(producer, TOPICS)
    with pytest.raises(BrokerError, match=r"1 events were not delivered \(refused\), 1 were"):
        replayer.send([event("browse", str(number), number) for number in range(5)])
    assert len(producer.sent) == 2


def test_a_delivery_that_fails_at_the_end_is_an_error() -> None:
    replayer = Replayer(FakeProducer(refused=(b"4",)), TOPICS)
    replayer.send([event("browse", str(number), number) for number in range(5)])
    with pytest.raises(BrokerError, match=r"1 events were not delivered \(refused\), 4 were"):
        replayer.flush()


def test_gzip_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    packed, plain = tmp_path / "recording.csv", tmp_path / "recording.csv.gz"
    packed.write_bytes(gzip.compress(b"one\r\ntwo\n"))
    plain.write_bytes(b"\xef\xbb\xbfone\ntw\xffo")
    assert list(open_lines(packed)) == ["one\n", "two\n"]
    assert list(open_lines(plain)) == ["one\n", "tw�o"]


def test_a_cut_gzip_file_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "recording.gz"
    path.write_bytes(gzip.compress(b"one\n" * 1000)[:-9])
    with pytest.raises(RecordingError, match=r"recording\.gz is damaged"):
        list(open_lines(path))


def test_a_missing_or_empty_file_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="none cannot be read: No such file"):
        open_lines(tmp_path / "none")
    (tmp_path / "empty").touch()
    with pytest.raises(RecordingError, match="empty is empty"):
        open_lines(tmp_path / "empty")
