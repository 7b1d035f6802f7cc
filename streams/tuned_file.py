"""Tuned parameters as the configuration file that a worker reads."""

from models.parameters import Parameters
from models.tunable import TUNABLES, Tunable
from streams.settings import MODEL_KEYS

__all__ = ["tuned_file"]

_DAY_MS = 86_400_000


def tuned_file(tuned: Parameters, origin: str) -> str:
    """Return the TOML text: what differs from the defaults, each with its unit and its default.

    Parameters
    ----------
    origin : str
        Lines that say where the values come from.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from models.parameters import DEFAULTS
    >>> print(tuned_file(replace(DEFAULTS, half_life_ms=259_200_000, hop_weight=1.1), "Found by hand."), end="")
    # Found by hand.
    <BLANKLINE>
    # days: after this long a count weighs half; default 30
    half_life_days = 3
    <BLANKLINE>
    [model]
    # what a path over a neighbour is worth; default 0.8
    hop_weight = 1.1
    """
    changed = [each for each in TUNABLES if each.of(tuned) != each.default]
    blocks = ["\n".join(f"# {line}" for line in origin.splitlines())]
    blocks += [_line("half_life_days", each, tuned, _DAY_MS, "days") for each in changed if each.name not in MODEL_KEYS]
    model = [_line(name, each, tuned) for name, each in MODEL_KEYS.items() if each in changed]
    if model:
        blocks.append("\n".join(["[model]", *model]))
    return "\n\n".join(blocks) + "\n"


def _line(key: str, tunable: Tunable, tuned: Parameters, size: float = 1, unit: str = "") -> str:
    unit = unit or ("milliseconds" if key.endswith("_ms") else "")
    about = f"{unit}: {tunable.meaning}" if unit else tunable.meaning
    return f"# {about}; default {tunable.default / size:.12g}\n{key} = {tunable.of(tuned) / size:.12g}"
