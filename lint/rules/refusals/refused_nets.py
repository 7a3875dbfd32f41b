"""Layers that Caffe rejects in a net: wrong counts, contradictory phases, missing gradients."""

from __future__ import annotations

from collections.abc import Iterator

from ...net.job import NetInPhase
from ...rule.finding import Hit
from ...rule.registry import rule
from ..problems import hits


@rule("E214", "count-mismatch", subject="net", severity="error")
def count_mismatch(subject: NetInPhase) -> Iterator[Hit]:
    """A layer has not as many loss_weight as tops, or propagate_down as bottoms.

    ## What it does

    loss_weight and propagate_down are written for each or for none. A loss layer with a second top needs both
    weights written, since the one that Caffe gives it is not enough.

    ## Why is this bad?

    Caffe stops: `loss_weight must be unspecified or specified once per top blob.` or `propagate_down param
    must be specified either 0 or bottom_size times`.

    ## When it is reported

    Never: Caffe does not build such a net.

    ## Example

    There is no fix: only you know which of them is meant.

    ## References

    layer.hpp, Layer::SetLossWeights; net.cpp:79.
    """
    return hits(subject, "E214")


@rule("E215", "include-and-exclude", subject="net", severity="error")
def include_and_exclude(subject: NetInPhase) -> Iterator[Hit]:
    """A layer has both include and exclude rules.

    ## What it does

    `include` and `exclude` in one layer, also if both say the same.

    ## Why is this bad?

    Caffe stops: `Specify either include rules or exclude rules; not both.`

    ## When it is reported

    Never: Caffe does not build such a net.

    ## Example

    There is no fix: only you know which of them is meant. Several `include` in a layer are fine: one that is met is enough.

    ## References

    net.cpp:269, Net::FilterNet.
    """
    return hits(subject, "E215")


@rule("E216", "no-gradient", subject="net", severity="error")
def no_gradient(subject: NetInPhase) -> Iterator[Hit]:
    """A gradient would have to go through a layer, or into a label, that has none.

    ## What it does

    In nets for training: labels and indices made by layers that learn, and ArgMax, Threshold, Accuracy and
    others without a backward pass between a loss and what learns. `force_backward` counts, and so do lr_mult
    0 and propagate_down.

    ## Why is this bad?

    Caffe builds the net and stops in iteration 0, before the first loss is printed: `SoftmaxWithLoss Layer
    cannot backpropagate to label inputs.` or `Not Implemented Yet`.

    ## When it is reported

    Never: Caffe stops in iteration 0.

    ## Example

    Or `propagate_down: false` for that bottom, or lr_mult 0 below it, which stop the gradient. There is no fix: only
    you know what is to learn.

    ## References

    The Backward_cpu function of each layer in src/caffe/layers; net.cpp, Net::Init.
    """
    return hits(subject, "E216")


@rule("E218", "empty-net", subject="net", severity="error")
def empty_net(subject: NetInPhase) -> Iterator[Hit]:
    """A net has no layer left in a phase for which it is built.

    ## What it does

    Nets whose layers are all filtered out by their include and exclude rules, or that never had one.

    ## Why is this bad?

    Caffe builds such a net and stops when it runs it.

    ## When it is reported

    Never: Caffe stops when it runs such a net.

    ## Example

    There is no fix: only you know when the layers are to be there.

    ## References

    net.cpp, Net::FilterNet and Net::ForwardFromTo.
    """
    if "layers" not in subject.net.message:  # inside a solver, where Caffe does not lift them: S111
        yield from hits(subject, "E218")
