"""Rules for unreadable files: mistakes are reported at their place, and repaired if only one meaning is possible."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from harness import bound_by_permissions, check, check_files, findings_on_disk, fix, fix_files, places, run

from caffe_lint.proto.misnomers import MISNOMERS
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.source.files import NotPrototxt, refuse_others

SOLVER = 'net: "net.prototxt"\nbase_lr: 0.01\nlr_policy: "fixed"\nmax_iter: 100\n'
LAYER = 'layer {\n  name: "a"\n  type: "ReLU"\n  bottom: "data"\n  top: "a"\n}\n'


def errors(
    text: str | bytes, name: str = "solver.prototxt", **settings: object
) -> list[tuple[str, int, int]]:
    """Code, line and column of each finding of family E, except for the missing net."""
    found = check(text, name, select=("E1",), ignore=("E121",), **settings)
    return [(finding.code, finding.place.line, finding.place.column) for finding in found]


@pytest.mark.parametrize(
    ("line", "code", "column", "repaired"),
    [
        ("base_lr = 0.01", "E101", 9, "base_lr : 0.01"),
        ("base_lr: 0.01;;", "E101", 15, "base_lr: 0.01;"),
        ("base_lr: +0.01", "E101", 10, "base_lr: 0.01"),
        ("base_lr: 0.01 // slow", "E103", 15, "base_lr: 0.01 # slow"),
        ("base_lr: 0.01 /* slow */", "E103", 15, "base_lr: 0.01 # slow "),
        ("lr_policy: “fixed”", "E104", 12, 'lr_policy: "fixed"'),
        ("base_lr:\N{NO-BREAK SPACE}0.01", "E104", 9, "base_lr: 0.01"),
        ("snapshot_prefix: models/lenet", "E106", 18, 'snapshot_prefix: "models/lenet"'),
        ('snapshot_prefix: "lenet', "E106", 18, 'snapshot_prefix: "lenet"'),
        (r'snapshot_prefix: "C:\models\lenet"', "E107", 21, r'snapshot_prefix: "C:\\models\\lenet"'),
        ("base_lr 0.01", "E108", 9, "base_lr: 0.01"),
        ("weigth_decay: 0.1", "E110", 1, "weight_decay: 0.1"),
        ("lr_policy: fixed", "E111", 12, 'lr_policy: "fixed"'),
        ('base_lr: "0.01"', "E111", 10, "base_lr: 0.01"),
        ("max_iter: 1e4", "E111", 11, "max_iter: 10000"),
        ("debug_info: TRUE", "E111", 13, "debug_info: true"),
        ('solver_mode: "GPU"', "E111", 14, "solver_mode: GPU"),
        ("solver_mode: gpu", "E112", 14, "solver_mode: GPU"),
    ],
)
def test_one_mistake_is_one_finding_and_one_repair(line: str, code: str, column: int, repaired: str) -> None:
    frame = 'net: "net.prototxt"\n{}\ngamma: 0.1\n'
    assert errors(frame.format(line)) == [(code, 2, column)]
    assert fix(frame.format(line), "solver.prototxt", select=("E1",)) == frame.format(repaired)


@pytest.mark.parametrize(
    ("line", "code", "column"),
    [
        ("base_lr:", "E109", 1),
        ("learning_rate: 0.01", "E110", 1),
        ("base_lr { }", "E111", 9),
        ("max_iter: 1.5", "E111", 11),
        ("random_seed: RANDOM_SEED", "E111", 14),
        ("snapshot_format: TXT", "E112", 18),
        ('net: "other.prototxt"', "E113", 1),
    ],
)
def test_an_ambiguous_mistake_is_reported_without_a_fix(line: str, code: str, column: int) -> None:
    text = f'net: "net.prototxt"\n{line}\ngamma: 0.1\n'
    assert errors(text) == [(code, 2, column)]
    assert fix(text, "solver.prototxt", select=("E1",)) == text


def test_a_clean_file_has_no_finding() -> None:
    assert errors(SOLVER) == []
    assert errors(LAYER, "net.prototxt") == []


def test_every_mistake_of_a_file_is_found_in_one_pass_and_all_are_repaired() -> None:
    text = "net: “net.prototxt”\nbase_lr = 0.01\nlr_policy: fixed // so\nmax_iter: 1e4\nweigth_decay: 1\n"
    assert [code for code, _, _ in errors(text)] == ["E104", "E101", "E111", "E103", "E111", "E110"]
    repaired = (
        'net: "net.prototxt"\nbase_lr : 0.01\nlr_policy: "fixed" # so\nmax_iter: 10000\nweight_decay: 1\n'
    )
    assert fix(text, "solver.prototxt", select=("E1",)) == repaired


def test_a_byte_order_mark_is_removed_and_nothing_else() -> None:
    assert errors("\ufeff" + SOLVER) == [("E105", 1, 1)]
    assert fix("\ufeff" + SOLVER, "solver.prototxt", select=("E1",)) == SOLVER


def test_a_missing_brace_is_inserted_only_by_an_unsafe_fix() -> None:
    text = LAYER.replace("}\n", "") + LAYER.replace('"a"', '"b"')
    assert errors(text, "net.prototxt") == [("E102", 6, 1)]
    assert fix(text, select=("E1",)) == text
    assert fix(text, unsafe=True, select=("E1",)) == LAYER + LAYER.replace('"a"', '"b"')


def test_values_of_one_repeated_field_are_repaired_together() -> None:
    text = SOLVER + 'stepvalue: "100"\nstepvalue: 200\nstepvalue: 3e2\n'
    assert [line for _, line, _ in errors(text)] == [5, 7]
    repaired = fix(text, "solver.prototxt", select=("E1",))
    assert repaired == SOLVER + "stepvalue: 100\nstepvalue: 200\nstepvalue: 300\n"


def test_a_name_misspelled_several_times_is_repaired_everywhere() -> None:
    text = SOLVER + "stepvalues: 1\nstepvalues: 2\nstepvalue: 3\n"
    assert (
        fix(text, "solver.prototxt", select=("E1",)) == SOLVER + "stepvalue: 1\nstepvalue: 2\nstepvalue: 3\n"
    )


def test_a_rename_that_would_write_a_field_twice_is_not_offered() -> None:
    text = SOLVER + "base_lrr: 0.1\n"
    assert errors(text) == [("E110", 5, 1)]
    assert fix(text, "solver.prototxt", select=("E1",)) == text


def test_a_repair_does_not_join_words() -> None:
    text = SOLVER.replace("max_iter: 100\n", "max_iter: 100 a.b;gamma: 0.1\n")
    assert "bgamma" not in fix(text, "solver.prototxt", select=("E1",))
    text = SOLVER + 'display: "10"gamma: 0.1\n'
    assert fix(text, "solver.prototxt", select=("E1",)) == SOLVER + "display: 10 gamma: 0.1\n"


def test_a_value_is_not_repaired_in_front_of_another_string() -> None:
    text = SOLVER + 'snapshot_prefix: x "y"\n'
    assert fix(text, "solver.prototxt", select=("E1",)) == text


def test_words_in_a_line_that_is_no_field_are_not_renamed() -> None:
    text = SOLVER + "momentum: a=b.c;Gamma=0.99\n"
    assert fix(text, "solver.prototxt", select=("E1",)) in (text, text.replace("Gamma=", "gamma:"))


def test_a_block_is_renamed_with_all_that_is_in_it() -> None:
    text = LAYER.replace("}\n", "  relu_parm { negative_slope: 0.1 }\n}\n")
    assert fix(text, select=("E1",)) == text.replace("relu_parm", "relu_param")


@pytest.mark.parametrize(
    ("type_name", "field"),
    [
        ("CRN", "crn_param"),  # not lrn_param
        ("Squeeze", "squeeze_param"),  # not unsqueeze_param
        ("NLLLoss", "nll_loss_param"),  # not l1_loss_param
        ("Data", "transform_param_x"),  # not transform_param
    ],
)
def test_a_field_of_a_custom_layer_is_not_renamed(type_name: str, field: str) -> None:
    text = LAYER.replace("ReLU", type_name).replace("}\n", f"  {field} {{ scale: 1 }}\n}}\n")
    assert "E110" in [code for code, _, _ in errors(text, "net.prototxt")]
    assert fix(text, unsafe=True, select=("E1",)) == text


def test_an_unknown_field_is_reported_once_with_its_count() -> None:
    text = "".join(LAYER.replace("}\n", "  pad_left: 1\n}\n") for _ in range(3))
    (finding,) = check(text, select=("E1",))
    assert (finding.code, finding.place.line) == ("E110", 6)
    assert "3 times" in finding.reason


def test_a_misspelled_layer_type_is_an_error_and_repaired() -> None:
    text = (
        LAYER.replace("ReLU", "Relu") + LAYER.replace("ReLU", "Convoluton") + LAYER.replace("ReLU", "SOFTMAX")
    )
    assert [code for code, _, _ in errors(text, "net.prototxt")] == ["E116"] * 3
    assert {finding.severity for finding in check(text, select=("E1",))} == {"error"}
    repaired = LAYER + LAYER.replace("ReLU", "Convolution") + LAYER.replace("ReLU", "Softmax")
    assert fix(text, select=("E1",)) == repaired


@pytest.mark.parametrize("type_name", ["CircularPad", "PaperData", "LayerNorm2", "MyLayer", "SequenceLoss"])
def test_a_layer_type_like_no_other_is_advice_once(type_name: str) -> None:
    text = LAYER.replace("ReLU", type_name) * 3
    (finding,) = check(text, select=("E1",))
    assert (finding.code, finding.severity, finding.fix) == ("E116", "advice", None)


FORK_NET = """\
layer {
  name: "norm"
  type: "Normalize"
  bottom: "data"
  top: "norm"
  norm_param { across_spatial: false }
}
"""


def test_a_file_of_one_fork_has_no_finding_unless_another_caffe_is_asked_for() -> None:
    assert check(FORK_NET, select=("E1",)) == []
    assert check(FORK_NET, select=("E1",), dialect="ssd") == []
    found = check(FORK_NET, select=("E1",), dialect="bvlc")
    assert places(found) == [("E115", 3), ("E115", 6)]
    assert {finding.severity for finding in found} == {"error"}
    assert "ssd" in found[0].message
    # A type is a string, which is read like any other.
    assert found[0].reason.startswith("Caffe stops: Unknown layer type.")
    assert found[1].reason.startswith("Caffe stops here: Failed to parse NetParameter file.")


def test_a_file_that_fits_no_single_caffe_is_advice() -> None:
    fields = ("dense_image_data_param { batch_size: 4 }", "detectnet_groundtruth_param { stride: 16 }")
    text = "".join(LAYER.replace("}\n", f"  {field}\n}}\n") for field in fields)
    (finding,) = check(text, select=("E1",))
    assert (finding.code, finding.severity) == ("E115", "advice")


def test_what_one_branch_of_a_fork_has_the_others_have_too() -> None:
    by_branch = {"nvcaffe": "larc_turbo: true\n", "nvcaffe-0.15": "per_parameter_reduce: true\n"}
    text = SOLVER + "".join(by_branch.values())
    assert check(text, "solver.prototxt", select=("E115",)) == []
    for dialect in by_branch:
        assert check(text, "solver.prototxt", select=("E115",), dialect=dialect) == []
    (first, second) = check(text, "solver.prototxt", select=("E115",), dialect="ssd")
    assert (first.severity, second.severity) == ("error", "error")


def test_a_branch_of_bvlc_is_a_fork() -> None:
    assert caffe_schema().branches("bvlc") == {"bvlc"}
    assert caffe_schema().branches("opencl") == {"opencl"}
    assert caffe_schema().branches("nvcaffe") == {"nvcaffe", "nvcaffe-0.15", "nvcaffe-0.16"}


def test_a_repeated_field_points_at_the_first() -> None:
    (finding,) = check(SOLVER + "base_lr: 0.1\n", "solver.prototxt", select=("E113",))
    assert [place.line for place in finding.related] == [2]


def test_a_net_of_both_formats_is_an_error() -> None:
    text = 'layers {\n  name: "a"\n  type: RELU\n  bottom: "x"\n  top: "x"\n}\n' + LAYER
    assert places(check(text, select=("E1",))) == [("E117", 7)]


def test_rejected_and_dropped_fields_of_a_v0_net_are_reported() -> None:
    text = (
        'layers {\n  layer { name: "a" type: "relu" pad: 1 }\n  bottom: "x"\n  top: "x"\n}\n'
        'layers {\n  layer { name: "b" type: "swish" }\n  bottom: "x"\n  top: "x"\n}\n'
    )
    found = check(text, select=("E1",))
    assert [(finding.code, finding.place.line, finding.severity) for finding in found] == [
        ("E119", 2, "warning"),
        ("E118", 7, "error"),
    ]


@pytest.mark.parametrize(
    ("net", "severity"),
    [
        ('input: "x" layer { name: "i" type: "Input" top: "x" input_param { shape { dim: 2 } } }', "advice"),
        ('input: "x" layer { name: "i" type: "Input" top: "z" input_param { shape { dim: 2 } } }', "advice"),
        ('input: "x"', "warning"),
        ('input: "z" input: "x"', "warning"),
        ('input: "x" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4 input_dim: 5', "warning"),
    ],
)
def test_a_dropped_input_that_no_layer_needs_is_advice(net: str, severity: str) -> None:
    reader = "z" if '"z" input_param' in net else "x"
    found = check(f'{net} layer {{ name: "r" type: "ReLU" bottom: "{reader}" top: "r" }}\n', select=("E119",))
    assert found[-1].severity == severity
    assert [finding.severity for finding in found[:-1]] == ["advice"] * (len(found) - 1)


def test_a_missing_net_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (finding,) = check(SOLVER, "solver.prototxt", select=("E1",))
    assert (finding.code, finding.severity, finding.place.line) == ("E121", "warning", 1)


def test_a_missing_net_of_another_machine_is_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path, severity in (
        ("/home/nobody-of-this-name/models/net.prototxt", "advice"),
        ("/no-such-disk/lab/net.prototxt", "advice"),
        ("D:\\\\models\\\\net.prototxt", "advice"),
        (str(tmp_path / "gone" / "net.prototxt"), "warning"),
        ("home/nobody/net.prototxt", "warning"),
        ("TRAIN_FILE", "advice"),
        ("NET", "warning"),
    ):
        (finding,) = check(SOLVER.replace("net.prototxt", path), "solver.prototxt", select=("E1",))
        assert (finding.code, finding.severity) == ("E121", severity), path


def test_a_value_that_repeats_the_name_of_its_field_is_a_placeholder() -> None:
    found = check(SOLVER + "random_seed: RANDOM_SEED\ndevice_id: SEED\n", "solver.prototxt", select=("E111",))
    assert [(finding.place.line, finding.severity) for finding in found] == [(5, "advice"), (6, "error")]
    assert found[0].reason == "RANDOM_SEED is a placeholder, which a script replaces."


@pytest.mark.parametrize(
    ("text", "is_placeholder"),
    [
        ('transform_param { mean_file: MEAN_OF_IMAGES } data_param { source: "x" }', True),
        ("data_param { source: TRAIN_LMDB_2 }", True),
        ("data_param { source: SOURCE }", True),
        ("data_param { source: TRAIN }", False),  # may be a folder
        ("data_param { source: Train_Lmdb }", False),
        ("top: CONV_1", False),  # a name may be in capitals
        ("type: INNER_PRODUCT", False),
    ],
)
def test_words_in_capitals_in_place_of_a_path_are_a_placeholder(text: str, is_placeholder: bool) -> None:
    net = f'layer {{ name: "d" {text} }}\n'
    (found,) = check(net, "net.prototxt", select=("E111",))
    assert (found.severity == "advice") is is_placeholder
    assert (fix_files({"net.prototxt": net}, select=("E111",))["net.prototxt"] == net) is is_placeholder


def test_a_solver_with_placeholders_is_not_changed() -> None:
    text = SOLVER.replace('"net.prototxt"', "TRAIN_NET") + "snapshot_prefix: OUTPUT_PREFIX\n"
    assert fix_files({"solver.prototxt": text}, select=("E",))["solver.prototxt"] == text
    assert {finding.severity for finding in check(text, "solver.prototxt", select=("E1",))} == {"advice"}


def test_a_net_found_elsewhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "caffe-lint.toml").write_text("")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "net.prototxt").write_text(LAYER)
    text = SOLVER.replace("net.prototxt", "/home/someone/models/net.prototxt")
    (finding,) = check(text, "solver.prototxt", select=("E1", "P1"))
    assert (finding.code, finding.severity) == ("P101", "advice")
    assert str(Path("models") / "net.prototxt") in finding.message


def test_candidates_for_a_missing_net_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "caffe-lint.toml").write_text("")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "net.prototxt").write_text(LAYER)
    text = SOLVER.replace("net.prototxt", "/home/someone/net.prototxt")
    (finding,) = check(text, "solver.prototxt", select=("E1", "P1"))
    assert (finding.code, finding.severity) == ("E122", "advice")  # nobody here is called someone
    (finding,) = check(SOLVER.replace("net.prototxt", "x/net.prototxt"), "solver.prototxt", select=("E1", "P1"))
    assert (finding.code, finding.severity) == ("E122", "warning")
    assert str(Path("a") / "net.prototxt") in finding.reason


def test_a_net_of_that_name_beside_the_solver_is_the_one_that_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "caffe-lint.toml").write_text("")
    for name in ("a", "b", "job", "old/job"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "net.prototxt").write_text(LAYER)
    for written in ("net.prototxt", "/home/someone/net.prototxt", "/home/someone/old/job/net.prototxt"):
        text = SOLVER.replace("net.prototxt", written)
        found = check_files({"job/solver.prototxt": text}, select=("E1", "P1"))
        if written == "net.prototxt":
            assert found == []
        else:
            (finding,) = found
            assert finding.code == "P101"
            assert f"using {Path('job', 'net.prototxt')} instead" in finding.message


@pytest.mark.parametrize(
    ("content", "what", "severity"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "is a Git LFS pointer", "warning"),
        ('name: "net"\n'.encode("utf-16"), "is UTF-16", "error"),
        ('name: "net"\n'.encode("utf-16-le"), "is UTF-16", "error"),
        ('name: "n\N{LATIN SMALL LETTER E WITH ACUTE}t"\n'.encode("utf-16-be"), "is UTF-16", "error"),
        (b"<!DOCTYPE html>\n<title>404</title>\n", "is an HTML page", "error"),
        (b"404: Not Found", "is what a web server says instead of a file", "error"),
        (b"Error 503 Service Unavailable\n", "is what a web server says instead of a file", "error"),
        (b"Not Found\n", "is what a web server says instead of a file", "error"),
        (bytes(range(256)) * 20, "is a binary file", "error"),
        (b"\n\n", "is empty", "error"),
        (b"", "is empty", "error"),
        (b'item { name: "404" }\n', "is not a net", "error"),
    ],
)
def test_what_the_net_of_a_solver_is_instead_of_a_net(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, what: str, severity: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_bytes(content)
    Path("solver.prototxt").write_text(SOLVER)
    found = [finding for finding in findings_on_disk("solver.prototxt") if finding.code == "E123"]
    assert [(one.message, one.severity) for one in found] == [(f"net file 'net.prototxt' {what}", severity)]


@pytest.mark.parametrize("written", ["net.prototxt", "./net.prototxt", "sub/../net.prototxt", "absolute"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "link to itself", "broken link"])
def test_what_is_no_file_where_the_net_should_be_is_not_taken_for_another_net(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, written: str
) -> None:
    (tmp_path / ".git").mkdir()
    for folder in ("job", "job/sub", "other"):
        (tmp_path / folder).mkdir()
    (tmp_path / "other" / "net.prototxt").write_text(LAYER)
    net = tmp_path / "job" / "net.prototxt"
    if kind == "folder":
        net.mkdir()
    elif kind == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("needs named pipes")
        os.mkfifo(net)
    else:
        net.symlink_to("net.prototxt" if kind == "link to itself" else "gone/net.prototxt")
    written = str(net) if written == "absolute" else written
    (tmp_path / "job" / "solver.prototxt").write_text(SOLVER.replace("net.prototxt", written))
    monkeypatch.chdir(tmp_path)
    found = findings_on_disk("job/solver.prototxt")
    (finding,) = (one for one in found if one.code in ("P101", "E121", "E122", "E123"))
    assert (finding.code, finding.severity) == ("E123", "warning")
    assert finding.message == "net file 'job/net.prototxt' cannot be read"


def test_a_folder_in_one_place_does_not_hide_the_net_in_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the working directory, the path leads to a folder; from that of the solver, to the net."""
    (tmp_path / "net.prototxt").mkdir()
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "net.prototxt").write_text(LAYER)
    (tmp_path / "job" / "solver.prototxt").write_text(SOLVER)
    monkeypatch.chdir(tmp_path)
    assert [one for one in findings_on_disk("job/solver.prototxt") if one.code in ("P101", "E121", "E122", "E123")] == []


def test_an_empty_path_names_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [one.code for one in check(SOLVER.replace("net.prototxt", ""), "solver.prototxt", select=("E12",))] == ["E121"]


def test_a_net_that_may_not_be_read_is_said_at_its_solver(tmp_path: Path) -> None:
    before = bound_by_permissions()
    (tmp_path / "net.prototxt").write_text(LAYER)
    (tmp_path / "net.prototxt").chmod(0)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    done = run(tmp_path, "solver.prototxt", "--select", "E123", "--output-format", "concise", before=before)
    assert "E123" in done.stdout
    assert "net file 'net.prototxt' cannot be read" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("solver.prototxt",),
        (".",),
        ("net.prototxt", "solver.prototxt"),
        ("solver.prototxt", "--fail-on", "error"),
        ("solver.prototxt", "--ignore", "E123", "--exit-zero"),
        ("solver.prototxt", "--fix"),
        (".", "--jobs", "2", "--cache-dir", "kept"),
    ],
    ids=" ".join,
)
def test_a_check_without_a_net_that_may_not_be_read_is_not_whole(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    before = bound_by_permissions()
    (tmp_path / "net.prototxt").write_text(LAYER)
    (tmp_path / "net.prototxt").chmod(0)
    for name in ("solver.prototxt", "another.prototxt"):
        (tmp_path / name).write_text(SOLVER)
    for _ in range(2):  # the second time from the cache
        done = run(tmp_path, *arguments, before=before)
        assert done.returncode == 2
        assert done.stderr.splitlines().count("caffe-lint: net.prototxt: Permission denied") == 1


@pytest.mark.parametrize("kind", ["missing", "broken link", "folder", "empty"])
def test_a_check_without_a_net_that_is_not_there_is_whole(tmp_path: Path, kind: str) -> None:
    net = tmp_path / "net.prototxt"
    if kind == "broken link":
        net.symlink_to("gone.prototxt")
    elif kind == "folder":
        net.mkdir()
    elif kind == "empty":
        net.touch()
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    done = run(tmp_path, "solver.prototxt", "--select", "E12")
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("text", [b"\xc3\xa9" * 40, b"a: 1\n" * 4, b'name: "404: Not Found"\n', b"\0\1" * 40, b"#\0"])
def test_what_is_not_taken_for_utf16_or_for_the_words_of_a_server(text: bytes) -> None:
    try:
        refuse_others("net.prototxt", text)
    except NotPrototxt as error:
        assert error.what == "a binary file"  # noqa: PT017


def test_a_solver_is_not_a_net() -> None:
    found = check_files(
        {"solver.prototxt": SOLVER.replace("net.prototxt", "other.prototxt"), "other.prototxt": SOLVER}
    )
    assert [(f.code, f.place.path) for f in found if f.code == "E123"] == [("E123", "solver.prototxt")]


def test_the_note_on_an_unknown_field_names_the_proto_option() -> None:
    (finding,) = check('base_lr: 0.1\nwarp_speed: 9\nnet: "a"\n', "solver.prototxt", select=("E110",))
    assert "--proto" in finding.reason
    (finding,) = check('base_lr: 0.1\nweigth_decay: 9\nnet: "a"\n', "solver.prototxt", select=("E110",))
    assert "--proto" not in finding.reason


OLD_RATES = """\
layer {
  name: "ip"
  type: "InnerProduct"
  bottom: "data"
  top: "ip"
  blobs_lr: 1  # the weights
  blobs_lr: 2
  weight_decay: 1
  weight_decay: 0
  inner_product_param { num_output: 3 }
}
"""


def test_v1_rates_become_param() -> None:
    (finding,) = check(OLD_RATES, select=("E110",))
    assert finding.place.line == 6
    assert fix(OLD_RATES, select=("E110",)) == OLD_RATES.replace(
        "  blobs_lr: 1  # the weights\n  blobs_lr: 2\n  weight_decay: 1\n  weight_decay: 0\n",
        "  param { lr_mult: 1 decay_mult: 1 }  # the weights\n  param { lr_mult: 2 decay_mult: 0 }\n",
    )
    one_line = 'layer { name: "ip" type: "InnerProduct" blobs_lr: 1 blobs_lr: 0.5 weight_decay: 0 top: "ip" }\n'
    assert fix(one_line, select=("E110",)) == one_line.replace(
        "blobs_lr: 1 blobs_lr: 0.5 weight_decay: 0", "param { lr_mult: 1 decay_mult: 0 } param { lr_mult: 0.5 }"
    )


@pytest.mark.parametrize("old", [("blobs_lr: 2", "blobs_lr: two"), ("  inner", "  param { lr_mult: 1 }\n  inner")])
def test_unclear_v1_rates_are_left(old: tuple[str, str]) -> None:
    text = OLD_RATES.replace(*old)
    assert fix(text, select=("E110",)) == text


def test_a_net_of_both_formats_is_upgraded_to_the_current_one() -> None:
    text = """\
layers { name: "data" type: DUMMY_DATA top: "data" dummy_data_param { shape { dim: 8 dim: 3 } } }
layer { name: "relu" type: "ReLU" bottom: "data" top: "data" }
"""
    assert fix(text, select=("E117",)) == text
    current = text.replace("layers {", "layer {").replace("DUMMY_DATA", '"DummyData"')
    assert fix(text, select=("E117",), unsafe=True) == current


def test_the_name_in_caffe_of_a_misnamed_field_is_given() -> None:
    (finding,) = check('base_lr: 0.1\niter_step: 2\nnet: "a"\n', "solver.prototxt", select=("E110",))
    assert finding.message.endswith("; Caffe calls it 'iter_size'")
    assert finding.fix is None
    text = 'layer { name: "c" type: "Convolution" bottom: "a" top: "c" convolution_param { filters: 3 kernel_size: 3 } }\n'
    (finding,) = check(text, select=("E110",))
    assert finding.message.endswith("; Caffe calls it 'num_output'")


def test_the_names_that_caffe_has_for_misnomers_are_its_own() -> None:
    for message, names in MISNOMERS.items():
        fields = caffe_schema().message(message).fields
        assert set(names.values()) <= set(fields)
        assert not any(name in fields and not fields[name].dialects for name in names)


def test_a_fork_is_known_by_a_type_that_it_alone_has() -> None:
    text = LAYER.replace("ReLU", "HardSwish").replace("}\n", "  upsample_param { scale: 2 }\n}\n")
    assert check(text, select=("E1",)) == []
    assert check(text, select=("E1",), dialect="synopsys") == []
    assert places(check(text, select=("E1",), dialect="ssd")) == [("E115", 3), ("E115", 6)]


def test_nothing_is_claimed_of_a_fork_that_is_known_in_part() -> None:
    text = SOLVER + "enable_clip_gradient_status: true\nsnapshot_include_state: true\n"
    assert check(text + "larc: true\n", "solver.prototxt", select=("E1",), ignore=("E121",)) == []
    (finding,) = check(text + "warp_speed: 9\n", "solver.prototxt", select=("E1",), ignore=("E121",))
    assert (finding.code, finding.severity) == ("E110", "advice")


V1_LAYER = 'layers { name: "c" type: CONVOLUTION bottom: "x" top: "c" convolution_param { num_output: 3 kernel_size: 3 } }\n'


@pytest.mark.parametrize(
    ("written", "code", "severity", "says"),
    [
        ('"Input"', "E111", "error", "'layers' has no type \"Input\"; layers in the current format belong in 'layer'"),
        ('"BatchNorm"', "E111", "error", "'layers' has no type \"BatchNorm\"; layers in the current format belong in 'layer'"),
        ('"Blurred"', "E111", "error", "'type' expects a value of V1LayerParameter.LayerType without quotes, found \"Blurred\""),
        ('"ReLU"', "E111", "error", "'type' expects a value of V1LayerParameter.LayerType without quotes, found \"ReLU\""),
        ('"CONVOLUTN"', "E112", "error", 'V1LayerParameter.LayerType has no value "CONVOLUTN"; did you mean CONVOLUTION?'),
        ("BLURRED", "E112", "advice", None),
    ],
)
def test_a_type_of_a_v1_layer_in_quotes_is_an_error_for_every_caffe(written: str, code: str, severity: str, says: str | None) -> None:
    text = V1_LAYER + f'layers {{ name: "b" type: {written} bottom: "c" top: "b" }}\n'
    (finding,) = check(text, select=("E11",))
    assert (finding.code, finding.severity) == (code, severity)
    assert says is None or finding.message == says


def test_settings_of_a_custom_v1_type_in_quotes_are_advice() -> None:
    text = V1_LAYER + 'layers { name: "b" type: "Blurred" bottom: "c" top: "b" blurred_param { width: 3 } }\n'
    assert [(finding.code, finding.severity) for finding in check(text, select=("E11",))] == [("E111", "error"), ("E110", "advice")]


def test_param_of_the_current_format_in_a_v1_layer_is_explained() -> None:
    text = V1_LAYER.replace(" }\n", " param { lr_mult: 0.1 } }\n")
    (finding,) = check(text, select=("E11",))
    assert (finding.code, finding.severity) == ("E111", "error")
    assert finding.message == "a block 'param' belongs in a `layer`; V1 layers (`layers`) use `blobs_lr` and `weight_decay`"
    assert check(text.replace("{ lr_mult: 0.1 }", ': "shared"'), select=("E11",)) == []


TYPED = 'layer { name: "a" type: "%s" bottom: "x" top: "a" %s }\n'
SOURCE = 'layer { name: "x" type: "%s" top: "x" %s }\n'


@pytest.mark.parametrize(
    ("layer", "written", "settings", "meant", "safe"),
    [
        (SOURCE, "data", "input_param { shape { dim: 1 } }", "Input", False),
        (SOURCE, "input", "data_param { source: \"d\" batch_size: 1 }", "Data", False),
        (TYPED, "pooling", "convolution_param { num_output: 2 kernel_size: 3 }", "Convolution", False),
        (TYPED, "relu", "lrn_param { local_size: 3 } power_param { scale: 2 }", "ReLU", False),  # which of the two is unknown
        (TYPED, "deconvolution", "convolution_param { num_output: 2 kernel_size: 3 }", "Deconvolution", True),
        (SOURCE, "data", "data_param { source: \"d\" batch_size: 1 }", "Data", True),
        (SOURCE, "input", "transform_param { scale: 2 }", "Input", True),
        (TYPED, "relu", "relu_param { negative_slope: 0.1 } lrn_param { local_size: 3 }", "ReLU", True),
        (TYPED, "Relu", "", "ReLU", True),
    ],
)  # fmt: skip
def test_a_misspelled_type_is_corrected_as_its_settings_say(layer: str, written: str, settings: str, meant: str, safe: bool) -> None:
    text = layer % (written, settings)
    (finding,) = check(text, select=("E116",))
    assert finding.severity == "error"
    assert fix(text, select=("E116",), unsafe=True) == layer % (meant, settings)
    assert fix(text, select=("E116",)) == (layer % (meant, settings) if safe else text)


HOLES = """\
input: "data"
input_dim: 1 input_dim: 3 input_dim: 41 input_dim: 41
layers {
  name: "c" type: CONVOLUTION bottom: "data" top: "c" strict_dim: false
  convolution_param { num_output: 4 kernel_size: 3 hole: 4 hole_h: 4 }
}
layers { name: "p" type: PADDING bottom: "c" top: "p" padding_param { pad_beg: 1 pad_end: -1 } }
layers { name: "i" type: INTERP bottom: "p" top: "i" interp_param { zoom_factor: 8 } }
layers { name: "l" type: SOFTMAX_LOSS bottom: "i" bottom: "c" softmaxloss_param { weight_source: "w" ignore_label: 255 } }
layers { name: "a" type: SEG_ACCURACY bottom: "i" bottom: "c" top: "a" seg_accuracy_param { metric: PixelIOU ignore_label: 255 } }
layers { name: "w" type: MAT_WRITE bottom: "i" mat_write_param { prefix: "o/" strip: 4 period: 1 } }
layers { name: "d" type: IMAGE_SEG_DATA top: "s" top: "t" image_data_param { source: "l" label_type: PIXEL has_label: false } }
"""


def test_the_first_deeplab_is_known_in_v1_form() -> None:
    assert check(HOLES, select=("E1",)) == []
    assert check(HOLES, select=("E1",), dialect="deeplab-v1") == []
    named = {finding.message.rpartition("; ")[2] for finding in check(HOLES, select=("E115",), dialect="bvlc")}
    assert {"it exists in deeplab-v1", "it exists in deconvnet, deeplab-v1"} <= named
    newer = HOLES.replace("ignore_label: 255 } }\nlayers { name: \"w\"", "reset: true } }\nlayers { name: \"w\"")
    assert [finding.code for finding in check(newer, select=("E1",), dialect="deeplab-v1")] == ["E115"]


@pytest.mark.parametrize(
    ("custom", "severity"),
    [
        ('layers { name: "b" type: BLURRED bottom: "c" top: "b" }', "advice"),
        ('layers { name: "b" type: "Blurred" bottom: "c" top: "b" }', "error"),
        ('layers { name: "b" type: CONVOLUTON bottom: "c" top: "b" }', "error"),
        ("", "error"),
    ],
)
def test_a_file_with_a_custom_v1_type_may_have_fields_that_nobody_knows(custom: str, severity: str) -> None:
    text = V1_LAYER.replace("kernel_size: 3", "kernel_size: 3 widened: 2") + custom + "\n"
    assert [finding.severity for finding in check(text, select=("E110",))] == [severity]
    wrong = text.replace("widened: 2", "filters: 2")
    assert [finding.severity for finding in check(wrong, select=("E110",))] == ["error"]


def test_no_fork_is_guessed_in_a_file_for_an_unknown_caffe() -> None:
    text = V1_LAYER + 'layers { name: "b" type: BN bottom: "c" top: "b" }\nlayers { name: "s" type: SMOOTH_L1_LOSS bottom: "b" top: "s" }\n'
    (finding,) = check(text, select=("E115",))
    assert not finding.message.startswith("BVLC")
    (finding,) = check(text + 'layers { name: "x" type: BLURRED bottom: "b" top: "x" }\n', select=("E115",))
    assert finding.message.startswith("BVLC's Caffe has no value 'SMOOTH_L1_LOSS' in V1LayerParameter.LayerType; it exists in ")
