"""Mistakes in how parts of a net learn, and in what its data layers do; forms that other programs cannot read."""

from __future__ import annotations

import re

from caffe_lint.fixes.edit import Edit
from caffe_lint.moments.graph import Layer
from caffe_lint.proto.tree import Block

from .case import Case, plants

_SETTINGS = {"Convolution": "convolution_param", "InnerProduct": "inner_product_param"}


def _unfrozen(case: Case) -> Layer:
    """A layer with a weight and a bias of which no `param` is written, while others learn as well."""
    learning = [layer for layer in case.layers(*_SETTINGS) if len(layer.params) == 2 and layer.runs_backward]
    case.need(len(learning) > 1)
    return case.pick(layer for layer in learning if "param" not in layer.message)


@plants("N701", "train")
def bias_forgotten(case: Case) -> bytes:
    layer = _unfrozen(case)
    text = case.pick(["param { lr_mult: 0 }", "param { lr_mult: 0.0 decay_mult: 0 }", "param {\n    lr_mult: 0\n  }"])
    return case.inside(layer.message, text)


@plants("N702", "train")
def statistics_forgotten(case: Case) -> bytes:
    norms = [layer for layer in case.layers("BatchNorm") if not layer.message["batch_norm_param"]["use_global_stats"]]
    layer = case.pick(
        producer
        for norm in norms
        if (producer := norm.bottoms[0].producer) is not None
        and producer in case.layers(*_SETTINGS)
        and "param" not in producer.message
        and all(reader.type != "Scale" for reader in norm.tops[0].consumers)
    )
    number = case.pick([len(layer.params), 2]) if len(layer.params) == 2 else 1
    return case.inside(layer.message, "param { lr_mult: 0 } " * number)


@plants("N703", "train", also=("N204",))
def gradient_cut_off(case: Case) -> bytes:
    case.need(not case.message["force_backward"])  # which overrules propagate_down
    case.need(all(layer.kind is not None for layer in case.net.layers))
    layer = case.pick(
        layer
        for layer in case.layers("Convolution", "InnerProduct", "Pooling", "Dropout", "ReLU")
        if layer.gradient_bottoms == [True] and "propagate_down" not in layer.message and _feeds_alone(layer)
    )
    return case.inside(layer.message, "propagate_down: false ")


def _feeds_alone(layer: Layer) -> bool:
    """Whether a layer that learns gets its gradient through this one only."""
    blob = layer.bottoms[0]
    while len(blob.consumers) == 1 and (before := blob.producer) is not None and before.bottoms:
        if any(param.lr_mult for param in before.params) and before.type != "BatchNorm":
            return True
        blob = before.bottoms[0]
    return False


@plants("N704", "train")
def nonlinearity_lost(case: Case) -> bytes:
    """Takes out a ReLU that works in place between two inner products."""
    case.need(case.net.losses)
    layer = case.pick(
        layer
        for layer in case.layers("ReLU", "Sigmoid", "TanH", "PReLU")
        if layer.in_place
        and (before := layer.bottoms[0].producer) is not None
        and before.type == "InnerProduct"
        and all(param.lr_mult for param in before.params)
        and len(readers := layer.tops[0].consumers) == 1
        and (readers[0].type == "InnerProduct" or (readers[0].type == "Dropout" and readers[0].in_place))
        and before.message["inner_product_param"]["num_output"]
        >= max(
            (
                other.message["inner_product_param"]["num_output"]
                for other in layer.downstream()
                if other.type == "InnerProduct"
            ),
            default=10**9,
        )
    )
    field = layer.entry[2]
    return case.put(field.start, field.end, "")


@plants("N705", "net")
def stride_and_kernel_exchanged(case: Case) -> bytes:
    layer = case.pick(
        layer
        for layer in case.layers("Pooling")
        if layer.message["pooling_param"]["kernel_size"] > layer.message["pooling_param"]["stride"] > 1
        and not layer.message["pooling_param"]["pad"]
    )
    settings = layer.message["pooling_param"]
    kernel, stride = settings.entries["kernel_size"][0][1], settings.entries["stride"][0][1]
    first, second = sorted((kernel, stride), key=lambda node: node.start)
    source = case.source
    return (
        source[: first.start] + source[second.start : second.end] + source[first.end : second.start]
        + source[first.start : first.end] + source[second.end :]
    )  # fmt: skip


@plants("D121", "net")
def mean_of_scaled_pixels(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("Data", "ImageData") if "transform_param" in layer.message)
    transform = layer.message["transform_param"]
    case.need("mean_value" not in transform and "mean_file" not in transform and "scale" not in transform)
    scale = case.pick(["0.00390625", "0.0039", "0.0078125", "0.017"])
    means = case.pick(["mean_value: 0.5", "mean_value: 0.485 mean_value: 0.456 mean_value: 0.406"])
    return case.inside(transform, f"scale: {scale} {means}")


@plants("D122", "job")
def shuffling_lost(case: Case) -> bytes:
    layer = case.pick(case.layers("ImageData"))
    settings = layer.message["image_data_param"]
    case.need("shuffle" in settings)
    return case.pick([case.drop(settings, "shuffle"), case.set(settings, "shuffle", False)])


@plants("N304", "net")
def transform_outside_of_its_message(case: Case) -> bytes:
    layer = case.pick(case.layers("Data", "ImageData"))
    name = {"Data": "data_param", "ImageData": "image_data_param"}[layer.type]
    case.need(name in layer.message)
    text = case.pick(["scale: 0.00390625", "crop_size: 16", "mirror: true", 'mean_file: "mean.binaryproto"'])
    return case.inside(layer.message[name], text)


@plants("N304", "train", also=("N205",))
def filler_without_type(case: Case) -> bytes:
    layer = case.pick(
        layer
        for layer in case.layers(*_SETTINGS)
        if layer.message[_SETTINGS[layer.type]]["weight_filler"]["type"] == "gaussian"
        and "std" in layer.message[_SETTINGS[layer.type]]["weight_filler"]
    )
    return case.drop(layer.message[_SETTINGS[layer.type]]["weight_filler"], "type")


@plants("E210", "net")
def hdf5_data_transformed(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("HDF5Data") if "transform_param" not in layer.message)
    return case.inside(layer.message, case.pick(["transform_param { scale: 0.1 }", "transform_param { mirror: true }"]))


@plants("P301", "net")
def capital_bool(case: Case) -> bytes:
    _, value = case.pick((f, v) for f, v in case.scalars() if v.text in (b"true", b"false"))
    return case.rewrite(value, value.text.capitalize())


@plants("P301", "net")
def messages_in_brackets(case: Case) -> bytes:
    fields = [
        field
        for layer in case.layers()
        for field in layer.entry[1].fields
        if field.name in ("param", "include") and isinstance(field.value, Block)
    ]
    field = case.pick(fields)
    assert isinstance(field.value, Block)
    return case.put(field.value.start, field.value.end, b"[" + case.source[field.value.start : field.value.end] + b"]")


@plants("P301", "net")
def empty_brackets(case: Case) -> bytes:
    return case.inside(case.pick(case.layers()).message, case.pick(["loss_weight: []", "propagate_down: []", "blobs: []"]))


@plants("P302", "net", "solver")
def minus_apart(case: Case) -> bytes:
    if case.file.kind == "solver":
        return case.end(case.pick(["random_seed: - 1", "clip_gradients: -  1"]))
    layer = case.pick(case.layers("Concat", "Softmax", "SoftmaxWithLoss", "Eltwise", "Dropout"))
    return case.inside(layer.message, case.pick(["loss_weight: - 0", "loss_weight: -\t0.0"]))


@plants("P302", "net", "solver")
def bytes_of_another_code(case: Case) -> bytes:
    case.need(case.source.isascii())
    return case.end(case.pick(["# caf\xe9", "# \xc4nderung", "# \xb5m"])).decode("utf-8").encode("latin-1")


@plants("P302", "net", "solver")
def bool_as_number(case: Case) -> bytes:
    _, value = case.pick((f, v) for f, v in case.scalars() if v.text in (b"true", b"false"))
    return case.rewrite(value, case.pick(["0x1", "01"] if value.text == b"true" else ["0x0", "00"]))


@plants("P303", "net", "solver", select=("P303",))
def path_of_one_machine(case: Case) -> bytes:
    _, value = case.pick(case.strings("source", "mean_file", "snapshot_prefix"))
    case.need(value.text[1:2] not in b"/")
    return case.put(value.start + 1, value.start + 1, case.pick(["/home/me/", "/", "D:/data/"]))


@plants("P304", "net", "solver", select=("P304",))
def lines_of_windows(case: Case) -> bytes:
    case.need(b"\r" not in case.source)
    if case.pick([True, False]):
        return case.source.replace(b"\n", b"\r\n")
    return case.source.replace(b"\n", b"\r\n", 3)


@plants("P305", "net", select=("P305",))
def one_line_by_a_tab(case: Case) -> bytes:
    case.need(b"\t" not in case.source)
    place = case.pick(match.start() for match in re.finditer(rb"(?m)^ +(?=[a-z])", case.source))
    end = re.compile(rb" +").match(case.source, place)
    assert end is not None
    case.need(case.source.count(b"\n ") > 1)
    return case.put(place, end.end(), "\t")


def _run(case: Case) -> int:
    case.need(case.message["max_iter"] > 100)
    return int(case.message["max_iter"])


@plants("S128", "solver", also=("S122",))
def rate_gone(case: Case) -> bytes:
    length = _run(case)
    text = case.pick(
        [
            f'lr_policy: "step"\ngamma: 0\nstepsize: {length // 3}', f'lr_policy: "multistep"\ngamma: 0\nstepvalue: {length // 2}',
            'lr_policy: "exp"\ngamma: 0.05', 'lr_policy: "step"\ngamma: 0.01\nstepsize: 1',
        ]
    )  # fmt: skip
    return _with_schedule(case, text)


def _with_schedule(case: Case, text: str) -> bytes:
    written = [name for name in ("lr_policy", "gamma", "power", "stepsize", "stepvalue") if name in case.message]
    source = case.drop(case.message, *written) if written else case.source
    return source.rstrip() + b"\n" + text.encode() + b"\n"


def _without(case: Case, text: str, *names: str) -> bytes:
    source = case.drop(case.message, *names) if any(name in case.message for name in names) else case.source
    return source.rstrip() + b"\n" + text.encode() + b"\n"


@plants("S141", "solver")
def nothing_saved(case: Case) -> bytes:
    length = _run(case)
    text = case.pick(["snapshot: 0\nsnapshot_after_train: false", f"snapshot: {length + 1}", f"snapshot: {length * 10}",
                      f"snapshot: {length + 500}\nsnapshot_after_train: false", "snapshot_after_train: false"])  # fmt: skip
    return _without(case, text, "snapshot", "snapshot_after_train")


@plants("S142", "solver")
def nothing_shown(case: Case) -> bytes:
    case.need(not case.message["debug_info"])
    return _without(case, case.pick(["display: 0", f"display: {_run(case) + 1}", f"display: {_run(case) * 2}"]), "display")


@plants("S143", "solver")
def everything_shown(case: Case) -> bytes:
    length = _run(case)
    case.need(length > 1100)
    return _without(case, f"debug_info: true\ndisplay: {case.pick([1, max(1, length // 1100)])}", "debug_info", "display")


@plants("S144", "solver", also=("S138",))
def decay_of_another_order(case: Case) -> bytes:
    case.need(case.message["type"] in ("SGD", "Nesterov") and case.message["regularization_type"] == "L2")
    case.need("solver_type" not in case.message and case.message["base_lr"] > 0 and case.message["max_iter"] > 0)
    return _without(case, f"weight_decay: {case.pick(['0.1', '0.5', '1', '0.25'])}", "weight_decay")


@plants("S145", "solver", select=("S145",))
def gpu_asked_for(case: Case) -> bytes:
    return _without(case, case.pick(["solver_mode: GPU", "solver_mode: 1"]), "solver_mode")


@plants("S105", "solver")
def test_behind_the_end(case: Case) -> bytes:
    case.need(any(case.message["test_iter"]) and case.message["test_initialization"])
    return _without(case, f"test_interval: {_run(case) * case.pick([2, 5]) + 1}", "test_interval")


@plants("N706", "train")
def twin_with_a_bias_of_its_own(case: Case) -> bytes:
    layer = case.pick(
        layer
        for layer in case.layers(*_SETTINGS)
        if len(layer.params) == 2 and layer.runs_backward and len(layer.bottoms) == len(layer.tops) == 1
        and not layer.in_place and _SETTINGS[layer.type] in layer.message and not any(param.name for param in layer.params)
        and layer.params[1].lr_mult
    )  # fmt: skip
    weight, bias, other = case.pick([("lr_mult: 1 ", "lr_mult: 2 ", "lr_mult: 2 "), ("", "", ""), ("", 'name: "b" ', 'name: "b2" ')])
    field = layer.message.entries[_SETTINGS[layer.type]][0][2]
    settings = case.source[field.start : field.end].decode("utf-8", "replace")
    shared = f'param {{ name: "planted_w" {weight}}} param {{ '
    twin = (
        f'\nlayer {{ name: "planted" type: "{layer.type}" bottom: "{layer.bottoms[0].name}" top: "planted" {case.rules_of(layer)} '
        f"{shared}{other}}} {settings} }}\n"
    )
    close, end = layer.message.block.close, layer.entry[2].end
    edits = [Edit(one[2].start, one[2].end, b"") for one in layer.message.entries.get("param", ())]
    return case.edit([*edits, Edit(close, close, f" {shared}{bias}}} ".encode()), Edit(end, end, twin.encode())])


@plants("N706", "train")
def bias_of_a_twin_unnamed(case: Case) -> bytes:
    layer = case.pick(
        layer
        for layer in case.layers("Convolution", "InnerProduct")
        if len(layer.params) == 2 and all(param.name and param.owner is not param for param in layer.params)
    )
    spec = layer.params[1].spec
    case.need(spec is not None and layer.params[1].lr_mult)
    assert spec is not None
    return case.drop(spec, "name")
