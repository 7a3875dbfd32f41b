"""Labels and targets in the data: pixels of databases and lists, several HDF5 datasets, what happens to them on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("h5py")
pytest.importorskip("lmdb")

import numpy
from data_sources import datum, encoded_datum, hdf5_at, leveldb_at, lmdb_at

from caffe_lint.cli.commands import run

HEAD = """\
layer {
  name: "score" type: "Convolution" bottom: "data" top: "score"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } }
}
"""
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" %s }\n'
ACCURACY = 'layer { name: "acc" type: "Accuracy" bottom: "score" bottom: "label" top: "acc" %s }\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def layer(top: str, source: str, more: str = "", kind: str = "Data", param: str = "data_param") -> str:
    backend = "backend: LMDB" if param == "data_param" else ""
    where = f'{param} {{ source: "{source}" batch_size: 2 {backend} }}'
    return f'layer {{ name: "{top}" type: "{kind}" top: "{top}" {where} {more} }}\n'


def found(net: str, capfd: pytest.CaptureFixture[str], *options: str, select: str = "D107,D108,D118,D119") -> list[str]:
    """The codes and messages of `inputs`, and those of a check with the facts that it writes, if they are the same."""
    Path("net.prototxt").write_text(net)
    run(["inputs", "net.prototxt", "--isolated", "--select", select, "--output-format", "json", "--write-facts", "f.json", *options])
    report = capfd.readouterr()
    return [f"{one['code']} {one['message']}" for one in json.loads(report.out)["findings"]]


def from_facts(capfd: pytest.CaptureFixture[str], select: str = "D107,D108,D119") -> list[str]:
    run(["check", "net.prototxt", "--isolated", "--select", select, "--data-facts", "f.json", "--output-format", "json"])
    return [f"{one['code']} {one['message']}" for one in json.loads(capfd.readouterr().out)["findings"]]


def pixels(*values: int) -> bytes:
    return datum(0, (1, 2, 2), data=bytes((*values, 0, 0, 0, 0))[:4])


def segmentation(more: str = "", losses: str = LOSS % "") -> str:
    return layer("data", "img") + layer("label", "lab", more) + HEAD + losses


def write(*labels: bytes, at: Any = lmdb_at) -> None:
    lmdb_at(Path("img"), [datum(seed=index, shape=(3, 2, 2)) for index in range(len(labels))])
    at(Path("lab"), labels)


def test_pixel_labels_in_a_database_are_counted(capfd: pytest.CaptureFixture[str]) -> None:
    write(pixels(1, 3), pixels(4, 4), pixels(2))
    said = "D107 'lab': 2 labels out of range for the 4 classes of SoftmaxWithLoss 'loss': 4"
    assert found(segmentation(), capfd) == [f"{said} (key '00000001')"]
    assert from_facts(capfd) == [said]
    assert found(segmentation(losses=LOSS % "loss_param { ignore_label: 4 }"), capfd) == []


def test_readers_of_the_same_labels_share_a_finding(capfd: pytest.CaptureFixture[str]) -> None:
    write(pixels(1, 4), pixels(0, 2))
    (message,) = found(segmentation(losses=ACCURACY % "" + LOSS % ""), capfd)
    assert "1 label out of range for the 4 classes of SoftmaxWithLoss 'loss' and Accuracy 'acc': 4" in message


def test_encoded_and_float_label_images_are_counted(capfd: pytest.CaptureFixture[str]) -> None:
    from io import BytesIO

    from PIL import Image

    from caffe_lint.proto import caffe_pb2

    buffer = BytesIO()
    Image.fromarray(numpy.array([[0, 9], [1, 1]], "uint8"), "L").save(buffer, "PNG")
    floats = caffe_pb2.Datum(channels=1, height=2, width=2, float_data=[0, 1, 7, 2]).SerializeToString()
    write(encoded_datum(buffer.getvalue()), floats)
    (message,) = found(segmentation(), capfd)
    assert "2 labels out of range" in message
    assert "7 (key '00000001'); 9 (key '00000000')" in message


def test_pixel_labels_in_a_leveldb_are_counted(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("plyvel")
    write(pixels(1), pixels(255), at=leveldb_at)
    (message,) = found(segmentation().replace('"lab" batch_size: 2 backend: LMDB', '"lab" batch_size: 2 backend: LEVELDB'), capfd)
    assert "255 (key '00000001')" in message


def test_the_accuracy_has_an_ignore_label_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    write(pixels(1, 255), pixels(3))
    both = LOSS % "loss_param { ignore_label: 255 }" + ACCURACY
    (message,) = found(segmentation(losses=both % ""), capfd)
    assert message.startswith("D107 'lab': 1 label out of range for the 4 classes of Accuracy 'acc': 255")
    assert "loss 'loss' ignores it, 'acc' does not" in message
    assert found(segmentation(losses=both % "accuracy_param { ignore_label: 255 }"), capfd) == []


def test_labels_are_judged_as_they_arrive(capfd: pytest.CaptureFixture[str]) -> None:
    write(pixels(1, 4, 2, 3), pixels(1, 1, 1, 1))
    shifted = 'layer { name: "less" type: "Power" bottom: "label" top: "less" power_param { shift: -1 } }\n'
    net = segmentation() + shifted + (LOSS % "").replace('"label"', '"less"').replace('"loss"', '"other"')
    assert ["'loss': 4" in message for message in found(net, capfd)] == [True]
    assert found(segmentation("transform_param { mean_value: 1 }"), capfd) == []
    assert "labels seem to count from 1" in found(segmentation(), capfd)[0]


def test_each_dataset_of_an_hdf5_file_is_judged_by_its_readers(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    hdf5_at(folder / "a.h5", {"data": numpy.ones((4, 3, 2, 2)), "coarse": [0, 1, 0, 1], "labels": [0, 9, 3, 2.5]})
    Path("l.txt").write_text("a.h5\n")
    net = f"""\
layer {{
  name: "d" type: "HDF5Data" top: "data" top: "coarse" top: "labels" hdf5_data_param {{ source: "l.txt" batch_size: 2 }}
}}
layer {{
  name: "score" type: "InnerProduct" bottom: "data" top: "score"
  inner_product_param {{ num_output: 4 weight_filler {{ type: "xavier" }} }}
}}
{(LOSS % "").replace('"label"', '"coarse"')}{(LOSS % "").replace('"label"', '"labels"').replace('"loss"', '"fine"')}"""
    said = found(net, capfd)
    assert [one.split(":")[0] for one in said] == ["D107 'l.txt'", "D108 'l.txt'"]
    assert "for the 4 classes of SoftmaxWithLoss 'fine': 9 (a.h5, 'labels' item 1)" in said[0]
    assert "1 label is not an integer: 2.5" in said[1]
    assert len(from_facts(capfd)) == 2


def test_labels_that_are_infinite_are_not_counted(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    hdf5_at(folder / "a.h5", {"data": numpy.ones((4, 3, 2, 2)), "label": [0, numpy.inf, numpy.nan, 1]})
    Path("l.txt").write_text("a.h5\n")
    read = 'hdf5_data_param { source: "l.txt" batch_size: 2 }'
    net = f'layer {{ name: "d" type: "HDF5Data" top: "data" top: "label" {read} }}\n'
    full = HEAD.replace("Convolution", "InnerProduct").replace("convolution_param", "inner_product_param").replace("kernel_size: 3 pad: 1", "")
    assert found(net + full + LOSS % "", capfd, select="D107,D108,D109") == ["D109 'l.txt': 2 of 4 classes of 'loss' never occur: 2, 3"]


def test_the_number_of_outputs_that_the_labels_need_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    write(pixels(1, 3), pixels(9, 4))
    Path("net.prototxt").write_text(segmentation())
    run(["inputs", "net.prototxt", "--isolated", "--select", "D107", "--output-format", "full"])
    assert "need num_output: 10 in 'score'" in " ".join(capfd.readouterr().out.split())


SIGMOID = 'layer { name: "loss" type: "SigmoidCrossEntropyLoss" bottom: "score" bottom: "label" top: "loss" }\n'


def test_masks_of_0_and_255_are_no_probabilities(capfd: pytest.CaptureFixture[str]) -> None:
    write(pixels(0, 255), pixels(255))
    net = segmentation(losses=SIGMOID)
    assert found(net, capfd) == ["D118 'lab': targets of 'loss' range from 0 to 255; expected 0 to 1"]
    assert found(segmentation("transform_param { scale: 0.00392157 }", SIGMOID), capfd) == []
    assert found(segmentation("transform_param { scale: 0.00392157 mean_value: 127.5 }", SIGMOID), capfd) == [
        "D118 'lab': targets of 'loss' range from -0.5 to 0.5; expected 0 to 1"
    ]


def test_labels_of_one_class_are_found_in_training_data_only(capfd: pytest.CaptureFixture[str]) -> None:
    write(pixels(2, 2, 2, 2), pixels(2, 2, 2, 2))
    assert found(segmentation(), capfd) == ["D119 'lab': all labels of 'loss' are 2"]
    assert from_facts(capfd) == ["D119 'lab': all labels of 'loss' are 2"]
    assert found(segmentation(losses=ACCURACY % ""), capfd) == []
    write(pixels(2, 2, 7, 7), pixels(2, 2, 2, 2))
    ignoring = LOSS % "loss_param { ignore_label: 7 }"
    assert found(segmentation(losses=ignoring), capfd) == [
        "D119 'lab': all labels of 'loss' are 2, apart from the ignored 7"
    ]


def test_labels_of_items_that_nothing_reads_are_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    write(pixels(1, 3), pixels(2))
    Path("net.prototxt").write_text(segmentation())
    run(["inputs", "net.prototxt", "--isolated"])
    out = capfd.readouterr().out
    assert "lab: lmdb, 2 items, labels 0 to 3" in out
    assert "img: lmdb, 2 items\n" in out


@pytest.mark.parametrize(
    ("sides", "expected"),
    [((4, 4), []), ((3, 3), ["is 3 x 3, but 'loss' has 4 classes"]), ((4, 0), ["cannot read matrix file"]), (None, ["cannot read"])],
)
def test_the_matrix_of_an_infogain_loss(sides: tuple[int, int] | None, expected: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    write(pixels(1, 3), pixels(0, 2))
    if sides is not None:
        values = numpy.ones(sides[0] ** 2, "<f4").tobytes()
        Path("H").write_bytes(bytes([0x08, 1, 0x10, 1, 0x18, sides[0], 0x20, sides[1], 0x2A, len(values)]) + values)
    infogain = (LOSS % 'infogain_loss_param { source: "H" }').replace("SoftmaxWithLoss", "InfogainLoss")
    said = found(segmentation(losses=infogain), capfd, select="D120")
    assert [one in message for message, one in zip(said, expected, strict=True)] == [True] * len(expected)
