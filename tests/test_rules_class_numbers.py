"""The rules for numbers of classes."""

from __future__ import annotations

import pytest
from harness import check, fix, places

from caffe_lint.net.data_facts import SourceFacts

NET = """\
layer {
  name: "data"
  type: "DummyData"
  top: "data"
  top: "label"
  dummy_data_param { shape { dim: 8 dim: 6 } shape { dim: 8 } }
}
layer {
  name: "score"
  type: "InnerProduct"
  bottom: "data"
  top: "score"
  inner_product_param { num_output: 1 weight_filler { type: "xavier" } }
}
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "score"
  bottom: "label"
  top: "loss"
}
"""


def found(text: str, select: str = "N60") -> list[tuple[str, int, str]]:
    return [(finding.code, finding.place.line, finding.severity) for finding in check(text, select=(select,))]


def test_a_softmax_of_one_class_never_learns() -> None:
    assert found(NET) == [("N601", 17, "error")]
    assert fix(NET, select=("N601",)) == NET
    assert found(NET.replace("num_output: 1 ", "num_output: 2 ")) == []


DATA = NET.replace("DummyData", "Data").replace(
    "dummy_data_param { shape { dim: 8 dim: 6 } shape { dim: 8 } }", 'data_param { source: "x" batch_size: 8 }'
)


@pytest.mark.parametrize(("labels", "outputs"), [((0.0, 9.0), 10), ((0.0, 1.0), 2), ((0.0, 0.0), 1), ((-1.0, 1.0), 1), (None, 1)])
def test_only_labels_tell_how_many_outputs_are_meant(labels: tuple[float, float] | None, outputs: int) -> None:
    facts = {"x": SourceFacts("lmdb", 100, {}, labels, {})}
    fixed = fix(DATA, select=("N601",), unsafe=True, facts=facts)
    assert fixed == DATA.replace("num_output: 1 ", f"num_output: {outputs} ")
    assert fix(NET, select=("N601",), unsafe=True) == NET


def test_the_accuracy_of_a_single_score_is_found_if_no_softmax_reads_it() -> None:
    accuracy = NET[NET.index('layer {\n  name: "loss"') :].replace("SoftmaxWithLoss", "Accuracy").replace('"loss"', '"acc"')
    assert found(NET + accuracy) == [("N601", 17, "error")]
    alone = NET.replace("SoftmaxWithLoss", "SigmoidCrossEntropyLoss")
    assert found(alone) == []
    assert found(alone + accuracy) == [("N601", 24, "warning")]
    assert found((alone + accuracy).replace("num_output: 1 ", "num_output: 2 ")) == []


def test_beside_another_loss_it_is_a_warning() -> None:
    other = 'layer { name: "other" type: "EuclideanLoss" bottom: "data" bottom: "data" top: "other" }\n'
    assert found(NET + other) == [("N601", 17, "warning")]


def test_one_class_is_found_without_shapes_and_through_an_activation() -> None:
    text = DATA
    assert [code for code, _, _ in found(text)] == ["N601"]
    relu = 'layer { name: "relu" type: "ReLU" bottom: "score" top: "score" }\n'
    assert [code for code, _, _ in found(text + relu + text[text.index("layer {\n  name: \"loss\"") :])] == ["N601"] * 2


def test_a_softmax_over_another_axis_is_judged_by_that_axis() -> None:
    sideways = NET.replace('top: "loss"', 'top: "loss"\n  softmax_param { axis: 0 }')
    assert found(sideways) == []
    soft = NET.replace("num_output: 1 ", "num_output: 2 ")
    soft += 'layer { name: "p" type: "Softmax" bottom: "score" top: "p" softmax_param { axis: -1 } }\n'
    assert found(soft) == []


def test_a_sigmoid_takes_one_output() -> None:
    text = NET.replace("SoftmaxWithLoss", "SigmoidCrossEntropyLoss").replace("{ dim: 8 } }", "{ dim: 8 dim: 1 } }")
    assert found(text) == []


DETECTOR = """\
layer {
  name: "rois"
  type: "Python"
  top: "rois"
  python_param {
    module: "roi_data"
    layer: "RoIData"
    param_str: "'num_classes': CLASSES"
  }
}
layer {
  name: "cls_score"
  type: "InnerProduct"
  bottom: "rois"
  top: "cls_score"
  inner_product_param { num_output: 7 }
}
layer {
  name: "bbox_pred"
  type: "InnerProduct"
  bottom: "rois"
  top: "bbox_pred"
  inner_product_param { num_output: BOXES }
}
"""


@pytest.mark.parametrize(
    ("classes", "boxes", "lines"),
    [("7", "28", []), ("7", "8", []), ("7", "84", [23]), ("21", "28", [8]), ("2", "4", []), ("21", "84", [8, 23])],
)
def test_the_numbers_of_a_detector_must_match(classes: str, boxes: str, lines: list[int]) -> None:
    text = DETECTOR.replace("CLASSES", classes).replace("BOXES", boxes)
    assert places(check(text, select=("N602",))) == [("N602", line) for line in lines]


SSD = """\
layer { name: "in" type: "Input" top: "conf" top: "loc" top: "priors"
  input_param { shape { dim: 1 dim: 42 } shape { dim: 1 dim: 8 } shape { dim: 1 dim: 2 dim: 8 } } }
layer {
  name: "parted"
  type: "Reshape"
  bottom: "conf"
  top: "parted"
  reshape_param { shape { dim: 0 dim: -1 dim: 21 } }
}
layer { name: "soft" type: "Softmax" bottom: "parted" top: "soft" softmax_param { axis: 2 } }
layer { name: "flat" type: "Flatten" bottom: "soft" top: "flat" flatten_param { axis: 1 } }
layer {
  name: "out"
  type: "DetectionOutput"
  bottom: "loc"
  bottom: "flat"
  bottom: "priors"
  top: "out"
  detection_output_param { num_classes: 21 share_location: true background_label_id: 0 }
}
layer { name: "truth" type: "Input" top: "truth" input_param { shape { dim: 1 dim: 1 dim: 5 dim: 8 } } }
layer {
  name: "judge"
  type: "DetectionEvaluate"
  bottom: "out"
  bottom: "truth"
  top: "judge"
  detection_evaluate_param { num_classes: 21 background_label_id: 0 }
}
"""


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [("dim: -1 dim: 21", "dim: -1 dim: 2", 8), ("evaluate_param { num_classes: 21", "evaluate_param { num_classes: 2", 28)],
)
def test_the_numbers_of_a_single_shot_detector_must_match(old: str, new: str, line: int) -> None:
    assert found(SSD) == []
    assert [at for _, at, _ in found(SSD.replace(old, new), "N602")] == [line]


FACES = """
layer { name: "d" type: "Data" top: "data" top: "label" data_param { source: "x" batch_size: 16 } transform_param { crop_size: 28 } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 7 weight_filler { type: "xavier" } } }
layer { name: "cls" type: "InnerProduct" bottom: "ip" top: "cls" inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "sm" type: "SoftmaxWithLoss" bottom: "cls" bottom: "label" top: "sm" }
layer { name: "centers" type: "CenterLoss" bottom: "ip" bottom: "label" top: "centers" loss_weight: 0.01
  center_loss_param { num_output: 10 } }
"""


@pytest.mark.parametrize(
    ("centers", "severity", "text"),
    [
        (10, None, ""),
        (9, "warning", "CenterLoss layer 'centers' has 9 centres, but 'sm' has 10 classes"),
        (12, "advice", "CenterLoss layer 'centers' has 12 centres, but 'sm' has 10 classes"),
    ],
)
def test_a_center_loss_needs_a_center_for_each_class(centers: int, severity: str | None, text: str) -> None:
    net = FACES.replace("center_loss_param { num_output: 10", f"center_loss_param {{ num_output: {centers}")
    findings = check(net, select=("N602",))
    assert [(each.severity, each.message) for each in findings] == ([(severity, text)] if severity else [])
    assert places(findings) == ([("N602", 7)] if severity else [])
