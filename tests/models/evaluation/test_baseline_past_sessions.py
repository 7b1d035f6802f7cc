"""The index of past sessions against looking at every one of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.baselines.past_sessions import PastSessions, last_places, nearest
from models.evaluation.recommender import Interaction

items = st.text("abcdef", min_size=1, max_size=5)


def session(letters: str, time_ms: int = 0) -> list[Interaction]:
    return [Interaction("s", item, time_ms) for item in letters]


def filled(past: list[str]) -> PastSessions:
    index = PastSessions()
    for number, letters in enumerate(past):
        index.add(session(letters, number))
    return index


@given(st.lists(items, max_size=12), items, st.integers(1, 13))
def test_matches_are_the_latest_sessions_that_share(past: list[str], running: str, sample_size: int) -> None:
    weights = {item: 2.0 ** ord(item) for item in running}
    matches = filled(past).matches(last_places(session(running)), weights, sample_size)
    expected = [number for number, letters in enumerate(past) if set(letters) & set(running)][-sample_size:]
    assert matches.sessions.tolist() == expected
    for number, size, overlap, newest, shared in zip(*(each.tolist() for each in matches), strict=True):
        both = set(past[number]) & set(running)
        assert size == len(set(past[number]))
        assert overlap == sum(weights[item] for item in both)
        assert newest == max(running.rindex(item) for item in both) + 1
        assert shared == max(past[number].rindex(item) for item in both) + 1


@given(st.lists(items, min_size=1, max_size=12), st.data())
def test_entries_are_all_that_the_sessions_hold(past: list[str], data: st.DataObject) -> None:
    asked = data.draw(st.lists(st.integers(0, len(past) - 1), max_size=5, unique=True))
    index = filled(past)
    entries = index.entries(np.array(asked, np.int64))
    assert index.ends_ms(np.array(asked, np.int64)).tolist() == asked
    numbers = {item: number for number, item in enumerate(dict.fromkeys("".join(past)))}
    expected = sorted(
        (owner, numbers[item], past[number].rindex(item) + 1)
        for owner, number in enumerate(asked)
        for item in set(past[number])
    )
    found = zip(entries.owners.tolist(), entries.items.tolist(), entries.places.tolist(), strict=True)
    assert sorted(found) == expected


@given(st.lists(st.integers(0, 3)), st.integers(1, 9))
def test_nearest_is_the_tail_of_a_stable_sort(similarities: list[int], k: int) -> None:
    found = nearest(np.array(similarities, np.float64), k)
    assert sorted(found.tolist()) == sorted(np.argsort(similarities, kind="stable")[-k:].tolist())
