"""`sidecart bench` as a command, and what it is installed with."""

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from systems import SYSTEMS, choose_systems

from models.errors import ConfigurationError
from streams.cli import bench

ROOT = Path(__file__).parents[2]


def test_the_command_names_the_systems_that_there_are() -> None:
    assert set(bench._SYSTEMS) == SYSTEMS.keys()
    for system in SYSTEMS.values():
        assert system.program is None or (ROOT / "tests" / "bench" / "peers" / system.program).exists()


def test_an_unknown_system_is_said() -> None:
    done = CliRunner().invoke(bench.command, ["--systems", "sidecart,flink"])
    assert done.exit_code == 2
    assert "flink is none of sidecart, aiokafka" in done.output


def test_without_a_checkout_it_says_so_in_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench, "_HARNESS", tmp_path)
    error = CliRunner().invoke(bench.command, []).exception
    assert isinstance(error, ConfigurationError)
    assert str(error) == (
        f"the bench is part of a source checkout, and {tmp_path} is missing: clone the project and run make bench"
    )


def test_a_missing_environment_is_said_before_anything_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("systems._PEERS_PYTHON", Path("/nowhere/python"))
    with pytest.raises(ConfigurationError, match=r"bytewax and quix need /nowhere/python, .*: run make bench"):
        choose_systems(["sidecart", "bytewax", "quix"])
    assert [system.name for system in choose_systems(["confluent", "sidecart"])] == ["confluent", "sidecart"]


def test_the_peers_run_the_kernel_on_the_versions_that_sidecart_has() -> None:
    def pins(file: Path) -> dict[str, str]:
        return dict(re.findall(r"^([\w.-]+)==(.+)$", file.read_text(encoding="utf-8"), re.MULTILINE))

    ours, theirs = pins(ROOT / "constraints.txt"), pins(ROOT / "tests" / "bench" / "peers" / "requirements.txt")
    for name in ("llvmlite", "msgspec", "numba", "numpy"):
        assert theirs[name] == ours[name], name


def test_a_failed_check_makes_the_exit_code_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from test_bench_report import empty_report

    outcomes: list[list[str]] = [[], ["quix: 3 events have no suggestion"]]

    def run_bench(plan: Any, names: Any, say: Any) -> Any:
        return empty_report() | {"problems": outcomes.pop(0)}

    monkeypatch.setattr("run_bench.run_bench", run_bench)
    plot, json_file = tmp_path / "bench.png", tmp_path / "bench.json"
    arguments = ["--quick", "--plot", str(plot), "--json", str(json_file)]
    assert CliRunner().invoke(bench.command, arguments).exit_code == 0
    assert plot.exists() and json_file.read_text(encoding="utf-8").startswith('{"broker": ')
    failed = CliRunner().invoke(bench.command, arguments)
    assert failed.exit_code == 1
    assert "PROBLEM  quix: 3 events have no suggestion" in failed.output
