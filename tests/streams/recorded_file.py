"""The recorded shop traffic that tests read; where it is missing they skip, and in CI they fail."""

import gzip
import os
from pathlib import Path

import pytest

from streams.datasets import data_folder

__all__ = ["recorded_file", "recorded_lines"]


def recorded_file(name: str) -> Path:
    """Return the path of a file in the folder that `sidecart evaluate` looks in: SIDECART_DATA, or ../shared/data."""
    path = data_folder(os.environ) / name
    if not path.exists():
        message = f"{path} is missing: set SIDECART_DATA to the folder with the recorded files"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


def recorded_lines(name: str) -> list[str]:
    """Return the lines of a gzipped file."""
    with gzip.open(recorded_file(name), "rt", encoding="utf-8") as file:
        return file.readlines()
