"""Fixtures for every test: one real broker for the whole run, and settings that no other test shares."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from models.errors import BrokerError
from models.kernel.warmup import warm_up
from models.parameters import DEFAULTS
from streams.brokers.kafka import KafkaBroker
from streams.settings import Settings

#: The peers of the benchmark need packages of their own: no test run imports them.
collect_ignore = ["bench/peers"]

# The same examples each time, and no deadline on a busy machine.
hypothesis_settings.register_profile(
    "sidecart", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("sidecart")


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """The kernels, compiled before any test that cannot wait for them."""
    warm_up(DEFAULTS)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A running Apache Kafka; without Java or Maven the test is skipped, or fails where CI=true."""
    broker = KafkaBroker(tmp_path_factory.mktemp("kafka"))
    try:
        broker.install()
    except BrokerError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must run the tests on Kafka: {error}")
        pytest.skip(str(error))
    with broker:
        yield broker


@pytest.fixture
def settings(kafka: KafkaBroker, tmp_path: Path) -> Settings:
    """Settings for `kafka` with a topic prefix of the test's own."""
    return Settings(
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=f"test-{uuid.uuid4().hex[:12]}-",
        state_dir=tmp_path / "state",
        session_timeout_s=6.0,  # the shortest that the broker allows: a killed worker's partitions move soon
    )
