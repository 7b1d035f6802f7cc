"""What all layouts are made of: little-endian numbers, texts and spans.

    text    u16 bytes; UTF-8
    spans   u16 spans; each: text origin, i64 start, i64 end

What cannot be read raises ValueError.
"""

import struct
from collections.abc import Iterable
from typing import Any

from models.coverage import Span

__all__ = ["Reader", "spans_bytes", "text_bytes"]

_U16 = struct.Struct("<H")
_RANGE = struct.Struct("<qq")


def text_bytes(text: str | None) -> bytes:
    """Return a text as a field; an empty one for None.

    Examples
    --------
    >>> text_bytes("tea"), text_bytes(None)
    (b'\\x03\\x00tea', b'\\x00\\x00')
    """
    if text is None:
        return b"\0\0"
    content = text.encode()
    return _U16.pack(len(content)) + content


def spans_bytes(spans: Iterable[Span]) -> bytes:
    """Return the spans of a packed record."""
    parts = [text_bytes(span.origin) + _RANGE.pack(span.start, span.end) for span in spans]
    return _U16.pack(len(parts)) + b"".join(parts)


class Reader:
    """Reads one field after the other.

    Examples
    --------
    >>> reader = Reader(b"\\x03\\x00tea\\x07\\x00")
    >>> reader.text(), reader.numbers(struct.Struct("<H"))
    ('tea', (7,))
    >>> reader.text()
    Traceback (most recent call last):
    ...
    ValueError: it ends after 7 bytes, within a field
    """

    __slots__ = ("_content", "at")

    def __init__(self, content: bytes | memoryview, at: int = 0) -> None:
        self._content = bytes(content)
        self.at = at

    def numbers(self, layout: struct.Struct) -> tuple[Any, ...]:
        """Read numbers."""
        self.at += layout.size
        if self.at > len(self._content):
            raise self._cut_off()
        return layout.unpack_from(self._content, self.at - layout.size)

    def text(self) -> str:
        """Read a text."""
        (size,) = self.numbers(_U16)
        self.at += size
        if self.at > len(self._content):
            raise self._cut_off()
        return self._content[self.at - size : self.at].decode()

    def spans(self) -> list[Span]:
        """Read the spans of a packed record."""
        (count,) = self.numbers(_U16)
        return [Span(self.text(), *self.numbers(_RANGE)) for _ in range(count)]

    def finish(self) -> None:
        """Make sure that all was read."""
        if self.at < len(self._content):
            raise ValueError(f"{len(self._content) - self.at} bytes follow its last field")

    def _cut_off(self) -> ValueError:
        return ValueError(f"it ends after {len(self._content)} bytes, within a field")
