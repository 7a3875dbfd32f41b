"""Trained weights: reading files of them, what Caffe copies into a net, and files that are none."""

from __future__ import annotations

import builtins
import contextlib
import os
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from nets import net_of

from caffe_lint.data import caffemodel
from caffe_lint.data.caffemodel import read_weights
from caffe_lint.net.trained_weights import TrainedBlob, TrainedWeights, WeightsError, copied, not_finite, refusal
from caffe_lint.proto import caffe_pb2


def model(path: Path, layers: dict[str, list[Any]], *, form: str = "layer") -> str:
    """Write a .caffemodel with the arrays of each layer, in the current format (`layer`), `v1` or `v0`; return its path."""
    net = caffe_pb2.NetParameter()
    for name, arrays in layers.items():
        layer = net.layers.add().layer if form == "v0" else net.layer.add() if form == "layer" else net.layers.add()
        layer.name = name
        for array in arrays:
            blob = layer.blobs.add()
            if form == "layer":
                blob.shape.dim.extend(array.shape)
            else:
                padded = (1,) * (4 - array.ndim) + array.shape
                blob.num, blob.channels, blob.height, blob.width = padded
            (blob.double_data if array.dtype == np.float64 else blob.data).extend(array.ravel().tolist())
            blob.diff.extend([0.0] * array.size)
    path.write_bytes(net.SerializeToString())
    return str(path)


WEIGHTS = np.array([[0.5, -1.5, 2.0], [1.0, 0.0, -1.0]], np.float32)
BIAS = np.array([0.25, -0.75], np.float32)
NET = """\
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 2 } }
layer { name: "other" type: "InnerProduct" bottom: "ip" top: "other" inner_product_param { num_output: 4 } }
"""


@pytest.mark.parametrize("form", ["layer", "v1", "v0"])
def test_every_generation_of_the_format(tmp_path: Path, form: str) -> None:
    found = read_weights(model(tmp_path / "a.caffemodel", {"data": [], "ip": [WEIGHTS, BIAS]}, form=form))
    assert found.layers["data"] == ()
    weight, bias = found.layers["ip"]
    assert weight.shape == ((2, 3) if form == "layer" else (1, 1, 2, 3))
    assert (weight.mean, weight.mean_abs, weight.second_moment) == pytest.approx((1 / 6, 1.0, 8.5 / 6))
    assert (bias.mean, bias.mean_abs, bias.second_moment) == pytest.approx((-0.25, 0.5, 0.3125))


def test_numbers_of_double_precision_and_unpacked_ones(tmp_path: Path) -> None:
    found = read_weights(model(tmp_path / "a.caffemodel", {"ip": [WEIGHTS.astype(np.float64)]}))
    assert found.layers["ip"][0].mean_abs == pytest.approx(1.0)
    blob = b"\x3a\x02\x08\x02" + b"".join(
        b"\x2d" + np.float32(value).tobytes() for value in (1, -3)
    )  # data, each with a key
    layer = b"\x0a\x02ip" + b"\x3a" + bytes([len(blob)]) + blob
    (tmp_path / "b.caffemodel").write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    assert read_weights(str(tmp_path / "b.caffemodel")).layers["ip"][0].mean_abs == 2.0


def test_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.caffemodel.h5", "w") as file:
        file["data/ip/0"], file["data/ip/1"] = WEIGHTS, BIAS
        file.create_group("data/relu")
    weight, bias = read_weights(str(tmp_path / "a.caffemodel.h5")).layers["ip"]
    assert (weight.shape, bias.shape) == ((2, 3), (2,))
    assert (weight.mean_abs, bias.mean_abs) == (1.0, 0.5)


def test_several_files_the_last_one_first(tmp_path: Path) -> None:
    first = model(tmp_path / "a.caffemodel", {"ip": [WEIGHTS], "a": [BIAS]})
    second = model(tmp_path / "b.caffemodel", {"ip": [2 * WEIGHTS]})
    found = read_weights(f"{first},{second}")
    assert (found.layers["ip"][0].mean_abs, len(found.layers)) == (2.0, 2)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "large.caffemodel"
    data = np.full(25_000_000, 0.5, np.float32).tobytes()

    def field(key: bytes, content: bytes) -> bytes:
        size, length = len(content), b""
        while size > 0x7F:
            length += bytes([size & 0x7F | 0x80])
            size >>= 7
        return key + length + bytes([size]) + content

    shape = field(b"\x3a", b"\x08\xc0\xf0\xf5\x0b")  # 25,000,000
    path.write_bytes(field(b"\xa2\x06", b"\x0a\x02ip" + field(b"\x3a", shape + field(b"\x2a", data))))
    del data
    tracemalloc.start()
    found = read_weights(str(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.layers["ip"][0].second_moment == 0.25
    assert peak < 50_000_000


def blobs(*arrays: Any) -> tuple[TrainedBlob, ...]:
    return tuple(TrainedBlob(array.shape, 0.0, 1.0, 1.0) for array in arrays)


def test_layers_are_matched_by_name() -> None:
    net = net_of(NET, {"data": "8 3"})
    weights = TrainedWeights("a", {"ip": blobs(WEIGHTS, BIAS), "gone": blobs(BIAS)})
    assert [f"{param.layer.name}.{param.role}" for param in copied(net, weights)] == ["ip.weight", "ip.bias"]
    assert refusal(net, weights) == ""


def test_a_shape_that_differs_stops_caffe() -> None:
    net = net_of(NET, {"data": "8 3"})
    weights = TrainedWeights("a", {"ip": blobs(WEIGHTS.T, BIAS)})
    assert refusal(net, weights) == "the weight of layer 'ip' of a is 3 x 2, but that of the net 2 x 3"
    assert copied(net, weights) == {}
    weights = TrainedWeights("a", {"ip": blobs(WEIGHTS)})
    assert refusal(net, weights) == "layer 'ip' of a has 1 blob, but that of the net 2"


def test_shapes_of_four_axes_from_older_files() -> None:
    net = net_of(NET, {"data": "8 3"})
    old = tuple(
        TrainedBlob((1,) * (4 - array.ndim) + array.shape, 0.0, 1.0, 1.0, is_legacy=True) for array in (WEIGHTS, BIAS)
    )
    assert refusal(net, TrainedWeights("a", {"ip": old})) == ""
    new = tuple(blob._replace(is_legacy=False) for blob in old)
    assert refusal(net, TrainedWeights("a", {"ip": new})) != ""


@pytest.mark.filterwarnings("error")
def test_weights_of_a_training_that_diverged(tmp_path: Path) -> None:
    net = net_of(NET, {"data": "8 3"})
    for value in (np.nan, np.inf):
        weights = WEIGHTS.copy()
        weights[1, 1], weights[0, 0] = value, -value
        found = read_weights(model(tmp_path / "a.caffemodel", {"ip": [weights, BIAS]}))
        assert not_finite(net, found) == f"the weight of layer 'ip' of {tmp_path}/a.caffemodel contains NaN or infinity"
    assert not_finite(net, read_weights(model(tmp_path / "a.caffemodel", {"ip": [WEIGHTS, BIAS]}))) == ""


def test_damaged_files_end_in_a_sentence(tmp_path: Path) -> None:
    content = bytearray(Path(model(tmp_path / "a.caffemodel", {"data": [], "ip": [WEIGHTS, BIAS]})).read_bytes())
    path = tmp_path / "b.caffemodel"
    for at in range(len(content)):
        for change in (1, 0x80, 0xFF):
            damaged = content.copy()
            damaged[at] ^= change
            path.write_bytes(damaged)
            with contextlib.suppress(WeightsError):
                read_weights(str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it has no weights"),
        (b"name: 'LeNet'\n", "not a readable .caffemodel"),
        (b"\x7fELF" + bytes(100), "not a readable .caffemodel"),
        (b"\xa2\x06\xff\xff\xff\xff\x0f", "truncated"),
        (b"\xa2\x06" + b"\xff" * 20, "too long"),
        (b"\xa2\x06\x05\x0a\x7fip.\x08\x01", "a length at byte"),
        (b"\x08" * 3, "truncated"),
        (b"\xa2\x06\x08\x3a\x06\x3a\x04\x08\x02\x08\x03", "a blob of 2 x 3 has 0 values"),
    ],
)
def test_files_that_are_no_weights(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.caffemodel"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        read_weights(str(path))


def test_every_truncation_of_a_file_is_said(tmp_path: Path) -> None:
    content = Path(model(tmp_path / "a.caffemodel", {"ip": [WEIGHTS, BIAS]})).read_bytes()
    for size in range(len(content)):
        path = tmp_path / f"{size}.caffemodel"
        path.write_bytes(content[:size])
        with pytest.raises(WeightsError):
            read_weights(str(path))


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, message in (("pipe", "not a file"), (".", "not a file"), ("missing", "No such file")):
        with pytest.raises(WeightsError, match=message):
            read_weights(str(tmp_path / name))


def test_hdf5_files_that_are_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["other"] = WEIGHTS
    with pytest.raises(WeightsError, match="no group 'data'"):
        read_weights(str(path))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["data/ip/0"] = h5py.ExternalLink("a.h5", "other")
    with pytest.raises(WeightsError, match="link to another file"):
        read_weights(str(tmp_path / "b.h5"))
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file.create_dataset("data/ip/0", (1 << 40,), np.float32, chunks=True)
    with pytest.raises(WeightsError, match="more values than a blob"):
        read_weights(str(tmp_path / "c.h5"))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match="cannot be read: it is truncated"):
        read_weights(str(path))


def test_without_numpy_it_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = model(tmp_path / "a.caffemodel", {"ip": [WEIGHTS]})

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("caffe_lint.data.libraries.import_module", missing)
    with pytest.raises(Exception, match=r"reading weights needs numpy: pip install numpy"):
        read_weights(path)


def test_a_file_is_read_again_only_if_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = model(tmp_path / "a.caffemodel", {"ip": [WEIGHTS]})
    first = read_weights(path).layers
    opened: list[object] = []
    real = builtins.open

    def counting(*arguments: Any, **named: Any) -> Any:
        opened.append(arguments[0])
        return real(*arguments, **named)

    monkeypatch.setattr(caffemodel, "open", counting, raising=False)
    assert read_weights(path).layers == first
    assert opened == []
    model(tmp_path / "a.caffemodel", {"ip": [2 * WEIGHTS, BIAS]})
    assert len(read_weights(path).layers["ip"]) == 2


@pytest.mark.filterwarnings("error")
def test_a_signalling_nan_among_the_weights_is_no_warning(tmp_path: Path) -> None:
    path = tmp_path / "a.caffemodel"
    blob = b"\x2a\x04\x01\x00\x80\x7f" + b"\x3a\x03\x0a\x01\x01"  # one float; a shape of one
    layer = b"\x0a\x01a" + b"\x3a" + bytes([len(blob)]) + blob
    path.write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    assert np.isnan(read_weights(str(path)).layers["a"][0].mean)
