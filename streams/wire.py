"""Bytes on the topics and in the tables: packed records, rows, marks and the JSON of the public topics.

Internal records have in front the layout's version as one byte, as it is of a table's mark, which speaks for the rows
too, and the CRC-32 of what follows as four: a record that is foreign or damaged is refused, not applied. What follows:

    session-events   bytes that compiled code reads and writes                      `models.layout.events`
    pairs            such bytes too                                                 `models.layout.pairs`
    tallies          [spans, [[span, offset, tally], …]]                            `models.measuring.TallyEntry`

    span             [origin, start, end]: covers origin offsets (start, end]

The last are msgpack arrays.

A table's keys are one letter and the row's id: ``r`` for a row, ``m`` alone for the mark.

A message of `suggestions` names in the header ``log-offset`` the record of `session-events` that holds its event.
"""

import base64
import zlib
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from models.coverage import Packed
from models.door import Rejected
from models.errors import AccidentError, InvariantError
from models.kpi import Window
from models.layout import events, pairs, rows, sessions
from models.measuring import TallyEntry
from models.suggesting import Suggestion, is_publishable
from streams.topics import MAX_RECORD_BYTES

__all__ = [
    "ELSEWHERE",
    "MARK_KEY",
    "PACKED_EVENTS",
    "PACKED_PAIRS",
    "PACKED_TALLIES",
    "ROWS",
    "ROW_LETTER",
    "DeadLetter",
    "DoorMark",
    "Mark",
    "PackedCodec",
    "RowCodec",
    "checked",
    "checked_content",
    "dead_letter",
    "decode_dead_letter",
    "decode_door_mark",
    "decode_mark",
    "decode_suggestion",
    "encode_door_mark",
    "encode_json",
    "encode_mark",
    "read_packed",
    "row_id",
    "row_key",
    "unreadable_row",
]

_VERSION = b"\x04"
_CHECKSUM_BYTES = 4

#: Bytes of a refused record that a dead letter holds; base64 makes a third more of them.
_LETTER_BYTES_MAX = MAX_RECORD_BYTES * 5 // 8

#: The end of the detail of a dead letter without its record.
ELSEWHERE = "; it is only in the input topic"

#: Header of a suggestion.
LOG_OFFSET = "log-offset"

MARK_KEY = b"m"
ROW_LETTER = b"r"

PackedT = TypeVar("PackedT", bound=Packed[Any])
RowT = TypeVar("RowT")
ReadT = TypeVar("ReadT")

_pack = msgspec.msgpack.Encoder()
_json = msgspec.json.Encoder()


class PackedCodec(Generic[PackedT]):
    """Encodes and decodes the packed records of one internal topic.

    Parameters
    ----------
    encode, decode : callables
        Between a record and the bytes that stand behind version and checksum; decode raises ValueError or
        msgspec.DecodeError for what it cannot read.
    """

    def __init__(self, encode: Callable[[PackedT], bytes], decode: Callable[[memoryview], PackedT]) -> None:
        self._encode = encode
        self._decode = decode

    def encode(self, packed: PackedT) -> bytes:
        """Return the record's value."""
        return checked(self._encode(packed))

    def decode(self, value: bytes | None) -> PackedT:
        """Read a record's value; raises InvariantError for bytes that no Sidecart wrote."""
        return read_packed(value, self._decode)


def read_packed(value: bytes | None, read: Callable[[memoryview], ReadT]) -> ReadT:
    """Return what a function makes of what stands behind version and checksum.

    Raises
    ------
    InvariantError
        For bytes that no Sidecart wrote, for which `read` raises ValueError or msgspec.DecodeError.
    """
    content = checked_content(value)
    try:
        return read(content)
    except (msgspec.DecodeError, ValueError) as error:
        raise InvariantError(f"a packed record cannot be read: {error}") from error


def checked(content: bytes) -> bytes:
    """Return a packed record's value: version and checksum before its content."""
    return _VERSION + _checksum(content) + content


def checked_content(value: bytes | None) -> memoryview:
    """Return what stands behind version and checksum; raises InvariantError where they are not as they must be."""
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
    return content


def _checksum(content: bytes | memoryview) -> bytes:
    return zlib.crc32(content).to_bytes(_CHECKSUM_BYTES)


PACKED_EVENTS = PackedCodec(events.encode, events.decode)
PACKED_PAIRS = PackedCodec(pairs.encode, pairs.decode)
PACKED_TALLIES = PackedCodec(_pack.encode, msgspec.msgpack.Decoder(Packed[TallyEntry]).decode)


class RowCodec(Generic[RowT]):
    """Encodes and decodes the rows of one table."""

    def __init__(self, encode: Callable[[RowT], bytes], decode: Callable[[bytes], RowT]) -> None:
        self.encode = encode
        self._decode = decode

    def decode(self, value: bytes) -> RowT:
        """Read the value of a row; raises AccidentError for bytes that no Sidecart wrote."""
        try:
            return self._decode(value)
        except (msgspec.DecodeError, ValueError) as error:
            raise unreadable_row(error) from error


def unreadable_row(error: Exception) -> AccidentError:
    """Return what is to be raised for a row that no Sidecart wrote."""
    return AccidentError(
        f"a row of a table cannot be read ({error}): remove the worker's state folder, and if that does not"
        " help, start anew with another topic_prefix"
    )


#: The codec of each table's rows.
ROWS: dict[str, RowCodec[Any]] = {
    "sessions": RowCodec(sessions.encode, sessions.decode),
    "cooccurrence": RowCodec(rows.encode, rows.decode),
    "kpi": RowCodec(_pack.encode, msgspec.msgpack.Decoder(Window).decode),
}


def row_key(row: str) -> bytes:
    """Return the key of a row in table and changelog."""
    return ROW_LETTER + row.encode()


def row_id(key: bytes) -> str | None:
    """Return the id of the row that a key names, None for the mark."""
    return key[1:].decode() if key[:1] == ROW_LETTER else None


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
        suggestion = _suggestion_decoder.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return suggestion if is_publishable(suggestion) else None


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
