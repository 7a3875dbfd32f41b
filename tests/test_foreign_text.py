"""Templates, and texts that are no files of Caffe: nothing in them is changed, and the user is told why."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import NET, SOLVER, check_files, run
from hypothesis import given
from hypothesis import strategies as st

from caffe_lint.api import parse
from caffe_lint.engine.files_in_memory import Files
from caffe_lint.engine.grouping import find_units
from caffe_lint.engine.running import run_units
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.settings.settings import Settings
from caffe_lint.source.files import SourceFile
from caffe_lint.source.foreign_text import is_prose, may_be_prose, template_marks

BROKEN = SOLVER.replace("momentum", "momentun")
TEMPLATES = Path(__file__).resolve().parents[2] / "shared" / "corpus" / "templates"


PIECES = (
    "these are", "- some notes", "> for, people", "net", ": ", " ", "\n", "\r", "\t", "layer ", "{", "}", "<", ">", "(", ")", "[", "]", ",",
    ";", '"', "'", "#", "name: 1", "type: a ", "base_lr: 1\n", "layer {\n", "}\n", "one two\n", "\f",
)  # fmt: skip


def file(text: str) -> SourceFile:
    return SourceFile("a.prototxt", text.encode(), caffe_schema(), None)


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("base_lr: {{ rate }}", ["{{"]),
        ("{% if small %}\nbase_lr: 1\n{% endif %}", ["{%", "{%"]),
        ("base_lr: <%= rate %>", ["<%"]),
        ("num_output: ${CLASSES}", ["${"]),
        ("num_output: $(CLASSES)", ["$("]),
        ("num_output: $CLASSES", ["$C"]),
        ("num_output: %(classes)d", ["%(c"]),
        ("num_output: @CLASSES@", ["@CLASSES@"]),
        ("@EXTRA_LAYERS@\nlayer { }", ["@EXTRA_LAYERS@"]),
        ("convolution_param {{ num_output: 3 }}", ["{{"]),
        ('name: "{{ name }}"', ['"{{ name }}"']),
        ("name: 'a<%= name %>'", ["'a<%= name %>'"]),
        ('source: "${DATA}"', ['"${DATA}"']),
        ("source: '@DATA@'", ["'@DATA@'"]),
        # No marks: a part of a string, a comment, an escaped quote.
        ('source: "${DATA}/train"', []),
        ('source: "$(pwd)"', []),
        # A stray character.
        ("$num_output: 12", []),
        ("pad: 1 $stride : 2", []),
        ("$LAYERS", ["$L"]),
        ('source: "a@host@b" email: "me@home"', []),
        ("base_lr: 1  # {{ rate }}, ${RATE} or @RATE@", []),
        ("base_lr: 1  // {{ rate }}", []),
        ("/* {{ rate }} */ base_lr: 1", []),
        (r'name: "a\"" base_lr: 1', []),
        ('name: "a # ${b} " base_lr: ${RATE}', ["${"]),
    ],
)
def test_what_is_a_template_mark(text: str, marked: list[str]) -> None:
    assert [text[mark.start : mark.end] for mark in template_marks(text.encode())] == marked


@pytest.mark.parametrize(
    ("text", "may_be"),
    [
        ("these are\nsome notes\nfor people\n", True),
        ("these, are\nsome\tnotes\nfor  people\n", True),
        ("two\nlines with\nof three\n", False),
        ("# these are\n# some notes\n  # for people\n#on nets\n", False),
        ("layer { # of these are\n  type: ReLU # some notes\n  name: a # for people\n}\n", False),
        ('layer {\n  name: "a b c d e f"\n  type: "x"\n}\npool: MAX\nlr: 1 }\n', False),
        ("layer { type: a } these are\nlayer < type: a > some notes\nlayer ( type: a ) for people\n", True),
        ("- these are\r\t* some notes\r\n> for people", True),
        ('layer {\n  name: "ab"\n  type: "x"\n}\npool: MAX\nlr: 1 }\n', False),
    ],
)
def test_whether_a_text_may_be_prose(text: str, may_be: bool) -> None:
    assert may_be_prose(text.encode()) is may_be


def test_marks_are_found_in_linear_time() -> None:
    for text in (b'"' * 200_000 + b"$", b"'\\" * 100_000 + b"$", b"/*" * 100_000 + b"$", b"@" * 200_000):
        template_marks(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BROKEN, ""),
        (BROKEN + "display: ${DISPLAY}\n", "template marks at line 8"),
        (BROKEN.replace('"net.prototxt"', '"${NET}"'), "template marks at line 1"),
        ("base_lr: 1\nlr_policy: fixed\nalpha: 1\nbeta { gamma: 2 rho: 3 }\n", "no known Caffe has most of its fields"),
        ("base_lr: 1\nlr_policy: fixed\nalpha: 1\n", ""),
        ("base_lr = 1\nlr_policy = fixed\nalpha = 1\n", ""),  # other mistakes do not make a field unknown
        (
            "import caffe\nnet = caffe.Net('a')\nbase_lr = 1\nfor i in range(9):\n    net.step()\n",
            "no known Caffe has most of its fields",
        ),
        (
            "Training a net\nnet: a CNN\nbase_lr: 0.1, but\n0.01 is better\nsee: below\n",
            "no known Caffe has most of its fields",
        ),
    ],
)
def test_why_nothing_may_be_changed(text: str, why: str) -> None:
    assert file(text).why_not_fixed == why


def test_a_text_that_is_no_file_of_caffe_is_left_alone(tmp_path: Path) -> None:
    text = 'input: data\ninput_dim: "1"\nrecipe { title: soup steps: 3 kernal: "2" }\nauthor: me\nserves: 04\n'
    path = tmp_path / "soup.prototxt"
    path.write_text(text)
    done = run(tmp_path, "soup.prototxt", "--fix", "--unsafe-fixes")
    assert path.read_text() == text
    assert "soup.prototxt: not fixed: no known Caffe has most of its fields" in done.stderr


@pytest.mark.parametrize(
    "options", [("--fix",), ("--fix", "--unsafe-fixes"), ("--diff",), ("--fix", "--output-dir", "out")]
)
@pytest.mark.parametrize("mark", ["display: {{ display }}", "display: @DISPLAY@", 'snapshot_prefix: "{{ name }}"'])
def test_nothing_in_a_template_is_fixed(tmp_path: Path, options: tuple[str, ...], mark: str) -> None:
    text = BROKEN.replace('snapshot_prefix: "snapshots/small"\n', "") + f"{mark}\nlr_policy: step\n"
    (tmp_path / "solver.prototxt").write_text(text)
    (tmp_path / "net.prototxt").write_text(NET)
    done = run(tmp_path, "solver.prototxt", *options)
    assert done.stderr.count("solver.prototxt: not fixed: template marks at line 7") == 1
    assert done.stdout.count("@@") == 0
    for path in tmp_path.rglob("solver.prototxt"):
        assert path.read_text() == text


def test_a_template_from_standard_input_goes_through_unchanged(tmp_path: Path) -> None:
    done = run(tmp_path, "-", "--fix", stdin=(BROKEN + "display: ${DISPLAY}\n").encode())
    assert done.stdout == BROKEN + "display: ${DISPLAY}\n"
    assert "-: not fixed: template marks at line 8" in done.stderr


def test_a_template_is_named_and_not_checked(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text("layer {{\n  name: ${NAME}\n  type: Relu\n}}\n")
    done = run(tmp_path, "net.prototxt")
    assert (done.returncode, done.stdout) == (0, "No file was checked.\n")
    assert done.stderr == "caffe-lint: net.prototxt: not checked: template marks at line 1\n"


def test_a_solver_is_checked_without_the_template_of_its_net(tmp_path: Path) -> None:
    (tmp_path / "solver.prototxt").write_text(BROKEN)
    (tmp_path / "net.prototxt").write_text(NET.replace("num_output: 10", "num_output: {{ classes }}"))
    done = run(tmp_path, "solver.prototxt", "--output-format", "concise")
    assert "E110" in done.stdout
    assert "net.prototxt: not checked: template marks at line 19" in done.stderr
    assert "E123" not in done.stdout


def test_a_placeholder_in_a_string_is_not_reported_and_the_rest_is() -> None:
    net = NET.replace('"InnerProduct"', '"{{ type }}"')
    assert [finding.code for finding in check_files({"net.prototxt": net}, select=("E",))] == []
    net = net.replace('"SoftmaxWithLoss"', '"SoftmaxWithLos"')
    assert [finding.code for finding in check_files({"net.prototxt": net}, select=("E",))] == ["E116"]


def test_a_net_path_with_a_placeholder_is_no_missing_file() -> None:
    solver = SOLVER.replace("net.prototxt", "${EXP}/net.prototxt")
    found = check_files({"solver.prototxt": solver}, select=("E121",))
    assert [(finding.severity, finding.message) for finding in found] == [
        ("advice", "net file '${EXP}/net.prototxt' has a placeholder, so the net is not checked")
    ]


def test_the_api_knows_templates() -> None:
    parsed = parse("base_lr: ${RATE}\nmax_iter: 10\n")
    assert (parsed.kind, parsed.message) == ("template", None)


@pytest.mark.skipif(not TEMPLATES.is_dir(), reason="needs the templates of the corpus")
def test_no_text_with_marks_in_the_corpus_is_changed() -> None:
    paths = [str(path) for path in TEMPLATES.rglob("*") if path.is_file()]
    files = Files(caffe_schema(), None)
    units = find_units(paths, files, [], [])
    patched = {
        path for each in run_units([(unit, Settings()) for unit in units], files, "unsafe", 1) for path in each.patched
    }
    assert len(files.left_alone) > 15
    assert not [path for path in patched if template_marks(Path(path).read_bytes())]


@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_no_prose_is_missed_by_looking_at_the_beginnings_of_lines(pieces: list[str]) -> None:
    text = file("".join(pieces))
    if is_prose(text.tree, {"net", "base_lr", "name", "layer", "type"}):
        assert may_be_prose(text.source)


def test_comments_and_one_line_messages_are_no_reason_to_parse_a_net() -> None:
    net = file(NET + "layer { name: a type: ReLU bottom: b top: c } # of these\n" * 5)
    assert (net.kind, net.is_prose) == ("net", False)
    assert "tree" not in net.__dict__
