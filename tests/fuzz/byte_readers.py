"""The readers of bytes as targets: whatever they are given, only an error of our own comes out, and what it says is true."""

from __future__ import annotations

import contextlib
import gzip
import json
import math
import os
import re
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from google.protobuf.message import DecodeError

from caffe_lint.data import hdf5_source, image_list, leveldb_source, listed_images, mean_file, snappy, window_file
from caffe_lint.data.caffemodel import read_shapes, read_values, read_weights
from caffe_lint.data.datum import BrokenDatum, read_annotated, read_datum
from caffe_lint.data.hdf5_file import BrokenHdf5
from caffe_lint.data.records import RecordLook
from caffe_lint.data.source_report import SourceReport, Watch
from caffe_lint.engine.baseline import BaselineError, Comparison, read_baseline, stale
from caffe_lint.engine.configuring import LOOKUPS
from caffe_lint.engine.diagnosis import diagnose
from caffe_lint.net.data_facts import FactsError, read_facts
from caffe_lint.net.trained_weights import WeightsError
from caffe_lint.proto import caffe_pb2, compile
from caffe_lint.proto.binder import bind
from caffe_lint.proto.parser import parse
from caffe_lint.proto.proto_text import ProtoError, proto_table
from caffe_lint.proto.schema import Schema, caffe_schema
from caffe_lint.proto.tree import render
from caffe_lint.settings.config_file import read_config
from caffe_lint.settings.settings import ConfigError
from caffe_lint.source.opener import Unreadable
from caffe_lint.training_log.log_reader import read_log

CHECKOUT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(CHECKOUT / "benchmarks"))

from against_protoc import compare, the_judge  # noqa: E402
from grpc_tools import protoc  # noqa: E402

_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # files that are written a million times belong here
_TEMPORARY = tempfile.TemporaryDirectory(prefix="caffe-lint-fuzz-", dir=_MEMORY)
_FOLDER = Path(_TEMPORARY.name)
_SEPARATOR = b"\n%%%%\n"  # between the files that one input stands for
_NAME = re.compile(r"[a-z0-9_.]{1,40}")


def file_of(content: bytes, name: str = "input") -> str:
    """Write an input to a file, and return its path."""
    path = _FOLDER / name
    path.write_bytes(content)
    return str(path)


# -- text ------------------------------------------------------------------------------------------------------


def _twice(content: bytes) -> bool:
    """Whether an input is read a second time, to see that the same comes out: one in eight."""
    return zlib.crc32(content) % 8 == 0


def text(content: bytes) -> None:
    """A text is rendered as it was read, read twice alike, and each problem has a place in it."""
    tree = parse(content)
    assert render(tree) == content
    for type_name in ("NetParameter", "SolverParameter"):
        bound = bind(tree, caffe_schema(), type_name)
        if _twice(content):
            again = bind(parse(content), caffe_schema(), type_name)
            assert [problem[:4] for problem in bound.problems] == [problem[:4] for problem in again.problems]
        for problem in (*tree.problems, *bound.problems):
            assert 0 <= problem.start <= problem.end <= len(content), problem
            tree.line_and_column(problem.start)


def text_seeds() -> list[bytes]:
    """Short pieces of our examples, and odd texts."""
    texts = [file.read_bytes() for file in sorted((CHECKOUT / "examples").rglob("*.prototxt"))]
    pieces = [text[start : start + 120] for text in texts for start in (0, len(text) // 2)]
    odd = [b'net: "a\\x41\\101" # c\nbase_lr: -.5e-3f max_iter: 0x1F;', b"layer <\n type: 'a' 'b' top: [\"a\",\"b\"] >\r\n", b"layers { bottom: [] }"]
    return pieces + odd


@cache
def _judge() -> object:
    return the_judge()


def protoc_agreement(content: bytes) -> None:
    """A text is accepted by protoc and by us with equal bytes on the wire, or refused by both."""
    for type_name in ("NetParameter", "SolverParameter"):
        verdict = compare(_judge(), content, type_name)  # type: ignore[arg-type]
        assert verdict.outcome in ("same", "refused"), verdict


# -- logs ------------------------------------------------------------------------------------------------------


def log(content: bytes) -> None:
    """A log is read and diagnosed, twice alike, or cannot be unpacked."""
    path = file_of(content)
    try:
        found = diagnose(read_log(path))
    except Unreadable:
        return
    if _twice(content):
        assert [str(each) for each in found] == [str(each) for each in diagnose(read_log(path))]


def log_seeds() -> list[bytes]:
    """Logs of short trainings, one of them packed."""
    head = b"I0101 10:00:00.000000  1 solver.cpp:243] "
    lines = [
        b"Initializing solver from parameters:", b"base_lr: 0.01\nmax_iter: 100\nlr_policy: \"fixed\"\n",
        b"Iteration 0, loss = 2.3", b"    Train net output #0: loss = 2.3 (* 1 = 2.3 loss)", b"Iteration 0, lr = 0.01",
        b"Iteration 0, Testing net (#0)", b"    Test net output #0: accuracy = 0.1",
        b"Iteration 100 (10 iter/s, 1s/100 iters), loss = nan", b"Gradient clipping: scaling down gradients (L2 norm 20 > 10) by scale factor 0.5",
        b"    [Forward] Layer data, top blob data data: 0.5", b"    [Backward] Layer fc, param blob 0 diff: 1e+20",
        b"    [Update] Layer fc, param blob 0 data: 1; diff: inf", b"    All net params (data, diff): L1 norm = (1, 2); L2 norm = (3, nan)",
        b"Creating Layer conv1", b"conv1 <- data", b"conv1 -> conv1", b"Top shape: 10 3 4 4 (480)", b"Setting up conv1",
        b"Check failed: shape[i] >= 0", b"Optimization Done.", b"Restoring previous solver status from a.solverstate",
    ]  # fmt: skip
    plain = b"".join(head + line + b"\n" for line in lines)
    parts = [b"".join(head + line + b"\n" for line in lines[start : start + 5]) for start in range(0, len(lines), 4)]
    steps = b"".join(head + b"Iteration %d, loss = %g\n" % (10 * number, 2 + number**3) for number in range(7))
    net = b"Initializing net from parameters: \nlayer { name: \"a\" type: \"Input\" top: \"a\" }\n"
    return [*parts, plain, steps, head + net, gzip.compress(steps, mtime=0), b"F0101 10:00:00 1 net.cpp:1] " + parts[0]]


# -- databases -------------------------------------------------------------------------------------------------


def leveldb(content: bytes) -> None:
    """A database is read, or said to be broken; its records are looked at."""
    folder = _FOLDER / "leveldb"
    folder.mkdir(exist_ok=True)
    parts = (content.split(_SEPARATOR, 3) + [b""] * 4)[:4]
    for name, part in zip(("CURRENT", "MANIFEST-000002", "000003.log", "000005.ldb"), parts, strict=True):
        (folder / name).write_bytes(part)
    with contextlib.suppress(leveldb_source.BrokenDatabase):
        leveldb_source.look(str(folder), Watch(), sample=None, annotated=False, largest=1, pixel_labels=False)


def leveldb_seeds() -> list[bytes]:
    """Databases with a log, and with a table, as the library writes them."""
    import plyvel

    seeds = []
    for compression in (None, "snappy"):
        with tempfile.TemporaryDirectory() as folder:
            database = plyvel.DB(folder, create_if_missing=True, compression=compression)
            for number in range(5):
                database.put(b"%08d" % number, _datum(number))
            files = {"log": next(Path(folder).glob("*.log")).read_bytes()}
            database.compact_range()
            database.close()
            files["manifest"] = next(Path(folder).glob("MANIFEST*")).read_bytes()
            table = next(iter([*Path(folder).glob("*.ldb"), *Path(folder).glob("*.sst")]))
            files["table"] = table.read_bytes()
            number = int(table.stem)
        manifest = files["manifest"].replace(bytes([7, 0, number]), bytes([7, 0, 5]))
        manifest = manifest.replace(bytes([7, 1, number]), bytes([7, 1, 5])).replace(bytes([7, 2, number]), bytes([7, 2, 5]))
        seeds.append(_SEPARATOR.join((b"MANIFEST-000002\n", manifest, b"", files["table"])))
        seeds.append(_SEPARATOR.join((b"MANIFEST-000002\n", manifest, files["log"], files["table"])))
    return seeds


def snappy_block(content: bytes) -> None:
    """Our decoder of Snappy gives what the library gives, or both refuse."""
    results = []
    for decode in (snappy.unpack, snappy.decompress):
        try:
            results.append(decode(content))
        except snappy.BrokenSnappy:
            results.append(None)
    assert results[0] == results[1], results


def snappy_seeds() -> list[bytes]:
    """Compressed texts, with copies of all kinds."""
    from cramjam import snappy as library

    texts = [b"", b"abc", b"ab" * 40, bytes(range(256)) * 3, b"x" * 1000 + bytes(range(200)) + b"x" * 500]
    return [bytes(library.compress_raw(one)) for one in texts]


def datum(content: bytes) -> None:
    """A Datum is what protobuf reads, or broken; a look at it as a record ends."""
    try:
        found = read_datum(content)
    except BrokenDatum:
        found = None
    with contextlib.suppress(BrokenDatum):
        read_annotated(content)
    if found is not None:
        message = caffe_pb2.Datum()
        with contextlib.suppress(DecodeError):
            message.ParseFromString(content)
            theirs = (message.channels, message.height, message.width, message.label, message.encoded)
            assert theirs == (found.channels, found.height, found.width, found.label, found.encoded)
            assert message.data == content[found.start : found.end]
    for annotated, pixel_labels in ((False, False), (True, False), (False, True)):
        report = SourceReport("lmdb", "")
        report.items = 2
        RecordLook(report, Watch(), annotated=annotated, largest=2, pixel_labels=pixel_labels).look([content, content], lambda: "key")
        assert report.looked_at == 2


def _datum(label: int = 0) -> bytes:
    return bytes(caffe_pb2.Datum(channels=1, height=2, width=2, data=bytes(range(4)), label=label).SerializeToString())


def datum_seeds() -> list[bytes]:
    """Datums with bytes, with floats, packed and not, and one in an AnnotatedDatum."""
    floats = b"".join(b"\x35" + bytes(4) for _ in range(4))
    shape = b"\x08\x01\x10\x02\x18\x02"
    box = b"\x0a\x14\x0d\x00\x00\x00\x00\x15\x00\x00\x00\x3f\x1d\x00\x00\x00\x3f\x25\x00\x00\x80\x3f"
    group = b"\x08\x01\x12" + bytes([len(box)]) + box
    annotated = b"\x0a" + bytes([len(_datum())]) + _datum() + b"\x1a" + bytes([len(group)]) + group
    return [_datum(1), shape + floats, shape + b"\x32\x10" + bytes(16), _datum(-1) + b"\x38\x01", annotated]


# -- lists and arrays ------------------------------------------------------------------------------------------


@cache
def _arrays() -> None:
    import h5py

    with h5py.File(_FOLDER / "a.h5", "w") as file:
        file["data"] = [[1.0, 2.0], [3.0, 4.0]]
        file["label"] = [0, 1]


@contextlib.contextmanager
def listing(content: bytes) -> Iterator[str]:
    """Give the path of a list of files, which may be unreadable; an empty one for a list that could name files outside."""
    with contextlib.suppress(Unreadable):
        yield file_of(b"" if b"/" in content else content)


def hdf5_list(content: bytes) -> None:
    """The files of a list are looked at, each as what it is."""
    _arrays()
    with listing(content) as path:
        hdf5_source.look(path, str(_FOLDER), ("data", "label"), ("label",), Watch(), sample=None)
        with contextlib.suppress(BrokenHdf5):
            hdf5_source.count(path, str(_FOLDER), "data")


def hdf5_file(content: bytes) -> None:
    """An HDF5 file, which its library may refuse, is looked at."""
    file_of(content, "it.h5")
    hdf5_source.look(file_of(b"it.h5\n"), str(_FOLDER), ("data", "label"), ("label",), Watch(), sample=None)


def hdf5_seeds() -> list[bytes]:
    """A small file."""
    _arrays()
    return [(_FOLDER / "a.h5").read_bytes()]


@cache
def _picture() -> None:
    from PIL import Image

    Image.new("RGB", (3, 2)).save(_FOLDER / "a.png")


def images(content: bytes) -> None:
    """A list of images is looked at."""
    _picture()
    with listing(content) as path:
        listed_images.look(path, str(_FOLDER), "", Watch(), sample=None, pixel_labels=False)
        image_list.count(path)


def windows(content: bytes) -> None:
    """A list of windows is looked at."""
    _picture()
    with listing(content) as path:
        window_file.look(path, str(_FOLDER), "", Watch(), sample=None, foreground=0.5, background=0.4)
        with contextlib.suppress(window_file.BrokenWindowFile):
            window_file.count(path)


def mean(content: bytes) -> None:
    """A mean file is read, or broken."""
    with contextlib.suppress(mean_file.BrokenMean):
        found = mean_file.read(file_of(content))
        assert len(found.shape) == 3


def mean_seeds() -> list[bytes]:
    """Means of both forms."""
    old = caffe_pb2.BlobProto(num=1, channels=1, height=1, width=2, data=[1, 2])
    new = caffe_pb2.BlobProto(shape={"dim": [1, 2]}, data=[1, float("nan")])
    return [old.SerializeToString(), new.SerializeToString()]


def caffemodel(content: bytes) -> None:
    """Weights are read, or said to be none; their shapes, sizes and values agree."""
    read_weights.__globals__["_read"].cache_clear()  # files change within one tick of the clock
    path = file_of(content, "it.caffemodel")
    found = None
    with contextlib.suppress(WeightsError):
        found = read_weights(path).layers
    with contextlib.suppress(WeightsError):
        shapes = read_shapes(path).layers
        values = read_values(path, shapes)
        for name, blobs in shapes.items():
            assert [math.prod(blob.shape) for blob in blobs] == [each.size for each in values[name]]
        assert found is None or {name: len(blobs) for name, blobs in found.items()} == {
            name: len(blobs) for name, blobs in shapes.items()
        }
        return
    assert found is None


def caffemodel_seeds() -> list[bytes]:
    """Weights in all generations of the format."""
    blob = {"shape": {"dim": [2, 2]}, "data": [1, 2, 3, 4]}
    old = {"num": 1, "channels": 1, "height": 1, "width": 2, "double_data": [1.0, 2.0]}
    nets = [
        caffe_pb2.NetParameter(layer=[{"name": "a", "blobs": [blob, old]}]),
        caffe_pb2.NetParameter(layers=[{"name": "b", "blobs": [old]}]),
        caffe_pb2.NetParameter(layers=[{"layer": {"name": "c", "blobs": [old]}}]),
    ]
    return [net.SerializeToString() for net in nets]


# -- settings --------------------------------------------------------------------------------------------------


def toml(content: bytes) -> None:
    """Settings are read, or a sentence says what is wrong with them."""
    for name in ("caffe-lint.toml", "pyproject.toml"):
        with contextlib.suppress(ConfigError):
            read_config(file_of(content, name), LOOKUPS, is_named=False)


def toml_seeds() -> list[bytes]:
    """Settings with all keys."""
    return [
        b'preset = "strict"\nselect = ["G1", "ALL"]\nignore = []\nfail-on = "error"\nmin-confidence = "low"\ngpus = 2\n'
        b'from-scratch = true\ndialect = "ssd"\ncaffe-version = "1.0"\nbaseline = "b.json"\nexclude = ["a*", "!b/"]\n'
        b'weights = ["a.caffemodel"]\ndocs-url = "https://a.b/"\n',
        b'[rules.missing-gradient-clipping]\nvalue = 35.0\nseverity = "error"\n[input-shapes]\ndata = [1, 3, 8]\n',
        b'[per-file]\n"a/**" = {ignore = ["N3"]}\n[layers.Mine]\nbottoms = 1\ntops = "1-2"\nin-place = true\n',
        b'[tool.caffe-lint]\nselect = ["E"]\nplugins = []\n',
    ]


def facts(content: bytes) -> None:
    """Facts are read, or a sentence says what is wrong with them."""
    with contextlib.suppress(FactsError):
        read_facts(file_of(content))


def facts_seeds() -> list[bytes]:
    """Facts about a database and about HDF5."""
    one = {"kind": "lmdb", "items": 9, "shape": [1, 2, 2], "min": 0.0, "max": 255, "mean": 3.5, "mean_abs": 3, "std": 1e2,
           "labels": [0, 9], "looked_at": 9, "date": "2026-01-01", "label_counts": {"0": 5}, "mixed_shapes": True}  # fmt: skip
    hdf5 = {"kind": "hdf5", "items": None, "data": {"shape": [10], "min": -1}, "target": {"shape": []}}
    return [json.dumps({"a": one}).encode(), json.dumps({"b": hdf5}).encode(), b"{}"]


def baseline(content: bytes) -> None:
    """A baseline is read, or a sentence says what is wrong with it; each finding in it is gone if no file is there."""
    with contextlib.suppress(BaselineError):
        found = read_baseline(file_of(content))
        assert len(stale(found, Comparison({}, {}))) <= len(found.counts)


def baseline_seeds() -> list[bytes]:
    """Baselines."""
    findings = {"models/net.prototxt": {"G104": {"layer[up1].type": 1, "": 2}}, "../a": {}}
    return [json.dumps({"version": 1, "findings": findings}).encode(), b'{"version": 1, "findings": {}}']


def caffe_proto(content: bytes) -> None:
    """A schema that protoc compiles becomes a table that our schema reads; protoc runs in this process, for speed."""
    source, out, errors = file_of(content, "it.proto"), _FOLDER / "set", _FOLDER / "errors"
    with contextlib.suppress(FileNotFoundError):
        out.unlink()
    saved = os.dup(2)
    descriptor = os.open(errors, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 2)
    try:
        status = protoc.main(["protoc", f"-I{_FOLDER}", "--include_imports", f"--descriptor_set_out={out}", source])
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(descriptor)
    if status:
        return
    plain = compile._with_plain_json_names(out.read_bytes())
    with contextlib.suppress(compile.CompileError):
        schema = Schema(compile.schema_table(plain), base=caffe_schema(), descriptor_set=plain)
        for name in list(schema._message_texts):
            for field in schema.message(name).fields.values():
                field.read(b"1")
                assert field.default is not NotImplemented
        if schema.has("NetParameter"):
            bind(parse(b'name: "a" layer { name: "x" type: "ReLU" }'), schema, "NetParameter")


def caffe_proto_seeds() -> list[bytes]:
    """Schemas of a few messages."""
    return [
        b'syntax = "proto2"; package caffe;\nenum Phase { TRAIN = 0; TEST = 1; }\nmessage NetParameter { optional string name = 1;\n'
        b'repeated LayerParameter layer = 100; }\nmessage LayerParameter { optional string name = 1; optional string type = 2;\n'
        b'repeated float loss_weight = 5 [packed = true]; optional Phase phase = 10 [default = TEST]; optional int32 n = 3 [default = -7]; }\n'
        b"message SolverParameter { optional float base_lr = 5 [default = 1e-2]; required bool b = 1; optional bytes c = 2 [default = \"\\x01a\"]; }\n",
        b'syntax = "proto3"; message A { enum E { X = 0; } E e = 1; map<string, A> m = 2; oneof o { int64 i = 3; double d = 4; } }',
        b"package p; message A { extensions 100 to max; optional group G = 1 { optional fixed32 f = 2; } } extend A { optional int32 x = 100; }",
    ]


def repository_proto(content: bytes) -> None:
    """A schema that was found in a repository is read as names that our schema reads, or refused."""
    with contextlib.suppress(ProtoError):
        schema = Schema(proto_table(content.decode("utf-8", "replace")), base=caffe_schema())
        for name in list(schema._message_texts):
            for field in schema.message(name).fields.values():
                field.read(b"1")
        for name in list(schema._enum_texts):
            schema.enum(name).read(b"1")
        if schema.has("NetParameter"):
            bind(parse(b'name: "a" layer { name: "x" type: "ReLU" }'), schema, "NetParameter")


Reader = Callable[[bytes], None]
Seeds = Callable[[], list[bytes]]

READERS: dict[str, tuple[Reader, Seeds]] = {
    "text": (text, text_seeds),
    "protoc": (protoc_agreement, text_seeds),
    "log": (log, log_seeds),
    "leveldb": (leveldb, leveldb_seeds),
    "snappy": (snappy_block, snappy_seeds),
    "datum": (datum, datum_seeds),
    "hdf5-list": (hdf5_list, lambda: [b"a.h5\n", b"a.h5 b.h5\n\na.h5", b"input\n"]),
    "hdf5": (hdf5_file, hdf5_seeds),
    "images": (images, lambda: [b"a.png 0\na.png 1\n", b"b.png -1\ninput 2147483648\na.png\n", b"a.png  3x\r\n"]),
    "windows": (windows, lambda: [b"# 0\na.png\n3 2 3\n2\n1 0.9 0 0 2 1\n0 0.1 0 0 1 1\n", b"# 1 input 1 2 3 0\n"]),
    "mean": (mean, mean_seeds),
    "caffemodel": (caffemodel, caffemodel_seeds),
    "toml": (toml, toml_seeds),
    "facts": (facts, facts_seeds),
    "baseline": (baseline, baseline_seeds),
    "caffe-proto": (caffe_proto, caffe_proto_seeds),
    "repository-proto": (repository_proto, caffe_proto_seeds),
}

