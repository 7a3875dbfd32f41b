"""Numbers, and values of files, in English sentences."""

from __future__ import annotations

from itertools import islice

_LONGEST, _MOST_LISTED = 60, 6  # characters of a string, items of a list


def counted(number: int, noun: str, plural: str = "", form: str = "") -> str:
    """Return `1 file`, `2 files`; with an irregular plural, `2 axes`; with the form `,`, `2,000 files`."""
    return f"{number:{form}} {noun if number == 1 else plural or noun + 's'}"


def within(least: float | None, greatest: float | None) -> str:
    """Return `at least 1`, `at most 1` or `from 0 to 1`; empty without limits."""
    if least is None or greatest is None:
        return f"at least {least:g}" if least is not None else f"at most {greatest:g}" if greatest is not None else ""
    return f"from {least:g} to {greatest:g}"


def as_written(value: object, depth: int = 2) -> str:
    """Return a value of a JSON or TOML file as people write it there; of one that is long or deep, the beginning."""
    if isinstance(value, str):
        return f"'{value if len(value) <= _LONGEST else value[:_LONGEST] + '…'}'"
    if value is None or isinstance(value, bool):
        return "null" if value is None else "true" if value else "false"
    if not isinstance(value, dict | list | tuple):
        return str(value)
    if not depth:
        return "…"
    more = ["…"] if len(value) > _MOST_LISTED else []
    if isinstance(value, dict):
        listed = [f"{key}: {as_written(inner, depth - 1)}" for key, inner in islice(value.items(), _MOST_LISTED)]
        return f"{{{', '.join(listed + more)}}}"
    return f"[{', '.join([as_written(inner, depth - 1) for inner in value[:_MOST_LISTED]] + more)}]"
