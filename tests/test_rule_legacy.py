"""Older forms: found when asked for, written in today's form with their comments, left where they must."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from harness import check, fix, places
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe_lint.fixes.apply import select, verify
from caffe_lint.fixes.changes import FixRejected
from caffe_lint.fixes.edit import Change, Edit, Fix, Replacement
from caffe_lint.proto.binder import Message, plain
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.proto.upgrade import upgrade
from caffe_lint.rule.pages import read_page
from caffe_lint.rule.registry import all_rules
from caffe_lint.rules.portability.legacy import UPGRADES
from caffe_lint.source.files import SourceFile


def upgraded(text: str, *, unsafe: bool = False) -> str:
    """The text after `--upgrade`, proved to mean what the upgrade in memory makes of it, and to stay so."""
    new = fix(text, unsafe=unsafe, select=UPGRADES)
    expected = {name: values for name, values in plain(upgraded_message(text)).items() if values}
    assert plain(SourceFile("", new.encode(), caffe_schema(), None).message) == expected
    assert fix(new, unsafe=unsafe, select=UPGRADES) == new
    return new


def upgraded_message(text: str) -> Message:
    return upgrade(SourceFile("", text.encode(), caffe_schema(), None).message, caffe_schema()).message


def examples(code: str) -> tuple[str, str]:
    """The bad and the good example of a rule's page."""
    page = read_page(all_rules()[code])
    (name,) = page.bad
    return page.bad[name], page.good[name]


@pytest.mark.parametrize("code", UPGRADES)
def test_the_page_shows_what_is_found_and_what_the_fix_makes(code: str) -> None:
    bad, good = examples(code)
    name = "solver.prototxt" if code == "P205" else "net.prototxt"
    assert code in [finding.code for finding in check(bad, name, select=(code,))]
    assert fix(bad, name, select=(code,)) == good
    assert check(good, name, select=UPGRADES) == []


@pytest.mark.parametrize("code", UPGRADES)
def test_a_form_that_works_is_neither_shown_nor_changed_unless_asked_for(code: str) -> None:
    bad, _ = examples(code)
    name = "solver.prototxt" if code == "P205" else "net.prototxt"
    assert not {finding.code for finding in check(bad, name)} & set(UPGRADES)
    assert fix(bad, name, ignore=("G", "S", "N", "E")) == bad


V1 = """\
name: "v1"  # the net

# where the images come from
layers {
  name: "data"
  type: DATA
  top: "data"
  data_param {
    source: "train_lmdb"
    # bytes to 0..1
    scale: 0.0039  # 1/256
    batch_size: 64
    mirror: true
  }
  include: { phase: TRAIN }
}
layers {
  bottom: "data"
  top: "conv"
  name: "conv"
  type: CONVOLUTION
  param: "conv_w"
  param: "conv_b"
  # twice as fast
  # for the bias
  blobs_lr: 1.
  blobs_lr: 2.   # (here)
  convolution_param {
    num_output: 8
    kernel_size: 3   # small
  }
  # no decay for the bias
  weight_decay: 1
  weight_decay: 0
  blob_share_mode: PERMISSIVE
}
"""

V2 = """\
name: "v1"  # the net

# where the images come from
layer {
  name: "data"
  type: "Data"
  top: "data"
  data_param {
    source: "train_lmdb"
    batch_size: 64
  }
  transform_param {
    # bytes to 0..1
    scale: 0.0039  # 1/256
    mirror: true
  }
  include: { phase: TRAIN }
}
layer {
  bottom: "data"
  top: "conv"
  name: "conv"
  type: "Convolution"
  param {
    name: "conv_w"
    # twice as fast
    # for the bias
    lr_mult: 1.
    # no decay for the bias
    decay_mult: 1
    share_mode: PERMISSIVE
  }
  param {
    name: "conv_b"
    lr_mult: 2.   # (here)
    decay_mult: 0
  }
  convolution_param {
    num_output: 8
    kernel_size: 3   # small
  }
}
"""


def test_comments_move_with_the_fields_they_belong_to() -> None:
    assert upgraded(V1) == V2


def test_each_form_of_a_net_is_one_finding_and_all_have_the_same_fix() -> None:
    net = 'input: "data"\ninput_dim: 1\ninput_dim: 3\ninput_dim: 8\ninput_dim: 8\n' + V1
    findings = check(net, select=UPGRADES)
    assert places(findings) == [("P202", 1), ("P201", 9), ("P203", 16)]
    assert findings[0].fix is not None
    assert findings[0].fix == findings[1].fix == findings[2].fix
    assert {finding.severity for finding in findings} == {"advice"}


def test_carriage_returns_and_a_missing_last_newline_stay() -> None:
    assert upgraded(V1.replace("\n", "\r\n").rstrip()) == V2.replace("\n", "\r\n").rstrip()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "layers { name: 'a' type: RELU bottom: 'x' top: 'a' }\n",
            "layer { name: 'a' type: 'ReLU' bottom: 'x' top: 'a' }\n",
        ),
        (
            "layers: { blobs_lr: 1 blobs_lr: 2 weight_decay: 1 type: CONVOLUTION }",
            'layer: { param: { lr_mult: 1 decay_mult: 1 } param: { lr_mult: 2 } type: "Convolution" }',
        ),
        (
            'layers {\n\tname: "a"\n\tblobs_lr: 1 blobs_lr: 0 # frozen\n\ttype: INNER_PRODUCT }\n',
            'layer {\n\tname: "a"\n\tparam { lr_mult: 1 }\n\tparam {\n\t\tlr_mult: 0 # frozen\n\t}\n'
            '\ttype: "InnerProduct" }\n',
        ),
        (
            'layers {\n  name: "a"\n  blobs_lr: [1, 2]\n  type: 4\n}\n',
            'layer {\n  name: "a"\n  param {\n    lr_mult: 1\n  }\n  param {\n    lr_mult: 2\n  }\n'
            '  type: "Convolution"\n}\n',
        ),
        (
            'layers {\n  name: "a"\n  type: CONVOLUTION\n  blobs_lr: 1\n  weight_decay: 0\n'
            "  convolution_param {\n    weight_filler { std: 1 }\n  }\n}\n",
            'layer {\n  name: "a"\n  type: "Convolution"\n  param { lr_mult: 1 decay_mult: 0 }\n'
            "  convolution_param {\n    weight_filler { std: 1 }\n  }\n}\n",
        ),
        (
            'layers { name: "a" type: RELU }\nlayers [ { type: RELU }, { type: TANH } ]\n',
            'layer { name: "a" type: "ReLU" }\nlayer [ { type: "ReLU" }, { type: "TanH" } ]\n',
        ),
    ],
)
def test_v1_layers_keep_their_style(before: str, after: str) -> None:
    assert upgraded(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "data_param { source: 'a' mirror: true } transform_param { mirror: false }",
            "data_param { source: 'a' } transform_param { mirror: true }",
        ),
        (
            "data_param { source: 'a' crop_size: 9 } transform_param { scale: 2 }",
            "data_param { source: 'a' } transform_param { scale: 2 crop_size: 9 }",
        ),
        ("data_param { scale: 2 } transform_param {}", "data_param { } transform_param { scale: 2 }"),
    ],
)
def test_transforms_join_those_that_are_there_and_win_over_them(before: str, after: str) -> None:
    net = "layers { name: 'd' type: DATA top: 'd' %s }\n"
    assert upgraded(net % before) == net.replace("layers", "layer").replace("DATA", "'Data'") % after


def test_v0_layers_are_written_anew_and_padding_goes_into_the_layer_behind() -> None:
    net = """\
name: "v0"
layers {
  layer { name: "data" type: "data" source: "train" batchsize: 2 meanfile: "mean" }
  top: "data"
  top: "label"
}
# keeps the size
layers {
  layer {
    name: "pad1"
    type: "padding"
    pad: 2  # (5 - 1) / 2
    # nothing else
  }
  bottom: "data"
  top: "pad1"
}
layers {
  layer {  # the only one
    name: "conv1"
    type: "conv"
    num_output: 4
    kernelsize: 5  # wide
    weight_filler {
      type: "xavier"  # good
    }
    blobs_lr: 1.
    blobs_lr: 2.
    weight_decay: 1.
    biasterm: false
  }
  bottom: "pad1"
  top: "conv1"  # features
}
"""
    assert (
        upgraded(net)
        == """\
name: "v0"
layer {
  name: "data"
  type: "Data"
  top: "data"
  top: "label"
  data_param {
    source: "train"
    batch_size: 2
  }
  transform_param {
    mean_file: "mean"
  }
}
# keeps the size
# nothing else
layer {
  # the only one
  name: "conv1"
  type: "Convolution"
  bottom: "data"
  top: "conv1"  # features
  param {
    lr_mult: 1.
    decay_mult: 1.
  }
  param {
    lr_mult: 2.
  }
  convolution_param {
    num_output: 4
    kernel_size: 5  # wide
    weight_filler {
      type: "xavier"  # good
    }
    bias_term: false
    pad: 2  # (5 - 1) / 2
  }
}
"""
    )


def test_what_nothing_reads_falls_away_and_is_named() -> None:
    net = 'layers { layer { name: "r" type: "relu" stride: 2 } bottom: "x" top: "x" }\n'
    (finding,) = check(net, select=UPGRADES)
    assert [place.message for place in finding.related] == [
        "a V0 layer of type 'relu' has no 'stride': Caffe drops it"
    ]
    assert upgraded(net) == 'layer { name: "r" type: "ReLU" bottom: "x" top: "x" }\n'


LAYER = 'layer {\n  name: "a"\n  type: "ReLU"\n  bottom: "x"\n  top: "a"\n}\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            'input: "x"\ninput_shape {\n  dim: 1\n  dim: 3\n}\n' + LAYER,
            'layer {\n  name: "input"\n  type: "Input"\n  top: "x"\n  input_param {\n    shape {\n'
            "      dim: 1\n      dim: 3\n    }\n  }\n}\n" + LAYER,
        ),
        (
            'input: "x"  # image\ninput: "y"\ninput_shape { dim: 1 dim: 3 }\ninput_shape { dim: 1 }\n'
            + LAYER,
            'layer {\n  name: "input"\n  type: "Input"\n  top: "x"  # image\n  top: "y"\n  input_param {\n'
            "    shape { dim: 1 dim: 3 }\n    shape { dim: 1 }\n  }\n}\n" + LAYER,
        ),
        (
            'input: "x"\ninput_dim: 1 # batch\ninput_dim: 3\ninput_dim: 4\ninput_dim: 4\n' + LAYER,
            'layer {\n  name: "input"\n  type: "Input"\n  top: "x"\n  input_param {\n    shape: {\n'
            "      dim: 1 # batch\n      dim: 3\n      dim: 4\n      dim: 4\n    }\n  }\n}\n" + LAYER,
        ),
        (
            "# the net\n# head\n" + LAYER + 'input: "x"\ninput_dim: [1, 3, 4, 4]\n',
            'layer {\n  name: "input"\n  type: "Input"\n  top: "x"\n'
            "  input_param { shape: { dim: 1 dim: 3 dim: 4 dim: 4 } }\n}\n# the net\n# head\n" + LAYER,
        ),
        (
            'name: "n" input: "x" input_shape { dim: 1 } layer { type: "ReLU" bottom: "x" top: "y" }',
            'name: "n" layer { name: "input" type: "Input" top: "x" input_param { shape { dim: 1 } } } '
            'layer { type: "ReLU" bottom: "x" top: "y" }',
        ),
        (
            'input: "x"\ninput_dim: 1\ninput_dim: 2\ninput_dim: 3\ninput_dim: 4\n',
            'layer {\n  name: "input"\n  type: "Input"\n  top: "x"\n'
            "  input_param { shape: { dim: 1 dim: 2 dim: 3 dim: 4 } }\n}\n",
        ),
        ('input: "a"\n' + LAYER, LAYER),
    ],
)
def test_inputs_become_a_layer_in_front(before: str, after: str) -> None:
    assert upgraded(before) == after


def test_batch_norm_params_are_completed_and_corrected() -> None:
    head = 'layer {\n  name: "bn"\n  type: "BatchNorm"\n'
    before = (
        head
        + "  param {\n    lr_mult: 0\n  }\n  param { decay_mult: 1 lr_mult: 0.0 }  # mean\n  param {}\n}\n"
    )
    after = (
        head + "  param {\n    lr_mult: 0\n    decay_mult: 0\n  }\n"
        "  param { decay_mult: 0 lr_mult: 0.0 }  # mean\n  param { lr_mult: 0 decay_mult: 0 }\n}\n"
    )
    assert upgraded(before) == after
    assert places(check(before, select=UPGRADES)) == [("P204", 4)]


def test_only_batch_norms_with_three_params_are_frozen() -> None:
    two = 'layer { name: "bn" type: "BatchNorm" param { lr_mult: 1 } param { lr_mult: 1 } }\n'
    three = 'layer { name: "fc" type: "Python" param { lr_mult: 1 } param { lr_mult: 1 } param { lr_mult: 1 } }\n'
    frozen = 'layer { name: "bn" type: "BatchNorm" param {} param {} param {} }\n'
    net = two + three + frozen
    assert upgraded(net) == two + three + frozen.replace("{}", "{ lr_mult: 0 decay_mult: 0 }")
    assert places(check(net, select=UPGRADES)) == [("P204", 3)]


def test_selecting_one_form_of_a_net_of_today_leaves_the_others() -> None:
    bn = 'layer { name: "bn" type: "BatchNorm" bottom: "x" top: "y" param {} param {} param {} }\n'
    net = 'input: "x" input_shape { dim: 1 }\n' + bn
    zero = "param { lr_mult: 0 decay_mult: 0 }"
    assert fix(net, select=("P204",)) == net.replace("param {}", zero)
    assert fix(net, select=("P202",)).endswith(bn)


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        ('layers { name: "a" type: BLUR }\n', "no known Caffe has a V1 layer type BLUR"),
        (
            'layers { name: "a" type: RELU param { lr_mult: 1 } }\n',
            "this 'param' is not valid in a V1LayerParameter",
        ),
        ('layers { layer { name: "a" type: "blur" } }\n', "'blur' is not a V0 layer type"),
        (
            'layers { layer { name: "a" type: "relu" } loss_weight: 1 }\n',
            "Caffe drops 'loss_weight' in this place of a V0 layer",
        ),
        (
            'layers { layer { type: "relu" } }\nlayers { name: "b" type: RELU }\n',
            "Caffe drops the content of a V1 layer among V0 layers",
        ),
        (
            'layers { layer { type: "relu" } top: "a" }\nlayers [ { layer { type: "relu" } } ]\n',
            "V0 layers in a bracketed list",
        ),
        ('layers { name: "a" type: RELU tile_param { } }\n', "a V1 layer has no 'tile_param'"),
        (
            'input: "x"\nlayers { name: "a" type: RELU bottom: "x" }\n',
            "input 'x' has no shape: add an input_shape",
        ),
        (
            'input: "x"\ninput_dim: 1\nlayers { name: "a" type: RELU bottom: "x" }\n',
            "input 'x' has fewer than 4 input_dim: Caffe reads past the end of the list",
        ),
    ],
)
def test_a_net_that_cannot_be_upgraded_is_left_with_a_reason(net: str, reason: str) -> None:
    findings = check(net, select=UPGRADES)
    assert findings
    assert [finding.fix for finding in findings] == [None] * len(findings)
    assert {finding.reason for finding in findings} == {f"It cannot be upgraded: {reason}."}
    assert [place.message for place in findings[0].related] == [reason]
    assert fix(net, unsafe=True, select=UPGRADES) == net


def test_a_syntax_error_comes_first() -> None:
    net = 'layers { name: "a" type: RELU\n'
    (finding,) = check(net, select=("P201",))
    assert finding.fix is None
    assert "fix the syntax error first" in finding.reason


def test_both_forms_in_one_file_are_merged_only_as_an_unsafe_fix() -> None:
    net = 'layer { type: "ReLU" top: "a" }\nlayers { type: RELU top: "b" }\nlayer { type: "TanH" }\n'
    (finding,) = check(net, select=UPGRADES)
    assert finding.reason.startswith("Caffe rejects the file as it is; ")
    assert fix(net, select=UPGRADES) == net
    assert upgraded(net, unsafe=True) == net.replace("layers", "layer").replace("type: RELU", 'type: "ReLU"')


def test_a_guessed_name_of_a_forks_layer_is_an_unsafe_fix() -> None:
    net = 'layers { name: "a" type: ELTWISE_PRODUCT }\n'
    assert fix(net, select=UPGRADES) == net
    assert upgraded(net, unsafe=True) == 'layer { name: "a" type: "EltwiseProduct" }\n'


def test_solver_types() -> None:
    solver = "base_lr: 0.1\nsolver_type : NESTEROV  # faster\nmax_iter: 5\n"
    new = 'base_lr: 0.1\ntype : "Nesterov"  # faster\nmax_iter: 5\n'
    assert fix(solver, "solver.prototxt", select=UPGRADES) == new
    both = solver + 'type: "SGD"\n'
    assert check(both, "solver.prototxt", select=UPGRADES) == []
    assert fix(both, "solver.prototxt", select=UPGRADES) == both


WORDS = """\
name: "n" | input: "x" | input_dim: 1 | input_dim: 2 | input_dim: 3 | input_dim: 4 | layers { | name: "d" |
type: DATA | top: "d" | data_param { | source: "a#b" | scale: 2 | mirror: true | } | transform_param { |
mirror: false | } | } | layers { | blobs_lr: 1 | weight_decay: 1 | type: CONVOLUTION | blobs_lr: 2 |
param: "w" | convolution_param { | num_output: 3 | } | weight_decay: 0 | } | force_backward: true"""
V0_WORDS = """\
layers { | layer { | name: "p" | type: "padding" | pad: 1 | } | bottom: "x" | top: "p" | } | layers { |
bottom: "p" | top: "c" | layer { | blobs_lr: 1 | num_output: 2 | type: "conv" | weight_filler { | std: 1 | } |
name: "c" | weight_decay: 0 | kernelsize: 3 | meanfile: "m" | dropout_ratio: 0.5 | } | } | debug_info: true"""


@pytest.mark.parametrize("words", [WORDS, V0_WORDS], ids=["V1", "V0"])
@given(data=st.data())
@settings(max_examples=60)
def test_any_layout_keeps_its_meaning_and_its_comments(words: str, data: st.DataObject) -> None:
    parts = [part.strip() for part in words.split("|")]
    spaces = st.sampled_from(
        [" ", "  ", "\n", "\n  ", "\n\n", " # % behind\n", "\n# % above\n", "\n # %\n\n"]
    )
    text = parts[0]
    for number, part in enumerate(parts[1:]):
        text += data.draw(spaces).replace("%", str(number)) + part
    text += data.draw(st.sampled_from(["", "\n", " # end", "\n# end\n"]))
    comments = re.compile(r"# (?:\d+|end)(?: \w+)?")
    assert Counter(comments.findall(upgraded(text))) == Counter(comments.findall(text))


def test_a_fix_of_a_whole_file_goes_alone_and_is_held_to_what_it_says() -> None:
    old, new = (SourceFile("", text, caffe_schema(), None).message for text in (b'input: "x"', b'name: "x"'))
    whole = Fix("", "", (Edit(0, 5, b"name"),), (Replacement({"name": ["x"]}),))
    other = Fix("", "", (Edit(9, 9, b" "),), (Change(old.block, "name", ("y",)),))
    assert select([other, whole]) == [whole]
    verify(old, new, [whole])
    with pytest.raises(FixRejected, match="name has 0 values, expected 1"):
        verify(old, old, [whole])


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "caffe_lint", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_upgrade_writes_older_forms_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "caffe-lint.toml").write_text('extend-select = ["G", "S"]\nignore = ["P"]\n')
    (tmp_path / "net.prototxt").write_text(V1)
    solver = tmp_path / "solver.prototxt"
    solver.write_text(
        'net: "net.prototxt"\nbase_lr: 0.1\nlr_policy: "fixed"\nmax_iter: 9\nsolver_type: SGD\n'
    )
    done = run(str(solver), "--upgrade")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "net.prototxt").read_text() == V2
    assert (
        solver.read_text()
        == 'net: "net.prototxt"\nbase_lr: 0.1\nlr_policy: "fixed"\nmax_iter: 9\ntype: "SGD"\n'
    )


def test_upgrade_goes_with_diff_and_with_output_dir(tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(V1)
    shown = run(str(net), "--upgrade", "--diff")
    assert shown.returncode == 1
    assert '+  type: "Convolution"' in shown.stdout
    assert run(str(net), "--upgrade", "--output-dir", str(tmp_path / "new")).returncode == 0
    assert net.read_text() == V1
    assert (tmp_path / "new" / "net.prototxt").read_text() == V2


def test_upgrade_selects_its_rules_itself(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(V1)
    done = run(str(tmp_path / "net.prototxt"), "--upgrade", "--select", "G101")
    assert done.returncode == 2
    assert "--upgrade" in done.stderr
