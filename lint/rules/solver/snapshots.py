"""Whether and where a training saves snapshots."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ...fixes.fields import set_field
from ...net.job import SolverFile
from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.written import is_absent, is_whole, place_beside


@rule("S110", "missing-snapshot-prefix", subject="solver", severity="advice", fixes="safe")
def missing_snapshot_prefix(solver: SolverFile) -> Iterator[Hit]:
    """The solver writes snapshots but has no `snapshot_prefix`.

    ## What it does

    No `snapshot_prefix`, where `snapshot` is above 0 or `snapshot_after_train` is left on. An error if
    `--caffe-version` names a release: all of them, up to 1.0, stop.

    ## Why is this bad?

    Caffe's master makes the prefix from the solver's file name since 2018-02. Before that, it stops: at the
    start with `snapshot`, and without it at the end of the whole training, whose weights are lost.

    ## When it is reported

    The training is not to be kept, or your Caffe is one from 2018-02 on, which takes the solver's own name.

    ## Fix

    The fix writes what Caffe's master takes: the path of the solver, as it was given here, without its extension. It
    is safe: a Caffe that takes none is told the same as one that makes it up.

    ## References

    upgrade_proto.cpp, UpgradeSnapshotPrefixProperty; solver.cpp, Solver::CheckSnapshotWritePermissions.
    """
    message = solver.message
    if not is_absent(message, "snapshot_prefix") or not (
        message["snapshot"] > 0 or message["snapshot_after_train"]
    ):
        return
    severity = "advice" if solver.caffe_version is None else "error"
    when = (
        "at the start"
        if message["snapshot"] > 0
        else "at the end of the training, before it saves the weights"
    )
    reason = f"Caffe before 2018-02, which is every release, stops {when}."
    prefix = _own_prefix(solver.file.path)
    fix = None
    if prefix:
        patch = set_field(solver.file.tree, message, "snapshot_prefix", prefix, beside=("snapshot",))
        fix = patch.fix(solver.file.path, f'write snapshot_prefix: "{prefix}"')
    place = place_beside(message, "snapshot")
    yield Hit(solver.file, place, "the solver has no snapshot_prefix", reason, severity, fix=fix)


def _own_prefix(path: str) -> str:
    """The prefix that Caffe makes of a solver's path; of an absolute one its last part.

    Empty for standard input, and for a name that is no UTF-8, which a text file cannot hold as it is.
    """
    if os.path.isabs(path):
        path = os.path.basename(path)
    is_text = path.isascii() or not any("\ud800" <= character <= "\udfff" for character in path)
    return os.path.splitext(path)[0] if path != "-" and is_text else ""


@rule("S141", "missing-snapshots", subject="solver", severity="advice", fixes="unsafe")
def missing_snapshots(solver: SolverFile) -> Iterator[Hit]:
    """What is learnt is not saved, or only at the very end.

    ## What it does

    - `snapshot_after_train: false` with a `snapshot` that is 0, missing, or larger than `max_iter`: nothing is saved,
    - a `snapshot` larger than `max_iter`: it is never reached, and the end alone is saved.

    ## Why is this bad?

    In the first case the training runs to its end and is lost. In the second it is lost if it breaks before the end.

    ## When it is reported

    A script runs the solver and saves the weights itself.

    ## Fix

    The fix lets Caffe save the end. It is unsafe: somebody has written `false`. A smaller `snapshot` saves more, and is
    yours to choose.

    ## References

    solver.cpp, Solver::Step and Solver::Solve.
    """
    message = solver.message
    every, length = message["snapshot"], message["max_iter"]
    if length <= 0 or every < 0 or not is_whole(message, "snapshot"):
        return
    if not message["snapshot_after_train"] and (every == 0 or every > length):
        why = f"snapshot is {every:,} and max_iter {length:,}" if every else "no snapshot is asked for"
        patch = set_field(solver.file.tree, solver.file.message, "snapshot_after_train", True)
        yield Hit(
            solver.file,
            message.span("snapshot_after_train"),
            f"nothing is saved: {why}, and snapshot_after_train is false",
            "Caffe trains to the end and drops all that it has learnt.",
            fix=patch.fix(solver.file.path, "write snapshot_after_train: true", safe=False),
        )
    elif every > length:
        yield Hit(
            solver.file,
            message.span("snapshot"),
            f"snapshot is {every:,}, but the training ends at max_iter {length:,}",
            "Only the end is saved: what breaks before is lost.",
            "advice",
        )
