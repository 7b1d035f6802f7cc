"""Compiled: texts by index, found by their bytes.

A text is given an index once and keeps it until it is forgotten; then the index is given anew. All bytes stand in one
arena. Compiled code reads texts from a buffer, which is always a read-only array (`numpy.frombuffer` of bytes), so
that each kernel is compiled for one kind of array.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.kernel.compiling import allocating_inner, inner, kernel
from models.kernel.prefetching import prefetch

__all__ = ["INTERNING", "Ids", "Interner", "find_id", "find_ids", "forget_id", "hash64", "intern_id"]

#: Places in `Ids.counts`.
_GIVEN, _USED, _FREE, _FREED, _FORGOTTEN = range(5)

#: In `Ids.bounds`: the index is free.
_NOWHERE = -1


class Ids(NamedTuple):
    """Texts by index, as compiled code takes them.

    Attributes
    ----------
    arena : ndarray of uint8
        The UTF-8 of all texts, in any order.
    bounds : ndarray of int64, indices × 2
        Where each text starts in the arena, and where it ends; -1 for a free index.
    slots : ndarray of int32, a power of two at least twice as many as indices
        A hash table with linear probing: index + 1, 0 where nothing is.
    hashes : ndarray of int64
        The hash of each text.
    free : ndarray of int32
        Indices that were forgotten, of which the last is given next.
    counts : ndarray of int64
        Indices given so far, bytes used of the arena, free ones among the indices, bytes of the arena that belong to
        nothing any more, and how often something was forgotten.
    """

    arena: NDArray[np.uint8]
    bounds: NDArray[np.int64]
    slots: NDArray[np.int32]
    hashes: NDArray[np.int64]
    free: NDArray[np.int32]
    counts: NDArray[np.int64]


@kernel
def hash64(buffer: NDArray[np.uint8], start: int, end: int) -> int:
    """Return `models.hashing.hash64` of a part of a buffer."""
    value, origin = np.uint64(0xCBF29CE484222325), np.uintp(start)
    for place in range(np.uintp(max(0, end - start))):
        value = (value ^ np.uint64(buffer[origin + place])) * np.uint64(0x100000001B3)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return int(np.int64(value ^ (value >> np.uint64(33))))


@kernel
def find_id(ids: Ids, buffer: NDArray[np.uint8], start: int, end: int) -> int:
    """Return the index of a text, -1 if it has none."""
    return int(ids.slots[_slot_of(ids, hash64(buffer, start, end), buffer, start, end)] - 1)


@kernel
def intern_id(ids: Ids, buffer: NDArray[np.uint8], start: int, end: int) -> int:
    """Return the index of a text, a new one if it has none, for which there must be room (`Interner.make_room`)."""
    hashed = hash64(buffer, start, end)
    slot = _slot_of(ids, hashed, buffer, start, end)
    counts = ids.counts
    if ids.slots[slot]:
        return int(ids.slots[slot] - 1)
    if counts[_FREE]:
        counts[_FREE] -= 1
        index = int(ids.free[counts[_FREE]])
    else:
        index = int(counts[_GIVEN])
        counts[_GIVEN] += 1
    used = counts[_USED]
    for place in range(start, end):
        ids.arena[used + place - start] = buffer[place]
    counts[_USED] = used + end - start
    ids.bounds[index, 0] = used
    ids.bounds[index, 1] = counts[_USED]
    ids.hashes[index] = hashed
    ids.slots[slot] = index + 1
    return index


@kernel
def forget_id(ids: Ids, index: int) -> None:
    """Forget the text of an index, which is then given anew."""
    slots, mask = ids.slots, len(ids.slots) - 1
    hole = ids.hashes[index] & mask
    while slots[hole] != index + 1:
        hole = (hole + 1) & mask
    slot = hole
    while True:
        # What follows is moved back into the hole unless its own place lies behind it.
        slot = (slot + 1) & mask
        if not slots[slot]:
            break
        own = ids.hashes[slots[slot] - 1] & mask
        if (slot - own) & mask >= (slot - hole) & mask:
            slots[hole] = slots[slot]
            hole = slot
    slots[hole] = 0
    counts = ids.counts
    ids.free[counts[_FREE]] = index
    counts[_FREE] += 1
    counts[_FREED] += ids.bounds[index, 1] - ids.bounds[index, 0]
    counts[_FORGOTTEN] += 1
    ids.bounds[index, 0] = ids.bounds[index, 1] = _NOWHERE


@allocating_inner
def find_ids(
    ids: Ids,
    buffer: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    found: NDArray[np.int64],
) -> None:
    """Fill `found` with the indices of many texts, -1 for those that have none.

    What stands all over the memory is collected first, in loops that decide nothing: no read then waits for another, a
    dozen are on their way at once, and a text takes a fifth of the time.
    """
    slots, mask = ids.slots, len(ids.slots) - 1
    count = len(starts)
    hashes, places = np.empty(count, np.int64), np.empty(count, np.int64)
    # Those that are still looked for; of the one in whose slot each is looked for: hash, first place and length.
    asked, others = np.empty(count, np.int64), np.empty(count, np.int64)
    begins, lengths = np.empty(count, np.int64), np.empty(count, np.int64)
    for text in range(count):
        hashes[text] = hash64(buffer, starts[text], ends[text])
        places[text] = hashes[text] & mask
        asked[text] = text
    while count:
        for k in range(count):
            found[asked[k]] = slots[places[asked[k]]] - 1
        for k in range(count):
            others[k] = ids.hashes[max(0, found[asked[k]])]
        for k in range(count):
            own = max(0, found[asked[k]])
            begins[k] = ids.bounds[own, 0]
            lengths[k] = ids.bounds[own, 1] - begins[k]
            prefetch(ids.arena, np.uintp(begins[k]))
        left = 0
        for k in range(count):
            text = asked[k]
            if found[text] < 0:
                continue
            length = ends[text] - starts[text]
            is_same = others[k] == hashes[text] and lengths[k] == length
            if is_same:
                unlike = np.uint8(0)
                for place in range(length):
                    unlike |= ids.arena[begins[k] + place] ^ buffer[starts[text] + place]
                is_same = unlike == 0
            if not is_same:
                places[text] = (places[text] + 1) & mask
                asked[left] = text
                left += 1
        count = left


@inner
def _slot_of(ids: Ids, hashed: int, buffer: NDArray[np.uint8], start: int, end: int) -> int:
    """Return the slot of a text, or the empty one that it would get."""
    mask = len(ids.slots) - 1
    slot = hashed & mask
    while ids.slots[slot]:
        index = ids.slots[slot] - 1
        if ids.hashes[index] == hashed:
            own = ids.bounds[index, 0]
            length = ids.bounds[index, 1] - own
            if length == end - start:
                # All is compared: it hardly ever is another text, and where a loop ends need then not be guessed.
                unlike, own_place, place = np.uint8(0), np.uintp(own), np.uintp(start)
                for k in range(np.uintp(length)):
                    unlike |= ids.arena[own_place + k] ^ buffer[place + k]
                if not unlike:
                    break
        slot = (slot + 1) & mask
    return slot


@kernel
def _move(ids: Ids, arena: NDArray[np.uint8], slots: NDArray[np.int32]) -> None:
    """Write all texts one after the other into another arena, and their indices into other slots, which are empty."""
    used, mask = 0, len(slots) - 1
    for index in range(ids.counts[_GIVEN]):
        start, end = ids.bounds[index]
        if start == _NOWHERE:
            continue
        ids.bounds[index, 0] = used
        for place in range(start, end):
            arena[used] = ids.arena[place]
            used += 1
        ids.bounds[index, 1] = used
        slot = ids.hashes[index] & mask
        while slots[slot]:
            slot = (slot + 1) & mask
        slots[slot] = index + 1
    ids.counts[_USED] = used
    ids.counts[_FREED] = 0


#: The kernels that are called from outside.
INTERNING = (find_id, intern_id, _move)


class Interner:
    """Gives each text an index, in the order of their arrival.

    Attributes
    ----------
    arrays : Ids
        What compiled code works on; other arrays after `make_room` and `keep`.

    Examples
    --------
    >>> items = Interner()
    >>> items.intern("tea"), items.intern("cup"), items.intern("tea"), items.find("pot")
    (0, 1, 0, -1)
    >>> items.text(1), len(items)
    ('cup', 2)
    >>> items.keep([0])
    >>> items.find("cup"), items.intern("pot")
    (-1, 1)
    """

    __slots__ = ("_forgotten", "_indices", "_texts", "arrays")

    def __init__(self) -> None:
        self.arrays = _with_room(1)
        #: What was asked for lately, both ways, as long as nothing was forgotten: a kernel's call costs more.
        self._indices: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._forgotten = 0

    def intern(self, text: str) -> int:
        """Return the index of a text, a new one if it has none."""
        index = self.find(text)
        if index < 0:
            data = _encoded(text)
            self.make_room(1, len(data))
            index = self._indices[text] = intern_id(self.arrays, data, 0, len(data))
        return index

    def find(self, text: str) -> int:
        """Return the index of a text, -1 if it has none."""
        self._look_up_anew()
        index = self._indices.get(text)
        if index is None:
            data = _encoded(text)
            index = find_id(self.arrays, data, 0, len(data))
            if index >= 0:
                self._indices[text] = index
        return index

    def text(self, index: int) -> str:
        """Return the text of an index."""
        self._look_up_anew()
        text = self._texts.get(index)
        if text is None:
            start, end = self.arrays.bounds[index].tolist()
            text = self._texts[index] = self.arrays.arena[start:end].tobytes().decode(errors="surrogatepass")
        return text

    def make_room(self, texts: int, size: int) -> None:
        """Have room for so many new texts, of so many bytes in all."""
        arrays = self.arrays
        given, used, free, freed, _ = arrays.counts.tolist()
        room = len(arrays.bounds)
        if given - free + texts > room:
            while given - free + texts > room:
                room *= 2
            grown = _with_room(room)
            grown.bounds[:given] = arrays.bounds[:given]
            grown.hashes[:given] = arrays.hashes[:given]
            grown.free[:free] = arrays.free[:free]
            self.arrays = grown._replace(arena=arrays.arena, counts=arrays.counts)
            self._move(len(arrays.arena), used - freed, size)
        elif used + size > len(arrays.arena):
            self._move(len(arrays.arena), used - freed, size)

    def keep(self, indices: NDArray[np.int64] | list[int]) -> None:
        """Forget all texts but those of some indices."""
        arrays = self.arrays
        given = arrays.counts[_GIVEN]
        is_free = np.ones(given, np.bool_)
        is_free[indices] = False
        free = np.flatnonzero(is_free)[::-1]
        arrays.bounds[free] = _NOWHERE
        arrays.free[: len(free)] = free
        arrays.counts[_FREE] = len(free)
        arrays.counts[_FORGOTTEN] += 1
        bounds = arrays.bounds[:given]
        self._move(1, int((bounds[:, 1] - bounds[:, 0]).sum()), 0)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(array.nbytes for array in self.arrays)

    def __len__(self) -> int:
        counts = self.arrays.counts
        return int(counts[_GIVEN] - counts[_FREE])

    def _move(self, length: int, live: int, size: int) -> None:
        """Move all texts, of so many live bytes, to an arena no shorter than `length` with room for `size` more."""
        # A quarter more than is needed: an arena that is nearly full would be moved again and again.
        while length < live + live // 4 + size:
            length *= 2
        arena, slots = np.zeros(length, np.uint8), np.zeros(len(self.arrays.slots), np.int32)
        _move(self.arrays, arena, slots)
        self.arrays = self.arrays._replace(arena=arena, slots=slots)

    def _look_up_anew(self) -> None:
        forgotten = self.arrays.counts.item(_FORGOTTEN)
        if forgotten != self._forgotten:
            self._forgotten = forgotten
            self._indices.clear()
            self._texts.clear()


def _with_room(texts: int) -> Ids:
    return Ids(
        arena=np.zeros(1, np.uint8),
        bounds=np.full((texts, 2), _NOWHERE, np.int64),
        slots=np.zeros(2 * texts, np.int32),
        hashes=np.zeros(texts, np.int64),
        free=np.zeros(texts, np.int32),
        counts=np.zeros(5, np.int64),
    )


def _encoded(text: str) -> NDArray[np.uint8]:
    # A lone surrogate is no UTF-8; passed through, its bytes still sort by code point.
    return np.frombuffer(text.encode(errors="surrogatepass"), np.uint8)
