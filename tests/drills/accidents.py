"""What can happen to a deployment: each accident harms, and mends again what a supervisor cannot mend."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from time import sleep, time

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from drill_traffic import poison
from faulty_worker import FLUSH_POINTS, FORWARD_POINTS, TAKEOVER_POINTS
from scene import Scene

from streams.settings import Settings
from streams.topics import topic_table

__all__ = ["ACCIDENTS", "Accident", "schedule"]

#: Seconds beyond the session timeout that a paused worker sleeps.
_BEYOND_S = 3.0
#: When a killed worker comes back late, the others must serve its partitions.
_LATE_S = 11.0

#: Topics of which one takes only tiny records for a while.
_SHRUNK = (
    "session-events",
    "pairs",
    "tallies",
    "suggestions",
    "acceptance-metrics",
    "dead-letters",
    "sessions-changelog",
    "cooccurrence-changelog",
)


@dataclass(frozen=True)
class Accident:
    """One kind of accident.

    Attributes
    ----------
    happen : callable
        Does it and returns its details.
    may_wake_late : bool
        Whether a worker may lose its partitions, or a send fail, while it lives: it may then publish again, and end by
        itself.
    serves_within_s : float or None
        In which time the partitions must be served again by somebody, if that can be promised.
    """

    name: str
    happen: Callable[[Scene, Random], str]
    may_wake_late: bool = False
    serves_within_s: float | None = None


def schedule(rng: Random) -> Iterator[Accident]:
    """Yield accidents for ever: all kinds in random order, then all again in another one."""
    while True:
        kinds = list(ACCIDENTS)
        rng.shuffle(kinds)
        yield from kinds


def _kill(scene: Scene, rng: Random) -> str:
    name, restart_s = scene.victim(rng), rng.choice([0.5, _LATE_S])
    scene.fleet.kill(name, restart_s)
    return f"{name}, back after {restart_s:g} s"


def _kill_two(scene: Scene, rng: Random) -> str:
    return f"{_kill(scene, rng)}; {_kill(scene, rng)}"


def _kill_all(scene: Scene, rng: Random) -> str:
    scene.fleet.kill_all()
    return ", ".join(scene.fleet.names)


def _kill_at(point: str) -> Callable[[Scene, Random], str]:
    def happen(scene: Scene, rng: Random) -> str:
        count = rng.randint(1, 4)
        name = scene.spring(rng, point, count, signal.SIGKILL)
        return f"{name}, time {count}" if name else "the workers did not come there"

    return happen


def _kill_in_takeover(point: str) -> Callable[[Scene, Random], str]:
    """Kill a worker, and another one while it takes over what the first had."""

    def happen(scene: Scene, rng: Random) -> str:
        first, count = scene.victim(rng), rng.randint(1, 3)
        others = [scene.victim(rng), scene.victim(rng)]
        for name in others:
            scene.fleet.arm(name, point, count, signal.SIGKILL)
        scene.fleet.kill(first, _LATE_S)
        killed = scene.wait_for_trap(others)
        then = f"then {', '.join(killed)} at its takeover {count}" if killed else "the others did not come there"
        return f"{first}, {then}"

    return happen


def _lose_disk(scene: Scene, rng: Random) -> str:
    name = scene.victim(rng)
    scene.fleet.kill(name, restart_s=2.0)
    scene.fleet.lose_disk(name)
    return name


def _older_disk(scene: Scene, rng: Random) -> str:
    name, fleet = scene.victim(rng), scene.fleet
    folder = fleet.folder_of(name)
    old = folder.with_suffix(".old")
    fleet.stop(name)
    shutil.copytree(folder, old)
    fleet.start(name)
    fleet.wait_until_ready()
    seconds = rng.uniform(1, 4)
    sleep(seconds)
    fleet.kill(name, restart_s=2.0)
    shutil.rmtree(folder)
    old.rename(folder)
    return f"{name}, {seconds:.1f} s older"


def _kill_broker(scene: Scene, rng: Random) -> str:
    seconds = rng.uniform(0, 6)
    scene.broker.kill()
    sleep(seconds)
    scene.broker.start()
    return f"away for {seconds:.1f} s and its start"


def _join(scene: Scene, rng: Random) -> str:
    """A worker joins; when it is ready another one leaves."""
    fleet = scene.fleet
    joining = next(name for name in (f"w{number}" for number in range(1, 100)) if name not in fleet.names)
    leaving = scene.victim(rng)
    scene.taken.add(joining)
    fleet.start(joining)
    fleet.wait_until_ready()
    sleep(rng.uniform(0, 2))
    fleet.stop(leaving)
    return f"{joining} comes, then {leaving} goes"


def _leave(scene: Scene, rng: Random) -> str:
    name, seconds = scene.victim(rng), rng.uniform(0, 6)
    scene.fleet.stop(name)
    sleep(seconds)
    scene.fleet.start(name)
    return f"{name}, for {seconds:.1f} s"


def _zombie(scene: Scene, rng: Random) -> str:
    name = scene.victim(rng)
    scene.fleet.pause(name)
    seconds = scene.settings.session_timeout_s + rng.uniform(0.5, _BEYOND_S)
    sleep(seconds)
    scene.fleet.wake(name)
    return f"{name}, for {seconds:.1f} s"


def _zombie_at(point: str) -> Callable[[Scene, Random], str]:
    def happen(scene: Scene, rng: Random) -> str:
        count = rng.randint(1, 3)
        name = scene.spring(rng, point, count, signal.SIGSTOP)
        if not name:
            return "the workers did not come there"
        seconds = scene.settings.session_timeout_s + rng.uniform(0.5, _BEYOND_S)
        sleep(seconds)
        scene.fleet.wake(name)
        return f"{name}, for {seconds:.1f} s"

    return happen


def _fail_sends(scene: Scene, rng: Random) -> str:
    """Let a topic take only tiny records for a while: a send then fails for good."""
    row = rng.choice(_SHRUNK)
    topic = topic_table(scene.settings)[row]
    seconds = rng.uniform(3, 7)
    _set_record_limit(scene.settings, topic.name, "90")
    sleep(seconds)
    _set_record_limit(scene.settings, topic.name, topic.config.get("max.message.bytes", "1048588"))
    return f"to {row}, for {seconds:.1f} s"


def _set_record_limit(settings: Settings, topic: str, size: str) -> None:
    entry = ConfigEntry("max.message.bytes", size, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0})
    admin.incremental_alter_configs([resource])[resource].result(30)


def _full_disk(scene: Scene, rng: Random) -> str:
    """Let no file of a worker grow any more: its tables cannot be written, as on a full disk."""
    fleet, name = scene.fleet, scene.victim(rng)
    fleet.limit_files(name, fleet.log_of(name).stat().st_size + 16 * 1024)
    seconds = rng.uniform(4, 8)
    sleep(seconds)
    fleet.limit_files(name, None)
    return f"{name}, for {seconds:.1f} s"


def _slow_broker(scene: Scene, rng: Random) -> str:
    waits = [rng.uniform(0.5, 4) for _ in range(rng.randint(1, 3))]
    for seconds in waits:
        os.kill(scene.broker.pid, signal.SIGSTOP)
        sleep(seconds)
        os.kill(scene.broker.pid, signal.SIGCONT)
        sleep(0.3)
    return f"silent for {', '.join(f'{seconds:.1f}' for seconds in waits)} s"


def _bad_input(scene: Scene, rng: Random) -> str:
    count = rng.randint(300, 1_500)
    scene.traffic.burst([poison(rng, int(time() * 1000)) for _ in range(count)])
    sleep(2)
    return f"{count} poisoned messages at once"


def _two_at_once(scene: Scene, rng: Random) -> str:
    chosen = rng.sample(_COMBINED, 2)
    with ThreadPoolExecutor() as pool:
        running = [pool.submit(accident.happen, scene, Random(rng.random())) for accident in chosen]
        return " + ".join(f"{accident.name}: {done.result()}" for accident, done in zip(chosen, running, strict=True))


_COMBINED = (
    Accident("kill", _kill),
    Accident("zombie", _zombie),
    Accident("kill broker", _kill_broker),
    Accident("lose disk", _lose_disk),
    Accident("leave", _leave),
    Accident("failed send", _fail_sends),
    Accident("kill at rows-uncommitted", _kill_at("rows-uncommitted")),
    Accident("zombie at outputs-unacknowledged", _zombie_at("outputs-unacknowledged")),
)

#: Every kind, each with all that is promised for it.
ACCIDENTS = (
    Accident("kill", _kill, serves_within_s=20),
    Accident("kill two", _kill_two, serves_within_s=20),
    Accident("kill all", _kill_all),
    *(Accident(f"kill at {point}", _kill_at(point), serves_within_s=20) for point in FLUSH_POINTS + FORWARD_POINTS),
    *(Accident(f"kill in takeover, {point}", _kill_in_takeover(point)) for point in TAKEOVER_POINTS),
    Accident("lose disk", _lose_disk, serves_within_s=20),
    Accident("older disk", _older_disk),
    Accident("kill broker", _kill_broker, may_wake_late=True),
    Accident("join and leave", _join),
    Accident("leave and come back", _leave),
    Accident("zombie", _zombie, may_wake_late=True),
    *(
        Accident(f"zombie at {point}", _zombie_at(point), may_wake_late=True)
        for point in ("outputs-unacknowledged", "rows-uncommitted", "offsets-uncommitted", "forwarded-partly")
    ),
    Accident("failed send", _fail_sends, may_wake_late=True),
    Accident("full disk", _full_disk, may_wake_late=True),
    Accident("slow broker", _slow_broker, may_wake_late=True),
    Accident("bad input", _bad_input),
    Accident("two at once", _two_at_once, may_wake_late=True),
)
