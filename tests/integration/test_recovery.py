"""Workers that die, stand still or lose their broker: others take over soon, and nobody is silent for long."""

import json
import logging
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep, time
from urllib.error import HTTPError

import pytest
from aiokafka.structs import ConsumerRecord
from deployment import Deployment
from recount import differences
from steady_traffic import Traffic, silences

from streams.brokers.kafka import KafkaBroker
from streams.settings import Settings
from streams.worker_process import WorkerProcess

pytestmark = pytest.mark.kafka

logger = logging.getLogger(__name__)

_PARTITIONS = 6
#: The promise for a killed worker's partitions, with the default session timeout.
_TAKEN_OVER_S = 20.0
#: A rebalance stops all partitions for about a second; a busy machine is given more.
_SILENT_S = 6.0


@pytest.fixture
def three(settings: Settings, tmp_path: Path) -> Iterator[Deployment]:
    """Three workers with the default session timeout and two partitions each."""
    own = replace(settings, session_timeout_s=Settings().session_timeout_s)
    with ExitStack() as stack:
        deployment = Deployment(own, tmp_path, stack, _PARTITIONS)
        deployment.start("one", "two", "three")
        yield deployment


def _page(deployment: Deployment, name: str) -> dict[str, object]:
    try:
        body = deployment.page(name, "/ready")
    except HTTPError as error:
        body = error.read()  # 503
    page: dict[str, object] = json.loads(body)
    return page


def _suggestions(deployment: Deployment) -> list[ConsumerRecord]:
    return [record for records in deployment.logs.read("suggestions").values() for record in records]


def _owned(deployment: Deployment, name: str) -> set[int]:
    return set(_page(deployment, name)["partitions"])  # type: ignore[call-overload]


def _wait(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, what
        sleep(0.05)


def test_a_killed_workers_partitions_are_served_by_the_others_within_20_s(three: Deployment) -> None:
    owned = {name: _owned(three, name) for name in three.workers}
    assert sorted(partition for each in owned.values() for partition in each) == list(range(_PARTITIONS))
    with Traffic(three) as traffic:
        sleep(5)
        killed_ms = time() * 1000
        three.kill("one")
        sleep(_TAKEN_OVER_S)
    three.wait_for_ids("suggestions", traffic.sent)
    silent = silences(_suggestions(three), killed_ms, killed_ms + _TAKEN_OVER_S * 1000)
    moved = {partition: silent.pop(partition) for partition in owned["one"]}
    logger.info("longest silence: moved %.2f s, others %.2f s", max(moved.values()), max(silent.values()))
    assert max(moved.values()) < _TAKEN_OVER_S
    assert max(silent.values()) < _SILENT_S
    three.logs.settle()
    assert differences(three.logs) == []


def test_a_worker_that_stands_still_for_less_than_the_session_timeout_goes_on(three: Deployment) -> None:
    before = {name: _owned(three, name) for name in three.workers}
    with Traffic(three) as traffic:
        sleep(2)
        os.kill(three.workers["one"].pid, signal.SIGSTOP)
        sleep(three.settings.session_timeout_s * 0.5)
        os.kill(three.workers["one"].pid, signal.SIGCONT)
        sleep(5)
    three.wait_for_ids("suggestions", traffic.sent)
    three.wait_until_ready()
    assert {name: _owned(three, name) for name in three.workers} == before
    assert not any("rebalancing" in worker.log_tail(3) for worker in three.workers.values())
    three.logs.settle()
    assert differences(three.logs) == []


def test_a_worker_without_a_partition_is_ready(settings: Settings, tmp_path: Path) -> None:
    with ExitStack() as stack:
        deployment = Deployment(settings, tmp_path, stack, 1)
        deployment.start("one", "two")
        assert sorted(len(_owned(deployment, name)) for name in ("one", "two")) == [0, 1]
        (idle,) = [name for name in deployment.workers if not _owned(deployment, name)]
        (busy,) = deployment.workers.keys() - {idle}
        deployment.kill(busy)
        _wait(lambda: _owned(deployment, idle) == {0}, 30, "the idle worker takes over nothing")


def test_a_recovery_shows_how_far_it_is(settings: Settings, tmp_path: Path) -> None:
    with ExitStack() as stack:
        deployment = Deployment(settings, tmp_path, stack, 1)
        deployment.start("one")
        with Traffic(deployment, rate=400.0) as traffic:
            sleep(3)
        deployment.wait_for_ids("suggestions", traffic.sent)
        deployment.logs.settle()
        page = _page(deployment, "one")
        assert (page["ready"], page["missing"], page["recovery"]) == (True, [], None)
        deployment.kill("one")
        deployment.start("another")
        metrics = deployment.page("another", "/metrics").decode()
        worker = deployment.workers["another"]
        _wait(lambda: "recovery ended" in worker.log_tail(100), 10, "the end of the recovery is not logged")
        log = worker.log_tail(100)
    for table in ("sessions", "cooccurrence", "kpi"):
        read = re.search(rf'sidecart_recovery_records{{table="{table}"}} (\S+)', metrics)
        end = re.search(rf'sidecart_recovery_end_records{{table="{table}"}} (\S+)', metrics)
        assert read and end and float(read[1]) == float(end[1]) > 0, table
        assert f'sidecart_replay_records{{table="{table}"}}' in metrics
    assert "recovery starts: the worker starts" in log
    assert re.search(r"recovery ended after \S+ s: 3 table partitions loaded with [1-9]", log)


def test_a_broker_that_is_away_for_10_s_is_waited_for_or_the_restart_recovers(
    tmp_path: Path, kafka: KafkaBroker
) -> None:
    own = Settings(state_dir=tmp_path / "state", topic_prefix="outage-")
    with KafkaBroker(tmp_path / "broker") as broker, ExitStack() as stack:
        deployment = Deployment(replace(own, bootstrap_servers=broker.bootstrap_servers), tmp_path, stack, 2)
        deployment.start("one")
        with Traffic(deployment) as traffic:
            sleep(3)
            broker.stop()
            sleep(10)
            broker.start()
            started = monotonic()
            while monotonic() < started + 15:
                if deployment.workers["one"].exit_code is not None:
                    logger.info("the worker ended:%s", deployment.workers["one"].log_tail(2))
                    deployment.workers.pop("one")
                    deployment.start("one")
                sleep(0.5)
        deployment.wait_for_ids("suggestions", traffic.sent)
        deployment.wait_until_ready()
        deployment.logs.settle()
        assert differences(deployment.logs, may_be_published_twice=True) == []


def test_a_worker_that_finds_no_broker_says_so_and_ends(tmp_path: Path) -> None:
    nowhere = Settings(bootstrap_servers="127.0.0.1:9", state_dir=tmp_path / "state", metrics_port=9999)
    with WorkerProcess(nowhere, tmp_path / "worker.log") as worker:
        _wait(lambda: worker.exit_code is not None, 60, "the worker waits for ever")
        assert worker.exit_code == 2
        assert "127.0.0.1:9" in worker.log_tail(5)
