"""A worker that cannot go on says why in one line and is gone; what comes after is not run."""

import subprocess
import sys
import textwrap
import threading
from time import monotonic

import pytest

from streams.watchdog import Stall, Watchdog

SET_UP = """
import asyncio, atexit, logging, sys, threading, time
from aiokafka.errors import KafkaTimeoutError
from models.errors import *
from streams import watchdog
from streams.watchdog import Stall, Watchdog, die

logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
atexit.register(print, "a clean-up ran", file=sys.stderr)
"""


def end(program: str) -> tuple[int, list[str]]:
    """Run a program that is to die; return its exit code and its lines on stderr."""
    ended = subprocess.run(
        [sys.executable, "-c", SET_UP + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ended.stdout == ""
    return ended.returncode, ended.stderr.splitlines()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("AccidentError('the log was cut')", 2),
        ("BrokerError('the log was cut')", 2),
        ("ConfigurationError('the log was cut')", 2),
        ("TopicError('the log was cut')", 2),
        ("LateWriterError('the log was cut')", 1),
        ("InvariantError('the log was cut')", 1),
    ],
)
def test_an_error_of_ours_is_one_line_and_an_exit_code(error: str, code: int) -> None:
    program = f"""
    try:
        die({error})
    finally:
        print("a finally ran", file=sys.stderr)
    """
    assert end(program) == (code, ["CRITICAL streams.watchdog: worker stops: the log was cut"])


def test_an_error_of_the_client_is_one_line() -> None:
    assert end("die(KafkaTimeoutError())") == (1, ["CRITICAL streams.watchdog: worker stops: KafkaTimeoutError"])


def test_an_error_that_nobody_foresaw_comes_with_its_traceback() -> None:
    program = """
    def broken():
        return {}["key"]
    try:
        broken()
    except KeyError as error:
        die(error)
    """
    code, lines = end(program)
    assert code == 1
    assert lines[0] == "CRITICAL streams.watchdog: worker stops: 'key'"
    assert lines[1] == "Traceback (most recent call last):" and lines[-1] == "KeyError: 'key'"


def test_it_ends_the_process_from_within_the_event_loop_and_other_threads() -> None:
    program = """
    async def work():
        try:
            await asyncio.sleep(0)
            die(InvariantError("a rule is broken"))
        finally:
            print("a finally ran", file=sys.stderr)
    threading.Thread(target=time.sleep, args=(60,)).start()  # not a daemon: an exit would wait for it
    asyncio.run(work())
    """
    assert end(program) == (1, ["CRITICAL streams.watchdog: worker stops: a rule is broken"])


def test_a_loop_that_hangs_is_ended() -> None:
    program = """
    watchdog._SILENCE_S, watchdog._CHECK_S = 0.3, 0.05
    watch = Watchdog(lambda: None)
    watch.start()
    async def work():
        for _ in range(8):
            watch.alive()
            await asyncio.sleep(0.05)
        assert watch.is_alive_lately()
        time.sleep(60)  # the event loop hangs
    asyncio.run(work())
    """
    started = monotonic()
    code, lines = end(program)
    assert monotonic() < started + 15
    assert code == 1
    assert lines[0].startswith("CRITICAL streams.watchdog: worker stops: the event loop has not run for ")


def test_a_loop_that_hangs_is_one_line() -> None:
    program = """
    watchdog._SILENCE_S, watchdog._CHECK_S = 0.1, 0.05
    Watchdog(lambda: None).start()
    time.sleep(60)
    """
    assert len(end(program)[1]) == 1


def test_a_worker_whose_log_nobody_reads_is_ended_too() -> None:
    program = """
    watchdog._SILENCE_S, watchdog._CHECK_S = 0.1, 0.05
    Watchdog(lambda: None).start()
    while True:
        logging.warning("x" * 10_000)  # hangs with the handler's lock, once the pipe is full
    """
    running = subprocess.Popen(
        [sys.executable, "-c", SET_UP + textwrap.dedent(program)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        assert running.wait(5) == 1
    finally:
        running.kill()
        running.communicate()


def test_a_failure_that_is_found_ends_the_worker() -> None:
    program = """
    watchdog._CHECK_S = 0.05
    failures = iter([None, None, KafkaTimeoutError("the coordinator is gone")])
    Watchdog(lambda: next(failures)).start()
    time.sleep(60)
    """
    assert end(program) == (
        1,
        ["CRITICAL streams.watchdog: worker stops: KafkaTimeoutError: the coordinator is gone"],
    )


def test_a_check_that_fails_ends_the_worker() -> None:
    program = """
    watchdog._CHECK_S = 0.05
    def failure():
        raise RuntimeError("not started")
    Watchdog(failure).start()
    time.sleep(1)
    """
    assert end(program)[0] == 1


def test_what_stands_still_ends_the_worker_in_one_line() -> None:
    program = """
    watchdog._CHECK_S = 0.05
    Watchdog(lambda: None, [Stall(lambda: "nothing has moved", 0.2, lambda: 1)]).start()
    time.sleep(60)
    """
    assert end(program) == (
        1,
        ["CRITICAL streams.watchdog: worker stops: nothing has moved for 0.2 s; the next start goes on from the marks"],
    )


class Watched:
    """A watchdog with a clock that the test turns on, and one thing to look at."""

    def __init__(self, progress: object = None) -> None:
        self.now = 0.0
        self.progress = progress
        stall = Stall(lambda: "it has not moved", 60.0, lambda: self.progress)
        self.watchdog = Watchdog(lambda: None, [stall], lambda: self.now)

    def live(self, seconds: float) -> BaseException | None:
        for _ in range(round(seconds)):
            self.now += 1
            self.watchdog.alive()
            found = self.watchdog.check()
            if found is not None:
                return found
        return None


def test_standing_still_is_allowed_up_to_the_limit() -> None:
    watched = Watched(progress=1)
    assert watched.live(60) is None
    assert str(watched.live(1)) == "it has not moved for 60 s; the next start goes on from the marks"


def test_every_step_and_having_nothing_to_do_begin_the_time_anew() -> None:
    watched = Watched(progress=1)
    assert watched.live(50) is None
    watched.progress = 2
    assert watched.live(50) is None
    watched.progress = None
    assert watched.live(500) is None
    watched.progress = 2
    assert watched.live(60) is None
    assert watched.live(1) is not None


def test_time_in_which_the_process_was_stopped_does_not_count() -> None:
    watched = Watched(progress=1)
    assert watched.live(10) is None
    watched.now += 3600  # SIGSTOP
    assert watched.watchdog.check() is None
    assert watched.watchdog.is_alive_lately()
    assert watched.live(40) is None


def test_an_event_loop_that_is_silent_for_a_minute_is_not_alive() -> None:
    watched = Watched()
    watched.live(5)
    for _ in range(59):
        watched.now += 1
        assert watched.watchdog.check() is None
        assert watched.watchdog.is_alive_lately()
    watched.now += 1
    assert str(watched.watchdog.check()).startswith("the event loop has not run for 60 s")
    assert not watched.watchdog.is_alive_lately()


def test_a_watch_that_was_stopped_ends_nothing() -> None:
    checks = threading.Event()

    def failure() -> BaseException | None:
        checks.set()
        return None

    watch = Watchdog(failure)
    watch.start()
    assert watch.is_alive_lately()
    watch.stop()
    watch.join(10)
    assert not watch.is_alive()
    assert watch.daemon


def test_the_watch_does_not_keep_the_process() -> None:
    assert end("Watchdog(lambda: None).start()") == (0, ["a clean-up ran"])
