"""The tables of an evaluation: what is bold, what is left out, and that no number is cut."""

import io
import re

import pytest
from rich.console import Console

from models.evaluation.rivalry import RivalEffect, RivalFigures
from models.evaluation.summary import Figures, MomentFigures, Summary
from streams.evaluation_table import evaluation_table


def figures(
    hr_20: float | None,
    mrr_20: float | None = 0.25,
    query_us: float | None = 40.0,
    popularity: float = 0.1,
    abstained: float = 0.013,
    queries: int = 71_222,
) -> Figures:
    ends = None if hr_20 is None else [round(hr_20 - 0.005, 6), round(hr_20 + 0.003, 6)]
    return {
        "hr@4": 0.3,
        "hr@20": hr_20,
        "mrr@4": 0.2,
        "mrr@20": mrr_20,
        "ndcg@4": 0.21,
        "ndcg@20": 0.26,
        "hr@4_ci": [0.1, 0.5],
        "hr@20_ci": ends,
        "mrr@4_ci": None,
        "mrr@20_ci": None,
        "ndcg@4_ci": None,
        "ndcg@20_ci": None,
        "coverage": 0.425,
        "popularity": popularity,
        "abstained": abstained,
        "queries": queries,
        "query_us": query_us,
        "learn_us": None,
        "bytes_per_item": None,
        "moments": {},
    }


SUMMARY: Summary = {
    "dataset": "rsc15",
    "target": "novel",
    "frozen": {"rules": figures(0.494, 0.251, 41.4), "ours": figures(0.5951, 0.2721, 2_812.0, popularity=0.9)},
    "prequential": {"ours": figures(0.603), "rules": figures(None, None, None)},
}


def drawn(summary: Summary, width: int = 100) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(evaluation_table(summary))
    return written(console)


def written(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def bold(summary: Summary) -> list[str]:
    """Return what is bold in the rows of the models."""
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="standard")
    console.print(evaluation_table(summary))
    rows = [line for line in written(console) if re.match(r" ?(ours|rules)", line)]
    return [text.strip() for row in rows for text in re.findall(r"\x1b\[1m(.*?)\x1b\[0m", row)]


def only_frozen(**models: Figures) -> Summary:
    return {"dataset": "rsc15", "target": "novel", "frozen": models}


def test_each_protocol_has_a_table_and_a_title_that_says_what_it_is() -> None:
    titles = [line for line in drawn(SUMMARY) if "target" in line]
    assert titles == [
        "rsc15, target novel, frozen (learns the train part only), 71,222 queries",
        "rsc15, target novel, prequential (asked, then taught), 71,222 queries",
    ]


def test_a_protocol_that_was_not_run_has_no_table() -> None:
    lines = drawn({"dataset": "rsc15", "target": "any", "prequential": SUMMARY["prequential"]})
    assert [line for line in lines if "target" in line] == [
        "rsc15, target any, prequential (asked, then taught), 71,222 queries"
    ]


def test_a_row_holds_the_figures_and_half_the_interval() -> None:
    rows = [line.split() for line in drawn(SUMMARY) if re.match(" (ours|rules)", line)]
    assert [" ".join(row) for row in rows] == [
        "ours 0.300 0.595 ±.004 0.272 0.260 42.5% 1.3% 2,812 0.900",
        "rules 0.300 0.494 ±.004 0.251 0.260 42.5% 1.3% 41 0.100",
        "ours 0.300 0.603 ±.004 0.250 0.260 42.5% 1.3% 40 0.100",
        "rules 0.300 – – 0.260 42.5% 1.3% – 0.100",
    ]


def test_a_column_of_which_nothing_is_known_is_left_out() -> None:
    columns = drawn(SUMMARY)[2:4]
    assert [line.split() for line in columns] == [
        ["NDCG", "cover-", "ab-", "query", "popu-"],
        ["model", "HR@4", "HR@20", "MRR@20", "@20", "age", "stained", "µs", "larity"],
    ]
    assert "bytes" not in " ".join(drawn(SUMMARY, 50))


def test_the_best_is_bold_and_popularity_never_is() -> None:
    one, other = figures(0.5, 0.20, 900.0, popularity=0.9), figures(0.4, 0.25, 40.0, abstained=0.002)
    assert bold(only_frozen(ours=one, rules=other)) == ["0.500", "0.250", "0.2%", "40"]


def test_what_looks_equal_is_bold_together_and_not_at_all_if_all_is_equal() -> None:
    equal = {"ours": figures(0.50001), "rules": figures(0.49999)}
    assert bold(only_frozen(**equal)) == []
    assert bold(only_frozen(**equal, third=figures(0.4))) == ["0.500", "0.500"]


def test_a_model_that_knows_nothing_is_never_the_best() -> None:
    assert bold(only_frozen(ours=figures(None, None, None), rules=figures(0.1, 0.2, 3.0))) == ["0.100", "0.200", "3"]


@pytest.mark.parametrize("width", [50, 60, 70, 80, 100, 200])
def test_no_number_is_cut(width: int) -> None:
    lines = drawn(SUMMARY, width)
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    assert "0.595 ±.004" in "\n".join(lines)


def test_the_note_names_what_is_left_out_for_the_width() -> None:
    assert "too narrow for" not in " ".join(drawn(SUMMARY, 100))
    assert " ".join(drawn(SUMMARY, 70)).endswith("too narrow for popularity")
    assert " ".join(drawn(SUMMARY, 60)).endswith("too narrow for query_us, popularity")


def test_models_with_different_numbers_of_queries_are_told() -> None:
    lines = drawn(only_frozen(ours=figures(0.5, queries=9), rules=figures(0.5, queries=1_200)))
    assert lines[0].endswith("9 to 1,200 queries")


def test_nothing_run_is_a_note_only() -> None:
    assert len(drawn({"dataset": "rsc15", "target": "novel"}, 200)) == 1


# -- by moment and category, and rivals


def moment_figures(queries: int, hr_20: float | None) -> MomentFigures:
    return {"queries": queries, "hr@4": 0.1, "hr@20": hr_20, "mrr@20": 0.1}


def divided(hr_20: float, cart_queries: int = 30) -> Figures:
    result = figures(hr_20)
    result["moments"] = {
        "browse": moment_figures(1_200, hr_20),
        "cart": moment_figures(cart_queries, hr_20 / 2),
        "order": moment_figures(0, None),
    }
    return result


def test_more_than_one_moment_is_shown_below_with_its_queries() -> None:
    lines = drawn(only_frozen(ours=divided(0.6), rules=divided(0.4)))
    start = next(place for place, line in enumerate(lines) if line.startswith("hit rate by"))
    assert lines[start] == "hit rate by the moment of the question (browse 1,200, cart 30 queries)"
    assert [line.split() for line in lines[start + 2 : start + 7]] == [
        ["browse", "browse", "cart", "cart"],
        ["model", "HR@4", "HR@20", "HR@4", "HR@20"],
        ["─" * len(lines[start + 4].strip())],
        ["ours", "0.100", "0.600", "0.100", "0.300"],
        ["rules", "0.100", "0.400", "0.100", "0.200"],
    ]


def test_one_moment_is_not_shown_by_itself() -> None:
    assert "hit rate by" not in " ".join(drawn(only_frozen(ours=divided(0.6, cart_queries=0))))


def test_categories_are_shown_where_they_are_known() -> None:
    ours = figures(0.6)
    ours["category_hr@4"], ours["category_hr@20"] = 0.7, None
    lines = drawn(only_frozen(ours=ours, rules=figures(0.4)))
    start = lines.index("hit rate by the target's category")
    rows = [line.split() for line in lines[start + 2 :] if line]
    assert rows[1] == ["model", "HR@4"]
    assert rows[3:5] == [["ours", "0.700"], ["rules", "–"]]
    both = divided(0.6)
    both["category_hr@4"], both["category_hr@20"] = 0.7, 0.8
    title = "hit rate by the moment of the question (browse 1,200, cart 30 queries) and the target's category"
    assert title in drawn(only_frozen(ours=both))


def rival_figures(same: float | None, empty: int) -> RivalFigures:
    return {
        "queries": 1_030,
        "same_category@4": same,
        "compared@4": 0.031,
        "hr@4": 0.021,
        "hr@20": 0.034,
        "category_hr@4": 0.083,
        "category_hr@20": 0.114,
        "empty": empty,
    }


@pytest.mark.parametrize("width", [80, 200])
def test_rivals_are_shown_last_by_moment_offered_and_kept_back(width: int) -> None:
    summary = only_frozen(ours=figures(0.6))
    effect: RivalEffect = {"kept_back": rival_figures(None, 117), "offered": rival_figures(0.488, 74)}
    summary["rivals"] = {"frozen": {"cart": effect}}
    lines = drawn(summary, width)
    start = lines.index("rivals of what is in the cart, frozen (learns the train part only)")
    assert [line.split() for line in lines[start + 5 : start + 7]] == [
        ["cart", "offered", "1,030", "48.8%", "3.1%", "0.021", "0.034", "0.083", "0.114", "74"],
        ["cart", "kept", "back", "1,030", "–", "3.1%", "0.021", "0.034", "0.083", "0.114", "117"],
    ]


def test_moments_without_queries_say_nothing_of_rivals() -> None:
    nothing = rival_figures(None, 0)
    nothing["queries"] = 0
    summary = only_frozen(ours=figures(0.6))
    summary["rivals"] = {"frozen": {"cart": {"kept_back": nothing, "offered": nothing}}}
    assert "rivals" not in " ".join(drawn(summary))
