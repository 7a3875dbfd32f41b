"""Parts of a net that are frozen by half, or without anybody having said so."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import Patch, set_field
from ...fixes.layer_edits import Fields, add_message, insert_layers
from ...moments.graph import Layer
from ...net.job import NetInPhase
from ...net.names import named
from ...rule.finding import Hit, Related
from ...rule.registry import rule
from ..problems import is_for_unknown_caffe


@rule("N701", "unfrozen-bias", subject="net", severity="warning", fixes="unsafe")
def unfrozen_bias(subject: NetInPhase) -> Iterator[Hit]:
    """The weights of a layer are frozen, and its bias learns.

    ## What it does

    In nets for training: layers with a weight and a bias that have one `param`, with lr_mult 0. Where two are written,
    the second says what is meant for the bias, and nothing is reported.

    ## Why is this bad?

    The first `param` is the weight's. Without a second the bias has lr_mult 1: it learns, and the layer that was to stay
    as it was loaded drifts away.

    ## When it is reported

    The bias is to learn. Write a second `param { lr_mult: 1 }`, and it is said.

    ## Fix

    The fix freezes the bias as well. It is unsafe: a bias may be meant to learn.

    ## References

    net.cpp, Net::AppendParam: what is not written has lr_mult 1.
    """
    if subject.phase != "TRAIN" or not subject.net.losses:
        return
    found = [layer for layer in subject.net.layers if _is_half_frozen(layer)]
    for layer in found[:1]:
        message = f"{named(layer)}: its weight is frozen by lr_mult 0, and its bias learns"
        reason = "Without a second param the bias has lr_mult 1."
        if len(found) > 1:
            reason += f" So it is for {len(found)} layers of this net."
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
    return patch.fix(subject.file.path, "freeze the bias as well", safe=False)


@rule("N702", "unfrozen-statistics", subject="net", severity="advice", fixes="unsafe")
def unfrozen_statistics(subject: NetInPhase) -> Iterator[Hit]:
    """The layers around a BatchNorm are frozen, and its statistics still change.

    ## What it does

    In nets for training, BatchNorm layers without `use_global_stats: true` behind a layer whose weights have lr_mult 0,
    where the Scale behind them, if there is one, has it too, and other layers learn. Once in a net, with their number.

    ## Why is this bad?

    lr_mult does not reach what BatchNorm stores: in phase TRAIN it normalises by each batch and moves its mean and
    variance towards it. What was to stay as it was loaded changes, the more the smaller the batch is.

    ## When it is reported

    The statistics are to follow the new data.

    ## Fix

    The fix writes `use_global_stats: true` into all of them. It is unsafe: the net learns on other values then.

    ## References

    batch_norm_layer.cpp, LayerSetUp and Forward_cpu.
    """
    net = subject.net
    if subject.phase != "TRAIN" or not net.losses or is_for_unknown_caffe(subject.file):
        return
    if not any(param.lr_mult for param in net.params() if not param.layer.traits.stores_statistics):
        return
    found = [layer for layer in net.layers if _moves_among_frozen(layer)]
    for layer in found[:1]:
        message = f"{named(layer)}: the layers around it are frozen, and its statistics still change"
        reason = "In training it normalises by the batch and stores a running mean; lr_mult does not reach that."
        if len(found) > 1:
            reason += f" So it is for {len(found)} layers of this net."
        patch = Patch()
        for other in found:
            if "batch_norm_param" in other.message:
                patch += set_field(subject.file.tree, other.message["batch_norm_param"], "use_global_stats", True)
            else:
                fields: Fields = (("use_global_stats", True),)
                patch += add_message(subject.file.tree, net.message, other.message, "batch_norm_param", fields)
        fix = None
        if not net.upgraded.steps:
            fix = patch.fix(subject.file.path, "write use_global_stats: true", safe=False)
        yield Hit(subject.file, layer.place(), message, reason, fix=fix)


def _moves_among_frozen(layer: Layer) -> bool:
    if not layer.traits.stores_statistics or layer.phase != "TRAIN":
        return False
    if layer.message["batch_norm_param"]["use_global_stats"]:
        return False
    before = layer.bottoms[0].producer if layer.bottoms else None
    behind = layer.tops[0].consumers[0] if layer.tops and layer.tops[0].consumers else None
    if before is None or not _is_frozen(before):
        return False
    return behind is None or not behind.traits.scales_channels or _is_frozen(behind)


def _is_frozen(layer: Layer) -> bool:
    """Whether a layer has parameters, and none of them learns."""
    return bool(layer.params) and all(param.lr_mult == 0 for param in layer.params)


@rule("N703", "blocked-gradient", subject="net", severity="warning")
def blocked_gradient(subject: NetInPhase) -> Iterator[Hit]:
    """Layers that are to learn get no gradient, since one behind them has `propagate_down: false`.

    ## What it does

    In nets for training: layers whose parameters have an lr_mult other than 0, from which a loss can be reached, but
    which no gradient reaches, with a `propagate_down: false` in between. Once in a net, at the first, with their number.
    A net in which nothing learns at all is N204's.

    ## Why is this bad?

    Caffe does not run these layers backward. It still updates their weights: weight decay shrinks them in every
    iteration, until nothing is left of what was loaded or drawn.

    ## When it is reported

    The solver has no weight_decay.

    ## Example

    Or no `propagate_down`, if they are to learn. There is no fix, as there are these two ways.

    ## References

    net.cpp, Net::Init (layer_need_backward_); sgd_solver.cpp, SGDSolver::ApplyUpdate, which goes through all parameters.
    """
    net = subject.net
    losses = [loss.layer for loss in net.losses if loss.weight]
    if subject.phase != "TRAIN" or not losses or is_for_unknown_caffe(subject.file):
        return
    if any(layer.kind is None for layer in net.layers):
        return
    idle = [
        layer
        for layer in net.layers
        if not layer.traits.stores_statistics and not layer.runs_backward and any(param.lr_mult for param in layer.params)
    ]
    if not idle or not any(param.lr_mult and param.layer.runs_backward for param in net.params()):
        return
    cuts = [layer for layer in net.layers if False in layer.message["propagate_down"]]
    behind_loss = {layer.index for loss in losses for layer in (loss, *loss.upstream())}
    found = []
    for layer in idle:
        cut = next((other for other in layer.downstream() if other in cuts and other.index in behind_loss), None)
        if cut is not None and layer.index in behind_loss:
            found.append((layer, cut))
    for layer, cut in found[:1]:
        message = f"{named(layer)}: no gradient reaches it, as {named(cut)} has propagate_down: false"
        reason = "Caffe does not run it backward, but weight decay still shrinks what it has."
        if len(found) > 1:
            reason += f" So it is for {len(found)} layers of this net."
        place = cut.message.span("propagate_down", cut.message["propagate_down"].index(False))
        yield Hit(subject.file, layer.place(), message, reason, related=(Related(subject.file, place, "cut here"),))
