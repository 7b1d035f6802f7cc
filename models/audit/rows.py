"""Tables against the folds of their logs, row by row and weight by weight."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from models.audit.findings import Findings, Kind
from models.cooccurrence import Row
from models.learning import PackedPairs, learn
from models.parameters import Parameters
from models.rows import PlainRows
from models.rows_digest import RowsDigest
from models.shard import Shard

__all__ = ["RowsRecount", "compare_rows", "compare_state"]

_SHOWN = 200

_encode = msgspec.msgpack.Encoder().encode


class RowsRecount:
    """The rows of one partition of `cooccurrence`, folded again from `pairs` by the plain functions.

    A row takes about 5 kB, 15 kB when it is full.
    """

    def __init__(self, partition: int, parameters: Parameters, findings: Findings) -> None:
        self._rows = PlainRows(parameters)
        self._shard: Shard[Row] = Shard(partition, self._rows)
        self._findings = findings

    def fold(self, offset: int, packed: PackedPairs) -> None:
        """Fold one record."""
        learn(self._shard, self._rows, offset, packed)

    def compare_table(self, rows: Iterable[tuple[str, Row]], watermarks: Mapping[str, int], newest: int) -> None:
        """Compare with the table as it was when everything folded so far, and nothing more, was in it."""
        place = self._findings.place("cooccurrence", self._shard.partition)
        compare_state("rows", place, self._shard, watermarks, newest, self._findings)
        compare_rows("rows", place, self._rows, rows, self._findings)

    def compare_replica(self, worker: str, rows: int, digest: str) -> None:
        """Compare with what a worker's replica held at this position."""
        self._findings.compare("replicas")
        digested = RowsDigest()
        for item in sorted(self._rows):
            digested.add(item, self._rows[item])
        partition = self._shard.partition
        place = f"replica of {worker}, partition {partition}, position {self._shard.position}"
        if rows != len(self._rows):
            self._findings.differ("replicas", place, f"expected {len(self._rows)} rows, found {rows}")
        elif digest != digested.hexdigest():
            self._findings.differ("replicas", place, f"expected the digest {digested.hexdigest()}, found {digest}")


def compare_state(
    kind: Kind, place: str, shard: Shard[Any], watermarks: Mapping[str, int], newest: int, findings: Findings
) -> None:
    """Compare what a mark says beside its position."""
    expected = shard.watermarks.as_dict()
    for origin in sorted(expected.keys() | watermarks.keys()):
        if expected.get(origin) != watermarks.get(origin):
            ends = f"expected up to {expected.get(origin)}, found up to {watermarks.get(origin)}"
            findings.differ(kind, f"{place} mark", f"of {origin} it has applied another part than its log: {ends}")
    if shard.newest != newest:
        findings.differ(kind, f"{place} mark", f"expected the newest time {shard.newest}, found {newest}")


def compare_rows(
    kind: Kind, place: str, expected: Mapping[str, Any], found: Iterable[tuple[str, Any]], findings: Findings
) -> None:
    """Compare rows by key, each in all of its fields."""
    missing = set(expected)
    for key, row in found:
        findings.compare(kind)
        missing.discard(key)
        own = expected.get(key)
        if own is None:
            findings.differ(kind, f"{place} {key!r}", f"expected no row, found {_short(row)}")
        elif own != row:
            findings.differ(kind, f"{place} {key!r}", unlike(own, row))
    for key in sorted(missing):
        findings.compare(kind)
        findings.differ(kind, f"{place} {key!r}", f"expected {_short(expected[key])}, found no row")


def unlike(expected: msgspec.Struct, found: msgspec.Struct) -> str:
    """Say in which field, and under which of its keys, two rows differ first."""
    for field in expected.__struct_fields__:
        own, other = getattr(expected, field), getattr(found, field)
        if isinstance(own, dict) and isinstance(other, dict):
            for key in [*own, *other]:
                if own.get(key) != other.get(key):
                    return f"expected {field}[{key!r}] {_short(own.get(key))}, found {_short(other.get(key))}"
        if _encode(own) != _encode(other):
            return f"expected {field} {_short(own)}, found {_short(other)}"
    return "expected another row"


def _short(content: object) -> str:
    text = repr(content)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
