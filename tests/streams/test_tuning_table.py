"""The sentence and the tables of a search for parameters."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from models.evaluation.summary import Comparison
from models.evaluation.tuning import Figures, Verdict
from models.parameters import DEFAULTS
from streams.tuning_table import gain, tuning_table, verdict_sentence

VERDICT = Verdict(
    tuned=replace(DEFAULTS, half_life_ms=864_000_000, pair_time_constant_ms=180_000.0),
    choose=Figures(0.5, 0.25),
    tuned_choose=Figures(0.55, 0.24),
    confirm=Figures(0.6, 0.3),
    tuned_confirm=Figures(0.606, 0.303),
    comparisons={"hr@20": Comparison(1.01, (1.001, 1.019)), "mrr@20": Comparison(1.01, None)},
    gain=Comparison(1.01, (1.002, 1.018)),
    queries=4128,
)


def test_both_tables_show_the_values_in_their_units_and_the_gains() -> None:
    console = Console(file=io.StringIO(), width=140)
    console.print(tuning_table("my shop", VERDICT))
    assert isinstance(console.file, io.StringIO)
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
    assert lines[0] == "my shop"
    assert f"half_life_ms {DEFAULTS.half_life_ms / 86_400_000:g} 10 days" in lines
    assert "pair_time_constant_ms 600 180 seconds" in lines
    assert "pair_backward_weight 0.5 same" in lines
    assert "to choose by 0.500 0.550 0.250 0.240 +10.0 %, -4.0 %" in lines
    assert "to confirm 0.600 0.606 0.300 0.303 +1.0 % (95 %: +0.1 to +1.9), +1.0 %" in lines


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        (
            VERDICT,
            "Use the tuned parameters: on 4,128 queries that no trial had seen, they gain +1.0 % (95 %: +0.2 to +1.8).",
        ),
        (
            replace(VERDICT, gain=Comparison(1.003, (0.99, 1.02))),
            "Keep the defaults, the tuned parameters are not surely better: on 4,128 queries that no trial had seen, "
            "they gain +0.3 % (95 %: -1.0 to +2.0).",
        ),
        (
            replace(VERDICT, tuned=DEFAULTS, gain=Comparison(1.0, (1.0, 1.0))),
            "The defaults are as good: no trial was better on the sessions to choose by.",
        ),
    ],
)
def test_the_sentence_says_what_to_use_and_why(verdict: Verdict, sentence: str) -> None:
    assert verdict_sentence(verdict) == sentence


def test_a_gain_that_is_unknown_is_a_dash() -> None:
    assert gain(Comparison(None, None)) == "–"
