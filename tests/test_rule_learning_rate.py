"""G102: learning rates over what a job is likely to bear, where its first weights are loaded and nothing is computed."""

from __future__ import annotations

from typing import Any

import pytest
from harness import check_files, fix_files

from caffe_lint.rule.finding import Finding

NET = """\
layer {
  name: "data"
  type: "Data"
  top: "data"
  top: "label"
  transform_param { mean_value: 127 }
  data_param { source: "train" batch_size: 64 }
}
layer {
  name: "conv"
  type: "Convolution"
  bottom: "data"
  top: "conv"
  convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "xavier" } }
}
layer {
  name: "fc"
  type: "InnerProduct"
  bottom: "conv"
  top: "fc"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""

NORMALISED = 'layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" }\nlayer {\n  name: "conv"'


def solver(*lines: str, base_lr: str = "0.01", policy: str = 'lr_policy: "fixed"', momentum: str = "0.9") -> str:
    start = f'weights: "first.caffemodel"\nnet: "net.prototxt"\nbase_lr: {base_lr}\n{policy}\nmomentum: {momentum}\nmax_iter: 1000\n'
    return start + "".join(line + "\n" for line in lines)


def findings(solver_text: str, net: str | None = NET, **settings: Any) -> list[Finding]:
    files = {"solver.prototxt": solver_text, **({"net.prototxt": net} if net is not None else {})}
    return check_files(files, select=("G102",), **settings)


def fixed(solver_text: str, net: str = NET, select: tuple[str, ...] = ("G102",)) -> dict[str, str]:
    """The files with the fixes by the table of limits, none of which is applied by default."""
    files = {"solver.prototxt": solver_text, "net.prototxt": net}
    assert fix_files(files, select=select) == files
    return fix_files(files, unsafe=True, select=select)


def test_a_high_rate_is_advice_at_its_value_with_low_confidence_and_the_way_to_decide() -> None:
    (finding,) = findings(solver(base_lr="1.0"))
    assert (finding.severity, finding.confidence) == ("advice", "low")
    assert (finding.place.line, finding.place.column) == (3, 10)
    assert finding.message == "a learning rate of 1 is high: likely stable up to about 0.04"
    assert finding.reason.startswith("The limit accounts for pixels up to 255. Cannot tell: weights are loaded (solver.prototxt:1)")
    assert "pass --from-scratch" in finding.reason


def test_the_fix_divides_by_ten_until_the_rate_is_under_the_limit() -> None:
    assert fixed(solver(base_lr="1.0"))["solver.prototxt"] == solver(base_lr="0.01")
    assert fixed(solver(base_lr="0.1"))["solver.prototxt"] == solver(base_lr="0.01")


@pytest.mark.parametrize(
    ("base_lr", "lines", "net"),
    [
        ("0.01", [], NET),
        ("0.1", ["clip_gradients: 10"], NET),
        ("0.05", ["iter_size: 16"], NET),
        ("0.1", [], NET.replace("mean_value: 127", "scale: 0.0039")),
        ("0.1", [], NET.replace('  bottom: "data"', '  bottom: "bn"').replace('layer {\n  name: "conv"', NORMALISED)),
        ("0.1", ['type: "AdaDelta"'], NET),
        ("1e-4", [], NET.replace('top: "loss"', 'top: "loss" loss_param { normalization: NONE }')),
        ("1e-4", [], NET.replace("SoftmaxWithLoss", "EuclideanLoss")),
        ("0.01", ['type: "Adam"'], NET),
    ],
)  # fmt: skip
def test_rates_below_the_limit_are_clean(base_lr: str, lines: list[str], net: str) -> None:
    assert findings(solver(*lines, base_lr=base_lr), net) == []


@pytest.mark.parametrize(
    ("base_lr", "lines", "net", "counted"),
    [
        ("0.02", [], NET.replace("mean_value: 127", "scale: 1"), "without mean subtraction"),
        ("0.01", [], NET.replace("batch_size: 64", "batch_size: 2"), "batches of 2"),
        ("0.001", [], NET.replace('top: "loss"', 'top: "loss" loss_param { normalization: NONE }'), "the sum over 64 terms"),
        ("0.01", [], NET.replace("SoftmaxWithLoss", "EuclideanLoss"), "EuclideanLoss"),
        ("0.02", [], NET.replace('type: "xavier"', 'type: "gaussian" std: 0.1'), "standard deviation 0.1"),
        ("0.01", [], NET.replace("num_output: 8", "num_output: 8 ").replace(
            'top: "conv"\n', 'top: "conv"\n  param { lr_mult: 100 }\n').replace(
            'top: "fc"\n', 'top: "fc"\n  param { lr_mult: 100 }\n'), "lr_mult 100"),
        ("0.1", ['type: "Adam"'], NET, "whatever the gradients"),
        ("0.1", ['type: "RMSProp"', "rms_decay: 0.9"], NET, "whatever the gradients"),
        ("0.1", ['solver_type: ADAM'], NET, "whatever the gradients"),
    ],
)  # fmt: skip
def test_the_reason_names_what_lowers_the_limit(base_lr: str, lines: list[str], net: str, counted: str) -> None:
    (finding,) = findings(solver(*lines, base_lr=base_lr), net)
    assert counted in finding.reason


def test_momentum_lowers_the_limit() -> None:
    assert findings(solver(base_lr="0.02")) == []
    (finding,) = findings(solver(base_lr="0.02", momentum="0.99"))
    assert "momentum 0.99" in finding.reason


def test_the_largest_rate_of_the_run_counts_and_gamma_is_what_makes_it_grow() -> None:
    text = solver(policy='lr_policy: "step"\ngamma: 10\nstepsize: 400')
    (finding,) = findings(text)
    assert "a learning rate of 1 in iteration 800" in finding.message
    assert "gamma" in finding.reason
    assert fixed(text)["solver.prototxt"] == text


@pytest.mark.parametrize(
    ("policy", "line"),
    [
        ('lr_policy: "multifixed"\nstagelr: 0.01\nstagelr: 1\nstageiter: 500\nstageiter: 1000', 6),
        ('lr_policy: "fixed"\nwarmup_iter: 100\nwarmup_start_lr: 1', 6),
        ('lr_policy: "triangular"\nstepsize: 100\nmax_lr: 1', 6),
    ],
)
def test_rates_that_do_not_come_from_base_lr_are_found_where_they_stand_and_not_fixed(policy: str, line: int) -> None:
    (finding,) = findings(solver(policy=policy))
    assert (finding.place.line, finding.fix) == (line, None)


SECOND = """\
layer {
  name: "loss2"
  type: "SoftmaxWithLoss"
  bottom: "fc"
  bottom: "label"
  top: "loss2"
  loss_weight: 1000
}
"""


def test_if_one_of_several_losses_is_the_cause_its_weight_is_lowered_instead_of_the_rate() -> None:
    (finding,) = findings(solver(), NET + SECOND)
    assert finding.fix is None
    assert "lower its loss_weight, not base_lr" in finding.reason
    files = fixed(solver(), NET + SECOND, select=("G102", "G103"))
    assert files == {"solver.prototxt": solver(), "net.prototxt": NET + SECOND.replace("1000", "1")}


def test_a_weight_of_the_only_loss_is_lowered_before_the_rate() -> None:
    net = NET.replace('top: "loss" }', 'top: "loss" loss_weight: 100 }')
    files = fixed(solver(), net)
    assert files == {"solver.prototxt": solver(), "net.prototxt": net.replace("100", "1")}
    files = fixed(solver(base_lr="0.1"), net)
    assert files == {"solver.prototxt": solver(), "net.prototxt": net.replace("100", "1")}


@pytest.mark.parametrize(
    "text",
    [
        solver(base_lr="10", policy='lr_policy: "none"'),
        solver(base_lr="10", momentum="1.5"),
        solver('type: "Lion"', base_lr="10"),
        solver("larc: true", base_lr="10"),
        solver("local_lr_auto: true", base_lr="10"),
        solver('type: "Adam"', "delta: 0.1", base_lr="1"),
        solver(base_lr="-1"),
        solver(base_lr="0"),
    ],
)
def test_what_cannot_be_judged_is_not(text: str) -> None:
    assert findings(text) == []


MULTINODE = "multinode { }\n"


def test_what_trains_on_several_nodes_is_not_judged_by_the_table() -> None:
    assert len(findings(solver(base_lr="1"), NET)) == 1
    assert findings(solver(base_lr="1"), MULTINODE + NET) == []


def test_without_the_net_only_solvers_that_need_none_are_judged() -> None:
    assert findings(solver(base_lr="10"), None) == []
    assert len(findings(solver('type: "Adam"', base_lr="1"), None)) == 1


def test_a_net_without_a_loss_is_not_judged() -> None:
    assert findings(solver(base_lr="10"), NET[: NET.index('layer { name: "loss"')]) == []


def test_an_infinite_rate_is_found_and_not_fixed() -> None:
    (finding,) = findings(solver(policy='lr_policy: "exp"\ngamma: 1e10'))
    assert ("inf" in finding.message, finding.fix) == (True, None)


def test_how_far_over_the_limit_can_be_set() -> None:
    assert findings(solver(base_lr="0.05"), options={"G102": {"times": 3.0}}) == []
    assert len(findings(solver(base_lr="0.05"))) == 1


def test_a_net_in_an_old_format_is_judged_alike() -> None:
    net = """\
layers {
  name: "data"
  type: DATA
  top: "data"
  top: "label"
  data_param { source: "train" batch_size: 64 mean_file: "mean" }
}
layers { name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc" inner_product_param { num_output: 10 } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "fc" bottom: "label" top: "loss" loss_weight: 100 }
"""
    (finding,) = findings(solver(base_lr="0.2"), net)
    assert "pixels up to 255" in finding.reason
    assert "loss_weight: 1 }" in fixed(solver(base_lr="0.2"), net)["net.prototxt"]


def test_each_gpu_reads_a_batch_of_its_own() -> None:
    net = NET.replace("batch_size: 64", "batch_size: 2")
    (finding,) = findings(solver(base_lr="0.02"), net, gpus=2)
    assert "batches of 4 on 2 GPUs" in finding.reason
    assert findings(solver(base_lr="0.02"), net, gpus=32) == []
