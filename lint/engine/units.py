"""What is checked together, and what came of it.

A run is made of units - a solver with the nets it names, or a net on its own - which know nothing of each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple
from ..rule.finding import Finding

if TYPE_CHECKING:
    from ..fixes.changes import Round
    from .baseline import Comparison


class Unit(NamedTuple):
    """Files that are checked together: solvers that share nets, or one net that no solver of this run names.

    `root` is the folder that was asked for, within which a solver's nets are searched. `nets` are those of the solvers'
    nets that were read already: the path that the check will ask for, and the one it was read by.
    """

    paths: tuple[str, ...]
    root: str | None
    nets: tuple[tuple[str, str], ...] = ()


class UnitResult(NamedTuple):
    """What came of a unit: findings that are left, how many fixes were applied, and the patched files' new bytes.

    `sources` are the bytes of the files that were checked, as read; `errors` are sentences for people. `rounds` are
    the texts between those of `sources` and of `patched`, each with the changes that were made to it.
    """

    findings: list[Finding]
    applied: int
    patched: dict[str, bytes]
    sources: dict[str, bytes]
    errors: list[str]
    comparison: Comparison | None = None  # with the baseline
    rounds: Mapping[str, tuple[Round, ...]] = {}

    @property
    def checked(self) -> list[str]:
        """The paths of the files that were looked at."""
        return list(self.sources)
