"""What helps to adopt the program: init, hooks with solvers, the action, the image, completion, and the manual page."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import select
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from harness import NET, SOLVER, run

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed (make test installs it)")

CHECKOUT = Path(__file__).resolve().parent.parent
if not (CHECKOUT / "action.yml").exists():
    pytest.skip("there is no checkout to look at", allow_module_level=True)


def module_of(path: Path) -> ModuleType:
    """A program of the checkout as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DIGITS = CHECKOUT / "examples" / "digits"


def repository(folder: Path) -> Path:
    """A git repository with a job that is likely to diverge; of its net alone there is nothing to say."""
    (folder / ".git").mkdir()
    (folder / "nets").mkdir()
    shutil.copyfile(DIGITS / "train_val.prototxt", folder / "nets" / "net.prototxt")
    text = (
        (DIGITS / "solver.prototxt")
        .read_text()
        .replace("base_lr: 0.01", "base_lr: 50")
        .replace("clip_gradients: 10", "")
    )
    (folder / "solver.prototxt").write_text(text.replace("train_val.prototxt", "nets/net.prototxt"))
    return folder


# -- init --------------------------------------------------------------------------------------------


def test_init_writes_what_makes_old_findings_quiet_and_new_ones_loud(tmp_path: Path) -> None:
    folder = repository(tmp_path)
    assert run(folder, ".").returncode == 1
    done = run(folder / "nets", "init")  # the root is found from below
    assert done.returncode == 0
    assert {path.name for path in folder.iterdir() if path.is_file()} == {
        "caffe-lint.toml", "caffe-lint.baseline.json", ".pre-commit-config.yaml", "solver.prototxt",
    }  # fmt: skip
    assert json.loads((folder / "caffe-lint.baseline.json").read_text())["findings"]
    assert run(folder, ".").returncode == 0
    net = folder / "nets" / "net.prototxt"
    net.write_text(net.read_text().replace('bottom: "label"', 'bottom: "labels"'))
    assert run(folder, ".").returncode == 1


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    folder = repository(tmp_path)
    run(folder, "init")
    files = ("caffe-lint.toml", "caffe-lint.baseline.json", ".pre-commit-config.yaml")
    for name in files:
        (folder / name).write_text(f"{(folder / name).read_text()}\n")
    before = {name: (folder / name).read_text() for name in files}
    done = run(folder, "init")
    assert done.returncode == 0
    assert {name: (folder / name).read_text() for name in files} == before
    assert all(f"{name} is there and stays as it is" in done.stdout for name in files)
    assert "add to" not in done.stdout  # all three are complete


def test_init_says_what_to_add_to_files_that_are_there(tmp_path: Path) -> None:
    folder = repository(tmp_path)
    mine = {
        ".pre-commit-config.yaml": "# caffe-lint comes later\nrepos:   # ours\n- repo: local\n  hooks: []\n",
        "pyproject.toml": '[tool.caffe-lint]  # ours\nfail-on = "error"\n',
    }
    for name, text in mine.items():
        (folder / name).write_text(text)
    for _ in range(2):  # as long as nothing was added
        done = run(folder, "init")
        assert done.returncode == 0
        assert {name: (folder / name).read_text() for name in mine} == mine
        assert 'add to it:\n  baseline = "caffe-lint.baseline.json"' in done.stdout
        assert "add to its `repos`:\n  - repo: local" in done.stdout
    assert not (folder / "caffe-lint.toml").exists()
    (folder / "pyproject.toml").write_text(f'{mine["pyproject.toml"]}baseline = "caffe-lint.baseline.json"\n')
    (folder / ".pre-commit-config.yaml").write_text("repos:\n- repo: ../caffe-lint\n  hooks: [{id: x}]\n- hooks:\n  - id: caffe-lint\n")
    assert "add to" not in run(folder, "init").stdout


def test_init_without_a_repository_writes_to_the_folder_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "jobs" / "one").mkdir(parents=True)
    (tmp_path / "jobs" / "one" / "net.prototxt").write_text(NET)
    done = run(tmp_path, "init", "jobs/one")
    assert done.returncode == 0
    assert {path.name for path in (tmp_path / "jobs" / "one").iterdir()} == {
        "net.prototxt", "caffe-lint.toml", "caffe-lint.baseline.json",
    }  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == {"jobs"}
    assert "wrote jobs/one/caffe-lint.toml" in done.stdout


def test_init_where_there_is_nothing_to_check_says_so(tmp_path: Path) -> None:
    done = run(tmp_path, "init")
    assert done.returncode == 0
    assert "no Caffe solver or net found" in done.stderr


@pytest.mark.parametrize("name", ["caffe-lint.toml", "pyproject.toml"])
def test_init_with_a_broken_configuration_writes_nothing(tmp_path: Path, name: str) -> None:
    folder = repository(tmp_path)
    (folder / name).write_text("[tool.caffe-lint]\nfail-on = 3\n" if name == "pyproject.toml" else "fail-on = 3\n")
    done = run(folder, "init")
    assert (done.returncode, done.stdout) == (2, "")
    assert not (folder / ".pre-commit-config.yaml").exists()
    assert not (folder / "caffe-lint.baseline.json").exists()


def test_init_where_nothing_may_be_written_says_so(tmp_path: Path) -> None:
    folder = repository(tmp_path)
    folder.chmod(0o555)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write everywhere")
        done = run(folder, "init")
    finally:
        folder.chmod(0o755)
    assert done.returncode == 2
    assert "caffe-lint.baseline.json: " in done.stderr
    assert not (folder / ".pre-commit-config.yaml").exists()


def test_init_takes_a_pyproject_for_a_configuration_and_writes_no_hook_without_git(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "pyproject.toml").write_text('[tool.caffe-lint]\nfail-on = "error"\n')
    done = run(tmp_path, "init")
    assert done.returncode == 0
    assert "pyproject.toml is there" in done.stdout
    assert "no hook" in done.stdout
    assert not (tmp_path / "caffe-lint.toml").exists()
    assert not (tmp_path / ".pre-commit-config.yaml").exists()


def test_the_hook_that_init_writes_is_that_of_this_repository(tmp_path: Path) -> None:
    run(repository(tmp_path), "init")
    (hook,) = yaml.safe_load((tmp_path / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    ours = {each["id"]: each for each in yaml.safe_load((CHECKOUT / ".pre-commit-hooks.yaml").read_text())}
    assert {key: hook[key] for key in ("entry", "files", "require_serial")} == {
        key: ours["caffe-lint"][key] for key in ("entry", "files", "require_serial")
    }


# -- nets with their solvers ----------------------------------------------------------------------------


def test_a_net_alone_is_judged_with_its_solver(tmp_path: Path) -> None:
    folder = repository(tmp_path)
    (folder / "other.prototxt").write_text(
        'net: "elsewhere.prototxt"\nbase_lr: 1000\nlr_policy: "fixed"\nmax_iter: 9\n'
    )
    assert run(folder, "nets/net.prototxt").returncode == 0
    done = run(folder, "nets/net.prototxt", "--with-solvers")
    assert done.returncode == 1
    assert "solver.prototxt: likely to diverge" in done.stdout
    assert "other.prototxt" not in done.stdout + done.stderr
    together = run(folder, "nets/net.prototxt", "solver.prototxt")
    assert (together.returncode, together.stdout) == (done.returncode, done.stdout)


def test_excluded_solvers_and_standard_input_are_left_alone(tmp_path: Path) -> None:
    folder = repository(tmp_path)
    (folder / "caffe-lint.toml").write_text('exclude = ["solver.prototxt"]\n')
    assert run(folder, "nets/net.prototxt", "--with-solvers").returncode == 0
    assert (
        run(folder, "-", "--with-solvers", "--stdin-filename", "nets/net.prototxt", stdin=NET.encode()).returncode == 0
    )


# -- the action ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def action() -> dict[str, Any]:
    text: dict[str, Any] = yaml.safe_load((CHECKOUT / "action.yml").read_text(encoding="utf-8"))
    return text


def scripts(action: dict[str, Any]) -> dict[str, str]:
    return {step["name"]: step["run"] for step in action["runs"]["steps"] if "run" in step}


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    """A temporary folder of a runner in which caffe-lint is installed: this one."""
    bin_folder = tmp_path / "runner" / "caffe-lint" / "bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / "caffe-lint").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m caffe_lint "$@"\n')
    (bin_folder / "caffe-lint").chmod(0o755)
    return tmp_path / "runner"


def step(script: str, folder: Path, runner: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RUNNER_TEMP": str(runner), "PATHS": ".", "OPTIONS": "", **inputs}
    # As GitHub runs `shell: bash`.
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


def test_the_action_puts_no_input_into_a_script(action: dict[str, Any]) -> None:
    assert action["runs"]["using"] == "composite"
    assert [name for name, script in scripts(action).items() if "${{" in script] == []
    used = set(re.findall(r"inputs\.([\w-]+)", (CHECKOUT / "action.yml").read_text()))
    assert used == set(action["inputs"])
    assert all(each.get("shell") == "bash" for each in action["runs"]["steps"] if "run" in each)


@needs_bash
def test_the_action_annotates_and_fails_at_the_level_that_counts(
    action: dict[str, Any], tmp_path: Path, runner: Path
) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    repository(folder)
    script = scripts(action)["Annotate, and fail at the level that counts"]
    done = step(script, folder, runner)
    assert done.returncode == 1
    assert re.search(
        r"^::warning title=G102 high-learning-rate,file=solver\.prototxt,line=7,", done.stdout, re.MULTILINE
    )
    assert (
        step(script, folder, runner, PATHS="nets/net.prototxt  solver.prototxt", OPTIONS="--fail-on error").returncode
        == 0
    )
    hostile = step(script, folder, runner, PATHS="$(touch x) ; touch y", OPTIONS="`touch z`")
    assert hostile.returncode == 2
    assert not {"x", "y", "z"} & {path.name for path in folder.iterdir()}


@needs_bash
def test_the_action_writes_a_report_for_code_scanning_and_goes_on(
    action: dict[str, Any], tmp_path: Path, runner: Path
) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    repository(folder)
    assert step(scripts(action)["Write the report for code scanning"], folder, runner).returncode == 0
    (report,) = json.loads((runner / "caffe-lint.sarif").read_text())["runs"]
    assert report["properties"] == {"schemaVersion": 1}
    assert {result["ruleId"] for result in report["results"]} >= {"G102"}
    (upload,) = [each for each in action["runs"]["steps"] if "upload-sarif" in each.get("uses", "")]
    assert upload["with"]["sarif_file"].endswith("/caffe-lint.sarif")


@needs_bash
@pytest.mark.pypi
def test_the_action_installs_this_checkout(action: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    copy = copied(tmp_path)
    done = step(
        scripts(action)["Install caffe-lint"], tmp_path, tmp_path, SOURCE=str(copy), EXTRAS="simulate", PATH=path
    )
    assert done.returncode == 0, done.stderr
    program = tmp_path / "caffe-lint" / "bin" / "caffe-lint"
    assert subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.startswith(
        "caffe-lint, version "
    )
    assert (tmp_path / "caffe-lint" / "share" / "man" / "man1" / "caffe-lint.1").is_file()


# -- the image -------------------------------------------------------------------------------------------


def copied(folder: Path) -> Path:
    """A copy of the checkout as `COPY .` makes it."""
    ignored = [line.removeprefix("**/") for line in (CHECKOUT / ".dockerignore").read_text().split()]
    ignored += ["caffe.binpb", "caffe.schema", "caffe_pb2.pyi", "*.egg-info"]
    return Path(shutil.copytree(CHECKOUT, folder / "source", ignore=shutil.ignore_patterns(*ignored)))


def stages() -> list[list[str]]:
    """The RUN lines of each stage of the Dockerfile."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (CHECKOUT / "Dockerfile").read_text()).replace("\\\n", " ")
    return [
        re.findall(r"^RUN (?:--mount=\S+ +)?(.*)$", stage, re.MULTILINE) for stage in re.split(r"(?m)^FROM ", text)[1:]
    ]


def test_the_image_runs_as_nobody_and_holds_no_build_tools() -> None:
    last = (CHECKOUT / "Dockerfile").read_text().split("\nFROM ")[-1]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", last, re.MULTILINE)
    assert "COPY" not in last
    assert 'ENTRYPOINT ["caffe-lint"]' in last
    assert [len(each) for each in stages()] == [1, 1]


@needs_bash
@pytest.mark.pypi
def test_the_lines_that_build_the_image_install_a_program_that_runs(tmp_path: Path) -> None:
    """RUN of each stage, in an empty environment of its own; what `COPY .` and the mount bring is put there."""
    copied(tmp_path)
    for number, lines in enumerate(stages()):
        environment = tmp_path / f"stage{number}"
        venv.create(environment, with_pip=True)
        variables = {**os.environ, "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        for line in lines:
            done = subprocess.run(
                ["sh", "-ec", line], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    nobody = {"PATH": str(tmp_path / "stage1" / "bin"), "HOME": "/nonexistent"}
    for words in (["solver.prototxt"], ["simulate", "solver.prototxt"]):
        done = subprocess.run(
            [tmp_path / "stage1" / "bin" / "caffe-lint", *words],
            cwd=tmp_path,
            env=nobody,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")


# -- completion --------------------------------------------------------------------------------------------


def completed(folder: Path, *words: str) -> set[str]:
    program = "import sys; sys.argv[0] = 'caffe-lint'; from caffe_lint.cli.main import main; main()"
    line = " ".join(["caffe-lint", *words])
    environment = {
        **os.environ, "_CAFFE_LINT_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words)),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["sim"], {"plain,simulate"}),
        (["sol"], {"file,sol"}),
        (["--with-s"], {"plain,--with-solvers"}),
        (["solver.prototxt", "--unsafe"], {"plain,--unsafe-fixes"}),
        (["solver.prototxt", "--output-format", "sa"], {"plain,sarif"}),
        (["signal", "--data-facts", "fac"], {"file,fac"}),
        (["log", "train.log", "--select", "T201,T20"], {f"plain,T201,T20{number}" for number in range(1, 9)}),
        (["explain", "dominant"], {"plain,dominant-loss"}),
    ],
)
def test_shells_complete_commands_options_files_and_rules(tmp_path: Path, words: list[str], expected: set[str]) -> None:
    found = completed(tmp_path, *words)
    assert expected <= found
    assert all(item.startswith(("file,", f"plain,{words[-1]}")) for item in found)


@needs_bash
def test_bash_completes_with_the_line_that_the_documentation_gives(tmp_path: Path) -> None:
    (line,) = re.findall(r"bashrc`: `(.*?)` \|", (CHECKOUT / "docs" / "usage.md").read_text())
    (tmp_path / "caffe-lint").write_text(f"#!{sys.executable}\nfrom caffe_lint.cli.main import main\nmain()\n")
    (tmp_path / "caffe-lint").chmod(0o755)
    script = f'{line}\nCOMP_WORDS=(caffe-lint sched); COMP_CWORD=1; _caffe_lint_completion caffe-lint; echo "${{COMPREPLY[@]}}"; complete -p caffe-lint'
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
    if "4.4" in done.stderr:
        pytest.skip("this bash is older than 4.4")
    assert done.stdout.startswith("schedule\ncomplete ")


def documented(shell: str) -> str:
    """The line that the documentation gives for completion in a shell."""
    found = re.search(rf"^\| {shell} \| `[^`]*`: `(.*)` \|$", (CHECKOUT / "docs" / "usage.md").read_text(), re.MULTILINE)
    assert found is not None
    return found[1].replace("\\|", "|")


@pytest.fixture
def shell_environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a shell that has the program on its path, and a home without settings."""
    program = tmp_path / "bin" / "caffe-lint"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom caffe_lint.cli.main import main\nmain()\n")
    program.chmod(0o755)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "solver.prototxt").write_text(SOLVER)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "HOME": str(tmp_path), "TERM": "dumb"}


IN_SHELLS = [
    ("caffe-lint sched", "schedule"),
    ("caffe-lint signal sol", "solver.prototxt"),
    ("caffe-lint solver.prototxt --output-format sa", "sarif"),
    ("caffe-lint log train.log --select T201,G10", "T201,G101"),
]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_with_the_line_that_the_documentation_gives(tmp_path: Path, shell_environment: dict[str, str]) -> None:
    asked = [f"complete -C '{typed}'; echo --" for typed, _ in IN_SHELLS]
    done = subprocess.run(
        ["fish", "--no-config", "-c", "\n".join([documented("fish"), *asked])],
        cwd=tmp_path / "work", env=shell_environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    answers = done.stdout.split("--\n")
    for (_, expected), answer in zip(IN_SHELLS, answers, strict=False):
        assert expected in [line.partition("\t")[0] for line in answer.splitlines()]
    (described,) = subprocess.run(
        ["fish", "--no-config", "-c", f"{documented('fish')}\ncomplete -C 'caffe-lint view'"],
        cwd=tmp_path / "work", env=shell_environment, capture_output=True, text=True, check=False,
    ).stdout.splitlines()  # fmt: skip
    assert described.endswith("on one page.")  # behind a comma too


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
@pytest.mark.parametrize(("typed", "expected"), IN_SHELLS)
def test_zsh_completes_with_the_line_that_the_documentation_gives(
    tmp_path: Path, shell_environment: dict[str, str], typed: str, expected: str
) -> None:
    lines = ["autoload -Uz compinit; compinit -u", documented("zsh"), "echo rea''dy"]
    assert expected in _after_tab(["zsh", "-f", "-i"], lines, typed, expected, tmp_path / "work", shell_environment)


def _after_tab(
    shell: list[str], lines: list[str], typed: str, expected: str, folder: Path, environment: dict[str, str]
) -> str:
    """What an interactive shell shows after lines, then words and the tabulator key."""
    pty = pytest.importorskip("pty", reason="there are no terminals like those of POSIX")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        shell, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)

        def read_to(word: str) -> str:
            shown = b""
            while word.encode() not in shown and select.select([ours], [], [], 120)[0]:
                shown += os.read(ours, 4096)
            return shown.decode("utf-8", "replace")

        os.write(ours, "".join(f"{line}\n" for line in lines).encode())
        read_to("ready\r\n")
        os.write(ours, f"{typed}\t".encode())
        shown = read_to(expected)
        process.kill()
    os.close(ours)
    return shown


# -- fleets --------------------------------------------------------------------------------------------------


def test_the_function_of_the_spark_job_finds_what_the_program_finds() -> None:
    job = module_of(CHECKOUT / "examples" / "fleets" / "job.py")
    names = ("solver.prototxt", "train_val.prototxt")
    texts = {f"letters/{name}": (CHECKOUT / "examples" / "letters" / name).read_bytes() for name in names}
    report = json.loads(run(CHECKOUT / "examples", "letters", "--isolated", "--output-format", "json").stdout)
    expected = [tuple(each[key] for key in ("path", "line", "column", "code")) for each in report["findings"]]
    found = [row[1:5] for row in job.findings_of("letters", texts)]
    assert ("letters/solver.prototxt", "S121") in {(path, code) for path, _, _, code in found}
    assert found == expected


def test_the_spark_job_finds_nothing_on_the_disk_of_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = module_of(CHECKOUT / "examples" / "fleets" / "job.py")
    solver = b'net: "net.prototxt"\nbase_lr: 0.01\nlr_policy: "fixed"\nmax_iter: 9\nsnapshot_prefix: "s"\n'
    expected = list(job.findings_of("r", {"r/solver.prototxt": solver}))
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "net.prototxt").write_text(NET)
    (tmp_path / "net.prototxt").write_text(NET)
    monkeypatch.chdir(tmp_path)
    found = list(job.findings_of("r", {"r/solver.prototxt": solver}))
    assert "net.prototxt" in " ".join(row[8] for row in expected)  # not found
    assert found == expected


def test_what_the_spark_job_cannot_check_is_a_row_without_a_code() -> None:
    job = module_of(CHECKOUT / "examples" / "fleets" / "job.py")
    rows = list(job.findings_of("r", {"r/net.prototxt": b"\0\1\2" * 100, "r/other.prototxt": NET.encode()}))
    assert [row[4] for row in rows] == [""]
    assert "r/net.prototxt" in rows[0][8]


# -- the manual page -----------------------------------------------------------------------------------------


def test_the_manual_page_is_current() -> None:
    module = module_of(CHECKOUT / "docs" / "man_page.py")
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run: python docs/man_page.py"


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
def test_man_shows_the_page_without_a_warning() -> None:
    command = ["man", "--warnings", "-l", str(CHECKOUT / "docs" / "caffe-lint.1")]
    done = subprocess.run(
        command, env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"man does not show pages here: {done.stderr}")
    assert done.stderr == ""
    assert "--with-solvers" in done.stdout
