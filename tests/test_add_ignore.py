"""--add-ignore: suppressions for what is found, in the file's style, and nothing else changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import NET, SOLVER, check, check_files, run
from test_suppressions import NET as BAD_NET

from caffe_lint.cli.page_examples import run_example
from caffe_lint.engine.ignoring import Known, write_suppressions
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.rule.pages import read_page
from caffe_lint.rule.registry import Rule, all_rules
from caffe_lint.source.files import SourceFile

OF_FILES = [rule for rule in all_rules().values() if rule.subject not in ("log", "inputs")]


def ignored(files: dict[str, str], **settings: object) -> dict[str, str]:
    """The files with suppressions for all that is found in them."""
    findings = check_files(files, **settings)
    new = {}
    for path, text in files.items():
        file = SourceFile(path, text.encode(), caffe_schema(), None)
        written = write_suppressions(file, [Known(one.code, one.start) for one in findings if one.place.path == path])
        assert written.left == []
        new[path] = written.source.decode()
    return new


@pytest.mark.parametrize("rule", OF_FILES, ids=lambda rule: rule.code)
def test_every_finding_of_a_page_can_be_suppressed(rule: Rule) -> None:
    files = read_page(rule).bad
    once = run_example(rule, files, "--add-ignore")
    assert (once.status, once.files != files) == (0, True)
    assert "No findings" in run_example(rule, once.files).output
    assert run_example(rule, once.files, "--add-ignore").files == once.files


def test_at_the_end_of_the_line_and_before_a_layer() -> None:
    text = BAD_NET.replace('name: "ip2"', 'name: "ip1"')
    assert ignored({"net.prototxt": text})["net.prototxt"] == text.replace(
        "axis: 7 }", "axis: 7 }  # caffe-lint: ignore[E206]"
    ).replace("num_output: 0 }", "num_output: 0 }  # caffe-lint: ignore[E208]").replace(
        'layer {\n  name: "ip1"\n  type: "InnerProduct"\n  bottom: "data"\n  top: "ip2"',
        '# caffe-lint: ignore[N301]\nlayer {\n  name: "ip1"\n  type: "InnerProduct"\n  bottom: "data"\n  top: "ip2"',
    )


def test_several_of_one_line_share_a_comment() -> None:
    text = BAD_NET.replace("axis: 7 }\n}\n", "axis: 7 } } ").replace("\n  ", " ").replace("\n}", " }")
    written = ignored({"net.prototxt": text})["net.prototxt"]
    assert written == text.removesuffix("\n") + "  # caffe-lint: ignore[E206, E208]\n"


def test_line_ends_stay_as_they_are() -> None:
    text = BAD_NET.replace("\n", "\r\n").replace('name: "ip2"', 'name: "ip1"')
    written = ignored({"net.prototxt": text})["net.prototxt"]
    assert written.count("\r\n") == written.count("\n") == text.count("\n") + 1
    assert check(written) == []


def test_what_stands_there_is_added_to() -> None:
    text = BAD_NET.replace("axis: 7 }", "axis: 7 }  # seven # caffe-lint: ignore[E208, E101] why not")
    written = ignored({"net.prototxt": text}, ignore=("P901",))["net.prototxt"]
    assert "# seven # caffe-lint: ignore[E208, E101, E206] why not\n" in written


def test_a_message_on_one_line_and_a_last_line_without_line_feed() -> None:
    text = 'layer { name: "a" type: "InnerProduct" bottom: "b" top: "c" }'
    written = ignored({"net.prototxt": text})["net.prototxt"]
    assert written.startswith(text + "  # caffe-lint: ignore[E")
    assert check(written) == []


def test_what_no_comment_can_follow_is_left() -> None:
    file = SourceFile("net.prototxt", BAD_NET.encode(), caffe_schema(), None)
    written = write_suppressions(file, [Known("X999", 0), Known("E206", BAD_NET.index("7"))])
    assert written.left == [Known("X999", 0)]
    assert b"ignore[E206]" in written.source


# -- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(
        SOLVER.replace('"fixed"', '"Fixed"').replace("max_iter: 100", "max_iter: 0")
    )
    return tmp_path


def test_the_command_writes_says_so_and_is_clean_afterwards(folder: Path) -> None:
    done = run(folder, "solver.prototxt", "--add-ignore")
    assert (done.returncode, done.stderr) == (0, "caffe-lint: suppressed 2 findings in 1 file\n")
    written = (folder / "solver.prototxt").read_text()
    assert 'lr_policy: "Fixed"  # caffe-lint: ignore[S121]' in written
    again = run(folder, "solver.prototxt", "--add-ignore")
    assert (again.returncode, again.stderr) == (0, "")
    assert (folder / "solver.prototxt").read_text() == written


def test_with_diff_it_only_shows(folder: Path) -> None:
    before = (folder / "solver.prototxt").read_text()
    done = run(folder, "solver.prototxt", "--add-ignore", "--diff")
    assert done.returncode == 1
    assert '+lr_policy: "Fixed"  # caffe-lint: ignore[S121]\n' in done.stdout
    assert (folder / "solver.prototxt").read_text() == before


def test_standard_input_goes_to_standard_output(folder: Path) -> None:
    bad = SOLVER.replace('"fixed"', '"Fixed"').encode()
    done = run(folder, "-", "--add-ignore", "--stdin-filename", "solver.prototxt", stdin=bad)
    assert done.returncode == 0
    assert 'lr_policy: "Fixed"  # caffe-lint: ignore[S121]\n' in done.stdout


def test_only_what_is_selected(folder: Path) -> None:
    run(folder, "solver.prototxt", "--add-ignore", "--select", "S106")
    assert "S121" not in (folder / "solver.prototxt").read_text()


def test_in_a_folder_that_cannot_be_written_it_says_so(folder: Path) -> None:
    (folder / "solver.prototxt").chmod(0o444)
    done = run(folder, "solver.prototxt", "--add-ignore")
    if done.returncode == 0:
        pytest.skip("for this user, nothing is read-only")
    assert (done.returncode, "solver.prototxt is read-only" in done.stderr) == (2, True)


def test_it_does_not_go_with_fix(folder: Path) -> None:
    done = run(folder, "solver.prototxt", "--add-ignore", "--fix")
    assert (done.returncode, "--add-ignore" in done.stderr) == (2, True)
