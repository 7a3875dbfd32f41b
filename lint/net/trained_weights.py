"""The trained weights of a file, reduced to shapes and sizes, and what Caffe copies of them into a net."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple
from ..source.errors import InputError
from ..source.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..moments.graph import Layer, Param
    from .net import Net

_LEGACY_AXES = 4  # of a blob written as num, channels, height and width


class WeightsError(InputError):
    """A file of weights cannot be used; says which, and why."""


class BrokenWeights(WeightsError):
    """A file is no .caffemodel, or damaged, so that Caffe stops when it loads it."""


class TrainedBlob(NamedTuple):
    """A blob of a file: its shape, and the mean, mean absolute value and mean square of its elements, NaN if they were not read.

    `is_legacy` says whether its shape is written as num, channels, height and width, with 1 for axes that it does not have.
    """

    shape: tuple[int, ...]
    mean: float
    mean_abs: float
    second_moment: float
    is_legacy: bool = False


class TrainedWeights(NamedTuple):
    """The blobs of a file of weights, by the name of their layer."""

    path: str
    layers: Mapping[str, tuple[TrainedBlob, ...]]


def copied(net: Net, weights: TrainedWeights) -> dict[Param, TrainedBlob]:
    """Return the blobs that Caffe copies into a net, by parameter: those of the layers with the same names.

    Source: net.cpp, Net::CopyTrainedLayersFrom. Where `refusal` says that Caffe stops, nothing is returned for that layer.
    """
    return {param: weights.layers[name][index] for param, (name, index) in copied_from(net, weights).items()}


def copied_from(net: Net, weights: TrainedWeights) -> dict[Param, tuple[str, int]]:
    """Return the layer, and the index among its blobs, of what Caffe copies into each parameter, as `copied`."""
    found: dict[Param, tuple[str, int]] = {}
    for layer in _layers(net):
        blobs = weights.layers.get(layer.name, ())
        if len(blobs) == len(layer.params) and all(map(_fits, layer.params, blobs)):
            found.update((param.owner, (layer.name, param.index)) for param in layer.params)
    return found


def refusal(net: Net, weights: TrainedWeights) -> str:
    """Return why Caffe would stop when it copies weights into a net, empty if it would not."""
    return next((reason for _, reason in misfits(net, weights)), "")


def misfits(net: Net, weights: TrainedWeights) -> Iterator[tuple[Layer, str]]:
    """Yield the layers at which Caffe would stop when it copies weights into a net, each with the reason as a clause."""
    for layer in _layers(net):
        blobs = weights.layers.get(layer.name)
        if blobs is None or layer.traits.has_open_params(layer):
            continue
        there = f"layer '{layer.name}' of {weights.path}"
        if len(blobs) != len(layer.params):
            yield layer, f"{there} has {counted(len(blobs), 'blob')}, but that of the net {len(layer.params)}"
            continue
        for param, blob in zip(layer.params, blobs, strict=True):
            if not _fits(param, blob):
                shapes = " x ".join(map(str, blob.shape)), " x ".join(map(str, param.shape or ()))
                yield layer, f"the {param.role} of {there} is {shapes[0]}, but that of the net {shapes[1]}"
                break


def not_finite(net: Net, weights: TrainedWeights) -> str:
    """Return which weights that Caffe copies into a net contain NaN or infinity, as a clause; empty if none do."""
    for param, blob in copied(net, weights).items():
        if not math.isfinite(blob.second_moment):
            return f"the {param.role} of layer '{param.layer.name}' of {weights.path} contains NaN or infinity"
    return ""


def _layers(net: Net) -> list[Layer]:
    """Return the layers of a net that weights are copied into; of several with one name, the first."""
    return [layer for layer in {layer.name: layer for layer in reversed(net.layers)}.values() if layer.kind is not None]


def _fits(param: Param, blob: TrainedBlob) -> bool:
    """Whether a blob has the shape of a parameter (blob.cpp, Blob::ShapeEquals); unknown sizes fit any."""
    shape = param.shape
    if shape is None:
        return True
    if blob.is_legacy and len(shape) <= _LEGACY_AXES:
        shape = (1,) * (_LEGACY_AXES - len(shape)) + tuple(shape)
    return len(shape) == len(blob.shape) and all(
        size is None or size == written for size, written in zip(shape, blob.shape, strict=True)
    )
