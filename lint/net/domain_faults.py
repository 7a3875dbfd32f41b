"""Layers that are certain to read values outside their domain, so that what they compute is infinite or NaN."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple
from .intervals import intervals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..moments.graph import Layer
    from ..moments.interval import Interval
    from .net import Net

OVERFLOW = 88.7  # the largest exponent of e that a float holds


class DomainFault(NamedTuple):
    """What a layer does outside its domain, as the end of a sentence that begins with it, and what comes of it."""

    what: str
    why: str


def domain_faults(net: Net) -> Iterator[tuple[Layer, DomainFault]]:
    """Yield the layers that certainly read values outside their domain, as far as the range of these is known."""
    if not any(layer.traits.settings in _FAULTS for layer in net.layers):
        return
    known = intervals(net)
    for layer in net.layers:
        check = _FAULTS.get(layer.traits.settings)
        if check is not None and layer.bottoms and (fault := check(layer, known[layer.bottoms[0]])):
            yield layer, DomainFault(*fault)


def _log(layer: Layer, x: Interval) -> tuple[str, str] | None:
    param = layer.message["log_param"]
    least = _least(x, param["scale"], param["shift"])
    if least is None or least > 0:
        return None
    what = "takes the logarithm of 0" if least == 0 else f"takes the logarithm of values below 0 ({_shown(least)})"
    return what, f"The result is {'-inf' if least == 0 else 'NaN'}, which Caffe does not prevent; set a `shift`."


def _power(layer: Layer, x: Interval) -> tuple[str, str] | None:
    param = layer.message["power_param"]
    power, scale, shift = param["power"], param["scale"], param["shift"]
    if not all(map(math.isfinite, (power, scale, shift))):
        return None
    least = _least(x, scale, shift)
    zero = least == 0 or (x.zero and shift == 0)
    if least is not None and least < 0 and not float(power).is_integer():
        return f"raises values below 0 to the power of {power:g}", "The result is NaN, which Caffe does not prevent."
    if zero and power < 0:
        return f"raises 0 to the power of {power:g}", "The result is infinite, which Caffe does not prevent."
    computes = layer.runs_backward and any(layer.gradient_bottoms)
    if x.zero and shift == 0 and scale and power not in (0, 1, 2) and computes:
        why = f"Caffe computes it as {power:g} * y / x, which is NaN (0 / 0) there; a small `shift` keeps x away from 0."
        return f"has no gradient at 0, which '{layer.bottoms[0].name}' contains", why
    return None


def _exp(layer: Layer, x: Interval) -> tuple[str, str] | None:
    param = layer.message["exp_param"]
    base, scale, shift = param["base"], param["scale"], param["shift"]
    if not x.reached or (base != -1 and base <= 0):
        return None
    exponent = max(shift + scale * x.low, shift + scale * x.high) * (1.0 if base == -1 else math.log(base))
    if not OVERFLOW < exponent < math.inf:
        return None
    why = f"A float overflows for exponents above {OVERFLOW:g}, so the result is infinite."
    return f"takes the exponential of values up to {exponent:.3g}", why


def _lrn(layer: Layer, x: Interval) -> tuple[str, str] | None:
    param = layer.message["lrn_param"]
    across = param["norm_region"] == "ACROSS_CHANNELS"
    k, alpha = param["k"] if across else 1.0, param["alpha"]  # WITHIN_CHANNEL ignores k
    if k <= 0 and x.zero:
        return f"has a k of {k:g}", "Where all neighbouring channels are 0, it computes 0 times infinity, which is NaN."
    largest = max(abs(x.low), abs(x.high))
    if alpha < 0 and -alpha * largest * largest >= k and not float(param["beta"]).is_integer():
        why = f"Where the mean square of neighbouring values exceeds {k / -alpha:.3g}, it raises a negative number to a power: NaN."
        return f"has an alpha of {alpha:g}", why
    return None


def _batch_norm(layer: Layer, x: Interval) -> tuple[str, str] | None:
    eps = layer.message["batch_norm_param"]["eps"]
    if eps >= 0 or layer.context.dialect != "bvlc":  # cuDNN's has a least eps of its own
        return None
    why = f"It divides by sqrt(variance + eps), which is NaN in each channel with a variance below {-eps:g}, and before any training."
    return f"has an eps of {eps:g}", why


_FAULTS = {"log_param": _log, "power_param": _power, "exp_param": _exp, "lrn_param": _lrn, "batch_norm_param": _batch_norm}


def _least(x: Interval, scale: float, shift: float) -> float | None:
    """The least value of shift + scale * x that certainly occurs (-inf: somewhere below 0); None if unknown."""
    if x.reached and math.isfinite(x.low) and math.isfinite(x.high):
        return float(min(shift + scale * x.low, shift + scale * x.high))
    if x.negative and scale > 0 and shift <= 0:
        return -math.inf
    return float(shift) if x.zero and (shift <= 0 or scale == 0) else None


def _shown(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "both signs occur"
