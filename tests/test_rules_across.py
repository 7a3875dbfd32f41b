"""The rules for mismatches between a solver's training net, its test nets and the deploy net."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import check, check_files, fix, fix_files, places

from caffe_lint.cli.commands import run
from caffe_lint.rule.finding import Finding
from caffe_lint.source.errors import InputError

SOLVER = 'train_net: "train.prototxt"\ntest_net: "test.prototxt"\ntest_iter: 10\ntest_interval: 100\n'
DATA = """\
layer {
  name: "data"
  type: "Data"
  top: "data"
  top: "label"
  transform_param { scale: 0.0039 mean_value: 128 crop_size: 24 }
  data_param { source: "train_lmdb" batch_size: 8 backend: LMDB }
}
"""
NET = """\
layer {
  name: "ip1"
  type: "InnerProduct"
  bottom: "data"
  top: "ip1"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "ip1"
  bottom: "label"
  top: "loss"
}
"""
TRAIN = DATA + NET
TEST = TRAIN.replace("train_lmdb", "test_lmdb")


def found(
    test: str, train: str = TRAIN, select: tuple[str, ...] = ("E221", "N4")
) -> list[tuple[str, str, int]]:
    files = {"solver.prototxt": SOLVER, "train.prototxt": train, "test.prototxt": test}
    findings = check_files(files, select=select)
    return [(finding.code, finding.place.path, finding.place.line) for finding in findings]


def test_nets_that_match() -> None:
    assert found(TEST) == []


def test_parameters_of_other_shapes() -> None:
    assert found(TEST.replace("num_output: 10", "num_output: 11")) == [("E221", "test.prototxt", 11)]
    assert found(TEST.replace("num_output: 10", "num_output: 10 bias_term: false")) == [
        ("E221", "test.prototxt", 11)
    ]


def test_an_inner_product_that_reads_images_of_another_size() -> None:
    one = DATA.replace('  top: "label"\n', '  top: "label"\n  include { phase: TRAIN }\n')
    other = one.replace("TRAIN", "TEST").replace("crop_size: 24", "crop_size: 28").replace("train_", "test_")
    solver = 'net: "net.prototxt"\ntest_iter: 10\ntest_interval: 100\n'
    channels = one.replace("mean_value: 128", "mean_value: 1 mean_value: 2 mean_value: 3")
    files = {"solver.prototxt": solver, "net.prototxt": channels + other + NET}
    assert check_files(files, select=("E221",)) == []  # the number of channels is not known
    convolution = (
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
        "convolution_param { num_output: 2 kernel_size: 3 } }\n"
    )
    files["net.prototxt"] = one + other + convolution + NET.replace('"data"', '"c"')
    findings = check_files(files, select=("E221",))
    assert places(findings) == [("E221", 22)]
    assert "different sizes in the two phases" in findings[0].reason


def test_a_mismatch_in_nets_for_an_unknown_caffe_is_a_warning() -> None:
    files = {
        "solver.prototxt": SOLVER,
        "train.prototxt": TRAIN,
        "test.prototxt": TEST.replace("num_output: 10", "num_output: 11 some_field: 1"),
    }
    assert [finding.severity for finding in check_files(files, select=("E221",))] == ["warning"]


def test_a_layer_that_was_renamed_in_one_of_the_files() -> None:
    test = TEST.replace('name: "ip1"', 'name: "ip_1"')
    assert found(test) == [("N401", "test.prototxt", 10)]
    files = {"solver.prototxt": SOLVER, "train.prototxt": TRAIN, "test.prototxt": test}
    assert fix_files(files, select=("N4",))["test.prototxt"] == test
    assert fix_files(files, unsafe=True, select=("N4",))["test.prototxt"] == TEST


def test_layers_are_compared_only_if_both_nets_are_of_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "caffe-lint.toml").write_text("")
    test = TEST.replace('name: "ip1"', 'name: "other"')
    for path, text in (("job/train.prototxt", TRAIN), ("job/test.prototxt", test), ("far/test.prototxt", test)):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.chdir(tmp_path)

    def findings(train: str, test: str) -> list[Finding]:
        solver = f'train_net: "{train}"\ntest_net: "{test}"\ntest_iter: 10\ntest_interval: 100\n'
        return check_files({"job/solver.prototxt": solver}, select=("N401",))

    for train, test in (
        ("job/train.prototxt", "job/test.prototxt"),
        ("train.prototxt", "test.prototxt"),
        ("/home/someone/job/train.prototxt", "/home/someone/job/test.prototxt"),
        ("job/train.prototxt", "far/test.prototxt"),
    ):
        (finding,) = findings(train, test)
        assert str(Path("job", "train.prototxt")) in finding.message
    for train, test in (
        ("train.prototxt", "far/test.prototxt"),
        ("job/train.prototxt", "/home/someone/far/test.prototxt"),
        ("/home/someone/a/train.prototxt", "/home/someone/b/test.prototxt"),
    ):
        assert findings(train, test) == []


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("E221", ("num_output: 10", "num_output: 11")),
        ("N401", ('name: "ip1"', 'name: "other"')),
        ("N402", ("scale: 0.0039", "scale: 1")),
        ("N403", ("test_lmdb", "train_lmdb")),
    ],
)
def test_a_test_net_of_another_model_that_was_only_found_by_its_name_is_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, changed: tuple[str, str]
) -> None:
    (tmp_path / "caffe-lint.toml").write_text("")
    test = TEST.replace(*changed)
    for path, text in (("models/a/net/train.prototxt", TRAIN), ("models/b/net/test.prototxt", test)):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    monkeypatch.chdir(tmp_path)
    solver = {"models/a/net/solver.prototxt": SOLVER.replace('_net: "', '_net: "models/net/')}
    assert check_files(solver, select=(code,)) == []
    (tmp_path / "models/a/net/test.prototxt").write_text(test)
    assert [finding.code for finding in check_files(solver, select=(code,))] == [code]


def test_a_name_with_another_number_is_not_taken_for_a_misspelling() -> None:
    test = TEST.replace('name: "ip1"', 'name: "ip2"')
    files = {"solver.prototxt": SOLVER, "train.prototxt": TRAIN, "test.prototxt": test}
    assert [finding.fix for finding in check_files(files, select=("N401",))] == [None]


def test_a_layer_with_fixed_weights_needs_no_training() -> None:
    fixed = (
        'layer { name: "up" type: "Deconvolution" bottom: "data" top: "up" param { lr_mult: 0 } '
        "convolution_param { num_output: 1 kernel_size: 4 stride: 2 bias_term: false "
        'weight_filler { type: "bilinear" } } }\n'
    )
    assert found(TEST + fixed, select=("N401",)) == []
    assert found(TEST + fixed.replace("param { lr_mult: 0 } ", ""), select=("N401",)) != []


def test_data_with_another_scale_or_mean() -> None:
    assert found(TEST.replace("scale: 0.0039 ", "")) == [("N402", "test.prototxt", 3)]
    assert found(TEST.replace("scale: 0.0039 ", "scale: 1 ")) == [("N402", "test.prototxt", 6)]
    assert found(TEST.replace("mean_value: 128 ", "")) == [("N402", "test.prototxt", 3)]
    assert found(TEST.replace("mean_value: 128 ", "mean_value: 1 ")) == [("N402", "test.prototxt", 6)]
    assert found(TEST, TRAIN.replace("mean_value: 128 ", "")) == [("N402", "test.prototxt", 6)]


def test_a_mean_file_and_a_mean_value_may_be_the_same() -> None:
    assert found(TEST.replace("mean_value: 128", 'mean_file: "mean.binaryproto"')) == []


def test_another_mean_file_and_a_missing_crop_are_advice() -> None:
    files = {
        "solver.prototxt": SOLVER,
        "train.prototxt": TRAIN.replace("mean_value: 128", 'mean_file: "a.binaryproto"'),
        "test.prototxt": TEST.replace("mean_value: 128", 'mean_file: "b.binaryproto"').replace(
            " crop_size: 24", ""
        ),
    }
    findings = check_files(files, select=("N402",))
    assert [finding.severity for finding in findings] == ["advice", "advice"]
    assert findings[0].related[0].path == "train.prototxt"


def test_a_test_on_the_training_data() -> None:
    assert found(TRAIN) == [("N403", "test.prototxt", 7)]


def test_a_second_test_on_the_training_data_is_not_flagged() -> None:
    solver = SOLVER + 'test_net: "both.prototxt"\ntest_iter: 10\n'
    files = {
        "solver.prototxt": solver,
        "train.prototxt": TRAIN,
        "test.prototxt": TEST,
        "both.prototxt": TRAIN,
    }
    assert check_files(files, select=("N403",)) == []


NORM = """\
layer {
  name: "bn"
  type: "BatchNorm"
  bottom: "data"
  top: "bn"
  batch_norm_param { use_global_stats: true }
}
"""


def test_statistics_that_are_never_computed() -> None:
    train = DATA + NORM + NET.replace('"data"', '"bn"')
    files = {
        "solver.prototxt": SOLVER,
        "train.prototxt": train,
        "test.prototxt": train.replace("train_", "test_"),
    }
    findings = check_files(files, select=("N404", "N405"))
    assert [(finding.code, finding.place.path, finding.place.line) for finding in findings] == [
        ("N405", "train.prototxt", 14)
    ]
    files["solver.prototxt"] = SOLVER + 'weights: "trained.caffemodel"\n'
    assert check_files(files, select=("N405",)) == []
    files["solver.prototxt"] = SOLVER
    files["train.prototxt"] = train.replace(' weight_filler { type: "xavier" }', "")  # to be fine-tuned
    assert check_files(files, select=("N405",)) == []


@pytest.mark.parametrize(
    ("named", "beside", "is_meant"),
    [
        ("test.prototxt", "train.prototxt", True),
        ("seg_test.prototxt", "seg_train.prototxt", True),
        ("seg-inference.prototxt", "seg-train_val.prototxt", True),
        ("latest.prototxt", "latrain.prototxt", False),
        ("train.prototxt", "test.prototxt", False),
        ("test.prototxt", "net.prototxt", False),
    ],
)
def test_statistics_are_stored_in_the_test_net_that_a_solver_names_by_mistake(named: str, beside: str, is_meant: bool) -> None:
    net = DATA + NORM + NET.replace('"data"', '"bn"')
    solver = f'net: "{named}"\nbase_lr: 0.1\nlr_policy: "fixed"\nmax_iter: 100\n'
    files: dict[str, str | bytes] = {
        "solver.prototxt": solver, named: net, beside: net.replace("use_global_stats: true", "eps: 1e-5")
    }
    (finding,) = check_files(files, select=("N405",))
    assert (f"{beside} has these layers without it" in finding.reason) == is_meant
    assert (finding.fix is None) == is_meant
    for other in (net, net.replace('name: "bn"', 'name: "bn2"')):
        files[beside] = other
        assert [finding.fix is None for finding in check_files(files, select=("N405",))] == [False]


def test_batch_statistics_in_a_deploy_net() -> None:
    deploy = 'input: "data"\ninput_dim: 1\ninput_dim: 3\ninput_dim: 8\ninput_dim: 8\n'
    deploy += NORM.replace("true", "false")
    findings = check(deploy, select=("N404",))
    assert [(finding.place.line, finding.severity) for finding in findings] == [(11, "warning")]
    assert fix(deploy, unsafe=True, select=("N404",)) == deploy.replace(
        "use_global_stats: false", ""
    ).replace("{  }", "{ }")


def test_batch_statistics_are_advice_where_the_file_or_its_solver_trains() -> None:
    normalised = DATA + NORM.replace("true", "false") + NET.replace('"data"', '"bn"')
    (finding,) = check(normalised.replace('top: "loss"\n', 'top: "loss"\n  include { phase: TRAIN }\n'), select=("N404",))
    assert finding.severity == "advice"
    files = {"solver.prototxt": SOLVER, "train.prototxt": TRAIN, "test.prototxt": normalised.replace("SoftmaxWithLoss", "Accuracy")}
    (finding,) = check_files(files, select=("N404",))
    assert finding.severity == "advice"


@pytest.mark.parametrize(("images", "effect"), [(1, "by its own statistics"), (2, "on the other images of the batch")])
def test_an_image_alone_in_its_batch_depends_on_no_other(images: int, effect: str) -> None:
    deploy = f'input: "data"\ninput_shape {{ dim: {images} dim: 3 dim: 8 dim: 8 }}\n' + NORM.replace("true", "false")
    (finding,) = check(deploy, select=("N404",))
    assert effect in finding.reason


ONE_NET = 'net: "net.prototxt"\ntest_iter: 10\ntest_interval: 100\n'
BOTH = DATA.replace('  top: "label"\n', '  top: "label"\n  include { phase: TRAIN }\n')
BOTH += BOTH.replace("train_lmdb", "test_lmdb").replace("TRAIN", "TEST") + NET


@pytest.mark.parametrize(("phase", "what"), [("TRAIN", "test net in phase TRAIN"), ("TEST", "training net in phase TEST")])
def test_a_state_in_the_net_that_overrides_the_phase_of_the_solver(phase: str, what: str) -> None:
    files = {"solver.prototxt": ONE_NET, "net.prototxt": f"state {{ phase: {phase} }}\n{BOTH}"}
    (finding,) = check_files(files, select=("N409",))
    assert (finding.place.path, finding.place.line, finding.severity) == ("net.prototxt", 1, "warning")
    assert what in finding.message
    fixed = fix_files(files, unsafe=True, select=("N409",))
    assert check_files(fixed, select=("N4",)) == []
    assert "phase: TRAIN }\n  transform" in fixed["net.prototxt"]


def test_the_training_data_in_such_a_test_net_are_its_consequence() -> None:
    files = {"solver.prototxt": ONE_NET, "net.prototxt": "state { phase: TRAIN }\n" + BOTH}
    cause, effect = check_files(files, select=("N403", "N409"))
    assert (cause.code, effect.code, effect.caused_by) == ("N409", "N403", cause.as_cause)


@pytest.mark.parametrize(
    ("solver", "state"),
    [
        (ONE_NET, 'state { stage: "small" level: 1 }'),
        (ONE_NET + "test_state { phase: TEST }\n", "state { phase: TRAIN }"),
        ('net: "net.prototxt"\n', "state { phase: TRAIN }"),  # without a test net
        (ONE_NET + "test_state { phase: TRAIN }\n", ""),  # asked for by the solver itself
    ],
)
def test_states_that_override_no_phase(solver: str, state: str) -> None:
    assert check_files({"solver.prototxt": solver, "net.prototxt": f"{state}\n{BOTH}"}, select=("N409",)) == []


def test_a_state_in_a_file_without_a_solver_and_in_nets_for_one_phase() -> None:
    assert check("state { phase: TRAIN }\n" + BOTH, select=("N409",)) == []
    files = {"solver.prototxt": SOLVER, "train.prototxt": "state { phase: TRAIN }\n" + TRAIN, "test.prototxt": "state { phase: TEST }\n" + TEST}
    assert check_files(files, select=("N409",)) == []
    files["test.prototxt"] = "state { phase: TRAIN }\n" + TEST
    assert [finding.place.path for finding in check_files(files, select=("N409",))] == ["test.prototxt"]


def test_a_stage_that_is_misspelled() -> None:
    net = TRAIN + 'layer { name: "x" type: "ReLU" bottom: "ip1" top: "x" include { stage: "pretrain" } }\n'
    solver = 'net: "net.prototxt"\ntrain_state { stage: "pre_train" }\n'
    files = {"solver.prototxt": solver, "net.prototxt": net}
    findings = check_files(files, select=("N406",))
    assert places(findings) == [("N406", 2)]
    assert fix_files(files, unsafe=True, select=("N406",))["solver.prototxt"] == solver.replace(
        "pre_train", "pretrain"
    )
    files["solver.prototxt"] = solver.replace("pre_train", "something")
    assert check_files(files, select=("N406",)) == []


DEPLOY = 'input: "data"\ninput_dim: 1\ninput_dim: 3\ninput_dim: 24\ninput_dim: 24\n'
HEAD, LOSS = NET.split('layer {\n  name: "loss"')
SECOND = HEAD.replace("ip1", "ip2").replace('bottom: "data"', 'bottom: "ip1"')
THIRD = HEAD.replace("ip1", "ip3").replace('bottom: "data"', 'bottom: "ip2"')


def test_a_deploy_net_beside_the_training_net() -> None:
    used = DEPLOY + HEAD + SECOND + THIRD
    train = DATA + HEAD + SECOND + THIRD + 'layer {\n  name: "loss"' + LOSS.replace("ip1", "ip3")
    files = {"solver.prototxt": 'net: "net.prototxt"\n', "net.prototxt": train, "deploy.prototxt": used}
    assert check_files(files, select=("N407",)) == []
    files["deploy.prototxt"] = used.replace('name: "ip2"', 'name: "ip_2"')
    findings = check_files(files, select=("N407",))
    assert [(finding.place.path, finding.place.line) for finding in findings] == [("deploy.prototxt", 14)]
    assert fix_files(files, unsafe=True, select=("N407",))["deploy.prototxt"] == used
    files["deploy.prototxt"] = DEPLOY + HEAD + SECOND + THIRD.replace("num_output: 10", "num_output: 11")
    findings = check_files(files, select=("N407",))
    assert "11 x 10, but 10 x 10 in the training net" in findings[0].message
    assert findings[0].severity == "advice"  # it may be for data of other classes
    assert [finding.severity for finding in check_files(files, select=("N407",), deploy="deploy.prototxt")] == ["error"]
    files["deploy.prototxt"] = used.replace("num_output: 10", "num_output: 11")  # another model
    assert check_files(files, select=("N407",)) == []


def test_a_deploy_net_that_is_named_must_fit() -> None:
    train = DATA + HEAD + SECOND + THIRD + 'layer {\n  name: "loss"' + LOSS.replace("ip1", "ip3")
    files = {"solver.prototxt": 'net: "net.prototxt"\n', "net.prototxt": train}
    files["used.prototxt"] = (DEPLOY + HEAD + SECOND + THIRD).replace("num_output: 10", "num_output: 11")
    findings = check_files(files, select=("N407",), deploy="used.prototxt")
    assert [finding.severity for finding in findings] == ["error"] * 3  # although none of the layers match
    files["used.prototxt"] = (DEPLOY + HEAD).replace("ip1", "other")
    findings = check_files(files, select=("N407",), deploy="used.prototxt")
    assert [finding.severity for finding in findings] == ["error"]
    assert findings[0].message == "no layer of this net gets weights from the training net (net.prototxt)"


@pytest.mark.parametrize("trained", ["InnerProduct", "LargeMarginInnerProduct", "MarginInnerProduct"])
def test_a_bias_that_was_not_trained(trained: str) -> None:
    settings = {
        "InnerProduct": "inner_product_param { num_output: 10 bias_term: false }",
        "LargeMarginInnerProduct": "largemargin_inner_product_param { num_output: 10 }",
        "MarginInnerProduct": "margin_inner_product_param { num_output: 10 }",
    }[trained]
    label = "" if trained == "InnerProduct" else 'bottom: "label" '
    last = f'layer {{ name: "ip3" type: "{trained}" bottom: "ip2" {label}top: "ip3" {settings} }}\n'
    train = DATA + HEAD + SECOND + last + 'layer {\n  name: "loss"' + LOSS.replace("ip1", "ip3")
    used = DEPLOY + HEAD + SECOND + THIRD
    files = {"solver.prototxt": 'net: "net.prototxt"\n', "net.prototxt": train, "deploy.prototxt": used}
    findings = check_files(files, select=("N407",))
    assert [(found.severity, found.place.line) for found in findings] == [("warning", 22)]
    assert findings[0].message == f"InnerProduct layer 'ip3' has a bias, but {trained} layer 'ip3' of the training net has none"
    files.update(fix_files(files, unsafe=True, select=("N407",)))
    assert "bias_term: false" in files["deploy.prototxt"]
    assert check_files(files, select=("N407",)) == []


CONV = """\
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 8 kernel_size: 3 } }
layer { name: "bn" type: "BN" bottom: "conv" top: "bn" bn_param { frozen: true } }
"""
IMAGES = """\
layer {
  name: "d" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 4 dim: 3 dim: 24 dim: 24 } shape { dim: 4 } }
}
"""
VIDEO = 'layer { name: "v" type: "VideoData" top: "data" top: "label" video_data_param { source: "a" batch_size: 8 num_segments: 3 modality: RGB } }\n'


def test_the_nets_of_a_job_are_read_by_one_caffe() -> None:
    shown = VIDEO + IMAGES.replace('"data"', '"maps"').replace('"label"', '"unread"')  # of a fork that is known by its VideoData
    net = CONV + HEAD.replace('bottom: "data"', 'bottom: "bn"') + 'layer {\n  name: "loss"' + LOSS
    files = {"solver.prototxt": 'net: "net.prototxt"\n', "net.prototxt": shown + net.replace('bottom: "data"', 'bottom: "maps"')}
    files["deploy.prototxt"] = DEPLOY + CONV + HEAD.replace('bottom: "data"', 'bottom: "bn"')  # whose BN several forks have
    assert check_files(files, select=("N407",)) == []
    files["deploy.prototxt"] = files["deploy.prototxt"].replace("num_output: 8", "num_output: 9")
    assert check_files(files, select=("N407",), deploy="deploy.prototxt")


def test_layers_of_two_caffes_are_not_compared() -> None:
    net = CONV + HEAD.replace('bottom: "data"', 'bottom: "bn"') + 'layer {\n  name: "loss"' + LOSS
    video = VIDEO.replace('"data"', '"other"').replace('"label"', '"unread"')
    assert found(IMAGES + video + net, IMAGES + net) == []  # the training net alone may be for another fork, with another BN
    assert found(IMAGES + net, IMAGES + net.replace("num_output: 8", "num_output: 9"))[0][0] == "E221"


def test_a_deploy_net_for_images_of_another_size_is_advice() -> None:
    data = 'layer { name: "d" type: "DummyData" top: "data" top: "label" dummy_data_param { shape { dim: 4 dim: 3 dim: 24 dim: 24 } shape { dim: 4 } } }\n'
    train = data + HEAD + SECOND + THIRD + 'layer {\n  name: "loss"' + LOSS.replace("ip1", "ip3")
    used = DEPLOY + HEAD + SECOND + THIRD
    files = {"solver.prototxt": 'net: "net.prototxt"\n', "net.prototxt": train}
    files["deploy.prototxt"] = used.replace("input_dim: 24", "input_dim: 26")
    (finding,) = check_files(files, select=("N407",))
    assert (finding.severity, "in the training net" in finding.message) == ("advice", True)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('net: "net.prototxt"\nbase_lr: 0.1\n', "expected a net, but this file is a solver"),
        ('item { name: "cat" id: 1 }\n', "expected a net, but this file is another file"),
        ("", "expected a net, but this file is empty"),
        ("name: {{ name }}\nlayer { name: {{ name }} }\n", "expected a net, but this file is a template"),
        (None, "no such file"),
    ],
)
def test_a_deploy_net_that_is_named_must_be_a_net(
    text: str | None, what: str, tmp_path: Path
) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    if text is not None:
        (tmp_path / "used.prototxt").write_text(text)
    with pytest.raises(InputError) as error:
        run(["check", str(tmp_path / "net.prototxt"), "--deploy", str(tmp_path / "used.prototxt")])
    assert str(error.value) == f"--deploy {tmp_path / 'used.prototxt'}: {what}"


def test_a_deploy_net_that_is_named() -> None:
    train = DATA + HEAD + SECOND + THIRD + 'layer {\n  name: "loss"' + LOSS.replace("ip1", "ip3")
    used = (DEPLOY + HEAD + SECOND + THIRD).replace('name: "ip2"', 'name: "ip_2"')
    files = {"solver.prototxt": 'net: "net.prototxt"\n', "net.prototxt": train, "other/used.prototxt": used}
    assert check_files(files, select=("N407",)) == []
    findings = check_files(files, select=("N407",), deploy="other/used.prototxt")
    assert [(finding.place.path, finding.place.line) for finding in findings] == [("other/used.prototxt", 14)]


def test_nothing_is_reported_without_the_training_net() -> None:
    files = {"solver.prototxt": SOLVER.replace("train.prototxt", "gone.prototxt"), "test.prototxt": TRAIN}
    assert check_files(files, select=("E221", "N4")) == []
