"""Blocks that widen a net without normalisation, and the normalisation to put behind them."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import Patch
from ...fixes.layer_edits import Fields, free_name, insert_layers, names_in, state_rules
from ...moments.graph import Layer
from ...moments.shapes import Shape, describe
from ...net.job import NetInPhase
from ...net.widening import WideningBlock, widening_blocks
from ...rule.finding import Hit, Related
from ...rule.registry import Option, rule
from ...stability.computed import stability_of_net

# In these Caffes `BatchNorm` is not what it is elsewhere, or is not there: they have `BN`.
_OTHER_NORMALISATION = frozenset({"BN"})


@rule(
    "G104",
    "widening-block",
    subject="net",
    severity="advice",
    fixes="unsafe",
    options={"times": Option(2.0, "how many times wider a block makes its input, at least")},
)
def widening_block(net: NetInPhase, *, times: float) -> Iterator[Hit]:
    """A block makes the net wider, or multiplies branches, and nothing normalises what comes out.

    ## What it does

    In nets for training, without BatchNorm, MVN or the like before the next layer with weights has used it:

    - upsampling (Deconvolution, Upsample, Interp and their kin) to twice the elements or more, such as from
      256 x 10 x 10 to 256 x 20 x 20, that is concatenated or convolved on. A Deconvolution that does not
      learn, and steps of upsampling one behind the other, as scores for each pixel take them, are left out
    - Concat along the channels that gives twice the channels, or more, of anything that its branches are or
      come from in the last three layers, such as 256 to 512
    - Eltwise PROD of factors of which none is bounded: no Sigmoid, TanH or Softmax, no normalisation, no
      data. A gate (squeeze-and-excitation, attention) is fine

    One finding for each block, with the shapes as far as they are known; and, where a solver trains the net and the
    signal can be computed, how many times values and gradients grow through it in iteration 0.

    ## Why is this bad?

    The gradient of the weights before a block adds up over all that is made from them, and in a product the
    gradient of one factor is the value of the other: what grows on one side makes the other grow. Layers
    behind normalisation see values of one size, whatever comes.

    How much, the trainings say, is a matter of the learning rate: of 16 with such a block 1 exploded, of
    344 without 74 did, and a Concat that doubled its channels twice (128 to 512 at 10 x 10) learnt up to a
    rate of 0.1 and was NaN at 1. So this is an advice. G101 counts it as a risk.

    ## When it is reported

    The net trains; the layers were normalised once and BatchNorm has been merged into them.

    ## Fix

    The fix is unsafe, as it changes the architecture: weights trained before do not fit the new layers, and
    deploy files and test nets in files of their own need the same layers. They work in place, so whatever
    read the block now reads the normalised blob; where the file has the block once more for another phase,
    it is put behind that too, under the same include rules. There is no fix for V1 nets, which have no
    BatchNorm (P201 lifts them, when selected), nor for Caffes that have `BN` instead.

    ## Options

    `times`: 2. How many times wider a block must make its input.

    ## References

    Numbers: `python benchmarks/thresholds.py widening`. batch_norm_layer.cpp, scale_layer.cpp,
    eltwise_layer.cpp. Ioffe and Szegedy: Batch Normalization, 2015.
    """
    if net.phase != "TRAIN":
        return
    blocks = list(widening_blocks(net.net, times))
    names = names_in(net.net.message) if blocks and _has_batch_norm(net) else None
    for block in blocks:
        joined = tuple(
            Related(net.file, blob.producer.place(), f"'{blob.name}' is {describe_item(blob.shape)}")
            for blob in block.joined
            if blob.producer is not None
        )
        yield Hit(
            net.file,
            block.layer.place(),
            _message(block),
            _reason(net, block),
            related=joined if len(joined) > 1 else (),
            fix=_fix(net, block, names) if names is not None else None,
        )


def describe_item(shape: Shape) -> str:
    """The shape of one item of a batch."""
    return describe(shape[1:]) if shape is not None and len(shape) > 1 else describe(None)


def _message(block: WideningBlock) -> str:
    layer = block.layer
    names = " and ".join(f"'{blob.name}'" for blob in block.joined)
    if block.kind == "product":
        return f"product '{layer.name}' of {names}, none of which is bounded or normalised"
    after = describe_item(layer.tops[0].shape)
    if block.kind == "concat":
        channels = f"{block.before} channels become {block.after} ({after})"
        return f"Concat '{layer.name}' joins {names}: {channels}, not normalised"
    before = describe_item(layer.bottoms[0].shape)
    known = "?" not in before + after
    sizes = f"{before} becomes {after}" if known else f"{block.times:.3g} times the elements"
    into = f", and {_shown(block.into)} joins it" if block.into.type == "Concat" else ""
    return f"{layer.type} '{layer.name}' upsamples '{layer.bottoms[0].name}' ({sizes}), not normalised{into}"


def _shown(layer: Layer) -> str:
    return f"'{layer.name}'" if layer.name else f"a {layer.type}"


def _reason(net: NetInPhase, block: WideningBlock) -> str:
    reader = f"{_shown(block.into)} uses it as it is"
    first = " There is a fix for nets of today's form: lift it first (P201)." if _is_lifted(net) else ""
    if block.kind == "product":
        why = "The gradient of one factor is the value of the other, so they drive each other"
    else:
        why = f"The gradients of its weights add up over {block.times:.3g} times as much"
    return f"{why}; {reader}.{_computed(net, block)}{first}"


def _computed(net: NetInPhase, block: WideningBlock) -> str:
    """What the signal of a training of the net does from the block to behind what reads it, where it is known."""
    computed = stability_of_net(net)
    if computed is None:
        return ""
    flow = computed.flow(block.layer, block.into)
    if not flow.is_known:
        return ""
    return (
        f" Computed for iteration 0{computed.assumed}, from before '{block.layer.name}' to behind {_shown(block.into)}: values go from"
        f" {flow.before:.3g} to {flow.after:.3g} in the mean ({flow.after / flow.before:.3g} times), gradients on the way"
        f" back from {flow.gradient_after:.3g} to {flow.gradient_before:.3g}"
        f" ({flow.gradient_before / flow.gradient_after:.3g} times)."
    )


def _is_lifted(net: NetInPhase) -> bool:
    """Whether the file is V0 or V1: no such net has BatchNorm."""
    return not {"v0", "v1"}.isdisjoint(net.net.upgraded.steps)


def _has_batch_norm(net: NetInPhase) -> bool:
    """Whether the Caffe that the net is for has BatchNorm as others do."""
    return not _is_lifted(net) and not any(layer.type in _OTHER_NORMALISATION for layer in net.net.layers)


def _fix(net: NetInPhase, block: WideningBlock, names: set[str]) -> Fix | None:
    """BatchNorm and Scale in place behind the block, and behind its like for other phases."""
    layer = block.layer
    top = layer.tops[0].name
    if not top or len(layer.tops) > 1:
        return None
    normalise, scale = free_name(names, f"bn_{top}"), free_name(names, f"scale_{top}")
    patch = Patch()
    for entry in (layer.entry, *layer.variants()):
        rules = state_rules(entry[0])
        layers = _normalisation(normalise, scale, top, rules)
        added = insert_layers(net.file.tree, net.net.message, entry, layers)
        if added is None:
            return None
        patch += added
    return patch.fix(net.file.path, f"put BatchNorm and Scale behind '{layer.name}'", safe=False)


def _normalisation(normalise: str, scale: str, top: str, rules: Fields) -> tuple[Fields, Fields]:
    """The three `param` are for Caffe before September 2016, which would else learn the statistics."""
    frozen = ("param", (("lr_mult", 0),))
    return (
        (
            ("name", normalise),
            ("type", "BatchNorm"),
            ("bottom", top),
            ("top", top),
            *rules,
            frozen,
            frozen,
            frozen,
        ),
        (
            ("name", scale),
            ("type", "Scale"),
            ("bottom", top),
            ("top", top),
            *rules,
            ("scale_param", (("bias_term", True),)),
        ),
    )
