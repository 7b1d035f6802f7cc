"""Two runs of inputs gone wrong: through the door alone, and through all stages of a worker."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

from fuzzed_worker import FuzzedWorker, Placed, run_rounds
from mutator import Input, Mutator
from oracles import check_input
from smallest import smallest

from streams.brokers.embedded import EmbeddedBroker
from streams.settings import Settings
from streams.topics import topic_table

__all__ = ["Outcome", "fuzz_door", "fuzz_worker"]

_ROUND: Final = 1_000
_RELOAD_EVERY: Final = 5
#: Runs of a worker that may be spent on making a failing round smaller.
_TRIES: Final = 80


@dataclass
class Outcome:
    """What a run has shown: inputs by what became of them, and the failure that ended it, if any."""

    events: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    largest: Counter[str] = field(default_factory=Counter)
    failure: str | None = None

    def line(self) -> str:
        """Return the run in one line."""
        letters = Counter({reason: count for reason, count in self.counts.items() if reason != "applied"})
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in letters.most_common())
        return (
            f"{self.events:,} events: {self.counts['applied']:,} applied, {letters.total():,} in dead letters"
            f" ({reasons}), {int(self.failure is not None)} failures"
        )


def fuzz_door(
    events: int,
    seed: int,
    on_progress: Callable[[int], None] = lambda done: None,
    check: Callable[[Input], str | None] = check_input,
) -> Outcome:
    """Have the door judge so many inputs, up to the first failure."""
    outcome, mutator = Outcome(), Mutator(seed)
    for number in range(events):
        given = mutator.next()
        outcome.events += 1
        try:
            outcome.counts[check(given) or "applied"] += 1
        except Exception as error:  # noqa: BLE001  whatever it is, it is what is looked for
            outcome.failure = f"{error!r} for {_smallest_input(given, check)!r}"
            break
        if number % 10_000 == 0:
            on_progress(number)
    return outcome


def fuzz_worker(events: int, seed: int, on_progress: Callable[[int], None] = lambda done: None) -> Outcome:
    """Have the stages of a worker take so many inputs, up to the first failure; every fifth round it is another one."""
    outcome, mutator, places = Outcome(), Mutator(seed), Random(seed)
    latest: list[Placed] = []

    def rounds() -> Iterator[list[Placed]]:
        while outcome.events < events:
            count = min(_ROUND, events - outcome.events)
            latest[:] = [(mutator.next(), places.randrange(3)) for _ in range(count)]
            outcome.events += count
            yield latest
            on_progress(outcome.events)

    try:
        _run(rounds(), outcome)
    except Exception as error:  # noqa: BLE001  whatever it is, it is what is looked for
        few = smallest(list(latest), _fails, _TRIES)
        if len(few) == len(latest):
            few = []
        parts = [_smallest_of(few, at)[at] for at in range(len(few))] if len(few) < 4 else few
        shown = repr(parts) if parts else f"the state after {outcome.events:,} events of seed {seed}; not for one round"
        outcome.failure = f"{error!r} for {shown}"
    return outcome


def _run(rounds: Iterator[list[Placed]], outcome: Outcome) -> None:
    with EmbeddedBroker() as broker:
        broker.create_topics(topic.name for topic in topic_table(Settings()).values())
        worker = FuzzedWorker(broker)
        outcome.counts, outcome.largest = worker.counts, worker.largest
        run_rounds(worker, rounds, _RELOAD_EVERY)


def _fails(given: list[Placed]) -> bool:
    try:
        _run(iter([given]), Outcome())
    except Exception:  # noqa: BLE001  whatever it is, it is what is looked for
        return True
    return False


def _smallest_of(given: list[Placed], at: int) -> list[Placed]:
    one, partition = given[at]

    def placed(value: bytes) -> list[Placed]:
        return [*given[:at], (one._replace(value=value), partition), *given[at + 1 :]]

    return placed(smallest(one.value or b"", lambda value: _fails(placed(value)), _TRIES))


def _smallest_input(given: Input, check: Callable[[Input], str | None]) -> Input:
    def fails(value: bytes) -> bool:
        try:
            check(given._replace(value=value))
        except Exception:  # noqa: BLE001  whatever it is, it is what is looked for
            return True
        return False

    return given._replace(value=smallest(given.value, fails)) if given.value else given
