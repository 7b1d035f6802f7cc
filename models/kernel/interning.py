"""Item ids, their indices, and their bytes, by which compiled code orders them."""

import numpy as np
from numpy.typing import NDArray

from models.kernel.arrays import doubled

__all__ = ["Interner"]


class Interner:
    """Gives each item id an index, from 0 in the order of their arrival, and keeps the bytes of all ids in one arena.

    Attributes
    ----------
    ids : list of str
        The ids by index.
    indices : dict
        The indices by id.
    arena : ndarray of uint8
        The UTF-8 of all ids, one after the other.
    offsets : ndarray of int64
        Where each id starts in the arena, and where the last one ends.

    Examples
    --------
    >>> items = Interner()
    >>> items.intern("tea"), items.intern("cup"), items.intern("tea")
    (0, 1, 0)
    >>> bytes(items.arena[: items.offsets[2]])
    b'teacup'
    """

    __slots__ = ("arena", "ids", "indices", "offsets")

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.indices: dict[str, int] = {}
        self.arena: NDArray[np.uint8] = np.zeros(1, np.uint8)
        self.offsets: NDArray[np.int64] = np.zeros(2, np.int64)

    def intern(self, item: str) -> int:
        """Return the index of an item, a new one if it has none."""
        index = self.indices.get(item)
        return self._add(item) if index is None else index

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.arena.nbytes + self.offsets.nbytes

    def _add(self, item: str) -> int:
        # A lone surrogate is no UTF-8; passed through, its bytes still sort by code point.
        text = np.frombuffer(item.encode(errors="surrogatepass"), np.uint8)
        index = len(self.ids)
        if index + 1 == len(self.offsets):
            self.offsets = doubled(self.offsets)
        start = int(self.offsets[index])
        end = start + len(text)
        while end > len(self.arena):
            self.arena = doubled(self.arena)
        self.arena[start:end] = text
        self.offsets[index + 1] = end
        self.ids.append(item)
        self.indices[item] = index
        return index
