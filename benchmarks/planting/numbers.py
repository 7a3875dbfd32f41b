"""Mistakes of number: what lets a training explode (family G)."""

from __future__ import annotations

from caffe_lint.fixes.edit import Edit

from .case import Case, plants


@plants("G103", "train")
def weight_of_a_second_loss(case: Case) -> bytes:
    losses = [layer for layer in case.layers("SoftmaxWithLoss") if layer.runs_backward and len(layer.tops) == 1]
    case.need(case.net.phase == "TRAIN" and len(losses) > 1)
    return _weighted(case, losses)


def _weighted(case: Case, losses: list) -> bytes:  # type: ignore[type-arg]
    layer = case.pick(losses)
    weight = case.pick(["50", "100", "1000", "1e4"])
    if "loss_weight" in layer.message:
        return case.set(layer.message, "loss_weight", 0, text=weight)
    return case.inside(layer.message, f"loss_weight: {weight}")


@plants("G103", "train")
def auxiliary_loss_of_great_weight(case: Case) -> bytes:
    layers = [layer for layer in case.layers("SoftmaxWithLoss") if layer.runs_backward and len(layer.bottoms) == 2]
    case.need(case.net.phase == "TRAIN" and len(layers) == 1 == len(case.net.losses))
    loss = layers[0]
    case.need("loss_weight" not in loss.message and "loss_param" not in loss.message and not case.rules_of(loss))
    weight = case.pick(["20", "100", "500"])
    score, label = (blob.name for blob in loss.bottoms)
    return case.behind(
        loss,
        f'layer {{ name: "planted" type: "SoftmaxWithLoss" bottom: "{score}" bottom: "{label}" top: "planted" loss_weight: {weight} }}',
    )


@plants("G103", "train")
def sum_beside_a_mean(case: Case) -> bytes:
    losses = [
        layer for layer in case.layers("SoftmaxWithLoss") if layer.runs_backward and "loss_param" not in layer.message
    ]
    case.need(case.net.phase == "TRAIN" and len(losses) > 1)
    layer = case.pick(losses)
    return case.inside(layer.message, "loss_param { normalization: NONE }")


@plants("G105", "train")
def matrix_lost(case: Case) -> bytes:
    loss = case.pick(
        layer for layer in case.layers("SoftmaxWithLoss") if layer.runs_backward and len(layer.bottoms) == 2
    )
    case.need(case.net.phase == "TRAIN" and "loss_param" not in loss.message)
    return case.set(loss.message, "type", "InfogainLoss")


@plants("G105", "train")
def probabilities_for_the_new_form(case: Case) -> bytes:
    loss = case.pick(
        layer for layer in case.layers("SoftmaxWithLoss") if layer.runs_backward and len(layer.bottoms) == 2
    )
    case.need(case.net.phase == "TRAIN" and "loss_param" not in loss.message)
    start, end = loss.message.span("bottom")
    field, close = loss.entry[2], loss.message.block.close
    prob = f'layer {{ name: "planted" type: "Softmax" bottom: "{loss.bottoms[0].name}" top: "planted" {case.rules_of(loss)} }}\n'
    axis = case.pick([" axis: 1", ""])
    return case.edit(
        [
            Edit(field.start, field.start, prob.encode()), Edit(start, end, b'"planted"'),
            Edit(*loss.message.span("type"), b'"InfogainLoss"'),
            Edit(close, close, f'infogain_loss_param {{ source: "H.binaryproto"{axis} }} '.encode()),
        ]
    )  # fmt: skip
