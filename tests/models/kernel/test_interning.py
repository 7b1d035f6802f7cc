"""Texts get indices, are found by their bytes, and are forgotten; whatever is done, as a dict would have it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.hashing import hash64 as plain_hash64
from models.kernel.interning import Interner, find_id, forget_id, hash64, intern_id


def buffer(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(errors="surrogatepass"), np.uint8)


@given(st.binary(max_size=40), st.integers(0, 5))
def test_the_hash_is_that_of_the_plain_rule(data: bytes, start: int) -> None:
    array = np.frombuffer(b"xxxxx" + data + b"yyy", np.uint8)
    assert hash64(array, 5, 5 + len(data)) == plain_hash64(data)


#: What to do: intern or find a text, forget the text of an index, keep some indices.
texts = st.text(max_size=3) | st.text(st.sampled_from("ab"), max_size=3)
steps = st.lists(
    st.tuples(st.sampled_from(["intern", "intern", "find"]), texts)
    | st.tuples(st.just("forget"), st.integers(0, 30))
    | st.tuples(st.just("keep"), st.sets(st.integers(0, 30), max_size=8)),
    max_size=60,
)


@settings(max_examples=400)
@given(steps=steps, is_compiled=st.booleans())
def test_texts_are_known_as_in_a_dict(steps: list[tuple[str, object]], is_compiled: bool) -> None:
    interner, known = Interner(), dict[str, int]()
    for step, what in steps:
        match step, what:
            case "intern", str(text):
                if is_compiled:  # as a kernel does, so that nothing that Python remembers comes between
                    data = buffer(text)
                    interner.make_room(1, len(data))
                    index = intern_id(interner.arrays, data, 0, len(data))
                else:
                    index = interner.intern(text)
                assert index == known.get(text, index)
                assert text in known or index not in known.values()
                known[text] = index
            case "find", str(text):
                data = buffer(text)
                found = find_id(interner.arrays, data, 0, len(data))
                assert found == interner.find(text) == known.get(text, -1)
            case "forget", int(index) if index in known.values():
                forget_id(interner.arrays, index)
                known = {text: other for text, other in known.items() if other != index}
            case "keep", set(indices):
                known = {text: index for text, index in known.items() if index in indices}
                interner.keep(list(known.values()))
        assert len(interner) == len(known)
    for text, index in known.items():
        assert (interner.find(text), interner.text(index)) == (index, text)
    slots = interner.arrays.slots
    assert sorted(slots[slots > 0].tolist()) == sorted(index + 1 for index in known.values())


def test_a_free_index_is_given_again_before_a_new_one() -> None:
    interner = Interner()
    for text in "abcd":
        interner.intern(text)
    interner.keep([1, 3])
    assert [interner.intern(text) for text in "xyz"] == [0, 2, 4]


def test_texts_of_one_hash_are_told_apart() -> None:
    interner = Interner()
    interner.make_room(4, 16)
    ids, cup = interner.arrays, buffer("cup")
    assert interner.intern("tea") == 0
    # As if it had the hash of the other, in whose slot it is looked for.
    ids.hashes[0] = hash64(cup, 0, 3)
    ids.slots[:] = 0
    ids.slots[ids.hashes[0] % len(ids.slots)] = 1
    assert find_id(ids, cup, 0, 3) == -1
    assert intern_id(ids, cup, 0, 3) == 1
    assert ids.slots[(ids.hashes[0] + 1) % len(ids.slots)] == 2
    assert find_id(ids, cup, 0, 3) == 1


def test_texts_that_want_the_same_slot_are_found_when_one_of_them_is_forgotten() -> None:
    wanted, slots = [], 64
    number = 0
    while len(wanted) < 6:  # at the end of the table, so that they wrap around
        if plain_hash64(str(number).encode()) % slots == slots - 2:
            wanted.append(str(number))
        number += 1
    for forgotten in range(6):
        interner = Interner()
        interner.make_room(slots // 2, 100)
        assert len(interner.arrays.slots) == slots
        indices = {text: interner.intern(text) for text in wanted}
        forget_id(interner.arrays, indices.pop(wanted[forgotten]))
        assert interner.find(wanted[forgotten]) == -1
        assert {text: interner.find(text) for text in indices} == indices


def test_what_is_forgotten_leaves_room_for_what_comes() -> None:
    interner = Interner()
    sizes = set()
    for number in range(20_000):
        index = interner.intern(f"text-{number:09}")
        forget_id(interner.arrays, index)
        sizes.add(interner.nbytes)
    assert max(sizes) < 200


def test_room_grows_as_texts_come_and_not_before() -> None:
    interner = Interner()
    for number in range(1000):
        interner.intern(f"{number:04}")
    arrays = interner.arrays
    assert (len(arrays.bounds), len(arrays.slots), len(arrays.arena)) == (1024, 2048, 4096)
    interner.make_room(24, 96)
    assert interner.arrays is arrays
    interner.make_room(24, 97)
    assert (interner.arrays.bounds is arrays.bounds, len(interner.arrays.arena)) == (True, 8192)
    interner.make_room(25, 0)
    assert len(interner.arrays.bounds) == 2048
