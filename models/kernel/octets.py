"""Compiled: numbers and texts in buffers of bytes, little-endian, as the layouts have them (`models.layout`)."""

import numpy as np
from numpy.typing import NDArray

from models.kernel.compiling import inner

__all__ = ["copy", "get_i64", "get_u16", "get_u32", "put_i64", "put_u8", "put_u16", "put_u32"]

Bytes = NDArray[np.uint8]


@inner
def get_u16(buffer: Bytes, at: int) -> int:
    """Return the number that stands at a place."""
    return np.int64(buffer[at]) | np.int64(buffer[at + 1]) << 8


@inner
def get_u32(buffer: Bytes, at: int) -> int:
    """Return the number that stands at a place."""
    return get_u16(buffer, at) | get_u16(buffer, at + 2) << 16


@inner
def get_i64(buffer: Bytes, at: int) -> int:
    """Return the number that stands at a place."""
    return get_u32(buffer, at) | get_u32(buffer, at + 4) << 32


@inner
def put_u8(buffer: Bytes, at: int, value: int) -> int:
    """Write a number, and return the place after it."""
    buffer[at] = value
    return at + 1


@inner
def put_u16(buffer: Bytes, at: int, value: int) -> int:
    """Write a number, and return the place after it."""
    buffer[at] = value & 0xFF
    buffer[at + 1] = value >> 8 & 0xFF
    return at + 2


@inner
def put_u32(buffer: Bytes, at: int, value: int) -> int:
    """Write a number, and return the place after it."""
    return put_u16(buffer, put_u16(buffer, at, value), value >> 16)


@inner
def put_i64(buffer: Bytes, at: int, value: int) -> int:
    """Write a number, and return the place after it."""
    return put_u32(buffer, put_u32(buffer, at, value), value >> 32)


@inner
def copy(buffer: Bytes, at: int, source: Bytes, start: int, end: int) -> int:
    """Write a part of another buffer, and return the place after it."""
    # Without a sign, of which each index would have to be freed.
    to, origin = np.uintp(at), np.uintp(start)
    for place in range(np.uintp(max(0, end - start))):
        buffer[to + place] = source[origin + place]
    return at + end - start
