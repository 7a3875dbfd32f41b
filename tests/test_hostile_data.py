"""Data sources that nobody vouches for: each is refused with a reason, without a crash or memory of a claimed size."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from caffe_lint.data import lmdb_source, snappy
from caffe_lint.data.hdf5_file import BrokenHdf5, dataset_at, open_hdf5
from caffe_lint.data.image_list import whole
from caffe_lint.data.images import look_at
from caffe_lint.source.opener import Unreadable

h5py = pytest.importorskip("h5py")
lmdb = pytest.importorskip("lmdb")


def test_a_dataset_of_another_file_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = [1, 2, 3]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["own"] = [1, 2, 3]
        file["outside"] = h5py.ExternalLink("secret.h5", "x")
        file["soft"] = h5py.SoftLink("/own")
        file["around"] = h5py.SoftLink("/outside")
        file["loop"] = h5py.SoftLink("/loop/loop")
        file["nowhere"] = h5py.SoftLink("/gone")
        file.create_dataset("raw", (3,), "<i4", external=[(str(tmp_path / "secret.h5"), 0, 12)])
        file.create_dataset("unwritten", (1 << 20, 64), "<f4", chunks=True)
        file.create_dataset("endless", (1 << 40,), "<f4", chunks=True)
    with open_hdf5(str(tmp_path / "a.h5"), "a test") as file:
        assert dataset_at(file, "soft")[1] == 2
        assert dataset_at(file, "nowhere") is None
        for name, reason in (
            ("outside", "another file"), ("around", "another file"), ("raw", "another file"), ("loop", "without end"),
            ("unwritten", "never written"), ("endless", "more values"),
        ):  # fmt: skip
            with pytest.raises(BrokenHdf5, match=reason):
                dataset_at(file, name)


def test_a_database_that_is_shorter_than_it_says_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "db")
    with lmdb.open(path, map_size=1 << 24) as database, database.begin(write=True) as writing:
        for number in range(500):
            writing.put(b"%05d" % number, bytes(1_000))
    assert lmdb_source.count(path) == 500
    data = tmp_path / "db" / "data.mdb"
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    with pytest.raises(Unreadable, match="truncated"):
        lmdb_source.count(path)


def test_only_formats_of_imread_are_decoded() -> None:
    assert look_at(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n").fault == "unreadable"


def test_an_image_of_too_many_pixels_is_not_decoded() -> None:
    image = pytest.importorskip("PIL.Image")
    content = io.BytesIO()
    image.new("1", (12_000, 12_000)).save(content, "PNG")
    looked = look_at(content.getvalue())
    assert (looked.fault, "pixels" in looked.detail) == ("unreadable", True)


def test_a_block_that_claims_gigabytes_is_not_unpacked() -> None:
    with pytest.raises(snappy.BrokenSnappy):
        snappy.decompress(b"\xff\xff\xff\xff\x0f" + bytes(10))


def test_a_label_is_a_c_int() -> None:
    assert [whole(text) for text in ("7", "-1", "2147483648", "9" * 5_000, "²", "")] == [7, -1, None, None, None, None]
