"""The file of facts about data: read, written, found, and used for the tops of data layers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nets import net_of

from caffe_lint.cli.commands import run
from caffe_lint.moments.blob_facts import BlobFacts
from caffe_lint.net.data_facts import FactsError, SourceFacts, input_shapes, read_facts, tops_facts, write_facts
from caffe_lint.settings.nearest_files import find_facts
from caffe_lint.source.errors import InputError

FACTS = {
    "data/train": {
        "kind": "lmdb", "items": 50, "shape": [3, 8, 9], "min": 0.0, "max": 255.0, "mean": 100.5, "mean_abs": 100.5,
        "std": 80.25, "labels": [0, 9], "looked_at": 50,
    },
    "data/train.txt": {
        "kind": "hdf5", "items": 7, "datasets": {"x": {"shape": [10], "min": -1.0, "max": 1.0}, "y": {"shape": []}},
    },
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "caffe-lint.data.json"
    path.write_text(json.dumps(FACTS))
    return path


def test_facts_are_written_as_they_were_read(path: Path, tmp_path: Path) -> None:
    facts = read_facts(str(path))
    write_facts(str(tmp_path / "copy.json"), facts)
    assert json.loads((tmp_path / "copy.json").read_text()) == FACTS


def test_facts_about_other_sources_are_kept(path: Path) -> None:
    facts = read_facts(str(path))
    write_facts(str(path), {"new": facts["data/train"]._replace(items=3)})
    again = read_facts(str(path))
    assert set(again) == {"data/train", "data/train.txt", "new"}
    assert again["new"].items == 3


def test_the_nearest_file_upwards_is_used(path: Path) -> None:
    below = path.parent / "a" / "b"
    below.mkdir(parents=True)
    assert find_facts(str(below / "net.prototxt")) == str(path)


def test_tops_of_a_database_are_data_and_label(path: Path) -> None:
    net = net_of(
        'layer { name: "d" type: "Data" top: "data" top: "label" data_param { source: "data/train" batch_size: 4 } }'
    )
    data, label = tops_facts(net.layers[0], read_facts(str(path)))
    assert data is not None
    assert (data.shape, data.mean) == ((3, 8, 9), 100.5)
    assert label is not None
    assert (label.minimum, label.maximum) == (0, 9)
    assert input_shapes(net.layers[0], read_facts(str(path))) == [(0, 3, 8, 9), (0,)]


def test_tops_of_hdf5_are_found_by_name(path: Path) -> None:
    net = net_of(
        'layer { name: "d" type: "HDF5Data" top: "y" top: "x" top: "z"'
        ' hdf5_data_param { source: "data/train.txt" batch_size: 4 } }'
    )
    assert input_shapes(net.layers[0], read_facts(str(path))) == [(4,), (4, 10), None]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", r"f\.json: not valid JSON in line 1, column 2$"),
        ("[" * 100_000, r"f\.json: not valid JSON: nested too deeply$"),
        ('{"a": NaN}', r"f\.json: not valid JSON: NaN is not a finite number$"),
        ('{"a": {"kind": "lmdb", "items": true}}', "'items' must be a number of items, not true$"),
        ('{"a": {"kind": "lmdb", "items": {"x": null, "y": [[[1]]]}}}', r"not {x: null, y: \[…\]}$"),
        ('{"a": {"kind": "lmdb", "items": %s}}' % ("[" * 900 + "]" * 900), r"not \[\[…\]\]$"),
        (f'{{"a": {{"kind": "lmdb", "items": {[*range(100)]}}}}}', r"not \[0, 1, 2, 3, 4, 5, …\]$"),
        ("[]", "expected an object"),
        ('{"a": 1}', "an object with a 'kind'"),
        ('{"a": {"kind": "lmdb", "items": -1}}', "'items' must be a number"),
        ('{"a": {"kind": "lmdb", "shape": [1, "x"]}}', "'shape' must be a list"),
        ('{"a": {"kind": "lmdb", "shape": [1], "mean": "x"}}', "'mean' must be a number"),
        ('{"a": {"kind": "lmdb", "labels": [1]}}', "'labels' must be"),
        ('{"a": {"kind": "hdf5", "datasets": {"x": 1}}}', "the facts about an array as an object"),
        (
            '{"a": {"kind": "hdf5", "datasets": {"x": {"shape": [2], "value_counts": {"a": 1}}}}}',
            "keys of 'value_counts'",
        ),
    ],
)
def test_an_invalid_file_is_an_error(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(FactsError, match=words):
        read_facts(str(tmp_path / "f.json"))


NET = """\
layer {
  name: "d" type: "Data" top: "data" top: "label"
  data_param { source: "data/train" batch_size: 4 backend: LMDB }
}
layer {
  name: "c" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 4 kernel_size: 3 group: 2 }
}
layer { name: "s" type: "Silence" bottom: "c" bottom: "label" }
"""


def test_the_check_reads_the_facts_it_finds(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    net = path.parent / "net.prototxt"
    net.write_text(NET)
    assert run(["check", str(net), "--select", "E"]) == 1
    assert "group" in capfd.readouterr().out  # 3 channels, which the net does not say
    assert run(["check", str(net), "--select", "E", "--isolated"]) == 0


def test_a_net_is_shown_with_the_shapes_of_the_facts(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    net = path.parent / "net.prototxt"
    net.write_text(NET.replace(" group: 2", ""))
    assert run(["net", str(net), "--output-format", "json"]) == 0
    layers = json.loads(capfd.readouterr().out)
    assert "4 x 3 x 8 x 9" in str(layers) or "[4, 3, 8, 9]" in str(layers)


def test_invalid_facts_stop_the_check(path: Path) -> None:
    path.write_text("{")
    (path.parent / "net.prototxt").write_text(NET)
    with pytest.raises(InputError, match="not valid JSON"):
        run(["check", str(path.parent / "net.prototxt")])


SOLVER = """\
net: "net.prototxt"
test_iter: 3
test_interval: 10
base_lr: 0.01
lr_policy: "fixed"
max_iter: 100
snapshot_prefix: "s"
clip_gradients: 10
"""
JOB_NET = """\
layer {
  name: "d" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { crop_size: 9 mean_value: 1 mean_value: 2 }
  data_param { source: "data/train" batch_size: 4 }
}
layer {
  name: "t" type: "Data" top: "data" top: "label" include { phase: TEST }
  data_param { source: "data/test" batch_size: 5 backend: LMDB }
}
layer {
  name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def test_checks_compare_nets_with_the_facts(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    facts = {
        "data/train": {"kind": "lmdb", "items": 50, "shape": [3, 8, 9], "labels": [1, 10]},
        "data/test": {
            "kind": "lmdb",
            "items": 20,
            "shape": [3, 8, 9],
            "labels": [0, 9],
            "label_counts": {"0": 1, "9": 19},
        },
    }
    path.write_text(json.dumps(facts))
    (path.parent / "net.prototxt").write_text(JOB_NET)
    (path.parent / "solver.prototxt").write_text(SOLVER)
    assert run(["check", str(path.parent / "solver.prototxt"), "--select", "D", "--output-format", "json"]) == 1
    found = json.loads(capfd.readouterr().out)
    said = {one["code"]: one["message"] for one in found["findings"] if one["code"][0] == "D"}
    assert said == {
        "D102": "'data/train' is an LMDB, but backend is not set and defaults to LEVELDB",
        "D107": "'data/train': labels out of range for the 10 classes of SoftmaxWithLoss 'loss': 10;"
        " labels seem to count from 1",
        "D110": "'data/train': 50 items are smaller than crop_size 9: 8 x 9",
        "D111": "2 mean_value entries, but 'data/train' has 3 channels",
        "D114": "test_iter 3 x batch 5 = 15, but 'data/test' has 20 items",
    }


def test_nets_that_match_the_facts_have_no_findings(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    facts = {
        "data/train": {"kind": "leveldb", "items": 50, "shape": [2, 9, 9], "labels": [0, 9]},
        "data/test": {"kind": "lmdb", "items": 15, "shape": [2, 9, 9], "labels": [0, 9]},
    }
    path.write_text(json.dumps(facts))
    (path.parent / "net.prototxt").write_text(JOB_NET)
    (path.parent / "solver.prototxt").write_text(SOLVER)
    assert run(["check", str(path.parent / "solver.prototxt"), "--select", "D"]) == 0
    assert "D1" not in capfd.readouterr().out


def test_invalid_label_counts_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text('{"a": {"kind": "lmdb", "label_counts": {"x": 1}}}')
    with pytest.raises(FactsError, match="keys of 'label_counts' must be numbers"):
        read_facts(str(tmp_path / "f.json"))


# Names of datasets that are also keys of the facts about a source.
KEYS = (
    "labels",
    "items",
    "kind",
    "datasets",
    "shape",
    "min",
    "looked_at",
    "date",
    "label_counts",
    "value_counts",
    "mixed_shapes",
)


def test_datasets_may_have_the_names_of_keys(tmp_path: Path) -> None:
    path = str(tmp_path / "f.json")
    blobs = {name: BlobFacts((2, 3), 0.0, 5.0, counts={0.0: 4, 5.0: 2}) for name in KEYS}
    facts = {"l.txt": SourceFacts("hdf5", 8, blobs, None, {"looked_at": 8})}
    write_facts(path, facts)
    assert read_facts(path) == facts


@pytest.mark.parametrize("name", ["label", *KEYS])
def test_older_files_have_datasets_among_the_keys(tmp_path: Path, name: str) -> None:
    older = {"kind": "hdf5", "items": 8, "data": {"shape": [3]}, "looked_at": 8, name: {"shape": [2, 3], "max": 5.0}}
    (tmp_path / "f.json").write_text(json.dumps({"l.txt": older}))
    found = read_facts(str(tmp_path / "f.json"))["l.txt"]
    assert found.kind == "hdf5"
    assert dict(found.data) == {"data": BlobFacts((3,)), name: BlobFacts((2, 3), maximum=5.0)}
    assert found.items == (None if name == "items" else 8)


# -- whose facts a net is built with ------------------------------------------------------------------------


def _job_in_two_folders(folder: Path, solver_facts: object, net_facts: object) -> str:
    """A solver in one folder and its net in another, each folder with facts of its own if they are given."""
    for name, facts in (("run", solver_facts), ("model", net_facts)):
        (folder / name).mkdir()
        if facts is not None:
            (folder / name / "caffe-lint.data.json").write_text(json.dumps(facts))
    (folder / ".git").mkdir()
    (folder / "model" / "net.prototxt").write_text(JOB_NET)
    (folder / "run" / "solver.prototxt").write_text(SOLVER.replace('"net.', '"model/net.'))
    return str(folder / "run" / "solver.prototxt")


def _labels(last: int) -> dict[str, object]:
    return {"data/train": {"kind": "leveldb", "items": 50, "shape": [2, 9, 9], "labels": [0, last]}}


@pytest.mark.parametrize(
    ("of_solver", "of_net", "found"),
    [
        (None, _labels(10), {"D107"}),
        (_labels(10), None, {"D107"}),
        (_labels(9), _labels(10), {"D107"}),
        (_labels(10), _labels(9), set()),
        ({"data/other": {"kind": "lmdb", "items": 1}}, _labels(10), {"D107"}),
        (_labels(10), {"data/other": {"kind": "lmdb", "items": 1}}, {"D107"}),
    ],
)
def test_facts_beside_a_net_come_before_those_of_its_solver(
    of_solver: object, of_net: object, found: set[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    solver = _job_in_two_folders(tmp_path, of_solver, of_net)
    for paths in ([solver], [str(tmp_path)]):
        run(["check", *paths, "--select", "D", "--output-format", "json", "--no-cache", "--exit-zero"])
        findings = json.loads(capfd.readouterr().out)["findings"]
        assert {one["code"] for one in findings if one["code"][0] == "D"} == found


def test_two_nets_with_one_source_have_facts_of_their_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".git").mkdir()
    for name, last in (("a", 10), ("b", 9)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "caffe-lint.data.json").write_text(json.dumps(_labels(last)))
        (tmp_path / name / "net.prototxt").write_text(JOB_NET)
        (tmp_path / name / "solver.prototxt").write_text(SOLVER.replace('"net.', f'"{name}/net.'))
    (tmp_path / "solver.prototxt").write_text(SOLVER.replace('"net.', '"a/net.'))
    run(["check", str(tmp_path), "--select", "D", "--output-format", "json", "--no-cache", "--exit-zero"])
    findings = json.loads(capfd.readouterr().out)["findings"]
    assert {(one["code"], Path(one["path"]).parent.name) for one in findings if one["code"] == "D107"} == {("D107", "a")}
