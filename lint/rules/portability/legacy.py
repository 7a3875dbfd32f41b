"""Older formats, which Caffe upgrades to the current format each time it reads a file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from ...rule.finding import Hit, Related
from ...rule.registry import rule
from ...source.files import SourceFile
from ...source.older_forms import older_form

if TYPE_CHECKING:
    from ...fixes.edit import Fix
    from ...fixes.upgrade_text import Source  # keeps rarely needed repairs out of the start
    from ...proto.tree import Field

# The rules that `--upgrade` selects.
UPGRADES = ("P201", "P202", "P203", "P204", "P205")

_UPGRADED = "Caffe upgrades it to the current format each time it reads the file, so it works as it is."


@rule("P201", "old-layer-format", subject="file", severity="advice", fixes="safe, unsafe", default=False, by_name=True)
def old_layer_format(file: SourceFile) -> Iterator[Hit]:
    """Flags layers in one of the two older formats: `layers` with types in capitals, or nested `layer`.

    ## What it does

    Flags nets in the V1 format (`layers`, `type: CONVOLUTION`, `blobs_lr`) and in the older V0 format (`layers {
    layer { … } }`, `type: "conv"`, layers of type `padding`). One finding per net.

    ## Why is this bad?

    Such a net works: Caffe upgrades it whenever it reads the file, and prints a notice. But newer fields and layer
    types, such as `BatchNorm`, cannot be written into it, Caffe rejects a file with both `layer` and `layers`, and
    other programs that read prototxt files often know only the current format.

    ## When it is reported

    Reported as **advice**, only if this rule is selected by its code or name, or by `--upgrade`. Ignore it if the
    file has to work with a Caffe that knows only the older format.

    ## Fix

    Writes what Caffe's upgrade produces in memory, all steps at once, since they build on each other: V0 layers,
    padding layers (merged into the layer after them), data transforms (P203), inputs (P202), BatchNorm (P204). Unlike
    Caffe's own tool, `upgrade_net_proto_text`, it keeps each comment next to what it describes, and every byte that
    needs no upgrade. Fields that Caffe's upgrade drops, because nothing reads them, are removed; the finding lists
    them.

    It is unsafe if Caffe rejects the file as it is (`layer` and `layers` in one file are merged in their order), and
    if the name of a fork's layer type is guessed from the value in capitals. No fix is offered if the meaning cannot
    be kept: a type that no known Caffe has, syntax errors, a V0 or V1 field without a current counterpart. The
    finding says which.

    ## References

    UpgradeV0Net, UpgradeV0PaddingLayers, UpgradeV0LayerParameter, UpgradeV1Net and UpgradeV1LayerParameter in
    src/caffe/util/upgrade_proto.cpp. `benchmarks/upgrade_corpus.py` prints how often the formats occur, and compares
    the fix with the upgrade in memory and with the output of Caffe's own tool.
    """
    source = older_form(file)
    if source is None or "layers" not in source.message.entries:
        return
    layers = source.message.entries["layers"]
    form = "V0 format (`layers { layer { … } }`)" if "v0" in source.upgraded.steps else "V1 format (`layers`)"
    number = f"{len(layers)} layers use" if len(layers) > 1 else "1 layer uses"
    yield _hit(file, source, layers[0][2], f"{number} the {form}")


@rule("P202", "net-level-input", subject="file", severity="advice", fixes="safe, unsafe", default=False, by_name=True)
def net_level_input(file: SourceFile) -> Iterator[Hit]:
    """Flags net inputs that are declared by fields of the net instead of an Input layer.

    ## What it does

    Flags `input` with `input_shape` or `input_dim` at the top level of a net. One finding per net.

    ## Why is this bad?

    Such a net works: Caffe inserts an Input layer whenever it reads the file. But `input_dim` takes exactly four
    numbers for each input, and Caffe reads past the end of the list if there are fewer.

    ## When it is reported

    Reported as **advice**, only if this rule is selected by its code or name, or by `--upgrade`. Ignore it if the
    file has to work with a Caffe that has no Input layer, or with a program that edits `input_dim` in the text.

    ## Fix

    Inserts one layer with all inputs, called "input", before all other layers, as Caffe does. This is safe. If both
    `input_shape` and `input_dim` are written, the latter is removed, since Caffe does not read it. A shape with
    comments gets lines of its own. In a net with V1 layers, the fix is that of P201, and safe or unsafe as that is.
    No fix is offered for an input without a shape, unless a layer produces that blob as well.

    ## References

    UpgradeNetInput in src/caffe/util/upgrade_proto.cpp.
    """
    source = older_form(file)
    if source is None or "inputs" not in source.upgraded.steps:
        return
    inputs = source.message.entries["input"]
    subject = f"{len(inputs)} inputs are" if len(inputs) > 1 else f"input '{inputs[0][0]}' is"
    yield _hit(file, source, inputs[0][2], f"{subject} declared by fields of the net", "inputs")


@rule(
    "P203", "old-data-transform", subject="file", severity="advice", fixes="safe, unsafe", default=False, by_name=True
)
def old_data_transform(file: SourceFile) -> Iterator[Hit]:
    """Flags V1 data layers with `scale`, `mean_file`, `crop_size` or `mirror` outside `transform_param`.

    ## What it does

    Flags these four fields in `data_param`, `image_data_param` or `window_data_param` of V1 layers. One finding per
    net.

    ## Why is this bad?

    A V1 net works: Caffe moves the fields to `transform_param` when it reads the file. But in the current format the
    same fields are ignored without a message, so a layer that is copied by hand loses them. One is lost even in a V1
    net: `scale` of a WINDOW_DATA layer, which is moved to where that layer does not read it.

    ## When it is reported

    Reported as **advice**, only if this rule is selected by its code or name, or by `--upgrade`. Ignore it if the
    file has to work with a Caffe that knows only the older format.

    ## Fix

    The fix is that of P201, the whole upgrade, and safe or unsafe as that is.

    ## References

    UpgradeNetDataTransformation in src/caffe/util/upgrade_proto.cpp.
    """
    source = older_form(file)
    if source is None or "data-transform" not in source.upgraded.steps:
        return
    from ...fixes.upgrade_text import moved_transform_fields  # keeps rarely needed repairs out of the start

    moving = moved_transform_fields(source)
    names = ", ".join(dict.fromkeys(field.name for field in moving))
    yield _hit(file, source, moving[0], f"{names} of a V1 data layer outside transform_param")


@rule(
    "P204",
    "batch-norm-three-params",
    subject="file",
    severity="advice",
    fixes="safe, unsafe",
    default=False,
    by_name=True,
)
def batch_norm_three_params(file: SourceFile) -> Iterator[Hit]:
    """Flags BatchNorm layers whose three `param` differ from what Caffe uses: both multipliers 0.

    ## What it does

    Flags BatchNorm layers with exactly three `param`, if an `lr_mult` or `decay_mult` is not written as 0. One
    finding per net.

    ## Why is this bad?

    The three blobs of BatchNorm are running sums, which the solver must not change. Caffe uses 0 for both multipliers
    of all three, whatever is written, so the file is misleading. A Caffe from before September 2016 (1.0 rc4) uses
    what is written, and needs the zeros.

    ## When it is reported

    Reported as **advice**, only if this rule is selected by its code or name, or by `--upgrade`. Ignore it if the
    file has to work with a Caffe that knows only the older format.

    ## Fix

    Writes what Caffe uses. This is safe. In a net with V1 layers, the fix is that of P201, and safe or unsafe as that
    is.

    ## References

    UpgradeNetBatchNorm in src/caffe/util/upgrade_proto.cpp; LayerSetUp in src/caffe/layers/batch_norm_layer.cpp.
    """
    source = older_form(file)
    if source is None or "batch-norm" not in source.upgraded.steps:
        return
    from ...fixes.upgrade_text import unfrozen_batch_norms  # keeps rarely needed repairs out of the start

    layers = unfrozen_batch_norms(source.message)
    if layers:
        field = layers[0].entries["param"][0][2]
        number = f"{len(layers)} BatchNorm layers have" if len(layers) > 1 else "1 BatchNorm layer has"
        message = f"{number} three 'param', not all with lr_mult 0 and decay_mult 0"
        yield _hit(
            file, source, field, message, "batch-norm", "Caffe uses 0 for both multipliers, whatever is written."
        )


@rule("P205", "solver-type-enum", subject="file", severity="advice", fixes="safe, unsafe", default=False, by_name=True)
def solver_type_enum(file: SourceFile) -> Iterator[Hit]:
    """Flags solvers that set their method by the old enum `solver_type` instead of `type`.

    ## What it does

    Flags `solver_type: ADAM` and similar values. Together with `type`, it is an error (S132).

    ## Why is this bad?

    The solver works: Caffe reads `solver_type` as `type`. But newer solver types can only be set by `type`.

    ## When it is reported

    Reported as **advice**, only if this rule is selected by its code or name, or by `--upgrade`. Ignore it if the
    file has to work with a Caffe whose solvers have no `type`.

    ## Fix

    Replaces `solver_type` with `type`. It is safe, except for a value that only a fork has: the name of that type is
    a guess.

    ## References

    UpgradeSolverType in src/caffe/util/upgrade_proto.cpp.
    """
    source = older_form(file)
    if source is None or "solver-type" not in source.upgraded.steps:
        return
    value, _, field = source.message.entries["solver_type"][0]
    yield _hit(file, source, field, f"solver type is set by the old enum, solver_type: {value}", "solver-type")


def _hit(file: SourceFile, source: Source, field: Field, message: str, step: str = "", reason: str = _UPGRADED) -> Hit:
    """Return the finding of an old format, at the first field that uses it."""
    from ...fixes.upgrade_text import obstacle  # keeps rarely needed repairs out of the start

    span = field.start, field.name_end
    blocker = obstacle(source)
    if blocker is not None:
        reason = f"It cannot be upgraded: {blocker.message}."
        place = Related(file, (blocker.start, blocker.end), blocker.message)
        return Hit(file, span, message, reason, related=(place,))
    problems = source.upgraded.problems
    if any(problem.fatal for problem in problems):
        reason = "Caffe rejects the file as it is; the fix merges all layers into one net, in their order."
    related = tuple(Related(file, (problem.start, problem.end), problem.message) for problem in problems)
    fix = _fix(file, "" if "layers" in source.message.entries else step)
    return Hit(file, span, message, reason, related=related, fix=fix)


@lru_cache(maxsize=1)
def _fix(file: SourceFile, step: str) -> Fix:
    """Return the fix of one step, or of all steps for a net with V0 or V1 layers, where they build on each other."""
    # Keeps rarely needed repairs out of the start.
    from ...fixes.upgrade_text import batch_norm_upgrade, inputs_upgrade, layers_upgrade, solver_type_upgrade

    source = older_form(file)
    assert source is not None
    makers = {"inputs": inputs_upgrade, "batch-norm": batch_norm_upgrade, "solver-type": solver_type_upgrade}
    return makers.get(step, layers_upgrade)(source)
