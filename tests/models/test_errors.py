"""One tree of errors, and the picture of it is true."""

import re

import pytest

from models import errors
from models.errors import BadEventError, SidecartError


def test_a_bad_event_says_reason_and_detail() -> None:
    error = BadEventError("invalid-time", "time=5 is too small")
    assert (error.reason, error.detail, str(error)) == (
        "invalid-time",
        "time=5 is too small",
        "invalid-time: time=5 is too small",
    )


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_a_leaf_of_the_one_root(name: str) -> None:
    error = getattr(errors, name)
    assert issubclass(error, SidecartError)
    assert name == "SidecartError" or error.__bases__ == (SidecartError,)


def test_the_picture_in_the_docstring_shows_every_error() -> None:
    assert sorted(re.findall(r"(\w+Error)\b", errors.__doc__ or "")) == sorted(errors.__all__)
