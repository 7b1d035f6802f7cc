"""One round: traffic, an accident under load, recovery, and everything counted again."""

import os
import shutil
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic, sleep, time

from accidents import Accident
from auditing import Audit
from confluent_kafka.admin import AdminClient, NewTopic
from drill_traffic import Traffic, mixed, recorded_events, simulated_events
from fleet import Ending, Fleet, StuckError
from ledger import Account, Follower
from scene import Scene

from streams.admin import create_topics
from streams.brokers.kafka import KafkaBroker
from streams.settings import Settings
from streams.topics import INPUTS, topic_table

__all__ = ["Drill", "Outcome"]

_WORKERS = ("w1", "w2", "w3")
_SERVED_S = 60.0
#: A machine's first start compiles.
_FIRST_START_S = 300.0
#: Seconds of traffic after the recovery.
_AFTER_S = 1.5


@dataclass
class Outcome:
    """What a round found."""

    details: str = ""
    events: int = 0
    recovery_s: float = 0.0
    wait_s: float = 0.0
    second_versions: int = 0
    endings: list[Ending] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs and nothing is lost."""
        return not self.differences and not self.lost


class Drill:
    """A deployment with topics of its own, three supervised workers and traffic.

    Parameters
    ----------
    rate : float
        Recorded events a second.
    """

    def __init__(self, broker: KafkaBroker, folder: Path, rng: Random, rate: float) -> None:
        self.folder = folder
        self.settings = Settings(
            bootstrap_servers=broker.bootstrap_servers,
            topic_prefix=f"drill-{uuid.uuid4().hex[:12]}-",
            state_dir=folder / "unused",
            session_timeout_s=6.0,
            commit_interval_s=0.5,
            # Low enough that rows are dropped, or out of reach.
            catalogue_max=rng.choice((1_000, 1_000_000)),
        )
        self.partitions = rng.randint(4, 6)
        self._stack = ExitStack()
        self._make_topics(rng)
        self._audit = Audit(self.settings)
        self._stack.callback(self._audit.close)
        self._account = Account(self.settings, self.partitions)
        self._follower = Follower(self.settings, self._account)
        self._stack.callback(self._follower.close)
        self._fleet = self._stack.enter_context(Fleet(self.settings, folder))
        events = recorded_events(os.environ, rng) or simulated_events(rng)
        self._traffic = Traffic(self.settings, mixed(events, rng), rate)
        self._traffic.start()
        self._stack.callback(self._traffic.close)
        self._broker = broker
        self._fleet.start(*_WORKERS)
        self._fleet.wait_until_ready(_FIRST_START_S)

    def _make_topics(self, rng: Random) -> None:
        # Inputs are the shop's own: any partition count.
        admin = AdminClient({"bootstrap.servers": self.settings.bootstrap_servers, "log_level": 0})
        table = topic_table(self.settings)
        for made in admin.create_topics([NewTopic(table[kind].name, rng.randint(1, 5)) for kind in INPUTS]).values():
            made.result(30)
        create_topics(self.settings, self.partitions)

    def close(self, is_kept: bool) -> None:
        """End everything; without `is_kept` its folder and topics are removed."""
        self._stack.close()
        if not is_kept:
            shutil.rmtree(self.folder)
            names = [topic.name for topic in topic_table(self.settings).values()]
            admin = AdminClient({"bootstrap.servers": self.settings.bootstrap_servers, "log_level": 0})
            for deleted in admin.delete_topics(names).values():
                deleted.result(30)

    def round(self, accident: Accident, rng: Random) -> Outcome:
        """Let an accident happen, and find what it did."""
        outcome = Outcome()
        published = self._account.second_versions
        self._fleet.endings.clear()
        self._traffic.flow()
        sleep(rng.uniform(1, 3))
        start_ms = time() * 1000
        try:
            scene = Scene(self.settings, self._broker, self._fleet, self._traffic)
            outcome.details = accident.happen(scene, rng)
            outcome.recovery_s = self._recover()
            sleep(_AFTER_S)
        except StuckError as error:
            outcome.differences.append(f"stuck: {error}")
        self._traffic.pause()
        outcome.differences += self._audit.differences(self._fleet.addresses())
        self._follower.read_to_end()
        outcome.endings = list(self._fleet.endings)
        outcome.events = len(self._traffic.acknowledged) + self._traffic.unplaced
        outcome.wait_s = self._account.longest_wait_s(start_ms)
        outcome.second_versions = self._account.second_versions - published
        outcome.lost = self._account.lost(self._traffic.acknowledged)
        if (missing := outcome.events - self._follower.inputs()) > 0:
            outcome.lost.append(f"{missing} acknowledged inputs are not in their topics")
        outcome.differences += self._broken_promises(accident, outcome)
        return outcome

    def _broken_promises(self, accident: Accident, outcome: Outcome) -> list[str]:
        broken = [f"traffic: {failed}" for failed in self._traffic.failed]
        if outcome.second_versions and not accident.may_wake_late:
            broken.append(f"{outcome.second_versions} suggestions are published twice")
        if accident.serves_within_s is not None and outcome.wait_s > accident.serves_within_s:
            broken.append(f"an event waited {outcome.wait_s:.1f} s for its suggestion")
        return broken

    def _recover(self) -> float:
        """Wait until all workers are ready and every partition is served; return the seconds."""
        started, since_ms = monotonic(), time() * 1000
        self._fleet.wait_until_ready()
        deadline = monotonic() + _SERVED_S
        self._follower.read()
        while unserved := self._account.unserved(since_ms):
            if monotonic() > deadline:
                self._fleet.dump_stacks(self._fleet.names)
                raise StuckError(f"partitions {unserved} are not served within {_SERVED_S:.0f} s")
            sleep(0.1)
            self._follower.read()
        self._fleet.wait_until_ready()
        return monotonic() - started
