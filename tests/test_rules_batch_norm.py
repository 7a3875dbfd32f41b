"""The rules for how BatchNorm is used in a net."""

from __future__ import annotations

import pytest
from harness import check, check_files, fix, fix_files, places

DATA = """\
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 16 dim: 3 dim: 6 dim: 6 } shape { dim: 16 } } }
"""
CONV = """\
layer {
  name: "conv"
  type: "Convolution"
  bottom: "data"
  top: "conv"
  param { lr_mult: 1 decay_mult: 1 }
  param { lr_mult: 2 decay_mult: 0 }
  convolution_param {
    num_output: 4
    kernel_size: 3
    weight_filler { type: "msra" }
  }
}
"""
NO_BIAS = CONV.replace("  param { lr_mult: 2 decay_mult: 0 }\n", "").replace(
    "kernel_size: 3\n", "kernel_size: 3\n    bias_term: false\n"
)
NORM = """\
layer {
  name: "bn"
  type: "BatchNorm"
  bottom: "conv"
  top: "bn"
}
"""
SCALE = """\
layer {
  name: "scale_bn"
  type: "Scale"
  bottom: "bn"
  top: "bn"
  scale_param { bias_term: true }
}
"""
RELU = 'layer { name: "relu" type: "ReLU" bottom: "bn" top: "bn" }\n'
SCORE = """\
layer {
  name: "score"
  type: "InnerProduct"
  bottom: "bn"
  top: "score"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
"""
NET = DATA + NO_BIAS + NORM + SCALE + RELU + SCORE
SOLVER = 'net: "net.prototxt"\nbase_lr: 0.01\nlr_policy: "fixed"\nmax_iter: 100\niter_size: 16\n'


def found(text: str) -> list[tuple[str, int]]:
    return places(check(text, select=("N50",)))


def job(net: str, solver: str = SOLVER) -> dict[str, str]:
    return {"solver.prototxt": solver, "net.prototxt": net}


def test_a_batch_norm_with_a_scale_and_no_bias_before_it_is_fine() -> None:
    assert found(NET) == []


# -- the Scale after -----------------------------------------------------------------------------------------


def test_a_batch_norm_without_a_scale_gets_one() -> None:
    text = NET.replace(SCALE, "")
    assert found(text) == [("N501", 18)]
    assert fix(text, select=("N501",)) == text
    assert fix(text, select=("N501",), unsafe=True) == NET


@pytest.mark.parametrize("settings", ["  scale_param { bias_term: false }\n", "  scale_param { axis: 1 }\n", ""])
def test_a_scale_without_a_bias_gets_it(settings: str) -> None:
    text = NET.replace("  scale_param { bias_term: true }\n", settings)
    assert [code for code, _ in found(text)] == ["N501"]
    fixed = fix(text, select=("N501",), unsafe=True)
    assert "bias_term: true" in fixed
    assert found(fixed) == []
    bias = 'layer { name: "shift" type: "Bias" bottom: "bn" top: "bn" }\n'
    assert found(text.replace(RELU, bias + RELU)) == []


def test_several_are_one_finding_and_one_fix() -> None:
    second = NORM.replace('"conv"', '"bn"').replace('"bn"\n  type', '"second"\n  type').replace('top: "bn"', 'top: "x"')
    text = DATA + NO_BIAS + NORM + RELU + second + RELU.replace('"bn"', '"x"') + SCORE.replace('"bn"', '"x"')
    (finding,) = check(text, select=("N501",))
    assert "2 of 2" in finding.reason
    fixed = fix(text, select=("N501",), unsafe=True)
    assert fixed.count('type: "Scale"') == 2
    assert found(fixed) == []


@pytest.mark.parametrize(
    "reader",
    [
        'layer { name: "x" type: "Convolution" bottom: "bn" top: "x" convolution_param { num_output: 4 kernel_size: 1 } }',
        'layer { name: "x" type: "Bias" bottom: "bn" top: "x" }',
        'layer { name: "x" type: "SomebodysOwn" bottom: "bn" top: "x" }',
    ],
)
def test_no_scale_is_missing_if_the_next_layer_scales_or_is_unknown(reader: str) -> None:
    assert found(DATA + NO_BIAS + NORM + reader + SCORE.replace('"bn"', '"x"')) == []


@pytest.mark.parametrize("setting", ["scale_bias: true", 'scale_filler { type: "constant" value: 1 }'])
def test_a_forks_batch_norm_that_scales_by_itself_needs_none(setting: str) -> None:
    norm = NORM.replace('"bn"\n}', f'"bn"\n  batch_norm_param {{ {setting} }}\n}}')
    assert found(NET.replace(SCALE, "").replace(NORM, norm)) == []


def test_each_phases_own_batch_norm_gets_its_own_scale() -> None:
    train = NORM.replace('  top: "bn"\n', '  top: "bn"\n  include { phase: TRAIN }\n')
    text = DATA + NO_BIAS + train + train.replace("TRAIN", "TEST") + RELU + SCORE
    texts = job(text, SOLVER + "test_iter: 1\ntest_interval: 10\n")
    fixed = fix_files(texts, select=("N501",), unsafe=True)["net.prototxt"]
    assert fixed.count('name: "scale_bn"') == 2
    assert fixed.count("phase: TRAIN") == fixed.count("phase: TEST") == 2
    assert places(check_files({**texts, "net.prototxt": fixed}, select=("N501", "E2"))) == []


def test_a_net_without_a_loss_is_not_flagged() -> None:
    loss = SCORE.index('layer { name: "loss"')
    assert found(NET.replace(SCALE, "").replace(SCORE, SCORE[:loss])) == []


# -- the bias before -----------------------------------------------------------------------------------------


def test_a_bias_before_batch_norm_is_removed_with_its_param() -> None:
    text = NET.replace(NO_BIAS, CONV)
    assert found(text) == [("N502", 5)]
    fixed = fix(text, select=("N502",), unsafe=True)
    assert "lr_mult: 2" not in fixed
    assert "bias_term: false" in fixed
    assert found(fixed) == []


@pytest.mark.parametrize(
    "more",
    [
        'layer { name: "p" type: "Power" bottom: "conv" top: "p" }\n',  # something else reads the bias
        "",
    ],
)
def test_a_bias_that_has_another_reader_or_does_not_learn_is_not_flagged(more: str) -> None:
    conv = CONV if more else CONV.replace("lr_mult: 2", "lr_mult: 0")
    assert found(NET.replace(NO_BIAS, conv + more)) == []


def test_stored_statistics_do_not_remove_the_bias_in_training() -> None:
    frozen = NORM.replace('"bn"\n}', '"bn"\n  batch_norm_param { use_global_stats: true }\n}')
    assert found(NET.replace(NO_BIAS, CONV).replace(NORM, frozen)) == []


# -- too few values ----------------------------------------------------------------------------------------------


def test_iter_size_does_not_enlarge_the_batch_of_a_batch_norm() -> None:
    small = NET.replace("dim: 16", "dim: 2")
    (finding,) = check_files(job(small), select=("N503",))
    assert (finding.place.line, finding.severity) == (18, "advice")
    assert "from 2 images, not 32" in finding.message
    assert check_files(job(NET), select=("N503",)) == []
    assert check_files(job(small, SOLVER.replace("iter_size: 16\n", "")), select=("N503",)) == []
    assert check_files(job(small), select=("N503",), options={"N503": {"images": 2}}) == []


def test_one_value_per_channel_gives_zeros() -> None:
    one = NET.replace("dim: 16", "dim: 1").replace("dim: 6 dim: 6", "dim: 3 dim: 3")
    (finding,) = check_files(job(one, SOLVER.replace("iter_size: 16\n", "")), select=("N503",))
    assert finding.severity == "warning"
    stored = one.replace('top: "bn"\n}', 'top: "bn"\n  batch_norm_param { use_global_stats: true }\n}', 1)
    assert check_files(job(stored), select=("N503",)) == []
