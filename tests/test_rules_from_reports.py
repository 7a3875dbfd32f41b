"""Mistakes of the kinds that people report publicly: what is said of them, where, and with which action."""

from __future__ import annotations

import pytest
from harness import check, fix
from nets import net_of

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
