"""Layers of object detectors: SSD, R-CNN and related ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..moments.layer_type import ALL, DETECTION, UNMODELLED
from ..moments.shapes import Shape, differ
from .loss import LOSS_PARAM
from .record import layer_type, number_of, unknown_shapes

if TYPE_CHECKING:
    from ..moments.graph import Layer
    from ..proto.binder import Message

_FORWARD_ONLY: dict[str, Any] = {"has_backward": False, "refuses_gradient": ALL}


@layer_type(
    "PriorBox", "prior_box_layer.cpp", signal=UNMODELLED, simulate="boxes.PriorBox", bottoms=(0, None), measures_shape_of=ALL,
    **_FORWARD_ONLY,
)  # fmt: skip
def prior_box(layer: Layer) -> Sequence[Shape]:
    """SSD: boxes of several sizes and aspect ratios around each position of a feature map."""
    param = layer.message["prior_box_param"]
    smallest, largest = _list(param, "min_size"), _list(param, "max_size")
    path = "prior_box_param.max_size[0]"
    if not smallest:
        layer.fail("prior-size", "min_size is not set", "prior_box_param.min_size")
    elif min(smallest) <= 0:
        layer.fail("prior-size", "min_size must be greater than 0", "prior_box_param.min_size[0]")
    if largest and len(largest) != len(smallest):
        text = f"{number_of(len(largest), 'max_size')} for {number_of(len(smallest), 'min_size')}"
        layer.fail("prior-size", text, path)
    elif any(big <= small for small, big in zip(smallest, largest, strict=False)):
        layer.fail("prior-size", "each max_size must be greater than its min_size", path)
    return _boxes(layer, len(aspect_ratios(param["aspect_ratio"], param["flip"])) * len(smallest) + len(largest))


@layer_type(
    "PriorBoxClustered", "prior_box_clustered_layer.cpp", signal=UNMODELLED, simulate="boxes.PriorBoxClustered",
    settings="prior_box_param", bottoms=(0, None), measures_shape_of=ALL, **_FORWARD_ONLY,
)  # fmt: skip
def prior_box_clustered(layer: Layer) -> Sequence[Shape]:
    """OpenVINO: boxes of each of the sizes that are listed around each position of a feature map."""
    param = layer.message["prior_box_param"]
    for name in ("width", "height"):
        if any(value <= 0 for value in param[name]):
            layer.fail("prior-size", f"each {name} must be greater than 0", f"prior_box_param.{name}[0]")
    if not param["width"]:
        layer.fail("prior-size", "width is not set", "prior_box_param.width")
    elif len(param["width"]) != len(param["height"]):
        text = f"{number_of(len(param['height']), 'height')} for {number_of(len(param['width']), 'width')}"
        layer.fail("prior-size", text, "prior_box_param.height[0]" if param["height"] else "prior_box_param.width[0]")
    return _boxes(layer, len(param["width"]))


def _boxes(layer: Layer, priors: int) -> Sequence[Shape]:
    """The sides and variances of so many boxes at each position."""
    variances = layer.message["prior_box_param"]["variance"]
    if len(variances) not in (0, 1, 4) or any(value <= 0 for value in variances):
        text = f"variance must have 0, 1 or 4 values, all greater than 0, not {variances}"
        layer.fail("prior-variance", text, "prior_box_param.variance[0]")
    plane = layer.bottoms[0].shape if layer.bottoms else None
    boxes: int | None = None
    if plane is not None and len(plane) == 4 and plane[2] is not None and plane[3] is not None:
        boxes = plane[2] * plane[3] * priors * 4
    return ((1, 2, boxes),)


def _list(param: Message, name: str) -> list[float]:
    """The values of a field, which is repeated in some forks and single in others."""
    return [value for value, _, _ in param.entries.get(name, ())]


def aspect_ratios(written: Sequence[float], flip: bool) -> list[float]:
    """The aspect ratios of prior boxes, the first of which is 1."""
    ratios = [1.0]
    for ratio in written:
        if all(abs(ratio - known) >= 1e-6 for known in ratios):
            ratios.append(ratio)
            if flip and ratio:
                ratios.append(1.0 / ratio)
    return ratios


def _classes(layer: Layer, name: str) -> int | None:
    classes: int = layer.message[name]["num_classes"]
    if classes < 1:
        layer.fail("num-classes", "num_classes must be at least 1", f"{name}.num_classes")
        return None
    return classes


def _check_boxes(layer: Layer, name: str) -> None:
    """Report locations and confidences, bottoms 0 and 1, whose number does not match the prior boxes."""
    classes = _classes(layer, name)
    priors = layer.bottoms[2].shape
    if classes is None or priors is None or len(priors) < 3 or priors[2] is None:
        return
    boxes = priors[2] // 4
    sides = 4 if layer.message[name]["share_location"] else 4 * classes
    for i, wanted in enumerate((boxes * sides, boxes * classes)):
        shape = layer.bottoms[i].shape
        if shape is not None and len(shape) > 1 and differ(shape[1], wanted):
            text = f"{boxes} prior boxes need {wanted} values per item, not {layer.shown(i)}"
            layer.fail("prior-count", text, f"bottom[{i}]", subject=layer.bottoms[i].name)


@layer_type(
    "MultiBoxLoss",
    "multibox_loss_layer.cpp",
    signal=UNMODELLED,
    simulate="boxes.MultiBoxLoss",
    settings="multibox_loss_param",
    loss_family=DETECTION,
    bottoms=(4, None),  # more in RefineDet, which also takes those of its first stage
    is_loss=True,
    auto_top=True,
    loss_weight=1.0,
    normalization=LOSS_PARAM,
    refuses_gradient=(2, 3),
    not_forced=(1,),
)
def multi_box_loss(layer: Layer) -> Sequence[Shape]:
    """SSD: the loss of locations and confidences of the matched prior boxes."""
    if len(layer.bottoms) == 4:
        _check_boxes(layer, "multibox_loss_param")
    return ((),)


@layer_type(
    "DetectionOutput",
    "detection_output_layer.cpp",
    signal=UNMODELLED,
    settings="detection_output_param",
    bottoms=(3, 5),
    tops=(0, 2),
    **_FORWARD_ONLY,
)
def detection_output(layer: Layer) -> Sequence[Shape]:
    """SSD: the boxes that remain; their number depends on the data."""
    if len(layer.bottoms) == 3:
        _check_boxes(layer, "detection_output_param")
    return ((1, 1, None, 7),)


@layer_type(
    "DetectionEvaluate",
    "detection_evaluate_layer.cpp",
    signal="data_models.Output",
    simulate="combining.Report",
    settings="detection_evaluate_param",
    measures=True,
    bottoms=(0, None),
    **_FORWARD_ONLY,
)
def detection_evaluate(layer: Layer) -> Sequence[Shape]:
    """SSD: which boxes are correct."""
    _classes(layer, "detection_evaluate_param")
    return ((1, 1, None, 5),)


@layer_type(
    "ROIPooling", "roi_pooling_layer.cpp", signal=UNMODELLED, simulate="boxes.ROIPooling", keeps_range=True, bottoms=(2, 2),
)  # fmt: skip
def roi_pooling(layer: Layer) -> Sequence[Shape]:
    """Fast R-CNN: every region, pooled to one size."""
    param = layer.message["roi_pooling_param"]
    height, width = param["pooled_h"], param["pooled_w"]
    if not height or not width:
        name = "pooled_w" if height else "pooled_h"
        layer.fail("roi-size", f"{name} must be greater than 0", f"roi_pooling_param.{name}")
    plane, regions = layer.bottoms[0].shape, layer.bottoms[1].shape
    channels = plane[1] if plane is not None and len(plane) == 4 else None
    return ((regions[0] if regions else None, channels, height or None, width or None),)


@layer_type(
    "PSROIPooling", "psroi_pooling_layer.cpp", signal=UNMODELLED, simulate="boxes.PSROIPooling", bottoms=(2, 2),
)  # fmt: skip
def psroi_pooling(layer: Layer) -> Sequence[Shape]:
    """R-FCN: every part of a region, pooled from channels of its own."""
    param = layer.message["psroi_pooling_param"]
    outputs, side = param.get("output_dim"), param.get("group_size")
    plane, regions = layer.bottoms[0].shape, layer.bottoms[1].shape
    if isinstance(outputs, int) and isinstance(side, int) and plane is not None and len(plane) == 4:
        wanted = outputs * side * side
        if differ(plane[1], wanted):
            layer.fail("psroi-channels", f"expected {wanted} channels (output_dim * group_size^2), not {layer.shown()}", "bottom[0]")
    return ((regions[0] if regions else None, outputs, side, side),)


@layer_type("BoxAnnotatorOHEM", "box_annotator_ohem_layer.cpp", signal=UNMODELLED, bottoms=(4, 4), tops=(2, 2))
def box_annotator_ohem(layer: Layer) -> Sequence[Shape]:
    """R-FCN: labels and weights of the hardest boxes."""
    return (layer.bottoms[2].shape, layer.bottoms[3].shape)


@layer_type("Proposal", "proposal_layer.cpp", signal=UNMODELLED, bottoms=(0, None), tops=(0, None))
def proposal(layer: Layer) -> Sequence[Shape]:
    """Regions from a region proposal network; their number depends on the data."""
    return ((None, 5), (None,))


for _name, _source in (
    ("YoloDetectionOutput", "yolo_detection_output_layer.cpp"),
    ("Yolov3DetectionOutput", "yolov3_detection_output_layer.cpp"),
    ("PredictBox", "predict_box_layer.cpp"),
):
    layer_type(_name, _source, signal=UNMODELLED, bottoms=(1, None), has_backward=False)(unknown_shapes)
