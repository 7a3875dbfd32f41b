"""What the course of a loss and its tests say: the cause is named, and what is normal is called so."""

from __future__ import annotations

import ast
import json
import math
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from counted_work import assert_linear
from test_log_refusals import causes, first

from caffe_lint import rules
from caffe_lint.cli.commands import cli, run
from caffe_lint.layers.record import hazards
from caffe_lint.rule.registry import all_rules, matching, naming
from caffe_lint.training_log.evidence import Evidence
from caffe_lint.training_log.log_reader import LogReader
from caffe_lint.training_log.periods import periodic_jumps
from caffe_lint.training_log.remarks import normal, unjudged
from caffe_lint.training_log.runs import Run, Step

HEAD = "I0611 08:00:00.000000  41 "


def steps(losses: list[object], display: int = 20, rate: str = "0.01") -> str:
    return "".join(
        f"{HEAD}solver.cpp:218] Iteration {number * display}, loss = {loss}\n"
        f"{HEAD}solver.cpp:237]     Train net output #0: loss = {loss} (* 1 = {loss} loss)\n"
        f"{HEAD}sgd_solver.cpp:105] Iteration {number * display}, lr = {rate}\n"
        for number, loss in enumerate(losses)
    )


def outputs_of_test(iteration: int, **outputs: float) -> str:
    lines = [f"{HEAD}solver.cpp:330] Iteration {iteration}, Testing net (#0)\n"]
    for number, (name, value) in enumerate(outputs.items()):
        weight = f" (* 1 = {value} loss)" if name.startswith("loss") else ""
        lines.append(f"{HEAD}solver.cpp:397]     Test net output #{number}: {name} = {value}{weight}\n")
    return "".join(lines)


def runs_of(text: str) -> list[Run]:
    reader = LogReader()
    reader.feed(text.encode())
    return reader.finish()


def codes(text: str) -> list[str]:
    return [each.code for each in causes(text)]


FALLING = [round(2.3 / (1 + number / 4), 4) for number in range(40)]


@pytest.mark.parametrize("loss", ["nan", "-nan", "inf", "1.#QNAN"])
@pytest.mark.parametrize("rate", ["0", "1e-06", "0.01"])
def test_no_rate_is_to_blame_for_what_came_before_any_update(loss: str, rate: str) -> None:
    found = first(steps([loss] * 5, 1, rate))
    assert (found.code, found.cause.cause, found.cause.iteration) == ("T106", "non-finite-start", 0)
    assert "no learning rate is to blame" in found.cause.message


def test_an_excerpt_that_begins_later_does_not_say_that_nothing_was_updated() -> None:
    text = "".join(f"{HEAD}solver.cpp:218] Iteration {number}, loss = nan\n" for number in (40, 60))
    assert codes(text) == ["T405"]


def test_a_loss_that_becomes_exactly_0_is_named_with_its_iteration() -> None:
    found = first(steps([318.7, "-6.4e-20", 0, 0, 0, 0], 40) + outputs_of_test(240, mAP=0, recall=0))
    assert (found.code, found.cause.iteration) == ("T310", 40)
    assert "mAP is 0" in found.cause.message


@pytest.mark.parametrize(
    "text",
    [
        steps([2.3, 1.1, 0, 0.4, 0, 0]),  # only the last two
        steps([0.9, 0.2, 0, 0, 0, 0]).replace("#0: loss", "#0: triplet_loss"),
        steps([2.3, 0.5, 0, 0, 0, 0]) + outputs_of_test(120, accuracy=0.99),
    ],
)
def test_a_loss_of_0_that_is_no_fault_is_not_reported(text: str) -> None:
    assert "T310" not in codes(text)


def test_an_accuracy_below_chance_is_put_down_to_the_labels() -> None:
    text = "".join(outputs_of_test(number * 100, acc=0, loss=0.7) + steps([0.69], 1).replace("Iteration 0", f"Iteration {number * 100}")
                   for number in range(10))  # fmt: skip
    (only,) = causes(text)
    assert (only.code, only.cause.blob) == ("T407", "acc")
    assert "below chance" in only.cause.message
    assert "1/2" in only.cause.reason


def test_a_test_whose_iteration_is_not_in_the_log_is_shown_without_it() -> None:
    tests = [outputs_of_test(number * 100, acc=0, loss=0.7) for number in range(10)]
    tests[8] = "".join(tests[8].splitlines(keepends=True)[1:])
    (only,) = causes("".join(test + steps([0.69], 1).replace("Iteration 0", f"Iteration {100 * number}") for number, test in enumerate(tests)))
    assert [line.text.partition(":")[0] for line in only.cause.evidence] == [
        "Iteration 700, Testing net (#0)", "Testing net (#0)", "Iteration 900, Testing net (#0)",
    ]  # fmt: skip


def test_an_accuracy_of_the_training_net_is_judged_without_tests() -> None:
    text = steps([0.69] * 12).replace("Iteration 0, lr", "Iteration 0, lr")
    lines = [line + (f"\n{HEAD}solver.cpp:237]     Train net output #1: acc = 0" if "output #0" in line else "")
             for line in text.splitlines()]  # fmt: skip
    assert [each.code for each in causes("\n".join(lines) + "\n")] == ["T407"]


@pytest.mark.parametrize("accuracy", [0.02, 0.5])
def test_an_accuracy_above_0_is_not_put_down_to_the_labels(accuracy: float) -> None:
    text = "".join(outputs_of_test(number * 100, acc=accuracy if number == 3 else 0) for number in range(5)) + steps(list(FALLING))
    assert "T407" not in codes(text)


def test_a_short_test_of_many_classes_may_be_wrong_every_time() -> None:
    text = "".join(outputs_of_test(number * 100, acc=0, loss=6.9) for number in range(5)) + steps([6.9078] + [6.8] * 9)
    assert "T407" not in codes(text)


def test_an_accuracy_at_chance_is_found_without_the_net() -> None:
    text = steps(list(FALLING)) + "".join(outputs_of_test(800 + number, accuracy=0.1, loss=2.3) for number in range(4))
    (only,) = causes(text)
    assert only.code == "T402"


def sawtooth(number: int, gap: int, height: float, noise: float = 0.03, rates: Callable[[int], str] = lambda index: "0.01") -> str:
    chance = random.Random(7)
    return "".join(
        steps([2 * 0.99**index * math.exp(chance.gauss(0, noise)) * (height if index and index % gap == 0 else 1)], 1, rates(index))
        .replace("Iteration 0", f"Iteration {index * 20}")
        for index in range(number)
    )  # fmt: skip


@pytest.mark.parametrize(("number", "gap", "height"), [(60, 12, 2.0), (90, 9, 1.8), (200, 50, 3.0)])
def test_jumps_with_a_period_are_put_down_to_the_order_of_the_data(number: int, gap: int, height: float) -> None:
    (only,) = causes(sawtooth(number, gap, height))
    assert only.code == "T406"
    assert f"every {gap * 20} iterations" in only.cause.message


def test_jumps_of_a_rate_that_restarts_are_not_put_down_to_the_data() -> None:
    assert codes(sawtooth(60, 12, 2.0, rates=lambda index: f"{0.1 * 0.8 ** (index % 12):.5f}")) == []


@pytest.mark.parametrize("positions", [(7, 16, 44), (20, 21, 22), (50, 59, 68)])
def test_jumps_without_a_period_or_that_begin_late_are_not_reported(positions: tuple[int, ...]) -> None:
    losses = [2 * 0.98**index * (2 if index in positions else 1) for index in range(80)]
    assert codes(steps(list(losses))) == []


@pytest.mark.parametrize("display", [1, 20, 100])
def test_a_nan_between_displayed_iterations_is_put_down_to_the_data_only_if_nothing_else_could_happen(display: int) -> None:
    found = first(steps([2.31, 2.29, 2.3, "nan", "nan"], display))
    assert found.code == ("T101" if display == 1 else "T405")
    assert display == 1 or "or the training diverged in between" in found.cause.reason


def late(text: str, start: int = 40_000) -> str:
    """The same as an excerpt from the middle of a training."""
    return re.sub(r"Iteration (\d+),", lambda found: f"Iteration {int(found[1]) + start},", text)


@pytest.mark.parametrize(
    "losses",
    [
        [0.02 * (1 + number % 5) for number in range(40)],
        [0.01, 0.02, 0.01, 0.002, 0.03, 0.0001, 0.002, 0.00001, 0.0003, 0.0002, 0.01, 0.0007, 0.005, 0.09, 0.02, 0.04],
        [0.3 + 0.004 * number for number in range(40)],
    ],
)
def test_an_excerpt_of_a_trained_net_is_not_said_to_diverge_or_to_stand_still(losses: list[float]) -> None:
    assert codes(late(steps(list(losses)))) == []


def test_an_excerpt_in_which_a_trained_net_diverges_is_said_to() -> None:
    assert first(late(steps([*[0.02, 0.05, 0.03] * 10, *[2.4] * 30]))).code == "T201"


def test_looking_for_jumps_is_work_in_proportion() -> None:
    def work(size: int) -> Callable[[], object]:
        one = Run(1)
        for index in range(size):
            one.steps.append(Step(index, index + 1, 2.0 if index % 9 else 4.0, 0.01))
        return lambda: periodic_jumps(Evidence(one))

    assert_linear(work, 200)


@pytest.mark.parametrize("levels", [(0.2, 0.3, 0.25, 0.4, 5.0), (0.5, 0.6, 0.9, 0.8, 0.7, 3.5)])
def test_swings_from_which_the_loss_returns_are_no_divergence(levels: tuple[float, ...]) -> None:
    chance = random.Random(3)
    losses = [0.7] + [round(chance.choice(levels), 2) for _ in range(60)] + [0.6, 0.5]
    text = steps(list(losses))
    assert not {"T201", "T204", "T309"} & set(codes(text))
    assert "swings" in [seen.name for seen in normal(Evidence(runs_of(text)[0]), [])]


def test_a_loss_that_rises_and_stays_up_is_divergence() -> None:
    assert first(steps([0.7, 0.3, 5.0, 0.3, 6.0, 0.4, *[9.0] * 30])).code == "T201"


@pytest.mark.parametrize("losses", [[2.3, 40.1, 87.3365, 87.3365], [24.1, 8e3, 4e6, 7e9]])
def test_a_few_lines_are_enough_for_an_explosion(losses: list[float]) -> None:
    assert codes(steps(list(losses))) == ["T201"]


@pytest.mark.parametrize("losses", [[2.3, 4.1, 8.3, 17.0], [2.3, 300, 250, 90], [0.001, 0.01, 0.1, 1.0]])
def test_a_few_lines_of_a_loss_that_rises_a_little_are_not_enough(losses: list[float]) -> None:
    assert codes(steps(list(losses))) == []


@pytest.mark.parametrize(("start", "words"), [(0, "no learning rate is to blame"), (100, "diverged before")])
def test_a_loss_at_its_largest_value_throughout_is_named(start: int, words: str) -> None:
    text = "".join(f"{HEAD}solver.cpp:218] Iteration {start + number}, loss = 87.3365\n" for number in range(12))
    (only,) = causes(text)
    assert only.code == "T208"
    assert words in only.cause.reason


def test_weights_that_are_nan_before_any_update_are_named() -> None:
    text = BLANK.replace("c1 data: 12.5", "c1 data: nan").replace("Layer c1, param blob 0 data: 0.1", "Layer c1, param blob 0 data: nan")
    (only,) = causes(text + steps(["nan", "nan"], 1))
    assert (only.code, only.cause.cause, only.cause.layer) == ("T106", "non-finite-weights", "c1")


def test_a_loss_that_is_an_average_is_called_normal() -> None:
    text = steps(list(FALLING)).replace("Iteration 0, loss = 2.3", "Iteration 0, loss = 3.1")
    assert causes(text) == []
    assert [seen.name for seen in normal(Evidence(runs_of(text)[0]), [])] == ["loss-average"]


def test_a_loss_that_is_a_sum_over_pixels_is_called_normal() -> None:
    text = steps([4e5 * 0.97**number for number in range(60)])
    assert causes(text) == []
    assert [seen.name for seen in normal(Evidence(runs_of(text)[0]), [])] == ["large-loss"]


def test_a_loss_of_boxes_that_is_0_without_boxes_is_called_normal() -> None:
    text = "".join(
        f"{HEAD}solver.cpp:218] Iteration {number * 20}, loss = {loss + box}\n"
        f"{HEAD}solver.cpp:237]     Train net output #0: loss_bbox = {box} (* 1 = {box} loss)\n"
        f"{HEAD}solver.cpp:237]     Train net output #1: loss_cls = {loss} (* 1 = {loss} loss)\n"
        for number, loss in enumerate(FALLING)
        for box in (0.2 if number % 3 else 0,)
    )
    assert causes(text) == []
    assert [seen.name for seen in normal(Evidence(runs_of(text)[0]), [])] == ["zero-loss"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (steps(list(FALLING[:5])), "5 displayed iterations (0 to 80) without debug_info"),
        (steps([2.3]), "1 displayed iteration (0) without debug_info is too few: a course needs 8 or more"),
        (steps(list(FALLING[:12]), 1), "12 displayed iterations (0 to 11) without debug_info"),
        (outputs_of_test(400, accuracy=0.7), "tests only"),
        (f"{HEAD}net.cpp:122] Setting up conv1\n{HEAD}net.cpp:129] Top shape: 1 3 8 8 (192)\n", "no iteration"),
    ],
)
def test_too_little_is_never_called_no_problem(text: str, words: str) -> None:
    done = CliRunner().invoke(cli, ["log", "-", "--isolated"], input=text)
    assert done.exit_code == 0, done.output
    assert "No problem" not in done.output
    said = " ".join(done.output.split())
    assert said.startswith("Cannot tell: ")
    assert words in said
    assert "debug_info: true" in said


def test_a_number_of_a_test_alone_is_explained() -> None:
    text = f"{HEAD}solver.cpp:330] Iteration 90, Testing net (#0)\n"
    for line in ("#0: accuracy = 0.1", "#1: loss = 2.302 (* 1 = 2.302 loss)"):
        text += f"{HEAD}solver.cpp:397]     Test net output {line}\n"
    assert [seen.name for seen in normal(Evidence(runs_of(text)[0]), [])] == ["chance-accuracy", "chance"]


def test_what_was_not_judged_is_named_beside_no_problem() -> None:
    assert "no debug_info" in unjudged(runs_of(steps(list(FALLING))), is_sure=True)
    assert "no test" in unjudged(runs_of(steps(list(FALLING))), is_sure=True)
    assert "whether it learns" in unjudged(runs_of(steps([2.3, *[2.25] * 39])), is_sure=True)


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mail.txt"
    path.write_text("Dear all,\nmy net does not work: Error: no idea. Write to me@ home.\n")
    assert run(["log", str(path)]) == 2


def test_json_has_what_the_text_has() -> None:
    done = CliRunner().invoke(cli, ["log", "-", "--isolated", "--output-format", "json"], input=steps(list(FALLING[:5])))
    report = json.loads(done.output)
    assert report["causes"] == []
    assert report["unjudged"].startswith("Cannot tell")


BLANK = "".join(
    f"{HEAD}net.cpp:572]     [Forward] {line}\n"
    for line in (
        "Layer c1, top blob c1 data: 12.5", "Layer c1, param blob 0 data: 0.1", "Layer b1, top blob c1 data: 3953",
        "Layer b1, param blob 0 data: 0", "Layer b1, param blob 1 data: 0", "Layer b1, param blob 2 data: 0",
        "Layer c2, top blob c2 data: 4100", "Layer c2, param blob 0 data: 0.1", "Layer loss, top blob loss data: 81.2",
    )
)  # fmt: skip


def test_blank_statistics_come_before_rate_and_clipping() -> None:
    (only,) = causes(BLANK + steps([81.2, 87.3365, "nan", "nan"], 1))
    assert (only.code, only.cause.layer) == ("T207", "b1")
    assert "316" in only.cause.message


def test_statistics_that_are_not_blank_are_not_blamed() -> None:
    text = BLANK.replace("Layer b1, param blob 2 data: 0", "Layer b1, param blob 2 data: 1")
    assert "T207" not in codes(text + steps([81.2, 87.3365, "nan", "nan"], 1))


def test_data_with_the_channels_last_are_named() -> None:
    shape = f"{HEAD}net.cpp:122] Setting up pics\n{HEAD}net.cpp:129] Top shape: 8 64 64 3 (98304)\n"
    assert codes(shape + steps(list(FALLING))) == ["T408"]
    assert codes(shape.replace("8 64 64 3", "8 3 64 64") + steps(list(FALLING))) == []


# -- names ------------------------------------------------------------------------------------------------------


def _literals() -> set[str]:
    """The kebab-case names in the rules for logs, and those of hazards, which become causes."""
    folder = Path(rules.__file__).parent
    found = set(hazards())
    for path in (*(folder / "logs").glob("*.py"), folder.parent / "training_log" / "probing.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", node.value):
                found.add(node.value)
    return found - {"top-1", "top-5"}  # words in names of accuracies


def test_every_cause_that_a_log_can_have_is_explained() -> None:
    names = _literals() | {name for rule in all_rules().values() for name in rule.causes}
    assert [name for name in sorted(names) if not matching(name) and not naming(name)] == []
    assert len(names) > 80


@pytest.mark.parametrize("name", ["learning-rate-too-high", "LEARNING-RATE-TOO-HIGH", "batch-size-changes", "dead-relu"])
def test_a_cause_is_explained_with_its_rules(name: str) -> None:
    done = CliRunner().invoke(cli, ["explain", name, "--isolated"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"{name.lower()}\n")
    assert "Rules\n  T" in done.output


def test_every_cause_of_a_report_is_one_of_its_rule() -> None:
    for text in (steps(["nan"] * 3), steps([2.3, *[40.0] * 30]), BLANK + steps([81.2, "nan"], 1), steps([0.69] * 30)):
        for each in causes(text):
            rule = all_rules()[each.code]
            assert each.cause.cause in (rule.name, *rule.causes)


@pytest.mark.parametrize(
    ("text", "title", "words"),
    [
        ("loss = 87.3365", "loss = 87.3365", "FLT_MIN"),
        ("1746.73", "loss = 87.3365", "20 times"),
        ("79.1487", "loss = 87.3365", "90.6%"),
        ("46.0517", "loss = 46.05", "1e-20"),
        ("0.693", "loss = ln K", "ln 2"),
        ("2.302", "loss = ln K", "ln 10"),
        ("Iteration 0, loss = 6.9078", "loss = ln K", "ln 1000"),
        ("ln K", "loss = ln K", ""),
        ("-nan", "loss = nan", ""),
        ("1.#QNAN", "loss = nan", ""),
        ("inf", "loss = inf", ""),
        ("accuracy stays at 0.1", "accuracy = 1/K", "1/10"),
        ("accuracy = 0", "accuracy = 0", ""),
        ("accuracy is 1", "accuracy = 1", "NaN"),
        ("loss = 0", "loss = 0", ""),
        ("loss = -6.43825e-20", "loss = 0", ""),
        ("Train net output #0: loss = -3 (* 1 = -3 loss)", "loss < 0", ""),
        ("loss = 400000", "loss > 87.34", "sum"),
        ("lr = 0", "lr = 0", ""),
        ("mAP = 0", "mAP = 0", ""),
        ("the loss oscillates", "the loss swings", ""),
        ("the loss jumps every epoch", "the loss jumps with a period", ""),
        ("loss = 1.23", "a loss", "3.4"),
        ("Check failed: error == cudaSuccess (2 vs. 0)  out of memory", "memory ran out", "iter_size"),
    ],
)
def test_a_symptom_has_a_page(text: str, title: str, words: str) -> None:
    done = CliRunner().invoke(cli, ["explain", "--symptom", text, "--isolated"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"{title}\n")
    assert words in done.output


@pytest.mark.parametrize("arguments", [["--symptom", "hello"], [], ["T201", "--symptom", "0"]])
def test_what_is_no_symptom_is_said(arguments: list[str]) -> None:
    done = CliRunner().invoke(cli, ["explain", *arguments])
    assert done.exit_code != 0


def test_a_report_explains_the_number_by_the_same_text() -> None:
    text = steps([2.3, 2.1, 40, *[87.3365] * 20])
    page = CliRunner().invoke(cli, ["explain", "--symptom", "87.3365", "--isolated"]).output
    report = CliRunner().invoke(cli, ["log", "-", "--isolated"], input=text).output
    sentence = "The loss cannot get larger, so it looks calm."
    assert all(sentence in " ".join(each.split()) for each in (page, report))
