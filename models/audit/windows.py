"""The table `kpi` against the fold of `tallies`, and the messages of `acceptance-metrics` against the windows."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from models.audit.findings import Findings
from models.audit.rows import compare_rows, compare_state
from models.coverage import Packed
from models.kpi import Window, metrics_message
from models.measuring import TallyEntry, measure, row_key, window_key
from models.parameters import Parameters
from models.shard import Shard

__all__ = ["WindowsRecount"]


class WindowsRecount:
    """The windows of one partition, folded again from `tallies`: about 0.5 kB each."""

    def __init__(self, partition: int, is_cut: bool, parameters: Parameters, findings: Findings) -> None:
        self._shard: Shard[Window] = Shard(partition)
        self._is_cut = is_cut
        self._parameters = parameters
        self._findings = findings
        self._closed: dict[str, Window] = {}
        self._compared: dict[str, Window] = {}
        #: Of each window the message with the highest revision up to the mark: its offset and content.
        self._messages: dict[str, tuple[int, Mapping[str, Any]]] = {}
        self._announced: dict[str, int] = {}

    def fold(self, offset: int, packed: Packed[TallyEntry]) -> None:
        """Fold one record."""
        _, _, closed = measure(self._shard, offset, packed, self._parameters)
        self._closed.update(closed)

    def read(self, offset: int, message: Mapping[str, Any] | None, position: int) -> None:
        """Take up one message of `acceptance-metrics`; `position` is the table's."""
        try:
            assert message is not None
            key = row_key((int(message["window_start"]), str(message["moment"])))
            revision = int(message["revision"])
        except (AssertionError, KeyError, TypeError, ValueError):
            place = self._findings.place("acceptance-metrics", self._shard.partition, offset)
            self._findings.differ("windows", place, "the message cannot be read as a window's totals")
            return
        self._announced.setdefault(key, offset)
        kept = self._messages.get(key)
        if revision <= position and (kept is None or kept[1]["revision"] <= revision):
            self._messages[key] = (offset, message)

    def compare_table(self, rows: Iterable[tuple[str, Window]], watermarks: Mapping[str, int], newest: int) -> None:
        """Compare with the table as it was when everything folded so far, and nothing more, was in it."""
        place = self._findings.place("kpi", self._shard.partition)
        compare_state("windows", place, self._shard, watermarks, newest, self._findings)
        compare_rows("windows", place, self._shard.rows, rows, self._findings)

    def compare_messages(self, pending: Collection[str], are_messages_cut: bool) -> None:
        """Compare with what was published of the windows up to this position, but for those still to be published."""
        for key, window in (*self._closed.items(), *self._shard.rows.items()):
            if key in pending:
                self._findings.wait("windows")
            else:
                self._compare_message(key, window, are_messages_cut)

    def _compare_message(self, key: str, window: Window, are_messages_cut: bool) -> None:
        where = self._findings.place("acceptance-metrics", self._shard.partition)
        offset, message = self._messages.get(key, (0, None))
        if message is None and are_messages_cut:
            self._findings.leave_out("windows", where, "retention has deleted the beginning of the log")
        elif message is None:
            self._findings.differ("windows", where, f"window {key} was published nowhere: expected {window}")
        else:
            expected = dict(metrics_message(window_key(key), window, message["revision"], self._parameters))
            for field, total in expected.items():
                if message.get(field) != total:
                    place = f"{where}@{offset}"
                    unlike = f"expected {field} {total}, found {message.get(field)}"
                    self._findings.differ("windows", place, f"window {key}: {unlike}")
                    return

    def finish(self) -> None:
        """Look, when `tallies` are read to their end, at messages of windows that nobody has tallied."""
        for key in self._announced.keys() - self._shard.rows.keys() - self._closed.keys():
            where = self._findings.place("acceptance-metrics", self._shard.partition, self._announced[key])
            if self._is_cut:
                self._findings.leave_out("windows", where.partition("@")[0], "retention has deleted their tallies")
            else:
                self._findings.differ("windows", where, f"window {key}: no tally determines it")
