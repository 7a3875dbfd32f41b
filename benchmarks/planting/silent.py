"""Mistakes in nets that Caffe takes without a word (N111 to N304, N404)."""

from __future__ import annotations

from caffe_lint.fixes.edit import Edit
from caffe_lint.moments.graph import Blob, Layer

from .case import Case, plants
from .structure import settings_of

_LOSSES = ("SoftmaxWithLoss", "SigmoidCrossEntropyLoss", "EuclideanLoss", "HingeLoss", "ContrastiveLoss")


def _learning(case: Case, *types: str) -> list[Layer]:
    """Layers of the training net that run backward."""
    case.need(case.net.phase == "TRAIN")
    return [layer for layer in case.layers(*types) if layer.runs_backward]


def _between(case: Case, blob: Blob, reader: Layer, text: str) -> bytes:
    """The file with a layer between a blob and one of its readers: `text` is its type and settings."""
    index = reader.bottoms.index(blob)
    start, end = reader.message.span("bottom", index)
    new = f'layer {{ name: "planted" bottom: "{blob.name}" top: "planted" {case.rules_of(reader)} {text} }}\n'
    field = reader.entry[2]
    return case.edit([Edit(field.start, field.start, new.encode()), Edit(start, end, b'"planted"')])


@plants("N111", "net")
def pooling_in_place(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in case.layers("Pooling", "LRN", "InnerProduct", "Convolution")
        if len(layer.bottoms) == len(layer.tops) == 1 and len(layer.bottoms[0].consumers) == 1
        and layer.bottoms[0].producer in case.layers() and layer.bottoms[0].name not in {b.name for b in layer.tops}
        and not (layer.type == "LRN" and layer.message["lrn_param"]["norm_region"] != "ACROSS_CHANNELS")
    )  # fmt: skip
    name = layer.bottoms[0].name
    readers = [
        (reader, i) for reader in layer.tops[0].consumers for i, b in enumerate(reader.bottoms) if b is layer.tops[0]
    ]
    edits = [Edit(*layer.message.span("top"), f'"{name}"'.encode())]
    latest = layer.tops[0]
    while readers:
        reader, i = readers.pop()
        case.need(reader in case.layers())
        edits.append(Edit(*reader.message.span("bottom", i), f'"{name}"'.encode()))
        for j, top in enumerate(reader.tops):
            if top.below is not None and top.name == latest.name:
                edits.append(Edit(*reader.message.span("top", j), f'"{name}"'.encode()))
                readers += [(r, k) for r in top.consumers for k, b in enumerate(r.bottoms) if b is top]
    return case.edit(set(edits))


@plants("N111", "net")
def sum_in_place(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in case.layers("Eltwise")
        if len(layer.bottoms) == 2 and len(layer.bottoms[0].consumers) == 1 and len(layer.tops[0].consumers) <= 1
        and layer.message["eltwise_param"]["operation"] == "SUM" and layer.bottoms[0].producer in case.layers()
    )  # fmt: skip
    name = layer.bottoms[0].name
    edits = [Edit(*layer.message.span("top"), f'"{name}"'.encode())]
    for reader in layer.tops[0].consumers:
        case.need(not reader.in_place)
        edits.append(Edit(*reader.message.span("bottom", reader.bottoms.index(layer.tops[0])), f'"{name}"'.encode()))
    return case.edit(edits)


@plants("N111", "net")
def layer_planted_in_place(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in case.layers("Convolution") if len(layer.tops[0].consumers) == 1 and not case.rules_of(layer)
    )
    name = layer.tops[0].name
    text = case.pick(
        [
            'type: "LRN" lrn_param { local_size: 5 }',
            'type: "Convolution" convolution_param { num_output: 8 kernel_size: 1 weight_filler { type: "xavier" } }',
            'type: "Pooling" pooling_param { kernel_size: 3 pad: 1 }',
        ]
    )
    return case.behind(layer, f'layer {{ name: "planted" bottom: "{name}" top: "{name}" {text} }}')


@plants("N112", "train")
def changed_in_place(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in _learning(case, "Convolution", "InnerProduct", "Deconvolution")
        if len(layer.tops[0].consumers) == 1 and layer.tops[0].consumers[0].runs_backward
    )  # fmt: skip
    name = layer.tops[0].name
    text = case.pick(
        [
            'type: "Power" power_param { scale: 2 }', 'type: "Log"', 'type: "BNLL"', 'type: "MVN"',
            'type: "Power" power_param { power: 2 }', 'type: "ReLU" relu_param { negative_slope: -0.5 }',
        ]
    )  # fmt: skip
    return case.behind(
        layer, f'layer {{ name: "planted" bottom: "{name}" top: "{name}" {case.rules_of(layer)} {text} }}'
    )


@plants("N112", "train")
def written_over_what_is_needed(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in _learning(case, "Convolution", "InnerProduct")
        if len(layer.tops[0].consumers) == 1 and layer.tops[0].consumers[0].runs_backward
    )  # fmt: skip
    name, rules = layer.tops[0].name, case.rules_of(layer)
    kind = case.pick(["Sigmoid", "TanH", "ELU", "Softmax", "Exp"])
    over = case.pick(
        [
            'type: "TanH"',
            'type: "Dropout" dropout_param { dropout_ratio: 0.5 }',
            'type: "Power" power_param { shift: 1 }',
        ]
    )
    return case.behind(
        layer,
        f'layer {{ name: "planted_a" type: "{kind}" bottom: "{name}" top: "{name}" {rules} }}\n'
        f'layer {{ name: "planted_b" bottom: "{name}" top: "{name}" {rules} {over} }}',
    )


@plants("N113", "net")
def flat_and_then_in_place(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in case.layers()
        if layer.tops and layer.tops[0].consumers and not layer.tops[0].consumers[0].in_place and not case.rules_of(layer)
        and layer.tops[0].shape and len(layer.tops[0].shape) == 4
    )  # fmt: skip
    name = layer.tops[0].name
    alias = case.pick(['type: "Flatten"', 'type: "Reshape" reshape_param { shape { dim: 0 dim: -1 } }'])
    kind = case.pick(["ReLU", "TanH", "Sigmoid"])
    return case.behind(
        layer,
        f'layer {{ name: "planted_a" bottom: "{name}" top: "planted" {alias} }}\n'
        f'layer {{ name: "planted_b" type: "{kind}" bottom: "planted" top: "planted" }}',
    )


@plants("N201", "train")
def weighted_loss_read(case: Case) -> bytes:
    loss = case.pick(
        layer for layer in _learning(case, *_LOSSES) if not layer.tops[0].consumers and len(layer.tops) == 1
    )
    name = loss.tops[0].name
    reader = case.pick(
        [
            f'layer {{ name: "planted" type: "Power" bottom: "{name}" top: "planted" {case.rules_of(loss)} power_param {{ scale: 0.5 }} }}',
            f'layer {{ name: "planted" type: "Silence" bottom: "{name}" {case.rules_of(loss)} }}',
            f'layer {{ name: "planted" type: "Exp" bottom: "{name}" top: "planted" {case.rules_of(loss)} }}',
        ]
    )
    source = case.behind(loss, reader)
    if "loss_weight" in loss.message:
        return source
    close = loss.message.block.close
    return source[:close] + b"  loss_weight: 0.5\n" + source[close:]


@plants("N202", "train")
def loss_in_python(case: Case) -> bytes:
    loss = case.pick(
        layer for layer in _learning(case, *_LOSSES) if "loss_weight" not in layer.message and len(layer.tops) == 1
    )
    name = case.pick(["SmoothL1LossLayer", "FocalLoss", "TripletLossLayer", "WeightedLoss"])
    start, end = loss.message.span("type")
    close = loss.message.block.close
    text = f'python_param {{ module: "layers" layer: "{name}" }} '
    return case.edit([Edit(start, end, b'"Python"'), Edit(close, close, text.encode())])


@plants("N202", "train")
def loss_of_a_fork(case: Case) -> bytes:
    loss = case.pick(layer for layer in case.layers("SmoothL1Loss") if "loss_weight" in layer.message)
    case.need(case.net.phase == "TRAIN")
    return case.drop(loss.message, "loss_weight")


def _losses_of_data(case: Case) -> list[Layer]:
    """The layers that are losses of a net that reads its data itself: others a program may drive."""
    layers = case.net.layers
    case.need(all(layer.kind is not None for layer in layers))  # any other may be a loss
    case.need(any(not layer.bottoms and layer.type not in ("Input", "MemoryData", "Parameter") for layer in layers))
    return [layer for layer in case.layers() if any(layer.loss_weight(i) for i in range(len(layer.tops)))]


@plants("N203", "job")
def losses_taken_out(case: Case) -> bytes:
    losses = _losses_of_data(case)
    case.need(losses and case.net.phase == "TRAIN" and all(layer.type in _LOSSES for layer in losses))
    return case.edit([Edit(layer.entry[2].start, layer.entry[2].end, b"") for layer in losses])


@plants("N203", "train")
def losses_weighted_zero(case: Case) -> bytes:
    losses = _losses_of_data(case)
    case.need(losses and case.net.phase == "TRAIN" and len(losses) == len(case.net.losses))
    case.need(all("loss_weight" not in layer.message and len(layer.tops) == 1 for layer in losses))
    return case.edit(
        [Edit(layer.message.block.close, layer.message.block.close, b" loss_weight: 0 ") for layer in losses]
    )


@plants("N203", "train")
def losses_in_the_test_only(case: Case) -> bytes:
    case.need(len({net.phase for net in case.nets}) == 2 and case.net.phase == "TRAIN")
    losses = _losses_of_data(case)
    case.need(losses and all("include" not in layer.message and "exclude" not in layer.message for layer in losses))
    close = [layer.message.block.close for layer in losses]
    return case.edit([Edit(at, at, b"  include { phase: TEST }\n") for at in close])


@plants("N204", "train")
def everything_frozen(case: Case) -> bytes:
    layers = [layer for layer in case.layers() if layer.params]
    case.need(case.net.phase == "TRAIN" and layers and all(layer.kind for layer in case.net.layers) and case.net.losses)
    edits = []
    for layer in layers:
        specs = layer.message.entries.get("param", [])
        edits += [Edit(node.start, node.end, b"{ lr_mult: 0 }") for _, node, _ in specs]
        case.need(all(spec[1] is spec[2].value for spec in specs))
        close = layer.message.block.close
        edits.append(Edit(close, close, b" param { lr_mult: 0 }" * (len(layer.params) - len(specs)) + b" "))
    return case.edit(edits)


@plants("N204", "train")
def losses_cut_off(case: Case) -> bytes:
    case.need(case.net.phase == "TRAIN" and case.net.losses and all(layer.kind for layer in case.net.layers))
    case.need(not case.message["force_backward"])  # which overrules propagate_down
    losses = {id(loss.layer): loss.layer for loss in case.net.losses}.values()
    case.need(all(layer in case.layers() and "propagate_down" not in layer.message for layer in losses))
    return case.edit(
        [
            Edit(
                layer.message.block.close,
                layer.message.block.close,
                b" propagate_down: false" * len(layer.bottoms) + b" ",
            )
            for layer in losses
        ]
    )


def _inner(case: Case) -> list[Layer]:
    """Layers with weights that learn, with another such layer behind them."""
    layers = _learning(case, "Convolution", "InnerProduct")
    return [
        layer for layer in layers
        if "weight_filler" in settings_of(layer) and (not layer.params or layer.params[0].lr_mult != 0)
        and any(other in layers for other in layer.downstream())
        and not any(spec.get("name") for spec in layer.message["param"])
    ]  # fmt: skip


@plants("N205", "train")
def filler_lost(case: Case) -> bytes:
    layer = case.pick(_inner(case))
    return case.drop(settings_of(layer), "weight_filler")


@plants("N205", "train")
def filler_of_zeros(case: Case) -> bytes:
    layer = case.pick(_inner(case))
    node = settings_of(layer).entries["weight_filler"][0][1]
    return case.rewrite(
        node, case.pick(['{ type: "constant" }', '{ type: "constant" value: 0 }', "{ }", "{ value: 0 }"])
    )


@plants("N206", "train")
def ratio_of_one(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("Dropout") if "dropout_param" in layer.message)
    return case.set(layer.message["dropout_param"], "dropout_ratio", 1, text=case.pick(["1", "1.0", "1e0"]))


@plants("N207", "train")
def softmax_before_its_loss(case: Case) -> bytes:
    loss = case.pick(layer for layer in _learning(case, "SoftmaxWithLoss") if layer.gradient_bottoms[0])
    return _between(case, loss.bottoms[0], loss, 'type: "Softmax"')


@plants("N207", "train")
def sigmoid_before_its_loss(case: Case) -> bytes:
    loss = case.pick(layer for layer in _learning(case, "SigmoidCrossEntropyLoss") if layer.gradient_bottoms[0])
    return _between(case, loss.bottoms[0], loss, 'type: "Sigmoid"')


@plants("N207", "train")
def squashed_in_place(case: Case) -> bytes:
    loss = case.pick(
        layer for layer in _learning(case, "SoftmaxWithLoss", "SigmoidCrossEntropyLoss")
        if layer.gradient_bottoms[0] and len(layer.bottoms[0].consumers) == 1
    )  # fmt: skip
    kind = "Softmax" if loss.type == "SoftmaxWithLoss" else "Sigmoid"
    name = loss.bottoms[0].name
    text = f'layer {{ name: "planted" type: "{kind}" bottom: "{name}" top: "{name}" {case.rules_of(loss)} }}\n'
    start = loss.entry[2].start
    return case.put(start, start, text)


@plants("N207", "train")
def flattened_softmax_before_its_loss(case: Case) -> bytes:
    loss = case.pick(layer for layer in _learning(case, "SoftmaxWithLoss") if layer.gradient_bottoms[0])
    blob, rules = loss.bottoms[0], case.rules_of(loss)
    case.need(blob.shape and len(blob.shape) == 2)
    start, end = loss.message.span("bottom")
    new = (
        f'layer {{ name: "planted_a" type: "Softmax" bottom: "{blob.name}" top: "planted_a" {rules} }}\n'
        f'layer {{ name: "planted_b" type: "Flatten" bottom: "planted_a" top: "planted_b" {rules} }}\n'
    )
    field = loss.entry[2]
    return case.edit([Edit(field.start, field.start, new.encode()), Edit(start, end, b'"planted_b"')])


@plants("N208", "train")
def relu_before_the_loss(case: Case) -> bytes:
    loss = case.pick(
        layer for layer in _learning(case, "SoftmaxWithLoss", "SigmoidCrossEntropyLoss")
        if layer.gradient_bottoms[0] and layer.bottoms[0].producer and layer.bottoms[0].producer.type in ("InnerProduct", "Convolution")
    )  # fmt: skip
    return _between(case, loss.bottoms[0], loss, 'type: "ReLU"')


@plants("N209", "train")
def loss_that_wants_probabilities(case: Case) -> bytes:
    loss = case.pick(
        layer for layer in _learning(case, "SoftmaxWithLoss")
        if layer.bottoms[0].producer and layer.bottoms[0].producer.type in ("InnerProduct", "Convolution", "Scale")
        and len(layer.bottoms) == 2 and len(layer.tops) == 1
    )  # fmt: skip
    return case.set(loss.message, "type", "MultinomialLogisticLoss")


@plants("N210", "train")
def weight_of_a_layer_that_is_no_loss(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in _learning(case, "Convolution", "InnerProduct", "Pooling", "ReLU", "Concat", "BatchNorm")
        if len(layer.tops) == 1
    )  # fmt: skip
    return case.inside(layer.message, case.pick(["loss_weight: 1", "loss_weight: 0.3", "loss_weight: -1"]))


@plants("N211", "train")
def rate_of_the_wrong_sign(case: Case) -> bytes:
    layers = [layer for layer in case.layers() if layer.type != "BatchNorm"]  # of its statistics it is E211's to tell
    layer = case.pick(layer for layer in layers if layer.message["param"] and layer.params)
    spec = case.pick(layer.message["param"][: len(layer.params)])
    name = case.pick(["lr_mult", "decay_mult"])
    value = case.pick(["-1", "-0.1", "nan", "inf"])
    case.need(name == "lr_mult" or not float(value) < 0 or spec.get("lr_mult", 1.0) > 0)  # what is frozen does not decay
    return case.set(spec, name, float(value), text=value)


@plants("N301", "net")
def name_of_another_layer(case: Case) -> bytes:
    one, other = case.pick(case.layers()), case.pick(case.layers())
    case.need(one.name != other.name and one.name and other.name and "name" in one.message)
    return case.set(one.message, "name", other.name)


@plants("N301", "net")
def copied_without_another_name(case: Case) -> bytes:
    layer = case.pick(
        layer
        for layer in case.layers("Convolution", "InnerProduct", "BatchNorm")
        if layer.bottoms and not layer.in_place
    )
    field = layer.entry[2]
    text = case.source[field.start : field.end]
    start, end = layer.message.span("top")
    copy = text[: start - field.start] + b'"planted"' + text[end - field.start :]
    return case.put(field.end, field.end, b"\n" + copy)


@plants("N302", "net")
def rule_of_two_minds(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in case.layers() if not case.rules_of(layer) and not any(t.consumers for t in layer.tops)
    )
    kind = case.pick(["include", "exclude"])
    rule = case.pick(
        [
            "min_level: 3 max_level: 1",
            'stage: "fine" not_stage: "fine"',
            'phase: TEST stage: "a" stage: "b" not_stage: "a"',
        ]
    )
    return case.inside(layer.message, f"{kind} {{ {rule} }}")


@plants("N303", "train")
def left_over_layer(case: Case) -> bytes:
    layer = case.pick(_learning(case, "Convolution", "InnerProduct", "Pooling", "ReLU"))
    case.need(not case.rules_of(layer) and not layer.in_place)
    text = case.pick(['type: "Power"', 'type: "TanH"', 'type: "Flatten"'])
    return case.behind(layer, f'layer {{ name: "planted" bottom: "{layer.tops[0].name}" top: "planted" {text} }}')


@plants("N303", "train")
def reader_of_the_wrong_blob(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in _learning(case, "ReLU", "Dropout", "Pooling", "LRN")
        if not layer.in_place and len(layer.bottoms[0].consumers) == 1 and layer.bottoms[0].below is None
    )  # fmt: skip
    before = layer.bottoms[0].producer
    case.need(
        before is not None and before.bottoms and before in case.layers() and before.type not in ("Split", "Slice")
    )
    assert before is not None
    return case.rename(layer, "bottom", 0, before.bottoms[0].name)


_SETTINGS = {
    "pooling_param { kernel_size: 3 stride: 2 }": "Pooling",
    "convolution_param { num_output: 8 kernel_size: 3 }": "Convolution",
    "inner_product_param { num_output: 10 }": "InnerProduct",
    "lrn_param { local_size: 5 }": "LRN",
    "dropout_param { dropout_ratio: 0.3 }": "Dropout",
    "batch_norm_param { use_global_stats: true }": "BatchNorm",
}


@plants("N304", "net")
def settings_of_another_type(case: Case) -> bytes:
    layer = case.pick(
        case.layers("ReLU", "Pooling", "Dropout", "Softmax", "LRN", "Concat", "SoftmaxWithLoss", "Eltwise", "Sigmoid")
    )
    text = case.pick(
        text for text, kind in _SETTINGS.items() if kind != layer.type and text.split()[0] not in layer.message
    )
    return case.inside(layer.message, text)


@plants("N304", "net")
def settings_under_another_name(case: Case) -> bytes:
    layer = case.pick(case.layers("Dropout", "ReLU", "LRN", "Concat", "BatchNorm", "Scale"))
    own = {"Dropout": "dropout_param", "ReLU": "relu_param", "LRN": "lrn_param", "Concat": "concat_param",
           "BatchNorm": "batch_norm_param", "Scale": "scale_param"}[layer.type]  # fmt: skip
    case.need(own in layer.message and layer.message.field(own) is not None)
    field = layer.message.entries[own][0][2]
    assert field.value is not None
    text = case.pick(
        text for text, kind in _SETTINGS.items() if kind != layer.type and text.split()[0] not in layer.message
    )
    return case.put(field.start, field.value.end, text)


@plants("N404", "net")
def statistics_of_the_batch(case: Case) -> bytes:
    case.need(case.net.phase == "TEST" and b"use_global_stats" not in case.source)
    layer = case.pick(layer for layer in case.layers("BatchNorm"))
    return case.within(layer, "batch_norm_param", "use_global_stats: false")


@plants("N501", "train")
def scale_lost(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in _learning(case, "Scale")
        if layer.in_place and layer.bottoms[0].producer and layer.bottoms[0].producer.type == "BatchNorm"
    )  # fmt: skip
    return case.put(layer.entry[2].start, layer.entry[2].end, "")


@plants("N502", "train")
def bias_before_batch_norm(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in _learning(case, "Convolution", "InnerProduct")
        if settings_of(layer).get("bias_term") is False and len(layer.tops[0].consumers) == 1
        and layer.tops[0].consumers[0].type == "BatchNorm"
        and "use_global_stats" not in layer.tops[0].consumers[0].message["batch_norm_param"]
    )  # fmt: skip
    return case.set(settings_of(layer), "bias_term", True)


@plants("N504", "train")
def upsampling_without_weights(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in _learning(case, "Deconvolution")
        if "weight_filler" in settings_of(layer) and any(n > 1 for n in settings_of(layer)["stride"])
    )  # fmt: skip
    return case.drop(settings_of(layer), "weight_filler")


@plants("N601", "train")
def one_class(case: Case) -> bytes:
    loss = case.pick(layer for layer in _learning(case, "SoftmaxWithLoss") if layer.bottoms[0].producer)
    producer = loss.bottoms[0].producer
    case.need(producer in case.layers("InnerProduct", "Convolution"))
    assert producer is not None
    case.need(not any(other.type in ("Slice", "Reshape") for other in loss.bottoms[0].consumers))
    return case.set(settings_of(producer), "num_output", 1)


@plants("N701", "train")
def bias_still_learns(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in _learning(case, "Convolution", "InnerProduct")
        if len(layer.params) == 2 and "param" not in layer.message
    )  # fmt: skip
    return case.inside(layer.message, case.pick(["param { lr_mult: 0 }", "param { lr_mult: 0 decay_mult: 0 }"]))


@plants("N702", "train")
def frozen_before_batch_norm(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in _learning(case, "Convolution")
        if "param" not in layer.message and len(layer.tops[0].consumers) == 1
        and layer.tops[0].consumers[0].type == "BatchNorm"
        and "use_global_stats" not in layer.tops[0].consumers[0].message["batch_norm_param"]
        and all(reader.type != "Scale" for reader in layer.tops[0].consumers[0].tops[0].consumers)
    )  # fmt: skip
    return case.inside(layer.message, "param { lr_mult: 0 } param { lr_mult: 0 }")


@plants("N703", "train")
def cut_in_the_middle(case: Case) -> bytes:
    case.need(not case.message["force_backward"])  # which overrules propagate_down
    layer = case.pick(
        layer for layer in _learning(case, "Convolution", "InnerProduct", "Pooling", "ReLU")
        if len(layer.bottoms) == 1 and layer.gradient_bottoms[0] and "propagate_down" not in layer.message
        and len(layer.bottoms[0].consumers) == 1
    )  # fmt: skip
    chain = [*layer.upstream()]
    case.need(all(len(top.consumers) <= 1 for other in chain for top in other.tops) and any(other.params for other in chain))
    return case.inside(layer.message, "propagate_down: false")


@plants("N704", "train")
def activation_lost(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in _learning(case, "ReLU", "Sigmoid", "TanH")
        if layer.in_place and layer.bottoms[0].producer and layer.bottoms[0].producer.type == "InnerProduct"
        and len(layer.tops[0].consumers) == 1
        and layer.tops[0].consumers[0].type in ("InnerProduct", "Dropout")
    )  # fmt: skip
    producer = layer.bottoms[0].producer
    assert producer is not None
    after = [other for other in layer.downstream() if other.type == "InnerProduct"]
    case.need(after and settings_of(after[0])["num_output"] <= settings_of(producer)["num_output"])
    return case.put(layer.entry[2].start, layer.entry[2].end, "")


@plants("N705", "net")
def windows_far_apart(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("Pooling") if (layer.message["pooling_param"].get("kernel_size") or 0) > 1)
    kernel = layer.message["pooling_param"]["kernel_size"]
    return case.set(layer.message["pooling_param"], "stride", kernel + case.chance.randrange(1, 3))


@plants("D116", "net")
def lmdb_by_default(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("Data") if b"lmdb" in layer.message["data_param"]["source"].encode())
    return case.drop(layer.message["data_param"], "backend")


@plants("D121", "net")
def mean_of_another_unit(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("Data", "ImageData") if "transform_param" not in layer.message)
    mean = case.pick(["mean_value: 0.485 mean_value: 0.456 mean_value: 0.406", "mean_value: 0.5"])
    return case.inside(layer.message, f"transform_param {{ scale: 0.00390625 {mean} }}")


@plants("G111", "train")
def logarithm_of_what_is_cut(case: Case) -> bytes:
    layer = case.pick(
        layer
        for layer in _learning(case, "ReLU")
        if layer.tops[0].consumers and "negative_slope" not in layer.message["relu_param"]
    )
    before = layer.bottoms[0].producer  # weights that are loaded may be anything
    case.need(before in case.layers("Convolution", "InnerProduct"))
    assert before is not None
    case.need("weight_filler" in settings_of(before))
    text = case.pick(['type: "Log"', 'type: "Power" power_param { power: -1 }', 'type: "Power" power_param { power: -0.5 }'])
    reader = layer.tops[0].consumers[0]
    case.need(reader in case.layers() and len(reader.tops) == 1 and not reader.in_place)
    return _between(case, layer.tops[0], reader, text)
