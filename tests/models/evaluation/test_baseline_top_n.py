from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.baselines.top_n import top_n

items = st.sampled_from("abcdefgh")


@given(st.dictionaries(items, st.integers(-3, 3)), st.integers(0, 9), st.sets(items))
def test_it_is_the_head_of_the_sorted_rest(scores: dict[str, float], n: int, excluded: set[str]) -> None:
    rest = [item for item in scores if item not in excluded]
    assert top_n(scores, n, excluded) == sorted(rest, key=lambda item: (-scores[item], item))[:n]


def test_an_excluded_item_named_twice_or_never_scored_costs_no_place() -> None:
    assert top_n({"a": 3, "b": 2, "c": 1}, 2, ["a", "a", "z"]) == ["b", "c"]
