"""A shard knows which rows are its own and which have changed."""

from models.shard import Shard


def test_a_new_shard_is_empty_and_at_the_beginning() -> None:
    shard: Shard[int] = Shard(3)
    assert (shard.partition, shard.position, shard.newest, shard.rows, shard.keys) == (3, 0, 0, {}, set())
    assert shard.watermarks.as_dict() == {}
    assert shard.take_dirty() == {}


def test_a_shard_can_start_from_a_mark() -> None:
    shard: Shard[int] = Shard(3, position=7, watermarks={"a": 5}, newest=9)
    assert (shard.position, shard.watermarks.as_dict(), shard.newest) == (7, {"a": 5}, 9)


def test_a_row_that_is_put_is_dirty_until_taken() -> None:
    shard: Shard[int] = Shard(0)
    shard.put("a", 1)
    shard.put("b", 2)
    shard.put("a", 3)
    assert shard.take_dirty() == {"a": 3, "b": 2}
    assert shard.take_dirty() == {}


def test_a_row_that_was_changed_in_place_is_dirty_once_it_is_touched() -> None:
    shard: Shard[list[int]] = Shard(0)
    shard.load("a", [1])
    shard.rows["a"].append(2)
    assert shard.take_dirty() == {}
    shard.touch("a")
    assert shard.take_dirty() == {"a": [1, 2]}


def test_a_row_that_was_made_among_shared_rows_is_the_shard_s_own_once_it_is_touched() -> None:
    shard: Shard[int] = Shard(0, {"a": 1})
    shard.touch("a")
    assert (shard.keys, shard.take_dirty()) == ({"a"}, {"a": 1})


def test_a_row_that_is_loaded_is_durable_already() -> None:
    shard: Shard[int] = Shard(0)
    shard.load("a", 1)
    assert (shard.rows, shard.keys, shard.take_dirty()) == ({"a": 1}, {"a"}, {})


def test_a_row_that_is_dropped_is_none_among_the_dirty() -> None:
    shard: Shard[int] = Shard(0)
    shard.load("a", 1)
    shard.drop("a")
    assert (shard.rows, shard.keys, shard.take_dirty()) == ({}, set(), {"a": None})


def test_a_row_that_comes_back_before_the_flush_is_written() -> None:
    shard: Shard[int] = Shard(0)
    shard.load("a", 1)
    shard.drop("a")
    shard.put("a", 2)
    assert shard.take_dirty() == {"a": 2}


def test_shards_that_share_rows_know_their_own() -> None:
    rows: dict[str, int] = {}
    one, other = Shard(0, rows), Shard(1, rows)
    one.put("a", 1)
    other.load("b", 2)
    assert (one.rows is other.rows, one.keys, other.keys) == (True, {"a"}, {"b"})
    assert (one.take_dirty(), other.take_dirty()) == ({"a": 1}, {})


def test_clearing_a_shard_leaves_the_rows_of_the_others() -> None:
    rows: dict[str, int] = {}
    one, other = Shard(0, rows), Shard(1, rows)
    one.put("a", 1)
    other.put("b", 2)
    one.clear()
    assert (rows, one.keys, one.take_dirty(), other.take_dirty()) == ({"b": 2}, set(), {}, {"b": 2})


def test_the_watermarks_of_a_shard_are_a_copy() -> None:
    ends = {"a": 5}
    shard: Shard[int] = Shard(0, watermarks=ends)
    ends["a"] = 9
    assert shard.watermarks.as_dict() == {"a": 5}
