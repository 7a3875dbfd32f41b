"""What is written where: inside the folders of what was named, completely or not at all, with what belongs to a file kept."""

from __future__ import annotations

import errno
import io
import os
import select
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from harness import bound_by_permissions
from harness import run as run_program

from caffe_lint.cli.commands import run as run_command
from caffe_lint.engine.writing import write_patched
from caffe_lint.fixes import write as writer
from caffe_lint.fixes.allowed import is_inside
from caffe_lint.fixes.write import (
    FileChanged,
    OutsideRoots,
    remove_leftovers,
    write_atomically,
    write_copy,
    write_whole,
)
from caffe_lint.report import FORMATS
from caffe_lint.source.errors import InputError

NET = """\
layer { name: "pixels" type: "Input" top: "pixels" input_param { shape { dim: 1 dim: 3 } } }  # of the neighbours
layer { name: "answer" type: "SoftMax" bottom: "pixels" top: "answer" }
"""
FIXED = NET.replace("SoftMax", "Softmax")
SOLVER = 'net: "{}"\nbase_lr: 0.01\nlr_policy: "fixed"\nmax_iter: 100\nsnapshot_prefix: "here"\n'


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "caffe_lint", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def neighbours(tmp_path: Path) -> tuple[Path, Path]:
    """A folder to be checked, and a net beside it that nobody names."""
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "net.prototxt").write_text(NET)
    return tmp_path / "ours", tmp_path / "theirs" / "net.prototxt"


@pytest.mark.parametrize("way", ["relative", "absolute", "linked file", "linked folder"])
@pytest.mark.parametrize("named", [".", "solver.prototxt"])
def test_a_net_outside_is_not_written(neighbours: tuple[Path, Path], way: str, named: str) -> None:
    ours, net = neighbours
    written = {"relative": "../theirs/net.prototxt", "absolute": str(net)}.get(way, "net.prototxt")
    if way == "linked file":
        (ours / "net.prototxt").symlink_to(net)
    elif way == "linked folder":
        (ours / "nets").symlink_to(net.parent)
        written = "nets/net.prototxt"
    (ours / "solver.prototxt").write_text(SOLVER.format(written))
    for options in (["--fix"], ["--fix", "--unsafe-fixes"], ["--diff"], ["--fix", "--output-dir", "patched"]):
        done = run(ours, named, *options)
        assert net.read_text() == NET
        assert "net.prototxt: not fixed: it lies outside" in done.stderr
        assert "Softmax" not in done.stdout.replace("did you mean 'Softmax'", "")
    run(ours, named, "--add-ignore")
    assert net.read_text() == NET


@pytest.mark.parametrize("output_format", FORMATS)
def test_lines_of_a_file_outside_are_not_quoted(neighbours: tuple[Path, Path], output_format: str) -> None:
    ours, net = neighbours
    (ours / "solver.prototxt").write_text(SOLVER.format("../theirs/net.prototxt"))
    done = run(ours, "solver.prototxt", "--output-format", output_format)
    assert "E116" in done.stdout
    assert "of the neighbours" not in done.stdout
    assert "input_param { shape { dim: 1 dim: 3 } } }" not in done.stdout.replace("\\", "")
    assert 'bottom: "pixels"' not in done.stdout.replace("\\", "").replace("&quot;", '"')
    assert "E116" in run(ours, str(net), "--output-format", output_format).stdout


def test_a_net_elsewhere_in_the_repository_is_written(neighbours: tuple[Path, Path]) -> None:
    ours, net = neighbours
    (ours.parent / ".git").mkdir()
    (ours / "solver.prototxt").write_text(SOLVER.format("../theirs/net.prototxt"))
    run(ours, "solver.prototxt", "--fix")
    assert net.read_text() == NET.replace("SoftMax", "Softmax")


@pytest.mark.parametrize("home", [".", ".."])
def test_a_home_under_version_control_is_no_repository(
    neighbours: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    ours, net = neighbours
    (ours.parent / ".git").mkdir()
    monkeypatch.setenv("HOME", str(ours / home))
    (ours / "solver.prototxt").write_text(SOLVER.format("../theirs/net.prototxt"))
    done = run(ours, "solver.prototxt", "--fix")
    assert net.read_text() == NET
    assert "net.prototxt: not fixed: it lies outside" in done.stderr


def test_a_git_file_makes_a_repository_of_its_own(neighbours: tuple[Path, Path]) -> None:
    ours, net = neighbours
    (ours.parent / ".git").mkdir()
    (ours / ".git").write_text("gitdir: ../.git/modules/ours\n")
    (ours / "solver.prototxt").write_text(SOLVER.format("../theirs/net.prototxt"))
    run(ours, "solver.prototxt", "--fix")
    assert net.read_text() == NET


def test_a_net_that_is_named_as_well_is_written(neighbours: tuple[Path, Path]) -> None:
    ours, net = neighbours
    (ours / "solver.prototxt").write_text(SOLVER.format("../theirs/net.prototxt"))
    run(ours, "solver.prototxt", str(net), "--fix")
    assert net.read_text() == NET.replace("SoftMax", "Softmax")


def test_the_folder_for_copies_is_not_reached_by_a_link(neighbours: tuple[Path, Path]) -> None:
    ours, net = neighbours
    (ours / "net.prototxt").write_text(NET)
    (ours / "linked").symlink_to(net.parent)
    done = run(ours, "net.prototxt", "--fix", "--output-dir", "linked")
    assert done.returncode == 2
    assert "linked is a link, which is not followed" in done.stderr
    (ours / "copies").mkdir()
    (ours / "copies" / "net.prototxt").symlink_to(net)
    run(ours, "net.prototxt", "--fix", "--output-dir", "copies")
    assert net.read_text() == NET
    assert not (ours / "copies" / "net.prototxt").is_symlink()
    (ours / ".git").mkdir()
    (ours / "deep").symlink_to(net.parent)
    done = run(ours, "net.prototxt", "--fix", "--output-dir", "deep/er")
    assert done.returncode == 2
    assert sorted(os.listdir(net.parent)) == ["net.prototxt"]


@pytest.mark.parametrize(
    "arguments", [("net.prototxt", "--output-file", "out"), ("net.prototxt", "--write-baseline", "out")]
)
def test_a_report_is_not_written_through_a_link_out_of_the_folder(
    neighbours: tuple[Path, Path], arguments: tuple[str, ...]
) -> None:
    ours, net = neighbours
    (ours / "net.prototxt").write_text(NET)
    for target in (net.parent / "new", net):
        (ours / "out").unlink(missing_ok=True)
        (ours / "out").symlink_to(target)
        done = run(ours, *arguments)
        assert done.returncode == 2
        assert "out" in done.stderr
        assert (net.read_text(), os.listdir(net.parent)) == (NET, ["net.prototxt"])


LOG = "I0101 00:00:00.000000  1 solver.cpp:218] Iteration {0}, loss = {0}.5\nI0101 00:00:00.000000  1 sgd_solver.cpp:105] Iteration {0}, lr = 0.01\n"


@pytest.mark.parametrize(
    ("arguments", "name", "needs"),
    [
        (("log", "train.log", "--csv"), "out.csv", ""),
        (("log", "train.log", "--json"), "out.json", ""),
        (("log", "train.log", "--parquet"), "out.parquet", "pyarrow"),
        (("view", "--log", "train.log", "--output-file"), "out.html", ""),
        (("log", "train.log", "--output-file"), "out", ""),
        (("schedule", "solver.prototxt", "--plot"), "out.png", "matplotlib"),
    ],
)
def test_a_table_or_a_picture_is_not_written_through_a_link_out_of_the_folder(
    neighbours: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], name: str, needs: str
) -> None:
    if needs:
        pytest.importorskip(needs)
    ours, net = neighbours
    monkeypatch.chdir(ours)
    Path("train.log").write_text("".join(LOG.format(number) for number in range(9)))
    Path("solver.prototxt").write_text(SOLVER.format("net.prototxt"))
    Path(name).write_text("older")
    assert run_command([*arguments, name]) in (0, 1)
    assert Path(name).read_bytes() != b"older"  # so it is written where there is no link
    for target in (net.parent / "new", net):
        Path(name).unlink()
        Path(name).symlink_to(target)
        with pytest.raises((OSError, InputError), match=f"{name} is a link out of the folder"):
            run_command([*arguments, name])
        assert (net.read_text(), os.listdir(net.parent)) == (NET, ["net.prototxt"])


def test_a_probe_is_not_written_through_links(neighbours: tuple[Path, Path]) -> None:
    ours, net = neighbours
    (ours / "net.prototxt").write_text(
        'layer { name: "d" type: "Data" top: "d" data_param { source: "db" batch_size: 8 backend: LMDB } }\n'
    )
    (ours / "probe").mkdir()
    (ours / "probe" / "run.sh").symlink_to(net.parent / "new.sh")
    for force in ([], ["--force"]):
        assert run(ours, "probe", "net.prototxt", "-o", "probe", *force).returncode == 2
    (ours / "linked").symlink_to(net.parent)
    assert run(ours, "probe", "net.prototxt", "-o", "linked").returncode == 2
    assert os.listdir(net.parent) == ["net.prototxt"]


def test_a_report_replaces_an_older_one_in_one_step(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "report").write_text("older")
    before = (tmp_path / "report").stat().st_ino
    run(tmp_path, "net.prototxt", "--output-file", "report")
    assert "E116" in (tmp_path / "report").read_text()
    assert (tmp_path / "report").stat().st_ino != before
    done = subprocess.run(
        [sys.executable, "-m", "caffe_lint", "net.prototxt", "--output-file", "/dev/stdout"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "E116" in done.stdout


@pytest.fixture(params=["by descriptor", "by path"])
def way_of_opening(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are opened, or where the system has no descriptors of them, named by their paths."""
    if request.param == "by path":
        monkeypatch.setattr(writer, "_BY_DESCRIPTOR", False)
    elif not writer._BY_DESCRIPTOR:
        pytest.skip("this system has no descriptors of folders")


@pytest.mark.usefixtures("way_of_opening")
def test_a_link_that_appears_on_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "root" / "inner").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "s").write_bytes(b"old")
    (tmp_path / "root" / "inner" / "link").symlink_to(tmp_path / "out")
    (tmp_path / "original").write_bytes(b"old")
    with pytest.raises(OutsideRoots):
        write_copy(str(tmp_path / "original"), str(tmp_path / "root"), "inner/link/s", b"new")
    with pytest.raises(OutsideRoots):
        write_copy(str(tmp_path / "original"), str(tmp_path / "root"), "../out/s", b"new")
    with pytest.raises(OutsideRoots):
        write_atomically(str(tmp_path / "root" / "inner" / "link" / "s"), b"old", b"new", [str(tmp_path / "root")])
    assert (tmp_path / "out" / "s").read_bytes() == b"old"


@pytest.mark.usefixtures("way_of_opening")
def test_what_is_written_stands_in_a_folder_that_is_made_for_it(tmp_path: Path) -> None:
    original = tmp_path / "s"
    original.write_bytes(b"old")
    original.chmod(0o640)
    for content in (b"first", b"second"):
        write_copy(str(original), str(tmp_path / "out"), "a/b/s", content)
        assert (tmp_path / "out" / "a" / "b" / "s").read_bytes() == content
    assert stat.S_IMODE((tmp_path / "out" / "a" / "b" / "s").stat().st_mode) == 0o640
    assert write_atomically(str(original), b"old", b"new", [str(tmp_path / "none"), str(tmp_path)]) == []
    assert original.read_bytes() == b"new"
    left = [name for _, _, names in os.walk(tmp_path) for name in names]
    assert left == ["s", "s"]


@pytest.mark.skipif(not writer._BY_DESCRIPTOR, reason="this system has no descriptors of folders")
def test_a_folder_that_is_replaced_by_a_link_after_it_was_opened_is_written_where_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "s").write_bytes(b"old")
    random = os.urandom

    def exchange(number: int) -> bytes:  # called for the name of the temporary file, when the folder is open
        (tmp_path / "ours").rename(tmp_path / "moved")
        (tmp_path / "ours").symlink_to(tmp_path / "theirs")
        return random(number)

    monkeypatch.setattr(os, "urandom", exchange)
    write_atomically(str(tmp_path / "ours" / "s"), b"old", b"new", [str(tmp_path)])
    assert (tmp_path / "theirs" / "s").read_bytes() == b"old"
    assert (tmp_path / "moved" / "s").read_bytes() == b"new"
    assert os.listdir(tmp_path / "theirs") == os.listdir(tmp_path / "moved") == ["s"]


def test_a_folder_whose_name_only_begins_as_an_allowed_one_is_outside(tmp_path: Path) -> None:
    assert is_inside(str(tmp_path / "models" / "s"), [str(tmp_path / "other"), str(tmp_path / "models")])
    assert is_inside(str(tmp_path / "models"), [str(tmp_path / "models")])
    assert is_inside("/etc", ["/"])
    assert not is_inside(str(tmp_path / "models-of-others" / "s"), [str(tmp_path / "models")])


@pytest.mark.usefixtures("way_of_opening")
def test_a_change_at_the_last_moment_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = write(tmp_path)

    def change(descriptor: int) -> None:  # called when the new text is complete
        path.write_text("of somebody else")

    monkeypatch.setattr(os, "fsync", change)
    with pytest.raises(FileChanged, match=r"0\.prototxt changed while it was being checked"):
        write_atomically(str(path), NET.encode(), FIXED.encode(), [str(tmp_path)])
    assert (path.read_text(), os.listdir(tmp_path)) == ("of somebody else", [path.name])


def test_a_file_that_only_begins_as_expected_has_changed(tmp_path: Path) -> None:
    (path,) = write(tmp_path, NET + "# more\n")
    with pytest.raises(FileChanged):
        write_atomically(str(path), NET.encode(), FIXED.encode(), [str(tmp_path)])
    assert path.read_text() == NET + "# more\n"


def test_a_folder_is_not_replaced_by_a_report(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(str(tmp_path / "report"), b"text", [str(tmp_path)])
    assert os.listdir(tmp_path) == ["report"]


def test_a_copy_replaces_a_link_and_does_not_follow_it(tmp_path: Path) -> None:
    for name in ("original", "theirs"):
        (tmp_path / name).write_bytes(b"old")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "s").symlink_to(tmp_path / "gone")
    write_copy(str(tmp_path / "original"), str(tmp_path / "out"), "s", b"new")
    assert not (tmp_path / "out" / "s").is_symlink()
    assert ((tmp_path / "out" / "s").read_bytes(), (tmp_path / "gone").exists()) == (b"new", False)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_report_goes_into_a_pipe_that_somebody_reads(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match=os.strerror(errno.ENXIO)):
        write_whole(str(pipe), b"nobody reads", [str(tmp_path)])
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    text = b"x" * 300_000  # more than a pipe holds
    writing = threading.Thread(target=write_whole, args=(str(pipe), text, [str(tmp_path)]))
    writing.start()
    select.select([reader], [], [], 60)  # until the other side is open: before that, there is nothing to read
    with os.fdopen(reader, "rb") as file:
        assert file.read(len(text)) == text
    writing.join()
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_the_rest_of_an_open_file_is_written(tmp_path: Path) -> None:
    file = io.BytesIO(b"read " + b"x" * (3 << 20))
    assert file.read(5) == b"read "
    write_whole(str(tmp_path / "copy"), file, [str(tmp_path)], mode=0o600)
    assert (tmp_path / "copy").read_bytes() == b"x" * (3 << 20)
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600


def test_an_owner_that_cannot_be_kept_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = write(tmp_path)

    def refuse(*arguments: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse, raising=False)
    written = write_patched(*patch_of([path]), [str(tmp_path)])
    assert written.losses == [f"{path} could not keep its owner"]
    assert path.read_text() == FIXED


def test_a_lost_hard_link_is_said(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    os.link(tmp_path / "net.prototxt", tmp_path / "other")
    done = run(tmp_path, "net.prototxt", "--fix")
    assert "net.prototxt was a hard link; its other names keep the old text" in done.stderr
    assert (tmp_path / "other").read_text() == NET
    assert "Softmax" in (tmp_path / "net.prototxt").read_text()


def test_extended_attributes_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_bytes(b"old")
    try:
        os.setxattr(path, "user.origin", b"the zoo")
    except (OSError, AttributeError):
        pytest.skip("this file system has no extended attributes")
    assert write_atomically(str(path), b"old", b"new", [str(tmp_path)]) == []
    assert (path.read_bytes(), os.getxattr(path, "user.origin")) == (b"new", b"the zoo")


def test_a_new_file_has_the_mode_that_the_user_asks_for(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(str(tmp_path / "new"), b"text", [str(tmp_path)])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_leftovers_of_dead_processes_are_removed_and_those_of_others_kept(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(NET.replace("SoftMax", "Softmax"))
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)
    left = [tmp_path / f".caffe-lint-{dead.stdout.strip()}-{digit * 16}" for digit in "0123456789"]
    running = tmp_path / f".caffe-lint-{os.getpid()}-{'0' * 16}"
    foreign = tmp_path / ".caffe-lint-notes"
    for path in (*left, running, foreign):
        path.write_text("half")
    run(tmp_path, "net.prototxt", "--fix")
    assert (any(path.exists() for path in left), running.exists(), foreign.exists()) == (False, True, True)
    remove_leftovers([str(tmp_path)])
    assert running.exists()


def test_a_leftover_that_is_held_is_no_leftover(tmp_path: Path) -> None:
    """The process may run in another container, where its number means another one."""
    fcntl = pytest.importorskip("fcntl")
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    held = tmp_path / f".caffe-lint-{dead.stdout.strip()}-{'0' * 16}"
    no_process = tmp_path / f".caffe-lint-9999999999-{'0' * 16}"  # a greater number than any process has
    for path in (held, no_process):
        path.write_text("half")
    (tmp_path / f".caffe-lint-{dead.stdout.strip()}-{'1' * 16}").mkdir()
    with held.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        remove_leftovers([str(tmp_path), str(tmp_path / "none")])
        assert len(os.listdir(tmp_path)) == 3
    remove_leftovers([str(tmp_path)])
    assert sorted(os.listdir(tmp_path)) == sorted([no_process.name, f".caffe-lint-{dead.stdout.strip()}-{'1' * 16}"])


@pytest.mark.parametrize("name", ["x" * 240 + ".prototxt", "net.prototxt"])
def test_long_names_are_written(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(NET)
    assert run(tmp_path, name, "--fix").returncode == 0
    assert "Softmax" in (tmp_path / name).read_text()


def write(folder: Path, text: str = NET, number: int = 1) -> list[Path]:
    """Write nets with a mistake, each of which has one fix."""
    paths = [folder / f"{index}.prototxt" for index in range(number)]
    for path in paths:
        path.write_text(text)
    return paths


def patch_of(paths: list[Path]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The patched texts of nets, and the texts that they had."""
    return {str(path): FIXED.encode() for path in paths}, {str(path): NET.encode() for path in paths}


def test_what_was_fixed_is_said_with_the_values_only_of_what_was_written(tmp_path: Path) -> None:
    first, second, third = write(tmp_path, number=3)
    solver = 'net: "0.prototxt"\nlr_policy: "step"\ngamma: 10\nstepsize: 100\nbase_lr: 0.01\nmax_iter: 1000\n'
    (tmp_path / "solver.prototxt").write_text(solver)
    patched, sources = patch_of([first, second, third])
    second.write_text(NET + "# of somebody else\n")
    third.unlink()
    written = write_patched(patched, sources, [str(tmp_path)])
    assert written.paths == {str(first)}
    assert written.failures == [
        f"not written: {second} changed while it was being checked; not overwritten",
        f"not written: {third} was removed while it was being checked; not written",
    ]
    assert (first.read_text(), second.read_text()) == (FIXED, NET + "# of somebody else\n")
    assert sorted(os.listdir(tmp_path)) == ["0.prototxt", "1.prototxt", "solver.prototxt"]
    done = run(tmp_path, "solver.prototxt", "--select", "S129", "--fix", "--unsafe-fixes")
    assert "solver.prototxt:3 S129 gamma 10 → 0.1\n" in done.stdout


def test_a_file_that_another_run_has_just_written_in_the_same_way_is_no_failure_and_not_said(tmp_path: Path) -> None:
    paths = write(tmp_path, number=2)
    patched, sources = patch_of(paths)
    paths[0].write_text(FIXED)
    written = write_patched(patched, sources, [str(tmp_path)])
    assert (written.paths, written.failures) == ({str(paths[1])}, [])


def test_two_runs_at_once_end_as_one_does(tmp_path: Path) -> None:
    write(tmp_path, number=25)
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "caffe_lint", ".", "--fix", "--jobs", "1"],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    ends = [(each.communicate(timeout=120), each.returncode) for each in runs]
    assert [status for _, status in ends] == [0, 0], ends
    assert [said for (_, said), _ in ends] == ["", ""]
    assert {path.read_text() for path in tmp_path.glob("*.prototxt")} == {FIXED}
    assert len(os.listdir(tmp_path)) == 25


def test_a_disk_without_room_is_said_and_the_file_stays_as_it_was(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    (path,) = write(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as a full disk, it is an error then
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50, before[1]))
        written = write_patched(*patch_of([path]), [str(tmp_path)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert written.paths == frozenset()
    assert written.failures == [f"not written: {os.strerror(errno.EFBIG)}: {path}"]
    assert (path.read_text(), os.listdir(tmp_path)) == (NET, [path.name])


def test_a_folder_that_may_not_be_written_is_said_and_the_others_are_written(tmp_path: Path) -> None:
    before = bound_by_permissions()
    for name in ("shut", "open"):
        (tmp_path / name).mkdir()
        write(tmp_path / name)
    (tmp_path / "shut").chmod(0o555)
    try:
        done = run_program(tmp_path, ".", "--fix", before=before)
    finally:
        (tmp_path / "shut").chmod(0o755)
    assert done.returncode == 2
    assert "shut/0.prototxt" in done.stderr
    assert "Permission denied" in done.stderr
    assert "shut/0.prototxt:2 E116" not in done.stdout
    assert "open/0.prototxt:2 E116" in done.stdout
    assert ((tmp_path / "shut" / "0.prototxt").read_text(), (tmp_path / "open" / "0.prototxt").read_text()) == (NET, FIXED)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_a_patched_file_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    (path,) = write(tmp_path)
    path.chmod(mode)
    assert write_patched(*patch_of([path]), [str(tmp_path)]).paths == {str(path)}
    assert (stat.S_IMODE(path.stat().st_mode), path.read_text()) == (mode, FIXED)


def test_an_attribute_that_cannot_be_kept_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = write(tmp_path)
    try:
        os.setxattr(path, "user.origin", b"the zoo")
    except (OSError, AttributeError):
        pytest.skip("this file system has no extended attributes")

    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOTSUP, "not here")

    monkeypatch.setattr(os, "setxattr", refuse)
    written = write_patched(*patch_of([path]), [str(tmp_path)])
    assert written.losses == [f"{path} could not keep its attribute user.origin"]
    assert path.read_text() == FIXED
