"""Nets in an old format that Caffe upgrades only in part, or not at all."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...net.job import NetInPhase
from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.older_forms import older_form


@rule("E117", "mixed-layer-formats", subject="net", severity="error", fixes="unsafe")
def mixed_layer_formats(net: NetInPhase) -> Iterator[Hit]:
    """Flags nets with both `layer` and `layers`.

    ## What it does

    Flags files that mix layers in the current format (`layer`, types in quotes) and in the V1 format (`layers`, types
    as enum names). Usually layers were copied from another net.

    ## Why is this bad?

    Caffe stops: `Refusing to upgrade inconsistent NetParameter input; the definition includes both 'layer' and 'layers'
    fields.`

    ## When it is reported

    Reported as an **error**.

    ## Fix

    Writes all layers in the current format, in their order. The fix is unsafe, because Caffe has never read the file:
    the layers of one format may be obsolete.

    ## References

    `UpgradeV1Net` in upgrade_proto.cpp. Verified with the real Caffe.
    """
    for hit in _upgrade_problems(net, mixed=True, fatal=True):
        yield hit._replace(reason="Caffe stops: Refusing to upgrade inconsistent NetParameter input.", fix=_in_current_format(net))


@rule("E118", "upgrade-failure", subject="net", severity="error")
def upgrade_failure(net: NetInPhase) -> Iterator[Hit]:
    """Flags old nets that Caffe cannot upgrade to the current format.

    ## What it does

    - In V0 nets, flags unknown types, and padding layers before a layer without `pad`.
    - In nets with `input`, flags fewer shapes than inputs.

    ## Why is this bad?

    Caffe stops, or reads past the end of a list: with three `input_dim`, the last dimension was 0; with too few
    `input_shape`, it crashed.

    ## When it is reported

    Reported as an **error**. There is no fix, because only you know the type or the shape.

    ## References

    `UpgradeV0PaddingLayers`, `UpgradeV0LayerParameter` and `UpgradeNetInput` in upgrade_proto.cpp. The last one is
    verified with the real Caffe.
    """
    return _upgrade_problems(net, mixed=False, fatal=True)


@rule("E119", "upgrade-drops-field", subject="net", severity="warning")
def upgrade_drops_field(net: NetInPhase) -> Iterator[Hit]:
    """Flags fields of old nets that Caffe drops when it upgrades the net to the current format.

    ## What it does

    Flags fields of V0 layers that their type does not have, fields of V0 nets without a successor, `scale` of a window
    data layer, `input_dim` next to `input_shape`, more `input_dim` than are read, and inputs without a shape.

    ## Why is this bad?

    Caffe ignores most of these without a message, so it does not build the net that is written in the file.

    ## When it is reported

    - **advice** for an input without a shape if no layer needs it, as beside an Input layer that produces the blob;
    - **warning** otherwise.

    There is no fix, because only you know which of the values is meant. Ignore it if the dropped field was written for a
    program other than Caffe, and the net is right without it.

    ## References

    `UpgradeV0LayerParameter`, `UpgradeNetDataTransformation` and `UpgradeNetInput` in upgrade_proto.cpp.
    """
    inputs = {node.start: name for name, node, _ in net.file.message.entries.get("input", ())}
    missing = {problem.subject for problem in net.net.problems if problem.kind == "unknown-bottom"}
    for hit in _upgrade_problems(net, mixed=False, fatal=False):
        name = inputs.get(hit.span[0])
        yield hit if name is None or name in missing else hit._replace(severity="advice")


def _in_current_format(net: NetInPhase) -> Fix | None:
    """Return the fix that writes all layers in the current format, None inside a solver or if anything prevents it."""
    from ...fixes.upgrade_text import layers_upgrade, obstacle  # keeps rarely needed repairs out of the start

    source = older_form(net.file) if net.file.kind == "net" else None
    return layers_upgrade(source) if source is not None and obstacle(source) is None else None


def _upgrade_problems(net: NetInPhase, *, mixed: bool, fatal: bool) -> Iterator[Hit]:
    """Yield the problems of a net's upgrade that are, or are not, mixed formats, and that stop Caffe or do not."""
    for problem in net.net.upgraded.problems:
        if problem.fatal == fatal and (problem.kind == "mixed-layer-formats") == mixed:
            yield Hit(net.file, (problem.start, problem.end), problem.message)
