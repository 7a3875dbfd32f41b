"""What was asked of the file system while files were checked, so that a result can be kept until an answer changes.

A question is a function that looks at the file system; its arguments can be written as JSON, and its answer depends on them,
the working directory and the files only. What is kept of an answer is its digest. A question that another one asks is not
kept, since its answer is in that of the other one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from .errors import InputError

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Asked:
    """The questions of a piece of work with the digests of their answers. `complete` is False if something else was read."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.complete = True


class _State:
    """The work whose questions are kept, if any, and whether a question is being answered."""

    asked: Asked | None = None
    answering = False


_state = _State()


def question(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make a function a question: it is kept, with its answer or its InputError, while `kept_questions` is in force."""

    @functools.wraps(function)
    def ask(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        asked = _state.asked
        if asked is None or _state.answering:
            return function(*args, **kwargs)
        key = key_of(function.__name__, *args, **kwargs)
        try:
            with _answering():
                answer = function(*args, **kwargs)
        except InputError as error:
            asked.answers[key] = digest_of(error)
            raise
        asked.answers[key] = digest_of(answer)
        return answer

    return ask


def key_of(name: str, *args: object, **kwargs: object) -> str:
    """Return how a question is written down."""
    import json  # only if questions are kept

    return json.dumps([name, args, kwargs], default=list)


def digest_now(function: Callable[..., object], args: list[Any], kwargs: dict[str, Any]) -> str:
    """Return the digest of what a question is answered now."""
    try:
        return digest_of(function(*args, **kwargs))
    except InputError as error:
        return digest_of(error)


def digest_of(answer: object) -> str:
    """Return the digest of an answer: bytes, text, numbers, None, tuples of these, or an error."""
    import hashlib  # only if questions are kept

    content = answer if isinstance(answer, bytes) else repr(answer).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, digest_size=16).hexdigest()


@contextmanager
def kept_questions() -> Iterator[Asked]:
    """Keep the questions that are asked inside."""
    before, _state.asked = _state.asked, Asked()
    try:
        yield _state.asked
    finally:
        _state.asked = before


@contextmanager
def _answering() -> Iterator[None]:
    before, _state.answering = _state.answering, True
    try:
        yield
    finally:
        _state.answering = before


def kept() -> Asked | None:
    """Return where questions are to be kept; None if they are not, or if one is being answered."""
    return None if _state.answering else _state.asked
