"""All that the page of `caffe-lint view` shows, as JSON: one check, and everything that it came to.

Layout version 1: see `ViewContent` and the types that it consists of.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from ...engine.diagnosis import judge
from ...engine.files_in_memory import Files
from ...engine.job_verdicts import is_refusal
from ...engine.opening import missing_nets
from ...engine.running import Kept, keeping
from ...engine.session import Session
from ...net.job import Job, NetInPhase
from ...rule.finding import Finding
from ...settings.settings import Settings
from ...solver.rate_course import course, differ_much, fault_of
from ...solver.schedule import learning_rate
from ...source.opener import Unreadable
from ...source.visible import visible
from ...training_log.evidence import Evidence
from ...training_log.runs import Run
from .. import lines_of, shown
from ..diff import patch_lines
from ..full import printable
from ..net_table import shapes_to_give
from ..repository import plain_text
from .drawn_net import NetContent, Range, net_content, rounded
from .drawn_run import MOST_VALUES, RunContent, run_content

if TYPE_CHECKING:
    from ...proto.binder import Message
    from ...stability.advice.prediction import Prediction, Size

VERSION = 1
MOST_RATES = 400  # points of the curve of the learning rate


class PlaceContent(TypedDict):
    """A place that belongs to a finding, and how."""

    path: str
    line: int
    message: str


class FindingContent(TypedDict):
    """A finding. `patch` has the lines of its fix, each with `added`, `removed`, `hunk` or nothing; `safe` is null without one."""

    code: str
    name: str
    severity: str
    confidence: str
    message: str
    reason: str
    path: str
    line: int
    column: int
    text: str
    related: list[PlaceContent]
    help: str
    safe: bool | None
    patch: list[list[str]]
    caused_by: str


class VerdictContent(TypedDict):
    """The verdict on a job in a sentence; `severity` is that of its most severe finding, empty if there is none."""

    path: str
    severity: str
    sentence: str


class ScheduleContent(TypedDict):
    """The learning rate over the run; a rate is null where it is unknown or unusable."""

    policy: str
    length: int
    stepwise: bool
    logarithmic: bool
    iterations: list[int]
    rates: list[float | None]
    faults: list[list[str | int]]


class PredictionContent(TypedDict):
    """What is predicted of iteration 0: the loss and the gradient norm, or why something cannot be told."""

    word: str
    cannot_tell: str
    loss: Range | None
    gradient_norm: Range | None
    assumed: list[str]


class ViewContent(TypedDict):
    """The page: a solver or a net, its verdicts and findings, the nets that are built from it, and the runs of logs."""

    version: int
    title: str
    verdicts: list[VerdictContent]
    findings: list[FindingContent]
    nets: list[NetContent]
    schedule: ScheduleContent | None
    prediction: PredictionContent | None
    runs: list[RunContent]
    notes: list[str]


def view_content(path: str | None, files: Files, session: Session, logs: Sequence[str] = ()) -> ViewContent:
    """What the page shows of a solver or a net, and of logs. Without a path, it is what the first log says of its net.

    Raises InputError for what cannot be read.
    """
    read = [(log, session.read_log(log)) for log in logs]
    strange = [log for log, runs in read if all(run.empty and not run.recognised for run in runs)]
    read = [(log, runs) for log, runs in read if log not in strange]
    if path is None and not read:
        raise Unreadable(strange[0], _NO_LOG)
    unused = [f"{log}: {_NO_LOG}" for log in strange]
    if path is None:
        return _of_logs(read, session.settings.of(logs[0]), unused)
    kept: list[Kept] = []
    checked = session.check((path,), files, keeping(kept))
    said = [*checked.errors, *checked.notes, *unused]
    if not kept:
        raise Unreadable(path, (said or ["neither a solver nor a net"])[0].removeprefix(f"{path}: "))
    return content_of(path, kept[0], session.settings.of(path), read, said)


def content_of(
    path: str, kept: Kept, settings: Settings, read: Sequence[tuple[str, list[Run]]] = (), notes: Sequence[str] = ()
) -> ViewContent:
    """What the page shows of a solver or a net of a unit that was checked; `read` are the runs of logs."""
    own, result = kept.files, kept.result
    job, nets = _nets(path, own)
    trained = job.train if job is not None else None
    with_solver = (
        [f"Judged with the solver {job.solver.file.path}."] if job is not None and job.solver.file.path != path else []
    )
    prediction = _prediction(job, any(map(is_refusal, result.findings)))
    findings = _in_order(result.findings)
    texts = {name: b"" if own.is_outside(name) else source for name, source in result.sources.items()}
    missing = [problem.message for problem in missing_nets(job)] if job is not None else []
    wanted = shapes_to_give(nets[0][1].net) if nets else ""
    shapes = [f"The files do not give the sizes shown as ?: give them with --input-shape {wanted}."] if wanted else []
    return {
        "version": VERSION,
        "title": visible(plain_text(path)),
        "verdicts": [
            {
                "path": visible(plain_text(each.path)),
                "severity": each.severity,
                "sentence": visible(plain_text(each.sentence)),
            }
            for each in result.verdicts
            if each.path == path or len(result.verdicts) == 1
        ],
        "findings": [_finding(each, texts) for each in findings],
        "nets": [
            net_content(
                built,
                title,
                _by_layer(built, findings),
                prediction if built is trained else None,
                quoted=not own.is_outside(built.file.path),
            )
            for title, built in nets
        ],
        "schedule": _schedule(job.solver.message) if job is not None else None,
        "prediction": _prediction_content(prediction) if prediction is not None else None,
        "runs": list(_runs(read, job, settings)),
        "notes": [visible(plain_text(note)) for note in (*notes, *with_solver, *missing, *shapes)],
    }


# -- the files ----------------------------------------------------------------------------------------------


def _nets(path: str, own: Files) -> tuple[Job | None, list[tuple[str, NetInPhase]]]:
    """The job of a solver, or of a net alone if a solver trains it, and the nets to draw with what they are called."""
    jobs = [job for kind, job in own.subjects if kind == "job"]
    if own.get(path).kind == "solver":
        job = next(job for job in jobs if job.solver.file.path == path)
        return job, [*_titled(job.nets), *([("deploy", job.deploy)] if job.deploy is not None else [])]
    alone = [net for kind, net in own.subjects if kind == "net" and net.file.path == path]
    return next((job for job in jobs if job.train in alone), None), list(_titled(alone))


def _titled(nets: Iterable[NetInPhase]) -> Iterator[tuple[str, NetInPhase]]:
    """Yield nets with what they are called: by phase, and by stages or number where there are several of one."""
    listed = list(nets)
    for place, built in enumerate(listed):
        same = [other for other in listed if other.phase == built.phase]
        stages = ", ".join(visible(stage) for stage in built.net.state.stages)
        which = stages or str(1 + sum(other.phase == built.phase for other in listed[:place]))
        yield f"{built.phase} {which}" if len(same) > 1 else built.phase, built


# -- findings -----------------------------------------------------------------------------------------------


def _in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Findings in the order in which people are told them."""
    from ..folding import groups  # with what judges jobs

    found = []
    for group in groups(findings):
        found += [group.first, *group.repeats, *group.effects]
    return found


def _finding(found: Finding, texts: Mapping[str, bytes]) -> FindingContent:
    finding = shown(found)
    fix = found.fix
    patch = patch_lines(texts[fix.path], fix.edits) if fix is not None and texts.get(fix.path) else ()
    place = finding.place
    lines = lines_of(texts.get(found.place.path, b""))
    text = ""
    if place.line <= len(lines.starts):
        start = lines.starts[place.line - 1]
        text = printable(lines.source[start : lines.end(start)].rstrip(b"\r").decode("utf-8", "replace").strip())
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity,
        "confidence": finding.confidence,
        "message": plain_text(finding.message),
        "reason": plain_text(finding.reason),
        "path": plain_text(place.path),
        "line": place.line,
        "column": place.column,
        "text": text[:_LONGEST_LINE],
        "related": [
            {"path": plain_text(other.path), "line": other.line, "message": plain_text(other.message)}
            for other in finding.related
        ],
        "help": plain_text(finding.fix.title) if finding.fix is not None else "",
        "safe": fix.safe if fix is not None else None,
        "patch": [[meaning, printable(plain_text(line[:_LONGEST_LINE]))] for meaning, line in patch],
        "caused_by": plain_text(finding.caused_by.sentence) if finding.caused_by is not None else "",
    }


_LONGEST_LINE = 1000


def _by_layer(built: NetInPhase, findings: Sequence[Finding]) -> dict[int, list[int]]:
    """The numbers of the findings in each layer of a net, by the index of the layer."""
    found: dict[int, list[int]] = {}
    own = [(number, finding.start) for number, finding in enumerate(findings) if finding.place.path == built.file.path]
    for layer in built.net.layers:
        node = layer.entry[1]
        inside = [number for number, start in own if node.start <= start < node.end]
        if inside:
            found[layer.index] = inside
    return found


# -- the solver ---------------------------------------------------------------------------------------------


def _prediction(job: Job | None, is_refused: bool) -> Prediction | None:
    """What is predicted of a job, if Caffe does not refuse it: the findings say that."""
    if job is None or job.train is None or is_refused:
        return None
    from ...stability.advice.prediction import prediction_of  # keeps the signal models out of a page without a solver

    return prediction_of(job)


def _prediction_content(found: Prediction) -> PredictionContent:
    def sized(size: Size | None) -> Range | None:
        return [rounded(value) for value in size] if size is not None else None

    return {
        "word": found.word,
        "cannot_tell": visible(plain_text(found.cannot_tell.sentence)) if found.cannot_tell is not None else "",
        "loss": sized(found.loss),
        "gradient_norm": sized(found.gradient_norm),
        "assumed": [visible(text) for text in (found.basis.assumed if found.basis is not None else ())],
    }


def _schedule(solver: Message) -> ScheduleContent | None:
    length = solver["max_iter"]
    found = course(solver, length) if length > 0 else None
    if found is None:
        return None
    places = {row.iteration for row in found.rows} | {length - 1}
    if not found.stepwise:
        places.update(part * (length - 1) // MOST_RATES for part in range(MOST_RATES))
    iterations = sorted(places)
    rates = [learning_rate(solver, iteration) for iteration in iterations]
    drawn = [None if rate is None or fault_of(rate) else float(f"{rate:.6g}") for rate in rates]
    return {
        "policy": found.policy.name,
        "length": length,
        "stepwise": found.stepwise,
        "logarithmic": differ_much([rate for rate in drawn if rate is not None]),
        "iterations": iterations,
        "rates": drawn,
        "faults": [[fault.kind, fault.first, fault.last] for fault in found.faults],
    }


# -- logs ---------------------------------------------------------------------------------------------------


def _runs(read: Sequence[tuple[str, list[Run]]], job: Job | None, settings: Settings) -> Iterator[RunContent]:
    number = sum(len(runs) for _, runs in read)
    titles = _titles([log for log, _ in read])
    for log, runs in read:
        judged = judge(runs, settings, job)
        for run in runs:
            comparison = judged.compared.get(run.number)
            note = comparison.sentence(log, job.solver.file.path) if comparison is not None and job is not None else ""
            is_same = comparison is not None and comparison.is_same
            yield run_content(
                log,
                titles[log],
                Evidence(run, job if is_same else None),
                judged.causes,
                note=note,
                several=len(runs) > 1,
                most_values=MOST_VALUES // max(1, number),
            )


def _titles(logs: Sequence[str]) -> dict[str, str]:
    """What logs are called: by the names of their files, where these differ."""
    names = [os.path.basename(log) for log in logs]
    whole = len(set(names)) < len(set(logs))
    return {log: visible(plain_text(log if whole else name)) for log, name in zip(logs, names, strict=True)}


_NO_LOG = "not a Caffe training log"


def _of_logs(read: Sequence[tuple[str, list[Run]]], settings: Settings, unused: list[str]) -> ViewContent:
    """The page of logs alone: with the net and the solver that Caffe printed at the start of the first run that has them."""
    evidence = [Evidence(run) for _, runs in read for run in runs]
    drawn = next((log for log in evidence if log.net_in_phase is not None), None)
    built = drawn.net_in_phase if drawn is not None else None
    solver = next((log.solver for log in evidence if log.solver is not None), None)
    notes = [] if built is not None else ["The log does not print its net: name the solver to see it drawn."]
    notes += [visible(plain_text(note)) for note in unused]
    return {
        "version": VERSION,
        "title": ", ".join(_titles([path for path, _ in read]).values()),
        "verdicts": [],
        "findings": [],
        "nets": [net_content(built, built.phase, {}, None, quoted=True)] if built is not None else [],
        "schedule": _schedule(solver) if solver is not None else None,
        "prediction": None,
        "runs": list(_runs(read, None, settings)),
        "notes": notes,
    }
