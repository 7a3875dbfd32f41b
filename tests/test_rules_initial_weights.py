"""The rules for initial weights."""

from __future__ import annotations

from itertools import pairwise

import pytest
from harness import check, check_files, fix, places

DATA = """\
layer {
  name: "data"
  type: "DummyData"
  top: "data"
  top: "label"
  dummy_data_param { shape { dim: 8 dim: 6 } shape { dim: 8 } }
}
"""


def ip(name: str, bottom: str, filler: str = ' weight_filler { type: "xavier" }', more: str = "") -> str:
    return f"""\
layer {{
  name: "{name}"
  type: "InnerProduct"
  bottom: "{bottom}"
  top: "{name}"
{more}  inner_product_param {{ num_output: 6{filler} }}
}}
"""


def loss(bottom: str) -> str:
    return f'layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "{bottom}" bottom: "label" top: "loss" }}\n'


RELU = 'layer { name: "relu" type: "ReLU" bottom: "hidden" top: "hidden" }\n'
HIDDEN = DATA + ip("hidden", "data", "")
TOP = ip("ip", "hidden") + loss("ip")
CONSTANT = " weight_filler { value: 0.1 }"


def found(text: str, select: str = "N205") -> list[tuple[str, int, str]]:
    return [(finding.code, finding.place.line, finding.severity) for finding in check(text, select=(select,))]


def chain(fillers: str) -> str:
    """Return a chain of layers: F has a filler, Z has none, z has none and does not learn."""
    names = ["data", *(f"ip{number}" for number in range(len(fillers)))]
    text = DATA
    for (below, name), kind in zip(pairwise(names), fillers, strict=True):
        filler = ' weight_filler { type: "xavier" }' if kind == "F" else ""
        text += ip(name, below, filler, "  param { lr_mult: 0 }\n  param { lr_mult: 0 }\n" if kind == "z" else "")
    return text + loss(names[-1])


def test_weights_that_start_at_zero() -> None:
    assert found(HIDDEN + TOP) == [("N205", 10, "advice")]
    zero = HIDDEN.replace("num_output: 6 }", 'num_output: 6 weight_filler { type: "constant" } }')
    assert found(zero + TOP) == [("N205", 13, "advice")]
    half = HIDDEN.replace("num_output: 6 }", 'num_output: 6 weight_filler { type: "constant" value: 0.5 } }')
    assert found(half + TOP) == []


def test_a_last_layer_of_zeros_learns() -> None:
    assert found(DATA + ip("ip", "data", "") + loss("ip")) == []


@pytest.mark.parametrize(
    ("fillers", "severity"),
    [
        ("FFFZF", "warning"),
        ("ZFFF", "warning"),  # nobody loads weights for a single layer
        ("FZZFF", "warning"),  # loaded layers come first
        ("ZZFFFFFF", "advice"),
        ("ZZZZF", "advice"),
        ("zZFFF", "advice"),  # the weights that do not learn must be loaded
    ],
)
def test_a_net_from_scratch_is_distinguished_from_a_fine_tuned_one(fillers: str, severity: str) -> None:
    (finding,) = check(chain(fillers), select=("N205",))
    assert finding.severity == severity


def test_weights_that_the_solver_loads_are_not_flagged() -> None:
    solver = 'net: "net.prototxt"\nbase_lr: 0.01\nlr_policy: "fixed"\nmax_iter: 9\n'
    texts = {"solver.prototxt": solver, "net.prototxt": HIDDEN + TOP}
    assert places(check_files(texts, select=("N205",))) == [("N205", 10)]
    texts["solver.prototxt"] += 'weights: "old.caffemodel"\n'
    assert check_files(texts, select=("N205",)) == []


def biased(value: str, more: str = "") -> str:
    return DATA + ip("below", "data") + ip("hidden", "below", f" bias_filler {{ {value} }}") + more + TOP


@pytest.mark.parametrize("value", ["value: 0.1", "value: -0.1", 'type: "gaussian" std: 1', 'type: "file" file: "start.txt"'])
def test_a_bias_lets_zero_weights_learn(value: str) -> None:
    assert found(biased(value)) == []
    assert found(biased("value: 0")) == [("N205", 17, "warning")]


@pytest.mark.parametrize("following", ["ReLU", "BatchNorm"])
@pytest.mark.parametrize("value", ["value: 0.1", "value: -0.1", 'type: "gaussian" std: 1'])
def test_a_bias_that_the_next_layer_turns_into_zeros_does_not_help(value: str, following: str) -> None:
    between = 'layer { name: "drop" type: "Dropout" bottom: "hidden" top: "hidden" }\n' + RELU.replace("ReLU", following)
    is_removed = following == "BatchNorm" or value == "value: -0.1"
    findings = check(biased(value, between), select=("N205",))
    assert bool(findings) == is_removed
    assert all("outputs only its bias" in finding.message for finding in findings)


def test_a_leaky_relu_and_stored_statistics_keep_a_bias() -> None:
    assert found(biased("value: -0.1", RELU.replace("}", "relu_param { negative_slope: 0.1 } }"))) == []
    stored = RELU.replace("ReLU", "BatchNorm").replace("}", "batch_norm_param { use_global_stats: true } }")
    assert found(biased("value: 0.1", stored)) == []


def test_the_filler_suits_the_activation_that_follows() -> None:
    assert fix(HIDDEN + TOP, select=("N205",)) == HIDDEN + TOP
    assert fix(HIDDEN + TOP, select=("N205",), unsafe=True) == DATA + ip("hidden", "data") + TOP
    msra = ip("hidden", "data", ' weight_filler { type: "msra" }')
    assert fix(HIDDEN + RELU + TOP, select=("N205",), unsafe=True) == DATA + msra + RELU + TOP
    for kind in ("ReLU6", "PReLU", "Swish"):
        rectifier = RELU.replace("ReLU", kind)
        assert fix(HIDDEN + rectifier + TOP, select=("N205",), unsafe=True) == DATA + msra + rectifier + TOP
    zero = HIDDEN.replace("num_output: 6 }", 'num_output: 6 weight_filler { type: "constant" value: 0 } }')
    assert fix(zero + TOP, select=("N205",), unsafe=True) == DATA + ip("hidden", "data") + TOP


def test_a_filler_is_written_in_the_style_of_the_file() -> None:
    text = """\
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
    shape { dim: 8 dim: 3 dim: 5 dim: 5 } shape { dim: 8 } } }
layer {
    name: "conv"
    type: "Convolution"
    bottom: "data"
    top: "conv"
    convolution_param {
        num_output: 4
        kernel_size: 3  # small
    }
}
""" + ip("ip", "conv") + loss("ip")
    fixed = fix(text, select=("N205",), unsafe=True)
    added = """\
        kernel_size: 3  # small
        weight_filler {
            type: "xavier"
        }
    }
"""
    assert added in fixed
    assert fix(fixed, select=("N205",), unsafe=True) == fixed


def test_a_v1_net_gets_its_filler_too() -> None:
    text = """\
layers { name: "data" type: DUMMY_DATA top: "data" top: "label"
  dummy_data_param { num: 8 num: 8 channels: 6 channels: 1 height: 1 height: 1 width: 1 width: 1 } }
layers { name: "a" type: INNER_PRODUCT bottom: "data" top: "a" inner_product_param { num_output: 6 } }
layers { name: "b" type: INNER_PRODUCT bottom: "a" top: "b"
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "b" bottom: "label" }
"""
    assert fix(text, select=("N205",), unsafe=True) == text.replace(
        "num_output: 6 } }", 'num_output: 6 weight_filler { type: "xavier" } } }'
    )


# -- upsampling ----------------------------------------------------------------------------------------------


def upsampling(settings: str, outputs: int = 5, more: str = "") -> str:
    return f"""\
layer {{
  name: "data"
  type: "DummyData"
  top: "data"
  top: "label"
  dummy_data_param {{ shape {{ dim: 4 dim: 3 dim: 16 dim: 16 }} shape {{ dim: 4 dim: 1 dim: 32 dim: 32 }} }}
}}
layer {{ name: "a" type: "Convolution" bottom: "data" top: "a" convolution_param {{
  num_output: 8 kernel_size: 3 pad: 1 weight_filler {{ type: "msra" }} }} }}
layer {{ name: "b" type: "Convolution" bottom: "a" top: "b" convolution_param {{
  num_output: 5 kernel_size: 3 pad: 1 weight_filler {{ type: "msra" }} }} }}
layer {{
  name: "up"
  type: "Deconvolution"
  bottom: "b"
  top: "up"
{more}  convolution_param {{ num_output: {outputs} stride: 2 {settings} }}
}}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "up" bottom: "label" top: "loss" }}
"""


BILINEAR = 'weight_filler { type: "bilinear" }'
RIGHT = f"kernel_size: 4 pad: 1 {BILINEAR} bias_term: false group: 5"


def test_layers_that_interpolate_are_fine() -> None:
    assert found(upsampling(RIGHT), "N504") == []
    assert found(upsampling(f'kernel_size: 4 pad: 1 {BILINEAR.replace("bilinear", "xavier")}'), "N504") == []


@pytest.mark.parametrize("settings", ["kernel_size: 4 pad: 1", 'kernel_size: 4 pad: 1 weight_filler { type: "constant" }'])
def test_upsampling_with_zero_initial_weights_gets_a_bilinear_filler(settings: str) -> None:
    text = upsampling(settings)
    assert [(code, severity) for code, _, severity in found(text, "N504")] == [("N504", "advice")]
    fixed = fix(text, select=("N504",), unsafe=True)
    assert BILINEAR in fixed
    assert "group: 5" in fixed
    assert "bias_term" not in fixed
    assert found(fixed, "N504") == []


def test_the_bias_of_upsampling_stays() -> None:
    more = "  param { lr_mult: 0 }\n  param { lr_mult: 1 }\n"
    text = upsampling("kernel_size: 4 pad: 1 bias_filler { value: 0.5 }", more=more)
    (finding,) = check(text, select=("N504",))
    assert finding.fix is not None
    assert finding.fix.title == "use a bilinear filler in 5 groups"
    fixed = fix(text, select=("N504",), unsafe=True)
    assert more in fixed
    assert "bias_filler { value: 0.5 }" in fixed


def test_a_single_channel_needs_no_groups() -> None:
    text = upsampling("kernel_size: 4 pad: 1", 1).replace("num_output: 5", "num_output: 1")
    (finding,) = check(text, select=("N504",))
    assert finding.fix is not None
    assert finding.fix.title == "use a bilinear filler"
    assert "group" not in fix(text, select=("N504",), unsafe=True)


def test_layers_that_are_not_counted_are_named() -> None:
    frozen = ip("below", "data", more="  param { lr_mult: 0 }\n  param { lr_mult: 0 }\n")
    text = DATA + frozen + ip("hidden", "below", "") + ip("hidden2", "hidden", "") + ip("ip", "hidden2") + loss("ip")
    (finding,) = check(text, select=("N205",))
    assert finding.reason.endswith("It concerns 2 of 3 layers with weights that learn, shared ones counted once.")
    (finding,) = check(HIDDEN + TOP, select=("N205",))
    assert finding.reason.endswith("It concerns 1 of 2 layers with weights.")


def test_upsampling_with_zero_weights_that_do_not_learn_says_so() -> None:
    more = "  param { lr_mult: 0 }\n  param { lr_mult: 0 }\n"
    (finding,) = check(upsampling("kernel_size: 4 pad: 1", more=more), select=("N504",))
    assert "zero weights that do not learn" in finding.message
    assert finding.fix is not None
    (finding,) = check(upsampling("kernel_size: 4 pad: 1", 7, more), select=("N504",))
    assert finding.fix is None


def test_upsampling_with_zero_weights_and_a_bias_is_a_problem_only_if_it_does_not_learn() -> None:
    settings = "kernel_size: 4 pad: 1 bias_filler { value: 0.5 }"
    assert found(upsampling(settings), "N504") == []
    more = "  param { lr_mult: 0 }\n  param { lr_mult: 0 }\n"
    (finding,) = check(upsampling(settings, more=more), select=("N504",))
    assert finding.message.endswith("outputs only its bias")


def test_zero_upsampling_before_other_layers_of_a_net_from_scratch_is_a_warning() -> None:
    last = 'layer { name: "c" type: "Convolution" bottom: "up" top: "c" convolution_param { num_output: 5 kernel_size: 1'
    text = upsampling("kernel_size: 4 pad: 1", 7).replace('bottom: "up" bottom', 'bottom: "c" bottom')
    text = text.replace('layer { name: "loss"', last + ' weight_filler { type: "xavier" } } }\nlayer { name: "loss"')
    (finding,) = check(text, select=("N504",))
    assert finding.severity == "warning"
    assert 'weight_filler { type: "xavier" } }\n}' in fix(text, select=("N504",), unsafe=True)


def test_a_bilinear_filler_without_groups_mixes_channels() -> None:
    text = upsampling(RIGHT.replace(" group: 5", ""))
    (finding,) = check(text, select=("N504",))
    assert finding.severity == "warning"
    assert "adds up 5 channels" in finding.message
    assert fix(text, select=("N504",), unsafe=True) == text.replace("bias_term: false", "bias_term: false group: 5")


def test_a_kernel_that_does_not_interpolate() -> None:
    (finding,) = check(upsampling(RIGHT.replace("kernel_size: 4 pad: 1", "kernel_size: 2")), select=("N504",))
    assert finding.severity == "advice"
    assert "needs a kernel of 4" in finding.reason


JOB = 'net: "net.prototxt"\nbase_lr: 0.01\nlr_policy: "fixed"\nmax_iter: 9\n'
OWN_LOSS = 'layer { name: "loss" type: "AuthorsLoss" bottom: "ip" bottom: "label" top: "loss" }\n'


def in_job(text: str, select: str) -> list[tuple[str, str]]:
    findings = check_files({"solver.prototxt": JOB, "net.prototxt": text}, select=(select,))
    assert all("AuthorsLoss layer 'loss' may be the loss" in finding.reason for finding in findings)
    return [(finding.code, finding.severity) for finding in findings]


def test_a_last_layer_of_unknown_type_may_be_the_loss() -> None:
    text = HIDDEN + RELU + ip("ip", "hidden") + OWN_LOSS
    assert in_job(text, "N205") == [("N205", "advice")]
    assert found(text) == []  # nothing says that the net is trained
    assert in_job(text + OWN_LOSS.replace('top: "loss"', 'top: "x"').replace('"AuthorsLoss"', '"Accuracy"'), "N205") == [
        ("N205", "advice")
    ]
    assert in_job(HIDDEN + RELU + ip("ip", "hidden") + OWN_LOSS.replace("AuthorsLoss", "Silence"), "N205") == []
    side = ip("side", "data", "") + ip("side2", "side")
    assert in_job(DATA + side + ip("ip", "data") + OWN_LOSS, "N205") == []
    constant = DATA + ip("hidden", "data", CONSTANT) + RELU + ip("ip", "hidden", CONSTANT)
    assert in_job(constant + OWN_LOSS, "N218") == [("N218", "advice")]


# -- equal outputs -------------------------------------------------------------------------------------------


def between(layers: str, first: str = CONSTANT, second: str = CONSTANT, more: str = "") -> list[tuple[str, int, str]]:
    """What is said of two layers with other layers between them, which are in place."""
    return found(DATA + ip("hidden", "data", first, more) + layers + ip("ip", "hidden", second) + loss("ip"), "N218")


def in_place(kind: str, settings: str = "") -> str:
    return f'layer {{ name: "between" type: "{kind}" bottom: "hidden" top: "hidden" {settings} }}\n'


@pytest.mark.parametrize(
    "layers",
    [
        "",
        RELU,
        in_place("TanH") + in_place("BatchNorm") + in_place("Scale", "scale_param { bias_term: true }"),
        in_place("PReLU"),
        in_place("Dropout", "dropout_param { dropout_ratio: 0 }"),
        in_place("Dropout").replace("}", "include { phase: TEST } }"),
    ],
)
def test_outputs_that_nothing_distinguishes(layers: str) -> None:
    assert between(layers) == [("N218", 13, "warning")]


@pytest.mark.parametrize(
    "layers",
    [
        in_place("Dropout"),
        in_place("LRN"),
        in_place("Insanity"),
        in_place("Scale", 'scale_param { filler { type: "gaussian" std: 1 } }'),
        in_place("PReLU", 'prelu_param { filler { type: "uniform" } }'),
        in_place("Author"),
        'layer { name: "branch" type: "SoftmaxWithLoss" bottom: "hidden" bottom: "label" }\n',
        'layer { name: "sum" type: "Eltwise" bottom: "hidden" bottom: "data" top: "sum" }\n' + ip("b", "sum") + loss("b"),
    ],
)
def test_outputs_that_a_layer_distinguishes(layers: str) -> None:
    assert between(layers) == []


@pytest.mark.parametrize("first", ["", CONSTANT, f'{CONSTANT} bias_filler {{ type: "constant" value: 1 }}'])
def test_random_weights_and_biases_distinguish_outputs(first: str) -> None:
    other = ' weight_filler { type: "gaussian" std: 0.01 }'
    assert between(RELU, first, other) == []
    assert between(RELU, other, CONSTANT) == []
    assert between(RELU, CONSTANT + ' bias_filler { type: "uniform" }', CONSTANT) == []


def test_outputs_that_are_one_or_frozen_or_last_are_not_flagged() -> None:
    assert between(RELU, more="  param { lr_mult: 0 }\n") == []
    assert found(DATA + ip("ip", "data", CONSTANT) + loss("ip"), "N218") == []
    single = (DATA + ip("hidden", "data", CONSTANT)).replace("num_output: 6", "num_output: 1")
    assert found(single + ip("ip", "hidden", CONSTANT) + loss("ip"), "N218") == []


def test_zero_weights_with_a_bias_make_equal_outputs_too() -> None:
    assert between(RELU, " bias_filler { value: 0.1 }", "") == [("N218", 10, "advice")]
    assert between(RELU, "", "") == []  # which N205 flags


def test_the_fix_draws_weights_at_random() -> None:
    text = DATA + ip("hidden", "data", CONSTANT) + RELU + ip("ip", "hidden", CONSTANT) + loss("ip")
    assert fix(text, select=("N218",)) == text
    assert fix(text, select=("N218",), unsafe=True) == text.replace("{ value: 0.1 }", '{ type: "msra" }', 1)


def test_equal_outputs_of_groups() -> None:
    data = DATA.replace("dim: 8 dim: 6", "dim: 8 dim: 6 dim: 1 dim: 1")
    settings = "num_output: 6 kernel_size: 1 group: 2 weight_filler { value: 0.1 }"
    conv = f'layer {{ name: "hidden" type: "Convolution" bottom: "data" top: "hidden" convolution_param {{ {settings} }} }}\n'
    (finding,) = check(data + conv + ip("ip", "hidden", CONSTANT) + loss("ip"), select=("N218",))
    assert finding.message.startswith("all 3 outputs in each group of")
    depthwise = conv.replace("group: 2", "group: 6")
    assert found(data + depthwise + ip("ip", "hidden", CONSTANT) + loss("ip"), "N218") == []
    second = conv.replace('"data"', '"a"').replace("hidden", "ip")
    first = conv.replace('"hidden"', '"a"').replace("group: 2 ", "")
    assert found(data + first + second + loss("ip"), "N218") == []  # the groups of the second differ


@pytest.mark.parametrize("value", ["0", "0.1"])
def test_a_long_chain_of_layers_after_constant_weights_is_followed(value: str) -> None:
    chain = "".join(f'layer {{ name: "r{n}" type: "ReLU" bottom: "a{n}" top: "a{n + 1}" }}\n' for n in range(3000))
    net = (
        'layer { name: "data" type: "Input" top: "data" top: "label" input_param { shape { dim: 4 dim: 4 } shape { dim: 4 } } }\n'
        'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "a0" inner_product_param { num_output: 4\n'
        f'  weight_filler {{ type: "constant" value: {value} }} bias_filler {{ type: "constant" value: 0.1 }} }} }}\n'
        + chain
        + 'layer { name: "score" type: "InnerProduct" bottom: "a3000" top: "score" inner_product_param { num_output: 4\n'
        '  weight_filler { type: "constant" value: 0.1 } } }\n'
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }\n'
    )
    texts = {"net.prototxt": net, "solver.prototxt": 'net: "net.prototxt"\nbase_lr: 0.01\nlr_policy: "fixed"\nmax_iter: 10\n'}
    assert "N218" in {finding.code for finding in check_files(texts)}
