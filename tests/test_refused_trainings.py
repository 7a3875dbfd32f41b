"""What `signal` and `simulate` say of a solver or a net that cannot be read, that Caffe refuses, or that options do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness import NET, SOLVER, runner

from caffe_lint import api
from caffe_lint.cli.commands import cli
from caffe_lint.source.disk_caches import forget_disk
from caffe_lint.source.errors import InputError

COMMANDS = ["signal", "simulate"]
OPEN = """\
layer { name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "train.txt" batch_size: 8 } }
layer { name: "score" type: "InnerProduct" bottom: "data" top: "score" inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    return tmp_path


def run(command: str, *options: str) -> tuple[int, str, str]:
    """The exit status, the output and what was said besides."""
    if command == "simulate":
        pytest.importorskip("numpy", reason="the simulator needs numpy")
    arguments = [command, "solver.prototxt", "--from-scratch", *options]
    result = runner().invoke(cli, arguments, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.stdout, result.stderr


def says_nothing_for(command: str, place: str) -> str:
    """Checks that a refusal is said at its place, and gives the reason."""
    status, out, err = run(command, "--output-format", "json")
    found = json.loads(out)
    assert (status, found["verdict"]) == (1, "cannot tell")
    assert err.startswith(place)
    return str(found["cannot_tell"]["reason"])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("net", "why"),
    [
        (None, "solver.prototxt:1:6: net 'net.prototxt' is missing or ambiguous"),
        ("", "solver.prototxt:1:6: 'net.prototxt' could not be read as a net"),
        ("layer { num: {{number}} }", "solver.prototxt:1:6: 'net.prototxt' could not be read as a net"),
    ],
)
def test_a_net_that_cannot_be_read_is_an_error(folder: Path, command: str, net: str | None, why: str) -> None:
    if net is None:
        (folder / "net.prototxt").unlink()
    else:
        (folder / "net.prototxt").write_text(net)
    with pytest.raises(InputError) as caught:
        run(command)
    assert str(caught.value) == f"solver.prototxt: no net of this solver can be read: {why}"
    with pytest.raises(InputError):
        api.stability("solver.prototxt")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_solver_without_a_net_is_an_error(folder: Path, command: str) -> None:
    (folder / "solver.prototxt").write_text(SOLVER.replace('net: "net.prototxt"', ""))
    with pytest.raises(InputError, match="it names no net, or several training nets"):
        run(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_test_net_that_is_missing_is_said(folder: Path, command: str) -> None:
    named = 'train_net: "net.prototxt" test_net: "gone.prototxt" test_iter: 1 test_interval: 100'
    (folder / "solver.prototxt").write_text(SOLVER.replace('net: "net.prototxt"', named))
    status, _, err = run(command)
    assert status == 0
    assert err.startswith("solver.prototxt:1:37: net 'gone.prototxt' is missing or ambiguous")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("strange: 3", "NetParameter has no field 'strange' in any known Caffe"),
        ("force_backward: 3.5", "'force_backward' expects"),
        ("force_backward: true force_backward: true", "'force_backward' is set twice, but NetParameter allows it only once"),
        ("layer {", ""),
    ],
)
def test_what_caffe_refuses_to_read_is_said_first_and_not_trained(folder: Path, command: str, added: str, said: str) -> None:
    (folder / "net.prototxt").write_text(NET + added)
    reason = says_nothing_for(command, f"net.prototxt:{NET.count(chr(10)) + 1}:")
    assert reason.startswith(f"Caffe would not train this net: {said}")
    assert api.stability("solver.prototxt").verdict == "cannot tell"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_solver_that_caffe_refuses_is_not_trained(folder: Path, command: str) -> None:
    (folder / "solver.prototxt").write_text(SOLVER + "max_iter: 5 max_iter: 6\n")
    reason = says_nothing_for(command, f"solver.prototxt:{SOLVER.count(chr(10)) + 1}:")
    assert reason.startswith("Caffe would refuse this solver: 'max_iter' is set twice")


@pytest.mark.parametrize("command", COMMANDS)
def test_what_only_a_check_for_bvlc_would_report_is_said_of_bvlc_s_caffe(folder: Path, command: str) -> None:
    net = NET.replace('"xavier"', '"dct4"', 1)  # only a fork has this filler
    (folder / "net.prototxt").write_text(net)
    status, out, _ = run(command, "--output-format", "json")
    found = json.loads(out)["cannot_tell"]
    assert (status, found["cause"]) == (0, "rejected net")
    assert found["reason"].startswith("BVLC's Caffe would not train this net: ")
    assert found["remedy"] == "fix the net if your Caffe refuses it, too"
    assert not [each for each in api.check("solver.prototxt").findings if each.severity == "error"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_refusal_that_the_user_ignores_is_none(folder: Path, command: str) -> None:
    (folder / "net.prototxt").write_text(NET + "strange: 3\n")
    (folder / "caffe-lint.toml").write_text('ignore = ["E110"]\n')
    assert run(command)[0] == 0
    (folder / "caffe-lint.toml").unlink()
    (folder / "net.prototxt").write_text(NET + "strange: 3  # caffe-lint: ignore[E110]\n")
    assert run(command)[0] == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_what_the_repository_s_own_caffe_knows_is_no_refusal(folder: Path, command: str) -> None:
    (folder / ".git").mkdir()
    (folder / "net.prototxt").write_text(NET + "strange: 3\n")
    assert run(command)[0] == 1
    proto = folder / "src/caffe/proto/caffe.proto"
    proto.parent.mkdir(parents=True)
    proto.write_text(
        'syntax = "proto2";\npackage caffe;\n'
        "message NetParameter { optional string name = 1; optional int32 strange = 900; repeated LayerParameter layer = 100; }\n"
        "message LayerParameter { optional string name = 1; }\n"
    )
    forget_disk()
    assert run(command)[0] == 0


def test_a_log_is_read_without_a_net_that_is_missing_which_is_said(folder: Path) -> None:
    (folder / "net.prototxt").unlink()
    line = "I0101 00:00:00.000000  1 solver.cpp:218] Iteration {}, loss = {}\n"
    (folder / "train.log").write_text(line.format(0, 2) + line.format(10, "nan"))
    done = runner().invoke(cli, ["log", "train.log", "--solver", "solver.prototxt"], standalone_mode=False)
    said = "caffe-lint: solver.prototxt:1:6: net 'net.prototxt' is missing or ambiguous, so the log is read without it\n"
    assert (done.return_value, done.stderr.startswith(said)) == (1, True)


# -- options that have no effect ---------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_an_input_shape_for_a_top_that_no_net_has_is_an_error(folder: Path, command: str) -> None:
    with pytest.raises(InputError, match="--input-shape: no data layer has a top 'dta'; did you mean 'data'"):
        run(command, "--input-shape", "dta=8,3,16,16")


@pytest.mark.parametrize("command", COMMANDS)
def test_an_input_shape_of_other_axes_than_the_file_has_no_effect_and_is_said(folder: Path, command: str) -> None:
    _, _, err = run(command, "--input-shape", "data=8,3")
    assert "--input-shape: 'data' is 8 x 3 x 16 x 16: the file takes precedence over 8 x 3" in err
    assert run(command, "--input-shape", "data=0,3,16,16")[2] == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_of_the_settings_of_a_tree_only_other_axes_are_said(folder: Path, command: str) -> None:
    (folder / "caffe-lint.toml").write_text("[input-shapes]\nimages = [1, 3]\ndata = [4, 3, 32, 32]\n")
    assert run(command)[2] == ""
    (folder / "caffe-lint.toml").write_text("[input-shapes]\ndata = [8, 3]\n")
    assert "[input-shapes]: 'data' is 8 x 3 x 16 x 16: the file takes precedence over 8 x 3" in run(command)[2]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_input_shape_that_the_net_leaves_open_is_taken_quietly(folder: Path, command: str) -> None:
    (folder / "net.prototxt").write_text(OPEN)
    assert run(command, "--input-shape", "data=8,6", "--input-shape", "label=8")[2] == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_facts_about_other_data_than_the_net_reads_are_said_to_be_so(folder: Path, command: str) -> None:
    (folder / "net.prototxt").write_text(OPEN)
    shapes = ("--input-shape", "data=8,6", "--input-shape", "label=8")
    (folder / "facts.json").write_text('{"other.txt": {"kind": "hdf5", "items": 3}}')
    said = "--data-facts: facts.json has no facts about what the net reads: 'train.txt'"
    assert said in run(command, "--data-facts", "facts.json", *shapes)[2]
    (folder / "facts.json").write_text('{"train.txt": {"kind": "hdf5", "items": 3}}')
    assert run(command, "--data-facts", "facts.json", *shapes)[2] == ""


def test_a_check_says_that_no_file_names_the_top_of_an_input_shape(folder: Path) -> None:
    report = api.check(["."], settings=api.Settings(input_shape=(("dta", (8, 3)), ("data", (8, 3)), ("*", (8, 3)))))
    assert [note for note in report.notes if "input-shape" in note] == ["--input-shape: no file of this check names 'dta'"]
