"""The stage measure: folds tallies into the KPI windows of one partition."""

import msgspec

from models.coverage import Packed, Verdict
from models.kpi import Tally, Window, WindowKey, add
from models.parameters import Parameters
from models.records import moment_label
from models.shard import Shard

__all__ = ["KpiShard", "TallyEntry", "measure", "row_key", "window_key"]

KpiShard = Shard[Window]


class TallyEntry(msgspec.Struct, frozen=True, array_like=True):
    """One tally: its span in the packed record and its origin offset."""

    span: int
    offset: int
    tally: Tally


def row_key(key: WindowKey) -> str:
    """Return the key of a window's row."""
    return f"{key[0]}|{key[1]}"


def window_key(row: str) -> WindowKey:
    """Return the window that a row's key names."""
    start, _, moment = row.partition("|")
    return int(start), moment


def measure(
    shard: KpiShard, offset: int, packed: Packed[TallyEntry], parameters: Parameters
) -> tuple[list[Verdict], set[str], dict[str, Window]]:
    """Fold one record of `tallies` into its windows, in place.

    A window further behind the newest one than ``kpi_retention_ms`` is closed for good: its row is dropped and what
    comes for it is left out. With ``kpi_rows_max`` rows or more, a moment of the shop's own that has no row yet in its
    window counts as ``other``.

    Returns
    -------
    verdicts : list of {"new", "repeat", "gap"}
        The verdict on each span.
    changed : set of str
        The keys of the rows whose totals changed, also of those that were dropped then.
    closed : dict of str to Window
        The rows that were dropped, by key, with their last totals.
    """
    if offset < shard.position:
        return ["repeat"] * len(packed.spans), set(), {}
    shard.position = offset + 1
    after, verdicts = shard.watermarks.admit(packed.spans)
    changed: set[str] = set()
    before = shard.newest
    for entry in packed.entries:
        start = after[entry.span]
        tally = entry.tally
        if start is None or entry.offset <= start or shard.newest - tally.start > parameters.kpi_retention_ms:
            continue
        shard.newest = max(shard.newest, tally.start)
        key = row_key((tally.start, tally.moment))
        if key not in shard.keys and len(shard.keys) >= parameters.kpi_rows_max:
            key = row_key((tally.start, moment_label(tally.moment)))
        window = shard.rows.get(key) or Window()
        add(window, tally)
        shard.put(key, window)
        changed.add(key)
    closed: dict[str, Window] = {}
    if shard.newest > before:
        oldest = shard.newest - parameters.kpi_retention_ms
        for key in [key for key in shard.keys if window_key(key)[0] < oldest]:
            closed[key] = shard.rows[key]
            shard.drop(key)
    return verdicts, changed, closed
