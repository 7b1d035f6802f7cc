"""Compiled code on disk, so that only a machine's first start compiles.

numba's own cache of a kernel notices changes in the kernel's file alone, and not in those that it calls into: here all
files of the models count.
"""

from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

__all__ = ["enable_cache"]


def enable_cache(kernels: Iterable[Any]) -> None:
    """Have kernels that are called from outside kept on disk; not at import, which must touch no file.

    Where numba finds no folder that it may write, they are compiled in each process.
    """
    for kernel in kernels:
        with suppress(RuntimeError):
            kernel.enable_caching()
            kernel._cache._cache_file._source_stamp = _digest(Path(__file__).parents[1])


@cache
def _digest(folder: Path) -> str:
    digest = blake2b()
    for path in sorted((*folder.glob("*.py"), *folder.glob("kernel/*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()
