"""What stands in public topics and tables, read for a recount: what no Sidecart has written is None."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from models.attribution import Outcome
from streams.audit_logs import TableState
from streams.wire import LOG_OFFSET, ROWS

__all__ = ["Letter", "decode_letter", "decode_object", "decode_outcome", "decoded_rows", "log_offset_of"]


class Letter(msgspec.Struct):
    """Of a dead letter, which record it is about, and the reason."""

    reason: str
    topic: str
    partition: int
    offset: int


_letter_decoder = msgspec.json.Decoder(Letter)
_outcome_decoder = msgspec.json.Decoder(Outcome)


def decode_letter(value: bytes | None) -> Letter | None:
    """Read a message of `dead-letters`."""
    try:
        return _letter_decoder.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def decode_outcome(value: bytes | None) -> Outcome | None:
    """Read a message of `acceptance`."""
    try:
        return _outcome_decoder.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def decode_object(value: bytes | None) -> dict[str, Any] | None:
    """Read a JSON object."""
    try:
        message = msgspec.json.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return message if isinstance(message, dict) else None


def log_offset_of(headers: Sequence[tuple[str, bytes | None]]) -> int:
    """Return the offset in `session-events` that a suggestion names, -1 where it names none."""
    try:
        return int(dict(headers).get(LOG_OFFSET) or -1)
    except ValueError:
        return -1


def decoded_rows(table: str, state: TableState) -> Iterator[tuple[str, Any]]:
    """Yield the rows of a table partition, one after the other."""
    return ((key, ROWS[table].decode(value)) for key, value in state.rows.items())
