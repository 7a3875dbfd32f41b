"""How far an update of a run moves the weights of each layer, relative to their size, for the passes of debug_info.

Caffe printed updates until August 2015 (net.cpp, Net::UpdateDebugInfo). Later logs have weights, gradients and learning rates, from
which the update follows, but for the momentum, which depends on gradients that are not printed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ...proto.named_tuple import NamedTuple
from ...solver.schedule import learning_rate
from ...stability.signal.basis import features_not_modelled
from ...stability.signal.update_rule import UpdateRule, clip_factor, update_of, update_rule_of
from ...training_log.evidence import Evidence
from ...training_log.runs import Pass

if TYPE_CHECKING:
    from ...proto.binder import Message

PRINTED = "updates as printed in the log"


class Ratios(NamedTuple):
    """The ratio of each layer in each pass, and on what they rest, or why there are none, as a clause."""

    by_pass: Sequence[dict[str, float]]
    basis: str


def update_ratios(log: Evidence, passes: Sequence[Pass]) -> Ratios:
    """Of the first parameter of each layer, mean |update| over mean |value|; NaN if the update is not a number."""
    printed = [dict(_printed(log, passed)) for passed in passes]
    if any(printed):
        return Ratios(printed, PRINTED)
    solver = log.solver
    unknown = _why_unknown(log, solver)
    if solver is None or unknown:
        return Ratios([{} for _ in passes], unknown)
    rule = update_rule_of(solver)
    rates = {step.iteration: step.rate for step in log.steps if step.rate is not None}
    found: list[dict[str, float]] = []
    for passed in passes:
        if passed.iteration is None:
            found.append({})
            continue
        rate = rates[passed.iteration] if passed.iteration in rates else learning_rate(solver, passed.iteration)
        found.append(dict(_computed(log, passed, rule, rate)))
    left_out = " and without momentum" if rule.momentum else ""
    return Ratios(found, f"from the gradient of each iteration{left_out}")


def _printed(log: Evidence, passed: Pass) -> Iterator[tuple[str, float]]:
    updates = {(each.key.layer, each.key.blob): each.value for each in passed if each.key.direction == "Update"}
    if not updates:
        return
    for view, weight, _ in log.first_params(passed):
        update = updates.get((view.name, weight.key.blob))
        if update is not None and weight.value:
            yield view.name, update / weight.value


def _why_unknown(log: Evidence, solver: Message | None) -> str:
    """Why the updates of a run do not follow from its gradients; empty if they do."""
    if solver is None:
        return "the log does not print its solver"
    if log.net is None:
        return "the log does not print its net"
    if reason := next(features_not_modelled(solver, log.net), ""):
        return reason
    if (rule := update_rule_of(solver)).adaptive:
        return f"updates of {rule.type} depend on all gradients before them"
    if rule.iter_size > 1:
        return f"gradients are added up over {rule.iter_size} passes (iter_size)"
    return ""


def _computed(log: Evidence, passed: Pass, rule: UpdateRule, rate: float | None) -> Iterator[tuple[str, float]]:
    if rate is None or (rule.clip >= 0 and passed.norms is None):
        return
    norm = passed.norms.l2_diff if passed.norms is not None else 0.0
    factor = 1.0 if math.isnan(norm) else clip_factor(rule, norm)  # no comparison with NaN is true
    for view, weight, gradient in log.first_params(passed):
        layer = log.layers.get(view.name)
        if layer is not None and layer.params and not layer.traits.stores_statistics and weight.value:
            yield (
                view.name,
                update_of(rule, layer.params[0], gradient.value * factor, weight.value, rate) / weight.value,
            )
