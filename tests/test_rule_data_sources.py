"""D116 and D117: sources whose names do not match what the layer opens, and image lists that a test does not read once."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import check, check_files, fix, fix_files


def net(settings: str, kind: str = "Data", field: str = "data_param") -> str:
    return f"""\
layer {{
  name: "data"
  type: "{kind}"
  top: "data"
  top: "label"
  {field} {{ {settings} batch_size: 8 }}
}}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "loss" }}
"""


def fixed(text: str) -> str:
    return fix(text, select=("D116",), unsafe=True)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ('source: "train_lmdb"', 'source: "train_lmdb" backend: LMDB'),
        ('source: "train_lmdb" backend: LEVELDB', 'source: "train_lmdb" backend: LMDB'),
        ('source: "train_leveldb/" backend: LMDB', 'source: "train_leveldb/" backend: LEVELDB'),
        ('source: "lmdb/train_leveldb" backend: LMDB', 'source: "lmdb/train_leveldb" backend: LEVELDB'),
        ('source: "my_LMDB/train"', 'source: "my_LMDB/train" backend: LMDB'),
        ('source: "a/data.mdb" backend: LMDB', 'source: "a" backend: LMDB'),
        ('source: "home/me/a" backend: LMDB', 'source: "/home/me/a" backend: LMDB'),
    ],
)
def test_a_name_that_does_not_match(wrong: str, right: str) -> None:
    (finding,) = check(net(wrong), select=("D116",))
    assert (finding.place.line, finding.severity) == (6, "warning")
    assert fix(net(wrong), select=("D116",)) == net(wrong)
    assert fixed(net(wrong)) == net(right)
    assert check(net(right), select=("D116",)) == []


@pytest.mark.parametrize(
    "settings",
    [
        'source: "train_lmdb" backend: LMDB',
        'source: "train_leveldb"',
        'source: "train"',
        'source: "lmdb_or_leveldb" backend: LMDB',
        'source: "data/home/a" backend: LMDB',
        'source: "homes/a" backend: LMDB',
    ],
)
def test_names_that_match(settings: str) -> None:
    assert check(net(settings), select=("D116",)) == []


def test_a_list_is_read_by_image_data_only() -> None:
    (finding,) = check(net('source: "train.txt" backend: LMDB'), select=("D116",))
    assert finding.fix is None
    assert check(net('source: "lmdb/train.txt"', "ImageData", "image_data_param"), select=("D116",)) == []
    images = net('source: "home/me/train.txt"', "ImageData", "image_data_param")
    assert fixed(images) == images.replace('"home', '"/home')


def test_a_path_in_an_existing_folder_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = net('source: "home/me/a" backend: LMDB')
    monkeypatch.chdir(tmp_path)
    assert len(check(text, select=("D116",))) == 1
    (tmp_path / "home").mkdir()
    assert check(text, select=("D116",)) == []


def test_databases_of_v1_nets_are_checked() -> None:
    text = 'layers { name: "data" type: DATA top: "data" top: "label" data_param { source: "a_lmdb" batch_size: 8 } }\n'
    assert fixed(text) == text.replace('"a_lmdb"', '"a_lmdb" backend: LMDB')


# -- lists that exist -----------------------------------------------------------------------------------------

SOLVER = 'net: "net.prototxt"\ntest_iter: 3\ntest_interval: 10\nbase_lr: 0.01\nlr_policy: "fixed"\nmax_iter: 9\n'
LIST_NET = """\
layer { name: "data" type: "ImageData" top: "data" top: "label" include { phase: TEST }
  image_data_param { source: "val.txt" batch_size: 4 } }
layer { name: "data" type: "DummyData" top: "data" top: "label" include { phase: TRAIN }
  dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "loss" }
"""


@pytest.mark.parametrize(
    ("items", "wanted"), [(8, 2), (9, None), (12, None), (15, None), (16, 4), (17, 5), (0, None)]
)
def test_test_iter_covers_an_existing_list_once(
    items: int, wanted: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "val.txt").write_text("".join(f"{number}.png 0\n" for number in range(items)))
    texts = {"solver.prototxt": SOLVER, "net.prototxt": LIST_NET}
    findings = check_files(texts, select=("D117",))
    assert [finding.place.line for finding in findings] == ([] if wanted is None else [2])
    fixed = SOLVER if wanted is None else SOLVER.replace("test_iter: 3", f"test_iter: {wanted}")
    assert fix_files(texts, select=("D117",)) == texts
    assert fix_files(texts, select=("D117",), unsafe=True)["solver.prototxt"] == fixed


def test_a_missing_list_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check_files({"solver.prototxt": SOLVER, "net.prototxt": LIST_NET}, select=("D117",)) == []
