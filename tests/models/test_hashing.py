"""The hash is FNV-1a with fmix64 behind it: known values, every bit mixed, and 64 of them in use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.hashing import hash64

BITS = 64
WHOLE = 2**BITS


def unmixed(value: int) -> int:
    """Undo fmix64, whose every step is one to one: what is left is FNV-1a."""
    value %= WHOLE
    value ^= value >> 33
    value = value * pow(0xC4CEB9FE1A85EC53, -1, WHOLE) % WHOLE
    value ^= value >> 33
    value = value * pow(0xFF51AFD7ED558CCD, -1, WHOLE) % WHOLE
    return value ^ value >> 33


# Of the test suite that Noll published with FNV.
@pytest.mark.parametrize(
    ("data", "fnv_1a"),
    [(b"", 0xCBF29CE484222325), (b"a", 0xAF63DC4C8601EC8C), (b"foobar", 0x85944171F73967E8)],
)
def test_beneath_the_mixing_is_fnv_1a(data: bytes, fnv_1a: int) -> None:
    assert unmixed(hash64(data)) == fnv_1a


def test_a_zero_byte_counts() -> None:
    # It multiplies by the prime, and changes nothing else.
    assert unmixed(hash64(b"\0")) == 0xCBF29CE484222325 * 0x100000001B3 % WHOLE


def test_it_is_signed() -> None:
    # FNV-1a of nothing is its basis, whose fmix64 is 0xefd01f60ba992926.
    assert hash64(b"") == 0xEFD01F60BA992926 - WHOLE
    assert hash64(b"tea") == 2_832_323_483_873_672_289


@given(st.binary(max_size=300))
def test_it_is_a_number_of_64_bits_with_a_sign(data: bytes) -> None:
    assert -WHOLE // 2 <= hash64(data) < WHOLE // 2


def test_ids_that_differ_by_one_bit_differ_in_half_the_bits_of_their_hashes() -> None:
    flips = [0] * BITS
    trials = 0
    for number in range(60):
        data = f"session-{number:04}".encode()
        for bit in range(8 * len(data)):
            other = bytearray(data)
            other[bit // 8] ^= 1 << bit % 8
            changed = (hash64(data) ^ hash64(bytes(other))) % WHOLE
            # Of 64 fair bits 32 change, give or take 4: seven times that is nobody's luck.
            assert 4 <= changed.bit_count() <= 60
            trials += 1
            for place in range(BITS):
                flips[place] += changed >> place & 1
    # 5760 trials: half of them, give or take 38.
    assert trials == 5760
    assert all(abs(count - trials / 2) < 6 * 38 for count in flips)


def test_ids_that_are_counted_up_have_hashes_of_their_own_all_over_the_range() -> None:
    hashes = {hash64(f"e{number}".encode()) for number in range(100_000)}
    assert len(hashes) == 100_000
    # The upper and the lower eight bits take each of their values about 391 times, give or take 20.
    for shift in (0, 56):
        counts = [0] * 256
        for value in hashes:
            counts[value >> shift & 0xFF] += 1
        assert all(abs(count - 390.6) < 7 * 20 for count in counts)


def test_two_texts_of_one_fnv_have_one_hash() -> None:
    # A known collision; the mixing is one to one, and parts nobody.
    assert hash64(b"8yn0iYCKYHlIj4-BwPqk") == hash64(b"GReLUrM4wMqfg9yzV3KQ") == -3706397674168515200
