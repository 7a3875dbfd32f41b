"""Whether a log is of the training that a solver and its nets describe, by what Caffe prints at the start of a run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple
from ..solver.schedule import POLICIES, learning_rate
from .evidence import Evidence
from .runs import Run

if TYPE_CHECKING:
    from ..moments.graph import Layer
    from ..net.job import Job
    from ..net.net import Net
    from ..proto.binder import Message

# What decides how long a step is. Whoever repairs a training changes these, and the training stays the same.
_TUNED = ("base_lr", "momentum", "weight_decay", "clip_gradients", "gamma")
_SHOWN = 3
_AUTOMATIC = "(automatic)"  # the name that Caffe gives the top of a loss without one (net.cpp, Net::AppendTop)


class Comparison(NamedTuple):
    """How a log differs from the files, each difference as a clause with both values.

    With differences in `other`, the log is of another training. Those in `changed` may also come from changes made since.
    `unknown` are the things that the log does not print.
    """

    other: tuple[str, ...]
    changed: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """Whether nothing speaks against the log being of this training, as it is now."""
        return not self.other and not self.changed

    def sentence(self, log: str, solver: str) -> str:
        """Say that and how the log differs from the files; at most three differences. Empty if it does not."""
        differences = [*self.other, *self.changed]
        if not differences:
            return ""
        shown = "; ".join(differences[:_SHOWN])
        more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        if self.other:
            return f"{log} is of another training than {solver}: {shown}{more}"
        return f"{solver} or its net changed since {log}, or the log is of another training: {shown}{more}"


def compare(run: Run, job: Job) -> Comparison:
    """Compare what a run printed with a solver and its nets: solver type and policy, the layers of the net, step sizes.

    Paths, batch sizes, the length of the training and everything else that does not make it another one may differ.
    """
    other: list[str] = []
    changed: list[str] = []
    unknown: list[str] = []
    log = Evidence(run)
    path = job.solver.file.path
    if log.solver is not None:
        other += _settings(log.solver, job.solver.message, ("type", "lr_policy"), path)
        changed += _settings(log.solver, job.solver.message, _tuned(job.solver.message), path)
    else:
        unknown.append("solver")
        changed += _rates(log, job)
    if job.train is not None:
        net, place = job.train.net, job.train.file.path
        if log.net is None:
            names = _other_names(log, job)
            other += names
            if not names:
                unknown.append("net")
        elif set(filter(None, log.net.state.stages)) == set(filter(None, net.state.stages)):
            layers = _layers(log.net, net, place, is_whole=not log.net_is_cut)
            other += layers
            changed += _loss_weights(log.net, net, place) if not layers else ()
    return Comparison(tuple(other), tuple(changed), tuple(unknown))


def _tuned(solver: Message) -> tuple[str, ...]:
    policy = POLICIES.get(solver["lr_policy"])
    reads_gamma = policy is not None and "gamma" in (*policy.needs, *policy.reads)
    return _TUNED if reads_gamma else _TUNED[:-1]


def _settings(log: Message, file: Message, names: tuple[str, ...], path: str) -> list[str]:
    found = []
    for name in names:
        ran, now = log[name], file[name]
        if name == "clip_gradients":  # the default and all negative values switch it off
            ran, now = (value if value > 0 else "" for value in (ran, now))
        if not _is_equal(ran, now):
            found.append(f"{name} is {_text(ran)} in the log, {_text(now)} in {path}")
    return found


def _is_equal(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-5) or (math.isnan(one) and math.isnan(other))
    return one == other


def _text(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"' if value else "not set"
    return f"{value:g}"


def _rates(log: Evidence, job: Job) -> list[str]:
    """Return the first displayed rate that is not the one of the solver, which tells base_lr if the log does not print it."""
    for step in log.steps:
        if step.rate is None:
            continue
        expected = learning_rate(job.solver.message, step.iteration)
        if expected is not None and not math.isclose(step.rate, expected, rel_tol=1e-3, abs_tol=1e-30):
            path = job.solver.file.path
            return [f"the learning rate of iteration {step.iteration} is {step.rate:g} in the log, {expected:g} by {path}"]
        break
    return []


def _other_names(log: Evidence, job: Job) -> list[str]:
    """Return the first layer or output in the log that none of the nets has, if the log does not print the net."""
    layers = {layer.name for net in job.nets for layer in net.net.layers}
    tops = {blob.name for net in job.nets for layer in net.net.layers for blob in layer.tops}
    path = job.train.file.path if job.train is not None else ""
    debugged = log.first_pass.values if log.first_pass is not None else []
    for name in dict.fromkeys((*log.run.shapes, *(value.key.layer for value in debugged))):
        if name not in layers and not name.endswith("_split"):
            return [f"the log has a layer '{name}', {path} has none"]
    for step in log.steps[:1]:
        for out in step.outputs:
            if out.name not in tops and out.name != _AUTOMATIC:
                return [f"the log has an output '{out.name}', {path} has none"]
    return []


def _layers(log: Net, file: Net, path: str, *, is_whole: bool) -> list[str]:
    """Return the first difference between the layers; of a net that glog cut off, only whole layers are compared."""
    ran, now = _listed(log), _listed(file)
    if not is_whole:
        ran = ran[:-1]
        now = now[: len(ran)]
    names, known = {layer.name for layer in ran}, {layer.name for layer in now}
    for one in ran:
        if one.name not in known:
            return [f"the log has a layer '{one.name}' ({one.type}), {path} has none"]
    for one in now:
        if one.name not in names:
            return [f"{path} has a layer '{one.name}' ({one.type}), the log has none"]
    for one, other in zip(ran, now, strict=False):
        if one.name != other.name:
            return [f"layer '{one.name}' comes before '{other.name}' in the log, after it in {path}"]
        if one.type != other.type:
            return [f"layer '{one.name}' is a {one.type} in the log, a {other.type} in {path}"]
        width, here = _width(one), _width(other)
        if width != here:
            return [f"num_output of layer '{one.name}' is {width} in the log, {here} in {path}"]
    return []


def _listed(net: Net) -> list[Layer]:
    """Return the layers, except those that Caffe inserts."""
    return [layer for layer in net.layers if not layer.traits.copies]


def _width(layer: Layer) -> object:
    settings = layer.message.get(layer.traits.settings)
    return settings.get("num_output", 0) if settings is not None else 0


def _loss_weights(log: Net, file: Net, path: str) -> list[str]:
    weights = {loss.layer.name: loss.weight for loss in file.losses}
    return [
        f"loss_weight of '{loss.layer.name}' is {loss.weight:g} in the log, {weights[loss.layer.name]:g} in {path}"
        for loss in log.losses
        if loss.layer.name in weights and not _is_equal(float(loss.weight), float(weights[loss.layer.name]))
    ]
