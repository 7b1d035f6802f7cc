"""The door lets through what is well formed, names what is wrong, and raises nothing else."""

import contextlib
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.errors import BadEventError
from models.parameters import DEFAULTS
from models.records import MOMENTS, REASONS, Event, Kind, Line, accept, is_event_time, moment_label, rfc_3339_ms

NOW_MS = 1_767_607_200_000  # 2026-01-05T10:00:00Z
KINDS: list[Kind] = ["browse", "add-to-cart", "orders"]
ORDER_LINES: list[dict[str, object]] = [{"item_id": "tea", "quantity": 2, "price": 3.5}]


def message(kind: Kind = "browse", **fields: object) -> dict[str, Any]:
    """A valid message with some fields changed; those given as `...` are left out."""
    base: dict[str, object] = {"event_id": "e1", "session_id": "s1", "time": NOW_MS}
    base |= {"order_id": "o1", "lines": ORDER_LINES} if kind == "orders" else {"item_id": "tea"}
    return {name: value for name, value in (base | fields).items() if value is not ...}


def accepted(kind: Kind = "browse", **fields: object) -> Event:
    return accept(kind, json.dumps(message(kind, **fields)).encode(), NOW_MS, DEFAULTS)


def refused(kind: Kind, value: bytes | None) -> BadEventError:
    with pytest.raises(BadEventError) as caught:
        accept(kind, value, NOW_MS, DEFAULTS)
    assert caught.value.reason in REASONS
    assert caught.value.detail
    return caught.value


def reason(kind: Kind = "browse", **fields: object) -> str:
    return refused(kind, json.dumps(message(kind, **fields)).encode()).reason


# -- what comes through


def test_a_browse_event_becomes_one_line() -> None:
    assert accepted() == Event("browse", "e1", "s1", NOW_MS, "browse", (Line("tea", 1, None),))


def test_every_field_comes_through() -> None:
    event = accepted(
        "add-to-cart",
        quantity=3,
        price=2.25,
        currency="EUR",
        moment="checkout",
        suggestion_id="x",
        user_id="u",
        category="drinks",
        action="remove",
        unknown={"a": [1]},
    )
    assert event == Event(
        "add-to-cart",
        "e1",
        "s1",
        NOW_MS,
        "checkout",
        (Line("tea", 3, 2.25, "drinks"),),
        action="remove",
        currency="EUR",
        suggestion_id="x",
    )


def test_an_order_has_its_lines_and_its_id() -> None:
    lines = [*ORDER_LINES, {"item_id": "cup"}, {"item_id": "tea"}]
    assert accepted("orders", lines=lines) == Event(
        "orders", "e1", "s1", NOW_MS, "order", (Line("tea", 2, 3.5), Line("cup"), Line("tea")), order_id="o1"
    )


def test_each_line_of_an_order_has_its_own_category() -> None:
    lines = [{"item_id": "tea", "category": "drinks"}, {"item_id": "cup"}]
    event = accepted("orders", lines=lines, category="ignored")
    assert event.lines == (Line("tea", category="drinks"), Line("cup"))


@pytest.mark.parametrize("category", [..., None, ""])
def test_an_item_without_a_category_or_with_an_empty_one_has_none(category: object) -> None:
    assert accepted(category=category).lines == (Line("tea"),)
    line = {name: value for name, value in {"item_id": "tea", "category": category}.items() if value is not ...}
    assert accepted("orders", lines=[line]).lines == (Line("tea"),)


@pytest.mark.parametrize("kind", KINDS)
def test_the_moment_of_an_event_that_names_none_is_its_kind_s(kind: Kind) -> None:
    assert accepted(kind).moment == accepted(kind, moment=None).moment == MOMENTS[kind]


@pytest.mark.parametrize("action", [None, "add", ...])
def test_adding_is_the_default_action(action: object) -> None:
    assert accepted("add-to-cart", action=action).action == "add"


def test_a_cart_is_cleared_without_an_item() -> None:
    event = accepted("add-to-cart", action="clear", item_id=...)
    assert (event.action, event.lines) == ("clear", ())


@pytest.mark.parametrize("kind", ["browse", "orders"])
def test_only_a_cart_event_has_an_action(kind: Kind) -> None:
    assert accepted(kind, action="remove").action == "add"


def test_the_fields_of_another_kind_are_ignored() -> None:
    assert accepted("browse", order_id="o1", lines=[]).order_id is None
    assert accepted("orders", item_id="pot").lines == (Line("tea", 2, 3.5),)


def test_of_duplicate_keys_the_last_counts() -> None:
    value = b'{"event_id":"e0","event_id":"e1","session_id":"s1","item_id":"tea","time":%d}' % NOW_MS
    assert accept("browse", value, NOW_MS, DEFAULTS).event_id == "e1"


@pytest.mark.parametrize("text", ["a\0b", "é", "🫖", "a|b", " "])
def test_an_id_may_hold_any_character(text: str) -> None:
    event = accepted(event_id=text, session_id=text, item_id=text)
    assert (event.event_id, event.session_id, event.lines[0].item_id) == (text, text, text)


def test_an_event_is_accepted_twice_alike() -> None:
    assert accepted() == accepted()


# -- time


@pytest.mark.parametrize(
    "time",
    [
        NOW_MS,
        float(NOW_MS),
        NOW_MS + 0.9,
        "2026-01-05T10:00:00Z",
        "2026-01-05T10:00:00.000Z",
        "2026-01-05T10:00:00.000999Z",
        "2026-01-05T11:30:00+01:30",
        "2026-01-05T02:00:00-08:00",
        "2026-01-05 10:00:00Z",
    ],
)
def test_one_instant_can_be_written_in_several_ways(time: object) -> None:
    assert accepted(time=time).time == NOW_MS


@given(st.integers(NOW_MS - 10**11, NOW_MS))
def test_rfc_3339_and_epoch_milliseconds_agree_to_the_millisecond(time_ms: int) -> None:
    text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)).isoformat(timespec="milliseconds")
    assert accepted(time=text).time == time_ms


@pytest.mark.parametrize(
    "time",
    [
        "",
        "yesterday",
        "2026-01-05",
        "2026-01-05T10:00:00",
        "2026-13-05T10:00:00Z",
        "1767607200000",
        "\0",
        0,
        -1,
        1_767_607_200,
        1e300,
        -1e300,
        "1999-12-31T23:59:59.999Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
    ],
)
def test_what_is_no_instant_of_our_time_is_an_invalid_time(time: object) -> None:
    assert reason(time=time) == "invalid-time"


@pytest.mark.parametrize(("time_ms", "is_valid"), [(946_684_799_999, False), (946_684_800_000, True)])
def test_time_begins_with_the_year_2000(time_ms: int, is_valid: bool) -> None:
    if is_valid:
        assert accepted(time=time_ms).time == time_ms
    else:
        assert reason(time=time_ms) == "invalid-time"


def test_time_ends_with_the_year_2099() -> None:
    last = 4_102_444_799_999
    event = accept("browse", json.dumps(message(time=last)).encode(), last, DEFAULTS)
    assert event.time == last
    with pytest.raises(BadEventError, match="invalid-time"):
        accept("browse", json.dumps(message(time=last + 1)).encode(), last, DEFAULTS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-05T10:00:00Z", NOW_MS),
        ("2026-01-05t11:30:00.0019+01:30", NOW_MS + 1),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2026-01-05T10:00:00", None),
        ("2026-01-05T10:00:00Z ", None),
        ("2026-02-30T10:00:00Z", None),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140_000),
        (str(NOW_MS), None),
    ],
)
def test_rfc_3339_is_read_to_the_millisecond_whatever_the_year(text: str, expected: int | None) -> None:
    assert rfc_3339_ms(text) == expected


def test_event_times_are_of_the_years_2000_to_2099() -> None:
    bounds = (946_684_799_999, 946_684_800_000, 4_102_444_799_999, 4_102_444_800_000)
    assert [is_event_time(time_ms) for time_ms in bounds] == [False, True, True, False]


@pytest.mark.parametrize(("digits", "is_valid"), [(9, True), (10, False)])
def test_a_second_has_at_most_nine_decimals(digits: int, is_valid: bool) -> None:
    time = f"2026-01-05T10:00:00.{'0' * digits}Z"
    if is_valid:
        assert accepted(time=time).time == NOW_MS
    else:
        assert reason(time=time) == "invalid-time"


def test_an_event_may_be_ten_minutes_ahead_of_its_record_and_no_more() -> None:
    assert accepted(time=NOW_MS + 600_000).time == NOW_MS + 600_000
    assert reason(time=NOW_MS + 600_001) == "future-time"


def test_an_event_may_be_much_older_than_its_record() -> None:
    assert accepted(time=NOW_MS - 10**11).time == NOW_MS - 10**11


# -- what is refused


@pytest.mark.parametrize("value", [None, b""])
def test_a_record_without_a_value_is_an_empty_message(value: bytes | None) -> None:
    assert refused("browse", value).reason == "empty-message"


def test_a_message_of_256_kib_is_accepted_and_one_byte_more_is_too_large() -> None:
    valid = json.dumps(message()).encode()
    at_most = valid + b" " * (262_144 - len(valid))
    assert accept("browse", at_most, NOW_MS, DEFAULTS).event_id == "e1"
    assert refused("browse", at_most + b" ").reason == "too-large"


@pytest.mark.parametrize(
    "value",
    [
        b" ",
        b"{",
        b"tea",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"{'event_id': 'e1'}",
        b'{"time": NaN}',
        b'{"time": Infinity}',
        b'{"event_id": "\\ud800"}',
        b'{"event_id": "\\udc00\\ud800"}',
        b'{"event_id": "a\nb"}',
        b'{"event_id": "e1"}{}',
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_is_not_json_is_invalid_json(value: bytes) -> None:
    assert refused("browse", value).reason == "invalid-json"


@pytest.mark.parametrize("value", [b"null", b"1", b'"tea"', b"[]", b"[{}]", b"true"])
def test_json_that_is_no_object_is_an_invalid_field(value: bytes) -> None:
    assert refused("browse", value).reason == "invalid-field"


@pytest.mark.parametrize("value", [..., None])
@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("browse", "event_id"),
        ("browse", "session_id"),
        ("browse", "time"),
        ("browse", "item_id"),
        ("add-to-cart", "item_id"),
        ("orders", "event_id"),
        ("orders", "order_id"),
        ("orders", "lines"),
    ],
)
def test_what_every_event_of_a_kind_needs_is_missed(kind: Kind, field: str, value: object) -> None:
    assert reason(kind, **{field: value}) == "missing-field"


def test_an_order_line_needs_an_item() -> None:
    assert reason("orders", lines=[{"quantity": 1}]) == "missing-field"


@pytest.mark.parametrize("field", ["event_id", "session_id", "item_id"])
def test_an_id_has_1_to_256_bytes(field: str) -> None:
    assert reason(**{field: ""}) == "invalid-field"
    accepted(**{field: "x" * 256})
    accepted(**{field: "é" * 128})
    assert reason(**{field: "x" * 257}) == "invalid-field"
    assert reason(**{field: "é" * 128 + "x"}) == "invalid-field"


def test_a_category_has_at_most_256_bytes() -> None:
    assert accepted(category="é" * 128).lines[0].category == "é" * 128
    assert reason(category="é" * 128 + "x") == "invalid-field"
    assert reason("orders", lines=[{"item_id": "tea", "category": "x" * 257}]) == "invalid-field"


@pytest.mark.parametrize("category", [1, True, ["a"]])
def test_a_category_that_is_no_text_is_an_invalid_field(category: object) -> None:
    assert reason(category=category) == "invalid-field"


def test_a_suggestion_id_has_1_to_64_characters() -> None:
    assert reason(suggestion_id="") == "invalid-field"
    assert accepted(suggestion_id="é" * 64).suggestion_id == "é" * 64
    assert reason(suggestion_id="x" * 65) == "invalid-field"


@pytest.mark.parametrize("moment", ["a", "x" * 32, "Check-out_2.b", "."])
def test_a_moment_has_1_to_32_letters_digits_and_signs(moment: str) -> None:
    assert accepted(moment=moment).moment == moment


@pytest.mark.parametrize("moment", ["", "x" * 33, "a b", "a|b", "é", "a\n", "a\0", 1])
def test_another_moment_is_an_invalid_field(moment: object) -> None:
    assert reason(moment=moment) == "invalid-field"


@pytest.mark.parametrize("currency", ["EUR", "eur", "Eur"])
def test_a_currency_is_three_letters_in_any_case(currency: str) -> None:
    assert accepted(currency=currency).currency == "EUR"


@pytest.mark.parametrize("currency", ["", "EU", "EURO", "EU1", "€UR", "EUR\n", "ſſſ", 978])
def test_another_currency_is_an_invalid_field(currency: object) -> None:
    assert reason(currency=currency) == "invalid-field"


@pytest.mark.parametrize("quantity", [1, 1_000_000])
def test_a_quantity_is_one_to_a_million(quantity: int) -> None:
    assert accepted(quantity=quantity).lines[0].quantity == quantity


@pytest.mark.parametrize("quantity", [0, -1, 1_000_001, 10**30, 1.5, "1", True])
def test_another_quantity_is_an_invalid_field(quantity: object) -> None:
    assert reason(quantity=quantity) == "invalid-field"
    assert reason("orders", lines=[{"item_id": "tea", "quantity": quantity}]) == "invalid-field"


@pytest.mark.parametrize("price", [0, 0.01, 1e9])
def test_a_price_is_nothing_to_a_billion(price: float) -> None:
    assert accepted(price=price).lines[0].price == price


@pytest.mark.parametrize("price", [-0.01, 1e9 + 1, 1e300, "1", True])
def test_another_price_is_an_invalid_field(price: object) -> None:
    assert reason(price=price) == "invalid-field"


def test_an_order_has_1_to_100_lines() -> None:
    assert reason("orders", lines=[]) == "invalid-field"
    assert len(accepted("orders", lines=ORDER_LINES * 100).lines) == 100
    assert reason("orders", lines=ORDER_LINES * 101) == "invalid-field"


@pytest.mark.parametrize("action", ["", "ADD", "added", 1])
def test_another_action_is_an_invalid_field(action: object) -> None:
    assert reason("add-to-cart", action=action) == "invalid-field"


@pytest.mark.parametrize(
    "literal", [b"1e400", b"-1e400", b"9" * 5_000, b"true", b"[]", b"{}"], ids=lambda value: repr(value[:8])
)
@pytest.mark.parametrize("field", [b"time", b"quantity", b"price", b"event_id"])
def test_a_number_out_of_range_and_a_value_of_another_type_are_invalid_fields(field: bytes, literal: bytes) -> None:
    value = b'{"session_id":"s1","item_id":"tea","%s":%s}' % (field, literal)
    assert refused("browse", value).reason == "invalid-field"


def nested(opening: bytes, closing: bytes, depth: int) -> bytes:
    """A valid message whose unknown field makes it so deep, itself counted."""
    valid = json.dumps(message()).encode()
    return valid[:-1] + b', "x": ' + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}"


def below(frames: int, read: Callable[[], Event]) -> Event:
    """Call with so much less stack."""
    return read() if frames == 0 else below(frames - 1, read)


@pytest.mark.parametrize("frames", [0, 500])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"x":', b"}"), (b'[{"]}":', b"}]")])
def test_a_message_is_at_most_128_deep_however_much_stack_is_left(opening: bytes, closing: bytes, frames: int) -> None:
    levels = 2 if opening.startswith(b"[{") else 1
    at_most = nested(opening, closing, 127 // levels + 1)
    assert below(frames, lambda: accept("browse", at_most, NOW_MS, DEFAULTS)).event_id == "e1"
    beyond = nested(opening, closing, 128 // levels + 1)
    assert refused("browse", beyond).reason == "too-deep"


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 262_144,
        b'{"x":' * 50_000,
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'["' + b"[" * 200 + b'",[{',
    ],
    ids=["lists", "objects", "inside", "text"],
)
def test_a_message_of_brackets_is_refused(value: bytes) -> None:
    assert refused("browse", value).reason in ("too-deep", "invalid-json", "invalid-field")


def test_brackets_in_texts_and_side_by_side_are_not_deep() -> None:
    for field in ({"event_id": "[" * 200}, {"unknown": [[]] * 200}, {"unknown": '"\\' + "[{" * 200}):
        assert accepted(**field).session_id == "s1"


@pytest.mark.parametrize("value", [b'"' * 262_144, b'\\"' * 131_072, b'"\\' * 131_072, b'[]"' * 87_381])
def test_a_message_of_quotes_is_refused_in_one_pass(value: bytes) -> None:
    refused("browse", value[:-200] + b"[" * 200)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("field", ["action", "currency", "moment", "time", "suggestion_id", "event_id", "quantity"])
def test_a_refusal_shows_no_more_than_the_beginning_of_a_value(kind: Kind, field: str) -> None:
    value: object = 10**4_000 if field == "quantity" else "\x01" * 200_000
    try:
        accepted(kind, **{field: value})
    except BadEventError as error:
        assert len(error.detail) < 300


def test_every_reason_can_be_provoked() -> None:
    values = {
        "empty-message": b"",
        "invalid-json": b"{",
        "missing-field": b"{}",
        "invalid-field": b"[]",
        "invalid-time": json.dumps(message(time=0)).encode(),
        "future-time": json.dumps(message(time=NOW_MS + 10**9)).encode(),
        "too-large": b" " * 262_145,
        "too-deep": b"[" * 129,
    }
    assert values.keys() == set(REASONS)
    for expected, value in values.items():
        assert refused("browse", value).reason == expected


# -- labels


@pytest.mark.parametrize(
    ("moment", "label"),
    [("browse", "browse"), ("cart", "cart"), ("order", "order"), ("checkout", "other"), ("", "other")],
)
def test_a_moment_is_one_of_four_labels(moment: str, label: str) -> None:
    assert moment_label(moment) == label


def test_every_default_moment_is_its_own_label() -> None:
    assert [moment_label(moment) for moment in MOMENTS.values()] == list(MOMENTS.values())


# -- laws: whatever comes, an event or a bad event

kinds = st.sampled_from(KINDS)
_odd = st.sampled_from(
    [None, True, "", "\0", "x" * 300, -1, 0, 0.5, 2**64, -(2**63), 1e308, math.pi, [], {}, [[]], "2026-01-05T10:00:00Z"]
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_line = st.fixed_dictionaries({}, optional=dict.fromkeys(("item_id", "quantity", "price", "category"), _odd | _json))
_fields = [
    "event_id", "session_id", "item_id", "time", "quantity", "price", "category", "currency", "user_id", "moment",
    "suggestion_id", "action", "order_id",
]  # fmt: skip


def check(kind: Kind, value: bytes | None, timestamp_ms: int = NOW_MS) -> None:
    """Accept a message: what comes out is a valid event or a bad event, and the same each time."""
    try:
        event = accept(kind, value, timestamp_ms, DEFAULTS)
    except BadEventError as error:
        assert error.reason in REASONS
        assert error.detail
        return
    assert event == accept(kind, value, timestamp_ms, DEFAULTS)
    assert event.kind == kind
    assert 0 < len(event.event_id.encode()) <= 256
    assert 0 < len(event.session_id.encode()) <= 256
    assert 946_684_800_000 <= event.time <= timestamp_ms + DEFAULTS.future_skew_ms
    assert (event.order_id is not None) == (kind == "orders")
    assert len(event.lines) == (0 if event.action == "clear" else len(event.lines) if kind == "orders" else 1)
    for line in event.lines:
        assert 0 < len(line.item_id.encode()) <= 256
        assert 1 <= line.quantity <= 1_000_000
        assert line.price is None or 0 <= line.price <= 1e9
        assert line.category is None or 0 < len(line.category.encode()) <= 256


@given(kind=kinds, value=st.none() | st.binary(max_size=60))
def test_any_bytes_are_an_event_or_a_bad_event(kind: Kind, value: bytes | None) -> None:
    check(kind, value)


@given(kind=kinds, value=_json)
def test_any_json_is_an_event_or_a_bad_event(kind: Kind, value: object) -> None:
    check(kind, json.dumps(value).encode())


@given(
    kind=kinds,
    changes=st.dictionaries(st.sampled_from(_fields), _odd | _json, max_size=4),
    lines=st.none() | st.lists(_line | _json, max_size=3) | _odd,
    change_lines=st.booleans(),
    timestamp_ms=st.sampled_from([NOW_MS, 0, -1, 4 * 10**12]),
)
@example(kind="orders", changes={}, lines=None, change_lines=False, timestamp_ms=NOW_MS)
def test_a_message_with_any_field_changed_is_an_event_or_a_bad_event(
    kind: Kind, changes: dict[str, object], lines: object, change_lines: bool, timestamp_ms: int
) -> None:
    changed = message(kind, **changes) | ({"lines": lines} if change_lines else {})
    check(kind, json.dumps(changed).encode(), timestamp_ms)


@given(
    kind=kinds,
    edits=st.lists(
        st.tuples(st.integers(0, 150), st.integers(0, 3), st.text(max_size=3) | st.sampled_from(['"', "\\ud800", "}"])),
        min_size=1,
        max_size=3,
    ),
)
def test_a_message_with_any_letters_changed_is_an_event_or_a_bad_event(
    kind: Kind, edits: list[tuple[int, int, str]]
) -> None:
    text = json.dumps(message(kind, currency="EUR", moment="m"))
    for at, removed, inserted in edits:
        text = text[:at] + inserted + text[at + removed :]
    check(kind, text.encode())


@pytest.mark.parametrize(
    "value", [b'{"event_id": "\xff"}', b'{"session_id": "\xed\xa0\x80"}', b'{"time": "\xc0\x80"}', b'{"x": "\xff"}']
)
def test_bytes_in_a_text_that_are_no_utf8_are_invalid_json(value: bytes) -> None:
    with pytest.raises(BadEventError) as caught:
        accept("browse", value, 1_767_607_200_000, DEFAULTS)
    assert caught.value.reason in ("invalid-json", "missing-field")


@pytest.mark.parametrize("time", ["2026-01-05t10:00:00z", "2026-01-05 10:00:00Z", "2026-01-05T11:00:00.000+01:00"])
def test_all_forms_of_rfc_3339_are_read(time: str) -> None:
    message = json.dumps({"event_id": "e", "session_id": "s", "item_id": "i", "time": time}).encode()
    assert accept("browse", message, 1_767_607_200_000, DEFAULTS).time == 1_767_607_200_000


@pytest.mark.parametrize(
    "time", ["2026-W02-1T10:00Z", "20260105T100000Z", "2026-01-05T10Z", "2026-01-05T10:00:00+00:00:01"]
)
def test_other_forms_of_iso_8601_are_refused(time: str) -> None:
    message = json.dumps({"event_id": "e", "session_id": "s", "item_id": "i", "time": time}).encode()
    with pytest.raises(BadEventError, match="invalid-time"):
        accept("browse", message, 1_767_607_200_000, DEFAULTS)


def test_milliseconds_are_exact() -> None:
    for time_ms in range(2_147_483_648_000, 2_147_483_649_000):
        time = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)).isoformat(timespec="milliseconds")
        message = json.dumps({"event_id": "e", "session_id": "s", "item_id": "i", "time": time}).encode()
        assert accept("browse", message, time_ms, DEFAULTS).time == time_ms


@given(st.binary(max_size=3), st.integers(0, 80))
def test_any_bytes_within_a_message_are_accepted_or_refused_with_a_reason(noise: bytes, at: int) -> None:
    good = json.dumps({"event_id": "e", "session_id": "s", "item_id": "i", "time": 1_767_607_200_000}).encode()
    with contextlib.suppress(BadEventError):
        accept("browse", good[:at] + noise + good[at:], 1_767_607_200_000, DEFAULTS)
