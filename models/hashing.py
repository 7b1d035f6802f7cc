"""A hash of texts that every worker, in any language, computes alike: by it sessions remember the ids they have met."""

__all__ = ["hash64"]

_MASK = 0xFFFFFFFFFFFFFFFF
_OFFSET_BASIS = 0xCBF29CE484222325
_PRIME = 0x100000001B3


def hash64(data: bytes) -> int:
    """Return a 64-bit hash, as a signed number: FNV-1a, then the finalizer of MurmurHash3, which mixes all bits.

    Sources: Fowler, Noll, Vo: FNV-1a; Austin Appleby: fmix64 of MurmurHash3.

    Examples
    --------
    >>> hash64(b""), hash64(b"tea")
    (-1166397803181037274, 2832323483873672289)
    """
    value = _OFFSET_BASIS
    for byte in data:
        value = (value ^ byte) * _PRIME & _MASK
    value = (value ^ value >> 33) * 0xFF51AFD7ED558CCD & _MASK
    value = (value ^ value >> 33) * 0xC4CEB9FE1A85EC53 & _MASK
    value ^= value >> 33
    return value - (value >> 63 << 64)
