"""`caffe-lint log`: why a training failed, according to its log, and the fix."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from ..engine.configuring import settings_of_paths
from ..engine.diagnosis import comparisons, diagnose
from ..engine.files_in_memory import Files, files_of, nets_for, round_of
from ..engine.selection import codes_of_subject
from ..engine.writing import write_copies, write_patched
from ..net.job import Job, SolverFile
from ..report import FORMATS, Summary
from ..report.log_report import Report, render
from ..rule.finding import Related
from ..rule.suppressed import suppressing
from ..settings.in_force import CommandLine
from ..settings.settings import SEVERITIES, Settings
from ..source.errors import InputError, message_of
from ..source.places import Place, place_of
from ..source.write_roots import write_roots
from ..training_log import log_reader as reading
from ..training_log.causes import Diagnosed
from ..training_log.evidence import Evidence
from ..training_log.runs import Run
from ..training_log.same_training import Comparison
from .console import (
    EXIT_CLEAN,
    EXIT_FAILED,
    EXIT_FINDINGS,
    EXIT_STOPPED,
    UsageError,
    check_output_folder,
    complain,
    in_colour,
    print_bytes,
    show_diff,
    text_width,
    write_report,
)
from .from_options import read_schema
from .help_groups import GroupedCommand
from .option_types import (
    FILE,
    check_about,
    color_option,
    config_options,
    exit_zero_option,
    fail_on_option,
    ignore_option,
    joined,
    min_confidence_option,
    output_file_option,
    output_format_option,
    select_option,
    simulate_option,
)

if TYPE_CHECKING:
    from ..fixes.edit import Fix
    from ..training_log.following import Sign  # only with --follow


@click.command(
    cls=GroupedCommand, short_help="Find out from a training log what went wrong, where and why, and patch that."
)
@click.argument("path", type=FILE, metavar="LOG|-")
@click.option(
    "--solver",
    "solver_path",
    type=FILE,
    metavar="FILE",
    help="The solver of that training; findings then point into it and its nets.",
)
@click.option(
    "--follow",
    is_flag=True,
    help="Follow a running training: pass its log through and warn at the first sign of divergence.",
)
@click.option(
    "--stop-on", type=click.Choice(["divergence"]), help="With --follow: exit with status 3 when that happens."
)
@click.option("--fix", is_flag=True, help="Fix the most likely cause in the solver and its nets (needs --solver).")
@click.option("--diff", is_flag=True, help="Show that patch; write nothing.")
@click.option(
    "--output-dir", type=FILE, metavar="DIR", help="With --fix: write the patched files there and keep the originals."
)
@select_option
@ignore_option
@min_confidence_option
@output_format_option(FORMATS, "full")
@output_file_option
@color_option
@click.option(
    "--csv", type=FILE, metavar="FILE", help="Export the iterations as CSV, and debug_info next to it (FILE.debug.csv)."
)
@click.option("--json", type=FILE, metavar="FILE", help="Export them as JSON.")
@click.option("--parquet", type=FILE, metavar="FILE", help="Export them as Parquet (needs pyarrow).")
@fail_on_option
@exit_zero_option
@simulate_option
@config_options
def log(path: str, solver_path: str | None, fix: bool, diff: bool, **options: Any) -> int:
    """Read a log of Caffe and say where the training went wrong, why, and what to change.

    LOG is a file, which may be gzipped, or - for standard input. Rules of family T are applied.

    Exit status: 0 no problem found, 1 causes found,
    2 the log could not be read, 3 stopped by --stop-on.
    """
    if (fix or diff) and not solver_path:
        raise UsageError("--fix and --diff need --solver, the file to patch")
    if fix and diff:
        raise UsageError("--fix and --diff cannot be combined: --fix writes the patch, --diff shows it")
    if options["output_dir"] and not fix:
        raise UsageError("--output-dir needs --fix")
    check_output_folder(options["output_dir"])
    if options["stop_on"] and not options["follow"]:
        raise UsageError("--stop-on needs --follow")
    settings = _settings(solver_path or ("." if path == "-" else path), options)
    options["fail_on"] = settings.fail_on
    exports = [(form, options[form]) for form in ("csv", "json", "parquet") if options[form]]
    if path == "-" and exports:
        raise UsageError("exports read the log twice: pass a file instead of standard input")
    job, files = _job(solver_path, settings) if solver_path else (None, None)
    stopped: list[Sign] = []
    try:
        runs = _follow(path, options["stop_on"], stopped) if options["follow"] else reading.read_log(path)
        for form, target in exports:
            _export(path, target, form)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise InputError(message_of(error, path)) from None
    compared = comparisons(runs, job) if job is not None else {}
    others = [number for number, comparison in compared.items() if not comparison.is_same]
    found = diagnose(runs, job, codes=codes_of_subject(settings, "log"), options=settings.options, others=others)
    if not found and not any(run.recognised for run in runs):
        complain(f"{path}: not a Caffe training log (for a single number: caffe-lint explain --symptom TEXT)")
        return EXIT_FAILED
    found = [each._replace(severity=settings.severities.get(each.code, each.severity)) for each in found]
    found = [each for each in found if each.is_sure(settings.min_confidence)]
    number = found[0].run if found else max(compared, default=0)
    comparison = compared.get(number)
    errors = []
    if job is not None and comparison is not None:
        errors = _differences(path, comparison, job, fixing=fix or diff)
        if comparison.other:
            job = None
        else:
            found = [each for each in found if not _suppressed(each, job)]
    is_same = comparison is None or comparison.is_same
    status = _report(
        path, runs, found, job, files, errors, fix=fix and is_same, diff=diff, is_same=is_same, options=options
    )
    return EXIT_STOPPED if stopped and options["stop_on"] else status


def _settings(path: str, options: dict[str, Any]) -> Settings:
    check_about(options["select"], "log", "logs")
    asked = CommandLine(
        config=options["config"],
        isolated=options["isolated"],
        select=joined(options["select"]),
        ignore=joined(options["ignore"]),
        fail_on=options["fail_on"],
        min_confidence=options["min_confidence"],
        simulate=options["simulate"],
    )
    return settings_of_paths(asked, read_schema(None)).of(path)


def _job(path: str, settings: Settings) -> tuple[Job, Files]:
    files = files_of(settings, read_schema(None))
    files.roots = write_roots([path])
    file = files.get(path)
    if file.kind != "solver":
        why = f"a template: {file.why_not_fixed}" if file.kind == "template" else "not a solver"
        raise InputError(f"{path}: {why}")
    return nets_for(files, settings).job(SolverFile(file, settings.caffe_version), None), files


def _follow(path: str, stop_on: str | None, stopped: list[Sign]) -> list[Run]:
    from ..training_log.following import follow  # only with --follow

    def report(sign: Sign) -> None:
        word = "diverged" if sign.diverged else "warning"
        if sys.stderr.isatty():  # over the line of progress
            sys.stderr.write("\r\x1b[K")
        complain(f"{word}: {sign.text}")
        if sign.diverged:
            stopped.append(sign)

    return follow(path, report, pass_on=print_bytes if path == "-" else None, stop=lambda: bool(stopped and stop_on))


def _export(path: str, target: str, form: str) -> None:
    from ..report.log_tables import export  # only with an export

    written = export(path, target, form)
    complain(f"written: {', '.join(written)}")


def _report(
    path: str,
    runs: list[Run],
    found: list[Diagnosed],
    job: Job | None,
    files: Files | None,
    errors: list[str],
    *,
    fix: bool,
    diff: bool,
    is_same: bool,
    options: dict[str, Any],
) -> int:
    # Keeps fixes, which are rarely needed, out of the start.
    from ..training_log.log_repair import apply_fixes, bound_without_norms, fixes_for, next_step
    from ..training_log.remarks import normal, unjudged  # for reports only

    fixes: list[Fix] = []
    if found and job is not None and files is not None and is_same:
        run = next(run for run in runs if run.number == found[0].run)
        fixes = _allowed(fixes_for(Evidence(run, job), found, job), job, files)
        if (fix or diff) and (sentence := bound_without_norms(Evidence(run, job), found, fixes)):
            complain(f"{job.solver.file.path}: {sentence}")
    patched: dict[str, bytes] = {}
    if fixes and job is not None and files is not None and (fix or diff or options["follow"]):
        new, not_applied = apply_fixes(fixes, {each.path: each for each in (job.solver.file, *job.files)})
        errors += not_applied
        patched = {path: each.source for path, each in new.items()}
        if patched and (fix or diff) and (sentence := _failure_when_simulated(job, fixes, patched)):
            complain(f"{job.solver.file.path}: not fixed: {sentence}")
            fixes, new, patched = [], {}, {}
        if new and (fix or diff):
            from ..fixes.bindings import verified  # protobuf, for what is written or shown

            rounds = {path: (round_of(files.get(path), each.changes),) for path, each in new.items()}
            patched, refused = verified(patched, rounds, files.schema)
            errors += refused
    if fix and files is not None and patched:
        folder, roots = options["output_dir"], files.roots or ()
        written = write_copies(patched, folder) if folder else write_patched(patched, files.sources, roots)
        errors += written.failures
        for sentence in written.losses:
            complain(sentence)
    following = options["follow"]
    colour = in_colour(options["color"], to_stderr=following) and not options["output_file"]
    places: dict[int, tuple[Place, ...]] = {}
    if job is not None:
        places = {number: tuple(place_of(*there) for there in _places(each, job)) for number, each in enumerate(found)}
    report = Report(
        path,
        runs,
        found,
        places,
        [f"{each.title} in {each.path}" for each in fixes],
        fix and not errors,
        next_step(found),
        [
            seen
            for run in runs[-1:]
            for seen in normal(Evidence(run), [each for each in found if each.run == run.number])
        ],
        "" if found else unjudged(runs, is_sure=not options["select"] and not options["ignore"]),
        Summary(
            {path: b"", **(files.quoted() if files is not None else {})},
            errors=tuple(errors),
            width=None if options["output_file"] else text_width(to_stderr=following),
            fail_on=dict.fromkeys([path, *(files.sources if files is not None else ())], options["fail_on"]),
        ),
    )
    if not diff:
        write_report(
            render(options["output_format"], report, colour=colour),
            options["output_file"],
            to_stderr=following,
            has_commands=options["output_format"] == "github",
        )
    if files is not None and patched and not fix:
        for sentence in show_diff(patched, files.sources, colour=colour, to_stderr=following):
            complain(sentence)
    for sentence in errors:
        complain(sentence)
    if errors:
        return EXIT_FAILED
    failed = any(SEVERITIES.index(each.severity) >= SEVERITIES.index(options["fail_on"]) for each in found)
    return EXIT_FINDINGS if failed and not options["exit_zero"] else EXIT_CLEAN


def _differences(path: str, comparison: Comparison, job: Job, *, fixing: bool) -> list[str]:
    """The sentence on a log that is not of this solver, an error if something was to be changed; otherwise it is printed.

    If something is to be changed, also says what could not be compared.
    """
    solver = job.solver.file.path
    sentence = comparison.sentence(path, solver)
    if sentence and fixing:
        return [f"{sentence}. Nothing was changed"]
    if sentence:
        complain(sentence)
    elif fixing and comparison.unknown:
        complain(
            f"{path} does not print its {' and '.join(comparison.unknown)}, so it may be of another training than {solver}"
        )
    return []


def _failure_when_simulated(job: Job, fixes: list[Fix], patched: dict[str, bytes]) -> str:
    """Why a patch is of no use, as a sentence; empty if it is, or if nothing is to be simulated."""
    if job.simulate is None or not any(fix.stage.is_computed for fix in fixes):
        return ""
    from ..stability.advice.trying import failure_of_patch  # only with --simulate

    files = {file.path: file for file in (job.solver.file, *job.files)}
    changed = {path: files[path].with_source(source) for path, source in patched.items()}
    return failure_of_patch(job, job.with_files(changed))


def _allowed(fixes: list[Fix], job: Job, files: Files) -> list[Fix]:
    """The fixes of files in which something may be changed. The others are named, with the reason."""
    why = {file.path: files.why_not_fixed(file.path) for file in (job.solver.file, *job.files)}
    for path in dict.fromkeys(fix.path for fix in fixes if why[fix.path]):
        complain(f"{path}: not fixed: {why[path]}")
    return [fix for fix in fixes if not why[fix.path]]


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


def _suppressed(each: Diagnosed, job: Job) -> bool:
    """Whether a cause is suppressed at its place, or, if it has none, in the whole solver."""
    places = _places(each, job) or [Related(job.solver.file, (0, 0), "")]
    return any(any(suppressing(there.file, each.code, there.span[0])) for there in places)


def _places(each: Diagnosed, job: Job) -> list[Related]:
    """The places of a cause in the prototxts: the solver's field that it is about, and the layer that it names."""
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
