"""Compiled sessions as they are loaded: what comes back, and the room that it takes."""

from models.kernel.rows import DenseRows
from models.kernel.sessions import DenseSessions
from models.layout.sessions import encode
from models.parameters import DEFAULTS
from models.session import Session


def session(number: int) -> Session:
    return Session(number, number + 1, 1, positions=[(f"item-{number}", number)], seen={f"item-{number}": None})


def test_sessions_that_are_loaded_part_by_part_take_no_more_room_than_at_once() -> None:
    rows = [(f"s{number}".encode(), encode(session(number))) for number in range(200)]
    at_once, by_part = (DenseSessions(DenseRows(DEFAULTS), 1, DEFAULTS) for _ in range(2))
    at_once.load(0, rows)
    for row in rows:
        by_part.load(0, [row])
    assert by_part.count(0) == at_once.count(0) == 200
    assert all(by_part.get(f"s{number}") == at_once.get(f"s{number}") == session(number) for number in range(200))
    assert by_part.nbytes <= at_once.nbytes
