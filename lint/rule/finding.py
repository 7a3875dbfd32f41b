"""Findings: what is wrong, where, how severe it is, and the fix if there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..proto.named_tuple import NamedTuple
from ..settings.settings import CONFIDENCES, SEVERITIES
from ..source.places import Place
from .confidence import DEFAULT

if TYPE_CHECKING:
    from ..fixes.edit import Fix
    from ..source.files import SourceFile


class Fixed(NamedTuple):
    """A finding that was fixed: where it stood when it was, and what was changed."""

    path: str
    line: int
    code: str
    what: str

    @property
    def sentence(self) -> str:
        """What was fixed, in one line: `solver.prototxt:3 G102 base_lr 1 → 0.1`."""
        return f"{self.path}:{self.line} {self.code} {self.what}"


class Related(NamedTuple):
    """Another place that belongs to a finding, and how it is related."""

    file: SourceFile
    span: tuple[int, int]
    message: str


class Hit(NamedTuple):
    """What a rule yields: a place, a message, and everything that differs from the rule's own metadata.

    `reason` is the second sentence: what happens in Caffe, with the numbers of this file. `severity` and `confidence`
    are set if this case is more or less severe, or certain, than the rule's default. `guess` is set in place of `fix` if it is to be
    tried first whether the rest of the file means the same afterwards (`rule.guesses`).
    """

    file: SourceFile
    span: tuple[int, int]
    message: str
    reason: str = ""
    severity: str = ""
    related: tuple[Related, ...] = ()
    fix: Fix | None = None
    confidence: str = ""
    guess: Fix | None = None

    @property
    def has_fix(self) -> bool:
        """Whether it has a fix, if only a guess."""
        return self.fix is not None or self.guess is not None


class Cause(NamedTuple):
    """A finding that explains others, by its code and place."""

    code: str
    path: str
    line: int
    column: int

    @property
    def sentence(self) -> str:
        """The code and the place: `N204 at net.prototxt:51:9`."""
        return f"{self.code} at {self.path}:{self.line}:{self.column}"


class Finding(NamedTuple):
    """A finding as it is reported. Sorts by path, line, column and code. `start` is the byte position of its start.

    `caused_by` is the finding that explains it, if that is reported as well (`rule.explanations`).
    """

    place: Place
    code: str
    name: str
    severity: str
    message: str
    reason: str
    line_text: str
    related: tuple[Place, ...]
    fix: Fix | None
    start: int = 0
    confidence: str = DEFAULT
    caused_by: Cause | None = None

    @property
    def as_cause(self) -> Cause:
        """How findings that it explains name it."""
        return Cause(self.code, self.place.path, self.place.line, self.place.column)

    @property
    def identity(self) -> tuple[Any, ...]:
        """What makes it the same finding if a file is checked more than once: its place and all that is said."""
        return self[:6]

    def without_fix(self, why: str) -> Finding:
        """The same without its fix, with the reason as a clause."""
        return self._replace(fix=None, reason=f"{self.reason} No fix: {why}.".strip())

    def is_sure(self, confidence: str) -> bool:
        """Whether it is at least as certain as `confidence`."""
        return CONFIDENCES.index(self.confidence) >= CONFIDENCES.index(confidence)

    def reaches(self, severity: str) -> bool:
        """Whether it is at least as severe as `severity`."""
        return SEVERITIES.index(self.severity) >= SEVERITIES.index(severity)
