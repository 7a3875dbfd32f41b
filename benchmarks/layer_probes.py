"""Not a program: nets of one layer between layers that are well understood, one or more for each type with a signal model.

A convolution of 1 x 1 makes values that are Gaussian over channels, and gives the layer's bottoms a gradient; above the layer, a
product and a Euclidean loss give it one.
"""

from __future__ import annotations

from collections.abc import Iterator


def _convolutions(*cases: tuple[int, int, int, int, str]) -> tuple[str, ...]:
    """Convolutions of 8 outputs, each of a kernel size, stride, pad, group and filler."""
    return tuple(
        f"convolution_param {{ num_output: 8 kernel_size: {k} stride: {s} pad: {p} group: {g} weight_filler {{ {f} }} }}"
        for k, s, p, g, f in cases
    )


# Inside of a layer that maps images x to y, and images z and w beside; with `{}` where settings vary.
_MAPS: dict[str, tuple[str, ...]] = {
    "AbsVal": ("",),
    "BatchNorm": ("param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 0 }",),
    "BN": (
        'bn_param { scale_filler { type: "constant" value: 1 } }',
        'bn_param { scale_filler { type: "constant" value: 0.3 } shift_filler { type: "constant" value: 0.1 } }',
    ),
    "BNLL": ("",),
    "Bias": ("", 'bias_param { filler { type: "constant" value: 1 } }'),
    "Clip": ("clip_param { min: -0.5 max: 0.7 }",),
    "Convolution": _convolutions(
        (3, 1, 1, 1, 'type: "xavier"'),
        (3, 2, 0, 2, 'type: "msra"'),
        (5, 3, 2, 8, 'type: "uniform" min: 0 max: 0.1'),
        (1, 2, 0, 1, 'type: "gaussian" std: 0.01'),
        (3, 1, 1, 1, 'type: "constant" value: 0.01'),
    ),
    "Deconvolution": _convolutions(
        (4, 2, 1, 1, 'type: "xavier"'),
        (2, 2, 0, 2, 'type: "msra"'),
        (4, 2, 1, 8, 'type: "bilinear"'),
        (8, 4, 2, 8, 'type: "bilinear"'),
        (3, 1, 1, 1, 'type: "gaussian" std: 0.1'),
    ),
    "ConvolutionDepthwise": (
        'convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "msra" } }',
    ),
    "DepthwiseConvolution": (
        'convolution_param { num_output: 8 kernel_size: 3 pad: 1 group: 8 weight_filler { type: "xavier" } }',
    ),
    "Dropout": ("", "dropout_param { dropout_ratio: 0.8 }"),
    "ELU": ("", "elu_param { alpha: 0.3 }"),
    "Exp": ("exp_param { scale: 0.5 }", "exp_param { base: 2 shift: 0.3 }"),
    "Flatten": ("",),
    "Im2col": ("convolution_param { kernel_size: 3 stride: 2 pad: 1 }",),
    "InnerProduct": (
        'inner_product_param { num_output: 20 weight_filler { type: "xavier" } }',
        'inner_product_param { num_output: 20 weight_filler { type: "constant" value: 0.01 } }',
        'inner_product_param { num_output: 20 weight_filler { type: "gaussian" std: 1 sparse: 3 } }',
        'inner_product_param { num_output: 20 axis: 3 weight_filler { type: "uniform" min: -0.1 max: 0.1 } }',
    ),
    "Interp": ("interp_param { height: 17 width: 17 }",),
    "Log": ("log_param { scale: 0.1 shift: 3 }",),
    "LRN": (
        "",
        "lrn_param { local_size: 5 alpha: 1 }",
        "lrn_param { local_size: 3 alpha: 5 norm_region: WITHIN_CHANNEL }",
        "lrn_param { local_size: 5 alpha: 0.0001 k: 2 }",
    ),
    "Mish": ("",),
    "MVN": ("", "mvn_param { across_channels: true }", "mvn_param { normalize_variance: false }"),
    "Normalize": ("norm_param { across_spatial: false }", "norm_param { across_spatial: true channel_shared: false }"),
    "Permute": ("permute_param { order: 0 order: 2 order: 3 order: 1 }",),
    "Pooling": tuple(  # without STOCHASTIC, which Caffe's CPU build does not have
        f"pooling_param {{ pool: {kind} {size} }}"
        for kind in ("MAX", "AVE")
        for size in (
            "kernel_size: 2 stride: 2",
            "kernel_size: 3 stride: 2",
            "kernel_size: 3 stride: 1 pad: 1",
            "kernel_size: 5 stride: 1",
            "kernel_size: 2 stride: 3",
            "global_pooling: true",
        )
    ),
    "Power": (
        "power_param { power: 2 }",
        "power_param { scale: 0.1 shift: 1 }",
        "power_param { power: 0.5 scale: 0.1 shift: 2 }",
    ),
    "PReLU": ("", "prelu_param { channel_shared: true }"),
    "Reduction": tuple(
        f"reduction_param {{ operation: {how} axis: {axis} }}"
        for how in ("SUM", "MEAN", "ASUM", "SUMSQ")
        for axis in (1, 2)
    ),
    "ReLU": ("", "relu_param { negative_slope: 0.3 }"),
    "ReLU6": ("",),
    "Reorg": ("reorg_param { stride: 2 }",),
    "Reshape": ("reshape_param { shape { dim: 0 dim: -1 } }",),
    "Scale": ("", "scale_param { bias_term: true }", 'scale_param { filler { type: "gaussian" std: 0.5 } }'),
    "ShuffleChannel": ("shuffle_channel_param { group: 2 }",),
    "Sigmoid": ("",),
    "Softmax": ("",),
    "SPP": ("spp_param { pyramid_height: 2 }", "spp_param { pyramid_height: 2 pool: AVE }"),
    "Swish": ("",),
    "TanH": ("",),
    "Tile": ("tile_param { axis: 1 tiles: 3 }", "tile_param { axis: 2 tiles: 4 }"),
}
# The bottoms of layers with several, and their settings.
_OF_SEVERAL: dict[str, tuple[tuple[str, str], ...]] = {
    "Axpy": (("factors x z", ""),),
    "Concat": (("x z", ""), ("x z w", "concat_param { axis: 2 }")),
    "Crop": (("x small", "crop_param { axis: 2 offset: 2 }"), ("x small", "crop_param { axis: 2 }")),
    "Eltwise": (
        ("x z", ""),
        ("x z w", "eltwise_param { coeff: 1 coeff: -1 coeff: 0.5 }"),
        ("x z", "eltwise_param { operation: PROD }"),
        ("x z w", "eltwise_param { operation: PROD stable_prod_grad: false }"),
        ("x z", "eltwise_param { operation: MAX }"),
        ("x z w", "eltwise_param { operation: MAX }"),
        ("x x", ""),
        ("x x", "eltwise_param { operation: PROD }"),
    ),
    "Scale": (("x channels", "scale_param { axis: 0 }"), ("x z", "scale_param { axis: 0 }")),
    "Bias": (("x channels", "bias_param { axis: 0 }"),),
    "BatchReindex": (("x places", ""),),
}
# Values that the layer reads: the mean and the deviation of the data, and a layer that makes of them what is read.
_READ = (
    ("gaussian", 'data_filler { type: "gaussian" std: 1 }', ""),
    ("shifted", 'data_filler { type: "gaussian" mean: 2 std: 1 }', ""),
    ("pixels", 'data_filler { type: "uniform" min: 0 max: 255 }', ""),
    ("rectified", 'data_filler { type: "gaussian" std: 1 }', "ReLU"),
)
_ITEMS = 16
_LOSSES: dict[str, tuple[str, ...]] = {
    "SoftmaxWithLoss": ("", "loss_param { normalize: false }"),
    "HingeLoss": ("", "hinge_loss_param { norm: L2 }"),
    "EuclideanLoss": ("",),
    "SigmoidCrossEntropyLoss": ("", "loss_param { normalization: FULL }"),
    "SmoothL1Loss": ("", "smooth_l1_loss_param { sigma: 3 }"),
    "ContrastiveLoss": (
        "",
        "contrastive_loss_param { margin: 10 }",
        "contrastive_loss_param { legacy_version: true }",
        "contrastive_loss_param { margin: 0.1 }",
    ),
    "MultinomialLogisticLoss": ("",),
    "CenterLoss": tuple(
        f"center_loss_param {{ num_output: 7 center_filler {{ {filler} }} }}"
        for filler in ('type: "xavier"', 'type: "gaussian" std: 1', 'type: "constant" value: 2')
    ),
}


def probes() -> Iterator[tuple[str, str, str]]:
    """Type, name and text of each net."""
    for kind, settings in _MAPS.items():
        for number, own in enumerate(settings):
            for what, filler, after in _READ:
                yield kind, f"{kind}-{number}-{what}", _mapping(kind, "x", own, filler, after)
    for kind, several in _OF_SEVERAL.items():
        for number, (bottoms, own) in enumerate(several):
            for what, filler, after in _READ:
                yield kind, f"{kind}-of{number}-{what}", _mapping(kind, bottoms, own, filler, after)
    for kind, settings in _LOSSES.items():
        for number, own in enumerate(settings):
            for size in ("0.01", "0.3", "3"):
                yield kind, f"{kind}-{number}-{size}", _loss(kind, own, size)
    for group in (1, 4):
        yield "Deconvolution", f"Deconvolution-classified-{group}", _upscored(group)


def _upscored(group: int) -> str:
    """A classifier of pixels whose scores are enlarged by interpolation, each class on its own or all together."""
    text = _made("data", 'data_filler { type: "gaussian" std: 1 }', _ITEMS, 8, 5, 5)
    conv = 'convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "gaussian" std: 0.5 } }'
    text += _layer("Convolution", "data", "x", conv)
    own = f'num_output: 4 kernel_size: 4 stride: 2 pad: 1 group: {group} bias_term: false weight_filler {{ type: "bilinear" }}'
    text += _layer("Deconvolution", "x", "y", f"convolution_param {{ {own} }}")
    text += _made("label", 'data_filler { type: "uniform" min: 0 max: 4 }', _ITEMS, 1, 10, 10)
    return text + _layer("SoftmaxWithLoss", "y label", "loss")


def _layer(kind: str, bottoms: str, top: str, settings: str = "") -> str:
    read = "".join(f' bottom: "{bottom}"' for bottom in bottoms.split())
    return f'layer {{ name: "{top}_layer" type: "{kind}"{read} top: "{top}" {settings} }}\n'


def _made(top: str, filler: str, *dims: int) -> str:
    shape = " ".join(f"dim: {dim}" for dim in dims)
    return _layer("DummyData", "", top, f"dummy_data_param {{ shape {{ {shape} }} {filler} }}")


def _mapping(kind: str, bottoms: str, settings: str, filler: str, after: str) -> str:
    text = ""
    for name in sorted({*bottoms.split()}):
        if name == "places":
            text += _made(name, 'data_filler { type: "constant" value: 3 }', 5)
            continue
        dims = {"small": (_ITEMS, 8, 5, 5), "channels": (_ITEMS, 8, 1, 1), "factors": (_ITEMS, 8, 1, 1)}
        shape = dims.get(name, (_ITEMS, 8, 9, 9))
        size = "0.01" if "255" in filler else "0.5"
        text += _made(f"{name}_data", filler, *shape)
        conv = f'convolution_param {{ num_output: 8 kernel_size: 1 weight_filler {{ type: "gaussian" std: {size} }} }}'
        if after:
            text += _layer("Convolution", f"{name}_data", f"{name}_raw", conv) + _layer(after, f"{name}_raw", name)
        else:
            text += _layer("Convolution", f"{name}_data", name, conv)
    text += _layer(kind, bottoms, "y", settings)
    if kind == "Reduction" and "axis: 1" in settings:  # one number of each item
        targets = _made("targets", 'data_filler { type: "gaussian" std: 1 }', _ITEMS)
        return text + targets + _layer("EuclideanLoss", "y targets", "loss")
    text += _layer(
        "InnerProduct", "y", "out", 'inner_product_param { num_output: 6 weight_filler { type: "gaussian" std: 0.1 } }'
    )
    items = 5 if kind == "BatchReindex" else _ITEMS
    return (
        text
        + _made("targets", 'data_filler { type: "gaussian" std: 1 }', items, 6)
        + _layer("EuclideanLoss", "out targets", "loss")
    )


def _loss(kind: str, settings: str, size: str) -> str:
    text = _made("data", 'data_filler { type: "gaussian" std: 1 }', _ITEMS, 32)
    outputs = 2 if kind == "ContrastiveLoss" else 7
    product = f'inner_product_param {{ num_output: {outputs} weight_filler {{ type: "gaussian" std: {size} }} }}'
    text += _layer("InnerProduct", "data", "score", product)
    bottoms = "score label"
    if kind in ("EuclideanLoss", "SmoothL1Loss"):
        text += _made("label", 'data_filler { type: "gaussian" std: 1 }', _ITEMS, outputs)
    elif kind == "SigmoidCrossEntropyLoss":
        text += _made("label", 'data_filler { type: "uniform" min: 0 max: 1 }', _ITEMS, outputs)
    elif kind == "ContrastiveLoss":
        text += _made("other", 'data_filler { type: "gaussian" std: 1 }', _ITEMS, 32) + _layer(
            "InnerProduct", "other", "score_p", product
        )
        text += _made("label", 'data_filler { type: "uniform" min: 0 max: 2 }', _ITEMS)
        bottoms = "score score_p label"
    else:
        text += _made("label", f'data_filler {{ type: "uniform" min: 0 max: {outputs}}}', _ITEMS)
    if kind == "MultinomialLogisticLoss":
        text += _layer("Softmax", "score", "prob")
        bottoms = "prob label"
    return text + _layer(kind, bottoms, "loss", settings)
