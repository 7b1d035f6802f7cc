"""Compiled: the order of items by their ids, which ties are sorted by."""

import numpy as np
from numpy.typing import NDArray

from models.kernel.compiling import kernel

__all__ = ["precedes"]


@kernel
def precedes(index: int, other: int, arena: NDArray[np.uint8], bounds: NDArray[np.int64]) -> bool:
    """Tell whether the id of one index sorts before that of another: UTF-8 bytes sort as Python's `str` does."""
    start, other_start = bounds[index, 0], bounds[other, 0]
    length, other_length = bounds[index, 1] - start, bounds[other, 1] - other_start
    for place in range(min(length, other_length)):
        byte, other_byte = arena[start + place], arena[other_start + place]
        if byte != other_byte:
            return bool(byte < other_byte)
    return bool(length < other_length)
