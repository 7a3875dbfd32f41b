"""The path by which a solver names its net."""

from __future__ import annotations

from collections.abc import Iterator

from ...net.job import Job
from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.files import NetReference


@rule("E121", "net-not-found", subject="job", severity="warning")
def net_not_found(job: Job) -> Iterator[Hit]:
    """The net that a solver names is not there.

    ## What it does

    A `net`, `train_net` or `test_net` that is found neither from the working directory, nor from the
    solver's folder or one above it up to the root of the repository, nor anywhere below that root by the
    last parts of its path.

    ## Why is this bad?

    Caffe stops: `File not found`. It resolves the path from the working directory alone. As long as the net
    is not found, it cannot be checked, and rules that judge the solver by its net keep silent.

    ## When it is reported

    The net is made by a script before the training starts.

    ## Example

    There is no fix: the path may be right on another machine.

    ## References

    io.cpp, ReadProtoFromTextFile.
    """
    for reference in job.references:
        if reference.how == "missing":
            yield Hit(
                job.solver.file,
                _span(job, reference),
                f"'{reference.written}' is not found",
                "It is not there from the working directory, the solver's folder or one above it in the"
                " repository, and no file elsewhere in the repository shares the end of its path.",
            )


@rule("E122", "ambiguous-net", subject="job", severity="warning")
def ambiguous_net(job: Job) -> Iterator[Hit]:
    """The net that a solver names is not there, but several files could be meant.

    ## What it does

    A path that leads nowhere, mostly one of another machine, where several files of the repository share the
    longest end of it.

    ## Why is this bad?

    Caffe stops: `File not found`. Which of the files is meant is not to be known, so none is checked with the
    solver.

    ## When it is reported

    The path is right on the machine that trains, and you check the solver on another one.

    ## Example

    There is no fix: write the path of the one that is meant, from the folder that `caffe` is run in.

    ## References

    io.cpp, ReadProtoFromTextFile.
    """
    for reference in job.references:
        if reference.how == "ambiguous":
            shown = ", ".join(reference.others[:5])
            more = f" and {len(reference.others) - 5} more" if len(reference.others) > 5 else ""
            yield Hit(
                job.solver.file,
                _span(job, reference),
                f"'{reference.written}' is not found, and {len(reference.others)} files could be meant",
                f"They are {shown}{more}. None of them is checked with this solver.",
            )


@rule("E123", "not-a-net", subject="job", severity="error")
def not_a_net(job: Job) -> Iterator[Hit]:
    """What a solver names as its net is a file, but no net.

    ## What it does

    A `net` that leads to a solver (the solver itself, most often), to a file without layers, or to one that
    is not text: a `.caffemodel`, for example.

    ## Why is this bad?

    Caffe stops: `Message type "caffe.NetParameter" has no field named "net"`. A net without layers is read
    and stops at the first iteration: `Check failed: end < layers_.size()`.

    ## When it is reported

    Never: Caffe does not start.

    ## Example

    There is no fix: name the file that holds the net.

    ## References

    Tried with the real Caffe. net.cpp, Net::ForwardFromTo.
    """
    nets = {file.path for file in job.files}
    for reference in job.references:
        if reference.path is not None and reference.path not in nets:
            yield Hit(job.solver.file, _span(job, reference), f"'{reference.path}' holds no net")


@rule("P101", "net-found-elsewhere", subject="job", severity="advice")
def net_found_elsewhere(job: Job) -> Iterator[Hit]:
    """The net that a solver names was found under another path.

    ## What it does

    A path that leads nowhere, where just one file of the repository shares the longest end of it. That file
    is checked as the solver's net. Many public solvers hold a path of the machine they were written on.

    ## Why is this bad?

    Here, Caffe would stop: `File not found`. There, it may be right.

    ## When it is reported

    The path is right on the machine that trains.

    ## Example

    And run `caffe` from the folder above. There is no fix: it depends on where `caffe` is run.

    ## References

    io.cpp, ReadProtoFromTextFile.
    """
    for reference in job.references:
        if reference.how == "elsewhere":
            yield Hit(
                job.solver.file,
                _span(job, reference),
                f"'{reference.written}' is not there; taken for it: {reference.path}",
            )


def _span(job: Job, reference: NetReference) -> tuple[int, int]:
    return job.solver.message.span(reference.field, reference.number)
