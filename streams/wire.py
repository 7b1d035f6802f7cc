"""Bytes on the topics and in the tables: packed records, rows, marks and the JSON of the public topics.

Internal records are msgpack arrays, in front the layout's version as one byte, as it is of a table's mark, which
speaks for the rows too, and the array's CRC-32 as four: a record that is foreign or damaged is refused, not applied.

    session-events   [spans, [[span, offset, timestamp_ms, event], …]]              `models.suggesting.EventEntry`
    pairs            [spans, [[span, offset, time_ms, timestamp_ms, increment], …], rows_max]
                                                                                    `models.learning.PackedPairs`
    tallies          [spans, [[span, offset, tally], …]]                            `models.measuring.TallyEntry`

    span             [origin, start, end]: covers origin offsets (start, end]

A table's keys are one letter and the row's id: ``r`` for a row, ``m`` alone for the mark.

A message of `suggestions` names in the header ``log-offset`` the record of `session-events` that holds its event.
"""

import base64
import zlib
from typing import Any, Generic, TypeVar

import msgspec

from models.cooccurrence import Row
from models.coverage import Packed
from models.door import Rejected
from models.errors import AccidentError, InvariantError
from models.kpi import Window
from models.learning import PackedPairs
from models.measuring import TallyEntry
from models.session import Session
from models.suggesting import EventEntry, Suggestion
from streams.topics import MAX_RECORD_BYTES

__all__ = [
    "ELSEWHERE",
    "MARK_KEY",
    "PACKED_EVENTS",
    "PACKED_PAIRS",
    "PACKED_TALLIES",
    "ROWS",
    "DeadLetter",
    "DoorMark",
    "Mark",
    "PackedCodec",
    "RowCodec",
    "dead_letter",
    "decode_dead_letter",
    "decode_door_mark",
    "decode_mark",
    "decode_suggestion",
    "encode_door_mark",
    "encode_json",
    "encode_mark",
    "row_id",
    "row_key",
]

_VERSION = b"\x03"
_CHECKSUM_BYTES = 4

#: Bytes of a refused record that a dead letter holds; base64 makes a third more of them.
_LETTER_BYTES_MAX = MAX_RECORD_BYTES * 5 // 8

#: The end of the detail of a dead letter without its record.
ELSEWHERE = "; it is only in the input topic"

#: Header of a suggestion.
LOG_OFFSET = "log-offset"

MARK_KEY = b"m"
_ROW_LETTER = b"r"

PackedT = TypeVar("PackedT", bound=Packed[Any])
RowT = TypeVar("RowT")

_pack = msgspec.msgpack.Encoder()
_json = msgspec.json.Encoder()


class PackedCodec(Generic[PackedT]):
    """Encodes and decodes the packed records of one internal topic."""

    def __init__(self, packed: type[PackedT]) -> None:
        self._decoder: msgspec.msgpack.Decoder[PackedT] = msgspec.msgpack.Decoder(packed)

    def encode(self, packed: PackedT) -> bytes:
        """Return the record's value."""
        content = _pack.encode(packed)
        return _VERSION + _checksum(content) + content

    def decode(self, value: bytes | None) -> PackedT:
        """Read a record's value; raises InvariantError for bytes that no Sidecart wrote."""
        if not value:
            raise InvariantError("a packed record is empty: somebody else has written to an internal topic")
        if value[:1] != _VERSION:
            raise InvariantError(
                f"a packed record starts with {value[:1]!r}, not with version {_VERSION!r}: another program or version"
                " has written to an internal topic"
            )
        content = memoryview(value)[1 + _CHECKSUM_BYTES :]
        if value[1 : 1 + _CHECKSUM_BYTES] != _checksum(content):
            raise InvariantError("a packed record is damaged: its checksum is that of another content")
        try:
            return self._decoder.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvariantError(f"a packed record cannot be read: {error}") from error


def _checksum(content: bytes | memoryview) -> bytes:
    return zlib.crc32(content).to_bytes(_CHECKSUM_BYTES)


PACKED_EVENTS = PackedCodec(Packed[EventEntry])
PACKED_PAIRS = PackedCodec(PackedPairs)
PACKED_TALLIES = PackedCodec(Packed[TallyEntry])


class RowCodec(Generic[RowT]):
    """Encodes and decodes the rows of one table."""

    def __init__(self, row: type[RowT]) -> None:
        self._decoder: msgspec.msgpack.Decoder[RowT] = msgspec.msgpack.Decoder(row)

    def encode(self, row: RowT) -> bytes:
        """Return the value of a row."""
        return _pack.encode(row)

    def decode(self, value: bytes) -> RowT:
        """Read the value of a row; raises AccidentError for bytes that no Sidecart wrote."""
        try:
            return self._decoder.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise AccidentError(
                f"a row of a table cannot be read ({error}): remove the worker's state folder, and if that does not"
                " help, start anew with another topic_prefix"
            ) from error


#: The codec of each table's rows.
ROWS: dict[str, RowCodec[Any]] = {
    "sessions": RowCodec(Session),
    "cooccurrence": RowCodec(Row),
    "kpi": RowCodec(Window),
}


def row_key(row: str) -> bytes:
    """Return the key of a row in table and changelog."""
    return _ROW_LETTER + row.encode()


def row_id(key: bytes) -> str | None:
    """Return the id of the row that a key names, None for the mark."""
    return key[1:].decode() if key[:1] == _ROW_LETTER else None


class Mark(msgspec.Struct):
    """How far the rows of one table partition are the fold of their log; written with them, atomically.

    `position` is the offset of the next log record; `watermarks` what was applied, by origin; `newest` the greatest
    event time; `topic_ids` (of the log and of what it was made from) and `partitions` say which log it was,
    `half_life_ms` in what units weights are. `chains` holds the last end sent to each target by output topic,
    `published_end` the end of the own `suggestions` partition (both: suggest); `pending` the windows whose totals were
    not yet published (measure).
    """

    position: int
    watermarks: dict[str, int]
    newest: int
    topic_ids: dict[str, str]
    partitions: int
    half_life_ms: int
    chains: dict[str, dict[int, int]] = msgspec.field(default_factory=dict)
    published_end: int = 0
    pending: list[str] = msgspec.field(default_factory=list)


class DoorMark(msgspec.Struct):
    """What ingest's offset commit carries: the last end sent to each target."""

    chain: dict[int, int]


_mark_decoder = msgspec.msgpack.Decoder(Mark)
_door_mark_decoder = msgspec.msgpack.Decoder(DoorMark)
_suggestion_decoder = msgspec.json.Decoder(Suggestion)


def encode_mark(mark: Mark) -> bytes:
    """Return the value of a table's mark."""
    return _VERSION + _pack.encode(mark)


def decode_mark(value: bytes) -> Mark:
    """Read the value of a table's mark; raises AccidentError for one that another version wrote."""
    try:
        if value[:1] != _VERSION:
            raise msgspec.DecodeError(f"layout {value[:1]!r}, not {_VERSION!r}")
        return _mark_decoder.decode(memoryview(value)[1:])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AccidentError(
            f"the tables were written by another version of Sidecart ({error}): run that version, or start anew with"
            " another topic_prefix"
        ) from error


def encode_door_mark(mark: DoorMark) -> str:
    """Return the metadata of an offset commit: text, at most 4 kB for some 400 targets."""
    return base64.b64encode(_pack.encode(mark)).decode()


def decode_door_mark(metadata: str) -> DoorMark | None:
    """Read the metadata of an offset commit; None where another program committed."""
    try:
        return _door_mark_decoder.decode(base64.b64decode(metadata, validate=True))
    except (ValueError, msgspec.DecodeError):
        return None


def encode_json(message: object) -> bytes:
    """Return a message of a public topic."""
    return _json.encode(message)


def decode_suggestion(value: bytes | None) -> Suggestion | None:
    """Read back a message of `suggestions`; None for what no Sidecart has written."""
    try:
        return _suggestion_decoder.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class DeadLetter(msgspec.Struct, frozen=True):
    """One message of `dead-letters`: a refused record and why; `key` and `value` are base64 in JSON.

    `timestamp` in ms is the record's own.
    """

    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    timestamp: int = -1
    key: bytes | None = None
    value: bytes | None = None


_letter_decoder = msgspec.json.Decoder(DeadLetter)


def dead_letter(topic: str, rejected: Rejected) -> bytes:
    """Return the message of `dead-letters` for a refused record.

    A record of several megabytes stays where it is: its key and value are null here, and `detail` says so.
    """
    record = rejected.record
    fits = len(record.value or b"") + 2 * len(record.key or b"") < _LETTER_BYTES_MAX
    return _json.encode(
        DeadLetter(
            rejected.reason,
            rejected.detail if fits else f"{rejected.detail}{ELSEWHERE}",
            topic,
            record.partition,
            record.offset,
            record.timestamp,
            record.key if fits else None,
            record.value if fits else None,
        )
    )


def decode_dead_letter(value: bytes | None) -> DeadLetter | None:
    """Read a message of `dead-letters`; None for what no Sidecart has written."""
    try:
        return _letter_decoder.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
