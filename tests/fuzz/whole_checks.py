"""Whole checks and fixes of generated jobs as targets: no exception, no surprise, and what is written is what was said."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from harness import run_in_memory

from caffe_lint.engine.units import UnitResult
from caffe_lint.fixes.bindings import verified
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.settings.settings import Settings

from .choices import Choices
from .generated import Job, extreme_job, job, mutated_job

_NO_NUMBER = re.compile(rb"(?<![\w.\"])-?(?:nan|inf)(?:inity|f)?(?![\w.\"])", re.IGNORECASE)


def run(texts: dict[str, bytes], dialect: str, patch: str = "") -> list[UnitResult]:
    """Return the results of checking files in memory with all rules, and of patching them if `patch` says so."""
    results, _ = run_in_memory(
        texts, _settings(dialect), patch
    )  # a mistake may leave neither a solver nor a net: it says so
    return results


@cache
def _settings(dialect: str) -> Settings:
    return Settings(select=("ALL",), dialect=dialect if dialect != "bvlc" else None)


def check(made: Job, *, twice: bool) -> None:
    """Check a job: each finding has a place in a file, and a second check finds the same."""
    found = [finding for result in run(*made) for finding in result.findings]
    for finding in found:
        lines = made.texts[finding.place.path].count(b"\n") + 1
        assert 1 <= finding.place.line <= lines, finding
        assert finding.message, finding
    if twice:
        again = [finding for result in run(*made) for finding in result.findings]
        assert [_shown(one) for one in found] == [_shown(one) for one in again]


def _shown(finding: Any) -> tuple[Any, ...]:
    return finding.place, finding.code, finding.message, finding.severity, finding.fix and finding.fix.edits


def fix(made: Job, *, unsafe: bool) -> None:
    """Fix a job: what is patched is read by protobuf as the fixes say, has no new mistake in its syntax, and stays as it is."""
    patch = "unsafe" if unsafe else "safe"
    texts = dict(made.texts)
    for result in run(texts, made.dialect, patch):
        assert not result.errors, result.errors
        good, refused = verified(result.patched, result.rounds, caffe_schema())
        assert not refused, refused
        for path, text in good.items():
            assert len(parse(text).problems) <= len(parse(made.texts[path]).problems), text
            assert set(_NO_NUMBER.findall(text)) <= set(_NO_NUMBER.findall(made.texts[path])), text
        texts.update(good)
    if texts != made.texts:
        for result in run(texts, made.dialect, patch):
            assert not result.patched, (texts, result.patched)
            assert not result.errors, result.errors


def _checked(make: Callable[[random.Random], Job]) -> Callable[[bytes], None]:
    def target(content: bytes) -> None:
        chance = Choices(content)
        check(make(chance), twice=chance.random() < 0.1)

    return target


def _fixed(make: Callable[[random.Random], Job]) -> Callable[[bytes], None]:
    def target(content: bytes) -> None:
        chance = Choices(content)
        fix(make(chance), unsafe=chance.random() < 0.7)

    return target


def either(chance: random.Random) -> Job:
    """Return a job, with mistakes as often as not."""
    return (job, mutated_job)[chance.randrange(2)](chance)


def seeds() -> list[bytes]:
    """Return bytes to choose by."""
    return [random.Random(number).randbytes(64) for number in range(20)]


WHOLE: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]]]] = {
    "check": (_checked(either), seeds),
    "check-numbers": (_checked(extreme_job), seeds),
    "fix": (_fixed(either), seeds),
    "fix-numbers": (_fixed(extreme_job), seeds),
}
