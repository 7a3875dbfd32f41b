"""`param` entries of one layer, and those that layers share."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import Patch, set_field
from ...fixes.wiring import remove_messages
from ...moments.graph import NetProblem
from ...net.job import NetInPhase
from ...rule.finding import Hit
from ...rule.registry import rule
from ..problems import hit_of, problems_of


@rule("E211", "invalid-param", subject="net", severity="error", fixes="safe")
def invalid_param(subject: NetInPhase) -> Iterator[Hit]:
    """Flags surplus `param` entries, and BatchNorm statistics that the solver would update.

    ## What it does

    - Flags `param` in layers without parameters (ReLU, Pooling, Dropout), and a second one if `bias_term` is false.
    - Flags one or two `param` entries of a BatchNorm whose `lr_mult` is not 0. Three of them are fine, because Caffe sets their
      `lr_mult` to 0 when it reads the file.

    ## Why is this bad?

    Caffe stops: `Too many params specified for layer relu1`, or `Cannot configure batch normalization statistics as layer
    parameters.`

    ## When it is reported

    - **error** in a file for BVLC's Caffe;
    - **advice** in a file for a fork, because forks often change this.

    ## Fix

    Removes the surplus `param` entries, or sets `lr_mult: 0` for BatchNorm, as Caffe itself does with three entries. Both fixes
    are safe.

    ## References

    `Net::Init` in net.cpp:143; batch_norm_layer.cpp:44; `UpgradeNetBatchNorm` in upgrade_proto.cpp.
    """
    for problem in problems_of(subject, "E211"):
        yield hit_of(subject, problem)._replace(fix=_param_fix(subject, problem))


@rule("E212", "shared-param-mismatch", subject="net", severity="error")
def shared_param_mismatch(subject: NetInPhase) -> Iterator[Hit]:
    """Flags shared parameters whose shape, `lr_mult` or `decay_mult` differs between layers.

    ## What it does

    Compares parameters with the same `param { name: … }`: their shapes (only their sizes with `share_mode: PERMISSIVE`), and
    multipliers that both layers set. A layer that gives its weight and its bias the same name shares them, too: their numbers of
    axes differ, whatever the sizes are.

    ## Why is this bad?

    Caffe stops: `Cannot share param 'w' owned by layer 'c1' with layer 'c2'; shape mismatch.` or `Shared param 'w' has
    mismatched lr_mult.`

    ## When it is reported

    **error** for every such parameter.

    ## Example

    There is no fix: only you know which of the two values is meant.

    ## References

    `Net::AppendParam` in net.cpp.
    """
    for problem in problems_of(subject, "E212"):
        hit = hit_of(subject, problem)
        yield hit._replace(reason=f"{hit.reason} Give them different names.") if problem.kind == "shared-param-in-layer" else hit


def _param_fix(subject: NetInPhase, problem: NetProblem) -> Fix | None:
    layer, path = problem.layer, subject.file.path
    assert layer is not None
    if problem.kind == "too-many-params":
        patch = remove_messages(subject.file.tree, layer.message, "param", len(layer.params))
        return patch.fix(path, "remove the surplus param entries") if patch else None
    if any(field.name != "param" for _, _, field in layer.message.entries["param"]):
        return None
    patch = Patch()
    for spec in layer.message["param"]:
        if spec["lr_mult"] != 0:
            patch += set_field(subject.file.tree, spec, "lr_mult", 0)
    return patch.fix(path, "set lr_mult to 0") if patch.edits else None
