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
        name = rng.choice(self._free())
        self.taken.add(name)
        return name

    def spring(self, rng: Random, point: str, count: int, number: signal.Signals) -> str | None:
        """Set the trap of one worker after the other; return the first that comes to its point.

        A worker may own no partition of an input, and never come to a point of ingest's.
        """
        tried: set[str] = set()
        while untried := [name for name in self._free() if name not in tried]:
            name = rng.choice(untried)
            tried.add(name)
            self.taken.add(name)
            self.fleet.arm(name, point, count, number)
            if self.wait_for_trap([name]):
                return name
            self.taken.remove(name)
        return None

    def _free(self) -> list[str]:
        return [name for name in self.fleet.names if self.fleet.is_running(name) and name not in self.taken]

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
