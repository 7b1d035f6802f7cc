"""What the one-stage peers call: sessions, counts and ranking in one process, without a log behind them.

These are the kernels that Sidecart's stages call, and nothing else: no order over the topics, no global counts, no
retries told from events across a restart. A kill loses all of it.
"""

from collections.abc import Sequence

import numpy as np

from models.cooccurrence import TOTALS
from models.coverage import NOTHING_SENT, Chain
from models.decay import growth
from models.door import InputRecord
from models.kernel.door import Door
from models.kernel.learning import DenseShard, learn_packed
from models.kernel.rows import DenseRows
from models.kernel.suggesting import DenseSuggesting, LogRecord, SessionShard
from models.layout.events import read_head
from models.parameters import Parameters
from models.records import KINDS, Kind
from models.suggesting import origin_partition

__all__ = ["SingleStage"]

#: Where the offset stands in a message, whose id begins it: `models.suggesting.suggestion_id`.
_OFFSET = slice(len('{"suggestion_id":"') + 18, len('{"suggestion_id":"') + 32)


class SingleStage:
    """Serves events batch by batch; the larger the batch, the less an event costs."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._rows = DenseRows(parameters)
        self._counts = DenseShard(0, self._rows)
        self._stage = DenseSuggesting(self._rows, 1, parameters)
        self._sessions = SessionShard(0, self._stage)
        self._chains = {0: Chain("0")}
        self._places = {kind: place for place, kind in enumerate(KINDS)}
        self._door = Door({(kind, 0): Chain(f"{kind}-0") for kind in KINDS}, [0, 0, 0], 1, parameters)
        self._served = 0

    def serve(self, kinds: Sequence[Kind], values: Sequence[bytes], timestamps: Sequence[int]) -> list[bytes | None]:
        """Fold events and return the suggestion message for each; None for one that is refused, or a repeat.

        Parameters
        ----------
        kinds, values, timestamps : sequences
            Of each event its input topic, the record's value, and the record's own timestamp in ms.
        """
        messages: list[bytes | None] = [None] * len(values)
        first, self._served = self._served, self._served + len(values)
        records = [
            InputRecord(kind, 0, offset, timestamp, None, value)
            for offset, (kind, value, timestamp) in enumerate(zip(kinds, values, timestamps, strict=True), first)
        ]
        places = np.array([self._places[kind] for kind in kinds], np.int64)
        content = self._door.admit(records, places).packed.get(0)
        if content is None:
            return messages
        head = read_head(content)
        after, origins = [NOTHING_SENT] * len(head.spans), [origin_partition(span.origin) for span in head.spans]
        log = LogRecord(0, self._sessions.position, content, head, after, origins)
        self._sessions.position += 1
        served = self._stage.serve([log], {}, self._chains, None)
        self._sessions.take_dirty()
        learn_packed(self._counts, self._counts.position, served.pairs[0])
        self._counts.take_dirty()
        for message in filter(None, served.answers[0].values):
            messages[int(message[_OFFSET], 16) - first] = message
        return messages

    def item_events(self) -> dict[str, float]:
        """Return how often each item arrived, decayed to the newest event time."""
        now_ms, half_life_ms = self._sessions.newest, self._parameters.half_life_ms
        return {
            item: row.events / growth(now_ms, row.epoch, half_life_ms)
            for item, row in self._rows.items()
            if item != TOTALS
        }
