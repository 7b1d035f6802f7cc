"""Compiled: the partition of a key (`models.partitioning`)."""

import numpy as np
from numpy.typing import NDArray

from models.kernel.compiling import kernel

__all__ = ["murmur2_partition"]

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995
_SEED = 0x9747B28C


@kernel
def murmur2_partition(buffer: NDArray[np.uint8], start: int, end: int, partitions: int) -> int:
    """Return `models.partitioning.partition_of` for the UTF-8 that stands in a buffer from start to end."""
    # Products wrap at 64 bits, which leaves their lower 32 as they must be.
    length = end - start
    h = (_SEED ^ length) & _MASK
    tail = end - (length & 3)
    for at in range(start, tail, 4):
        k = buffer[at] | buffer[at + 1] << 8 | buffer[at + 2] << 16 | buffer[at + 3] << 24
        k = k * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if tail < end:
        for at in range(tail, end):
            h ^= buffer[at] << 8 * (at - tail)
        h = h * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    h ^= h >> 15
    return int((h & 0x7FFFFFFF) % partitions)
