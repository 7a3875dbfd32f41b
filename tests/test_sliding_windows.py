"""A window is the same for whoever asks: shapes, simulation, signal, receptive fields, and Caffe's own arithmetic."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from nets import kinds, layer_of

from caffe_lint.layers.models.linear import Convolution
from caffe_lint.layers.models.pooling import Pooling
from caffe_lint.layers.sliding_windows import window_of
from caffe_lint.moments.graph import Layer
from caffe_lint.moments.signal_model import SignalContext, SignalModel
from caffe_lint.net.data_facts import tops_facts
from caffe_lint.net.net import Net
from caffe_lint.net.receptive_field import receptive_fields
from caffe_lint.stability.signal.passes import prepare
from caffe_lint.stability.signal.training import PHOTOGRAPHS

np = pytest.importorskip("numpy", reason="the simulator needs numpy")

from caffe_lint.simulation.operator import operator_of  # noqa: E402

PROBES = Path(__file__).resolve().parents[2] / "shared" / "facts" / "probes.jsonl"


class Case(NamedTuple):
    """A layer over a map with these sides, the sizes of its window along each axis as Caffe reads them, and how it rounds."""

    kind: str
    fields: str
    sides: Sequence[int]
    kernel: Sequence[int]
    stride: Sequence[int]
    pad: Sequence[int]
    dilation: Sequence[int]
    rounding: str = ""
    dialect: str = "bvlc"

    @property
    def net(self) -> Net:
        """The net of the layer."""
        settings = "pooling_param" if self.kind == "Pooling" else "convolution_param"
        more = "" if self.kind == "Pooling" else "num_output: 2 bias_term: false"
        inside = f'type: "{self.kind}" bottom: "x" top: "y" {settings} {{ {more} {self.fields} }}'
        return layer_of(inside, {"x": f"2 3 {' '.join(map(str, self.sides))}"}, dialect=self.dialect)

    def size(self, axis: int) -> int:
        """The side of the top along an axis, as the layers' sources compute it."""
        side, kernel, stride, pad, dilation = (sizes[axis] for sizes in (self.sides, self.kernel, self.stride, self.pad, self.dilation))
        extent = dilation * (kernel - 1) + 1
        if self.kind == "Deconvolution":
            return stride * (side - 1) + extent - 2 * pad
        if self.kind != "Pooling":
            return math.trunc((side + 2 * pad - extent) / stride) + 1
        size = {"floor": math.floor, "ceil": math.ceil}[self.rounding]((side + 2 * pad - kernel) / stride) + 1
        return size - 1 if any(self.pad) and (size - 1) * stride >= side + pad else size

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sides of the top."""
        return tuple(self.size(axis) for axis in range(len(self.sides)))

    def reads(self) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
        """Each position of the window, each offset in it, and the place in the map below, of those that lie in the map."""
        numbers, sides = (self.sides, self.sizes) if self.kind == "Deconvolution" else (self.sizes, self.sides)
        for position in itertools.product(*map(range, numbers)):
            for offset in itertools.product(*map(range, self.kernel)):
                place = tuple(
                    at * stride - pad + o * dilation
                    for at, stride, pad, o, dilation in zip(position, self.stride, self.pad, offset, self.dilation, strict=True)
                )
                if all(0 <= each < side for each, side in zip(place, sides, strict=True)):
                    yield position, offset, place


def written(draw: random.Random, stem: str, values: Sequence[int], *, pooling: bool) -> str:
    """Fields that give these sizes, in one of the forms that Caffe accepts."""
    plain = "kernel_size" if stem == "kernel" else stem
    forms = [f"{plain}: {values[0]}"] if len(set(values)) == 1 else []
    if len(values) == 2:
        forms.append(f"{stem}_h: {values[0]} {stem}_w: {values[1]}")
        if stem == "pad" and not pooling:  # of a convolution, one that is not set is 0
            forms += [f"pad_h: {values[0]}"] if not values[1] else [f"pad_w: {values[1]}"] if not values[0] else []
        if stem == "kernel" and pooling and forms[0].startswith(plain):  # of Pooling, one alone beside kernel_size counts for nothing
            forms += [f"{forms[0]} kernel_h: {draw.randint(1, 9)}", f"{forms[0]} kernel_w: {draw.randint(1, 9)}"]
    if not pooling and len(values) > 1:
        forms.append(f"{plain}: {list(values)}")
    if set(values) == {0 if stem == "pad" else 1} and stem != "kernel":
        forms.append("")
    return draw.choice(forms)


def drawn(kind: str, seed: int) -> Case:
    """A layer with settings at random."""
    draw = random.Random(f"{kind} {seed}")
    pooling = kind == "Pooling"
    axes = 2 if pooling else draw.choice((1, 2, 2, 3))

    def sizes(low: int, high: int) -> list[int]:
        return [draw.randint(low, high)] * axes if draw.random() < 0.5 else [draw.randint(low, high) for _ in range(axes)]

    sides = [draw.randint(3, 6 if axes == 3 else 9) for _ in range(axes)]
    kernel, stride, dilation = sizes(1, 3 if axes == 3 else 4), sizes(1, 3), [1] * axes
    pad = [0] * axes if draw.random() < 0.4 else [draw.randint(0, size - 1) if pooling else draw.randint(0, 2) for size in kernel]
    fields = ""
    rounding = ""
    if pooling:
        method, mode, dialect = draw.choice(("MAX", "AVE")), draw.randrange(5), "bvlc"
        rounding = "floor" if mode in (1, 3) else "ceil"
        fields = f"pool: {method} " + ("", "round_mode: FLOOR ", "round_mode: CEIL ", "ceil_mode: false ", "ceil_mode: true ")[mode]
        dialect = "frcnn" if mode > 2 else "bvlc"
        if draw.random() < 0.15:
            kernel, stride, pad = sides, [1, 1], [0, 0]
            return Case(kind, f"{fields} global_pooling: true", sides, kernel, stride, pad, dilation, rounding, dialect)
    else:
        dialect = "bvlc"
        dilation = sizes(1, 2)
        fields = "" if set(dilation) == {1} else f"dilation: {dilation} "
    shown = (written(draw, stem, values, pooling=pooling) for stem, values in (("kernel", kernel), ("stride", stride), ("pad", pad)))
    return Case(kind, fields + " ".join(shown), sides, kernel, stride, pad, dilation, rounding, dialect)


def model_of(net: Net) -> SignalModel:
    """The signal model of the last layer."""
    return prepare(net, SignalContext(partial(tops_facts, facts={}), PHOTOGRAPHS)).models[-1]


def simulated(layer: Layer, x: Any, *params: Any) -> Any:
    """The top of a layer as it is simulated, whose gradient has the shape of the bottom."""
    operator = operator_of(layer, np.random.default_rng(0))
    with np.errstate(all="ignore"):  # a last window that starts at the end has a mean of 0 / 0, as in Caffe
        (top,) = operator.forward([x], params)
        (below,), _ = operator.backward([np.ones_like(top)], [top], [x], params, [True])
    assert below.shape == x.shape
    return top


def cases(kind: str, count: int) -> Iterator[tuple[Case, Net]]:
    """So many layers, with their nets; those that Caffe refuses because no window fits are left out, once that is reported."""
    for seed in itertools.count():
        case = drawn(kind, seed)
        if math.prod(case.sizes) > 600:
            continue
        net = case.net
        if min(case.sizes) < 1:
            assert set(kinds(net)) <= {"empty-top", "negative-size"}
            assert kinds(net)
            continue
        assert kinds(net) == [], case
        yield case, net
        count -= 1
        if not count:
            return


def test_all_agree_on_the_window_of_a_pooling() -> None:
    for case, net in cases("Pooling", 150):
        layer = net.layers[-1]
        assert layer.tops[0].shape == (2, 3, *case.sizes), case
        window = window_of(layer)
        assert window is not None
        assert window.over(case.sides).places(case.sides) == case.sizes
        x = np.random.default_rng(1).standard_normal((2, 3, *case.sides)).astype("f4")
        found = simulated(layer, x)
        maximum = np.full((2, 3, *case.sizes), -3.4028235e38)
        total = np.zeros_like(maximum)
        for position, _, place in case.reads():
            at, below = (..., *position), (..., *place)
            maximum[at] = np.maximum(maximum[at], x[below])
            total[at] += x[below]
        areas = [
            [min(at * stride - pad + kernel, side + pad) - (at * stride - pad) for at in range(size)]
            for size, side, kernel, stride, pad in zip(case.sizes, case.sides, case.kernel, case.stride, case.pad, strict=True)
        ]
        with np.errstate(all="ignore"):
            expected = maximum if "pool: MAX" in case.fields else total / np.outer(*areas)
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-6, nan_ok=True), case
        model = model_of(net)
        assert isinstance(model, Pooling)
        assert model.window == math.prod(map(min, case.kernel, case.sides)), case
        field = receptive_fields(net)[layer.tops[0]]
        if window.is_whole:
            assert field.is_whole
        else:
            assert [field.height, field.width] == case.kernel
            assert [field.step_h, field.step_w] == case.stride
            assert model.stride == case.stride[-1]


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
def test_all_agree_on_the_window_of_a_convolution(kind: str) -> None:
    for case, net in cases(kind, 80):
        layer = net.layers[-1]
        assert layer.tops[0].shape == (2, 2, *case.sizes), case
        window = window_of(layer)
        assert window is not None
        assert (window.sides if kind == "Deconvolution" else window.places)(case.sides) == case.sizes
        draw = np.random.default_rng(1)
        x = draw.standard_normal((2, 3, *case.sides))
        weights = draw.standard_normal(layer.params[0].shape)
        expected, reads = np.zeros((2, 2, *case.sizes)), 0
        for position, offset, place in case.reads():
            reads += 1
            if kind == "Deconvolution":
                expected[(..., *place)] += np.einsum("nc,co->no", x[(..., *position)], weights[(..., *offset)])
            else:
                expected[(..., *position)] += np.einsum("nc,oc->no", x[(..., *place)], weights[(..., *offset)])
        assert simulated(layer, x, weights) == pytest.approx(expected), case
        model = model_of(net)
        assert isinstance(model, Convolution)
        assert model.taps.window == math.prod(case.kernel)
        assert model.taps.fan_in == pytest.approx(3 * reads / math.prod(case.sizes)), case
        assert model.taps.fan_out == pytest.approx(2 * reads / math.prod(case.sides)), case
        field = receptive_fields(net).get(layer.tops[0])
        assert (field is not None) == (len(case.sides) == 2)
        if field is not None and kind == "Convolution":
            extents = [dilation * (kernel - 1) + 1 for kernel, dilation in zip(case.kernel, case.dilation, strict=True)]
            assert [field.height, field.width, field.step_h, field.step_w] == [*extents, *case.stride]


@pytest.mark.parametrize(
    ("kind", "fields", "problem"),
    [
        ("Pooling", "", "pooling-kernel"),
        ("Pooling", "kernel_h: 3", "pooling-kernel"),
        ("Pooling", "kernel_size: 2 kernel_h: 3 kernel_w: 3", "pooling-kernel"),
        ("Pooling", "global_pooling: true kernel_w: 3", "pooling-kernel"),
        ("Pooling", "global_pooling: true stride: 2", "pooling-global"),
        ("Pooling", "global_pooling: true pad_h: 0 pad_w: 1", "pooling-global"),
        ("Pooling", "kernel_size: 2 pad: 1 pad_h: 1 pad_w: 1", "pooling-pair"),
        ("Pooling", "kernel_size: 2 stride_w: 2", "pooling-pair"),
        ("Pooling", "kernel_h: 2 kernel_w: 0", "kernel-zero"),
        ("Pooling", "kernel_size: 2 stride_h: 2 stride_w: 0", "stride-zero"),
        ("Pooling", "kernel_h: 3 kernel_w: 2 pad: 2", "pooling-pad"),
        ("Pooling", "kernel_size: 3 pad: 1 pool: STOCHASTIC", "pooling-pad"),
        ("Convolution", "", "kernel-missing"),
        ("Convolution", "kernel_w: 3", "kernel-zero"),
        ("Convolution", "kernel_size: 2 kernel_h: 3", "kernel-twice"),
        ("Convolution", "kernel_size: [1, 2, 3]", "kernel-count"),
        ("Convolution", "kernel_size: 3 stride: [1, 0]", "stride-zero"),
        ("Convolution", "kernel_size: 3 stride_w: 1", "stride-zero"),
        ("Convolution", "kernel_size: 3 stride: 1 stride_w: 1", "kernel-twice"),
        ("Convolution", "kernel_size: 3 pad: [1, 1, 1]", "kernel-count"),
        ("Convolution", "kernel_size: 3 pad: 1 pad_h: 1", "kernel-twice"),
        ("Convolution", "kernel_size: 3 dilation: [1, 1, 1]", "kernel-count"),
        ("Convolution", "kernel_h: 3 kernel_w: 3 axis: 2", "kernel-axes"),
        ("Convolution", "kernel_size: 3 axis: 4", "axis"),
    ],
)
def test_what_caffe_refuses_has_no_window(kind: str, fields: str, problem: str) -> None:
    for each in [kind] if kind == "Pooling" else [kind, "Deconvolution", "Im2col"]:
        net = Case(each, fields, (8, 8), (), (), (), ()).net
        layer = net.layers[-1]
        assert problem in kinds(net)
        assert window_of(layer) is None
        assert layer.tops[0].shape is None or layer.tops[0].shape[-1] is None
        assert layer.tops[0] not in receptive_fields(net)


@pytest.mark.parametrize(
    ("fields", "sides", "kernel"),
    [("kernel_size: 3", (8,), (3,)), ("kernel_size: [1, 2, 3]", (4, 4, 4), (1, 2, 3)), ("kernel_size: [3, 2]", (8, 8), (3, 2))],
)
def test_maps_of_any_number_of_axes_are_pooled_in_opencl(fields: str, sides: Sequence[int], kernel: Sequence[int]) -> None:
    net = Case("Pooling", fields, sides, (), (), (), (), dialect="opencl").net
    window = window_of(net.layers[-1])
    assert kinds(net) == []
    assert window is not None
    assert (window.kernel, window.stride, window.pad) == (kernel, (1,) * len(sides), (0,) * len(sides))
    assert net.layers[-1].tops[0].shape == ((2, 3, 6, 7) if len(sides) == 2 else None)


@pytest.mark.parametrize(
    ("kind", "fields", "kernel"),
    [
        ("Convolution", "kernel_size: 3", (3, 3)),
        ("Convolution", "kernel_size: [3, 3, 3]", (3, 3, 3)),
        ("Convolution", "kernel_size: 3 dilation: [1, 2, 1]", (3, 3, 3)),
        ("Pooling", "kernel_size: 2", (2, 2)),
    ],
)
def test_where_the_map_is_unknown_the_settings_tell_the_axes(kind: str, fields: str, kernel: Sequence[int]) -> None:
    settings = "pooling_param" if kind == "Pooling" else "convolution_param"
    net = layer_of(f'type: "{kind}" bottom: "x" top: "y" {settings} {{ {fields} }}')
    window = window_of(net.layers[-1])
    assert window is not None
    assert window.kernel == kernel


def test_other_ways_to_pool_of_a_fork_may_pad() -> None:
    case = Case("Pooling", "pool: AVE_TF kernel_size: 3 pad: 1", (8, 8), (), (), (), (), dialect="synopsys")
    assert kinds(case.net) == []


def test_shapes_are_those_of_the_probes() -> None:
    if not PROBES.is_file():
        pytest.skip("this needs ../shared beside the checkout")
    compared = 0
    for line in PROBES.read_text().splitlines():
        probe = json.loads(line)
        text = probe["prototxt"]
        if text.count("layer{") != 2 or not any(f'type:"{kind}"' in text for kind in ("Pooling", "Convolution", "Deconvolution", "Im2col")):
            continue
        shape, _, layer = text.partition("\n")
        if probe["outcome"] != "ok" or "shape{dim:" not in shape or 'bottom:"x"' not in layer or shape.count("top:") != 1:
            continue
        dims = " ".join(part.partition("}")[0] for part in shape.partition("shape{")[2].split("dim:")[1:])
        net = layer_of(layer.strip().removeprefix("layer{").removesuffix("}"), {"x": dims})
        found = [" ".join(map(str, top.shape or ())) for top in net.layers[-1].tops]
        assert found == probe["top_shapes"]["L"], text
        compared += 1
    assert compared >= 100
