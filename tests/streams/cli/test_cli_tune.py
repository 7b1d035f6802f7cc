"""`sidecart tune` finds what a shop's traffic rewards, writes what a worker reads, and says when there is nothing."""

import gzip
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from models.errors import ConfigurationError, RecordingError
from models.parameters import DEFAULTS
from models.tunable import TUNABLES
from streams.cli.tune import command
from streams.context import model_parameters
from streams.settings import load_settings

DAYS = DEFAULTS.half_life_ms / 86_400_000
START_MS = 1_767_607_200_000
HEADER = "session_id,item_id,time"


def visits(sessions: int, fashion: int) -> str:
    """28 sessions in a half-life; after so many, what follows an item is another one."""
    lines = [HEADER]
    for n in range(sessions):
        time_ms = START_MS + n * (DEFAULTS.half_life_ms // 28)
        cup = f"cup{n % 3}-{n // fashion * 5 % 7}"
        lines += [f"s{n},tea{n % 3},{time_ms}", f"s{n},{cup},{time_ms + 1000}"]
    return "\n".join(lines)


@pytest.fixture
def quiet(tmp_path: Path) -> Path:
    """The file of a shop with so few visits that those of a half-life are too little evidence."""
    path = tmp_path / "quiet.csv"
    path.write_text(visits(400, fashion=8))
    return path


@pytest.fixture
def steady(tmp_path: Path) -> Path:
    """The file of a shop where all parameters do alike."""
    path = tmp_path / "steady.csv"
    path.write_text(visits(200, fashion=200))
    return path


def tune(*arguments: object) -> Result:
    return CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)


def report(*arguments: object) -> dict[str, Any]:
    result = tune("--json", *arguments)
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_what_suits_better_is_found_and_confirmed(quiet: Path) -> None:
    found = report("--train", quiet, "--trials", 20)
    assert found.pop("seconds") > 0
    assert (found["dataset"], found["seed"], found["trials"], found["is_interrupted"]) == (str(quiet), 0, 20, False)
    assert found["sessions"] == {"train": 320, "choose": 40, "confirm": 40}
    assert found["parameters"].keys() == {each.name for each in TUNABLES}
    assert all(values["default"] == getattr(DEFAULTS, name) for name, values in found["parameters"].items())
    assert found["parameters"]["half_life_ms"]["tuned"] > DEFAULTS.half_life_ms
    assert found["choose"]["tuned"]["mrr_20"] > found["choose"]["default"]["mrr_20"]
    assert found["is_better"]
    assert found["gain"]["interval"][0] > 1


def test_the_seed_decides_the_result(quiet: Path) -> None:
    first, again, other = (report("--train", quiet, "--trials", 5, "--seed", seed) for seed in (1, 1, 2))
    assert first.pop("seconds") and again.pop("seconds")
    assert first == again != other


def test_the_file_that_is_written_is_what_a_worker_reads(quiet: Path, tmp_path: Path) -> None:
    file = tmp_path / "tuned.toml"
    found = report("--train", quiet, "--trials", 20, "--write", file)
    parameters = model_parameters(load_settings({"SIDECART_CONFIG": str(file)}))
    assert {name: values["tuned"] for name, values in found["parameters"].items()} == {
        each.name: pytest.approx(each.of(parameters), rel=1e-9) for each in TUNABLES
    }
    assert parameters != DEFAULTS
    text = file.read_text()
    assert text.startswith(f"# sidecart tune {quiet}: the best of 20 trials, seed 0.\n# Use the tuned parameters: on ")
    assert f"# days: after this long a count weighs half; default {DAYS:g}\nhalf_life_days = " in text


def test_the_tables_say_what_changes_and_what_to_do(quiet: Path, tmp_path: Path) -> None:
    file = tmp_path / "tuned.toml"
    written = tune("--train", quiet, "--trials", 20, "--write", file).stdout
    assert re.search(rf"half_life_ms +{DAYS:g} +[\d.]+ +days", written)
    assert re.search(r"pair_length_exponent +-0.25 +same", written)
    assert re.search(r"to choose by( +[01]\.\d{3}){4} ", written)
    assert f"Written: {file}. Start the workers with SIDECART_CONFIG={file}\n" in written
    assert "Tables that exist refuse another half-life" in written
    shown = tune("--train", quiet, "--trials", 20).stdout
    assert "Put this into the file that SIDECART_CONFIG names" in shown
    assert file.read_text() in shown


def test_the_half_life_can_be_kept(quiet: Path) -> None:
    result = tune("--train", quiet, "--trials", 20, "--keep-half-life")
    assert re.search(rf"half_life_ms +{DAYS:g} +same +days", result.stdout)
    assert "half_life_days" not in result.stdout


def test_where_the_defaults_are_as_good_nothing_is_written(steady: Path, tmp_path: Path) -> None:
    file = tmp_path / "tuned.toml"
    result = tune("--train", steady, "--trials", 3, "--write", file)
    assert result.exit_code == 0
    assert result.stdout.endswith(
        "The defaults are as good: no trial was better on the sessions to choose by.\n"
        f"There is nothing to change, and {file} is not written.\n"
    )
    assert not file.exists()


def test_no_trial_is_begun_after_the_seconds(quiet: Path) -> None:
    assert report("--train", quiet, "--seconds", 1e-9)["trials"] == 0


# -- the test part


def rsc15(folder: Path, name: str, sessions: range) -> None:
    lines = ["SessionId\tItemId\tTime"]
    for n in sessions:
        lines += [f"{n}\t{n % 3}\t{1396437466 + 60 * n}", f"{n}\t{n % 3 + 10}\t{1396437470 + 60 * n}"]
    (folder / "rsc15").mkdir(exist_ok=True)
    (folder / "rsc15" / name).write_bytes(gzip.compress("\n".join(lines).encode()))


def test_the_test_file_of_a_dataset_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rsc15(tmp_path, "train_tr.tsv.gz", range(30))
    rsc15(tmp_path, "train_valid.tsv.gz", range(30, 50))
    monkeypatch.setenv("SIDECART_DATA", str(tmp_path))
    assert not (tmp_path / "rsc15" / "test.tsv.gz").exists()
    assert report("rsc15", "--trials", 1)["sessions"] == {"train": 30, "choose": 10, "confirm": 10}


def test_what_happens_in_the_test_part_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for folder, late in ((tmp_path / "one", "7"), (tmp_path / "other", "8")):
        lines = []
        for n in range(100):
            item = f"{n % 3}{late}" if n >= 80 else f"{n % 3}0"
            lines += [f"{n},{n % 3},1,pv,{1511544070 + 60 * n}", f"{n},{item},1,pv,{1511544075 + 60 * n}"]
        (folder / "taobao").mkdir(parents=True)
        (folder / "taobao" / "user_behavior.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
        monkeypatch.setenv("SIDECART_DATA", str(folder))
        found.append(report("taobao", "--trials", 3))
        del found[-1]["seconds"]
    assert found[0]["sessions"] == {"train": 64, "choose": 8, "confirm": 8}
    assert found[0] == found[1]


# -- what ends it early


def test_ctrl_c_ends_the_search_and_the_best_so_far_is_judged(quiet: Path) -> None:
    terminal, stderr = pty.openpty()
    arguments = ["tune", "--train", str(quiet), "--trials", "100000", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "streams.cli.main", *arguments],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "120"},
    ) as process:
        os.close(stderr)
        shown = b""
        while not re.search(rb"[1-9] of 100000 trials", shown):
            shown += os.read(terminal, 4096)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        found = json.loads(process.stdout.read())
    os.close(terminal)
    assert process.returncode == 130
    assert found["is_interrupted"]
    assert 1 <= found["trials"] < 100_000


@pytest.mark.parametrize("arguments", [[], ["rsc15", "--train", "shop.csv"]])
def test_one_source_is_named(arguments: list[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"^name either a dataset \(rsc15, .*\) or --train FILE$"):
        tune(*arguments)


def test_a_file_that_exists_is_refused_before_the_search(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("tick_ms = 5")
    with pytest.raises(ConfigurationError, match=r"mine\.toml exists: name a file that does not, or remove it$"):
        tune("--train", tmp_path / "none.csv", "--write", file)
    assert file.read_text() == "tick_ms = 5"


def test_a_folder_that_is_missing_is_refused_before_the_search(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be written: .*none is not a folder$"):
        tune("--train", tmp_path / "none.csv", "--write", tmp_path / "none" / "tuned.toml")


def test_a_missing_recording_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"none\.csv cannot be read: No such file"):
        tune("--train", tmp_path / "none.csv")


@pytest.mark.parametrize("flags", [["--trials", "0"], ["--seconds", "0"], ["--seed", "-1"]])
def test_wrong_flags_are_refused(flags: list[str]) -> None:
    assert tune("rsc15", *flags).exit_code == 2
