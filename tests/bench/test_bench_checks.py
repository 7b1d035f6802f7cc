"""The bench notices what is lost, repeated, strange or counted wrongly."""

import json

import pytest
from checks import Answered, answered, count_differences
from learnt_rows import learnt_events, learnt_rows
from single_stage import SingleStage
from traffic import Traffic, item_name, shop_traffic

from models.cooccurrence import TOTALS
from models.decay import growth
from models.kernel.rows import DenseRows
from models.parameters import DEFAULTS

START_MS = 1_767_607_200_000


@pytest.fixture
def traffic() -> Traffic:
    return shop_traffic(50, 20, start_ms=START_MS)


def suggestions(traffic: Traffic) -> list[bytes]:
    return [
        json.dumps({"suggestion_id": f"s{number}", "event_id": traffic.event_id(number)}).encode()
        for number in range(len(traffic))
    ]


def test_a_suggestion_for_each_event_is_all_that_is_wanted(traffic: Traffic) -> None:
    found = answered(traffic, suggestions(traffic))
    assert found == Answered(50, 0, 0, 0)
    assert found.problems == []


def test_a_planted_loss_is_found(traffic: Traffic) -> None:
    values = suggestions(traffic)
    del values[7], values[30]
    found = answered(traffic, values)
    assert found.lost == 2
    assert found.problems == ["2 events have no suggestion"]


def test_an_id_that_stands_for_two_events_is_a_loss(traffic: Traffic) -> None:
    values = suggestions(traffic)
    values[3] = values[3].replace(b'"s3"', b'"s2"')
    assert answered(traffic, values).lost == 1


def test_what_is_said_twice_and_what_nobody_asked_for_is_found(traffic: Traffic) -> None:
    values = suggestions(traffic)
    strangers = [
        b"no JSON",
        b"{}",
        b'{"suggestion_id":"x","event_id":"other-000000001"}',
        b'{"event_id":"e-000000001"}',
    ]
    found = answered(traffic, [*values, values[0], *strangers])
    assert (found.lost, found.repeated, found.strange) == (0, 1, 4)
    assert len(found.problems) == 2


def test_counts_that_are_equal_to_their_last_bits_are_equal() -> None:
    assert count_differences({"a": 1000.0, "b": 1.0}, {"a": 1000.0 + 1e-9, "b": 1.0}) == []


@pytest.mark.parametrize("found", [{"a": 2.0}, {"a": 2.0, "b": 1.0000001}, {"a": 2.0, "b": 1.0, "c": 0.5}])
def test_a_count_that_is_missing_wrong_or_of_a_stranger_is_found(found: dict[str, float]) -> None:
    [sentence] = count_differences({"a": 2.0, "b": 1.0}, found)
    assert "of 2 items these are counted wrongly" in sentence


def test_many_wrong_counts_are_one_sentence() -> None:
    [sentence] = count_differences(dict.fromkeys("abcdefg", 1.0), {})
    assert sentence.endswith("and 4 more")


# -- the single stage of the peers


def serve(stage: SingleStage, traffic: Traffic, batch: int) -> list[bytes | None]:
    messages = traffic.messages
    served: list[bytes | None] = []
    for start in range(0, len(messages), batch):
        part = messages[start : start + batch]
        timestamps = [traffic.newest_ms] * len(part)
        served += stage.serve([each.kind for each in part], [each.value for each in part], timestamps)
    return served


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_the_single_stage_answers_each_event_in_its_place_and_counts_it(batch: int) -> None:
    traffic = shop_traffic(400, 50, start_ms=START_MS)
    stage = SingleStage(DEFAULTS)
    served = serve(stage, traffic, batch)
    assert [json.loads(message or b"{}").get("event_id") for message in served] == [
        traffic.event_id(number) for number in range(400)
    ]
    assert answered(traffic, [message for message in served if message is not None]) == Answered(400, 0, 0, 0)
    assert count_differences(traffic.item_events(traffic.newest_ms, DEFAULTS.half_life_ms), stage.item_events()) == []


def test_the_single_stage_suggests_what_it_has_learnt() -> None:
    traffic = shop_traffic(2_000, 50, start_ms=START_MS)
    served = serve(SingleStage(DEFAULTS), traffic, 100)
    sources = [item["evidence"]["source"] for message in served for item in json.loads(message or b"{}")["items"]]
    assert sources.count("pair") > 500


def test_the_single_stage_answers_neither_what_is_refused_nor_a_repeat() -> None:
    stage = SingleStage(DEFAULTS)
    event = shop_traffic(1, 50, start_ms=START_MS).messages[0]
    answers = stage.serve([event.kind] * 3, [b"no JSON", event.value, event.value], [START_MS + 60_000] * 3)
    assert [answer is None for answer in answers] == [True, False, True]


# -- rows that were learnt before


def test_learnt_rows_are_rows_as_the_worker_has_them() -> None:
    items = dict(learnt_rows(300, START_MS))
    assert items.keys() == {TOTALS, *map(item_name, range(300))}
    dense = DenseRows(DEFAULTS)
    for item, row in items.items():
        dense[item] = row
        assert dense[item] == row
        assert row.mass == pytest.approx(sum(row.weights.values()))
        assert list(row.weights.values()) == sorted(row.weights.values(), reverse=True)
        assert item not in row.weights and len(row.weights) <= DEFAULTS.row_size
    grown = growth(START_MS, items[item_name(5)].epoch, DEFAULTS.half_life_ms)
    assert items[item_name(5)].events / grown == pytest.approx(learnt_events(5))
    assert dense.rank([(item_name(5), START_MS)], {item_name(5)}, START_MS)
