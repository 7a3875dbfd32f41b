"""Rebuilds the data that the set-ups of `divergence` name from those of scikit-learn.

Run: python benchmarks/divergence_data.py FOLDER [../shared/divergence]

Writes `FOLDER/data/` with the sources that `data.json` describes, and compares them with it: number, range, mean and deviation.
Handwritten digits and the diabetes set are the same. Of the patches of two photographs it is not written which they are and what
their labels mean: ours are drawn at random, and labelled by photograph and by fifth of its height. Trained on them, lenet-0117,
lenet-0342 and lenet-0108 come to losses of 1.57, 1.26 and 1.36 where the real Caffe came to 1.58, 1.24 and 1.68.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import lmdb
import numpy as np
from sklearn.datasets import load_diabetes, load_digits, load_sample_images

from caffe_lint.proto import caffe_pb2

_CLOSE = 2e-3  # relative: `data.json` is rounded
_PATCHES, _SIDE = 3000, 32


def main() -> None:
    """Write the data, and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("root", nargs="?", type=Path, default=Path("../shared/divergence"))
    options = parser.parse_args()
    said = json.loads((options.root / "data.json").read_text())
    for source in rebuilt(options.folder):
        differences = list(_differences(said[source.relative_to(options.folder).as_posix()], source))
        print(f"{source}: {'; '.join(differences) or 'as in data.json'}")


def rebuilt(folder: Path) -> Iterator[Path]:
    """Write the sources below `folder`/data, those that are not there yet, and return the paths that nets name."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    digits, diabetes = load_digits(), load_diabetes(scaled=False)
    images = (digits.images * (255 / 16)).astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    yield _database(folder / "data" / "digits", images[:, None], digits.target)
    yield _database(folder / "data" / "patches", *_patches())
    measured, target = diabetes.data, diabetes.target[:, None]
    for name, arrays in {
        "diabetes_raw": {"data": measured, "target": target},
        "diabetes_std": {"data": _standardised(measured), "target": _standardised(target)},
        "vec_raw": {"data": digits.data * 16, "label": digits.target[:, None]},
        "vec_unit": {"data": digits.data / 16, "label": digits.target[:, None]},
    }.items():
        yield _hdf5(folder / "data" / f"{name}.txt", folder, arrays)


def _patches() -> tuple[Any, Any]:
    photographs, draw = load_sample_images().images, np.random.RandomState(0)
    patches, labels = [], []
    for _ in range(_PATCHES):
        number = draw.randint(2)
        high, wide = (size - _SIDE for size in photographs[number].shape[:2])
        row, column = draw.randint(high), draw.randint(wide)
        patches.append(photographs[number][row : row + _SIDE, column : column + _SIDE].transpose(2, 0, 1))
        labels.append(5 * number + 5 * row // high)
    return np.stack(patches), labels


def _standardised(values: Any) -> Any:
    return (values - values.mean(0)) / values.std(0)


def _database(path: Path, images: Any, labels: Any) -> Path:
    if not path.exists():
        with lmdb.open(str(path), map_size=1 << 28) as environment, environment.begin(write=True) as transaction:
            for number, (image, label) in enumerate(zip(images, labels, strict=True)):
                channels, height, width = image.shape
                datum = caffe_pb2.Datum(
                    channels=channels, height=height, width=width, data=image.tobytes(), label=int(label)
                )
                transaction.put(b"%08d" % number, datum.SerializeToString())
    return path


def _hdf5(path: Path, folder: Path, arrays: Mapping[str, Any]) -> Path:
    if not path.exists():
        file = path.with_suffix(".h5")
        with h5py.File(file, "w") as written:
            for name, values in arrays.items():
                written[name] = values.astype(np.float32)
        path.write_text(f"{file.relative_to(folder)}\n")
    return path


def _differences(said: Mapping[str, Any], source: Path) -> Iterator[str]:
    """What differs between a source and what `data.json` says of it."""
    for name, values in _values(source):
        facts = said if name == "items" else said[name]
        found = {"min": values.min(), "max": values.max(), "mean": values.mean(), "std": values.std()}
        if facts.get("items", said["items"]) != len(values):
            yield f"{len(values)} items, not {said['items']}"
        for key, value in found.items():
            if not math.isclose(value, facts[key], rel_tol=_CLOSE, abs_tol=_CLOSE):
                yield f"{key} of {name} is {value:g}, not {facts[key]:g}"


def _values(source: Path) -> Iterator[tuple[str, Any]]:
    if source.suffix:
        with h5py.File(source.with_suffix(".h5")) as file:
            yield from ((name, np.asarray(file[name], np.float64)) for name in file)
        return
    with lmdb.open(str(source), readonly=True) as environment, environment.begin() as transaction:
        datums = [caffe_pb2.Datum.FromString(value) for value in transaction.cursor().iternext(keys=False)]
    yield "items", np.stack([np.frombuffer(datum.data, np.uint8) for datum in datums]).astype(np.float64)


if __name__ == "__main__":
    main()
