"""What people read: the verdict on each job first, the most important finding next, and each cause above what it explains."""

from __future__ import annotations

import io
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from harness import NET, SOLVER, check, check_files, run_in_memory

from caffe_lint.cli.commands import run
from caffe_lint.cli.page_examples import run_example
from caffe_lint.cli.progress import progress
from caffe_lint.engine import running
from caffe_lint.report import JobReport, Summary, render
from caffe_lint.report.folding import groups
from caffe_lint.rule.explanations import EXPLANATIONS
from caffe_lint.rule.pages import read_page
from caffe_lint.rule.registry import all_rules
from caffe_lint.settings.settings import Settings

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 8 dim: 8 } } }\n'
FROZEN = NET.replace('top: "score"\n', 'top: "score"\n  param { lr_mult: 0 }\n  param { lr_mult: 0 }\n')
# Refused, and with advice in the solver: its display is missing.
REFUSED = NET.replace('bottom: "label"', 'bottom: "labels"')
UNCLIPPED = SOLVER.replace("clip_gradients: 10\n", "")


def verdicts(texts: dict[str, str], **settings: object) -> list[str]:
    results, said = run_in_memory({name: text.encode() for name, text in texts.items()}, Settings(**settings))  # type: ignore[arg-type]
    assert not said
    return [f"{verdict.path}: {verdict.sentence}" for result in results for verdict in result.verdicts]


def printed(
    folder: Path, texts: dict[str, str], *arguments: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> str:
    """What the program prints about some files, in this process."""
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.chdir(folder)
    run([*arguments])
    return capsys.readouterr().out


@pytest.fixture
def job(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    def show(texts: dict[str, str], *arguments: str) -> str:
        return printed(tmp_path, texts, *arguments, capsys=capsys, monkeypatch=monkeypatch)

    return show


# Verdicts


def test_a_job_with_nothing_to_say_on_it_has_no_problem() -> None:
    (verdict,) = verdicts({"solver.prototxt": SOLVER, "net.prototxt": NET})
    assert verdict.startswith("solver.prototxt: no problem found; unlikely to diverge")


def test_a_net_alone_has_a_verdict() -> None:
    assert verdicts({"net.prototxt": NET}) == ["net.prototxt: no problem found"]


def test_what_is_unknown_of_a_training_is_said() -> None:
    (verdict,) = verdicts({"solver.prototxt": SOLVER + 'weights: "x.caffemodel"\n', "net.prototxt": NET})
    assert verdict.startswith("solver.prototxt: no problem found; stability unknown: ")


def test_a_refused_net_is_named_before_anything_else() -> None:
    (verdict,) = verdicts({"solver.prototxt": UNCLIPPED, "net.prototxt": REFUSED})
    assert verdict.startswith("solver.prototxt: Caffe will refuse this net: SoftmaxWithLoss layer 'loss': no earlier layer")


def test_a_refused_solver_is_called_one() -> None:
    (verdict,) = verdicts({"solver.prototxt": SOLVER + "average_loss: 0\n", "net.prototxt": NET})
    assert verdict.startswith("solver.prototxt: Caffe will refuse this solver: ")


def test_errors_are_counted_by_their_causes() -> None:
    broken = INPUT + "".join(
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "nothing{name}" top: "{name}"'
        " inner_product_param { num_output: 2 } }\n"
        for name in "abc"
    )
    (verdict,) = verdicts({"net.prototxt": broken})
    assert verdict.endswith("(and 2 other errors)")


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("G102", "likely to diverge (high confidence): base_lr 1; --fix --unsafe-fixes may mend it"),
        ("G103", "likely to diverge (high confidence): loss_weight 1000 of 'aux_loss'"),
        ("G107", "likely to diverge (high confidence): clip_gradients 1e+06 with unscaled pixels and unnormalised loss 'loss'; --fix mends it"),
        ("G108", "likely to stall (high confidence): all iterations together would remove about"),
    ],
)
def test_a_predicted_failure_is_said_with_its_confidence_its_cause_and_its_remedy(code: str, verdict: str) -> None:
    rule = all_rules()[code]
    first = run_example(rule, read_page(rule).bad).output.partition("\n")[0]
    assert first.startswith(f"solver.prototxt: {verdict}")


def test_a_structural_cause_stands_in_the_verdict() -> None:
    (verdict,) = verdicts({"solver.prototxt": UNCLIPPED, "net.prototxt": FROZEN})
    assert "1 problem found: SoftmaxWithLoss layer 'loss' trains nothing" in verdict


def test_each_solver_of_a_shared_net_has_its_verdict() -> None:
    refused = SOLVER + "average_loss: 0\n"
    first, second = verdicts({"a.prototxt": SOLVER, "b.prototxt": refused, "net.prototxt": NET})
    assert first.startswith("a.prototxt: no problem found")
    assert second.startswith("b.prototxt: Caffe will refuse this solver")


def test_nothing_is_computed_for_a_verdict_alone() -> None:
    (verdict,) = verdicts({"solver.prototxt": SOLVER, "net.prototxt": NET}, select=("E",))
    assert verdict == "solver.prototxt: no problem found"


# Order


def test_the_verdict_comes_first_then_the_worst_finding(job) -> None:  # type: ignore[no-untyped-def]
    lines = job({"solver.prototxt": UNCLIPPED, "net.prototxt": REFUSED}, "solver.prototxt").splitlines()
    assert lines[0].startswith("solver.prototxt: Caffe will refuse this net")
    heads = [line for line in lines if line.startswith(("error[", "warning[", "advice["))]
    assert heads[0].startswith("error[E201]")
    assert heads == sorted(heads, key=lambda line: ("error", "warning", "advice").index(line.partition("[")[0]))


def test_severity_comes_before_confidence_and_confidence_before_place() -> None:
    findings = check_files({"solver.prototxt": UNCLIPPED + "snapshot: 5000\n", "net.prototxt": REFUSED})
    shown = [group.first for group in groups(findings)]
    severities, confidences = ("error", "warning", "advice"), ("high", "medium", "low")
    ranks = [
        (severities.index(each.severity), confidences.index(each.confidence), each.place.path, each.place.line)
        for each in shown
    ]
    assert len(ranks) > 2
    assert all(first < second for first, second in pairwise(ranks))


def test_sort_path_gives_the_order_of_places(job) -> None:  # type: ignore[no-untyped-def]
    texts = {"solver.prototxt": UNCLIPPED, "a_net.prototxt": REFUSED}
    texts["solver.prototxt"] = UNCLIPPED.replace("net.prototxt", "a_net.prototxt")
    places = [line.split()[1] for line in job(texts, "solver.prototxt", "--sort", "path").splitlines() if "--> " in line]
    assert places == sorted(places, key=lambda place: (place.split(":")[0], int(place.split(":")[1])))
    assert places[0].startswith("a_net.prototxt")


@pytest.mark.parametrize("format", ["json", "concise"])
def test_programs_get_the_order_of_places(job, format: str) -> None:  # type: ignore[no-untyped-def]
    out = job({"solver.prototxt": UNCLIPPED, "net.prototxt": REFUSED}, "solver.prototxt", "--output-format", format)
    if format == "json":
        places = [(each["path"], each["line"]) for each in json.loads(out)["findings"]]
    else:
        places = [(path, int(line)) for path, line, *_ in (row.split(":") for row in out.splitlines() if ": " in row)]
    assert len(places) > 1
    assert places == sorted(places)


# Folding

UNKNOWN = INPUT + (
    'layer { name: "a" type: "FooBar" bottom: "data" top: "a" foo_bar_param { x: 1 } }\n'
    'layer { name: "sink" type: "Silence" bottom: "a" }\n'
)


def test_no_rule_explains_itself() -> None:
    causes: dict[str, set[str]] = {}
    for each in EXPLANATIONS:
        for effect in each.effects:
            causes.setdefault(effect, set()).update(code for code in each.causes if code != effect)
    for code in causes:
        seen: set[str] = set()
        left = [code]
        while left:
            left += causes.get(left.pop(), set()) - seen
            seen |= set(left)
        assert code not in seen, code


def test_explanations_are_about_rules_that_exist() -> None:
    assert {code for each in EXPLANATIONS for code in (*each.causes, *each.effects)} <= set(all_rules())


def test_an_unknown_type_explains_its_message() -> None:
    found = {finding.code: finding for finding in check(UNKNOWN)}
    assert found["E110"].caused_by == found["E116"].as_cause
    assert found["E116"].caused_by is None


def test_an_unknown_field_elsewhere_is_not_explained_by_an_unknown_type() -> None:
    other = UNKNOWN + 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" strange_param { x: 1 } }\n'
    found = [finding for finding in check(other) if finding.code == "E110"]
    assert {finding.caused_by is None for finding in found if "strange" in finding.message} == {True}


@pytest.mark.parametrize("field", ["force_backward: true", "base_lr: 1", "debug_info: true", "bottm: 'data'", "own_flag: 3"])
def test_an_unknown_type_explains_only_settings(field: str) -> None:
    text = UNKNOWN.replace("foo_bar_param", f"{field} foo_bar_param")
    found = {finding.message.split("'")[1]: finding.caused_by for finding in check(text, select=("E110", "E116")) if finding.code == "E110"}
    assert found.pop("foo_bar_param") is not None
    assert list(found.values()) == [None]


def test_a_net_of_both_formats_explains_no_missing_blob() -> None:
    text = INPUT + 'layers { name: "a" type: RELU bottom: "data" top: "a" }\n'
    text += 'layers { name: "s" type: ELTWISE bottom: "a" bottom: "gone" top: "s" }\n'
    found = {finding.code: finding for finding in check(text, select=("E117", "E201"))}
    assert sorted(found) == ["E117", "E201"]
    assert found["E201"].caused_by is None
    text = text.replace('bottom: "a" bottom: "gone" top: "s"', 'bottom: "a" top: "data"')
    found = {finding.code: finding for finding in check(text, select=("E117", "E202"))}
    assert found["E202"].caused_by == found["E117"].as_cause


def test_broken_training_explains_advice_on_rates_and_clipping() -> None:
    found = {finding.code: finding for finding in check_files({"solver.prototxt": UNCLIPPED, "net.prototxt": FROZEN})}
    assert found["G101"].caused_by == found["N204"].as_cause


def test_a_rate_that_ends_early_explains_no_divergence() -> None:
    fading = UNCLIPPED.replace("base_lr: 0.01", "base_lr: 1e4").replace(
        'lr_policy: "fixed"', 'lr_policy: "step"\ngamma: 0.1  # caffe-lint: ignore[S128]\nstepsize: 100'
    ).replace("max_iter: 100", "max_iter: 100000")
    assert "stepsize" in fading
    codes = {finding.code for finding in check_files({"solver.prototxt": fading, "net.prototxt": NET})}
    assert "S128" not in codes
    assert codes & {"G101", "G102"}


def test_a_missing_net_explains_no_error_of_the_solver_itself() -> None:
    solver = SOLVER.replace('net: "net.prototxt"', 'train_net: "/home/me/net.prototxt"\ntest_net: "a"\ntest_net: "b"\ntest_iter: 1')
    found = {finding.code: finding for finding in check_files({"solver.prototxt": solver})}
    assert found["S102"].severity == "error"
    assert found["S102"].caused_by is None


def test_a_cause_in_one_job_explains_nothing_that_concerns_another() -> None:
    second = NET[NET.index("layer {\n  name: \"loss\"") :].replace('"loss"', '"second"')
    net = NET + second.replace("layer {", "layer { loss_weight: 100000", 1)
    stopped, runs = UNCLIPPED.replace("base_lr: 0.01", "base_lr: 0"), UNCLIPPED
    found = check_files({"stopped.prototxt": stopped, "net.prototxt": net})
    alone = {finding.code: finding.caused_by for finding in found}
    assert "S125" in alone
    found = check_files({"stopped.prototxt": stopped, "runs.prototxt": runs, "net.prototxt": net})
    (dominant,) = [finding for finding in found if finding.code == "G103"]
    assert dominant.place.path == "net.prototxt"
    assert dominant.caused_by is None


def test_what_a_cause_explains_is_silent_with_it() -> None:
    (net_name,) = [line for line in FROZEN.splitlines() if "SoftmaxWithLoss" in line]
    suppressed = FROZEN.replace(net_name, f"{net_name}  # caffe-lint: ignore[N204]")
    assert not {finding.code for finding in check_files({"solver.prototxt": UNCLIPPED, "net.prototxt": suppressed})}


def test_what_a_cause_explains_appears_if_the_cause_is_not_selected() -> None:
    texts: dict[str, str | bytes] = {"solver.prototxt": UNCLIPPED, "net.prototxt": FROZEN}
    (only,) = check_files(texts, select=("G101",))
    assert (only.code, only.caused_by) == ("G101", None)
    (only,) = check_files({"net.prototxt": UNKNOWN}, ignore=("E116",))
    assert (only.code, only.caused_by) == ("E110", None)


def test_a_cause_that_is_not_certain_enough_explains_nothing() -> None:
    findings = check_files({"net.prototxt": UNKNOWN}, min_confidence="high")
    assert all(finding.caused_by is None for finding in findings)


def test_a_cause_in_the_baseline_silences_what_it_explains(job) -> None:  # type: ignore[no-untyped-def]
    texts = {"solver.prototxt": UNCLIPPED, "net.prototxt": FROZEN}
    job(texts, "solver.prototxt", "--select", "N204", "--write-baseline", "known.json")
    out = job(texts, "solver.prototxt", "--baseline", "known.json", "--fail-on", "advice")
    assert "G101" not in out
    assert "No findings" in out


def test_a_cause_lists_what_it_explains(job) -> None:  # type: ignore[no-untyped-def]
    texts = {"solver.prototxt": UNCLIPPED, "net.prototxt": FROZEN}
    out = job(texts, "solver.prototxt")
    assert "= explains 1 other finding: G101 solver.prototxt:" in out
    assert "advice[G101]" not in out
    assert "2 findings in 2 files (1 warning, 1 advice)." in out
    full = job(texts, "solver.prototxt", "--show-all")
    assert "advice[G101]" in full
    assert "explains" not in full


def test_repetitions_in_a_file_are_one_block_with_the_places(job) -> None:  # type: ignore[no-untyped-def]
    many = INPUT + "".join(
        f'layer {{ name: "{number}" type: "Relu" bottom: "data" top: "{number}" }}\n'
        f'layer {{ name: "s{number}" type: "Silence" bottom: "{number}" }}\n'
        for number in range(20)
    )
    out = job({"net.prototxt": many}, "net.prototxt", "--select", "E116")
    assert out.count("error[E116]") == 1
    for number in range(1, 20):
        assert f" {2 * number + 2}:" in out
    assert "20 findings in 1 file" in out


def test_programs_read_what_causes_a_finding(job) -> None:  # type: ignore[no-untyped-def]
    texts = {"solver.prototxt": UNCLIPPED, "net.prototxt": FROZEN}
    report = json.loads(job(texts, "solver.prototxt", "--output-format", "json"))
    clipping, frozen = report["findings"][1], report["findings"][0]
    assert (frozen["code"], frozen["caused_by"]) == ("N204", None)
    wanted = {"code": "N204", "path": "net.prototxt", "line": frozen["line"], "column": frozen["column"]}
    assert clipping["caused_by"] == wanted
    (sarif,) = json.loads(job(texts, "solver.prototxt", "--output-format", "sarif"))["runs"]
    assert [result["properties"].get("caused_by") for result in sarif["results"]] == [None, wanted]
    for format in ("github", "gitlab", "junit"):
        shown = job(texts, "solver.prototxt", "--output-format", format, "--fail-on", "advice").lower()
        assert f"caused by{'' if format == 'gitlab' else ':'} n204 at" in shown


# Whole runs


def many(folders: int) -> dict[str, str]:
    """A net that Caffe refuses and a solver without clipping in each folder."""
    texts = {}
    for number in range(folders):
        texts[f"d{number:02}/net.prototxt"] = REFUSED.replace("small", f"small{number}") + f"# {number}\n"
        texts[f"d{number:02}/solver.prototxt"] = UNCLIPPED
    return texts


def test_advice_on_many_solvers_is_given_once_at_the_end(job) -> None:  # type: ignore[no-untyped-def]
    out = job(many(3), ".")
    assert out.count("advice[G101]") == 1
    block = out[out.index("advice[G101]") :]
    assert "in 3 solvers" in block
    assert all(f"d0{number}/solver.prototxt:" in block for number in range(3))
    assert "error[" not in block


def test_the_same_finding_in_another_file_is_named_at_the_end(job) -> None:  # type: ignore[no-untyped-def]
    out = job(many(3), ".")
    assert out.count("error[E201]") == 1
    assert "E201 at d00/net.prototxt:25 also in d01/net.prototxt:25, d02/net.prototxt:25" in out
    assert out.count("Caffe will refuse this net") == 3
    assert "6 findings in 6 files (3 errors, 3 advice)." in out
    assert job(many(3), ".", "--show-all").count("error[E201]") == 3


def test_files_that_nobody_named_have_no_line_if_all_is_said_at_the_end(job) -> None:  # type: ignore[no-untyped-def]
    texts = {f"d{number}/solver.prototxt": UNCLIPPED for number in range(2)}
    texts |= {f"d{number}/net.prototxt": NET + f"# {number}\n" for number in range(2)}
    out = job(texts, ".", "--fail-on", "advice")
    assert "[G101] missing-gradient-clipping: in 2 solvers" in out
    assert "no problem found" not in out
    assert job(texts, *(f"d{number}/solver.prototxt" for number in range(2)), "--fail-on", "advice").count("no problem found") == 2


def test_jobs_come_in_the_order_of_their_paths_with_any_number_of_processes(job) -> None:  # type: ignore[no-untyped-def]
    one = job(many(6), ".", "--jobs", "1")
    verdicts = [line.partition(":")[0] for line in one.splitlines() if "Caffe will refuse" in line]
    assert verdicts == [f"d{number:02}/solver.prototxt" for number in range(6)]
    assert job(many(6), ".", "--jobs", "2") == one


def test_jobs_are_printed_before_the_last_one_is_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    events: list[str] = []
    real = running.check_unit

    def check_unit(unit: Any, *rest: Any) -> Any:
        events.append(f"check {unit.paths[0]}")
        return real(unit, *rest)

    monkeypatch.setattr(running, "check_unit", check_unit)
    monkeypatch.setattr("caffe_lint.cli.check.print_text", lambda text, **_: events.append(f"print {text.partition(':')[0]}"))
    for name, text in many(3).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    run(["."])
    first = events.index("print d00/solver.prototxt")
    assert first < events.index("check d02/solver.prototxt")


def test_a_terminal_is_shown_fifty_blocks_and_an_overview() -> None:
    layers = [f'layer {{ name: "x{number}" type: "Relu" bottom: "data" top: "x{number}" }}\n' for number in range(60)]
    texts: dict[str, str | bytes] = {f"{number}/net.prototxt": INPUT + layer for number, layer in enumerate(layers)}
    findings = check_files(texts, select=("E116",))
    summary = Summary({}, jobs=tuple(JobReport((), [finding]) for finding in findings), most=50)
    shown = render("full", findings, summary)
    assert shown.count("error[") == 50
    assert "    60  E116  error" in shown
    assert "in 50 other folders" in shown
    assert "10 findings not shown: --show-all shows all of them." in shown
    everything = render("full", findings, summary._replace(most=None))
    assert everything.count("error[") == 60
    assert "--show-all" not in everything


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_appears_after_a_second_on_a_terminal_and_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("caffe_lint.cli.progress.time.monotonic", lambda: now[0])
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with progress() as bar:
        bar.of(10)
        bar.show(1)
        assert stream.getvalue() == ""
        now[0] = 1.5
        bar.show(4)
        assert "4/10" in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[2K\x1b[?25h")


def test_there_is_no_bar_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with progress() as bar:
        bar.of(10)
        monkeypatch.setattr("caffe_lint.cli.progress.AFTER", -1.0)
        bar.show(4)
    assert stream.getvalue() == ""


def test_kept_results_keep_their_verdicts_and_causes(job, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    texts = {"solver.prototxt": UNCLIPPED, "net.prototxt": FROZEN}
    first = job(texts, "solver.prototxt", "--cache-dir", str(tmp_path / "cache"))
    assert "explains 1 other finding" in first
    assert job(texts, "solver.prototxt", "--cache-dir", str(tmp_path / "cache")) == first
    assert list((tmp_path / "cache").rglob("*"))


def test_verdicts_are_computed_where_they_are_shown_also_if_findings_were_kept(job, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    texts = {"solver.prototxt": UNCLIPPED, "net.prototxt": FROZEN}
    plain = job(texts, "solver.prototxt")
    kept = ("--cache-dir", str(tmp_path / "cache"))
    listed = job(texts, "solver.prototxt", "--output-format", "concise", *kept)
    assert job(texts, "solver.prototxt", *kept) == plain
    assert job(texts, "solver.prototxt", "--output-format", "concise", *kept) == listed


def test_the_page_folds_and_leaves_nothing_out() -> None:
    texts: dict[str, str | bytes] = {"solver.prototxt": UNCLIPPED, "net.prototxt": FROZEN}
    findings = check_files(texts)
    summary = Summary({name: str(text).encode() for name, text in texts.items()}, jobs=(JobReport((), findings),))
    page = render("html", findings, summary)
    assert page.count("<article") == len(findings)
    assert "Explains 1 other finding" in page


def test_repetitions_with_one_message_share_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    types = ("ReLU", "Pooling", "ReLU", "Pooling")
    net = "".join(f'layers {{ name: "l" type: "{name}" bottom: "x" top: "x" blobs_lr: 1 }}\n' for name in types)
    text = printed(tmp_path, {"net.prototxt": net}, "net.prototxt", "--select", "E111", capsys=capsys, monkeypatch=monkeypatch)
    lines = [line.strip() for line in text.splitlines() if "also at" in line]
    assert [line.partition(": ")[0] for line in lines] == ["= also at 3:26", "= also at 2:26, 4:26"]
    assert lines[1].endswith('found "Pooling"')
