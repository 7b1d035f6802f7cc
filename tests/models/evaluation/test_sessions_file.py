"""Any shop's file: what is read, and one sentence for each thing that can be wrong with it."""

import re
from itertools import permutations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.errors import RecordingError
from models.evaluation.recommender import Interaction
from models.evaluation.sessions_file import KINDS, read

HEADER = "session_id,item_id,time"
NOW_MS = 1_767_607_200_000  # 2026-01-05T10:00:00Z


def refusal(*lines: str) -> str:
    with pytest.raises(RecordingError) as caught:
        read(lines, "shop.csv")
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


# -- what is read


def test_every_line_is_an_interaction() -> None:
    lines = [
        "session_id,item_id,time,kind,category",
        "s1,tent,2026-01-05T10:00:00Z,browse,shelter",
        "s1,stove,1767607260,add-to-cart,",
        "s2,tent,1767607320500,order,shelter",
    ]
    assert read(lines, "shop.csv") == [
        Interaction("s1", "tent", NOW_MS, "browse", "shelter"),
        Interaction("s1", "stove", NOW_MS + 60_000, "add-to-cart", None),
        Interaction("s2", "tent", NOW_MS + 120_500, "orders", "shelter"),
    ]


def test_without_kind_and_category_everything_is_a_view() -> None:
    assert read([HEADER, "s1,tent,1767607200"], "shop.csv") == [Interaction("s1", "tent", NOW_MS, "browse", None)]


@pytest.mark.parametrize("names", list(permutations(["session_id", "item_id", "time", "kind", "category"])))
def test_columns_may_stand_in_any_order(names: tuple[str, ...]) -> None:
    values = {"session_id": "s1", "item_id": "tent", "time": "1767607200", "kind": "buy", "category": "shelter"}
    lines = [",".join(names), ",".join(values[name] for name in names)]
    assert read(lines, "shop.csv") == [Interaction("s1", "tent", NOW_MS, "orders", "shelter")]


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_the_header_shows_the_delimiter(delimiter: str) -> None:
    others = {",", "\t", ";"} - {delimiter}
    item = "a" + "".join(sorted(others)) + "b"
    lines = [HEADER.replace(",", delimiter), delimiter.join(["s1", item, "1767607200"])]
    assert [each.item_id for each in read(lines, "shop.csv")] == [item]


def test_quoted_values_may_hold_the_delimiter_and_doubled_quotes() -> None:
    lines = [
        '"session_id","item_id","time"',
        '"s1","tent, 15"" high","2026-01-05T10:00:00Z"',
        's1,a 15" screen,1767607201',
    ]
    assert [each.item_id for each in read(lines, "shop.csv")] == ['tent, 15" high', 'a 15" screen']


def test_byte_order_mark_line_ends_spaces_and_empty_lines_do_not_count() -> None:
    plain = [HEADER, "s1,tent,1767607200", "s1,stove,1767607201"]
    dressed = [
        "\ufeffSession_ID, item_id ,TIME\r\n",
        "\r\n",
        " s1 ,tent, 1767607200\r\n",
        "s1,stove\t,1767607201\r\n",
        "  \n",
    ]
    assert read(dressed, "shop.csv") == read(plain, "shop.csv")


def test_interactions_come_in_time_order_and_those_of_a_millisecond_in_that_of_their_lines() -> None:
    lines = [HEADER, "s1,c,1767607202", "s2,b,1767607201", "s1,a,1767607201", "s1,first,1767607200"]
    assert [each.item_id for each in read(lines, "shop.csv")] == ["first", "b", "a", "c"]


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        ("1767607200", NOW_MS),
        ("1767607200.0", NOW_MS),
        ("1767607200.25", NOW_MS + 250),
        ("1767607200000", NOW_MS),
        ("1767607200250.0", NOW_MS + 250),
        ("2026-01-05T10:00:00Z", NOW_MS),
        ("2026-01-05 10:00:00.25Z", NOW_MS + 250),
        ("2026-01-05T11:30:00+01:30", NOW_MS),
        ("946684800", 946_684_800_000),
        ("946684800000", 946_684_800_000),
        ("4102444799.999", 4_102_444_799_999),
        ("4102444799999", 4_102_444_799_999),
    ],
)
def test_one_instant_can_be_written_in_several_ways(text: str, time_ms: int) -> None:
    assert [each.time_ms for each in read([HEADER, f"s1,tent,{text}"], "shop.csv")] == [time_ms]


def test_each_value_shows_its_own_unit() -> None:
    lines = [HEADER, "s1,a,1767607200", "s1,b,1767607200001", "s1,c,2026-01-05T10:00:00.002Z"]
    assert [each.time_ms - NOW_MS for each in read(lines, "shop.csv")] == [0, 1, 2]


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["", " ", "browse", "view", "click", "pv", "VIEW"], "browse"),
        (["add-to-cart", "addtocart", "cart", "Add-To-Cart"], "add-to-cart"),
        (["orders", "order", "purchase", "buy", "transaction", "Purchase"], "orders"),
    ],
)
def test_kinds_have_the_names_that_shops_give_them(texts: list[str], kind: str) -> None:
    lines = ["session_id,item_id,time,kind", *(f"s1,tent,1767607200,{text}" for text in texts)]
    assert [each.kind for each in read(lines, "shop.csv")] == [kind] * len(texts)


def test_the_list_of_kinds_is_the_one_of_the_sentence() -> None:
    sentence = refusal(f"{HEADER},kind", "s1,tent,1767607200,wish")
    assert sentence == f"shop.csv, line 2: kind='wish' is none of {', '.join(KINDS)}"


def test_an_id_of_256_bytes_is_read() -> None:
    assert [each.item_id for each in read([HEADER, f"s1,{'é' * 128},1767607200"], "shop.csv")] == ["é" * 128]


# -- what is refused


@pytest.mark.parametrize("lines", [[], ["\ufeff"], ["\n", "  \n"]])
def test_an_empty_file_is_refused(lines: list[str]) -> None:
    assert refusal(*lines) == "shop.csv is empty; its first line must name the columns session_id, item_id, time"


def test_a_header_alone_is_refused() -> None:
    assert refusal(HEADER, "\n") == "shop.csv has a header and no line after it; at least one interaction is needed"


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("item_id,time", "session_id"),
        ("session_id,time,kind", "item_id"),
        ("session_id\titem_id", "time"),
        ("s1,tent,1767607200", "session_id"),
        ("session_id|item_id|time", "session_id"),
    ],
)
def test_a_missing_column_is_named(header: str, missing: str) -> None:
    assert refusal(header) == (
        f"shop.csv, line 1: the header {header!r} has no column {missing}; "
        "the columns are session_id, item_id, time and, optional, kind, category"
    )


@pytest.mark.parametrize("name", ["price", "kinds", ""])
def test_a_column_of_another_name_is_refused(name: str) -> None:
    assert refusal(f"{HEADER},{name}", "s1,tent,1767607200,1") == (
        f"shop.csv, line 1: the header has an unknown column {name!r}; "
        "the columns are session_id, item_id, time and, optional, kind, category"
    )


def test_a_column_that_stands_twice_is_refused() -> None:
    sentence = refusal(f"{HEADER},time", "s1,tent,1767607200,1767607200")
    assert sentence == "shop.csv, line 1: the header names the column time 2 times; once is allowed"


@pytest.mark.parametrize(("line", "fields"), [("s1,tent", 2), ("s1,tent,1767607200,", 4), ("s1;tent;1767607200", 1)])
def test_a_wrong_number_of_fields_is_refused(line: str, fields: int) -> None:
    sentence = refusal(HEADER, "s1,tent,1767607200", line)
    assert sentence == f"shop.csv, line 3: {line!r} has {fields} fields; the header has 3 columns"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "noon",
        "-1767607200",
        "1.7676e9",
        "1767607200,5",
        "nan",
        "0",
        "946684799.999",
        "946684799999",
        "4102444800",
        "4102444800000",
        "99999999999",
        "100000000000",
        "1767607200000000",
        "2026-01-05",
        "2026-01-05T10:00:00",
        "2026-02-30T10:00:00Z",
        "1999-12-31T23:59:59Z",
        "2100-01-01T00:00:00Z",
        "9" * 50,
    ],
)
def test_what_is_no_time_of_ours_is_refused(text: str) -> None:
    assert refusal(HEADER, f's1,tent,"{text}"') == (
        f"shop.csv, line 2: time={text!r} is no time of the years 2000 to 2099 in epoch seconds, "
        "epoch milliseconds or RFC 3339 with Z or an offset"
    )


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (",tent,1767607200", "session_id='' has 0 bytes"),
        ("s1,  ,1767607200", "item_id='' has 0 bytes"),
        (f"s1,{'é' * 128}x,1767607200", f"item_id='{'é' * 60}…' has 257 bytes"),
    ],
)
def test_an_empty_or_long_id_is_refused(line: str, found: str) -> None:
    assert refusal(HEADER, line) == f"shop.csv, line 2: {found}; 1 to 256 are allowed"


@pytest.mark.parametrize("damaged", ["\ufffd", "\udcff"])
def test_what_is_not_utf_8_is_refused(damaged: str) -> None:
    sentence = refusal(HEADER, f"s1,caf{damaged},1767607200")
    assert sentence == "shop.csv, line 2: character 7 is damaged or not UTF-8; save the file as UTF-8"
    assert refusal(damaged + HEADER) == "shop.csv, line 1: character 1 is damaged or not UTF-8; save the file as UTF-8"


@pytest.mark.parametrize("line", ['s1,"tent,1767607200', 's1,"tent"s,1767607200', "s1,te\rnt,1767607200"])
def test_a_line_that_is_no_csv_is_refused(line: str) -> None:
    sentence = refusal(HEADER, line, "s1,tent,1767607200")
    assert re.fullmatch(
        rf"shop\.csv, line 2: {re.escape(repr(line))} cannot be split into fields \(.+\); "
        "a quoted value ends on its own line, a quote in it is doubled",
        sentence,
    )


def test_a_long_line_is_cut_in_the_sentence() -> None:
    assert len(refusal(HEADER, "x" * 200_000)) < 300


def test_line_numbers_count_the_empty_lines() -> None:
    assert refusal(HEADER, "", "", "s1,tent").startswith("shop.csv, line 4: ")


_FIELD = st.one_of(
    st.sampled_from(["s1", "tent", "1767607200", "browse", '"', '"a,b"', "\n", "\r", "\0", "\ufeff", "\ufffd", " "]),
    st.text(st.characters(), max_size=5),
)


@given(st.lists(st.lists(_FIELD, max_size=4).map(",".join)))
@example(["\ud800"])
@example(["s1,tent," + "9" * 5000])
@example(["s1," + '"' * 200_001 + ",1767607200"])
def test_any_lines_are_read_or_refused(lines: list[str]) -> None:
    for text in (lines, [HEADER, *lines]):
        try:
            read(text, "shop.csv")
        except RecordingError as error:
            assert "\n" not in str(error)


_ID = st.text(
    st.characters(codec="utf-8", exclude_characters="\ufffd", exclude_categories=["Cc", "Z"]), min_size=1, max_size=9
)


@given(st.lists(st.tuples(_ID, _ID, st.integers(946_684_800_000, 4_102_444_799_999), st.sampled_from(list(KINDS)))))
def test_what_is_written_quoted_is_read_again(rows: list[tuple[str, str, int, str]]) -> None:
    def quoted(*values: object) -> str:
        return ";".join('"{}"'.format(str(value).replace('"', '""')) for value in values)

    lines = [quoted("kind", "time", "item_id", "session_id")]
    lines += [quoted(kind, time_ms, item, session) for session, item, time_ms, kind in rows]
    expected = [Interaction(session, item, time_ms, KINDS[kind]) for session, item, time_ms, kind in rows]
    if rows:
        assert read(lines, "shop.csv") == sorted(expected, key=lambda each: each.time_ms)
