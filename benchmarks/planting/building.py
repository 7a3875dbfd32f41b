"""Mistakes in how a net is put together (N501 to N602) and in its sources (D116)."""

from __future__ import annotations

from caffe_lint.fixes.edit import Edit
from caffe_lint.moments.graph import Layer
from caffe_lint.proto.binder import Message

from .case import Case, plants
from .structure import settings_of

_ACTIVATIONS = ("ReLU", "PReLU", "ELU", "TanH", "Sigmoid", "Pooling", "Eltwise")


def _before_activations(case: Case) -> list[Layer]:
    """Return the layers with weights whose top only an activation reads."""
    case.need(case.net.losses)
    return [
        layer for layer in case.layers("Convolution", "InnerProduct")
        if len(layer.tops) == 1 and len(layer.tops[0].consumers) == 1 and layer.params and layer.params[0].lr_mult
        and layer.tops[0].consumers[0].type in _ACTIVATIONS
    ]  # fmt: skip


def _behind(case: Case, layer: Layer, *texts: str) -> bytes:
    """Return the file with in-place layers after another layer, in the phases of that layer."""
    top, rules = layer.tops[0].name, case.rules_of(layer)
    written = [f'layer {{ name: "planted{i}" bottom: "{top}" top: "{top}" {rules} {text} }}' for i, text in enumerate(texts)]
    return case.behind(layer, "\n".join(written))


@plants("N501", "train", also=("N502",))
def normalised_without_scale(case: Case) -> bytes:
    return _behind(case, case.pick(_before_activations(case)), 'type: "BatchNorm"')


@plants("N501", "train", also=("N502",))
def scale_lost(case: Case) -> bytes:
    case.need(case.net.losses)
    layer = case.pick(
        layer for layer in case.layers("Scale")
        if layer.in_place and len(layer.bottoms) == 1 and layer.bottoms[0].producer is not None
        and layer.bottoms[0].producer.type == "BatchNorm" and not layer.bottoms[0].producer.message["batch_norm_param"].entries
        and any(reader.type in _ACTIVATIONS for reader in layer.tops[0].consumers)
    )  # fmt: skip
    field = layer.entry[2]
    return case.put(field.start, field.end, "")


@plants("N502", "train")
def normalised_with_its_bias(case: Case) -> bytes:
    layer = case.pick(layer for layer in _before_activations(case) if len(layer.params) == 2 and layer.params[1].lr_mult)
    return _behind(case, layer, 'type: "BatchNorm"', 'type: "Scale" scale_param { bias_term: true }')


@plants("N503", "solver")
def passes_gathered(case: Case) -> bytes:
    train = case.job.train
    norms = [layer for layer in train.net.layers if layer.type == "BatchNorm"] if train is not None else []
    layer = case.pick(layer for layer in norms if "use_global_stats" not in layer.message["batch_norm_param"])
    batch = layer.bottoms[0].shape[0] if layer.bottoms[0].shape else None
    case.need(batch and batch < 8 and case.message.get("iter_size", 1) == 1)
    source = case.drop(case.message, "iter_size") if "iter_size" in case.message else case.source
    return source.rstrip() + f"\niter_size: {case.pick([4, 16, 32])}\n".encode()


@plants("N503", "job")
def batches_of_one(case: Case) -> bytes:
    """Makes a BatchNorm read single values: after an InnerProduct, in batches of one."""
    layer = case.pick(layer for layer in _before_activations(case) if layer.type == "InnerProduct" and not case.rules_of(layer))
    data = case.pick(other for other in case.layers("Data", "ImageData") if other in layer.upstream())
    settings: Message = data.message["data_param" if data.type == "Data" else "image_data_param"]
    case.need("batch_size" in settings)
    name, end = layer.tops[0].name, layer.entry[2].end
    norms = f'\nlayer {{ name: "planted" type: "BatchNorm" bottom: "{name}" top: "{name}" }}\n'
    scale = f'layer {{ name: "planted_s" type: "Scale" bottom: "{name}" top: "{name}" scale_param {{ bias_term: true }} }}\n'
    return case.edit([Edit(*settings.span("batch_size"), b"1"), Edit(end, end, (norms + scale).encode())])


@plants("N504", "train")
def upsampling_from_zero(case: Case) -> bytes:
    layer = case.pick(layer for layer in _upsampling(case) if "weight_filler" in layer.message["convolution_param"])
    settings: Message = layer.message["convolution_param"]
    return case.drop(settings, "weight_filler")


@plants("N504", "train")
def upsampling_without_groups(case: Case) -> bytes:
    layer = case.pick(_upsampling(case))
    settings: Message = layer.message["convolution_param"]
    case.need("weight_filler" in settings and layer.bottoms[0].shape is not None and (layer.bottoms[0].shape[1] or 0) > 1)
    edits = [Edit(*settings.span("weight_filler"), b'{ type: "bilinear" }')]
    if "group" in settings:
        edits.append(Edit(*settings.span("group"), b"1"))
    return case.edit(edits)


def _upsampling(case: Case) -> list[Layer]:
    case.need(case.net.phase == "TRAIN" and any(loss.weight for loss in case.net.losses))
    return [
        layer for layer in case.layers("Deconvolution")
        if len(layer.bottoms) == 1 and max(layer.message["convolution_param"]["stride"], default=1) > 1
    ]  # fmt: skip


@plants("N601", "train")
def a_single_class(case: Case) -> bytes:
    loss = case.pick(
        loss for loss in case.layers("SoftmaxWithLoss")
        if loss.bottoms[0].producer in case.layers("InnerProduct") and len(loss.bottoms[0].consumers) <= 2
    )  # fmt: skip
    scores = loss.bottoms[0].producer
    assert scores is not None
    return case.set(settings_of(scores), "num_output", 1)


@plants("N602", "net")
def boxes_of_other_classes(case: Case) -> bytes:
    """Changes one of two layers where there are four outputs per class."""
    named = {layer.name: layer for layer in case.layers("InnerProduct") if layer.name in ("bbox_pred", "cls_score")}
    case.need(len(named) == 2 and named["bbox_pred"].bottoms[0] is named["cls_score"].bottoms[0])
    classes, boxes = settings_of(named["cls_score"])["num_output"], settings_of(named["bbox_pred"])["num_output"]
    case.need(boxes == 4 * classes > 8)
    other = case.pick([classes + 1, classes + 3, 2 * classes])
    if case.pick([True, False]):
        return case.set(settings_of(named["cls_score"]), "num_output", other)
    return case.set(settings_of(named["bbox_pred"]), "num_output", 4 * other)


@plants("D116", "net")
def another_backend(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in case.layers("Data")
        if "lmdb" in layer.message["data_param"].get("source", "").lower() and "backend" in layer.message["data_param"]
    )  # fmt: skip
    settings: Message = layer.message["data_param"]
    if case.pick([True, False]):
        return case.drop(settings, "backend")
    return case.set(settings, "backend", "LEVELDB", text="LEVELDB")


@plants("D116", "net")
def a_file_of_the_database(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("Data") if layer.message["data_param"].get("source"))
    settings: Message = layer.message["data_param"]
    return case.set(settings, "source", settings["source"].rstrip("/") + "/data.mdb")


@plants("S129", "solver", also=("S128",))
def divided_by_instead_of_multiplied_with(case: Case) -> bytes:
    message = case.message
    case.need(message["lr_policy"] in ("step", "multistep", "exp") and 0 < message["gamma"] < 1)
    steps = message["stepvalue"] if message["lr_policy"] == "multistep" else [message["stepsize"]]
    case.need(message["lr_policy"] == "exp" or (steps and steps[0] < message["max_iter"]))
    return case.set(message, "gamma", float(f"{1 / message['gamma']:.4g}"))
