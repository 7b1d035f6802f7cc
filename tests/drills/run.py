"""`make drills`: accidents under load on a real Apache Kafka; after each everything is counted again.

One line a round. The last line is ``N rounds, D differences, L lost``; the exit code is 1 unless D and L are 0.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from random import Random
from time import monotonic

sys.path.insert(0, str(Path(__file__).parents[2]))

from accidents import ACCIDENTS, Accident, schedule
from drill import Drill, Outcome

from streams.brokers.kafka import KafkaBroker

#: Rounds on the same topics: what is counted again grows with each.
_ROUNDS_PER_DRILL = 10
_RATE = 120.0
_SHOWN = 5


def last_line(rounds: int, differences: int, lost: int) -> str:
    """Return the line that the drills end with."""
    return f"{rounds} rounds, {differences} differences, {lost} lost"


def round_line(number: int, accident: Accident, outcome: Outcome, seconds: float) -> str:
    """Return the line of one round."""
    return (
        f"{number:3d}  {accident.name} ({outcome.details}): {outcome.events} events, "
        f"recovered in {outcome.recovery_s:.1f} s, longest wait {outcome.wait_s:.1f} s, "
        f"{outcome.second_versions} second versions, {len(outcome.differences)} differences, {len(outcome.lost)} lost; "
        f"{seconds:.0f} s" + (f"; ended: {'; '.join(map(str, outcome.endings))}" if outcome.endings else "")
    )


def run(rounds: int, seed: int, folder: Path, kinds: list[str]) -> int:
    """Run the drills; return the exit code."""
    rng = Random(seed)
    accidents = schedule(rng)
    if kinds:
        chosen = [accident for accident in ACCIDENTS if accident.name in kinds]
        accidents = (chosen[number % len(chosen)] for number in range(rounds))
    differences = lost = 0
    needless = 0
    waits: list[float] = []
    kept: list[Path] = []
    drill: Drill | None = None
    with KafkaBroker(folder / "kafka") as broker:
        for number in range(1, rounds + 1):
            accident = next(accidents)
            started = monotonic()
            if drill is None:
                drill = Drill(broker, folder / f"round-{number}", Random(rng.random()), _RATE)
            outcome = drill.round(accident, Random(rng.random()))
            _say(round_line(number, accident, outcome, monotonic() - started))
            for finding in (outcome.differences + outcome.lost)[:_SHOWN]:
                _say(f"     {finding}")
            differences += len(outcome.differences)
            lost += len(outcome.lost)
            if not accident.may_wake_late:
                needless += sum(ending.is_by_itself for ending in outcome.endings)
            if accident.serves_within_s is not None:
                waits.append(outcome.wait_s)
            if not outcome.is_clean or number % _ROUNDS_PER_DRILL == 0 or number == rounds:
                if not outcome.is_clean:
                    kept.append(drill.folder)
                drill.close(is_kept=not outcome.is_clean)
                drill = None
    for path in kept:
        _say(f"logs and tables of a failed round: {path}")
    _say(f"longest wait of an event for its suggestion after a kill: {max(waits, default=0):.1f} s")
    _say(f"workers that ended by themselves where nothing made them: {needless}")
    _say(last_line(rounds, differences, lost))
    return int(bool(differences or lost))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Read the flags and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", action="append", default=[], help="only accidents of this kind, in turn")
    parser.add_argument("--folder", type=Path, help="where logs and tables are kept; a new one under /tmp")
    flags = parser.parse_args()
    folder = flags.folder or Path(tempfile.mkdtemp(prefix="sidecart-drills-"))
    code = run(flags.rounds, flags.seed, folder, flags.kind)
    if code == 0 and flags.folder is None:
        shutil.rmtree(folder)
    sys.exit(code)


if __name__ == "__main__":
    main()
