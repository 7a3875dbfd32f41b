"""Family P, the older forms of files: what Caffe lifts to today's form each time that it reads them."""

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

_LIFTED = "Caffe lifts it to today's form each time it reads the file, so it works as it is."


@rule("P201", "old-layer-format", subject="file", severity="advice", fixes="safe, unsafe", default=False, by_name=True)
def old_layer_format(file: SourceFile) -> Iterator[Hit]:
    """Layers are written in one of the two older forms: `layers`, with types in capitals or nested `layer`.

    ## What it does

    Nets in the V1 form (`layers`, `type: CONVOLUTION`, `blobs_lr`) and in the V0 form before it (`layers {
    layer { … } }`, `type: "conv"`, layers of type `padding`). One finding for a net.

    ## Why is this bad?

    It does not: Caffe lifts such nets whenever it reads them, and prints a notice. But fields and layer types
    that came later, such as `BatchNorm`, cannot be written into them, Caffe refuses a file with both `layer`
    and `layers`, and other programs that read prototxt files often know only today's form. So this rule is
    off unless it is selected, by its code or by `--upgrade`.

    ## When it is reported

    When a Caffe that has only the older form has to read the file.

    ## Fix

    The fix writes into the file what Caffe's upgrade makes of it in memory, all steps at once, since they
    build on each other: V0 layers, padding layers (which are put into the layer behind them), data transforms
    (P203), inputs (P202), BatchNorm (P204). Unlike Caffe's own tool, `upgrade_net_proto_text`, it keeps
    comments with what they comment, and the bytes of whatever needs no upgrade. Fields that Caffe's upgrade
    drops, because nothing reads them, fall away; the finding names them.

    It is unsafe where it makes a net of a file that Caffe refuses (`layer` and `layers` in one file are
    merged in their order), and where the name of a fork's layer type is guessed from the value in capitals.
    It is not offered where the meaning cannot be kept: a type that no known Caffe has, syntax errors, a V0 or
    V1 field without a counterpart today. The finding says which.

    ## References

    src/caffe/util/upgrade_proto.cpp: UpgradeV0Net, UpgradeV0PaddingLayers, UpgradeV0LayerParameter,
    UpgradeV1Net, UpgradeV1LayerParameter. `benchmarks/upgrade_corpus.py` prints how often the forms occur,
    and compares the fix with the upgrade in memory and with what Caffe's own tool wrote.
    """
    source = older_form(file)
    if source is None or "layers" not in source.message.entries:
        return
    layers = source.message.entries["layers"]
    form = "V0 form (`layers { layer { … } }`)" if "v0" in source.upgraded.steps else "V1 form (`layers`)"
    number = f"{len(layers)} layers stand" if len(layers) > 1 else "a layer stands"
    yield _hit(file, source, layers[0][2], f"{number} in the {form}")


@rule("P202", "net-level-input", subject="file", severity="advice", fixes="safe, unsafe", default=False, by_name=True)
def net_level_input(file: SourceFile) -> Iterator[Hit]:
    """The net's inputs are written as fields of the net instead of an Input layer.

    ## What it does

    `input` with `input_shape` or `input_dim` at the top level of a net. One finding for a net.

    ## Why is this bad?

    It does not: Caffe puts an Input layer in front of the net whenever it reads the file. But `input_dim`
    takes exactly four numbers an input, and Caffe reads past the end of the list where there are fewer. This
    rule is off unless it is selected, by its code or by `--upgrade`.

    ## When it is reported

    When a Caffe that has no Input layer yet has to read the file; or a program that sets
    `input_dim` in the text.

    ## Fix

    The fix does as Caffe does, and is safe: one layer with all inputs, called "input", in front of all others. Where both
    `input_shape`
    and `input_dim` stand, the latter falls away, which Caffe does not read. The shape gets lines of its own
    where there are comments on them. In a net with V1 layers the fix is that of P201. There is none for an
    input without a shape, unless a layer makes that blob anyway.

    ## References

    src/caffe/util/upgrade_proto.cpp, UpgradeNetInput.
    """
    source = older_form(file)
    if source is None or "inputs" not in source.upgraded.steps:
        return
    inputs = source.message.entries["input"]
    subject = f"{len(inputs)} inputs are" if len(inputs) > 1 else f"the input '{inputs[0][0]}' is"
    yield _hit(file, source, inputs[0][2], f"{subject} written as fields of the net", "inputs")


@rule("P203", "old-data-transform", subject="file", severity="advice", fixes="safe, unsafe", default=False, by_name=True)
def old_data_transform(file: SourceFile) -> Iterator[Hit]:
    """A V1 data layer has `scale`, `mean_file`, `crop_size` or `mirror` outside of `transform_param`.

    ## What it does

    These four fields in `data_param`, `image_data_param` or `window_data_param` of layers in the V1 form. One
    finding for a net.

    ## Why is this bad?

    In a V1 net it does not: Caffe moves them to `transform_param` when it reads the file. But in a net in
    today's form the same fields are read and ignored without a word, so a layer that is copied by hand from
    here loses them. One is lost even here: `scale` of a WINDOW_DATA layer, which is moved to where that layer
    does not look. This rule is off unless it is selected, by its code or by `--upgrade`.

    ## When it is reported

    When a Caffe that has only the older form has to read the file.

    ## Fix

    The fix is that of P201, the whole upgrade, and safe or unsafe as that is.

    ## References

    src/caffe/util/upgrade_proto.cpp, UpgradeNetDataTransformation.
    """
    source = older_form(file)
    if source is None or "data-transform" not in source.upgraded.steps:
        return
    from ...fixes.upgrade_text import moved_transform_fields  # keeps rarely needed repairs out of the start

    moving = moved_transform_fields(source)
    names = ", ".join(dict.fromkeys(field.name for field in moving))
    yield _hit(file, source, moving[0], f"{names} of a V1 data layer outside of transform_param")


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
    """A BatchNorm layer has three `param` that do not say what Caffe reads them as: both multipliers 0.

    ## What it does

    BatchNorm layers with exactly three `param`, where some `lr_mult` or `decay_mult` is written as, or left
    at, something other than 0. One finding for a net.

    ## Why is this bad?

    The three blobs of BatchNorm are running sums, which the solver must not touch. Caffe takes both
    multipliers of all three as 0, whatever is written: the file says something that does not happen. A Caffe
    from before September 2016 (1.0 rc4) goes by what is written, and needs the zeros. This rule is off unless
    it is selected, by its code or by `--upgrade`.

    ## When it is reported

    When a Caffe that has only the older form has to read the file.

    ## Fix

    The fix is safe: it writes what Caffe reads there. In a net with V1 layers it is that of P201.

    ## References

    src/caffe/util/upgrade_proto.cpp, UpgradeNetBatchNorm; src/caffe/layers/batch_norm_layer.cpp, LayerSetUp.
    """
    source = older_form(file)
    if source is None or "batch-norm" not in source.upgraded.steps:
        return
    from ...fixes.upgrade_text import unfrozen_batch_norms  # keeps rarely needed repairs out of the start

    layers = unfrozen_batch_norms(source.message)
    if layers:
        field = layers[0].entries["param"][0][2]
        number = f"{len(layers)} BatchNorm layers have" if len(layers) > 1 else "a BatchNorm layer has"
        message = f"{number} three 'param' that are not all written with lr_mult 0 and decay_mult 0"
        yield _hit(file, source, field, message, "batch-norm", "Caffe takes them as 0, whatever is written.")


@rule("P205", "solver-type-enum", subject="file", severity="advice", fixes="safe, unsafe", default=False, by_name=True)
def solver_type_enum(file: SourceFile) -> Iterator[Hit]:
    """The solver's method is written as `solver_type`, a value in capitals, instead of `type`.

    ## What it does

    `solver_type: ADAM` and the like. Together with `type` it is an error, S132.

    ## Why is this bad?

    It does not: Caffe reads it as `type`. But solver types that came later can only be written as `type`.
    This rule is off unless it is selected, by its code or by `--upgrade`.

    ## When it is reported

    When a Caffe that has no `type` in solvers yet has to read the file.

    ## Fix

    The fix is unsafe for a value that only a fork has: the name of its type is a guess.

    ## References

    src/caffe/util/upgrade_proto.cpp, UpgradeSolverType.
    """
    source = older_form(file)
    if source is None or "solver-type" not in source.upgraded.steps:
        return
    value, _, field = source.message.entries["solver_type"][0]
    yield _hit(file, source, field, f"the method is written as an enum, solver_type: {value}", "solver-type")


def _hit(
    file: SourceFile, source: Source, field: Field, message: str, step: str = "", reason: str = _LIFTED
) -> Hit:
    """The finding of a form, at the first field that is written in it."""
    from ...fixes.upgrade_text import obstacle  # keeps rarely needed repairs out of the start

    span = field.start, field.name_end
    hindrance = obstacle(source)
    if hindrance is not None:
        reason = f"It cannot be written in today's form: {hindrance.message}."
        place = Related(file, (hindrance.start, hindrance.end), hindrance.message)
        return Hit(file, span, message, reason, related=(place,))
    problems = source.upgraded.problems
    if any(problem.fatal for problem in problems):
        reason = "Caffe refuses the file as it is. The fix makes one net of it, in the order of the layers."
    related = tuple(Related(file, (problem.start, problem.end), problem.message) for problem in problems)
    fix = _fix(file, "" if "layers" in source.message.entries else step)
    return Hit(file, span, message, reason, related=related, fix=fix)


@lru_cache(maxsize=1)
def _fix(file: SourceFile, step: str) -> Fix:
    """The fix of one step, or of all steps for a net with V0 or V1 layers, where they build on each other."""
    # Keeps rarely needed repairs out of the start.
    from ...fixes.upgrade_text import batch_norm_upgrade, inputs_upgrade, layers_upgrade, solver_type_upgrade

    source = older_form(file)
    assert source is not None
    makers = {"inputs": inputs_upgrade, "batch-norm": batch_norm_upgrade, "solver-type": solver_type_upgrade}
    return makers.get(step, layers_upgrade)(source)
