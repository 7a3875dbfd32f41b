"""Layers of object detectors: prior boxes, their loss, and pooling of regions (SSD, R-CNN, R-FCN)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ...layers.detection import aspect_ratios
from ...layers.loss import loss_divisor
from ..arrays import Array, np
from ..operator import CannotSimulate, Gradients, Operator
from .combining import softmax
from .functions import sigmoid

_VARIANCE = 0.1  # of a PriorBox that names none
_LEAST_PROBABILITY = 1.1754944e-38  # FLT_MIN
# The columns of a box: item, class, instance, left, top, right, bottom, difficult.
_ITEM, _CLASS, _SIDES = 0, 1, slice(3, 7)


class PriorBox(Operator):
    """Boxes around each position of a map, as parts of the image, and their variances (prior_box_layer.cpp of SSD)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        param = self.layer.message["prior_box_param"]
        if len(bottoms) < 2:
            raise CannotSimulate(f"'{self.layer.name}' reads no image")
        high, wide = bottoms[0].shape[2:]
        image = [
            param.get(name) or param.get("img_size") or side
            for name, side in zip(("img_h", "img_w"), bottoms[1].shape[2:], strict=True)
        ]
        steps = [
            param.get(name) or param.get("step") or side / number
            for name, side, number in zip(("step_h", "step_w"), image, (high, wide), strict=True)
        ]
        offset = param["offset"]
        rows, columns = (np.arange(high) + offset) * steps[0], (np.arange(wide) + offset) * steps[1]
        sizes = np.asarray(list(self.sizes()))  # width and height of each
        shape = (high, wide, len(sizes))
        x, y = np.broadcast_to(columns[None, :, None], shape), np.broadcast_to(rows[:, None, None], shape)
        half_width, half_height = sizes[:, 0] / 2, sizes[:, 1] / 2
        corners = (x - half_width) / image[1], (y - half_height) / image[0], (x + half_width) / image[1], (y + half_height) / image[0]
        boxes = np.stack(corners, -1).reshape(-1)
        if param["clip"]:
            boxes = np.clip(boxes, 0, 1)
        written = list(param["variance"]) or [_VARIANCE]
        variances = np.tile(written * 4 if len(written) == 1 else written, len(boxes) // 4)
        return [np.stack((boxes, variances))[None].astype(np.float32)]

    def sizes(self) -> Iterator[tuple[float, float]]:
        """The width and height of each box around a position, in pixels."""
        param = self.layer.message["prior_box_param"]
        smallest, largest = ([value for value, _, _ in param.entries.get(name, ())] for name in ("min_size", "max_size"))
        for i, size in enumerate(smallest):
            yield size, size
            if largest:
                yield (math.sqrt(size * largest[i]),) * 2
            for ratio in aspect_ratios(param["aspect_ratio"], param["flip"])[1:]:
                yield size * math.sqrt(ratio), size / math.sqrt(ratio)


class PriorBoxClustered(PriorBox):
    """Boxes of the sizes that are listed (prior_box_clustered_layer.cpp of OpenVINO's training toolbox)."""

    def sizes(self) -> Iterator[tuple[float, float]]:
        """The width and height of each box around a position, in pixels."""
        param = self.layer.message["prior_box_param"]
        yield from zip(param["width"], param["height"], strict=True)


class MultiBoxLoss(Operator):
    """The loss of the locations of matched priors and of the classes of all, or of the worst negatives (multibox_loss_layer.cpp)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        param = self.layer.message["multibox_loss_param"]
        if len(bottoms) > 4 or not param["share_location"] or param["mining_type"] == "HARD_EXAMPLE":
            raise CannotSimulate(f"these settings of '{self.layer.name}' cannot be simulated")
        items, classes = len(bottoms[0]), param["num_classes"]
        priors, variances = (part.reshape(-1, 4) for part in bottoms[2].reshape(2, -1))
        boxes = bottoms[3].reshape(-1, 8)
        locations, scores = bottoms[0].reshape(items, -1, 4), bottoms[1].reshape(items, -1, classes)
        self.of_locations, self.of_scores = np.zeros_like(locations), np.zeros_like(scores)
        location_loss = score_loss = 0.0
        matches = 0
        for item in range(items):
            own = boxes[boxes[:, _ITEM] == item]
            matched, overlaps = _matches(priors, own[:, _SIDES], param)
            found = np.flatnonzero(matched >= 0)
            matches += len(found)
            target = _encoded(own[matched[found], _SIDES], priors[found], variances[found], param)
            loss, self.of_locations[item, found] = _location_loss(locations[item, found] - target, param)
            location_loss += loss
            labels = np.full(len(priors), param["background_label_id"])
            labels[found] = own[matched[found], _CLASS].astype(np.int64)
            losses, gradients = _score_losses(scores[item], labels, param)
            counted = matched >= 0
            if param["mining_type"] == "NONE" and not param.get("do_neg_mining", False):
                counted[:] = True
            else:
                free = np.flatnonzero((matched < 0) & (overlaps < param["neg_overlap"]))
                worst = free[np.argsort(-losses[free], kind="stable")][: int(len(found) * param["neg_pos_ratio"])]
                counted[worst] = True
            score_loss += float(losses[counted].sum())
            self.of_scores[item, counted] = gradients[counted]
        self.divisor = loss_divisor(self.layer, items, items * len(priors), matches)
        self.of_locations *= param["loc_weight"]
        return [np.asarray((param["loc_weight"] * location_loss + score_loss) / self.divisor, bottoms[0].dtype)]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        factor = diffs[0].reshape(()) / self.of_scores.dtype.type(self.divisor)
        found = [each * factor for each in (self.of_locations, self.of_scores)]
        return [found[0].reshape(bottoms[0].shape), found[1].reshape(bottoms[1].shape), None, None], ()


def _matches(priors: Array, boxes: Array, param: object) -> tuple[Array, Array]:
    """The box of each prior, -1 for none, and its largest overlap with any: first each box takes its best prior, then the rest."""
    matched = np.full(len(priors), -1)
    if not len(boxes):
        return matched, np.zeros(len(priors))
    overlaps = _overlaps(priors, boxes)
    best = overlaps.max(1)
    open_pairs = overlaps.copy()
    for _ in range(len(boxes)):
        prior, box = np.unravel_index(open_pairs.argmax(), overlaps.shape)
        if open_pairs[prior, box] <= 0:
            break
        matched[prior] = box
        open_pairs[prior], open_pairs[:, box] = 0, 0
    if param["match_type"] == "PER_PREDICTION":  # type: ignore[index]
        more = (matched < 0) & (best >= param["overlap_threshold"])  # type: ignore[index]
        matched[more] = overlaps.argmax(1)[more]
    return matched, best


def _overlaps(first: Array, second: Array) -> Array:
    """The intersection over the union of each pair of boxes."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.maximum(high - low, 0).prod(2)
    areas = [np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(1) for boxes in (first, second)]
    return common / np.maximum(areas[0][:, None] + areas[1][None] - common, 1e-12)


def _encoded(boxes: Array, priors: Array, variances: Array, param: object) -> Array:
    """Boxes as the locations that are predicted, relative to their priors."""
    divisor = 1.0 if param["encode_variance_in_target"] else variances  # type: ignore[index]
    if param["code_type"] != "CENTER_SIZE":  # type: ignore[index]
        return (boxes - priors) / divisor
    size, of_prior = boxes[:, 2:] - boxes[:, :2], priors[:, 2:] - priors[:, :2]
    centre = (boxes[:, 2:] + boxes[:, :2] - priors[:, 2:] - priors[:, :2]) / 2 / of_prior
    return np.concatenate((centre, np.log(size / of_prior)), 1) / divisor


def _location_loss(error: Array, param: object) -> tuple[float, Array]:
    """The sum of the losses of locations, and its gradient."""
    if param["loc_loss_type"] == "L2":  # type: ignore[index]
        return float((error * error).sum() / 2), error
    size = np.abs(error)
    return float(np.where(size < 1, 0.5 * error * error, size - 0.5).sum()), np.clip(error, -1, 1)


def _score_losses(scores: Array, labels: Array, param: object) -> tuple[Array, Array]:
    """The loss of the scores of each prior, and its gradient."""
    rows = np.arange(len(scores))
    if param["conf_loss_type"] == "LOGISTIC":  # type: ignore[index]
        target = np.zeros_like(scores)
        target[rows, labels] = 1
        losses = (np.maximum(scores, 0) - scores * target + np.log(1 + np.exp(-np.abs(scores)))).sum(1)
        return losses, sigmoid(scores) - target
    gradient = softmax(scores, 1)
    losses = -np.log(np.maximum(gradient[rows, labels], _LEAST_PROBABILITY))
    gradient[rows, labels] -= 1
    return losses, gradient


class RegionPooling(Operator):
    """What ROIPooling and PSROIPooling share: for each region, the part of the map for each of its bins."""

    def bins(self, x: Array, region: Array, scale: float, counts: tuple[int, int]) -> Iterator[tuple[int, int, slice, slice]]:
        """Each bin, by row and column, with its part of the map; the part may be empty."""
        raise NotImplementedError

    def item(self, x: Array, region: Array) -> int:
        """The item that a region is of."""
        number = int(region[0])
        if not 0 <= number < len(x):
            raise CannotSimulate(f"'{self.layer.name}' reads a region of an item that does not exist")
        return number


class ROIPooling(RegionPooling):
    """The largest value in each bin of a region (roi_pooling_layer.cpp of Fast R-CNN)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        x, regions = bottoms[0], bottoms[1].reshape(-1, 5)
        param = self.layer.message["roi_pooling_param"]
        high, wide = param["pooled_h"], param["pooled_w"]
        found = np.zeros((len(regions), x.shape[1], high, wide), x.dtype)
        self.chosen = np.full(found.shape, -1, np.int64)
        for number, region in enumerate(regions):
            item = self.item(x, region)
            for i, j, rows, columns in self.bins(x, region, param["spatial_scale"], (high, wide)):
                part = x[item, :, rows, columns]
                if not part.size:
                    continue
                flat = part.reshape(x.shape[1], -1)
                place = flat.argmax(1)
                found[number, :, i, j] = flat[np.arange(x.shape[1]), place]
                row, column = np.divmod(place, part.shape[2])
                self.chosen[number, :, i, j] = (rows.start + row) * x.shape[3] + columns.start + column
        return [found]

    def bins(self, x: Array, region: Array, scale: float, counts: tuple[int, int]) -> Iterator[tuple[int, int, slice, slice]]:
        left, top, right, bottom = (math.floor(float(value) * scale + 0.5) for value in region[1:])
        height, width = max(bottom - top + 1, 1) / counts[0], max(right - left + 1, 1) / counts[1]
        for i in range(counts[0]):
            for j in range(counts[1]):
                rows = slice(*_within(top + math.floor(i * height), top + math.ceil((i + 1) * height), x.shape[2]))
                yield i, j, rows, slice(*_within(left + math.floor(j * width), left + math.ceil((j + 1) * width), x.shape[3]))

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        x, regions = bottoms[0], bottoms[1].reshape(-1, 5)
        found = np.zeros((*x.shape[:2], x.shape[2] * x.shape[3]), x.dtype)
        channels = np.arange(x.shape[1])[:, None, None]
        for region, chosen, diff in zip(regions, self.chosen, diffs[0], strict=True):
            np.add.at(found[int(region[0])], (channels, np.maximum(chosen, 0)), np.where(chosen < 0, 0, diff))
        return [found.reshape(x.shape), None], ()


class PSROIPooling(RegionPooling):
    """The mean of each bin of a region, from channels of its own (psroi_pooling_layer.cpp of R-FCN)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        x, regions = bottoms[0], bottoms[1].reshape(-1, 5)
        outputs, side, scale = self.settings()
        found = np.zeros((len(regions), outputs, side, side), x.dtype)
        for number, region in enumerate(regions):
            item = self.item(x, region)
            for i, j, rows, columns in self.bins(x, region, scale, (side, side)):
                part = x[item, i * side + j :: side * side, rows, columns]
                if part.size:
                    found[number, :, i, j] = part.mean((1, 2))
        return [found]

    def settings(self) -> tuple[int, int, float]:
        """The number of outputs, of bins along a side, and the scale of regions."""
        param = self.layer.message["psroi_pooling_param"]
        return param["output_dim"], param["group_size"], param["spatial_scale"]

    def bins(self, x: Array, region: Array, scale: float, counts: tuple[int, int]) -> Iterator[tuple[int, int, slice, slice]]:
        left, top = (math.floor(float(value) + 0.5) * scale for value in region[1:3])
        right, bottom = ((math.floor(float(value) + 0.5) + 1) * scale for value in region[3:5])
        height, width = max(bottom - top, 0.1) / counts[0], max(right - left, 0.1) / counts[1]
        for i in range(counts[0]):
            for j in range(counts[1]):
                rows = slice(*_within(math.floor(top + i * height), math.ceil(top + (i + 1) * height), x.shape[2]))
                yield i, j, rows, slice(*_within(math.floor(left + j * width), math.ceil(left + (j + 1) * width), x.shape[3]))

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        x, regions = bottoms[0], bottoms[1].reshape(-1, 5)
        _, side, scale = self.settings()
        found = np.zeros_like(x)
        for region, diff in zip(regions, diffs[0], strict=True):
            for i, j, rows, columns in self.bins(x, region, scale, (side, side)):
                part = found[int(region[0]), i * side + j :: side * side, rows, columns]
                if part.size:
                    part += (diff[:, i, j] / (part.shape[1] * part.shape[2]))[:, None, None]
        return [found, None], ()


def _within(start: int, end: int, side: int) -> tuple[int, int]:
    return min(max(start, 0), side), min(max(end, 0), side)
