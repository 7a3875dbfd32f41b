"""Which layers run backward, and into which of their bottoms: net.cpp, the second half of Net::Init."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .layers.layer_type import is_in

if TYPE_CHECKING:
    from .net import Blob, Net, NetProblem


class Backward(NamedTuple):
    """For each layer, by index: whether it runs backward, and for which of its bottoms it computes the gradient."""

    runs: list[bool]
    bottoms: list[list[bool]]


def backward(net: Net) -> Backward:
    """What runs in the backward pass of a net. An unknown bottom needs no gradient."""
    needing: set[Blob] = set()
    runs: list[bool] = []
    bottoms: list[list[bool]] = []
    for layer in net.layers:
        needs = any(blob in needing for blob in layer.bottoms)
        forced = layer.message["propagate_down"] if "propagate_down" in layer.message.entries else ()
        bottoms.append([
            forced[i] if i < len(forced) else blob in needing for i, blob in enumerate(layer.bottoms)
        ])  # fmt: skip
        # BatchNorm freezes its parameters in its own copy only: Net::Init reads 1 where nothing is written.
        needs = needs or any((param.spec["lr_mult"] if param.spec else 1.0) != 0 for param in layer.params)
        runs.append(needs)
        if needs:
            needing.update(layer.tops)
    under_loss: set[Blob] = set()
    wanted: set[Blob] = set()  # read by a layer that computes its gradient, or a loss
    for layer in reversed(net.layers):
        contributes = skips = False
        if layer.tops:
            skips = True
        for i, blob in enumerate(layer.tops):
            if layer.loss_weight(i) or blob in under_loss:
                contributes = True
            if not blob.consumers or blob in wanted or layer.loss_weight(i):
                skips = False
        index = layer.index
        if runs[index] and skips:
            runs[index] = False
            bottoms[index] = [False] * len(layer.bottoms)
        if not contributes:
            runs[index] = False
            bottoms[index] = [False] * len(layer.bottoms)
        else:
            under_loss.update(layer.bottoms)
        wanted.update(blob for blob, computed in zip(layer.bottoms, bottoms[index], strict=True) if computed)
    if net.message["force_backward"]:
        for layer in net.layers:
            runs[layer.index] = True
            kept = layer.kind.not_forced if layer.kind else ()
            total = len(layer.bottoms)
            bottoms[layer.index] = [
                computed or not is_in(i, kept, total) for i, computed in enumerate(bottoms[layer.index])
            ]
    return Backward(runs, bottoms)


def backward_problems(net: Net, every_layer: bool = False) -> list[NetProblem]:
    """Where the first backward pass would stop: layers without one, and labels that are to get a gradient.

    `every_layer` asks as `caffe time` does, which runs all layers backward.
    """
    from .net import NetProblem

    problems = []
    for layer in net.layers:
        kind = layer.kind
        if kind is None or not (every_layer or layer.runs_backward):
            continue
        start, end = layer.place()
        source = f"{layer.type.lower()}_layer"
        if not kind.has_backward and (every_layer or layer.runs_backward) and not kind.refuses_gradient:
            message = f"{layer.type} has no backward pass, and layer '{layer.name}' would have to run it"
            problems.append(NetProblem("no-backward", layer, start, end, message, source, when="backward"))
            continue
        for i, computed in enumerate(layer.gradient_bottoms):
            if computed and is_in(i, kind.refuses_gradient, len(layer.bottoms)):
                name = layer.bottoms[i].name
                message = f"{layer.type} cannot give its bottom '{name}' a gradient, and layer '{layer.name}' would have to"
                at = layer.message.span("bottom", i)
                problems.append(NetProblem("no-gradient", layer, *at, message, source, name, when="backward"))
    return problems
