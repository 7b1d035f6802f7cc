"""What accidents happen to: a deployment, its broker and its traffic."""

import signal
from dataclasses import dataclass, field
from random import Random
from time import monotonic, sleep

from drill_traffic import Traffic
from fleet import Fleet

from streams.brokers.kafka import KafkaBroker
from streams.settings import Settings

__all__ = ["Scene"]

#: Seconds until a trap must have sprung; a takeover needs the session timeout first.
_TRAP_S = 15.0
#: Messages sent at once each second until then.
_SURGE = 200


@dataclass
class Scene:
    """All that an accident may touch in one round."""

    settings: Settings
    broker: KafkaBroker
    fleet: Fleet
    traffic: Traffic
    taken: set[str] = field(default_factory=set)

    def victim(self, rng: Random) -> str:
        """Choose a running worker to which nothing else happens in this round."""
        free = [name for name in self.fleet.names if self.fleet.is_running(name) and name not in self.taken]
        name = rng.choice(free)
        self.taken.add(name)
        return name

    def spring(self, name: str, point: str, count: int, number: signal.Signals) -> bool:
        """Set a worker's trap and wait; return whether it has sprung."""
        self.fleet.arm(name, point, count, number)
        return bool(self.wait_for_trap([name]))

    def wait_for_trap(self, names: list[str]) -> list[str]:
        """Wait until a trap springs, with surges of traffic, which fill outboxes; return whose did."""
        armed = monotonic()
        surges = 0
        while not (sprung := [name for name in names if not self.fleet.is_armed(name)]):
            waited = monotonic() - armed
            if waited > _TRAP_S:
                break
            if waited > surges:
                surges += 1
                self.traffic.surge(_SURGE)
            sleep(0.02)
        for name in names:
            self.fleet.disarm(name)
        return sprung
