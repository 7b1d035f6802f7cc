"""Compiled: the tokens of JSON as shops usually write it.

A buffer holds messages as the topics have them, each followed by a zero byte, which no token holds: what is cut off
ends there. Each function is given where a token begins and returns where it ends, or `UNUSUAL` for one that is not
JSON, or is not of this grammar, a part of JSON; nothing else is told of it.

    space    any number of blanks, tabs, line feeds and carriage returns
    text     " UTF-8 without control characters and backslashes "
    number   digits, no leading zero; for decimals then . and digits: together at most 18, as a whole number below 2^53
    value    a text that may have escapes, but none of a surrogate; true, false, null; a number with or without a minus
             and decimals, at most 20 characters; lists and objects of these, at most 60 deep
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.kernel.compiling import inner

__all__ = ["UNUSUAL", "decimal_end", "number_end", "space_end", "text_end", "value_end", "word_end"]

Buffer = NDArray[np.uint8]

UNUSUAL: Final = -1

_QUOTE, _BACKSLASH, _MINUS, _POINT, _ZERO = (ord(sign) for sign in '"\\-.0')
_COMMA, _COLON, _OPENING, _CLOSING, _LIST_OPENING, _LIST_CLOSING = (ord(sign) for sign in ",:{}[]")
_U, _D, _EIGHT = ord("u"), ord("d"), ord("8")


def _is_in(signs: bytes) -> NDArray[np.bool_]:
    table = np.zeros(256, np.bool_)
    table[list(signs)] = True
    return table


_SPACE = _is_in(b" \t\n\r")
_DIGIT = _is_in(b"0123456789")
_HEX = _is_in(b"0123456789abcdefABCDEF")
_ESCAPED = _is_in(b'"\\/bfnrt')
#: What stands for itself in a text.
_PLAIN = _is_in(bytes(sign for sign in range(0x20, 0x80) if sign not in b'"\\'))

_TRUE, _FALSE, _NULL = (np.frombuffer(word, np.uint8) for word in (b"true", b"false", b"null"))

_DIGITS_MAX = 18
_MANTISSA_MAX = 2**53
_NUMBER_MAX = 20
_DEPTH_MAX = 60
#: Exact in binary: a mantissa below 2^53 divided by one of them is rounded once, as the nearest number must be.
_POWERS_OF_TEN = np.array([float(10**power) for power in range(_DIGITS_MAX + 1)])


@inner
def space_end(buffer: Buffer, at: int) -> int:
    """Skip space."""
    while _SPACE[buffer[at]]:
        at += 1
    return at


@inner
def word_end(buffer: Buffer, at: int, word: Buffer) -> int:
    """Read a word; this one alone is usual."""
    for sign in word:
        if buffer[at] != sign:
            return UNUSUAL
        at += 1
    return at


@inner
def text_end(buffer: Buffer, at: int) -> tuple[int, bool]:
    """Read a text from behind its quote on; return where its other quote is, and whether it has escapes."""
    has_escapes = False
    while True:
        while _PLAIN[buffer[np.uintp(at)]]:  # unsigned: an index that may be negative costs a look at its sign
            at += 1
        if buffer[at] == _QUOTE:
            return at, has_escapes
        if buffer[at] == _BACKSLASH:
            has_escapes = True
            size = _escape_size(buffer, at)
        else:
            size = _utf8_size(buffer, at)
        if size == 0:
            return UNUSUAL, has_escapes
        at += size


@inner
def _escape_size(buffer: Buffer, at: int) -> int:
    if _ESCAPED[buffer[at + 1]]:
        return 2
    if buffer[at + 1] != _U or (buffer[at + 2] | 0x20 == _D and buffer[at + 3] >= _EIGHT):
        return 0
    for place in range(at + 2, at + 6):
        if not _HEX[buffer[place]]:
            return 0
    return 6


@inner
def _utf8_size(buffer: Buffer, at: int) -> int:
    """Return the bytes of a character beyond ASCII, 0 where there is none: the table of RFC 3629, section 4."""
    first = buffer[at]
    if first < 0xC2 or first > 0xF4:
        return 0
    size = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    low = 0xA0 if first == 0xE0 else 0x90 if first == 0xF0 else 0x80
    high = 0x9F if first == 0xED else 0x8F if first == 0xF4 else 0xBF
    if buffer[at + 1] < low or buffer[at + 1] > high:
        return 0
    for place in range(at + 2, at + size):
        if buffer[place] & 0xC0 != 0x80:
            return 0
    return size


@inner
def number_end(buffer: Buffer, at: int) -> tuple[int, int]:
    """Read a whole number; return it and its end."""
    start, number = at, 0
    while _DIGIT[buffer[at]]:
        number = number * 10 + buffer[at] - _ZERO
        at += 1
    size = at - start
    if size == 0 or size > _DIGITS_MAX or (buffer[start] == _ZERO and size > 1):
        return 0, UNUSUAL
    return number, at


@inner
def decimal_end(buffer: Buffer, at: int) -> tuple[float, int]:
    """Read a number with or without decimals; return the nearest binary number, and its end."""
    start = at
    mantissa, at = number_end(buffer, at)
    if at == UNUSUAL or buffer[at] != _POINT:
        return float(mantissa), at
    point = at
    at += 1
    while _DIGIT[buffer[at]]:
        mantissa = mantissa * 10 + buffer[at] - _ZERO
        at += 1
    decimals = at - point - 1
    if decimals == 0 or at - start - 1 > _DIGITS_MAX or mantissa >= _MANTISSA_MAX:
        return 0.0, UNUSUAL
    return mantissa / _POWERS_OF_TEN[decimals], at


@inner
def value_end(buffer: Buffer, at: int) -> int:
    """Skip a value of any type."""
    depth, objects = 0, 0  # a bit for each list or object around the place, the innermost lowest: 1 for an object
    while True:
        is_object = buffer[at] == _OPENING
        if is_object or buffer[at] == _LIST_OPENING:
            depth += 1
            if depth > _DEPTH_MAX:
                return UNUSUAL
            objects = objects << 1 | is_object
            at = space_end(buffer, at + 1)
            if buffer[at] != (_CLOSING if objects & 1 else _LIST_CLOSING):
                if objects & 1:
                    at = _key_end(buffer, at)
                    if at == UNUSUAL:
                        return UNUSUAL
                continue
        else:
            at = _scalar_end(buffer, at)
            if at == UNUSUAL:
                return UNUSUAL
        while depth > 0:
            at = space_end(buffer, at)
            if buffer[at] == _COMMA:
                at = space_end(buffer, at + 1)
                if objects & 1:
                    at = _key_end(buffer, at)
                    if at == UNUSUAL:
                        return UNUSUAL
                break
            if buffer[at] != (_CLOSING if objects & 1 else _LIST_CLOSING):
                return UNUSUAL
            at += 1
            depth -= 1
            objects >>= 1
        else:
            return at


@inner
def _key_end(buffer: Buffer, at: int) -> int:
    """Skip a key, its colon and the space behind."""
    if buffer[at] != _QUOTE:
        return UNUSUAL
    at, _ = text_end(buffer, at + 1)
    if at == UNUSUAL:
        return UNUSUAL
    at = space_end(buffer, at + 1)
    return space_end(buffer, at + 1) if buffer[at] == _COLON else UNUSUAL


@inner
def _scalar_end(buffer: Buffer, at: int) -> int:
    first = buffer[at]
    if first == _QUOTE:
        at, _ = text_end(buffer, at + 1)
        return at + 1 if at != UNUSUAL else UNUSUAL
    if first == _TRUE[0]:
        return int(word_end(buffer, at, _TRUE))
    if first == _FALSE[0]:
        return int(word_end(buffer, at, _FALSE))
    if first == _NULL[0]:
        return int(word_end(buffer, at, _NULL))
    start = at
    if first == _MINUS:
        at += 1
    _, at = number_end(buffer, at)
    if at != UNUSUAL and buffer[at] == _POINT:
        point = at
        at += 1
        while _DIGIT[buffer[at]]:
            at += 1
        if at == point + 1:
            return UNUSUAL
    return at if at - start <= _NUMBER_MAX else UNUSUAL
