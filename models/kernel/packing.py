"""Compiled: the increments of a batch as records of `pairs` (`models.layout.pairs`), one a target partition."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.kernel.arrays import doubled
from models.kernel.compiling import inner, kernel
from models.kernel.interning import Ids
from models.kernel.octets import copy, put_i64, put_u8, put_u16, put_u32
from models.kernel.pairs import NO_CATEGORY, Tape
from models.kernel.partitioning import murmur2_partition

__all__ = ["HEAD_BYTES", "Marks", "empty_marks", "pack_pairs", "route_pairs", "with_more_marks"]

#: Instead of a text: the increment names no category.
_NO_TEXT = 0xFFFFFFFF
#: Increments of an arrival, at most.
_INCREMENTS_MAX = 0xFFFF

#: Bytes before the increments of a section, an arrival, an increment, and of an other; of a text its length.
_SECTION, _ARRIVAL, _INCREMENT, _OTHER, _TEXT = 14, 18, 12, 13, 2
#: Bytes before the texts.
HEAD_BYTES = 16

_MARK = np.dtype([("stamp", np.int64), ("number", np.int64)])


class Marks(NamedTuple):
    """The number of each text in the record that is being written: it holds while `stamp` is that of the record.

    Attributes
    ----------
    items, categories : ndarray of _MARK
        By index of item, of category.
    order : ndarray of int64
        The texts of the record: index of an item, or minus one minus the index of a category.
    stamp : ndarray of int64
        That of the latest record.
    """

    items: NDArray[np.void]
    categories: NDArray[np.void]
    order: NDArray[np.int64]
    stamp: NDArray[np.int64]


def empty_marks() -> Marks:
    """Return marks with room for one item and one category."""
    return Marks(np.zeros(1, _MARK), np.zeros(1, _MARK), np.zeros(2, np.int64), np.zeros(1, np.int64))


def with_more_marks(marks: Marks, items: int, categories: int) -> Marks:
    """Return marks with room for so many items and categories at least."""
    while len(marks.items) < items:
        marks = marks._replace(items=doubled(marks.items))
    while len(marks.categories) < categories:
        marks = marks._replace(categories=doubled(marks.categories))
    room = len(marks.items) + len(marks.categories)
    return marks if room <= len(marks.order) else marks._replace(order=np.zeros(room, np.int64))


@kernel
def route_pairs(
    tape: Tape,
    items: Ids,
    categories: Ids,
    sources: NDArray[np.int64],
    targets: NDArray[np.int64],
    sizes: NDArray[np.int64],
    is_sent: NDArray[np.bool_],
) -> None:
    """Find the target partition of each increment, and what its record may take.

    Parameters
    ----------
    sources : ndarray of int64
        Partition of `session-events` by record of the batch.
    targets : ndarray of int64
        Is filled with the target of each increment.
    sizes : ndarray of int64, by target
        Is filled with the most bytes that the record of each target can take.
    is_sent : ndarray of bool, sources × targets
        Is set where a source's record has something for a target.
    """
    other = 0
    partitions = len(sizes)
    for number in range(tape.ends[0]):
        increment = tape.increments[number]
        anchor = increment[3]
        start, end = items.bounds[anchor]
        target = murmur2_partition(items.arena, start, end, partitions)
        targets[number] = target
        is_sent[sources[increment[0]], target] = True
        size = _SECTION + _ARRIVAL + _INCREMENT + _TEXT + end - start
        if increment[6] != NO_CATEGORY:
            size += _TEXT + categories.bounds[increment[6], 1] - categories.bounds[increment[6], 0]
        for _ in range(increment[7]):
            item = tape.others[other, 0]
            size += _OTHER + _TEXT + items.bounds[item, 1] - items.bounds[item, 0]
            other += 1
        sizes[target] += size


@kernel
def pack_pairs(
    tape: Tape,
    items: Ids,
    categories: Ids,
    targets: NDArray[np.int64],
    target: int,
    spans: NDArray[np.int64],
    offsets: NDArray[np.int64],
    marks: Marks,
    out: NDArray[np.uint8],
    at: int,
) -> int:
    """Write what stands after the spans in the record of a target, and return the place after it.

    Parameters
    ----------
    spans, offsets : ndarray of int64
        By record of the batch: its span in this target's record, and its offset.
    """
    marks.stamp[0] += 1
    bits = tape.weights.view(np.int64)
    texts = other = increments = others = 0
    for number in range(tape.ends[0]):
        increment = tape.increments[number]
        if targets[number] != target:
            other += increment[7]
            continue
        increments += 1
        others += increment[7]
        texts = _mark(marks, marks.items, increment[3], increment[3], texts)
        if increment[6] != NO_CATEGORY:
            texts = _mark(marks, marks.categories, increment[6], -1 - increment[6], texts)
        for _ in range(increment[7]):
            texts = _mark(marks, marks.items, tape.others[other, 0], tape.others[other, 0], texts)
            other += 1
    head = at
    at = put_u32(out, at, texts)
    at = put_u32(out, at + 4, increments)
    at = put_u32(out, at, others)
    for number in range(texts):
        text = marks.order[number]
        at = _put_text(out, at, items, text) if text >= 0 else _put_text(out, at, categories, -1 - text)
    sections = arrivals = grouped = 0
    section = arrival = head
    record, time_ms, timestamp = -1, -1, -1
    other = 0
    for number in range(tape.ends[0]):
        increment = tape.increments[number]
        if targets[number] != target:
            other += increment[7]
            continue
        is_new = increment[0] != record
        if is_new:
            record = increment[0]
            at = put_i64(out, put_u16(out, at, spans[record]), offsets[record])
            section = at
            at += 4
            sections += 1
            arrivals = 0
        if is_new or increment[1] != time_ms or increment[2] != timestamp or grouped == _INCREMENTS_MAX:
            time_ms, timestamp = increment[1], increment[2]
            at = put_i64(out, put_i64(out, at, time_ms), timestamp)
            arrival = at
            at += 2
            arrivals += 1
            put_u32(out, section, arrivals)
            grouped = 0
        grouped += 1
        put_u16(out, arrival, grouped)
        at = put_u32(out, at, marks.items[increment[3]].number)
        at = put_u8(out, put_u8(out, at, increment[4]), increment[5])
        at = put_u32(out, at, _NO_TEXT if increment[6] == NO_CATEGORY else marks.categories[increment[6]].number)
        at = put_u16(out, at, increment[7])
        for _ in range(increment[7]):
            at = put_u32(out, at, marks.items[tape.others[other, 0]].number)
            at = put_i64(out, at, bits[other])
            at = put_u8(out, at, tape.others[other, 1])
            other += 1
    put_u32(out, head + 4, sections)
    return at


@inner
def _mark(marks: Marks, own: NDArray[np.void], index: int, text: int, texts: int) -> int:
    """Give a text a number if it has none; return how many texts there are."""
    if own[index].stamp != marks.stamp[0]:
        own[index].stamp = marks.stamp[0]
        own[index].number = texts
        marks.order[texts] = text
        texts += 1
    return texts


@inner
def _put_text(out: NDArray[np.uint8], at: int, ids: Ids, index: int) -> int:
    start, end = ids.bounds[index]
    return copy(out, put_u16(out, at, end - start), ids.arena, start, end)
