"""Rules for what Caffe accepts silently in nets: in-place layers, losses, names, unused tops, ignored settings."""

from __future__ import annotations

import pytest
from harness import check, fix, places

DATA = """\
layer {
  name: "data"
  type: "DummyData"
  top: "data"
  top: "label"
  dummy_data_param {
    shape { dim: 8 dim: 6 }
    shape { dim: 8 }
  }
}
"""
IP = """\
layer {
  name: "ip"
  type: "InnerProduct"
  bottom: "data"
  top: "ip"
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } }
}
"""
LOSS = """\
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "ip"
  bottom: "label"
  top: "loss"
}
"""
NET = DATA + IP + LOSS


def found(text: str, select: str = "N") -> list[tuple[str, int]]:
    return places(check(text, select=(select,)))


def layer(kind: str, bottom: str, top: str, more: str = "") -> str:
    return f'layer {{ name: "{kind.lower()}" type: "{kind}" bottom: "{bottom}" top: "{top}" {more}}}\n'


def test_a_sound_net_has_no_finding() -> None:
    assert found(NET) == []


# -- in place -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("ReLU", ""),
        ("ReLU", "relu_param { negative_slope: 0.1 } "),
        ("PReLU", ""),
        ("ELU", ""),
        ("Sigmoid", ""),
        ("TanH", ""),
        ("Swish", ""),
        ("Exp", ""),
        ("Dropout", ""),
        ("BatchNorm", ""),
        ("Scale", ""),
        ("Bias", ""),
        ("Softmax", ""),
        ("MVN", "mvn_param { normalize_variance: false } "),
    ],
)
def test_these_layers_may_work_in_place(kind: str, more: str) -> None:
    assert found(DATA + IP + layer(kind, "ip", "ip", more) + LOSS, "N1") == []


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("Power", "power_param { scale: 2 } "),
        ("Log", "log_param { shift: 9 } "),
        ("BNLL", ""),
        ("Clip", "clip_param { min: -1 max: 1 } "),
        ("ReLU", "relu_param { negative_slope: -0.3 } "),
        ("MVN", ""),
    ],
)
def test_these_layers_compute_a_wrong_gradient_in_place(kind: str, more: str) -> None:
    text = DATA + IP + layer(kind, "ip", "ip", more) + LOSS
    assert found(text, "N1") == [("N112", 18)]
    name = kind.lower()
    expected = DATA + IP + layer(kind, "ip", name, more) + LOSS.replace('"ip"', f'"{name}"')
    assert fix(text, select=("N1",)) == expected


def test_without_trainable_layers_before_it_an_in_place_layer_needs_no_gradient() -> None:
    assert found(DATA + layer("Power", "data", "data", "power_param { scale: 2 } ") + IP + LOSS, "N1") == []


@pytest.mark.parametrize(
    ("first", "second", "is_wrong"),
    [
        ("Sigmoid", "Dropout", True),
        ("TanH", "ReLU", True),
        ("ELU", "Dropout", True),
        ("Softmax", "Dropout", True),
        ("Sigmoid", "ReLU", False),  # leaves positive values as they are
        ("ReLU", "Dropout", False),
        ("BatchNorm", "ReLU", False),
        ("PReLU", "Dropout", False),
    ],
)
def test_an_in_place_layer_may_overwrite_what_the_layer_before_needs(
    first: str, second: str, is_wrong: bool
) -> None:
    text = DATA + IP + layer(first, "ip", "ip") + layer(second, "ip", "ip") + LOSS
    findings = check(text, select=("N1",))
    assert places(findings) == ([("N112", 19)] if is_wrong else [])
    if is_wrong:
        assert found(fix(text, select=("N1",)), "N1") == []


def test_a_flatten_in_between_makes_no_difference() -> None:
    text = DATA + IP + layer("TanH", "ip", "tanh") + layer("Flatten", "tanh", "flat")
    text += layer("Dropout", "flat", "flat") + LOSS.replace('"ip"', '"flat"')
    assert found(text, "N1") == [("N112", 20)]


def test_these_layers_compute_wrong_values_in_place() -> None:
    image = DATA.replace("dim: 8 dim: 6 }", "dim: 8 dim: 6 dim: 4 dim: 4 }")
    convolution = (
        'layer { name: "conv" type: "Convolution" bottom: "data" top: "data" '
        'convolution_param { num_output: 6 kernel_size: 1 weight_filler { type: "xavier" } } }\n'
    )
    assert found(image + convolution + IP + LOSS, "N1") == [("N111", 11)]
    assert 'top: "conv"' in fix(image + convolution + IP + LOSS, select=("N1",))
    pooling = layer("Pooling", "data", "data", "pooling_param { kernel_size: 2 stride: 2 } ")
    assert found(image + pooling + IP + LOSS, "N1") == [("N111", 11)]
    assert found(image + layer("LRN", "data", "data") + IP + LOSS, "N1") == [("N111", 11)]
    twice = 'layer { name: "sum" type: "Eltwise" bottom: "ip" bottom: "data" top: "ip" }\n'
    assert found(DATA + IP + twice + LOSS, "N1") == [("N111", 18)]


def test_an_in_place_layer_may_overwrite_another_blob() -> None:
    text = DATA + IP + layer("Flatten", "ip", "flat") + layer("ReLU", "flat", "flat") + LOSS
    assert found(text + layer("Silence", "flat", "x").replace('top: "x" ', ""), "N1") == [("N113", 19)]
    before = layer("Power", "ip", "power")
    text = DATA + IP + before + layer("Flatten", "ip", "flat") + layer("ReLU", "flat", "flat")
    assert found(text + LOSS.replace('"ip"', '"flat"'), "N1") == []


# -- losses -------------------------------------------------------------------------------------------------


def test_a_loss_with_a_written_weight_counts_twice_if_it_is_read() -> None:
    text = (
        DATA + IP + LOSS.replace('top: "loss"', 'top: "loss"\n  loss_weight: 2') + layer("Power", "loss", "x")
    )
    findings = check(text, select=("N2",))
    assert places(findings) == [("N201", 24)]
    assert "counts with a weight of 3 instead of 2" in findings[0].message


def test_a_layer_that_reads_a_loss_without_a_written_weight_overwrites_its_gradient() -> None:
    second = layer("Power", "loss", "root", "power_param { power: 0.5 } loss_weight: 1 ")
    assert found(NET + second, "N2") == [("N201", 23)]
    silent = 'layer { name: "silence" type: "Silence" bottom: "loss" }\n'
    assert found(NET + silent, "N2") == []


def test_a_python_loss_has_a_default_weight_of_zero() -> None:
    solver_net = DATA.replace('top: "label"\n', 'top: "label"\n  include { phase: TRAIN }\n') + IP
    loss = layer("Python", "ip", "loss", 'python_param { module: "losses" layer: "HuberLoss" } ')
    text = solver_net + loss
    assert found(text, "N2") == [("N202", 19)]
    assert fix(text, select=("N202",)) == text
    assert "loss_weight: 1" in fix(text, unsafe=True, select=("N202",))
    assert found(text.replace("HuberLoss", "Sampler"), "N202") == []


def test_a_net_for_training_without_a_loss() -> None:
    text = DATA.replace('top: "label"\n', 'top: "label"\n  include { phase: TRAIN }\n') + IP
    assert found(text, "N2") == [("N203", 14)]
    assert found(text + layer("MyLayer", "ip", "x"), "N2") == []


def test_a_net_without_trainable_params() -> None:
    frozen = IP.replace("  inner", "  param { lr_mult: 0 }\n  param { lr_mult: 0 }\n  inner")
    assert found(DATA + frozen + LOSS, "N2") == [("N204", 22)]
    half = IP.replace("  inner", "  param { lr_mult: 0 }\n  inner")
    assert found(DATA + half + LOSS, "N2") == []
    cut = LOSS.replace('  top: "loss"', '  top: "loss"\n  propagate_down: false\n  propagate_down: false')
    findings = check(DATA + IP + cut, select=("N2",))
    assert places(findings) == [("N204", 20)]
    assert "no gradient reaches" in findings[0].message


def test_a_net_with_an_unknown_bottom_has_no_further_finding() -> None:
    assert found(DATA + IP + LOSS.replace('"ip"', '"other"'), "N") == []


def test_layers_of_one_name_are_told_by_their_lines() -> None:
    relu = 'layer {{ name: "{}" type: "ReLU" bottom: "ip" top: "ip" }}\n'
    same = "".join(relu.format(name) for name in "aaaaaa")
    (finding,) = check(DATA + IP + same + LOSS, select=("N301",))
    first = finding.place.line
    lines = ", ".join(f"line {first + number}" for number in (1, 2, 3))
    assert finding.reason.endswith(f" Also in 4 other layers: {lines}, ….")
    apart = "".join(relu.format(name) for name in "aabbcc")
    (finding,) = check(DATA + IP + apart + LOSS, select=("N301",))
    assert finding.reason.endswith(" Also in 2 other layers: 'b', 'c'.")


def test_a_dropout_ratio_of_one() -> None:
    drop = layer("Dropout", "ip", "ip", "dropout_param { dropout_ratio: 1 } ")
    assert found(DATA + IP + drop + LOSS, "N2") == [("N206", 18)]
    assert found(DATA + IP + drop.replace(": 1 }", ": 0.9 }") + LOSS, "N2") == []


def test_a_dropout_ratio_of_one_has_no_effect_in_a_test_net() -> None:
    drop = layer("Dropout", "ip", "ip", "dropout_param { dropout_ratio: 1 } ")
    test = DATA + IP + drop.replace("}", "} include { phase: TEST }", 1) + LOSS
    (finding,) = check(test, select=("N206",))
    assert finding.severity == "advice"
    assert "NaN" not in finding.message
    assert finding.reason.startswith("In phase TEST, Dropout has no effect")


def test_a_softmax_before_a_loss_that_applies_one() -> None:
    text = DATA + IP + layer("Softmax", "ip", "prob") + LOSS.replace('"ip"', '"prob"')
    assert found(text, "N2") == [("N207", 22)]
    assert fix(text, unsafe=True, select=("N207",)) == DATA + IP + layer("Softmax", "ip", "prob") + LOSS


def test_a_softmax_beside_the_loss_is_fine() -> None:
    assert found(NET + layer("Softmax", "ip", "prob"), "N2") == []


def test_a_softmax_in_place_gets_a_top_of_its_own() -> None:
    accuracy = 'layer { name: "acc" type: "Accuracy" bottom: "ip" bottom: "label" top: "acc" }\n'
    text = DATA + IP + layer("Softmax", "ip", "ip") + LOSS + accuracy
    assert found(text, "N2") == [("N207", 22)]
    fixed = DATA + IP + layer("Softmax", "ip", "softmax") + LOSS + accuracy.replace('"ip"', '"softmax"')
    assert fix(text, unsafe=True, select=("N207",)) == fixed
    assert found(fixed, "N2") == found(fixed, "E2") == []


def test_a_softmax_before_a_flatten_is_bypassed() -> None:
    flat = layer("Flatten", "prob", "flat")
    text = DATA + IP + layer("Softmax", "ip", "prob") + flat + LOSS.replace('"ip"', '"flat"')
    assert found(text, "N2") == [("N207", 23)]
    fixed = text.replace(flat, flat.replace('"prob"', '"ip"'))
    assert fix(text, unsafe=True, select=("N207",)) == fixed
    read = text + layer("Power", "flat", "power")
    assert fix(read, unsafe=True, select=("N207",)) == read


def test_a_sigmoid_before_a_loss_that_applies_one() -> None:
    loss = LOSS.replace("SoftmaxWithLoss", "SigmoidCrossEntropyLoss").replace('"ip"', '"sigmoid"')
    text = (
        DATA.replace("shape { dim: 8 }", "shape { dim: 8 dim: 6 }")
        + IP
        + layer("Sigmoid", "ip", "sigmoid")
        + loss
    )
    assert found(text, "N2") == [("N207", 22)]


def test_a_relu_before_a_loss() -> None:
    assert found(DATA + IP + layer("ReLU", "ip", "ip") + LOSS, "N2") == [("N208", 22)]
    leaky = layer("ReLU", "ip", "ip", "relu_param { negative_slope: 0.1 } ")
    assert found(DATA + IP + leaky + LOSS, "N2") == []


def test_scores_instead_of_probabilities() -> None:
    loss = LOSS.replace("SoftmaxWithLoss", "MultinomialLogisticLoss")
    assert found(DATA + IP + loss, "N2") == [("N209", 20)]
    assert fix(DATA + IP + loss, unsafe=True, select=("N209",)) == NET
    assert found(DATA + IP + layer("Softmax", "ip", "prob") + loss.replace('"ip"', '"prob"'), "N2") == []


def test_a_loss_weight_on_features() -> None:
    text = DATA + IP.replace('top: "ip"', 'top: "ip"\n  loss_weight: 0.5') + LOSS
    assert found(text, "N2") == [("N210", 16)]
    assert found(text.replace("loss_weight: 0.5", "loss_weight: 0"), "N2") == []
    penalty = layer("Reduction", "ip", "penalty", "reduction_param { operation: SUMSQ } loss_weight: 0.1 ")
    assert found(NET + penalty, "N2") == []


def test_a_negative_loss_weight() -> None:
    loss = LOSS.replace('top: "loss"', 'top: "loss"\n  loss_weight: -0.5')
    assert found(DATA + IP + loss, "N2") == [("N217", 24)]
    assert fix(DATA + IP + loss, unsafe=True, select=("N217",)) == (DATA + IP + loss).replace("-0.5", "0.5")
    frozen = IP.replace("  inner", "  param { lr_mult: 0 }\n  param { lr_mult: 0 }\n  inner")  # a discriminator
    assert found(DATA + IP.replace('"ip"', '"code"') + frozen.replace('"data"', '"code"') + loss, "N217") == []
    penalty = layer("Reduction", "ip", "reward", "reduction_param { operation: MEAN } loss_weight: -0.1 ")
    assert found(NET + penalty, "N217") == []


def with_params(*specs: str) -> str:
    return IP.replace("  inner", "".join(f"  param {{ {spec} }}\n" for spec in specs) + "  inner")


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        (("lr_mult: -1", "decay_mult: -1"), {16: "increases the loss, and weight decay makes it grow", 17: "makes the bias grow"}),
        (("lr_mult: -1 decay_mult: 0",), {16: "Every update of the weight increases the loss."}),
        (("lr_mult: inf",), {16: "NaN"}),
        (("decay_mult: nan lr_mult: -1",), {16: "NaN"}),
        (("lr_mult: 0 decay_mult: -1",), {}),
    ],
)
def test_invalid_multipliers(specs: tuple[str, ...], said: dict[int, str]) -> None:
    found = [each for each in check(DATA + with_params(*specs) + LOSS) if each.code == "N211"]
    assert {each.place.line: words in each.reason for each, words in zip(found, said.values(), strict=True)} == dict.fromkeys(said, True)
    assert {each.severity for each in found} <= {"warning"}


def test_gradients_that_are_reversed_on_purpose_are_told_once() -> None:
    both = with_params("lr_mult: -1 decay_mult: -1")  # of the weight; the bias learns as usual
    generator = with_params("lr_mult: -1", "lr_mult: -2").replace('"ip"', '"a"') + with_params("lr_mult: -1", "lr_mult: -2").replace(
        'name: "ip"', 'name: "b"'
    ).replace('bottom: "data" top: "ip"', 'bottom: "a" top: "b"')
    usual = IP.replace('bottom: "data"', 'bottom: "b"')
    for text, others in ((DATA + both + LOSS, ""), (DATA + generator + usual + LOSS, "Also in 1 other layer: 'b'. Where decay_mult")):
        (finding,) = [each for each in check(text) if each.code == "N211"]
        assert finding.severity == "advice"
        assert "only if that is meant" in finding.reason
        assert others in finding.reason
    everything = with_params("lr_mult: -1 decay_mult: -1", "lr_mult: -1 decay_mult: -1")  # nothing learns
    found = [each for each in check(DATA + everything + LOSS) if each.code == "N211"]
    assert [each.severity for each in found] == ["warning", "warning"]
    assert all("decay" not in each.reason for each in found)


# -- names, rules, tops, settings ---------------------------------------------------------------------------------------------


def test_two_layers_with_the_same_name() -> None:
    second = IP.replace('bottom: "data"', 'bottom: "ip"').replace('top: "ip"', 'top: "ip2"')
    text = DATA + IP + second + LOSS.replace('"ip"', '"ip2"')
    findings = check(text, select=("N3",))
    assert [(finding.code, finding.place.line, finding.severity) for finding in findings] == [
        ("N301", 19, "warning")
    ]
    assert findings[0].related[0].line == 12
    two = layer("ReLU", "ip", "ip") + layer("ReLU", "ip", "ip")
    findings = check(DATA + IP + two + LOSS, select=("N3",))
    assert [(finding.code, finding.severity) for finding in findings] == [("N301", "advice")]


def test_layers_of_two_phases_may_have_the_same_name() -> None:
    train = DATA.replace('  top: "data"\n', '  top: "data"\n  include { phase: TRAIN }\n')
    assert found(train + train.replace("TRAIN", "TEST") + IP + LOSS, "N3") == []


@pytest.mark.parametrize(
    "rule",
    [
        "min_level: 2 max_level: 1",
        'stage: "a" not_stage: "a"',
        'phase: TRAIN stage: "x" stage: "y" not_stage: "y"',
    ],
)
def test_rules_that_can_never_apply(rule: str) -> None:
    never = layer("ReLU", "ip", "relu", f"include {{ {rule} }} ")
    assert found(NET + never, "N302") == [("N302", 25)]
    assert found(NET + layer("ReLU", "ip", "relu", 'include { min_level: 1 stage: "a" } '), "N302") == []


def test_a_top_that_no_layer_reads() -> None:
    text = NET + layer("ReLU", "ip", "left")
    assert found(text, "N3") == [("N303", 25)]
    assert found(text + 'layer { name: "silence" type: "Silence" bottom: "left" }\n', "N3") == []
    accuracy = 'layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" }\n'
    assert found(NET + accuracy, "N3") == []


def test_settings_of_another_type() -> None:
    wrong = layer("LRN", "data", "norm", "pooling_param { kernel_size: 3 } ")
    findings = check(DATA + wrong + IP.replace('"data"', '"norm"') + LOSS, select=("N304",))
    assert [(finding.code, finding.place.line, finding.severity) for finding in findings] == [
        ("N304", 11, "warning")
    ]
    both = wrong.replace("pooling_param", "lrn_param { local_size: 3 } pooling_param")
    findings = check(DATA + both + IP.replace('"data"', '"norm"') + LOSS, select=("N304",))
    assert [finding.severity for finding in findings] == ["advice"]


def test_settings_of_a_fork_are_not_judged() -> None:
    wrong = layer("LRN", "data", "norm", "pooling_param { kernel_size: 3 some_field: 1 } ")
    assert found(DATA + wrong + IP.replace('"data"', '"norm"') + LOSS, "N304") == []


def test_v1_nets_are_checked_as_well() -> None:
    text = """\
layers { name: "data" type: DUMMY_DATA top: "data" top: "label"
  dummy_data_param { num: 8 num: 8 channels: 6 channels: 1 height: 1 height: 1 width: 1 width: 1 } }
layers { name: "ip" type: INNER_PRODUCT bottom: "data" top: "ip"
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
layers { name: "power" type: POWER bottom: "ip" top: "ip" power_param { scale: 2 } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "ip" bottom: "label" }
"""
    assert found(text) == [("N112", 5)]
    fixed = fix(text, select=("N1",))
    assert fixed == text.replace('top: "ip" power', 'top: "power" power').replace(
        'SOFTMAX_LOSS bottom: "ip"', 'SOFTMAX_LOSS bottom: "power"'
    )
