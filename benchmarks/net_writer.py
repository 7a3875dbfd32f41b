"""Not a program: writes nets as people write them, layer by layer, in a style that is drawn at random for each net."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from caffe_lint.moments.statistics import gaussian_mean_abs

_FILLERS = ("xavier", "msra", "gaussian", "uniform", "fan_out")
_NONLINEARITIES = ("ReLU", "ReLU", "ReLU", "ReLU", "LeakyReLU", "PReLU", "ELU", "TanH", "Sigmoid")
PIXELS, TABLE = "pixels", "table"


class Images(NamedTuple):
    """Images in a database: channels, side, and number of classes."""

    channels: int
    side: int
    classes: int


class NetWriter:
    """The text of a net that grows, with the facts about the data that it names.

    `draw` is the source of randomness; the style (filler, nonlinearity, BatchNorm, in place or not) is drawn at the start and the
    same for all layers, as in most nets.
    """

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.parts: list[str] = []
        self.facts: dict[str, Any] = {}
        self.filler = draw.choice(_FILLERS)
        self.size = 10 ** draw.uniform(-2.3, -0.7)  # of fillers that have one
        self.nonlinearity = draw.choice(_NONLINEARITIES)
        self.batch_norm = draw.random() < 0.3
        self.in_place = draw.random() < 0.8
        self.bias_rate = draw.random() < 0.5
        self.batch = draw.choice((4, 8, 8, 16, 16, 32, 64))
        self.input_size = 1.0  # of the values of the data, for the choice of a learning rate
        # In one of several parts of a net that share their parameters: how its names end. None outside of such parts.
        self.part: str | None = None
        self.number = 0

    @property
    def text(self) -> str:
        """The net."""
        return "".join(self.parts)

    # -- any layer -------------------------------------------------------------------------------------------------

    def layer(
        self, kind: str, bottoms: str, top: str, settings: str = "", *, name: str = "", extra: Sequence[str] = ()
    ) -> str:
        """Add a layer and return its first top, which also names it unless a name is given. `settings` is a message with its field."""
        lines = [f'  name: "{name or top.split()[0]}"', f'  type: "{kind}"']
        lines += [f'  bottom: "{bottom}"' for bottom in bottoms.split()]
        lines += [f'  top: "{one}"' for one in top.split()]
        lines += [f"  {line}" for line in extra]
        lines += [f"  {settings}"] if settings else []
        self.parts.append("layer {\n" + "\n".join(lines) + "\n}\n")
        return top.split()[0]

    def fresh(self, stem: str) -> str:
        """A name that the net does not have yet."""
        self.number += 1
        return f"{stem}{self.number}{self.part or ''}"

    # -- data ------------------------------------------------------------------------------------------------------

    def images(self, images: Images, *, scaled: bool | None = None, crop: int = 0, label: bool = True) -> str:
        """A database of 8-bit images with their labels."""
        draw = self.draw
        mean = draw.uniform(30, 190)
        std = draw.uniform(25, min(90.0, 0.9 * math.sqrt(mean * (255 - mean))))
        source = "data/train_lmdb"
        self.facts[source] = {
            "kind": "lmdb", "items": draw.randint(2, 60) * 1000, "shape": [images.channels, images.side, images.side],
            "min": 0.0, "max": 255.0, "mean": round(mean, 3), "mean_abs": round(mean, 3), "std": round(std, 3),
            "labels": [0, images.classes - 1],
        }  # fmt: skip
        scaled = draw.random() < 0.6 if scaled is None else scaled
        factor = draw.choice((0.00390625, 0.0078125, 0.017)) if scaled else 1.0
        settings = [f"scale: {factor}"] if scaled else []
        settings += [f"crop_size: {crop}", "mirror: true"] if crop else []
        centred = draw.random() < 0.5
        settings += [f"mean_value: {round(mean)}"] if centred else []
        self.input_size = factor * (std if centred else math.hypot(mean, std))
        transform = ["transform_param { " + " ".join(settings) + " }"] if settings else []
        self.layer(
            "Data", "", "data label" if label else "data",
            f'data_param {{ source: "{source}" batch_size: {self.batch} backend: LMDB }}', extra=transform,
        )  # fmt: skip
        return "data"

    def arrays(self, batch: int = 0, **tops: dict[str, Any]) -> None:
        """Arrays from HDF5 files: for each top what is known of it, without the batch."""
        source = "data/train_h5.txt"
        self.facts[source] = {"kind": "hdf5", "items": self.draw.randint(4, 200) * 100, "datasets": tops}
        tops_text = " ".join(tops)
        settings = f'hdf5_data_param {{ source: "{source}" batch_size: {batch or self.batch} }}'
        self.layer("HDF5Data", "", tops_text, settings, name="data")

    def table(self, *shape: int, like: str = "") -> dict[str, Any]:
        """Facts about values of a table: raw or standardised."""
        draw = self.draw
        if (like or draw.choice(("raw", "unit", "standard", "standard"))) == "raw":
            mean, std = draw.uniform(5, 150), draw.uniform(5, 80)
            facts = {
                "min": mean - 1.9 * std,
                "max": mean + 3 * std,
                "mean": mean,
                "mean_abs": gaussian_mean_abs(mean, mean**2 + std**2),
                "std": std,
            }
        elif like == "unit" or (not like and draw.random() < 0.3):
            facts = {"min": 0.0, "max": 1.0, "mean": 0.4, "mean_abs": 0.4, "std": 0.25}
        else:
            facts = {"min": -3.5, "max": 3.5, "mean": 0.0, "mean_abs": 0.8, "std": 1.0}
        return {"shape": list(shape), **{name: round(value, 4) for name, value in facts.items()}}

    def input_of_table(self, facts: dict[str, Any]) -> None:
        """Remembers the size of the values of a table."""
        self.input_size = math.hypot(facts["mean"], facts["std"])

    @staticmethod
    def whole(low: int, high: int, *shape: int) -> dict[str, Any]:
        """Facts about whole numbers: labels, indices, markers."""
        mean = (low + high) / 2
        std = math.sqrt(((high - low + 1) ** 2 - 1) / 12)
        return {"shape": list(shape), "min": low, "max": high, "mean": mean, "mean_abs": mean, "std": round(std, 4)}

    # -- layers that learn -------------------------------------------------------------------------------------------

    def weights(self, *, small: bool = False) -> str:
        """The fillers of a layer; `small` for one that gives scores."""
        draw = self.draw
        if self.filler == "gaussian" or (small and draw.random() < 0.2):
            filler = f'type: "gaussian" std: {(0.01 if small else self.size):.2g}'
        elif self.filler == "uniform":
            filler = f'type: "uniform" min: -{self.size:.2g} max: {self.size:.2g}'
        elif self.filler == "fan_out":
            filler = 'type: "xavier" variance_norm: AVERAGE'
        else:
            filler = f'type: "{self.filler}"'
        bias = draw.choice(
            ("", "", ' bias_filler { type: "constant" }', ' bias_filler { type: "constant" value: 0.1 }')
        )
        return f"weight_filler {{ {filler} }}{bias}"

    def _params(self, top: str) -> list[str]:
        name = top.removesuffix(self.part) if self.part is not None else ""
        names = [f'name: "{name}_{which}" ' if name else "" for which in "wb"]
        if not name and not self.bias_rate:
            return []
        return [f"param {{ {names[0]}lr_mult: 1 decay_mult: 1 }}", f"param {{ {names[1]}lr_mult: 2 decay_mult: 0 }}"]

    def conv(
        self,
        bottom: str,
        outputs: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        top: str = "",
        more: str = "",
        small: bool = False,
    ) -> str:
        """A convolution that keeps the size of the image, or divides it by its stride."""
        top = top or self.fresh("conv")
        pad = f" pad: {kernel // 2}" if kernel > 1 else ""
        step = f" stride: {stride}" if stride > 1 else ""
        settings = f"num_output: {outputs} kernel_size: {kernel}{pad}{step}{more} {self.weights(small=small)}"
        return self.layer("Convolution", bottom, top, f"convolution_param {{ {settings} }}", extra=self._params(top))

    def product(self, bottom: str, outputs: int, *, top: str = "", more: str = "", small: bool = False) -> str:
        """A fully connected layer."""
        top = top or self.fresh("fc")
        settings = f"num_output: {outputs}{more} {self.weights(small=small)}"
        return self.layer("InnerProduct", bottom, top, f"inner_product_param {{ {settings} }}", extra=self._params(top))

    def activated(self, bottom: str, kind: str = "") -> str:
        """The nonlinearity of the net's style, or one that is given."""
        kind = kind or self.nonlinearity
        settings = ""
        if kind == "LeakyReLU":
            kind, settings = "ReLU", "relu_param { negative_slope: 0.1 }"
        name = self.fresh(kind.lower())
        extra = (
            [f'param {{ name: "{name.removesuffix(self.part)}_slope" }}']
            if kind == "PReLU" and self.part is not None
            else []
        )
        return self.layer(kind, bottom, bottom if self.in_place else name, settings, name=name, extra=extra)

    def normalised(self, bottom: str) -> str:
        """BatchNorm with Scale, in place or not."""
        frozen = ["param { lr_mult: 0 }"] * 3
        top = bottom if self.in_place else self.fresh("bn")
        self.layer("BatchNorm", bottom, top, name=self.fresh("bn_of"), extra=frozen)
        return self.layer("Scale", top, top, "scale_param { bias_term: true }", name=self.fresh("scale"))

    def unit(self, bottom: str, outputs: int, kernel: int = 3, *, stride: int = 1, more: str = "") -> str:
        """A convolution with what follows it in the net's style."""
        blob = self.conv(bottom, outputs, kernel, stride=stride, more=more)
        return self.activated(self.normalised(blob) if self.batch_norm else blob)

    def hidden(self, bottom: str, outputs: int) -> str:
        """A fully connected layer with what follows it."""
        blob = self.product(bottom, outputs)
        if self.batch_norm:
            blob = self.normalised(blob)
        blob = self.activated(blob)
        return self.dropout(blob) if self.draw.random() < 0.2 else blob

    # -- layers that do not learn ------------------------------------------------------------------------------------

    def pool(self, bottom: str, kernel: int = 2, stride: int = 2, *, kind: str = "") -> str:
        """A pooling layer, MAX or AVE at random."""
        kind = kind or self.draw.choice(("MAX", "MAX", "AVE"))
        return self.layer(
            "Pooling",
            bottom,
            self.fresh("pool"),
            f"pooling_param {{ pool: {kind} kernel_size: {kernel} stride: {stride} }}",
        )

    def global_pool(self, bottom: str) -> str:
        """The mean of each channel."""
        return self.layer("Pooling", bottom, self.fresh("pool"), "pooling_param { pool: AVE global_pooling: true }")

    def dropout(self, bottom: str) -> str:
        """A Dropout layer in place."""
        ratio = self.draw.choice((0.2, 0.4, 0.5, 0.5))
        return self.layer(
            "Dropout", bottom, bottom, f"dropout_param {{ dropout_ratio: {ratio} }}", name=self.fresh("drop")
        )

    def local_norm(self, bottom: str) -> str:
        """LRN, across channels or within them."""
        region = self.draw.choice(("", "", " norm_region: WITHIN_CHANNEL"))
        alpha = self.draw.choice(("0.0001", "5e-05", "1"))
        size = self.draw.choice((3, 5))
        return self.layer(
            "LRN", bottom, self.fresh("norm"), f"lrn_param {{ local_size: {size} alpha: {alpha} beta: 0.75{region} }}"
        )

    def joined(self, bottoms: Sequence[str], operation: str = "Concat") -> str:
        """Concat, or Eltwise with an operation."""
        if operation == "Concat":
            return self.layer("Concat", " ".join(bottoms), self.fresh("concat"))
        return self.layer(
            "Eltwise", " ".join(bottoms), self.fresh("eltwise"), f"eltwise_param {{ operation: {operation} }}"
        )

    # -- losses ------------------------------------------------------------------------------------------------------

    def loss(self, kind: str, bottoms: str, *, weight: float | None = None, settings: str = "") -> None:
        """A loss, with a weight if it is not the usual one."""
        extra = [f"loss_weight: {weight:g}"] if weight is not None else []
        self.layer(kind, bottoms, self.fresh("loss"), settings, extra=extra)

    def classified(self, bottom: str, classes: int, label: str = "label", *, weight: float | None = None) -> None:
        """Scores of classes with one of several losses."""
        draw = self.draw
        scores = self.product(bottom, classes, small=True)
        kind = draw.choice(("softmax",) * 7 + ("hinge", "hinge2", "multinomial", "argument"))
        if kind == "multinomial":
            self.layer("Softmax", scores, self.fresh("prob"))
            self.loss("MultinomialLogisticLoss", f"prob{self.number}{self.part or ''} {label}", weight=weight)
        elif kind.startswith("hinge"):
            norm = "hinge_loss_param { norm: L2 }" if kind == "hinge2" else ""
            self.loss("HingeLoss", f"{scores} {label}", weight=weight, settings=norm)
        else:
            settings = "loss_param { normalize: false }" if kind == "argument" else ""
            self.loss("SoftmaxWithLoss", f"{scores} {label}", weight=weight, settings=settings)
