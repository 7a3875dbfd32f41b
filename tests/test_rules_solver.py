"""Family S: what Caffe refuses in a solver, and what it takes and learns nothing with."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from harness import check, check_files, fix, runner

from caffe_lint.cli.commands import cli
from caffe_lint.rule.finding import Finding
from caffe_lint.source.caffe_versions import is_before

GOOD = """\
net: "net.prototxt"
test_iter: 10
test_interval: 100
type: "SGD"
base_lr: 0.01
momentum: 0.9
weight_decay: 0.0005
lr_policy: "step"
gamma: 0.1
stepsize: 100
max_iter: 300
snapshot_prefix: "lenet"
"""


def solver(**fields: str | None) -> str:
    """The good solver with some fields written otherwise, added, or (None) left out."""
    lines = GOOD.splitlines()
    for name, value in fields.items():
        written = f"{name}: {value}"
        old = [line for line in lines if line.startswith(f"{name}:")]
        if value is None:
            lines = [line for line in lines if line not in old]
        elif old:
            lines[lines.index(old[0])] = written
        else:
            lines.append(written)
    return "\n".join(lines) + "\n"


def found(text: str, **settings: object) -> list[Finding]:
    return check(text, "solver.prototxt", select=("S1",), **settings)


def verdicts(text: str, **settings: object) -> list[tuple[str, str]]:
    return [(finding.code, finding.severity) for finding in found(text, **settings)]


def fixed(text: str, *, unsafe: bool = False) -> str:
    return fix(text, "solver.prototxt", unsafe=unsafe, select=("S1",))


def test_a_good_solver_has_no_finding() -> None:
    assert verdicts(GOOD) == []


@pytest.mark.parametrize(
    ("fields", "code", "severity"),
    [
        ({"net": None}, "S101", "error"),
        ({"train_net": '"net.prototxt"'}, "S101", "error"),
        ({"net": None, "train_net": '"net.prototxt"'}, "S102", "error"),
        ({"test_net": '"a"', "test_iter": None}, "S102", "error"),
        ({"test_state": '{ stage: "a" }\ntest_state: { stage: "b" }'}, "S103", "error"),
        ({"test_interval": None}, "S104", "error"),
        ({"test_interval": "0"}, "S104", "error"),
        ({"test_iter": None}, "S105", "advice"),
        ({"test_iter": "0"}, "S105", "advice"),
        ({"max_iter": None}, "S106", "error"),
        ({"max_iter": None, "snapshot": "0"}, "S106", "advice"),
        ({"max_iter": "0"}, "S106", "advice"),
        ({"max_iter": "0", "test_iter": None, "test_interval": None}, "S106", "error"),
        ({"iter_size": "0"}, "S107", "error"),
        ({"iter_size": "-2"}, "S107", "error"),
        ({"average_loss": "0"}, "S108", "error"),
        ({"debug_info": "true"}, "S109", "advice"),
        ({"snapshot_prefix": None}, "S110", "advice"),
        ({"lr_policy": '"Step"'}, "S121", "error"),
        ({"lr_policy": '"adaptive"'}, "S121", "error"),
        ({"lr_policy": None}, "S121", "error"),
        ({"gamma": None}, "S122", "warning"),
        ({"gamma": None, "stepsize": "300"}, "S122", "advice"),
        ({"stepsize": None}, "S122", "error"),
        ({"lr_policy": '"exp"', "gamma": None, "stepsize": None}, "S122", "error"),
        ({"lr_policy": '"inv"', "gamma": None, "stepsize": None}, "S122", "warning"),
        ({"lr_policy": '"poly"', "gamma": None, "stepsize": None}, "S122", "warning"),
        ({"lr_policy": '"multistep"', "stepsize": None}, "S122", "warning"),
        ({"lr_policy": '"multistep"'}, "S122", "warning"),
        ({"lr_policy": '"sigmoid"', "gamma": None}, "S122", "warning"),
        ({"stepsize": "0"}, "S123", "error"),
        ({"stepsize": "-1"}, "S123", "error"),
        ({"gamma": "-0.1"}, "S123", "error"),
        ({"lr_policy": '"multistep"', "gamma": "-1", "stepsize": None, "stepvalue": "9"}, "S123", "warning"),
        ({"lr_policy": '"fixed"', "gamma": None}, "S124", "advice"),
        ({"stepvalue": "100"}, "S124", "advice"),
        ({"power": "1"}, "S124", "advice"),
        ({"base_lr": None}, "S125", "error"),
        ({"test_interval": "301"}, "S105", "advice"),
        ({"test_interval": "3000", "test_initialization": "false"}, "S105", "advice"),
        ({"gamma": "0"}, "S128", "warning"),
        ({"stepsize": "1"}, "S128", "warning"),
        ({"stepsize": "1", "gamma": "10"}, "S128", "error"),
        ({"lr_policy": '"exp"', "gamma": "0.5", "stepsize": None}, "S128", "advice"),
        ({"lr_policy": '"exp"', "gamma": "1.5", "stepsize": None}, "S128", "error"),
        ({"lr_policy": '"sigmoid"', "gamma": "1", "stepsize": "200"}, "S128", "warning"),
        ({"snapshot_after_train": "false"}, "S141", "advice"),
        ({"snapshot_after_train": "false", "snapshot": "500"}, "S141", "advice"),
        ({"snapshot": "301"}, "S141", "advice"),
        ({"snapshot": "-1"}, "S141", "warning"),
        ({"snapshot": "-500"}, "S141", "warning"),
        ({"display": "0"}, "S142", "advice"),
        ({"display": "301"}, "S142", "advice"),
        ({"debug_info": "true", "display": "1", "max_iter": "3000"}, "S143", "advice"),
        ({"weight_decay": "5"}, "S144", "warning"),
        ({"weight_decay": "0.1", "type": '"Nesterov"'}, "S144", "warning"),
        ({"base_lr": "0"}, "S125", "error"),
        ({"base_lr": "-0.01"}, "S125", "error"),
        ({"base_lr": "nan"}, "S125", "error"),
        (
            {"lr_policy": '"multistep"', "stepsize": None, "stepvalue": "200\nstepvalue: 100"},
            "S126",
            "warning",
        ),
        ({"stepsize": "300"}, "S127", "advice"),
        ({"lr_policy": '"multistep"', "stepsize": None, "stepvalue": "300"}, "S127", "advice"),
        ({"type": '"sgd"'}, "S131", "error"),
        ({"type": '"AdamW"'}, "S131", "error"),
        ({"solver_type": "SGD"}, "S132", "error"),
        ({"momentum2": "0.99"}, "S124", "advice"),
        ({"delta": "1e-4"}, "S124", "advice"),
        ({"type": '"AdaGrad"'}, "S134", "error"),
        ({"type": '"RMSProp"', "momentum": None, "rms_decay": "1"}, "S134", "error"),
        ({"momentum": "1"}, "S135", "error"),
        ({"momentum": "1.5"}, "S135", "error"),
        ({"momentum": "-0.5"}, "S135", "warning"),
        ({"type": '"Adam"', "momentum": "1"}, "S135", "error"),
        ({"type": '"Adam"', "momentum2": "1"}, "S135", "error"),
        ({"type": '"Adam"', "delta": "0"}, "S135", "error"),
        ({"type": '"RMSProp"', "momentum": None, "delta": "0"}, "S135", "warning"),
        ({"type": '"AdaDelta"', "momentum": "1"}, "S135", "warning"),
        ({"type": '"Adam"', "momentum": None}, "S136", "advice"),
        ({"type": '"AdaDelta"', "momentum": None}, "S136", "warning"),
        ({"regularization_type": '"L3"'}, "S137", "error"),
        ({"regularization_type": '"L3"', "weight_decay": None}, "S137", "advice"),
        ({"weight_decay": "-0.1"}, "S138", "warning"),
        ({"weight_decay": "1000"}, "S138", "error"),
        ({"weight_decay": "200", "type": '"Nesterov"'}, "S138", "error"),
    ],
)
def test_one_mistake_is_one_finding(fields: dict[str, str | None], code: str, severity: str) -> None:
    assert verdicts(solver(**fields)) == [(code, severity)]


@pytest.mark.parametrize(
    "fields",
    [
        {"test_iter": "10\ntest_iter: 10", "test_net": '"other.prototxt"'},
        {"net": None, "train_net": '"net.prototxt"', "test_iter": None, "test_interval": None},
        {"test_state": '{ stage: "a" }'},
        {"snapshot": "300"},
        {"display": "300"},
        {"debug_info": "true", "display": "1"},
        {"test_interval": "10000", "test_initialization": "false"},
        {"test_interval": "300"},
        {"lr_policy": '"exp"', "gamma": "0.8", "stepsize": None},
        {"debug_info": "true", "display": "10"},
        {"lr_policy": '"multistep"', "stepsize": None, "stepvalue": "100\nstepvalue: 300"},
        {"gamma": "1", "stepsize": "1000"},
        {"type": '"AdaGrad"', "momentum": "0"},
        {"type": '"RMSProp"', "momentum": None, "rms_decay": "0"},
        {"type": None, "solver_type": "NESTEROV"},
        {"regularization_type": '"L1"'},
        {"weight_decay": "0.09"},
        {"type": '"Adam"', "weight_decay": "0.5"},  # which scales the decay like a gradient
        {"momentum": None},
    ],
)
def test_what_works_is_left_alone(fields: dict[str, str | None]) -> None:
    assert verdicts(solver(**fields)) == []


INPUT = 'input: "data"\ninput_shape { dim: 4 dim: 3 }\n'
MEMORY = (
    'layer { name: "memory" type: "MemoryData" top: "x" top: "y"\n'
    "  memory_data_param { batch_size: 4 channels: 3 height: 1 width: 1 } }\n"
)
DUMMY = 'layer { name: "dummy" type: "DummyData" top: "z" dummy_data_param { shape { dim: 4 dim: 3 } } }\n'
LOSS = 'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 } }\n'


@pytest.mark.parametrize(
    ("net", "severity"),
    [(INPUT, "advice"), (INPUT + MEMORY, "advice"), (INPUT + DUMMY, "error"), (INPUT.replace("input", "# input"), "error")],
)
def test_a_program_that_fills_the_inputs_counts_the_iterations(net: str, severity: str) -> None:
    text = solver(max_iter=None, test_iter=None, test_interval=None)
    findings = check_files({"solver.prototxt": text, "net.prototxt": net + LOSS}, select=("S106",))
    assert [finding.severity for finding in findings] == [severity]
    poly = text.replace('"step"', '"poly"')
    findings = check_files({"solver.prototxt": poly, "net.prototxt": net + LOSS}, select=("S106",))
    assert [finding.severity for finding in findings] == ["error"]


@pytest.mark.parametrize(
    ("program", "severity"),
    [
        ("s = caffe.SGDSolver('{name}')\nfor i in range(9):\n    s.step(1)\n", "advice"),
        ("s = caffe.SGDSolver('{name}')\ns.step(9)\ns.solve()\n", "advice"),
        ("s = caffe.SGDSolver('{name}')\ns.solve()\n", "error"),
        ("s = caffe.SGDSolver('other.prototxt')\ns.step(1)\n", "error"),
        ("import os\nos.system('caffe train --solver={name}')\n", "error"),
    ],
)
def test_a_script_that_calls_step_counts_the_iterations(tmp_path: Path, program: str, severity: str) -> None:
    (tmp_path / ".git").mkdir()
    path = tmp_path / "solver.prototxt"
    path.write_text(solver(max_iter=None))
    (tmp_path / "train.py").write_text("import caffe\n" + program.format(name="solver.prototxt"))
    result = runner().invoke(cli, [str(path), "--select", "S106", "--output-format", "json"], standalone_mode=False)
    assert [finding["severity"] for finding in json.loads(result.stdout)["findings"]] == [severity]


@pytest.mark.parametrize(
    "line",
    [
        "lr_policy: step",  # no quotes
        'lr_polcy: "step"',
        "lr_policy:",
    ],
)
def test_a_field_that_cannot_be_read_is_not_missing(line: str) -> None:
    text = GOOD.replace('lr_policy: "step"', line)
    assert [code for code, _ in verdicts(text)] == []


def test_a_decimal_comma_is_not_a_rate_of_zero() -> None:
    assert verdicts(GOOD.replace("0.01", "0,01")) == []


def test_the_consequence_is_told_in_numbers() -> None:
    (finding,) = found(solver(gamma=None))
    assert finding.place.line == 8
    assert "from iteration 100 on, the rate is 0" in finding.reason
    (finding,) = found(solver(lr_policy='"multistep"', stepsize=None, stepvalue="200\nstepvalue: 100"))
    assert "at iterations 200, 201" in finding.reason
    (finding,) = found(solver(stepsize="300"))
    assert "0.01 until the end" in finding.reason


@pytest.mark.parametrize(
    ("fields", "field", "written"),
    [
        ({"lr_policy": '"Step"'}, "lr_policy", '"step"'),
        ({"lr_policy": '"steps"'}, "lr_policy", '"step"'),
        ({"type": '"sgd"'}, "type", '"SGD"'),
        ({"type": '"ADAM"'}, "type", '"Adam"'),
        ({"type": '"RMSprop"', "momentum": None}, "type", '"RMSProp"'),
        ({"regularization_type": '"l1"'}, "regularization_type", '"L1"'),
        ({"average_loss": "0"}, "average_loss", "1"),
        ({"type": '"AdaGrad"'}, "momentum", None),
        ({"solver_type": "SGD"}, "solver_type", None),
    ],
)
def test_a_safe_fix_changes_that_field_only(
    fields: dict[str, str | None], field: str, written: str | None
) -> None:
    assert fixed(solver(**fields)) == solver(**{**fields, field: written})


@pytest.mark.parametrize(
    "fields",
    [
        {"lr_policy": '"adaptive"'},
        {"type": '"AdamW"'},
        {"type": '"Adam"', "solver_type": "SGD"},
        {"average_loss": "-1"},
        {"regularization_type": '"L3"'},
    ],
)
def test_what_has_several_repairs_is_left(fields: dict[str, str | None]) -> None:
    text = solver(**fields)
    assert fixed(text, unsafe=True) == text


@pytest.mark.parametrize(
    ("fields", "policy"),
    [
        ({}, "step"),
        ({"stepsize": None, "stepvalue": "100"}, "multistep"),
        ({"stepsize": None, "power": "0.75"}, "inv"),
        ({"stepsize": None, "gamma": None, "power": "1"}, "poly"),
        ({"stepsize": None, "gamma": None}, "fixed"),
    ],
)
def test_a_missing_policy_is_inserted_as_the_other_fields_suggest(
    fields: dict[str, str | None], policy: str
) -> None:
    text = solver(lr_policy=None, **fields)
    assert fixed(text) == text
    patched = fixed(text, unsafe=True)
    assert f'base_lr: 0.01\nlr_policy: "{policy}"\n' in patched
    assert verdicts(patched) == []


def test_stepvalues_are_sorted_by_an_unsafe_fix() -> None:
    text = solver(lr_policy='"multistep"', stepsize=None, stepvalue="200 # late\nstepvalue: 100 # early")
    assert fixed(text) == text
    assert fixed(text, unsafe=True).endswith("stepvalue: 100 # late\nstepvalue: 200 # early\n")


def test_a_missing_momentum_is_inserted_by_an_unsafe_fix() -> None:
    text = solver(type='"Adam"', momentum=None)
    assert fixed(text) == text
    assert fixed(text, unsafe=True) == text.replace("base_lr: 0.01\n", "base_lr: 0.01\nmomentum: 0.9\n")


# -- forks and versions -----------------------------------------------------------------------------------

PLATEAU = solver(lr_policy='"plateau"', stepsize=None, plateau_winsize="1000")


def test_a_forks_policy_is_fine_in_its_dialect() -> None:
    assert verdicts(PLATEAU) == []
    assert verdicts(PLATEAU, dialect="ssd") == []
    assert ("S121", "error") in verdicts(PLATEAU, dialect="bvlc")


def test_a_forks_policy_with_another_forks_field_is_a_warning() -> None:
    text = solver(lr_policy='"plateau"', stepsize=None, clip_weights="1")
    assert ("S121", "warning") in verdicts(text)


def test_policies_that_do_not_need_base_lr() -> None:
    text = solver(
        base_lr=None, lr_policy='"multifixed"', gamma=None, stepsize=None, stagelr="0.1", stageiter="300"
    )
    assert verdicts(text) == []
    assert verdicts(text + "stagelr: 0.01\n") == [("S123", "error")]


def test_nvidias_lowest_rate() -> None:
    text = solver(lr_policy='"poly"', power="2", gamma=None, stepsize=None, min_lr="0.1", rampup_lr="0.2")
    assert verdicts(text) == [("S123", "error")]


@pytest.mark.parametrize(
    ("version", "snapshot", "severity", "does"),
    [
        ("1.0", "100", "error", "stop at the start"),
        ("1.0.0", "100", "error", "stop at the start"),
        ("rc3", "100", "error", "stop at the start"),
        ("1.0-rc2", "100", "advice", "as _iter_300.caffemodel"),
        ("0.9999", "100", "advice", "as _iter_300.caffemodel"),
        (None, "100", "advice", "stop at the start"),
        ("1.0", None, "advice", "as _iter_300.caffemodel"),
        (None, None, "advice", "as _iter_300.caffemodel"),
    ],
)
def test_releases_of_caffe_stop_without_a_snapshot_prefix_if_they_save_snapshots(
    version: str | None, snapshot: str | None, severity: str, does: str
) -> None:
    (finding,) = check(solver(snapshot_prefix=None, snapshot=snapshot), "solver.prototxt", select=("S110",), caffe_version=version)
    assert finding.severity == severity
    assert does in finding.reason


@pytest.mark.parametrize(
    ("version", "other", "before"),
    [
        ("1.0", "1.0", False), ("1.0.0", "1", False), ("1.0-rc5", "1.0", True), ("rc5", "1.0", True), ("1.0", "rc5", False),
        ("rc2", "1.0-rc3", True), ("rc10", "rc3", False), ("0.999", "rc1", True), ("1.0-rc", "1.0", True), ("1.0-rc", "rc5", False),
        ("1.1", "1.0", False),
    ],
)  # fmt: skip
def test_a_release_candidate_comes_before_the_release(version: str, other: str, before: bool) -> None:
    assert is_before(version, other) == before


def test_a_type_of_a_fork_is_known_by_its_dialect() -> None:
    assert verdicts(solver(type='"SAG"')) == []
    assert verdicts(solver(type='"SAG"'), dialect="bvlc") == [("S131", "error")]
    for name in ("ADAM", "adamw"):
        assert verdicts(solver(type=f'"{name}"', snapshot_include_state="true")) == []
        assert ("S131", "error") in verdicts(solver(type=f'"{name}"'))


def test_nets_inside_a_solver_are_not_lifted() -> None:
    text = solver(net=None) + 'net_param { layers { name: "a" type: RELU bottom: "x" top: "x" } }\n'
    assert verdicts(text) == [("S111", "error")]


# -- what the real Caffe said -----------------------------------------------------------------------------

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"

# Accepted by Caffe, which then learns nothing or computes NaN.
LOST = {
    "adam_momentum_1",
    "base_lr_0",
    "exp_no_gamma",
    "max_iter_0",
    "momentum_ge_1",
    "no_base_lr",
    "no_max_iter",
    "poly_no_max_iter",
}  # fmt: skip

# Refused for what stands in another file, or on the disk.
NOT_THE_SOLVER = {
    "empty_net",
    "net_is_directory",
    "net_missing_file",
    "net_relative_missing",
    "rt_accuracy_loss_weight",
    "rt_concat_inplace",
    "rt_label_learnable",
    "snapshot_bad_dir_after_train",
    "test_phase_broken",
    "weights_missing",
}


def broken_solvers() -> list[Path]:
    folder = SHARED / "oracle" / "broken" / "solvers"
    return sorted(path for path in folder.glob("*.prototxt") if path.with_suffix(".txt").exists())


@pytest.mark.skipif(not broken_solvers(), reason="needs ../shared/oracle, what the real Caffe said")
def test_a_solver_has_an_error_just_where_caffe_stops_or_learns_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(SHARED / "oracle")
    wrong = []
    for path in broken_solvers():
        refused = path.with_suffix(".txt").read_text(encoding="utf-8").startswith("FATAL")
        expected = (refused and path.stem not in NOT_THE_SOLVER) or path.stem in LOST
        relative = str(path.relative_to(SHARED / "oracle"))
        findings = check(path.read_bytes(), relative, select=("E1", "S1"), dialect="bvlc")
        if any(finding.severity == "error" for finding in findings) != expected:
            wrong.append((path.stem, [(finding.code, finding.severity) for finding in findings]))
    assert wrong == []


# As above, by the place in Caffe's source where it stopped, or by a word of the solver.
PROBES_NOT_THE_SOLVER = (
    "solver.cpp:448",
    "common.cpp:66",
    "insert_splits.cpp:29",
    "io.cpp:35",
    "net.cpp:794",
)
PROBES_LOST = ("iter_size:0", 'lr_policy:"exp"', "momentum:1")


@pytest.mark.skipif(not (SHARED / "facts").exists(), reason="needs ../shared/facts, probes of the real Caffe")
def test_probes_of_the_real_caffe() -> None:
    wrong = []
    number = 0
    for line in (SHARED / "facts" / "probes.jsonl").read_text(encoding="utf-8").splitlines():
        probe = json.loads(line)
        if probe["mode"] != "train":
            continue
        number += 1
        text = probe["prototxt"]
        inline = "net_param" in text
        refused = probe["outcome"] == "fatal" and (inline or probe["at"] not in PROBES_NOT_THE_SOLVER)
        lost = any(word in text for word in PROBES_LOST) or "base_lr" not in text or "max_iter" not in text
        files = {"solver.prototxt": text, **probe.get("aux_files", {})}
        findings = [
            finding
            for finding in check_files(files, select=("E1", "S1"), dialect="bvlc")
            if finding.place.path == "solver.prototxt"
        ]
        if any(finding.severity == "error" for finding in findings) != (refused or lost):
            wrong.append((text, probe["at"], [(finding.code, finding.severity) for finding in findings]))
    assert number > 50
    assert wrong == []


CORPUS = SHARED / "corpus"

# Public solvers that Caffe would refuse as they stand, or train nothing with, by repository.
NOT_FINE = {
    "MyCaffe__MyCaffe",  # for a program that puts the net in, and has methods of its own
    "mhauskn__dqn-hfo",  # likewise
    "NimSed__nima-python-datalayer-parallel",  # base_lr 0: times a data layer
    "ctensmeyer__binarization_2017",  # no lr_policy
    "ftian1__CaffeDeepSpeech2",  # step without stepsize
}


@pytest.mark.skipif(not CORPUS.exists(), reason="needs ../shared/corpus, real files")
def test_solvers_that_people_trained_with_have_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = {}
    with open(CORPUS / "index.tsv", encoding="utf-8", newline="") as index:
        paths = [row["local"] for row in csv.DictReader(index, delimiter="\t") if row["kind"] == "solver"]
    for path in paths:
        text = (CORPUS / path).read_text("utf-8", "replace")
        errors = [finding.message for finding in found(text) if finding.severity == "error"]
        if errors and path.split("/")[1] not in NOT_FINE:
            wrong[path] = errors
    assert len(paths) > 600
    assert wrong == {}


def test_a_rate_that_fades_late_has_had_its_effect() -> None:
    late = solver(lr_policy='"exp"', gamma="0.8", stepsize=None, max_iter="1000")
    assert verdicts(late) == [("S128", "advice")]
    assert verdicts(late.replace("1000", "100000")) == [("S128", "warning")]


def test_the_reason_says_how_to_see_the_rates() -> None:
    (finding,) = found(solver(gamma="0"))
    assert finding.place.line == 9
    assert "from iteration 100 of 300 on" in finding.message
    assert "`caffe-lint schedule solver.prototxt`" in finding.reason


def test_the_fix_lets_caffe_save_the_end() -> None:
    text = solver(snapshot_after_train="false")
    assert fixed(text) == text
    assert fixed(text, unsafe=True) == text.replace("false", "true")


def test_the_fix_displays_a_hundred_times_at_least() -> None:
    assert "display: 3\n" in fixed(solver(display="0"), unsafe=True)
    assert "display: 20\n" in fixed(solver(display="0", max_iter="90000", stepsize="50000"), unsafe=True)


def test_debug_info_is_switched_off_for_who_asks_by_name() -> None:
    text = solver(debug_info="true", display="1", max_iter="5000")
    assert fixed(text, unsafe=True) == text
    assert fix(text, "solver.prototxt", select=("debug-info-left-on",)) == text.replace("info: true", "info: false")
    assert check(text, "solver.prototxt", select=("S143",), options={"S143": {"most": 5000}}) == []


def test_the_decay_is_told_in_iterations() -> None:
    (finding,) = found(solver(weight_decay="0.5"))
    assert "halves the weights in 14 iterations" in finding.message
    assert "1,000 times" in finding.reason
    assert check(solver(weight_decay="0.5"), "solver.prototxt", select=("S144",), options={"S144": {"most": 1.0}}) == []


def test_the_decay_is_told_from_the_schedule() -> None:
    fields = {"lr_policy": '"multistep"', "stepvalue": "40", "stepsize": None, "weight_decay": "0.1", "max_iter": "400"}
    (finding,) = found(solver(**fields))
    assert "halves the weights in 334 iterations" in finding.message  # log 2 is 40 * 0.01 + 293.1 * 0.001
    assert found(solver(**fields | {"max_iter": "300"})) == []


@pytest.mark.parametrize(
    ("fields", "is_high"),
    [
        ({"base_lr": "1e-5", "weight_decay": "1", "max_iter": "100000", "lr_policy": '"fixed"'}, False),  # twice the usual
        ({"base_lr": "1e-4", "weight_decay": "1", "max_iter": "100000", "lr_policy": '"fixed"'}, True),
        ({"base_lr": "1e-4", "weight_decay": "1", "max_iter": "500", "lr_policy": '"fixed"'}, False),  # halved in 693
        ({"base_lr": "1e-4", "weight_decay": "1", "max_iter": "100000", "stepsize": "500"}, False),  # loses 0.56 in all
    ],
)
def test_a_decay_is_high_if_it_outweighs_the_usual_and_halves_the_weights(fields: dict[str, str], is_high: bool) -> None:
    fields = {"gamma": "0.1", "stepsize": "1000"} | fields
    assert bool(check(solver(**fields), "solver.prototxt", select=("S144",))) == is_high


def test_a_solver_is_made_ready_for_the_cpu() -> None:
    text = solver(solver_mode="GPU")
    assert "S145" not in {finding.code for finding in check(text, "solver.prototxt")}
    assert [finding.code for finding in check(text, "solver.prototxt", select=("gpu-solver-mode",))] == ["S145"]
    assert fix(text, "solver.prototxt", select=("gpu-solver-mode",)) == text.replace("GPU", "CPU")
    assert check(GOOD, "solver.prototxt", select=("S145",)) == []


def test_solvers_of_mycaffe_need_no_net_and_have_types_of_their_own() -> None:
    text = "base_lr: 0.1\nlr_policy: sigmoid\nmax_iter: 9\nweight_decay: 0.1\nregularization_type: NONE\n"
    for own, codes in (("snapshot_include_state: True\n", set()), ("", {"S101", "S122", "S137"})):
        found = check(own + text, "solver.prototxt", select=("S101", "S122", "S137"))
        assert {finding.code for finding in found} == codes
