"""The stage suggest by compiled code: `models.suggesting` for a whole batch of records at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.attribution import STAGES, Outcome, line_values, outcome_of
from models.coverage import Chain
from models.kernel.caching import enable_cache
from models.kernel.constants import decay_of, weighing_of
from models.kernel.evidence import floors_of
from models.kernel.packing import HEAD_BYTES, pack_pairs, route_pairs
from models.kernel.pairs import pairing_of
from models.kernel.rows import DenseRows
from models.kernel.serving import (
    BYTES,
    OUTCOMES,
    RECORD_WORDS,
    SERVED,
    SKIPPED,
    TALLIES,
    Batch,
    Kept,
    Out,
    Rules,
    out_for,
    serve,
    with_room,
    work_for,
)
from models.kernel.session_arena import has_room
from models.kernel.sessions import SESSION_KERNELS, DenseSessions
from models.kpi import Tally, summed, tallies
from models.ladder import REASONS
from models.layout.events import Head, entry_at
from models.layout.pairs import head_bytes
from models.parameters import Parameters
from models.parts import Parts, TableRows
from models.records import KINDS, Kind
from models.shard import LogState
from models.suggesting import Suggestion

__all__ = ["Answers", "DenseSuggesting", "LogRecord", "Served", "SessionShard"]

_STAGES = {bits: stage for stage, bits in STAGES.items()}

#: Offsets of suggestions' ids: where kind and partition begin, and where the offset does.
_ORIGIN_AT, _OFFSET_AT = 12, 18


class LogRecord(NamedTuple):
    """One record of `session-events`.

    Attributes
    ----------
    partition, offset : int
        Its place.
    content : bytes
        See `models.layout.events`.
    head : Head
        What stands before its entries.
    after : list of (int or None)
        For each span the offset above which its entries are new, None where none is (`models.coverage.Watermarks`).
    origins : list of int
        For each span the partition of the input topic (`models.suggesting.origin_partition`).
    """

    partition: int
    offset: int
    content: bytes
    head: Head
    after: list[int | None]
    origins: list[int]


class SessionShard(LogState):
    """The sessions of one partition among those of all, with the position in the log that they are the fold of."""

    __slots__ = ("_stage",)

    def __init__(self, partition: int, stage: "DenseSuggesting") -> None:
        self._stage = stage
        super().__init__(partition)

    @property
    def newest(self) -> int:
        """The greatest event time folded so far, in ms."""
        return self._stage.newest.item(self.partition)

    @newest.setter
    def newest(self, time_ms: int) -> None:
        self._stage.newest[self.partition] = time_ms

    def __len__(self) -> int:
        return self._stage.sessions.count(self.partition)

    @property
    def keys(self) -> set[str]:
        """The session ids."""
        return set(self._stage.sessions.ids(self.partition))

    def load_rows(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Put rows that are already durable, each with its session id."""
        self._stage.sessions.load(self.partition, rows)

    def take_dirty(self, letter: bytes = b"") -> TableRows:
        """Return the rows of the sessions that have changed since the last call, None for those forgotten."""
        return self._stage.sessions.take_dirty(self.partition, letter)

    def clear(self) -> None:
        """Forget all sessions; their next owner has them."""
        self._stage.sessions.release(self.partition)


class Answers(NamedTuple):
    """The messages of `suggestions` for one partition, in the log's order.

    Attributes
    ----------
    keys, values : Parts
        Session ids, and messages.
    offsets : ndarray of int64
        Of each the offset of the record that holds its event.
    arrivals : ndarray of int64
        When its event arrived in Kafka, in ms.
    """

    keys: Parts
    values: Parts
    offsets: NDArray[np.int64]
    arrivals: NDArray[np.int64]


@dataclass(slots=True)
class Served:
    """What a batch of records brings about.

    Attributes
    ----------
    answers : dict of int to Answers
        By partition.
    taken : list of (partition, suggestion id)
        What had been published before and whose event has come now.
    moments : dict of str to int
        Events by moment.
    reasons : dict of str to int
        Empty suggestions by reason, without those that had been published before.
    outcomes : dict of int to list of Outcome
        By partition.
    tallies : list of (record, Tally)
        By number of the record in the batch.
    pairs : dict of int to bytes
        The records of `pairs`, by target partition.
    duplicates : dict of Kind to int
        Events that were met before.
    """

    answers: dict[int, Answers] = field(default_factory=dict)
    taken: list[tuple[int, str]] = field(default_factory=list)
    moments: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    outcomes: dict[int, list[Outcome]] = field(default_factory=dict)
    tallies: list[tuple[int, Tally]] = field(default_factory=list)
    pairs: dict[int, bytes] = field(default_factory=dict)
    duplicates: dict[Kind, int] = field(default_factory=dict)


class DenseSuggesting:
    """The sessions of some partitions of `session-events`, and what their events bring about.

    Equal to `models.suggesting.suggest`, record after record, with these rows as the replica.

    Attributes
    ----------
    sessions : DenseSessions
        The sessions.
    newest : ndarray of int64, by partition
        The newest event time, in ms.
    """

    def __init__(self, rows: DenseRows, partitions: int, parameters: Parameters) -> None:
        _enable_cache()
        self.sessions = DenseSessions(rows, partitions, parameters)
        self.newest: NDArray[np.int64] = np.zeros(partitions, np.int64)
        self._rows = rows
        self._partitions = partitions
        self._parameters = parameters
        self._rules = Rules(
            session_gap_ms=parameters.session_gap_ms,
            session_retention_ms=parameters.session_retention_ms,
            attribution_window_ms=parameters.attribution_window_ms,
            kpi_window_ms=parameters.kpi_window_ms,
            suggestions_max=parameters.suggestions_max,
            pairing=pairing_of(parameters),
            decay=decay_of(parameters),
            weighing=weighing_of(parameters),
            floors=floors_of(parameters),
        )
        self._work = work_for(self.sessions.layout, parameters)
        self._out = out_for(1)
        self._targets: NDArray[np.int64] = np.zeros(1, np.int64)

    def serve(
        self,
        records: Sequence[LogRecord],
        published: Mapping[int, Mapping[str, Suggestion]],
        chains: Mapping[int, Chain],
        rows_max: int | None,
    ) -> Served:
        """Serve the events of records, partition by partition in the log's order.

        Parameters
        ----------
        published : mapping of int to mapping of suggestion id to Suggestion
            By partition, what was published before for events that are still to come.
        chains : mapping of int to Chain
            By partition, the last ends that were sent of it to each target of `pairs`; moved on.
        rows_max : int or None
            Rows that a partition of the counts may hold, for the records of `pairs`.
        """
        # Before there is made room for the batch: what was published names items too.
        kept = self._kept(records, published)
        batch, buffer, events = self._batch(records)
        out = self._fold(batch, events, kept)
        served = Served()
        self._collect_answers(served, records, batch, out)
        self._collect_outcomes(served, records, buffer, out)
        self._collect_tallies(served, buffer, out)
        served.pairs = self._pack_pairs(records, chains, rows_max, out)
        served.duplicates = {kind: count for kind, count in zip(KINDS, out.duplicates.tolist(), strict=True) if count}
        return served

    # -- the fold

    def _batch(self, records: Sequence[LogRecord]) -> tuple[Batch, bytes, int]:
        buffer = b"".join([record.content for record in records])
        numbers: list[tuple[int, int, int, int]] = []
        after: list[int] = []
        origins: list[int] = []
        begin = events = lines = 0
        for record in records:
            head = record.head
            numbers.append((begin + head.end, head.entries, record.partition, len(after)))
            after += [SKIPPED if offset is None else offset for offset in record.after]
            origins += record.origins
            begin += len(record.content)
            events += head.entries
            lines += head.lines
        self._rows.make_room(lines, len(buffer), 0)
        self.sessions.make_room(events, len(buffer))
        batch = Batch(
            np.frombuffer(buffer, np.uint8),
            np.array(numbers, np.int64).reshape(len(numbers), RECORD_WORDS),
            np.array(after, np.int64),
            np.array(origins, np.int64),
        )
        return batch, buffer, events

    def _fold(self, batch: Batch, events: int, kept: Kept) -> Out:
        self._out = with_room(self._out, events)
        self._out.ends[:] = self._out.tape.ends[:] = self._out.duplicates[:] = 0
        cursor = np.zeros(4, np.int64)
        rows, sessions = self._rows, self.sessions
        while not serve(
            batch,
            cursor,
            self.newest,
            sessions.arrays,
            sessions.layout,
            rows.ids.arrays,
            rows.categories.arrays,
            rows.table,
            rows.boards,
            rows.board,
            kept,
            self._work,
            self._rules,
            self._out,
        ):
            if has_room(sessions.arrays):
                self._out = with_room(self._out, 2 * len(self._out.served))
            else:
                sessions.make_words()
        return self._out

    def _kept(self, records: Sequence[LogRecord], published: Mapping[int, Mapping[str, Suggestion]]) -> Kept:
        kept = []
        for partition in {record.partition for record in records}:
            for key, suggestion in published.get(partition, {}).items():
                items = [self._rows.ids.intern(item.item_id) for item in suggestion.items]
                kept.append((int(key[_ORIGIN_AT:_OFFSET_AT], 16), int(key[_OFFSET_AT:], 16), items))
        kept.sort()
        width = max((len(items) for _, _, items in kept), default=0)
        return Kept(
            np.array([(origin, offset, len(items)) for origin, offset, items in kept], np.int64).reshape(len(kept), 3),
            np.array([items + [0] * (width - len(items)) for _, _, items in kept], np.int64).reshape(len(kept), width),
        )

    # -- what it brings about

    def _collect_answers(self, served: Served, records: Sequence[LogRecord], batch: Batch, out: Out) -> None:
        messages = out.bytes[: out.ends[BYTES]].copy()
        columns = out.served[: out.ends[SERVED]]
        is_new = columns[:, 2] > columns[:, 1]
        partitions = np.array([record.partition for record in records])[columns[:, 0]]
        offsets = np.array([record.offset for record in records])
        for partition in np.unique(partitions[is_new]).tolist():
            own = columns[is_new & (partitions == partition)]
            served.answers[partition] = Answers(
                Parts(batch.buffer, own[:, 3:5]), Parts(messages, own[:, 1:3]), offsets[own[:, 0]], own[:, 5]
            )
        for number, time_ms, kind, origin, offset in columns[~is_new][:, [0, 7, 8, 9, 10]].tolist():
            key = f"{time_ms:012x}{kind:x}{origin:05x}{offset:014x}"
            served.taken.append((records[number].partition, key))
        reasons, counts = np.unique(columns[columns[:, 6] > 0, 6], return_counts=True)
        served.reasons = {
            REASONS[reason - 1]: count for reason, count in zip(reasons.tolist(), counts.tolist(), strict=True)
        }

    def _collect_outcomes(self, served: Served, records: Sequence[LogRecord], buffer: bytes, out: Out) -> None:
        for words in out.outcomes[: out.ends[OUTCOMES]].tolist():
            number, at, line, bits, rank, is_first, offered_ms, origin, offset, size, *moment = words
            event = entry_at(buffer, at).event
            item = event.lines[line].item_id
            key = f"{offered_ms:012x}{origin:06x}{offset:014x}"
            text = b"".join(word.to_bytes(8, "little", signed=True) for word in moment)[:size].decode()
            outcome = outcome_of(
                event, item, line_values(event)[item], (key, offered_ms, text), rank, _STAGES[bits], bool(is_first)
            )
            served.outcomes.setdefault(records[number].partition, []).append(outcome)
            added = tallies(event.time, event.moment, False, [outcome], self._parameters)[1:]
            served.tallies += [(number, tally) for tally in added]

    def _collect_tallies(self, served: Served, buffer: bytes, out: Out) -> None:
        by_record: dict[int, list[Tally]] = {}
        for number, tally in served.tallies:
            by_record.setdefault(number, []).append(tally)
        for number, start, moment, end, suggestions, empty in out.tallies[: out.ends[TALLIES]].tolist():
            text = buffer[moment:end].decode()
            by_record.setdefault(number, []).append(Tally(start, text, suggestions, empty))
            served.moments[text] = served.moments.get(text, 0) + suggestions
        served.tallies = [(number, tally) for number in sorted(by_record) for tally in summed(by_record[number])]

    def _pack_pairs(
        self, records: Sequence[LogRecord], chains: Mapping[int, Chain], rows_max: int | None, out: Out
    ) -> dict[int, bytes]:
        tape, items, categories = out.tape, self._rows.ids.arrays, self._rows.categories.arrays
        partitions = self._partitions
        sources = np.array([record.partition for record in records], np.int64)
        ends = {record.partition: record.offset for record in records}
        targets = np.zeros(len(tape.increments), np.int64)
        sizes = np.zeros(partitions, np.int64)
        is_sent = np.zeros((partitions, partitions), np.bool_)
        route_pairs(tape, items, categories, sources, targets, sizes, is_sent)
        offsets = np.array([record.offset for record in records], np.int64)
        packed: dict[int, bytes] = {}
        for target in np.flatnonzero(sizes).tolist():
            spans = {}
            for partition, end in ends.items():
                if is_sent[partition, target]:
                    spans[partition] = chains[partition].extend(target, end)
            places = {partition: place for place, partition in enumerate(spans)}
            numbers = np.array([places.get(record.partition, 0) for record in records], np.int64)
            room = np.empty(sizes.item(target) + HEAD_BYTES, np.uint8)
            end = pack_pairs(tape, items, categories, targets, target, numbers, offsets, self.sessions.marks, room, 0)
            packed[target] = head_bytes(rows_max, spans.values()) + room[:end].tobytes()
        return packed


@cache
def _enable_cache() -> None:
    enable_cache((*SESSION_KERNELS, has_room, pack_pairs, route_pairs, serve))
