"""The cache of compiled code is of one state of all files of the package."""

from pathlib import Path

from models.kernel import caching
from models.kernel.folding import fold_pairs
from models.kernel.rows import DenseRows
from models.parameters import DEFAULTS


def test_a_change_in_any_file_of_the_folder_makes_another_stamp(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel" / "b.py").write_text("2")
    stamps = [caching._digest.__wrapped__(tmp_path)]
    assert caching._digest.__wrapped__(tmp_path) == stamps[0]
    for path in ("a.py", "kernel/b.py"):
        (tmp_path / path).write_text("3")
        stamps.append(caching._digest.__wrapped__(tmp_path))
    assert len(set(stamps)) == 3


def test_kernels_are_kept_under_the_stamp_of_all_files() -> None:
    DenseRows(DEFAULTS)
    assert fold_pairs._cache._cache_file._source_stamp == caching._digest(Path(caching.__file__).parents[1])
