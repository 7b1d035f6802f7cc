"""The picture of an evaluation: what it shows, read back from the figure, and the file."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer

from models.evaluation.summary import Figures, Summary
from streams import evaluation_plot
from streams.evaluation_plot import evaluation_figure, write_plot


def figures(hr_4: float, hr_20: float, mrr_20: float | None) -> Figures:
    return {
        "hr@4": hr_4,
        "hr@20": hr_20,
        "mrr@4": None,
        "mrr@20": mrr_20,
        "ndcg@4": None,
        "ndcg@20": None,
        "hr@4_ci": [hr_4 - 0.01, hr_4 + 0.02],
        "hr@20_ci": [hr_20 - 0.03, hr_20 + 0.01],
        "mrr@4_ci": None,
        "mrr@20_ci": None,
        "ndcg@4_ci": None,
        "ndcg@20_ci": None,
        "coverage": None,
        "popularity": None,
        "abstained": None,
        "queries": 1_234,
        "query_us": None,
        "learn_us": None,
        "bytes_per_item": None,
        "moments": {},
    }


SUMMARY: Summary = {
    "dataset": "rsc15",
    "target": "novel",
    "frozen": {"rules": figures(0.3, 0.5, 0.2), "ours": figures(0.4, 0.6, 0.25), "popular": figures(0.0, 0.02, None)},
    "prequential": {"ours": figures(0.41, 0.62, 0.26), "late": figures(0.39, 0.7, 0.1)},
}


def shown(axes: Axes) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Read back the value and the ends of each dot by figure and model."""
    models = rows_of(axes)
    result: dict[str, dict[str, tuple[float, float, float]]] = {}
    for container in axes.containers:
        assert isinstance(container, ErrorbarContainer)
        dots, _, [bars] = container.lines
        assert dots is not None
        rows = np.asarray(dots.get_ydata(), float).round().astype(int)
        values = np.asarray(dots.get_xdata(), float).tolist()
        ends = [(segment[0][0], segment[1][0]) for segment in bars.get_segments()]
        result[str(container.get_label())] = {
            models[row]: (value, low, high) for row, value, (low, high) in zip(rows, values, ends, strict=True)
        }
    return result


def rows_of(axes: Axes) -> list[str]:
    """Return the models by row; panels share the labels of the first."""
    figure = axes.get_figure()
    assert figure is not None
    assert figure.axes[0].get_ylim() == axes.get_ylim()
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_each_protocol_has_a_panel() -> None:
    titles = [axes.get_title(loc="left") for axes in evaluation_figure(SUMMARY).axes]
    assert titles == ["frozen: learns the train part only", "prequential: asked, then taught"]
    only_one: Summary = {"dataset": "rsc15", "target": "any", "prequential": SUMMARY["prequential"]}
    assert len(evaluation_figure(only_one).axes) == 1


def test_dots_and_bars_are_the_figures_and_their_intervals() -> None:
    frozen, prequential = map(shown, evaluation_figure(SUMMARY).axes)
    assert list(frozen) == ["HR@20", "HR@4", "MRR@20"]
    assert frozen["HR@20"] == {
        "ours": pytest.approx((0.6, 0.57, 0.61)),
        "rules": pytest.approx((0.5, 0.47, 0.51)),
        "popular": pytest.approx((0.02, -0.01, 0.03)),
    }
    assert frozen["HR@4"]["ours"] == pytest.approx((0.4, 0.39, 0.42))
    assert prequential["HR@4"]["late"] == pytest.approx((0.39, 0.38, 0.41))


def test_a_figure_without_interval_is_a_dot_and_an_unknown_one_is_nothing() -> None:
    frozen = shown(evaluation_figure(SUMMARY).axes[0])
    assert frozen["MRR@20"] == {"ours": pytest.approx((0.25, 0.25, 0.25)), "rules": pytest.approx((0.2, 0.2, 0.2))}


def test_models_stand_in_the_order_of_the_first_protocol_and_the_best_at_the_top() -> None:
    for axes in evaluation_figure(SUMMARY).axes:
        assert rows_of(axes) == ["ours", "rules", "popular", "late"]
        assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_a_model_that_was_not_run_under_a_protocol_is_said_to_be() -> None:
    frozen, prequential = evaluation_figure(SUMMARY).axes
    rows = [
        [text.get_position()[1] for text in axes.texts if "not run" in text.get_text()]
        for axes in (frozen, prequential)
    ]
    assert rows == [[3], [1, 2]]


def test_every_dot_has_its_number() -> None:
    frozen = evaluation_figure(SUMMARY).axes[0]
    texts = [text.get_text() for text in frozen.texts if "not run" not in text.get_text()]
    assert texts[:2] == ["0.600 ±.020", "0.500 ±.020"]
    assert len(texts) == 8


def test_both_panels_have_one_scale_on_which_all_is_seen() -> None:
    frozen, prequential = evaluation_figure(SUMMARY).axes
    assert frozen.get_xlim() == prequential.get_xlim()
    low, high = frozen.get_xlim()
    assert low < 0.0 and high > 0.71


def test_the_picture_says_dataset_target_and_queries() -> None:
    figure = evaluation_figure(SUMMARY)
    assert figure.get_suptitle() == "rsc15, target novel"
    [legend] = figure.legends
    assert legend.get_title().get_text().startswith("1,234 queries; ± half the width of the 95 % interval")
    assert [text.get_text() for text in legend.get_texts()] == ["HR@20", "HR@4", "MRR@20"]


@pytest.mark.parametrize("summary", [SUMMARY, {"dataset": "rsc15", "target": "novel"}], ids=["all", "nothing"])
def test_the_file_is_a_png_of_1200_pixels_and_the_same_each_time(summary: Summary, tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        write_plot(summary, tmp_path / name)
    content = (tmp_path / "one.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">I", content[16:20]) == (1200,)
    assert content == (tmp_path / "two.png").read_bytes()


def test_numbers_stay_inside_their_panels() -> None:
    figure = evaluation_figure(SUMMARY)
    figure.draw_without_rendering()
    for axes in figure.axes:
        for text in axes.texts:
            assert text.get_window_extent().x1 <= axes.get_window_extent().x1


def test_drawing_leaves_pyplot_and_its_global_figures_alone(tmp_path: Path) -> None:
    program = (
        "import json, sys\nfrom pathlib import Path\nimport streams.evaluation_plot as plot\n"
        "early = 'matplotlib' in sys.modules\nplot.write_plot(json.loads(sys.argv[1]), Path(sys.argv[2]))\n"
        "print(early, 'matplotlib.pyplot' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, json.dumps(SUMMARY), str(tmp_path / "plot.png")],
        cwd=Path(evaluation_plot.__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout.split() == ["False", "False"]
