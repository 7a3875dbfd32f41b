"""G105: what InfogainLoss is fed, by the Caffe that it is for, and its matrix."""

from __future__ import annotations

from typing import Any

import pytest
from harness import check, fix

from caffe_lint.rule.finding import Finding

HEAD = """\
layer {
  name: "data"
  type: "Data"
  top: "data"
  top: "label"
  data_param { source: "train" batch_size: 16 }
}
layer { name: "score" type: "InnerProduct" bottom: "data" top: "score" inner_product_param { num_output: 4 } }
"""
SOFTMAX = 'layer { name: "prob" type: "Softmax" bottom: "score" top: "prob" }\n'


def loss(bottom: str, param: str = 'infogain_loss_param { source: "h" }', rules: str = "") -> str:
    lines = [
        'name: "loss"',
        'type: "InfogainLoss"',
        f'bottom: "{bottom}"',
        'bottom: "label"',
        'top: "loss"',
        rules,
        param,
    ]
    return "layer {\n" + "".join(f"  {line}\n" for line in lines if line) + "}\n"


SCORES = HEAD + loss("score")
PROBABILITIES = HEAD + SOFTMAX + loss("prob")
AXIS = 'infogain_loss_param { source: "h" axis: 1 }'


def findings(text: str, **settings: Any) -> list[Finding]:
    return check(text, select=("G105",), **settings)


def fixed(text: str, **settings: Any) -> str:
    return fix(text, unsafe=True, select=("G105",), **settings)


@pytest.mark.parametrize("version", ["1.0-rc5", "1.0rc5", "rc3", "0.9999"])
def test_an_old_caffe_expects_probabilities(version: str) -> None:
    assert findings(PROBABILITIES, caffe_version=version) == []
    (finding,) = findings(SCORES, caffe_version=version)
    assert (finding.severity, finding.place.line, finding.place.column) == ("error", 12, 11)
    assert finding.message == f"'score' holds raw scores, but 'loss' expects probabilities (Caffe {version})"


MAP = """\
layer { name: "data" type: "Data" top: "data" data_param { source: "train" batch_size: 16 } }
layer { name: "label" type: "Data" top: "label" data_param { source: "labels" batch_size: 16 } }
layer { name: "score" type: "Convolution" bottom: "data" top: "score" convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
"""


def test_an_old_caffe_takes_one_label_per_item() -> None:
    (finding,) = findings(MAP + SOFTMAX + loss("prob"), caffe_version="rc5")
    assert finding.severity == "error"
    assert finding.message == "'loss' takes one label per item (Caffe rc5), but 'prob' is a score map"
    assert findings(MAP + loss("score"), caffe_version="1.0") == []
    assert findings(MAP.replace("pad: 1", "") + SOFTMAX + loss("prob"), caffe_version="rc5") == []


@pytest.mark.parametrize("version", ["1.0", "1.0.0", "1", "1.1-rc1"])
def test_a_current_caffe_expects_scores(version: str) -> None:
    assert findings(SCORES, caffe_version=version) == []
    (finding,) = findings(PROBABILITIES, caffe_version=version)
    assert (finding.severity, finding.place.line) == ("warning", 13)
    assert finding.message.startswith(
        "'prob' holds probabilities, but 'loss' applies softmax itself"
    )


@pytest.mark.parametrize(
    ("dialect", "text", "severity"),
    [
        ("ssd", SCORES, "error"),
        ("ssd", PROBABILITIES, ""),
        ("nvcaffe", SCORES, "error"),
        ("intel", PROBABILITIES, "warning"),
        ("intel", SCORES, ""),
    ],
)
def test_a_fork_decides(dialect: str, text: str, severity: str) -> None:
    assert [finding.severity for finding in findings(text, dialect=dialect)] == ([severity] if severity else [])


def test_a_version_wins_over_a_fork() -> None:
    assert findings(SCORES, dialect="ssd", caffe_version="1.0") == []


@pytest.mark.parametrize(
    "sign",
    [
        AXIS,
        'infogain_loss_param { source: "h" } loss_param { ignore_label: 255 }',
        'infogain_loss_param { source: "h" } top: "p"',
    ],
)
def test_signs_of_the_new_form_decide(sign: str) -> None:
    assert findings(HEAD + loss("score", sign)) == []
    (finding,) = findings(HEAD + SOFTMAX + loss("prob", sign))
    assert (finding.severity, "as since 1.0" in finding.message) == ("warning", True)


def test_an_unknown_caffe_gets_no_fix_and_is_told_which_one_would_be_wrong() -> None:
    (scores,), (probabilities,) = findings(SCORES), findings(PROBABILITIES)
    assert (scores.severity, scores.fix) == ("advice", None)
    assert "but up to Caffe 1.0-rc5" in scores.message
    assert "right since Caffe 1.0" in scores.reason
    assert (probabilities.severity, probabilities.fix) == ("warning", None)
    assert "since Caffe 1.0" in probabilities.message
    assert "--caffe-version" in scores.reason


@pytest.mark.parametrize(
    "between",
    [
        'layer { name: "in" type: "Sigmoid" bottom: "score" top: "in" }\n',
        'layer { name: "in" type: "Unheard" bottom: "score" top: "in" }\n',
        'layer { name: "in" type: "HDF5Data" top: "in" hdf5_data_param { source: "x" batch_size: 16 } }\n',
        SOFTMAX + 'layer { name: "in" type: "Scale" bottom: "prob" top: "in" }\n',
    ],
)
def test_neither_scores_nor_probabilities_are_not_judged(between: str) -> None:
    for version in ("rc5", "1.0"):
        assert findings(HEAD + between + loss("in"), caffe_version=version) == []


def test_scores_and_probabilities_pass_through_layers_that_only_move_them() -> None:
    flat = 'layer { name: "flat" type: "Flatten" bottom: "{}" top: "flat" }\n'
    scores = HEAD + flat.replace("{}", "score") + loss("flat")
    assert [finding.severity for finding in findings(scores, caffe_version="rc5")] == ["error"]
    (finding,) = findings(HEAD + SOFTMAX + flat.replace("{}", "prob") + loss("flat"), caffe_version="1.0")
    assert (finding.severity, finding.fix) == ("warning", None)


def test_the_fix_inserts_a_softmax_before_the_loss() -> None:
    softmax = 'layer { name: "score_prob" type: "Softmax" bottom: "score" top: "score_prob" }\n'
    assert fixed(SCORES, caffe_version="rc5") == HEAD + softmax + loss("score_prob")


def test_the_softmax_stands_where_the_loss_does() -> None:
    text = HEAD + loss("score", rules="include { phase: TRAIN }")
    assert 'top: "score_prob" include { phase: TRAIN } }' in fixed(text, caffe_version="rc5")


def test_the_fix_removes_a_softmax() -> None:
    assert fixed(PROBABILITIES, caffe_version="1.0") == SCORES


def test_a_softmax_that_others_read_stays() -> None:
    accuracy = 'layer { name: "acc" type: "Accuracy" bottom: "prob" bottom: "label" top: "acc" }\n'
    assert fixed(PROBABILITIES + accuracy, caffe_version="1.0") == HEAD + SOFTMAX + loss("score") + accuracy


def test_a_softmax_that_another_phase_is_for_stays() -> None:
    trained = loss("prob", rules="include { phase: TRAIN }")
    text = HEAD + SOFTMAX + trained
    assert fixed(text, caffe_version="1.0") == HEAD + SOFTMAX + trained.replace('"prob"', '"score"')


def test_a_softmax_in_place_is_removed_if_nothing_else_reads_it() -> None:
    text = HEAD + SOFTMAX.replace('top: "prob"', 'top: "score"') + loss("score")
    assert fixed(text, caffe_version="1.0") == SCORES
    accuracy = 'layer { name: "acc" type: "Accuracy" bottom: "score" bottom: "label" top: "acc" }\n'
    assert fixed(text + accuracy, caffe_version="1.0") == text + accuracy


def test_scores_that_are_changed_in_between_are_not_read_instead() -> None:
    changed = 'layer { name: "relu" type: "ReLU" bottom: "score" top: "score" }\n'
    text = HEAD + SOFTMAX + changed + loss("prob")
    assert fixed(text, caffe_version="1.0") == text


OLD = """\
layers { name: "data" type: DATA top: "data" top: "label" data_param { source: "train" batch_size: 16 } }
layers { name: "score" type: INNER_PRODUCT bottom: "data" top: "score" inner_product_param { num_output: 4 } }
layers { name: "prob" type: SOFTMAX bottom: "score" top: "prob" }
layers { name: "l" type: INFOGAIN_LOSS bottom: "prob" bottom: "label" top: "l" infogain_loss_param { source: "h" } }
"""


def test_a_net_in_an_old_format_is_fixed_in_that_format() -> None:
    bare = "".join(line + "\n" for line in OLD.splitlines() if '"prob" type' not in line).replace('"prob"', '"score"')
    assert fixed(OLD, caffe_version="1.0") == bare
    softmax = 'layers { name: "score_prob" type: SOFTMAX bottom: "score" top: "score_prob" }\n'
    again = OLD.splitlines(keepends=True)
    expected = again[0] + again[1] + softmax + again[3].replace('"prob"', '"score_prob"')
    assert fixed(bare, caffe_version="rc5") == expected


def test_the_matrix_must_be_there() -> None:
    for version in ("rc5", "1.0", None):
        codes = [(f.code, f.severity, f.place.line) for f in findings(HEAD + loss("score", ""), caffe_version=version)]
        assert ("G105", "error", 9) in codes


def test_labels_are_no_matrix() -> None:
    text = HEAD + loss("score", 'bottom: "label"')
    assert [finding.severity for finding in findings(text, caffe_version="1.0")] == ["error"]


@pytest.mark.parametrize(("size", "count"), [(3, 1), (4, 0)])
def test_a_matrix_of_the_wrong_size_is_an_error(size: int, count: int) -> None:
    matrix = (
        f'layer {{ name: "h" type: "DummyData" top: "h" dummy_data_param {{ shape {{ dim: {size} dim: {size} }} }} }}\n'
    )
    image = HEAD.replace("data_param { source", "transform_param { crop_size: 8 } data_param { source").replace(
        '"Data"', '"ImageData"'
    )
    text = image.replace("data_param { source", "image_data_param { source") + matrix + loss("score", 'bottom: "h"')
    assert [finding.severity for finding in findings(text, caffe_version="1.0")] == ["error"] * count
