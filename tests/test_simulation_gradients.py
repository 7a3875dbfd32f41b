"""Each operator's gradient against finite differences, over random shapes and settings, as Caffe's own tests do."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

np = pytest.importorskip("numpy", reason="the simulator needs numpy")

from nets import layer_of  # noqa: E402

from caffe_lint.layers.record import TYPES  # noqa: E402
from caffe_lint.moments.graph import Layer  # noqa: E402
from caffe_lint.moments.layer_type import UNMODELLED  # noqa: E402
from caffe_lint.simulation.operator import CannotSimulate, operator_of  # noqa: E402
from caffe_lint.simulation.operators.products import margin_factor  # noqa: E402

STEP = 1e-5
CHECKED = 12  # values of each array that are moved

Case = tuple[str, dict[str, str], str]  # the inside of a layer, its inputs, and what fills them


def _sides(draw: random.Random, least: int = 4) -> str:
    return f"{draw.randint(1, 3)} {draw.randint(1, 3)} {draw.randint(least, 7)} {draw.randint(least, 7)}"


def _unary(kind: str, param: str = "", fill: str = "normal") -> Callable[[random.Random], Case]:
    return lambda draw: (f'type: "{kind}" bottom: "x" top: "y" {param}', {"x": _sides(draw)}, fill)


def _convolution(kind: str) -> Callable[[random.Random], Case]:
    def case(draw: random.Random) -> Case:
        group = draw.choice((1, 1, 2))
        channels, outputs = group * draw.randint(1, 2), group * draw.randint(1, 3)
        settings = (
            f"num_output: {outputs} kernel_size: {draw.randint(1, 3)} stride: {draw.randint(1, 2)} pad: {draw.randint(0, 1)}"
            f" dilation: {draw.randint(1, 2)} group: {group} bias_term: {draw.choice(('true', 'false'))}"
        )
        inside = f'type: "{kind}" bottom: "x" top: "y" convolution_param {{ {settings} }}'
        return inside, {"x": f"{draw.randint(1, 3)} {channels} {draw.randint(5, 7)} {draw.randint(5, 7)}"}, "normal"

    return case


def _pooling(draw: random.Random) -> Case:
    kernel = draw.randint(2, 3)
    settings = f"pool: {draw.choice(('MAX', 'AVE'))} kernel_size: {kernel} stride: {draw.randint(1, 3)} pad: {draw.randint(0, kernel - 1)}"
    if draw.random() < 0.2:  # STOCHASTIC takes no padding
        settings = f"pool: STOCHASTIC kernel_size: {kernel} stride: {draw.randint(1, 3)}"
    elif draw.random() < 0.2:
        settings = f"pool: {draw.choice(('MAX', 'AVE'))} global_pooling: true"
    return f'type: "Pooling" bottom: "x" top: "y" pooling_param {{ {settings} }}', {"x": _sides(draw)}, "normal"


def _lrn(draw: random.Random) -> Case:
    region = draw.choice(("ACROSS_CHANNELS", "WITHIN_CHANNEL"))
    settings = f"local_size: {draw.choice((3, 5))} alpha: 1 beta: 0.75 norm_region: {region}"
    return f'type: "LRN" bottom: "x" top: "y" lrn_param {{ {settings} }}', {"x": "2 6 5 4"}, "normal"


def _eltwise(draw: random.Random) -> Case:
    operation = draw.choice(("SUM", "PROD", "MAX"))
    coefficients = "coeff: 0.5 coeff: -1 coeff: 2" if operation == "SUM" else ""
    shape = _sides(draw)
    inside = f'type: "Eltwise" bottom: "x" bottom: "z" bottom: "w" top: "y" eltwise_param {{ operation: {operation} {coefficients} }}'
    return inside, {"x": shape, "z": shape, "w": shape}, "normal"


def _scale(draw: random.Random) -> Case:
    if draw.random() < 0.5:
        settings = f"scale_param {{ bias_term: {draw.choice(('true', 'false'))} axis: {draw.choice((0, 1, 2))} num_axes: {draw.choice((1, 2))} }}"
        return f'type: "Scale" bottom: "x" top: "y" {settings}', {"x": "2 3 4 5"}, "normal"
    return 'type: "Scale" bottom: "x" bottom: "z" top: "y" scale_param { axis: 0 }', {"x": "2 3 4", "z": "2 3"}, "normal"


def _classified(kind: str, param: str = "", *, maps: bool = True, fill: str = "labels") -> Callable[[random.Random], Case]:
    def case(draw: random.Random) -> Case:
        items, classes = draw.randint(2, 4), draw.randint(2, 5)
        shapes = {"x": f"{items} {classes}", "t": f"{items}"}
        if maps and draw.random() < 0.5:
            shapes = {"x": f"{items} {classes} 3 2", "t": f"{items} 1 3 2"}
        written = param.replace("NORM", draw.choice(("FULL", "VALID", "BATCH_SIZE", "NONE")))
        if kind == "InfogainLoss":
            shapes["h"] = f"1 1 {classes} {classes}"
        bottoms = " ".join(f'bottom: "{name}"' for name in shapes)
        return f'type: "{kind}" {bottoms} top: "l" {written}', shapes, fill

    return case


def _pair(kind: str, param: str = "") -> Callable[[random.Random], Case]:
    def case(draw: random.Random) -> Case:
        shape = f"{draw.randint(2, 5)} {draw.randint(2, 5)}"
        return f'type: "{kind}" bottom: "x" bottom: "t" top: "l" {param}', {"x": shape, "t": shape}, "normal"

    return case


def _contrastive(draw: random.Random) -> Case:
    legacy = draw.choice(("true", "false"))
    inside = f'type: "ContrastiveLoss" bottom: "x" bottom: "z" bottom: "t" top: "l" contrastive_loss_param {{ margin: 3 legacy_version: {legacy} }}'
    return inside, {"x": "6 4", "z": "6 4", "t": "6"}, "bits"


def _recurrent(kind: str) -> Callable[[random.Random], Case]:
    def case(draw: random.Random) -> Case:
        steps, streams, width = draw.randint(2, 4), draw.randint(1, 3), draw.randint(2, 4)
        shapes = {"x": f"{steps} {streams} 3", "t": f"{steps} {streams}"}
        if draw.random() < 0.5:
            shapes["w"] = f"{streams} 2"
        bottoms = " ".join(f'bottom: "{name}"' for name in shapes)
        return f'type: "{kind}" {bottoms} top: "y" recurrent_param {{ num_output: {width} }}', shapes, "markers"

    return case


def _reduction(draw: random.Random) -> Case:
    settings = f"operation: {draw.choice(('SUM', 'ASUM', 'SUMSQ', 'MEAN'))} axis: {draw.choice((0, 1, 2))} coeff: 0.7"
    return f'type: "Reduction" bottom: "x" top: "y" reduction_param {{ {settings} }}', {"x": _sides(draw)}, "normal"


def _multi_box(draw: random.Random) -> Case:
    settings = (
        f"num_classes: 3 loc_loss_type: {draw.choice(('SMOOTH_L1', 'L2'))} conf_loss_type: {draw.choice(('SOFTMAX', 'LOGISTIC'))}"
        f" mining_type: {draw.choice(('NONE', 'MAX_NEGATIVE'))} code_type: {draw.choice(('CORNER', 'CENTER_SIZE'))} loc_weight: 2"
    )
    inside = f'type: "MultiBoxLoss" bottom: "x" bottom: "z" bottom: "p" bottom: "g" top: "l" multibox_loss_param {{ {settings} }}'
    return inside, {"x": "2 24", "z": "2 18", "p": "1 2 24", "g": "1 1 4 8"}, "boxes"


def _regions(kind: str, param: str, channels: int) -> Callable[[random.Random], Case]:
    return _fixed(f'type: "{kind}" bottom: "x" bottom: "t" top: "y" {param}', "regions", x=f"2 {channels} 7 8", t="4 5")


def _fixed(inside: str, fill: str = "normal", **shapes: str) -> Callable[[random.Random], Case]:
    return lambda draw: (inside, shapes, fill)


CASES: dict[str, Callable[[random.Random], Case]] = {
    "AbsVal": _unary("AbsVal"),
    "Axpy": _fixed('type: "Axpy" bottom: "z" bottom: "x" bottom: "w" top: "y"', z="2 3 1 1", x="2 3 4 2", w="2 3 4 2"),
    "BatchNorm": _unary("BatchNorm"),
    "BatchReindex": _fixed('type: "BatchReindex" bottom: "x" bottom: "t" top: "y"', "labels", x="3 2 2", t="5"),
    "Bias": _fixed('type: "Bias" bottom: "x" top: "y" bias_param { axis: 1 num_axes: 2 }', x="2 3 4"),
    "BN": _unary("BN"),
    "BNLL": _unary("BNLL"),
    "Clip": _unary("Clip", "clip_param { min: -0.5 max: 0.7 }"),
    "Concat": _fixed('type: "Concat" bottom: "x" bottom: "z" top: "y"', x="2 3 2", z="2 1 2"),
    "CenterLoss": _fixed(
        'type: "CenterLoss" bottom: "x" bottom: "t" top: "l" center_loss_param { num_output: 3 }', "labels", x="5 2 2", t="5"
    ),
    "ContrastiveLoss": _contrastive,
    "Convolution": _convolution("Convolution"),
    "ConvolutionDepthwise": _fixed('type: "ConvolutionDepthwise" bottom: "x" top: "y" convolution_param { num_output: 3 kernel_size: 3 pad: 1 }', x="2 3 5 4"),
    "Crop": _fixed('type: "Crop" bottom: "x" bottom: "t" top: "y" crop_param { axis: 2 offset: 1 offset: 2 }', "labels", x="2 2 5 6", t="2 2 3 3"),
    "Deconvolution": _convolution("Deconvolution"),
    "DepthwiseConvolution": _convolution("DepthwiseConvolution"),
    "Eltwise": _eltwise,
    "ELU": _unary("ELU", "elu_param { alpha: 0.8 }"),
    "Insanity": _unary("Insanity", "insanity_param { lb: 2 ub: 4 }"),
    "MarginInnerProduct": _fixed(
        'type: "MarginInnerProduct" bottom: "x" bottom: "t" top: "y" top: "f" margin_inner_product_param { num_output: 3 }',
        "labels", x="3 2 2", t="3",
    ),
    "Embed": _fixed('type: "Embed" bottom: "t" top: "y" embed_param { input_dim: 4 num_output: 3 }', "labels", t="2 3"),
    "EuclideanLoss": _pair("EuclideanLoss"),
    "Exp": _unary("Exp", "exp_param { base: 2 scale: 0.5 shift: 0.3 }"),
    "Filter": _fixed('type: "Filter" bottom: "x" bottom: "t" top: "y"', "markers", x="4 3", t="4"),
    "Flatten": _unary("Flatten"),
    "HingeLoss": _classified("HingeLoss", "hinge_loss_param { norm: L2 }", maps=False),
    "Im2col": _unary("Im2col", "convolution_param { kernel_size: 3 stride: 2 pad: 1 }"),
    "InfogainLoss": _classified("InfogainLoss", "loss_param { normalization: NORM }"),
    "InnerProduct": _unary("InnerProduct", "inner_product_param { num_output: 4 axis: 2 }"),
    "Interp": _unary("Interp", "interp_param { height: 9 width: 5 }"),
    "Log": _unary("Log", "log_param { base: 3 scale: 0.5 shift: 4 }", "small"),
    "LRN": _lrn,
    "LSTM": _recurrent("LSTM"),
    "Mish": _unary("Mish"),
    "MultinomialLogisticLoss": _classified("MultinomialLogisticLoss", maps=False, fill="probabilities"),
    "LSTMUnit": _fixed('type: "LSTMUnit" bottom: "x" bottom: "z" bottom: "t" top: "c" top: "h"', "markers", x="1 3 2", z="1 3 8", t="1 3"),
    "MultiBoxLoss": _multi_box,
    "MVN": _unary("MVN", "mvn_param { across_channels: true }"),
    "Normalize": _unary("Normalize", "norm_param { across_spatial: false channel_shared: false }"),
    "Parameter": _fixed('type: "Parameter" top: "y" parameter_param { shape { dim: 2 dim: 3 } }'),
    "Permute": _unary("Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }"),
    "Pooling": _pooling,
    "Power": _unary("Power", "power_param { power: 1.5 scale: 0.5 shift: 4 }", "small"),
    "PReLU": _unary("PReLU"),
    "Reduction": _reduction,
    "Reorg": _fixed('type: "Reorg" bottom: "x" top: "y" reorg_param { stride: 2 }', x="2 3 4 6"),
    "ROIPooling": _regions("ROIPooling", "roi_pooling_param { pooled_h: 2 pooled_w: 3 spatial_scale: 0.5 }", 2),
    "PSROIPooling": _regions("PSROIPooling", "psroi_pooling_param { output_dim: 2 group_size: 2 spatial_scale: 0.5 }", 8),
    "ReLU": _unary("ReLU", "relu_param { negative_slope: 0.1 }"),
    "ReLU6": _unary("ReLU6"),
    "Reshape": _unary("Reshape", "reshape_param { shape { dim: 0 dim: -1 } }"),
    "RNN": _recurrent("RNN"),
    "Scale": _scale,
    "ShuffleChannel": _fixed('type: "ShuffleChannel" bottom: "x" top: "y" shuffle_channel_param { group: 2 }', x="2 6 2 2"),
    "Sigmoid": _unary("Sigmoid"),
    "SigmoidCrossEntropyLoss": _pair("SigmoidCrossEntropyLoss", "loss_param { normalization: FULL }"),
    "Slice": _fixed('type: "Slice" bottom: "x" top: "y" top: "z" slice_param { slice_point: 1 }', x="2 3 2"),
    "SmoothL1Loss": _pair("SmoothL1Loss"),
    "Softmax": _unary("Softmax"),
    "SoftmaxWithLoss": _classified("SoftmaxWithLoss", "loss_param { normalization: NORM ignore_label: 1 }"),
    "Split": _fixed('type: "Split" bottom: "x" top: "y" top: "z"', x="2 3"),
    "SPP": _fixed('type: "SPP" bottom: "x" top: "y" spp_param { pyramid_height: 2 }', x="2 2 5 6"),
    "Swish": _unary("Swish", "swish_param { beta: 1.3 }"),
    "TanH": _unary("TanH"),
    "Tile": _unary("Tile", "tile_param { axis: 1 tiles: 3 }"),
    "Upsample": _fixed('type: "Upsample" bottom: "x" bottom: "t" top: "y" upsample_param { scale: 2 }', "places", x="1 2 2 2", t="1 2 2 2"),
}
# Those whose tops do not depend smoothly on anything, or are random.
WITHOUT = {"Accuracy", "ArgMax", "DetectionEvaluate", "Dropout", "HDF5Output", "PriorBox", "PriorBoxClustered", "Silence", "Threshold"}
DRAWS = {"Convolution": 8, "Deconvolution": 8, "Pooling": 12, "MultiBoxLoss": 6, "SoftmaxWithLoss": 5, "Eltwise": 4, "Scale": 4, "LSTM": 4, "RNN": 3}


def _filled(name: str, shape: tuple[int, ...], fill: str, draw: Any) -> Any:
    if name in "pg":
        corner, size = draw.random((4 if name == "g" else 6, 2)) * 0.5, draw.uniform(0.2, 0.5, (4 if name == "g" else 6, 2))
        sides = np.concatenate((corner, corner + size), 1)
        if name == "p":
            return np.stack((sides.reshape(-1), np.full(24, 0.1))).reshape(shape)
        return np.concatenate(([[0], [0], [1], [1]], [[1], [2], [2], [1]], np.zeros((4, 1)), sides, np.zeros((4, 1))), 1).reshape(shape)
    if fill == "regions" and name == "t":
        corner = draw.uniform(0, 8, (4, 2))
        return np.concatenate((draw.integers(0, 2, (4, 1)), corner, corner + draw.uniform(1, 8, (4, 2))), 1)
    if name != "t":
        values = draw.standard_normal(shape)
        if fill == "small":
            values = np.clip(values, -2, 2)
        return draw.uniform(0.1, 1, shape) if fill == "probabilities" else values
    if fill == "labels":
        return draw.integers(0, 2, shape).astype(float)
    if fill == "probabilities":
        return draw.integers(0, 2, shape).astype(float)
    if fill == "bits":
        return (np.arange(np.prod(shape)) % 2).astype(float).reshape(shape)
    if fill == "markers":
        return (draw.random(shape) < 0.7).astype(float) if len(shape) > 1 else np.asarray([1.0, 0.0, 1.0, 1.0])[: shape[0]]
    if fill == "places":
        return np.stack([draw.permutation(16)[: shape[-1] * shape[-2]] for _ in range(shape[1])]).reshape(shape).astype(float)
    return draw.uniform(0.1, 0.9, shape)


def check(layer: Layer, fill: str, seed: int) -> None:
    """Hold the gradients of a layer against differences of the sum of its tops, each weighted at random."""
    draw = np.random.default_rng(seed)
    bottoms = [_filled(blob.name, blob.shape, fill, draw) for blob in layer.bottoms]
    params = [draw.standard_normal(param.shape) for param in layer.params]
    operator = operator_of(layer, np.random.default_rng(0))
    moves = [blob.name not in ("t", "h", "p", "g") or fill == "normal" for blob in layer.bottoms]
    if layer.type in ("SigmoidCrossEntropyLoss", "Crop"):
        moves[1] = False
    # Centres, and weights that are made as long as 1, have no true gradient.
    stored = layer.traits.stores_statistics or layer.type in ("CenterLoss", "MarginInnerProduct")
    kept = [param.copy() for param in params]
    tops = operator.forward(bottoms, kept)
    of_tops = [draw.standard_normal(top.shape) if not layer.traits.is_loss or i == 0 else np.zeros(top.shape) for i, top in enumerate(tops)]
    if layer.traits.stores_statistics or layer.type == "BN":
        of_tops[1:] = [np.zeros(top.shape) for top in tops[1:]]
    of_bottoms, of_params = operator.backward(of_tops, list(tops), bottoms, kept, moves)

    def value() -> float:
        again = operator_of(layer, np.random.default_rng(0)).forward(bottoms, [param.copy() for param in params])
        return sum(float((top * weight).sum()) for top, weight in zip(again, of_tops, strict=True))

    arrays = [(array, gradient) for array, gradient, moved in zip(bottoms, of_bottoms, moves, strict=True) if moved]
    arrays += [(array, gradient) for array, gradient in zip(params, of_params, strict=True) if not stored]
    for array, gradient in arrays:
        assert gradient is not None
        assert gradient.shape == array.shape
        flat, slopes = array.reshape(-1), gradient.reshape(-1)
        for index in draw.permutation(flat.size)[:CHECKED]:
            before = flat[index]
            flat[index] = before + STEP
            above = value()
            flat[index] = before - STEP
            below = value()
            flat[index] = before
            slope = (above - below) / (2 * STEP)
            assert slopes[index] == pytest.approx(slope, rel=2e-3, abs=2e-6), (layer.message["type"], index)


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_is_that_of_finite_differences(name: str) -> None:
    for seed in range(DRAWS.get(name, 2)):
        inside, shapes, fill = CASES[name](random.Random(f"{name} {seed}"))
        net = layer_of(inside, shapes, dialect="bvlc")
        assert [problem.kind for problem in net.problems if problem.when != "cpu"] == []
        check(net.layers[-1], fill, seed)


def test_centers_move_by_the_mean_of_what_their_items_are_short_of() -> None:
    inside = 'type: "CenterLoss" bottom: "x" bottom: "t" top: "l" loss_weight: 5 center_loss_param { num_output: 3 }'
    layer = layer_of(inside, {"x": "3 2", "t": "3"}, dialect="bvlc").layers[-1]
    operator = operator_of(layer, np.random.default_rng(0))
    x, labels, centers = np.asarray([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.asarray([2.0, 0.0, 2.0]), np.zeros((3, 2))
    (loss,) = operator.forward([x, labels], [centers])
    assert loss == pytest.approx((x**2).sum() / 6)
    (of_x, _), (of_centers,) = operator.backward([np.asarray(5.0)], [loss], [x, labels], [centers], [True, False])
    assert of_x == pytest.approx(5 * x / 3)
    # The sum, over one more than their number.
    assert of_centers == pytest.approx(np.asarray([[-3 / 2, -4 / 2], [0, 0], [-6 / 3, -8 / 3]]))


def _margin_layer(kind: str, more: str = "") -> Layer:
    inside = 'type: "MarginInnerProduct" bottom: "x" bottom: "t" top: "y" top: "f"'
    param = f"margin_inner_product_param {{ num_output: 3 type: {kind} {more} }}"
    return layer_of(f"{inside} {param}", {"x": "40 4", "t": "40"}, dialect="happynear").layers[-1]


def _polynomial(kind: str, c: Any) -> Any:
    """psi as SphereFace's code writes it."""
    s = np.sign(c)
    if kind == "DOUBLE":
        return 2 * s * c**2 - 1
    if kind == "TRIPLE":
        s1 = np.sign(np.abs(c) - 0.5)
        return s1 * (4 * c**3 - 3 * c) + s * (1 + s1) - 2
    s3 = s * np.sign(2 * c**2 - 1)
    return s3 * (8 * c**4 - 8 * c**2 + 1) + 2 * s + s3 - 3


@pytest.mark.parametrize("kind", ["DOUBLE", "TRIPLE", "QUADRUPLE"])
def test_the_score_of_the_label_has_a_margin(kind: str) -> None:
    """Its gradient is that of the margin, in the directions of x and of the weights, made as long as 1; scores without it count more."""
    draw = np.random.default_rng(0)
    x, labels, weights = draw.standard_normal((40, 4)), draw.integers(0, 3, 40).astype(float), draw.standard_normal((3, 4))
    operator = operator_of(_margin_layer(kind, "base: 8 gamma: 1 lambda_min: 2"), draw)
    operator.forward([x, labels], [weights.copy()])  # a second pass has another factor
    top, factor = operator.forward([x, labels], [weights])
    assert factor == pytest.approx([8 / 3])
    assert (weights**2).sum(1) == pytest.approx(np.ones(3))
    rows, own = np.arange(40), weights[labels.astype(int)]
    plain, length = x @ weights.T, np.sqrt((x**2).sum(1))
    cosine = plain[rows, labels.astype(int)] / length
    expected = plain.copy()
    expected[rows, labels.astype(int)] = (length * _polynomial(kind, cosine) + 8 / 3 * cosine * length) / (1 + 8 / 3)
    assert top == pytest.approx(expected)

    diff = np.zeros_like(top)
    diff[rows, labels.astype(int)] = 1.0
    (back, _), (of_weights,) = operator.backward([diff, np.zeros(1)], [top, factor], [x, labels], [weights], [True, False])
    assert of_weights == pytest.approx(diff.T @ x)
    slope = (_polynomial(kind, cosine + STEP) - _polynomial(kind, cosine - STEP)) / (2 * STEP)
    along_x = (_polynomial(kind, cosine) - cosine * slope) / length
    size = np.hypot(slope, along_x)
    margin = (slope / size)[:, None] * own + (along_x / size)[:, None] * x
    assert back == pytest.approx((margin + 8 / 3 * own) / (1 + 8 / 3), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("settings", ["gamma: -1", "gamma: -3 power: 0.5", "base: 1e30 gamma: 1e30 power: -50"])
def test_a_margin_without_a_factor_is_not_a_number(settings: str) -> None:
    assert np.isnan(margin_factor(_margin_layer("DOUBLE", settings), 0))


@pytest.mark.parametrize("bounds", ["lb: 10 ub: 5", "lb: nan"])
def test_random_slopes_without_bounds_cannot_be_simulated(bounds: str) -> None:
    layer = layer_of(f'type: "Insanity" bottom: "x" top: "y" insanity_param {{ {bounds} }}', {"x": "2 3"}, dialect="happynear").layers[-1]
    with pytest.raises(CannotSimulate, match="divides by numbers from"):
        operator_of(layer, np.random.default_rng(0))


def test_a_label_beyond_the_scores_with_a_margin_cannot_be_simulated() -> None:
    operator = operator_of(_margin_layer("DOUBLE"), np.random.default_rng(0))
    with pytest.raises(CannotSimulate, match="is not in 0 to 2"):
        operator.forward([np.ones((40, 4)), np.full(40, 3.0)], [np.ones((3, 4))])


@pytest.mark.parametrize(("text", "labels"), [("is not in 0 to 2", 3.0), ("measures no L2", 0.0)])
def test_a_center_loss_that_cannot_be_simulated_says_why(text: str, labels: float) -> None:
    param = 'num_output: 3 distance_type: "L1"' if labels == 0 else "num_output: 3"
    inside = f'type: "CenterLoss" bottom: "x" bottom: "t" top: "l" center_loss_param {{ {param} }}'
    layer = layer_of(inside, {"x": "3 2", "t": "3"}, dialect="happynear").layers[-1]
    with pytest.raises(CannotSimulate, match=text):
        operator_of(layer, np.random.default_rng(0)).forward([np.zeros((3, 2)), np.full(3, labels)], [np.zeros((3, 2))])
    assert layer.traits.signal(layer) == (UNMODELLED if labels == 0 else "loss_models.CenterLoss")


def test_every_type_that_can_be_simulated_is_checked() -> None:
    simulated = {name for name, kinds in TYPES.items() if any(kind.simulate for kind in kinds)}
    assert simulated == set(CASES) | WITHOUT
