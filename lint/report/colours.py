"""Terminal colours by meaning."""

from __future__ import annotations

_CODES = {
    "error": "31;1", "warning": "33;1", "advice": "36;1", "path": "1", "frame": "34;1", "fix": "32", "dim": "2",
    "added": "32", "removed": "31", "hunk": "36", "code": "33",
}  # fmt: skip


def paint(text: str, meaning: str, colour: bool) -> str:
    """Return the text in the colour of its meaning, or unchanged if colours are off."""
    return f"\x1b[{_CODES[meaning]}m{text}\x1b[0m" if colour else text
