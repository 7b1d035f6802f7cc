"""The compiled partition of a key is the plain one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.kernel.partitioning import murmur2_partition
from models.partitioning import partition_of


@given(key=st.text(max_size=40), partitions=st.integers(1, 2**31 - 1), before=st.binary(max_size=5), after=st.binary())
def test_a_key_within_a_buffer_has_the_plain_partition(key: str, partitions: int, before: bytes, after: bytes) -> None:
    text = key.encode()
    buffer = np.frombuffer(before + text + after + b"\0", np.uint8)
    start, end = len(before), len(before) + len(text)
    assert murmur2_partition(buffer, start, end, partitions) == partition_of(key, partitions)


def test_all_lengths_of_the_last_word_are_hashed_alike() -> None:
    key = "a\0éb🫖c\x7f"
    text = key.encode()
    buffer = np.frombuffer(text, np.uint8)
    for end in (0, 1, 2, 4, 5, 9, 10, 11):
        expected = partition_of(text[:end].decode(), 1_000_003)
        assert murmur2_partition(buffer, 0, end, 1_000_003) == expected
