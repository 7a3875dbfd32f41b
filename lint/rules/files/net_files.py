"""Family E, second half: nets that are not where a solver says, and old nets that Caffe cannot lift."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...net.job import Job, NetInPhase
from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.files import NetReference
from ...source.older_forms import older_form


@rule("E117", "mixed-layer-formats", subject="net", severity="error", fixes="unsafe")
def mixed_layer_formats(net: NetInPhase) -> Iterator[Hit]:
    """A net with both `layer` and `layers`.

    ## What it does

    Layers of today's form (`layer`, types in quotes) and of the V1 form (`layers`, types as names) in one
    file, mostly because layers were copied from another net.

    ## Why is this bad?

    Caffe stops: `Refusing to upgrade inconsistent NetParameter input; the definition includes both 'layer'
    and 'layers' fields.`

    ## When it is reported

    Never: Caffe does not read the file.

    ## Fix

    The fix writes all layers in today's form, in their order. It is unsafe, since Caffe has never read the file: the
    layers of one form may be left over.

    ## References

    upgrade_proto.cpp, UpgradeV1Net. Tried with the real Caffe.
    """
    for hit in _upgrade_problems(net, mixed=True, fatal=True):
        yield hit._replace(reason="Caffe stops: Refusing to upgrade inconsistent NetParameter input.", fix=_one_form(net))


@rule("E118", "upgrade-failure", subject="net", severity="error")
def upgrade_failure(net: NetInPhase) -> Iterator[Hit]:
    """An old net that Caffe cannot lift to today's form.

    ## What it does

    In V0 nets: types that there are not, and padding layers in front of something that has no `pad`. In
    nets with `input`: fewer shapes than inputs.

    ## Why is this bad?

    Caffe stops, or reads past the end of a list: with three `input_dim` the last dimension came out as 0,
    with an `input_shape` too few it crashed.

    ## When it is reported

    Never: Caffe does not build such a net, or crashes.

    ## Example

    There is no fix: only you know the number.

    ## References

    upgrade_proto.cpp: UpgradeV0PaddingLayers, UpgradeV0LayerParameter, UpgradeNetInput. The last two were
    tried with the real Caffe.
    """
    return _upgrade_problems(net, mixed=False, fatal=True)


@rule("E119", "upgrade-drops-field", subject="net", severity="warning")
def upgrade_drops_field(net: NetInPhase) -> Iterator[Hit]:
    """Something in an old net that Caffe drops when it lifts the net to today's form.

    ## What it does

    Fields of V0 layers that do not go with their type, fields of V0 nets that have no successor, `scale` of a
    window data layer, `input_dim` beside `input_shape` or more of them than are read, inputs without a shape.

    ## Why is this bad?

    Caffe goes on without it, for most of these without a word, so the net is not the one in the file.

    ## When it is reported

    What is dropped was written for another program than Caffe, and the net is right without it.

    ## Example

    There is no fix: only you know which of them is meant.

    ## References

    upgrade_proto.cpp: UpgradeV0LayerParameter, UpgradeNetDataTransformation, UpgradeNetInput.
    """
    return _upgrade_problems(net, mixed=False, fatal=False)


def _one_form(net: NetInPhase) -> Fix | None:
    """The fix that writes a net of both forms in today's, None for a net in a solver and where something hinders it."""
    from ...fixes.upgrade_text import layers_upgrade, obstacle  # keeps rarely needed repairs out of the start

    source = older_form(net.file) if net.file.kind == "net" else None
    return layers_upgrade(source) if source is not None and obstacle(source) is None else None


def _upgrade_problems(net: NetInPhase, *, mixed: bool, fatal: bool) -> Iterator[Hit]:
    for problem in net.net.upgraded.problems:
        if problem.fatal == fatal and (problem.kind == "mixed-layer-formats") == mixed:
            yield Hit(net.file, (problem.start, problem.end), problem.message)


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
