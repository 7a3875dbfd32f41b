"""Mistakes of the kinds that people report publicly: what is said of them, where, and with which action."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from harness import check, check_files, fix
from nets import net_of

from caffe_lint.cli.commands import cli

RMS = 'net: "n.prototxt"\nbase_lr: 0.001\nlr_policy: "fixed"\nmax_iter: 100\ntype: "RMSProp"\nrms_decay: 0.02\n'


def said(text: str, *codes: str, **settings: object) -> list[tuple[str, str, int]]:
    """The code, severity and line of each finding of some rules."""
    return [(found.code, found.severity, found.place.line) for found in check(text, select=codes, **settings)]


# -- solvers -----------------------------------------------------------------------------------------------


def test_a_decay_that_looks_like_its_complement() -> None:
    assert said(RMS, "S139") == [("S139", "warning", 6)]
    assert "rms_decay: 0.98\n" in fix(RMS, unsafe=True, select=("S139",))
    adam = RMS.replace("RMSProp", "Adam").replace("rms_decay: 0.02", "momentum2: 0.001")
    assert "momentum2: 0.999\n" in fix(adam, unsafe=True, select=("S139",))


@pytest.mark.parametrize("value", ["0", "0.3", "0.5", "0.9", "0.999"])
def test_decays_that_may_be_meant(value: str) -> None:
    assert said(RMS.replace("0.02", value), "S139") == []
    assert said(RMS.replace("RMSProp", "SGD"), "S139") == []


# -- settings ----------------------------------------------------------------------------------------------

CUSTOM = 'layer { name: "a" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } }\n'
CUSTOM += 'layer { name: "m" type: "%s" bottom: "x" top: "y" my_own_param { rounds: 3 } }\n'


def test_settings_of_a_custom_layer_are_as_uncertain_as_its_type() -> None:
    assert said(CUSTOM % "MyOwn", "E110", "E116") == [("E116", "advice", 2), ("E110", "advice", 2)]
    assert said(CUSTOM % "ReLU", "E110") == [("E110", "error", 2)]
    assert ("E110", "error", 2) in said(CUSTOM % "Relu", "E110", "E116")  # a misspelled type is no custom one


def test_settings_of_a_custom_layer_in_the_old_format() -> None:
    text = 'layers { name: "m" type: MULTI_STAGE bottom: "x" top: "y" multi_stage_param { rounds: 3 } }\n'
    assert said(text, "E110", "E112") == [("E112", "advice", 1), ("E110", "advice", 1)]
    assert said(text.replace("MULTI_STAGE", "POOLING"), "E110") == [("E110", "error", 1)]


@pytest.mark.parametrize(
    ("layer", "settings"),
    [("Data", "data_param"), ("ImageData", "image_data_param"), ("HDF5Data", "hdf5_data_param"), ("WindowData", "window_data_param")],
)
def test_a_data_layer_without_a_source(layer: str, settings: str) -> None:
    crop = "transform_param { crop_size: 5 }" if layer == "WindowData" else ""
    text = f'layer {{ name: "d" type: "{layer}" top: "x" top: "l" {crop} {settings} {{ batch_size: 2 }} }}\n'
    assert said(text, "E208") == [("E208", "error", 1)]
    assert said(text.replace("batch_size", 'source: "s" batch_size'), "E208") == []


def test_a_dimension_of_0() -> None:
    fed = 'layer { name: "a" type: "Input" top: "x" input_param { shape { dim: 1 dim: 0 dim: 8 dim: 8 } } }\n'
    assert said(fed, "E207") == [("E207", "warning", 1)]
    made = 'layer { name: "a" type: "DummyData" top: "x" dummy_data_param { shape { dim: 4 dim: 0 } } }\n'
    assert said(made, "E207") == [("E207", "error", 1)]
    assert said(made.replace("dim: 0", "dim: 3"), "E207") == []


def test_a_negative_size_is_reported_whatever_else_is_unknown() -> None:
    text = 'layer { name: "d" type: "Data" top: "x" data_param { source: "s" batch_size: 2 } }\n'
    text += 'layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 4 kernel_size: 5 } }\n'
    net = net_of(text, input_shapes={"x": (0, 0, 1, 1)})
    assert [problem.kind for problem in net.problems] == ["negative-size"]


def test_hdf5_data_take_their_batch_size_from_the_file() -> None:
    text = 'layer { name: "d" type: "HDF5Data" top: "x" hdf5_data_param { source: "s" batch_size: 7 } }\n'
    blob = net_of(text, input_shapes={"x": (0, 12)}).blob("x")
    assert blob is not None
    assert blob.shape == (7, 12)


# -- a type that is not meant ------------------------------------------------------------------------------

FED = """\
layer { name: "d" type: "Input" top: "x" data_param { source: "s" batch_size: 2 } transform_param { crop_size: 9 } }
layer { name: "e" type: "Input" top: "y" data_param { source: "t" batch_size: 2 } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "s" type: "Silence" bottom: "c" bottom: "y" bottom: "x" }
"""


def test_settings_of_another_type_are_one_finding_and_what_follows_is_checked() -> None:
    codes = ("E1", "E2", "N1", "N304", "E222")
    assert said(FED, *codes) == [("E222", "error", 1)]
    fixed = fix(FED, unsafe=True, select=("E222",))
    assert fixed == FED.replace("Input", "Data")
    assert said(fixed, *codes) == []
    assert said(FED.replace("kernel_size: 3", "kernel_size: 11"), *codes) == [("E222", "error", 1), ("E207", "error", 3)]


def test_a_pooling_with_settings_of_a_convolution() -> None:
    text = 'layer { name: "d" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }\n'
    text += 'layer { name: "p" type: "Pooling" bottom: "x" top: "p" convolution_param { num_output: 4 kernel_size: 3 } }\n'
    assert said(text, "E2", "N304") == [("E222", "error", 2)]


def test_types_that_work_with_settings_of_another_are_no_wrong_types() -> None:
    text = 'layer { name: "d" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } data_param { source: "s" } }\n'
    text += 'layer { name: "r" type: "ReLU" bottom: "x" top: "r" pooling_param { kernel_size: 3 } }\n'
    assert said(text, "E2") == []


# -- what would make shapes fit ----------------------------------------------------------------------------


def note(text: str, code: str = "E205", **settings: object) -> str:
    """The note of the only finding of a rule."""
    (finding,) = check(text, select=(code,), **settings)
    return finding.reason


def conv(name: str, bottom: str, outputs: int, settings: str = "kernel_size: 1", kind: str = "Convolution") -> str:
    """A layer with weights."""
    inside = f"convolution_param {{ num_output: {outputs} {settings} }}"
    return f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{name}" {inside} }}\n'


def images(height: int, width: int) -> str:
    """An Input of images."""
    shape = f"shape {{ dim: 1 dim: 3 dim: {height} dim: {width} }}"
    return f'layer {{ name: "d" type: "Input" top: "x" input_param {{ {shape} }} }}\n'


POOL = 'layer { name: "p" type: "Pooling" bottom: "a" top: "p" pooling_param { kernel_size: 2 stride: 2 } }\n'
SUM = 'layer { name: "s" type: "Eltwise" bottom: "%s" bottom: "%s" top: "s" }\n'


def test_the_layer_with_another_number_of_outputs_than_its_siblings() -> None:
    text = images(8, 8) + conv("a", "x", 3) + conv("u", "a", 4, kind="Deconvolution") + conv("v", "a", 3, kind="Deconvolution")
    text += SUM % ("a", "u")
    assert note(text).endswith("num_output is 3 in 'a' and 4 in 'u': set it to 3 in 'u', as in the other Deconvolution, 'v'.")
    assert note(images(8, 8) + conv("a", "x", 3) + conv("b", "x", 4) + SUM % ("a", "b")).endswith("both must be the same.")


def test_pooling_rounds_up_and_which_images_fit() -> None:
    text = images(13, 16) + conv("a", "x", 4) + POOL + conv("u", "p", 4, "kernel_size: 2 stride: 2", "Deconvolution")
    reason = note(text + SUM % ("a", "u"))
    assert "Pooling rounds up where Convolution rounds down: 'p' makes 7 of 13." in reason
    assert reason.endswith("Images of height 12 or 14 would fit, instead of 13.")


def test_images_for_which_one_score_per_class_remains() -> None:
    label = 'layer { name: "l" type: "Input" top: "l" input_param { shape { dim: 1 } } }\n'
    loss = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "c" bottom: "l" top: "loss" }\n'
    text = images(12, 10) + label + conv("c", "x", 2, "kernel_size: 5 stride: 4") + loss
    assert note(text).endswith("one score per class for images of 5 x 5 to 8 x 8, instead of 12 x 10.")


def test_outputs_that_a_target_needs() -> None:
    target = 'layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 1 dim: 30 } } }\n'
    inner = 'layer { name: "f" type: "InnerProduct" bottom: "x" top: "f" inner_product_param { num_output: 8 } }\n'
    loss = 'layer { name: "loss" type: "EuclideanLoss" bottom: "f" bottom: "t" top: "loss" }\n'
    assert note(images(8, 8) + target + inner + loss).endswith("'t' has 30 values per item: 'f' needs num_output 30.")


def test_outputs_that_a_reshape_can_divide() -> None:
    inner = 'layer { name: "f" type: "InnerProduct" bottom: "x" top: "f" inner_product_param { num_output: 21 } }\n'
    reshape = 'layer { name: "r" type: "Reshape" bottom: "f" top: "r" reshape_param { shape { dim: -1 dim: 8 } } }\n'
    assert "num_output 21 of 'f' would have to be a multiple of 8" in note(images(8, 8) + inner + reshape)


HEADS = """\
layer { name: "%(n)s" type: "Convolution" bottom: "x" top: "%(n)s" convolution_param { num_output: %(o)d kernel_size: 1 } }
layer { name: "%(n)sp" type: "Permute" bottom: "%(n)s" top: "%(n)sp" permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "%(n)sf" type: "Flatten" bottom: "%(n)sp" top: "%(n)sf" }
"""


def test_the_head_of_a_detector_that_is_off() -> None:
    text = images(4, 4) + "".join(HEADS % {"n": n, "o": o} for n, o in (("loc", 24), ("one", 42), ("two", 20)))
    text += 'layer { name: "conf" type: "Concat" bottom: "onef" bottom: "twof" top: "conf" }\n'
    text += 'layer { name: "boxes" type: "PriorBox" bottom: "x" bottom: "x" top: "boxes" prior_box_param { min_size: 2 max_size: 3 aspect_ratio: 2 aspect_ratio: 3 } }\n'
    text += 'layer { name: "found" type: "DetectionOutput" bottom: "locf" bottom: "conf" bottom: "boxes" top: "found" detection_output_param { num_classes: 21 } }\n'
    findings = check(text, select=("E205",), dialect="ssd")
    assert [finding.severity for finding in findings] == ["error"]
    assert findings[0].reason.endswith("num_output 20 of 'two' is not a multiple of num_classes 21, such as 21.")
    assert "BVLC" not in findings[0].reason


# -- what no rate and no clipping mends --------------------------------------------------------------------

BLANK = """\
layer {
  name: "d" type: "DummyData" top: "x" top: "l"
  dummy_data_param {
    shape { dim: 8 dim: 3 dim: 9 dim: 9 } shape { dim: 8 }
    data_filler { type: "gaussian" std: 40 } data_filler { type: "constant" value: 1 }
  }
}
layer {
  name: "c" type: "Convolution" bottom: "x" top: "c"
  convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "msra" } }
}
layer { name: "n" type: "BatchNorm" bottom: "c" top: "c" batch_norm_param { use_global_stats: true eps: 1e-5 } }
layer {
  name: "f" type: "InnerProduct" bottom: "c" top: "f"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "f" bottom: "l" top: "loss" }
"""
SGD = 'net: "n.prototxt"\nbase_lr: 0.1\nlr_policy: "fixed"\nmomentum: 0.9\nmax_iter: 100\n'


@pytest.mark.parametrize("clip", ["", "clip_gradients: 1e-6\n"])
def test_blank_statistics_are_named_and_not_repaired_by_other_means(tmp_path: Path, clip: str) -> None:
    files = {"s.prototxt": SGD + clip, "n.prototxt": BLANK}
    (finding,) = check_files(files, select=("N405",))
    assert finding.message.endswith("blank ones, which multiply by 316")
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    printed = CliRunner().invoke(cli, ["signal", str(tmp_path / "s.prototxt"), "--from-scratch"]).output
    assert printed.startswith("Cannot tell" if clip else "Training is likely to diverge")
    assert "its statistics are blank (use_global_stats) and multiply values by 316" in printed
    assert "clip_gradients:" not in printed
    assert "base_lr:" not in printed


def test_a_last_layer_of_zeros_blocks_no_gradient(tmp_path: Path) -> None:
    net = BLANK.replace('weight_filler { type: "xavier" }', "").replace("use_global_stats: true ", "")
    net = net.replace('bottom: "c" top: "f"', 'bottom: "x" top: "f"')
    (tmp_path / "n.prototxt").write_text(net)
    (tmp_path / "s.prototxt").write_text(SGD.replace("0.1", "1e-9"))
    printed = CliRunner().invoke(cli, ["signal", str(tmp_path / "s.prototxt"), "--from-scratch"]).output
    assert "no gradient passes" not in printed


# -- deploy nets -------------------------------------------------------------------------------------------

OLD = """\
input: "x"
input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { name: "f" type: INNER_PRODUCT bottom: "x" top: "f" inner_product_param { num_output: 2 } }
layers {
  name: "out"
  type: SOFTMAX_LOSS
  bottom: "f"
  bottom: "label"
}
"""
NEW = """\
layer { name: "d" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "f" type: "InnerProduct" bottom: "x" top: "f" inner_product_param { num_output: 2 } }
layer { name: "out" type: "SigmoidCrossEntropyLoss" bottom: "f" bottom: "label" top: "loss" loss_weight: 2 }
layer { name: "acc" type: "Accuracy" bottom: "f" bottom: "label" top: "acc" }
"""


def test_a_loss_in_a_deploy_net_becomes_what_it_applies() -> None:
    assert fix(OLD, unsafe=True, select=("E201",)) == OLD.replace("SOFTMAX_LOSS", "SOFTMAX").replace('bottom: "label"', 'top: "prob"')
    left_over = OLD.replace("SOFTMAX_LOSS", "SOFTMAX")
    assert fix(left_over, unsafe=True, select=("E201",)) == left_over.replace('bottom: "label"', 'top: "prob"')
    first, second, third, _ = NEW.splitlines(keepends=True)
    mended = third.replace("CrossEntropyLoss", "").replace('bottom: "label" ', "").replace(" loss_weight: 2", "")
    assert fix(NEW, unsafe=True, select=("E201",)) == first + second + mended


# -- twins -------------------------------------------------------------------------------------------------

TWIN = 'layer { name: "%s" type: "InnerProduct" bottom: "x" top: "%s" param { name: "w" } %s inner_product_param { num_output: 2 } }\n'


@pytest.mark.parametrize(
    ("bias", "codes"),
    [
        ("param { lr_mult: 2 }", [("N706", "warning", 3)]),
        ('param { name: "b" }', []),
        ("param { lr_mult: 0 }", []),
        ("", [("N706", "warning", 3)]),
    ],
)
def test_twins_that_share_only_their_weights(bias: str, codes: list[tuple[str, str, int]]) -> None:
    text = images(8, 8) + TWIN % ("a", "a", bias) + TWIN % ("b", "b", bias)
    assert said(text, "N706") == codes
    assert ('name: "w_bias"' in fix(text, unsafe=True, select=("N706",))) == (bias == "param { lr_mult: 2 }")


def test_weights_shared_with_a_layer_without_a_bias() -> None:
    text = images(8, 8) + TWIN % ("a", "a", "") + (TWIN % ("b", "b", "")).replace("num_output: 2", "num_output: 2 bias_term: false")
    assert said(text, "N706") == []


# -- sums over pixels --------------------------------------------------------------------------------------

MASK = """\
layer { name: "d" type: "Data" top: "x" data_param { source: "s" batch_size: 2 } transform_param { crop_size: 32 } }
layer { name: "t" type: "Data" top: "t" data_param { source: "t" batch_size: 2 } transform_param { crop_size: 32 } }
layer {
  name: "c" type: "Convolution" bottom: "x" top: "c"
  convolution_param { num_output: 1 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SigmoidCrossEntropyLoss" bottom: "c" bottom: "t" top: "loss" }
"""


def summed(net: str, rate: str = "0.1") -> list[str]:
    """The messages of G113 for a net, trained at a rate."""
    files = {"s.prototxt": SGD.replace("0.1", rate), "n.prototxt": net}
    return [found.message for found in check_files(files, select=("G113",))]


def test_a_loss_that_is_summed_over_pixels() -> None:
    assert summed(MASK) == ["SigmoidCrossEntropyLoss layer 'loss' is summed over all pixels of 'c'"]
    assert summed(MASK, "1e-6") == []  # a rate for sums
    assert summed(MASK.replace('top: "loss"', 'top: "loss" loss_weight: 1e-5')) == []
    assert summed(MASK.replace('top: "loss"', 'top: "loss" loss_param { normalization: BATCH_SIZE }')) == []
    flat = MASK.replace("kernel_size: 3 pad: 1", "kernel_size: 32")
    assert summed(flat) == []


def test_a_row_of_outputs_is_no_image() -> None:
    row = MASK.replace('bottom: "c" bottom: "t" top: "loss"', 'bottom: "r" bottom: "t" top: "loss"').replace(
        'layer { name: "loss"', 'layer { name: "r" type: "Reshape" bottom: "c" top: "r" reshape_param { shape { dim: 2 dim: 1 dim: 1 dim: -1 } } }\nlayer { name: "loss"'
    )
    assert summed(row) == []
