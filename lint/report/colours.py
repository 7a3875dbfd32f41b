"""Terminal colours by meaning.

A colour is first written as marks, lone surrogates that no text can hold, and becomes the terminal's codes only when the text
is printed, after everything that looks like such a code was made visible in it.
"""

from __future__ import annotations

_CODES = {
    "error": "31;1", "warning": "33;1", "advice": "36;1", "path": "1", "frame": "34;1", "fix": "32", "dim": "2",
    "added": "32", "removed": "31", "hunk": "36", "code": "33",
}  # fmt: skip
_MARKS = {meaning: chr(0xD800 + number) for number, meaning in enumerate(_CODES)}
_END = "\udbff"
_TO_TERMINAL = {ord(_END): "\x1b[0m", **{ord(mark): f"\x1b[{_CODES[meaning]}m" for meaning, mark in _MARKS.items()}}

_FROM_TERMINAL = {code: chr(mark) for mark, code in _TO_TERMINAL.items()}


def paint(text: str, meaning: str, colour: bool) -> str:
    """Return the text with the marks of the colour of its meaning, or unchanged if colours are off."""
    return f"{_MARKS[meaning]}{text}{_END}" if colour else text


def with_marks(text: str) -> str:
    """Return a text that `with_codes` returned with the marks again, to be printed as part of another."""
    for code, mark in _FROM_TERMINAL.items():
        text = text.replace(code, mark)
    return text


def with_codes(text: str) -> str:
    """Return a text with the terminal's codes in place of the marks."""
    return text.translate(_TO_TERMINAL) if _END in text else text
