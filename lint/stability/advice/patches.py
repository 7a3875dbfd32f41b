"""The edits with which a repair is written: loss weights, learning rate, clip threshold, fillers, the scale of inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...fixes.fields import Patch, number_text, set_field
from ...fixes.layer_edits import add_message, set_loss_weights, set_weight_filler
from ...net.loss_sizes import has_own_weight
from ...net.rounding import one_digit
from ...solver.schedule import largest_rate
from ..signal.features import Trial

if TYPE_CHECKING:
    from ...fixes.edit import Fix
    from ...moments.graph import Layer, Loss, Param
    from ...net.job import Job, NetInPhase
    from ...source.files import SourceFile

# The fields that people write clip_gradients after; the last of them that is there counts.
CLIP_BESIDE = ("momentum", "weight_decay", "momentum2", "rms_decay", "regularization_type")
OF_BYTES = 1 / 256  # the scale that brings bytes to below 1


def loss_weight_fix(net: NetInPhase, loss: Loss, weight: float, *, safe: bool) -> Fix | None:
    """The fix that gives a loss another weight, None if the layer cannot have it written."""
    if not has_own_weight(loss):
        return None
    title = f"set the loss_weight of '{loss.layer.name}' to {number_text(weight)}"
    return _loss_weight(net, loss, weight).fix(net.file.path, title, safe=safe)


def _loss_weight(net: NetInPhase, loss: Loss, weight: float) -> Patch:
    layer = loss.layer
    weights = [layer.loss_weight(index) for index in range(len(layer.tops))]
    weights[loss.top_index] = weight
    return set_loss_weights(net.file.tree, layer.message, tuple(weights))


def clip_patch(job: Job, bound: float) -> Patch:
    """The edits that write a clip threshold beside momentum and weight decay."""
    return set_field(job.solver.file.tree, job.solver.message, "clip_gradients", bound, beside=CLIP_BESIDE)


def scaled_rate(job: Job, factor: float) -> float | None:
    """The base_lr that is a factor of the present one; None if the largest rate of the training does not come from it."""
    solver = job.solver.message
    rate = largest_rate(solver)
    if rate is None or rate.field != "base_lr" or "base_lr" not in solver:
        return None
    return float(f"{solver['base_lr'] * factor:.12g}")


def rate_patch(job: Job, base_lr: float) -> Patch:
    """The edits that write a learning rate."""
    return set_field(job.solver.file.tree, job.solver.message, "base_lr", base_lr)


def filler_patch(net: NetInPhase, fillers: Mapping[Param, str]) -> Patch:
    """The edits that write other weight fillers."""
    patch = Patch()
    for param, kind in fillers.items():
        settings = param.layer.message[param.layer.traits.settings]
        patch += set_weight_filler(net.file.tree, net.net.message, settings, kind)
    return patch


def new_scale(layer: Layer, factor: float) -> float:
    """The `scale` with which a data layer's values are a factor of the present ones."""
    scale: float = layer.message["transform_param"]["scale"] * factor
    return scale if factor == OF_BYTES else one_digit(scale)


def scale_patch(net: NetInPhase, layer: Layer, scale: float) -> Patch:
    """The edits that write the scale of a data layer and of its counterparts in other phases."""
    patch = Patch()
    for message, _, _ in (layer.entry, *layer.variants()):
        if "transform_param" in message.entries:
            patch += set_field(net.file.tree, message["transform_param"], "scale", scale)
        else:
            patch += add_message(net.file.tree, net.net.message, message, "transform_param", (("scale", scale),))
    return patch


def changed(job: Job, trial: Trial) -> Job | None:
    """A job with the changes of a trial written into its files; None if they cannot be written."""
    if job.train is None:
        return None
    net = job.train
    trial = trial.for_net(net.net)
    of_solver, of_net = Patch(), Patch()
    if trial.rate != 1:
        rate = scaled_rate(job, trial.rate)
        if rate is None:
            return None
        of_solver += rate_patch(job, rate)
    if trial.clip is not None:
        of_solver += clip_patch(job, trial.clip)
    for loss in net.net.losses:
        if loss.layer in trial.loss_weights:
            if not has_own_weight(loss):
                return None
            of_net += _loss_weight(net, loss, trial.loss_weights[loss.layer])
    of_net += filler_patch(net, trial.fillers)
    for layer, factor in trial.inputs.items():
        of_net += scale_patch(net, layer, new_scale(layer, factor))
    patches = {job.solver.file: of_solver, net.file: of_net}
    if net.file is job.solver.file:
        patches = {net.file: of_solver + of_net}
    return job.with_files({file.path: _patched(file, patch) for file, patch in patches.items() if patch.edits})


def _patched(file: SourceFile, patch: Patch) -> SourceFile:
    from ...fixes.apply import edited  # only for repairs that are tried

    return file.with_source(edited(file.source, patch.edits))
