"""The Python API: what it gives, and what it does not load."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest
from harness import NET, SOLVER, check_files, run

from caffe_lint import api
from caffe_lint.proto import caffe_pb2

CHECKOUT = Path(__file__).resolve().parent.parent


def test_a_message_is_a_real_one_of_our_package() -> None:
    solver = api.parse("base_lr: 0.5\nlr_policy: 'fixed'\n")
    assert solver.kind == "solver"
    assert solver.problems == ()
    assert solver.message == caffe_pb2.SolverParameter(base_lr=0.5, lr_policy="fixed")
    assert solver.message is solver.message
    net = api.parse(b'layer { name: "a" type: "ReLU" }')
    assert net.kind == "net"
    assert isinstance(net.message, caffe_pb2.NetParameter)
    assert net.message.DESCRIPTOR.full_name == "caffe_lint.NetParameter"


def test_the_dialect_is_found_out_or_given() -> None:
    text = 'layer { name: "n" type: "Normalize" norm_param { across_spatial: false } }'
    assert api.parse(text).dialect == "ssd"
    assert [problem.kind for problem in api.parse(text, dialect="bvlc").problems] == [
        "foreign-layer-type",
        "foreign-field",
    ]


def test_problems_have_places() -> None:
    problems = api.parse("base_lr: 0.1\nmax_iter: 1.5 # half\n").problems
    assert [each[2:] for each in problems] == [(2, 11, 2, 14)]
    assert problems[0].kind == "wrong-type"


def test_text_that_is_neither_has_no_message() -> None:
    labels = api.parse('item { name: "none" label: 0 }')
    assert (labels.kind, labels.message, labels.problems) == ("other", None, ())


def test_results_are_frozen() -> None:
    parsed = api.parse("base_lr: 0.1 max_iter: x")
    for what, name in ((parsed, "kind"), (parsed, "other"), (parsed.problems[0], "line")):
        with pytest.raises(AttributeError):
            setattr(what, name, 1)


def test_reading_loads_no_library() -> None:
    code = (
        "import sys, caffe_lint.api as api\n"
        "parsed = api.parse('base_lr: 1'); parsed.kind, parsed.problems\n"
        "print([name for name in ('click', 'google.protobuf', 'jinja2', 'numpy', 'caffe_lint.cli') if name in sys.modules])\n"
        "print(parsed.message.base_lr, 'google.protobuf' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n1.0 True\n"


def test_the_examples_of_its_page_run() -> None:
    page = CHECKOUT / "docs" / "python.md"
    assert doctest.testfile(str(page), module_relative=False) == doctest.TestResults(failed=0, attempted=19)


def test_the_examples_of_its_functions_run() -> None:
    assert doctest.testmod(api) == doctest.TestResults(failed=0, attempted=3)


FILES = {
    "solver.prototxt": SOLVER.replace("fixed", "fixd"),
    "net.prototxt": NET.replace('bottom: "data"', 'bottom: "dat"'),
}


def test_a_check_finds_what_the_engine_finds() -> None:
    report = api.check(["solver.prototxt"], texts=FILES)
    expected = [(one.code, one.place, one.message) for one in check_files(FILES)]
    assert [(one.code, one.place, one.message) for one in report.findings] == expected
    assert [verdict.path for verdict in report.verdicts] == ["solver.prototxt"]
    assert set(report.checked) == set(FILES)
    assert report.reaches("error")


def test_a_text_replaces_the_file_and_its_nets_are_read_from_disk(tmp_path: Path) -> None:
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    (tmp_path / "net.prototxt").write_text(FILES["net.prototxt"])
    report = api.check_text(FILES["solver.prototxt"], str(tmp_path / "solver.prototxt"))
    errors = sorted((Path(one.place.path).name, one.code) for one in report.findings if one.severity == "error")
    assert errors == [("net.prototxt", "E201"), ("solver.prototxt", "S121")]
    assert not api.check([str(tmp_path / "solver.prototxt")], texts={str(tmp_path / "net.prototxt"): NET}).reaches(
        "warning"
    )


def test_a_path_is_text_or_a_path_object_one_or_several(tmp_path: Path) -> None:
    solver = tmp_path / "solver.prototxt"
    solver.write_text(SOLVER)
    (tmp_path / "net.prototxt").write_text(NET)
    log = tmp_path / "train.log"
    log.write_text("I1130 10:00:00.000000 1 solver.cpp:228] Iteration 0, loss = 2.3\n")
    report = api.check([str(solver)])
    assert report.checked == (str(solver), str(tmp_path / "net.prototxt"))
    for paths in (str(solver), solver, [solver]):
        assert api.check(paths) == report
    assert api.check_text(SOLVER, solver) == report
    assert api.apply_fixes(SOLVER, path=solver) == api.apply_fixes(SOLVER, path=str(solver))
    assert api.build_net(NET, path=tmp_path / "net.prototxt") == api.build_net(NET, path=str(tmp_path / "net.prototxt"))
    assert api.stability(solver) == api.stability(str(solver))
    assert api.read_log(log, solver=solver) == api.read_log(str(log), solver=str(solver))
    assert api.view(solver, logs=log) == api.view(str(solver), logs=[str(log)])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (api.Settings(preset="strickt"), "--preset must be one of recommended, strict, stability, not 'strickt'; did you mean 'strict'?"),
        (api.Settings(fail_on="never"), "--fail-on must be one of advice, warning, error, not 'never'"),
        (api.Settings(min_confidence="sure"), "--min-confidence must be one of low, medium, high, not 'sure'"),
        (api.Settings(select=("E11O",)), "--select: unknown rule 'E11O'"),
        (api.Settings(dialect="bvcl"), "unknown dialect 'bvcl'; did you mean 'bvlc'?"),
    ],
)
def test_invalid_settings_are_an_input_error(settings: api.Settings, said: str) -> None:
    with pytest.raises(api.InputError) as caught:
        api.check_text(SOLVER, settings=settings)
    assert str(caught.value).startswith(said)


def test_rules_are_selected_by_one_text_or_by_several_in_any_form() -> None:
    text = SOLVER + "momentun: 0.9\n"
    for select in ("E110", ["E110"], ("E110",)):
        found = api.check_text(text, settings=api.Settings(select=select)).findings  # type: ignore[arg-type]
        assert [each.code for each in found] == ["E110"]
    assert not api.check_text(text, settings=api.Settings(select="E110", ignore=["E110"])).findings  # type: ignore[arg-type]


def test_a_path_that_no_system_has_is_an_input_error() -> None:
    for call in (api.check, api.stability, api.read_log, api.view):
        with pytest.raises(api.InputError, match="a path has no null byte"):
            call("a\0b")


def test_nothing_is_kept_between_calls(tmp_path: Path) -> None:
    (tmp_path / "caffe-lint.toml").write_text("")
    solver = tmp_path / "solver.prototxt"
    solver.write_text(SOLVER.replace("net.prototxt", "nets/other.prototxt"))
    assert api.check([str(solver)]).checked == (str(solver),)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "other.prototxt").write_text(NET)
    assert str(tmp_path / "below" / "other.prototxt") in api.check([str(solver)]).checked


def test_fixes_are_those_of_the_command_line(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    expected = {
        name: api.apply_fixes(
            text, path=str(tmp_path / name), texts={str(tmp_path / other): FILES[other] for other in FILES}
        )
        for name, text in FILES.items()
    }
    run(tmp_path, "--fix", "solver.prototxt")
    for name, patched in expected.items():
        assert (tmp_path / name).read_text() == patched.text
        assert patched.fixed
        assert not patched.errors


def test_unsafe_fixes_are_applied_only_if_asked_for() -> None:
    text = 'layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }\n'
    text += 'layer { name: "c" type: "Convolution" bottom: "a" top: "c" convolution_param { num_output: 8 kernel_size: 3 bias_term: true } }\n'
    safe, unsafe = api.apply_fixes(text), api.apply_fixes(text, safe=False)
    assert [one for one in safe.findings if one.fix is not None and one.fix.safe] == []
    assert [one for one in unsafe.findings if one.fix is not None] == []


def test_bytes_that_are_no_text_pass_through() -> None:
    patched = api.apply_fixes(b"# \xff\xfe caf\xe9\r\nbase_lr: 0.1\r\nlr_policy: 'fixed'\r\nmax_iter: 1\r\n")
    assert patched.text.encode("utf-8", "surrogateescape").startswith(b"# \xff\xfe caf\xe9\r\n")


def test_a_net_is_built_for_a_phase() -> None:
    train = api.build_net(NET, "TRAIN")
    assert (train.name, train.phase, train.dialect) == ("small", "TRAIN", "bvlc")
    assert [(layer.name, layer.line) for layer in train.layers] == [("data", 2), ("score", 14), ("loss", 21)]
    assert train.blob("score").shape == (8, 10)
    assert train.parameters == 3 * 16 * 16 * 10 + 10
    assert train.layer("score").parameters == train.parameters
    assert train.problems == ()
    with pytest.raises(KeyError):
        train.layer("none")
    broken = api.build_net(FILES["net.prototxt"])
    assert [problem.line for problem in broken.problems][:1] == [17]


@pytest.mark.parametrize(
    ("text", "phase"), [(SOLVER, "TRAIN"), ("", "TRAIN"), ("item { id: 1 }", "TRAIN"), (NET, "VALIDATE")]
)
def test_what_is_no_net_raises(text: str, phase: str) -> None:
    with pytest.raises(api.InputError):
        api.build_net(text, phase)


def test_a_prediction_names_its_numbers() -> None:
    found = api.stability("solver.prototxt", texts={"solver.prototxt": SOLVER, "net.prototxt": NET})
    assert found.verdict == "learns"
    assert found.unknown == ""
    assert found.p_diverges is not None
    assert 0 <= found.p_diverges < 0.5
    assert found.sizes["data", "data"] == pytest.approx(0.798, abs=0.001)
    assert set(found.updates) == {("score", 0), ("score", 1)}
    assert len(found.simulation) > 1
    with pytest.raises(api.InputError):
        api.stability("net.prototxt", texts={"net.prototxt": NET})


def test_a_log_has_runs_and_causes(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    lines = [
        f"I0101 10:00:0{number} 1 solver.cpp:228] Iteration {number * 10}, loss = {loss}"
        for number, loss in enumerate((2.3, 9.1, "nan"))
    ]
    log.write_text("\n".join(lines) + "\n")
    found = api.read_log(str(log))
    assert [run.losses[:2] for run in found.runs] == [((0, 2.3), (10, 9.1))]
    assert found.causes
    with pytest.raises(api.InputError):
        api.read_log(str(tmp_path / "none.log"))


def test_a_notebook_shows_results_without_scripts_and_addresses(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text(
        "I0101 10:00:00 1 solver.cpp:228] Iteration 0, loss = 2\nI0101 10:00:01 1 solver.cpp:228] Iteration 9, loss = 1\n"
    )
    named = {**FILES, "net.prototxt": NET.replace('"small"', '"<script>"')}
    shown = [
        api.check(["solver.prototxt"], texts=FILES)._repr_html_(),
        api.apply_fixes(FILES["solver.prototxt"], path="solver.prototxt", texts=FILES)._repr_html_(),
        api.build_net(named["net.prototxt"])._repr_html_(),
        api.stability("solver.prototxt", texts={"solver.prototxt": SOLVER, "net.prototxt": NET})._repr_html_(),
        api.read_log(str(log))._repr_html_(),
    ]
    assert all("<table>" in each for each in (shown[0], *shown[2:]))
    assert "lr_policy" in shown[1]
    assert "No findings." in shown[1]
    assert "&lt;script&gt;" in shown[2]
    assert not any("<script" in each or "http" in each for each in shown)
    assert sum("<polyline" in each for each in shown) == 2


def test_all_results_are_frozen() -> None:
    report = api.check_text("base_lr: 1", "a.prototxt")
    found = api.stability("solver.prototxt", texts={"solver.prototxt": SOLVER, "net.prototxt": NET})
    for what, name in (
        (report, "findings"),
        (report.findings[0], "code"),
        (api.build_net(NET).layers[0], "name"),
        (found, "verdict"),
    ):
        with pytest.raises(AttributeError):
            setattr(what, name, 1)
    with pytest.raises(TypeError):
        found.sizes["a", "b"] = 1.0  # type: ignore[index]


def test_paths_alone_are_checked_through_the_api_without_a_library_or_what_other_calls_need(tmp_path: Path) -> None:
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    (tmp_path / "net.prototxt").write_text(NET)
    code = (
        "import os, sys; sys.argv = ['caffe-lint', 'solver.prototxt']; before = set(sys.modules)\n"
        "def leave(status):\n"
        "    sys.stderr.write(' '.join(sorted(set(sys.modules) - before)))\n"
        "os._exit = leave\n"
        "from caffe_lint.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "caffe_lint.api" in loaded
    others = {"click", "google.protobuf", "jinja2", "numpy", "json", "caffe_lint.cli.from_options", "caffe_lint.cli.commands"}
    others |= {f"caffe_lint.engine.{name}" for name in ("opening", "diagnosis", "log_fixing", "data_probe", "data_check", "writing")}
    others |= {"caffe_lint.net.costs", "caffe_lint.training_log.log_reader", "caffe_lint.report.view", "caffe_lint.source.disk_caches"}
    assert loaded & others == set()


def test_checking_loads_no_library_and_prints_nothing() -> None:
    code = (
        "import sys, caffe_lint.api as api\n"
        'api.check_text(\'base_lr: 1\'), api.build_net(\'layer { name: "a" type: "Input" top: "a" }\')\n'
        "sys.exit([name for name in ('click', 'google.protobuf', 'jinja2', 'numpy', 'caffe_lint.cli') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("", "[]\n")
