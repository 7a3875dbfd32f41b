"""Mistakes of number: what lets a training explode (family G)."""

from __future__ import annotations

from caffe_lint.fixes.edit import Edit
from caffe_lint.moments.graph import Blob, Layer
from caffe_lint.net.score_maps import is_score_map
from caffe_lint.solver.schedule import largest_rate
from caffe_lint.stability.computed import stability_of

from .case import Case, plants
from .structure import settings_of

USUAL_RATE = 1e-3  # from which rates are those of averages


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


@plants("G104", "train")
def multiplied_by_itself(case: Case) -> bytes:
    """Between two layers with weights, in a net that normalises nothing."""
    layer = case.pick(_read_by_weights(case))
    return _read_instead(case, layer, 'type: "Eltwise" eltwise_param { operation: PROD }')


@plants("G104", "train")
def joined_with_itself(case: Case) -> bytes:
    """Where nothing a few layers back has more channels, so that twice as many are twice as wide."""
    layer = case.pick(
        layer for layer in _read_by_weights(case)
        if all(_channels(top) <= _channels(layer.tops[0]) for before in layer.upstream() for top in before.tops if top.shape)
        and layer.type == "Convolution"
    )  # fmt: skip
    return _read_instead(case, layer, 'type: "Concat"')


def _channels(blob: Blob) -> int:
    return (blob.shape[1] or 0) if blob.shape is not None and len(blob.shape) == 4 else 0


def _read_by_weights(case: Case) -> list[Layer]:
    """Layers with weights whose top is read by one other layer with weights, which does not share them."""
    case.need(case.net.phase == "TRAIN" and case.net.losses)
    case.need(not any(layer.kind is None or layer.kind.normalises for layer in case.net.layers))
    kinds = ("Convolution", "InnerProduct")
    return [
        layer for layer in case.layers(*kinds)
        if layer.runs_backward and len(layer.tops[0].consumers) == 1 and layer.tops[0].consumers[0] in case.layers(*kinds)
        and not case.rules_of(layer) and not any(spec.get("name") for spec in layer.tops[0].consumers[0].message["param"])
    ]  # fmt: skip


def _read_instead(case: Case, layer: Layer, text: str) -> bytes:
    """The file with a layer more, of a blob and itself, between the blob and its reader."""
    name, reader = layer.tops[0].name, layer.tops[0].consumers[0]
    planted = f'\nlayer {{ name: "planted" bottom: "{name}" bottom: "{name}" top: "planted" {text} }}\n'
    end = layer.entry[2].end
    return case.edit([Edit(end, end, planted.encode()), Edit(*reader.message.span("bottom"), b'"planted"')])


def _filled(case: Case) -> list[Layer]:
    """The layers with weights of a training that is computed, from fillers that suit them, with nothing that normalises."""
    case.need(stability_of(case.job) is not None)
    case.need(not any(layer.kind is None or layer.kind.normalises for layer in case.net.layers))
    layers = [layer for layer in case.net.layers if layer.params]
    case.need(all(layer in case.layers("Convolution", "InnerProduct") for layer in layers))
    fillers = [layer.params[0].filler for layer in layers]
    case.need(all(filler is not None and filler["type"] in ("xavier", "msra") for filler in fillers))
    case.need(all(param.lr_mult and param.owner is param for layer in layers for param in layer.params[:1]))
    return layers


def _start_with(case: Case, layers: list[Layer], text: str) -> list[Edit]:
    """Edits that write another filler for the weights of layers."""
    spans = [settings_of(layer).span("weight_filler") for layer in layers if "weight_filler" in settings_of(layer)]
    return [Edit(*span, text.encode()) for span in dict.fromkeys(spans)]


@plants("G106", "job")
def weights_next_to_nothing(case: Case) -> bytes:
    layers = _filled(case)
    case.need(len(layers) > 2 and all(loss.layer.type == "SoftmaxWithLoss" for loss in case.net.losses))
    fillers = [param.filler for layer in layers for param in layer.params[1:]]
    case.need(not any(filler is not None and filler["value"] for filler in fillers))  # else it is the bias that comes out
    std = case.pick(["1e-5", "1e-6", "0.00001"])
    return case.edit(_start_with(case, layers, f'{{ type: "gaussian" std: {std} }}'))


@plants("G108", "solver")
def rate_of_nothing(case: Case) -> bytes:
    case.need(case.job.train is not None and stability_of(case.job) is not None and case.message["type"] == "SGD")
    assert case.job.train is not None
    weights = [param for param in case.job.train.net.params() if param.role == "weight"]
    case.need(all(param.filler is not None and param.filler["type"] in ("xavier", "msra") for param in weights))
    written = [name for name in ("base_lr", "max_iter") if name in case.message]
    source = case.drop(case.message, *written) if written else case.source
    return source.rstrip() + f"\nbase_lr: {case.pick(['1e-12', '1e-14', '1e-13'])}\nmax_iter: 2000\n".encode()


@plants("G109", "job")
def units_that_are_flat(case: Case) -> bytes:
    """A Sigmoid or TanH for a ReLU, behind weights that are far too large."""
    _filled(case)
    activation = case.pick(
        layer for layer in case.layers("ReLU")
        if layer.in_place and layer.bottoms[0].producer in case.layers("Convolution", "InnerProduct")
        and "relu_param" not in layer.message and "weight_filler" in settings_of(layer.bottoms[0].producer)
    )  # fmt: skip
    before = activation.bottoms[0].producer
    assert before is not None
    kind = case.pick([b'"Sigmoid"', b'"TanH"'])
    filler = case.pick(['{ type: "gaussian" std: 1e5 }', '{ type: "uniform" min: -1e5 max: 1e5 }'])
    return case.edit([Edit(*activation.message.span("type"), kind), *_start_with(case, [before], filler)])


@plants("G112", "train")
def targets_of_another_range(case: Case) -> bytes:
    """A loss on scores whose targets are one number that is not between 0 and 1."""
    case.need(case.net.phase == "TRAIN" and case.net.losses)
    layer = case.pick(
        layer for layer in case.layers("InnerProduct")
        if layer.runs_backward and layer.tops[0].shape and None not in layer.tops[0].shape and not case.rules_of(layer)
        and not any(reader.in_place for reader in layer.tops[0].consumers)
    )  # fmt: skip
    rules = "include { phase: TRAIN }" if len(case.nets) > 1 else ""
    shape = " ".join(f"dim: {dim}" for dim in layer.tops[0].shape or ())
    value = case.pick(["2", "-1", "255", "1.5"])
    return case.behind(
        layer,
        f'layer {{ name: "planted_a" type: "DummyData" top: "planted_a" {rules} dummy_data_param {{ shape {{ {shape} }} '
        f'data_filler {{ type: "constant" value: {value} }} }} }}\n'
        f'layer {{ name: "planted_b" type: "SigmoidCrossEntropyLoss" bottom: "{layer.tops[0].name}" bottom: "planted_a" '
        f'top: "planted_b" {rules} }}',
    )


@plants("G113", "job")
def sum_over_the_pixels(case: Case) -> bytes:
    loss, score, label = _loss_of_maps(case)
    start, end = loss.message.span("type")
    close = loss.message.block.close
    source = case.edit([Edit(start, end, b'"SigmoidCrossEntropyLoss"'), Edit(close, close, b" ")])
    case.need(score != label and "loss_param" not in loss.message)
    return source


@plants("G113", "job")
def sum_beside_the_average_of_pixels(case: Case) -> bytes:
    loss, score, label = _loss_of_maps(case)
    return case.behind(
        loss,
        f'layer {{ name: "planted" type: "SigmoidCrossEntropyLoss" bottom: "{score}" bottom: "{label}" top: "planted" '
        f"{case.rules_of(loss)} }}",
    )


def _loss_of_maps(case: Case) -> tuple[Layer, str, str]:
    """A loss that averages over the pixels of score maps, in a job with a rate for averages, and the names of its bottoms."""
    case.need(case.file.kind == "net" and case.net.phase == "TRAIN")
    rate = largest_rate(case.job.solver.message)
    case.need(rate is not None and rate.value >= USUAL_RATE)
    loss = case.pick(
        layer
        for layer in case.layers("SoftmaxWithLoss")
        if layer.runs_backward and len(layer.bottoms) == 2 and layer.loss_weight(0) >= 1 and is_score_map(case.net, layer.bottoms[0])
        and 1 not in (layer.bottoms[0].shape or ())[2:]  # a row of outputs is no image
    )  # fmt: skip
    return loss, loss.bottoms[0].name, loss.bottoms[1].name
