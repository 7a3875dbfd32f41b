"""The clip threshold of a healthy run: where it lies, and where there is none."""

from __future__ import annotations

import pytest
from harness import check_files, fix_files

from caffe_lint.engine.files_in_memory import Files, nets_for
from caffe_lint.moments.blob_facts import BlobFacts
from caffe_lint.net.data_facts import SourceFacts
from caffe_lint.net.job import SolverFile
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.rule.finding import Finding
from caffe_lint.settings.settings import Settings
from caffe_lint.stability.advice.clip_bound import ClipBound, clip_bound, healthy_norm, safe_norm
from caffe_lint.stability.signal.features import Signal, signal_of
from caffe_lint.stability.signal.training import Training, training_of

FACTS = {"train": SourceFacts("lmdb", 6000, {"data": BlobFacts((1, 28, 28), 0.0, 255.0, 33.0, 33.0, 78.0)}, (0.0, 9.0), {})}


def solver(base_lr: str = "0.01", more: str = "") -> str:
    return f'net: "net.prototxt"\nbase_lr: {base_lr}\nlr_policy: "fixed"\nmomentum: 0.9\nmax_iter: 1000\n{more}'


def net(filler: str = 'type: "xavier"', *, lr_mult: float = 1, loss: str = "", between: str = "", source: str = "train") -> str:
    return f"""\
layer {{
  name: "data"
  type: "Data"
  top: "data"
  top: "label"
  transform_param {{ scale: 0.00390625 }}
  data_param {{ source: "{source}" batch_size: 64 backend: LMDB }}
}}
layer {{
  name: "conv"
  type: "Convolution"
  bottom: "data"
  top: "conv"
  convolution_param {{ num_output: 20 kernel_size: 5 weight_filler {{ {filler} }} }}
}}
layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "conv" }}
{between}layer {{
  name: "fc"
  type: "InnerProduct"
  bottom: "conv"
  top: "fc"
  param {{ lr_mult: {lr_mult:g} }}
  inner_product_param {{ num_output: 10 weight_filler {{ {filler} }} }}
}}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" {loss} }}
"""


def signal(solver_text: str, net_text: str) -> Signal:
    files = Files(caffe_schema(), "bvlc")
    files.add("solver.prototxt", solver_text.encode())
    files.add("net.prototxt", net_text.encode())
    job = nets_for(files, Settings(facts=FACTS)).job(SolverFile(files.get("solver.prototxt")), None)
    training = training_of(job)
    assert isinstance(training, Training)
    return signal_of(training)


def bound(solver_text: str, net_text: str) -> float:
    found = clip_bound([signal(solver_text, net_text)])
    assert found.value is not None, found.why_none
    return found.value


def finding(solver_text: str, net_text: str) -> Finding:
    found = check_files({"solver.prototxt": solver_text, "net.prototxt": net_text}, facts=FACTS, select=("G101",))
    (only,) = found
    return only


@pytest.mark.parametrize("kind", ["SGD", "Nesterov", "Adam", "RMSProp", "AdaGrad", "AdaDelta"])
def test_it_lies_well_above_the_first_norm(kind: str) -> None:
    text = solver("0.001", f'type: "{kind}"\n')
    norm = signal(text, net()).l2
    assert 3 * norm <= bound(text, net()) <= 50 * norm


def test_it_scales_with_the_gradients_and_with_iter_size() -> None:
    once = bound(solver("1e-4"), net())
    assert bound(solver("1e-4"), net(loss="loss_weight: 8")) == pytest.approx(8 * once, rel=0.1)
    assert bound(solver("1e-4", "iter_size: 8\n"), net()) == pytest.approx(8 * once, rel=0.1)


def test_a_step_at_it_moves_the_weights_by_at_most_half_their_norm() -> None:
    slow, fast = bound(solver("0.0001"), net()), bound(solver("0.01"), net())
    assert fast < slow
    size = (20 + 10) ** 0.5  # of xavier weights: the squares of those of each output sum to 1
    assert 0.01 * fast / (1 - 0.9) <= 0.5 * size


def test_the_largest_rate_of_a_group_counts() -> None:
    fine_tuned = signal(solver("0.001"), net(lr_mult=10))
    size = 10**0.5  # of the weights of 'fc' alone
    assert safe_norm(fine_tuned) == pytest.approx(0.5 * size * (1 - 0.9) / (0.001 * 10), rel=0.01)
    assert safe_norm(signal(solver("0.001"), net())) > 5 * safe_norm(fine_tuned)


def test_small_initial_weights_grow_and_so_do_gradients() -> None:
    small = signal(solver("1e-4"), net('type: "gaussian" std: 0.0001'))
    assert healthy_norm(small) > 2 * small.l2
    usual = signal(solver("1e-4"), net())
    assert healthy_norm(usual) == usual.l2


def test_weights_of_zero_in_the_last_layer_do_not_hide_the_gradients_of_the_others() -> None:
    small = 'type: "gaussian" std: 0.001'
    zero = net(small).replace(f"num_output: 10 weight_filler {{ {small} }}", "num_output: 10")
    start = signal(solver("1e-4"), zero)
    assert healthy_norm(start) > 2 * start.l2


def test_there_is_none_where_a_step_would_wreck_the_weights() -> None:
    found = clip_bound([signal(solver("0.2"), net(loss="loss_weight: 10"))])
    assert found.value is None
    assert "move the weights by half their norm" in found.why_none


def test_there_is_none_where_it_depends_on_the_data() -> None:
    one, hundred = signal(solver("1e-6"), net()), signal(solver("1e-6"), net(loss="loss_weight: 100"))
    found = clip_bound([one, hundred])
    assert found.value is None
    assert "depending on the data" in found.why_none
    few = signal(solver("1e-6"), net(loss="loss_weight: 4"))
    both = clip_bound([one, few]).value
    assert both is not None
    assert 3 * few.l2 <= both <= 50 * one.l2


def test_there_is_none_without_a_gradient() -> None:
    frozen = net(loss="loss_weight: 0")
    still = signal(solver(), net())
    still.l2 = 0.0
    assert clip_bound([still]) == ClipBound(None, "the gradient norm is 0 or overflows")
    texts = {"solver.prototxt": solver(), "net.prototxt": frozen}
    assert fix_files(texts, facts=FACTS, select=("G101",), unsafe=True) == texts


UNFILLED = net("").replace("weight_filler {  }", "")
CUSTOM = 'layer { name: "custom" type: "MyPooling" bottom: "conv" top: "conv" }\n'


@pytest.mark.parametrize(
    ("solver_text", "net_text"),
    [
        (solver("1e-12"), UNFILLED.replace('top: "loss" ', 'top: "loss" loss_param { normalize: false } ')),
        (solver(more='weights: "first.caffemodel"\n'), net()),
        (solver(), net(between=CUSTOM)),
        (solver(more='type: "MySolver"\n'), net()),
    ],
    ids=["weights written by a script", "loaded weights", "custom layer", "custom solver"],
)
def test_nothing_is_written_where_the_signal_is_unknown(solver_text: str, net_text: str) -> None:
    texts = {"solver.prototxt": solver_text, "net.prototxt": net_text}
    assert finding(solver_text, net_text).fix is None
    assert fix_files(texts, facts=FACTS, select=("G101",), unsafe=True) == texts


def test_the_finding_says_how_to_decide_where_no_threshold_is_written() -> None:
    found = finding(solver(more='weights: "first.caffemodel"\n'), net())
    assert "debug_info" in found.reason
    assert "10 times the largest" in found.reason


@pytest.mark.parametrize(("kind", "base_lr"), [("Adam", "2"), ("RMSProp", "0.3")])
def test_a_training_that_only_may_diverge_gets_the_threshold_as_well(kind: str, base_lr: str) -> None:
    text = solver(base_lr, f'type: "{kind}"\n')
    found = finding(text, net())
    assert "may diverge" in found.reason
    assert found.fix is not None
    assert found.fix.safe
    texts = {"solver.prototxt": text, "net.prototxt": net()}
    once = fix_files(texts, facts=FACTS, select=("G",))
    assert f"clip_gradients: {bound(text, net()):g}\n" in once["solver.prototxt"]
    assert fix_files(once, facts=FACTS, select=("G",)) == once
