"""The verdict on a job, a solver with its nets or a net alone, in one line: what will become of it, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple
from ..rule.finding import Cause, Finding
from ..settings.settings import CONFIDENCES, SEVERITIES
from ..source.wording import counted
from ..stability.computed import known_stability, simulated_alone

if TYPE_CHECKING:
    from ..net.job import Job

# The errors in solvers at which Caffe stops with a message; the others ruin the training.
REFUSED_SOLVERS = frozenset("S101 S102 S103 S104 S108 S111 S121 S123 S131 S132 S134 S137".split())
_HOW_SURELY = {"high": "will", "medium": "will probably", "low": "may"}


class JobVerdict(NamedTuple):
    """The verdict on a job: the path of its solver, or of the net alone, and what is said of it.

    `severity` is that of the most severe finding on its files, empty if there is none.
    """

    path: str
    severity: str
    sentence: str


def verdict_on(
    path: str, paths: Sequence[str], findings: Sequence[Finding], job: Job | None, recorded: Sequence[Finding] = ()
) -> JobVerdict:
    """The verdict on a job with files at some paths, or on a net that has no job, from the findings of its unit.

    `recorded` are findings that are not reported because a baseline has them.
    """
    own = [finding for finding in findings if finding.place.path in paths]
    severity = max((finding.severity for finding in own), key=SEVERITIES.index, default="")
    known = [finding for finding in recorded if finding.place.path in paths and finding.severity != "advice"]
    return JobVerdict(path, severity, _sentence(path, own, job, known))


def importance(finding: Finding) -> tuple[int, int]:
    """What findings are sorted by for people: the most severe first, and of these the most certain."""
    return -SEVERITIES.index(finding.severity), -CONFIDENCES.index(finding.confidence)


def is_refusal(finding: Finding) -> bool:
    """Whether a finding is an error at which Caffe stops with a message before it trains."""
    return finding.severity == "error" and (finding.code.startswith("E") or finding.code in REFUSED_SOLVERS)


def counts(finding: Finding) -> bool:
    """Whether a finding is a problem by its own severity: what is explained by another may be as uncertain as that."""
    return finding.caused_by is None or finding.confidence == "high"


def roots(findings: Iterable[Finding]) -> Callable[[Finding], Finding]:
    """Return what gives the finding that explains another in the end, among some findings; itself if none does."""
    by_cause: dict[Cause, Finding] = {}
    for finding in findings:
        by_cause.setdefault(finding.as_cause, finding)

    def root_of(finding: Finding) -> Finding:
        while finding.caused_by is not None and finding.caused_by in by_cause:
            finding = by_cause[finding.caused_by]
        return finding

    return root_of


def _sentence(path: str, findings: Sequence[Finding], job: Job | None, recorded: Sequence[Finding]) -> str:
    root_of = roots(findings)
    serious = sorted((finding for finding in findings if counts(finding)), key=importance)
    errors = [finding for finding in serious if finding.severity == "error"]
    if errors:
        others = len({root_of(finding).as_cause for finding in errors}) - 1
        more = f" (and {counted(others, 'other error')})" if others else ""
        is_solver = job is not None and errors[0].place.path == path
        return f"{_failure(errors[0], is_solver=is_solver)}: {root_of(errors[0]).message}{more}"
    known = known_stability(job) if job is not None else None
    about = ""
    alone = simulated_alone(job) if job is not None and isinstance(known, tuple) else None
    if alone is not None and alone.diverging:
        return f"{alone.fate} (medium confidence): {alone.course}"
    if alone is not None:
        about = "; unlikely to diverge"
    elif isinstance(known, tuple):
        about = f"; stability unknown: {known.reason}"
    elif job is not None and known is not None:
        from ..stability.advice.headline import headline  # keeps it out of checks in which no training is judged

        told = headline(job, known)
        if told.cause:
            on_stability = [finding for finding in findings if _is_on_stability(finding)]
            structural = [root for root in map(root_of, on_stability) if not _is_on_stability(root)]
            cause, remedy = told.cause, _remedy(on_stability)
            if structural:
                cause, remedy = structural[0].message, _remedy(structural[:1])
            return f"{told.fate} ({told.confidence} confidence): {cause}{remedy}"
        about = f"; {told.fate}" if told.fate else ""
    problems = [finding for finding in serious if finding.severity == "warning"]
    if not problems and recorded:
        return f"no problem found but {counted(len(recorded), 'known one')} in the baseline"
    if not problems:
        return f"no problem found{about}"
    number = len({root_of(finding).as_cause for finding in problems})
    found = "1 problem found" if number == 1 else f"{number} problems found, first"
    return f"{found}: {root_of(problems[0]).message}{about}"


def _failure(finding: Finding, *, is_solver: bool) -> str:
    """What an error leads to."""
    surely = _HOW_SURELY[finding.confidence]
    if is_refusal(finding):
        return f"Caffe {surely} refuse this {'solver' if is_solver else 'net'}"
    if finding.code == "N101":
        return f"Caffe {surely} crash or hang without a message"
    return f"training {surely} fail"


def _is_on_stability(finding: Finding) -> bool:
    return finding.code.startswith("G")


def _remedy(findings: Sequence[Finding]) -> str:
    """By which options the findings on a training that diverges or stalls can be fixed, as a clause; empty if by none."""
    fixes = [finding.fix for finding in findings if finding.fix is not None]
    if any(fix.safe for fix in fixes):
        return "; --fix mends it"
    return "; --fix --unsafe-fixes may mend it" if fixes else ""
