"""Whether and where a training saves snapshots."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ...fixes.fields import set_field
from ...net.job import Job, SolverFile
from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.caffe_versions import is_before
from ...source.written import is_absent, is_whole, place_beside


@rule("S110", "missing-snapshot-prefix", subject="job", severity="advice", fixes="safe")
def missing_snapshot_prefix(job: Job) -> Iterator[Hit]:
    """Flags solvers that write snapshots but do not set `snapshot_prefix`.

    ## What it does

    Flags a missing `snapshot_prefix` if `snapshot` is set or `snapshot_after_train` is not switched off.

    ## Why is this bad?

    If `snapshot` is set, Caffe 1.0-rc3 to 1.0 stop at the start: `In solver params, snapshot is specified but snapshot_prefix
    is not`. Without `snapshot`, and before 1.0-rc3, they save the weights as `_iter_N.caffemodel` in the folder in which Caffe is
    run, whatever the solver is called. Since February 2018, Caffe's master derives the prefix from the solver's file name.

    ## When it is reported

    - **error** if `snapshot` is set and `--caffe-version` names a release that stops;
    - **advice** otherwise.

    Ignore it if you do not need the trained weights, or if your Caffe is from February 2018 or later.

    ## Fix

    Inserts the prefix that Caffe's master uses: the path of the solver without its extension, relative to the folder in which
    Caffe is run. That is the folder from which the solver's `net` is found: its own, or one above it in the repository. If
    there is none or more than one, no fix is offered. The fix is safe, since it only names the files.

    ## References

    `UpgradeSnapshotPrefixProperty` in upgrade_proto.cpp; `Solver::CheckSnapshotWritePermissions` in solver.cpp.
    """
    solver = job.solver
    message = solver.message
    if not is_absent(message, "snapshot_prefix") or not (message["snapshot"] or message["snapshot_after_train"]):
        return
    version = solver.caffe_version
    stops = message["snapshot"] and (version is None or not is_before(version, "1.0-rc3"))
    severity = "error" if stops and version is not None else "advice"
    if stops:
        reason = "Caffe 1.0-rc3 to 1.0, and its master before February 2018, stop at the start."
    else:
        saved = f"_iter_{message['max_iter']}.caffemodel"
        reason = f"Releases of Caffe, and its master before February 2018, save weights as {saved} in the folder of the run."
    prefix = _own_prefix(solver.file.path, job.run_folder)
    fix = None
    if prefix:
        patch = set_field(solver.file.tree, message, "snapshot_prefix", prefix, beside=("snapshot",))
        fix = patch.fix(solver.file.path, f'insert snapshot_prefix: "{prefix}"')
    place = place_beside(message, "snapshot")
    yield Hit(solver.file, place, "the solver has no snapshot_prefix", reason, severity, fix=fix)


def _own_prefix(path: str, folder: str | None) -> str:
    """Return the prefix that Caffe derives from a solver's path if it is run in a folder.

    Empty if the folder is unknown, for standard input, and for a name that is not valid UTF-8, which a text file cannot hold
    unchanged.
    """
    is_text = path.isascii() or not any("\ud800" <= character <= "\udfff" for character in path)
    if folder is None or path == "-" or not is_text:
        return ""
    return os.path.splitext(os.path.relpath(os.path.abspath(path), folder))[0].replace(os.sep, "/")


@rule("S141", "missing-snapshots", subject="solver", severity="advice", fixes="unsafe")
def missing_snapshots(solver: SolverFile) -> Iterator[Hit]:
    """Flags solvers that save no weights, whose `snapshot` is never reached, or that is negative.

    ## What it does

    - Flags `snapshot_after_train: false` with a `snapshot` that is missing, 0 or larger than `max_iter`: nothing is
      saved.
    - Flags a `snapshot` larger than `max_iter`: it is never reached, and only the final weights are saved.
    - Flags a negative `snapshot`, which does not switch snapshots off: -1 saves one in every iteration.

    ## Why is this bad?

    In the first case, the training runs to its end and its result is lost. In the second, everything is lost if the
    training stops early. In the third, the disk fills up: Caffe saves where `snapshot` divides the iteration, whatever its sign.

    ## When it is reported

    Reported as **advice**, a negative `snapshot` as a **warning**. Ignore it if a script runs the solver and saves the weights itself.

    ## Fix

    In the first case, sets `snapshot_after_train` to true. It is unsafe, since somebody wrote `false` on purpose. Sets a negative
    `snapshot` to 0, which is unsafe, too: somebody may mean the number without its sign.
    Choose a smaller `snapshot` to save more often.

    ## References

    `Solver::Step` and `Solver::Solve` in solver.cpp.
    """
    message = solver.message
    every, length = message["snapshot"], message["max_iter"]
    if length <= 0 or not is_whole(message, "snapshot"):
        return
    if every < 0:
        saved = "every iteration" if every == -1 else f"every {-every:,} iterations"
        fix = set_field(solver.file.tree, message, "snapshot", 0).fix(solver.file.path, "set snapshot to 0", safe=False)
        what = f"snapshot {every} does not switch snapshots off: one is saved {'in ' if every == -1 else ''}{saved}"
        yield Hit(solver.file, message.span("snapshot"), what, "Caffe saves none only if it is 0.", "warning", fix=fix)
        return
    if not message["snapshot_after_train"] and (every == 0 or every > length):
        why = f"snapshot {every:,} exceeds max_iter {length:,}" if every else "snapshot is 0"
        patch = set_field(solver.file.tree, solver.file.message, "snapshot_after_train", True)
        yield Hit(
            solver.file,
            message.span("snapshot_after_train"),
            f"no weights are saved: {why} and snapshot_after_train is false",
            "Caffe trains to the end and discards the weights.",
            fix=patch.fix(solver.file.path, "set snapshot_after_train to true", safe=False),
        )
    elif every > length:
        yield Hit(
            solver.file,
            message.span("snapshot"),
            f"snapshot {every:,} exceeds max_iter {length:,}",
            "Only the final weights are saved: if the training stops early, everything is lost.",
            "advice",
        )
