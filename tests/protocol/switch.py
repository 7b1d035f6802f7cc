"""What takes a rule out of the product: a part of it is replaced for a while."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

__all__ = ["Switch", "replaced"]

Switch = Callable[[], AbstractContextManager[None]]


@contextmanager
def replaced(place: Any, name: str, by: Any) -> Iterator[None]:
    before = place.__dict__[name]
    setattr(place, name, by)
    try:
        yield
    finally:
        setattr(place, name, before)
