"""The wiring of a recount: reads logs and tables, and hands them to the comparisons of `models.audit`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

from models.audit.admission import Admission
from models.audit.door import Door, InputLog
from models.audit.findings import Findings, Kind, Report
from models.audit.packed import Determined, Origin, PackedLog, increment_content, tally_content
from models.audit.published import PublishedOutcomes, PublishedSuggestions
from models.audit.rows import RowsRecount
from models.audit.sessions import SessionsRecount
from models.audit.windows import WindowsRecount
from models.coverage import Packed
from models.errors import AccidentError, InvariantError
from models.parameters import Parameters
from models.records import Kind as InputKind
from streams.audit_decoding import decode_letter, decode_object, decode_outcome, decoded_rows, log_offset_of
from streams.audit_logs import AuditLogs, LogRecord, TableState
from streams.audit_replicas import ReplicaPart, ReplicaParts
from streams.dead_letters import REDRIVEN
from streams.topics import INPUTS
from streams.wire import (
    PACKED_EVENTS,
    PACKED_PAIRS,
    PACKED_TALLIES,
    Mark,
    PackedCodec,
    decode_suggestion,
)

__all__ = ["Recount"]

PackedT = TypeVar("PackedT", bound=Packed[Any])

#: What is to be done when a log is folded exactly up to an offset.
_Stop = tuple[int, Callable[[], None]]

#: What the rows of a table are counted as.
_KINDS: Final[dict[str, Kind]] = {"sessions": "sessions", "cooccurrence": "rows", "kpi": "windows"}


class Recount:
    """Compares everything, partition by partition, in the data's order, the inputs last.

    Parameters
    ----------
    replicas : ReplicaParts
        What replicas held before the logs were bounded.
    """

    def __init__(self, logs: AuditLogs, parameters: Parameters, replicas: ReplicaParts) -> None:
        self._logs = logs
        self._parameters = parameters
        self._replicas = replicas
        self._findings = Findings(logs.names)
        self._increments: Determined = {}
        self._tallies: Determined = {}

    def run(self) -> Report:
        """Read everything once and return what was found."""
        logs, partitions = self._logs, range(self._logs.partitions)
        inputs = [self._input(kind, partition) for kind in INPUTS for partition in range(logs.input_partitions[kind])]
        admissions = {partition: Admission(self._is_cut("session-events", partition)) for partition in partitions}
        cut_letters = {partition for partition in partitions if self._is_cut("dead-letters", partition)}
        door = Door(inputs, admissions, logs.partitions, cut_letters, self._parameters, self._findings)
        self._read_letters(door)
        for partition in partitions:
            self._recount_sessions(partition, admissions[partition], door)
        for partition in partitions:
            self._recount_rows(partition)
            self._recount_windows(partition)
        for log in inputs:
            for record in self._records(log.kind, log.partition):
                if record.offset >= log.begin:
                    door.compare(log, record.offset, record.timestamp, record.value)
            door.finish(log)
        for sentence in self._replicas.silent:
            self._findings.note(sentence)
        return self._findings.report()

    # -- the door

    def _input(self, kind: InputKind, partition: int) -> InputLog:
        begin, _ = self._logs.bounds(kind, partition)
        committed = self._logs.committed.get((kind, partition), 0)
        return InputLog(kind, partition, begin, self._logs.ends[kind, partition], committed)

    def _read_letters(self, door: Door) -> None:
        kinds = {self._logs.names[kind]: kind for kind in INPUTS}
        for partition in range(self._logs.partitions):
            for record in self._records("dead-letters", partition):
                letter = decode_letter(record.value)
                if letter is None or letter.topic not in kinds:
                    door.refuse(partition, record.offset, None)
                elif letter.reason == REDRIVEN:
                    door.close(kinds[letter.topic], letter.partition, letter.offset)
                else:
                    named = (kinds[letter.topic], letter.partition, letter.offset, letter.reason)
                    door.refuse(partition, record.offset, named)

    # -- sessions

    def _recount_sessions(self, partition: int, admission: Admission, door: Door) -> None:
        findings = self._findings
        suggestions = PublishedSuggestions(partition, self._is_cut("suggestions", partition), findings)
        for record in self._records("suggestions", partition):
            suggestion = decode_suggestion(record.value)
            suggestions.read(record.offset, record.timestamp, log_offset_of(record.headers), suggestion)
        outcomes = PublishedOutcomes(partition, self._is_cut("acceptance", partition), findings)
        for record in self._records("acceptance", partition):
            outcomes.read(record.offset, record.timestamp, decode_outcome(record.value))
        begin, _ = self._logs.bounds("session-events", partition)
        end = self._logs.ends["session-events", partition]
        increments = self._increments[str(partition)] = Origin(begin, end)
        tallies = self._tallies[str(partition)] = Origin(begin, end)
        sessions = SessionsRecount(
            partition,
            self._logs.partitions,
            admission,
            suggestions,
            outcomes,
            door,
            increments,
            tallies,
            self._parameters,
            findings,
        )
        state = self._table("sessions", partition)
        stops: list[_Stop] = []
        if state.mark is not None and self._is_within("sessions", partition, state.mark, "session-events", end):
            mark = state.mark
            increments.required = tallies.required = mark.position
            rows = decoded_rows("sessions", state)
            stops = [(mark.position, lambda: sessions.compare_table(rows, mark.watermarks, mark.newest))]

        def fold(record: LogRecord, packed: Packed[Any]) -> None:
            sessions.fold(record.offset, record.timestamp, packed)

        self._fold("events", "session-events", partition, end, PACKED_EVENTS, fold, stops)
        sessions.finish()

    # -- rows and windows

    def _recount_rows(self, partition: int) -> None:
        logs, findings, end = self._logs, self._findings, self._logs.ends["pairs", partition]
        is_cut = self._is_cut("pairs", partition)
        compared = PackedLog("increments", "pairs", partition, is_cut, self._increments, findings)
        state = self._table("cooccurrence", partition)
        parts = self._replicas.parts.get(partition, [])
        parameters = self._parameters
        if state.mark is not None:
            parameters = replace(parameters, half_life_ms=state.mark.half_life_ms)
        rows = RowsRecount(partition, parameters, findings)
        _, far = logs.bounds("pairs", partition)
        stops: list[_Stop] = []
        if is_cut:
            where = findings.place("cooccurrence", partition)
            why = f"retention has deleted the beginning of {findings.place('pairs', partition)}"
            findings.leave_out("rows", where, why, len(state.rows))
            findings.leave_out("replicas", where, why, len(parts))
        else:
            if state.mark is not None and self._is_within("cooccurrence", partition, state.mark, "pairs", far):
                mark, encoded = state.mark, decoded_rows("cooccurrence", state)
                stops.append((mark.position, lambda: rows.compare_table(encoded, mark.watermarks, mark.newest)))
            stops += self._replica_stops(partition, parts, rows, far)

        def fold(record: LogRecord, packed: Any) -> None:
            if record.offset < end:
                compared.compare(record.offset, packed, increment_content)
            if not is_cut:
                rows.fold(record.offset, packed)

        last = max([end, *(position for position, _ in stops)])
        self._fold("increments", "pairs", partition, last, PACKED_PAIRS, fold, stops)
        compared.finish()

    def _replica_stops(
        self, partition: int, parts: Sequence[ReplicaPart], rows: RowsRecount, far: int
    ) -> Iterator[_Stop]:
        for part in parts:
            place = f"the replica of {part.worker}, partition {partition}"
            if part.digest is None:
                self._findings.note(f"{place}: not compared, because it changed while it was hashed")
            elif part.position > far:
                self._findings.note(f"{place}: not compared, because its position is past what was read")
            else:
                yield part.position, partial(rows.compare_replica, part.worker, part.rows, part.digest)

    def _recount_windows(self, partition: int) -> None:
        findings, end = self._findings, self._logs.ends["tallies", partition]
        is_cut = self._is_cut("tallies", partition)
        are_messages_cut = self._is_cut("acceptance-metrics", partition)
        compared = PackedLog("tallies", "tallies", partition, is_cut, self._tallies, findings)
        windows = WindowsRecount(partition, is_cut, self._parameters, findings)
        state = self._table("kpi", partition)
        position = state.mark.position if state.mark else 0
        for record in self._records("acceptance-metrics", partition):
            windows.read(record.offset, decode_object(record.value), position)
        stops: list[_Stop] = []
        if is_cut:
            why = f"retention has deleted the beginning of {findings.place('tallies', partition)}"
            findings.leave_out("windows", findings.place("kpi", partition), why, len(state.rows))
        elif state.mark is not None and self._is_within("kpi", partition, state.mark, "tallies", end):
            mark, encoded = state.mark, decoded_rows("kpi", state)

            def compare() -> None:
                windows.compare_table(encoded, mark.watermarks, mark.newest)
                windows.compare_messages(mark.pending, are_messages_cut)

            stops = [(mark.position, compare)]

        def fold(record: LogRecord, packed: Packed[Any]) -> None:
            compared.compare(record.offset, packed, tally_content)
            windows.fold(record.offset, packed)

        self._fold("tallies", "tallies", partition, end, PACKED_TALLIES, fold, stops)
        compared.finish()
        windows.finish()

    # -- reading

    def _is_cut(self, row: str, partition: int) -> bool:
        return self._logs.bounds(row, partition)[0] > 0

    def _records(self, row: str, partition: int) -> Iterator[LogRecord]:
        return self._logs.records(row, partition, self._logs.ends[row, partition])

    def _fold(
        self,
        kind: Kind,
        row: str,
        partition: int,
        end: int,
        codec: PackedCodec[PackedT],
        fold: Callable[[LogRecord, PackedT], None],
        stops: list[_Stop],
    ) -> None:
        """Hand a log's records to `fold`, and stop at some offsets before the record there."""
        waiting = sorted(stops, key=lambda stop: stop[0])
        for record in self._logs.records(row, partition, end):
            while waiting and waiting[0][0] <= record.offset:
                waiting.pop(0)[1]()
            try:
                packed = codec.decode(record.value)
            except InvariantError as error:
                self._findings.differ(kind, self._findings.place(row, partition, record.offset), str(error))
                continue
            fold(record, packed)
        for _, compare in waiting:
            compare()

    def _table(self, table: str, partition: int) -> TableState:
        state = self._logs.table(table, partition)
        for row, topic_id in state.mark.topic_ids.items() if state.mark else ():
            if topic_id != self._logs.topic_ids[row]:
                raise AccidentError(
                    f"the topic {self._logs.names[row]} was deleted and made again since the table {table} was written:"
                    " there is nothing to recount from"
                )
        return state

    def _is_within(self, table: str, partition: int, mark: Mark, row: str, end: int) -> bool:
        if mark.position <= end:
            return True
        log = self._findings.place(row, partition)
        self._findings.differ(
            _KINDS[table],
            self._findings.place(table, partition),
            f"the mark stands at offset {mark.position} of {log}, expected at most {end}, where that log ends",
        )
        return False
