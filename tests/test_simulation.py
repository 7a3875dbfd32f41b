"""The simulator's numbers: Caffe's floors and guards, the order of a solver's steps, shared weights, and made-up data."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy", reason="the simulator needs numpy")

from harness import SOLVER  # noqa: E402
from nets import layer_of, net_of  # noqa: E402

from caffe_lint.engine.files_in_memory import Files  # noqa: E402
from caffe_lint.layers.models.loss_models import SoftmaxWithLoss  # noqa: E402
from caffe_lint.moments.signal_model import AssumedData, SignalContext  # noqa: E402
from caffe_lint.moments.weights import filled as filled_weights  # noqa: E402
from caffe_lint.net.equal_units import equal_units  # noqa: E402
from caffe_lint.net.job import Nets, SolverFile  # noqa: E402
from caffe_lint.net.net import Net  # noqa: E402
from caffe_lint.net.zero_weights import blocking_weights  # noqa: E402
from caffe_lint.proto.binder import Message, bind  # noqa: E402
from caffe_lint.proto.parser import parse  # noqa: E402
from caffe_lint.proto.schema import caffe_schema  # noqa: E402
from caffe_lint.simulation.filling import filled, initial_weights  # noqa: E402
from caffe_lint.simulation.made_up_data import MadeUpData  # noqa: E402
from caffe_lint.simulation.operator import CannotSimulate, operator_of  # noqa: E402
from caffe_lint.simulation.outcome import diverging_score, judged, stalling_score  # noqa: E402
from caffe_lint.simulation.tape import Tape  # noqa: E402
from caffe_lint.simulation.training_run import Course, Iteration, Norms  # noqa: E402
from caffe_lint.simulation.updating import Updater  # noqa: E402
from caffe_lint.stability.signal.training import PHOTOGRAPHS  # noqa: E402

SHARED = Path(__file__).parent.parent.parent / "shared" / "norms" / "nets"
ASSUMED = AssumedData(110.0, 65.0, None, (0, 3, 32, 32), 1.0)
F = np.float32


def run(inside: str, *bottoms: Any, params: Any = (), diff: float = 1.0) -> tuple[list[Any], list[Any]]:
    """The tops of a layer and the gradients of its bottoms."""
    arrays = [np.asarray(bottom, F) for bottom in bottoms]
    names = [f"b{i}" for i in range(len(arrays))]
    text = inside + "".join(f' bottom: "{name}"' for name in names) + ' top: "y"'
    net = layer_of(text, {name: " ".join(map(str, array.shape)) for name, array in zip(names, arrays, strict=True)})
    operator = operator_of(net.layers[-1], np.random.default_rng(0))
    with np.errstate(all="ignore"):
        tops = list(operator.forward(arrays, params))
        diffs = [np.full_like(top, diff) for top in tops]
        found, _ = operator.backward(diffs, tops, arrays, params, [True] * len(arrays))
    return tops, list(found)


def solver_of(text: str) -> Message:
    """A solver's message."""
    found: Message = bind(parse((SOLVER + text).encode()), caffe_schema(), "SolverParameter", "bvlc").message
    return found


# -- floors and guards ------------------------------------------------------------------------------------------


def test_softmax_with_loss_has_a_floor_that_its_gradient_does_not() -> None:
    tops, grads = run('type: "SoftmaxWithLoss"', [[1000.0, 0.0]], [1.0])
    assert float(tops[0]) == pytest.approx(87.3365, abs=1e-4)
    assert grads[0].tolist() == [[1.0, -1.0]]


def test_infogain_loss_has_a_floor_of_its_own() -> None:
    tops, grads = run('type: "InfogainLoss"', [[1000.0, 0.0]], [1.0], [[[[2.0, 0.0], [0.5, 3.0]]]])
    assert float(tops[0]) == pytest.approx(3 * 46.0517, rel=1e-5)
    assert grads[0].tolist() == [[3.0, -3.0]]  # p sum(H) - H


def test_multinomial_logistic_loss_keeps_the_gradient_of_its_floor() -> None:
    tops, grads = run('type: "MultinomialLogisticLoss"', [[-1.0, 0.5]], [0.0])
    assert float(tops[0]) == pytest.approx(46.0517, rel=1e-5)
    assert grads[0][0].tolist() == pytest.approx([-1e20, 0.0])


def test_contrastive_loss_divides_by_a_little_more_than_the_distance() -> None:
    settings = 'type: "ContrastiveLoss" contrastive_loss_param { margin: 1 }'
    _, grads = run(settings, [[0.5]], [[0.0]], [0.0])
    assert float(grads[0][0, 0]) == pytest.approx(-0.5 * 0.5 / (0.5 + 1e-4), rel=1e-6)


def test_nan_passes_where_it_passes_in_caffe() -> None:
    tops, grads = run('type: "ReLU"', [[math.nan, 1.0]])
    assert math.isnan(tops[0][0, 0])
    assert grads[0].tolist() == [[0.0, 1.0]]
    tops, _ = run('type: "HingeLoss"', [[math.nan, math.nan]], [0.0])
    assert float(tops[0]) == 0
    pool = 'type: "Pooling" pooling_param { kernel_size: 2 }'
    tops, grads = run(pool, [[[[math.nan, 1.0], [0.0, -1.0]]]])
    assert float(tops[0].reshape(())) == 1.0
    tops, grads = run(pool, [[[[math.nan, math.nan], [math.nan, math.nan]]]])
    assert float(tops[0].reshape(())) == pytest.approx(-3.4028235e38)
    assert not grads[0].any()


def test_average_pooling_divides_by_the_padded_window() -> None:
    tops, _ = run('type: "Pooling" pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }', np.ones((1, 1, 4, 4)))
    assert tops[0][0, 0].tolist() == pytest.approx(np.outer([2, 3, 1], [2, 3, 1]) / np.outer([3, 3, 2], [3, 3, 2]))


def test_pooling_takes_the_kernel_size_where_only_one_side_is_written_as_well() -> None:
    x = np.arange(16).reshape(1, 1, 4, 4)
    (top,), _ = run('type: "Pooling" pooling_param { pool: MAX kernel_size: 2 kernel_h: 3 stride: 2 }', x)
    assert top.tolist() == [[[[5, 7], [13, 15]]]]


@pytest.mark.parametrize(("pool", "value"), [("MAX", 4.0), ("AVE", 2.5)])
def test_a_window_larger_than_its_map_is_cut_off_at_its_end(pool: str, value: float) -> None:
    tops, grads = run(f'type: "Pooling" pooling_param {{ pool: {pool} kernel_size: 3 stride: 2 }}', [[[[1, 2], [3, 4]]]])
    assert tops[0].tolist() == [[[[value]]]]
    assert grads[0].sum() == pytest.approx(1)


@pytest.mark.parametrize("pool", ["MAX", "AVE", "STOCHASTIC"])
def test_pooling_rounds_down_where_that_is_written(pool: str) -> None:
    settings = f"pool: {pool} kernel_size: 2 stride: 2 round_mode: FLOOR"
    tops, grads = run(f'type: "Pooling" pooling_param {{ {settings} }}', np.arange(25.0).reshape(1, 1, 5, 5))
    assert tops[0].shape == (1, 1, 2, 2)
    assert not grads[0][:, :, 4].any()


@pytest.mark.parametrize(("settings", "divisor"), [
    ("", 12), ("normalization: FULL", 16), ("normalization: BATCH_SIZE", 4), ("normalization: NONE", 1),
    ("normalization: PRE_FIXED pre_fixed_normalizer: 6", 6), ("normalize: false", 4),
])  # fmt: skip
def test_a_loss_is_divided_as_the_signal_says(settings: str, divisor: int) -> None:
    inside = f'type: "SoftmaxWithLoss" bottom: "x" bottom: "t" top: "l" loss_param {{ ignore_label: 1 {settings} }}'
    net = layer_of(inside, {"x": "4 3 2 2", "t": "4 2 2"}, dialect="rfcn")
    labels = np.zeros((4, 2, 2))
    labels[0] = 1  # ignored
    (top,) = operator_of(net.layers[-1], np.random.default_rng(0)).forward([np.zeros((4, 3, 2, 2)), labels], [])
    assert float(top) == pytest.approx(12 * math.log(3) / divisor)
    model = SoftmaxWithLoss(net.layers[-1], SignalContext(lambda layer: (), PHOTOGRAPHS))
    assert model.divisor == (16 if divisor == 12 else divisor)  # it takes all labels for valid


def test_pooling_rounds_up() -> None:
    tops, _ = run('type: "Pooling" pooling_param { kernel_size: 2 stride: 2 }', np.arange(25.0).reshape(1, 1, 5, 5))
    assert tops[0].shape == (1, 1, 3, 3)
    assert tops[0][0, 0, -1].tolist() == [21.0, 23.0, 24.0]


def test_power_in_place_overwrites_the_gradient_of_its_top() -> None:
    net = net_of('layer { name: "it" type: "Power" bottom: "x" top: "x" power_param { scale: 3 shift: 1 } }', {"x": "1 2"})
    operator = operator_of(net.layers[-1], np.random.default_rng(0))
    x = np.ones((1, 2), F)
    (top,) = operator.forward([x], ())
    (gradient,), _ = operator.backward([np.full_like(top, 7.0)], [top], [top], (), [True])
    assert gradient.tolist() == [[9.0, 9.0]]


def test_what_goes_wrong_in_place_is_not_simulated() -> None:
    net = net_of('layer { name: "it" type: "LRN" bottom: "x" top: "x" }', {"x": "1 2 3 3"})
    with pytest.raises(CannotSimulate, match="works in place"):
        operator_of(net.layers[-1], np.random.default_rng(0))


@pytest.mark.parametrize(("rule", "divisor"), [("FULL", 4), ("VALID", 3), ("BATCH_SIZE", 2), ("NONE", 1)])
def test_losses_are_divided_as_in_caffe(rule: str, divisor: int) -> None:
    settings = f'type: "SoftmaxWithLoss" loss_param {{ ignore_label: 1 normalization: {rule} }}'
    tops, grads = run(settings, np.zeros((2, 3, 1, 2)), [[[[0.0, 1.0]]], [[[2.0, 0.0]]]])
    assert float(tops[0]) == pytest.approx(3 * math.log(3) / divisor, rel=1e-6)
    assert not grads[0][0, :, 0, 1].any()


def test_batch_norm_stores_running_sums() -> None:
    x = np.arange(8.0, dtype=F).reshape(4, 2)
    params = [np.zeros(2, F), np.zeros(2, F), np.zeros(1, F)]
    run('type: "BatchNorm"', x, params=params)
    assert params[0].tolist() == [3.0, 4.0]
    assert params[1].tolist() == pytest.approx((x.var(0) * 4 / 3).tolist())  # unbiased in store, biased in use
    assert params[2].tolist() == [1.0]


# -- fillers ----------------------------------------------------------------------------------------------------


def _filler(text: str) -> Message:
    net = layer_of(f'type: "InnerProduct" bottom: "x" top: "y" inner_product_param {{ num_output: 2 weight_filler {{ {text} }} }}', {"x": "1 2"})
    filler = net.layers[-1].params[0].filler
    assert filler is not None
    return filler


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ('type: "constant" value: 3', 3.0),
        ('type: "gaussian" std: 0.5', 0.5 * math.sqrt(2 / math.pi)),
        ('type: "uniform" min: -1 max: 1', 0.5),
        ('type: "xavier"', math.sqrt(3 / 300) / 2),
        ('type: "xavier" variance_norm: FAN_OUT', math.sqrt(3 / 200) / 2),
        ('type: "msra" variance_norm: AVERAGE', math.sqrt(2 / 250) * math.sqrt(2 / math.pi)),
        ('type: "positive_unitball"', 1 / 300),
        ('type: "gaussian" std: 1 sparse: 20', 0.1 * math.sqrt(2 / math.pi)),
    ],
)
def test_fillers_have_the_size_of_caffes(text: str, size: float) -> None:
    values = filled(_filler(text), (200, 300), np.random.default_rng(0))
    assert float(np.abs(values).mean()) == pytest.approx(size, rel=0.03)


@pytest.mark.parametrize("shape", [(), (0, 3)])
def test_a_filler_that_cannot_make_a_shape_is_named_with_it(shape: tuple[int, ...]) -> None:
    with pytest.raises(CannotSimulate, match=r"the filler 'xavier' cannot make values of shape (scalar|0 x 3)"):
        filled(_filler('type: "xavier"'), shape, np.random.default_rng(0))


def test_a_bilinear_filler_interpolates() -> None:
    values = filled(_filler('type: "bilinear"'), (1, 1, 4, 4), np.random.default_rng(0))
    assert values[0, 0, 0].tolist() == pytest.approx([0.0625, 0.1875, 0.1875, 0.0625])


@pytest.mark.parametrize("text", ['type: "xavier"', 'type: "msra" variance_norm: AVERAGE', 'type: "bilinear"', 'type: "positive_unitball"'])
@pytest.mark.parametrize("side", [1, 2, 3, 4, 5, 6, 7])
def test_the_signal_begins_with_the_weights_that_are_simulated(text: str, side: int) -> None:
    param = f"num_output: 40 kernel_size: {side} weight_filler {{ {text} }}"
    net = layer_of(f'type: "Convolution" bottom: "x" top: "y" convolution_param {{ {param} }}', {"x": "1 30 9 9"})
    (weight, *_) = net.layers[-1].params
    assert weight.filler is not None
    assert weight.shape is not None
    values = filled(weight.filler, tuple(size or 0 for size in weight.shape), np.random.default_rng(0))
    found = filled_weights(weight)
    rel = 1e-6 if "bilinear" in text else 0.05
    assert float((values**2).mean()) == pytest.approx(found.second_moment, rel=rel)
    assert float(np.abs(values).mean()) == pytest.approx(found.mean_abs, rel=rel)


# -- solvers ----------------------------------------------------------------------------------------------------


def _updated(text: str, gradients: list[float], weight: float = 1.0, rate: float = 0.1) -> float:
    net = layer_of('type: "Parameter" top: "y" parameter_param { shape { dim: 1 } }')
    (param,) = net.layers[-1].params
    values = {param: np.full(1, weight, F)}
    updater = Updater(solver_of(text), values)
    for iteration, gradient in enumerate(gradients):
        own = {param: np.full(1, gradient, F)}
        updater.clipped(own)
        updater.update(values, own, rate, iteration)
    return float(values[param][0])


def test_momentum_has_the_rate_inside() -> None:
    assert _updated("clip_gradients: -1".replace("clip", "#clip"), [1.0, 1.0]) == pytest.approx(1 - 0.1 - (0.09 + 0.1))


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ('type: "Nesterov"', 1.9 * 0.1),
        ('type: "AdaGrad" momentum: 0', 0.1),
        ('type: "Adam" momentum2: 0.999', 0.1),
        ('type: "RMSProp" rms_decay: 0.96', 0.1 / 0.2),
        ('type: "AdaDelta" momentum: 0.95 delta: 1e-6', 0.1 * 2 * math.sqrt(1e-6 / (1e-6 + 0.05 * 4))),
    ],
)
def test_each_type_steps_as_in_caffe(text: str, change: float) -> None:
    base = re.sub(r"momentum: 0\.9\n", "", SOLVER) if "momentum:" in text else SOLVER
    net = layer_of('type: "Parameter" top: "y" parameter_param { shape { dim: 1 } }')
    (param,) = net.layers[-1].params
    values = {param: np.ones(1, F)}
    solver = bind(parse((base + text).encode()), caffe_schema(), "SolverParameter", "bvlc").message
    Updater(solver, values).update(values, {param: np.full(1, 2.0 if "Delta" in text or "Grad" in text or "RMS" in text or "Adam" in text else 1.0, F)}, 0.1, 0)
    assert 1 - float(values[param][0]) == pytest.approx(change, rel=1e-4)


def test_clipping_sees_the_raw_sum_and_decay_comes_after_it() -> None:
    net = layer_of('type: "Parameter" top: "y" parameter_param { shape { dim: 1 } }')
    (param,) = net.layers[-1].params
    values, gradient = {param: np.full(1, 2.0, F)}, {param: np.full(1, 100.0, F)}
    updater = Updater(solver_of("iter_size: 2 weight_decay: 0.5"), values)  # clip_gradients 10
    clipped = updater.clipped(gradient)
    assert clipped == (100.0, pytest.approx(0.1))
    updater.update(values, gradient, 0.1, 0)
    assert float(values[param][0]) == pytest.approx(2 - 0.1 * (10 / 2 + 0.5 * 2))


# -- the tape ---------------------------------------------------------------------------------------------------

SHARED_WEIGHTS = """
layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" param { name: "w" } inner_product_param { num_output: 3 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" } inner_product_param { num_output: 3 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "l" type: "EuclideanLoss" bottom: "b" bottom: "t" top: "l" }
"""


def _tape(net: Net) -> Tape:
    return Tape(net, initial_weights(net, np.random.default_rng(1)), np.random.default_rng(2), rounding=0.0)


def _fed(net: Net, draw: Any) -> dict[Any, Any]:
    return {layer.tops[0]: draw.standard_normal(layer.tops[0].shape).astype(F) for layer in net.layers if not layer.bottoms}


HIDDEN = """
layer {{ name: "a" type: "InnerProduct" bottom: "x" top: "a" inner_product_param {{ num_output: 5 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "b" type: "InnerProduct" bottom: "a" top: "b" inner_product_param {{ num_output: 4 {first} }} }}
{between}
layer {{ name: "c" type: "InnerProduct" bottom: "b" top: "c" inner_product_param {{ num_output: 3 {second} }} }}
layer {{ name: "l" type: "EuclideanLoss" bottom: "c" bottom: "t" top: "l" }}
"""
_RELU = 'layer { name: "r" type: "ReLU" bottom: "b" top: "b" }'
_DROP = 'layer { name: "d" type: "Dropout" bottom: "b" top: "b" }'
_TENTH, _RANDOM = "weight_filler { value: 0.1 }", 'weight_filler { type: "xavier" }'


@pytest.mark.parametrize(
    ("first", "between", "second", "blocking", "equal"),
    [
        ("", _RELU, _RANDOM, ["b"], []),
        ("bias_filler { value: 0.1 }", _RELU, _RANDOM, [], []),
        ("bias_filler { value: -0.1 }", _RELU, _RANDOM, ["b"], []),
        ("bias_filler { value: -0.1 }", "", _RANDOM, [], []),
        ("bias_filler { value: 0.1 }", _RELU, "", [], ["b"]),
        (_TENTH, _RELU, _TENTH, [], ["b"]),
        (_TENTH, _RELU, _RANDOM, [], []),
        (_TENTH, _DROP, _TENTH, [], []),
    ],
)
def test_what_is_said_of_constant_weights_is_what_happens(
    first: str, between: str, second: str, blocking: list[str], equal: list[str]
) -> None:
    net = net_of(HIDDEN.format(first=first, between=between, second=second), {"x": "8 3", "t": "8 3"})
    assert [param.layer.name for param in blocking_weights(net)] == blocking
    assert [param.layer.name for param in equal_units(net)] == equal
    tape, draw = _tape(net), np.random.default_rng(3)
    lowest, hidden = (next(p for p in tape.weights if p.layer.name == name and p.role == "weight") for name in "ab")
    at_first = tape.weights[lowest].copy()
    for _ in range(20):
        tape.clear()
        tape.forward(_fed(net, draw))
        tape.backward()
        for param, values in tape.weights.items():
            values -= 0.05 * tape.gradients[param]
    learned = tape.weights[hidden]
    assert bool(np.all(tape.weights[lowest] == at_first)) == bool(blocking)  # nothing passed
    if not blocking:
        assert bool(np.all(learned == learned[0])) == bool(equal)


def test_gradients_of_shared_weights_are_added_up() -> None:
    net = net_of(SHARED_WEIGHTS, {"x": "4 3", "t": "4 3"})
    tape, fed = _tape(net), _fed(net, np.random.default_rng(3))
    assert len(tape.weights) == 1
    ((param, weights),) = tape.weights.items()
    tape.forward(fed)
    tape.backward()
    gradient = tape.gradients[param].copy()
    for index in np.ndindex(weights.shape):
        weights[index] += 1e-2
        above = tape.forward(fed)
        weights[index] -= 2e-2
        below = tape.forward(fed)
        weights[index] += 1e-2
        assert gradient[index] == pytest.approx((above - below) / 2e-2, rel=2e-2, abs=2e-3)


def test_a_blob_with_two_readers_gets_both_gradients_and_frozen_ways_none() -> None:
    text = """
    layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
    layer { name: "b" type: "Power" bottom: "a" top: "b" PROPAGATE power_param { scale: 2 } }
    layer { name: "s" type: "Eltwise" bottom: "a" bottom: "b" top: "s" }
    layer { name: "l" type: "Reduction" bottom: "s" top: "l" loss_weight: 1 }
    """
    for propagate, factor in (("", 3.0), ("propagate_down: false", 1.0)):
        net = net_of(text.replace("PROPAGATE", propagate), {"x": "4 3"})
        tape = _tape(net)
        tape.forward(_fed(net, np.random.default_rng(3)))
        tape.backward()
        bias = next(param for param in tape.weights if param.role == "bias")
        assert tape.gradients[bias].tolist() == [4 * factor] * 2


def test_gradients_of_several_passes_add_up_until_they_are_cleared() -> None:
    net = net_of(SHARED_WEIGHTS, {"x": "4 3", "t": "4 3"})
    tape, fed = _tape(net), _fed(net, np.random.default_rng(3))
    (param,) = tape.weights
    tape.forward(fed)
    tape.backward()
    once = tape.gradients[param].copy()
    tape.forward(fed)
    tape.backward()
    assert np.allclose(tape.gradients[param], 2 * once)
    tape.clear()
    assert not tape.gradients[param].any()


# -- data -------------------------------------------------------------------------------------------------------


def _made(text: str, whole: int = 16, items: int = 8) -> tuple[Net, dict[str, Any]]:
    net = net_of(text, input_shapes={"*": (16, 3, 32, 32)})
    data = MadeUpData(net, ASSUMED, np.random.default_rng(0), whole=whole, items=items)
    return net, {blob.name: values for blob, values in data.batch().items()}


def test_images_have_the_range_and_the_transform_of_the_files() -> None:
    text = """
    layer { name: "d" type: "Data" top: "data" top: "label" transform_param { mean_value: 100 scale: 0.01 } data_param { source: "x" batch_size: 16 } }
    layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 7 } }
    layer { name: "l" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "l" }
    """
    _, found = _made(text)
    assert found["data"].shape == (8, 3, 32, 32)
    assert -1.0 <= found["data"].min() < -0.8
    assert 1.3 < found["data"].max() <= 1.55 + 1e-6
    assert found["data"].std() == pytest.approx(0.65, rel=0.2)
    assert found["label"].shape == (8,)
    assert set(found["label"]) <= set(range(7))


def test_labels_of_a_file_that_is_not_read_have_the_shape_of_the_scores() -> None:
    text = """
    layer { name: "d" type: "HDF5Data" top: "data" top: "label" top: "t" hdf5_data_param { source: "x" batch_size: 16 } }
    layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 5 kernel_size: 1 } }
    layer { name: "l" type: "SoftmaxWithLoss" bottom: "c" bottom: "label" top: "l" }
    layer { name: "e" type: "EuclideanLoss" bottom: "c" bottom: "t" top: "e" }
    """
    _, found = _made(text)
    assert found["label"].shape == (8, 32, 32)
    assert set(found["label"].reshape(-1)) <= set(range(5))
    assert found["t"].shape == (8, 5, 32, 32)


def test_labels_that_are_sliced_have_a_column_for_each_slice() -> None:
    text = """
    layer { name: "d" type: "HDF5Data" top: "data" top: "labels" hdf5_data_param { source: "x" batch_size: 16 } }
    layer { name: "s" type: "Slice" bottom: "labels" top: "a" top: "b" top: "c" slice_param { axis: 1 slice_point: 1 slice_point: 2 } }
    layer { name: "one" type: "InnerProduct" bottom: "data" top: "one" inner_product_param { num_output: 5 } }
    layer { name: "two" type: "InnerProduct" bottom: "data" top: "two" inner_product_param { num_output: 7 } }
    layer { name: "three" type: "InnerProduct" bottom: "data" top: "three" inner_product_param { num_output: 4 } }
    layer { name: "l1" type: "SoftmaxWithLoss" bottom: "one" bottom: "a" top: "l1" }
    layer { name: "l2" type: "SoftmaxWithLoss" bottom: "two" bottom: "b" top: "l2" }
    layer { name: "l3" type: "EuclideanLoss" bottom: "three" bottom: "c" top: "l3" }
    """
    _, found = _made(text)
    assert found["labels"].shape == (8, 6)
    assert 2 < len(set(found["labels"].reshape(-1))) <= 5  # classes that all losses know


def test_images_of_one_class_resemble_each_other_and_neighbouring_pixels_do() -> None:
    text = """
    layer { name: "d" type: "Data" top: "data" top: "label" transform_param { crop_size: 32 } data_param { source: "x" batch_size: 64 } }
    layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 2 } }
    layer { name: "l" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "l" }
    """
    net = net_of(text, input_shapes={"*": (64, 3, 32, 32)})
    batch = MadeUpData(net, ASSUMED, np.random.default_rng(0), whole=64, items=64).batch()
    data, labels = (values for values in batch.values())
    centred = data.reshape(64, -1) - data.mean()
    same = centred @ centred.T
    alike = labels[:, None] == labels[None]
    off = ~np.eye(64, dtype=bool)
    assert same[alike & off].mean() > 2 * abs(same[~alike].mean())
    image = data - data.mean()
    assert (image[..., 1:] * image[..., :-1]).mean() > 0.8 * (image * image).mean()


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_one_class_have_a_texture_and_a_brightness_of_their_own(channels: int) -> None:
    text = """
    layer { name: "d" type: "Data" top: "data" top: "label" data_param { source: "x" batch_size: 400 } }
    layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 10 } }
    layer { name: "l" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "l" }
    """
    net = net_of(text, input_shapes={"*": (400, channels, 28, 28)})
    data, labels = MadeUpData(net, ASSUMED, np.random.default_rng(0), whole=400, items=400).batch().values()

    def explained(of_image: Any) -> float:
        """The part of the variance between images that classes explain."""
        means = np.asarray([of_image[labels == label].mean() for label in range(10)])
        return float(means[labels.astype(int)].var() / of_image.var())

    edges = np.abs(np.diff(data, axis=2)).mean((1, 2, 3)) + np.abs(np.diff(data, axis=3)).mean((1, 2, 3))
    assert 0.2 < explained(edges) < 0.8
    assert 0.1 < explained(data.mean((1, 2, 3))) < 0.7


# -- verdicts ---------------------------------------------------------------------------------------------------


def _course(losses: list[float], before: float = 2.3, after: float = 1.0) -> Course:
    return Course([Iteration(loss, 0.1, (), (), None) for loss in losses[:-1]], losses[-1], before, after)


def test_one_wrong_batch_among_the_last_five_is_no_explosion() -> None:
    calm = [2.3] * 21
    assert diverging_score(_course([*calm, 2.0, 87.3365, 2.0, 2.0, 2.0])) < diverging_score(_course([*calm, 2.0, *[87.3365] * 4]))
    assert diverging_score(_course([*calm, math.nan])) > diverging_score(_course([*calm, *[87.3365] * 5]))


def test_a_net_that_is_all_wrong_from_the_start_and_stays_so_diverges() -> None:
    wrong = _course([87.3365] * 26, before=87.3365)
    assert judged([wrong], 150)[0] == "diverges"
    assert judged([_course([*[87.3365] * 23, 76.4194, 65.5023, 87.3365], before=87.3365)], 150)[0] != "diverges"


def test_a_loss_that_runs_to_minus_infinity_explodes() -> None:
    assert diverging_score(_course([-1e9] * 26)) == diverging_score(_course([1e9] * 26))


def test_weights_that_grow_without_bound_make_a_divergence_likelier_however_small_the_loss() -> None:
    def of_norms(*norms: float) -> float:
        passes = [(([], [], Norms(0.0, 0.0, norm, 1.0)),) for norm in norms]
        return diverging_score(Course([Iteration(2.3, 0.1, (), each, None) for each in passes], 2.3, 2.3, 2.3))

    assert of_norms(1.0, 1.1, 1.2) < of_norms(1.0, 100.0, 90.0) < of_norms(1.0, math.inf, math.nan)
    assert of_norms(1.0, 1.1, 1.2) == pytest.approx(of_norms(5.0, 5.5, 6.0))


def test_a_loss_that_falls_far_is_no_farther_from_an_explosion_than_one_that_stays() -> None:
    assert diverging_score(_course([2.3, *[1e-3] * 25])) == diverging_score(_course([2.3] * 26))


def test_a_loss_that_does_not_move_stalls_most() -> None:
    still, slow, fast = (stalling_score(_course([2.3] * 26, after=after), 150) for after in (2.3, 2.29, 1.0))
    assert still > slow > fast


def test_a_loss_that_ends_far_above_its_start_stalls_rather_than_one_that_rises_a_little() -> None:
    far, little = (stalling_score(_course([2.3] * 26, after=after), 150) for after in (9.0, 3.0))
    assert far > little


# -- the real Caffe ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(not SHARED.is_dir(), reason="what the real Caffe computed is not beside the checkout")
@pytest.mark.parametrize(
    "name", ["graphcnn_infogain_zero", "dqn_hfo", "lenet_xilinx", "lenet_triplet32", "mycaffe_tanh"]
)
def test_the_first_iteration_has_the_rows_and_sizes_of_caffes(name: str) -> None:
    folder = SHARED / name
    truth = json.loads((folder / "truth.json").read_text())
    files = Files(caffe_schema(), "bvlc")
    job = Nets(files.get, None).job(SolverFile(files.get(str(folder / "solver.prototxt")), None), None)
    assert job.train is not None
    net = job.train.net
    tape = Tape(net, initial_weights(net, np.random.default_rng(1)), np.random.default_rng(2))
    data = MadeUpData(net, ASSUMED, np.random.default_rng(3), whole=8, items=8)
    loss = tape.forward(data.batch(), watch=True)
    tape.backward(watch=True)
    ours = {(line.direction[0], line.layer, line.role, line.blob): line.mean_abs for line in (*tape.forward_lines, *tape.backward_lines)}
    theirs = {(way, layer, role, blob): value for way, layer, role, blob, _, value in reversed(truth["init"])}
    assert ours.keys() == theirs.keys()
    zero = [key for key, value in theirs.items() if value == 0]
    assert [key for key in zero if ours[key] != 0] == []
    near = [0.4 < ours[key] / value < 2.5 for key, value in theirs.items() if value]
    assert sum(near) >= 0.9 * len(near)
    if name in ("graphcnn_infogain_zero", "mycaffe_tanh"):  # nothing in the loss is left to chance
        assert loss == pytest.approx(truth["losses"][0], rel=1e-3)


# -- detectors --------------------------------------------------------------------------------------------------


def test_prior_boxes_lie_around_each_position() -> None:
    settings = 'type: "PriorBox" prior_box_param { min_size: 2 max_size: 8 aspect_ratio: 4 flip: false variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 }'
    names = 'bottom: "m" bottom: "x" top: "y"'
    net = layer_of(f"{settings} {names}", {"m": "1 3 1 2", "x": "1 3 10 20"}, dialect="ssd")
    operator = operator_of(net.layers[-1], np.random.default_rng(0))
    (top,) = operator.forward([np.zeros((1, 3, 1, 2), F), np.zeros((1, 3, 10, 20), F)], ())
    assert top.shape == net.layers[-1].tops[0].shape
    boxes = top[0, 0].reshape(-1, 4)
    assert boxes[0].tolist() == pytest.approx([4 / 20, 4 / 10, 6 / 20, 6 / 10])  # min_size
    assert boxes[1].tolist() == pytest.approx([3 / 20, 3 / 10, 7 / 20, 7 / 10])  # the root of both sizes
    assert boxes[2].tolist() == pytest.approx([3 / 20, 4.5 / 10, 7 / 20, 5.5 / 10])  # aspect ratio 4
    assert boxes[3].tolist() == pytest.approx([14 / 20, 4 / 10, 16 / 20, 6 / 10])
    assert top[0, 1, :4].tolist() == pytest.approx([0.1, 0.1, 0.2, 0.2])


def test_clustered_prior_boxes_have_the_sizes_that_are_listed() -> None:
    settings = 'type: "PriorBoxClustered" prior_box_param { width: 4 height: 2 width: 6 height: 8 step: 5 variance: 0.3 }'
    net = layer_of(f'{settings} bottom: "m" bottom: "x" top: "y"', {"m": "1 3 1 2", "x": "1 3 10 20"}, dialect="openvino-toolbox")
    operator = operator_of(net.layers[-1], np.random.default_rng(0))
    (top,) = operator.forward([np.zeros((1, 3, 1, 2), F), np.zeros((1, 3, 10, 20), F)], ())
    assert top.shape == net.layers[-1].tops[0].shape
    boxes = top[0, 0].reshape(-1, 4)
    assert boxes[0].tolist() == pytest.approx([0.5 / 20, 1.5 / 10, 4.5 / 20, 3.5 / 10])
    assert boxes[1].tolist() == pytest.approx([-0.5 / 20, -1.5 / 10, 5.5 / 20, 6.5 / 10])
    assert boxes[2].tolist() == pytest.approx([5.5 / 20, 1.5 / 10, 9.5 / 20, 3.5 / 10])
    assert top[0, 1].tolist() == pytest.approx([0.3] * 16)


def multi_box(settings: str, scores: Any) -> tuple[float, list[Any]]:
    """The loss of two priors, the first of which is exactly the only box, of class 2; and its gradients."""
    inside = f'type: "MultiBoxLoss" bottom: "l" bottom: "c" bottom: "p" bottom: "g" top: "y" multibox_loss_param {{ num_classes: 3 {settings} }}'
    net = layer_of(inside, {"l": "1 8", "c": "1 6", "p": "1 2 8", "g": "1 1 1 8"}, dialect="ssd")
    operator = operator_of(net.layers[-1], np.random.default_rng(0))
    priors = np.asarray([[0, 0, 0.5, 0.5, 0.6, 0.6, 1, 1], [0.1] * 8], F)[None]
    bottoms = [np.zeros((1, 8), F), np.asarray([scores], F), priors, np.asarray([[[[0, 2, 0, 0, 0, 0.5, 0.5, 0]]]], F)]
    tops = list(operator.forward(bottoms, ()))
    found, _ = operator.backward([np.ones((), F)], tops, bottoms, (), [True, True, False, False])
    return float(tops[0]), list(found)


def test_the_loss_of_boxes_counts_matches_and_the_worst_negatives() -> None:
    loss, grads = multi_box("mining_type: MAX_NEGATIVE neg_pos_ratio: 1", [0.0] * 6)
    assert loss == pytest.approx(2 * math.log(3))
    assert grads[1][0].tolist() == pytest.approx([1 / 3, 1 / 3, -2 / 3, -2 / 3, 1 / 3, 1 / 3])
    assert not grads[0].any()
    loss, grads = multi_box("mining_type: MAX_NEGATIVE neg_pos_ratio: 0.5", [0.0] * 6)
    assert loss == pytest.approx(math.log(3))
    assert not grads[1][0, 3:].any()


def test_boxes_are_made_up_for_each_item() -> None:
    text = """
    layer { name: "d" type: "AnnotatedData" top: "x" top: "g" transform_param { resize_param { height: 16 width: 16 } } data_param { source: "s" batch_size: 4 } }
    layer { name: "l" type: "InnerProduct" bottom: "x" top: "l" inner_product_param { num_output: 4 } }
    layer { name: "c" type: "InnerProduct" bottom: "x" top: "c" inner_product_param { num_output: 3 } }
    layer { name: "p" type: "PriorBox" bottom: "x" bottom: "x" top: "p" prior_box_param { min_size: 4 } }
    layer { name: "loss" type: "MultiBoxLoss" bottom: "l" bottom: "c" bottom: "p" bottom: "g" top: "loss" multibox_loss_param { num_classes: 3 } }
    """
    net = net_of(text, {}, input_shapes={"x": (0, 3, 16, 16)})
    made = MadeUpData(net, ASSUMED, np.random.default_rng(0), whole=4, items=4)
    boxes = made.batch()[net.layers[0].tops[1]].reshape(-1, 8)
    assert sorted(set(boxes[:, 0].tolist())) == [0, 1, 2, 3]
    assert set(boxes[:, 1].tolist()) <= {1, 2}
    assert (boxes[:, 5:7] > boxes[:, 3:5]).all()


def test_stochastic_pooling_draws_values_of_the_window_in_proportion_to_their_size() -> None:
    pool = 'type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 }'
    x = np.tile(np.asarray([[0.0, 3.0], [1.0, 0.0]], F), (1, 1, 40, 40))
    tops, grads = run(pool, x)
    assert sorted(set(tops[0].reshape(-1).tolist())) == [1.0, 3.0]
    assert float((tops[0] == 3).mean()) == pytest.approx(0.75, abs=0.05)
    assert float(grads[0].sum()) == tops[0].size
    assert not grads[0][x == 0].any()
