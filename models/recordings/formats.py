"""The one list of formats, and how to read any of them in time order."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from models.errors import RecordingError
from models.recordings import otto, rees46, retailrocket, rsc15, sidecart, taobao
from models.recordings.record import BadLine, BadLines, Recorded, in_time_order

__all__ = ["FORMATS", "Format", "read_events"]

#: A file of another format shows itself at once; so many bad lines in front are enough to say so.
_LINES_TO_JUDGE = 100


@dataclass(frozen=True, slots=True)
class Format:
    """A reader, and whether what it yields is already in time order (else it has to be sorted)."""

    read: Callable[[Iterable[str]], Iterator[Recorded | BadLine]]
    is_ordered: bool


FORMATS: Final[dict[str, Format]] = {
    "taobao": Format(taobao.read, is_ordered=True),
    "rees46": Format(rees46.read, is_ordered=True),
    "retailrocket": Format(retailrocket.read, is_ordered=True),
    "otto": Format(otto.read, is_ordered=False),
    "rsc15": Format(rsc15.read, is_ordered=False),
    "sidecart": Format(sidecart.read, is_ordered=True),
}


def read_events(lines: Iterable[str], name: str, bad_lines: BadLines) -> Iterator[Recorded]:
    """Yield a recording's events in time order; bad lines are counted in `bad_lines` and left out.

    Parameters
    ----------
    lines : iterable of str
        The lines of the file, with or without their line ends.
    name : str
        A key of `FORMATS`.
    bad_lines : BadLines
        Complete once the events are exhausted.

    Raises
    ------
    RecordingError
        When the first 100 lines are all bad, or when no line at all is good though there are bad ones.

    Examples
    --------
    >>> bad_lines = BadLines()
    >>> events = read_events(["1,20,300,pv,1511544070", "1,20,300,pv"], "taobao", bad_lines)
    >>> [event.kind for event in events], bad_lines.total
    (['browse'], 1)
    """
    format_ = FORMATS[name]
    good = _without_bad(format_.read(lines), name, bad_lines)
    return good if format_.is_ordered else iter(in_time_order(good))


def _without_bad(read: Iterable[Recorded | BadLine], name: str, bad_lines: BadLines) -> Iterator[Recorded]:
    has_events = False
    for each in read:
        if isinstance(each, Recorded):
            has_events = True
            yield each
            continue
        bad_lines.add(each)
        if bad_lines.total == each.number == _LINES_TO_JUDGE:
            raise _not_of_format(name, f"its first {_LINES_TO_JUDGE} lines are all bad", bad_lines)
    if bad_lines.total and not has_events:
        raise _not_of_format(name, "it has no good line", bad_lines)


def _not_of_format(name: str, finding: str, bad_lines: BadLines) -> RecordingError:
    number, reason = bad_lines.first[0]
    others = " or ".join(other for other in FORMATS if other != name)
    return RecordingError(
        f"the file does not look like {name}: {finding} (line {number}: {reason}); is its format {others}?"
    )
