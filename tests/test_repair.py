"""Family G where the course of a training is computed: what is found, and what the fixes make of it."""

from __future__ import annotations

from typing import Any

import pytest
from harness import check_files, fix_files

from caffe_lint.moments.blob_facts import BlobFacts
from caffe_lint.net.data_facts import SourceFacts
from caffe_lint.rule.finding import Finding

DIGITS = SourceFacts("lmdb", 6000, {"data": BlobFacts((1, 28, 28), 0.0, 255.0, 33.0, 33.0, 78.0)}, (0.0, 9.0), {})
FACTS = {"train": DIGITS}


def solver(base_lr: str = "0.01", more: str = "") -> str:
    return f'net: "net.prototxt"\nbase_lr: {base_lr}\nlr_policy: "fixed"\nmomentum: 0.9\nmax_iter: 1000\n{more}'


def net(*, scale: str = "scale: 0.004", losses: str = "", weight: str = "") -> str:
    return f"""\
layer {{
  name: "data"
  type: "Data"
  top: "data"
  top: "label"
  transform_param {{ {scale} }}
  data_param {{ source: "train" batch_size: 64 backend: LMDB }}
}}
layer {{
  name: "conv"
  type: "Convolution"
  bottom: "data"
  top: "conv"
  convolution_param {{ num_output: 20 kernel_size: 5 weight_filler {{ type: "xavier" }} }}
}}
layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "conv" }}
layer {{
  name: "fc"
  type: "InnerProduct"
  bottom: "conv"
  top: "fc"
  inner_product_param {{ num_output: 10 weight_filler {{ type: "xavier" }} }}
}}
{losses}layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss"{weight} }}
"""


AUX = """\
layer {
  name: "aux_fc"
  type: "InnerProduct"
  bottom: "conv"
  top: "aux_fc"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer {
  name: "aux"
  type: "SoftmaxWithLoss"
  bottom: "aux_fc"
  bottom: "label"
  top: "aux"
  loss_weight: 1000
}
"""


def findings(texts: dict[str, str], **settings: Any) -> dict[str, Finding]:
    return {finding.code: finding for finding in check_files(texts, facts=FACTS, select=("G",), **settings)}


def fixed(texts: dict[str, str]) -> dict[str, str]:
    return fix_files(texts, facts=FACTS, select=("G",))


def value(text: str, field: str) -> float:
    return next(float(line.split(":")[1]) for line in text.splitlines() if line.strip().startswith(f"{field}:"))


HEALTHY = {"solver.prototxt": solver(), "net.prototxt": net()}
FAST = {"solver.prototxt": solver("5"), "net.prototxt": net()}
GUILTY = {"solver.prototxt": solver(), "net.prototxt": net(losses=AUX)}


def test_a_healthy_run_gets_a_threshold_far_above_its_gradients_and_nothing_else() -> None:
    found = findings(HEALTHY)
    assert {code: finding.severity for code, finding in found.items()} == {"G101": "advice"}
    after = fixed(HEALTHY)
    bound = value(after["solver.prototxt"], "clip_gradients")
    assert after == {**HEALTHY, "solver.prototxt": solver(more="").replace(
        "momentum: 0.9\n", f"momentum: 0.9\nclip_gradients: {bound:g}\n"
    )}  # fmt: skip
    norm = float(found["G101"].message.rpartition(" ")[2])
    assert 3 * norm <= bound <= 50 * norm


def test_the_threshold_of_a_healthy_run_grows_with_iter_size() -> None:
    once, four = (
        value(fixed({**HEALTHY, "solver.prototxt": text})["solver.prototxt"], "clip_gradients")
        for text in (solver(), solver(more="iter_size: 4\n"))
    )
    assert four > 2 * once


def test_a_threshold_set_as_an_option_is_written() -> None:
    texts = fix_files(HEALTHY, facts=FACTS, select=("G",), options={"G101": {"value": 3.0}})
    assert value(texts["solver.prototxt"], "clip_gradients") == 3


def test_a_diverging_rate_is_lowered_by_powers_of_ten_and_clipped() -> None:
    found = findings(FAST)
    assert found["G102"].severity == "warning"
    assert "diverge at a learning rate of 5" in found["G102"].message
    after = fixed(FAST)
    assert after["net.prototxt"] == FAST["net.prototxt"]
    assert value(after["solver.prototxt"], "base_lr") in {0.5, 0.05, 0.005}
    assert value(after["solver.prototxt"], "clip_gradients") > 0


def test_large_inputs_are_a_reason() -> None:
    found = findings({"solver.prototxt": solver("1"), "net.prototxt": net(scale="")})
    assert "G102" in found or found["G101"].severity == "warning"


def test_the_loss_that_is_the_cause_is_named_and_only_its_weight_is_changed() -> None:
    found = findings(GUILTY)
    assert "gradient norm of loss 'aux' is" in found["G103"].message
    after = fixed(GUILTY)
    weight = value(after["net.prototxt"], "loss_weight")
    assert weight < 1000
    assert after["net.prototxt"] == GUILTY["net.prototxt"].replace("loss_weight: 1000", f"loss_weight: {weight:g}")
    assert value(after["solver.prototxt"], "base_lr") == 0.01


def test_a_heavy_loss_that_does_no_harm_is_advice_and_not_changed_safely() -> None:
    texts = {"solver.prototxt": solver("1e-6", "clip_gradients: 10\n"), "net.prototxt": net(losses=AUX)}
    assert {code: finding.severity for code, finding in findings(texts).items()} == {"G103": "advice"}
    assert fixed(texts) == texts


DEEP = net().replace('"fc"\n  type', '"fc0"\n  type').replace('top: "fc"\n', 'top: "fc0"\n').replace(
    'type: "xavier"', 'type: "gaussian" std: 0.0001'
) + """\
layer { name: "relu0" type: "ReLU" bottom: "fc0" top: "fc0" }
layer { name: "fc" type: "InnerProduct" bottom: "fc0" top: "fc" inner_product_param { num_output: 10 weight_filler { type: "gaussian" std: 0.01 } } }
"""  # fmt: skip
LAST = DEEP[DEEP.index('layer { name: "loss"') :].splitlines(keepends=True)[0]
DYING = DEEP.replace(LAST, "") + LAST


def test_vanishing_activations_get_fillers_only_with_unsafe_fixes_and_so_do_the_numbers_that_rest_on_them() -> None:
    texts = {"solver.prototxt": solver("20"), "net.prototxt": DYING}
    found = findings(texts)
    assert "'conv'" in found["G106"].message
    assert "The fix is unsafe: its initial weights are the cause: activations of 'conv' vanish (G106)." in found["G102"].reason
    assert fixed(texts) == texts
    after = fix_files(texts, unsafe=True, facts=FACTS, select=("G",))
    assert value(after["solver.prototxt"], "base_lr") < 20
    assert after["net.prototxt"] == DYING.replace('type: "gaussian" std: 0.0001', 'type: "msra"')
    assert "G106" not in findings(after)


def test_fillers_are_found_in_a_net_whose_images_are_taken_for_small_ones() -> None:
    texts = {"solver.prototxt": solver("20"), "net.prototxt": DYING.replace('"train"', '"unknown"')}
    findings = check_files(texts, select=("G",))
    assert [finding.severity for finding in findings if finding.code == "G106"] == ["advice"]


def test_a_rate_far_above_all_limits_is_found_with_unknown_data() -> None:
    texts = {"solver.prototxt": solver("50", "iter_size: 16\n"), "net.prototxt": DYING.replace('"train"', '"unknown"')}
    assert "G102" in {finding.code for finding in check_files(texts, select=("G",))}


def test_stalling_fillers_are_changed_only_with_unsafe_fixes() -> None:
    texts = {"solver.prototxt": solver("0.001", "clip_gradients: 100\n"), "net.prototxt": DYING}
    assert set(findings(texts)) == {"G106"}
    assert fixed(texts) == texts
    assert 'type: "msra"' in fix_files(texts, unsafe=True, facts=FACTS, select=("G",))["net.prototxt"]


@pytest.mark.parametrize(
    ("texts", "unsafe"),
    [
        (HEALTHY, False),
        (FAST, False),
        (GUILTY, False),
        ({"solver.prototxt": solver("20"), "net.prototxt": DYING}, True),
        ({"solver.prototxt": solver("0.1"), "net.prototxt": net(scale="")}, False),
        ({"solver.prototxt": solver("3", 'type: "Nesterov"\n'), "net.prototxt": net(weight=" loss_weight: 30")}, False),
        ({"solver.prototxt": solver("2", 'type: "Adam"\n'), "net.prototxt": net()}, True),
    ],
)
def test_what_was_fixed_is_safe_and_stays(texts: dict[str, str], unsafe: bool) -> None:
    after = fix_files(texts, unsafe=unsafe, facts=FACTS, select=("G",))
    left = findings(after)
    without_bound = left.pop("G101", None)
    assert without_bound is None or (without_bound.severity, without_bound.fix) == ("advice", None)
    assert {code for code, finding in left.items() if finding.fix is None or finding.fix.safe} == set()
    assert fix_files(after, unsafe=unsafe, facts=FACTS, select=("G",)) == after


def test_repairs_of_adaptive_solvers_are_unsafe_and_say_why() -> None:
    texts = {"solver.prototxt": solver("2", 'type: "Adam"\n'), "net.prototxt": net()}
    found = findings(texts)["G102"]
    assert (found.fix is not None and found.fix.safe) is False
    assert "the verdict was fitted to too few trainings that diverged with Adam" in found.reason
    assert "base_lr: 2\n" in fixed(texts)["solver.prototxt"]


def test_a_rate_is_lowered_by_default_for_images_but_for_no_other_unknown_data() -> None:
    def lowered(base_lr: str, scale: str) -> bool:
        text = net(scale=scale).replace('"train"', '"unknown"')
        texts = {"solver.prototxt": solver(base_lr), "net.prototxt": text}
        found = {finding.code: finding for finding in check_files(texts, select=("G",))}["G102"]
        assert "is likely to diverge" in found.message
        after = fix_files(texts, select=("G",))["solver.prototxt"]
        assert ("the data are not known" in found.reason) == (f"base_lr: {base_lr}\n" in after)
        return value(after, "base_lr") < float(base_lr)

    assert lowered("1", "mean_value: 128")
    assert not lowered("5", "")


def test_a_loss_that_reads_scores_as_probabilities_gets_no_other_rate() -> None:
    texts = {"solver.prototxt": solver("2"), "net.prototxt": net().replace("SoftmaxWithLoss", "MultinomialLogisticLoss")}
    assert not any("diverge" in finding.message for finding in findings(texts).values())
    assert "base_lr: 2\n" in fixed(texts)["solver.prototxt"]


def test_made_up_data_get_no_number_by_default() -> None:
    data = 'layer { name: "noise" type: "DummyData" top: "noise" dummy_data_param { shape { dim: 64 dim: 10 } } }\n'
    mixed = 'layer { name: "sum" type: "Eltwise" bottom: "fc" bottom: "noise" top: "sum" }\n'
    start, end = net().split('layer { name: "loss"')
    text = data + start + mixed + 'layer { name: "loss"' + end.replace('bottom: "fc"', 'bottom: "sum"')
    texts = {"solver.prototxt": solver("5"), "net.prototxt": text}
    assert any("it trains on made-up data (DummyData 'noise')" in finding.reason for finding in findings(texts).values())
    assert fixed(texts) == texts


REGRESSION = net(scale="").replace("num_output: 10", "num_output: 1").replace("SoftmaxWithLoss", "EuclideanLoss")


def test_large_inputs_are_scaled_in_every_phase_with_unsafe_fixes() -> None:
    test = REGRESSION[: REGRESSION.index('layer {\n  name: "conv"')].replace(
        '  top: "label"\n', '  top: "label"\n  include { phase: TEST }\n'
    )
    train = REGRESSION.replace('  top: "label"\n', '  top: "label"\n  include { phase: TRAIN }\n', 1)
    texts = {"solver.prototxt": solver("0.001", "clip_gradients: 1e6\n"), "net.prototxt": test + train}
    found = findings(texts)["G107"]
    assert (found.severity, found.fix is not None and found.fix.safe) == ("advice", False)
    after = fix_files(texts, unsafe=True, facts=FACTS, select=("G107",))["net.prototxt"]
    assert after.count("transform_param { scale: 0.00390625 }") == 2


@pytest.mark.parametrize(
    ("solver_text", "net_text"),
    [
        (solver("5", 'weights: "first.caffemodel"\n'), net()),
        (solver("5"), net().replace('"ReLU"', '"Unheard"')),
        (
            solver("5"),
            net().replace('"SoftmaxWithLoss"', '"Python"').replace('top: "loss"', 'top: "loss" loss_weight: 1'),
        ),
    ],
)
def test_nothing_is_computed_from_unknown_values(solver_text: str, net_text: str) -> None:
    found = findings({"solver.prototxt": solver_text, "net.prototxt": net_text})
    assert not any("diverge" in finding.message for finding in found.values())


def test_images_of_unknown_size_are_repaired_in_both_sizes() -> None:
    """The judged net is built for small images then, the other for photographs: what is tried must go for both."""
    layers = "".join(
        f'''
layer {{
  name: "conv{depth}" type: "Convolution" bottom: "{below}" top: "conv{depth}"
  convolution_param {{ num_output: 16 kernel_size: 3 pad: 1 weight_filler {{ type: "gaussian" std: 0.003 }} }}
}}
layer {{ name: "relu{depth}" type: "ReLU" bottom: "conv{depth}" top: "conv{depth}" }}'''
        for depth, below in enumerate(["data", "conv0", "conv1"])
    )
    net = f'''
layer {{
  name: "data" type: "Data" top: "data" top: "label" data_param {{ source: "train" batch_size: 32 backend: LMDB }}
}}{layers}
layer {{ name: "pool" type: "Pooling" bottom: "conv2" top: "pool" pooling_param {{ pool: AVE global_pooling: true }} }}
layer {{
  name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param {{ num_output: 10 weight_filler {{ type: "gaussian" std: 0.01 }} }}
}}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }}
'''
    solver = 'net: "n.prototxt"\nbase_lr: 10\nlr_policy: "fixed"\nmax_iter: 100\nmomentum: 0.9\nsnapshot_prefix: "n"\n'
    texts = {"s.prototxt": solver, "n.prototxt": net}
    assert fix_files(texts, select=("G",)) == texts
    fixed = fix_files(texts, unsafe=True, select=("G",))
    assert fixed["n.prototxt"].count("msra") == 1
    assert "base_lr: 10\n" not in fixed["s.prototxt"]


def test_a_rate_is_not_lowered_where_that_does_not_mend_the_training() -> None:
    blocks = "".join(
        f'layer {{ name: "c{n}" type: "Convolution" bottom: "b{n}" top: "c{n}"\n'
        '  convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }\n'
        f'layer {{ name: "n{n}" type: "BatchNorm" bottom: "c{n}" top: "b{n + 1}" batch_norm_param {{ use_global_stats: true }} }}\n'
        for n in range(12)
    )
    deep = net().replace('top: "conv"\n', 'top: "b0"\n', 1).replace('layer { name: "relu"', blocks + 'layer { name: "relu"')
    deep = deep.replace('bottom: "conv" top: "conv"', 'bottom: "b12" top: "conv"')
    texts = {"solver.prototxt": solver(), "net.prototxt": deep}
    stability = {"select": ("G",), "facts": FACTS}
    assert "G102" in {finding.code for finding in check_files(texts, **stability)}
    fixed = fix_files(texts, unsafe=True, **stability)
    assert "base_lr: 0.01\n" in fixed["solver.prototxt"]
    assert fix_files(fixed, unsafe=True, **stability) == fixed


def rate_findings(base_lr: str, clip: str) -> list[Finding]:
    texts = {"solver.prototxt": solver(base_lr, f"clip_gradients: {clip}\n"), "net.prototxt": net()}
    return check_files(texts, select=("G102",), facts=FACTS)


@pytest.mark.parametrize("base_lr", ["0.8", "1"])
def test_a_rate_that_a_loose_threshold_does_not_make_up_for_is_too_high(base_lr: str) -> None:
    (finding,) = rate_findings(base_lr, "35")
    assert (finding.severity, finding.confidence) == ("warning", "medium")
    assert f"a learning rate of {base_lr} is too high for clip_gradients 35" in finding.message
    texts = {"solver.prototxt": solver(base_lr, "clip_gradients: 35\n"), "net.prototxt": net()}
    assert fix_files(texts, select=("G102",), facts=FACTS) == texts
    fixed = fix_files(texts, unsafe=True, select=("G102",), facts=FACTS)["solver.prototxt"]
    lowered = next(float(line.split(":")[1]) for line in fixed.splitlines() if line.startswith("base_lr"))
    assert 1e-4 <= lowered <= 0.1
    assert rate_findings(f"{lowered:g}", "35") == []


@pytest.mark.parametrize(("base_lr", "clip"), [("0.01", "100000"), ("0.001", "10"), ("0.1", "0.1"), ("1", "0.01")])
def test_a_loose_threshold_beside_a_usual_rate_is_none_and_a_tight_one_shortens_steps(base_lr: str, clip: str) -> None:
    assert rate_findings(base_lr, clip) == []


def test_a_layer_outside_its_domain_is_the_cause_and_not_the_rate() -> None:
    logarithm = 'layer { name: "log" type: "Log" bottom: "conv" top: "log" }\n'
    out_of_domain = net().replace('layer {\n  name: "fc"', f'{logarithm}layer {{\n  name: "fc"')
    out_of_domain = out_of_domain.replace('"InnerProduct"\n  bottom: "conv"', '"InnerProduct"\n  bottom: "log"')
    texts = {"solver.prototxt": solver(), "net.prototxt": out_of_domain}
    codes = {finding.code for finding in check_files(texts, facts=FACTS)}
    assert "G111" in codes
    assert "G102" not in codes
    assert fix_files(texts, unsafe=True, select=("G101", "G102"), facts=FACTS) == texts
    shifted = {**texts, "net.prototxt": out_of_domain.replace('top: "log"', 'top: "log" log_param { shift: 1 }')}
    assert "G111" not in {finding.code for finding in check_files(shifted, facts=FACTS)}
