"""G111 and G112: values that leave the domain of a layer or a loss, by the intervals of what makes them."""

from __future__ import annotations

import pytest
from harness import check, fix

from caffe_lint.moments.blob_facts import BlobFacts
from caffe_lint.net.data_facts import SourceFacts


def net(*layers: str, top: str = "x") -> str:
    return f"""\
layer {{
  name: "data"
  type: "Data"
  top: "data"
  top: "label"
  data_param {{ source: "train" batch_size: 4 backend: LMDB }}
}}
layer {{
  name: "fc"
  type: "InnerProduct"
  bottom: "data"
  top: "fc"
  inner_product_param {{ num_output: 5 weight_filler {{ type: "xavier" }} }}
}}
{"".join(layers)}layer {{
  name: "score"
  type: "InnerProduct"
  bottom: "{top}"
  top: "score"
  inner_product_param {{ num_output: 5 weight_filler {{ type: "xavier" }} }}
}}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }}
"""


RELU = 'layer { name: "relu" type: "ReLU" bottom: "fc" top: "fc" }\n'
SIGMOID = RELU.replace("relu", "sigmoid").replace("ReLU", "Sigmoid")
TANH = RELU.replace("relu", "tanh").replace("ReLU", "TanH")
CLIP = 'layer { name: "clip" type: "Clip" bottom: "fc" top: "clipped" clip_param { min: -2 max: 2 } }\n'
DROPOUT = RELU.replace("relu", "drop").replace("ReLU", "Dropout")
FACTS = {"train": SourceFacts("lmdb", 100, {"data": BlobFacts((3,), 0.0, 255.0, 100.0, 100.0, 60.0)}, (0.0, 4.0), {})}


def layer(kind: str, settings: str = "", bottom: str = "fc") -> str:
    return f'layer {{ name: "it" type: "{kind}" bottom: "{bottom}" top: "x" {settings} }}\n'


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([RELU, layer("Log")], "the logarithm of 0"),
        ([layer("Log")], "values below 0"),
        ([SIGMOID, DROPOUT, layer("Log")], "the logarithm of 0"),
        ([SIGMOID, layer("Log", "log_param { shift: -2 scale: 1 }", "data")], "values below 0 (-2)"),
        ([TANH, layer("Power", "power_param { power: 0.5 }")], "below 0 to the power of 0.5"),
        ([RELU, layer("Power", "power_param { power: -1 }")], "0 to the power of -1"),
        ([RELU, layer("Power", "power_param { power: 0.5 }")], "no gradient at 0"),
        ([RELU, layer("Power", "power_param { power: 3 scale: 2 }")], "no gradient at 0"),
        ([layer("Exp", bottom="data")], "the exponential of values up to 255"),
        ([RELU, layer("LRN", "lrn_param { k: 0 }")], "a k of 0"),
        ([layer("LRN", "lrn_param { alpha: -1 }")], "an alpha of -1"),
        ([CLIP, layer("LRN", "lrn_param { alpha: -1 }", "clipped")], "an alpha of -1"),
        ([CLIP, layer("Log", "log_param { shift: -0.5 }", "clipped")], "values below 0"),
        ([layer("LRN", "lrn_param { alpha: -1e-4 norm_region: WITHIN_CHANNEL }", "data")], "an alpha of -0.0001"),
        ([layer("BatchNorm", "batch_norm_param { eps: -1e-5 }")], "an eps of -1e-05"),
        ([layer("BatchNorm", "batch_norm_param { eps: -1 use_global_stats: true }")], "an eps of -1"),
    ],
)
def test_what_certainly_breaks_is_found(layers: list[str], said: str) -> None:
    (finding,) = check(net(*layers), select=("G111",), facts=FACTS)
    assert said in finding.message


@pytest.mark.parametrize(
    "layers",
    [
        [RELU, layer("Log", "log_param { shift: 1 }")],
        [SIGMOID, layer("Log")],
        [layer("Log", bottom="data", settings="log_param { shift: 1 }")],
        [layer("Power", "power_param { power: 2 }")],
        [layer("Power", "power_param { power: 3 }")],
        [RELU, layer("Power", "power_param { power: 0.5 shift: 0.1 }")],
        [layer("Power", "power_param { power: 0.5 }", "data")],
        [SIGMOID, layer("Power", "power_param { power: -1 }")],
        [layer("Exp")],
        [layer("Exp", "exp_param { scale: 0.1 }", "data")],
        [RELU, layer("LRN")],
        [SIGMOID, layer("LRN", "lrn_param { alpha: -0.5 }")],
        [layer("LRN", "lrn_param { alpha: -1 beta: 2 }")],
        [layer("LRN", "lrn_param { alpha: -1e-5 }", "data")],
        [layer("LRN", "lrn_param { alpha: 0 }")],
        [CLIP, layer("LRN", "lrn_param { alpha: -0.1 }", "clipped")],
        [CLIP, layer("Log", "log_param { shift: 2.5 }", "clipped")],
        [layer("BatchNorm")],
        [layer("BatchNorm", "batch_norm_param { eps: 0 }")],
        [layer("LRN", "lrn_param { k: 0 }")],
        [RELU, layer("Power", "power_param { power: nan scale: inf }")],
    ],
)
def test_what_may_be_sound_is_clean(layers: list[str]) -> None:
    assert check(net(*layers), select=("G111",), facts=FACTS) == []


LOSS = 'layer { name: "tags" type: "SigmoidCrossEntropyLoss" bottom: "fc" bottom: "%s" top: "tags" }\n'


def test_class_labels_are_no_targets_of_a_sigmoid_cross_entropy() -> None:
    text = net(SIGMOID.replace('top: "fc"', 'top: "x"'), LOSS % "label")
    (finding,) = check(text, select=("G112",), facts=FACTS)
    assert "from 0 to 4" in finding.message


@pytest.mark.parametrize("target", ["x", "label"])
def test_targets_within_0_and_1_or_of_unknown_range_are_clean(target: str) -> None:
    text = net(SIGMOID.replace('top: "fc"', 'top: "x"'), LOSS % target)
    assert check(text, select=("G112",), facts=FACTS if target == "x" else {}) == []


MASKS = """\
layer {
  name: "mask"
  type: "%s"
  top: "mask"
%s}
"""
MASK = MASKS % ("Data", '  data_param { source: "masks" batch_size: 4 }\n')


def masked(mask: str) -> str:
    return net(SIGMOID.replace('top: "fc"', 'top: "x"'), mask, LOSS % "mask")


def transformed(transform: str) -> str:
    return MASK.replace("batch_size: 4 }\n", f"batch_size: 4 }}\n  transform_param {{ {transform} }}\n")


def test_unscaled_pixels_may_be_masks_of_255() -> None:
    (finding,) = check(masked(MASK), select=("G112",))
    assert finding.severity == "advice"
    assert "pixels of 'mask' without a scale" in finding.message
    assert "Set scale: 0.00392157 in the transform_param of 'mask'" in finding.reason
    listed = MASKS % ("ImageData", '  top: "unused"\n  image_data_param { source: "masks" batch_size: 4 }\n')
    (finding,) = check(masked(listed), select=("G112",))
    assert finding.severity == "warning"


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        ("scale: 0.01", "from 0 to 2.55 for pixels"),
        ("scale: 0.0078125 mean_value: 127.5", "from -0.9961 to 0.9961 for pixels"),
        ('mean_file: "mean.binaryproto"', "a mean is subtracted"),
        ("scale: 0.00392157", ""),
        ("scale: 0.00390625 mirror: true", ""),
    ],
)
def test_the_transform_of_masks_is_judged_without_data(transform: str, said: str) -> None:
    found = check(masked(transformed(transform)), select=("G112",))
    assert [(finding.severity, said in finding.message) for finding in found] == [("warning", True)] * bool(said)


def test_pixels_of_0_to_255_are_scaled() -> None:
    def facts(high: float) -> dict[str, SourceFacts]:
        return {"masks": SourceFacts("lmdb", 100, {"data": BlobFacts((1,), 0.0, high)}, None, {})}

    assert check(masked(MASK), select=("G112",), facts=facts(1)) == []
    fixed = fix(masked(MASK), select=("G112",), unsafe=True, facts=facts(255))
    assert check(fixed, select=("G112",), facts=facts(255)) == []
    assert "scale: 0.00392157" in fixed
    mirrored = fix(masked(transformed("mirror: true")), select=("G112",), unsafe=True, facts=facts(255))
    assert mirrored == masked(transformed("mirror: true scale: 0.00392157"))
    assert fix(masked(MASK), select=("G112",), unsafe=True, facts=facts(9)) == masked(MASK)


@pytest.mark.parametrize(("filler", "found"), [("value: 2", 1), ("value: 1", 0), ('type: "gaussian" std: 9', 0)])
def test_constants_of_dummy_data_are_known(filler: str, found: int) -> None:
    dummy = f'layer {{ name: "d" type: "DummyData" top: "dummy" dummy_data_param {{ data_filler {{ {filler} }} shape {{ dim: 4 dim: 4 }} }} }}\n'
    text = net(SIGMOID.replace('top: "fc"', 'top: "x"'), dummy, LOSS % "dummy")
    assert len(check(text, select=("G112",))) == found


def test_nothing_is_known_of_a_blob_without_a_producer() -> None:
    log = 'layer { name: "log" type: "Log" bottom: "gone" top: "log" }\n'
    loss = 'layer { name: "loss" type: "SigmoidCrossEntropyLoss" bottom: "log" bottom: "lost" top: "loss" }\n'
    assert {finding.code for finding in check(log + loss)} & {"E201", "G111", "G112"} == {"E201"}
