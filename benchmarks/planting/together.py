"""Mismatches between files that are correct by themselves: training, test and deploy nets (E221, N401 on)."""

from __future__ import annotations

from caffe_lint.fixes.edit import Edit
from caffe_lint.moments.graph import Layer

from .case import Case, misspelt, plants
from .structure import settings_of


def _in_both(case: Case, *types: str) -> list[Layer]:
    """Return the layers that the file has for both phases."""
    case.need(len({net.phase for net in case.nets}) == 2)
    return [layer for layer in case.layers(*types) if not case.rules_of(layer)]


def _test_data(case: Case) -> list[Layer]:
    """Return the data layers of the test nets that the file defines."""
    return [
        layer for net in case.nets if net.phase == "TEST" for layer in net.net.layers
        if layer.type in ("Data", "ImageData", "HDF5Data", "WindowData") and case.rules_of(layer)
    ]  # fmt: skip


def _apart(case: Case, layer: Layer, change: Edit) -> bytes:
    """Return the file with one copy of a layer for training and a changed one for testing."""
    field = layer.entry[2]
    text = case.source[field.start : field.end]
    close = layer.message.block.close - field.start
    start, end = change.start - field.start, change.end - field.start
    train = text[:close] + b"  include { phase: TRAIN }\n" + text[close:]
    test = text[:start] + change.text + text[end:close] + b"  include { phase: TEST }\n" + text[close:]
    return case.put(field.start, field.end, train + b"\n" + test)


@plants("E221", "job")
def other_number_in_the_test(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in _in_both(case, "InnerProduct", "Convolution") if "num_output" in settings_of(layer)
    )
    node = settings_of(layer).entries["num_output"][0][1]
    number = settings_of(layer)["num_output"]
    case.need(settings_of(layer)["group"] == 1 if layer.type == "Convolution" else True)
    return _apart(case, layer, Edit(node.start, node.end, str(number * 2).encode()))


@plants("E221", "job")
def bias_in_training_only(case: Case) -> bytes:
    layer = case.pick(
        layer
        for layer in _in_both(case, "InnerProduct", "Convolution")
        if "bias_term" not in settings_of(layer) and not layer.message["param"]
    )
    close = settings_of(layer).block.close
    case.need(settings_of(layer).written)
    return _apart(case, layer, Edit(close, close, b" bias_term: false "))


@plants("N401", "job")
def renamed_in_the_test(case: Case) -> bytes:
    layer = case.pick(layer for layer in _in_both(case, "InnerProduct", "Convolution") if layer.params)
    start, end = layer.message.span("name")
    name = case.pick([misspelt(layer.name, case.chance), layer.name + "_test", "planted", layer.name.upper() + "x"])
    return _apart(case, layer, Edit(start, end, f'"{name}"'.encode()))


@plants("N401", "job")
def layer_in_the_test_only(case: Case) -> bytes:
    layer = case.pick(_in_both(case, "InnerProduct", "Convolution"))
    case.need(len(layer.tops[0].consumers) <= 1 and layer.tops[0].shape)
    name = layer.tops[0].name
    return case.behind(
        layer,
        f'layer {{ name: "planted" type: "Scale" bottom: "{name}" top: "{name}" include {{ phase: TEST }} scale_param {{ bias_term: true }} }}',
    )


@plants("N402", "job")
def scaled_in_training_only(case: Case) -> bytes:
    layer = case.pick(layer for layer in _test_data(case) if layer.type != "HDF5Data")
    transform = layer.message["transform_param"]
    if "scale" in transform:
        return case.pick([case.drop(transform, "scale"), case.set(transform, "scale", 0.5)])
    return case.within(layer, "transform_param", "scale: 0.017")


@plants("N402", "job")
def mean_in_training_only(case: Case) -> bytes:
    layer = case.pick(layer for layer in _test_data(case) if layer.type != "HDF5Data")
    transform = layer.message["transform_param"]
    if "mean_file" in transform or "mean_value" in transform:
        return case.drop(transform, "mean_file", "mean_value")
    return case.within(layer, "transform_param", "mean_value: 104 mean_value: 117 mean_value: 123")


@plants("N403", "job")
def same_source(case: Case) -> bytes:
    layer = case.pick(_test_data(case))
    training = case.pick(
        other
        for other in case.layers(layer.type)
        if other.tops and case.rules_of(other) and other.entry[1] is not layer.entry[1]
    )
    name = {
        "Data": "data_param",
        "ImageData": "image_data_param",
        "HDF5Data": "hdf5_data_param",
        "WindowData": "window_data_param",
    }[layer.type]
    source = training.message[name].get("source")
    case.need(source and layer.message[name].get("source") not in (None, source))
    return case.set(layer.message[name], "source", source)


@plants("N405", "job")
def statistics_frozen(case: Case) -> bytes:
    case.need("weights" not in case.job.solver.message and case.job.train is not None)
    layers = case.layers("BatchNorm")
    weights = [param for param in case.net.params() if param.role == "weight"]
    fillers = [param.filler for param in weights]  # from scratch, that is
    case.need(all(filler is not None and filler["type"] != "constant" for filler in fillers))
    case.need(all(param.lr_mult for param in weights))
    case.need(layers and b"use_global_stats" not in case.source and "batch_norm_param" not in layers[0].message)
    return case.edit(
        [
            Edit(at, at, b" batch_norm_param { use_global_stats: true } ")
            for layer in layers
            for at in [layer.message.block.close]
        ]
    )


@plants("N406", "solver")
def stage_misspelt(case: Case) -> bytes:
    case.need("train_state" in case.message and case.message["train_state"]["stage"])
    stage = case.message["train_state"]["stage"][0]
    return case.rewrite(case.message["train_state"].entries["stage"][0][1], f'"{misspelt(stage, case.chance)}"')


def _deployed(case: Case, *types: str) -> list[Layer]:
    """Return the layers in both phases of a net that match its deploy net, parameter by parameter."""
    deploy = case.job.deploy
    case.need(deploy is not None and case.job.train is not None and not case.file.is_for_unknown_caffe)
    assert deploy is not None
    case.need(not deploy.file.is_for_unknown_caffe)
    trained = {layer.name: layer for layer in case.net.layers}
    weighted = {layer.name: layer for layer in deploy.net.layers if layer.params}
    known = all(
        layer.kind is not None and not layer.kind.has_open_params(layer) for layer in (*case.net.layers, *deploy.net.layers)
    )
    case.need(known and len(weighted) > 2)
    for name, layer in weighted.items():
        case.need(name in trained and [param.shape for param in layer.params] == [param.shape for param in trained[name].params])
        case.need(all(param.count is not None for param in layer.params))
    return [layer for layer in _in_both(case, *types) if layer.name in weighted]


@plants("N407", "job")
def renamed_since_the_deploy_net(case: Case) -> bytes:
    layer = case.pick(_deployed(case, "InnerProduct", "Convolution"))
    start, end = layer.message.span("name")
    name = case.pick([misspelt(layer.name, case.chance), layer.name + "_new", "planted"])
    case.need(case.net.blob(name) is None)
    return case.put(start, end, f'"{name}"')


@plants("N407", "job")
def resized_since_the_deploy_net(case: Case) -> bytes:
    layer = case.pick(_deployed(case, "InnerProduct"))
    return case.set(settings_of(layer), "num_output", settings_of(layer)["num_output"] + case.pick([1, 10, 100]))
