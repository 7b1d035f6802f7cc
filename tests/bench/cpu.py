"""CPU time of a process with all its threads and children, and how idle the machine was, from /proc."""

import os
from pathlib import Path
from typing import NamedTuple

__all__ = ["MachineTime", "cpu_seconds", "idle_share", "machine_time", "parse_stat"]

_PROC = Path("/proc")
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Stat(NamedTuple):
    """What is needed of /proc/PID/stat: the parent, and the ticks of the process with those of its dead children."""

    parent: int
    ticks: int


class MachineTime(NamedTuple):
    """Ticks of all cores since the machine's start: in all, and those in which a core had nothing to do."""

    total: int
    idle: int


def parse_stat(line: str) -> Stat:
    """Read the line of /proc/PID/stat; the name in it may hold spaces and brackets."""
    fields = line.rpartition(")")[2].split()
    # Fields 4 (parent) and 14 to 17 (user and system time, own and of children that were waited for) of proc(5).
    return Stat(int(fields[1]), sum(map(int, fields[11:15])))


def cpu_seconds(*pids: int) -> float:
    """Return the CPU seconds that processes have used so far, user and system, with all their descendants.

    Raises
    ------
    ProcessLookupError
        If one of them is gone.
    """
    stats = _stats()
    missing = [pid for pid in pids if pid not in stats]
    if missing:
        raise ProcessLookupError(f"process {missing[0]} has ended")
    children: dict[int, list[int]] = {}
    for pid, stat in stats.items():
        children.setdefault(stat.parent, []).append(pid)
    ticks, waiting = 0, list(pids)
    while waiting:
        pid = waiting.pop()
        ticks += stats[pid].ticks
        waiting += children.get(pid, [])
    return ticks / _TICKS_A_SECOND


def _stats() -> dict[int, Stat]:
    stats = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                stats[int(entry.name)] = parse_stat((entry / "stat").read_text(encoding="utf-8", errors="replace"))
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended meanwhile
    return stats


def machine_time() -> MachineTime:
    """Read the first line of /proc/stat."""
    # user nice system idle iowait irq softirq steal; what guests use is part of user.
    ticks = [int(field) for field in (_PROC / "stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    return MachineTime(sum(ticks), ticks[3] + ticks[4])


def idle_share(before: MachineTime, after: MachineTime) -> float:
    """Return the share of all cores' time, between 0 and 1, in which they had nothing to do."""
    total = after.total - before.total
    return (after.idle - before.idle) / total if total else 1.0
