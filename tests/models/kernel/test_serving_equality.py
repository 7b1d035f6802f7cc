"""The compiled stage suggest is the plain one: whatever happens in sessions, in however many records it comes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.attribution import Outcome
from models.coverage import Chain, Packed
from models.kernel.rows import DenseRows
from models.kernel.suggesting import DenseSuggesting, LogRecord
from models.kpi import Tally
from models.layout import events as events_layout
from models.layout import pairs as pairs_layout
from models.layout import sessions as sessions_layout
from models.parameters import DEFAULTS, Parameters
from models.partitioning import partition_of
from models.records import ADD, CLEAR, MOMENTS, REMOVE, Event, Kind, Line
from models.rows import PlainRows
from models.session import Session
from models.shard import Shard
from models.suggesting import EventEntry, Suggestion, origin_partition, suggest, suggestion_id

PARTITIONS = 3
START = 1_767_607_200_000
MINUTE = 60_000
GAP = DEFAULTS.session_gap_ms

#: Every list of a session is soon full, and what is popular or rival is soon known.
SMALL = replace(
    DEFAULTS,
    positions_max=5,
    seen_max=6,
    offers_max=3,
    event_ids_max=5,
    order_ids_max=2,
    query_items=3,
    pair_positions=3,
    row_size=6,
    candidates_max=20,
    hop_neighbours=3,
    popular_sessions_floor=2.0,
    leaders_max=4,
    kpi_window_ms=10 * MINUTE,
)

ITEMS = ["tea", "cup", "pot", 'a"b', "c\\d", "\t\x01", "é", "日本", "mat", "jug", "pan", "urn", "tin", "lid"]
SESSIONS = ["s", "r", 'q"', "日"]
CATEGORIES = [None, None, "drinks", "dishes"]

_decoder = msgspec.json.Decoder(Suggestion)


def shop_events(random: Random, count: int, steps: Sequence[int]) -> list[Event]:
    """Events of some sessions, with repeated ids, late ones, and named suggestions."""
    now, events = START, []
    ids: list[str] = []
    for number in range(count):
        now += random.choice(steps)
        kind: Kind = random.choice(["browse", "browse", "browse", "add-to-cart", "orders"])
        action = random.choice([ADD, ADD, REMOVE, CLEAR]) if kind == "add-to-cart" else ADD
        lines = tuple(
            Line(
                random.choice(ITEMS),
                random.randint(1, 3),
                random.choice([None, 0.1, 2.5]),
                random.choice(CATEGORIES),
            )
            for _ in range(0 if action == CLEAR else random.randint(1, 4) if kind == "orders" else 1)
        )
        repeated = ids and random.random() < 0.1
        ids.append(random.choice(ids) if repeated else f"e{number}")
        events.append(
            Event(
                kind,
                ids[-1],
                random.choice(SESSIONS),
                now,
                random.choice([MOMENTS[kind], "banner", "checkout-page_2.0-with-a-long-name"[:32]]),
                lines,
                action,
                random.choice(["o1", "o2", "o3"]) if kind == "orders" else None,
                random.choice([None, "EUR"]),
                named_suggestion(random, events),
            )
        )
    return events


def named_suggestion(random: Random, events: Sequence[Event]) -> str | None:
    """Return the id of an earlier suggestion, or what only looks like one, or none."""
    if not events or random.random() < 0.6:
        return None
    number = random.randrange(len(events))
    key = suggestion_id(events[number], "browse-0", number)
    return random.choice([key, key, key, key.upper(), key[:-1], "x" * 32])


def records_of(random: Random, events: Sequence[Event]) -> list[list[tuple[int, int, Packed[EventEntry]]]]:
    """Pack events into batches of records (partition, offset, packed), some of which come twice."""
    chains = [Chain("browse-0"), Chain("orders-7")]
    offsets = [0] * PARTITIONS
    batches: list[list[tuple[int, int, Packed[EventEntry]]]] = []
    number = 0
    while number < len(events):
        end = min(len(events), number + random.randint(1, 12))
        batch = []
        for partition in range(PARTITIONS):
            packed: Packed[EventEntry] = Packed([], [])
            spans: dict[int, int] = {}
            for place in range(number, end):
                origin = place % 2
                if partition_of(events[place].session_id, PARTITIONS) == partition:
                    if origin not in spans:
                        spans[origin] = len(packed.spans)
                        packed.spans.append(chains[origin].extend(partition, end))
                    timestamp = START + 1000 * (place // 5)
                    packed.entries.append(EventEntry(spans[origin], place, timestamp, events[place]))
            if packed.entries:
                for _ in range(random.choice([1, 1, 1, 2])):
                    batch.append((partition, offsets[partition], packed))
                    offsets[partition] += 1
        batches.append(batch)
        number = end
    return batches


class Twins:
    """The plain stage and the compiled one, side by side."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.plain_rows, self.rows = PlainRows(parameters), DenseRows(parameters)
        self.shards: list[Shard[Session]] = [Shard(partition) for partition in range(PARTITIONS)]
        self.marks: list[Shard[Session]] = [Shard(partition) for partition in range(PARTITIONS)]
        self.chains = {partition: Chain(str(partition)) for partition in range(PARTITIONS)}
        self.stage = DenseSuggesting(self.rows, PARTITIONS, parameters)
        self.published: dict[int, dict[str, Suggestion]] = {partition: {} for partition in range(PARTITIONS)}
        self.answers: list[Suggestion] = []

    def serve(self, batch: Sequence[tuple[int, int, Packed[EventEntry]]]) -> None:
        """Have both serve a batch, and compare all that they bring about; then learn it."""
        increments, suggestions, taken, outcomes, tallies = [], [], [], [], []
        duplicates: Counter[Kind] = Counter()
        records = []
        for number, (partition, offset, packed) in enumerate(batch):
            published = self.published[partition]
            effects = suggest(self.shards[partition], offset, packed, self.plain_rows, published, self.parameters)
            increments += [(partition, offset, *increment) for increment in effects.increments]
            for suggestion, arrival, is_published in effects.suggestions:
                self.answers.append(suggestion)
                if is_published:
                    taken.append((partition, suggestion.suggestion_id))
                else:
                    suggestions.append((partition, offset, suggestion.session_id, suggestion, arrival))
            outcomes += [(partition, outcome) for outcome in effects.outcomes]
            tallies += [(number, tally) for tally in effects.tallies]
            duplicates.update(effects.duplicates)
            after, _ = self.marks[partition].watermarks.admit(packed.spans)
            content = events_layout.encode(packed)
            origins = [origin_partition(span.origin) for span in packed.spans]
            records.append(LogRecord(partition, offset, content, events_layout.read_head(content), after, origins))
        served = self.stage.serve(records, self.published, self.chains, 1000)
        found = [
            (partition, offset, (key or b"").decode(), _decoder.decode(value or b""), arrival)
            for partition, answers in sorted(served.answers.items())
            for offset, key, value, arrival in zip(
                answers.offsets.tolist(), answers.keys, answers.values, answers.arrivals.tolist(), strict=True
            )
        ]
        assert found == sorted(suggestions, key=lambda each: each[0])
        assert served.taken == taken
        assert served.outcomes == grouped(outcomes)
        assert served.tallies == tallies
        assert served.duplicates == dict(duplicates)
        assert served.moments == moments_of([tally for _, tally in tallies])
        assert served.reasons == Counter(suggestion.reason for *_, suggestion, _ in suggestions if suggestion.reason)
        self._compare_increments(served.pairs, increments)
        self._compare_sessions()
        for rows in (self.plain_rows, self.rows):
            rows.fold_all([(increment, time_ms) for _, _, time_ms, _, increment in increments])

    def _compare_increments(self, pairs: dict[int, bytes], increments: list) -> None:
        expected: dict[int, list] = {}
        for partition, offset, time_ms, timestamp, increment in increments:
            target = partition_of(increment.anchor, PARTITIONS)
            expected.setdefault(target, []).append((str(partition), offset, time_ms, timestamp, increment))
        found = {}
        for target, content in pairs.items():
            packed = pairs_layout.decode(content)
            assert packed.rows_max == 1000
            found[target] = [
                (packed.spans[entry.span].origin, entry.offset, entry.time, entry.timestamp, entry.increment)
                for entry in packed.entries
            ]
            for span in packed.spans:
                assert self.chains[int(span.origin)].as_dict()[target] == span.end
        assert found == expected

    def _compare_sessions(self) -> None:
        for partition, shard in enumerate(self.shards):
            assert list(self.stage.sessions.ids(partition)) == list(shard.rows)
            assert self.stage.sessions.count(partition) == len(shard.rows)
            assert self.stage.newest[partition] == shard.newest
            for session_id, session in shard.rows.items():
                assert ordered(self.stage.sessions.get(session_id)) == ordered(session)

    def flush(self) -> None:
        """Have both write what has changed, and compare."""
        for partition, shard in enumerate(self.shards):
            written = {
                key.decode().removeprefix("r"): None if row is None else ordered(sessions_layout.decode(row))
                for key, row in self.stage.sessions.take_dirty(partition, b"r").as_dict().items()
            }
            assert written == {
                key: None if session is None else ordered(session) for key, session in shard.take_dirty().items()
            }

    def reload(self) -> None:
        """Have a new compiled stage load what the sessions of this one are."""
        self.flush()
        stage = DenseSuggesting(self.rows, PARTITIONS, self.parameters)
        for partition, shard in enumerate(self.shards):
            rows = [(key.encode(), sessions_layout.encode(session)) for key, session in shard.rows.items()]
            stage.sessions.load(partition, rows)
        stage.newest[:] = self.stage.newest
        self.stage = stage


def ordered(session: Session | None) -> object:
    """Return what tells two sessions apart, the order of their entries with it."""
    return session and msgspec.msgpack.encode(session)


def grouped(outcomes: list[tuple[int, Outcome]]) -> dict[int, list[Outcome]]:
    """Return outcomes by partition."""
    result: dict[int, list[Outcome]] = {}
    for partition, outcome in outcomes:
        result.setdefault(partition, []).append(outcome)
    return result


def moments_of(tallies: Sequence[Tally]) -> dict[str, int]:
    """Return the suggestions of each moment."""
    counts: Counter[str] = Counter()
    for tally in tallies:
        counts[tally.moment] += tally.suggestions
    return {moment: count for moment, count in counts.items() if count}


STEPS = {
    "brisk": [0, 1, 1000, 5000, 20_000, MINUTE],
    "halting": [0, MINUTE, 5 * MINUTE, -2 * MINUTE, GAP, GAP + 1, -GAP - 1, -GAP],
    "leaping": [0, MINUTE, GAP + 1, DEFAULTS.session_retention_ms, DEFAULTS.session_retention_ms + 1, -MINUTE],
}


@pytest.mark.parametrize("pace", STEPS)
@pytest.mark.parametrize("parameters", [SMALL, replace(DEFAULTS, popular_sessions_floor=2.0)], ids=["small", "usual"])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_compiled_stage_does_what_the_plain_one_does(pace: str, parameters: Parameters, seed: int) -> None:
    random = Random(seed)
    twins = Twins(parameters)
    for batch in records_of(random, shop_events(random, 60, STEPS[pace])):
        twins.serve(batch)
        if random.random() < 0.2:
            twins.flush()
        if random.random() < 0.1:
            twins.reload()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_was_published_before_is_kept_and_offered(seed: int) -> None:
    events = shop_events(Random(seed), 40, STEPS["brisk"])
    first = Twins(SMALL)
    for batch in records_of(Random(seed), events):
        first.serve(batch)
    second = Twins(SMALL)
    kept = [answer for answer in first.answers if Random(answer.suggestion_id).random() < 0.5]
    for answer in kept:
        second.published[partition_of(answer.session_id, PARTITIONS)][answer.suggestion_id] = answer
    for batch in records_of(Random(seed), events):
        second.serve(batch)
    assert {answer.suggestion_id for answer in second.answers} == {answer.suggestion_id for answer in first.answers}
    for answer in kept:
        assert answer in second.answers
