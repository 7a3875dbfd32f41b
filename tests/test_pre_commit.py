"""The pre-commit hooks, run by pre-commit itself from this checkout on a repository made for the test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pre_commit", reason="pre-commit is not installed (make test installs it)")

CHECKOUT = Path(__file__).resolve().parent.parent
if not (CHECKOUT / ".git").exists() or not shutil.which("git"):
    pytest.skip("pre-commit takes hooks from git repositories; this is none", allow_module_level=True)

SOLVER = """\
# no clipping yet
net: "net.prototxt"
base_lr: 0.001
lr_policy: "fixed"
momentum: 0.9
max_iter: 100
snapshot_prefix: "small"
"""
NET = """\
layer {
  name: "data" type: "Data" top: "data" top: "label"
  transform_param { scale: 0.00390625 }
  data_param { source: "digits_lmdb" batch_size: 8 backend: LMDB }
}
layer {
  name: "score" type: "InnerProduct" bottom: "data" top: "score"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
"""

pytestmark = pytest.mark.pypi


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Git and pre-commit without the user's settings; hooks are installed once for all tests."""
    home = tmp_path_factory.mktemp("home")
    git = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    names = {
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@t",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@t",
    }
    safe = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    return {**git, **names, **safe, "PRE_COMMIT_HOME": str(home), "GIT_CONFIG_GLOBAL": os.devnull}


@pytest.fixture
def repository(tmp_path: Path, environment: dict[str, str]) -> Path:
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "labels.prototxt").write_text('item { name: "background" label: 0 }\n')
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "start"]):
        subprocess.run(["git", *command], cwd=tmp_path, env=environment, check=True)
    return tmp_path


def try_hook(hook: str, repository: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pre_commit",
        "try-repo",
        str(CHECKOUT),
        hook,
        "--all-files",
        "--verbose",
    ]
    return subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True)


def test_the_check_reports_and_leaves_the_files_alone(repository: Path, environment: dict[str, str]) -> None:
    run = try_hook("caffe-lint", repository, environment)
    assert "G101" in run.stdout, run.stdout + run.stderr
    assert (repository / "solver.prototxt").read_text() == SOLVER
    # Advice alone does not stop a commit, and a label map is none of the linter's business.
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_fix_patches_and_stops_the_commit(repository: Path, environment: dict[str, str]) -> None:
    run = try_hook("caffe-lint-fix", repository, environment)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "files were modified by this hook" in run.stdout
    patched = (repository / "solver.prototxt").read_text()
    assert "\nclip_gradients: " in patched
    assert patched.startswith("# no clipping yet\n")
    assert (repository / "net.prototxt").read_text() == NET
