"""What stops Caffe before it trains, as a check reports it: errors in a solver and its nets, with their places."""

from __future__ import annotations

from ..rule.finding import Finding
from ..settings.settings import Settings
from ..stability.signal.basis import CannotTell
from ..stability.signal.training import FIX_ERRORS
from .files_in_memory import files_of
from .job_verdicts import REFUSED_SOLVERS, is_refusal
from .opening import Opened
from .unit_check import check_unit
from .units import Unit


def refusals_of(opened: Opened) -> list[Finding]:
    """Return the findings on a solver and its nets at which Caffe refuses them.

    What is suppressed or ignored, and what the repository's own Caffe knows, is none; what a baseline knows is one.
    """

    def settings_of(path: str) -> Settings:
        own = opened.settings.of(path)
        return own._replace(
            select=("E", *sorted(REFUSED_SOLVERS)), extend_select=(), known=None, simulate=False, elsewhere=settings_of
        )

    path = opened.file.path
    settings = settings_of(path)
    files = files_of(settings, opened.files.schema)
    files.given, files.before = opened.files.given, {path: opened.file, **opened.files.before}
    files.tries_guesses = False
    return [finding for finding in check_unit(Unit((path,), None), files, settings) if is_refusal(finding)]


def cannot_start(opened: Opened, refusals: list[Finding]) -> CannotTell | None:
    """Return why nothing becomes of a training that Caffe refuses; None if nothing stops it."""
    if not refusals:
        return None
    if refusals[0].place.path == opened.file.path:
        return CannotTell("rejected solver", f"Caffe would refuse this solver: {refusals[0].message}", FIX_ERRORS)
    return CannotTell("rejected net", f"Caffe would not train this net: {refusals[0].message}", FIX_ERRORS)
