"""`sidecart evaluate` as a user runs it: tables and a picture for people, one object for machines, clear mistakes."""

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

START = 1_767_607_200
MODELS = ["sidecart", "popularity", "item-knn", "ar", "sr", "v-sknn", "v-stan"]
NAMED = {"hr@4", "hr@20", "mrr@20", "ndcg@20", "coverage", "abstained", "queries", "query_us"}
PNG = b"\x89PNG\r\n\x1a\n"


def visits(prefix: str, count: int, start_s: int, separator: str = ",", *, has_category: bool = True) -> str:
    """Return sessions that look at a tent, put a rope into the cart, and order it with a stove."""
    header = ["session_id", "item_id", "time", "kind", *(["category"] if has_category else [])]
    lines = [header]
    for number in range(count):
        for second, item, kind in (
            (0, "tent", ""),
            (60, "rope", "cart"),
            (90, "stove", "order"),
            (90, "rope", "order"),
        ):
            lines.append([f"{prefix}{number}", item, str(start_s + 600 * number + second), kind])
            lines[-1] += ["shelter" if item == "tent" else "tools"] if has_category else []
    return "\n".join(separator.join(line) for line in lines) + "\n"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "train.csv").write_text(visits("a", 12, START))
    (tmp_path / "test.csv").write_text(visits("b", 3, START + 100_000))
    return ["--train", "train.csv", "--test", "test.csv"]


def arguments(*more: str) -> list[str]:
    return [sys.executable, "-m", "streams.cli.main", "evaluate", *more]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SIDECART_")}
    return kept | {"PYTHONPATH": str(Path(__file__).parents[3])} | more


def evaluate(folder: Path, *more: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        arguments(*more), cwd=folder, env=environment(**variables), capture_output=True, text=True, timeout=120
    )


def summary(folder: Path, *more: str, **variables: str) -> dict[str, dict[str, dict[str, object]]]:
    """Return the object that is printed, which is all that is printed."""
    done = evaluate(folder, *more, "--json", **variables)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def assert_refused(done: "subprocess.CompletedProcess[str]", sentence: str) -> None:
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"sidecart: {sentence}\n"


# -- what is shown


def test_people_get_tables_and_a_picture(tmp_path: Path, files: list[str]) -> None:
    done = evaluate(tmp_path, *files)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.strip() for line in done.stdout.splitlines()]
    titles = [line for line in lines if line.startswith("train.csv, test.csv, target")]
    assert titles == [
        "train.csv, test.csv, target novel, frozen (learns the train part only), 6 queries",
        "train.csv, test.csv, target novel, prequential (asked, then taught), 6 queries",
    ]
    for model in MODELS:
        # Twice the figures, and twice those by moment and category.
        assert sum(line.split(" ")[0] == model for line in lines) == 4
    assert lines[-1] == "plot: .sidecart/evaluation-train.csv-test.csv-novel.png"
    assert (tmp_path / lines[-1].removeprefix("plot: ")).read_bytes().startswith(PNG)


def test_machines_get_one_object_and_no_picture(tmp_path: Path, files: list[str]) -> None:
    found = summary(tmp_path, *files)
    assert list(found) == ["dataset", "target", "frozen", "prequential"]
    assert (found["dataset"], found["target"]) == ("train.csv, test.csv", "novel")
    for protocol in ("frozen", "prequential"):
        assert list(found[protocol]) == MODELS
        for figures in found[protocol].values():
            assert set(figures) >= NAMED
            assert figures["queries"] == 6
            assert all(isinstance(figures[name], int | float) for name in NAMED)
    assert found["frozen"]["v-sknn"]["hr@4"] == 1.0
    assert not (tmp_path / ".sidecart").exists()


def test_a_protocol_and_models_can_be_chosen(tmp_path: Path, files: list[str]) -> None:
    found = summary(tmp_path, *files, "--models", "sr, popularity,sr", "--protocol", "prequential")
    assert list(found) == ["dataset", "target", "prequential"]
    assert list(found["prequential"]) == ["sr", "popularity"]


@pytest.mark.parametrize(("target", "queries"), [("any", 9), ("added", 6), ("basket", 6)])
def test_other_things_can_be_asked(tmp_path: Path, files: list[str], target: str, queries: int) -> None:
    found = summary(tmp_path, *files, "--target", target, "--models", "sr", "--protocol", "frozen")
    assert found["target"] == target
    assert found["frozen"]["sr"]["queries"] == queries


def test_what_is_added_is_shown_by_moment_by_category_and_with_the_effect_of_rivals(
    tmp_path: Path, files: list[str]
) -> None:
    options = ["--target", "added", "--models", "sidecart,sr", "--protocol", "frozen"]
    lines = evaluate(tmp_path, *files, *options).stdout.splitlines()
    division = "hit rate by the moment of the question (browse 3, cart 3 queries) and the target's category"
    assert division in [line.strip() for line in lines]
    assert "rivals of what is in the cart, frozen (learns the train part only)" in [line.strip() for line in lines]
    found = summary(tmp_path, *files, *options)
    assert list(found["rivals"]["frozen"]) == ["cart", "order"]
    assert "category_hr@20" in found["frozen"]["sr"]


def test_without_categories_there_are_no_rivals(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(visits("a", 12, START, has_category=False))
    (tmp_path / "test.csv").write_text(visits("b", 3, START + 100_000, has_category=False))
    found = summary(tmp_path, "--train", "train.csv", "--test", "test.csv", "--target", "added", "--models", "sidecart")
    assert list(found) == ["dataset", "target", "frozen", "prequential"]
    assert "category_hr@20" not in found["frozen"]["sidecart"]


def test_files_may_be_tab_separated_and_gzipped(tmp_path: Path, files: list[str]) -> None:
    (tmp_path / "train.tsv").write_text(visits("a", 12, START, "\t"))
    (tmp_path / "test.gz").write_bytes(gzip.compress(visits("b", 3, START + 100_000).encode()))
    options = ["--models", "v-sknn", "--protocol", "frozen"]
    other = summary(tmp_path, "--train", "train.tsv", "--test", "test.gz", *options)
    figures, expected = (
        {name: value for name, value in found["frozen"]["v-sknn"].items() if not name.endswith("_us")}
        for found in (other, summary(tmp_path, *files, *options))
    )
    assert figures == expected


def test_a_recorded_dataset_is_found_in_the_folder_of_the_variable(tmp_path: Path) -> None:
    folder = tmp_path / "retailrocket"
    folder.mkdir()
    rows = [f"{1_433_000_000_000 + 1_000 * n},{n // 2},view,{10 + n % 2}," for n in range(40)]
    rows.append("bad")
    (folder / "events.csv.gz").write_bytes(
        gzip.compress("\n".join(["timestamp,visitorid,event,itemid,transactionid", *rows]).encode())
    )
    options = ["retailrocket", "--models", "sr", "--protocol", "frozen", "--json"]
    done = evaluate(tmp_path, *options, SIDECART_DATA=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "retailrocket: 1 bad lines were left out\n")
    found = json.loads(done.stdout)
    assert (found["dataset"], found["frozen"]["sr"]["hr@4"]) == ("retailrocket", 1.0)


def test_a_test_that_begins_too_early_is_told(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(visits("a", 12, START))
    (tmp_path / "test.csv").write_text(visits("b", 3, START))
    files = ["--train", "train.csv", "--test", "test.csv", "--models", "sr", "--protocol", "frozen", "--json"]
    done = evaluate(tmp_path, *files)
    assert done.returncode == 0
    assert done.stderr == (
        "train.csv, test.csv: the test begins before the train part ends, so figures may be too good\n"
    )


# -- the picture


def test_the_picture_goes_where_it_is_told_and_its_folder_is_made(tmp_path: Path, files: list[str]) -> None:
    options = ["--models", "sr", "--plot", "pictures/all/shop.png"]
    done = evaluate(tmp_path, *files, *options)
    assert done.stdout.splitlines()[-1] == "plot: pictures/all/shop.png"
    picture = tmp_path / "pictures" / "all" / "shop.png"
    assert picture.read_bytes().startswith(PNG)
    picture.unlink()
    done = evaluate(tmp_path, *files, *options, "--json")
    assert picture.read_bytes().startswith(PNG)
    assert list(json.loads(done.stdout)) == ["dataset", "target", "frozen", "prequential"]
    assert done.stderr == "plot: pictures/all/shop.png\n"


@pytest.mark.parametrize(
    ("plot", "reason"),
    [(".", "Is a directory"), ("train.csv/shop.png", "train.csv is no folder"), ("p" * 300, "File name too long")],
)
def test_a_picture_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, files: list[str], plot: str, reason: str
) -> None:
    done = evaluate(tmp_path, *files, "--models", "sr", "--plot", plot)
    assert done.returncode == 2
    assert done.stderr == f"sidecart: the plot {plot} cannot be written ({reason}): name another file with --plot\n"


# -- mistakes


@pytest.mark.parametrize(
    "wrong",
    [[], ["rsc15", "--train", "train.csv"], ["rsc15", "--test", "x"], ["--train", "x"], ["--test", "x"]],
    ids=["nothing", "both", "dataset and test", "no test", "no train"],
)
def test_a_dataset_or_two_files_are_needed(tmp_path: Path, wrong: list[str]) -> None:
    names = "rsc15, taobao, rees46, retailrocket, otto"
    assert_refused(
        evaluate(tmp_path, *wrong),
        f"name a dataset ({names}), or both --train FILE and --test FILE, but not dataset and files",
    )


def test_a_wrong_line_is_named_with_its_number(tmp_path: Path, files: list[str]) -> None:
    lines = (tmp_path / "test.csv").read_text().splitlines()
    lines[2] = "b0,rope,yesterday,cart,tools"
    (tmp_path / "test.csv").write_text("\n".join(lines))
    assert_refused(
        evaluate(tmp_path, *files),
        "test.csv, line 3: time='yesterday' is no time of the years 2000 to 2099 in epoch seconds, epoch milliseconds "
        "or RFC 3339 with Z or an offset",
    )


def test_a_missing_file_is_one_sentence(tmp_path: Path, files: list[str]) -> None:
    (tmp_path / "test.csv").unlink()
    assert_refused(evaluate(tmp_path, *files), "the recording test.csv cannot be read: No such file or directory")


def test_without_the_recordings_the_sentence_says_what_to_set(tmp_path: Path) -> None:
    assert_refused(
        evaluate(tmp_path, "taobao", SIDECART_DATA="none"),
        "none is missing; set SIDECART_DATA to the folder that holds taobao/user_behavior.csv.gz",
    )


def test_a_test_part_that_asks_nothing_is_one_sentence(tmp_path: Path, files: list[str]) -> None:
    (tmp_path / "test.csv").write_text(f"session_id,item_id,time\nb,tent,{START + 100_000}\n")
    assert_refused(
        evaluate(tmp_path, *files),
        "the test part of train.csv, test.csv asks nothing: no session goes on to an item that it has not met; take "
        "another dataset or --target",
    )


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        (["--models", "sidecart,gru4rec"], "gru4rec is none of sidecart, popularity, item-knn, ar, sr, v-sknn, v-stan"),
        (["--models", ","], "nothing is none of sidecart,"),
        (["--protocol", "live"], "'live' is not one of 'frozen', 'prequential', 'both'"),
        (["--target", "next"], "'next' is not one of 'novel', 'any', 'added', 'basket'"),
        (["amazon"], "'amazon' is not one of 'rsc15', 'taobao', 'rees46', 'retailrocket', 'otto'"),
    ],
)
def test_an_unknown_name_is_a_usage_error(tmp_path: Path, options: list[str], mistake: str) -> None:
    done = evaluate(tmp_path, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert mistake in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def running(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """An evaluation that waits for the end of its training file."""
    os.mkfifo(tmp_path / "train.csv")
    process = subprocess.Popen(
        arguments("--train", "train.csv", "--test", "test.csv"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_ends_it_without_a_word(tmp_path: Path, running: "subprocess.Popen[str]") -> None:
    # That the pipe can be opened means that the command reads it.
    with (tmp_path / "train.csv").open("w") as pipe:
        pipe.write("session_id,item_id,time\n")
        pipe.flush()
        running.send_signal(signal.SIGINT)
        stdout, stderr = running.communicate(timeout=30)
    assert (running.returncode, stdout, stderr) == (130, "", "")


# -- progress


def test_a_terminal_sees_progress(tmp_path: Path, files: list[str]) -> None:
    ours, theirs = os.openpty()
    with subprocess.Popen(
        arguments(*files, "--json"),
        cwd=tmp_path,
        env=environment(TERM="xterm", COLUMNS="100"),
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    ) as process:
        os.close(theirs)
        # Read while it runs: a terminal holds back who writes when nobody reads.
        shown = read_all(ours)
        stdout, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert list(json.loads(stdout)) == ["dataset", "target", "frozen", "prequential"]
    assert "v-stan, prequential 100 %" in shown
    assert "Traceback" not in shown


def read_all(terminal: int) -> str:
    """Return what is written to a terminal until its other side is closed."""
    parts = []
    try:
        while part := os.read(terminal, 65_536):
            parts.append(part)
    except OSError:
        pass  # how Linux says that it is closed
    os.close(terminal)
    return b"".join(parts).decode()
