"""The numbers of compiled messages are those of `models.rounding`."""

from math import inf

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.kernel.compiling import kernel
from models.kernel.message import put_decimal
from models.rounding import rounded


@kernel
def _put(out: NDArray[np.uint8], value: float, digits: int) -> int:
    return put_decimal(out, 0, value, digits)


def written(value: float, digits: int) -> str:
    out = np.zeros(64, np.uint8)
    return out[: _put(out, value, digits)].tobytes().decode()


@given(value=st.floats(0) | st.floats(0, 1e10) | st.floats(0, 10), digits=st.integers(1, 6))
@example(value=inf, digits=6)
@example(value=1e307, digits=3)
@example(value=1e9, digits=6)
@example(value=5e-324, digits=6)
def test_a_decimal_is_the_rounded_one_without_zeros_behind(value: float, digits: int) -> None:
    text = written(value, digits)
    whole, point, decimals = text.partition(".")
    assert float(text) == rounded(value, digits)
    assert point and whole == str(int(whole))
    assert decimals == "0" or (len(decimals) <= digits and not decimals.endswith("0"))


def test_what_is_beyond_a_billion_is_a_billion() -> None:
    assert written(inf, 3) == written(1e16, 3) == "1000000000.0"
