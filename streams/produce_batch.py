"""A batch of records on its way to Kafka, written by compiled code: aiokafka's own takes one message at a time.

The format is that of Kafka's messages of version 2 (https://kafka.apache.org/documentation/#messageformat).
"""

import struct
from collections.abc import Iterable, Sequence
from time import time
from typing import NamedTuple, Self

import numpy as np
from aiokafka import AIOKafkaProducer
from aiokafka.codec import lz4_encode
from aiokafka.record.util import calc_crc32c
from numpy.typing import NDArray

from models.kernel.records import RECORD_BYTES, put_records, put_varint
from models.parts import NOTHING, Parts

__all__ = ["Message", "Messages", "ProduceBatch", "Producer", "headers_bytes"]

#: A batch up to its records: offset, length from the next field on, leader's epoch, version, checksum of all that
#: follows it, attributes, last offset, first and last timestamp, producer's id and epoch, sequence number, records.
_HEAD = struct.Struct(">qiibIhiqqqhii")
_LENGTH_FROM, _CHECKED_FROM = 12, 21
_VERSION = 2
_LZ4, _TRANSACTIONAL = 3, 16

#: Levels above cost ten times as much, for a fifth less to send.
_LZ4_LEVEL = 1


class Message(NamedTuple):
    """Key, value and headers of a message."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Messages(NamedTuple):
    """The same parts of many messages.

    Attributes
    ----------
    keys, values, headers : Parts
        Of each message; its headers as `headers_bytes` has them, None for none.
    """

    keys: Parts
    values: Parts
    headers: Parts

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Self:
        """Return messages with their bytes together."""
        return cls(
            Parts.of(message.key for message in messages),
            Parts.of(message.value for message in messages),
            Parts.of(headers_bytes(message.headers) if message.headers else None for message in messages),
        )

    @classmethod
    def without_headers(cls, keys: Parts, values: Parts) -> Self:
        """Return messages of keys and values."""
        return cls(keys, values, Parts(np.empty(0, np.uint8), np.full((len(keys), 2), NOTHING)))

    def sizes(self) -> NDArray[np.int64]:
        """Return the bytes of each message."""
        return self.keys.sizes() + self.values.sizes() + self.headers.sizes()


def headers_bytes(headers: Iterable[tuple[str, bytes]]) -> bytes:
    """Return the headers of a message as they stand in a record.

    Examples
    --------
    >>> headers_bytes([("log-offset", b"7")])
    b'\\x02\\x14log-offset\\x027'
    """
    parts = [part for name, value in headers for part in (name.encode(), value)]
    return _varint(len(parts) // 2) + b"".join(_varint(len(part)) + part for part in parts)


def _varint(value: int) -> bytes:
    out = np.empty(10, np.uint8)
    return out[: put_varint.py_func(out, 0, value)].tobytes()


class ProduceBatch:
    """A batch of records; to aiokafka's sender what its own `BatchBuilder` is.

    Parameters
    ----------
    bytes_max : int
        Uncompressed; a single message may be longer.
    """

    def __init__(self, bytes_max: int, *, is_compressed: bool, is_transactional: bool) -> None:
        self._left = bytes_max - _HEAD.size
        self._is_compressed = is_compressed
        self._attributes = _TRANSACTIONAL if is_transactional else 0
        self._time_ms = int(time() * 1000)
        self._count = 0
        self._records: list[memoryview] = []
        self._producer = (-1, -1, 0)
        self._content: bytearray | None = None

    def extend(self, messages: Messages, first: int = 0) -> int:
        """Put in messages from the number `first` on as far as there is room; return how many were put in."""
        sizes = messages.sizes()[first:] + RECORD_BYTES
        if not self._count and len(sizes) and sizes.item(0) > self._left:
            self._left, sizes = sizes.item(0), sizes[:1]
        out = np.empty(max(0, min(self._left, sizes.sum().item())), np.uint8)
        keys, values, headers = messages
        count, end = put_records(
            keys.buffer,
            keys.bounds,
            values.buffer,
            values.bounds[: first + len(sizes)],
            headers.buffer,
            headers.bounds,
            first,
            self._count,
            out,
        )
        self._records.append(out[:end].data)
        self._left -= end
        self._count += count
        return int(count)

    # -- what aiokafka calls

    def record_count(self) -> int:
        """Return how many records there are."""
        return self._count

    def close(self) -> None:
        """Do nothing: what was handed over takes no more."""

    def closed(self) -> bool:
        """Tell that it waits for nothing more."""
        return True

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer = (producer_id, producer_epoch, base_sequence)

    def _build(self) -> bytearray:
        if self._content is None:
            records, attributes = b"".join(self._records), self._attributes
            self._records.clear()
            if self._is_compressed:
                compressed = lz4_encode(records, level=_LZ4_LEVEL)
                if len(compressed) < len(records):
                    records, attributes = compressed, attributes | _LZ4
            self._content = bytearray(_HEAD.size) + records
            self._put_head(self._content, attributes, 0)
            self._put_head(self._content, attributes, calc_crc32c(memoryview(self._content)[_CHECKED_FROM:]))
        return self._content

    def _put_head(self, content: bytearray, attributes: int, checksum: int) -> None:
        last = self._count - 1
        times = self._time_ms, self._time_ms
        length = len(content) - _LENGTH_FROM
        _HEAD.pack_into(
            content, 0, 0, length, -1, _VERSION, checksum, attributes, last, *times, *self._producer, self._count
        )


class Producer(AIOKafkaProducer):  # type: ignore[misc]
    """aiokafka's producer, with our batches."""

    def __init__(self, *, max_batch_size: int, transactional_id: str | None, **settings: object) -> None:
        super().__init__(max_batch_size=max_batch_size, transactional_id=transactional_id, **settings)
        self._bytes_max = max_batch_size
        self._is_transactional = transactional_id is not None

    def create_batch(self) -> ProduceBatch:
        """Return an empty batch; rows, which are written in transactions, are hardly smaller when compressed."""
        return ProduceBatch(
            self._bytes_max, is_compressed=not self._is_transactional, is_transactional=self._is_transactional
        )
