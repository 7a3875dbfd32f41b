"""Mistakes in how a net is put together, at which Caffe stops (E201 to E221, N101)."""

from __future__ import annotations

from caffe_lint.fixes.edit import Edit
from caffe_lint.moments.graph import Blob, Layer
from caffe_lint.moments.shapes import Shape
from caffe_lint.proto.binder import Message

from .case import Case, NotHere, misspelt, plants

_WEIGHTED = ("Convolution", "InnerProduct", "Deconvolution")


def _readers(case: Case) -> list[Layer]:
    return [layer for layer in case.layers() if layer.bottoms]


@plants("E201", "net")
def bottom_misspelt(case: Case) -> bytes:
    layer = case.pick(_readers(case))
    index = case.chance.randrange(len(layer.bottoms))
    name = misspelt(layer.bottoms[index].name, case.chance)
    case.need(case.net.blob(name) is None)
    return case.rename(layer, "bottom", index, name)


@plants("E201", "net")
def producer_lost(case: Case) -> bytes:
    layer = case.pick(
        layer
        for layer in case.layers()
        if layer.bottoms and any(top.consumers and top.below is None for top in layer.tops)
    )
    field = layer.entry[2]
    return case.put(field.start, field.end, "")


@plants("E201", "net")
def top_renamed(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers() if layer.tops and layer.tops[0].consumers and not layer.in_place)
    return case.rename(layer, "top", 0, layer.tops[0].name + case.chance.choice(["_new", "2", "x"]))


@plants("E201", "net")
def layers_in_the_wrong_order(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers() if layer.tops and layer.tops[0].consumers and not layer.in_place)
    field = layer.entry[2]
    last = max(reader.entry[2].end for reader in layer.tops[0].consumers)
    case.need(last > field.end)
    text = case.source[field.start : field.end]
    return case.source[: field.start] + case.source[field.end : last] + b"\n" + text + case.source[last:]


@plants("E201", "train")
def producer_in_one_phase_only(case: Case) -> bytes:
    phases = {net.phase for net in case.nets}
    case.need(len(phases) == 2 and case.net.losses)  # without a loss the file may be for the other phase alone
    layer = case.pick(
        layer
        for layer in case.layers()
        if layer.bottoms
        and any(top.consumers and top.below is None for top in layer.tops)
        and "include" not in layer.message
        and "exclude" not in layer.message
        and all("include" not in reader.message for top in layer.tops for reader in top.consumers)
    )
    return case.inside(layer.message, case.pick(["include { phase: TRAIN }", "exclude { phase: TEST }"]))


@plants("E201", "v1")
def bottom_misspelt_in_v1(case: Case) -> bytes:
    _field, value = case.pick(case.strings("bottom"))
    name = misspelt(value.text[1:-1].decode(), case.chance)
    case.need(b'"' + name.encode() + b'"' not in case.source)
    return case.rewrite(value, f'"{name}"')


@plants("E202", "net")
def top_of_another(case: Case) -> bytes:
    layers = [layer for layer in case.layers() if layer.tops and not layer.in_place]
    layer = case.pick(layers)
    mine = {blob.name for blob in (*layer.bottoms, *layer.tops)}
    other = case.pick(
        top.name for before in layers if before.index < layer.index for top in before.tops if top.name not in mine
    )
    return case.rename(layer, "top", 0, other)


@plants("E202", "net")
def layer_twice(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers() if layer.tops and not layer.in_place and layer.bottoms)
    field = layer.entry[2]
    return case.put(field.end, field.end, b"\n" + case.source[field.start : field.end])


@plants("E203", "net")
def in_place_after_another_reader(case: Case) -> bytes:
    blob = case.pick(
        top for layer in case.layers() for top in layer.tops
        if len(top.consumers) == 1 and not top.consumers[0].in_place and not case.rules_of(layer)
    )  # fmt: skip
    reader = blob.consumers[0]
    case.need(reader in case.layers())
    kind = case.pick(["ReLU", "Dropout", "TanH", "Scale"])
    return case.behind(reader, f'layer {{ name: "planted" type: "{kind}" bottom: "{blob.name}" top: "{blob.name}" }}')


@plants("E203", "net")
def in_place_of_a_type_that_refuses(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("ReLU", "TanH", "Sigmoid") if layer.in_place)
    return case.set(layer.message, "type", "AbsVal")


@plants("E203", "net")
def flatten_in_place(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("InnerProduct", "Softmax") if layer.bottoms)
    blob = layer.bottoms[0]
    case.need(len(blob.consumers) == 1 and blob.producer in case.layers())
    assert blob.producer is not None
    text = f'layer {{ name: "flat" type: "Flatten" bottom: "{blob.name}" top: "{blob.name}" {case.rules_of(layer)} }}'
    return case.behind(blob.producer, text)


_ONE_BOTTOM = ("ReLU", "Pooling", "Convolution", "InnerProduct", "LRN", "Dropout", "BatchNorm", "Softmax")


@plants("E204", "net")
def bottom_too_many(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in case.layers("ReLU", "Pooling", "LRN", "Dropout", "BatchNorm", "InnerProduct", "Sigmoid")
    )
    other = case.pick(top.name for before in case.layers() if before.index < layer.index for top in before.tops)
    field = layer.message.entries["bottom"][-1][2]
    return case.put(field.end, field.end, f'\n  bottom: "{other}"')


@plants("E204", "net")
def bottom_lost(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in case.layers()
        if layer.kind and layer.bottoms and len(layer.bottoms) == layer.kind.bottoms[0] and layer.type != "Python"
        and not layer.type.startswith(("Silence", "Filter"))
    )  # fmt: skip
    field = layer.message.entries["bottom"][-1][2]
    return case.put(field.start, field.end, "")


@plants("E204", "net")
def top_too_many(case: Case) -> bytes:
    layer = case.pick(
        case.layers("ReLU", "LRN", "Convolution", "InnerProduct", "Dropout", "BatchNorm", "Concat", "Eltwise")
    )
    field = layer.message.entries["top"][-1][2]
    case.need(layer.type not in ("Convolution",) or len(layer.bottoms) == 1)
    case.need(case.net.dialect == "bvlc" or layer.kind is None or not layer.kind.fork_tops)  # a fork may take more
    return case.put(field.end, field.end, '\n  top: "planted_top"')


@plants("E204", "net")
def top_lost(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in case.layers(*_ONE_BOTTOM) if not any(top.consumers for top in layer.tops) or layer.in_place
    )
    field = layer.message.entries["top"][-1][2]
    return case.put(field.start, field.end, "")


@plants("E204", "train")
def loss_without_labels(case: Case) -> bytes:
    layer = case.pick(case.layers("SoftmaxWithLoss", "EuclideanLoss", "SigmoidCrossEntropyLoss", "HingeLoss"))
    case.need(len(layer.bottoms) == 2)
    field = layer.message.entries["bottom"][1][2]
    return case.put(field.start, field.end, "")


def _dims(shape: Shape) -> tuple[int, ...]:
    """A shape of which every dimension is known. Raises NotHere for others."""
    if shape is None or any(dim is None for dim in shape):
        raise NotHere
    return tuple(dim for dim in shape if dim is not None)


def _known(case: Case, axes: int = 4) -> Layer:
    """A layer whose first top has a shape that the file tells, of that many dimensions."""
    return case.pick(
        layer for layer in case.layers()
        if layer.tops and layer.tops[0].shape and len(layer.tops[0].shape) == axes and None not in layer.tops[0].shape
    )  # fmt: skip


@plants("E205", "net")
def sum_of_other_sizes(case: Case) -> bytes:
    one, other = _known(case), _known(case)
    first, second = one.tops[0], other.tops[0]
    case.need(_dims(first.shape) != _dims(second.shape))
    last = max(one, other, key=lambda layer: layer.index)
    text = f'layer {{ name: "planted" type: "Eltwise" bottom: "{first.name}" bottom: "{second.name}" top: "planted" }}'
    return case.behind(last, text)


@plants("E205", "net")
def concat_of_other_sizes(case: Case) -> bytes:
    one, other = _known(case), _known(case)
    first, second = _dims(one.tops[0].shape), _dims(other.tops[0].shape)
    case.need(first[2:] != second[2:] and first[0] == second[0])
    last = max(one, other, key=lambda layer: layer.index)
    bottoms = f'bottom: "{one.tops[0].name}" bottom: "{other.tops[0].name}"'
    return case.behind(last, f'layer {{ name: "planted" type: "Concat" {bottoms} top: "planted" }}')


def _comes_from(blob: Blob, layer: Layer) -> bool:
    """Whether a blob is computed from what a layer makes, so that a change of that layer changes both."""
    return blob.producer is layer or (blob.producer is not None and layer in blob.producer.upstream())


@plants("E205", "net")
def stride_of_one_branch(case: Case) -> bytes:
    joint = case.pick(layer for layer in case.layers("Concat", "Eltwise") if len(layer.bottoms) > 1)
    for blob in joint.bottoms:
        _dims(blob.shape)
    for blob in joint.bottoms:
        layer = blob.producer
        others = [other for other in joint.bottoms if other is not blob]
        if layer in case.layers("Convolution") and layer is not None and not any(_comes_from(other, layer) for other in others):
            size = _dims(blob.shape)[2:]
            case.need(min(size) > 3)
            stride = layer.message["convolution_param"]["stride"]
            return (
                case.within(layer, "convolution_param", f"stride: {2 if not stride else 1}")
                if not stride
                else case.set(layer.message["convolution_param"], "stride", stride[0] + 1)
            )
    raise NotHere


@plants("E205", "net")
def group_that_does_not_divide(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in case.layers("Convolution")
        if layer.bottoms and layer.bottoms[0].shape and len(layer.bottoms[0].shape) == 4 and "convolution_param" in layer.message
    )  # fmt: skip
    assert layer.bottoms[0].shape is not None
    channels = layer.bottoms[0].shape[1]
    case.need(channels)
    group = case.pick(n for n in (3, 5, 7, 11) if channels % n)
    return case.set(layer.message["convolution_param"], "group", group)


@plants("E205", "net")
def slice_beyond(case: Case) -> bytes:
    layer = _known(case)
    channels = _dims(layer.tops[0].shape)[1]
    points = [f"slice_point: {channels + case.chance.randrange(1, 9)}", f"slice_point: {channels}"]
    text = f'layer {{ name: "planted" type: "Slice" bottom: "{layer.tops[0].name}" top: "planted_a" top: "planted_b" '
    return case.behind(layer, text + f"slice_param {{ {case.pick(points)} }} }}")


@plants("E205", "net")
def reshape_to_another_number(case: Case) -> bytes:
    layer = _known(case)
    count = 1
    for dim in _dims(layer.tops[0].shape):
        count *= dim
    text = f'layer {{ name: "planted" type: "Reshape" bottom: "{layer.tops[0].name}" top: "planted" '
    shape = case.pick([f"dim: {count + 1}", f"dim: -1 dim: {count * 2 + 1}", f"dim: 1 dim: {count + 3}"])
    return case.behind(layer, text + f"reshape_param {{ shape {{ {shape} }} }} }}")


@plants("E206", "net")
def axis_too_far(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in case.layers("InnerProduct", "Softmax", "Concat", "SoftmaxWithLoss", "Scale", "Flatten", "Slice")
        if layer.bottoms and layer.bottoms[0].shape
    )  # fmt: skip
    names = {
        "InnerProduct": "inner_product_param", "Softmax": "softmax_param", "Concat": "concat_param",
        "SoftmaxWithLoss": "softmax_param", "Scale": "scale_param", "Flatten": "flatten_param", "Slice": "slice_param",
    }  # fmt: skip
    name = names[layer.type]
    case.need(name not in layer.message or not {"axis", "concat_dim", "slice_dim"} & set(layer.message[name].entries))
    assert layer.bottoms[0].shape is not None
    return case.within(layer, name, f"axis: {len(layer.bottoms[0].shape) + case.chance.randrange(2)}")


@plants("E206", "net")
def image_layer_behind_a_vector(case: Case) -> bytes:
    axes = case.chance.choice([2, 2, 3])
    layer = _known(case, axes)
    what = case.pick(
        [
            'type: "Pooling" pooling_param { kernel_size: 2 }',
            'type: "LRN" lrn_param { norm_region: WITHIN_CHANNEL }',
            'type: "Im2col" convolution_param { kernel_size: 2 }',  # which takes 3 axes
        ][: 2 if axes == 3 else 3]
    )
    return case.behind(layer, f'layer {{ name: "planted" bottom: "{layer.tops[0].name}" top: "planted" {what} }}')


@plants("E207", "net")
def kernel_larger_than_image(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in case.layers("Convolution")
        if layer.bottoms and layer.bottoms[0].shape and len(layer.bottoms[0].shape) == 4 and None not in layer.bottoms[0].shape
        and "kernel_size" in layer.message["convolution_param"] and not layer.message["convolution_param"]["pad"]
    )  # fmt: skip
    height = _dims(layer.bottoms[0].shape)[2]
    return case.set(layer.message["convolution_param"], "kernel_size", height + case.chance.randrange(1, 9))


@plants("E207", "net", "v1")
def image_too_small(case: Case) -> bytes:
    values = [field.value for field in case.tree.root.fields if field.name == "input_dim"]
    case.need(len(values) == 4)
    first = case.net.layers[1 if case.net.layers[0].type == "Input" else 0]
    kernel = first.message["convolution_param"]["kernel_size"]
    case.need(
        first.type == "Convolution" and kernel and kernel[0] > 4 and not first.message["convolution_param"]["pad"]
    )
    assert values[2] is not None
    assert values[3] is not None
    return case.put(values[2].start, values[3].end, f"{kernel[0] - 1}\ninput_dim: {kernel[0] - 2}")


@plants("E207", "net")
def crop_outside(case: Case) -> bytes:
    layer = _known(case)
    height = min(_dims(layer.tops[0].shape)[2:])
    case.need(height < 400)
    text = f'layer {{ name: "planted" type: "Convolution" bottom: "{layer.tops[0].name}" top: "planted" '
    return case.behind(layer, text + f"convolution_param {{ num_output: 4 kernel_size: 3 dilation: {height} }} }}")


_NEEDED = {
    "Convolution": ("convolution_param.num_output", "convolution_param.kernel_size"),
    "Deconvolution": ("convolution_param.num_output", "convolution_param.kernel_size"),
    "InnerProduct": ("inner_product_param.num_output",),
    "Pooling": ("pooling_param.kernel_size",),
    "Data": ("data_param.batch_size",),
    "ImageData": ("image_data_param.batch_size",),
    "Embed": ("embed_param.num_output",),
    "LSTM": ("recurrent_param.num_output",),
    "Python": ("python_param.layer",),
    "Tile": ("tile_param.tiles",),
}


@plants("E208", "net")
def setting_lost(case: Case) -> bytes:
    layer = case.pick(case.layers(*_NEEDED))
    return case.drop_at(layer.message, case.pick(_NEEDED[layer.type]))


@plants("E208", "net", also=("E209",))
def setting_zero(case: Case) -> bytes:
    layer = case.pick(case.layers("Convolution", "InnerProduct", "Pooling"))
    message, name = case.pick(_NEEDED[layer.type]).split(".")
    case.need(name in layer.message[message])
    return case.set(layer.message[message], name, 0)


@plants("E208", "net")
def type_lost(case: Case) -> bytes:
    return case.drop(case.pick(case.layers()).message, "type")


@plants("E208", "net")
def settings_lost(case: Case) -> bytes:
    layer = case.pick(case.layers("Convolution", "InnerProduct", "Pooling"))
    return case.drop(layer.message, "convolution_param", "inner_product_param", "pooling_param")


@plants("E209", "net", also=("E208",))
def kernel_twice(case: Case) -> bytes:
    layer = case.pick(case.layers("Convolution", "Pooling"))
    name = "convolution_param" if layer.type == "Convolution" else "pooling_param"
    case.need("kernel_size" in layer.message[name] and "kernel_h" not in layer.message[name])
    return case.inside(layer.message[name], case.pick(["kernel_h: 3 kernel_w: 3", "kernel_w: 3 kernel_h: 1"]))


@plants("E209", "net")
def even_local_size(case: Case) -> bytes:
    layer = case.pick(case.layers("LRN"))
    case.need("lrn_param" in layer.message)
    return case.set(layer.message["lrn_param"], "local_size", case.pick([2, 4, 6, 8]))


@plants("E209", "net")
def pad_as_large_as_the_kernel(case: Case) -> bytes:
    layer = case.pick(case.layers("Pooling"))
    kernel = layer.message["pooling_param"].get("kernel_size")
    case.need(kernel and not layer.message["pooling_param"].get("global_pooling"))
    return case.set(layer.message["pooling_param"], "pad", kernel + case.chance.randrange(3))


@plants("E209", "net")
def kernel_of_global_pooling(case: Case) -> bytes:
    layer = case.pick(case.layers("Pooling"))
    case.need("kernel_size" in layer.message["pooling_param"])
    return case.set(layer.message["pooling_param"], "global_pooling", True)


@plants("E209", "train")
def dropout_over_one(case: Case) -> bytes:
    layer = case.pick(case.layers("Dropout"))
    case.need("dropout_param" in layer.message and case.net.phase == "TRAIN")
    return case.set(layer.message["dropout_param"], "dropout_ratio", case.pick([1.5, 50, -0.5]))


@plants("E209", "net")
def axis_twice(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("Concat") if layer.bottoms)
    case.need("concat_param" not in layer.message)
    return case.inside(layer.message, "concat_param { axis: 1 concat_dim: 1 }")


@plants("E209", "net")
def coefficients_of_a_product(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("Eltwise") if "eltwise_param" not in layer.message)
    return case.inside(layer.message, "eltwise_param { operation: PROD coeff: 1 coeff: -1 }")


@plants("E209", "net")
def stride_in_two_forms(case: Case) -> bytes:
    layer = case.pick(case.layers("Convolution"))
    case.need("stride" in layer.message["convolution_param"])
    return case.inside(
        layer.message["convolution_param"], case.pick(["stride_h: 2 stride_w: 2", "stride_w: 1 stride_h: 1"])
    )


@plants("E210", "net")
def mean_of_two_kinds(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("Data", "ImageData", "WindowData"))
    transform = layer.message.get("transform_param")
    if transform is not None and "mean_file" in transform:
        return case.inside(transform, "mean_value: 104")
    case.need(transform is not None and "mean_value" in transform)
    return case.inside(transform, 'mean_file: "mean.binaryproto"')


@plants("E210", "net")
def transform_of_hdf5(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("HDF5Data") if "transform_param" not in layer.message)
    return case.inside(
        layer.message, "transform_param { " + case.pick(["scale: 0.1", "mirror: true", "crop_size: 8"]) + " }"
    )


@plants("E210", "net")
def crop_larger_than_the_image(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("ImageData"))
    param = layer.message["image_data_param"]
    case.need("new_height" in param and "new_width" in param and "crop_size" not in layer.message["transform_param"])
    size = max(param["new_height"], param["new_width"])
    return case.within(layer, "transform_param", f"crop_size: {size + case.chance.randrange(1, 40)}")


@plants("E210", "net")
def one_shape_too_many(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("Input", "DummyData"))
    name = "input_param" if layer.type == "Input" else "dummy_data_param"
    case.need(len(layer.message[name]["shape"]) == len(layer.tops))
    return case.inside(layer.message[name], "shape { dim: 1 dim: 2 } " * (2 if len(layer.tops) == 1 else 1))


@plants("E210", "net")
def height_without_width(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("ImageData"))
    return case.drop(layer.message["image_data_param"], case.pick(["new_height", "new_width"]))


@plants("E210", "net")
def size_of_memory_lost(case: Case) -> bytes:
    layer = case.pick(case.layers("MemoryData"))
    return case.drop(layer.message["memory_data_param"], case.pick(["batch_size", "channels", "height", "width"]))


@plants("E211", "net")
def param_of_nothing(case: Case) -> bytes:
    layer = case.pick(
        case.layers("ReLU", "Pooling", "Dropout", "LRN", "Softmax", "Concat", "SoftmaxWithLoss", "Eltwise", "Sigmoid")
    )
    return case.inside(layer.message, case.pick(["param { lr_mult: 1 }", "param { lr_mult: 0 decay_mult: 0 }"]))


@plants("E211", "net")
def param_too_many(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in case.layers(*_WEIGHTED) if len(layer.message["param"]) == len(layer.params) > 0
    )
    return case.inside(layer.message, "param { lr_mult: 1 decay_mult: 1 }")


@plants("E211", "net")
def bias_taken_out(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("Convolution", "InnerProduct") if len(layer.message["param"]) == 2)
    name = "convolution_param" if layer.type == "Convolution" else "inner_product_param"
    case.need(name in layer.message)
    return case.set(layer.message[name], "bias_term", False)


@plants("E211", "net")
def statistics_that_learn(case: Case) -> bytes:
    case.need(case.file.bound.dialect in ("bvlc", "ssd"))  # some others have a BatchNorm of their own
    layer = case.pick(layer for layer in case.layers("BatchNorm") if "param" not in layer.message)
    return case.inside(
        layer.message, case.pick(["param { lr_mult: 1 }", "param { lr_mult: 0 } param { lr_mult: 1 }", "param { }"])
    )


@plants("E212", "net")
def shared_with_another_shape(case: Case) -> bytes:
    layers = [
        layer
        for layer in case.layers(*_WEIGHTED)
        if layer.params and layer.params[0].shape and None not in layer.params[0].shape
    ]
    case.need(len(layers) > 1)
    one, other = case.chance.sample(layers, 2)
    case.need(
        one.params[0].shape != other.params[0].shape and "param" not in one.message and "param" not in other.message
    )
    first, second = sorted((one, other), key=lambda layer: -layer.index)
    source = case.inside(first.message, 'param { name: "planted_w" }')
    close = second.message.block.close
    return source[:close] + b'  param { name: "planted_w" }\n  ' + source[close:]


@plants("E212", "net")
def shared_with_another_rate(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in case.layers("Convolution", "InnerProduct") if layer.params and not layer.message["param"]
    )
    field = layer.entry[2]
    rate, other = case.chance.sample(["1", "2", "0.1", "10", "0"], 2)
    which = case.pick(["lr_mult", "decay_mult"])
    with_name = case.inside(layer.message, f'param {{ name: "planted_w" {which}: {rate} }}')
    grown = len(with_name) - len(case.source)
    copy = case.source[field.start : field.end]
    end = copy.rindex(b"}")
    copy = copy[:end] + f'  param {{ name: "planted_w" {which}: {other} }}\n}}'.encode()
    name, top = layer.message.entries["name"][0][1], layer.message.entries["top"][0][1]
    for node in sorted((name, top), key=lambda node: -node.start):
        at = node.end - field.start - 1
        copy = copy[:at] + b"_planted" + copy[at:]
    return with_name[: field.end + grown] + b"\n" + copy + with_name[field.end + grown :]


def _fillers(case: Case) -> list[tuple[Layer, str]]:
    return [
        (layer, name)
        for layer in case.layers("Convolution", "InnerProduct", "Deconvolution")
        for name in ("weight_filler", "bias_filler")
        if name in settings_of(layer)
    ]


def settings_of(layer: Layer) -> Message:
    """The settings of a Convolution, Deconvolution or InnerProduct."""
    found: Message = layer.message["inner_product_param" if layer.type == "InnerProduct" else "convolution_param"]
    return found


@plants("E213", "net")
def filler_misspelt(case: Case) -> bytes:
    layer, name = case.pick(_fillers(case))
    filler = settings_of(layer)[name]
    wrong = case.pick(
        ["Xavier", "XAVIER", "guassian", "Gaussian", "const", "normal", "he", "kaiming", "zeros", "glorot", "MSRA"]
    )
    return case.set(filler, "type", wrong)


@plants("E213", "net")
def spread_not_over_zero(case: Case) -> bytes:
    layer, name = case.pick((a, b) for a, b in _fillers(case) if settings_of(a)[b]["type"] == "gaussian")
    return case.set(settings_of(layer)[name], "std", case.pick([0, -0.01]))


@plants("E213", "net")
def uniform_the_wrong_way(case: Case) -> bytes:
    layer, name = case.pick(_fillers(case))
    span = settings_of(layer).entries[name][0][1]
    return case.rewrite(span, '{ type: "uniform" min: 0.1 max: -0.1 }')


@plants("E213", "net")
def bilinear_for_a_vector(case: Case) -> bytes:
    layer, name = case.pick((a, b) for a, b in _fillers(case) if a.type == "InnerProduct" and b == "weight_filler")
    return case.rewrite(settings_of(layer).entries[name][0][1], '{ type: "bilinear" }')


@plants("E214", "train")
def weight_for_no_top(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in case.layers() if layer.type.endswith("Loss") and layer.kind and len(layer.tops) == 1
    )
    has = len(layer.message["loss_weight"])
    return case.inside(layer.message, "loss_weight: 1 " * (2 - has))


@plants("E214", "net")
def propagate_for_one_of_two(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in case.layers() if len(layer.bottoms) > 1 and "propagate_down" not in layer.message
    )
    return case.inside(layer.message, case.pick(["propagate_down: true", "propagate_down: false"]))


@plants("E214", "net")
def propagate_for_two_of_one(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in case.layers() if len(layer.bottoms) == 1 and "propagate_down" not in layer.message
    )
    return case.inside(layer.message, "propagate_down: true propagate_down: false")


@plants("E215", "train")
def rules_of_both_kinds(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers() if ("include" in layer.message) != ("exclude" in layer.message))
    if "include" in layer.message:
        return case.inside(
            layer.message, case.pick(["exclude { phase: TEST }", 'exclude { stage: "deploy" }', "exclude { }"])
        )
    return case.inside(layer.message, case.pick(["include { phase: TRAIN }", "include { }"]))


@plants("E216", "train")
def layer_without_a_gradient(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in case.layers("ReLU", "Sigmoid", "TanH", "Dropout")
        if layer.phase == "TRAIN" and layer.runs_backward and layer.gradient_bottoms[0] and not layer.in_place
    )  # fmt: skip
    return case.set(layer.message, "type", "Threshold")


@plants("E216", "train")
def threshold_before_the_loss(case: Case) -> bytes:
    loss = case.pick(layer for layer in case.layers("SoftmaxWithLoss", "EuclideanLoss", "SigmoidCrossEntropyLoss"))
    case.need(loss.phase == "TRAIN" and loss.gradient_bottoms[0])
    blob, producer = loss.bottoms[0], loss.bottoms[0].producer
    case.need(producer in case.layers())
    assert producer is not None
    source = case.rename(loss, "bottom", 0, "planted")
    text = (
        f'\nlayer {{ name: "planted" type: "Threshold" bottom: "{blob.name}" top: "planted" {case.rules_of(loss)} }}\n'
    )
    end = producer.entry[2].end
    case.need(end < loss.entry[2].start)
    last = case.net.layers[loss.index - 1]
    end = last.entry[2].end if last in case.layers() and last.index >= producer.index else end
    return source[:end] + text.encode() + source[end:]


@plants("E216", "train")
def label_that_learns(case: Case) -> bytes:
    loss = case.pick(layer for layer in case.layers("SoftmaxWithLoss", "SigmoidCrossEntropyLoss", "EuclideanLoss"))
    case.need(loss.phase == "TRAIN" and loss.gradient_bottoms[0] and loss.type != "EuclideanLoss")
    case.need("propagate_down" not in loss.message)
    case.need(all(blob.shape is None or None in blob.shape for blob in loss.bottoms) or loss.type != "SoftmaxWithLoss")
    return case.rename(loss, "bottom", 1, loss.bottoms[0].name)


@plants("E217", "train")
def normalize_of_infogain(case: Case) -> bytes:
    loss = case.pick(case.layers("SoftmaxWithLoss"))
    node = loss.message.entries["type"][0][1]
    case.need("loss_param" not in loss.message and case.file.bound.dialect == "bvlc")
    text = 'loss_param {{ normalize: {} }} infogain_loss_param {{ source: "H.binaryproto" }}'.format(case.pick(
        ["true", "false", "1"]
    ))
    source = case.inside(loss.message, text)
    return source[: node.start] + b'"InfogainLoss"' + source[node.end :]


@plants("E218", "net")
def all_layers_for_another_level(case: Case) -> bytes:
    layers = [entry[0] for entry in case.message.entries["layer"]]
    case.need("input" not in case.message and not any("include" in layer or "exclude" in layer for layer in layers))
    rule = case.pick(["include { min_level: 2 }", "include { max_level: -1 }", "exclude { }"])
    return case.edit([Edit(layer.block.close, layer.block.close, f" {rule} ".encode()) for layer in layers])


@plants("E218", "train")
def all_layers_for_one_phase(case: Case) -> bytes:
    layers = [entry[0] for entry in case.message.entries["layer"]]
    case.need("input" not in case.message and not any("include" in layer or "exclude" in layer for layer in layers))
    rule = case.pick(["include { phase: TEST not_stage: 'a' }", "exclude { phase: TRAIN }"])
    text = "\nstate { phase: TRAIN }\n"
    edits = [Edit(layer.block.close, layer.block.close, f" {rule} ".encode()) for layer in layers]
    return case.edit([*edits, Edit(len(case.source), len(case.source), text.encode())])


@plants("E219", "net")
def engine_of_gpus(case: Case) -> bytes:
    names = {"Convolution": "convolution_param", "Pooling": "pooling_param", "ReLU": "relu_param", "LRN": "lrn_param",
             "Softmax": "softmax_param", "Sigmoid": "sigmoid_param", "TanH": "tanh_param", "Deconvolution": "convolution_param"}  # fmt: skip
    case.need(b"engine" not in case.source)
    layer = case.pick(case.layers(*names))
    return case.within(layer, names[layer.type], "engine: CUDNN")


@plants("N101", "net")
def group_of_nothing(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("Convolution") if "convolution_param" in layer.message)
    return case.set(layer.message["convolution_param"], "group", 0)


@plants("N101", "net", also=("E209",))
def stride_of_nothing(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("Pooling", "Convolution"))
    name = "pooling_param" if layer.type == "Pooling" else "convolution_param"
    case.need(
        name in layer.message
        and not layer.message[name].get("global_pooling")
        and "stride_h" not in layer.message[name]
    )
    return case.set(layer.message[name], "stride", 0)


@plants("N101", "net")
def prefetch_of_nothing(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers("Data") if "data_param" in layer.message)
    return case.set(layer.message["data_param"], "prefetch", 0)


_TYPES_OF_SETTINGS = {
    "Convolution": ("convolution_param", ("InnerProduct", "Pooling")),
    "InnerProduct": ("inner_product_param", ("Convolution", "Embed")),
    "Pooling": ("pooling_param", ("Convolution", "InnerProduct")),
    "Data": ("data_param", ("Input", "ImageData", "DummyData")),
    "ImageData": ("image_data_param", ("Data",)),
    "HDF5Data": ("hdf5_data_param", ("Data",)),
}


@plants("E222", "net")
def type_of_other_settings(case: Case) -> bytes:
    layer = case.pick(
        layer for layer in case.layers(*_TYPES_OF_SETTINGS) if _TYPES_OF_SETTINGS[layer.type][0] in layer.message
    )
    return case.set(layer.message, "type", case.pick(_TYPES_OF_SETTINGS[layer.type][1]))
