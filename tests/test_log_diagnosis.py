"""Diagnoses of logs: cause, layer, blob, iteration and line are named, and healthy runs are not reported."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from caffe_lint.engine.diagnosis import diagnose
from caffe_lint.report import Summary
from caffe_lint.report.log_report import Report, render
from caffe_lint.training_log.causes import Cause, Diagnosed
from caffe_lint.training_log.following import Watcher
from caffe_lint.training_log.log_reader import read_log
from caffe_lint.training_log.runs import Step

HEAD = "I1122 06:57:08.794001 27293 "
NET = """
name: "tiny"
state { phase: TRAIN }
layer { name: "data" type: "Input" top: "data" top: "label" input_param { shape { dim: 8 dim: 4 } shape {
dim: 8 } } }
layer { name: "ip1" type: "InnerProduct" bottom: "data" top: "ip1" inner_product_param { num_output: 10 } }
layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" inner_product_param { num_output: 10 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }
"""
SOLVER = (
    'base_lr: 0.01\nlr_policy: "fixed"\nmomentum: 0.9\nmax_iter: 100\ndisplay: 1\ndebug_info: '
    'true\nnet: "net.prototxt"\n'
)


def values(**changes: float) -> dict[str, float]:
    """The means of |x| of a healthy pass, with changes."""
    sound = {
        "data": 0.5, "label": 4.5, "ip1": 0.4, "ip1_w": 0.1, "relu1": 0.2, "ip2": 0.3, "ip2_w": 0.1, "loss": 2.3,
        "d_ip2": 0.01, "d_ip2_w": 0.01, "d_ip1": 0.005, "d_ip1_w": 0.008, "norm": 1.5, "lr": 0.01,
    }  # fmt: skip
    return {**sound, **changes}


def written(number: int, said: dict[str, float]) -> list[str]:
    v = {name: f"{value:g}" for name, value in said.items()}
    return [
        f"net.cpp:593]     [Forward] Layer data, top blob data data: {v['data']}",
        f"net.cpp:593]     [Forward] Layer data, top blob label data: {v['label']}",
        f"net.cpp:593]     [Forward] Layer ip1, top blob ip1 data: {v['ip1']}",
        f"net.cpp:605]     [Forward] Layer ip1, param blob 0 data: {v['ip1_w']}",
        f"net.cpp:593]     [Forward] Layer relu1, top blob ip1 data: {v['relu1']}",
        f"net.cpp:593]     [Forward] Layer ip2, top blob ip2 data: {v['ip2']}",
        f"net.cpp:605]     [Forward] Layer ip2, param blob 0 data: {v['ip2_w']}",
        f"net.cpp:593]     [Forward] Layer loss, top blob loss data: {v['loss']}",
        f"net.cpp:619]     [Backward] Layer loss, bottom blob ip2 diff: {v['d_ip2']}",
        f"net.cpp:619]     [Backward] Layer ip2, bottom blob ip1 diff: {v['d_ip1']}",
        f"net.cpp:630]     [Backward] Layer ip2, param blob 0 diff: {v['d_ip2_w']}",
        f"net.cpp:619]     [Backward] Layer relu1, bottom blob ip1 diff: {v['d_ip1']}",
        f"net.cpp:630]     [Backward] Layer ip1, param blob 0 diff: {v['d_ip1_w']}",
        "net.cpp:650]     [Backward] All net params (data, diff): "
        f"L1 norm = (9, {v['norm']}); L2 norm = (3, {v['norm']})",
        f"solver.cpp:239] Iteration {number} (9 iter/s, 1s/1 iters), loss = {v['loss']}",
        f"solver.cpp:258]     Train net output #0: loss = {v['loss']} (* 1 = {v['loss']} loss)",
        f"sgd_solver.cpp:112] Iteration {number}, lr = {v['lr']}",
    ]


def log_of(steps: list[dict[str, float]], net: str = NET, solver: str = SOLVER) -> str:
    lines = [f"{HEAD}solver.cpp:45] Initializing solver from parameters: ", *solver.splitlines()]
    lines += [f"{HEAD}net.cpp:53] Initializing net from parameters: ", *net.splitlines()]
    for number, step in enumerate(steps):
        lines += [HEAD + line for line in written(number, step)]
    return "\n".join(lines) + "\n"


@pytest.fixture
def causes(tmp_path: Path) -> Callable[[str], list[Diagnosed]]:
    def read(text: str) -> list[Diagnosed]:
        path = tmp_path / "train.log"
        path.write_text(text)
        return diagnose(read_log(str(path)))

    return read


Read = Callable[[str], list[Diagnosed]]
NAN = {name: math.nan for name in values() if name not in ("data", "label", "lr")}


def falling(number: int) -> list[dict[str, float]]:
    return [values(loss=2.3 / (1 + step / 3)) for step in range(number)]


def rising(factor: float, number: int) -> list[dict[str, float]]:
    return [values(loss=2.3 * factor**step, norm=1.5 * (10 * factor) ** step) for step in range(number)]


def test_a_training_that_learns_is_not_reported(causes: Read) -> None:
    assert causes(log_of(falling(20))) == []


def test_nan_in_the_data_is_named_with_its_line(causes: Read) -> None:
    text = log_of([*falling(5), values(**{**NAN, "data": math.nan})])
    first = causes(text)[0]
    assert (first.code, first.cause.cause, first.cause.layer, first.cause.blob) == (
        "T101",
        "nan-in-data",
        "data",
        "data",
    )
    assert first.cause.iteration == 5
    assert "top blob data data: nan" in text.splitlines()[(first.cause.line or 0) - 1]


def test_nan_in_labels_is_distinguished_from_nan_in_data(causes: Read) -> None:
    first = causes(log_of([*falling(5), values(**{**NAN, "label": math.nan})]))[0]
    assert (first.cause.cause, first.cause.blob) == ("nan-in-label", "label")


def test_an_explosion_blames_the_rate_and_names_the_first_overflow(causes: Read) -> None:
    bad = {**NAN, "ip1": 1e30, "ip1_w": 1e9, "relu1": 1e30, "ip2": math.inf, "ip2_w": 1e9}
    (first,) = causes(log_of([*falling(6), *rising(3, 6), values(**bad)]))
    assert (first.code, first.cause.cause, first.cause.layer, first.cause.iteration) == (
        "T201", "learning-rate-too-high", "ip2", 12,
    )  # fmt: skip


def test_a_rising_rate_is_its_own_cause(causes: Read) -> None:
    up = [{**step, "lr": 0.1} for step in rising(3, 6)]
    first = causes(log_of([*falling(10), *up, values(**NAN, lr=0.1)]))[0]
    assert first.cause.cause == "learning-rate-step"


def test_a_negative_rate_is_named(causes: Read) -> None:
    up = [{**step, "lr": -0.01} for step in rising(3, 6)]
    assert causes(log_of([*up, values(**NAN, lr=-0.01)]))[0].cause.cause == "learning-rate-negative"


def test_momentum_of_one_is_the_solvers_fault(causes: Read) -> None:
    text = log_of([*falling(6), *rising(3, 6), values(**NAN)], solver=SOLVER.replace("0.9", "1"))
    assert [each.cause.cause for each in causes(text)] == ["momentum-too-high"]


def test_unscaled_inputs_are_found_in_the_first_pass(causes: Read) -> None:
    start = values(data=116, ip1=90, relu1=60, ip2=60, loss=56, norm=1190)
    found = causes(log_of([start, values(data=116, loss=79, norm=4e4), values(**{**NAN, "data": 116})]))
    assert (found[0].code, found[0].cause.cause, found[0].cause.layer) == ("T204", "input-not-scaled", "data")


def test_an_unnormalised_loss_is_found(causes: Read) -> None:
    net = NET.replace('top: "loss"', 'top: "loss" loss_param { normalization: NONE }')
    found = causes(log_of([values(loss=148, norm=92), values(loss=2700, norm=1e5), values(**NAN)], net))
    assert (found[0].cause.cause, found[0].cause.layer) == ("loss-not-normalised", "loss")


def test_a_layer_outside_its_domain_at_iteration_0_is_found(causes: Read) -> None:
    finite = {name: values()[name] for name in ("ip1", "ip1_w", "relu1", "ip2", "ip2_w")}
    net = NET.replace("SoftmaxWithLoss", "InfogainLoss")
    first = causes(log_of([values(**{**NAN, **finite, "loss": math.inf})], net))[0]
    assert (first.code, first.cause.cause, first.cause.layer, first.cause.iteration) == (
        "T102", "infogain-matrix-not-finite", "loss", 0,
    )  # fmt: skip


def test_a_bad_gradient_after_a_finite_forward_pass_is_found(causes: Read) -> None:
    bad = values(d_ip1=math.nan, d_ip1_w=math.nan, norm=math.nan)
    first = causes(log_of([*falling(5), bad]))[0]
    assert (first.code, first.cause.layer, first.cause.blob) == ("T103", "ip2", "ip1")


NOT_LEARNING: tuple[tuple[str, dict[str, float], str | None], ...] = (
    ("zero-learning-rate", {"lr": 0}, None),
    ("zero-weights", {"ip1": 0, "ip1_w": 0, "relu1": 0, "ip2": 0, "ip2_w": 0, "d_ip1": 0, "d_ip1_w": 0}, "ip1"),
    ("dead-relu", {"relu1": 0, "ip2": 0, "d_ip1": 0, "d_ip1_w": 0, "d_ip2_w": 0}, "relu1"),
    ("loss-always-zero", {"loss": 0, "norm": 0, "d_ip2": 0, "d_ip1": 0, "d_ip1_w": 0, "d_ip2_w": 0}, "loss"),
    ("loss-not-decreasing", {}, None),
)


@pytest.mark.parametrize(("cause", "changes", "layer"), NOT_LEARNING, ids=[case[0] for case in NOT_LEARNING])
def test_why_a_training_does_not_learn(cause: str, changes: dict[str, float], layer: str | None, causes: Read) -> None:
    first = causes(log_of([values(**changes) for _ in range(20)]))[0]
    assert (first.cause.cause, first.cause.layer) == (cause, layer)


def test_labels_out_of_range_are_found_although_the_loss_falls(causes: Read) -> None:
    (only,) = causes(log_of([{**step, "label": 31.9} for step in falling(20)]))
    assert (only.code, only.cause.layer, only.cause.blob) == ("T404", "data", "label")


def test_a_fatal_line_is_explained_with_its_layer(causes: Read) -> None:
    text = (
        log_of([]) + "F1122 06:57:09.1 27293 insert_splits.cpp:29] Unknown bottom blob 'fc9' (layer "
        "'ip2', bottom "
        "index 0)\n"
    )
    (only,) = causes(text)
    assert (only.code, only.cause.cause, only.cause.layer, only.cause.blob) == ("T501", "unknown-bottom", "ip2", "fc9")


def test_a_nan_without_debug_info_asks_for_it(causes: Read) -> None:
    lines = [line for line in log_of([values(**NAN)]).splitlines() if "ward]" not in line]
    assert [each.cause.cause for each in causes("\n".join(lines))] == ["non-finite-start"]


def test_missing_debug_info_beside_a_likely_cause_is_advice(causes: Read) -> None:
    losses = [2.3, 2.3, 8.4, 41.0, 87.0, math.nan]
    text = log_of([values(loss=loss) for loss in losses])
    lines = [line for line in text.splitlines() if "ward]" not in line]
    found = {each.code: each for each in causes("\n".join(lines))}
    assert found["T201"].cause.confidence >= 0.5
    assert (found["T201"].severity, found["T405"].severity) == ("error", "advice")


def test_missing_debug_info_alone_is_an_error(causes: Read) -> None:
    text = log_of([values(**NAN)]).replace("Iteration 0", "Iteration 40")  # an excerpt that begins later
    lines = [line for line in text.splitlines() if "ward]" not in line]
    assert [(each.code, each.severity) for each in causes("\n".join(lines))] == [("T405", "error")]


def test_the_watcher_warns_before_the_nan_and_then_is_certain() -> None:
    watcher = Watcher()
    losses = [2.3, 2.2, 2.1, 2.0, 2.0, 30.0, 60.0, 80.0, math.nan]
    signs = [watcher.step(Step(number, number, loss)) for number, loss in enumerate(losses)]
    told = [(number, sign.diverged) for number, sign in enumerate(signs) if sign is not None]
    assert told == [(6, False), (8, True)]


@pytest.mark.parametrize("before", [0, 1, 12])
@pytest.mark.parametrize("name", [name for name in values() if name != "lr"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_finite_are_always_reported(causes: Read, name: str, value: float, before: int) -> None:
    found = causes(log_of([*falling(before), values(**{name: value})]))
    assert found
    assert {each.severity for each in found} & {"error", "warning"}


def test_an_explosion_is_found_in_the_diffs_if_the_norms_are_missing(causes: Read) -> None:
    large = {name: 1e17 for name in values() if name.startswith("d_")}
    lines = log_of([values(loss=16.4, **large), values(**NAN)]).splitlines()
    text = "\n".join(line for line in lines if "All net params" not in line) + "\n"
    raw = NET.replace("SoftmaxWithLoss", "MultinomialLogisticLoss")
    assert causes(text.replace(NET.strip(), raw.strip()))[0].cause.cause == "loss-wants-probabilities"


def test_clipping_that_never_acted_is_mentioned(causes: Read) -> None:
    bad = {**NAN, "ip1": 1e30, "ip1_w": 1e9, "relu1": 1e30, "ip2": math.inf, "ip2_w": 1e9}
    text = log_of([*falling(6), *rising(3, 6), values(**bad)], solver=SOLVER + "clip_gradients: 1e30\n")
    assert "clip_gradients 1e+30 never acted" in causes(text)[0].cause.reason


def test_a_run_that_is_stopped_while_it_explodes_has_a_cause(causes: Read) -> None:
    found = causes(log_of([values(), values(loss=20, norm=90), values(loss=79, norm=1e8, d_ip2_w=1e5)]))
    assert (found[0].code, found[0].cause.cause) == ("T201", "learning-rate-too-high")


# -- repetitions are one block ----------------------------------------------------------------------------


def _reported(*found: Diagnosed, path: Path) -> str:
    path.write_text(log_of(falling(5)))
    runs = read_log(str(path))
    return render("full", Report("train.log", runs, list(found), {}, [], False, "", [], "", Summary({"train.log": b""})))


def _dead(layer: str, line: int, name: str = "dead-units", confidence: float = 0.95) -> Diagnosed:
    cause = Cause(name, f"'{layer}' outputs 0", "Its units are dead.", confidence, layer=layer, line=line, help="Lower base_lr.")
    return Diagnosed("T303", "dead-relu", "warning", 1, cause)


def test_a_cause_that_shows_in_several_places_is_one_block(tmp_path: Path) -> None:
    text = _reported(_dead("conv1", 10), _dead("conv2", 20), _dead("conv3", 30), path=tmp_path / "log")
    assert text.count("warning[T303]") == 1
    assert text.count("Its units are dead.") == 1
    assert "also at 20:1: 'conv2' outputs 0" in text
    assert "also at 30:1: 'conv3' outputs 0" in text
    assert "3 causes found" in text


def test_other_causes_of_a_rule_and_the_order_by_likelihood_are_kept(tmp_path: Path) -> None:
    text = _reported(_dead("conv9", 90), _dead("conv1", 10, "cold-start"), _dead("conv2", 20, confidence=0.6), path=tmp_path / "log")
    assert text.count("warning[T303]") == 3
    assert text.index("conv9") < text.index("conv1") < text.index("conv2")


def curve(losses: list[float]) -> str:
    """A log without debug_info in which these losses are displayed, of a loss whose chance level is unknown."""
    return "".join(
        f"{HEAD}solver.cpp:239] Iteration {20 * number}, loss = {loss:g}\n{HEAD}sgd_solver.cpp:112] Iteration {20 * number}, lr = 0.01\n"
        for number, loss in enumerate(losses)
    )


NOISE = [0.37, 0.43, 0.39, 0.44, 0.36, 0.42, 0.38, 0.45, 0.4, 0.41, 0.37, 0.44, 0.43, 0.38, 0.42, 0.39, 0.45, 0.41, 0.44, 0.4]


def test_one_loss_that_stands_out_is_not_a_divergence(causes: Read) -> None:
    spike = [*NOISE, *NOISE]
    spike[17] = 1.3
    assert not any(found.severity == "error" for found in causes(curve(spike)))
    stays = [*NOISE[:10], *(2.2 + 0.01 * n for n in range(20))]
    assert "T201" in {found.code for found in causes(curve(stays))}


def test_scatter_is_not_a_rise(causes: Read) -> None:
    assert not any("rate is too high" in found.cause.message for found in causes(curve([0.36, 0.37, *NOISE, 0.45, 0.44])))
    rising = [0.4 + 0.02 * n for n in range(24)]
    assert any("rate is too high" in found.cause.message for found in causes(curve(rising)))


@pytest.mark.parametrize(("loss", "said"), [(0.0, "exactly 0"), (-6.4e-20, "0 up to rounding (-6e-20)")])
def test_a_loss_of_0_is_0_however_it_is_rounded(causes: Read, loss: float, said: str) -> None:
    (found,) = causes(curve([loss] * 12))
    assert (found.code, found.cause.message) == ("T302", f"the loss is {said} in every iteration")
