"""Nets that learn only in part: frozen, cut off from the gradient, redundant; data layers and settings without effect."""

from __future__ import annotations

import pytest
from harness import check, check_files, fix, fix_files

DATA = """\
layer {
  name: "data"
  type: "DummyData"
  top: "data"
  top: "label"
  dummy_data_param { shape { dim: 16 dim: 3 dim: 8 dim: 8 } shape { dim: 16 } }
}
"""
RELU = 'layer { name: "relu_%s" type: "ReLU" bottom: "%s" top: "%s" }\n'
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }\n'


def conv(name: str, bottom: str, inside: str = "", settings: str = "num_output: 8 kernel_size: 3") -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" {inside} '
        f'convolution_param {{ {settings} weight_filler {{ type: "xavier" }} }} }}\n'
    )


def inner(name: str, bottom: str, inside: str = "", outputs: int = 10) -> str:
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" {inside} '
        f'inner_product_param {{ num_output: {outputs} weight_filler {{ type: "xavier" }} }} }}\n'
    )


def relu(blob: str) -> str:
    return RELU % (blob, blob, blob)


def codes(text: str, *select: str) -> list[str]:
    return [finding.code for finding in check(text, select=select)]


# -- frozen ---------------------------------------------------------------------------------------------------


def frozen(inside: str) -> str:
    return DATA + conv("conv", "data", inside) + relu("conv") + inner("ip", "conv") + LOSS


@pytest.mark.parametrize(
    "inside",
    [
        "param { lr_mult: 0 } param { lr_mult: 0 }",
        "param { lr_mult: 0 } param { lr_mult: 1 }",
        "param { lr_mult: 0 } param { }",
        "param { lr_mult: 1 }",
        "param { decay_mult: 0 }",
        "",
    ],
)
def test_a_bias_with_its_own_param_is_not_flagged(inside: str) -> None:
    assert codes(frozen(inside), "N701") == []


@pytest.mark.parametrize(
    ("inside", "after"),
    [
        ("param { lr_mult: 0 }", "param { lr_mult: 0 } param { lr_mult: 0 }"),
        ("param { lr_mult: 0 decay_mult: 1 }", "param { lr_mult: 0 decay_mult: 1 } param { lr_mult: 0 decay_mult: 0 }"),
        ('param { name: "w" lr_mult: 0 }', 'param { name: "w" lr_mult: 0 } param { lr_mult: 0 }'),
        ("param {\n    lr_mult: 0\n  }\n", "param {\n    lr_mult: 0\n  }\n  param {\n    lr_mult: 0\n  }\n"),
    ],
)
def test_the_bias_is_frozen_with_the_weight(inside: str, after: str) -> None:
    text = frozen(inside)
    assert codes(text, "N701") == ["N701"]
    assert fix(text, select=("N701",)) == text
    fixed = fix(text, unsafe=True, select=("N701",))
    assert fixed.split() == frozen(after).split()
    assert codes(fixed, "N701") == []


def test_a_layer_without_bias_has_none_to_freeze() -> None:
    text = frozen("param { lr_mult: 0 }").replace("kernel_size: 3", "kernel_size: 3 bias_term: false")
    assert codes(text, "N701") == []


def test_half_frozen_layers_are_reported_once_with_the_others() -> None:
    text = DATA + "".join(conv(f"c{i}", f"c{i - 1}" if i else "data", "param { lr_mult: 0 }") for i in range(3))
    text += relu("c2") + inner("ip", "c2") + LOSS
    (finding,) = check(text, select=("N701",))
    assert "Also in 2 other layers: 'c1', 'c2'." in finding.reason
    assert codes(fix(text, unsafe=True, select=("N701",)), "N701") == []


def test_a_v1_net_is_reported_but_not_fixed() -> None:
    text = (
        'layers { name: "data" type: DUMMY_DATA top: "data" top: "label" dummy_data_param { num: 8 channels: 3 height: 1 width: 1 } }\n'
        'layers { name: "ip" type: INNER_PRODUCT bottom: "data" top: "ip" blobs_lr: 0 inner_product_param { num_output: 3 } }\n'
        'layers { name: "loss" type: EUCLIDEAN_LOSS bottom: "ip" bottom: "label" top: "loss" }\n'
    )
    assert codes(text, "N701") == ["N701"]
    assert fix(text, unsafe=True, select=("N701",)) == text


def norm(inside: str = "", around: str = "param { lr_mult: 0 }", scale: str = "param { lr_mult: 0 }") -> str:
    layers = conv("conv", "data", around, "num_output: 8 kernel_size: 3 bias_term: false")
    layers += f'layer {{ name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" {inside} }}\n'
    layers += f'layer {{ name: "sc" type: "Scale" bottom: "conv" top: "conv" {scale} }}\n'
    return DATA + layers + inner("ip", "conv") + LOSS


def test_statistics_change_among_frozen_layers() -> None:
    assert codes(norm(), "N702") == ["N702"]
    assert codes(norm("batch_norm_param { use_global_stats: false }"), "N702") == ["N702"]
    for text in (
        norm("batch_norm_param { use_global_stats: true }"),
        norm("phase: TEST"),
        norm(around=""),
        norm(scale=""),
    ):
        assert codes(text, "N702") == []


def test_use_global_stats_is_set_where_it_is_written() -> None:
    text = norm("batch_norm_param { use_global_stats: false eps: 1e-4 }")
    assert fix(text, unsafe=True, select=("N702",)) == text.replace("false eps", "true eps")


def test_a_gradient_that_is_blocked() -> None:
    cut = DATA + conv("conv", "data") + relu("conv") + inner("ip", "conv", "propagate_down: false") + LOSS
    (finding,) = check(cut, select=("N703",))
    assert "'conv'" in finding.message
    assert "'ip'" in finding.message
    assert [place.line for place in finding.related] == [10]
    for text in (
        cut.replace("propagate_down: false", ""),
        cut.replace('top: "conv"  conv', 'top: "conv" param { lr_mult: 0 } param { lr_mult: 0 } conv'),
        cut.replace("propagate_down: false", "propagate_down: false param { lr_mult: 0 } param { lr_mult: 0 }"),  # N204's
    ):
        assert codes(text, "N703") == []


def constant(settings: str, kind: str = "Clip") -> str:
    return f'layer {{ name: "cut" type: "{kind}" bottom: "conv" top: "cut" {settings} }}\n'


@pytest.mark.parametrize(
    ("layer", "value"),
    [
        (constant(""), "0"),
        (constant("clip_param { min: 2 max: -2 }"), "2"),
        (constant("clip_param { min: 1 max: 1 }"), "1"),
        (constant("power_param { power: 0 }", "Power"), "1"),
        (constant("power_param { scale: 0 shift: 3 }", "Power"), "3"),
    ],
)
def test_a_constant_stops_the_gradient(layer: str, value: str) -> None:
    for after in ("", "param { lr_mult: 0 } param { lr_mult: 0 }"):
        (finding,) = check(DATA + conv("conv", "data") + layer + inner("ip", "cut", after) + LOSS, select=("N703",))
        assert f"layer 'cut' outputs {value} whatever it reads: Convolution layer 'conv' gets no gradient" in finding.message
        assert finding.place.line == 9


def test_a_constant_that_is_no_obstacle() -> None:
    cut = constant("")
    beside = 'layer { name: "sum" type: "Eltwise" bottom: "conv" bottom: "cut" top: "sum" }\n'
    frozen = "param { lr_mult: 0 } param { lr_mult: 0 }"
    for text in (
        DATA + conv("conv", "data") + constant("clip_param { min: -2 max: 2 }") + inner("ip", "cut") + LOSS,
        DATA + conv("conv", "data") + constant("power_param { power: 2 }", "Power") + inner("ip", "cut") + LOSS,
        DATA + conv("conv", "data") + cut + beside + inner("ip", "sum") + LOSS,  # another way for the gradient
        DATA + conv("conv", "data", frozen) + cut + inner("ip", "cut") + LOSS,
        DATA + constant("power_param { power: 0 }", "Power").replace('"conv"', '"data"') + inner("ip", "cut") + LOSS,  # ones
        DATA + conv("conv", "data") + cut + inner("ip", "conv") + LOSS,
    ):
        assert codes(text, "N703") == []


def test_a_shared_parameter_learns_where_a_gradient_reaches_it() -> None:
    shared = 'param { name: "w" } param { name: "b" }'
    cut = DATA + conv("conv", "data", shared) + inner("ip", "conv", "propagate_down: false") + LOSS
    twin = conv("twin", "data", shared) + inner("two", "twin")
    twin += 'layer { name: "more" type: "SoftmaxWithLoss" bottom: "two" bottom: "label" top: "more" }\n'
    assert codes(cut, "N703") == ["N703"]
    assert codes(cut + twin, "N703") == []
    assert codes(cut + twin.replace('name: "b"', 'name: "other"'), "N703") == ["N703"]  # its own bias learns nothing


def test_a_layer_that_leads_to_no_loss_is_not_flagged() -> None:
    text = DATA + conv("conv", "data") + relu("conv") + inner("ip", "conv") + LOSS + inner("side", "conv")
    text += inner("other", "side", "propagate_down: false")
    assert codes(text, "N703") == []


# -- wasted ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "between",
    [
        "",
        'layer { name: "d" type: "Dropout" bottom: "one" top: "one" }\n',
        'layer { name: "s" type: "Scale" bottom: "one" top: "one" }\n',
    ],
)
def test_two_linear_layers_in_a_row(between: str) -> None:
    text = DATA + inner("one", "data", outputs=64) + between + inner("ip", "one") + LOSS
    (finding,) = check(text, select=("N704",))
    assert "'one'" in finding.message
    fixed = fix(text, unsafe=True, select=("N704",))
    assert 'name: "one_relu"' in fixed
    assert codes(fixed, "N704") == []


def test_a_relu_is_inserted_in_all_nets_of_a_job_or_in_none() -> None:
    net = DATA + inner("one", "data", outputs=64) + inner("ip", "one") + LOSS
    texts = {
        "solver.prototxt": 'train_net: "train.prototxt"\ntest_net: "test.prototxt"\ntest_iter: 1\ntest_interval: 10\n',
        "train.prototxt": net,
        "test.prototxt": net.replace('"SoftmaxWithLoss"', '"Accuracy"'),
        "deploy.prototxt": net.replace(LOSS, ""),
    }
    fixed = fix_files(texts, unsafe=True, select=("N704",))
    assert all('name: "one_relu"' in fixed[name] for name in texts if name != "solver.prototxt")
    texts["test.prototxt"] = texts["test.prototxt"].replace(inner("ip", "one"), relu("one") + inner("ip", "one"))
    assert fix_files(texts, unsafe=True, select=("N704",)) == texts
    assert "'one' in test.prototxt cannot be changed" in check_files(texts, select=("N704",))[0].reason


def test_a_layer_for_each_phase_gets_a_relu_for_each_phase() -> None:
    first = inner("one", "data", "include { phase: TRAIN }", 64)
    text = DATA + first + first.replace("TRAIN", "TEST") + inner("ip", "one") + LOSS
    fixed = fix(text, unsafe=True, select=("N704",))
    assert fixed.count('name: "one_relu"') == fixed.count("phase: TRAIN") == fixed.count("phase: TEST") == 2


@pytest.mark.parametrize(
    "layers",
    [
        inner("one", "data", outputs=64) + relu("one") + inner("ip", "one"),
        inner("one", "data", outputs=5) + inner("ip", "one"),  # a bottleneck
        inner("one", "data", "param { lr_mult: 0 }", 64) + inner("ip", "one"),
        inner("one", "data", 'param { name: "w" }', 64) + inner("ip", "one"),
        inner("one", "data", outputs=64) + inner("ip", "one") + inner("other", "one"),  # read twice
        conv("one", "data", settings="num_output: 8 kernel_h: 3 kernel_w: 1")
        + conv("two", "one", settings="num_output: 8 kernel_h: 1 kernel_w: 3") + inner("ip", "two"),
        conv("one", "data", settings="num_output: 8 kernel_size: 3 dilation: 2") + conv("two", "one") + inner("ip", "two"),
        conv("one", "data", settings="num_output: 3 kernel_size: 3 group: 3")
        + conv("two", "one", settings="num_output: 3 kernel_size: 1") + inner("ip", "two"),
        conv("one", "data") + inner("ip", "one"),
    ],
)  # fmt: skip
def test_linear_layers_that_one_could_not_replace(layers: str) -> None:
    assert codes(DATA + layers + LOSS, "N704") == []


def test_a_convolution_of_one_pixel_adds_nothing() -> None:
    text = DATA + conv("one", "data") + conv("two", "one", settings="num_output: 4 kernel_size: 1") + relu("two")
    assert codes(text + inner("ip", "two") + LOSS, "N704") == ["N704"]
    (finding,) = check(DATA + conv("one", "data") + conv("two", "one") + relu("two") + inner("ip", "two") + LOSS, select=("N704",))
    assert "larger kernel" in finding.reason


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("kernel_size: 2 stride: 3", ["N705"]),
        ("kernel_h: 2 kernel_w: 2 stride_h: 2 stride_w: 4", ["N705"]),
        ("kernel_size: 2 stride_h: 3 stride_w: 2", ["N705"]),
        ("kernel_size: 2 kernel_h: 1 stride: 3", ["N705"]),
        ("kernel_size: 2 stride: 2", []),
        ("kernel_size: 1 stride: 2", []),
        ("global_pooling: true", []),
    ],
)
def test_a_stride_larger_than_the_kernel(settings: str, expected: list[str]) -> None:
    text = DATA + f'layer {{ name: "p" type: "Pooling" bottom: "data" top: "p" pooling_param {{ {settings} }} }}\n'
    assert codes(text, "N705") == expected


@pytest.mark.parametrize(
    ("sides", "settings", "note"),
    [
        ("dim: 8 dim: 8", "pool: AVE kernel_size: 1 stride: 2", "averages are 0 / 0"),  # starts at 8
        ("dim: 9 dim: 9", "pool: AVE kernel_size: 2 stride: 5", "averages are 0;"),  # at 10
        ("dim: 9 dim: 5", "pool: AVE kernel_size: 2 stride: 5", "averages are 0 / 0"),  # at 10 and at 5
        ("dim: 8 dim: 8", "kernel_size: 1 stride: 2", "maxima are -3.4e38"),
        ("dim: 8 dim: 8", "pool: STOCHASTIC kernel_size: 1 stride: 2", "undefined"),
        ("dim: 9 dim: 8", "pool: AVE kernel_size: 1 stride_h: 2 stride_w: 2", "averages are 0 / 0"),
        ("dim: 9 dim: 9", "pool: AVE kernel_size: 1 stride: 2", ""),
        ("dim: 8 dim: 8", "pool: AVE kernel_size: 2 stride: 2", ""),
        ("dim: 8 dim: 8", "pool: AVE kernel_size: 2 stride: 3 pad: 1", ""),  # Caffe drops the last window, which is padding alone
        ("dim: 8 dim: 8", "pool: AVE kernel_size: 1 stride: 2 round_mode: FLOOR", ""),
        ("dim: 8 dim: 8", "pool: AVE kernel_size: 1 stride: 2 dilation: 2", ""),  # a fork's, which is not known to do the same
        ("dim: 8 dim: 8", "pool: AVE global_pooling: true", ""),
    ],
)
def test_a_pooling_window_without_a_pixel(sides: str, settings: str, note: str) -> None:
    text = f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 1 dim: 3 {sides} }} }} }}\n'
    text += f'layer {{ name: "p" type: "Pooling" bottom: "data" top: "p" pooling_param {{ {settings} }} }}\n'
    found = check(text, select=("N707",))
    assert len(found) == bool(note)
    assert all(note in finding.reason for finding in found)


# -- data layers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transform", "after"),
    [
        ("scale: 0.00390625 mean_value: 0.5", "scale: 0.00390625 mean_value: 128"),
        ("mean_value: 0.5 mean_value: 1 mean_value: 0.25 scale: 0.01",
         "mean_value: 50 mean_value: 100 mean_value: 25 scale: 0.01"),
        ("scale: 0.00390625 mean_value: 104", None),
        ("mean_value: 0.5", None),
        ("scale: 0.00390625", None),
        ("scale: 0.00390625 mean_value: 0", None),
    ],
)  # fmt: skip
def test_a_mean_in_the_units_of_scaled_pixels(transform: str, after: str | None) -> None:
    text = f'layer {{ name: "d" type: "Data" top: "d" transform_param {{ {transform} }} data_param {{ source: "x" batch_size: 4 }} }}\n'
    assert codes(text, "D121") == (["D121"] if after else [])
    assert fix(text, unsafe=True, select=("D121",)) == text.replace(transform, after or transform)


def job(inside: str, layer: str = "ImageData", settings: str = "image_data_param") -> dict[str, str]:
    net = f'layer {{ name: "d" type: "{layer}" top: "data" top: "label" {settings} {{ source: "x" batch_size: 4 {inside} }} }}\n'
    return {
        "solver.prototxt": 'net: "net.prototxt" base_lr: 0.001 lr_policy: "fixed" max_iter: 100\n',
        "net.prototxt": net + inner("ip", "data") + LOSS,
    }


def test_a_list_that_is_not_shuffled() -> None:
    texts = job("new_height: 8 new_width: 8")
    assert [finding.code for finding in check_files(texts, select=("D122",))] == ["D122"]
    fixed = fix_files(texts, unsafe=True, select=("D122",))
    assert "batch_size: 4 shuffle: true new_height" in fixed["net.prototxt"]
    for other in (job("shuffle: true"), job("", "Data", "data_param"), fixed):
        assert check_files(other, select=("D122",)) == []


def test_what_is_read_side_by_side_keeps_its_order() -> None:
    texts = job("")
    texts["net.prototxt"] += 'layer { name: "h" type: "HDF5Data" top: "more" hdf5_data_param { source: "y" batch_size: 4 } }\n'
    assert check_files(texts, select=("D122",)) == []


# -- settings that are not read -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "field", "severity"),
    [
        ('type: "Data" top: "d" data_param { source: "x" batch_size: 4 scale: 0.004 }', "scale", "warning"),
        ('type: "ImageData" top: "d" top: "l" image_data_param { source: "x" crop_size: 8 }', "crop_size", "warning"),
        ('type: "WindowData" top: "d" top: "l" transform_param { crop_size: 8 scale: 0.1 }', "scale", "warning"),
        ('type: "Data" top: "d" data_param { source: "x" batch_size: 4 rand_skip: 9 }', "rand_skip", "advice"),
        ('type: "Scale" bottom: "data" top: "s" scale_param { bias_filler { value: 1 } }', "bias_filler", "warning"),
        ('type: "Eltwise" bottom: "data" bottom: "data" top: "e" eltwise_param { operation: MAX coeff: 1 coeff: 2 }',
         "coeff", "warning"),
        ('type: "LRN" bottom: "data" top: "n" lrn_param { norm_region: WITHIN_CHANNEL k: 2 }', "k", "advice"),
        ('type: "InnerProduct" bottom: "data" top: "i" inner_product_param { num_output: 2 weight_filler { std: 0.1 } }',
         "std", "warning"),
        ('type: "InnerProduct" bottom: "data" top: "i" inner_product_param { num_output: 2 bias_term: false '
         'bias_filler { value: 1 } }', "bias_filler", "advice"),
        ('type: "InnerProduct" bottom: "data" top: "i" inner_product_param { num_output: 2 '
         'weight_filler { type: "xavier" std: 0.1 } }', "std", "advice"),
        ('type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "l" loss_param { normalization: FULL normalize: true }',
         "normalize", "advice"),
    ],
)  # fmt: skip
def test_fields_without_effect_beside_other_settings(layer: str, field: str, severity: str) -> None:
    (finding,) = check(DATA + f'layer {{ name: "x" {layer} }}\n', select=("N304",))
    assert finding.severity == severity
    assert field in finding.message


@pytest.mark.parametrize(
    "layer",
    [
        'type: "Data" top: "d" transform_param { scale: 0.004 } data_param { source: "x" batch_size: 4 mirror: false }',
        'type: "WindowData" top: "d" top: "l" window_data_param { scale: 0.1 } transform_param { crop_size: 8 }',
        'type: "Scale" bottom: "data" top: "s" scale_param { bias_term: true bias_filler { value: 1 } }',
        'type: "Eltwise" bottom: "data" bottom: "data" top: "e" eltwise_param { coeff: 1 coeff: 2 }',
        'type: "InnerProduct" bottom: "data" top: "i" inner_product_param { num_output: 2 '
        'weight_filler { type: "gaussian" std: 0.1 } bias_filler { value: 1 } }',
    ],
)
def test_fields_with_an_effect(layer: str) -> None:
    assert codes(DATA + f'layer {{ name: "x" {layer} }}\n', "N304") == []


def test_each_kind_of_ignored_field_is_reported_once_in_a_net() -> None:
    text = DATA + "".join(
        conv(f"c{i}", f"c{i - 1}" if i else "data").replace('"xavier"', '"xavier" std: 0.1') for i in range(3)
    )
    (finding,) = check(text, select=("N304",))
    assert finding.reason.endswith("Also in 2 other layers: 'c1', 'c2'.")


# -- losses, unused tops, transforms -------------------------------------------------------------------------


def test_a_loss_that_is_switched_off_does_not_count() -> None:
    text = DATA + conv("conv", "data") + relu("conv") + inner("ip", "conv") + LOSS
    off = text.replace('top: "loss" }', 'top: "loss" loss_weight: 0 }')
    (finding,) = check(off, select=("N203",))
    assert finding.place.line == off.count("\n")
    assert codes(text, "N203") == []
    other = 'layer { name: "more" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "more" }\n'
    assert codes(off + other, "N203") == []


def test_a_net_without_a_loss_that_no_solver_trains_is_for_inference() -> None:
    head = DATA.replace('top: "label"', 'top: "label" include { phase: TRAIN }')
    head += DATA.replace('top: "label"', 'top: "label" include { phase: TEST }')
    net = (head + conv("conv", "data") + inner("ip", "conv")).replace('weight_filler { type: "xavier" }', "")
    assert codes(net, "N203") == []
    assert codes(head + conv("conv", "data"), "N203") == ["N203"]  # what has initial weights is to be trained
    tested = LOSS.replace("top:", "include { phase: TEST } top:")
    assert codes(net + tested, "N203") == ["N203"]
    solver = 'net: "net.prototxt"\nbase_lr: 0.01\nlr_policy: "fixed"\n'
    files = {"solver.prototxt": solver, "net.prototxt": net}
    assert [finding.code for finding in check_files(files, select=("N203",))] == ["N203"]
    files["net.prototxt"] = "force_backward: true\n" + net
    assert check_files(files, select=("N203",)) == []


def test_a_silence_layer_reads_unused_tops() -> None:
    text = DATA + conv("conv", "data") + conv("one", "conv") + conv("two", "conv") + inner("ip", "conv") + LOSS
    fixed = fix(text, unsafe=True, select=("N303",))
    added = 'layer { name: "silence" type: "Silence" bottom: "one" bottom: "two" }\n'
    assert fixed == text.replace(inner("ip", "conv"), added + inner("ip", "conv"))
    assert codes(fixed, "N303") == []
    mixed = text.replace('top: "one" ', 'top: "one" include { phase: TRAIN }')
    assert codes(mixed, "N303") == ["N303"]
    assert fix(mixed, unsafe=True, select=("N303",)) == mixed


@pytest.mark.parametrize(
    ("train", "test", "after"),
    [
        ("scale: 0.5", "scale: 0.25 mirror: true", "scale: 0.5 mirror: true"),
        ("scale: 0.5 mean_value: 104", "mirror: false", "mirror: false scale: 0.5 mean_value: 104"),
        ("mean_value: 1 mean_value: 2 mean_value: 3", "mean_value: 1 mean_value: 2 mean_value: 4",
         "mean_value: 1 mean_value: 2 mean_value: 3"),
        ('mean_file: "m"', "mirror: true", 'mirror: true mean_file: "m"'),
        ("mirror: true", "mirror: true scale: 0.5", "mirror: true"),
        ("mirror: true", "mean_value: 5 mirror: true", "mirror: true"),
        ("mean_value: 5 scale: 0.5", 'mean_file: "m"', None),
        ("mean_value: 5 mean_value: 6 mean_value: 7", "mean_value: 5", None),
        ("crop_size: 8", "mirror: true", None),
    ],
)  # fmt: skip
def test_a_test_is_given_the_transform_of_the_training(train: str, test: str, after: str | None) -> None:
    def data(phase: str, inside: str) -> str:
        return (
            f'layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: {phase} }} '
            f'transform_param {{ {inside} }} data_param {{ source: "{phase}" batch_size: 4 }} }}\n'
        )

    def files(inside: str) -> dict[str, str]:
        solver = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 9 test_iter: 1 test_interval: 3\n'
        net = data("TRAIN", train) + data("TEST", inside) + inner("ip", "data") + LOSS
        return {"solver.prototxt": solver, "net.prototxt": net}

    texts = files(test)
    assert check_files(texts, select=("N402",))
    assert fix_files(texts, select=("N402",)) == texts
    fixed = fix_files(texts, unsafe=True, select=("N402",))
    assert fixed == files(test if after is None else after)
    assert after is None or check_files(fixed, select=("N402",)) == []


def test_a_test_without_transform_is_given_one() -> None:
    solver = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 9 test_iter: 1 test_interval: 3\n'
    layer = 'layer {\n  name: "data"\n  type: "Data"\n  top: "data"\n  top: "label"\n  include { phase: %s }\n%s}\n'
    net = layer % ("TRAIN", "  transform_param { scale: 0.5 mean_value: 9 }\n") + layer % ("TEST", "")
    texts = {"solver.prototxt": solver, "net.prototxt": net + inner("ip", "data") + LOSS}
    fixed = fix_files(texts, unsafe=True, select=("N402",))
    assert fixed["net.prototxt"].count("  transform_param { scale: 0.5 mean_value: 9 }\n") == 2


@pytest.mark.parametrize(
    "source",
    [
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }\n',
        'input: "data"\ninput_shape { dim: 1 dim: 3 }\n',
    ],
)
def test_a_net_for_use_has_no_labels(source: str) -> None:
    accuracy = 'layer { name: "a" type: "Accuracy" bottom: "ip" bottom: "label" top: "a" }\n'
    text = source + inner("ip", "data") + accuracy + LOSS
    found = check(text, select=("E201",))
    assert ["no labels" in finding.message for finding in found] == [True, True]
    assert fix(text, select=("E201",)) == text
    softmax = 'layer { name: "loss" type: "Softmax" bottom: "ip" top: "loss" }\n'
    assert fix(text, unsafe=True, select=("E201",)) == source + inner("ip", "data") + softmax


def test_a_net_with_data_of_its_own_keeps_its_loss() -> None:
    text = DATA.replace('  top: "label"\n', "") + inner("ip", "data") + LOSS
    assert check(text, select=("E201",))[0].fix is None


def test_engines_are_taken_out_of_all_layers_for_who_asks_by_name() -> None:
    text = DATA + "".join(
        conv(f"c{i}", f"c{i - 1}" if i else "data", settings="num_output: 8 kernel_size: 3 engine: CUDNN") for i in range(2)
    )
    (finding,) = check(text, select=("E219",))
    assert "Also in 1 other layer" in finding.reason
    assert fix(text, select=("E219",)) == text.replace(" engine: CUDNN", "")
    assert fix(text, select=("E21",)) == text


def test_hdf5_data_are_not_transformed() -> None:
    text = 'layer {\n  name: "d"\n  type: "HDF5Data"\n  top: "d"\n  transform_param { scale: 2 }\n  hdf5_data_param { source: "x" batch_size: 2 }\n}\n'
    assert codes(text, "E210") == ["E210"]
    assert fix(text, select=("E210",)) == text
    assert fix(text, unsafe=True, select=("E210",)) == text.replace("  transform_param { scale: 2 }\n", "")


def test_a_convolution_may_skip_pixels_as_well() -> None:
    for settings, expected in (("kernel_size: 3 stride: 4", ["N705"]), ("kernel_size: 1 stride: 2", []),
                               ("kernel_size: 3 stride: 4 dilation: 2", []), ("kernel_size: 3", [])):  # fmt: skip
        assert codes(DATA + conv("conv", "data", settings=f"num_output: 2 {settings}"), "N705") == expected


def test_an_ignored_field_is_advice_in_nets_for_a_fork() -> None:
    text = DATA + 'layer { name: "n" type: "Normalize" bottom: "data" top: "n" norm_param { across_spatial: false } }\n'
    text += 'layer { name: "x" type: "InnerProduct" bottom: "n" top: "i" inner_product_param { num_output: 2 weight_filler { std: 0.1 } } }\n'
    (finding,) = check(text, select=("N304",))
    assert finding.severity == "advice"


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        ("  t { scale: 0.5 }\n", "  t { mirror: true }\n", "  t { scale: 0.5 mirror: true }\n"),
        ("  t {\n    scale: 0.5\n  }\n", "  t { mirror: true crop_size: 8 }\n",
         "  t {\n    scale: 0.5\n    mirror: true\n    crop_size: 8\n  }\n"),
        ("  t { scale: 0.5 }\n", "  t {\n    mirror: true\n  }\n", "  t { scale: 0.5 mirror: true }\n"),
        ("  t { scale: 0.5 }\n", "  t { scale: 1 }\n", None),
        ("  t { scale: 0.5 }\n", "  t { mirror: true  # both ways\n }\n", None),
        ("  t { scale: 0.5 }\n", "  t { }\n", None),
    ],
)  # fmt: skip
def test_two_blocks_that_have_nothing_in_common_are_joined(first: str, second: str, joined: str | None) -> None:
    def layer(inside: str) -> str:
        text = inside.replace(" t ", " transform_param ")
        return 'layer {\n  name: "d"\n  type: "Data"\n  top: "d"\n' + text + '  data_param { source: "x" batch_size: 2 }\n}\n'

    text = layer(first + second)
    assert codes(text, "E113") == ["E113"]
    assert fix(text, select=("E113",)) == text
    assert fix(text, unsafe=True, select=("E113",)) == (text if joined is None else layer(joined))


def test_three_blocks_are_joined_one_by_one() -> None:
    text = 'layer { name: "d" type: "Data" top: "d" transform_param { scale: 2 } transform_param { mirror: true } '
    text += 'transform_param { crop_size: 4 } data_param { source: "x" batch_size: 2 } }\n'
    fixed = fix(text, unsafe=True, select=("E113",))
    assert fixed.count("transform_param") == 1
    assert codes(fixed, "E113") == []
    assert all(words in fixed for words in ("scale: 2", "mirror: true", "crop_size: 4"))
