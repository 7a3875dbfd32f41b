"""G104: blocks that widen a net without normalisation, and the normalisation inserted after them."""

from __future__ import annotations

from typing import Any

import pytest
from harness import check, fix, fix_files

from caffe_lint.rule.finding import Finding

DATA = """\
layer {
  name: "data"
  type: "ImageData"
  top: "data"
  top: "label"
  transform_param { crop_size: 10 }
  image_data_param { source: "list.txt" batch_size: 4 }
}
"""
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "out" bottom: "label" top: "loss" }\n'


def conv(name: str, bottom: str, channels: int = 256) -> str:
    param = f"convolution_param {{ num_output: {channels} kernel_size: 1 }}"
    return f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" {param} }}\n'


def up(name: str, bottom: str, channels: int = 256, more: str = "") -> str:
    return (
        f'layer {{\n  name: "{name}"\n  type: "Deconvolution"\n  bottom: "{bottom}"\n  top: "{name}"\n{more}'
        f"  convolution_param {{ num_output: {channels} kernel_size: 2 stride: 2 }}\n}}\n"
    )


def layer(name: str, type: str, *bottoms: str, more: str = "", top: str = "") -> str:
    read = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
    return f'layer {{ name: "{name}" type: "{type}" {read} top: "{top or name}" {more}}}\n'


UPSAMPLED = DATA + conv("conv", "data") + up("up", "conv") + conv("out", "up", 10) + LOSS
WIDENED = (
    DATA
    + conv("conv", "data")
    + conv("a", "conv")
    + conv("b", "conv")
    + layer("both", "Concat", "a", "b")
    + conv("out", "both", 10)
    + LOSS
)
PRODUCT = (
    DATA
    + conv("a", "data")
    + conv("b", "data")
    + layer("ab", "Eltwise", "a", "b", more="eltwise_param { operation: PROD } ")
    + conv("out", "ab", 10)
    + LOSS
)
AFTER_UP = """\
layer {
  name: "bn_up"
  type: "BatchNorm"
  bottom: "up"
  top: "up"
  param { lr_mult: 0 }
  param { lr_mult: 0 }
  param { lr_mult: 0 }
}
layer {
  name: "scale_up"
  type: "Scale"
  bottom: "up"
  top: "up"
  scale_param { bias_term: true }
}
"""


def findings(text: str, **settings: Any) -> list[Finding]:
    return check(text, select=("G104",), **settings)


def fixed(text: str) -> str:
    return fix(text, unsafe=True, select=("G104",))


def test_upsampling_is_advice_with_both_shapes() -> None:
    (finding,) = findings(UPSAMPLED)
    assert (finding.severity, finding.place.line) == ("advice", 12)
    assert (
        finding.message == "upsampling 'up' of 'conv' is not normalised (256 x 10 x 10 to 256 x 20 x 20)"
    )


def test_the_growth_is_told_exactly() -> None:
    up = UPSAMPLED.replace("kernel_size: 2", "kernel_size: 16").replace("stride: 2", "stride: 16")
    (finding,) = findings(up)
    assert "sum over 256 times as many values" in finding.reason


def test_a_concat_that_doubles_the_channels_is_advice_with_what_it_joins() -> None:
    (finding,) = findings(WIDENED)
    assert finding.message == "Concat 'both' of 'a' and 'b' is not normalised (256 to 512 channels, 512 x 10 x 10)"
    assert [place.message for place in finding.related] == ["'a' is 256 x 10 x 10", "'b' is 256 x 10 x 10"]


def test_a_product_of_unbounded_factors_is_advice() -> None:
    (finding,) = findings(PRODUCT)
    assert finding.message == "product 'ab' of 'a' and 'b', none of them bounded or normalised"


def test_an_upsampled_blob_and_the_concat_that_joins_it_are_one_block() -> None:
    text = (
        DATA
        + conv("conv", "data", 64)
        + up("up", "conv")
        + conv("wide", "data", 64)
        + layer("join", "Concat", "up", "wide")
        + conv("out", "join", 10)
        + LOSS
    )
    (finding,) = findings(text)
    assert ", and Concat 'join' reads the result as it is." in finding.reason


@pytest.mark.parametrize(
    "text",
    [
        UPSAMPLED.replace(conv("out", "up", 10), layer("n", "BatchNorm", "up") + conv("out", "n", 10)),
        UPSAMPLED.replace(conv("out", "up", 10), layer("r", "ReLU", "up", top="up") + layer("n", "BatchNorm", "up")
                          + conv("out", "n", 10)),
        UPSAMPLED.replace(conv("out", "up", 10), conv("c", "up") + layer("n", "BatchNorm", "c") + conv("out", "n", 10)),
        UPSAMPLED.replace("stride: 2", "stride: 1"),
        UPSAMPLED.replace(up("up", "conv"), up("up", "conv", 64)),
        UPSAMPLED.replace(up("up", "conv"), up("up", "conv", more="  param { lr_mult: 0 }\n")),
        UPSAMPLED.replace(conv("out", "up", 10), up("out", "up", 10)),
        UPSAMPLED.replace(conv("conv", "data"), layer("conv", "Unheard", "data")).replace("stride: 2", "stride: 1"),
        WIDENED.replace(conv("conv", "data"), conv("conv", "data", 512)),
        WIDENED.replace('"Concat"', '"Concat" concat_param { axis: 2 }'),
        WIDENED.replace(conv("a", "conv"), conv("a0", "conv") + layer("a", "BatchNorm", "a0")),
        WIDENED.replace("layer {", "layer { phase: TEST ", 0).replace(LOSS, "") + "state { phase: TEST }\n",
        PRODUCT.replace("PROD", "SUM"),
        PRODUCT.replace(conv("a", "data"), conv("a0", "data") + layer("a", "Sigmoid", "a0")),
        PRODUCT.replace(conv("a", "data"), conv("a0", "data") + layer("a", "Sigmoid", "a0")
                        + layer("r", "ReLU", "a", top="a")),
        PRODUCT.replace('bottom: "a" bottom: "b"', 'bottom: "data" bottom: "b"'),
        PRODUCT.replace(conv("out", "ab", 10), conv("out", "ab", 10) + layer("n", "BatchNorm", "out", top="out")),
    ],
)  # fmt: skip
def test_blocks_that_do_not_widen_or_are_normalised_are_clean(text: str) -> None:
    assert findings(text) == []


def test_the_fix_inserts_batch_norm_and_scale_in_place_after_the_block() -> None:
    assert fixed(UPSAMPLED) == UPSAMPLED.replace(up("up", "conv"), up("up", "conv") + AFTER_UP)
    assert findings(fixed(UPSAMPLED)) == []


def test_the_fix_is_unsafe() -> None:
    assert fix(UPSAMPLED, select=("G104",)) == UPSAMPLED


def test_a_layer_in_one_line_is_followed_by_layers_in_one_line() -> None:
    frozen = "param { lr_mult: 0 } " * 3
    added = (
        f'layer {{ name: "bn_both" type: "BatchNorm" bottom: "both" top: "both" {frozen}}}\n'
        'layer { name: "scale_both" type: "Scale" bottom: "both" top: "both" scale_param { bias_term: true } }\n'
    )
    assert fixed(WIDENED) == WIDENED.replace(conv("out", "both", 10), added + conv("out", "both", 10))


def test_a_block_defined_for_each_phase_is_normalised_in_both() -> None:
    train, test = ("  include { phase: " + phase + " }\n" for phase in ("TRAIN", "TEST"))
    text = UPSAMPLED.replace(up("up", "conv"), up("up", "conv", more=train) + up("up", "conv", more=test))
    after = fixed(text)
    for rules in (train, test):
        after_up = AFTER_UP.replace('  top: "up"\n', '  top: "up"\n' + rules)
        assert up("up", "conv", more=rules) + after_up in after
    assert after.count("BatchNorm") == 2


def test_names_that_are_taken_are_not_used_again() -> None:
    text = UPSAMPLED.replace(LOSS, LOSS + layer("bn_up", "Silence", "data").replace('top: "bn_up" ', ""))
    assert 'name: "bn_up_2"' in fixed(text)


@pytest.mark.parametrize("marker", ['type: "BN"'])
def test_a_fork_with_another_normalisation_gets_no_fix(marker: str) -> None:
    text = UPSAMPLED.replace(
        conv("conv", "data"), conv("conv", "data") + f'layer {{ {marker} bottom: "conv" top: "n" }}\n'
    )
    assert [finding.fix for finding in findings(text)] == [None]


def test_a_net_in_an_old_format_is_found_and_not_fixed() -> None:
    text = """\
layers { name: "data" type: IMAGE_DATA top: "data" top: "label" transform_param { crop_size: 8 } }
layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" convolution_param { num_output: 8 kernel_size: 1 } }
layers {
  name: "up"
  type: DECONVOLUTION
  bottom: "conv"
  top: "up"
  convolution_param { num_output: 8 kernel_size: 2 stride: 2 }
}
layers { name: "out" type: CONVOLUTION bottom: "up" top: "out" convolution_param { num_output: 8 kernel_size: 1 } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "out" bottom: "label" top: "loss" }
"""
    (finding,) = findings(text)
    assert (finding.place.line, finding.fix) == (5, None)
    assert "P201" in finding.reason


def test_a_net_within_a_solver_is_fixed_there() -> None:
    inside = "".join(f"  {line}\n" for line in UPSAMPLED.splitlines())
    solver = f'net_param {{\n{inside}}}\nbase_lr: 0.001\nlr_policy: "fixed"\n'
    patched = fix_files({"solver.prototxt": solver}, unsafe=True, select=("G104",))["solver.prototxt"]
    added = "".join(f"  {line}\n" for line in AFTER_UP.splitlines())
    assert patched == solver.replace('  layer { name: "out"', added + '  layer { name: "out"')


def test_how_many_times_wider_can_be_set() -> None:
    assert findings(WIDENED, options={"G104": {"times": 2.5}}) == []


def test_deep_chains_are_searched_without_recursion() -> None:
    chain = "".join(layer(f"r{i}", "ReLU", "up", top="up") for i in range(3000))
    assert findings(UPSAMPLED.replace(conv("out", "up", 10), chain + conv("out", "up", 10))) == []
