"""What a prediction rests on: where it is unknown, nothing is told; over a range, only what holds at all of its points."""

from __future__ import annotations

import json
import re

import pytest
from harness import check_files

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.moments.blob_facts import BlobFacts
from caffe_lint.net.data_facts import DataFacts, SourceFacts
from caffe_lint.net.job import Job, Nets, SolverFile
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.report.signal_text import as_json, as_text
from caffe_lint.rule.finding import Finding
from caffe_lint.stability.advice.prediction import prediction_of
from caffe_lint.stability.advice.stability import Stability
from caffe_lint.stability.computed import cannot_tell, stability_of
from caffe_lint.stability.signal.basis import CannotTell

SOLVER = 'net: "net.prototxt" base_lr: 0.001 lr_policy: "fixed" momentum: 0.9 max_iter: 10000 '
DATABASE = 'type: "Data" top: "data" top: "label" data_param { source: "a" batch_size: 32 }'
IMAGES = f"{DATABASE} transform_param {{ crop_size: 32 scale: 0.00390625 }}"
PROGRAM = 'type: "Input" top: "data" top: "label" input_param { shape { dim: 32 dim: 3 dim: 32 dim: 32 } shape { dim: 32 } }'
WHOLE = 'layer { name: "all" type: "Pooling" bottom: "conv1" top: "all" pooling_param { pool: AVE global_pooling: true } }'
HDF5 = 'type: "HDF5Data" top: "label" top: "data" hdf5_data_param { source: "a" batch_size: 16 }'
XAVIER = 'weight_filler { type: "xavier" }'
NET = """
layer {{ name: "data" {data} }}
layer {{
  name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param {{ num_output: 8 kernel_size: 5 stride: 2 {filler} }}
}}
layer {{ name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }}
{middle}
layer {{ name: "fc" type: "InnerProduct" bottom: "conv1" top: "fc" inner_product_param {{ num_output: {outputs} {filler} }} }}
{end}
"""
SOFTMAX = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }'
EUCLIDEAN = 'layer { name: "loss" type: "EuclideanLoss" bottom: "fc" bottom: "label" top: "loss" }'


def net(*, data: str = IMAGES, filler: str = XAVIER, middle: str = "", end: str = SOFTMAX, outputs: int = 10) -> str:
    return NET.format(data=data, filler=filler, middle=middle, end=end, outputs=outputs)


def job(net: str, solver: str = SOLVER, facts: DataFacts | None = None) -> Job:
    files = Files(caffe_schema(), None)
    files.add("solver.prototxt", solver.encode())
    files.add("net.prototxt", net.encode())
    return Nets(files.get, None, ("net.prototxt",), facts_for=lambda path: facts or {}).job(SolverFile(files.get("solver.prototxt")), None)


def known(net: str, solver: str = SOLVER, facts: DataFacts | None = None) -> Stability:
    found = stability_of(job(net, solver, facts))
    assert found is not None
    return found


def unknown(net: str, solver: str = SOLVER) -> CannotTell:
    asked = job(net, solver)
    found = cannot_tell(asked)
    assert found is not None
    assert (stability_of(asked) is None) == (found.cause != "data")
    return found


# -- what is known of data --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (IMAGES, "bounded"),
        (f"{DATABASE} transform_param {{ crop_size: 32 }}", "bounded"),
        (f"{DATABASE} transform_param {{ mirror: true mean_value: 104 }}", "bounded"),
        ('type: "ImageData" top: "data" top: "label" image_data_param { source: "a" batch_size: 8 new_height: 32 new_width: 32 }',
         "bounded"),
        (DATABASE, "unknown"),  # features, or images that were scaled when the database was written
        (PROGRAM, "unknown"),
    ],
)  # fmt: skip
def test_bytes_are_bounded_and_values_of_a_program_are_not(data: str, kind: str) -> None:
    found = known(net(data=data))
    assert found.basis.data == kind
    assert len(found.signals) == 3
    sizes = [signal.forward.steps[0].tops[0].mean_abs for signal in found.signals]
    assert min(sizes) < max(sizes)


def test_with_facts_there_is_a_single_signal() -> None:
    facts = {"a": SourceFacts("lmdb", 1000, {"data": BlobFacts((3, 32, 32), 0.0, 255.0, 120.0, 60.0, 120.0)}, (0.0, 9.0), {})}
    found = known(net(), facts=facts)
    assert found.basis.data == "known"
    assert found.basis.is_known
    assert found.signals == [found.signal]
    assert found.assumed == ""


def test_targets_of_a_regression_have_a_range_unless_facts_tell_it() -> None:
    regression = net(end=EUCLIDEAN, outputs=1)
    found = known(regression)
    assert found.basis.data == "unknown"
    losses = [signal.forward.loss for signal in found.signals]
    assert max(losses) > 1000 * min(losses)
    images = BlobFacts((3, 32, 32), 0.0, 255.0, 120.0, 60.0, 120.0)
    facts = {"a": SourceFacts("lmdb", 1000, {"data": images}, (0.0, 99.0), {})}
    assert known(regression, facts=facts).basis.data == "known"


def test_images_of_unknown_size_have_a_range_of_sizes() -> None:
    pool = 'layer { name: "pool" type: "Pooling" bottom: "conv1" top: "pool" pooling_param { global_pooling: true } }'
    text = net(data=f"{DATABASE} transform_param {{ scale: 0.00390625 }}", middle=pool)
    found = known(text.replace('bottom: "conv1" top: "fc"', 'bottom: "pool" top: "fc"').replace("stride: 2", "stride: 16"))
    assert found.basis.open_tops == ("data",)
    assert len({signal.training.net.layers[0].tops[0].shape for signal in found.signals}) > 1


IMAGE_LIST = 'type: "ImageData" top: "{}" top: "{}" image_data_param {{ source: "a" batch_size: 4 }}'


@pytest.mark.parametrize(("loss", "channels"), [("EuclideanLoss", 6), ("SigmoidCrossEntropyLoss", 6), ("SoftmaxWithLoss", 1)])
def test_target_images_of_unknown_size_are_as_large_as_the_scores(loss: str, channels: int) -> None:
    maps = f'layer {{ name: "maps" {DATABASE} }}'.replace("data", "map").replace("label", "none").replace("map_param", "data_param")
    text = net(data=DATABASE, end=f"{maps} {SOFTMAX}".replace("SoftmaxWithLoss", loss).replace('"label"', '"map"'))
    scores = text.replace("InnerProduct", "Convolution").replace("inner_product_param {", "convolution_param { kernel_size: 3")
    found = known(scores.replace("num_output: 10", "num_output: 6"))
    for signal in found.signals:
        (blobs,) = (layer.bottoms for layer in signal.training.net.layers if layer.name == "loss")
        assert blobs[1].shape == (32, channels, *blobs[0].shape[2:])


def test_images_of_another_usual_size_are_tried_where_one_does_not_fit() -> None:
    flat = 'layer { name: "flat" type: "Reshape" bottom: "conv1" top: "flat" reshape_param { shape { dim: 4 dim: 8 dim: 42364 } } }'
    text = net(data=IMAGE_LIST.format("data", "label"), middle=flat).replace('bottom: "conv1" top: "fc"', 'bottom: "flat" top: "fc"')
    assert known(text).signal.training.net.layers[0].tops[0].shape == (4, 3, 360, 480)  # of which conv1 makes 178 x 238
    why = unknown(text.replace("42364", "42363"))
    assert "3 x 224 x 224 gives: Reshape layer 'flat': cannot reshape" in why.sentence


def test_what_cannot_be_read_beside_the_way_to_the_loss_ends_nothing() -> None:
    spp = 'layer { name: "spp" type: "SPP" bottom: "conv1" top: "spp" spp_param { pyramid_height: 4294967296 } }'
    assert known(net(middle=spp)).signal.forward.loss > 0


# -- where nothing can be told ----------------------------------------------------------------------------------

CASES = {
    "loaded weights": (net(), f'{SOLVER} weights: "a.caffemodel"'),
    "unmodelled layer": (net(middle='layer { name: "mask" type: "SpatialMask" bottom: "conv1" top: "conv1" }'), SOLVER),
    "solver feature": (net(), f"{SOLVER} local_lr_auto: true local_gw_ratio: 0.001"),
    "zero weights": (net().replace(XAVIER, 'weight_filler { type: "constant" }', 1), SOLVER),
    "unknown shape": (net(data=HDF5).replace("kernel_size: 5", "kernel_h: 1 kernel_w: 5"), SOLVER),
    "scores as probabilities": (net(end=SOFTMAX.replace("SoftmaxWithLoss", "MultinomialLogisticLoss")), SOLVER),
    "negative loss weight": (net(end=SOFTMAX.replace('top: "loss"', 'top: "loss" loss_weight: -1')), SOLVER),
    "no loss": (net(end=""), SOLVER),
    "rejected net": (net(end=SOFTMAX.replace('"fc"', '"none"')), SOLVER),
    "no net": (net(), SOLVER.replace("net.prototxt", "none.prototxt")),
}


@pytest.mark.parametrize("cause", CASES)
def test_every_cause_says_why_and_what_would_settle_it(cause: str) -> None:
    found = unknown(*CASES[cause])
    assert found.cause == cause
    assert re.fullmatch(r"Cannot tell: .+\. To settle it, .+\.", found.sentence)


@pytest.mark.parametrize("cause", CASES)
def test_what_is_known_of_iteration_0_can_be_printed_for_every_cause(cause: str) -> None:
    found = prediction_of(job(*CASES[cause]))
    assert found.word == "cannot tell"
    assert found.cannot_tell is not None
    assert found.cannot_tell.cause == cause
    assert (found.gradient_norm is None) == (cause not in ("solver feature", "scores as probabilities", "negative loss weight"))
    assert json.loads(as_json(found))["verdict"] == "cannot tell"
    assert as_text(found, trace=False).startswith("Cannot tell whether training diverges or stalls: ")


def test_of_updates_that_increase_the_loss_nothing_can_be_told() -> None:
    def with_param(spec: str) -> str:
        return net().replace('top: "fc"', f'top: "fc" param {{ {spec} }}')

    found = unknown(with_param("lr_mult: -1 decay_mult: -1"))
    assert (found.cause, found.reason) == ("solver feature", "'fc' has a negative lr_mult, with which updates increase the loss (N211)")
    assert known(with_param("lr_mult: 0 decay_mult: -1")).signal.forward.loss > 0


def test_a_net_without_fillers_is_loaded() -> None:
    assert unknown(net(filler="")).cause == "loaded weights"


def test_a_layer_that_only_reports_is_no_input_to_learn_from() -> None:
    counted = 'layer { name: "best" type: "ArgMax" bottom: "fc" top: "best" } '
    counted += 'layer { name: "flat" type: "Flatten" bottom: "best" top: "flat" } '
    counted += 'layer { name: "last" type: "InnerProduct" bottom: "flat" top: "last" inner_product_param { num_output: 3 } } '
    found = unknown(net(end=counted + SOFTMAX.replace('"fc"', '"last"')))
    assert found.cause == "unmodelled layer"
    assert "ArgMax 'best'" in found.reason


@pytest.mark.parametrize("loss", ["RegionLoss", "YoloLoss", "SpatialMaskLoss"])
def test_a_loss_of_a_type_without_a_model_is_not_taken_for_0(loss: str) -> None:
    text = net(end=SOFTMAX.replace("SoftmaxWithLoss", loss))
    asked = unknown(text)
    assert asked.cause == "unmodelled layer"
    assert f"{loss} 'loss'" in asked.reason
    for finding in check_files({"solver.prototxt": SOLVER, "net.prototxt": text}, select=("G",)):
        assert "stall" not in finding.message


@pytest.mark.parametrize(
    "bottoms", ['bottom: "fc" bottom: "t"', "", 'bottom: "fc"'], ids=("not produced", "none", "too few")
)
def test_a_net_whose_layers_lack_bottoms_is_not_computed(bottoms: str) -> None:
    fc = 'layer { name: "fc" type: "InnerProduct" top: "fc" x: 1 } '
    assert cannot_tell(job(f'{fc} layer {{ name: "loss" type: "EuclideanLoss" {bottoms} y: 1 }}')) is not None


def test_a_loss_of_a_fork_may_have_fewer_bottoms() -> None:
    fork = 'layer { name: "prior" type: "PriorBox" bottom: "conv1" bottom: "data" top: "prior" prior_box_param { min_size: 8 } } '
    loss = 'layer { name: "loss" type: "ContrastiveLoss" bottom: "fc" bottom: "label" top: "loss" }'
    assert cannot_tell(job(net(end=fork + loss))) is not None


@pytest.mark.parametrize(
    ("second", "remedy"),
    [("TanH", "run caffe-lint simulate, which computes it"), ("Gelu", "describe Gelu in the configuration, with a known type that it is like")],
)
def test_a_simulation_is_the_remedy_where_it_computes_all_that_has_no_model(second: str, remedy: str) -> None:
    columns = 'layer { name: "im" type: "Im2col" bottom: "conv1" top: "im" convolution_param { kernel_size: 1 } }'
    own = f'layer {{ name: "own" type: "{second}" bottom: "im" top: "own" }}'
    found = unknown(net(middle=columns + own).replace('bottom: "conv1" top: "fc"', 'bottom: "own" top: "fc"'))
    assert (found.cause, found.remedy) == ("unmodelled layer", remedy)


def test_arrays_that_a_square_window_slides_over_are_images_of_unknown_size() -> None:
    found = known(net(data=HDF5))
    assert found.basis.open_tops == ("data",)
    assert found.basis.data == "unknown"


@pytest.mark.parametrize(("stride", "sides"), [(16, {224, 32}), (2, {32})])
def test_a_classifier_that_averages_over_wide_maps_is_for_small_images(stride: int, sides: set[int]) -> None:
    text = net(data=HDF5, middle=WHOLE).replace('bottom: "conv1" top: "fc"', 'bottom: "all" top: "fc"')
    found = known(text.replace("stride: 2", f"stride: {stride}"))
    assert {point.net.layers[0].tops[1].shape for point in found.training.points()} == {(16, 3, side, side) for side in sides}


def test_what_is_assumed_of_the_shape_of_images_is_told() -> None:
    assert "'data': 3 channels" in known(net()).basis.assumed
    assert not any("channel" in text for text in known(net(data=PROGRAM)).basis.assumed)
    of_any_size = known(net(data=DATABASE)).basis.assumed
    assert any("'data': images of a usual size, such as 3 x " in text for text in of_any_size)


def test_targets_are_no_labels_if_a_loss_reads_a_slice_of_them() -> None:
    slices = 'layer { name: "cut" type: "Slice" bottom: "label" top: "age" top: "rest" slice_param { axis: 1 slice_point: 1 } }'
    loss = slices + EUCLIDEAN.replace('bottom: "label"', 'bottom: "age"')
    data = HDF5.replace('top: "label" top: "data"', 'top: "data" top: "label"')
    assert "'label': values of magnitude 1 or more" in known(net(data=data, end=loss, outputs=1)).basis.assumed


def test_how_many_labels_hdf5_files_have_for_a_map_is_unknown() -> None:
    assert unknown(net(data=HDF5, end=SOFTMAX.replace('"fc"', '"conv1"'))).cause == "unknown shape"


@pytest.mark.parametrize("kernel", ["kernel_h: 1 kernel_w: 5", "kernel_size: 1"])
def test_arrays_that_may_be_sequences_or_features_have_an_unknown_shape(kernel: str) -> None:
    assert unknown(net(data=HDF5).replace("kernel_size: 5", kernel)).cause == "unknown shape"


def test_a_number_of_items_that_only_a_program_knows_is_an_unknown_shape() -> None:
    python = 'type: "Python" top: "data" top: "label" python_param { module: "layers" layer: "Loader" }'
    assert unknown(net(data=python)).cause == "unknown shape"


UNNORMALISED = """
layer { name: "data" type: "Data" top: "data" data_param { source: "a" batch_size: 1 } transform_param { mean_value: 104 } }
layer { name: "label" type: "Data" top: "label" data_param { source: "b" batch_size: 1 } }
layer {
  name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  param { lr_mult: 1 } param { lr_mult: 2 } convolution_param { num_output: 16 kernel_size: 3 pad: 1 CONV }
}
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "score" type: "Convolution" bottom: "pool1" top: "score" convolution_param { num_output: 5 kernel_size: 1 SCORE } }
layer {
  name: "upscore" type: "Deconvolution" bottom: "score" top: "upscore" param { lr_mult: 0 }
  convolution_param { num_output: 5 kernel_size: 2 stride: 2 bias_term: false UP }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "upscore" bottom: "label" loss_param { ignore_label: 255 normalize: false } }
"""
SMALL_RATE = 'net: "net.prototxt" base_lr: 1e-12 lr_policy: "fixed" momentum: 0.99 iter_size: 20 max_iter: 100000 '


@pytest.mark.parametrize(
    ("conv", "score", "up"), [("", "", ""), (XAVIER, XAVIER, ""), ("", XAVIER, ""), ("", XAVIER, 'weight_filler { type: "bilinear" }')]
)
def test_of_weights_that_a_script_writes_nothing_is_told(conv: str, score: str, up: str) -> None:
    text = UNNORMALISED.replace("CONV", conv).replace("SCORE", score).replace("UP", up)
    assert unknown(text, SMALL_RATE).cause in ("loaded weights", "unknown weights", "zero weights")
    findings = check_files({"solver.prototxt": SMALL_RATE, "net.prototxt": text}, select=("G",))
    for finding in findings:
        assert "diverge" not in finding.message
        assert "stall" not in finding.message
        assert finding.fix is None or not finding.fix.safe


def test_targets_of_unknown_size_have_the_channels_of_what_they_are_compared_with() -> None:
    text = UNNORMALISED.replace("CONV", XAVIER).replace("SCORE", XAVIER).replace("UP", 'weight_filler { type: "bilinear" }')
    text = text.replace("num_output: 5", "num_output: 3").replace("SoftmaxWithLoss", "EuclideanLoss")
    found = known(text.replace(" loss_param { ignore_label: 255 normalize: false }", ""))
    shapes = {layer.name: layer.tops[0].shape for layer in found.training.net.layers[:2]}
    assert shapes == {"data": (1, 3, 224, 224), "label": (1, 3, 224, 224)}


def test_labels_of_unknown_size_are_maps_of_one_channel() -> None:
    text = UNNORMALISED.replace("CONV", XAVIER).replace("SCORE", XAVIER).replace("UP", 'group: 5 weight_filler { type: "bilinear" }')
    found = known(text)
    shapes = {layer.name: layer.tops[0].shape for layer in found.training.net.layers[:2]}
    assert shapes == {"data": (1, 3, 224, 224), "label": (1, 1, 224, 224)}


def test_scores_of_all_classes_that_are_interpolated_together_learn_nothing() -> None:
    """All outputs are the same sum, so the gradients of a softmax, which add up to 0, leave nothing below it."""
    text = UNNORMALISED.replace("CONV", XAVIER).replace("SCORE", XAVIER).replace("UP", 'weight_filler { type: "bilinear" }')
    assert unknown(text).cause == "no gradient"
    assert "group" in unknown(text).remedy


# -- over a range -----------------------------------------------------------------------------------------------


def test_a_verdict_that_depends_on_the_data_is_not_given() -> None:
    found = unknown(net(data=PROGRAM), SOLVER.replace("0.001", "0.1"))
    assert found.cause == "data"
    assert "--data-facts" in found.remedy


def test_a_verdict_that_holds_for_all_data_is_given_with_its_least_probability() -> None:
    found = known(net(data=PROGRAM), SOLVER.replace("0.001", "1e5"))
    assert found.verdict.word == "diverges"
    each = [known(net(data=PROGRAM), SOLVER.replace("0.001", "1e5")).verdict.p_diverges]
    assert found.verdict.p_diverges == min(each)
    assert found.reasons
    assert cannot_tell(job(net(data=PROGRAM), SOLVER.replace("0.001", "1e5"))) is None


def found(code: str, text: str, solver: str = SOLVER) -> list[Finding]:
    return check_files({"solver.prototxt": solver, "net.prototxt": text}, select=(code,))


def test_a_run_is_said_to_stall_only_if_it_does_with_all_data() -> None:
    assert found("G108", net(), SOLVER.replace("0.001", "1e-9"))
    # With data of magnitude 1 it stalls, with bytes it does not.
    assert found("G108", net(data=PROGRAM), SOLVER.replace("0.001", "1e-6")) == []


def test_units_that_saturate_only_with_bytes_are_not_reported() -> None:
    sigmoid = net(data=PROGRAM).replace('"ReLU"', '"Sigmoid"').replace("xavier", "gaussian")
    assert found("G109", sigmoid.replace('type: "gaussian"', 'type: "gaussian" std: 0.1')) == []
    (finding,) = found("G109", sigmoid.replace('type: "gaussian"', 'type: "gaussian" std: 100'))
    assert re.search(r"inputs average \S+ to \S+ in magnitude", finding.message)


def test_without_facts_no_scale_is_proposed() -> None:
    assert found("G107", net(data=f"{DATABASE} transform_param {{ crop_size: 32 }}"), SOLVER.replace("0.001", "1")) == []


def test_a_factor_that_holds_for_all_data_is_given_without_sizes() -> None:
    widening = """
layer {
  name: "up" type: "Deconvolution" bottom: "conv1" top: "up"
  convolution_param { num_output: 64 kernel_size: 4 stride: 4 weight_filler { type: "xavier" } }
}
"""
    text = net(middle=widening).replace('bottom: "conv1" top: "fc"', 'bottom: "up" top: "fc"')
    (finding,) = found("G104", text)
    assert "Predicted for iteration 0 (assumed: 'data': 8-bit images; " in finding.reason
    assert re.search(r"activations change by a factor of \S+, and gradients on the way back by", finding.reason)
    assert " in magnitude" not in finding.reason

