"""The partition of a key, as Kafka's default partitioner computes it: murmur2 of the UTF-8 bytes.

Anyone can compute where a session's or an item's records are, in any language that has a Kafka client.
"""

from functools import lru_cache

__all__ = ["murmur2", "partition_of"]

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995


def murmur2(data: bytes) -> int:
    """Return the 32-bit murmur2 hash with Kafka's seed.

    Source: Austin Appleby's MurmurHash2, seed 0x9747b28c as in Kafka's `Utils.murmur2`.

    Examples
    --------
    >>> murmur2(b"21") == (-973932308 & 0xFFFFFFFF)
    True
    """
    length = len(data)
    h = (0x9747B28C ^ length) & _MASK
    end = length & ~3
    for at in range(0, end, 4):
        k = int.from_bytes(data[at : at + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if length > end:
        h = (h ^ int.from_bytes(data[end:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


@lru_cache(maxsize=1 << 17)
def partition_of(key: str, partitions: int) -> int:
    """Return the partition of a key among `partitions` of them."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
