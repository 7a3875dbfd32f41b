"""Which fields Caffe reads only in certain modes: of a schedule, an update, a filler, a layer. The rest it ignores.

Source: sgd_solver.cpp and solvers/*.cpp; filler.hpp; the LayerSetUp functions of the layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..proto.binder import Message
from ..proto.named_tuple import NamedTuple
from .schedule import POLICIES
from .solver_types import SOLVER_TYPES

if TYPE_CHECKING:
    from ..moments.graph import Layer


class Ignored(NamedTuple):
    """A field that is written and not read: the message it stands in, `what` does not read it, what that means.

    `harmful` where the field was surely meant to do something.
    """

    message: Message
    field: str
    what: str
    meaning: str
    harmful: bool = False


class Mode(NamedTuple):
    """Fields of a layer's settings that are ignored `when` the layer and these settings are so.

    `shared` where the settings are not the layer type's own.
    """

    settings: str
    fields: tuple[str, ...]
    when: Callable[[Layer, Message], bool]
    what: str
    meaning: str
    harmful: bool = False
    shared: bool = False


# What belongs to a schedule or an update: a policy or type that does not read a field of these ignores it.
_SCHEDULE = (
    "gamma", "power", "stepsize", "stepvalue", "plateau_winsize", "stagelr", "stageiter", "period", "p_mult", "max_lr",
)  # fmt: skip
_UPDATE = ("momentum2", "rms_decay", "delta")

_FILLER_READS: dict[str, tuple[str, ...]] = {
    "constant": ("value",),
    "uniform": ("min", "max"),
    "gaussian": ("mean", "std", "sparse"),
    "xavier": ("variance_norm",),
    "msra": ("variance_norm",),
    "positive_unitball": (),
    "bilinear": (),
}
_FILLER_FIELDS = ("value", "min", "max", "mean", "std", "variance_norm")

_MOVED = "only transform_param's is read"
_LOST = "In today's form of layers it does nothing: the data come as they are."
_NO_BIAS = "There is no bias to fill."


def _always(layer: Layer, settings: Message) -> bool:
    return True


def _no_bias(layer: Layer, settings: Message) -> bool:
    return layer.traits.weighted_sum and not settings["bias_term"]


def _is_normalised_twice(layer: Layer, settings: Message) -> bool:
    reads = layer.traits.reads or ()
    return "loss_param" in reads and not layer.traits.takes_matrix and "normalization" in settings


MODES: tuple[Mode, ...] = (
    Mode("data_param", ("scale", "mean_file", "crop_size", "mirror"), _always, _MOVED, _LOST, True),
    Mode("image_data_param", ("scale", "mean_file", "crop_size", "mirror"), _always, _MOVED, _LOST, True),
    Mode("window_data_param", ("mean_file", "crop_size", "mirror"), _always, _MOVED, _LOST, True),
    Mode(
        "transform_param",
        ("scale",),
        lambda layer, settings: layer.traits.settings == "window_data_param",
        "only window_data_param's is read",
        "The data come as they are.",
        harmful=True,
        shared=True,
    ),
    Mode("data_param", ("rand_skip",), _always, "a Data layer does not read it", "It starts at the first item."),
    Mode("convolution_param", ("bias_filler",), _no_bias, "bias_term is false", _NO_BIAS),
    Mode("inner_product_param", ("bias_filler",), _no_bias, "bias_term is false", _NO_BIAS),
    Mode("embed_param", ("bias_filler",), lambda layer, settings: not settings["bias_term"], "bias_term is false", _NO_BIAS),
    Mode(
        "scale_param",
        ("bias_filler",),
        lambda layer, settings: "bias_term" not in settings,
        "bias_term is not written, and false by itself",
        "The layer learns no bias.",
        True,
    ),
    Mode(
        "scale_param",
        ("bias_filler",),
        lambda layer, settings: "bias_term" in settings and not settings["bias_term"],
        "bias_term is false",
        _NO_BIAS,
    ),
    Mode(
        "scale_param",
        ("filler", "num_axes"),
        lambda layer, settings: len(layer.bottoms) == 2,
        "with two bottoms the second is the scale",
        "Nothing is learnt here.",
    ),
    Mode(
        "convolution_param",
        ("num_output", "group", "weight_filler", "bias_filler"),
        lambda layer, settings: not layer.traits.weighted_sum,
        "an Im2col layer has no weights",
        "It only lays out what a convolution would read.",
    ),
    Mode(
        "lrn_param",
        ("k",),
        lambda layer, settings: settings["norm_region"] == "WITHIN_CHANNEL",
        "with WITHIN_CHANNEL it is always 1",
        "The values are divided by (1 + alpha * mean of squares) ^ beta.",
    ),
    Mode(
        "eltwise_param",
        ("coeff",),
        lambda layer, settings: settings["operation"] == "MAX",
        "operation MAX takes the values as they are",
        "Coefficients count with SUM only.",
        True,
    ),
    Mode(
        "loss_param",
        ("normalize",),
        _is_normalised_twice,
        "normalization is written, and wins",
        "The loss is divided as normalization says.",
        shared=True,
    ),
)


def ignored_in_solver(solver: Message) -> Iterator[Ignored]:
    """The fields of a solver, in today's form, that its policy and type do not read."""
    policy = POLICIES.get(solver["lr_policy"])
    if policy is not None:
        reads = {*policy.needs, *policy.reads}
        for name in _SCHEDULE:
            if name in solver.entries and name not in reads:
                readers = [other.name for other in POLICIES.values() if name in (*other.needs, *other.reads)]
                meaning = f"It is read by {', '.join(readers)} and ignored here."
                yield Ignored(solver, name, f"policy '{policy.name}' does not read {name}", meaning)
    known = SOLVER_TYPES.get(solver["type"])
    if known is not None:
        for name in _UPDATE:
            if name in solver.entries and name not in known.reads:
                readers = [other for other, facts in SOLVER_TYPES.items() if name in facts.reads]
                meaning = f"It is read by {', '.join(readers)} and ignored here."
                yield Ignored(solver, name, f"type {solver['type']} does not read {name}", meaning)


def ignored_in_layer(layer: Layer) -> Iterator[Ignored]:
    """The fields of a layer's settings that it does not read, as its other settings are. A value of 0 asks for nothing."""
    for mode in MODES:
        if mode.settings in layer.message.entries and (mode.shared or mode.settings == layer.traits.settings):
            settings: Message = layer.message[mode.settings]
            for name in mode.fields:
                if settings.get(name) and mode.when(layer, settings):
                    yield Ignored(settings, name, f"{name} is not read: {mode.what}", mode.meaning, mode.harmful)
    for param in layer.params:
        if param.filler is not None:
            yield from _ignored_in_filler(param.filler)


def _ignored_in_filler(filler: Message) -> Iterator[Ignored]:
    kind = filler["type"]
    reads = _FILLER_READS.get(kind)
    if reads is None:
        return
    for name in _FILLER_FIELDS:
        if name in filler.entries and name not in reads:
            if "type" in filler:
                yield Ignored(filler, name, f"a filler of type '{kind}' does not read {name}", "Caffe ignores it.")
            else:
                what = f"a filler without type does not read {name}, since it is constant"
                value = "0" if "value" not in filler else f"{filler['value']:g}"
                yield Ignored(filler, name, what, f"It fills with {value}.", True)
