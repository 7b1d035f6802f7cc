"""From files to the interactions of an evaluation: the recorded datasets by name, and any shop's own files."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from models.errors import ConfigurationError, RecordingError
from models.evaluation import sessions_file
from models.evaluation.datasets import Split, interactions, split_by_time, validation_split
from models.evaluation.recommender import Interaction
from models.recordings.formats import read_events
from models.recordings.record import BadLines
from streams.replayer import open_lines
from streams.settings import ENVIRONMENT_PREFIX

__all__ = [
    "DATASETS",
    "DATA_VARIABLE",
    "Dataset",
    "data_folder",
    "load",
    "load_files",
    "load_validation",
    "load_validation_file",
]

DATA_VARIABLE: Final = f"{ENVIRONMENT_PREFIX}DATA"

#: Where the recorded data is looked for when the variable names no folder: beside the current directory.
_DEFAULT_FOLDER: Final = Path("..", "shared", "data")

#: The recordings without a split of their own, each the one file of its publisher.
_RECORDINGS: Final = {
    "taobao": "taobao/user_behavior.csv.gz",
    "rees46": "rees46/2019-Oct.head.csv.gz",
    "retailrocket": "retailrocket/events.csv.gz",
    "otto": "otto/train.jsonl.gz",
}

#: session-rec's split of RecSys 2015: what is learnt and asked, and the same within the training, for tuning.
_RSC15: Final = ("rsc15/train_full.tsv.gz", "rsc15/test.tsv.gz")
_RSC15_VALIDATION: Final = ("rsc15/train_tr.tsv.gz", "rsc15/train_valid.tsv.gz")

#: The names that `load` knows.
DATASETS: Final = ("rsc15", *_RECORDINGS)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Interactions to learn and to be asked about, each in time order.

    Attributes
    ----------
    name : str
        The dataset's, or that of the files.
    train, test : list of Interaction
        No session is in both.
    validation : callable
        Returns (train, validation): the training split once more, for tuning; worked out at each call.
    bad_lines : int
        Lines of the two parts that were left out because they are not of their format.
    """

    name: str
    train: list[Interaction]
    test: list[Interaction]
    validation: Callable[[], Split]
    bad_lines: int = 0


def data_folder(environment: Mapping[str, str]) -> Path:
    """Return where the recorded data is: the folder that SIDECART_DATA names, else ``../shared/data``.

    Examples
    --------
    >>> data_folder({"SIDECART_DATA": "/data"}).as_posix(), data_folder({}).as_posix()
    ('/data', '../shared/data')
    """
    return Path(environment.get(DATA_VARIABLE) or _DEFAULT_FOLDER)


def load(name: str, environment: Mapping[str, str]) -> Dataset:
    """Read a recorded dataset.

    ``rsc15`` comes with session-rec's own splits, which are taken as they are; the others are split by
    `split_by_time`.

    Parameters
    ----------
    name : str
        One of `DATASETS`.
    environment : mapping
        Usually ``os.environ``, for `data_folder`.

    Raises
    ------
    ConfigurationError
        If there is no dataset of that name.
    RecordingError
        If the folder or a file is missing, cannot be read, or is not what its name says.
    """
    if name not in DATASETS:
        raise ConfigurationError(f"dataset={name!r} is none of {', '.join(DATASETS)}")
    folder = data_folder(environment)
    if name == "rsc15":
        (train, test), bad_lines = _recordings(folder, _RSC15, name)
        return Dataset(name, train, test, partial(_rsc15_validation, folder), bad_lines)
    (found,), bad_lines = _recordings(folder, [_RECORDINGS[name]], name)
    train, test = split_by_time(found)
    return Dataset(name, train, test, partial(validation_split, train), bad_lines)


def load_files(train: Path, test: Path) -> Dataset:
    """Read a shop's own files, plain or gzip, in the format of `models.evaluation.sessions_file`.

    The shop's split is taken as it is; the validation split is that of `validation_split`.

    Raises
    ------
    RecordingError
        If a file cannot be read, a line of it is wrong, or a session is in both files.
    """
    train_interactions, test_interactions = (sessions_file.read(open_lines(path), str(path)) for path in (train, test))
    trained = {each.session_id for each in train_interactions}
    for each in test_interactions:
        if each.session_id in trained:
            raise RecordingError(
                f"session_id={each.session_id!r} is in {train} and in {test}; a session is for training or for the test"
            )
    return Dataset(
        f"{train.name}, {test.name}",
        train_interactions,
        test_interactions,
        partial(validation_split, train_interactions),
    )


def load_validation(name: str, environment: Mapping[str, str]) -> Split:
    """Return `Dataset.validation` of a recorded dataset; where the test is a file of its own, it is not read.

    Parameters and errors are those of `load`.
    """
    if name == "rsc15":
        return _rsc15_validation(data_folder(environment))
    return load(name, environment).validation()


def load_validation_file(train: Path) -> Split:
    """Read a shop's own file to learn from, as `load_files` does, and split it by `validation_split`.

    Raises
    ------
    RecordingError
        If the file cannot be read, or a line of it is wrong.
    """
    return validation_split(sessions_file.read(open_lines(train), str(train)))


def _recordings(folder: Path, files: Iterable[str], format_name: str) -> tuple[list[list[Interaction]], int]:
    """Return what each file holds, and how many bad lines they have together."""
    parts, bad_total = [], 0
    for file in files:
        path = folder / file
        if not path.exists():
            missing = path if folder.is_dir() else folder
            raise RecordingError(f"{missing} is missing; set {DATA_VARIABLE} to the folder that holds {file}")
        bad_lines = BadLines()
        parts.append(interactions(read_events(open_lines(path), format_name, bad_lines)))
        if not parts[-1]:
            raise RecordingError(f"{path} holds no events; it should be the publisher's file")
        bad_total += bad_lines.total
    return parts, bad_total


def _rsc15_validation(folder: Path) -> Split:
    (train, validation), _ = _recordings(folder, _RSC15_VALIDATION, "rsc15")
    return train, validation
