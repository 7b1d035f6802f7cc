"""The compiled door is the plain one: same bytes, same reasons; and what it is not sure of it leaves to `accept`."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from recorded_file import recorded_lines

from models.coverage import Chain, Span
from models.door import Admitted, InputRecord, Origin, admit_records
from models.kernel.door import Door, compile_door
from models.kernel.entries import read_messages, sort_entries
from models.layout import events
from models.parameters import DEFAULTS, Parameters
from models.recordings.formats import FORMATS, read_events
from models.recordings.record import BadLines
from models.records import Kind

NOW_MS = 1_767_607_200_000  # 2026-01-05T10:00:00Z
KINDS: list[Kind] = ["browse", "add-to-cart", "orders"]
PARTITIONS = 5


def chains_of(origins: Iterable[Origin]) -> dict[Origin, Chain]:
    return {(kind, partition): Chain(f"{kind}-{partition}") for kind, partition in origins}


def both(
    records: Sequence[InputRecord], at: Iterable[int] = (), parameters: Parameters = DEFAULTS
) -> tuple[int, list[Admitted]]:
    """Have both doors admit records, cut into batches at some places; return how many were left, and what came out."""
    origins = sorted({(record.kind, record.partition) for record in records})
    chains = chains_of(origins)
    door = Door(chains_of(origins), [0] * len(origins), PARTITIONS, parameters)
    admitted = []
    bounds = sorted({0, *(min(place, len(records)) for place in at), len(records)})
    for start, end in pairwise(bounds):
        batch = records[start:end]
        places = np.array([origins.index((record.kind, record.partition)) for record in batch], np.int64)
        admitted.append(admit_records(batch, chains, PARTITIONS, parameters))
        assert door.admit(batch, places) == admitted[-1]
    assert [door.sent(place) for place in range(len(origins))] == [chain.as_dict() for chain in chains.values()]
    return door.left, admitted


def record(value: bytes | None, kind: Kind = "browse", offset: int = 0, timestamp: int = NOW_MS) -> InputRecord:
    return InputRecord(kind, 0, offset, timestamp, b"key", value)


def message(kind: Kind = "browse", **fields: object) -> dict[str, Any]:
    """A valid message with some fields changed; those given as `...` are left out."""
    base: dict[str, object] = {"event_id": "e1", "session_id": "s1", "time": NOW_MS}
    base |= {"order_id": "o1", "lines": [{"item_id": "tea"}]} if kind == "orders" else {"item_id": "tea"}
    return {name: value for name, value in (base | fields).items() if value is not ...}


def encoded(fields: object) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass")


def is_left(value: bytes | None, kind: Kind = "browse", timestamp: int = NOW_MS) -> bool:
    """Have both doors judge a message between two others; tell whether it was left to `accept`."""
    usual = encoded(message())
    left, _ = both([record(usual), record(value, kind, 1, timestamp), record(usual, offset=2)])
    return left == 1


def with_field(name: bytes, literal: bytes, kind: Kind = "browse") -> bytes:
    """A valid message in which a field, known or not, has this literal."""
    valid = {key: value for key, value in message(kind).items() if key != name.decode()}
    return encoded(valid)[:-1] + b', "%s": %s}' % (name, literal)


# -- what compiled code reads itself

USUAL: list[tuple[Kind, dict[str, Any]]] = [
    ("browse", message()),
    ("browse", message(category="drinks", moment="home", suggestion_id="x" * 64)),
    ("browse", message(price=2.5, quantity=3, currency="eur")),
    ("browse", message(time="2026-01-05T10:00:00Z")),
    ("browse", message(time="2024-02-29T23:59:59.123456789+01:30")),
    ("browse", message(order_id="ignored", action="remove", lines=[{"item_id": "x"}])),
    ("browse", message(event_id="é" * 128, session_id="日本", item_id="🫖", category="x" * 256)),
    ("browse", message(category="", moment=None, price=None, quantity=None, currency=None, suggestion_id=None)),
    ("browse", message(user_id="u", page={"path": ["a", 1, -2.5, None, True, False, {}, [], {"b": [{}]}]}, score=0.25)),
    ("browse", message(title='a "quoted" \\ \n\t text', note="\u007f")),
    ("add-to-cart", message("add-to-cart")),
    ("add-to-cart", message("add-to-cart", action="add", quantity=1_000_000, price=1000)),
    ("add-to-cart", message("add-to-cart", action="remove")),
    ("add-to-cart", message("add-to-cart", action="clear", item_id=..., category="ignored", price=1e9)),
    ("orders", message("orders")),
    ("orders", message("orders", lines=[{"item_id": f"i{n}"} for n in range(100)])),
    ("orders", message("orders", currency="EUR", item_id="ignored", lines=[
        {"item_id": "tea", "quantity": 2, "price": 0.01, "category": "drinks"},
        {"item_id": "tea", "quantity": None, "price": None, "category": None},
        {"category": "", "item_id": "cup", "time": "of another", "size": {"x": 1}, "event_id": 5},
    ])),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields"), USUAL)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" \t,\r\n", "\n:  ")])
def test_usual_messages_are_not_left(kind: Kind, fields: dict[str, Any], separators: tuple[str, str]) -> None:
    text = json.dumps(fields, ensure_ascii=False, separators=separators)
    for value in (text, f" \t\r\n{text} \n", json.dumps(dict(reversed(fields.items())), ensure_ascii=False)):
        assert not is_left(value.encode(), kind)


@pytest.mark.parametrize(
    ("name", "literal"),
    [
        (b"event_id", b'"\\u0065"'),
        (b"e\\u0076ent_id", b'"e1"'),
        (b"x", b"1e5"),
        (b"x", b'"\\ud83e\\uded6"'),
        (b"x", b"1" * 19),
        (b"time", b"%d.0" % NOW_MS),
        (b"time", b'"2026-01-05 10:00:00Z"'),
        (b"time", b'"2026-01-05t10:00:00z"'),
        (b"price", b"1e2"),
        (b"price", b"0.1000000000000000055"),
        (b"price", b"-0.0"),
        (b"price", b"9007199.254740993"),
        (b"suggestion_id", '"{}"'.format("é" * 64).encode()),
        (b"lines", b"null"),
        (b"lines", b"[]"),
    ],
)
def test_what_is_unusual_is_left_and_accepted(name: bytes, literal: bytes) -> None:
    value = with_field(name, literal)
    assert is_left(value)
    assert not both([record(value)])[1][0].rejected


def test_of_duplicate_keys_the_last_counts() -> None:
    for first, second in (("a", "b"), ("a", None), (None, "b")):
        value = encoded(message(category=first))[:-1] + b', "category": %s}' % encoded(second)
        is_left(value)
    assert is_left(encoded(message())[:-1] + b', "item_id": "cup"}')
    assert is_left(encoded(message("orders"))[:-1] + b', "lines": [{"item_id": "cup"}]}', "orders")
    assert not is_left(encoded(message())[:-1] + b', "x": "cup", "x": 1}')


# -- what it must not read


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [b"event_id", b"session_id", b"item_id", b"order_id", b"time", b"lines"])
def test_what_is_missed_is_left(kind: Kind, name: bytes) -> None:
    valid = message(kind)
    both([record(encoded({key: value for key, value in valid.items() if key != name.decode()}), kind)])
    both([record(with_field(name, b"null", kind), kind)])


LITERALS = [
    b"", b"-", b"01", b"+1", b".5", b"1.", b"-1", b"0", b"00", b"-0", b"1e400", b"1E5", b"0x10", b"9" * 400, b"NaN",
    b"1.5", b"0.0", b"1_0", b"true", b"false", b"null", b"tru", b"nul", b"nulll", b"truefalse", b"[]", b"{}", b"[[]]",
    b"[1,]", b"[,]", b"{,}", b'{"a"}', b'{"a":}', b'{"a":1,}', b'{"a" 1}', b"{1:1}", b"[1 1]", b"[}", b"{]", b"[1}",
    b'{"a":1]', b'"', b'""', b'"a', b"'a'", b'"\\"', b'"\\u12"', b'"\\u00zz"', b'"\\x41"', b'"\\ud800"', b'"\\uDFFF"',
    b'"\\ud7ff"', b'"\\ue000"', b'"\xff"', b'"\xc0\x80"', b'"\xc3"', b'"\xe0\x80\x80"', b'"\xed\xa0\x80"',
    b'"\xed\x9f\xbf"', b'"\xf0\x80\x80\x80"', b'"\xf4\x90\x80\x80"', b'"\xf4\x8f\xbf\xbf"', b'"a\nb"', b'"\x00"',
    b'"\x1f"', b'"\x7f"', b"1,1", b"1:1", b"/* */1", b"null,", b"\xef\xbb\xbf1", b"\x0b1", b"1\x0c", b"\xc2\xa01",
    b"[" * 59 + b"]" * 59, b"[" * 60 + b"]" * 60, b"[" * 61 + b"]" * 61, b"[" * 128 + b"]" * 128,
    b'{"a":' * 60 + b"1" + b"}" * 60, b'{"a":' * 61 + b"1" + b"}" * 61, b"[[1],[2,[3]],{}]", b"[" * 200,
    b'"' + b"x" * 256 + b'"', b'"' + b"x" * 257 + b'"', b'"eur"', b'"EU1"', b'"EURO"', b'"[UR"', b'"@UR"', b'"add"',
    b'"ADD"', b'"addd"', b'"ad"', b'"remove"', b'"clear"', b'"a b"', b'"' + b"m" * 32 + b'"', b'"' + b"m" * 33 + b'"',
    b'"' + b"s" * 64 + b'"', b'"' + b"s" * 65 + b'"', b"1000000", b"1000001", b"1000000000", b"1000000001",
    b"1000000000.0000001", b"1000000000.000001", b"999999999999999999", b"9007199254740991", b"9007199254740992",
    b"9007199254740993", b"900719925474099.3", b"0.00000000000000001", b"0.000000000000000001", b"0." + b"0" * 30,
    b"123456.78901234567", b"[{}]", b'[{"item_id":"a"}]', b'[{"item_id":"a"},]', b'[{"item_id":"a"} {"item_id":"a"}]',
    b'[{"item_id":"a","item_id":"b"}]', b'[{"item_id":"a","quantity":0}]', b'[{"item_id":"a","quantity":1.0}]',
    b'[{"item_id":"a","price":-1}]', b'[{"item_id":"a","category":1}]', b'[{"item_id":""}]', b"[null]", b"[1]",
    b'[{"quantity":1}]', b'[{"item_id":"a","price":1000000000,"quantity":2}]',
    b'[{"item_id":"a","price":500000000.00,"quantity":2}]',
]  # fmt: skip
NAMES = [
    b"event_id", b"session_id", b"item_id", b"time", b"quantity", b"price", b"category", b"currency", b"moment",
    b"suggestion_id", b"action", b"order_id", b"lines", b"x", b"", b"Time", b"item_i", b"item_idd", b"even_tid",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_literal_in_every_field_is_judged_alike(kind: Kind) -> None:
    values = [with_field(name, literal, kind) for name in NAMES for literal in LITERALS]
    values += [
        encoded(message("orders", lines=[{"item_id": "tea"}, {"item_id": "cup"}])).replace(
            b'"item_id": "cup"', b'"item_id": "cup", "%s": %s' % (name, literal)
        )
        for name in NAMES
        for literal in LITERALS
    ]
    left, [admitted] = both([record(value, kind, offset) for offset, value in enumerate(values)])
    assert 0 < len(admitted.rejected) < left < len(values)


@pytest.mark.parametrize(
    "value",
    [
        None, b"", b" ", b"\0", b"{", b"}", b"{}", b"{ }", b"[]", b"null", b'"', b"\xef\xbb\xbf{}", b"[" * 129,
        b"\0" * 9, b" " * 262_145,
    ],
    ids=lambda value: repr(value)[:16],
)  # fmt: skip
def test_what_is_no_message_is_left(value: bytes | None) -> None:
    assert is_left(value)


def test_a_message_of_256_kib_is_read_and_one_byte_more_is_left() -> None:
    valid = encoded(message())
    at_most = valid + b" " * (262_144 - len(valid))
    assert not is_left(at_most)
    assert is_left(at_most + b" ")


@pytest.mark.parametrize("count", [101, 102, 1_000])
def test_an_order_of_more_than_a_hundred_lines_is_left(count: int) -> None:
    assert is_left(encoded(message("orders", lines=[{"item_id": "tea"}] * count)), "orders")


def test_a_message_cut_off_or_with_more_behind_it_is_left_wherever_that_is() -> None:
    for kind, fields in USUAL:
        value = encoded(fields)[:400]
        for end in range(len(value)):
            both([record(value[:end], kind), record(value[end:], kind, 1), record(value, kind, 2)])
    for more in (b"}", b",", b"\0", b"{}", b" x", encoded(message())):
        assert is_left(encoded(message()) + more)


# -- time


def test_all_days_of_the_years_2000_to_2099_are_read() -> None:
    days = [datetime(1999, 12, 30, 23, 59, 59, tzinfo=UTC) + timedelta(days=day) for day in range(36_530)]
    texts = [day.strftime("%Y-%m-%dT%H:%M:%SZ") for day in days]
    last_ms = 4_102_444_800_000
    values = [record(encoded(message(time=text)), "browse", offset, last_ms) for offset, text in enumerate(texts)]
    left, [admitted] = both(values)
    # Two days before 2000, and what comes after 2099.
    assert left == len(admitted.rejected) == 2 + sum(day.year > 2099 for day in days)


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-05T10:00:00", "2026-01-05T10:00:00.Z", "2026-01-05T10:00:00.5Z", "2026-01-05T10:00:00.1234567890Z",
        "2026-01-05T10:00:00.000999Z", "2026-01-05T10:00:00+01:00", "2026-01-05T10:00:00-00:01", "2026-01-05T10:00:60Z",
        "2026-01-05T10:60:00Z", "2026-01-05T24:00:00Z", "2026-02-29T10:00:00Z", "2024-02-29T10:00:00Z",
        "2024-02-30T10:00:00Z", "2026-04-31T10:00:00Z", "2026-00-01T10:00:00Z", "2026-13-01T10:00:00Z",
        "2026-01-00T10:00:00Z", "2026-01-32T10:00:00Z", "2026-01-05T10:00:00+24:00", "2026-01-05T10:00:00+23:59",
        "2026-01-05T10:00:00+01:60", "2026-01-05T10:00:00+0100", "2026-01-05T10:00:00+01:00Z", "2026-01-05T10:00Z",
        "2000-01-01T00:00:00+00:01", "1999-12-31T23:59:59-00:01", "2099-12-31T23:59:59.999Z", "2100-01-01T00:00:00Z",
        "2026/01/05T10:00:00Z", "2026-01-05T10.00.00Z", "2026-01-05T1a:00:00Z", "2026-01-05T10:00:00.5", "+1:00",
        "２026-01-05T10:00:00Z", "2026-01-05T10:00:00Zé", "2026-01-05T10:00:00é", "2026-01-05T10:00:00.1+", "",
    ],
)  # fmt: skip
def test_every_form_of_a_time_is_judged_alike(time: str) -> None:
    is_left(encoded(message(time=time)), timestamp=4_102_444_800_000)


@given(st.datetimes(datetime(1999, 12, 31), datetime(2100, 1, 2)), st.integers(0, 9), st.integers(-1500, 1500))
def test_times_with_decimals_and_offsets_are_read_alike(moment: datetime, digits: int, offset: int) -> None:
    decimals = f".{moment.microsecond:06d}000"[: digits + 1] if digits else ""
    sign, minutes = "-" if offset < 0 else "+", abs(offset)
    text = f"{moment:%Y-%m-%dT%H:%M:%S}{decimals}{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    is_left(encoded(message(time=text)), timestamp=4_102_444_800_000)


@pytest.mark.parametrize("ahead", [599_999, 600_000, 600_001])
@pytest.mark.parametrize("skew_ms", [600_000, 0, 10**12])
def test_how_far_a_time_may_be_ahead_is_a_parameter(ahead: int, skew_ms: int) -> None:
    parameters = replace(DEFAULTS, future_skew_ms=skew_ms)
    left, [admitted] = both([record(encoded(message(time=NOW_MS + ahead)))], parameters=parameters)
    assert left == len(admitted.rejected) == (ahead > skew_ms)


@pytest.mark.parametrize("time_ms", [946_684_799_999, 946_684_800_000, 4_102_444_799_999, 4_102_444_800_000, 10**17])
def test_the_bounds_of_time_are_those_of_accept(time_ms: int) -> None:
    assert is_left(encoded(message(time=time_ms)), timestamp=4_102_444_800_000) == (
        not 946_684_800_000 <= time_ms < 4_102_444_800_000
    )


# -- numbers


@given(st.integers(0, 10**18), st.integers(0, 18))
def test_prices_are_the_nearest_binary_numbers(mantissa: int, decimals: int) -> None:
    digits = f"{mantissa:0{decimals + 1}d}"
    literal = f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits
    is_left(with_field(b"price", literal.encode()))
    is_left(
        encoded(message("orders", lines=[])).replace(b"[]", b'[{"item_id":"a","price":%s}]' % literal.encode()),
        "orders",
    )


@given(st.floats(0, 1e9), st.integers(0, 6))
def test_prices_as_programs_print_them_are_read_alike(price: float, decimals: int) -> None:
    is_left(with_field(b"price", repr(price).encode()))
    assert not is_left(with_field(b"price", f"{price:.{decimals}f}".encode()), "browse") or price > 999_999_999


# -- any records


texts = st.text(max_size=6) | st.sampled_from(["", "x" * 256, "é" * 128, "x" * 257, "EUR", "add", "clear", "a.b_c-1"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
amounts = st.integers(-1, 3) | st.sampled_from([10**6, 10**6 + 1, 10**9, 0.01, 19.99, 1e9, 5e-324])
line_fields = {"item_id": texts, "category": texts | st.none(), "quantity": amounts, "price": amounts}
lines = st.fixed_dictionaries({}, optional={**line_fields, "x": anything})
message_fields = {
    "session_id": texts,
    "event_id": texts,
    "time": st.integers(NOW_MS - 10**6, NOW_MS + 10**6) | st.just("2026-01-05T09:00:00.5Z"),
    **line_fields,
    "moment": texts,
    "currency": texts | st.sampled_from(["eur", "EUR", "EU"]),
    "suggestion_id": texts,
    "action": texts | st.sampled_from(["add", "remove", "clear"]),
    "order_id": texts,
    "lines": st.lists(lines, max_size=3),
    "x": anything,
    "y": anything,
}


@st.composite
def values(draw: st.DrawFn, kind: Kind) -> bytes | None:
    changed = draw(st.fixed_dictionaries({}, optional=message_fields))
    fields = message(kind, **changed)
    fields |= draw(st.dictionaries(st.sampled_from(sorted(message_fields)), anything, max_size=1))
    order = draw(st.permutations(sorted(fields)))
    value = json.dumps({name: fields[name] for name in order}, ensure_ascii=draw(st.booleans())).encode(
        "utf-8", "surrogatepass"
    )
    at, removed = draw(st.integers(0, 3 * len(value))), draw(st.integers(0, 2))
    if at <= len(value):
        value = value[:at] + draw(st.binary(max_size=2)) + value[at + removed :]
    return draw(st.sampled_from([value] * 15 + [b"", None]))


@st.composite
def inputs(draw: st.DrawFn) -> list[InputRecord]:
    """Records of several input partitions, offsets ascending with holes."""
    offsets: dict[Origin, int] = {}
    records = []
    for _ in range(draw(st.integers(0, 12))):
        kind, partition = draw(st.sampled_from(KINDS)), draw(st.integers(0, 2))
        offset = offsets.get((kind, partition), -1) + draw(st.integers(1, 3))
        offsets[kind, partition] = offset
        timestamp = draw(st.sampled_from([NOW_MS, NOW_MS, NOW_MS, 0, -1, NOW_MS + 10**10]))
        records.append(
            InputRecord(kind, partition, offset, timestamp, draw(st.none() | st.binary()), draw(values(kind)))
        )
    return records


@given(records=inputs(), at=st.lists(st.integers(0, 12), max_size=3))
@example(records=[], at=[])
def test_both_doors_admit_the_same_whatever_comes(records: list[InputRecord], at: list[int]) -> None:
    both(records, at)


def test_a_record_below_the_position_is_skipped() -> None:
    value = encoded(message())
    door = Door(chains_of([("browse", 0), ("orders", 0)]), [5, 0], 1, DEFAULTS)
    offsets = [3, 4, 5, 6, 5, 6, 8, 2]
    records = [record(value if offset != 8 else b"{", offset=offset) for offset in offsets]
    admitted = door.admit(records, np.zeros(len(records), np.int64))
    packed = events.decode(admitted.packed[0])
    assert packed.spans == [Span("browse-0", -1, 8)]
    assert [entry.offset for entry in packed.entries] == [5, 6]
    assert (admitted.accepted, [refused.record.offset for refused in admitted.rejected]) == ({"browse": 2}, [8])
    assert (door.positions(), door.sent(0), door.sent(1), door.left) == ([9, 0], {0: 8}, {}, 1)
    assert door.admit(records, np.zeros(len(records), np.int64)) == Admitted({}, {}, [])


def test_a_door_goes_on_where_the_chains_say() -> None:
    door = Door({("orders", 3): Chain("orders-3", {1: 40, 9: 7, 10: 5})}, [50], 10, DEFAULTS)
    value = encoded(message("orders"))
    admitted = door.admit([record(value, "orders", 50)], np.zeros(1, np.int64))
    [(target, content)] = admitted.packed.items()
    assert events.decode(content).spans == [Span("orders-3", {1: 40, 9: 7}.get(target, -1), 50)]
    assert door.sent(0) == {1: 40, 9: 7} | {target: 50}


# -- recorded traffic

RECORDED = {
    "taobao": "taobao/user_behavior.csv.gz",
    "rees46": "rees46/2019-Oct.head.csv.gz",
    "retailrocket": "retailrocket/events.csv.gz",
    "otto": "otto/train.jsonl.gz",
    "rsc15": "rsc15/test.tsv.gz",
}


def test_every_format_but_our_own_is_recorded() -> None:
    assert RECORDED.keys() | {"sidecart"} == FORMATS.keys()


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_events_are_all_read_and_alike(name: str) -> None:
    offsets = count()
    records = [
        InputRecord(event.kind, 0, next(offsets), event.time_ms, None, msgspec.json.encode(event.event))
        for event in read_events(recorded_lines(RECORDED[name]), name, BadLines())
    ]
    left, admitted = both(records, range(0, len(records), 300))
    assert left == 0
    assert sum(sum(each.accepted.values()) for each in admitted) == len(records) > 500


# -- compiled once


def test_the_door_compiles_once() -> None:
    compile_door(DEFAULTS)
    kernels = read_messages, sort_entries
    compiled = [len(kernel.signatures) for kernel in kernels]
    both(
        [
            record(encoded(message("orders")), "orders"),
            record(b"{", "browse", 1),
            record(encoded(message(event_id='"')), offset=2),
        ]
    )
    both([], parameters=replace(DEFAULTS, future_skew_ms=1))
    assert [len(kernel.signatures) for kernel in kernels] == compiled
