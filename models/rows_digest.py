"""A digest of the rows of one partition: who holds the same rows has the same digest."""

import hashlib

import msgspec

from models.cooccurrence import Row

__all__ = ["RowsDigest"]


class RowsDigest:
    """SHA-256 of rows that are added in ascending order of their items.

    Examples
    --------
    >>> one, other = RowsDigest(), RowsDigest()
    >>> one.add("tea", Row(0, weights={"cup": 1.0, "pot": 2.0}))
    >>> other.add("tea", Row(0, weights={"pot": 2.0, "cup": 1.0}))
    >>> one.hexdigest() == other.hexdigest()
    True
    """

    __slots__ = ("_digest",)

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, item: str, row: Row) -> None:
        """Add a row; the order of its neighbours does not matter."""
        self._digest.update(msgspec.msgpack.encode((item, row), order="deterministic"))

    def hexdigest(self) -> str:
        """Return the digest of what was added."""
        return self._digest.hexdigest()
