"""Fields that Caffe reads only together with others: of a schedule, an update, a filler, a layer. It ignores them otherwise.

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
    """A field that is set and not read: the message that holds it, `what` is ignored and when, and what that means.

    In a layer, `what` follows the layer's name. `harmful` if the field was surely meant to have an effect.
    """

    message: Message
    field: str
    what: str
    meaning: str
    harmful: bool = False


class Mode(NamedTuple):
    """Fields of a layer's settings that are ignored if `when` is true of the layer and these settings.

    `condition` says when, after the name of a field. `shared` if the settings are not those of the layer type only.
    """

    settings: str
    fields: tuple[str, ...]
    when: Callable[[Layer, Message], bool]
    condition: str
    meaning: str
    harmful: bool = False
    shared: bool = False


# Fields of schedules and updates: each is ignored by the policies or types that do not read it.
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

_MOVED = "outside transform_param"
_LOST = "It has an effect only in transform_param, so the data stay as they are."
_BIAS_OFF = "with bias_term false"
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
        "outside window_data_param",
        "It has an effect only in window_data_param, so the data are not scaled.",
        harmful=True,
        shared=True,
    ),
    Mode("data_param", ("rand_skip",), _always, "in data_param", "Reading starts at the first item."),
    Mode("convolution_param", ("bias_filler",), _no_bias, _BIAS_OFF, _NO_BIAS),
    Mode("inner_product_param", ("bias_filler",), _no_bias, _BIAS_OFF, _NO_BIAS),
    Mode("embed_param", ("bias_filler",), lambda layer, settings: not settings["bias_term"], _BIAS_OFF, _NO_BIAS),
    Mode(
        "scale_param",
        ("bias_filler",),
        lambda layer, settings: "bias_term" not in settings,
        "without bias_term",
        "The default of bias_term is false, so the layer learns no bias.",
        True,
    ),
    Mode(
        "scale_param",
        ("bias_filler",),
        lambda layer, settings: "bias_term" in settings and not settings["bias_term"],
        _BIAS_OFF,
        _NO_BIAS,
    ),
    Mode(
        "scale_param",
        ("filler", "num_axes"),
        lambda layer, settings: len(layer.bottoms) == 2,
        "with two bottoms",
        "The second bottom is the scale, so the layer learns none.",
    ),
    Mode(
        "convolution_param",
        ("num_output", "group", "weight_filler", "bias_filler"),
        lambda layer, settings: not layer.traits.weighted_sum,
        "without weights",
        "An Im2col layer only lays out the values that a convolution would read.",
    ),
    Mode(
        "lrn_param",
        ("k",),
        lambda layer, settings: settings["norm_region"] == "WITHIN_CHANNEL",
        "with norm_region WITHIN_CHANNEL",
        "k is always 1 here: the values are divided by (1 + alpha * mean of squares) ^ beta.",
    ),
    Mode(
        "eltwise_param",
        ("coeff",),
        lambda layer, settings: settings["operation"] == "MAX",
        "with operation MAX",
        "Coefficients have an effect with SUM only.",
        True,
    ),
    Mode(
        "loss_param",
        ("normalize",),
        _is_normalised_twice,
        "because normalization is set",
        "Caffe divides the loss as normalization says.",
        shared=True,
    ),
)
_WITH_MODES = frozenset(mode.settings for mode in MODES)


def ignored_in_solver(solver: Message) -> Iterator[Ignored]:
    """Yield the fields of a solver, in the current format, that its policy and type do not read."""
    policy = POLICIES.get(solver["lr_policy"])
    if policy is not None:
        reads = {*policy.needs, *policy.reads}
        for name in _SCHEDULE:
            if name in solver.entries and name not in reads:
                readers = [other.name for other in POLICIES.values() if name in (*other.needs, *other.reads)]
                meaning = f"{name} is read only by {', '.join(readers)}."
                yield Ignored(solver, name, f"policy '{policy.name}' ignores {name}", meaning)
    known = SOLVER_TYPES.get(solver["type"])
    if known is not None:
        for name in _UPDATE:
            if name in solver.entries and name not in known.reads:
                readers = [other for other, facts in SOLVER_TYPES.items() if name in facts.reads]
                meaning = f"{name} is read only by {', '.join(readers)}."
                yield Ignored(solver, name, f"type {solver['type']} ignores {name}", meaning)


def ignored_in_layer(layer: Layer) -> Iterator[Ignored]:
    """Yield the fields of a layer's settings that have no effect in combination with the others. A value of 0 is left out."""
    written = layer.message.entries
    if not _WITH_MODES.isdisjoint(written):
        for mode in MODES:
            if mode.settings in written and (mode.shared or mode.settings == layer.traits.settings):
                settings: Message = layer.message[mode.settings]
                for name in mode.fields:
                    if settings.get(name) and mode.when(layer, settings):
                        yield Ignored(settings, name, f"ignores {name} {mode.condition}", mode.meaning, mode.harmful)
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
                meaning = f"A {kind} filler reads {', '.join(reads) or 'no field but its type'}."
                yield Ignored(filler, name, f"ignores {name} in a filler of type '{kind}'", meaning)
            else:
                value = "0" if "value" not in filler else f"{filler['value']:g}"
                meaning = f"Without a type, the filler is constant and fills with {value}."
                yield Ignored(filler, name, f"ignores {name} in a filler without type", meaning, True)
