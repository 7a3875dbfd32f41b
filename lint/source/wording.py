"""Numbers in English sentences."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return `1 file`, `2 files`; with an irregular plural, `2 axes`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
