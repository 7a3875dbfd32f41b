"""LevelDBs written by the LevelDB library, in every state, are read with the records that the library reads."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from caffe_lint.data.broken import BrokenDatabase
from caffe_lint.data.leveldb_source import records
from caffe_lint.data.snappy import BrokenSnappy, unpack

plyvel = pytest.importorskip("plyvel", reason="LevelDB's own library has no wheel for this Python")


def filled(path: Path, *, compression: str | None = "snappy", compact: bool = False) -> list[tuple[bytes, bytes]]:
    """Write a database with records written, overwritten and deleted over several tables and levels; return its records."""
    pick = random.Random(1)
    with plyvel.DB(
        str(path), create_if_missing=True, write_buffer_size=1 << 16, block_size=1024, compression=compression
    ) as database:
        for turn in range(3):
            for _ in range(700):
                key = b"%06d" % pick.randrange(1500)
                if pick.random() < 0.1:
                    database.delete(key)
                else:
                    database.put(key, bytes([turn]) * pick.randrange(200) + pick.randbytes(100))
        if compact:
            database.compact_range()
            database.put(b"zz", b"only in the log")
        return list(database.iterator())


@pytest.mark.parametrize("compression", ["snappy", None])
@pytest.mark.parametrize("compact", [False, True])
def test_all_records_are_read_once_and_in_order(tmp_path: Path, compression: str | None, compact: bool) -> None:
    expected = filled(tmp_path / "db", compression=compression, compact=compact)
    assert len(expected) > 500
    assert list(records(str(tmp_path / "db"))) == expected


def test_a_value_larger_than_a_block_of_the_log(tmp_path: Path) -> None:
    with plyvel.DB(str(tmp_path / "db"), create_if_missing=True) as database:
        database.put(b"a", b"x" * 100_000)
        database.put(b"b", b"y")
    assert [(key, len(value)) for key, value in records(str(tmp_path / "db"))] == [(b"a", 100_000), (b"b", 1)]


def test_a_database_in_use_is_read(tmp_path: Path) -> None:
    with plyvel.DB(str(tmp_path / "db"), create_if_missing=True) as database:
        database.put(b"a", b"1")
        assert list(records(str(tmp_path / "db"))) == [(b"a", b"1")]


def test_damaged_files_are_reported_by_name(tmp_path: Path) -> None:
    filled(tmp_path / "db", compact=True)
    table = max((tmp_path / "db").glob("*.ldb"), key=lambda file: file.stat().st_size)
    whole = table.read_bytes()
    table.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BrokenDatabase, match=f"{table.name}.*does not end like a table"):
        list(records(str(tmp_path / "db")))
    table.unlink()
    with pytest.raises(BrokenDatabase, match="is missing"):
        list(records(str(tmp_path / "db")))
    (tmp_path / "db" / "CURRENT").write_text("MANIFEST-999999\n")
    with pytest.raises(BrokenDatabase, match="No such file"):
        list(records(str(tmp_path / "db")))


def test_our_snappy_reads_what_the_library_writes() -> None:
    cramjam = pytest.importorskip("cramjam")
    pick = random.Random(2)
    for size in (0, 1, 59, 60, 61, 300, 70_000):
        words = [pick.randbytes(pick.randrange(1, 90)) for _ in range(9)]
        text = b"".join(pick.choice(words) for _ in range(size))[:size] + b"a" * (size // 3)
        assert unpack(bytes(cramjam.snappy.compress_raw(text))) == text


@pytest.mark.parametrize("content", [b"", b"\x05", b"\x05\x00", b"\x04\xfc\xff", b"\x04\x01\x09", b"\xff" * 20])
def test_what_is_not_snappy_is_refused(content: bytes) -> None:
    with pytest.raises(BrokenSnappy):
        unpack(content)
