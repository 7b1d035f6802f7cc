"""`sidecart tune`: parameters of the ranking that suit a shop's own traffic."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import click
from rich.console import Console

from models.errors import ConfigurationError
from models.evaluation.datasets import Split
from models.evaluation.tuning import Trial, Tuner, Verdict
from models.kernel.rows import DenseRows, compile_kernels
from models.parameters import DEFAULTS
from models.tunable import TUNABLES, Tunable
from streams.cli.exit_codes import INTERRUPTED
from streams.cli.progress import progress_bar
from streams.datasets import DATASETS, load_validation, load_validation_file
from streams.tuned_file import tuned_file
from streams.tuning_table import tuning_table, verdict_sentence

__all__ = ["command"]

_HALF_LIFE = "half_life_ms"
#: Columns of a table that goes to a file or another program.
_PIPE_WIDTH = 160


@click.command()
@click.argument("dataset", required=False, type=click.Choice(DATASETS))
@click.option("--train", type=click.Path(path_type=Path), help="A shop's own sessions, instead of DATASET.")
@click.option("--trials", type=click.IntRange(1), default=60, show_default=True, help="Parameters tried, at most.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Begin no trial after so long.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Decides the order of the trials.")
@click.option("--keep-half-life", is_flag=True, help="Leave the half-life: tables that exist can take no other.")
@click.option("--write", type=click.Path(path_type=Path), help="Write the configuration file, if it is worth it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def command(
    dataset: str | None,
    train: Path | None,
    trials: int,
    seconds: float | None,
    seed: int,
    keep_half_life: bool,
    write: Path | None,
    as_json: bool,
) -> None:
    """Search for parameters of the ranking that suit a shop's traffic better than the defaults.

    The sessions are those of DATASET, or of a file as `sidecart evaluate` takes it. The last of them, a fifth, are its
    validation part: one half chooses the parameters, and the other half, which is later and which no trial sees, says
    what the choice is worth. Ctrl-C ends the search; the best so far is judged. The test part of DATASET is not used.
    """
    if (dataset is None) == (train is None):
        raise ConfigurationError(f"name either a dataset ({', '.join(DATASETS)}) or --train FILE")
    if write is not None:
        _check_writable(write)
    if dataset is not None:
        source, split = dataset, load_validation(dataset, os.environ)
    else:
        assert train is not None
        source, split = str(train), load_validation_file(train)
    tunables = [each for each in TUNABLES if not (keep_half_life and each.name == _HALF_LIFE)]
    found = _search(split, _Budget(trials, seconds), seed, tunables)
    origin = f"sidecart tune {source}: the best of {found.trials} trials, seed {seed}"
    text = tuned_file(found.verdict.tuned, f"{origin}.\n{verdict_sentence(found.verdict)}")
    if write is not None and found.verdict.is_better:
        _write(write, text)
    if as_json:
        click.echo(json.dumps({"dataset": source, "seed": seed} | _report(found)))
    else:
        console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)
        console.print(tuning_table(origin, found.verdict))
        click.echo(verdict_sentence(found.verdict))
        click.echo(_next_step(found.verdict, text, write))
    if found.is_interrupted:
        sys.exit(INTERRUPTED)


class _Budget(NamedTuple):
    """How much is tried: so many trials, and none begun after so many seconds."""

    trials: int
    seconds: float | None


class _Found(NamedTuple):
    """What a search came to."""

    verdict: Verdict
    sessions: dict[str, int]
    trials: int
    seconds: float
    is_interrupted: bool


def _search(split: Split, budget: _Budget, seed: int, tunables: Sequence[Tunable]) -> _Found:
    """Try until the budget is used up or Ctrl-C comes, then judge the best."""
    with progress_bar("{task.description}") as progress:
        task = progress.add_task("compiling", total=None)
        compile_kernels(DEFAULTS)
        tuner = Tuner(*split, DenseRows, lambda done: progress.advance(task, done))
        trials_size = (budget.trials + 1) * tuner.trial_size
        progress.update(task, description="trying the defaults", total=trials_size + tuner.judgement_size)
        started_s = monotonic()
        best: Trial | None = None
        done, is_interrupted = 0, False
        try:
            for done, trial in enumerate(tuner.trials(budget.trials, seed, tunables)):
                best = trial if best is None or trial.is_best else best
                progress.update(task, description=f"{done} of {budget.trials} trials, best {best.score - 1:+.1%}")
                if budget.seconds is not None and monotonic() - started_s >= budget.seconds:
                    break
        except KeyboardInterrupt:
            is_interrupted = True
        if best is None:
            raise click.Abort
        progress.update(task, description="judging the best", completed=trials_size)
        verdict = tuner.judge(best.parameters)
        return _Found(verdict, tuner.sessions, done, monotonic() - started_s, is_interrupted)


def _report(found: _Found) -> dict[str, object]:
    verdict = found.verdict
    return {
        "trials": found.trials,
        "seconds": round(found.seconds, 1),
        "is_interrupted": found.is_interrupted,
        "sessions": found.sessions,
        "queries": verdict.queries,
        "parameters": {each.name: {"default": each.default, "tuned": each.of(verdict.tuned)} for each in TUNABLES},
        "choose": {"default": verdict.choose._asdict(), "tuned": verdict.tuned_choose._asdict()},
        "confirm": {"default": verdict.confirm._asdict(), "tuned": verdict.tuned_confirm._asdict()},
        "gain": verdict.gain._asdict(),
        "gain_by_metric": {name: each._asdict() for name, each in verdict.comparisons.items()},
        "is_better": verdict.is_better,
    }


def _next_step(verdict: Verdict, text: str, write: Path | None) -> str:
    if not verdict.is_better:
        return "There is nothing to change" + (f", and {write} is not written." if write is not None else ".")
    lines = []
    if write is None:
        lines += ["Put this into the file that SIDECART_CONFIG names (--write FILE writes it):", "", text]
    else:
        lines.append(f"Written: {write}. Start the workers with SIDECART_CONFIG={write}")
    if verdict.tuned.half_life_ms != DEFAULTS.half_life_ms:
        lines.append(
            "Tables that exist refuse another half-life: begin with new ones, or search with --keep-half-life."
        )
    return "\n".join(lines)


def _check_writable(path: Path) -> None:
    """Refuse before the search what would be refused after it."""
    if path.exists():
        raise ConfigurationError(f"{path} exists: name a file that does not, or remove it")
    if not path.parent.is_dir():
        raise ConfigurationError(f"{path} cannot be written: {path.parent} is not a folder")


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
