"""Layers of detectors: SSD, R-CNN and their kin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..shapes import Shape, describe, differ
from .layer_type import ALL, layer_type, unknown_shapes

if TYPE_CHECKING:
    from ..net import Layer


@layer_type("PriorBox", bottoms=(0, None), has_backward=False, refuses_gradient=ALL)
def prior_box(layer: Layer) -> Sequence[Shape]:
    """Source: prior_box_layer.cpp of SSD."""
    param = layer.message["prior_box_param"]
    source = "prior_box_layer.cpp"
    smallest, largest = param["min_size"], param["max_size"]
    smallest = smallest if isinstance(smallest, list) else [smallest]
    largest = largest if isinstance(largest, list) else [largest] if "max_size" in param.entries else []
    if not smallest:
        layer.fail("prior-size", f"layer '{layer.name}' has no min_size", "prior_box_param.min_size", source)
    elif min(smallest) <= 0:
        layer.fail(
            "prior-size",
            f"min_size of layer '{layer.name}' must be over 0",
            "prior_box_param.min_size[0]",
            source,
        )
    if largest and len(largest) != len(smallest):
        message = f"layer '{layer.name}' has {len(smallest)} min_size and {len(largest)} max_size: Caffe wants as many"
        layer.fail("prior-size", message, "prior_box_param.max_size[0]", source)
    elif any(big <= small for small, big in zip(smallest, largest, strict=False)):
        message = f"each max_size of layer '{layer.name}' must be over its min_size"
        layer.fail("prior-size", message, "prior_box_param.max_size[0]", source)
    variances = param["variance"]
    if len(variances) not in (0, 1, 4) or any(value <= 0 for value in variances):
        message = f"layer '{layer.name}' takes no variance, 1 or 4, over 0: {variances}"
        layer.fail("prior-variance", message, "prior_box_param.variance[0]", source)
    priors = _ratios(param["aspect_ratio"], param["flip"]) * len(smallest) + len(largest)
    plane = layer.bottoms[0].shape if layer.bottoms else None
    boxes: int | None = None
    if plane is not None and len(plane) == 4 and plane[2] is not None and plane[3] is not None:
        boxes = plane[2] * plane[3] * priors * 4
    return ((1, 2, boxes),)


def _ratios(written: Sequence[float], flip: bool) -> int:
    ratios = [1.0]
    for ratio in written:
        if any(abs(ratio - known) < 1e-6 for known in ratios):
            continue
        ratios.append(ratio)
        if flip and ratio:
            ratios.append(1.0 / ratio)
    return len(ratios)


def _classes(layer: Layer, name: str, source: str) -> int | None:
    param = layer.message[name]
    classes: int = param["num_classes"]
    if classes < 1:
        layer.fail("num-classes", f"layer '{layer.name}' needs a num_classes", f"{name}.num_classes", source)
        return None
    return classes


def _check_boxes(layer: Layer, name: str, location: int, confidence: int, prior: int, source: str) -> None:
    """Whether locations and confidences are as many as the prior boxes ask for."""
    param = layer.message[name]
    classes = _classes(layer, name, source)
    priors = layer.bottoms[prior].shape
    if classes is None or priors is None or len(priors) < 3 or priors[2] is None:
        return
    boxes = priors[2] // 4
    sides = 4 if param["share_location"] else 4 * classes
    for index, wanted in ((location, boxes * sides), (confidence, boxes * classes)):
        bottom = layer.bottoms[index]
        if bottom.shape is not None and len(bottom.shape) > 1 and differ(bottom.shape[1], wanted):
            message = f"'{bottom.name}' of layer '{layer.name}' must have {wanted} values for {boxes} prior boxes, it is {describe(bottom.shape)}"
            layer.fail("prior-count", message, f"bottom[{index}]", source)


@layer_type(
    "MultiBoxLoss", bottoms=(4, 4), is_loss=True, auto_top=True, loss_weight=1.0, refuses_gradient=(2, 3), not_forced=(1,),
    normalization="loss-param",
)  # fmt: skip
def multi_box_loss(layer: Layer) -> Sequence[Shape]:
    """Source: multibox_loss_layer.cpp of SSD."""
    _check_boxes(layer, "multibox_loss_param", 0, 1, 2, "multibox_loss_layer.cpp")
    return ((),)


@layer_type("DetectionOutput", bottoms=(3, 4), has_backward=False, refuses_gradient=ALL)
def detection_output(layer: Layer) -> Sequence[Shape]:
    """Source: detection_output_layer.cpp of SSD; how many boxes come out depends on the data."""
    if len(layer.bottoms) == 3:
        _check_boxes(layer, "detection_output_param", 0, 1, 2, "detection_output_layer.cpp")
    return ((1, 1, None, 7),)


@layer_type("DetectionEvaluate", bottoms=(0, None), has_backward=False, refuses_gradient=ALL)
def detection_evaluate(layer: Layer) -> Sequence[Shape]:
    """Source: detection_evaluate_layer.cpp of SSD."""
    _classes(layer, "detection_evaluate_param", "detection_evaluate_layer.cpp")
    return ((1, 1, None, 5),)


@layer_type("ROIPooling", bottoms=(2, 2), ignores_gradient=(1,))
def roi_pooling(layer: Layer) -> Sequence[Shape]:
    """Source: roi_pooling_layer.cpp of Fast R-CNN."""
    param = layer.message["roi_pooling_param"]
    height, width = param["pooled_h"], param["pooled_w"]
    if not height or not width:
        layer.fail(
            "roi-size",
            f"layer '{layer.name}' needs pooled_h and pooled_w over 0",
            "roi_pooling_param",
            "roi_pooling_layer.cpp",
        )
    return (_of_regions(layer, (height or None, width or None)),)


def _of_regions(layer: Layer, size: tuple[int | None, int | None]) -> Shape:
    plane, regions = layer.bottoms[0].shape, layer.bottoms[1].shape
    channels = plane[1] if plane is not None and len(plane) == 4 else None
    return (regions[0] if regions else None, channels, *size)


@layer_type("PSROIPooling", bottoms=(2, 2), ignores_gradient=(1,))
def psroi_pooling(layer: Layer) -> Sequence[Shape]:
    """Source: psroi_pooling_layer.cpp of R-FCN."""
    param = layer.message["psroi_pooling_param"]
    outputs, side = param.get("output_dim"), param.get("group_size")
    plane, regions = layer.bottoms[0].shape, layer.bottoms[1].shape
    if plane is not None and len(plane) == 4 and isinstance(outputs, int) and isinstance(side, int):
        if differ(plane[1], outputs * side * side):
            message = f"'{layer.bottoms[0].name}' of layer '{layer.name}' must have {outputs} x {side} x {side} channels, it is {describe(plane)}"
            layer.fail("psroi-channels", message, "bottom[0]", "psroi_pooling_layer.cpp")
    return ((regions[0] if regions else None, outputs, side, side),)


@layer_type("BoxAnnotatorOHEM", bottoms=(4, 4), tops=(2, 2), ignores_gradient=ALL)
def box_annotator_ohem(layer: Layer) -> Sequence[Shape]:
    """Source: box_annotator_ohem_layer.cpp of R-FCN."""
    return (layer.bottoms[2].shape, layer.bottoms[3].shape)


@layer_type("Proposal", bottoms=(0, None), tops=(0, None), ignores_gradient=ALL)
def proposal(layer: Layer) -> Sequence[Shape]:
    """Regions from a region proposal network, in C++; how many depends on the data."""
    return ((None, 5), (None,))


for _name in ("YoloDetectionOutput", "Yolov3DetectionOutput", "PredictBox"):
    layer_type(_name, bottoms=(1, None), has_backward=False)(unknown_shapes)
