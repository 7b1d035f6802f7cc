"""All kernels used once, so that a worker compiles them at its start and not under its first events."""

import numpy as np

from models.coverage import Chain, Packed, Span
from models.kernel.door import compile_door
from models.kernel.records import compile_records
from models.kernel.rows import DenseRows, compile_kernels
from models.kernel.suggesting import DenseSuggesting, LogRecord
from models.layout import events
from models.parameters import Parameters
from models.records import Event, Line
from models.suggesting import EventEntry

__all__ = ["warm_up"]


def warm_up(parameters: Parameters) -> None:
    """Load or compile every kernel of a worker.

    Where numba may write its cache (beside this file, else under `NUMBA_CACHE_DIR` or the user's cache folder), only
    the first start ever compiles; the others load.
    """
    compile_kernels(parameters)
    compile_door(parameters)
    compile_records()
    stage = DenseSuggesting(DenseRows(parameters), 1, parameters)
    span = Span("browse-0", -1, 0)
    event = Event("browse", "e", "s", parameters.session_gap_ms, "browse", (Line("tea"),))
    content = events.encode(Packed([span], [EventEntry(0, 0, 0, event)]))
    stage.serve([LogRecord(0, 0, content, events.read_head(content), [-1], [0])], {}, {0: Chain("0")}, None)
    rows = [(key, row or b"") for key, row in stage.sessions.take_dirty(0).as_dict().items()]
    stage.sessions.release(0)
    stage.sessions.load(0, rows)
    stage.sessions.mark_items(np.zeros(len(stage.sessions.rows.ids.arrays.bounds), np.bool_))
