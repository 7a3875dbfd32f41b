"""Signal models of single layers, in a net where what comes in is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_lint.engine.opening import Files
from caffe_lint.moments.statistics import Diffs, Values
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.stability.signal.features import signal_of
from caffe_lint.stability.signal.passes import unmodelled_layers
from caffe_lint.stability.signal.training import Training, training_of_file

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
    (folder / "net.prototxt").write_text(NET.format(layer=layer))
    solver = folder / "solver.prototxt"
    solver.write_text('net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 100')
    files = Files(caffe_schema(), "bvlc")
    found = training_of_file(files.get(str(solver)), files.get, {})
    assert found is not None
    return found


def around(folder: Path, layer: str) -> tuple[Values, Diffs]:
    """The values of the layer's top, and the gradient of its bottom."""
    signal = signal_of(training(folder, layer))
    index = next(each.index for each in signal.training.net.layers if each.name == "it")
    return signal.forward.steps[index].tops[0], signal.back.bottoms[index][0]


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
