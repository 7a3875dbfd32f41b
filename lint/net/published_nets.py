"""Published nets, from which many trainings start: the names and sizes of their layers with weights.

Sources: bvlc_reference_caffenet, bvlc_alexnet and bvlc_googlenet of BVLC's models; Simonyan and Zisserman 2014 (VGG), Chatfield
and others 2014 (VGG_CNN), Lin and others 2013 (NIN), Zeiler and Fergus 2013 (ZF), He and others 2015 (ResNet), Iandola and others
2016 (SqueezeNet), Howard and others 2017 (MobileNet), each with the layer names of the model that was published for Caffe.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from .zero_weights import weights_of

if TYPE_CHECKING:
    from ..moments.graph import Param
    from .net import Net

LEAST_SHARED = 4  # layers with the name and size of those of a published net; set by hand

_VGG = (
    "conv1_1 64x3 conv1_2 64x3 conv2_1 128x3 conv2_2 128x3 conv3_1 256x3 conv3_2 256x3 conv3_3 256x3 conv4_1 512x3"
    " conv4_2 512x3 conv4_3 512x3 conv5_1 512x3 conv5_2 512x3 conv5_3 512x3 fc6 4096 fc7 4096 fc8 1000"
)
# The outputs of each part of an inception: 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5, pool_proj.
_INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64), "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64), "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128), "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
}  # fmt: skip
_FIRES = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}  # the outputs of squeeze1x1
_SEPARABLE = (
    ("conv2_1", 32, 64), ("conv2_2", 64, 128), ("conv3_1", 128, 128), ("conv3_2", 128, 256), ("conv4_1", 256, 256),
    ("conv4_2", 256, 512), *((f"conv5_{number}", 512, 512) for number in range(1, 6)), ("conv5_6", 512, 1024),
    ("conv6", 1024, 1024),
)  # fmt: skip


def _googlenet() -> str:
    parts = ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")
    inside = (
        f"inception_{name}/{part} {size}x{part[0] if part in ('3x3', '5x5') else 1}"
        for name, sizes in _INCEPTIONS.items()
        for part, size in zip(parts, sizes, strict=True)
    )
    return f"conv1/7x7_s2 64x7 conv2/3x3_reduce 64x1 conv2/3x3 192x3 {' '.join(inside)} loss3/classifier 1000"


def _resnet(third: int, fourth: int) -> str:
    """The layers of a ResNet by the numbers of blocks in its third and fourth stage."""
    layers = ["conv1 64x7"]
    for stage, width, blocks in ((2, 64, 3), (3, 128, third), (4, 256, fourth), (5, 512, 3)):
        for block in range(blocks):
            deep = stage in (3, 4) and fourth > len("abcdef")  # these number the blocks: a, b1, b2, …
            name = f"res{stage}" + ("a" if not block else f"b{block}" if deep else "abcdef"[block])
            layers += [f"{name}_branch1 {4 * width}x1"] * (not block)
            layers += [f"{name}_branch2a {width}x1", f"{name}_branch2b {width}x3", f"{name}_branch2c {4 * width}x1"]
    return " ".join([*layers, "fc1000 1000"])


def _squeezenet(first: str) -> str:
    fires = (
        f"fire{number}/squeeze1x1 {size}x1 fire{number}/expand1x1 {4 * size}x1 fire{number}/expand3x3 {4 * size}x3"
        for number, size in _FIRES.items()
    )
    return f"conv1 {first} {' '.join(fires)} conv10 1000x1"


PUBLISHED = {
    "CaffeNet": "conv1 96x11 conv2 256x5 conv3 384x3 conv4 384x3 conv5 256x3 fc6 4096 fc7 4096 fc8 1000",
    "VGG-16": _VGG,
    "VGG-19": f"{_VGG} conv3_4 256x3 conv4_4 512x3 conv5_4 512x3",
    "VGG_CNN": "conv1 96x7 conv2 256x5 conv3 512x3 conv4 512x3 conv5 512x3 fc6 4096 fc7 4096 fc8 1000",
    "ZF": "conv1 96x7 conv2 256x5 conv3 384x3 conv4 384x3 conv5 256x3 fc6 4096 fc7 4096 fc8 1000",
    "NIN": "conv1 96x11 cccp1 96x1 cccp2 96x1 conv2 256x5 cccp3 256x1 cccp4 256x1 conv3 384x3 cccp5 384x1 cccp6 384x1"
    " conv4-1024 1024x3 cccp7-1024 1024x1 cccp8-1024 1000x1",
    "GoogLeNet": _googlenet(),
    "ResNet-50": _resnet(4, 6),
    "ResNet-101": _resnet(4, 23),
    "ResNet-152": _resnet(8, 36),
    "SqueezeNet 1.0": _squeezenet("96x7"),
    "SqueezeNet 1.1": _squeezenet("64x3"),
    "MobileNet": "conv1 32x3 "
    + " ".join(f"{name}/dw {inputs}x3 {name}/sep {outputs}x1" for name, inputs, outputs in _SEPARABLE)
    + " fc7 1000x1",
}


@cache
def published_layers(name: str) -> dict[str, tuple[int, int]]:
    """Return the layers with weights of a published net: the number of outputs and the side of the kernel, 0 without one."""
    words = PUBLISHED[name].split()
    sizes = (size.partition("x") for size in words[1::2])
    return dict(zip(words[::2], ((int(outputs), int(kernel or 0)) for outputs, _, kernel in sizes), strict=True))


def starting_point(net: Net) -> str:
    """Return the published net that a net seems to start from, empty if there is none.

    It has layers of the same names and sizes, and beside them new ones that learn faster.
    """
    weights = [param for param in weights_of(net, idle=True) if param.layer.traits.weighted_sum]
    best, most = "", LEAST_SHARED - 1
    for name in PUBLISHED:
        known = published_layers(name)
        shared = [param for param in weights if known.get(param.layer.name) == _size(param)]
        if len(shared) > most:
            fastest = max(param.lr_mult for param in shared)
            if any(param.lr_mult > fastest for param in weights if param not in shared):
                best, most = name, len(shared)
    return best


def _size(param: Param) -> tuple[int | None, int | None] | None:
    shape = param.shape
    if not shape:
        return None
    return shape[0], shape[-1] if len(shape) == 4 else 0
