"""`caffe-lint net`: the table and JSON of a net, and the errors on standard error."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from caffe_lint.cli.commands import run
from caffe_lint.cli.console import EXIT_FAILED
from caffe_lint.report.net_table import WIDTH, quantity, shortened
from caffe_lint.source.errors import InputError

SMALL = """\
name: "small"
layer {
  name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { crop_size: 16 } data_param { source: "train_lmdb" batch_size: 8 }
}
layer {
  name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 16 } data_param { source: "test_lmdb" batch_size: 4 }
}
layer {
  name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 16 kernel_size: 3 }
}
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer {
  name: "branch" type: "Convolution" bottom: "conv1" top: "branch"
  convolution_param { num_output: 16 kernel_size: 1 }
}
layer { name: "sum" type: "Eltwise" bottom: "branch" bottom: "conv1" top: "sum" }
layer { name: "flat" type: "Flatten" bottom: "sum" top: "flat" }
layer {
  name: "score" type: "InnerProduct" bottom: "flat" top: "score"
  inner_product_param { num_output: 10 }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
layer {
  name: "accuracy" type: "Accuracy" bottom: "score" bottom: "label" top: "accuracy"
  include { phase: TEST }
}
"""
SHAPE = "data=0,3,0,0"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run every test in a folder of its own that contains the small net."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "caffe-lint.toml").write_text("")
    (tmp_path / "net.prototxt").write_text(SMALL)
    return tmp_path


class Shown:
    """Runs `caffe-lint net` and keeps what it wrote."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd
        self.status = -1
        self.errors = ""

    def __call__(self, *arguments: str) -> str:
        self.status = run(["net", *arguments])
        text, self.errors = self._capfd.readouterr()
        return text

    def json(self, *arguments: str) -> Any:
        """What `--output-format json` says."""
        return json.loads(self(*arguments, "--output-format", "json"))


@pytest.fixture
def shown(capfd: pytest.CaptureFixture[str]) -> Shown:
    return Shown(capfd)


def test_the_table_of_a_net(shown: Shown) -> None:
    table = shown("net.prototxt", "--phase", "TRAIN", "--input-shape", SHAPE)
    assert (shown.status, shown.errors) == (0, "")
    assert (
        table
        == """\
net.prototxt: 'small' in TRAIN, 8 layers

layer   type             kernel  bottoms  tops      shape       params  mult-adds   memory
------  ---------------  ------  -------  --------  ----------  ------  ---------  -------
data    Data                              =         8x3x16x16                      24.6 kB
                                          label     8                                 32 B
conv1   Convolution      3x3     data     =         8x16x14x14     448      677 k   100 kB
relu1   ReLU                     conv1    in place  8x16x14x14
branch  Convolution      1x1     conv1    =         8x16x14x14     272      401 k   100 kB
sum     Eltwise                  branch   =         8x16x14x14                      100 kB
                                 conv1
flat    Flatten                  sum      =         8x3136                          shared
score   InnerProduct             flat     =         8x10        31.4 k      251 k    320 B
loss    SoftmaxWithLoss          score    =         scalar                             4 B
                                 label

learnable  32.1 k values in 6 blobs, 128 kB
mult-adds  1.33 M in one forward pass, 166 k per item (batch of 8)
memory     326 kB for the values of blobs; training also stores their gradients
losses     loss x 1
outputs    loss
"""
    )


def test_unknown_numbers_and_their_sums_are_question_marks(shown: Shown) -> None:
    lines = shown("net.prototxt", "--phase", "TRAIN").splitlines()
    data, conv = lines[4], lines[6]
    assert data.split() == ["data", "Data", "=", "8x?x16x16", "?"]
    assert conv.split() == ["conv1", "Convolution", "3x3", "data", "=", "8x16x14x14", "?", "?", "100", "kB"]
    assert "learnable  31.7 k + ? values in 6 blobs, 127 kB + ?" in lines
    assert "mult-adds  652 k + ? in one forward pass" in lines
    assert lines[-1] == (
        "unknown    the files do not give the sizes shown as ?: give them with --input-shape data=8,C,16,16"
    )


def test_the_shape_to_give_is_one_to_give(shown: Shown) -> None:
    asked = shown("net.prototxt", "--phase", "TRAIN").rsplit(maxsplit=1)[1]
    known = shown("net.prototxt", "--phase", "TRAIN", "--input-shape", asked.replace("C", "3"))
    assert "?" not in known
    Path("net.prototxt").write_text(
        SMALL.replace("transform_param { crop_size: 16 }", "").replace('top: "label"', "", 1)
    )
    assert shown("net.prototxt", "--phase", "TRAIN").endswith(" --input-shape data=8,C,H,W\n")


def test_json_of_one_net_is_an_object(shown: Shown) -> None:
    net = shown.json("net.prototxt", "--phase", "TRAIN", "--input-shape", SHAPE)
    assert (net["path"], net["name"], net["phase"], net["level"]) == ("net.prototxt", "small", "TRAIN", 0)
    assert net["blobs"]["data"] == [8, 3, 16, 16]
    assert net["blobs"]["conv1"] == [8, 16, 14, 14]
    assert net["blobs"]["loss"] == []
    assert net["layers"][1] == {
        "name": "conv1", "type": "Convolution", "bottoms": ["data"], "tops": ["conv1"],
        "params": [[16, 3, 3, 3], [16]], "multiply_adds": 677376, "memory": 100352,
        "window": {"kernel": [3, 3], "stride": [1, 1], "pad": [0, 0], "dilation": [1, 1]},
    }  # fmt: skip
    assert [layer["memory"] for layer in net["layers"] if layer["name"] in ("relu1", "flat")] == [0, 0]
    assert net["outputs"] == ["loss"]
    assert net["losses"] == [{"layer": "loss", "top": "loss", "weight": 1.0}]
    assert net["learnable"] == 448 + 272 + 31370


def test_json_has_null_for_unknown_values(shown: Shown) -> None:
    Path("net.prototxt").write_text(
        'layer { name: "d" type: "HDF5Data" top: "x" hdf5_data_param { source: "x" batch_size: 2 } }'
        'layer { name: "s" type: "Sigmoid" bottom: "x" top: "s" }'
        'layer { name: "p" type: "PReLU" bottom: "s" top: "p" }'
    )
    net = shown.json("net.prototxt", "--phase", "TRAIN")
    assert net["blobs"] == {"x": None, "s": None, "p": None}
    assert net["layers"][2]["params"] == [None]
    assert net["learnable"] is None


def test_a_net_for_both_phases_is_shown_in_both(shown: Shown) -> None:
    nets = shown.json("net.prototxt")
    assert [net["phase"] for net in nets] == ["TRAIN", "TEST"]
    assert nets[1]["outputs"] == ["accuracy", "loss"]
    assert shown("net.prototxt").count("'small' in T") == 2
    assert shown.json("net.prototxt", "--phase", "test")["blobs"]["label"] == [4]


def test_splits_have_the_names_that_caffe_gives_them(shown: Shown) -> None:
    net = shown.json("net.prototxt", "--phase", "TEST", "--splits")
    splits = [layer for layer in net["layers"] if layer["type"] == "Split"]
    assert [layer["name"] for layer in splits] == [
        "label_data_1_split",
        "conv1_relu1_0_split",
        "score_score_0_split",
    ]
    assert splits[1]["bottoms"] == ["conv1"]
    assert splits[1]["tops"] == ["conv1_relu1_0_split_0", "conv1_relu1_0_split_1"]
    assert net["blobs"]["conv1_relu1_0_split_1"] == [4, 16, 14, 14]
    assert {layer["name"]: layer["bottoms"] for layer in net["layers"]}["sum"] == [
        "branch",
        "conv1_relu1_0_split_1",
    ]
    assert "conv1_relu1_0_split  Split" in shown("net.prototxt", "--phase", "TEST", "--splits")


def test_the_level_and_stages_select_layers(shown: Shown) -> None:
    Path("net.prototxt").write_text(
        'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 } } }'
        'layer { name: "high" type: "ReLU" bottom: "d" top: "high" include { min_level: 2 } }'
        'layer { name: "extra" type: "ReLU" bottom: "d" top: "extra" include { stage: "deploy" } }'
    )
    assert [layer["name"] for layer in shown.json("net.prototxt")["layers"]] == ["d"]
    both = shown.json("net.prototxt", "--level", "2", "--stage", "deploy")
    assert [layer["name"] for layer in both["layers"]] == ["d", "high", "extra"]
    assert (both["level"], both["stages"]) == (2, ["deploy"])
    assert "in TEST, level 2, stage deploy, 3 layers" in shown("net.prototxt", "--level", "2", "--stage", "deploy")


# -- shapes of inputs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), [8, None, 16, 16]),
        (("data=0,3,0,0",), [8, 3, 16, 16]),
        (("data=0,3,99,99",), [8, 3, 16, 16]),  # crop_size wins
        (("*=0,1,0,0",), [8, 1, 16, 16]),
        (("*=0,1,0,0", "data=0,3,0,0"), [8, 3, 16, 16]),
    ],
)
def test_input_shapes_fill_in_what_the_file_leaves_open(
    shown: Shown, given: tuple[str, ...], expected: list[int | None]
) -> None:
    options = [word for shape in given for word in ("--input-shape", shape)]
    net = shown.json("net.prototxt", "--phase", "TRAIN", *options)
    assert net["blobs"]["data"] == expected
    assert net["blobs"]["label"] == [8]


def test_the_configuration_can_give_input_shapes(shown: Shown, folder: Path) -> None:
    (folder / "caffe-lint.toml").write_text("[input-shapes]\ndata = [0, 3, 0, 0]\n")
    assert shown.json("net.prototxt", "--phase", "TRAIN")["blobs"]["data"] == [8, 3, 16, 16]
    over = shown.json("net.prototxt", "--phase", "TRAIN", "--input-shape", "data=0,5,0,0")
    assert over["blobs"]["data"] == [8, 5, 16, 16]
    assert shown.json("net.prototxt", "--phase", "TRAIN", "--isolated")["blobs"]["data"] == [8, None, 16, 16]


@pytest.mark.parametrize("line", ["data = 3", "data = []", "data = [1, -3]", 'data = ["a"]', "data = [true]"])
def test_an_invalid_input_shape_in_the_configuration_is_an_error(shown: Shown, folder: Path, line: str) -> None:
    (folder / "caffe-lint.toml").write_text(f"[input-shapes]\n{line}\n")
    with pytest.raises(InputError, match=r"must be a list such as"):
        shown("net.prototxt")


@pytest.mark.parametrize("given", ["data", "data=", "=1,2", "data=1,x", "data=1,,2", "data=-1,2", "data=99999999999"])
def test_a_misspelt_input_shape_is_explained(shown: Shown, given: str) -> None:
    shown("net.prototxt", "--input-shape", given)
    assert shown.status == 2
    assert "expected one such as data=64,3,224,224" in shown.errors


def test_an_input_shape_for_an_unknown_top_is_an_error(shown: Shown) -> None:
    with pytest.raises(InputError, match="no data layer has a top 'dta'; did you mean 'data'"):
        shown("net.prototxt", "--input-shape", "dta=1,2")


def test_an_input_shape_helps_where_the_type_is_unknown(shown: Shown) -> None:
    Path("net.prototxt").write_text(
        'layer { name: "d" type: "HouseData" top: "d" top: "l" }'
        'layer { name: "s" type: "Sigmoid" bottom: "d" top: "s" }'
    )
    net = shown.json("net.prototxt", "--input-shape", "*=4,3,8,8", "--input-shape", "l=4")
    assert net["blobs"] == {"d": [4, 3, 8, 8], "l": [4], "s": [4, 3, 8, 8]}


def test_the_check_takes_input_shapes_as_well(capfd: pytest.CaptureFixture[str]) -> None:
    Path("net.prototxt").write_text(
        SMALL + 'layer { name: "fit" type: "Reshape" bottom: "data" top: "fit"'
        " reshape_param { shape { dim: 0 dim: 4 dim: 64 } } }"
    )
    options = ("check", "net.prototxt", "--select", "E205", "--output-format", "concise")
    assert run([*options]) == 0
    assert run([*options, "--input-shape", "data=0,3,0,0"]) == 1
    assert "'fit'" in capfd.readouterr().out


def test_an_input_shape_that_the_file_overrides_is_reported(shown: Shown) -> None:
    Path("net.prototxt").write_text(
        'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 3 } } }'
    )
    assert shown.json("net.prototxt", "--input-shape", "d=9,3")["blobs"]["d"] == [1, 3]
    assert "'d' is 1 x 3: the file takes precedence" in shown.errors
    assert shown.status == 0


# -- solvers ---------------------------------------------------------------------------------------


def test_a_solver_shows_the_nets_it_builds(shown: Shown, folder: Path) -> None:
    (folder / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.1 test_iter: 1 test_iter: 1 test_interval: 9 max_iter: 9'
    )
    assert [net["phase"] for net in shown.json("solver.prototxt")] == ["TRAIN", "TEST", "TEST"]
    assert shown.status == 0
    assert shown.json("solver.prototxt", "--phase", "TRAIN")["path"] == "net.prototxt"


def test_a_solver_without_its_net_is_an_error(shown: Shown, folder: Path) -> None:
    (folder / "solver.prototxt").write_text('net: "gone.prototxt" base_lr: 0.1 max_iter: 9')
    with pytest.raises(InputError, match=r"no net of this solver can be read: solver\.prototxt:1:6: net 'gone"):
        shown("solver.prototxt")


def test_a_missing_test_net_is_reported_and_the_others_are_shown(shown: Shown, folder: Path) -> None:
    (folder / "solver.prototxt").write_text(
        'train_net: "net.prototxt"\ntest_net: "gone.prototxt"\ntest_iter: 1 test_interval: 9 base_lr: 0.1 max_iter: 9'
    )
    assert shown.json("solver.prototxt")["phase"] == "TRAIN"
    assert shown.status == 1
    assert shown.errors.startswith("solver.prototxt:2:11: net 'gone.prototxt' is missing or ambiguous")


# -- what stops Caffe -------------------------------------------------------------------------------


def test_everything_that_stops_caffe_is_reported_and_the_rest_is_shown(shown: Shown) -> None:
    Path("net.prototxt").write_text(
        'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }\n'
        'layer { name: "a" type: "Convolution" bottom: "x" top: "a"'
        " convolution_param { num_output: 2 kernel_size: 1 } }\n"
        'layer { name: "b" type: "Pooling" bottom: "d" top: "b"'
        " pooling_param { kernel_size: 2 stride: 2 } }\n"
        'layer { name: "c" type: "Eltwise" bottom: "b" bottom: "d" top: "c" }\n'
    )
    net = shown.json("net.prototxt")
    assert shown.status == 1
    first, second = shown.errors.splitlines()
    assert first.startswith("net.prototxt:2:")
    assert "'x'" in first
    assert second.startswith("net.prototxt:4:")
    assert net["blobs"] == {"d": [1, 3, 8, 8], "a": None, "b": [1, 3, 4, 4], "c": None}


def test_an_error_in_both_phases_is_reported_once(shown: Shown) -> None:
    Path("net.prototxt").write_text(SMALL.replace("num_output: 16 kernel_size: 3", "kernel_size: 3"))
    shown("net.prototxt")
    assert shown.status == 1
    assert shown.errors.count("num_output") == 1


def test_a_syntax_error_is_reported_and_the_rest_is_shown(shown: Shown) -> None:
    Path("net.prototxt").write_text(SMALL.replace("kernel_size: 3", "kernel_size 3"))
    net = shown.json("net.prototxt", "--phase", "TRAIN")
    assert shown.status == 1
    assert shown.errors.startswith("net.prototxt:12:")
    assert net["blobs"]["conv1"] == [8, 16, 14, 14]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gone.prototxt", None, "No such file"),
        ("empty.prototxt", b"", "is empty"),
        ("map.prototxt", b'item { name: "cat" label: 1 }', "neither a solver nor a net"),
        ("weights.prototxt", bytes(range(256)) * 20, "binary"),
    ],
)
def test_a_file_that_is_not_a_net_is_an_error(
    shown: Shown, folder: Path, name: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        shown(name)


def test_a_dialect_that_lacks_a_type_stops(shown: Shown) -> None:
    Path("net.prototxt").write_text(
        'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }\n'
        'layer { name: "p" type: "Permute" bottom: "d" top: "p"'
        " permute_param { order: 0 order: 2 order: 3 order: 1 } }\n"
    )
    assert shown.json("net.prototxt")["blobs"]["p"] == [1, 8, 8, 3]
    assert shown.status == 0
    shown("net.prototxt", "--dialect", "bvlc")
    assert shown.status == 1
    assert "net.prototxt:2:" in shown.errors


# -- older formats, sharing -------------------------------------------------------------------------


def test_a_v1_net_is_shown_as_caffe_upgrades_it(shown: Shown) -> None:
    Path("net.prototxt").write_text(
        'name: "old" input: "data" input_dim: 2 input_dim: 3 input_dim: 8 input_dim: 8\n'
        'layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" blobs_lr: 1 blobs_lr: 2\n'
        "  convolution_param { num_output: 4 kernel_size: 3 } }\n"
        'layers { name: "prob" type: SOFTMAX bottom: "conv" top: "prob" }\n'
    )
    net = shown.json("net.prototxt")
    assert [(layer["name"], layer["type"]) for layer in net["layers"]] == [
        ("input", "Input"), ("conv", "Convolution"), ("prob", "Softmax"),
    ]  # fmt: skip
    assert net["blobs"] == {"data": [2, 3, 8, 8], "conv": [2, 4, 6, 6], "prob": [2, 4, 6, 6]}
    assert (net["layers"][1]["params"], net["learnable"]) == ([[4, 3, 3, 3], [4]], 112)


def test_shared_parameters_are_in_brackets_and_count_once(shown: Shown) -> None:
    layer = (
        'layer {{ name: "{0}" type: "InnerProduct" bottom: "d" top: "{0}"'
        ' param {{ name: "w" }} param {{ name: "b" }}'
        " inner_product_param {{ num_output: 5 }} }}\n"
    )
    Path("net.prototxt").write_text(
        'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 2 dim: 3 } } }\n'
        + layer.format("one")
        + layer.format("two")
    )
    table = shown("net.prototxt")
    assert re.search(r"^one +InnerProduct +d +=  +2x5 +20 ", table, re.MULTILINE)
    assert re.search(r"^two +InnerProduct +d +=  +2x5 +\(20\) ", table, re.MULTILINE)
    assert "learnable  20 values in 2 blobs, 80 B" in table


# -- layout ----------------------------------------------------------------------------------------


def test_the_table_stays_narrow_and_keeps_the_ends_of_long_names(shown: Shown) -> None:
    name = "inception_resnet_v2_a10_branch_of_the_tower_1x7"
    Path("net.prototxt").write_text(
        'layer { name: "d" type: "Input" top: "d"'
        " input_param { shape { dim: 2 dim: 3 dim: 224 dim: 224 } } }\n"
        f'layer {{ name: "{name}" type: "Sigmoid" bottom: "d" top: "{name}/very/long/top/name/sigmoid" }}\n'
        f'layer {{ name: "{name}_pool" type: "Pooling" bottom: "{name}/very/long/top/name/sigmoid" top: "p"'
        " pooling_param { kernel_size: 2 } }\n"
    )
    lines = shown("net.prototxt").splitlines()
    assert max(len(line) for line in lines[2:7]) <= WIDTH
    assert lines[5].startswith("inception_")
    assert "…" in lines[5]
    assert lines[5].split()[0].endswith("_1x7")


@pytest.mark.parametrize(
    "names",
    [
        [f"inception_{part}_of_the_third_tower/output" for part in ("3x3_reduce", "5x5_reduce", "pool_proj")],
        ["a" * 30 + end for end in ("x", "y", "z", "")],
        ["a" * 20 + middle + "b" * 20 for middle in ("one", "two", "six")],
        [f"conv{number}" + "_and_so_on" * 3 for number in range(120)],
        ["a" * count for count in range(20, 40)],
        ["short", "a long name that does not fit", "a long name that also does not"],
    ],
)
@pytest.mark.parametrize("width", [8, 12, 20])
def test_shortened_names_stay_different(names: list[str], width: int) -> None:
    short = shortened(names, width)
    assert list(short) == sorted(short, key=list(short).index)
    assert set(short) == set(names)
    assert len(set(short.values())) == len(set(names))
    assert max(map(len, short.values())) <= width
    assert all(short[name] == name for name in names if len(name) <= width)


def test_windows_show_what_is_not_usual(shown: Shown) -> None:
    layers = [
        ("Convolution", "convolution_param { num_output: 2 kernel_size: 7 stride: 2 pad: 3 }", "7x7 s2 p3"),
        ("Convolution", "convolution_param { num_output: 2 kernel_h: 1 kernel_w: 3 pad_h: 0 pad_w: 1 }", "1x3 p0x1"),
        ("Convolution", "convolution_param { num_output: 2 kernel_size: 3 dilation: 2 }", "3x3 d2"),
        ("Deconvolution", "convolution_param { num_output: 2 kernel_size: 4 stride: 2 stride: 1 }", "4x4 s2x1"),
        ("Pooling", "pooling_param { kernel_size: 3 stride: 2 }", "3x3 s2"),
        ("Pooling", "pooling_param { pool: AVE global_pooling: true }", "global"),
        ("Convolution", "convolution_param { num_output: 2 }", ""),
    ]
    text = 'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 3 dim: 32 dim: 32 } } }\n'
    for number, (kind, param, _) in enumerate(layers):
        text += f'layer {{ name: "w{number}" type: "{kind}" bottom: "d" top: "w{number}" {param} }}\n'
    Path("net.prototxt").write_text(text)
    table = shown("net.prototxt")
    for number, (kind, _, window) in enumerate(layers):
        assert re.search(rf"^w{number} +{kind} +{f'{window}  +' if window else ''}d ", table, re.MULTILINE), window


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_the_table_fits_the_terminal(shown: Shown, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr("caffe_lint.cli.net_command.terminal_width", lambda: width)
    table = shown("net.prototxt", "--input-shape", SHAPE)
    assert max(map(len, table.splitlines())) <= width
    assert "conv1" in table
    assert "8x16x14x14" in table


def test_of_very_many_bottoms_most_are_only_counted(shown: Shown) -> None:
    inputs = [f"d{i}" for i in range(40)]
    tops = " ".join(f'top: "{name}"' for name in inputs)
    bottoms = " ".join(f'bottom: "{name}"' for name in inputs)
    Path("net.prototxt").write_text(
        f'layer {{ name: "d" type: "Input" {tops} input_param {{ shape {{ dim: 2 dim: 3 }} }} }}\n'
        f'layer {{ name: "all" type: "Concat" {bottoms} top: "all" }}\n'
    )
    table = shown("net.prototxt")
    assert "… 29 more" in table
    assert len(table.splitlines()) < 40
    assert len(shown.json("net.prototxt")["layers"][1]["bottoms"]) == 40


@pytest.mark.parametrize(
    ("number", "unit", "expected"),
    [
        (0, "", "0"),
        (999, "", "999"),
        (1000, "", "1.00 k"),
        (12_345, "", "12.3 k"),
        (999_499, "", "999 k"),
        (999_500, "", "1.00 M"),
        (99_950_000, "", "100 M"),
        (1_550_000_000, "B", "1.55 GB"),
        (12, "B", "12 B"),
        (None, "B", "?"),
        (7 * 10**18, "", "7000 P"),
    ],
)
def test_quantities_have_three_digits(number: int | None, unit: str, expected: str) -> None:
    assert quantity(number, unit) == expected


# -- graphs ----------------------------------------------------------------------------------------


def test_the_net_is_drawn_by_view_only() -> None:
    assert run(["net", "net.prototxt", "--output-format", "dot"]) == EXIT_FAILED


# -- against the real Caffe ------------------------------------------------------------------------

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.mark.skipif(not (SHARED / "oracle" / "nets.jsonl").is_file(), reason="no ../shared/oracle/nets.jsonl")
@pytest.mark.parametrize(
    "path",
    [
        "HyeonwooNoh__caffe/models/bvlc_googlenet/deploy.prototxt",
        "abby621__tripletloss/models/places/deploy.prototxt.txt",
        "happynear__caffe-windows/@master/examples/GoogLeNet/googlenet_deploy_prob.prototxt",
    ],
)
def test_public_nets_are_as_caffe_built_them(shown: Shown, path: str) -> None:
    for line in (SHARED / "oracle" / "nets.jsonl").read_text().splitlines():
        if line.startswith(f'{{"path": "{path}"'):
            told = json.loads(line)["TEST"]
    net = shown.json(str(SHARED / "corpus" / "files" / path), "--phase", "TEST", "--splits")
    assert told["ok"]
    assert net["blobs"] == told["blobs"]
    assert (net["outputs"], net["learnable"]) == (told["outputs"], told["learnable"])
    params = [[layer["name"], layer["type"], layer["params"]] for layer in net["layers"] if layer["params"]]
    assert params == [layer for layer in told["layers"] if layer[2]]
