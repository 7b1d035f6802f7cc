"""Eight bytes that stand for a record: what a recount remembers of a million of them."""

from hashlib import blake2b

import msgspec

__all__ = ["fingerprint"]

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def fingerprint(content: object) -> int:
    """Return a number from 1 to 2^64 − 1 that two different contents share once in 10^19 cases.

    Examples
    --------
    >>> fingerprint(("a", 1)) == fingerprint(("a", 1)), fingerprint(("a", 1)) == fingerprint(("a", 2))
    (True, False)
    """
    return int.from_bytes(blake2b(_encode(content), digest_size=8).digest()) or 1
