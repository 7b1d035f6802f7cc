"""A switch for each rule of the protocol (CONTRIBUTING.md): what the product would be without it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from cluster import Cluster
from rules_of_owners import (
    disk_first,
    do_not_read_back,
    fence_late,
    fence_nobody,
    forget_ids,
    judge_at_once,
    keep_the_first_end,
    number_suggestions,
    overlook_jumps,
    position_first,
    read_back_from_the_end,
    resume_at_commit,
    trust_the_disk,
)
from rules_of_records import (
    admit_by,
    apply_gaps,
    apply_repeats,
    apply_whole_overlaps,
    break_chains,
    commit_first,
    drop_overlaps,
    go_on_after_failure,
    hasty,
    mark_before_rows,
    split_flush,
    split_offsets,
)
from switch import Switch, replaced

from streams.agents.ingest import Ingest
from streams.stage import TableStage

__all__ = ["RULES", "Rule"]


class Rule(NamedTuple):
    """How to take a rule out of the product, and weights of steps with which a schedule soon notices."""

    switch: Switch
    often: Mapping[str, float] = MappingProxyType({})


_CALM = {"expire": 0.0, "lose_answer": 0.0, "hurry": 0.0, "stall": 0.0}
#: Several batches of one sender on their way, of which one is lost.
_LOSSES = {**_CALM, "fold": 50.0, "deliver": 20.0, "send": 8.0, "expire": 3.0, "crash": 0.0, "rebalance": 3.0}
#: Workers that die while they commit.
_CRASHES = {"commit": 10.0, "crash": 2.0, "deliver": 25.0, "send": 8.0, "lose": 3.0, "stall": 0.0, "set_back": 0.0}
#: Workers that start and read the replica while others flush and the cleaner runs.
_COMPACTION = {**_CALM, "compact": 15.0, "commit": 12.0, "rebalance": 2.0, "start": 4.0, "crash": 1.0, "send": 4.0}
#: A backlog that is folded and flushed in small steps: workers die before they are through.
_BACKLOG = {**_CALM, "send": 20.0, "deliver": 80.0, "fold": 6.0, "commit": 8.0, "crash": 1.0, "set_back": 0.0}
_OLD_DISKS = {**_BACKLOG, "snapshot": 1.0, "disk old": 3.0, "rebalance": 2.0}
#: Workers that are not heard of while they commit, and then are.
_PAUSES = {**_CALM, "send": 8.0, "deliver": 60.0, "commit": 10.0, "crash": 0.0, "set_back": 0.0}
_PAUSES |= {"stall": 3.0, "rebalance": 3.0, "notice": 0.5, "complete": 8.0, "start": 4.0}

#: By name: the number of the rule in CONTRIBUTING.md, and what holds with it.
RULES: dict[str, Rule] = {
    "1 repeats are dropped": Rule(admit_by(apply_repeats)),
    "1 overlaps are cut": Rule(admit_by(apply_whole_overlaps)),
    "1 overlaps are applied": Rule(admit_by(drop_overlaps)),
    "1 gaps are ignored": Rule(apply_gaps, _LOSSES),
    "1 an offset is never split": Rule(split_offsets),
    "2 ingest's chain goes on": Rule(lambda: break_chains(door=True, suggest=False)),
    "2 suggest's chains go on": Rule(lambda: break_chains(door=False, suggest=True)),
    "3 nothing after a failed send": Rule(go_on_after_failure),
    "4 outputs before the mark": Rule(lambda: hasty(TableStage)),
    "4 outputs before ingest's commit": Rule(lambda: hasty(Ingest), _CRASHES),
    "4 rows not before their mark": Rule(split_flush),
    "4 mark not before its rows": Rule(mark_before_rows),
    "4 flush before the commit": Rule(commit_first),
    "4 commits of an old generation are refused": Rule(lambda: replaced(Cluster, "checks_generation", False), _PAUSES),
    "5 the former owner is fenced": Rule(fence_nobody),
    "5 fence before the load": Rule(fence_late),
    "5 a fresh end": Rule(keep_the_first_end, _COMPACTION),
    "5 resume at the mark": Rule(resume_at_commit),
    "6 position after the rows": Rule(position_first),
    "6 changelog before the disk": Rule(disk_first),
    "6 the disk is a cache": Rule(trust_the_disk, _OLD_DISKS),
    "7 published suggestions are read back": Rule(do_not_read_back),
    "7 from the first that is still to come": Rule(read_back_from_the_end),
    "7 a jump is noticed": Rule(overlook_jumps),
    "7 outcomes after their suggestion": Rule(judge_at_once),
    "7 ids are functions of the event": Rule(number_suggestions),
    "8 event ids are remembered": Rule(forget_ids("event_ids")),
    "8 order ids are remembered": Rule(forget_ids("order_ids")),
}
