"""G101: solvers without gradient clipping, and what in their jobs makes that a risk."""

from __future__ import annotations

from typing import Any

import pytest
from harness import check, check_files, fix, fix_files, places

from caffe_lint.rule.finding import Finding

SOLVER = """\
net: "net.prototxt"
base_lr: 0.001
lr_policy: "fixed"
momentum: 0.9
weight_decay: 0.0005
max_iter: 1000
"""
LOADED = SOLVER + 'weights: "first.caffemodel"\n'  # of which nothing is computed

NET = """\
layer {
  name: "data"
  type: "Data"
  top: "data"
  top: "label"
  transform_param { scale: 0.0039 }
  data_param { source: "train" batch_size: 64 }
}
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 10 } }
"""
SOFTMAX = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }\n'


def findings(solver: str, net: str | None = None, **settings: Any) -> list[Finding]:
    files = {"solver.prototxt": solver} if net is None else {"solver.prototxt": solver, "net.prototxt": net}
    return [finding for finding in check_files(files, **settings) if finding.code == "G101"]


def test_missing_clipping_is_advice_at_the_place_for_it() -> None:
    (finding,) = findings(SOLVER, NET + SOFTMAX)
    assert (finding.severity, finding.place.line) == ("advice", 4)


FILLED = NET.replace("num_output: 10 }", 'num_output: 10 weight_filler { type: "xavier" } }')
TRAINED = {"solver.prototxt": SOLVER, "net.prototxt": FILLED + SOFTMAX}
OWN = {"G101": {"value": 2.5}}


def bound_of(text: str) -> float:
    return next(float(line.split(":")[1]) for line in text.splitlines() if line.startswith("clip_gradients:"))


def test_a_solver_that_only_tests_needs_no_clipping() -> None:
    assert findings(LOADED)
    assert findings(LOADED.replace("max_iter: 1000", "max_iter: 0")) == []
    assert findings(LOADED.replace("max_iter: 1000\n", ""))  # a script may call step()


def test_the_fix_is_inserted_beside_momentum_and_weight_decay() -> None:
    after = fix_files(TRAINED, select=("G101",))
    bound = bound_of(after["solver.prototxt"])
    assert after["solver.prototxt"] == SOLVER.replace(
        "weight_decay: 0.0005\n", f"weight_decay: 0.0005\nclip_gradients: {bound:g}\n"
    )


def test_the_fix_keeps_the_style_of_the_file() -> None:
    text = "base_lr:0.1\r\nmomentum:0.9 # heavy\r\n"
    assert fix(text, "solver.prototxt", select=("G101",), options=OWN) == text + "clip_gradients:2.5\r\n"


def test_the_threshold_grows_with_iter_size_as_caffe_clips_the_sum() -> None:
    once, four = (
        bound_of(fix_files({**TRAINED, "solver.prototxt": text}, select=("G101",))["solver.prototxt"])
        for text in (SOLVER, SOLVER + "iter_size: 4\n")
    )
    assert four == pytest.approx(4 * once, rel=0.1)


def test_the_threshold_can_be_set_for_one_pass() -> None:
    assert "clip_gradients: 2.5\n" in fix(SOLVER, "solver.prototxt", select=("G101",), options=OWN)
    assert "clip_gradients: 10\n" in fix(SOLVER + "iter_size: 4\n", "solver.prototxt", select=("G101",), options=OWN)
    assert "clip_gradients: 2.5\n" in fix_files(TRAINED, select=("G101",), options=OWN)["solver.prototxt"]


def test_no_threshold_is_written_without_evidence() -> None:
    for text in (SOLVER, SOLVER + "clip_gradients: 0\n", "base_lr: 0.1\nmomentum: 0.9\n"):
        (finding,) = findings(text)
        assert finding.fix is None
        assert "debug_info" in finding.reason
        assert fix(text, "solver.prototxt", select=("G101",), unsafe=True) == text


def test_a_negative_threshold_is_there_on_purpose() -> None:
    for written in ("clip_gradients: -1\n", "clip_gradients: -10\n"):
        texts = {**TRAINED, "solver.prototxt": SOLVER + written}
        (finding,) = findings(SOLVER + written, FILLED + SOFTMAX)
        assert (finding.severity, finding.place.line) == ("advice", 7)
        assert fix_files(texts, select=("G101",)) == texts
        assert fix_files(texts, select=("G101",), options=OWN) == texts
        after = fix_files(texts, select=("G101",), unsafe=True)["solver.prototxt"]
        assert bound_of(after) > 0


def test_a_threshold_of_zero_is_an_error() -> None:
    text = SOLVER + "clip_gradients: 0\n"
    (finding,) = findings(text, FILLED + SOFTMAX)
    assert (finding.severity, finding.place.line) == ("error", 7)
    after = fix_files({**TRAINED, "solver.prototxt": text}, select=("G101",))["solver.prototxt"]
    assert bound_of(after) == bound_of(fix_files(TRAINED, select=("G101",))["solver.prototxt"])


@pytest.mark.parametrize("written", ["clip_gradients: 5", "clip_gradients: 0.1", "clip_gradient: 5"])
def test_a_solver_with_clipping_is_clean_even_if_the_field_is_misspelt(written: str) -> None:
    assert findings(SOLVER + written + "\n", NET + SOFTMAX) == []


EUCLIDEAN = 'layer { name: "loss" type: "EuclideanLoss" bottom: "fc" bottom: "label" top: "loss" }\n'
SECOND = 'layer { name: "loss2" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss2" loss_weight: 0.3 }\n'
HEAVY = SOFTMAX.replace('top: "loss" }', 'top: "loss" loss_weight: 20 }')
SUM = SOFTMAX.replace('top: "loss" }', 'top: "loss" loss_param { normalization: NONE } }')
LSTM = """\
layer {
  name: "lstm"
  type: "LSTM"
  bottom: "data"
  bottom: "label"
  top: "lstm"
  recurrent_param { num_output: 4 }
}
"""
PRODUCT = """\
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 10 } }
layer { name: "ab" type: "Eltwise" bottom: "a" bottom: "fc" top: "ab" eltwise_param { operation: PROD } }
layer { name: "fc2" type: "InnerProduct" bottom: "ab" top: "fc2" inner_product_param { num_output: 10 } }
"""
ONE_MORE = 'layer { name: "fc1" type: "InnerProduct" bottom: "fc" top: "fc1" inner_product_param { num_output: 2 } }\n'
DEEP = "".join(ONE_MORE.replace("fc1", f"fc{index}") for index in range(1, 16))


@pytest.mark.parametrize(
    ("layers", "said", "severity"),
    [
        (SOFTMAX + SECOND, "two losses", "advice"),
        (HEAVY, "a loss weight of 20 ('loss')", "advice"),
        (EUCLIDEAN, "EuclideanLoss 'loss'", "advice"),
        (SUM, "a sum over 64 terms", "advice"),
        (LSTM + SOFTMAX, "LSTM 'lstm' is recurrent", "warning"),
        (PRODUCT + SOFTMAX, "Eltwise 'ab' widens", "advice"),
        (DEEP + SOFTMAX, "16 layers with weights", "advice"),
    ],
)
def test_the_finding_on_a_risky_job_names_the_risk(layers: str, said: str, severity: str) -> None:
    (finding,) = findings(LOADED, NET + layers)
    assert finding.severity == severity
    assert said in finding.message
    assert said in finding.reason


def test_a_loss_with_a_bounded_gradient_is_no_risk() -> None:
    (finding,) = findings(LOADED, NET + EUCLIDEAN.replace("EuclideanLoss", "SmoothL1Loss"))
    assert (finding.severity, "unbounded" in finding.reason) == ("advice", False)


def test_a_layer_type_that_has_no_name_here_is_unknown() -> None:
    layers = """
layers {
  name: "data" type: DUMMY_DATA top: "data" top: "label"
  dummy_data_param { num: 4 channels: 3 height: 1 width: 1 num: 4 channels: 2 height: 1 width: 1 }
}
layers { name: "odd" type: MY_RESIZE bottom: "data" top: "odd" }
layers {
  name: "score" type: INNER_PRODUCT bottom: "odd" top: "score"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } }
}
layers { name: "loss" type: EUCLIDEAN_LOSS bottom: "score" bottom: "label" }
"""
    (finding,) = findings(SOLVER, layers)
    assert "the type of 'odd' is unknown. To know it, pass your Caffe's caffe.proto with --proto." in finding.reason


def test_a_high_learning_rate_is_a_risk() -> None:
    (finding,) = findings(LOADED.replace("0.001", "3000"), NET + SOFTMAX)
    assert (finding.severity, "3000 is high (G102)" in finding.message) == ("warning", True)


@pytest.mark.parametrize("field", ["larc: true", "local_lr_auto: true"])
def test_with_layer_wise_rates_only_recurrent_layers_are_a_risk(field: str) -> None:
    euclidean, loaded = NET + EUCLIDEAN, LOADED.replace("base_lr: 0.001", "base_lr: 9")
    assert ["risky" in one.message for one in findings(loaded, euclidean)] == [True]
    assert [(one.severity, "risky" in one.message) for one in findings(f"{loaded}{field}\n", euclidean)] == [("advice", False)]
    assert [one.severity for one in findings(f"{loaded}{field}\n", NET + LSTM + SOFTMAX)] == ["warning"]


@pytest.mark.parametrize(("type_name", "settings"), [("Lstm", "lstm_param"), ("LSTM", "lstm_param")])
def test_a_recurrent_layer_that_clips_is_no_risk(type_name: str, settings: str) -> None:
    lstm = LSTM.replace('"LSTM"', f'"{type_name}"').replace("recurrent_param { num_output: 4 }", f"{settings} {{ num_output: 4 }}")
    assert [one.severity for one in findings(LOADED, NET + lstm + SOFTMAX)] == ["warning"]
    clips = lstm.replace("num_output: 4 }", "num_output: 4 clipping_threshold: 0.1 }")
    assert [one.severity for one in findings(LOADED, NET + clips + SOFTMAX)] == ["advice"]
    off = lstm.replace("num_output: 4 }", "num_output: 4 clipping_threshold: 0 }")
    assert [one.severity for one in findings(LOADED, NET + off + SOFTMAX)] == ["warning"]


def test_with_adam_only_recurrent_layers_are_a_risk() -> None:
    solver = SOLVER + 'type: "Adam"\n'
    assert [finding.severity for finding in findings(solver, NET + EUCLIDEAN)] == ["advice"]
    assert [finding.severity for finding in findings(solver, NET + LSTM + SOFTMAX)] == ["warning"]


def test_a_net_that_is_not_found_is_no_risk() -> None:
    assert [finding.severity for finding in findings(SOLVER)] == ["advice"]


def test_a_net_within_the_solver_is_checked() -> None:
    solver = SOLVER.replace('net: "net.prototxt"\n', f"net_param {{\n{NET}{LSTM}{EUCLIDEAN}}}\n")
    assert [finding.severity for finding in findings(solver)] == ["warning"]


def test_a_second_run_of_the_fix_changes_nothing() -> None:
    once = fix_files(TRAINED, select=("G",))
    assert fix_files(once, select=("G",)) == once
    assert places(check_files(once, select=("G101",))) == []


def test_a_net_alone_has_no_solver_to_judge() -> None:
    assert places(check(NET + EUCLIDEAN, select=("G101",))) == []


def test_a_rate_somewhat_above_its_limit_is_advice() -> None:
    (finding,) = findings(LOADED.replace("0.001", "30"), NET + SOFTMAX)
    assert (finding.severity, "a learning rate of 30 is high (G102)" in finding.message) == ("advice", True)


@pytest.mark.parametrize(("normalising", "is_named"), [("Power", True), ("BatchNorm", False), ("OurNorm", False), ("BNConv", False)])
def test_layers_that_may_normalise_are_no_missing_normalisation(normalising: str, is_named: bool) -> None:
    deep = "".join(
        f'layer {{ name: "ip{n}" type: "InnerProduct" bottom: "b{n}" top: "t{n}" inner_product_param {{ num_output: 4 }} }}\n'
        f'layer {{ name: "n{n}" type: "{normalising}" bottom: "t{n}" top: "b{n + 1}" }}\n'
        for n in range(20)
    )
    net = NET.replace('top: "fc"', 'top: "b0"') + deep
    (finding,) = findings(LOADED, net + SOFTMAX.replace('bottom: "fc"', 'bottom: "b20"'))
    assert ("no normalisation" in finding.message) == is_named
