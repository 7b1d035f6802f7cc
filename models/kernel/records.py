"""Compiled: messages as records of a log.

The format is that of Kafka's messages of version 2 (https://kafka.apache.org/documentation/#messageformat).
"""

import numpy as np
from numpy.typing import NDArray

from models.kernel.caching import enable_cache
from models.kernel.compiling import inner, kernel
from models.kernel.octets import copy, put_u8
from models.parts import NOTHING, Parts

__all__ = ["RECORD_BYTES", "compile_records", "put_records", "put_varint"]

#: Bytes of a record beside its texts, at most: seven numbers of up to five bytes, and its attributes.
RECORD_BYTES = 36


@inner
def _varint_bytes(value: int) -> int:
    """Return how long `put_varint` writes a number."""
    rest = value << 1 ^ value >> 63
    length = 1
    while rest >> 7 * length:
        length += 1
    return length


@inner
def put_varint(out: NDArray[np.uint8], at: int, value: int) -> int:
    """Write a number, seven bits a byte and the sign at the end; return the place after it."""
    rest = value << 1 ^ value >> 63
    while rest > 0x7F:
        out[at] = rest & 0x7F | 0x80
        at += 1
        rest >>= 7
    out[at] = rest
    return at + 1


@inner
def _text_bytes(start: int, end: int) -> int:
    return _varint_bytes(end - start) + end - start if start != NOTHING else 1


@inner
def _put_text(out: NDArray[np.uint8], at: int, buffer: NDArray[np.uint8], start: int, end: int) -> int:
    if start == NOTHING:
        return put_varint(out, at, NOTHING)
    return copy(out, put_varint(out, at, end - start), buffer, start, end)


@kernel
def put_records(
    keys: NDArray[np.uint8],
    key_bounds: NDArray[np.int64],
    values: NDArray[np.uint8],
    value_bounds: NDArray[np.int64],
    headers: NDArray[np.uint8],
    header_bounds: NDArray[np.int64],
    first: int,
    before: int,
    out: NDArray[np.uint8],
) -> tuple[int, int]:
    """Write the messages from `first` on that there is room for; return how many, and the place after them.

    Parameters
    ----------
    before : int
        Records that stand in the batch already.
    """
    at = count = np.int64(0)
    for number in range(first, len(value_bounds)):
        key_start, key_end = key_bounds[number]
        value_start, value_end = value_bounds[number]
        header_start, header_end = header_bounds[number]
        size = 2 + _varint_bytes(before + count) + _text_bytes(key_start, key_end)
        size += _text_bytes(value_start, value_end) + max(1, header_end - header_start)
        if at + _varint_bytes(size) + size > len(out):
            break
        at = put_varint(out, at, size)
        # Neither attributes nor a time of its own.
        at = put_u8(out, put_u8(out, at, 0), 0)
        at = put_varint(out, at, before + count)
        at = _put_text(out, at, keys, key_start, key_end)
        at = _put_text(out, at, values, value_start, value_end)
        at = put_u8(out, at, 0) if header_start == NOTHING else copy(out, at, headers, header_start, header_end)
        count += 1
    return count, at


def compile_records() -> None:
    """Load or compile what is called from outside."""
    enable_cache((put_records,))
    nothing = Parts.of([])
    columns = (nothing.buffer, nothing.bounds) * 3
    put_records(*columns, 0, 0, np.zeros(0, np.uint8))
