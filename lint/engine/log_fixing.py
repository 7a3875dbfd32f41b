"""Fixing what a log shows: the fixes of its most likely cause, in a solver and its nets, and where causes stand in these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..fixes.changes import Round
from ..fixes.edit import Fix
from ..net.job import Job
from ..proto.named_tuple import NamedTuple
from ..rule.finding import Related
from ..rule.suppressed import suppressing
from ..training_log.causes import Diagnosed
from ..training_log.evidence import Evidence
from ..training_log.log_repair import apply_fixes, bound_without_norms, fixes_for
from ..training_log.runs import Run
from .files_in_memory import Files, round_of

Verify = Callable[[Mapping[str, bytes], Mapping[str, Sequence[Round]]], tuple[dict[str, bytes], list[str]]]


class LogRepair(NamedTuple):
    """The fixes of the most likely cause, the texts after them, errors, and notes on fixes that are not made."""

    fixes: list[Fix]
    patched: dict[str, bytes]
    errors: list[str]
    notes: list[str]


def repair_of(
    runs: list[Run], causes: list[Diagnosed], job: Job, files: Files, verify: Verify, *, applies: bool, settles: bool
) -> LogRepair:
    """Return the fixes of the first cause, allowed in the files, and the texts after them if it `applies` them.

    If it `settles`, the texts may be written or shown: they are verified, and, where the job simulates, tried.
    """
    errors: list[str] = []
    notes: list[str] = []
    evidence = Evidence(next(run for run in runs if run.number == causes[0].run), job)
    fixes = fixes_for(evidence, causes, job)
    why = {file.path: files.why_not_fixed(file.path) for file in (job.solver.file, *job.files)}
    notes += (f"{path}: not fixed: {why[path]}" for path in dict.fromkeys(fix.path for fix in fixes if why[fix.path]))
    fixes = [fix for fix in fixes if not why[fix.path]]
    if settles and (sentence := bound_without_norms(evidence, causes, fixes)):
        notes.append(f"{job.solver.file.path}: {sentence}")
    if not fixes or not applies:
        return LogRepair(fixes, {}, errors, notes)
    new, not_applied = apply_fixes(fixes, {each.path: each for each in (job.solver.file, *job.files)})
    errors += not_applied
    patched = {path: each.source for path, each in new.items()}
    if patched and settles:
        if sentence := _failure_when_simulated(job, fixes, patched):
            notes.append(f"{job.solver.file.path}: not fixed: {sentence}")
            return LogRepair([], {}, errors, notes)
        patched, refused = verify(
            patched, {path: (round_of(files.get(path), each.changes),) for path, each in new.items()}
        )
        errors += refused
    return LogRepair(fixes, patched, errors, notes)


def _failure_when_simulated(job: Job, fixes: list[Fix], patched: dict[str, bytes]) -> str:
    """Return why a patch is of no use, as a sentence; empty if it is, or if nothing is to be simulated."""
    if job.simulate is None or not any(fix.stage.is_computed for fix in fixes):
        return ""
    from ..stability.advice.trying import failure_of_patch  # only with --simulate

    files = {file.path: file for file in (job.solver.file, *job.files)}
    changed = {path: files[path].with_source(source) for path, source in patched.items()}
    return failure_of_patch(job, job.with_files(changed))


# The field of the solver that a cause is about.
_FIELDS = {
    "learning-rate-too-high": "base_lr",
    "learning-rate-negative": "base_lr",
    "zero-learning-rate": "base_lr",
    "learning-rate-step": "gamma",
    "momentum-too-high": "momentum",
    "weight-decay-too-high": "weight_decay",
    "constant-clipping": "clip_gradients",
}


def is_suppressed(each: Diagnosed, job: Job) -> bool:
    """Whether a cause is suppressed at its place, or, if it has none, in the whole solver."""
    places = places_of(each, job) or [Related(job.solver.file, (0, 0), "")]
    return any(any(suppressing(there.file, each.code, there.span[0])) for there in places)


def places_of(each: Diagnosed, job: Job) -> list[Related]:
    """Return the places of a cause in the prototxts: the solver's field that it is about, and the layer that it names."""
    places = []
    solver = job.solver
    field = _FIELDS.get(each.cause.cause)
    if field is not None and field in solver.file.message:
        places.append(Related(solver.file, solver.file.message.span(field), f"{field} of the solver"))
    nets = [net for net in job.nets if each.code != "T105" or net.phase == "TEST"]
    for net in nets:
        layer = next((layer for layer in net.net.layers if layer.name == each.cause.layer), None)
        if layer is not None:
            path = {"loss-weight-too-high": "loss_weight", "loss-weight-negative": "loss_weight"}.get(
                each.cause.cause, ""
            )
            span = layer.message.span(path) if path and path in layer.message else layer.place()
            places.append(Related(net.file, span, f"layer '{layer.name}' ({layer.type})"))
            break
    return places
