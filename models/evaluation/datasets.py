"""Recorded events as interactions, and their splits by time into what is learnt and what is asked."""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from models.errors import ConfigurationError
from models.evaluation.recommender import Interaction
from models.recordings.record import Recorded
from models.records import ADD

__all__ = ["TEST_SHARE", "Split", "interactions", "split_by_time", "validation_split"]

#: Share of the sessions, the last to start, that a split keeps for the questions: the usual fifth.
TEST_SHARE: Final = 0.2

#: What is learnt, and what is asked.
Split: TypeAlias = tuple[list[Interaction], list[Interaction]]


def interactions(recorded: Iterable[Recorded]) -> list[Interaction]:
    """Return what the sessions met, in the order of the events.

    A view and a cart addition are one interaction each, an order one for each line. Items that leave a cart, and carts
    that are cleared, meet nothing.

    Examples
    --------
    >>> order = {"session_id": "s1", "lines": [{"item_id": "tent"}, {"item_id": "rope", "category": "tools"}]}
    >>> for interaction in interactions([Recorded("orders", order, 1767607200000)]):
    ...     print(interaction.item_id, interaction.kind, interaction.category)
    tent orders None
    rope orders tools
    """
    found = []
    for kind, event, time_ms in recorded:
        session = event["session_id"]
        if kind == "orders":
            found += [
                Interaction(session, line["item_id"], time_ms, kind, line.get("category") or None)
                for line in event["lines"]
            ]
        elif kind == "browse" or (event.get("action") or ADD) == ADD:
            found.append(Interaction(session, event["item_id"], time_ms, kind, event.get("category") or None))
    return found


def split_by_time(interactions: Sequence[Interaction], test_share: float = TEST_SHARE) -> Split:
    """Split into training and test at one moment, the test's start; both keep the order of the interactions.

    Test sessions are those that start at or after that moment, and they stay whole. Of the sessions that started
    before, only what happened before it is training; the rest of a session that was still running then is in
    neither, so nothing is learnt that was not known when the test starts.

    Parameters
    ----------
    interactions : sequence of Interaction
        In any order; a session starts at its earliest interaction.
    test_share : float
        Share of the sessions that is the test, above 0 and below 1, rounded to whole sessions, at least one. Sessions
        that start in the same millisecond stay together, so the test may be larger. If all the sessions would be
        test, the earliest are training nevertheless; sessions that all start together cannot be split, they are all
        training.

    Raises
    ------
    ConfigurationError
        If the share is out of range.

    Examples
    --------
    >>> sessions = {"a": (1, 5), "b": (2, 3), "c": (4, 6)}
    >>> met = [Interaction(session, "tent", time_ms) for session, times in sessions.items() for time_ms in times]
    >>> train, test = split_by_time(met, test_share=1 / 3)
    >>> [(each.session_id, each.time_ms) for each in train], [(each.session_id, each.time_ms) for each in test]
    ([('a', 1), ('b', 2), ('b', 3)], [('c', 4), ('c', 6)])
    """
    if not 0 < test_share < 1:
        raise ConfigurationError(f"test_share={test_share:g} is out of range: above 0 and below 1")
    started_ms: dict[str, int] = {}
    for each in interactions:
        started_ms[each.session_id] = min(each.time_ms, started_ms.get(each.session_id, each.time_ms))
    test_start_ms = _test_start_ms(sorted(started_ms.values()), test_share)
    if test_start_ms is None:
        return list(interactions), []
    train = [each for each in interactions if each.time_ms < test_start_ms]
    test = [each for each in interactions if started_ms[each.session_id] >= test_start_ms]
    return train, test


def validation_split(train: Sequence[Interaction], validation_share: float = TEST_SHARE) -> Split:
    """Split the training once more by the rule of `split_by_time`, for tuning that never sees the test.

    Examples
    --------
    >>> train, validation = validation_split([Interaction("a", "tent", 1), Interaction("b", "rope", 2)])
    >>> [each.session_id for each in train], [each.session_id for each in validation]
    (['a'], ['b'])
    """
    return split_by_time(train, validation_share)


def _test_start_ms(starts_ms: Sequence[int], test_share: float) -> int | None:
    """Return when the test starts, None when the sorted starts leave no moment with sessions on both sides."""
    if not starts_ms:
        return None
    test_sessions = max(1, round(len(starts_ms) * test_share))
    start_ms = starts_ms[-test_sessions]
    if start_ms > starts_ms[0]:
        return start_ms
    return next((each for each in starts_ms if each > starts_ms[0]), None)
