"""One answer on every path: a file gets the same bytes however the check comes to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import findings_on_disk, patched_on_disk

from caffe_lint.settings.settings import ConfigError
from caffe_lint.source.solver_index import forget_index, mentions_of

NET = """\
layer {
  name: "data"
  type: "DummyData"
  top: "data"
  top: "label"
  dummy_data_param {
    shape { dim: 16 dim: 100 }
    shape { dim: 16 }
    data_filler { type: "gaussian" std: 1 }
    data_filler { type: "constant" }
  }
}
layer {
  name: "ip1"
  type: "InnerProduct"
  bottom: "data"
  top: "ip1"
  inner_product_param { num_output: 50 weight_filler { type: "xavier" } }
}
layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
layer {
  name: "score"
  type: "InnerProduct"
  bottom: "ip1"
  top: "score"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer {
  name: "other"
  type: "InnerProduct"
  bottom: "ip1"
  top: "other"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
layer { name: "heavy" type: "SoftmaxWithLoss" bottom: "other" bottom: "label" top: "heavy" loss_weight: 1000 }
"""
SOLVER = """\
net: "net.prototxt"
base_lr: 0.01
lr_policy: "fixed"
momentum: 0.9
weight_decay: 0.0005
max_iter: 10000
snapshot_prefix: "snapshots/small"
"""


def repository(folder: Path, **files: str) -> Path:
    """A repository with files, whose names have __ for / and no suffix."""
    (folder / ".git").mkdir()
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".prototxt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_net_alone_gets_the_fixes_that_it_has_with_its_solver(tmp_path: Path) -> None:
    repository(tmp_path, solver=SOLVER, net=NET)
    together = patched_on_disk("solver.prototxt", unsafe=True)
    assert set(together) == {"net.prototxt", "solver.prototxt"}
    assert patched_on_disk("net.prototxt", unsafe=True) == {"net.prototxt": together["net.prototxt"]}


def test_only_the_net_is_reported_and_changed_when_only_the_net_is_named(tmp_path: Path) -> None:
    repository(tmp_path, solver=SOLVER, net=NET)
    together = [finding for finding in findings_on_disk(".") if finding.place.path == "net.prototxt"]
    assert [finding.code for finding in together] == ["G103"]
    assert [finding[:8] for finding in findings_on_disk("net.prototxt")] == [finding[:8] for finding in together]


def test_a_solver_in_another_folder_is_found_as_its_net_is(tmp_path: Path) -> None:
    solver = SOLVER.replace("net.prototxt", "models/net.prototxt")
    repository(tmp_path, train__solver=solver, models__net=NET)
    together = patched_on_disk(".", unsafe=True)
    assert set(together) == {"models/net.prototxt", "train/solver.prototxt"}
    for named in ("models/net.prototxt", "./models/../models/net.prototxt", str(tmp_path / "models" / "net.prototxt")):
        assert list(patched_on_disk(named, unsafe=True).values()) == [together["models/net.prototxt"]]


def test_a_solver_with_a_net_of_its_own_is_not_about_the_one_in_the_working_directory(tmp_path: Path) -> None:
    repository(tmp_path, net=NET, models__net=NET, models__solver=SOLVER)
    (finding,) = findings_on_disk("net.prototxt")
    assert finding.fix is None
    assert "No fix: no solver of this repository names this net" in finding.reason
    assert patched_on_disk("net.prototxt", unsafe=True) == {}


@pytest.mark.parametrize("named", [".", "net.prototxt", "a.prototxt", "b.prototxt"])
def test_solvers_that_need_different_changes_leave_their_net_as_it_is(tmp_path: Path, named: str) -> None:
    gentle = SOLVER.replace("base_lr: 0.01", "base_lr: 0.00001\nclip_gradients: 1")
    repository(tmp_path, a=SOLVER.replace("max_iter", "clip_gradients: 10000000\nmax_iter"), b=gentle, net=NET)
    assert "net.prototxt" not in patched_on_disk(named, unsafe=True)
    if named != "b.prototxt":  # this one alone has nothing against the weight
        (finding,) = [finding for finding in findings_on_disk(named) if finding.code == "G103"]
        assert finding.fix is None
        assert "do not all need the same change (a.prototxt, b.prototxt)" in finding.reason


@pytest.mark.parametrize("named", [".", "net.prototxt", "a.prototxt", "b.prototxt"])
def test_solvers_that_need_the_same_change_get_it_on_every_path(tmp_path: Path, named: str) -> None:
    repository(tmp_path, a=SOLVER, b=SOLVER.replace("max_iter: 10000", "max_iter: 20000"), net=NET)
    together = patched_on_disk(".", unsafe=True)
    assert set(together) == {"a.prototxt", "b.prototxt", "net.prototxt"}
    patched = patched_on_disk(named, unsafe=True)
    assert patched["net.prototxt"] == together["net.prototxt"]
    assert patched.items() <= together.items()


def test_a_misspelled_solver_counts_as_it_will_be(tmp_path: Path) -> None:
    repository(tmp_path, solver=SOLVER.replace("base_lr", "base_rl").replace("net:", "nett:"), net=NET)
    alone = patched_on_disk("net.prototxt", unsafe=True)
    together = patched_on_disk(".", unsafe=True)
    assert alone == {"net.prototxt": together["net.prototxt"]}
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    assert patched_on_disk(".", unsafe=True) == together


def test_ignored_and_excluded_solvers_do_not_count(tmp_path: Path) -> None:
    repository(tmp_path, old__solver=SOLVER.replace("net.prototxt", "../net.prototxt"), net=NET)
    assert patched_on_disk("net.prototxt", unsafe=True)
    (tmp_path / ".gitignore").write_text("old/\n")
    assert patched_on_disk("net.prototxt", unsafe=True) == {}
    (tmp_path / ".gitignore").unlink()
    (tmp_path / "caffe-lint.toml").write_text('exclude = ["old/"]\n')
    assert patched_on_disk("net.prototxt", unsafe=True) == {}


def test_a_repository_that_is_too_large_gets_no_fix_that_depends_on_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository(tmp_path, solver=SOLVER, net=NET, third=SOLVER)
    monkeypatch.setattr("caffe_lint.source.repository_files.MAX_FILES", 2)
    for named in ("net.prototxt", "solver.prototxt"):
        (finding,) = [finding for finding in findings_on_disk(named) if finding.code == "G103"]
        assert finding.fix is None
        assert "No fix: there are too many files to search for the solvers that name this net" in finding.reason
        assert "net.prototxt" not in patched_on_disk(named, unsafe=True)


@pytest.mark.parametrize("broken", ["select = [", "nonsense = 1\n"], ids=["no TOML", "unknown key"])
def test_a_broken_configuration_of_a_solver_that_was_found_ends_nothing(tmp_path: Path, broken: str) -> None:
    other = SOLVER.replace("net.prototxt", "../net.prototxt")
    repository(tmp_path, solver=SOLVER, net=NET, old__solver=other)
    (tmp_path / "old" / "caffe-lint.toml").write_text(broken)
    for named in ("net.prototxt", "solver.prototxt"):
        (finding,) = [finding for finding in findings_on_disk(named) if finding.code == "G103"]
        assert finding.fix is None
        assert "No fix: the configuration for 'old/solver.prototxt', which may train this net, is broken" in finding.reason
        assert "net.prototxt" not in patched_on_disk(named, unsafe=True)
    for named in (".", "old/solver.prototxt"):
        with pytest.raises(ConfigError):
            findings_on_disk(named)


def test_a_broken_configuration_of_a_net_of_a_solver_that_was_found_ends_nothing(tmp_path: Path) -> None:
    other = SOLVER.replace("net:", "train_net:") + 'test_net: "old/test.prototxt"\ntest_iter: 1\ntest_interval: 100\n'
    repository(tmp_path, solver=SOLVER, net=NET, other=other, old__test=NET)
    (tmp_path / "old" / "caffe-lint.toml").write_text("nonsense = 1\n")
    for named in ("net.prototxt", "solver.prototxt"):
        (finding,) = [finding for finding in findings_on_disk(named) if finding.code == "G103"]
        assert finding.fix is None
        assert "No fix: the configuration for another net of its solvers is broken" in finding.reason
    with pytest.raises(ConfigError):
        findings_on_disk("other.prototxt")


def test_a_net_without_findings_on_stability_costs_no_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path, solver=SOLVER, net=NET.replace(" loss_weight: 1000", "").replace("relu1", "typo: 1 relu1", 1))

    def no_search(root: str) -> None:
        raise AssertionError(f"searched {root}")

    monkeypatch.setattr("caffe_lint.source.solver_index.repository_files", no_search)
    assert findings_on_disk("net.prototxt") == []


def test_a_net_is_judged_by_the_configuration_of_its_solver(tmp_path: Path) -> None:
    solver = SOLVER.replace("net.prototxt", "../nets/net.prototxt")
    data = 'dummy_data_param {\n    shape { dim: 16 dim: 100 }\n    shape { dim: 16 }\n'
    assert data in NET
    custom = NET.replace('type: "ReLU"', 'type: "OurActivation"')
    repository(tmp_path, train__solver=solver, nets__net=custom)
    (tmp_path / "train" / "caffe-lint.toml").write_text('[layers.OurActivation]\nlike = "ReLU"\n')
    together = patched_on_disk(".", unsafe=True)
    assert b"loss_weight: 1000" not in together["nets/net.prototxt"]
    for named in ("train/solver.prototxt", "nets/net.prototxt"):
        assert patched_on_disk(named, unsafe=True)["nets/net.prototxt"] == together["nets/net.prototxt"]


def test_no_clip_threshold_is_written_for_a_loss_weight_that_is_not(tmp_path: Path) -> None:
    gentle = SOLVER.replace("base_lr: 0.01", "base_lr: 0.00001\nclip_gradients: 1")
    repository(tmp_path, a=SOLVER, b=gentle, net=NET)
    assert patched_on_disk(".", unsafe=True) == {}
    assert [finding.fix for finding in findings_on_disk(".") if finding.code in ("G101", "G102", "G103")] == [None, None]


def test_of_many_folders_that_are_alike_only_the_solver_of_the_net_is_read(tmp_path: Path) -> None:
    repository(tmp_path, **{f"m{number}__{name}": text for number in range(20) for name, text in (("solver", SOLVER), ("net", NET))})
    forget_index()
    assert mentions_of("m7/net.prototxt").paths == (str(tmp_path / "m7" / "solver.prototxt"),)
