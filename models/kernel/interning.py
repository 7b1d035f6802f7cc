"""Item ids, their indices, and their bytes, by which compiled code orders them."""

import numpy as np
from numpy.typing import NDArray

from models.kernel.arrays import doubled

__all__ = ["Interner"]

#: In `Interner.ids`: the index is free. No item id is longer than a few hundred characters.
_FREE = "\0free"


class Interner:
    """Gives each item id an index, in the order of their arrival, and keeps the bytes of all ids in one arena.

    Attributes
    ----------
    ids : list of str
        The ids by index.
    indices : dict
        The indices by id.
    arena : ndarray of uint8
        The UTF-8 of all ids, in any order.
    bounds : ndarray of int64, indices × 2
        Where each id starts in the arena, and where it ends.

    Examples
    --------
    >>> items = Interner()
    >>> items.intern("tea"), items.intern("cup"), items.intern("tea")
    (0, 1, 0)
    >>> start, end = items.bounds[1]
    >>> bytes(items.arena[start:end])
    b'cup'
    >>> items.keep([0])
    >>> items.intern("pot"), items.indices
    (1, {'tea': 0, 'pot': 1})
    """

    __slots__ = ("_free", "_used", "arena", "bounds", "ids", "indices")

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.indices: dict[str, int] = {}
        self.arena: NDArray[np.uint8] = np.zeros(1, np.uint8)
        self.bounds: NDArray[np.int64] = np.zeros((1, 2), np.int64)
        self._used = 0
        self._free: list[int] = []

    def intern(self, item: str) -> int:
        """Return the index of an item, a new one if it has none."""
        index = self.indices.get(item)
        return self._add(item) if index is None else index

    def keep(self, indices: list[int]) -> None:
        """Forget all items but those of some indices, in ascending order; the others' indices are given anew."""
        kept = {index: self.ids[index] for index in indices}
        self.indices = {item: index for index, item in kept.items()}
        self._free = [index for index in range(len(self.ids) - 1, -1, -1) if index not in kept]
        for index in self._free:
            self.ids[index] = _FREE
        self.arena, self._used = np.zeros(1, np.uint8), 0
        for index, item in kept.items():
            self._write(index, item)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.arena.nbytes + self.bounds.nbytes

    def _add(self, item: str) -> int:
        if self._free:
            index = self._free.pop()
            self.ids[index] = item
        else:
            index = len(self.ids)
            self.ids.append(item)
            if index == len(self.bounds):
                self.bounds = doubled(self.bounds)
        self._write(index, item)
        self.indices[item] = index
        return index

    def _write(self, index: int, item: str) -> None:
        # A lone surrogate is no UTF-8; passed through, its bytes still sort by code point.
        text = np.frombuffer(item.encode(errors="surrogatepass"), np.uint8)
        start, end = self._used, self._used + len(text)
        while end > len(self.arena):
            self.arena = doubled(self.arena)
        self.arena[start:end] = text
        self.bounds[index] = start, end
        self._used = end
