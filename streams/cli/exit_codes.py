"""Exit codes that several commands share."""

from typing import Final

__all__ = ["INTERRUPTED"]

#: After Ctrl-C, as shells have it: 128 and the number of SIGINT.
INTERRUPTED: Final = 130
