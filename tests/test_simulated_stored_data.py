"""`caffe-lint simulate --data real`: what of stored data cannot be trained with is said in words, and nothing in them is run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("h5py", reason="HDF5 needs h5py")
pytest.importorskip("lmdb", reason="LMDB needs lmdb")
pytest.importorskip("PIL", reason="images need Pillow")

import h5py
import numpy as np
from data_sources import datum, encoded_datum, image, lmdb_at
from harness import NET, SOLVER

from caffe_lint.cli.commands import cli

_REST = "layer {" + NET.partition("layer {")[2].partition("layer {")[2]
_DATABASE = 'type: "Data" data_param { source: "db" batch_size: 4 }'
_HDF5 = 'type: "HDF5Data" hdf5_data_param { source: "list.txt" batch_size: 4 }'
_IMAGES = 'type: "ImageData" image_data_param { source: "list.txt" root_folder: "images/" batch_size: 4 }'
_EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(ran) (ran.txt) (w) file exch writestring\n%%EOF\n"


def told(folder: Path, monkeypatch: pytest.MonkeyPatch, data: str, shape: str = "4,3,8,8") -> str:
    """Why a simulation on the data of a layer tells nothing; its verdict, if it tells something."""
    (folder / "net.prototxt").write_text(f'layer {{ name: "data" top: "data" top: "label" {data} }}\n{_REST}')
    (folder / "solver.prototxt").write_text(SOLVER)
    monkeypatch.chdir(folder)
    shapes = (f"data={shape}", "label=4")
    given = [word for one in shapes for word in ("--input-shape", one)]
    words = ["simulate", "solver.prototxt", "--data", "real", "--from-scratch", "--output-format", "json", *given]
    done = CliRunner().invoke(cli, words, standalone_mode=False)
    assert done.exception is None, done.exception
    found = json.loads(done.output)
    return str(found["cannot_tell"]["reason"] if found["cannot_tell"] else found["verdict"])


def hdf5(folder: Path, **datasets: object) -> None:
    """A list of one HDF5 file with datasets."""
    with h5py.File(folder / "a.h5", "w") as file:
        for name, values in datasets.items():
            file[name] = values
    (folder / "list.txt").write_text("a.h5\n")


def broken_hdf5(folder: Path) -> None:
    """A list of a file that is no HDF5."""
    (folder / "list.txt").write_text("a.h5\n")
    (folder / "a.h5").write_bytes(b"not HDF5" * 100)


def broken_lmdb(folder: Path) -> None:
    """A folder with a file that is no LMDB."""
    (folder / "db").mkdir()
    (folder / "db" / "data.mdb").write_bytes(b"\0" * 8192)


def images(folder: Path, *contents: bytes) -> None:
    """A list of images in a folder of their own."""
    (folder / "images").mkdir()
    for number, content in enumerate(contents):
        (folder / "images" / f"{number}.jpg").write_bytes(content)
    (folder / "list.txt").write_text("".join(f"{number}.jpg {number}\n" for number in range(len(contents))))


@pytest.mark.parametrize(
    ("data", "make", "reason"),
    [
        (_DATABASE, lambda folder: None, "/db: No such file or directory"),
        (_DATABASE, broken_lmdb, "the data of 'data' cannot be read: it is not an LMDB"),
        (_DATABASE, lambda folder: lmdb_at(folder / "db", [b"\xff" * 9]), "the data of 'data' cannot be read: "),
        (
            _DATABASE,
            lambda folder: lmdb_at(folder / "db", [datum(data=b"\1\2\3")]),
            "the data of 'data' cannot be read: a record has not as many values as its shape, 3 x 8 x 8",
        ),
        (
            _DATABASE,
            lambda folder: lmdb_at(folder / "db", [datum(shape=(1, 9, 9))]),
            "an item of 'data' is 1 x 9 x 9, but 3 x 8 x 8 in the net; give it with --input-shape",
        ),
        (_DATABASE, lambda folder: lmdb_at(folder / "db", [encoded_datum(_EPS)]), "cannot be read: it is not an image"),
        (_DATABASE, lambda folder: lmdb_at(folder / "db", []), "the source of 'data' is empty"),
        (_HDF5, broken_hdf5, "the data of 'data' cannot be read: a.h5: it is not an HDF5 file"),
        (_HDF5, lambda folder: hdf5(folder, data=np.zeros((9, 3, 8, 8))), "a.h5 has no dataset 'label'"),
        (
            _HDF5,
            lambda folder: hdf5(folder, data=["a", "b"], label=[0, 1]),
            "the dataset 'data' of a.h5 has no items that are numbers",
        ),
        (_HDF5, lambda folder: hdf5(folder, data=np.zeros((9, 3, 8, 9)), label=np.zeros(9)), "an item of 'data' is 3 x 8 x 9"),
        (_IMAGES, lambda folder: images(folder, _EPS), "the data of 'data' cannot be read: 0.jpg: it is not an image"),
        (_IMAGES, lambda folder: images(folder, image(), image((9, 7))), "an item of 'data' is 3 x 7 x 9"),
        (
            _IMAGES + " transform_param { crop_size: 8 }",
            lambda folder: images(folder, image((9, 9)), image((9, 7))),
            "an image of 'data' is smaller than crop_size 8",
        ),
        (
            _DATABASE + " transform_param { mean_value: 1 mean_value: 2 mean_value: 3 }",
            lambda folder: lmdb_at(folder / "db", [datum(shape=(1, 8, 8))]),
            "'data' has 3 mean_value for images with another number of channels",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_with_is_said_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, make: Callable[[Path], None], reason: str
) -> None:
    make(tmp_path)
    assert reason in told(tmp_path, monkeypatch, data)
    assert not (tmp_path / "ran.txt").exists()


def test_images_of_several_sizes_are_cropped_to_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images(tmp_path, *(image((8 + number, 9 + number % 2), seed=number) for number in range(6)))
    assert told(tmp_path, monkeypatch, _IMAGES + " transform_param { crop_size: 8 }") in ("learns", "stalls", "diverges")
