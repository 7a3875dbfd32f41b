"""The one reader of JSON files that users name: facts about data, and baselines."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from .opener import MAX_RECORDS, Unreadable, read_regular

_MOST_DIGITS = 400  # of a whole number, which a float could hold


class NotJson(Unreadable):
    """A file is not valid JSON; `reason` says where."""


def read_json(path: str) -> Any:
    """Return the value in a file; bytes that are not UTF-8 are kept in strings. Raises Unreadable, NotJson.

    Infinity and NaN, and numbers of more digits than a float can have, are refused.
    """
    text = read_regular(path, MAX_RECORDS).decode("utf-8-sig", "surrogateescape")
    try:
        return json.loads(text, parse_int=_whole, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise NotJson(path, f"not valid JSON in line {error.lineno}, column {error.colno}") from None
    except _Refused as error:
        raise NotJson(path, f"not valid JSON: {error}") from None
    except RecursionError:
        raise NotJson(path, "not valid JSON: nested too deeply") from None


class _Refused(Exception):
    pass


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise _Refused(f"a number has {len(digits)} digits")
    return int(digits)


def _refuse(name: str) -> NoReturn:
    raise _Refused(f"{name} is not a finite number")
