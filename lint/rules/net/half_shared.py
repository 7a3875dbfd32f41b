"""Layers that share their weights by name, but not their biases."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import Patch, set_field
from ...moments.graph import Layer, Param
from ...net.job import NetInPhase
from ...net.names import also_in, named
from ...rule.finding import Hit, Related
from ...rule.registry import rule


@rule("N706", "half-shared-parameters", subject="net", severity="warning", fixes="unsafe")
def half_shared_parameters(subject: NetInPhase) -> Iterator[Hit]:
    """Flags layers that share their weights but learn biases of their own.

    ## What it does

    Flags layers of one type whose weights have the same `param { name: … }`, while both have a bias that learns and is not
    shared, because its `param` has no name or another one.

    ## Why is this bad?

    The twins of a siamese net, or the heads of a detector, are meant to compute the same function. With biases of their own,
    they drift apart: equal inputs get different outputs, and the distance between them never becomes 0. Caffe shares only
    parameters with equal names, one by one, and prints nothing about the others.

    ## When it is reported

    Reported as a **warning**, once for all layers with these weights. Ignore it if the biases are meant to differ.

    ## Fix

    Gives the biases one name: that of the first one, or that of the weights with `_bias`. The fix is unsafe, because it changes
    the training. It is not offered for older formats, or if a layer has no second `param`.

    ## References

    `Net::AppendParam` in net.cpp; examples/siamese in BVLC's Caffe.
    """
    twins: dict[int, list[tuple[Layer, Param, Param]]] = {}
    for layer in subject.net.layers:
        if layer.traits.weighted_sum and [param.role for param in layer.params] == ["weight", "bias"]:
            weight, bias = layer.params
            if weight.name and bias.lr_mult:
                twins.setdefault(id(weight.owner), []).append((layer, weight, bias))
    for alike in twins.values():
        first, weight, bias = alike[0]
        apart = [each for each in alike[1:] if each[0].type == first.type and each[2].owner is not bias.owner]
        if not apart:
            continue
        layer, shared, _ = apart[0]
        message = f"{named(layer)} shares its weights with '{first.name}', but not its bias"
        reason = f"Both use the weights '{weight.name}', and each learns a bias of its own: they compute different functions."
        reason += also_in([other for other, _, _ in apart], subject.file.tree)
        place = shared.spec.span("name") if shared.spec is not None else layer.place()
        related = (Related(subject.file, first.place(), f"'{weight.name}' is defined by this layer"),)
        yield Hit(subject.file, place, message, reason, related=related, fix=_one_name(subject, [alike[0], *apart]))


def _one_name(subject: NetInPhase, alike: list[tuple[Layer, Param, Param]]) -> Fix | None:
    """Return the fix that gives the biases of layers one name, None if one of them has no place for it."""
    weight, first = alike[0][1:]
    name = first.name or f"{weight.name}_bias"
    taken = {param.name for param in subject.net.params() if param.owner is not first.owner}
    if subject.net.upgraded.steps or (not first.name and name in taken):
        return None
    patch = Patch()
    for _, _, bias in alike:
        if bias.spec is None:
            return None
        if bias.name != name:
            patch += set_field(subject.file.tree, bias.spec, "name", name)
    return patch.fix(subject.file.path, f"name the biases '{name}'", safe=False)
