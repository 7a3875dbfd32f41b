"""Signal models of single layers, in a net where what comes in is known."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from layer_cases import MADE, Made
from nets import layer_of, net_of
from recurrence import lstm, rnn
from sampled import Array, diffs_of, normalised, normalised_back, pairs, pooled_back, values_of

from caffe_lint.engine.opening import Files
from caffe_lint.layers.models.data_models import LABELS, UNKNOWN_VALUES, data_kind
from caffe_lint.layers.models.linear import Taps, bias_gradient, weight_gradient
from caffe_lint.layers.models.loss_models import Loss
from caffe_lint.layers.models.pooling import maximum
from caffe_lint.layers.record import TYPES
from caffe_lint.moments.graph import Layer
from caffe_lint.moments.signal_model import Gradient, SignalContext, SignalModel, Step
from caffe_lint.moments.statistics import (
    Diffs,
    Values,
    correlation_coefficients,
    gated,
    gaussian,
    mixture,
    moment_at_distance,
    rectified,
    share_above,
    sign_correlations,
)
from caffe_lint.moments.weights import Weights
from caffe_lint.net.data_facts import tops_facts
from caffe_lint.net.loss_sizes import first_value
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.stability.signal.features import signal_of
from caffe_lint.stability.signal.passes import Back, Pass, _model_classes, initial_weights, prepare, unmodelled_layers
from caffe_lint.stability.signal.training import DARK, PHOTOGRAPHS, Training, training_of_file

ONES = Diffs(1.0, 0.8, 0.0, 0.0, 0.0)
NET = """
layer {{
  name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param {{
    shape {{ dim: 16 dim: 3 dim: 16 dim: 16 }} shape {{ dim: 16 }}
    data_filler {{ type: "gaussian" std: 1 }} data_filler {{ type: "constant" }}
  }}
}}
layer {{
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 8 kernel_size: 3 pad: 1 weight_filler {{ type: "msra" }} }}
}}
layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "conv" }}
layer {{ name: "it" bottom: "conv" top: "it" {layer} }}
layer {{
  name: "fc" type: "InnerProduct" bottom: "it" top: "fc"
  inner_product_param {{ num_output: 10 weight_filler {{ type: "xavier" }} }}
}}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }}
"""


def training(folder: Path, layer: str) -> Training:
    """The training of a net in which a layer follows a rectified convolution."""
    return trained(folder, NET.format(layer=layer))


def trained(folder: Path, net: str) -> Training:
    """The training of a net."""
    (folder / "net.prototxt").write_text(net)
    solver = folder / "solver.prototxt"
    solver.write_text('net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 100')
    files = Files(caffe_schema(), "bvlc")
    found = training_of_file(files.get(str(solver)), files.get, {})
    assert isinstance(found, Training)
    return found


def around(folder: Path, layer: str) -> tuple[Values, Diffs]:
    """The values of the layer's top, and the gradient of its bottom."""
    signal = signal_of(training(folder, layer))
    index = next(each.index for each in signal.training.net.layers if each.name == "it")
    return signal.forward.steps[index].tops[0], signal.back.bottoms[index][0]


BUILT_WITHOUT = sorted({
    kind.name for kinds in TYPES.values() for kind in kinds
    if isinstance(kind.signal, str) and kind.signal and kind.bottoms == kind.tops == (0, None)
})  # fmt: skip


@pytest.mark.parametrize("name", BUILT_WITHOUT)
@pytest.mark.parametrize("blobs", ["", 'bottom: "conv"', 'top: "it"'])
def test_a_layer_that_a_fork_builds_without_blobs_has_no_part_in_the_signal(tmp_path: Path, name: str, blobs: str) -> None:
    text = NET.replace('bottom: "conv" top: "it" {layer}', "{layer}").replace('bottom: "it"', 'bottom: "conv"')
    with_it = signal_of(trained(tmp_path, text.format(layer=f'type: "{name}" {blobs}')))
    without = signal_of(trained(tmp_path, text.format(layer='type: "Silence" bottom: "conv"')))
    assert with_it.l2 == pytest.approx(without.l2)


@pytest.mark.parametrize("case", MADE, ids=lambda case: case.layer[:90])
def test_a_signal_model_gives_a_value_for_every_top_and_a_gradient_for_every_bottom(case: Made) -> None:
    net = layer_of(case.layer, case.inputs, dialect=case.dialect)
    layer = net.layers[-1]
    forward = Pass(prepare(net, SignalContext(partial(tops_facts, facts={}), PHOTOGRAPHS)), initial_weights(net))
    step, model = forward.steps[layer.index], forward.prepared.models[layer.index]
    assert len(step.tops) == len(layer.tops)
    if layer.runs_backward:
        if isinstance(model, Loss):
            gradients, probes = model.gradients(step.bottoms, 1.0), model.curvature_probe(step.bottoms, 1.0)
            assert len(probes) == len(layer.bottoms)
        else:
            gradients, own = model.backward(step, [ONES] * len(layer.tops))
            assert len(own) == len(layer.params)
        assert len(gradients) == len(layer.bottoms)


LOSSES = """
layer {{
  name: "data" type: "DummyData" top: "data" top: "label" top: "targets"
  dummy_data_param {{
    shape {{ dim: 16 dim: 3 dim: 4 dim: 4 }} shape {{ dim: 16 dim: 1 dim: {size} dim: {size} }}
    shape {{ dim: 16 dim: 10 dim: {size} dim: {size} }}
    data_filler {{ type: "gaussian" std: 1 }} data_filler {{ type: "constant" }} data_filler {{ type: "constant" }}
  }}
}}
layer {{
  name: "scores" type: "Convolution" bottom: "data" top: "scores"
  convolution_param {{ num_output: 10 kernel_size: {kernel} weight_filler {{ type: "constant" }} }}
}}
layer {{ name: "softmax" type: "Softmax" bottom: "scores" top: "probabilities" }}
layer {{
  name: "matrix" type: "DummyData" top: "matrix"
  dummy_data_param {{ shape {{ dim: 1 dim: 1 dim: 10 dim: 10 }} data_filler {{ type: "constant" value: 0.1 }} }}
}}
layer {{ name: "loss" top: "loss" {loss} }}
"""
SCORES = 'bottom: "scores" bottom: "label"'
LABELLED = [
    f'type: "{kind}" {SCORES} {param} loss_param {{ normalization: {normalization} }}'
    for kind, param in (("SoftmaxWithLoss", ""), ("InfogainLoss", 'bottom: "matrix"'))
    for normalization in ("VALID", "FULL", "BATCH_SIZE", "NONE")
]
COMPARING = [
    f'type: "SigmoidCrossEntropyLoss" bottom: "scores" bottom: "targets" loss_param {{ normalization: {normalization} }}'
    for normalization in ("VALID", "FULL", "BATCH_SIZE", "NONE")
]
ONE_LABEL = [
    f'type: "HingeLoss" {SCORES}',
    'type: "MultinomialLogisticLoss" bottom: "probabilities" bottom: "label"',
]


@pytest.mark.parametrize(
    ("loss", "kernel"),
    [*((loss, 4) for loss in LABELLED + COMPARING + ONE_LABEL), *((loss, 3) for loss in LABELLED + COMPARING)],
)
def test_a_loss_at_chance_is_as_large_for_the_signal_as_for_the_rules_without_one(
    tmp_path: Path, loss: str, kernel: int
) -> None:
    signal = signal_of(trained(tmp_path, LOSSES.format(loss=loss, kernel=kernel, size=5 - kernel)))
    layer = signal.training.net.layers[-1]
    assert first_value(layer) == pytest.approx(signal.forward.loss)


@pytest.mark.parametrize("pool", ["MAX", "AVE"])
def test_a_pyramid_of_one_level_is_global_pooling(tmp_path: Path, pool: str) -> None:
    top, below = around(tmp_path, f'type: "SPP" spp_param {{ pyramid_height: 1 pool: {pool} }}')
    same_top, same_below = around(tmp_path, f'type: "Pooling" pooling_param {{ global_pooling: true pool: {pool} }}')
    assert top.mean_abs == pytest.approx(same_top.mean_abs)
    assert below.mean_abs == pytest.approx(same_below.mean_abs)


def test_the_higher_a_pyramid_the_smaller_its_windows_and_their_largest_values(tmp_path: Path) -> None:
    sizes = [
        around(tmp_path, f'type: "SPP" spp_param {{ pyramid_height: {height} }}')[0].mean_abs for height in (1, 2, 3, 4)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] > around(tmp_path, 'type: "AbsVal"')[0].mean_abs


def test_a_layer_without_a_signal_model_is_named(tmp_path: Path) -> None:
    net = training(tmp_path, 'type: "Im2col" convolution_param { kernel_size: 3 }').net
    assert [layer.name for layer in unmodelled_layers(net)] == ["it"]


def test_a_repeated_value_gets_the_sum_of_the_gradients(tmp_path: Path) -> None:
    signal = signal_of(training(tmp_path, 'type: "Upsample" upsample_param { scale: 2 }'))
    layer = signal.training.net.layers[3]
    assert layer.tops[0].shape == (16, 8, 32, 32)
    (below,), above = signal.back.bottoms[layer.index], signal.back.tops[layer.tops[0]]
    assert below.second_moment == pytest.approx(4 * above.second_moment, rel=1e-3)  # they are nearly independent


def test_a_plane_that_is_unpooled_is_0_at_most_places(tmp_path: Path) -> None:
    same = around(tmp_path, 'type: "Split"')[0]
    top = around(tmp_path, 'type: "UnPooling" unpooling_param { unpool_size: 32 }')[0]
    assert top.mean_abs == pytest.approx(same.mean_abs / 4)
    assert top.second_moment == pytest.approx(same.second_moment / 4)


def test_interpolation_keeps_the_mean_and_evens_out_the_rest(tmp_path: Path) -> None:
    same = around(tmp_path, 'type: "Split"')[0]
    top = around(tmp_path, 'type: "Interp" interp_param { zoom_factor: 4 }')[0]
    assert top.mean == pytest.approx(same.mean)
    assert same.mean**2 < top.second_moment < same.second_moment


@pytest.mark.parametrize("alike", [True, False])
def test_weight_gradients_differ_more_in_size_where_all_values_of_a_channel_are_alike(alike: bool) -> None:
    items, positions, outputs, channels = 4, 9, 1500, 1500
    random = np.random.default_rng(1)
    gradient = random.normal(size=(items, outputs, positions))
    read = np.maximum(random.normal(size=(1, channels, 1) if alike else (items, channels, positions)), 0)
    sums = np.einsum("nop,ncp->oc", gradient, np.broadcast_to(read, (items, channels, positions)), optimize=True)
    mean = 1 / math.sqrt(2 * math.pi)
    pair = 0.5 if alike else mean * mean
    found = weight_gradient(
        Diffs(1.0, math.sqrt(2 / math.pi), 0.0, 0.0, 0.0),
        Values(mean, 0.5, mean, pair, pair, pair, 0.0),
        Taps(1, 1, 1, items, positions),
    )
    assert found.second_moment == pytest.approx(float((sums**2).mean()), rel=0.1)
    assert found.mean_abs == pytest.approx(float(np.abs(sums).mean()), rel=0.1)


def test_bias_gradients_are_0_for_the_channels_that_a_rectifier_closes() -> None:
    items, channels = 16, 20000
    random = np.random.default_rng(1)
    is_open = random.normal(size=(1, channels)) > 0  # for all items, as what comes in is alike for them
    sums = (random.normal(size=(items, channels)) * is_open).sum(axis=0)
    outputs = gaussian(0.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    above = Diffs(1.0, math.sqrt(2 / math.pi), 0.0, 0.0, 0.0)
    diffs = gated(above, 0.5, sign_correlations(outputs), 1.0, rectified(outputs))
    found = bias_gradient(diffs, items, 1)
    assert found.second_moment == pytest.approx(float((sums**2).mean()), rel=0.1)
    assert found.mean_abs == pytest.approx(float(np.abs(sums).mean()), rel=0.1)


def made(text: str, *shapes: tuple[int, ...]) -> tuple[Layer, SignalModel]:
    """A layer with bottoms of these shapes, and its signal model."""
    names = [f"bottom{i}" for i in range(len(shapes))]
    inputs = {name: " ".join(map(str, shape)) for name, shape in zip(names, shapes, strict=True)}
    bottoms = " ".join(f'bottom: "{name}"' for name in names)
    net = layer_of(f'{bottoms} top: "top" {text}', inputs)
    return net.layers[-1], prepare(net, SignalContext(partial(tops_facts, facts={}), PHOTOGRAPHS)).models[-1]


def weights_of(array: Array) -> Weights:
    """The moments of a parameter."""
    return Weights(float(array.mean()), float(array.var()), float(abs(array).mean()))


def same_size(gradient: Gradient | Diffs, array: Array, within: float, name: str = "") -> None:
    """Asserts that a gradient has the root mean square and the mean absolute value of an array, within a factor."""
    for ours, real in (
        (gradient.second_moment**0.5, float((array**2).mean() ** 0.5)),
        (gradient.mean_abs, float(abs(array).mean())),
    ):
        assert 1 / within < ours / real < within, (name, ours, real)


@pytest.mark.parametrize(("side", "stride"), [(2, 1), (2, 2), (3, 1), (3, 2), (3, 3), (5, 2)])
@pytest.mark.parametrize("smooth", [False, True])
def test_the_gradients_of_overlapping_windows_cancel_below_max_pooling(side: int, stride: int, smooth: bool) -> None:
    source = np.random.default_rng(1)
    plane = 24 if side == stride else 25
    x = source.standard_normal((8, 16, plane, plane))
    if smooth:
        x = x + np.roll(x, 1, 2) + np.roll(x, 1, 3) + np.roll(x, (1, 1), (2, 3))
    out = (plane - side) // stride + 1
    layer, model = made(
        f'type: "Pooling" pooling_param {{ kernel_size: {side} stride: {stride} }}', (8, 16, plane, plane)
    )
    assert layer.tops[0].shape == (8, 16, out, out)
    values = values_of(x, corr_length=1.5 if smooth else 0.1)
    for d in (
        source.standard_normal((8, 16, out, out)),
        source.standard_normal((8, 16, out, out)) + source.standard_normal((8, 16, 1, 1)),
    ):
        below, _ = model.backward(Step([values], [], []), [diffs_of(d)])
        real = pooled_back(x, d, side, stride)
        assert below[0].second_moment == pytest.approx(float((real**2).mean()), rel=0.3)
        assert below[0].mean_abs == pytest.approx(float(abs(real).mean()), rel=0.2)
        # the gradients of a plane sum to the same, so those that a BatchNorm centred still cancel
        assert below[0].corr_within_item == pytest.approx(pairs(real)[0], rel=0.15, abs=1e-3)


@pytest.mark.parametrize("shape", [(16, 32, 6, 6), (4, 32, 5, 5), (32, 32, 1, 1)])
def test_gradients_below_a_batch_norm_have_no_mean_and_nothing_along_the_values(shape: tuple[int, ...]) -> None:
    source = np.random.default_rng(2)
    x = 3 * source.standard_normal(shape) + source.standard_normal((1, shape[1], 1, 1))
    y, deviation = normalised(x)
    # an item's gradients agree at all positions, as below global pooling, and a part is the values themselves
    d = source.standard_normal((*shape[:2], 1, 1)) + 0.3 * source.standard_normal(shape) + 0.5 * y
    real = normalised_back(d, y, deviation)
    _, model = made('type: "BatchNorm" batch_norm_param { use_global_stats: false }', shape)
    step = Step([values_of(x)], [values_of(y)], [])
    along = diffs_of(d - 0.5 * y)  # of the values it has none that moments would show
    below, _ = model.backward(step, [along])
    assert below[0].second_moment == pytest.approx(float((real**2).mean()), rel=0.12)
    assert below[0].corr_within_item == pytest.approx(pairs(real)[0], rel=0.12, abs=2e-3)
    bias = bias_gradient(below[0], shape[0], shape[2] * shape[3])
    assert 0 < bias.mean_abs < 1e-4 * below[0].mean_abs


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (1, 2), (2, 3), (3, 1), (3, 2)])
def test_the_gradient_below_a_convolution_is_0_at_positions_that_no_window_reads(kernel: int, stride: int) -> None:
    source = np.random.default_rng(3)
    side, items, inputs, outputs = 13, 4, 24, 32
    layer, model = made(
        f'type: "Convolution" convolution_param {{ num_output: {outputs} kernel_size: {kernel} stride: {stride} }}',
        (items, inputs, side, side),
    )
    out = (layer.tops[0].shape or ())[2] or 0
    weights = 0.2 * source.standard_normal((outputs, inputs, kernel, kernel))
    x = source.standard_normal((items, inputs, side, side))
    d = source.standard_normal((items, outputs, out, out)) + source.standard_normal((items, outputs, 1, 1))
    real = np.zeros_like(x)
    for i in range(kernel):
        for j in range(kernel):
            at = (slice(None), slice(None), slice(i, i + stride * out, stride), slice(j, j + stride * out, stride))
            target = real[at][:, :, :out, :out]
            target += np.einsum("oc,nohw->nchw", weights[:, :, i, j], d)
    step = Step([values_of(x)], [], [weights_of(weights), Weights(0.0, 0.0, 0.0)])
    below, _ = model.backward(step, [diffs_of(d)])
    assert below[0].second_moment == pytest.approx(float((real**2).mean()), rel=0.1)
    assert below[0].mean_abs == pytest.approx(float(abs(real).mean()), rel=0.1)
    assert below[0].corr_within_item == pytest.approx(pairs(real)[0], rel=0.25)


def test_the_gradient_of_weights_is_uneven_where_rectifiers_are_closed_for_all_items() -> None:
    source = np.random.default_rng(4)
    items, channels, positions = 8, 400, 16
    # deep in a net with small weights, nearly all of a value is the same for all items and positions
    x = np.maximum(
        0, source.standard_normal((1, channels, 1, 1)) + 0.1 * source.standard_normal((items, channels, 4, 4))
    )
    before = source.standard_normal((1, channels, 1, 1)) + 0.1 * source.standard_normal((items, channels, 4, 4))
    above = source.standard_normal((1, channels, 1, 1)) + 0.1 * source.standard_normal((items, channels, 4, 4))
    d = above * (before > 0)
    gate = values_of(before)
    diff = gated(diffs_of(above), share_above(gate), sign_correlations(gate))
    real = np.einsum("nop,ncp->oc", d.reshape(items, channels, -1), x.reshape(items, channels, -1))
    found = weight_gradient(diff, values_of(x, low=0.0), Taps(1, 1, 1, items, positions))
    same_size(found, real, 1.25)
    same_size(bias_gradient(diff, items, positions), d.sum((0, 2, 3)), 1.25)


def test_the_gradient_of_weights_is_no_larger_than_what_few_labels_leave_of_it() -> None:
    source = np.random.default_rng(5)
    items, classes = 4, 1000
    x = np.maximum(0, source.standard_normal((items, 300, 1, 1)))
    d = np.full((items, classes, 1, 1), 1 / classes)
    d[np.arange(items), source.integers(0, classes, items), 0, 0] -= 1
    real = np.einsum("no,nc->oc", d[:, :, 0, 0], x[:, :, 0, 0])
    found = weight_gradient(diffs_of(d), values_of(x, low=0.0), Taps(300, classes, 1, items, 1))
    same_size(found, real, 1.6)


def sums_of_squares(text: str, force: bool) -> float:
    """The gradient norm of a net with a layer that does not learn."""
    net = net_of(("force_backward: true " if force else "") + text)
    return Back(Pass(prepare(net, SignalContext(partial(tops_facts, facts={}), PHOTOGRAPHS)), initial_weights(net))).l2


def test_with_force_backward_gradients_of_parameters_that_do_not_learn_count() -> None:
    frozen = NET.format(layer='type: "Split"').replace(
        'type: "Convolution"', 'type: "Convolution" param { lr_mult: 0 }'
    )
    learning = sums_of_squares(NET.format(layer='type: "Split"'), False)
    assert sums_of_squares(frozen, False) < learning
    assert sums_of_squares(frozen, True) == pytest.approx(learning)


# What each type makes of a value, and what Caffe's backward pass makes of the gradient d when the layer works in place: its
# formulas read the overwritten bottom y, and Power and Log overwrite d before they read it.
IN_PLACE = {
    'type: "Power" power_param { scale: 2 shift: 1 }': (lambda x: 2 * x + 1, lambda y, d: 4 + 0 * d),
    'type: "Power" power_param { power: 2 shift: 1 }': (lambda x: (x + 1) ** 2, lambda y, d: (2 + 2 * y) ** 2 + 0 * d),
    'type: "Power" power_param { power: 3 scale: 0.5 shift: 9 }': (
        lambda x: (0.5 * x + 9) ** 3,
        lambda y, d: (1.5 * y / (0.5 * y + 9)) ** 2 + 0 * d,
    ),
    'type: "Power" power_param { power: 3 }': (lambda x: x**3, lambda y, d: 9 + 0 * d),
    'type: "Log" log_param { shift: 20 }': (lambda x: np.log(x + 20), lambda y, d: (1 / (y + 20)) ** 2 + 0 * d),
    'type: "BNLL"': (lambda x: np.log1p(np.exp(x)), lambda y, d: d / (1 + np.exp(-y))),
    'type: "Clip" clip_param { min: -0.5 max: 0.5 }': (lambda x: np.clip(x, -0.5, 0.5), lambda y, d: d),
    'type: "ReLU" relu_param { negative_slope: -0.3 }': (lambda x: np.where(x > 0, x, -0.3 * x), lambda y, d: d),
    'type: "ELU"': (lambda x: np.where(x > 0, x, np.expm1(x)), lambda y, d: np.where(y > 0, d, d * (y + 1))),
    'type: "ELU" elu_param { alpha: -1 }': (lambda x: np.where(x > 0, x, -np.expm1(x)), lambda y, d: d),
    'type: "Sigmoid"': (lambda x: 1 / (1 + np.exp(-x)), lambda y, d: d * y * (1 - y)),
    'type: "Exp" exp_param { scale: 0.1 }': (lambda x: np.exp(0.1 * x), lambda y, d: d * 0.1 * y),
}


@pytest.mark.parametrize("text", IN_PLACE)
def test_in_place_the_gradient_is_what_caffe_computes_from_overwritten_values(text: str) -> None:
    function, slope = IN_PLACE[text]
    source = np.random.default_rng(6)
    x, d = source.standard_normal((2, 8, 16, 5, 5))
    net = layer_of(f'bottom: "x" top: "x" {text}', {"x": "8 16 5 5"})
    model = prepare(net, SignalContext(partial(tops_facts, facts={}), PHOTOGRAPHS)).models[-1]
    values = values_of(x)
    below, _ = model.backward(Step([values], model.forward([values], []), []), [diffs_of(d)])
    real = slope(function(x), d)
    assert below[0].second_moment == pytest.approx(float((real**2).mean()), rel=0.15)
    assert below[0].mean_abs == pytest.approx(float(abs(real).mean()), rel=0.2)


@pytest.mark.parametrize("layer", ["Sigmoid", "TanH"])
def test_a_dropout_in_place_spoils_the_gradient_of_an_activation_below(layer: str) -> None:
    source = np.random.default_rng(7)
    x, d = source.standard_normal((2, 8, 16, 5, 5))
    kept = source.random(x.shape) > 0.5
    text = (
        f'layer {{ name: "a" type: "{layer}" bottom: "x" top: "y" }}'
        'layer { name: "b" type: "Dropout" bottom: "y" top: "y" dropout_param { dropout_ratio: 0.5 } }'
    )
    net = net_of(text, {"x": "8 16 5 5"})
    assert not unmodelled_layers(net)
    model = prepare(net, SignalContext(partial(tops_facts, facts={}), PHOTOGRAPHS)).models[1]
    values = values_of(x)
    above = d * kept * 2
    y = 2 * kept * (np.tanh(x) if layer == "TanH" else 1 / (1 + np.exp(-x)))
    real = above * (1 - y * y if layer == "TanH" else y * (1 - y))
    below, _ = model.backward(Step([values], [], []), [diffs_of(above)])
    assert below[0].second_moment == pytest.approx(float((real**2).mean()), rel=0.15)


HEAD = """
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
        inner_product_param { num_output: 9 weight_filler { type: "msra" } } }
"""
TAIL = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }'


@pytest.mark.parametrize(
    ("layers", "unmodelled"),
    [
        ('layer { name: "x" type: "MVN" bottom: "fc" top: "fc" }', ["x"]),
        ('layer { name: "x" type: "Power" bottom: "fc" top: "fc" }', []),
        # Scale overwrites what the layer below reads on its way back; a ReLU changes nothing where it lets gradients pass
        ('layer { name: "t" type: "TanH" bottom: "fc" top: "fc" } layer { name: "x" type: "Scale" bottom: "fc" top: "fc" }', ["t"]),
        ('layer { name: "t" type: "TanH" bottom: "fc" top: "fc" } layer { name: "x" type: "ReLU" bottom: "fc" top: "fc" }', []),
        # of types that are not known: on the way, a loss of its own with a weight that is not written, or nothing
        ('layer { name: "x" type: "OfMyFork" bottom: "fc" top: "fc" }', ["x"]),
        ('layer { name: "x" type: "OfMyFork" bottom: "fc" bottom: "label" top: "x" }', ["x"]),
        ('layer { name: "x" type: "OfMyFork" bottom: "fc" bottom: "label" top: "x" loss_weight: 0 }', []),
        ('layer { name: "x" type: "OfMyFork" bottom: "label" top: "x" }', []),
        ('layer { name: "x" type: "RegionLoss" bottom: "fc" bottom: "label" top: "x" }', ["x"]),
        ('layer { name: "x" type: "Python" bottom: "fc" top: "x" python_param { module: "m" layer: "L" } }', []),
        ('layer { name: "x" type: "Python" bottom: "fc" top: "x" loss_weight: 1 python_param { module: "m" layer: "L" } }', ["x"]),
    ],
)  # fmt: skip
def test_layers_whose_gradient_is_not_modelled_are_named(layers: str, unmodelled: list[str]) -> None:
    net = net_of(HEAD + layers + TAIL, {"data": "8 20", "label": "8"})
    assert [layer.name for layer in unmodelled_layers(net)] == unmodelled


def test_values_of_deep_narrow_nets_are_usually_smaller_than_on_average(tmp_path: Path) -> None:
    depth, width = 12, 12
    layers = [
        f"""
        layer {{
          name: "fc{i}" type: "InnerProduct" bottom: "{"data" if i == 0 else f"fc{i - 1}"}" top: "fc{i}"
          inner_product_param {{ num_output: {width} weight_filler {{ type: "msra" }} }}
        }}
        layer {{ name: "relu{i}" type: "ReLU" bottom: "fc{i}" top: "fc{i}" }}
        """
        for i in range(depth)
    ]
    head = """
    layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
      shape { dim: 8 dim: 12 } shape { dim: 8 dim: 12 }
      data_filler { type: "constant" value: 1 } data_filler { type: "gaussian" std: 1 } } }
    """
    loss = f'layer {{ name: "loss" type: "EuclideanLoss" bottom: "fc{depth - 1}" bottom: "label" top: "loss" }}'
    signal = signal_of(trained(tmp_path, head + "".join(layers) + loss))
    random = np.random.default_rng(1)
    ends = []
    for _ in range(400):
        values = np.ones(width)
        for _ in range(depth):
            values = np.maximum(0, random.normal(0, math.sqrt(2 / width), (width, width)) @ values)
        ends.append(np.abs(values).mean())
    ours = signal.forward.steps[-1].bottoms[0].mean_abs
    assert ours == pytest.approx(float(np.median(ends)), rel=0.25)
    assert float(np.mean(np.square(ends))) > 4 * ours**2


def items_of_sequences(array: Array) -> Array:
    """Sequences as the models see them: every step of every stream is an item."""
    return array.reshape(-1, array.shape[-1], 1)


@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
@pytest.mark.parametrize(("scale", "of_static"), [(0.05, 0.0), (0.05, 1.0), (0.15, 1.0)])
@pytest.mark.parametrize("agreed", [0.0, 1.0])
def test_a_recurrent_layer_and_its_static_input_against_numpy(
    kind: str, scale: float, of_static: float, agreed: float
) -> None:
    source = np.random.default_rng(8)
    steps, streams, inputs, statics, width = 12, 6, 80, 50, 90
    x = source.standard_normal((steps, streams, inputs))
    still = of_static * source.standard_normal((streams, statics))
    d = source.standard_normal((steps, streams, width)) + agreed * source.standard_normal((1, 1, width))
    gates = 4 * width if kind == "LSTM" else width
    weights = {
        "input": scale * source.standard_normal((gates, inputs)),
        "bias": np.zeros(gates),
        "static": scale * source.standard_normal((gates, statics)),
        "hidden": scale * source.standard_normal((gates, width)),
    }
    if kind == "RNN":
        weights |= {"output": scale * source.standard_normal((width, width)), "output bias": np.zeros(width)}
    top, real = (lstm if kind == "LSTM" else rnn)(x, still, weights, d)
    _, model = made(
        f'type: "{kind}" recurrent_param {{ num_output: {width} }}', x.shape, (steps, streams), still.shape
    )
    ones = np.ones((steps * streams, 1, 1))
    bottoms = [values_of(items_of_sequences(x)), values_of(ones), values_of(still[:, :, None])]
    own = [weights_of(array) for array in weights.values()]
    tops = model.forward(bottoms, own)
    assert tops[0].second_moment == pytest.approx(float((top**2).mean()), rel=0.2)
    below, gradients = model.backward(Step(bottoms, tops, own), [diffs_of(items_of_sequences(d))])
    found = dict(zip(weights, gradients, strict=True)) | {"x": below[0], "still": below[2]}
    for name, gradient in found.items():
        if not of_static and name == "static":
            assert gradient.second_moment == 0
            continue
        same_size(gradient, real[name], 1.65, name)


def test_recurrent_layers_of_forks_and_states_from_outside_are_not_modelled() -> None:
    fillers = 'weight_filler { type: "xavier" }'
    text = f'layer {{ name: "x" type: "LSTM" bottom: "v" bottom: "m" top: "x" recurrent_param {{ num_output: 9 {fillers} }} }}'
    tail = 'layer { name: "loss" type: "EuclideanLoss" bottom: "x" bottom: "t" top: "loss" }'
    inputs = {"v": "5 2 7", "m": "5 2", "t": "5 2 9"}
    assert not unmodelled_layers(net_of(text + tail, inputs))
    fork = 'layer { name: "x" type: "Lstm" bottom: "v" bottom: "m" top: "x" lstm_param { num_output: 9 clipping_threshold: 1 } }'
    assert [layer.name for layer in unmodelled_layers(net_of(fork + tail, inputs, dialect="caffe-lstm"))] == ["x"]
    exposed = text.replace("num_output", "expose_hidden: true num_output").replace(
        'top: "x"', 'bottom: "h" bottom: "c" top: "x" top: "h2" top: "c2"'
    )
    states = {"h": "1 2 9", "c": "1 2 9"}
    assert [layer.name for layer in unmodelled_layers(net_of(exposed + tail, inputs | states))] == ["x"]


def test_rows_of_an_embedding_are_independent() -> None:
    source = np.random.default_rng(9)
    weights = source.uniform(-0.1, 0.1, (70, 16)) + 0.05
    top = weights[source.integers(0, 70, (40, 60))]
    _, model = made('type: "Embed" embed_param { num_output: 16 input_dim: 70 bias_term: false }', (40, 60))
    (found,) = model.forward([values_of(np.zeros((40, 60, 1)))], [weights_of(weights)])
    assert found.second_moment == pytest.approx(float((top**2).mean()), rel=0.05)
    for ours, real in zip((found.corr_within_item, found.corr_across_items, found.corr_across_both), pairs(top), strict=True):
        assert ours == pytest.approx(real, rel=0.1)
    # so that the largest of a window lies above the mean
    assert maximum(found, 3.0, 1.0).mean > found.mean + 0.5 * found.variance**0.5


@pytest.mark.parametrize("mean", [0.0, 1.0])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_gradient_below_a_convolution_of_each_channel_is_as_uneven_as_above(mean: float, stride: int) -> None:
    source = np.random.default_rng(10)
    items, channels, side, kernel = 4, 300, 16, 3
    layer, model = made(
        f'type: "Convolution" convolution_param {{ num_output: {channels} group: {channels} kernel_size: 3 stride: {stride} }}',
        (items, channels, side, side),
    )
    out = (layer.tops[0].shape or ())[2] or 0
    weights = source.standard_normal((channels, 1, kernel, kernel)) + mean
    closed = source.random((1, channels, 1, 1)) > 0.5
    d = (source.standard_normal((items, channels, out, out)) + source.standard_normal((items, channels, 1, 1))) * closed
    real = np.zeros((items, channels, side, side))
    for i in range(kernel):
        for j in range(kernel):
            target = real[:, :, i : i + stride * out : stride, j : j + stride * out : stride][:, :, :out, :out]
            target += weights[:, 0, i, j][:, None, None] * d
    step = Step([values_of(real)], [], [weights_of(weights), Weights(0.0, 0.0, 0.0)])
    below, _ = model.backward(step, [diffs_of(d)._replace(evenness=0.5**0.5)])
    assert below[0].second_moment == pytest.approx(float((real**2).mean()), rel=0.25)
    assert below[0].mean_abs == pytest.approx(float(abs(real).mean()), rel=0.25)
    assert below[0].corr_within_item == pytest.approx(pairs(real)[0], rel=0.35)


def test_the_top_of_a_convolution_of_each_channel_is_as_uneven_as_its_channels() -> None:
    source = np.random.default_rng(11)
    x = np.maximum(0, source.standard_normal((1, 400, 1, 1))) + np.zeros((4, 400, 9, 9))
    weights = source.standard_normal((400, 1, 3, 3))
    top = sum(weights[:, 0, i, j][:, None, None] * x[:, :, i : i + 7, j : j + 7] for i in range(3) for j in range(3))
    _, model = made('type: "Convolution" convolution_param { num_output: 400 group: 400 kernel_size: 3 }', x.shape)
    (found,) = model.forward([values_of(x, low=0.0)], [weights_of(weights), Weights(0.0, 0.0, 0.0)])
    assert found.second_moment == pytest.approx(float((top**2).mean()), rel=0.2)
    assert found.mean_abs == pytest.approx(float(abs(top).mean()), rel=0.1)


@pytest.mark.parametrize("kind", ["Scale", "Bias", "Axpy"])
def test_a_factor_for_each_channel_gets_the_gradients_of_all_positions(kind: str) -> None:
    source = np.random.default_rng(12)
    shape, few = (8, 64, 5, 5), (8, 64)
    x = np.maximum(0, source.standard_normal(shape) + source.standard_normal((*few, 1, 1)))
    factor = source.uniform(0, 1, few)[:, :, None, None]
    d = source.standard_normal(shape) + source.standard_normal((*few, 1, 1))
    if kind == "Axpy":
        _, model = made('type: "Axpy"', few, shape, shape)
        bottoms, which = [factor, x, x], 0
    else:
        _, model = made(f'type: "{kind}" {kind.lower()}_param {{ axis: 0 }}', shape, few)
        bottoms, which = [x, factor], 1
    values = [values_of(each, low=float(each.min())) for each in bottoms]
    below, _ = model.backward(Step(values, model.forward(values, []), []), [diffs_of(d)])
    real = (d if kind == "Bias" else d * x).sum((2, 3))
    same_size(below[which], real, 1.4)
    if kind != "Bias":
        same_size(below[1 - which], d * factor, 1.1)


def test_a_batch_norm_over_a_concatenation_scales_the_gradient_of_each_blob() -> None:
    source = np.random.default_rng(13)
    blobs = [scale * source.standard_normal((8, channels, 4, 4)) for scale, channels in ((0.1, 6), (1.0, 10), (20.0, 16))]
    d = source.standard_normal((8, 32, 4, 4))
    whole = np.concatenate(blobs, 1)
    y, deviation = normalised(whole)
    real = normalised_back(d, y, deviation)
    _, norm = made('type: "BatchNorm" batch_norm_param { use_global_stats: false }', whole.shape)
    _, inner = made('type: "Concat"', blobs[0].shape, blobs[1].shape)
    _, outer = made('type: "Concat"', (8, 16, 4, 4), blobs[2].shape)
    values = [values_of(blob) for blob in blobs]
    joined = inner.forward(values[:2], [])[0]
    top = outer.forward([joined, values[2]], [])
    below = norm.backward(Step(top, [values_of(y)], []), [diffs_of(d)])[0]
    first, last = outer.backward(Step([], top, []), below)[0]
    found = [*inner.backward(Step([], [], []), [first])[0], last]
    for each, part in zip(found, (real[:, :6], real[:, 6:16], real[:, 16:]), strict=True):
        same_size(each, part, 1.15)


def test_a_convolution_of_several_bottoms_adds_up_the_gradients_of_its_tops() -> None:
    settings = "convolution_param { num_output: 6 kernel_size: 3 }"
    inputs = {"a": "4 5 9 9", "b": "4 5 9 9"}
    two = f'bottom: "a" bottom: "b" top: "c" top: "d" type: "Convolution" {settings}'
    model = prepare(layer_of(two, inputs), SignalContext(partial(tops_facts, facts={}), PHOTOGRAPHS)).models[-1]
    small, large = (gaussian(0.0, square, 0.0, 0.0, 0.0, 1.0) for square in (1.0, 100.0))
    weights = [Weights(0.0, 0.02, 0.11), Weights(0.0, 0.0, 0.0)]
    tops = model.forward([small, large], weights)
    assert tops[1].second_moment == pytest.approx(100 * tops[0].second_moment)
    diffs = [ONES, ONES._replace(second_moment=4.0, mean_abs=1.6)]
    below, (weight, _) = model.backward(Step([small, large], tops, weights), diffs)
    assert below[1].second_moment == pytest.approx(4 * below[0].second_moment)
    _, (first, _) = model.backward(Step([small], tops[:1], weights), diffs[:1])
    assert weight.second_moment == pytest.approx((1 + 4 * 100) * first.second_moment)


class NoData:
    """What fails if it is asked anything about data."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"asked for {name}")


@pytest.mark.parametrize("case", MADE, ids=lambda case: case.layer[:90])
def test_only_a_model_that_assumes_data_asks_what_is_known_of_them(case: Made) -> None:
    net = layer_of(case.layer, case.inputs, dialect=case.dialect)
    for layer, model in zip(net.layers, _model_classes(net), strict=True):
        if not model.assumes_data:
            with suppress(OverflowError, ZeroDivisionError):
                model(layer, NoData())  # type: ignore[arg-type]


OF_IMAGES = """
layer {
  name: "data" type: "ImageData" top: "data" top: "label"
  image_data_param { source: "list.txt" batch_size: 16 new_height: 16 new_width: 16 }
}
""" + NET.format(layer='type: "ReLU"').partition("\n  }\n}\n")[2]


def test_a_prepared_net_with_other_data_is_as_if_it_was_prepared_for_them(tmp_path: Path) -> None:
    started = trained(tmp_path, OF_IMAGES)
    context = started.context._replace(assumed=DARK)
    shared, anew = started.prepared.with_data(context), prepare(started.net, context)
    weights = initial_weights(started.net)
    assert Pass(shared, weights).steps == Pass(anew, weights).steps
    assert Pass(shared, weights).steps != Pass(started.prepared, weights).steps
    assert [a is b for a, b in zip(shared.models, started.prepared.models, strict=True)].count(False) == 1


def test_layers_that_read_the_same_as_before_are_not_computed_again(tmp_path: Path) -> None:
    started = trained(tmp_path, OF_IMAGES)
    weights = initial_weights(started.net)
    first = Pass(started.prepared, weights)
    last = started.net.layers[-2].params[0]
    again = Pass(started.prepared, {**weights, last: weights[last].scaled(2.0)}, first)
    same = [one is other for one, other in zip(first.steps, again.steps, strict=True)]
    assert same == [True] * (len(same) - 2) + [False] * 2


def test_labels_that_a_regression_reads_may_be_anything() -> None:
    data = 'layer { name: "l" type: "HDF5Data" top: "label" hdf5_data_param { source: "f" batch_size: 4 } }'
    inputs = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 2 } } }'
    for loss, kind in (("EuclideanLoss", UNKNOWN_VALUES), ("SoftmaxWithLoss", LABELS)):
        net = net_of(f'{data} {inputs} layer {{ name: "e" type: "{loss}" bottom: "x" bottom: "label" top: "e" }}')
        assert data_kind(net.layers[0], 0, None) == kind


@pytest.mark.parametrize("region", ["ACROSS_CHANNELS", "WITHIN_CHANNEL"])
@pytest.mark.parametrize("rectifies", [True, False])
@pytest.mark.parametrize("size", [1.0, 100.0, 1000.0])
def test_an_lrn_of_large_values_differs_from_place_to_place(region: str, rectifies: bool, size: float) -> None:
    source = np.random.default_rng(14)
    before = size * source.standard_normal((4, 32, 20, 20))
    x = np.maximum(0, before) if rectifies else before
    d = source.standard_normal(x.shape)
    side, alpha, beta = 3, 1e-3, 0.75
    axes = (1,) if region == "ACROSS_CHANNELS" else (2, 3)

    def around(values: Array) -> Array:
        """The sums of the values around each one (lrn_layer.cpp), as if there were no edges."""
        for axis in axes:
            values = sum(np.roll(values, shift, axis) for shift in (-1, 0, 1))
        return values

    number = side ** len(axes)
    base = 1 + alpha / number * around(x * x)
    top = x * base**-beta
    below = d * base**-beta - 2 * alpha * beta / number * x * around(d * top / base)
    _, model = made(f'type: "LRN" lrn_param {{ local_size: {side} alpha: {alpha} norm_region: {region} }}', x.shape)
    values = values_of(before, corr_length=0.1)
    values = rectified(values) if rectifies else values
    (found,) = model.forward([values], [])
    assert found.mean_abs == pytest.approx(float(abs(top).mean()), rel=0.05)
    assert found.second_moment == pytest.approx(float((top**2).mean()), rel=0.1)
    (diff,), _ = model.backward(Step([values], [found], []), [diffs_of(d)])
    same_size(diff, below, 1.2)
    if rectifies and diff.active_share is not None:  # the places where nothing is around get the largest gradients
        passed = float((below**2 * (before > 0)).sum() / (below**2).sum())
        assert diff.active_share == pytest.approx(passed, rel=0.25)


def test_an_lrn_of_averages_takes_them_for_rectified_values() -> None:
    source = np.random.default_rng(15)
    x = 300 * np.maximum(0, source.standard_normal((8, 64, 12, 12))).reshape(8, 64, 6, 2, 6, 2).mean((3, 5))
    base = 1 + 1e-3 / 5 * sum(np.pad(x * x, ((0, 0), (2, 2), (0, 0), (0, 0)))[:, i : i + 64] for i in range(5))
    _, model = made('type: "LRN" lrn_param { local_size: 5 alpha: 0.001 }', x.shape)
    (found,) = model.forward([values_of(x, low=0.0)], [])
    assert found.mean_abs == pytest.approx(float((x * base**-0.75).mean()), rel=0.06)


@pytest.mark.parametrize("beta", [1e-300, 1e-9, 0.1, 0.5, 0.75, 2.0, 300.0])
def test_an_lrn_of_any_power_makes_values_as_small_as_it_does(beta: float) -> None:
    x = np.random.default_rng(16).standard_normal((4, 64, 8, 8))
    base = 1 + 1 / 5 * sum(np.pad(x * x, ((0, 0), (2, 2), (0, 0), (0, 0)))[:, i : i + 64] for i in range(5))
    _, model = made(f'type: "LRN" lrn_param {{ local_size: 5 alpha: 1 beta: {beta} }}', x.shape)
    (found,) = model.forward([values_of(x)], [])
    if beta <= 2:
        assert found.mean_abs == pytest.approx(float((abs(x) * base**-beta).mean()), rel=0.1)
    else:
        assert found.mean_abs < 1e-6


def convolved(x: Array, weights: Array, stride: int, pad: int) -> Array:
    """What a convolution makes of an array."""
    kernel = weights.shape[2]
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = (padded.shape[2] - kernel) // stride + 1
    found: Array = sum(
        np.einsum("oc,nchw->nohw", weights[:, :, i, j], padded[:, :, i : i + stride * out : stride, j : j + stride * out : stride][:, :, :out, :out])
        for i in range(kernel)
        for j in range(kernel)
    )  # fmt: skip
    return found


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
def test_all_taps_of_a_window_without_dilation_are_at_one_place(kind: str) -> None:
    """Caffe takes a dilation of 0, and a window is then as large as one pixel."""
    x = np.random.default_rng(17).standard_normal((4, 3, 8, 8))
    _, model = made(f'type: "{kind}" convolution_param {{ num_output: 6 kernel_size: 3 pad: 1 dilation: 0 }}', x.shape)
    weights = [Weights(0.0, 0.01, 0.08), Weights(0.0, 0.0, 0.0)]
    (found,) = model.forward([values_of(x)], weights)
    assert found.second_moment > 0


@pytest.mark.parametrize(("side", "kernel", "stride"), [(4, 3, 1), (8, 3, 1), (8, 5, 1), (8, 3, 2), (2, 3, 1)])
def test_positions_differ_where_a_convolution_reads_padding(side: int, kernel: int, stride: int) -> None:
    source = np.random.default_rng(16)
    x = np.maximum(0, source.standard_normal((4, 64, 1, 1)) + 0.3 * source.standard_normal((4, 64, side, side)))
    weights = source.standard_normal((400, 64, kernel, kernel))
    pad = kernel // 2
    top = convolved(x, weights, stride, pad)
    layer, model = made(
        f'type: "Convolution" convolution_param {{ num_output: 400 kernel_size: {kernel} stride: {stride} pad: {pad} }}', x.shape
    )
    assert layer.tops[0].shape == top.shape
    (found,) = model.forward([values_of(x, low=0.0, corr_length=0.1)], [weights_of(weights), Weights(0.0, 0.0, 0.0)])
    square = float((top**2).mean())
    assert found.second_moment == pytest.approx(square, rel=0.1)
    ours, real = (found.corr_within_item, found.corr_across_items, found.corr_across_both), pairs(top)
    assert [each / found.second_moment for each in ours] == pytest.approx([each / square for each in real], abs=0.05)
    # neighbours differ less than others, as few of them lie on either side of an edge
    beside = float((top[..., 1:] * top[..., :-1]).mean())
    assert moment_at_distance(found, 1.0) / found.second_moment == pytest.approx(beside / square, rel=0.1)


@pytest.mark.parametrize(("kernel", "stride", "pad"), [(2, 2, 0), (4, 2, 1), (3, 1, 1), (4, 4, 0)])
def test_positions_of_a_deconvolution_have_weights_of_their_own(kernel: int, stride: int, pad: int) -> None:
    source = np.random.default_rng(17)
    x = np.maximum(0, source.standard_normal((4, 64, 1, 1)) + 0.3 * source.standard_normal((4, 64, 6, 6)))
    weights = source.standard_normal((64, 400, kernel, kernel))
    whole = np.zeros((4, 400, 5 * stride + kernel, 5 * stride + kernel))
    for i in range(kernel):
        for j in range(kernel):
            part = np.einsum("co,nchw->nohw", weights[:, :, i, j], x)
            whole[:, :, i : i + 5 * stride + 1 : stride, j : j + 5 * stride + 1 : stride] += part
    top = whole[:, :, pad : whole.shape[2] - pad, pad : whole.shape[3] - pad]
    layer, model = made(
        f'type: "Deconvolution" convolution_param {{ num_output: 400 kernel_size: {kernel} stride: {stride} pad: {pad} }}', x.shape
    )
    assert layer.tops[0].shape == top.shape
    (found,) = model.forward([values_of(x, low=0.0, corr_length=0.1)], [weights_of(weights), Weights(0.0, 0.0, 0.0)])
    square = float((top**2).mean())
    assert found.second_moment == pytest.approx(square, rel=0.1)
    assert found.corr_within_item / found.second_moment == pytest.approx(pairs(top)[0] / square, abs=0.05)


def test_gradients_that_add_up_to_0_do_not_where_a_convolution_reads_padding() -> None:
    source = np.random.default_rng(18)
    d = source.standard_normal((4, 64, 8, 8))
    d -= d.mean((0, 2, 3), keepdims=True)
    weights = source.standard_normal((64, 400, 3, 3))
    real = convolved(d, weights.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1], 1, 1)
    _, model = made('type: "Convolution" convolution_param { num_output: 64 kernel_size: 3 pad: 1 }', (4, 400, 8, 8))
    step = Step([values_of(real)], [], [weights_of(weights), Weights(0.0, 0.0, 0.0)])
    below, _ = model.backward(step, [diffs_of(d)])
    same_size(bias_gradient(below[0], 4, 64), real.sum((0, 2, 3)), 1.2)


@pytest.mark.parametrize("kind", ["MAX", "AVE"])
def test_pooled_values_of_items_that_are_alike_are_alike(kind: str) -> None:
    source = np.random.default_rng(19)
    x = source.standard_normal((1, 200, 8, 8)) + 0.2 * source.standard_normal((8, 200, 8, 8))
    x = x + np.roll(x, 1, 2) + np.roll(x, 1, 3)
    windows = x.reshape(8, 200, 4, 2, 4, 2)
    top = windows.max((3, 5)) if kind == "MAX" else windows.mean((3, 5))
    _, model = made(f'type: "Pooling" pooling_param {{ pool: {kind} kernel_size: 2 stride: 2 }}', x.shape)
    (found,) = model.forward([values_of(x, corr_length=1.0)], [])
    ours, real = correlation_coefficients(found), correlation_coefficients(values_of(top))
    assert ours == pytest.approx(real, abs=0.08)


def test_what_concatenated_blobs_have_in_common_falls_off_as_in_each() -> None:
    smooth, rough = gaussian(0.0, 1.0, 0.9, 0.0, 0.0, 5.0), gaussian(0.0, 1.0, 0.1, 0.0, 0.0, 0.1)
    found = mixture([smooth, rough], [1, 1])
    beside = (moment_at_distance(smooth, 1.0) + moment_at_distance(rough, 1.0)) / 2
    assert moment_at_distance(found, 1.0) == pytest.approx(beside)


@pytest.mark.parametrize("kind", ["TanH", "Sigmoid", "ELU", "PReLU"])
@pytest.mark.parametrize("size", [0.1, 2.0, 20.0])
def test_a_gradient_that_is_the_top_is_only_as_much_of_the_bottom_as_the_function_lets_pass(kind: str, size: float) -> None:
    x = size * np.random.default_rng(20).standard_normal(200_000)
    e = np.exp(np.minimum(x, 0))
    s = 1 / (1 + np.exp(-x))
    top, slope = {
        "TanH": (np.tanh(x), 1 - np.tanh(x) ** 2),
        "Sigmoid": (s, s * (1 - s)),
        "ELU": (np.where(x > 0, x, e - 1), np.where(x > 0, 1, e)),
        "PReLU": (np.where(x > 0, x, 0.25 * x), np.where(x > 0, 1, 0.25)),
    }[kind]
    _, model = made(f'type: "{kind}"', (16, 4))
    values = gaussian(0.0, size * size, size * size, 0.0, 0.0, 1.0)
    weights = [Weights(0.25, 0.0, 0.25)] if kind == "PReLU" else []
    step = Step([values], model.forward([values], weights), weights)
    below, _ = model.backward(step, [ONES._replace(own_value_factor=1.0)])
    assert below[0].own_value_factor == pytest.approx(float((top * slope * x).mean() / (x * x).mean()), rel=0.1, abs=1e-4)
