"""Datasets by name and from a shop's own files; what is missing is said in one sentence."""

import gzip
import os
from pathlib import Path

import pytest

from models.errors import ConfigurationError, RecordingError
from models.evaluation.datasets import validation_split
from models.evaluation.recommender import Interaction
from streams.datasets import (
    DATASETS,
    Dataset,
    data_folder,
    load,
    load_files,
    load_validation,
    load_validation_file,
)

HEADER = "session_id,item_id,time"


def packed(path: Path, *lines: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress("\n".join(lines).encode()))


def sessions(found: list[Interaction]) -> str:
    return " ".join(each.session_id for each in found)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of recorded data with one short file for each name."""
    header, rsc15 = "SessionId\tItemId\tTime", tmp_path / "rsc15"
    packed(rsc15 / "train_full.tsv.gz", header, "1\t10\t1396437466.5", "2\t20\t1396437460", "2\t20\tnoon")
    packed(rsc15 / "test.tsv.gz", header, "3\t10\t1396437500", "bad")
    packed(rsc15 / "train_tr.tsv.gz", header, "2\t20\t1396437460")
    packed(rsc15 / "train_valid.tsv.gz", header, "1\t10\t1396437466.5", "bad")
    packed(tmp_path / "taobao" / "user_behavior.csv.gz", "1,10,7,pv,1511544070", "2,20,8,buy,1511544090", "bad")
    packed(
        tmp_path / "rees46" / "2019-Oct.head.csv.gz",
        "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session",
        "2019-10-01 00:00:00 UTC,view,10,7,,,1,5,one",
        "2019-10-01 00:00:01 UTC,cart,20,8,,,1,6,two",
    )
    packed(
        tmp_path / "retailrocket" / "events.csv.gz",
        "timestamp,visitorid,event,itemid,transactionid",
        "1433193132535,2,addtocart,20,",
        "1433193132534,1,view,10,",
    )
    packed(
        tmp_path / "otto" / "train.jsonl.gz",
        '{"session":0,"events":[{"aid":20,"ts":1659304800026,"type":"orders"}]}',
        '{"session":1,"events":[{"aid":10,"ts":1659304800025,"type":"clicks"}]}',
    )
    return tmp_path


def loaded(name: str, folder: Path) -> Dataset:
    return load(name, {"SIDECART_DATA": str(folder)})


# -- recorded datasets


def test_the_variable_names_the_folder_and_else_it_is_beside_the_current_one() -> None:
    assert data_folder({"SIDECART_DATA": "/data"}) == Path("/data")
    assert data_folder({}) == data_folder({"SIDECART_DATA": ""}) == Path("../shared/data")


def test_rsc15_is_split_as_its_publishers_split_it(folder: Path) -> None:
    dataset = loaded("rsc15", folder)
    assert dataset.name == "rsc15"
    assert dataset.train == [Interaction("2", "20", 1396437460000), Interaction("1", "10", 1396437466500)]
    assert dataset.test == [Interaction("3", "10", 1396437500000)]
    assert dataset.validation() == ([dataset.train[0]], [dataset.train[1]])
    assert dataset.bad_lines == 2


def test_the_validation_of_rsc15_is_read_only_when_it_is_asked_for(folder: Path) -> None:
    (folder / "rsc15" / "train_tr.tsv.gz").unlink()
    dataset = loaded("rsc15", folder)
    with pytest.raises(RecordingError, match=r"train_tr\.tsv\.gz is missing"):
        dataset.validation()


@pytest.mark.parametrize(
    ("name", "train", "test"),
    [
        (
            "taobao",
            Interaction("1-1", "10", 1511544070000, "browse", "7"),
            Interaction("2-1", "20", 1511544090000, "orders", "8"),
        ),
        (
            "rees46",
            Interaction("one", "10", 1569888000000, "browse", "7"),
            Interaction("two", "20", 1569888001000, "add-to-cart", "8"),
        ),
        (
            "retailrocket",
            Interaction("1-1", "10", 1433193132534),
            Interaction("2-1", "20", 1433193132535, "add-to-cart"),
        ),
        ("otto", Interaction("1", "10", 1659304800025), Interaction("0", "20", 1659304800026, "orders")),
    ],
)
def test_the_other_recordings_are_split_by_time(folder: Path, name: str, train: Interaction, test: Interaction) -> None:
    dataset = loaded(name, folder)
    assert (dataset.name, dataset.train, dataset.test) == (name, [train], [test])
    assert dataset.validation() == ([train], [])
    assert dataset.bad_lines == (name == "taobao")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load("amazon", {})
    assert str(caught.value) == "dataset='amazon' is none of rsc15, taobao, rees46, retailrocket, otto"


@pytest.mark.parametrize("name", DATASETS)
def test_without_the_folder_the_sentence_says_what_to_set(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "none"
    with pytest.raises(RecordingError) as caught:
        loaded(name, folder)
    start = f"{folder} is missing; set SIDECART_DATA to the folder that holds {name}/"
    assert str(caught.value).startswith(start)


def test_without_the_file_the_sentence_names_it(folder: Path) -> None:
    path = folder / "rsc15" / "test.tsv.gz"
    path.unlink()
    with pytest.raises(RecordingError) as caught:
        loaded("rsc15", folder)
    sentence = f"{path} is missing; set SIDECART_DATA to the folder that holds rsc15/test.tsv.gz"
    assert str(caught.value) == sentence


def test_a_file_of_another_format_is_refused(folder: Path) -> None:
    packed(folder / "rees46" / "2019-Oct.head.csv.gz", "1,10,7,pv,1511544070")
    with pytest.raises(RecordingError, match="does not look like rees46"):
        loaded("rees46", folder)


def test_a_file_without_events_is_refused(folder: Path) -> None:
    path = folder / "rsc15" / "test.tsv.gz"
    packed(path, "SessionId\tItemId\tTime")
    with pytest.raises(RecordingError) as caught:
        loaded("rsc15", folder)
    assert str(caught.value) == f"{path} holds no events; it should be the publisher's file"


# -- a shop's own files


def test_a_shop_s_files_may_be_plain_or_gzip_whatever_their_names(tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv.gz"
    packed(train, HEADER, "b,stove,1767607201", "a,tent,1767607200")
    test.write_bytes(b"\xef\xbb\xbfsession_id;item_id;time;kind\r\nc;tent;1767607300;buy\r\n")
    dataset = load_files(train, test)
    assert dataset.name == "train.csv, test.csv.gz"
    assert dataset.train == [Interaction("a", "tent", 1767607200000), Interaction("b", "stove", 1767607201000)]
    assert dataset.test == [Interaction("c", "tent", 1767607300000, "orders")]
    assert dataset.bad_lines == 0


def test_the_validation_of_a_shop_s_files_is_split_from_the_training(tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text("\n".join([HEADER, *(f"s{second},tent,{1767607200 + second}" for second in range(5))]))
    test.write_text(f"{HEADER}\nx,tent,1767608200\n")
    dataset = load_files(train, test)
    assert dataset.validation() == validation_split(dataset.train)
    assert [sessions(part) for part in dataset.validation()] == ["s0 s1 s2 s3", "s4"]


def test_a_wrong_line_is_named_with_its_file(tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text(f"{HEADER}\na,tent,1767607200\n")
    test.write_bytes(f"{HEADER}\nb,caf".encode() + b"\xe9,1767607200\n")
    with pytest.raises(RecordingError) as caught:
        load_files(train, test)
    assert str(caught.value) == f"{test}, line 2: character 6 is damaged or not UTF-8; save the file as UTF-8"


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"train\.csv cannot be read: No such file"):
        load_files(tmp_path / "train.csv", tmp_path / "test.csv")


def test_a_session_in_both_files_is_refused(tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text(f"{HEADER}\na,tent,1767607200\nb,tent,1767607201\n")
    test.write_text(f"{HEADER}\nc,tent,1767607202\nb,rope,1767607203\n")
    with pytest.raises(RecordingError) as caught:
        load_files(train, test)
    assert str(caught.value) == f"session_id='b' is in {train} and in {test}; a session is for training or for the test"


# -- for a search that sees no test


@pytest.mark.parametrize("name", DATASETS)
def test_the_validation_alone_is_that_of_the_dataset(folder: Path, name: str) -> None:
    assert load_validation(name, {"SIDECART_DATA": str(folder)}) == loaded(name, folder).validation()


def test_the_validation_of_rsc15_alone_reads_no_other_file(folder: Path) -> None:
    for name in ("train_full.tsv.gz", "test.tsv.gz"):
        (folder / "rsc15" / name).unlink()
    train, validation = load_validation("rsc15", {"SIDECART_DATA": str(folder)})
    assert [sessions(part) for part in (train, validation)] == ["2", "1"]


def test_the_validation_of_an_unknown_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="is none of rsc15"):
        load_validation("amazon", {})


def test_a_shop_s_file_alone_is_split(tmp_path: Path) -> None:
    train = tmp_path / "train.csv"
    train.write_text("\n".join([HEADER, *(f"s{second},tent,{1767607200 + second}" for second in range(5))]))
    assert [sessions(part) for part in load_validation_file(train)] == ["s0 s1 s2 s3", "s4"]


# -- the publishers' own files


def test_rsc15_has_the_published_interactions_sessions_and_items() -> None:
    try:
        dataset = load("rsc15", os.environ)
    except RecordingError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    train, validation = dataset.validation()
    assert dataset.bad_lines == 0
    assert [sizes(part) for part in (dataset.train, dataset.test, train, validation)] == [
        (70_278, 17_794, 2_933),
        (13_568, 3_416, 1_771),
        (53_254, 13_629, 2_873),
        (16_539, 4_084, 2_029),
    ]


def sizes(found: list[Interaction]) -> tuple[int, int, int]:
    return len(found), len({each.session_id for each in found}), len({each.item_id for each in found})
