"""Blocks that widen a net without normalisation, and the normalisation to insert after them."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import Patch
from ...fixes.layer_edits import Fields, free_name, insert_layers, names_in, state_rules
from ...moments.graph import Layer
from ...moments.shapes import Shape, describe
from ...net.job import NetInPhase
from ...net.rounding import two_digits
from ...net.widening import WideningBlock, widening_blocks
from ...rule.finding import Hit, Related
from ...rule.registry import Option, rule
from ...stability.computed import stability_of_net

# Forks that have these layer types have no `BatchNorm`, or one that differs from that of other versions.
_OTHER_NORMALISATION = frozenset({"BN"})


@rule(
    "G104",
    "widening-block",
    subject="net",
    severity="advice",
    fixes="unsafe",
    options={"times": Option(2.0, "by what factor a block must widen its input", least=1)},
)
def widening_block(net: NetInPhase, *, times: float) -> Iterator[Hit]:
    """Flags blocks that widen the net, or multiply branches, without normalisation.

    ## What it does

    Flags, in nets for training with a loss, blocks without BatchNorm, MVN or similar before the next layer with weights:

    - upsampling (Deconvolution, Upsample, Interp and similar) to at least twice the elements, such as from 256 x 10 x 10 to
      256 x 20 x 20, followed by Concat or a convolution
    - Concat along the channels to at least twice the channels of any branch, or of what the branches come from within three
      layers, such as 256 to 512
    - Eltwise PROD of which no factor is bounded by a Sigmoid, TanH, Softmax or normalisation, or is data

    There is one finding per block, with the shapes as far as they are known. Where a solver trains the net and the signal can
    be computed, it says by what factor activations and gradients grow through the block in iteration 0.

    ## Why is this bad?

    The gradient of the weights before a block adds up over everything that is made from them, and in a product the gradient of
    one factor is the value of the other: growth on one side drives the other. Layers after a normalisation see values of
    constant scale, whatever comes in.

    How much this matters depends on the learning rate. Of 16 trainings with such a block 1 diverged, of 344 without 74 did; a
    Concat that doubled its channels twice (128 to 512 at 10 x 10) learned at rates up to 0.1 and was NaN at 1.

    ## When it is reported

    As advice; G101 counts it as a risk. Not reported: Deconvolution that does not learn, chains of upsampling as in
    per-pixel scores, gates (squeeze-and-excitation, attention). Ignore it if the net trains, or if BatchNorm has been merged
    into its layers.

    ## Fix

    Inserts BatchNorm and Scale after the block, in place, so that whatever read the block reads the normalised blob; where the
    file has the block again for another phase, after that as well, under the same include rules. It is unsafe because it
    changes the architecture: existing weights do not fit the new layers, and deploy nets in other files need them too. There
    is no fix for V1 nets, which have no BatchNorm (P201 upgrades them, if selected), nor for forks that have `BN` instead.

    ## Options

    `times`: by what factor a block must widen its input.

    ## References

    batch_norm_layer.cpp, scale_layer.cpp, eltwise_layer.cpp. Ioffe and Szegedy: Batch Normalization, 2015.
    Figures: `python benchmarks/thresholds.py widening`.
    """
    if net.phase != "TRAIN" or not net.net.losses:
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
    *first, last = (f"'{blob.name}'" for blob in block.joined)
    names = f"{', '.join(first)} and {last}" if first else last
    if block.kind == "product":
        return f"product '{layer.name}' of {names}, none of them bounded or normalised"
    after = describe_item(layer.tops[0].shape)
    if block.kind == "concat":
        return f"Concat '{layer.name}' of {names} is not normalised ({block.before} to {block.after} channels, {after})"
    before = describe_item(layer.bottoms[0].shape)
    known = "?" not in before + after
    sizes = f"{before} to {after}" if known else f"{block.times:.3g} times the elements"
    return f"upsampling '{layer.name}' of '{layer.bottoms[0].name}' is not normalised ({sizes})"


def _shown(layer: Layer) -> str:
    return f"{layer.type} '{layer.name}'" if layer.name else f"an unnamed {layer.type}"


def _reason(net: NetInPhase, block: WideningBlock) -> str:
    upgrade = " Upgrade the net to the current format to get a fix (P201)." if _is_old_format(net) else ""
    if block.kind == "product":
        why = "The gradient of each factor is the value of the other, so growth in one drives the other"
    else:
        assert block.times is not None
        times = f"{round(block.times):,}" if block.times >= 10 else two_digits(block.times)
        why = f"Gradients of the weights before it sum over {times} times as many values"
    return f"{why}, and {_shown(block.into)} reads the result as it is.{_computed(net, block)}{upgrade}"


def _computed(net: NetInPhase, block: WideningBlock) -> str:
    """What happens to the signal from the block to the layer that reads it, where it can be computed."""
    computed = stability_of_net(net)
    if computed is None:
        return ""
    flow = computed.flow(block.layer, block.into)
    if flow is None:
        return ""
    return (
        f" Predicted for iteration 0{computed.assumed}: from the input of '{block.layer.name}' to the output of"
        f" {_shown(block.into)}, {flow.text(known=computed.basis.is_known)}."
    )


def _is_old_format(net: NetInPhase) -> bool:
    """Whether the file is in the V0 or V1 format, which has no BatchNorm."""
    return not {"v0", "v1"}.isdisjoint(net.net.upgraded.steps)


def _has_batch_norm(net: NetInPhase) -> bool:
    """Whether the Caffe that the net is for has the usual BatchNorm."""
    return not _is_old_format(net) and not any(layer.type in _OTHER_NORMALISATION for layer in net.net.layers)


def _fix(net: NetInPhase, block: WideningBlock, names: set[str]) -> Fix | None:
    """Inserts BatchNorm and Scale in place after the block, and after its counterparts in other phases."""
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
    return patch.fix(net.file.path, f"insert BatchNorm and Scale after '{layer.name}'", safe=False)


def _normalisation(normalise: str, scale: str, top: str, rules: Fields) -> tuple[Fields, Fields]:
    """The three `param` keep Caffe before September 2016 from learning the statistics."""
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
