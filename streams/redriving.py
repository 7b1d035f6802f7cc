"""Sends the records of dead letters again that today's rules accept, and closes their letters."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from confluent_kafka import KafkaException

from models.errors import BadEventError, BrokerError
from models.parameters import Parameters
from models.records import accept
from streams.dead_letters import REDRIVEN, OpenLetter
from streams.settings import Settings
from streams.topics import INPUTS, topic_table
from streams.wire import ELSEWHERE, DeadLetter, encode_json

__all__ = ["RedriveProducer", "Redriver", "Verdict"]

#: Letters that are sent before they are closed: so many, at most, may be sent twice after a crash in between.
_AT_ONCE: Final = 100

#: Seconds until what was sent must be acknowledged; the producer itself gives up a little sooner.
_DELIVERY_S: Final = 31.0


class Verdict(NamedTuple):
    """What became of a letter: sent again (`refusal` None), or why today's rules still refuse it."""

    letter: DeadLetter
    refusal: str | None
    detail: str


class RedriveProducer(Protocol):
    """The part of `confluent_kafka.Producer` that a `Redriver` uses."""

    def produce(
        self, topic: str, *, key: bytes | None, value: bytes, partition: int, on_delivery: Callable[[Any, Any], None]
    ) -> None:
        """Queue one record."""

    def flush(self, timeout: float) -> int:
        """Wait for all delivery reports, at most `timeout` seconds; return how many are missing."""


class Redriver:
    """Sends refused records again, with their key and value, to the partition that they came from.

    Parameters
    ----------
    producer : RedriveProducer or None
        Without one nothing is sent: the verdicts are those of a dry run.
    parameters : Parameters
        Today's rules.
    now_ms : callable
        The time that the records get which are sent again.
    """

    def __init__(
        self,
        settings: Settings,
        producer: RedriveProducer | None,
        parameters: Parameters,
        now_ms: Callable[[], int],
    ) -> None:
        table = topic_table(settings)
        self._kinds = {table[kind].name: kind for kind in INPUTS}
        self._letters_topic = table["dead-letters"].name
        self._producer = producer
        self._parameters = parameters
        self._now_ms = now_ms

    def send(self, letters: Sequence[OpenLetter]) -> list[Verdict]:
        """Send those of the letters again that are accepted now, and close them.

        Raises
        ------
        BrokerError
            If a record is not acknowledged; those that were are closed.
        """
        verdicts = []
        for start in range(0, len(letters), _AT_ONCE):
            few = letters[start : start + _AT_ONCE]
            judged = [self._judge(each.letter) for each in few]
            if self._producer is not None:
                accepted = [each for each, verdict in zip(few, judged, strict=True) if verdict.refusal is None]
                self._resend(self._producer, accepted)
            verdicts += judged
        return verdicts

    def _judge(self, letter: DeadLetter) -> Verdict:
        kind = self._kinds.get(letter.topic)
        if kind is None:
            return Verdict(letter, "unknown-topic", f"{letter.topic} is not an input topic of these settings")
        if letter.value is None and letter.detail.endswith(ELSEWHERE):
            return Verdict(letter, letter.reason, letter.detail)
        try:
            accept(kind, letter.value, self._now_ms(), self._parameters)
        except BadEventError as error:
            return Verdict(letter, error.reason, error.detail)
        return Verdict(letter, None, "")

    def _resend(self, producer: RedriveProducer, letters: Sequence[OpenLetter]) -> None:
        records = _Sending(producer)
        for letter, _ in letters:
            records.add(letter.topic, letter.partition, letter.key, letter.value or b"")
        records.finish()
        closing = _Sending(producer)
        for (letter, partition), place in zip(letters, records.places, strict=True):
            if place is not None:
                detail = f"sent again as {letter.topic}/{letter.partition}@{place}"
                closed = DeadLetter(REDRIVEN, detail, letter.topic, letter.partition, letter.offset, letter.timestamp)
                closing.add(self._letters_topic, partition, letter.key, encode_json(closed))
        closing.finish()
        for sending in (records, closing):
            sending.require_all()


class _Sending:
    """Records on their way; `places` holds the offset of each that was acknowledged."""

    def __init__(self, producer: RedriveProducer) -> None:
        self.places: list[int | None] = []
        self._producer = producer
        self._failure = "no answer"

    def add(self, topic: str, partition: int, key: bytes | None, value: bytes) -> None:
        at = len(self.places)
        self.places.append(None)

        def delivered(error: Any, message: Any) -> None:
            if error is None:
                self.places[at] = message.offset()
            else:
                self._failure = error.str()

        try:
            self._producer.produce(topic, key=key, value=value, partition=partition, on_delivery=delivered)
        except KafkaException as error:
            self._failure = error.args[0].str()

    def finish(self) -> None:
        self._producer.flush(_DELIVERY_S)

    def require_all(self) -> None:
        if lost := self.places.count(None):
            raise BrokerError(
                f"{lost:,} of {len(self.places):,} records were not acknowledged ({self._failure}); what was is not"
                " sent a second time: run the command again"
            )
