"""The fixture of every test that runs workers."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from deployment import Deployment

from streams.settings import Settings


@pytest.fixture
def deployment(settings: Settings, tmp_path: Path) -> Iterator[Deployment]:
    """A deployment with four partitions and no worker yet."""
    with ExitStack() as stack:
        yield Deployment(settings, tmp_path, stack)
