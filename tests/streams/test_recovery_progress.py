"""A recovery says how far it is, on the page, in the log and by a number that grows with every step."""

import logging
from collections.abc import Iterator

import pytest

from streams.recovery import REPLICA, Recovery


class Clock:
    """Seconds that a test turns on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recovery(clock: Clock, caplog: pytest.LogCaptureFixture) -> Iterator[Recovery]:
    caplog.set_level(logging.INFO)
    yield Recovery(clock)


def figures(recovery: Recovery, table: str) -> tuple[int, int, int]:
    return recovery.records_of(table), recovery.end_of(table), recovery.replay_of(table)


def test_nothing_is_shown_while_nothing_is_recovered(recovery: Recovery) -> None:
    assert recovery.show() is None
    assert (figures(recovery, "sessions"), recovery.seconds) == ((0, 0, 0), 0.0)


def test_until_something_is_loaded_it_waits_for_the_group(recovery: Recovery, clock: Clock) -> None:
    recovery.begin("the group is rebalancing")
    clock.now += 2.5
    shown = recovery.show()
    assert shown == {
        "seconds": 2.5,
        "step": "waiting for the group",
        "records": 0,
        "of": 0,
        "percent": None,
        "partitions_loaded": 0,
        "loading": [],
    }


def test_every_partition_shows_its_step_and_how_far_it_is(recovery: Recovery, clock: Clock) -> None:
    recovery.begin("the worker starts")
    with recovery.loading("sessions", 3) as sessions, recovery.loading(REPLICA, 1) as replica:
        sessions.begin("loading rows")
        sessions.reached(30, 30)
        replica.begin("loading rows")
        replica.reached(5, 20)
        clock.now += 1.5
        sessions.begin("reading back suggestions")
        sessions.reached(1, 8)
        sessions.loaded(12)
        shown = recovery.show()
        assert shown is not None
        assert shown["step"] == "loading rows, reading back suggestions"
        assert (shown["records"], shown["of"], shown["percent"]) == (36, 58, 62.1)
        assert shown["loading"] == [
            {
                "table": "replica",
                "partition": 1,
                "step": "loading rows",
                "records": 5,
                "of": 20,
                "percent": 25.0,
                "rows": 0,
                "seconds": 1.5,
            },
            {
                "table": "sessions",
                "partition": 3,
                "step": "reading back suggestions",
                "records": 1,
                "of": 8,
                "percent": 12.5,
                "rows": 12,
                "seconds": 1.5,
            },
        ]
        assert (figures(recovery, "sessions"), figures(recovery, REPLICA)) == ((31, 38, 0), (5, 20, 0))
    assert (figures(recovery, "sessions"), figures(recovery, REPLICA)) == ((31, 38, 0), (5, 20, 0))


def test_what_a_failed_load_had_read_is_not_counted_as_loaded(recovery: Recovery) -> None:
    with pytest.raises(ZeroDivisionError), recovery.loading("kpi", 0) as loading:
        loading.reached(3, 4)
        raise ZeroDivisionError
    assert figures(recovery, "kpi") == (0, 0, 0)
    shown = recovery.show()
    assert shown is not None and shown["partitions_loaded"] == 0


def test_every_step_moves_it(recovery: Recovery) -> None:
    seen = [recovery.moves]
    with recovery.loading("kpi", 0) as loading:
        seen.append(recovery.moves)
        loading.begin("loading rows")
        seen.append(recovery.moves)
        loading.reached(1, 2)
        seen.append(recovery.moves)
        loading.loaded(1)
        seen.append(recovery.moves)
    seen.append(recovery.moves)
    assert sorted(set(seen)) == seen
    recovery.show()
    recovery.tell(["the replica is being loaded"])
    assert recovery.moves == seen[-1]


def test_the_replay_distance_is_that_of_the_latest_takeover(recovery: Recovery) -> None:
    for partition in (0, 1):
        with recovery.loading("sessions", partition) as loading:
            loading.replay = 7
    assert recovery.replay_of("sessions") == 14
    recovery.tell([])
    assert recovery.replay_of("sessions") == 14
    recovery.begin("the group is rebalancing")
    assert recovery.replay_of("sessions") == 0


def test_the_log_has_a_line_at_the_start_every_ten_seconds_and_at_the_end(
    recovery: Recovery, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    recovery.begin("the group is rebalancing")
    recovery.begin("something else, while it lasts")
    with recovery.loading("sessions", 0) as loading:
        loading.begin("loading rows")
        for second in range(1, 26):
            clock.now = 100.0 + second
            loading.reached(second * 1000, 30_000)
            recovery.tell(["tables are being recovered"])
        loading.reached(30_000, 30_000)
        loading.loaded(9_000)
        loading.replay = 40
    clock.now += 3  # found out a little later
    recovery.tell([])
    recovery.tell([])
    assert caplog.messages == [
        "recovery starts: the group is rebalancing",
        "recovery for 10 s: tables are being recovered; 0 table partitions loaded with 0 rows, 10,000 of 30,000 records"
        " read, 0 to fold again",
        "recovery for 20 s: tables are being recovered; 0 table partitions loaded with 0 rows, 20,000 of 30,000 records"
        " read, 0 to fold again",
        "recovery ended after 25.0 s: 1 table partitions loaded with 9,000 rows, 30,000 of 30,000 records read, 40 to"
        " fold again",
    ]


def test_a_takeover_without_notice_begins_a_recovery(recovery: Recovery, caplog: pytest.LogCaptureFixture) -> None:
    with recovery.loading("kpi", 2):
        pass
    assert caplog.messages == ["recovery starts: kpi/2 is to be loaded"]
