"""G103: losses that outweigh the others of their net, in nets of both forms."""

from __future__ import annotations

from typing import Any

import pytest
from harness import SOLVER, check, fix_files

from caffe_lint.rule.finding import Finding

HEAD = """\
layer {
  name: "data"
  type: "HDF5Data"
  top: "data"
  top: "label"
  top: "points"
  hdf5_data_param { source: "train.txt" batch_size: 16 }
}
layer { name: "who" type: "InnerProduct" bottom: "data" top: "who" inner_product_param { num_output: 100 } }
layer { name: "where" type: "InnerProduct" bottom: "data" top: "where" inner_product_param { num_output: 10 } }
"""


def loss(
    name: str, *, type: str = "SoftmaxWithLoss", scores: str = "who", target: str = "label", rest: str = ""
) -> str:
    lines = [f'name: "{name}"', f'type: "{type}"', f'bottom: "{scores}"', f'bottom: "{target}"', f'top: "{name}"']
    return "layer {\n" + "".join(f"  {line}\n" for line in [*lines, *filter(None, [rest])]) + "}\n"


def points(weight: str = "") -> str:
    rest = f"loss_weight: {weight}" if weight else ""
    return loss("points_loss", type="EuclideanLoss", scores="where", target="points", rest=rest)


def findings(text: str, **settings: Any) -> list[Finding]:
    return check(text, select=("G103",), **settings)


def fixed(text: str) -> str:
    """The net after its fixes, for a solver that names it. By default it is not changed."""
    texts = {"solver.prototxt": SOLVER, "net.prototxt": text}
    assert fix_files(texts, select=("G103",)) == texts
    return fix_files(texts, select=("G103",), unsafe=True)["net.prototxt"]


def test_a_heavy_loss_is_advice_at_its_weight() -> None:
    (finding,) = findings(HEAD + loss("a", rest="loss_weight: 50") + loss("b"))
    assert (finding.severity, finding.confidence) == ("advice", "low")
    assert (finding.place.line, finding.place.column) == (17, 16)
    assert finding.message == "loss 'a' is 50 times as large as 'b' (230 against 4.6 in iteration 0)"
    assert [place.line for place in finding.related] == [21]


def test_the_fix_makes_it_as_large_as_the_other() -> None:
    text = HEAD + loss("a", rest="loss_weight: 50  # it matters") + loss("b")
    assert fixed(text) == text.replace("50", "1")
    text = HEAD + loss("a", rest="loss_weight: 50") + loss("b", rest="loss_weight: 0.3")
    assert fixed(text) == text.replace("50", "0.3")


def test_losses_are_compared_by_their_initial_values() -> None:
    assert findings(HEAD + points("10") + loss("b")) == []
    text = HEAD + points("100") + loss("b")
    (finding,) = findings(text)
    assert "(100 against 4.6 in iteration 0)" in finding.message
    assert fixed(text) == text.replace("loss_weight: 100", "loss_weight: 5")


def test_a_sum_over_many_terms_gets_a_weight_after_its_tops() -> None:
    text = HEAD.replace("num_output: 10 ", "num_output: 1000 ") + points() + loss("b")
    (finding,) = findings(text)
    assert ": it is a sum over 1000 terms. No fix: no solver" in finding.reason
    assert finding.fix is None
    assert fixed(text) == text.replace('top: "points_loss"\n', 'top: "points_loss"\n  loss_weight: 0.05\n')


def test_pixels_as_targets_make_a_loss_large() -> None:
    net = """\
layer { name: "data" type: "Data" top: "data" top: "label" data_param { source: "train" batch_size: 16 } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 10 } }
layer { name: "out" type: "InnerProduct" bottom: "fc" top: "out" inner_product_param { num_output: 30 } }
layer { name: "flat" type: "Flatten" bottom: "data" top: "flat" }
"""
    text = net + loss("a", type="EuclideanLoss", scores="out", target="flat") + loss("b", scores="fc")
    (finding,) = findings(text)
    assert finding.message.startswith("loss 'a' is 85000 times as large as 'b'")
    assert findings(text.replace("data_param", "transform_param { scale: 0.0039 } data_param")) == []


def test_several_heavy_losses_are_each_compared_with_an_ordinary_one() -> None:
    text = HEAD + loss("a", rest="loss_weight: 1000") + points("100") + loss("b")
    assert [finding.place.line for finding in findings(text)] == [17, 25]
    assert fixed(text) == text.replace("1000", "1").replace("100\n", "5\n")


@pytest.mark.parametrize(
    "layers",
    [
        loss("a") + loss("b", rest="loss_weight: 0.01"),
        loss("a") + loss("b", rest="loss_weight: 0.3") + loss("c", rest="loss_weight: 0.3"),
        loss("a", rest="loss_weight: 5") + loss("b") + loss("c", rest="loss_weight: 2"),
        loss("a", rest="loss_weight: 0"),
        loss("a", rest="loss_weight: 20"),
        loss("a", rest="loss_param { normalization: NONE }") + loss("b", rest="loss_param { normalization: NONE }"),
        loss("a", rest="loss_weight: 1000") + loss("b", type="Python", rest="loss_weight: 1"),
        loss("a", rest="loss_weight: 1000 include { phase: TEST }") + loss("b"),
        loss("a", rest="loss_weight: 50") + loss("b", scores="points"),
    ],
)
def test_losses_of_similar_or_unknown_size_are_clean(layers: str) -> None:
    assert findings(HEAD + layers) == []


def test_smooth_l1_with_weights_is_not_sized() -> None:
    bottoms = 'bottom: "label" bottom: "points"'
    assert (
        findings(HEAD + loss("a", type="SmoothL1Loss", scores="where", rest=f"loss_weight: 1 {bottoms}") + loss("b"))
        == []
    )


def test_the_only_loss_with_a_huge_weight_is_advice_without_fix() -> None:
    (finding,) = findings(HEAD + loss("a", rest="loss_weight: 1000"))
    assert (finding.severity, finding.fix) == ("advice", None)
    assert findings(HEAD + loss("a", rest="loss_weight: 1000"), options={"G103": {"alone": 2000.0}}) == []


def test_how_many_times_another_can_be_set() -> None:
    text = HEAD + loss("a", rest="loss_weight: 5") + loss("b")
    assert len(findings(text, options={"G103": {"times": 4.0}})) == 1


OLD = """\
layers {
  name: "data"
  type: HDF5_DATA
  top: "data"
  top: "label"
  hdf5_data_param { source: "train.txt" batch_size: 16 }
}
layers { name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc" inner_product_param { num_output: 4 } }
layers {
  name: "a"
  type: SOFTMAX_LOSS
  bottom: "fc"
  bottom: "label"
  top: "a"
  loss_weight:100
}
layers { name: "b" type: SOFTMAX_LOSS bottom: "fc" bottom: "label" top: "b" }
"""


def test_a_net_in_an_old_format_is_fixed_in_that_format() -> None:
    assert [(finding.code, finding.place.line) for finding in findings(OLD)] == [("G103", 15)]
    assert fixed(OLD) == OLD.replace("loss_weight:100", "loss_weight:1")


def test_a_net_in_an_old_format_gets_a_weight() -> None:
    text = OLD.replace("  loss_weight:100\n", "").replace("num_output: 4 ", "num_output: 4000 ")
    text = text.replace('name: "a"\n  type: SOFTMAX_LOSS', 'name: "a"\n  type: EUCLIDEAN_LOSS')
    assert fixed(text) == text.replace('  top: "a"\n', '  top: "a"\n  loss_weight: 0.02\n')


def test_weights_for_other_tops_are_kept() -> None:
    text = HEAD + loss("a", type="InfogainLoss", rest='top: "p" loss_weight: 100 loss_weight: 0') + loss("b")
    assert fixed(text) == text.replace("100 loss_weight", "1 loss_weight")


def test_a_loss_whose_top_is_read_on_is_not_fixed() -> None:
    reader = 'layer { name: "more" type: "Power" bottom: "a" top: "more" }\n'
    (finding,) = findings(HEAD + loss("a", rest="loss_weight: 100") + loss("b", type="InfogainLoss") + reader)
    assert finding.fix is None


def test_a_net_for_testing_is_not_checked() -> None:
    text = HEAD + loss("a", rest="loss_weight: 50") + loss("b")
    assert findings("state { phase: TEST }\n" + text) == []
