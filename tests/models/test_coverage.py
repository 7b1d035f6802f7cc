"""Whatever is sent again, cut differently or late, each entry is applied once and in order."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.coverage import NOTHING_SENT, Chain, Packed, Span, Verdict, Watermarks, admit

# -- one span


@pytest.mark.parametrize(
    ("start", "end", "verdict"),
    [
        (4, 6, "repeat"),
        (4, 7, "repeat"),
        (7, 7, "repeat"),
        (4, 8, "new"),
        (7, 8, "new"),
        (8, 9, "gap"),
        (20, 30, "gap"),
    ],
)
def test_a_span_is_judged_by_where_it_ends_and_then_by_where_it_starts(start: int, end: int, verdict: Verdict) -> None:
    assert admit(7, Span("a", start, end)) == verdict


def test_a_span_that_ends_before_the_watermark_is_a_repeat_even_if_it_is_empty() -> None:
    assert admit(7, Span("a", 9, 5)) == "repeat"


# -- watermarks


def test_before_the_first_record_only_the_beginning_is_new() -> None:
    assert Watermarks().admit([Span("a", NOTHING_SENT, 0)]) == ([-1], ["new"])
    assert Watermarks().admit([Span("a", 0, 1)]) == ([None], ["gap"])


def test_entries_are_new_above_the_former_watermark() -> None:
    watermarks = Watermarks({"a": 7})
    assert watermarks.admit([Span("a", 5, 9)]) == ([7], ["new"])
    assert watermarks.as_dict() == {"a": 9}


def test_repeats_and_gaps_move_nothing() -> None:
    watermarks = Watermarks({"a": 7})
    assert watermarks.admit([Span("a", 2, 6), Span("a", 8, 9)]) == ([None, None], ["repeat", "gap"])
    assert watermarks.as_dict() == {"a": 7}


def test_each_origin_has_its_own_watermark() -> None:
    watermarks = Watermarks({"a": 7})
    assert watermarks.admit([Span("b", -1, 3), Span("a", 7, 8), Span("c", 5, 6)]) == (
        [-1, 7, None],
        ["new", "new", "gap"],
    )
    assert watermarks.as_dict() == {"a": 8, "b": 3}


def test_two_joined_spans_of_one_origin_in_one_record_are_both_new() -> None:
    assert Watermarks().admit([Span("a", -1, 3), Span("a", 3, 5)]) == ([-1, 3], ["new", "new"])


def test_a_record_without_spans_is_nothing() -> None:
    assert Watermarks({"a": 1}).admit([]) == ([], [])


def test_watermarks_neither_share_what_they_are_given_nor_what_they_give() -> None:
    given_ends = {"a": 1}
    watermarks = Watermarks(given_ends)
    watermarks.admit([Span("a", 1, 2)])
    watermarks.as_dict()["a"] = 100
    assert (given_ends, watermarks.as_dict()) == ({"a": 1}, {"a": 2})


# -- chains


def test_a_chain_starts_at_the_beginning_and_joins_span_to_span_for_each_target() -> None:
    chain = Chain("a")
    assert [chain.extend(0, 4), chain.extend(1, 9), chain.extend(0, 9)] == [
        Span("a", -1, 4),
        Span("a", -1, 9),
        Span("a", 4, 9),
    ]
    assert chain.as_dict() == {0: 9, 1: 9}


def test_a_chain_goes_on_where_the_mark_says() -> None:
    ends = {0: 4}
    chain = Chain("a", ends)
    assert [chain.extend(0, 6), chain.extend(1, 6)] == [Span("a", 4, 6), Span("a", -1, 6)]
    chain.as_dict()[0] = 100
    assert (ends, chain.as_dict()) == ({0: 4}, {0: 6, 1: 6})


# -- the law: a model of senders that crash, lag behind and lose sends, and of a receiver that crashes

ORIGINS, TARGETS, OFFSETS = 2, 2, 12

#: What one origin offset holds for a target: its number of entries.
Log = list[tuple[int, ...]]
Entry = tuple[int, int, int]


@dataclass
class Mark:
    """What a sender that takes over knows: the next offset and the chain's ends, by origin."""

    positions: list[int] = field(default_factory=lambda: [0] * ORIGINS)
    chains: list[dict[int, int]] = field(default_factory=lambda: [{} for _ in range(ORIGINS)])


class Sender:
    def __init__(self, logs: list[Log], mark: Mark) -> None:
        self.logs = logs
        self.positions = list(mark.positions)
        self.chains = [Chain(str(origin), ends) for origin, ends in enumerate(mark.chains)]
        self.has_failed = False

    def send(self, sizes: list[int], topic: list[list[Packed[Entry]]], lost: set[int]) -> None:
        """Pack the next offsets of each origin, one record a target; those for the lost targets do not arrive."""
        packed: dict[int, Packed[Entry]] = {}
        for origin, size in enumerate(sizes):
            start = self.positions[origin]
            end = self.positions[origin] = min(start + size, len(self.logs[origin]))
            for target in range(TARGETS):
                held = [(offset, n) for offset in range(start, end) for n in range(self.logs[origin][offset][target])]
                if held:
                    record = packed.setdefault(target, Packed([], []))
                    record.entries.extend((len(record.spans), offset, n) for offset, n in held)
                    record.spans.append(self.chains[origin].extend(target, end - 1))
        for target, record in packed.items():
            if target in lost:
                self.has_failed = True
            else:
                topic[target].append(record)

    def mark(self) -> Mark:
        return Mark(list(self.positions), [chain.as_dict() for chain in self.chains])


class Receiver:
    def __init__(self) -> None:
        self.position = 0
        self.watermarks = Watermarks()
        self.applied: list[Entry] = []

    def read(self, topic: list[Packed[Entry]]) -> None:
        for record in topic[self.position :]:
            after, _ = self.watermarks.admit(record.spans)
            for span, offset, n in record.entries:
                above = after[span]
                if above is not None and offset > above:
                    self.applied.append((int(record.spans[span].origin), offset, n))
        self.position = len(topic)

    def restarted(self, position: int) -> "Receiver":
        """The same state, reading again from an earlier position: records are delivered a second time."""
        receiver = Receiver()
        receiver.position = min(position, self.position)
        receiver.watermarks = Watermarks(self.watermarks.as_dict())
        receiver.applied = list(self.applied)
        return receiver


_log = st.lists(st.tuples(*[st.integers(0, 2)] * TARGETS), min_size=1, max_size=OFFSETS)
_sizes = st.lists(st.integers(0, 5), min_size=ORIGINS, max_size=ORIGINS)
_step = st.one_of(
    st.tuples(st.just("send"), st.integers(0, 2), _sizes),
    st.tuples(st.just("lose"), st.integers(0, 2), _sizes, st.sets(st.integers(0, TARGETS - 1), min_size=1)),
    st.tuples(st.just("mark"), st.integers(0, 2)),
    st.tuples(st.just("take-over"), st.integers(0, 2), st.integers(0, 3)),
    st.tuples(st.just("read"), st.integers(0, TARGETS - 1)),
    st.tuples(st.just("read-again"), st.integers(0, TARGETS - 1), st.integers(0, 20)),
)


@settings(max_examples=400)
@given(logs=st.lists(_log, min_size=ORIGINS, max_size=ORIGINS), steps=st.lists(_step, max_size=30))
def test_every_entry_is_applied_once_and_in_order(logs: list[Log], steps: list[tuple]) -> None:
    topic: list[list[Packed[Entry]]] = [[] for _ in range(TARGETS)]
    marks = [Mark()]
    senders = [Sender(logs, marks[0]) for _ in range(3)]  # any of them may be the owner, or a late worker
    receivers = [Receiver() for _ in range(TARGETS)]
    for action, *arguments in steps:
        who = arguments[0]
        if action == "send":
            senders[who].send(arguments[1], topic, set())
        elif action == "lose":
            senders[who].send(arguments[1], topic, arguments[2])
        elif action == "mark":
            if not senders[who].has_failed:  # a flush waits until all outputs are acknowledged
                marks.append(senders[who].mark())
        elif action == "take-over":
            senders[who] = Sender(logs, marks[-1 - arguments[1] % len(marks)])
        elif action == "read":
            receivers[who].read(topic[who])
        else:
            receivers[who] = receivers[who].restarted(arguments[1])
    # At last somebody goes on from some mark to the end.
    Sender(logs, marks[-1]).send([OFFSETS] * ORIGINS, topic, set())
    for target, receiver in enumerate(receivers):
        receiver.read(topic[target])
        for origin, log in enumerate(logs):
            applied = [entry for entry in receiver.applied if entry[0] == origin]
            assert applied == [(origin, offset, n) for offset, held in enumerate(log) for n in range(held[target])]


@given(
    log=_log,
    cuts=st.lists(st.lists(st.integers(1, 5), max_size=OFFSETS), min_size=1, max_size=4),
)
def test_the_cut_into_batches_does_not_matter(log: Log, cuts: list[list[int]]) -> None:
    topic: list[list[Packed[Entry]]] = [[] for _ in range(TARGETS)]
    for sizes in cuts:  # each sender begins anew and sends everything, cut in its own way
        sender = Sender([log], Mark([0], [{}]))
        for size in [*sizes, OFFSETS]:
            sender.send([size], topic, set())
    for target in range(TARGETS):
        receiver = Receiver()
        receiver.read(topic[target])
        assert receiver.applied == [(0, offset, n) for offset, held in enumerate(log) for n in range(held[target])]
