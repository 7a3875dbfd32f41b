"""`param` entries: of one layer, and shared by several."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import Patch, set_field
from ...fixes.wiring import remove_messages
from ...moments.graph import NetProblem
from ...net.job import NetInPhase
from ...rule.finding import Hit
from ...rule.registry import rule
from ..problems import hit_of, hits, problems_of


@rule("E211", "invalid-param", subject="net", severity="error", fixes="safe")
def invalid_param(subject: NetInPhase) -> Iterator[Hit]:
    """A layer has more `param` than parameters, or lets BatchNorm's statistics learn.

    ## What it does

    - `param` in layers without parameters (ReLU, Pooling, Dropout), and a second one where `bias_term` is
      false.
    - One or two `param` in a BatchNorm whose lr_mult is not 0. Three of them are fine: Caffe sets their
      lr_mult to 0 when it reads the file.

    ## Why is this bad?

    Caffe stops: `Too many params specified for layer relu1`, or `Cannot configure batch normalization
    statistics as layer parameters.`

    ## When it is reported

    Never: Caffe does not build such a net.

    ## Fix

    Both fixes are safe: they take out what there is no parameter for, and write `lr_mult: 0` for BatchNorm,
    which is what Caffe itself does with three.

    ## References

    net.cpp:143, Net::Init; batch_norm_layer.cpp:44; upgrade_proto.cpp, UpgradeNetBatchNorm.
    """
    for problem in problems_of(subject, "E211"):
        yield hit_of(subject, problem)._replace(fix=_param_fix(subject, problem))


@rule("E212", "shared-param-mismatch", subject="net", severity="error")
def shared_param_mismatch(subject: NetInPhase) -> Iterator[Hit]:
    """Layers share a parameter by its name, but it has another shape, lr_mult or decay_mult in one of them.

    ## What it does

    Parameters of the same `param { name: … }` whose shapes differ (whose sizes differ, with `share_mode:
    PERMISSIVE`), or for which both layers write a multiplier and not the same one. A layer that gives the
    same name to its weight and its bias shares them as well.

    ## Why is this bad?

    Caffe stops: `Cannot share param 'w' owned by layer 'c1' with layer 'c2'; shape mismatch.` or `Shared
    param 'w' has mismatched lr_mult.`

    ## When it is reported

    Never: Caffe does not build such a net.

    ## Example

    There is no fix: only you know which of the two is meant.

    ## References

    net.cpp, Net::AppendParam.
    """
    return hits(subject, "E212")


def _param_fix(subject: NetInPhase, problem: NetProblem) -> Fix | None:
    layer, path = problem.layer, subject.file.path
    assert layer is not None
    if problem.kind == "too-many-params":
        patch = remove_messages(subject.file.tree, layer.message, "param", len(layer.params))
        return patch.fix(path, "take out the surplus param") if patch else None
    if any(field.name != "param" for _, _, field in layer.message.entries["param"]):
        return None
    patch = Patch()
    for spec in layer.message["param"]:
        if spec["lr_mult"] != 0:
            patch += set_field(subject.file.tree, spec, "lr_mult", 0)
    return patch.fix(path, "write lr_mult: 0") if patch.edits else None
