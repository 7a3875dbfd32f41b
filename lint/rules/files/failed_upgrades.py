"""Nets in an old format that Caffe upgrades in part, or not at all."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...net.job import NetInPhase
from ...rule.finding import Hit
from ...rule.registry import rule
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
