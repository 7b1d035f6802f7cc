"""Dead letters: which are open.

A letter is open until a closing one of reason ``redriven``, of the same topic, partition and offset, stands behind it
in its partition. That is written once the record that was sent again is acknowledged. So it is known without a look
into the input topics what was sent again, for as long as the letter itself is kept.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple

from aiokafka.structs import ConsumerRecord

from streams.changelog import LogReader
from streams.settings import Settings
from streams.topics import topic_table
from streams.whole_topic import read_topic
from streams.wire import DeadLetter, decode_dead_letter

__all__ = ["REDRIVEN", "DeadLetters", "OpenLetter", "Wanted"]

#: The reason of a closing letter.
REDRIVEN: Final = "redriven"

_Place = tuple[str, int, int]


class OpenLetter(NamedTuple):
    """A letter and the partition of `dead-letters` in which it stands."""

    letter: DeadLetter
    partition: int


class Wanted(NamedTuple):
    """Which letters: of any of these reasons and topics (none: all), of records stamped since then, in ms."""

    reasons: Collection[str] = ()
    topics: Collection[str] = ()
    since_ms: int | None = None

    def admits(self, letter: DeadLetter) -> bool:
        """Tell whether a letter is one of these."""
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (not self.topics or letter.topic in self.topics)
            and (self.since_ms is None or letter.timestamp >= self.since_ms)
        )


class DeadLetters:
    """Reads the topic `dead-letters` as it is at the moment, twice: what is closed stands behind what it closes.

    Parameters
    ----------
    settings : Settings
        Says where the broker is and what the topics are called.
    partitions : int
        Partitions of `dead-letters`.
    on_progress : callable
        Called with the number of records read since the last call and of partitions finished since then.

    Attributes
    ----------
    closed : int
        After `read`: letters, wanted or not, that were sent again.
    """

    def __init__(
        self, settings: Settings, reader: LogReader, partitions: int, on_progress: Callable[[int, int], None]
    ) -> None:
        self.closed = 0
        self._settings = settings
        self._reader = reader
        self._partitions = partitions
        self._on_progress = on_progress
        self._topic = topic_table(settings)["dead-letters"].name

    @property
    def steps(self) -> int:
        """How many partitions `read` finishes."""
        return 2 * self._partitions

    async def read(self, wanted: Wanted, apply: Callable[[Sequence[OpenLetter]], None]) -> None:
        """Hand the open letters that are wanted to `apply`, each once, of each partition in order.

        A letter that a crashed worker has written again counts once: the letters of an input partition stand in one
        partition, in its order, so that one with an offset met before is a repeat. What comes in while this reads,
        and what no Sidecart has written, is left out.

        Raises
        ------
        BrokerError
            If the broker refuses, or is silent for 15 s.
        """
        closed: set[_Place] = set()
        ends: dict[int, int] = {}
        newest: dict[tuple[str, int], int] = {}

        def note(records: Sequence[ConsumerRecord]) -> None:
            ends[records[-1].partition] = records[-1].offset
            for record in records:
                letter = decode_dead_letter(record.value)
                if letter is not None and letter.reason == REDRIVEN:
                    closed.add(_place(letter))

        def hand_over(records: Sequence[ConsumerRecord]) -> None:
            found = []
            for record in records:
                letter = decode_dead_letter(record.value)
                if letter is None or letter.reason == REDRIVEN or record.offset > ends.get(record.partition, -1):
                    continue
                origin = (letter.topic, letter.partition)
                if letter.offset <= newest.get(origin, -1):
                    continue
                newest[origin] = letter.offset
                if _place(letter) not in closed and wanted.admits(letter):
                    found.append(OpenLetter(letter, record.partition))
            if found:
                apply(found)

        for step in (note, hand_over):
            await read_topic(
                self._settings, self._reader, self._topic, range(self._partitions), step, self._on_progress
            )
        self.closed = len(closed)


def _place(letter: DeadLetter) -> _Place:
    return letter.topic, letter.partition, letter.offset
