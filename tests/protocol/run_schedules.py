"""Runs many schedules from the command line: `python tests/protocol/run_schedules.py --schedules 10000 --seed 0`.

With `--without RULE` a rule is off, and the first schedule that notices ends the run; `--without all` tries each. The
steps of such a schedule are weighted so that it soon notices, or, with `--as-drawn`, as in every other.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from time import monotonic

import click

sys.path[:0] = [str(Path(__file__).parents[2] / folder) for folder in ("", "tests/streams", "tests/protocol")]

from rules import RULES  # noqa: E402
from schedule import run_schedule  # noqa: E402


def run(first: int, count: int) -> int:
    """Run the product as it is; return how many schedules found a difference."""
    started, failed = monotonic(), 0
    happened: Counter[str] = Counter()
    for seed in range(first, first + count):
        outcome = run_schedule(seed)
        happened += outcome.happened
        if outcome.differences:
            failed += 1
            click.echo(f"seed {seed}: {len(outcome.differences)} differences, first: {outcome.differences[0]}")
    click.echo(", ".join(f"{name} {number}" for name, number in sorted(happened.items())))
    click.echo(f"{count} schedules from seed {first}, {failed} with differences, {monotonic() - started:.0f} s")
    return failed


def run_without(rule: str, first: int, count: int, as_drawn: bool) -> bool:
    """Run the product without a rule; tell whether any schedule noticed it."""
    switch, often = RULES[rule]
    for seed in range(first, first + count):
        found = run_schedule(seed, switch, {} if as_drawn else often).differences
        if found:
            click.echo(f"{rule:42} {seed - first + 1:6} schedules, seed {seed}: {found[0][:110]}")
            return True
    click.echo(f"{rule:42} not noticed in {count} schedules")
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the first schedule")
    parser.add_argument("--without", help=f"all, or one of: {'; '.join(RULES)}")
    parser.add_argument("--as-drawn", action="store_true", help="weigh the steps as without a rule in mind")
    arguments = parser.parse_args()
    if arguments.without is None:
        return 1 if run(arguments.seed, arguments.schedules) else 0
    rules = list(RULES) if arguments.without == "all" else [arguments.without]
    caught = [run_without(rule, arguments.seed, arguments.schedules, arguments.as_drawn) for rule in rules]
    return 0 if all(caught) else 1


if __name__ == "__main__":
    sys.exit(main())
