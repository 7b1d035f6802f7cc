"""Parts of one buffer: many byte strings without an object for each."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["NOTHING", "Parts", "TableRows"]

#: Instead of both places: None, and no bytes.
NOTHING = -1


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Byte strings, each None or a part of a buffer.

    Attributes
    ----------
    buffer : ndarray of uint8
        What they are parts of.
    bounds : ndarray of int64, parts × 2
        The place of the first byte and the place after the last one; both `NOTHING` for None.

    Examples
    --------
    >>> list(Parts.of([b"tea", None, b""]))
    [b'tea', None, b'']
    """

    buffer: NDArray[np.uint8]
    bounds: NDArray[np.int64]

    def __post_init__(self) -> None:
        # All of one type, for which what is compiled is compiled once: contiguous, the buffer not to be written.
        buffer = self.buffer.view()
        buffer.flags.writeable = False
        object.__setattr__(self, "buffer", buffer)
        object.__setattr__(self, "bounds", np.ascontiguousarray(self.bounds))

    @classmethod
    def of(cls, parts: Iterable[bytes | None]) -> Self:
        """Put byte strings into a buffer of their own."""
        contents: list[bytes] = []
        bounds: list[tuple[int, int]] = []
        end = 0
        for part in parts:
            if part is None:
                bounds.append((NOTHING, NOTHING))
            else:
                contents.append(part)
                bounds.append((end, end := end + len(part)))
        return cls(np.frombuffer(b"".join(contents), np.uint8), np.array(bounds, np.int64).reshape(len(bounds), 2))

    def __len__(self) -> int:
        return len(self.bounds)

    def __getitem__(self, number: int) -> bytes | None:
        start, end = self.bounds[number].tolist()
        return None if start == NOTHING else self.buffer[start:end].tobytes()

    def __iter__(self) -> Iterator[bytes | None]:
        content = self.buffer.tobytes()
        for start, end in self.bounds.tolist():
            yield None if start == NOTHING else content[start:end]

    def sizes(self) -> NDArray[np.int64]:
        """Return the bytes of each, 0 for None."""
        sizes: NDArray[np.int64] = self.bounds[:, 1] - self.bounds[:, 0]
        return sizes


class TableRows(NamedTuple):
    """Rows of a table: the key and the value of each, None for one that is dropped."""

    keys: Parts
    values: Parts

    @classmethod
    def of(cls, rows: Mapping[bytes, bytes | None]) -> Self:
        """Return the same rows, their bytes together.

        Examples
        --------
        >>> TableRows.of({b"tea": b"1", b"cup": None}).as_dict()
        {b'tea': b'1', b'cup': None}
        """
        return cls(Parts.of(rows), Parts.of(rows.values()))

    @classmethod
    def written(cls, content: NDArray[np.uint8], bounds: NDArray[np.int64]) -> Self:
        """Return what a kernel has written.

        Parameters
        ----------
        bounds : ndarray of int64, rows × 3
            Where key and value begin, and where the value ends; it is empty for a row that is dropped.
        """
        values = bounds[:, 1:].copy()
        values[values[:, 0] == values[:, 1]] = NOTHING
        return cls(Parts(content, bounds[:, :2]), Parts(content, values))

    def as_dict(self) -> dict[bytes, bytes | None]:
        """Return the values by key."""
        return {key or b"": value for key, value in zip(*self, strict=True)}
