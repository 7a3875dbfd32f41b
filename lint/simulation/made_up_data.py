"""Data made up for a training: of the shapes, ranges and spreads that the facts and the files imply, and with classes.

Each item has a class. Images of a class share a pattern, so that a net can learn them, and a brightness and a texture, which are left
when a net averages over its maps; all images share a pattern too, and each has its own brightness and its own smooth noise. Labels
are the classes; targets depend on them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..layers.common import axis_field
from ..layers.loss import class_axis
from ..layers.models.data_models import BYTES, PIXEL_MAX, UNKNOWN_IMAGES, data_kind
from ..moments.blob_facts import BlobFacts
from ..moments.layer_type import MADE_UP, SIGMOID
from ..net.classes import label_uses
from ..net.data_facts import tops_facts
from ..net.label_sources import label_sources
from ..proto.named_tuple import NamedTuple
from .arrays import Array, Generator, np, resizing_matrix
from .filling import filled
from .operator import CannotSimulate
from .tape import is_fed

if TYPE_CHECKING:
    from ..moments.graph import Blob, Layer
    from ..moments.shapes import Shape
    from ..moments.signal_model import AssumedData
    from ..net.net import Net

# Parts of the variance of images: what all have in common, what those of a class do, the brightness of each; the rest is smooth
# noise. Set by hand, near what the signal models take (data_models.py) and what digits and photographs have.
_OF_ALL, _OF_CLASS, _OF_BRIGHTNESS = 0.12, 0.25, 0.13
_BRIGHTNESS_OF_CLASS = 0.5  # of that of brightness
_COARSE = 0.7  # of the noise, over about a tenth of a side; the rest over two pixels
_COARSE_PATCHES = 10  # along a side
# Of textures of classes. Set by hand, so that classes explain as much of how neighbouring pixels differ from image to image (a half)
# as of digits and photographs; without them, DenseNets stall that learn from these.
_COARSE_OF_CLASSES, _WIDEST = (0.4, 0.95), 1.6
# Of tables: what the columns' means have, if the mean of all is not near 0, and what classes do.
_OF_COLUMNS, _COLUMN_MEANS_FROM = 0.3, 0.05
_OF_CLASS_IN_TABLES = 0.4
_OF_CLASS_IN_TARGETS = 0.7
_CLASSES = 10  # where no labels say how many there are
_QUANTILES, _SAMPLE = 501, 20_000  # of a distribution
_SHARE_OF_ONES = 0.3  # among targets that are probabilities
_LABEL_PATCHES = 4  # along a side of a map of labels

_LABELS, _PROBABILITIES, _INDICES, _MARKERS, _BITS = "labels", "probabilities", "indices", "markers", "bits"
_BOXES, _REGIONS = "boxes", "regions"
_BOXES_OF_ITEM, _BOX_COLUMNS = 2, 8


class _Role(NamedTuple):
    """What reads a top of a data layer: of labels and indices, how many there are."""

    kind: str
    number: int


class MadeUpData:
    """Batches for the layers of a net that are fed, of `items` items where a batch has `whole`."""

    def __init__(self, net: Net, assumed: AssumedData, draw: Generator, *, whole: int, items: int) -> None:
        self.net = net
        self.assumed = assumed
        self.draw = draw
        self.whole, self.items = whole, items
        self.roles: dict[Blob, _Role] = {}
        for blob, found in _roles(net):
            role = found._replace(number=max(1, found.number))  # of a layer that is like one without its settings
            known = self.roles.get(blob)
            if known is None or known.kind != role.kind or role.number < known.number:  # what fits all that read it
                self.roles[blob] = role
        self.classes = max((role.number for role in self.roles.values() if role.kind == _LABELS), default=_CLASSES)
        self.patterns: dict[Blob, tuple[Array, Array]] = {}
        self.textures: dict[Blob, list[_Texture]] = {}
        self.fixed: dict[Blob, Array] = {}
        self.distributions: dict[Blob, _Distribution] = {}

    def batch(self) -> dict[Blob, Array]:
        """The values of the tops of all layers that are fed. Raises CannotSimulate."""
        chosen = self.draw.integers(0, self.classes, self.whole)
        found = {}
        for layer in self.net.layers:
            if is_fed(layer):
                facts = tops_facts(layer, self.net.built_with.facts)
                for index, blob in enumerate(layer.tops):
                    found[blob] = self._top(layer, index, facts[index], chosen)
        return found

    def shape(self, blob: Blob) -> tuple[int, ...]:
        """The shape of a top, with the items that are simulated."""
        shape = blob.shape if blob.shape is not None and None not in blob.shape else _by_scores(blob)
        if shape is None or None in shape:
            raise CannotSimulate(f"the shape of '{blob.name}' is unknown")
        known = tuple(size or 0 for size in shape)
        return (self.items, *known[1:]) if known[:1] == (self.whole,) else known

    def _top(self, layer: Layer, index: int, facts: BlobFacts | None, chosen: Array) -> Array:
        blob = layer.tops[index]
        if not blob.consumers and blob.shape is None:
            return np.zeros((), np.float32)
        role = self.roles.get(blob)
        if role is not None and role.kind == _BOXES:
            return self._boxes(role.number, chosen)
        shape = self.shape(blob)
        if role is not None and role.kind == _REGIONS:
            return self._regions(shape, role.number)
        if layer.traits.origin == MADE_UP:
            return self._by_filler(layer, index, shape)
        is_described = facts is not None and facts.mean is not None and facts.std is not None
        if role is not None and not (role.kind == _PROBABILITIES and is_described):
            return self._by_role(role, blob, shape, facts, chosen)
        kind = data_kind(layer, index, facts)
        described = facts if is_described else None
        if described is None and kind in (BYTES, UNKNOWN_IMAGES):
            described = BlobFacts(None, 0.0, PIXEL_MAX, self.assumed.pixel_mean, None, self.assumed.pixel_std)
        elif described is None:
            size = self.assumed.size or 1.0
            described = BlobFacts(mean=0.0, std=size)
        values = self._values(blob, shape, described, chosen)
        if index == 0:
            values = self._transformed(layer, values, described)
        if kind == UNKNOWN_IMAGES and self.assumed.size is not None:
            values = values * np.float32(self.assumed.size / max(float(np.sqrt((values * values).mean())), 1e-6))
        return values

    def _by_filler(self, layer: Layer, index: int, shape: tuple[int, ...]) -> Array:
        fillers = layer.message["dummy_data_param"]["data_filler"]
        if not fillers:
            return np.zeros(shape, np.float32)
        filler = fillers[index if len(fillers) > 1 else 0]
        blob = layer.tops[index]
        if filler["type"] == "constant" and blob in self.fixed:
            return self.fixed[blob]
        self.fixed[blob] = values = filled(filler, shape, self.draw)
        return values

    def _by_role(
        self, role: _Role, blob: Blob, shape: tuple[int, ...], facts: BlobFacts | None, chosen: Array
    ) -> Array:
        items = chosen[: shape[0]] if shape and shape[0] <= len(chosen) else self.draw.integers(0, self.classes, shape[:1])
        size = math.prod(shape[1:])
        if role.kind == _MARKERS:
            values = np.ones(shape, np.float32)
            values[:1] = 0
            return values
        if role.kind == _BITS:
            return (self.draw.random(shape) < 0.5).astype(np.float32)
        if role.kind == _INDICES:
            return self.draw.integers(0, role.number, shape).astype(np.float32)
        if role.kind == _PROBABILITIES:
            if blob not in self.fixed:
                self.fixed[blob] = (self.draw.random((self.classes, size)) < _SHARE_OF_ONES).astype(np.float32)
            return self.fixed[blob][items].reshape(shape)
        low, high = 0.0, role.number - 1.0
        if facts is not None and facts.minimum is not None and facts.maximum is not None:
            low, high = max(low, facts.minimum), min(high, facts.maximum)
        number = max(1, int(high - low) + 1)
        if size == 1:
            return (low + items % number).astype(np.float32).reshape(shape)
        return low + self._label_maps(shape, number, items)

    def _boxes(self, classes: int, chosen: Array) -> Array:
        """Boxes as SSD reads them, of all items: the class of the item says where its first one is, and which class that has."""
        number = self.items * _BOXES_OF_ITEM
        found = np.zeros((number, _BOX_COLUMNS), np.float32)
        found[:, 0] = np.arange(number) // _BOXES_OF_ITEM
        own = np.repeat(chosen[: self.items], _BOXES_OF_ITEM)
        is_first = np.arange(number) % _BOXES_OF_ITEM == 0
        found[:, 1] = 1 + np.where(is_first, own, self.draw.integers(0, max(1, classes - 1), number)) % max(1, classes - 1)
        size = self.draw.uniform(0.15, 0.5, (number, 2))
        corner = np.where(is_first[:, None], (own[:, None] % 4) / 8, self.draw.random((number, 2)) * (1 - size))
        found[:, 3:5], found[:, 5:7] = corner, corner + size
        return found.reshape(1, 1, number, _BOX_COLUMNS)

    def _regions(self, shape: tuple[int, ...], side: int) -> Array:
        """Regions as R-CNN reads them, in images with sides of so many pixels."""
        number = math.prod(shape) // 5
        corner, size = self.draw.random((number, 2)) * side * 0.7, self.draw.uniform(0.1, 0.3, (number, 2)) * side
        items = self.draw.integers(0, self.items, (number, 1))
        return np.concatenate((items, corner, corner + size), 1).astype(np.float32).reshape(shape)

    def _label_maps(self, shape: tuple[int, ...], number: int, items: Array) -> Array:
        """Maps of labels, in patches, half of which have the label of the item."""
        high, wide = (shape[-2], shape[-1]) if len(shape) > 2 else (1, math.prod(shape[1:]))
        coarse = self.draw.integers(0, number, (shape[0], min(high, _LABEL_PATCHES), min(wide, _LABEL_PATCHES)))
        own = self.draw.random(coarse.shape) < 0.5
        coarse = np.where(own, items[:, None, None] % number, coarse)
        rows = np.arange(high) * coarse.shape[1] // high
        columns = np.arange(wide) * coarse.shape[2] // wide
        maps = coarse[:, rows][:, :, columns].reshape(shape[0], 1, -1)
        channels = math.prod(shape[1:]) // maps.shape[2]
        return np.broadcast_to(maps, (shape[0], channels, maps.shape[2])).astype(np.float32).reshape(shape)

    # -- values ----------------------------------------------------------------------------------------------

    def _values(self, blob: Blob, shape: tuple[int, ...], facts: BlobFacts, chosen: Array) -> Array:
        """Values with the mean, spread and range of facts, in shape of images or of tables."""
        assert facts.mean is not None
        assert facts.std is not None
        items = chosen[: shape[0]] if shape and shape[0] <= len(chosen) else self.draw.integers(0, self.classes, shape[:1])
        if len(shape) == 4 and shape[2] > 1 and shape[3] > 1:
            standard = self._images(blob, shape, items)
        else:
            standard = self._rows(blob, shape, facts, items)
        if blob not in self.distributions:
            self.distributions[blob] = _Distribution(facts)
        return self.distributions[blob](standard)

    def _images(self, blob: Blob, shape: tuple[int, ...], items: Array) -> Array:
        if blob not in self.patterns:
            tint = self.draw.standard_normal((self.classes, shape[1], 1, 1), np.float32)
            self.patterns[blob] = (
                math.sqrt(_OF_ALL) * _smooth((1, *shape[1:]), self.draw, _Texture()),
                math.sqrt(_OF_CLASS) * _smooth((self.classes, *shape[1:]), self.draw, _Texture())
                + math.sqrt(_OF_BRIGHTNESS * _BRIGHTNESS_OF_CLASS) * tint,
            )
            self.textures[blob] = [_Texture.drawn(self.draw) for _ in range(self.classes)]
        common, of_class = self.patterns[blob]
        brightness = self.draw.standard_normal((shape[0], 1, 1, 1), np.float32)
        noise = np.empty(shape, np.float32)
        for each in np.unique(items):
            texture = self.textures[blob][each]
            noise[items == each] = _smooth((int((items == each).sum()), *shape[1:]), self.draw, texture)
        return (
            common + of_class[items] + math.sqrt(_OF_BRIGHTNESS * (1 - _BRIGHTNESS_OF_CLASS)) * brightness
            + math.sqrt(1 - _OF_ALL - _OF_CLASS - _OF_BRIGHTNESS) * noise
        )  # fmt: skip

    def _rows(self, blob: Blob, shape: tuple[int, ...], facts: BlobFacts, items: Array) -> Array:
        assert facts.mean is not None
        assert facts.std is not None
        size = math.prod(shape[1:])
        if blob not in self.patterns:
            self.patterns[blob] = (
                self.draw.standard_normal((1, size), np.float32),
                self.draw.standard_normal((self.classes, size), np.float32),
            )
        common, of_class = self.patterns[blob]
        has_means = size > 1 and facts.mean**2 > _COLUMN_MEANS_FROM * facts.std**2
        of_columns = _OF_COLUMNS if has_means else 0.0
        share = (_OF_CLASS_IN_TARGETS if size == 1 else _OF_CLASS_IN_TABLES) * (1 - of_columns)
        noise = self.draw.standard_normal((shape[0], size), np.float32)
        found = math.sqrt(of_columns) * common + math.sqrt(share) * of_class[items] + math.sqrt(1 - of_columns - share) * noise
        return found.reshape(shape)

    def _transformed(self, layer: Layer, values: Array, facts: BlobFacts) -> Array:
        """What DataTransformer makes of it: minus the mean, times the scale."""
        if "transform_param" not in layer.message.entries:
            return values
        param = layer.message["transform_param"]
        means = list(param["mean_value"])
        if param["mean_file"]:
            values = values - np.float32(facts.mean or 0.0)
        elif len(means) > 1 and values.ndim == 4 and len(means) == values.shape[1]:
            values = values - np.asarray(means, np.float32).reshape(1, -1, 1, 1)
        elif means:
            values = values - np.float32(means[0])
        return values * np.float32(param["scale"])


class _Texture(NamedTuple):
    """Of smooth noise: the part of its variance that is coarse, and how many times wider than high its patches are."""

    coarse: float = _COARSE
    aspect: float = 1.0

    @classmethod
    def drawn(cls, draw: Generator) -> _Texture:
        """That of a class."""
        return cls(draw.uniform(*_COARSE_OF_CLASSES), _WIDEST ** draw.uniform(-1, 1))


def _smooth(shape: tuple[int, ...], draw: Generator, texture: _Texture) -> Array:
    """Smooth noise of mean 0 and variance 1 over two scales."""
    high, wide = shape[2:]
    found = np.zeros(shape, np.float32)
    longer = math.sqrt(texture.aspect)
    for share, along_height, along_width in (
        (texture.coarse, _COARSE_PATCHES, _COARSE_PATCHES),
        (1 - texture.coarse, high / 2, wide / 2),
    ):
        rows = resizing_matrix(min(max(round(along_height * longer), 1), high), high)
        columns = resizing_matrix(min(max(round(along_width / longer), 1), wide), wide)
        variance = float((rows * rows).sum(1).mean() * (columns * columns).sum(1).mean()) / share
        noise = draw.standard_normal((*shape[:2], rows.shape[1], columns.shape[1]), np.float32)
        found += rows @ noise @ columns.T * np.float32(1 / math.sqrt(variance))
    return found


def _by_scores(blob: Blob) -> Shape:
    """The shape of labels or targets of a file that is not read, by the scores that a loss holds them, or slices of them, against."""
    for reader in blob.consumers:
        if (reader.traits.is_loss or reader.traits.measures) and blob in reader.bottoms[1:2]:
            scores = reader.bottoms[0].shape
            if scores is None or reader.traits.class_axis is None:
                return scores
            axis = class_axis(reader) % len(scores)
            return scores[:1] if not reader.traits.class_axis else (*scores[:axis], *scores[axis + 1 :])
        if reader.traits.settings == "slice_param":
            param = reader.message["slice_param"]
            return _joined([_by_scores(top) for top in reader.tops], int(param[axis_field(param)]))
    return None


def _joined(shapes: Sequence[Shape], axis: int) -> Shape:
    """The shape of what is sliced into others, which leave out axes of size 1 at their end."""
    known = [(*shape, *[1] * (axis + 1 - len(shape))) for shape in shapes if shape is not None]
    if axis < 0 or len(known) < len(shapes) or len({(*shape[:axis], *shape[axis + 1 :]) for shape in known}) > 1:
        return None
    sizes = [shape[axis] for shape in known]
    return None if None in sizes else (*known[0][:axis], sum(filter(None, sizes)), *known[0][axis + 1 :])


class _Distribution:
    """Turns values of mean 0 and variance 1 into those with the mean, deviation and range of facts: a beta distribution."""

    def __init__(self, facts: BlobFacts) -> None:
        self.mean, self.deviation = facts.mean or 0.0, facts.std or 0.0
        self.table: tuple[Array, Array] | None = None
        low, high = facts.minimum, facts.maximum
        if self.deviation == 0 or low is None or high is None or not low < self.mean < high:
            return
        part = (self.mean - low) / (high - low)
        strength = part * (1 - part) * ((high - low) / self.deviation) ** 2 - 1
        probabilities = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        fixed = np.random.default_rng(0)  # the same distribution for all data with these facts
        if strength > 0:
            quantiles = np.quantile(fixed.beta(part * strength, (1 - part) * strength, _SAMPLE), probabilities)
        else:  # as spread out as values in that range can be
            quantiles = (probabilities > 1 - part).astype(np.float64)
        self.table = np.quantile(fixed.standard_normal(_SAMPLE), probabilities), low + (high - low) * quantiles

    def __call__(self, standard: Array) -> Array:
        if self.table is None:
            return standard * np.float32(self.deviation) + np.float32(self.mean)
        return np.interp(standard, *self.table).astype(np.float32)


def _side_of_images(layer: Layer) -> int:
    """The shorter side of the images that regions refer to."""
    shape = layer.bottoms[0].shape or ()
    scale = layer.message[layer.traits.settings].get("spatial_scale", 1.0)
    return int(min((side or 1 for side in shape[2:]), default=1) / max(scale, 1e-6))


def _roles(net: Net) -> Iterator[tuple[Blob, _Role]]:
    """What reads the tops of data layers as something else than values."""
    for layer in net.layers:
        wanted: list[tuple[int, _Role]] = []
        if layer.traits.settings == "embed_param":
            wanted.append((0, _Role(_INDICES, layer.message["embed_param"]["input_dim"])))
        elif layer.traits.recurrent and len(layer.bottoms) > 1:
            wanted.append((1, _Role(_MARKERS, 2)))
        elif layer.traits.settings == "contrastive_loss_param" and len(layer.bottoms) > 2:
            wanted.append((2, _Role(_BITS, 2)))
        elif layer.traits.settings == "center_loss_param" and len(layer.bottoms) > 1:
            wanted.append((1, _Role(_LABELS, layer.message["center_loss_param"]["num_output"])))
        elif layer.traits.settings == "multibox_loss_param" and len(layer.bottoms) > 3:
            wanted.append((3, _Role(_BOXES, layer.message["multibox_loss_param"]["num_classes"])))
        elif layer.traits.settings in ("roi_pooling_param", "psroi_pooling_param"):
            wanted.append((1, _Role(_REGIONS, _side_of_images(layer))))
        elif layer.traits.is_loss and layer.traits.applies == SIGMOID and len(layer.bottoms) > 1:
            wanted.append((1, _Role(_PROBABILITIES, 2)))
        for bottom, role in wanted:
            for source in label_sources(layer.bottoms[bottom]):
                if source.top.producer is not None and is_fed(source.top.producer):
                    yield source.top, role
    for use in label_uses(net):
        if use.classes is not None:
            yield use.top, _Role(_LABELS, use.classes)
