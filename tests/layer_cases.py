"""What BVLC's Caffe does with single layers, from runs of it: shapes, parameters, and what it rejects.

A case has the existing blobs, the fields of the layer, and the result. Cases of types of forks are based on their source.
"""

from __future__ import annotations

from typing import NamedTuple

X = {"x": "2 3 8 8"}
XZ = {"x": "2 3 8 8", "z": "2 3 8 8"}
SCORES = {"f": "2 5", "t": "2"}


class Made(NamedTuple):
    """A layer that is built: the shapes of its tops and, if given, of its parameters."""

    layer: str
    tops: dict[str, str]
    inputs: dict[str, str] = X
    params: list[str] | None = None
    dialect: str = "bvlc"


class Refused(NamedTuple):
    """A layer at which Caffe stops, and the kind of problem that reports it."""

    layer: str
    kind: str
    inputs: dict[str, str] = X
    when: str = "setup"
    how: str = "fatal"
    dialect: str = "bvlc"


def conv(param: str, kind: str = "Convolution", rest: str = "") -> str:
    """A layer with a convolution_param."""
    return f'type: "{kind}" bottom: "x" top: "y" {rest} convolution_param {{ {param} }}'


def pool(param: str) -> str:
    """A Pooling layer."""
    return f'type: "Pooling" bottom: "x" top: "y" pooling_param {{ {param} }}'


def one(kind: str, rest: str = "") -> str:
    """A layer with bottom x and top y."""
    return f'type: "{kind}" bottom: "x" top: "y" {rest}'


def two(kind: str, rest: str = "") -> str:
    """A layer with bottoms x and z and top y."""
    return f'type: "{kind}" bottom: "x" bottom: "z" top: "y" {rest}'


def loss(kind: str, rest: str = 'top: "l"') -> str:
    """A loss of f against t."""
    return f'type: "{kind}" bottom: "f" bottom: "t" {rest}'


SAME = {"y": "2 3 8 8"}

MADE = [
    # convolution
    Made(conv("num_output: 4 kernel_size: 3"), {"y": "2 4 6 6"}, params=["4 3 3 3", "4"]),
    Made(conv("num_output: 4 kernel_size: 3 stride: 2"), {"y": "1 4 1 1"}, {"x": "1 3 2 2"}),
    Made(conv("num_output: 4 kernel_size: 3 dilation: 0"), {"y": "2 4 8 8"}),
    Made(conv("num_output: 4 kernel_size: [3, 3]"), {"y": "2 4 6 6"}),
    Made(
        conv("num_output: 2 kernel_size: 2 stride: 2 pad: 1 dilation: 3"), {"y": "1 2 3 5"}, {"x": "1 2 7 11"}
    ),
    Made(
        conv("num_output: 2 kernel_size: 3 stride: 4 pad: 3 dilation: 3"),
        {"y": "1 2 4 3"},
        {"x": "1 2 13 11"},
    ),
    Made(
        conv("num_output: 6 kernel_size: 1 group: 3 bias_term: false"), {"y": "2 6 8 8"}, params=["6 1 1 1"]
    ),
    Made(
        conv("num_output: 4 kernel_size: 3", rest='bottom: "z" top: "w"'),
        {"y": "2 4 6 6", "w": "2 4 6 6"},
        XZ,
        ["4 3 3 3", "4"],
    ),
    Made(conv("num_output: 4 kernel_size: 3"), {"y": "2 4 6 6 6"}, {"x": "2 3 8 8 8"}, ["4 3 3 3 3", "4"]),
    Made(
        conv("num_output: 6 kernel_size: 4 stride: 2 pad: 1 group: 3", "Deconvolution"),
        {"y": "2 6 16 16"},
        params=["3 2 4 4", "6"],
    ),
    Made(
        conv("num_output: 2 kernel_size: 5 stride: 2 pad: 2 dilation: 3", "Deconvolution"),
        {"y": "1 2 15 27"},
        {"x": "1 2 4 10"},
    ),
    Made(
        conv("num_output: 2 kernel_size: 4 stride: 4 pad: 3 dilation: 3", "Deconvolution"),
        {"y": "1 2 32 40"},
        {"x": "1 2 8 10"},
    ),
    Made(
        conv("num_output: 3 kernel_size: 3 group: 3", "DepthwiseConvolution"),
        {"y": "2 3 6 6"},
        params=["3 1 3 3", "3"],
        dialect="mobilenet-yolo",
    ),
    Made(
        conv("num_output: 9 kernel_size: 3 pad: 1 stride: 2", "ConvolutionDepthwise"),
        {"y": "2 3 4 4"},
        params=["3 1 3 3", "3"],
        dialect="beniz",
    ),
    Made(conv("kernel_size: 3", "Im2col"), {"y": "2 27 6 6"}, params=[]),
    # pooling
    Made(pool("kernel_size: 3 stride: 2"), {"y": "1 3 3 4"}, {"x": "1 3 7 8"}),
    Made(pool("kernel_size: 3 stride: 2 round_mode: FLOOR"), {"y": "1 3 3 3"}, {"x": "1 3 7 8"}),
    Made(pool("kernel_size: 2 stride: 2 pad: 1"), {"y": "1 3 4 4"}, {"x": "1 3 7 7"}),
    Made(pool("kernel_size: 2 kernel_h: 3"), {"y": "2 3 7 7"}),
    Made(pool("kernel_size: 3 stride: 2"), {"y": "1 3 1 1"}, {"x": "1 3 2 2"}),
    Made(pool("global_pooling: true pool: AVE"), {"y": "2 3 1 1"}),
    Made(
        'type: "Pooling" bottom: "x" top: "y" top: "m" pooling_param { kernel_size: 2 }',
        {"y": "2 3 7 7", "m": "2 3 7 7"},
    ),
    Made(pool("kernel_size: 5 stride: 2 pad: 2 round_mode: FLOOR"), {"y": "1 2 2 5"}, {"x": "1 2 4 10"}),
    Made(
        pool("kernel_size: 3 stride: 2 ceil_mode: false"),
        {"y": "1 3 3 3"},
        {"x": "1 3 7 8"},
        dialect="mobilenet-yolo",
    ),
    Made(one("SPP", "spp_param { pyramid_height: 3 }"), {"y": "2 63"}),
    Made(one("SPP", "spp_param { pyramid_height: 1 }"), {"y": "2 3 1 1"}),
    # cropping and resizing
    Made(two("Crop", "crop_param { axis: 2 offset: 1 }"), {"y": "2 3 5 6"}, {"x": "2 3 8 8", "z": "2 3 5 6"}),
    Made(two("Crop"), {"y": "2 3 5 6"}, {"x": "2 3 8 8", "z": "1 1 5 6"}),
    Made(two("Upsample", "upsample_param { scale: 2 }"), {"y": "2 3 16 16"}, XZ, dialect="segnet"),
    Made(
        two("Upsample", "upsample_param { upsample_h: 11 upsample_w: 12 }"),
        {"y": "2 3 11 12"},
        XZ,
        dialect="segnet",
    ),
    Made(one("Upsample", "upsample_param { scale: 2 }"), {"y": "2 3 16 16"}, dialect="mobilenet-yolo"),
    Made(
        two("UnPooling", "unpooling_param { unpool_size: 14 kernel_size: 2 stride: 2 }"),
        {"y": "2 3 ? ?"},
        XZ,
        dialect="cambricon",
    ),
    Made(
        two("MaxUnPool", "max_unpool_param { dst_h: 16 dst_w: 20 }"),
        {"y": "2 3 16 20"},
        XZ,
        dialect="brocolli",
    ),
    Made(one("Interp", "interp_param { height: 5 width: 6 }"), {"y": "2 3 5 6"}, dialect="pspnet"),
    Made(one("Interp", "interp_param { zoom_factor: 8 }"), {"y": "2 3 57 57"}, dialect="pspnet"),
    Made(one("Interp", "interp_param { shrink_factor: 2 }"), {"y": "2 3 4 4"}, dialect="pspnet"),
    Made(one("Reorg", "reorg_param { stride: 2 }"), {"y": "2 12 4 4"}, dialect="mobilenet-yolo"),
    # activations
    *(
        Made(one(kind), SAME, params=[])
        for kind in (
            "ReLU",
            "Sigmoid",
            "TanH",
            "ELU",
            "Swish",
            "BNLL",
            "Clip",
            "Power",
            "Threshold",
            "Dropout",
            "AbsVal",
            "Exp",
            "Log",
        )
    ),
    Made(one("PReLU"), SAME, params=["3"]),
    Made(one("PReLU", "prelu_param { channel_shared: true }"), SAME, params=[""]),
    Made(one("ReLU6"), SAME, dialect="mobilenet-yolo"),
    Made(one("Mish"), SAME, dialect="synopsys"),
    Made(one("Insanity"), SAME, dialect="happynear"),
    # normalisation, scale and bias
    Made(one("BatchNorm"), SAME, params=["3", "3", "1"]),
    Made(one("BatchNorm"), {"y": "4 5"}, {"x": "4 5"}, ["5", "5", "1"]),
    Made(one("BatchNorm", "param { lr_mult: 0 }"), SAME),
    Made(one("BatchNorm", "param { lr_mult: 1 } param { lr_mult: 1 } param { lr_mult: 1 }"), SAME),
    Made(one("LRN", "lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 }"), SAME, params=[]),
    Made(one("MVN"), {"y": "2 3 1 1"}, {"x": "2 3"}),
    Made(one("Scale", "scale_param { bias_term: true }"), SAME, params=["3", "3"]),
    Made(one("Scale", "scale_param { num_axes: -1 }"), SAME, params=["3 8 8"]),
    Made(one("Scale", "scale_param { num_axes: 0 }"), SAME, params=[""]),
    Made(
        two("Scale", "scale_param { axis: 0 bias_term: true }"), SAME, {"x": "2 3 8 8", "z": "2 3"}, ["2 3"]
    ),
    Made(one("Bias"), SAME, params=["3"]),
    Made(two("Bias", "bias_param { axis: 0 }"), SAME, {"x": "2 3 8 8", "z": "2"}, []),
    Made(one("Normalize", "norm_param { channel_shared: false }"), SAME, params=["3"], dialect="ssd"),
    Made(one("Normalize"), SAME, params=[""], dialect="ssd"),
    Made(one("BN"), SAME, params=["1 3 1 1", "1 3 1 1"], dialect="segnet"),
    Made(one("BN"), SAME, params=["1 3 1 1"] * 4, dialect="pspnet"),
    Made(one("GRN"), SAME, dialect="openvino-toolbox"),
    # weights
    Made(
        'type: "LargeMarginInnerProduct" bottom: "x" bottom: "l" top: "y" top: "f" largemargin_inner_product_param { num_output: 4 }',
        {"y": "2 4", "f": "1"},
        {"x": "2 3 8 8", "l": "2"},
        params=["4 192"],
        dialect="happynear",
    ),
    Made(
        'type: "MarginInnerProduct" bottom: "x" bottom: "l" top: "y" top: "f" margin_inner_product_param { num_output: 4 }',
        {"y": "2 4", "f": "1"},
        {"x": "2 3 8 8", "l": "2"},
        params=["4 192"],
        dialect="sphereface",
    ),
    Made(one("InnerProduct", "inner_product_param { num_output: 4 }"), {"y": "2 4"}, params=["4 192", "4"]),
    Made(
        one("InnerProduct", "inner_product_param { num_output: 4 axis: 2 }"),
        {"y": "2 3 4"},
        params=["4 64", "4"],
    ),
    Made(
        one("InnerProduct", "inner_product_param { num_output: 4 axis: 0 }"),
        {"y": "4"},
        params=["4 384", "4"],
    ),
    Made(
        one("InnerProduct", "inner_product_param { num_output: 4 transpose: true bias_term: false }"),
        {"y": "2 4"},
        params=["192 4"],
    ),
    Made(
        one("Embed", "embed_param { num_output: 4 input_dim: 9 }"), {"y": "5 2 4"}, {"x": "5 2"}, ["9 4", "4"]
    ),
    Made('type: "Parameter" top: "y" parameter_param { shape { dim: 2 dim: 3 } }', {"y": "2 3"}, {}, ["2 3"]),
    # joining and parting
    Made(two("Concat"), {"y": "2 8 8 8"}, {"x": "2 3 8 8", "z": "2 5 8 8"}),
    Made(two("Concat", "concat_param { axis: -1 }"), {"y": "2 3 8 15"}, {"x": "2 3 8 8", "z": "2 3 8 7"}),
    Made('type: "Slice" bottom: "x" top: "a" top: "b" top: "c"', dict.fromkeys("abc", "2 1 8 8")),
    Made(
        'type: "Slice" bottom: "x" top: "a" top: "b" slice_param { slice_point: 1 }',
        {"a": "2 1 8 8", "b": "2 2 8 8"},
    ),
    Made('type: "Split" bottom: "x" top: "a" top: "b"', {"a": "2 3 8 8", "b": "2 3 8 8"}),
    Made(two("Eltwise"), SAME, XZ),
    Made(two("Eltwise", "eltwise_param { operation: MAX coeff: 1 coeff: -1 }"), SAME, XZ),
    Made('type: "Eltwise" bottom: "x" bottom: "x" top: "y"', SAME),
    Made(
        'type: "Axpy" bottom: "s" bottom: "x" bottom: "z" top: "y"',
        SAME,
        {"s": "2 3 1 1", **XZ},
        dialect="cc4",
    ),
    # other shapes
    Made(one("Reshape", "reshape_param { shape { dim: 0 dim: -1 } }"), {"y": "2 192"}),
    Made(one("Reshape", "reshape_param { shape { dim: -1 } axis: 1 num_axes: 2 }"), {"y": "2 24 8"}),
    Made(one("Reshape", "reshape_param { shape { dim: 1 } axis: -1 num_axes: 0 }"), {"y": "2 3 8 8 1"}),
    Made(one("Flatten"), {"y": "2 192"}),
    Made(one("Flatten", "flatten_param { axis: 0 end_axis: 1 }"), {"y": "6 8 8"}),
    Made(one("Flatten", "flatten_param { axis: 2 end_axis: 1 }"), {"y": "2 3 1 8 8"}),
    Made(one("Permute", "permute_param { order: 0 order: 2 order: 3 }"), {"y": "2 8 8 3"}, dialect="ssd"),
    Made(
        one("Transpose", "transpose_param { dim: 2 dim: 0 dim: 1 }"),
        {"y": "4 2 3"},
        {"x": "2 3 4"},
        dialect="cc4",
    ),
    Made(one("Reverse"), SAME, dialect="ctpn"),
    Made(one("Flip"), SAME, dialect="cc4"),
    Made(one("ShuffleChannel", "shuffle_channel_param { group: 3 }"), SAME, dialect="beniz"),
    Made(one("Tile", "tile_param { tiles: 3 axis: -1 }"), {"y": "2 3 8 24"}),
    Made(one("Reduction", "reduction_param { axis: 1 }"), {"y": "2"}),
    Made(one("Reduction"), {"y": ""}),
    # choosing
    Made(one("Softmax"), SAME),
    Made(one("ArgMax"), {"y": "2 1 1 1"}),
    Made(one("ArgMax", "argmax_param { out_max_val: true top_k: 5 }"), {"y": "2 2 5 1"}),
    Made(one("ArgMax", "argmax_param { axis: 1 top_k: 2 }"), {"y": "2 2 8 8"}),
    Made(one("ArgMax", "argmax_param { top_k: 3 }"), {"y": "2 1 3"}, {"x": "2 7"}),
    Made(loss("Accuracy"), {"l": ""}, SCORES),
    Made(loss("Accuracy", 'top: "l" top: "c"'), {"l": "", "c": "5"}, SCORES),
    Made('type: "Silence" bottom: "x" bottom: "z"', {}, XZ),
    Made('type: "Filter" bottom: "x" bottom: "t" top: "y"', SAME, {**X, "t": "2"}),
    Made('type: "BatchReindex" bottom: "x" bottom: "t" top: "y"', {"y": "5 3 8 8"}, {**X, "t": "5"}),
    Made('type: "Python" bottom: "x" top: "y" python_param { module: "m" layer: "L" }', {"y": "?"}),
    Made(two("DenseCRF"), SAME, XZ, dialect="deeplab-v2"),
    Made(two("DomainTransform"), SAME, XZ, dialect="deeplab-v2"),
    Made(two("SpatialProduct"), SAME, XZ, dialect="deeplab-v2"),
    Made('type: "MatWrite" bottom: "x"', {}, dialect="deeplab-v2"),
    Made(one("ContinuationIndicator"), {"y": "?"}, dialect="cc4"),
    # losses
    *(
        Made(loss(kind), {"l": ""}, SCORES)
        for kind in ("SoftmaxWithLoss", "HingeLoss", "MultinomialLogisticLoss")
    ),
    *(
        Made(loss(kind), {"l": ""}, {"f": "2 5", "t": "2 5"})
        for kind in ("SigmoidCrossEntropyLoss", "EuclideanLoss")
    ),
    Made(loss("SigmoidCrossEntropyLoss"), {"l": ""}, dict.fromkeys("ft", "2 1 8 8 8")),
    Made(loss("EuclideanLoss"), {"l": ""}, {"f": "2 3 4 4", "t": "2 3 2 4 2"}),
    Made(loss("EuclideanLoss"), {"l": ""}, dict.fromkeys("ft", "2")),
    Made(
        'type: "InfogainLoss" bottom: "f" bottom: "t" bottom: "h" top: "l" '
        'top: "p" loss_weight: 1 loss_weight: 0',
        {"l": "", "p": "2 5"},
        {**SCORES, "h": "1 1 5 5"},
    ),
    Made(
        'type: "ContrastiveLoss" bottom: "f" bottom: "g" bottom: "t" top: "l"',
        {"l": ""},
        {"f": "2 5", "g": "2 5", "t": "2"},
    ),
    Made(loss("SmoothL1Loss"), {"l": ""}, {"f": "2 5", "t": "2 5"}, dialect="ssd"),
    Made(
        'type: "SmoothL1Loss" bottom: "f" bottom: "t" bottom: "i" bottom: "o" top: "l"',
        {"l": ""},
        dict.fromkeys("ftio", "2 8 4 4"),
        dialect="faster-rcnn",
    ),
    Made(loss("SmoothL1LossOHEM"), {"l": ""}, {"f": "2 5", "t": "2 5"}, dialect="rfcn"),
    Made(loss("SoftmaxWithLossOHEM", 'top: "l" top: "p"'), {"l": "", "p": "2 5"}, SCORES, dialect="rfcn"),
    *(
        Made(loss(kind), {"l": ""}, SCORES, dialect="cc4")
        for kind in (
            "CtcLoss", "DiceCoefLoss", "FocalLoss", "L1Loss", "RegionLoss", "Yolov3",
        )
    ),
    Made(loss("CenterLoss", 'top: "l" center_loss_param { num_output: 9 }'), {"l": ""}, SCORES, dialect="cc4"),
    # data
    Made('type: "Data" top: "d" top: "l" data_param { source: "s" batch_size: 4 }', {"d": "4 ? ? ?", "l": "4"}, {}),
    Made(
        'type: "Data" top: "d" data_param { source: "s" batch_size: 4 } transform_param { crop_size: 5 }',
        {"d": "4 ? 5 5"},
        {},
    ),
    Made(
        'type: "ImageData" top: "d" top: "l" image_data_param { source: "s" batch_size: 2 new_height: 6 new_width: 7 }',
        {"d": "2 3 6 7", "l": "2"},
        {},
    ),
    Made(
        'type: "ImageData" top: "d" top: "l" '
        "image_data_param { source: 's' batch_size: 2 } transform_param { crop_size: 5 }",
        {"d": "2 3 5 5", "l": "2"},
        {},
    ),
    Made(
        'type: "WindowData" top: "d" top: "l" '
        "window_data_param { source: 's' batch_size: 2 } transform_param { crop_size: 5 }",
        {"d": "2 ? 5 5", "l": "2"},
        {},
    ),
    Made('type: "HDF5Data" top: "d" top: "l" hdf5_data_param { source: "s" batch_size: 2 }', {"d": "?", "l": "?"}, {}),
    Made('type: "HDF5Output" bottom: "x" bottom: "z"', {}, XZ),
    Made(
        'type: "MemoryData" top: "d" top: "l" '
        "memory_data_param { batch_size: 2 channels: 3 height: 4 width: 5 }",
        {"d": "2 3 4 5", "l": "2"},
        {},
    ),
    Made(
        'type: "MemoryData" top: "d" top: "l" memory_data_param { batch_size: 9 dim: 2 dim: 1 dim: 0 dim: 7 dim: 8 }',
        {"d": "2 1 ? 7 8", "l": "2 1 1 1 1"},
        {},
        dialect="opencl",
    ),
    Made('type: "MemoryData" top: "d" memory_data_param { dim: 2 dim: 7 }', {"d": "2 7"}, {}, dialect="opencl"),
    Made(
        'type: "DummyData" top: "d" top: "l" dummy_data_param { shape { dim: 2 dim: 3 } }',
        {"d": "2 3", "l": "2 3"},
        {},
    ),
    Made(
        'type: "DummyData" top: "d" top: "l" '
        "dummy_data_param { num: 2 channels: 3 channels: 1 height: 4 width: 5 }",
        {"d": "2 3 4 5", "l": "2 1 4 5"},
        {},
    ),
    Made(
        'type: "Input" top: "d" top: "l" input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } }',
        {"d": "2 3", "l": "2"},
        {},
    ),
    Made(
        'type: "AnnotatedData" top: "d" top: "l" data_param { source: "s" batch_size: 4 } '
        "transform_param { resize_param { height: 300 width: 310 } }",
        {"d": "4 ? 300 310", "l": "1 1 ? 8"},
        {},
        dialect="ssd",
    ),
    *(
        Made(f'type: "{kind}" top: "d" data_param {{ batch_size: 4 }}', {"d": "4 ? ? ?"}, {}, dialect="cc4")
        for kind in (
            "BoxData",
            "CustomData",
            "DenseImageData",
            "ImageSegData",
            "MatRead",
            "SparseData",
            "VideoData",
        )
    ),
    # recurrent
    Made(
        two("LSTM", "recurrent_param { num_output: 7 }"),
        {"y": "5 2 7"},
        {"x": "5 2 3", "z": "5 2"},
        ["28 3", "28", "28 7"],
    ),
    Made(
        two("LSTM", 'bottom: "s" recurrent_param { num_output: 7 }'),
        {"y": "5 2 7"},
        {"x": "5 2 3", "z": "5 2", "s": "2 9"},
        ["28 3", "28", "28 9", "28 7"],
    ),
    Made(
        two("RNN", "recurrent_param { num_output: 7 }"),
        {"y": "5 2 7"},
        {"x": "5 2 3", "z": "5 2"},
        ["7 3", "7", "7 7", "7 7", "7"],
    ),
    Made(
        'type: "LSTMUnit" bottom: "c" bottom: "g" bottom: "m" top: "c1" top: "h1"',
        {"c1": "1 2 7", "h1": "1 2 7"},
        {"c": "1 2 7", "g": "1 2 28", "m": "1 2"},
    ),
    *(Made(one(kind), {"y": "?"}, dialect="ctpn") for kind in ("Lstm", "GRU")),
    # detection
    Made(
        two("PriorBox", "prior_box_param { min_size: 30 max_size: 60 aspect_ratio: 2 }"),
        {"y": "1 2 1024"},
        XZ,
        dialect="ssd",
    ),
    Made(
        two("PriorBox", "prior_box_param { min_size: 30 aspect_ratio: 2 aspect_ratio: 2 flip: false }"),
        {"y": "1 2 512"},
        XZ,
        dialect="ssd",
    ),
    Made(
        two("PriorBoxClustered", "prior_box_param { width: 9 height: 30 width: 12 height: 50 width: 80 height: 70 }"),
        {"y": "1 2 768"},
        XZ,
        dialect="openvino-toolbox",
    ),
    Made(
        'type: "MultiBoxLoss" bottom: "a" bottom: "b" bottom: "c" bottom: "d" top: "l" '
        "multibox_loss_param { num_classes: 3 }",
        {"l": ""},
        {"a": "2 40", "b": "2 30", "c": "1 2 40", "d": "1 1 6 8"},
        dialect="ssd",
    ),
    Made(
        'type: "DetectionOutput" bottom: "a" bottom: "b" bottom: "c" top: "y" '
        "detection_output_param { num_classes: 3 }",
        {"y": "1 1 ? 7"},
        {"a": "2 40", "b": "2 30", "c": "1 2 40"},
        dialect="ssd",
    ),
    Made(
        two("DetectionEvaluate", "detection_evaluate_param { num_classes: 3 }"),
        {"y": "1 1 ? 5"},
        XZ,
        dialect="ssd",
    ),
    Made(
        'type: "ROIPooling" bottom: "x" bottom: "r" top: "y" roi_pooling_param { pooled_h: 6 pooled_w: 7 }',
        {"y": "9 3 6 7"},
        {**X, "r": "9 5"},
        dialect="faster-rcnn",
    ),
    Made(
        'type: "PSROIPooling" bottom: "x" bottom: "r" top: "y" '
        "psroi_pooling_param { output_dim: 2 group_size: 3 spatial_scale: 0.5 }",
        {"y": "9 2 3 3"},
        {"x": "1 18 8 8", "r": "9 5"},
        dialect="rfcn",
    ),
    Made(
        'type: "BoxAnnotatorOHEM" bottom: "a" bottom: "b" bottom: "c" bottom: "d" top: "y" top: "w"',
        {"y": "9 1", "w": "9 8"},
        {"a": "9 5", "b": "9 1", "c": "9 1", "d": "9 8"},
        dialect="rfcn",
    ),
    Made(two("Proposal"), {"y": "? 5"}, XZ, dialect="pvanet"),
    *(
        Made(one(kind), {"y": "?"}, dialect="mobilenet-yolo")
        for kind in ("YoloDetectionOutput", "Yolov3DetectionOutput", "PredictBox")
    ),
]

REFUSED = [
    # convolution
    Refused(conv("num_output: 4"), "kernel-missing"),
    Refused(conv("num_output: 4 kernel_h: 3"), "kernel-zero"),
    Refused(conv("num_output: 4 kernel_size: 3 kernel_h: 3 kernel_w: 3"), "kernel-twice"),
    Refused(conv("num_output: 4 kernel_size: [3, 3, 3]"), "kernel-count"),
    Refused(conv("num_output: 4 kernel_h: 3 kernel_w: 3"), "kernel-axes", {"x": "2 3 8 8 8"}),
    Refused(conv("num_output: 4 kernel_size: 3 stride: 0"), "stride-zero"),
    Refused(conv("num_output: 4 kernel_size: 3 stride_h: 2"), "stride-zero", how="crash"),
    Refused(conv("num_output: 4 kernel_size: 3 group: 0"), "group-zero", how="crash"),
    Refused(conv("num_output: 4 kernel_size: 3 group: 2"), "group"),
    Refused(conv("num_output: 4 kernel_size: 3 group: 3"), "group"),
    Refused(conv("kernel_size: 3"), "num-output-missing"),
    Refused(conv("num_output: 4 kernel_size: 3"), "empty-top", {"x": "1 3 2 2"}),
    Refused(conv("num_output: 4 kernel_size: 3"), "negative-size", {"x": "1 3 1 1"}),
    Refused(conv("num_output: 4 kernel_size: 3 axis: 4"), "axis"),
    Refused(conv("num_output: 4 kernel_size: 3 engine: CUDNN"), "gpu-only-layer", when="cpu"),
    Refused(conv("num_output: 4 kernel_size: 3 dilation: 2 engine: CUDNN"), "engine-dilation"),
    Refused(conv("num_output: 4 kernel_size: 3", rest='bottom: "z"'), "top-count", XZ),
    Refused(
        conv("num_output: 4 kernel_size: 3", rest='bottom: "z" top: "w"'),
        "bottom-shapes",
        {"x": "2 3 8 8", "z": "2 3 8 9"},
    ),
    Refused(conv("num_output: 3 kernel_size: 3", rest="param {} param {} param {}"), "too-many-params"),
    Refused(conv("num_output: 2 kernel_size: 1 pad: 3", "Deconvolution"), "negative-size", {"x": "1 2 4 2"}),
    Refused(conv("kernel_size: 3", "Im2col"), "axes", {"x": "2 3"}),
    # fillers
    Refused(conv('num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 0 }'), "filler-std"),
    Refused(conv('num_output: 4 kernel_size: 3 weight_filler { type: "gauss" }'), "filler-type"),
    Refused(conv('num_output: 4 kernel_size: 3 weight_filler { type: "xavier" sparse: 2 }'), "filler-sparse"),
    Refused(conv('num_output: 4 kernel_size: 3 weight_filler { type: "uniform" min: 2 }'), "filler-range"),
    Refused(
        conv('num_output: 4 kernel_h: 3 kernel_w: 2 weight_filler { type: "bilinear" }'), "filler-bilinear"
    ),
    Refused(
        one("InnerProduct", 'inner_product_param { num_output: 4 weight_filler { type: "bilinear" } }'),
        "filler-bilinear",
    ),
    # pooling
    Refused(pool("stride: 2"), "pooling-kernel"),
    Refused(pool("kernel_size: 2 kernel_h: 3 kernel_w: 3"), "pooling-kernel"),
    Refused(pool("global_pooling: true kernel_size: 8"), "pooling-kernel"),
    Refused(pool("global_pooling: true stride: 2"), "pooling-global"),
    Refused(pool("kernel_size: 0"), "kernel-zero"),
    Refused(pool("kernel_size: 2 stride: 0"), "stride-zero"),
    Refused(pool("kernel_size: 2 stride_h: 2"), "pooling-pair"),
    Refused(pool("kernel_size: 2 pad: 2"), "pooling-pad"),
    Refused(pool("kernel_size: 2 pool: STOCHASTIC"), "gpu-only-layer", when="cpu"),
    Refused(pool("kernel_size: 3"), "empty-top", {"x": "1 3 2 2"}),
    Refused(pool("kernel_size: 3"), "negative-size", {"x": "1 3 1 1"}),
    Refused(pool("kernel_size: 2"), "axes", {"x": "2 3 8"}),
    Refused(
        'type: "Pooling" bottom: "x" top: "y" top: "m" pooling_param { kernel_size: 2 pool: AVE }',
        "top-count",
    ),
    Refused(one("SPP", "spp_param { pyramid_height: 3 }"), "spp-size", {"x": "2 3 5 5"}),
    Refused(one("SPP"), "spp-height"),
    # cropping
    Refused(two("Crop", "crop_param { axis: 2 offset: 4 }"), "crop-size", {"x": "2 3 8 8", "z": "2 3 5 6"}),
    Refused(
        two("Crop", "crop_param { axis: 1 offset: 1 offset: 1 }"),
        "crop-offsets",
        {"x": "2 3 8 8", "z": "2 3 5 6"},
    ),
    Refused(two("Crop"), "axes", {"x": "2 3 8 8", "z": "5 6"}),
    Refused(
        'type: "Im2col" bottom: "x" top: "x" convolution_param { kernel_size: 3 }',
        "in-place",
        X,
        "forward",
        "crash",
    ),
    Refused('type: "Concat" bottom: "x" bottom: "z" top: "x"', "in-place", XZ, "forward", "crash"),
    Refused('type: "Tile" bottom: "x" top: "x" tile_param { tiles: 2 }', "in-place", X, "forward", "crash"),
    # activations
    Refused('type: "AbsVal" bottom: "x" top: "x"', "in-place"),
    Refused(one("Exp", "exp_param { base: 0 }"), "base"),
    Refused(one("Log", "log_param { base: 1 }"), "base"),
    Refused(one("PReLU"), "axes", {"x": "2"}),
    Refused(one("Dropout", "dropout_param { dropout_ratio: -0.5 }"), "dropout-ratio", when="forward"),
    Refused('type: "ReLU" bottom: "x"', "top-count"),
    Refused(one("ReLU", "param { lr_mult: 1 }"), "too-many-params"),
    Refused(one("ReLU", "propagate_down: true propagate_down: false"), "propagate-down-count"),
    Refused(one("ReLU", "loss_weight: 1 loss_weight: 1"), "loss-weight-count"),
    # normalisation
    Refused(one("BatchNorm", "param { lr_mult: 1 }"), "batch-norm-learns"),
    Refused(one("BatchNorm", "param {}"), "batch-norm-learns"),
    Refused(one("BatchNorm", "param { lr_mult: 0 } " * 4), "too-many-params"),
    Refused(one("BatchNorm"), "axes", {"x": "4"}),
    Refused(one("LRN", "lrn_param { local_size: 4 }"), "lrn-size"),
    Refused(one("LRN"), "axes", {"x": "4 5"}),
    Refused(one("MVN"), "axes", {"x": "1 2 3 4 5"}),
    Refused(one("Scale", "scale_param { axis: 4 }"), "axis"),
    Refused(one("Scale", "scale_param { num_axes: 4 }"), "num-axes"),
    Refused(two("Scale"), "bottom-shapes", {"x": "2 3 8 8", "z": "4"}),
    Refused(one("Bias", "bias_param { num_axes: -2 }"), "num-axes"),
    # weights
    Refused(one("InnerProduct"), "num-output-missing"),
    Refused(one("InnerProduct", "inner_product_param { num_output: 4 axis: 4 }"), "axis"),
    Refused(
        'type: "InnerProduct" bottom: "x" top: "x" inner_product_param { num_output: 4 }',
        "in-place",
        when="forward",
    ),
    Refused(one("Embed", "embed_param { num_output: 4 }"), "input-dim-missing", {"x": "5"}),
    # joining and parting
    Refused(two("Concat"), "concat-shapes", {"x": "2 3 8 8", "z": "2 5 8 7"}),
    Refused(two("Concat"), "concat-axes", {"x": "2 3 8 8", "z": "2 5"}),
    Refused(two("Concat", "concat_param { axis: 1 concat_dim: 1 }"), "axis-twice", XZ),
    Refused('type: "Slice" bottom: "x" top: "a" top: "b"', "slice-uneven"),
    Refused('type: "Slice" bottom: "x" top: "a" top: "b" slice_param { slice_point: 5 }', "slice-points"),
    Refused('type: "Slice" bottom: "x" top: "a" top: "b" slice_param { slice_point: 3 }', "slice-points"),
    Refused('type: "Slice" bottom: "x" top: "a" top: "b" slice_param { slice_point: 0 }', "slice-points"),
    Refused(
        'type: "Slice" bottom: "x" top: "a" top: "b" slice_param { slice_point: [1, 2] }', "slice-points"
    ),
    Refused(
        'type: "Slice" bottom: "x" top: "a" top: "b" slice_param { axis: 1 slice_dim: 1 slice_point: 1 }',
        "axis-twice",
    ),
    Refused(
        'type: "Slice" bottom: "x" top: "a" top: "b" slice_param { slice_point: 1 }',
        "slice-tops",
        {"x": "2 1"},
    ),
    Refused('type: "Split" bottom: "x" top: "x"', "in-place"),
    Refused(two("Eltwise", "eltwise_param { coeff: 1 }"), "eltwise-coeff", XZ),
    Refused(two("Eltwise", "eltwise_param { operation: PROD coeff: 1 coeff: 1 }"), "eltwise-coeff", XZ),
    Refused(two("Eltwise"), "bottom-shapes", {"x": "2 3 8 8", "z": "2 3 8"}),
    Refused(one("Eltwise"), "bottom-count"),
    Refused(
        'type: "Axpy" bottom: "s" bottom: "x" bottom: "z" top: "y"',
        "bottom-shapes",
        {"s": "2 4 1 1", **XZ},
        dialect="cc4",
    ),
    # other shapes
    Refused(one("Reshape", "reshape_param { shape { dim: -1 dim: -1 } }"), "reshape-infer"),
    Refused(one("Reshape"), "reshape-count"),
    Refused(one("Reshape", "reshape_param { shape { dim: 2 dim: 7 } }"), "reshape-count"),
    Refused(one("Reshape", "reshape_param { shape { dim: 7 dim: -1 } }"), "reshape-count"),
    Refused(one("Reshape", "reshape_param { shape { dim: -2 dim: -192 } }"), "negative-size"),
    Refused(one("Reshape", "reshape_param { shape { dim: 0 dim: 0 dim: 0 } }"), "reshape-copy", {"x": "2 3"}),
    Refused(one("Reshape", "reshape_param { shape { dim: 6 } axis: 1 num_axes: 4 }"), "num-axes"),
    Refused('type: "Reshape" bottom: "x" top: "x" reshape_param { shape { dim: 2 dim: -1 } }', "in-place"),
    Refused(one("Flatten", "flatten_param { axis: 3 end_axis: 1 }"), "flatten-axes"),
    Refused('type: "Flatten" bottom: "x" top: "x"', "in-place"),
    Refused(one("Permute", "permute_param { order: 1 order: 1 }"), "permute-order", dialect="ssd"),
    Refused(one("Permute", "permute_param { order: 7 }"), "axis", dialect="ssd"),
    Refused(
        one("ShuffleChannel", "shuffle_channel_param { group: 2 }"), "group", when="forward", dialect="beniz"
    ),
    Refused(one("Tile"), "tiles"),
    Refused(one("Reduction", "reduction_param { axis: 4 }"), "axis"),
    # choosing
    Refused(one("Softmax", "softmax_param { axis: 4 }"), "axis"),
    Refused(one("ArgMax", "argmax_param { top_k: 9 }"), "top-k", {"x": "2 7"}),
    Refused(loss("Accuracy", 'top: "l" accuracy_param { top_k: 6 }'), "top-k", SCORES),
    Refused(loss("Accuracy"), "label-count", {"f": "2 5", "t": "3"}),
    Refused('type: "Filter" bottom: "x" bottom: "t" top: "y"', "bottom-shapes", {**X, "t": "3"}),
    Refused(two("Upsample", "upsample_param { scale: 2 }"), "bottom-shapes", {"x": "2 3 8 8", "z": "2 3 8 9"}, dialect="segnet"),
    Refused('type: "BatchReindex" bottom: "x" bottom: "t" top: "y"', "axes", {**X, "t": "5 1"}),
    Refused('type: "Python" bottom: "x" top: "y" python_param { module: "m" }', "python-class-missing"),
    # losses
    Refused(loss("SoftmaxWithLoss"), "loss-batch", {"f": "2 5", "t": "3"}),
    Refused(loss("SoftmaxWithLoss"), "label-count", {"f": "2 5 4 4", "t": "2"}),
    Refused(loss("SoftmaxWithLoss", 'top: "l" top: "p"'), "loss-weight-count", SCORES),
    Refused(loss("SoftmaxWithLoss", 'top: "l" loss_weight: 1 loss_weight: 1'), "loss-weight-count", SCORES),
    Refused(
        loss("SoftmaxWithLoss", 'top: "l" top: "p" loss_weight: 1 loss_weight: 0'), "loss-second-top", SCORES
    ),
    Refused(loss("SigmoidCrossEntropyLoss"), "target-count", SCORES),
    Refused(loss("EuclideanLoss"), "loss-shapes", SCORES),
    Refused(loss("MultinomialLogisticLoss"), "label-count", {"f": "2 5", "t": "2 3"}),
    *(
        Refused(loss(kind), "axes", inputs)
        for kind in ("SigmoidCrossEntropyLoss", "EuclideanLoss", "HingeLoss", "MultinomialLogisticLoss")
        for inputs in ({"f": "", "t": ""}, {"f": "1 1", "t": ""})
    ),
    Refused(loss("SoftmaxWithLoss"), "axes", {"f": "1 5", "t": ""}),
    Refused(loss("EuclideanLoss"), "axes", dict.fromkeys("ft", "2 1 8 8 8"), "forward"),
    Refused(loss("HingeLoss"), "axes", {"f": "2 5 1 1 1", "t": "2"}, "forward"),
    Refused(loss("MultinomialLogisticLoss"), "axes", {"f": "2 5 1 1 1", "t": "2"}, "forward"),
    Refused(loss("MultinomialLogisticLoss"), "axes", {"f": "2 5", "t": "2 1 1 1 1"}),
    *(
        Refused('type: "ContrastiveLoss" bottom: "f" bottom: "g" bottom: "t" top: "l"', "axes", {"f": "2 5", **others})
        for others in ({"g": "2 5 1 1 1", "t": "2"}, {"g": "2 5", "t": "2 1 1 1 1"})
    ),
    Refused(loss("InfogainLoss"), "infogain-matrix", SCORES),
    Refused(loss("InfogainLoss", 'bottom: "h" top: "l"'), "infogain-matrix", {**SCORES, "h": "5 4"}),
    Refused(
        loss("InfogainLoss", 'bottom: "h" top: "l" loss_param { normalize: true }'),
        "infogain-normalize",
        {**SCORES, "h": "5 5"},
    ),
    Refused(
        'type: "ContrastiveLoss" bottom: "f" bottom: "g" bottom: "t" top: "l"',
        "bottom-shapes",
        {"f": "2 5", "g": "2 4", "t": "2"},
    ),
    Refused(loss("CenterLoss"), "num-output-missing", SCORES, dialect="cc4"),
    Refused(loss("CenterLoss", 'top: "l" center_loss_param { num_output: 9 axis: 3 }'), "axis", SCORES, dialect="cc4"),
    Refused(
        loss("CenterLoss", 'top: "l" center_loss_param { num_output: 9 }'), "label-count", {"f": "2 5", "t": "2 3"}, dialect="cc4"
    ),
    # data
    Refused('type: "Data" top: "d"', "batch-size-missing", {}, "forward"),
    Refused(
        'type: "Data" top: "d" data_param { source: "s" batch_size: 2 prefetch: 0 }', "prefetch", {}, "forward", "hang"
    ),
    Refused('type: "ImageData" top: "d" image_data_param { source: "s" batch_size: 2 }', "top-count", {}),
    Refused(
        'type: "ImageData" top: "d" top: "l" image_data_param { source: "s" batch_size: 2 new_height: 4 }',
        "image-size",
        {},
    ),
    Refused(
        'type: "ImageData" top: "d" top: "l" image_data_param { source: "s" new_height: 4 new_width: 4 } '
        "transform_param { crop_size: 5 }",
        "crop-too-large",
        {},
        "forward",
    ),
    Refused(
        'type: "ImageData" top: "d" top: "l" transform_param { mean_value: 1 mean_file: "q" }',
        "mean-twice",
        {},
    ),
    Refused(
        'type: "ImageData" top: "d" top: "l" transform_param { mean_value: [1, 2] }',
        "mean-count",
        {},
        "forward",
    ),
    Refused(
        'type: "MemoryData" top: "d" top: "l" memory_data_param { batch_size: 2 channels: 3 height: 4 }',
        "memory-size",
        {},
    ),
    Refused('type: "WindowData" top: "d" top: "l" window_data_param { source: "s" batch_size: 2 }', "crop-missing", {}),
    Refused('type: "HDF5Data" top: "d" hdf5_data_param { batch_size: 2 source: "s" } transform_param {}', "hdf5-transform", {}),
    Refused('type: "HDF5Data" top: "d"', "batch-size-missing", {}, "forward"),
    Refused('type: "HDF5Data" top: "d" hdf5_data_param { source: "s" batch_size: 0 }', "batch-size-missing", {}, "forward"),
    Refused(
        'type: "DummyData" top: "d" top: "l" dummy_data_param { num: 2 shape { dim: 3 } }', "dummy-shape", {}
    ),
    Refused('type: "DummyData" top: "d"', "dummy-shape", {}),
    Refused(
        'type: "DummyData" top: "d" dummy_data_param { shape { dim: 3 } data_filler {} data_filler {} }',
        "dummy-fillers",
        {},
    ),
    *(
        Refused(f'type: "DummyData" top: "d" dummy_data_param {{ shape {{ dim: 3 }} data_filler {{ {filler} }} }}', kind, {})
        for filler, kind in (
            ('type: "guassian"', "filler-type"),
            ('type: "gaussian" std: 0', "filler-std"),
            ('type: "gaussian" std: nan', "filler-std"),
            ('type: "gaussian" sparse: -2', "filler-sparse"),
            ('type: "uniform" min: 2', "filler-range"),
            ('type: "uniform" max: nan', "filler-range"),
            ('type: "xavier" sparse: 3', "filler-sparse"),
            ('type: "bilinear"', "filler-bilinear"),
        )
    ),
    Refused('type: "Input" top: "d" input_param { shape { dim: 3 } shape { dim: 3 } }', "input-shape", {}),
    Refused('type: "Input" top: "d" input_param { shape { dim: -3 } }', "negative-size", {}),
    Refused('type: "Input" top: "d" input_param { shape { dim: 100000 dim: 100000 } }', "blob-too-large", {}),
    # recurrent
    Refused(
        two("LSTM", "recurrent_param { num_output: 7 }"), "recurrent-markers", {"x": "5 2 3", "z": "5 3"}
    ),
    Refused(two("LSTM", "recurrent_param { num_output: 7 }"), "recurrent-markers", {"x": "5 2 3", "z": "5"}),
    Refused(two("LSTM", "recurrent_param { num_output: 7 }"), "axes", {"x": "5 2", "z": "5 2"}),
    Refused(two("LSTM"), "num-output-missing", {"x": "5 2 3", "z": "5 2"}),
    Refused(
        two("RNN", 'bottom: "s" recurrent_param { num_output: 7 }'),
        "recurrent-still",
        {"x": "5 2 3", "z": "5 2", "s": "3 9"},
    ),
    Refused(
        'type: "LSTMUnit" bottom: "c" bottom: "g" bottom: "m" top: "c1" top: "h1"',
        "bottom-shapes",
        {"c": "1 2 7", "g": "1 2 21", "m": "1 2"},
    ),
    # detection
    Refused(two("PriorBox"), "prior-size", XZ, dialect="ssd"),
    *(
        Refused(two("PriorBoxClustered", f"prior_box_param {{ {sizes} }}"), "prior-size", XZ, dialect="openvino-toolbox")
        for sizes in ("", "width: 9", "width: 9 height: 0", "width: 9 height: 9 height: 9")
    ),
    Refused(
        two("PriorBox", "prior_box_param { min_size: 30 max_size: 20 }"), "prior-size", XZ, dialect="ssd"
    ),
    Refused(
        'type: "MultiBoxLoss" bottom: "a" bottom: "b" bottom: "c" bottom: "d" top: "l" '
        "multibox_loss_param { num_classes: 3 }",
        "prior-count",
        {"a": "2 40", "b": "2 31", "c": "1 2 40", "d": "1 1 6 8"},
        dialect="ssd",
    ),
    Refused(two("DetectionEvaluate"), "num-classes", XZ, dialect="ssd"),
    Refused(
        'type: "ROIPooling" bottom: "x" bottom: "r" top: "y" roi_pooling_param { pooled_h: 6 }',
        "roi-size",
        {**X, "r": "9 5"},
        dialect="faster-rcnn",
    ),
    Refused(
        'type: "PSROIPooling" bottom: "x" bottom: "r" top: "y" '
        "psroi_pooling_param { output_dim: 2 group_size: 3 spatial_scale: 0.5 }",
        "psroi-channels",
        {**X, "r": "9 5"},
        dialect="rfcn",
    ),
]
