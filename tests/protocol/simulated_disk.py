"""A worker's disk: the local stores of its tables in memory, and Sidecart's own store upon them."""

import copy
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from streams.store import Changelog, Store

__all__ = ["Disk", "ReadOptions", "SimulatedStore", "WriteBatch"]

_Database = dict[bytes, bytes]


class Disk:
    """The databases by table and partition."""

    def __init__(self) -> None:
        self._databases: dict[tuple[str, int], _Database] = {}

    def database(self, table: str, partition: int) -> _Database:
        return self._databases.setdefault((table, partition), {})

    def snapshot(self) -> "Disk":
        return copy.deepcopy(self)


class WriteBatch(list[tuple[bytes, bytes | None]]):
    """rocksdict's batch of writes."""

    def __init__(self, raw_mode: bool) -> None:
        super().__init__()

    def put(self, key: bytes, value: bytes) -> None:
        self.append((key, value))

    def delete(self, key: bytes) -> None:
        self.append((key, None))


class ReadOptions:
    """rocksdict's options of reading, which change nothing of what is read."""

    def set_readahead_size(self, size: int) -> None: ...

    def fill_cache(self, is_filled: bool) -> None: ...


class _OpenDatabase:
    """rocksdict's database, in order of keys."""

    def __init__(self, database: _Database) -> None:
        self._database = database

    def get(self, key: bytes) -> bytes | None:
        return self._database.get(key)

    def items(self, read_opt: ReadOptions) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted(self._database.items()))

    def keys(self) -> Iterator[bytes]:
        return iter(sorted(self._database))

    def write(self, batch: WriteBatch, options: object) -> None:
        for key, value in batch:
            if value is None:
                self._database.pop(key, None)
            else:
                self._database[key] = value

    def set_options(self, options: dict[str, str]) -> None: ...

    def close(self) -> None: ...


class SimulatedStore(Store):
    """`streams.store.Store` with databases in memory: how it loads and flushes is its own."""

    def __init__(self, table: str, topic: str, disk: Disk, changelog: Changelog) -> None:
        # What the RocksDB store of Faust opens at its start is not there.
        self.table_name = table
        self.table: Any = SimpleNamespace(changelog_topic=SimpleNamespace(get_topic_name=lambda: topic))
        self.changelog = changelog
        self._disk = disk
        self._dbs: dict[int, Any] = {}
        self._writers: dict[int, Any] = {}

    def _open_for_partition(self, partition: int) -> Any:
        return _OpenDatabase(self._disk.database(self.table_name, partition))
