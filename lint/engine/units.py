"""Units, the files that are checked together, and their results.

A run consists of units - a solver with its nets, or a net on its own - that know nothing of each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple
from ..rule.finding import Finding, Fixed

if TYPE_CHECKING:
    from ..fixes.changes import Round
    from ..source.repository_proto import KnownName
    from .baseline import Comparison
    from .job_verdicts import JobVerdict


class Unit(NamedTuple):
    """Files that are checked together: solvers that share nets, or one net that no solver of this run names.

    `root` is the folder that was named, in which a solver's nets are searched. `nets` are the paths of the solvers' nets that
    were already read.
    """

    paths: tuple[str, ...]
    root: str | None
    nets: tuple[str, ...] = ()


def path_order(units: Sequence[Unit]) -> list[int]:
    """Return the numbers of units in the order of their paths, in which people see what was found in them."""
    return sorted(range(len(units)), key=lambda number: units[number].paths)


class Companions(NamedTuple):
    """The solvers that are checked along with a unit, and the nets whose solvers were searched.

    `gap` says why solvers may be missing, and is empty if none are.
    """

    solvers: tuple[str, ...] = ()
    searched: frozenset[str] = frozenset()
    gap: str = ""


class LeftAlone(NamedTuple):
    """Why nothing in a file may be changed, and whether it was checked: only the text around its template marks can be."""

    reason: str
    checked: bool


class UnitResult(NamedTuple):
    """The result of a unit: the remaining findings, what was fixed, and the patched files' new bytes.

    `sources` are the bytes of the checked files as read; `errors` are messages for the user. `rounds` are the texts
    between `sources` and `patched`, each with the changes that were made to it. `left_alone` are the files that were not
    checked, or whose fixes were withheld. `verdicts` are those on the unit's jobs. `known` are names that a caffe.proto of the
    repository knows.
    """

    findings: list[Finding]
    fixed: tuple[Fixed, ...]
    patched: dict[str, bytes]
    sources: dict[str, bytes]
    errors: list[str]
    comparison: Comparison | None = None  # with the baseline
    rounds: Mapping[str, tuple[Round, ...]] = {}
    left_alone: Mapping[str, LeftAlone] = {}
    asked: Mapping[str, str] | None = None  # of the file system (`questions`), if that was kept
    verdicts: tuple[JobVerdict, ...] = ()
    known: tuple[KnownName, ...] = ()

    def without_trees(self) -> UnitResult:
        """Return it without the trees that fixes refer to, for another process or another run."""
        findings = [
            finding._replace(fix=finding.fix._replace(changes=())) if finding.fix is not None else finding
            for finding in self.findings
        ]
        return self._replace(findings=findings)

    @property
    def checked(self) -> list[str]:
        """Return the paths of the checked files."""
        return list(self.sources)
