"""Layers that Caffe rejects in a net: wrong counts, contradictory phases, missing gradients."""

from __future__ import annotations

from collections.abc import Iterator

from ...net.job import NetInPhase
from ...rule.finding import Hit
from ...rule.registry import rule
from ..problems import hits


@rule("E214", "count-mismatch", subject="net", severity="error")
def count_mismatch(subject: NetInPhase) -> Iterator[Hit]:
    """Flags layers whose number of `loss_weight` or `propagate_down` entries is wrong.

    ## What it does

    Compares the number of `loss_weight` entries with the number of tops, and that of `propagate_down` with the number of bottoms.
    Each is given for all of them or for none. A loss layer with a second top needs both weights, because its implicit weight
    covers the first top only.

    ## Why is this bad?

    Caffe stops: `loss_weight must be unspecified or specified once per top blob.` or `propagate_down param must be specified
    either 0 or bottom_size times`.

    ## When it is reported

    - **error** in a file for BVLC's Caffe;
    - **advice** in a file for a fork, because forks often change this.

    ## Example

    There is no fix: only you know which entry is missing or superfluous.

    ## References

    `Layer::SetLossWeights` in layer.hpp; net.cpp:79.
    """
    return hits(subject, "E214")


@rule("E215", "include-and-exclude", subject="net", severity="error")
def include_and_exclude(subject: NetInPhase) -> Iterator[Hit]:
    """Flags layers with both `include` and `exclude` rules.

    ## What it does

    Flags `include` and `exclude` in one layer, even if both say the same.

    ## Why is this bad?

    Caffe stops: `Specify either include rules or exclude rules; not both.`

    ## When it is reported

    **error** for every such layer, whether or not the phase includes it.

    ## Example

    There is no fix: only you know which rule is meant. Several `include` rules in a layer are fine: the layer is included if one
    of them matches.

    ## References

    `Net::FilterNet` in net.cpp:269.
    """
    return hits(subject, "E215")


@rule("E216", "no-gradient", subject="net", severity="error")
def no_gradient(subject: NetInPhase) -> Iterator[Hit]:
    """Flags layers without a backward pass, and labels, that a gradient would have to reach.

    ## What it does

    In training nets, flags labels and indices that come from layers with learnable weights, and ArgMax, Threshold, Accuracy and
    other layers without a backward pass between a loss and learnable weights. `force_backward`, `lr_mult: 0` and
    `propagate_down` are taken into account.

    ## Why is this bad?

    Caffe builds the net and stops in iteration 0, before it prints the first loss: `SoftmaxWithLoss Layer cannot backpropagate to
    label inputs.` or `Not Implemented Yet`.

    ## When it is reported

    - **advice** if this layer, or one that it gets values from, has a type or a field of a fork, or if the file has fields or
      values that no known Caffe has;
    - **error** otherwise.

    ## Example

    `propagate_down: false` for that bottom, or `lr_mult: 0` in all layers before it, would stop the gradient as well. There is no
    fix: only you know which layers are meant to learn.

    ## References

    The `Backward_cpu` function of each layer in src/caffe/layers; `Net::Init` in net.cpp.
    """
    return hits(subject, "E216")


@rule("E218", "empty-net", subject="net", severity="error")
def empty_net(subject: NetInPhase) -> Iterator[Hit]:
    """Flags nets without any layer in a phase that they are built for.

    ## What it does

    Flags nets whose `include` and `exclude` rules remove all layers, and nets that never had a layer.

    ## Why is this bad?

    Caffe builds such a net and stops when it runs it.

    ## When it is reported

    **error** for every such net.

    ## Example

    There is no fix: only you know in which phase the layers belong.

    ## References

    `Net::FilterNet` and `Net::ForwardFromTo` in net.cpp.
    """
    if "layers" not in subject.net.message:  # inside a solver, where Caffe does not upgrade them: S111
        yield from hits(subject, "E218")
