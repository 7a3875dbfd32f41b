"""`caffe-lint inputs`: faults planted in real data of every kind are found at their items; clean data has no findings."""

from __future__ import annotations

import json
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy
import pytest

from caffe_lint.cli.commands import run
from caffe_lint.source.errors import InputError

pytest.importorskip("lmdb")
pytest.importorskip("h5py")
pytest.importorskip("PIL.Image")
from data_sources import datum, encoded_datum, float_datum, hdf5_at, image, leveldb_at, lmdb_at

HEAD = """\
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 4 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
CLEAN = [datum(index % 4, seed=index) for index in range(40)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run every test in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def found(folder: Path, capfd: pytest.CaptureFixture[str]) -> Any:
    """Return a function that writes a net, checks its data and returns codes and messages."""

    def look(net: str, *options: str, solver: str = "", head: str = HEAD) -> list[tuple[str, str]]:
        (folder / "net.prototxt").write_text(net + head)
        (folder / "solver.prototxt").write_text('net: "net.prototxt"\nbase_lr: 0.1\n' + solver)
        path = "solver.prototxt" if solver else "net.prototxt"
        run(["inputs", path, "--output-format", "json", "-j", "1", *options])
        report = json.loads(capfd.readouterr().out)
        return [(finding["code"], finding["message"]) for finding in report["findings"]]

    return look


def data(source: str = "db", backend: str = "backend: LMDB", more: str = "", phase: str = "", batch: int = 8) -> str:
    include = f"include {{ phase: {phase} }}" if phase else ""
    return (
        f'layer {{ name: "data" type: "Data" top: "data" top: "label" {include} {more}\n'
        f'  data_param {{ source: "{source}" batch_size: {batch} {backend} }} }}\n'
    )


def only(findings: list[tuple[str, str]]) -> tuple[str, str]:
    assert len(findings) == 1, findings
    return findings[0]


# -- databases -------------------------------------------------------------------------------------------------


def test_a_clean_lmdb_has_no_findings_and_is_not_changed(folder: Path, found: Any) -> None:
    lmdb_at(folder / "db", CLEAN)
    (folder / "db" / "lock.mdb").unlink()
    before = (folder / "db" / "data.mdb").read_bytes()
    assert found(data()) == []
    assert [path.name for path in (folder / "db").iterdir()] == ["data.mdb"]
    assert (folder / "db" / "data.mdb").read_bytes() == before


def test_labels_out_of_range(folder: Path, found: Any) -> None:
    lmdb_at(folder / "db", [*CLEAN, datum(4), datum(-1)])
    code, message = only(found(data()))
    assert code == "D107"
    assert "2 labels out of range for the 4 classes of SoftmaxWithLoss 'loss'" in message
    assert "-1 (key '00000041'); 4 (key '00000040')" in message


def test_ignore_label_is_accepted(folder: Path, found: Any) -> None:
    lmdb_at(folder / "db", [*CLEAN, datum(255)])
    ignoring = HEAD.replace('top: "loss"', 'top: "loss" loss_param { ignore_label: 255 }')
    assert found(data(), head=ignoring) == []
    assert only(found(data()))[0] == "D107"


def test_labels_that_count_from_1(folder: Path, found: Any) -> None:
    lmdb_at(folder / "db", [datum(1 + index % 4, seed=index) for index in range(40)])
    findings = found(data())
    assert [code for code, _ in findings] == ["D107", "D109"]
    assert "labels seem to count from 1" in findings[0][1]


def test_classes_that_never_occur_and_imbalance(folder: Path, found: Any) -> None:
    lmdb_at(folder / "db", [datum(0, seed=index) for index in range(250)] + [datum(1), datum(3)])
    findings = found(data())
    assert [code for code, _ in findings] == ["D109", "D109"]
    assert "1 of 4 classes of 'loss' never occurs: 2" in findings[0][1]
    assert "class 0 occurs 250 times, class 1 1 time" in findings[1][1]


def test_broken_records(folder: Path, found: Any) -> None:
    lmdb_at(folder / "db", [*CLEAN, CLEAN[1][:50], b"\xff\xff", datum(1, data=b""), datum(1, data=b"\1" * 7)])
    findings = found(data())
    assert [code for code, _ in findings] == ["D104"] * 3
    text = " ".join(message for _, message in findings)
    assert "2 of 44 items are corrupt: key '00000040': it is truncated: 192 bytes are expected" in text
    assert "1 of 44 items is empty: key '00000042'" in text
    assert "key '00000043': 7 bytes for 3 x 8 x 8 = 192" in text


def test_nan_infinity_and_outliers_in_float_data(folder: Path, found: Any) -> None:
    records = [float_datum(numpy.random.default_rng(index).normal(size=4), index % 4) for index in range(200)]
    lmdb_at(folder / "db", records)
    assert found(data()) == []
    lmdb_at(folder / "bad", [*records, float_datum([1, float("nan"), 0, 0]), float_datum([float("inf"), 0, 0, 0], 1),
                             float_datum([1e6, 0, 0, 0], 2)])  # fmt: skip
    findings = found(data("bad"))
    assert [code for code, _ in findings] == ["D103", "D103", "D105"]
    assert "1 of 203 items contains NaN: key '00000200'" in findings[0][1]
    assert "1 of 203 items contains infinity: key '00000201'" in findings[1][1]
    assert "key '00000202': 1e+06" in findings[2][1]


def test_encoded_images_of_a_database(folder: Path, found: Any) -> None:
    good = [encoded_datum(image(seed=index), index % 4) for index in range(20)]
    lmdb_at(folder / "db", good)
    assert found(data()) == []
    jpeg = image((64, 64), kind="JPEG")
    lmdb_at(folder / "bad", [*good, encoded_datum(b"no image"), encoded_datum(b""), encoded_datum(image(mode="L"))])
    findings = found(data("bad"))
    assert [code for code, _ in findings] == ["D104", "D104", "D110"]
    assert "1 item does not have 3 channels like most: key '00000022' has 1" in findings[2][1]
    lmdb_at(folder / "cut", [encoded_datum(jpeg[: len(jpeg) // 2], index % 4) for index in range(4)])
    assert "4 of 4 images are truncated: key '00000000': JPEG is truncated" in only(found(data("cut")))[1]


def test_force_color_fixes_greyscale_among_colour_images(folder: Path, found: Any) -> None:
    records = [encoded_datum(image(seed=index), index % 4) for index in range(8)]
    lmdb_at(folder / "db", [*records, encoded_datum(image(mode="L", seed=9))])
    assert only(found(data(more="transform_param { mirror: true }")))[0] == "D110"
    assert found(data(more="transform_param { mirror: true }"), "--fix") == []
    assert "transform_param { mirror: true force_color: true }" in (folder / "net.prototxt").read_text()


def test_crops_larger_than_items_and_mixed_sizes(folder: Path, found: Any) -> None:
    lmdb_at(folder / "db", [*CLEAN, datum(1, (3, 6, 9))])
    assert (
        "1 item is smaller than crop_size 7: key '00000040' is 6 x 9"
        in only(found(data(more="transform_param { crop_size: 7 }")))[1]
    )
    assert found(data(more="transform_param { crop_size: 6 }")) == []
    assert "items have 2 different sizes, and no crop_size is set" in only(found(data()))[1]


def test_means_that_do_not_match_the_data(folder: Path, found: Any) -> None:
    from caffe_lint.proto import caffe_pb2

    lmdb_at(folder / "db", CLEAN)
    assert found(data(more="transform_param { mean_value: 1 mean_value: 2 mean_value: 3 }")) == []
    two = "transform_param { mean_value: 7 mean_value: 7 }"
    assert only(found(data(more=two))) == ("D111", "2 mean_value entries, but 'db' has 3 channels")
    assert found(data(more=two), "--fix") == []
    assert (folder / "net.prototxt").read_text().count("mean_value: 7") == 1
    for name, shape in (("good", (3, 8, 8)), ("bad", (3, 9, 8))):
        count = shape[0] * shape[1] * shape[2]
        blob = caffe_pb2.BlobProto(num=1, channels=shape[0], height=shape[1], width=shape[2], data=[1.5] * count)
        (folder / name).write_bytes(blob.SerializeToString())
    (folder / "none").write_bytes(b"text")
    with_file = 'transform_param { mean_file: "%s" }'
    assert found(data(more=with_file % "good")) == []
    assert "is 3 x 9 x 8, but the items of 'db' are 3 x 8 x 8" in only(found(data(more=with_file % "bad")))[1]
    assert only(found(data(more=with_file % "none")))[0] == "D111"
    assert "No such file" in only(found(data(more=with_file % "missing")))[1]


def test_the_backend_is_set_to_the_kind_of_the_database(folder: Path, found: Any) -> None:
    lmdb_at(folder / "db", CLEAN)
    assert only(found(data(backend="")))[1] == "'db' is an LMDB, but backend is not set and defaults to LEVELDB"
    assert found(data(backend=""), "--fix") == []
    assert "batch_size: 8 backend: LMDB" in (folder / "net.prototxt").read_text()


def test_reading_a_leveldb_changes_none_of_its_files(folder: Path, found: Any) -> None:
    pytest.importorskip("plyvel")
    leveldb_at(folder / "db", [*CLEAN, datum(9)], write_buffer_size=4096, block_size=512)
    before = {path.name: path.read_bytes() for path in (folder / "db").iterdir()}
    code, message = only(found(data(backend="")))
    assert code == "D107"
    assert "1 label out of range for the 4 classes" in message
    assert "9 (key '00000040')" in message
    assert {path.name: path.read_bytes() for path in (folder / "db").iterdir()} == before
    assert ("D102", "'db' is a LevelDB, but backend is LMDB") in found(data())


def test_sources_that_are_missing_or_not_databases(folder: Path, found: Any) -> None:
    assert only(found(data("nowhere"))) == ("D101", "'nowhere' does not exist")
    (folder / "empty").mkdir()
    assert only(found(data("empty"))) == ("D101", "'empty' is neither an LMDB nor a LevelDB")
    (folder / "torn").mkdir()
    (folder / "torn" / "data.mdb").write_bytes(b"x" * 5000)
    assert "'torn' cannot be read as an LMDB" in only(found(data("torn")))[1]


def test_test_iter_covers_the_data_once(folder: Path, found: Any) -> None:
    lmdb_at(folder / "a", CLEAN)
    lmdb_at(folder / "b", [datum(index % 4, seed=1000 + index) for index in range(40)])
    net = data("a", phase="TRAIN") + data("b", phase="TEST", batch=10)
    assert found(net, solver="test_iter: 4\n") == []
    code, message = only(found(net, solver="test_iter: 9\n"))
    assert (code, message) == ("D114", "test_iter 9 x batch 10 = 90, but 'b' has 40 items")
    assert len(found(net, "--fix", solver="test_iter: 9\n")) == 1
    assert found(net, "--fix", "--unsafe-fixes", solver="test_iter: 9\n") == []
    assert "test_iter: 4\n" in (folder / "solver.prototxt").read_text()


def test_test_items_in_the_training_data(folder: Path, found: Any) -> None:
    lmdb_at(folder / "a", CLEAN)
    lmdb_at(folder / "b", [*[datum(index % 4, seed=1000 + index) for index in range(39)], CLEAN[7]])
    net = data("a", phase="TRAIN") + data("b", phase="TEST", batch=10)
    code, message = only(found(net, solver="test_iter: 4\n"))
    assert code == "D115"
    assert message == "1 of 40 items of 'b' is also in 'a': key '00000039' is the same as key '00000007'"
    net = data("a", phase="TRAIN") + data("a", phase="TEST", batch=10)
    assert "the test net reads 'a', like the training net" in only(found(net, solver="test_iter: 4\n"))[1]


def test_a_net_that_does_not_match_its_data(folder: Path, found: Any) -> None:
    lmdb_at(folder / "db", CLEAN)
    grouped = (
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c"'
        " convolution_param { num_output: 4 kernel_size: 3 group: 2 } }\n"
    )
    code, message = only(found(data() + grouped))
    assert code == "D113"
    assert "group" in message


def test_the_sample_option_checks_a_part_of_the_items(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lmdb_at(folder / "db", CLEAN)
    (folder / "net.prototxt").write_text(data() + HEAD)
    assert run(["inputs", "net.prototxt", "--sample", "10"]) == 0
    assert "db: lmdb, 40 items, 10 of them checked, labels 0 to 3" in capfd.readouterr().out


def test_facts_are_written_and_agree_with_the_data(folder: Path, found: Any) -> None:
    lmdb_at(folder / "db", CLEAN)
    found(data(), "--write-facts", "facts.json")
    facts = json.loads((folder / "facts.json").read_text())["db"]
    values = numpy.concatenate([numpy.random.default_rng(i).integers(0, 256, 192, "uint8") for i in range(40)])
    assert (facts["kind"], facts["items"], facts["shape"], facts["labels"]) == ("lmdb", 40, [3, 8, 8], [0, 3])
    assert facts["mean"] == pytest.approx(values.mean(), rel=1e-5)
    assert facts["std"] == pytest.approx(values.std(), rel=1e-5)
    assert (facts["min"], facts["max"], facts["looked_at"]) == (0, 255, 40)


def test_several_processes_find_the_same(folder: Path, found: Any) -> None:
    bad = [encoded_datum(b"no image" if index == 299 else image((4, 4), seed=index), index % 4) for index in range(300)]
    lmdb_at(folder / "db", bad)
    one, several = found(data()), found(data(), "-j", "2")
    assert one == several
    assert "1 of 300 images cannot be decoded: key '00000299'" in only(one)[1]


# -- HDF5 ------------------------------------------------------------------------------------------------------

HDF5 = """\
layer { name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "l.txt" batch_size: 10 } }
"""


def hdf5(folder: Path, files: dict[str, dict[str, Any]]) -> None:
    (folder / "l.txt").write_text("".join(f"{name}\n" for name in files))
    for name, datasets in files.items():
        hdf5_at(folder / name, datasets)


def arrays(items: int = 20, seed: int = 0) -> dict[str, Any]:
    values = numpy.random.default_rng(seed).normal(size=(items, 5)).astype("f4")
    return {"data": values, "label": (numpy.arange(items) % 4).astype("f4")}


def test_clean_hdf5(folder: Path, found: Any) -> None:
    hdf5(folder, {"a.h5": arrays(), "b.h5": arrays(seed=1)})
    assert found(HDF5) == []


def test_bad_values_and_labels_in_hdf5(folder: Path, found: Any) -> None:
    bad = arrays()
    bad["data"][3, 2] = numpy.nan
    bad["data"][5, 1] = -numpy.inf
    bad["label"][7] = 4
    bad["label"][8] = 0.5
    hdf5(folder, {"a.h5": arrays(), "b.h5": bad})
    findings = found(HDF5)
    assert [code for code, _ in findings] == ["D103", "D103", "D107", "D108"]
    text = " ".join(message for _, message in findings)
    for words in (
        "b.h5, 'data' item 3",
        "b.h5, 'data' item 5",
        "4 (b.h5, 'label' item 7)",
        "0.5 (b.h5, 'label' item 8)",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"label": None}, "D112", "b.h5: no dataset 'label', found: data"),
        ({"label": numpy.zeros(19, "f4")}, "D112", "b.h5: 'data' 20, 'label' 19"),
        ({"data": numpy.zeros((20, 6), "f4")}, "D112", "b.h5: 'data' has items of shape 6, earlier files 5"),
        ({"data": numpy.array([b"x"] * 20)}, "D112", "b.h5: 'data' has type |S1"),
    ],
)
def test_hdf5_files_that_do_not_match_the_tops(
    folder: Path, found: Any, change: dict[str, Any], code: str, words: str
) -> None:
    second = {name: values for name, values in {**arrays(), **change}.items() if values is not None}
    hdf5(folder, {"a.h5": arrays(), "b.h5": second})
    findings = [one for one in found(HDF5) if one[0] != "D113"]
    assert only(findings)[0] == code
    assert words in only(findings)[1]


def test_missing_and_broken_hdf5_files(folder: Path, found: Any) -> None:
    hdf5(folder, {"a.h5": arrays()})
    (folder / "l.txt").write_text("a.h5\ngone.h5\ntext.h5\n")
    (folder / "text.h5").write_text("text")
    assert sorted(code for code, _ in found(HDF5)) == ["D101", "D104"]


def test_a_number_of_items_not_divisible_by_the_batch_size_is_advice(folder: Path, found: Any) -> None:
    hdf5(folder, {"a.h5": arrays(24)})
    assert "24 items cannot be divided into batches of 10" in only(found(HDF5))[1]


# -- lists -----------------------------------------------------------------------------------------------------


def images(more: str = "", transform: str = "") -> str:
    return (
        f'layer {{ name: "data" type: "ImageData" top: "data" top: "label" {transform}'
        f' image_data_param {{ source: "l.txt" batch_size: 4 root_folder: "i/" {more} }} }}\n'
    )


def image_files(folder: Path, sizes: list[tuple[int, int]]) -> list[str]:
    (folder / "i").mkdir()
    for index, size in enumerate(sizes):
        (folder / "i" / f"{index}.png").write_bytes(image(size, seed=index))
    return [f"{index}.png {index % 4}" for index in range(len(sizes))]


def test_a_clean_list(folder: Path, found: Any) -> None:
    (folder / "l.txt").write_text("\n".join(image_files(folder, [(8, 8)] * 8)) + "\n")
    assert found(images()) == []


def test_bad_lines_and_images(folder: Path, found: Any) -> None:
    lines = image_files(folder, [(8, 8)] * 8)
    (folder / "i" / "a b.png").write_bytes(image(seed=50))
    (folder / "i" / "none.png").write_bytes(b"")
    (folder / "i" / "cut.png").write_bytes(image((40, 40))[:900])
    lines += [
        "gone.png 1",
        "a b.png 1",
        "0.png\t1",
        "0.png",
        "0.png 1.5",
        "0.png cat",
        "none.png 2",
        "cut.png 2",
        "1.png 7",
    ]
    (folder / "l.txt").write_text("\n".join(lines) + "\n")
    findings = dict.fromkeys(found(images("new_height: 8 new_width: 8")))
    text = "\n".join(f"{code} {message}" for code, message in findings)
    for words in (
        "D101 'l.txt': 1 of 17 files is missing: line 9: gone.png",
        "D104 'l.txt': 1 of 17 items is empty: line 15: none.png",
        "D104 'l.txt': 1 of 17 images is truncated: line 16: cut.png",
        "D106 'l.txt': 2 of 17 lines are malformed: line 11: no space",
        "line 10: 'a b.png'",
        "D108 'l.txt': 2 of 17 labels are not integers: line 13: 1.5, read as 1; line 14: 'cat' is not a number, read as 0",
        "7 (line 17)",
    ):
        assert words in text, text
    assert len(findings) == 7


def test_images_of_several_sizes_need_a_size(folder: Path, found: Any) -> None:
    (folder / "l.txt").write_text("\n".join(image_files(folder, [(8, 6)] * 7 + [(9, 9)])) + "\n")
    assert "items have 2 different sizes, and no crop_size is set" in only(found(images()))[1]
    assert found(images(), "--fix", "--unsafe-fixes") == []
    assert "new_height: 6 new_width: 8" in (folder / "net.prototxt").read_text()


WINDOWS = """\
layer {
  name: "data" type: "WindowData" top: "data" top: "label" transform_param { crop_size: 4 }
  window_data_param { source: "w.txt" batch_size: 4 root_folder: "i/" }
}
"""


def test_window_files(folder: Path, found: Any) -> None:
    image_files(folder, [(8, 6)])
    good = "# 0\n0.png\n3 6 8\n5\n" + "".join(f"{index} 0.9 0 0 5 5\n" for index in (1, 2, 3)) + "0 0.1 1 1 4 4\n" * 2
    (folder / "w.txt").write_text(good)
    assert found(WINDOWS) == []
    (folder / "w.txt").write_text(good.replace("1 0.9 0 0 5 5", "0 0.9 0 0 15 5").replace("3 0.9", "4 0.9"))
    assert {code for code, _ in found(WINDOWS)} == {"D104", "D106", "D107", "D109"}
    (folder / "w.txt").write_text(good[:30])
    assert "found the end of the file" in only(found(WINDOWS))[1]


# -- the command -----------------------------------------------------------------------------------------------


def test_a_net_without_data_is_an_error(folder: Path) -> None:
    (folder / "net.prototxt").write_text('layer { name: "d" type: "Input" top: "d" }')
    with pytest.raises(InputError, match="no layer reads data"):
        run(["inputs", "net.prototxt"])


def test_errors_set_exit_status_1(folder: Path) -> None:
    lmdb_at(folder / "db", CLEAN)
    (folder / "net.prototxt").write_text(data() + HEAD)
    assert run(["inputs", "net.prototxt"]) == 0
    lmdb_at(folder / "db", [*CLEAN, datum(8)])
    assert run(["inputs", "net.prototxt"]) == 1


def annotated(content: bytes, boxes: list[tuple[int, float, float, float, float]]) -> bytes:
    """An AnnotatedDatum on the wire, with the field numbers of the SSD fork."""

    def field(number: int, payload: bytes) -> bytes:
        size = len(payload)
        return (
            bytes([number << 3 | 2]) + (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])) + payload
        )

    record = field(1, encoded_datum(content)) + b"\x10\x00"
    for label, *corners in boxes:
        box = b"".join(bytes([n << 3 | 5]) + struct.pack("<f", edge) for n, edge in enumerate(corners, 1))
        record += field(3, bytes([0x08, label]) + field(2, b"\x08\x00" + field(2, box)))
    return record


def test_boxes_in_a_database_of_the_ssd_fork(folder: Path, found: Any) -> None:
    net = data().replace('"Data"', '"AnnotatedData"')
    picture = image()
    good = annotated(picture, [(1, 0.1, 0.2, 0.5, 0.6), (3, 0.0, 0.0, 1.0, 1.0)])
    lmdb_at(folder / "db", [good] * 4)
    assert found(net, head="") == []
    lmdb_at(folder / "bad", [good, annotated(picture, [(2, 0.5, 0.2, 0.4, 0.6)]), b"\x12\x00"])
    findings = found(net.replace('"db"', '"bad"'), head="")
    assert [code for code, _ in findings] == ["D104", "D104"]
    assert "key '00000001': 0.5, 0.2 to 0.4, 0.6" in findings[0][1]
    assert "key '00000002': it contains no Datum" in findings[1][1]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("num_classes: 4", []),
        (
            "num_classes: 3",
            ["labels of 4 boxes out of range for the 3 classes of MultiBoxLoss 'boxes': 3 (key '00000000')"],
        ),
        ("num_classes: 3 map_object_to_agnostic: true", []),
        (
            "num_classes: 4 background_label_id: 1",
            ["labels of 4 boxes out of range for the 4 classes of MultiBoxLoss 'boxes': 1"],
        ),
    ],
)
def test_labels_of_boxes_and_the_classes_of_their_loss(
    folder: Path, found: Any, more: str, expected: list[str]
) -> None:
    lmdb_at(folder / "db", [annotated(image(), [(1, 0.1, 0.2, 0.5, 0.6), (3, 0.0, 0.0, 1.0, 1.0)])] * 4)
    bottoms = 'bottom: "data" bottom: "data" bottom: "data" bottom: "label"'
    head = f'layer {{ name: "boxes" type: "MultiBoxLoss" {bottoms} top: "boxes" multibox_loss_param {{ {more} }} }}\n'
    messages = [
        message for code, message in found(data().replace('"Data"', '"AnnotatedData"'), head=head) if code == "D107"
    ]
    assert [message.startswith(f"'db': {one}") for message, one in zip(messages, expected, strict=True)] == [
        True
    ] * len(expected)


def test_a_transform_param_of_hdf5_data_is_reported(folder: Path, found: Any) -> None:
    hdf5(folder, {"a.h5": arrays()})
    code, message = only(found(HDF5.replace('top: "label"', 'top: "label" transform_param { scale: 2 }')))
    assert (code, message) == ("D112", "'l.txt': HDF5Data does not support transform_param")


def test_bytes_that_are_not_a_datum_never_stop_the_check(folder: Path, found: Any) -> None:
    pick = random.Random(3)
    records = [pick.randbytes(pick.randrange(1, 60)) for _ in range(300)]
    for good in (CLEAN[0], float_datum([1, 2, 3, 4]), encoded_datum(image())):
        for _ in range(100):
            torn = bytearray(good)
            torn[pick.randrange(min(12, len(torn)))] = pick.randrange(256)
            records.append(bytes(torn[: pick.randrange(1, len(torn) + 1)]))
    lmdb_at(folder / "db", records)
    assert "D104" in {code for code, _ in found(data())}
    assert "D104" in {code for code, _ in found(data().replace('"Data"', '"AnnotatedData"'))}


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_reports_what_was_read(folder: Path, jobs: str) -> None:
    content = image((300, 300))
    broken = [encoded_datum(b"no image")]
    lmdb_at(folder / "db", broken + [encoded_datum(content, index % 4) for index in range(700)])
    (folder / "net.prototxt").write_text(data(batch=8) + HEAD)
    (folder / "slow.py").write_text(SLOW)
    command = [sys.executable, "slow.py", "inputs", "net.prototxt", "--output-format", "concise", "-j", jobs]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (folder / "began").exists() and process.poll() is None:
            time.sleep(0.1)
        time.sleep(1)  # for the first chunk
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "key '00000000': it is not an image" in out
    assert "interrupted: the report covers only the data read so far" in err
    assert "Traceback" not in err


# The same program on a machine that needs a tenth of a second for each image.
SLOW = """\
import time
from caffe_lint.data import records

def slowly(content, look_at=records.look_at):
    open("began", "a").close()
    time.sleep(0.1)
    return look_at(content)

records.look_at = slowly
records.CHUNK = 5
from caffe_lint.cli.main import main
main()
"""


def test_a_missing_library_is_named(folder: Path, found: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lmdb_at(folder / "db", CLEAN)
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(InputError, match=r"reading LMDB needs lmdb: pip install lmdb"):
        found(data())


# -- selection, suppression and baselines -------------------------------------------------------------------------


def test_findings_are_suppressed_selected_and_configured(folder: Path, found: Any) -> None:
    lmdb_at(folder / "db", [datum(9), *CLEAN])
    assert [code for code, _ in found(data())] == ["D107"]
    assert found(data().replace("\n", "  # caffe-lint: ignore[D107]\n")) == []
    assert found(f"# caffe-lint: file-ignore[invalid-class-label]\n{data()}") == []
    assert found(data(), "--ignore", "D1") == []
    assert found(data(), "--select", "D101") == []
    (folder / "caffe-lint.toml").write_text('select = ["G"]\n[per-file]\n"net.*" = {ignore = ["D107"]}\n')
    assert found(data()) == []
    assert [code for code, _ in found(data(), "--isolated")] == ["D107"]


def test_a_baseline_hides_findings_about_data(folder: Path, found: Any) -> None:
    lmdb_at(folder / "db", [datum(9), *CLEAN])
    known = {"net.prototxt": {"D107": {"layer[data].data_param.source": 1}}}
    (folder / "known.json").write_text(json.dumps({"version": 1, "findings": known}))
    assert found(data(), "--baseline", "known.json") == []
    assert found(data().replace('name: "data"', 'name: "other"'), "--baseline", "known.json") != []


def test_severity_exit_zero_and_output_file(folder: Path, found: Any, capfd: pytest.CaptureFixture[str]) -> None:
    lmdb_at(folder / "db", [datum(9), *CLEAN])
    found(data())
    arguments = ["inputs", "net.prototxt", "-j", "1"]
    assert run(arguments) == 1
    assert run([*arguments, "--exit-zero"]) == 0
    capfd.readouterr()
    assert run([*arguments, "--output-file", "report.txt"]) == 1
    assert capfd.readouterr().out == ""
    assert (folder / "report.txt").read_text().startswith("error[D107]")
    (folder / "caffe-lint.toml").write_text('[rules.D107]\nseverity = "advice"\n')
    assert run(arguments) == 0
    assert run([*arguments, "--select", "G101"]) == 2


def test_a_database_that_ends_the_process_that_reads_it_is_reported_and_the_others_are_read(
    folder: Path, found: Any
) -> None:
    lmdb_at(folder / "db", [datum(index % 4) for index in range(3000)])
    lmdb_at(folder / "other", [b"no record"])
    content = bytearray((folder / "db" / "data.mdb").read_bytes())
    page = 4096
    leaves = [
        at for at in range(2 * page, len(content), page) if content[at + 10] == 2
    ]  # mdb.c, MDB_page: mp_flags, P_LEAF
    for at in leaves[2:]:
        content[at + 10] = 1  # a branch page, which the library asserts that it is not
    (folder / "db" / "data.mdb").write_bytes(content)
    net = data() + data().replace('"db"', '"other"').replace('"data"', '"data2"').replace('"label"', '"label2"')
    codes = found(net)
    assert any(
        "'db' cannot be read" in message and "SIGABRT" in message for code, message in codes if code == "D101"
    ), codes
    assert any("'other'" in message for code, message in codes if code == "D104"), codes


def test_what_a_cause_explains_is_folded_beneath_it(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    targets = numpy.array([0.5, 1.5, 9.5, 8.5], dtype="f4")
    hdf5_at(folder / "t.h5", {"data": numpy.zeros((4, 3), "f4"), "label": targets})
    (folder / "hdf5.txt").write_text("t.h5\n")
    net = 'layer { name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "hdf5.txt" batch_size: 2 } }\n'
    (folder / "net.prototxt").write_text(net + HEAD)
    run(["inputs", "net.prototxt", "-j", "1", "--output-format", "json"])
    found = {each["code"]: each for each in json.loads(capfd.readouterr().out)["findings"]}
    assert {"D107", "D108"} <= set(found)
    assert found["D107"]["caused_by"]["code"] == "D108"
    run(["inputs", "net.prototxt", "-j", "1"])
    text = capfd.readouterr().out
    assert "explains 1 other finding: D107" in text
    assert "[D107]" not in text
