"""Which layers run backward, and for which bottoms they compute gradients: net.cpp, second half of Net::Init."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..moments.layer_type import is_in

if TYPE_CHECKING:
    from ..moments.graph import Blob, NetProblem
    from .net import Net


def mark_backward(net: Net) -> None:
    """Mark the layers of a net that run backward, and the bottoms whose gradients they compute.

    An unknown bottom needs no gradient.
    """
    needing: set[Blob] = set()
    runs: list[bool] = []
    bottoms: list[tuple[bool, ...]] = []
    alike: dict[tuple[bool, ...], tuple[bool, ...]] = {}  # most layers share a few of them
    for layer in net.layers:
        computed = [blob in needing for blob in layer.bottoms]
        needs = True in computed
        if "propagate_down" in layer.message.entries:
            written = layer.message["propagate_down"]
            computed = [written[i] if i < len(written) else needed for i, needed in enumerate(computed)]
        # BatchNorm freezes only its own copy of the parameters: Net::Init reads 1 where nothing is written.
        needs = needs or any((param.spec["lr_mult"] if param.spec else 1.0) != 0 for param in layer.params)
        each = tuple(computed)
        bottoms.append(alike.setdefault(each, each))
        runs.append(needs)
        if needs and not layer.traits.stops_gradient:
            needing.update(layer.tops)
    under_loss: set[Blob] = set()
    wanted: set[Blob] = set()  # the blobs whose gradient a reader computes
    for layer in reversed(net.layers):
        index = layer.index
        is_loss = any(layer.loss_weights)
        contributes = is_loss or not under_loss.isdisjoint(layer.tops)
        used = is_loss or any(not blob.consumers or blob in wanted for blob in layer.tops)
        if not contributes or not used:
            runs[index] = False
            none = (False,) * len(layer.bottoms)
            bottoms[index] = alike.setdefault(none, none)
        if contributes:
            under_loss.update(layer.bottoms)
        for blob, computes in zip(layer.bottoms, bottoms[index], strict=True):
            if computes:
                wanted.add(blob)
    if net.message["force_backward"]:
        for layer in net.layers:
            kept = layer.kind.not_forced if layer.kind else ()
            total = len(layer.bottoms)
            runs[layer.index] = True
            bottoms[layer.index] = tuple(
                computes or not is_in(i, kept, total) for i, computes in enumerate(bottoms[layer.index])
            )
    for layer in net.layers:
        layer.runs_backward = runs[layer.index]
        layer.gradient_bottoms = bottoms[layer.index]


def backward_problems(net: Net, every_layer: bool = False) -> list[NetProblem]:
    """Find where the first backward pass would stop: layers without a backward pass, and labels that need a gradient.

    `every_layer` is for `caffe time`, which runs all layers backward.
    """
    found = len(net.problems)
    for layer in net.layers:
        kind = layer.kind
        if kind is None or not (every_layer or layer.runs_backward):
            continue
        source = kind.refuses_at or kind.source
        if not kind.has_backward and not kind.refuses_gradient:
            text = f"the layer must run backward, but {layer.type} has no backward pass"
            layer.report("no-backward", text, layer.place(), source, when="backward")
            continue
        for i, computes in enumerate(layer.gradient_bottoms):
            if computes and is_in(i, kind.refuses_gradient, len(layer.bottoms)):
                name = layer.bottoms[i].name
                text = f"bottom {i} ('{name}') needs a gradient, but {layer.type} cannot compute it"
                place = layer.message.span("bottom", i)
                layer.report("no-gradient", text, place, source, subject=name, when="backward")
    # They are not problems of building the net.
    problems = net.problems[found:]
    del net.problems[found:]
    return problems
