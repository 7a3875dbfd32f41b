"""The rules for how BatchNorm is used in a net."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import check, check_files, findings_on_disk, fix, fix_files, places

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


def test_only_layers_that_want_a_scale_are_counted_and_their_readers_named() -> None:
    """The first BatchNorm, which has no Scale either, is read by a layer with weights."""
    second = CONV.replace('"conv"', '"more"').replace('"data"', '"bn"') + NORM.replace('"bn"', '"bn2"').replace('"conv"', '"more"')
    text = DATA + CONV + NORM + second + RELU.replace('"bn"', '"bn2"') + SCORE.replace('"bn"', '"bn2"')
    (finding,) = check(text, select=("N501",))
    assert finding.message == "BatchNorm layer 'bn2' is not followed by a Scale layer"
    assert finding.reason.endswith("1 of 2 BatchNorm layers is read by ReLU layers without a Scale in between.")


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


# -- the other nets of a job: one change for all of them ---------------------------------------------------------

SPLIT = 'train_net: "train.prototxt"\ntest_net: "test.prototxt"\ntest_iter: 1\ntest_interval: 10\nbase_lr: 0.01\nlr_policy: "fixed"\nmax_iter: 100\n'
ACCURACY = SCORE.replace('"SoftmaxWithLoss"', '"Accuracy"').replace('"loss"', '"accuracy"')
INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 6 dim: 6 } } }\n'
DEPLOYED = SCORE.replace('"SoftmaxWithLoss"', '"Softmax"').replace('bottom: "label" ', "").replace('"loss"', '"prob"')
FLAWS = [("N501", SCALE, ""), ("N501", SCALE, SCALE.replace("bias_term: true", "axis: 1")), ("N502", NO_BIAS, CONV)]


def split_job(old: str = "", new: str = "") -> dict[str, str]:
    """The files of a job with a net for each purpose, each with the same change."""
    layers = (NO_BIAS + NORM + SCALE + RELU).replace(old, new) if old else NO_BIAS + NORM + SCALE + RELU
    return {
        "solver.prototxt": SPLIT,
        "train.prototxt": DATA + layers + SCORE,
        "test.prototxt": DATA + layers + ACCURACY,
        "deploy.prototxt": INPUT + layers + DEPLOYED,
    }


@pytest.mark.parametrize(("code", "right", "wrong"), FLAWS)
def test_all_nets_of_a_job_are_changed_in_one_fix(code: str, right: str, wrong: str) -> None:
    texts = split_job(right, wrong)
    findings = check_files(texts, select=(code,))
    assert sorted(each.place.path for each in findings) == ["deploy.prototxt", "test.prototxt", "train.prototxt"]
    assert {each.fix.title.rpartition(", in ")[2] for each in findings if each.fix is not None} == {"train.prototxt, test.prototxt and deploy.prototxt"}
    fixed = fix_files(texts, select=(code,), unsafe=True)
    assert places(check_files(fixed, select=("N50", "N4", "E2"))) == []
    assert all(fixed[name].count("bias_term") == 2 for name in texts if name != "solver.prototxt")


@pytest.mark.parametrize(("code", "right", "wrong"), FLAWS)
def test_no_net_is_changed_if_one_of_them_is_not_to_be(code: str, right: str, wrong: str) -> None:
    texts = split_job(right, wrong)
    texts["test.prototxt"] = f"# caffe-lint: file-ignore[{code}]\n{texts['test.prototxt']}"
    assert fix_files(texts, select=(code,), unsafe=True) == texts
    assert all("not all of them can be made" in each.reason for each in check_files(texts, select=(code,)))


def test_a_bias_that_a_deploy_net_with_folded_batch_norm_needs_is_not_removed() -> None:
    texts = split_job(NO_BIAS, CONV)
    texts["deploy.prototxt"] = INPUT + CONV.replace('"conv"', '"bn"').replace('name: "bn"', 'name: "conv"') + RELU + DEPLOYED
    (finding, *_) = check_files(texts, select=("N502",))
    assert "'conv' in deploy.prototxt cannot be changed in the same way" in finding.reason
    assert fix_files(texts, select=("N502",), unsafe=True) == texts


def test_a_layer_that_has_no_bias_in_the_test_net_loses_it_in_the_training_net() -> None:
    texts = split_job()
    texts["train.prototxt"] = texts["train.prototxt"].replace(NO_BIAS, CONV)
    fixed = fix_files(texts, select=("N502",), unsafe=True)
    assert "bias_term: false" in fixed["train.prototxt"]
    assert {**fixed, "train.prototxt": ""} == {**texts, "train.prototxt": ""}


def test_a_deploy_net_of_another_model_stays_as_it_is() -> None:
    texts = split_job(NO_BIAS, CONV)
    more = "".join(
        f'layer {{ name: "own{i}" type: "InnerProduct" bottom: "bn" top: "own{i}" inner_product_param {{ num_output: 3 }} }}\n' for i in range(9)
    )
    texts["deploy.prototxt"] += more
    fixed = fix_files(texts, select=("N502",), unsafe=True)
    assert fixed["deploy.prototxt"] == texts["deploy.prototxt"]
    assert fixed["train.prototxt"] != texts["train.prototxt"]


def test_nets_that_only_another_net_of_the_job_shares_are_changed_too() -> None:
    """Both solvers train the same net, and each has a test net of its own."""
    texts = split_job(NO_BIAS, CONV)
    texts["second.prototxt"] = SPLIT.replace("test.prototxt", "other.prototxt")
    texts["other.prototxt"] = texts["test.prototxt"]
    fixed = fix_files(texts, select=("N502",), unsafe=True)
    assert all("bias_term: false" in fixed[name] for name in ("train.prototxt", "test.prototxt", "other.prototxt", "deploy.prototxt"))


def test_nets_inside_a_solver_are_changed_together() -> None:
    nets = split_job(NO_BIAS, CONV)
    solver = SPLIT.replace('train_net: "train.prototxt"\ntest_net: "test.prototxt"\n', "")
    solver += f"train_net_param {{\n{nets['train.prototxt']}}}\ntest_net_param {{\n{nets['test.prototxt']}}}\n"
    fixed = fix_files({"solver.prototxt": solver}, select=("N502",), unsafe=True)["solver.prototxt"]
    assert fixed.count("bias_term: false") == 2
    assert places(check_files({"solver.prototxt": fixed}, select=("N502", "E2"))) == []


def test_a_net_alone_is_not_changed_if_its_solver_has_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in split_job(NO_BIAS, CONV).items():
        (tmp_path / name).write_text(text)
    (finding,) = findings_on_disk("train.prototxt", select=("N502",))
    assert "not all of them can be made" in finding.reason
    (tmp_path / "solver.prototxt").unlink()
    (finding,) = findings_on_disk("train.prototxt", select=("N502",))
    assert finding.fix is not None


MISSING = [("test.prototxt", "N401"), ("deploy.prototxt", "N407")]


@pytest.mark.parametrize(("name", "code"), MISSING)
def test_a_trained_scale_that_another_net_lacks(name: str, code: str) -> None:
    texts = split_job()
    texts[name] = texts[name].replace(SCALE, "")
    (finding,) = check_files(texts, select=("N4", "E2"))
    assert (finding.code, finding.severity, finding.place.path) == (code, "warning", name)
    assert "'bn'" in finding.message
    assert "'scale_bn'" in finding.message
    assert [place.path for place in finding.related] == ["train.prototxt"]


@pytest.mark.parametrize(("name", "code"), MISSING)
@pytest.mark.parametrize(
    "layers",
    [
        CONV.replace('top: "conv"', 'top: "bn"') + RELU,  # both are folded into the convolution
        NO_BIAS + NORM + SCALE.replace('"scale_bn"', '"renamed"') + RELU,  # which is an untrained layer
        NO_BIAS + NORM.replace('"bn"\n}', '"bn"\n  batch_norm_param { scale_bias: true }\n}') + RELU,
        NO_BIAS + NORM,  # the InnerProduct may have it
        NO_BIAS + NORM.replace('"BatchNorm"', '"SomebodysOwn"') + RELU,
    ],
)
def test_nets_that_have_the_scale_in_another_place(name: str, code: str, layers: str) -> None:
    texts = split_job()
    texts[name] = texts[name].replace(NO_BIAS + NORM + SCALE + RELU, layers)
    assert not [each for each in check_files(texts, select=(code,)) if "no Scale follows" in each.message]


@pytest.mark.parametrize(
    "scale", [SCALE.replace("\n}", "\n  param { lr_mult: 0 } param { lr_mult: 0 }\n}"), SCALE.replace('bottom: "bn"', 'bottom: "conv"')]
)
def test_a_scale_that_is_not_trained_or_follows_no_batch_norm_may_be_missing(scale: str) -> None:
    texts = split_job()
    texts["train.prototxt"] = texts["train.prototxt"].replace(SCALE, scale)
    texts["test.prototxt"] = texts["test.prototxt"].replace(SCALE, "")
    assert places(check_files(texts, select=("N401",))) == []


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
