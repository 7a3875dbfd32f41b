"""The fix that gives a loss another weight."""

from __future__ import annotations

from ...fixes.edit import Fix
from ...fixes.fields import number_text
from ...fixes.layer_edits import set_loss_weights
from ...moments.graph import Loss
from ...net.job import NetInPhase
from ...net.loss_sizes import has_own_weight


def loss_weight_fix(net: NetInPhase, loss: Loss, weight: float, *, safe: bool) -> Fix | None:
    """The fix that gives a loss another weight, None if the layer cannot have it written."""
    layer = loss.layer
    if not has_own_weight(loss):
        return None
    weights = [layer.loss_weight(index) for index in range(len(layer.tops))]
    weights[loss.top_index] = weight
    patch = set_loss_weights(net.file.tree, layer.message, tuple(weights))
    return patch.fix(net.file.path, f"set the loss_weight of '{layer.name}' to {number_text(weight)}", safe=safe)
