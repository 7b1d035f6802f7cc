"""Memory that is asked for ahead changes nothing, wherever it is."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.kernel.arrays import ITEM
from models.kernel.compiling import kernel
from models.kernel.prefetching import prefetch


@kernel
def _ask(array: NDArray[Any], index: int) -> None:
    prefetch(array, np.uintp(index))


@pytest.mark.parametrize("dtype", [np.int32, np.float64, ITEM])
def test_memory_is_asked_for(dtype: Any) -> None:
    _ask(np.zeros(3, dtype), 0)
    assert "call void @llvm.prefetch" in _ask.inspect_llvm(_ask.signatures[-1])


@pytest.mark.parametrize("index", [0, 2, 10**9])
def test_nothing_changes_even_beyond_the_end(index: int) -> None:
    array = np.arange(3.0)
    _ask(array, index)
    assert array.tolist() == [0.0, 1.0, 2.0]
