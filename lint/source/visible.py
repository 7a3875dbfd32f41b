"""How text is shown that comes from a file, a path or a log: control characters as `\\x1b`, and never as a command to a CI server."""

from __future__ import annotations

import re

# Controls, what changes the direction of text or ends a line, and the bytes of controls in a name that is no text.
_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\udc80-\udc9f"
_UNSEEN = "\xad\u180e\u200b-\u200d\u2060-\u2065\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
_IN_TEXT = f"(?!\r\n)[{_CONTROLS}]"
_IN_LINE = f"[{_CONTROLS}{_UNSEEN}\t\n]"

# GitHub's commands begin a line, after any spaces; its older ones, Azure's and TeamCity's may stand anywhere in it.
_COMMAND = r"(?m)^([^\S\n]*):(?=:)|#(?=#\w*\[)"


def visible(text: str) -> str:
    """Return a text in one line, with a sign such as `\\x1b` or `\\u202e` for each character that is not seen as itself."""
    return re.sub(_IN_LINE, _sign, text) if not (text.isascii() and text.isprintable()) else text


def visible_lines(text: str) -> str:
    """Return a text of several lines, which may have tabs, with a sign for each control character."""
    return text if text.replace("\n", "").isprintable() else re.sub(_IN_TEXT, _sign, text)


def without_commands(text: str) -> str:
    """Return a text in which no line is a command to a CI server: the sign that would begin one is written by its number.

    The number is also read as that sign in JSON and TOML.
    """
    if "::" not in text and "##" not in text:
        return text
    return re.sub(_COMMAND, lambda match: f"{match.group(1) or ''}\\u{ord(match.group()[-1]):04x}", text)


def _sign(match: re.Match[str]) -> str:
    number = ord(match.group())
    if 0xDC80 <= number <= 0xDCFF:
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
