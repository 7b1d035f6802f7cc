"""The demo as a user runs it, on both brokers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("broker", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def test_demo_shows_suggestions_and_acceptances_and_stops_by_itself(broker: str, tmp_path: Path) -> None:
    demo = subprocess.run(
        [sys.executable, "-m", "streams.cli.main", "demo", "--broker", broker, "--seconds", "20"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("SIDECART_")},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "simulated" in demo.stdout
    assert "→" in demo.stdout
    assert list((tmp_path / ".sidecart").iterdir()) == []
