"""Keys go where Kafka's default partitioner sends them."""

import pytest
from aiokafka.partitioner import murmur2 as aiokafka_murmur2
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2 as kafka_python_murmur2

from models.partitioning import murmur2, partition_of


@pytest.mark.parametrize(
    ("data", "signed"),
    [
        # The values of Kafka's own UtilsTest.testMurmur2.
        (b"21", -973_932_308),
        (b"foobar", -790_332_482),
        (b"a-little-bit-long-string", -985_981_536),
        (b"a-little-bit-longer-string", -1_486_304_829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        (b"abc", 479_470_107),
    ],
)
def test_murmur2_gives_the_values_of_kafkas_own_tests(data: bytes, signed: int) -> None:
    assert murmur2(data) == signed & 0xFFFFFFFF


@given(st.binary(max_size=70))
def test_murmur2_agrees_with_two_clients_on_any_bytes(data: bytes) -> None:
    assert murmur2(data) == aiokafka_murmur2(data) & 0xFFFFFFFF == kafka_python_murmur2(data) & 0xFFFFFFFF


@pytest.mark.parametrize("length", range(9))
def test_every_length_of_the_last_word_is_hashed(length: int) -> None:
    data = b"\x80\xff\x01\x7f\x00\xfe\x81\x02"[:length]
    assert murmur2(data) == aiokafka_murmur2(data) & 0xFFFFFFFF


@given(key=st.text(max_size=20), partitions=st.integers(1, 200))
def test_a_partition_is_the_positive_hash_of_the_utf8_key_modulo_their_number(key: str, partitions: int) -> None:
    expected = (aiokafka_murmur2(key.encode()) & 0x7FFFFFFF) % partitions
    assert partition_of(key, partitions) == expected


def test_a_negative_hash_loses_its_sign_and_not_its_other_bits() -> None:
    # -973932308 & 0x7fffffff = 1173551340, and 1173551340 = 7 · 167650191 + 3
    assert partition_of("21", 7) == 3


def test_all_keys_have_the_one_partition() -> None:
    assert {partition_of(f"session-{n}", 1) for n in range(20)} == {0}
