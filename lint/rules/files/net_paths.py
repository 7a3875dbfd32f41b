"""The paths by which solvers name their nets."""

from __future__ import annotations

from collections.abc import Iterator

from ...net.job import Job
from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.files import GIT_LFS_POINTER, NetReference, NotPrototxt
from ...source.foreign_text import has_placeholder


@rule("E121", "net-not-found", subject="job", severity="warning")
def net_not_found(job: Job) -> Iterator[Hit]:
    """Flags solvers whose net file does not exist.

    ## What it does

    Flags a `net`, `train_net` or `test_net` that is found neither in the working directory, nor in the solver's folder
    or a folder above it up to the root of the repository, nor by the end of its path anywhere in the repository.

    ## Why is this bad?

    Caffe stops: `File not found`. It resolves the path from the working directory only. A net that is not found cannot
    be checked, and rules that compare the solver with its net report nothing.

    ## When it is reported

    - **advice** if the path has a placeholder, such as `${EXP}` or `TRAIN_FILE`, which a script replaces;
    - **advice** if it is absolute and of another machine: this one has no `/home/someone` or `D:\\`;
    - **warning** otherwise.

    There is no fix, because the path may be right on another machine. Ignore it if a script writes the net before the
    training starts.

    ## References

    `ReadProtoFromTextFile` in io.cpp.
    """
    for reference in job.references:
        if reference.how == "missing" and has_placeholder(reference.written):
            message = f"net file '{reference.written}' has a placeholder, so the net is not checked"
            yield Hit(job.solver.file, _span(job, reference), message, severity="advice")
        elif reference.how == "missing":
            message = f"net file '{reference.written}' not found"
            if reference.is_of_another_machine:
                message += ": the path is of another machine"
            yield Hit(
                job.solver.file,
                _span(job, reference),
                message,
                "It was looked for in the working directory, in the solver's folder and those above it up to the root of the"
                " repository, and by the end of its path in the whole repository.",
                "advice" if reference.is_of_another_machine else "",
            )


@rule("E122", "ambiguous-net", subject="job", severity="warning")
def ambiguous_net(job: Job) -> Iterator[Hit]:
    """Flags solvers whose net file does not exist, if several files could be meant.

    ## What it does

    Flags a path that does not exist, often one of another machine, if several files of the repository match its end
    (file name and folders) equally well, and none of them is in the solver's folder.

    ## Why is this bad?

    Caffe stops: `File not found`. It is unknown which of the files is meant, so none of them is checked with the
    solver.

    ## When it is reported

    - **advice** if the path is absolute and of another machine: this one has no `/home/someone` or `D:\\`;
    - **warning** otherwise.

    There is no fix: write the path of the right file, relative to the folder in which you run `caffe`. Ignore it if the path is
    right on the machine that trains.

    ## References

    `ReadProtoFromTextFile` in io.cpp.
    """
    for reference in job.references:
        if reference.how == "ambiguous":
            shown = ", ".join(reference.others[:5])
            more = f" and {len(reference.others) - 5} more" if len(reference.others) > 5 else ""
            yield Hit(
                job.solver.file,
                _span(job, reference),
                f"net file '{reference.written}' not found; {len(reference.others)} files match the end of its path",
                f"None of them is checked with this solver: {shown}{more}.",
                "advice" if reference.is_of_another_machine else "",
            )


@rule("E123", "not-a-net", subject="job", severity="error")
def not_a_net(job: Job) -> Iterator[Hit]:
    """Flags solvers whose net file exists, but is not a net.

    ## What it does

    Flags a `net` that names a solver (usually the solver itself), a file without layers, an empty file, a file that
    is not in text format, such as a `.caffemodel`, UTF-16 or an HTML page, or a folder, a pipe or a broken link.

    ## Why is this bad?

    Caffe stops: `Message type "caffe.NetParameter" has no field named "net"`. It can read a net without layers, but
    stops at the first iteration: `Check failed: end < layers_.size()`.

    ## When it is reported

    - **warning** if it is a Git LFS pointer, no file, or may not be read: it may be there on the machine that trains;
    - **error** otherwise.

    If this run could not read the file, as for lack of permission, the check is not whole: the exit status is 2.

    There is no fix: name the file that contains the net.

    ## References

    `Net::ForwardFromTo` in net.cpp. Verified with the real Caffe.
    """
    nets = {file.path for file in job.files}
    for reference in job.references:
        if reference.path is not None and reference.path not in nets:
            what, reason, severity = "is not a net", "", ""
            error = job.unread.get(reference.path)
            if isinstance(error, NotPrototxt):
                what, reason = f"is {error.what}", f"It is {error.what}, {error.advice}."
                severity = "warning" if error.what == GIT_LFS_POINTER else ""
            elif error is not None:
                said = error.reason if error.number is None else f"the system says: {error.reason}"
                what, reason, severity = "cannot be read", f"{said[0].upper()}{said[1:]}.", "warning"
            yield Hit(job.solver.file, _span(job, reference), f"net file '{reference.path}' {what}", reason, severity)


@rule("P101", "net-found-elsewhere", subject="job", severity="advice")
def net_found_elsewhere(job: Job) -> Iterator[Hit]:
    """Flags solvers whose net file was found at another path.

    ## What it does

    Flags a path at which there is nothing, if the solver's folder has a file of that name, or else one file of the repository
    matches the end of the path (file name and folders) better than all others. That file is checked as the solver's net.
    Many public solvers contain a path of the machine on which they were written.

    ## Why is this bad?

    On this machine, Caffe would stop: `File not found`.

    ## When it is reported

    Reported as **advice**. There is no fix, because the right path depends on where `caffe` is run. Ignore it if the
    path is right on the machine that trains.

    If only the name of the file matches, or the end of a relative path does so in folders beside the solver's, as in another
    experiment, another net may be meant: the finding says so, and fixes that change the training are unsafe then.

    ## Example

    The path in the good example is right if you run `caffe` in the folder above `models`.

    ## References

    `ReadProtoFromTextFile` in io.cpp.
    """
    for reference in job.references:
        if reference.how == "elsewhere":
            yield Hit(
                job.solver.file,
                _span(job, reference),
                f"net file '{reference.written}' not found; using {reference.path} instead",
                "This is a guess by the end of the path: another net may be meant." if reference.is_guess else "",
            )


def _span(job: Job, reference: NetReference) -> tuple[int, int]:
    return job.solver.message.span(reference.field, reference.number)
