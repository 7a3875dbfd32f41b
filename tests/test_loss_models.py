"""Signal models of losses against the formulas of Caffe's layers, computed with NumPy on random values."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from nets import layer_of
from test_signal_models import trained

from caffe_lint.layers.models.loss_models import Loss
from caffe_lint.moments.graph import Layer
from caffe_lint.moments.layer_type import UNMODELLED
from caffe_lint.moments.signal_model import SignalContext
from caffe_lint.moments.statistics import Diffs, Values, constant, gaussian
from caffe_lint.net.data_facts import tops_facts
from caffe_lint.net.loss_sizes import first_value, terms
from caffe_lint.stability.signal.debug_lines import backward_lines
from caffe_lint.stability.signal.features import signal_of
from caffe_lint.stability.signal.passes import prepare
from caffe_lint.stability.signal.training import PHOTOGRAPHS

np = pytest.importorskip("numpy")
ITEMS = 4000


def euclidean(a, b):  # type: ignore[no-untyped-def]
    """euclidean_loss_layer.cpp."""
    return float(((a - b) ** 2).sum() / len(a) / 2), (a - b) / len(a)


def smooth_l1(a, b, sigma=1.0):  # type: ignore[no-untyped-def]
    """smooth_L1_loss_layer.cu of Fast R-CNN."""
    gap, turn = a - b, 1 / sigma**2
    near = np.abs(gap) < turn
    loss = np.where(near, sigma**2 * gap**2 / 2, np.abs(gap) - turn / 2)
    return float(loss.sum() / len(a)), np.where(near, sigma**2 * gap, np.sign(gap)) / len(a)


def hinge(scores, labels, norm="L1"):  # type: ignore[no-untyped-def]
    """hinge_loss_layer.cpp: the label is an index into all scores of an item."""
    sign = np.ones_like(scores).reshape(len(scores), -1)
    sign[np.arange(len(scores)), labels] = -1
    inside = np.maximum(0, 1 + sign * scores.reshape(len(scores), -1))
    gradient = sign * (np.sign(inside) if norm == "L1" else 2 * inside) / len(scores)
    return float((inside if norm == "L1" else inside**2).sum() / len(scores)), gradient.reshape(scores.shape)


def sigmoid_cross_entropy(scores, targets):  # type: ignore[no-untyped-def]
    """sigmoid_cross_entropy_loss_layer.cpp, whose default divides by the items."""
    loss = scores * ((scores >= 0) - targets) + np.log1p(np.exp(scores - 2 * scores * (scores >= 0)))
    return float(loss.sum() / len(scores)), (1 / (1 + np.exp(-scores)) - targets) / len(scores)


def contrastive(a, b, similar, margin=1.0, legacy=False):  # type: ignore[no-untyped-def]
    """contrastive_loss_layer.cpp."""
    gap = a - b
    square = (gap**2).sum(axis=1)
    distance = np.sqrt(square)
    inside = np.maximum(0, margin - (square if legacy else distance))
    loss = np.where(similar, square, inside if legacy else inside**2).sum() / len(a) / 2
    push = -(inside > 0).astype(float) if legacy else -inside / (distance + 1e-4)
    return float(loss), np.where(similar, 1.0, push)[:, None] * gap / len(a)


def softmax(scores, labels):  # type: ignore[no-untyped-def]
    """softmax_loss_layer.cpp, of one position."""
    chances = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    rows = np.arange(len(scores))
    loss = -np.log(np.maximum(chances[rows, labels], np.finfo(np.float32).tiny)).sum() / len(scores)
    chances[rows, labels] -= 1
    return float(loss), chances / len(scores)


def infogain(scores, labels, matrix):  # type: ignore[no-untyped-def]
    """infogain_loss_layer.cpp since Caffe 1.0, of one position."""
    chances = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    rows = matrix[labels]
    loss = -(rows * np.log(np.maximum(chances, 1e-20))).sum() / len(scores)
    return float(loss), (chances * rows.sum(axis=1, keepdims=True) - rows) / len(scores)


def loss_layer(text: str, inputs: dict[str, str], dialect: str = "bvlc") -> tuple[Layer, Loss]:
    """A loss layer, and its model."""
    net = layer_of(text, inputs, dialect=dialect)
    prepared = prepare(net, SignalContext(partial(tops_facts, facts={}), PHOTOGRAPHS))
    model = prepared.models[-1]
    assert isinstance(model, Loss)
    return net.layers[-1], model


def drawn(mean: float, std: float, shape: tuple[int, ...], seed: int):  # type: ignore[no-untyped-def]
    """Independent Gaussian values."""
    return np.random.default_rng(seed).normal(mean, std, shape)


def moments(mean: float, std: float) -> Values:
    """The moments of independent Gaussian values."""
    return gaussian(mean, mean * mean + std * std, mean * mean, mean * mean, mean * mean, 0.1)


def even(low: float, high: float) -> Values:
    """The moments of values spread evenly between bounds."""
    mean, square = (low + high) / 2, (high**3 - low**3) / 3 / (high - low)
    size = mean if low >= 0 else (low * low + high * high) / 2 / (high - low)
    return Values(mean, square, size, mean**2, mean**2, mean**2, low, high)


def check(model: Loss, bottoms: list[Values], loss: float, gradient, rel: float = 0.06) -> Diffs:  # type: ignore[no-untyped-def]
    """Compares the value, and the gradient's mean absolute value and mean square."""
    diff = model.gradients(bottoms, 1.0)[0]
    assert model.value(bottoms) == pytest.approx(loss, rel=rel)
    assert diff.mean_abs == pytest.approx(float(np.abs(gradient).mean()), rel=rel)
    assert diff.second_moment == pytest.approx(float((gradient**2).mean()), rel=2 * rel)
    return diff


@pytest.mark.parametrize("targets", [(0.0, 1.0), (3.0, 0.5), (-20.0, 8.0)])
@pytest.mark.parametrize("scores", [(0.0, 0.01), (0.5, 2.0), (0.0, 30.0)])
def test_euclidean_loss(scores: tuple[float, float], targets: tuple[float, float]) -> None:
    _, model = loss_layer(
        'type: "EuclideanLoss" bottom: "a" bottom: "b" top: "l"', {"a": f"{ITEMS} 5", "b": f"{ITEMS} 5"}
    )
    computed = euclidean(drawn(*scores, (ITEMS, 5), 1), drawn(*targets, (ITEMS, 5), 2))
    check(model, [moments(*scores), moments(*targets)], *computed)


def test_both_bottoms_of_a_euclidean_loss_are_pulled_against_each_other() -> None:
    _, model = loss_layer('type: "EuclideanLoss" bottom: "a" bottom: "b" top: "l"', {"a": "8 5", "b": "8 5"})
    first, second = model.gradients([moments(0, 1), moments(2, 1)], 1.0)
    assert first.second_moment == second.second_moment
    assert first.common == -second.common < 0


@pytest.mark.parametrize("targets", [(0.0, 1.0), (-1.0, 1.0), (2.0, 5.0)])
def test_the_mean_size_of_differences_is_that_of_evenly_spread_targets(targets: tuple[float, float]) -> None:
    _, model = loss_layer(
        'type: "EuclideanLoss" bottom: "a" bottom: "b" top: "l"', {"a": f"{ITEMS} 5", "b": f"{ITEMS} 5"}
    )
    computed = euclidean(drawn(0, 0.05, (ITEMS, 5), 1), np.random.default_rng(2).uniform(*targets, (ITEMS, 5)))
    check(model, [moments(0, 0.05), even(*targets)], *computed)


@pytest.mark.parametrize("sigma", [1.0, 3.0])
@pytest.mark.parametrize("scores", [(0.0, 0.01), (0.2, 0.3), (0.0, 40.0)])
def test_smooth_l1_loss(scores: tuple[float, float], sigma: float) -> None:
    text = f'type: "SmoothL1Loss" bottom: "a" bottom: "b" top: "l" smooth_l1_loss_param {{ sigma: {sigma} }}'
    _, model = loss_layer(text, {"a": f"{ITEMS} 4", "b": f"{ITEMS} 4"}, "faster-rcnn")
    computed = smooth_l1(drawn(*scores, (ITEMS, 4), 1), drawn(0, 0.5, (ITEMS, 4), 2), sigma)
    check(model, [moments(*scores), moments(0, 0.5)], *computed, rel=0.1)


def test_the_weights_of_smooth_l1_loss_choose_elements_and_scale_terms() -> None:
    text = 'type: "SmoothL1Loss" bottom: "a" bottom: "b" bottom: "inside" bottom: "outside" top: "l"'
    inputs = dict.fromkeys(("a", "b", "inside", "outside"), f"{ITEMS} 4")
    _, model = loss_layer(text, inputs, "faster-rcnn")
    whole = [moments(0, 0.1), moments(0, 0.2), constant(1.0)]
    half = model.value([*whole, constant(0.5)])
    assert half == pytest.approx(model.value([*whole, constant(1.0)]) / 2)
    quarter = model.value([moments(0, 0.1), moments(0, 0.2), constant(0.5), constant(1.0)])  # the square of 1/2
    assert quarter == pytest.approx(model.value([*whole, constant(1.0)]) / 4)


def test_smooth_l1_loss_of_r_fcn_divides_by_what_loss_param_says() -> None:
    text = 'type: "SmoothL1Loss" bottom: "a" bottom: "b" top: "l"'
    inputs = {"a": "8 4 2 3", "b": "8 4 2 3"}
    for param, divisor in (
        ("", 8 * 2 * 3),
        ("loss_param { normalization: BATCH_SIZE }", 8),
        ("loss_param { normalization: PRE_FIXED pre_fixed_normalizer: 300 }", 300),
    ):
        assert loss_layer(f"{text} {param}", inputs, "rfcn")[1].divisor == divisor
    assert loss_layer(text, inputs, "ssd")[1].divisor == 8


@pytest.mark.parametrize("norm", ["L1", "L2"])
@pytest.mark.parametrize("plane", [(), (3, 4)])
@pytest.mark.parametrize("scores", [(0.0, 0.0), (0.3, 1.0), (0.0, 50.0)])
def test_hinge_loss(scores: tuple[float, float], plane: tuple[int, ...], norm: str) -> None:
    shape = (ITEMS, 10, *plane)
    text = f'type: "HingeLoss" bottom: "a" bottom: "b" top: "l" hinge_loss_param {{ norm: {norm} }}'
    layer, model = loss_layer(text, {"a": " ".join(map(str, shape)), "b": str(ITEMS)})
    labels = np.random.default_rng(3).integers(0, 10, ITEMS)
    computed = hinge(drawn(*scores, shape, 1), labels, norm)
    check(model, [moments(*scores), constant(0.0)], *computed)
    if not scores[1]:
        assert first_value(layer) == pytest.approx(computed[0])
        assert terms(layer) == np.prod(plane)


def test_the_best_constant_answer_of_a_hinge_loss() -> None:
    for norm in ("L1", "L2"):
        text = f'type: "HingeLoss" bottom: "a" bottom: "b" top: "l" hinge_loss_param {{ norm: {norm} }}'
        _, model = loss_layer(text, {"a": "1000 10", "b": "1000"})
        labels = np.arange(1000) % 10
        best = min(hinge(np.full((1000, 10), x), labels, norm)[0] for x in np.linspace(-2, 2, 401))
        assert model.constant_answer_value([moments(0, 1), constant(0.0)]) == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize("scores", [(0.0, 0.01), (0.5, 2.0)])
def test_sigmoid_cross_entropy_loss(scores: tuple[float, float]) -> None:
    _, model = loss_layer(
        'type: "SigmoidCrossEntropyLoss" bottom: "a" bottom: "b" top: "l"', {"a": f"{ITEMS} 6", "b": f"{ITEMS} 6"}
    )
    targets = (np.random.default_rng(2).uniform(size=(ITEMS, 6)) < 0.3).astype(float)
    known = Values(0.3, 0.3, 0.3, 0.09, 0.09, 0.09, 0.0, 1.0)
    check(model, [moments(*scores), known], *sigmoid_cross_entropy(drawn(*scores, (ITEMS, 6), 1), targets))


@pytest.mark.parametrize("classes", [10, 1000])
@pytest.mark.parametrize("std", [0.01, 1.0, 3.0])
def test_softmax_loss(std: float, classes: int) -> None:
    _, model = loss_layer(
        'type: "SoftmaxWithLoss" bottom: "a" bottom: "b" top: "l"', {"a": f"{ITEMS} {classes}", "b": str(ITEMS)}
    )
    labels = np.random.default_rng(2).integers(0, classes, ITEMS)
    check(model, [moments(0, std), constant(0.0)], *softmax(drawn(0, std, (ITEMS, classes), 1), labels), rel=0.1)


@pytest.mark.parametrize("std", [0.01, 2.0])
@pytest.mark.parametrize("kind", ["constant", "diagonal", "random"])
def test_infogain_loss(kind: str, std: float) -> None:
    text = 'type: "InfogainLoss" bottom: "a" bottom: "b" bottom: "h" top: "l"'
    _, model = loss_layer(text, {"a": f"{ITEMS} 100", "b": str(ITEMS), "h": "100 100"})
    random = np.random.default_rng(2)
    matrix = {"constant": np.full((100, 100), 0.3), "diagonal": 5 * np.eye(100)}.get(
        kind, random.normal(0.3, 0.2, (100, 100))
    )
    known = Values(*(float(x) for x in (matrix.mean(), (matrix**2).mean(), np.abs(matrix).mean())), 0.0, 0.0, 0.0)
    computed = infogain(drawn(0, std, (ITEMS, 100), 1), random.integers(0, 100, ITEMS), matrix)
    check(model, [moments(0, std), constant(0.0), known], *computed, rel=0.2)  # quantiles cut off the largest score


def test_a_matrix_in_a_file_is_taken_for_diagonal_and_leaves_the_initial_loss_open(tmp_path: Path) -> None:
    head = """
    layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
      shape { dim: 8 dim: 12 } shape { dim: 8 }
      data_filler { type: "gaussian" std: 1 } data_filler { type: "uniform" max: 9.999 } } }
    layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
      inner_product_param { num_output: 10 weight_filler { type: "gaussian" std: 0.01 } } }
    """
    loss = 'layer { name: "loss" type: "%s" bottom: "fc" bottom: "label" top: "loss" %s }'
    training = trained(tmp_path, head + loss % ("InfogainLoss", 'infogain_loss_param { source: "h.binaryproto" }'))
    assert not training.basis.is_known
    softmax = signal_of(trained(tmp_path, head + loss % ("SoftmaxWithLoss", "")))
    usual, small, large = (signal_of(point) for point in training.points())
    for signal, weight in ((usual, 1), (small, 0.1), (large, 10)):
        assert signal.forward.loss == pytest.approx(weight * softmax.forward.loss)
        assert signal.l2 == pytest.approx(weight * softmax.l2)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("std", [0.05, 0.5, 3.0])
@pytest.mark.parametrize("length", [2, 64])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_contrastive_loss(share: float, length: int, std: float, legacy: bool) -> None:
    std /= length**0.5
    param = f"contrastive_loss_param {{ margin: 1.5 legacy_version: {str(legacy).lower()} }}"
    _, model = loss_layer(
        f'type: "ContrastiveLoss" bottom: "a" bottom: "b" bottom: "similar" top: "l" {param}',
        {"a": f"{ITEMS} {length}", "b": f"{ITEMS} {length}", "similar": str(ITEMS)},
    )
    mean = drawn(0, std, length, 4)  # what all vectors have in common
    a, b = (mean + drawn(0, std, (ITEMS, length), seed) for seed in (1, 2))
    similar = np.random.default_rng(3).uniform(size=ITEMS) < share
    across = float((mean**2).mean())
    values = gaussian(0.0, across + std * std, across + std * std, across, across, 1.0)
    labels = constant(share) if share in (0.0, 1.0) else Values(share, share, share, share, 0.25, 0.25, 0.0, 1.0)
    loss, gradient = contrastive(a, b, similar, 1.5, legacy)
    if loss > 0.01 * std**2:
        check(model, [values, values, labels], loss, gradient, rel=0.12)


def test_a_label_calls_a_pair_similar_if_it_is_not_0_as_a_whole_number() -> None:
    text = 'type: "ContrastiveLoss" bottom: "a" bottom: "b" bottom: "similar" top: "l"'
    _, model = loss_layer(text, {"a": "8 2", "b": "8 2", "similar": "8"})
    far = moments(0, 100)
    loss_of_similar = model.value([far, far, constant(1.0)])
    assert model.value([far, far, even(0.0, 1.999)]) == pytest.approx(loss_of_similar / 2, rel=0.01)
    assert model.value([far, far, even(0.0, 0.999)]) == pytest.approx(0)


SIAMESE = """
layer {{
  name: "data" type: "DummyData" top: "data" top: "similar"
  dummy_data_param {{
    shape {{ dim: {items} dim: 40 }} shape {{ dim: {items} }}
    data_filler {{ type: "gaussian" mean: 0.5 std: 0.3 }} data_filler {{ type: "uniform" max: 1.999 }}
  }}
}}
layer {{ name: "slice" type: "Slice" bottom: "data" top: "a" top: "b" }}
{first} {second}
layer {{ name: "loss" type: "ContrastiveLoss" bottom: "a2" bottom: "b2" bottom: "similar" top: "loss" }}
"""
HALF = """
layer {{
  name: "{half}1" type: "InnerProduct" bottom: "{half}" top: "{half}1" param {{ name: "w1{own}" }} param {{ name: "b1{own}" }}
  inner_product_param {{ num_output: 100 weight_filler {{ type: "msra" }} }}
}}
layer {{ name: "{half}relu" type: "ReLU" bottom: "{half}1" top: "{half}1" }}
layer {{
  name: "{half}2" type: "InnerProduct" bottom: "{half}1" top: "{half}2" param {{ name: "w2{own}" }} param {{ name: "b2{own}" }}
  inner_product_param {{ num_output: 4 weight_filler {{ type: "xavier" }} }}
}}
"""


def siamese_gradients(shared: bool, items: int, seed: int) -> dict[tuple[str, int], float]:
    """The mean absolute gradients of the first half's parameters, as Caffe computes them."""
    random = np.random.default_rng(seed)
    first = [random.normal(0, np.sqrt(2 / 20), (100, 20)) for _ in range(2)]
    second = [random.uniform(-1, 1, (4, 100)) * np.sqrt(3 / 100) for _ in range(2)]
    if shared:
        first[1], second[1] = first[0], second[0]
    read = random.normal(0.5, 0.3, (2, items, 20))
    hidden = [np.maximum(0, read[i] @ first[i].T) for i in (0, 1)]
    vectors = [hidden[i] @ second[i].T for i in (0, 1)]
    gradient = contrastive(*vectors, random.uniform(0, 1.999, items) >= 1)[1]
    found = {}
    for name, below in (("1", read), ("2", hidden)):
        above = [sign * gradient for sign in (1, -1)]
        if name == "1":
            above = [(above[i] @ second[i]) * (hidden[i] > 0) for i in (0, 1)]
        for param, each in enumerate(([above[i].T @ below[i] for i in (0, 1)], [above[i].sum(axis=0) for i in (0, 1)])):
            found[f"a{name}", param] = float(np.abs(each[0] + each[1] if shared else each[0]).mean())
    return found


@pytest.mark.parametrize("shared", [True, False])
def test_gradients_of_shared_weights_cancel_in_a_siamese_net(tmp_path: Path, shared: bool) -> None:
    first, second = (HALF.format(half=half, own="" if shared else half) for half in "ab")
    signal = signal_of(trained(tmp_path, SIAMESE.format(items=16, first=first, second=second)))
    rows = {(line.layer, line.param): line.mean_abs for line in backward_lines(signal.forward, signal.back)}
    computed = [siamese_gradients(shared, 16, seed) for seed in range(40)]
    for key in computed[0]:
        mean = float(np.mean([each[key] for each in computed]))
        assert rows[key] == pytest.approx(mean, rel=0.35, abs=1e-12), key


def test_a_loss_whose_divisor_differs_between_forks_has_no_model() -> None:
    for text, dialect in (
        ('type: "L1Loss" bottom: "a" bottom: "b" top: "l"', "flownet2"),
        ('type: "SmoothL1Loss" bottom: "a" bottom: "b" top: "l" smoothl1_param { turn_point: 2 }', "happynear"),
    ):
        layer = layer_of(text, {"a": "8 2", "b": "8 2"}, dialect=dialect).layers[-1]
        assert layer.traits.signal_model(layer) == UNMODELLED
