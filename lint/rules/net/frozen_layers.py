"""Layers that are only partly frozen, or cut off from the gradient."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import Patch, set_field
from ...fixes.layer_edits import Fields, add_message, insert_layers
from ...layers.normalisation import uses_stored_statistics
from ...moments.graph import Layer
from ...moments.interval import UNKNOWN_INTERVAL
from ...net.job import NetInPhase
from ...net.names import also_in, named
from ...net.net import Net
from ...rule.finding import Hit, Related
from ...rule.registry import rule


@rule("N701", "unfrozen-bias", subject="net", severity="warning", fixes="unsafe")
def unfrozen_bias(subject: NetInPhase) -> Iterator[Hit]:
    """Flags layers whose weights are frozen while their bias still learns.

    ## What it does

    Flags layers with a weight and a bias that have a single `param` with `lr_mult: 0`. A second `param` states what
    is intended for the bias, and then nothing is reported. Reported once per net, at the first such layer.

    ## Why is this bad?

    The first `param` applies to the weight only. Without a second one, the bias has `lr_mult` 1: it learns, and a
    layer that was meant to stay as it was loaded changes.

    ## When it is reported

    Reported as a **warning** in nets for training. If the bias is meant to learn, write a second `param { lr_mult: 1
    }`, and the finding disappears.

    ## Fix

    Freezes the bias too. The fix is unsafe, because the bias may be meant to learn.

    ## References

    `Net::AppendParam` in net.cpp: a parameter without a `param` has `lr_mult` 1.
    """
    if subject.phase != "TRAIN" or not subject.net.losses:
        return
    found = [layer for layer in subject.net.layers if _is_half_frozen(layer)]
    for layer in found[:1]:
        message = f"{named(layer)} has a frozen weight (lr_mult 0), but its bias learns"
        reason = f"Without a second param, the bias has lr_mult 1.{also_in(found, subject.file.tree)}"
        yield Hit(
            subject.file,
            layer.message.entries["param"][0][0].span("lr_mult"),
            message,
            reason,
            fix=_with_frozen_bias(subject, found),
        )


def _is_half_frozen(layer: Layer) -> bool:
    specs = layer.message.entries.get("param", ())
    if len(specs) != 1 or len(layer.params) != 2 or layer.params[1].role != "bias":
        return False
    weight, bias = layer.params
    return "lr_mult" in specs[0][0] and weight.lr_mult == 0 and bias.lr_mult != 0 and bias.owner is bias


def _with_frozen_bias(subject: NetInPhase, layers: list[Layer]) -> Fix | None:
    patch = Patch()
    for layer in layers:
        entry = layer.message.entries["param"][0]
        fields: Fields = (("lr_mult", 0),)
        if "decay_mult" in entry[0]:
            fields += (("decay_mult", 0),)
        added = insert_layers(subject.file.tree, layer.message, entry, (fields,))
        if added is None:
            return None
        patch += added
    return patch.fix(subject.file.path, "freeze the bias too", safe=False)


@rule("N702", "unfrozen-statistics", subject="net", severity="advice", fixes="unsafe")
def unfrozen_statistics(subject: NetInPhase) -> Iterator[Hit]:
    """Flags BatchNorm layers whose statistics change although the layers around them are frozen.

    ## What it does

    Flags BatchNorm layers without `use_global_stats: true` that follow a layer whose parameters all have `lr_mult:
    0`. If a Scale layer comes next, its parameters must have `lr_mult: 0` too. Reported once per net, at the first
    such layer.

    ## Why is this bad?

    `lr_mult` does not apply to the statistics of BatchNorm: in phase TRAIN it normalises by each batch and updates
    the stored mean and variance. So the part that was meant to stay as it was loaded changes, and more so the smaller
    the batch is.

    ## When it is reported

    Reported as **advice** in nets for training in which other layers learn. Nothing is reported if the file has
    fields or values that no known Caffe has. Ignore it if the statistics should adapt to the new data.

    ## Fix

    Sets `use_global_stats: true` in all these layers. The fix is unsafe, because the net then learns from other
    values.

    ## References

    `LayerSetUp` and `Forward_cpu` in batch_norm_layer.cpp.
    """
    net = subject.net
    if subject.phase != "TRAIN" or not net.losses or subject.file.is_for_unknown_caffe:
        return
    if not any(param.lr_mult for param in net.params() if not param.layer.traits.stores_statistics):
        return
    found = [layer for layer in net.layers if _changes_among_frozen(layer)]
    for layer in found[:1]:
        message = f"{named(layer)} is among frozen layers, but its statistics still change"
        reason = "In training it normalises by the batch and updates a running mean, whatever its lr_mult is."
        reason += also_in(found, subject.file.tree)
        patch = Patch()
        for other in found:
            if "batch_norm_param" in other.message:
                patch += set_field(subject.file.tree, other.message["batch_norm_param"], "use_global_stats", True)
            else:
                fields: Fields = (("use_global_stats", True),)
                patch += add_message(subject.file.tree, net.message, other.message, "batch_norm_param", fields)
        fix = None
        if not net.upgraded.steps:
            fix = patch.fix(subject.file.path, "set use_global_stats: true", safe=False)
        yield Hit(subject.file, layer.place(), message, reason, fix=fix)


def _changes_among_frozen(layer: Layer) -> bool:
    if not layer.traits.stores_statistics or layer.phase != "TRAIN" or uses_stored_statistics(layer):
        return False
    before = layer.bottoms[0].producer if layer.bottoms else None
    after = layer.tops[0].consumers[0] if layer.tops and layer.tops[0].consumers else None
    if before is None or not _is_frozen(before):
        return False
    return after is None or not after.traits.scales_channels or _is_frozen(after)


def _is_frozen(layer: Layer) -> bool:
    """Return whether a layer has parameters that could learn, and none of them does. Caffe never updates statistics."""
    return bool(layer.params) and not layer.traits.stores_statistics and all(param.lr_mult == 0 for param in layer.params)


@rule("N703", "blocked-gradient", subject="net", severity="warning")
def blocked_gradient(subject: NetInPhase) -> Iterator[Hit]:
    """Flags layers that should learn but get no gradient: `propagate_down: false` or a constant stops it.

    ## What it does

    Flags layers whose parameters have an `lr_mult` other than 0 and that lead to a loss, but that no gradient reaches
    because a layer in between has `propagate_down: false`, or outputs a constant whatever it reads: a Clip without
    `clip_param` (zeros) or whose `min` is not below its `max`, a Power with `power: 0` or `scale: 0`. A parameter that
    is shared with a layer that a gradient reaches does learn. Reported once per net and cause, at the first such layer.

    ## Why is this bad?

    Caffe skips the backward pass of these layers, or computes gradients of 0. It still updates their weights: weight
    decay shrinks them in every iteration, until nothing is left of the loaded or initial weights.

    ## When it is reported

    Reported as a **warning** in nets for training. Nothing is reported if the net has layers of an unknown type, or
    fields or values that no known Caffe has. If no layer of the net learns, see N204. Ignore it if the solver has no
    `weight_decay`.

    ## Example

    To train the layers, remove `propagate_down` instead. No fix is offered, because there are these two ways.

    ## References

    `Net::Init` (`layer_need_backward_`) in net.cpp; `SGDSolver::ApplyUpdate` in sgd_solver.cpp, which updates all
    parameters; clip_layer.cpp and power_layer.cpp.
    """
    net = subject.net
    losses = [loss.layer for loss in net.losses if loss.weight]
    if subject.phase != "TRAIN" or not losses or subject.file.is_for_unknown_caffe:
        return
    if any(layer.kind is None for layer in net.layers):
        return
    yield from _blocked_by_propagate_down(subject, losses)
    yield from _blocked_by_constants(subject, losses)


def _blocked_by_propagate_down(subject: NetInPhase, losses: list[Layer]) -> Iterator[Hit]:
    net = subject.net
    without_gradient = _starved(net, [layer for layer in net.layers if layer.runs_backward])
    if not without_gradient or not any(param.lr_mult and param.layer.runs_backward for param in net.params()):
        return
    before_loss = {layer.index for loss in losses for layer in (loss, *loss.upstream())}
    cuts = [layer for layer in net.layers if False in layer.message["propagate_down"]]
    found = []
    for layer in without_gradient:
        cut = next((other for other in layer.downstream() if other in cuts and other.index in before_loss), None)
        if cut is not None and layer.index in before_loss:
            found.append((layer, cut))
    for layer, cut in found[:1]:
        message = f"{named(layer)} gets no gradient: '{cut.name}' has propagate_down: false"
        reason = "Caffe skips its backward pass, but weight decay still shrinks its weights."
        reason += also_in([other for other, _ in found], subject.file.tree)
        place = cut.message.span("propagate_down", cut.message["propagate_down"].index(False))
        related = (Related(subject.file, place, "the gradient stops here"),)
        yield Hit(subject.file, layer.place(), message, reason, related=related)


def _blocked_by_constants(subject: NetInPhase, losses: list[Layer]) -> Iterator[Hit]:
    net = subject.net
    constants = {layer: value for layer in net.layers if layer.runs_backward and (value := _constant(layer)) is not None}
    if not constants:
        return
    reached = list(dict.fromkeys(losses))
    seen = set(reached)
    for layer in reached:
        for blob, wanted in zip(layer.bottoms, layer.gradient_bottoms, strict=False):
            producer = blob.producer
            if wanted and producer is not None and producer not in seen and layer not in constants:
                seen.add(producer)
                reached.append(producer)
    without_gradient = [layer for layer in _starved(net, reached) if layer.runs_backward]
    for cut, value in constants.items():
        if cut not in seen or not (found := [layer for layer in cut.upstream() if layer in without_gradient]):
            continue
        message = f"{named(cut)} outputs {value:g} whatever it reads: {named(found[0])} gets no gradient"
        reason = "Its gradient is 0 everywhere, but weight decay still shrinks the weights before it."
        related = (Related(subject.file, found[0].place(), "nothing is learned here"),)
        yield Hit(subject.file, cut.place(), message, reason + also_in([cut, *found[1:]], subject.file.tree), related=related)
        return


def _starved(net: Net, reached: list[Layer]) -> list[Layer]:
    """Return the layers with parameters that could learn, none of which is of a layer that a gradient reaches."""
    with_gradient = set(reached)
    learned = {param.owner for layer in reached for param in layer.params}
    return [
        layer
        for layer in net.layers
        if not layer.traits.stores_statistics
        and layer not in with_gradient
        and any(param.lr_mult and param.owner not in learned for param in layer.params)
    ]


def _constant(layer: Layer) -> float | None:
    """The value of all elements of a layer's only top, whatever it reads; None if it depends on that, or on parameters."""
    if layer.params or len(layer.tops) != 1 or not layer.bottoms:
        return None
    found = layer.traits.range_of(layer, [UNKNOWN_INTERVAL] * len(layer.bottoms))
    return found.low if found.low == found.high else None
