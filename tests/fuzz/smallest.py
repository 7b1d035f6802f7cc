"""Delta debugging: the smallest part of a failing input that still fails."""

from collections.abc import Callable
from typing import TypeVar

__all__ = ["smallest"]

SequenceT = TypeVar("SequenceT", bytes, list)  # type: ignore[type-arg]


def smallest(sequence: SequenceT, fails: Callable[[SequenceT], bool], tries: int = 2_000) -> SequenceT:
    """Take out whatever is not needed for the failure, in ever smaller pieces, within so many tries.

    Examples
    --------
    >>> smallest(b"a long text with an x in it", lambda text: b"x" in text)
    b'x'
    """
    size = len(sequence) // 2
    while size > 0:
        at = 0
        while at < len(sequence) and tries > 0:
            shorter = sequence[:at] + sequence[at + size :]
            tries -= 1
            if fails(shorter):
                sequence = shorter
            else:
                at += size
        size //= 2
    return sequence
