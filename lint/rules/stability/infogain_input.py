"""InfogainLoss: what it wants to be fed depends on the Caffe, and it needs its matrix."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.layer_edits import (
    EnumName,
    free_name,
    insert_layers,
    names_in,
    remove_layer,
    set_value,
    state_rules,
    written_net,
)
from ...moments.graph import Blob, Layer
from ...moments.layer_type import SOFTMAX
from ...net.job import NetInPhase
from ...proto.named_tuple import NamedTuple
from ...rule.finding import Hit, Related
from ...rule.registry import rule
from ...stability.computed import stability_of_net

PROBABILITIES, SCORES = "probabilities", "scores"

# Forks whose InfogainLoss is known, by what it takes.
_OLD_FORM = frozenset({
    "ssd", "refinedet", "ssd-chuanqi305", "segnet", "enet", "pspnet", "caffe-face", "brocolli", "nvcaffe",
    "nvcaffe-0.15", "nvcaffe-0.16",
})  # fmt: skip
_NEW_FORM = frozenset({"intel", "mobilenet-yolo"})


class _Wanted(NamedTuple):
    """What InfogainLoss takes (empty: not decided), and how that is known."""

    form: str
    because: str


@rule("G105", "infogain-input", subject="net", severity="warning", fixes="unsafe")
def infogain_input(net: NetInPhase) -> Iterator[Hit]:
    """Flags InfogainLoss with the wrong kind of input or without its matrix.

    ## What it does

    Flags InfogainLoss layers that read

    - raw scores where this Caffe expects probabilities (error);
    - the output of a Softmax where it applies softmax itself (warning);
    - either of them where it is unknown which Caffe reads the net: advice for scores, and a warning for probabilities, which
      Caffe 1.0 gets wrong;
    - no matrix H (two bottoms and no `infogain_loss_param.source`), labels in its place as the third bottom, or a matrix that
      does not have K x K elements for K classes (error).

    ## Why is this bad?

    Up to 1.0-rc5 the layer takes the logarithm of its input, clamped at 1e-20, and divides by it in the gradient: a score of 0
    or less produces gradients of up to 1e20, and the next iteration is NaN. Since 1.0 it applies softmax itself. Softmax
    applied twice gives a nearly uniform distribution: gradients are small and the loss cannot fall far (2.30 to 1.83 in 150
    iterations, where scores reach 0.05), without any message.

    Without a matrix Caffe stops with `Infogain matrix source must be specified`; it also stops if its size is wrong. Labels as
    the third bottom are taken for a matrix if their number happens to fit.

    ## When it is reported

    `--caffe-version` decides which input is right: probabilities up to 1.0-rc5, scores from 1.0 on. Without it, the fork that
    the file is written for decides: SSD, SegNet, ENet, PSPNet, NVIDIA's and others expect probabilities, Intel's and
    MobileNet-YOLO scores. Otherwise the text does: `infogain_loss_param.axis`, a `loss_param` in the layer and a second top
    came with the new form. Where a solver trains the net and the signal can be computed, the finding shows activations and
    gradients of iteration 0 through the Softmax, or how many scores are negative. Ignore it if your Caffe has an InfogainLoss
    of its own.

    ## Fix

    Connects the loss to the input of the Softmax and removes the Softmax if nothing else reads it; for the old form, inserts a
    Softmax before the loss. Both are unsafe because they depend on the version of Caffe, and none is offered where that is
    unknown: pass `--caffe-version`.

    ## References

    `InfogainLossLayer::LayerSetUp`, `Reshape` and `Forward_cpu` in infogain_loss_layer.cpp at the tags rc5 and 1.0. The change
    is of 21 March 2016, was merged on 14 April 2017 (pull request 3855) and is in 1.0 but not in 1.0-rc5. The effects were
    observed with the real Caffe.
    """
    for layer in net.net.layers:
        if layer.traits.takes_matrix and len(layer.bottoms) >= 2:
            yield from _matrix(net, layer)
            yield from _input(net, layer)


def _matrix(net: NetInPhase, layer: Layer) -> Iterator[Hit]:
    """Whether H is there and can be one. Its absence and size are what Caffe checks when it builds a net."""
    labels = _labels_as_matrix(layer)
    if labels:
        message = f"the third bottom of '{layer.name}' must be the matrix H, '{layer.bottoms[2].name}' is {labels}"
        reason = "Caffe checks only the number of its elements, and reads them as weights of the classes."
        yield Hit(net.file, layer.message.span("bottom", 2), message, reason, severity="error")
        return
    for problem in net.net.problems:
        if problem.kind == "infogain-matrix" and problem.layer is layer:
            span = problem.start, problem.end
            reason = (
                "Caffe stops when it builds the net. Name a file with K x K numbers for K classes as "
                "infogain_loss_param.source; with 1 on the diagonal and 0 elsewhere it is SoftmaxWithLoss."
            )
            yield Hit(net.file, span, problem.message, reason, severity="error")


def _labels_as_matrix(layer: Layer) -> str:
    if len(layer.bottoms) < 3:
        return ""
    matrix = layer.bottoms[2]
    if matrix in layer.bottoms[:2]:
        return "its first bottom too" if matrix is layer.bottoms[0] else "its label"
    producer = matrix.producer
    is_images = producer is not None and producer.traits.images
    return "the label of a data layer" if is_images and matrix.top_index == 1 else ""


def _input(net: NetInPhase, layer: Layer) -> Iterator[Hit]:
    given, softmax = _given(layer.bottoms[0])
    if not given:
        return
    wanted = _wanted(net, layer)
    if given == wanted.form:
        return
    name = layer.bottoms[0].name
    related: tuple[Related, ...] = ()
    fix: Fix | None = None
    if given == PROBABILITIES:
        assert softmax is not None
        related = (Related(net.file, softmax.place(), "the softmax before it"),)
        what = f"'{name}' comes from Softmax '{softmax.name}'"
        if wanted.form:
            message = f"{what}, and InfogainLoss '{layer.name}' applies softmax itself ({wanted.because})"
            fix = _bypass(net, layer, softmax)
        else:
            message = f"{what}: since Caffe 1.0, InfogainLoss '{layer.name}' applies softmax itself"
        reason = "A softmax of probabilities is nearly even: the loss hardly falls, and Caffe says nothing."
        reason += _through_softmax(net, softmax)
        severity = "warning"
    else:
        what = f"'{name}' are raw scores"
        if wanted.form:
            message = f"{what}, and InfogainLoss '{layer.name}' takes probabilities ({wanted.because})"
            fix = _softmax_before(net, layer)
        else:
            older = f"up to 1.0-rc5 InfogainLoss '{layer.name}' takes probabilities"
            message = f"{what}: right since Caffe 1.0, but {older}"
        reason = "It takes their logarithm, and divides by them in the gradient: NaN in the next iteration."
        reason += _below_zero(net, layer)
        severity = "error" if wanted.form else "advice"
    if not wanted.form:
        reason += " Which Caffe it is, --caffe-version says."
    yield Hit(net.file, layer.message.span("bottom", 0), message, reason, severity, related, fix)


def _through_softmax(net: NetInPhase, softmax: Layer) -> str:
    """What a Softmax before the loss does to the signal of iteration 0, where a training of the net tells it."""
    computed = stability_of_net(net)
    if computed is None:
        return ""
    flow = computed.flow(softmax, softmax)
    if not flow.is_known:
        return ""
    return (
        f" Computed for iteration 0{computed.assumed}: '{softmax.bottoms[0].name}' has values of {flow.before:.3g} in the"
        f" mean, of which the Softmax makes {flow.after:.3g}, and gradients go from {flow.gradient_after:.3g} to"
        f" {flow.gradient_before:.3g} on the way back through it ({flow.gradient_before / flow.gradient_after:.3g} times)."
    )


def _below_zero(net: NetInPhase, layer: Layer) -> str:
    """How many of the scores that a loss reads in iteration 0 have no logarithm, where a training tells it."""
    computed = stability_of_net(net)
    part = computed.part_below_zero(layer) if computed is not None else None
    if computed is None or not part:
        return ""
    return f" Computed for iteration 0{computed.assumed}: {part:.0%} of them are below 0, and count as 1e-20."


def _wanted(net: NetInPhase, layer: Layer) -> _Wanted:
    version, dialect = net.caffe_version, net.net.dialect
    if version is not None:
        return _Wanted(SCORES if _is_new(version) else PROBABILITIES, f"Caffe {version}")
    # An older Caffe stops at an axis and at a second top, but takes any loss_param without reading it.
    if "axis" in layer.message["infogain_loss_param"]:
        return _Wanted(SCORES, "it has an axis, as since 1.0")
    if len(layer.message["top"]) > 1:
        return _Wanted(SCORES, "it has two tops, as since 1.0")
    if dialect in _OLD_FORM:
        return _Wanted(PROBABILITIES, f"as in {dialect}")
    if dialect in _NEW_FORM:
        return _Wanted(SCORES, f"as in {dialect}")
    if "loss_param" in layer.message:
        return _Wanted(SCORES, "it has a loss_param, as since 1.0")
    return _Wanted("", "")


def _is_new(version: str) -> bool:
    """Whether a version of Caffe has the new form: 1.0 and later, no release candidate of 1.0."""
    number, _, candidate = version.partition("rc")
    parts = [int(part) for part in number.strip("-.").split(".") if part]
    return bool(parts) and parts >= [1] and not (candidate and parts[:2] in ([1], [1, 0]))


def _given(blob: Blob) -> tuple[str, Layer | None]:
    """What a blob holds: probabilities of a softmax, raw scores, or nothing that the files tell."""
    producer = blob.producer
    passing = True
    while producer is not None and producer.bottoms:
        traits = producer.traits
        if traits.activation == SOFTMAX:
            return (PROBABILITIES, producer) if passing else ("", None)
        if traits.weighted_sum:
            return SCORES, None
        # A probability that is moved, repeated or interpolated stays one; others pass on scores in any size.
        passing = passing and traits.linear and traits.keeps_range and not traits.joins
        if not (traits.keeps_scale or traits.keeps_order or traits.upsampling or traits.combines):
            return "", None
        producer = producer.bottoms[0].producer
    return "", None


def _softmax_before(net: NetInPhase, layer: Layer) -> Fix | None:
    """Puts a Softmax between the scores and the loss, wherever the loss is."""
    whole = net.net.message
    entries = whole.entries["layer"]
    position = next(index for index, entry in enumerate(entries) if entry[1] is layer.entry[1])
    if position == 0 or "v0" in net.net.upgraded.steps:
        return None
    old_form = "v1" in net.net.upgraded.steps
    scores = layer.bottoms[0].name
    top = free_name(names_in(whole), f"{scores}_prob")
    softmax = (
        ("name", top),
        ("type", EnumName("SOFTMAX") if old_form else "Softmax"),
        ("bottom", scores),
        ("top", top),
        *state_rules(layer.message),
    )
    added = insert_layers(net.file.tree, whole, entries[position - 1], (softmax,))
    if added is None:
        return None
    patch = added + set_value(layer.message, "bottom", 0, top)
    return patch.fix(net.file.path, f"put a Softmax before '{layer.name}'", safe=False)


def _bypass(net: NetInPhase, layer: Layer, softmax: Layer) -> Fix | None:
    """Makes the loss read what the Softmax reads; takes the Softmax out if nothing else uses it."""
    if "v0" in net.net.upgraded.steps or layer.bottoms[0].producer is not softmax:
        return None
    written = written_net(net.file.message, net.net.message.block)
    scores, name = softmax.bottoms[0], softmax.tops[0].name
    if written is None:
        return None
    others = _other_readers(net, name, softmax, layer)
    if softmax.in_place:
        patch = None if others else remove_layer(net.file.tree, written, softmax.entry)
    else:
        between = net.net.layers[softmax.index + 1 : layer.index]
        if any(top.name == scores.name for each in between for top in each.tops):
            return None
        rewired = set_value(layer.message, "bottom", 0, scores.name)
        patch = rewired if others else remove_layer(net.file.tree, written, softmax.entry, rewired)
    if patch is None:
        return None
    return patch.fix(net.file.path, f"let '{layer.name}' read '{scores.name}', without the Softmax", safe=False)


def _other_readers(net: NetInPhase, name: str, softmax: Layer, layer: Layer) -> bool:
    """Whether something besides the loss uses the softmax: another layer, or a phase without the loss."""
    for message, node, _ in net.net.message.entries["layer"]:
        if name in message["bottom"] and node is not softmax.entry[1] and node is not layer.entry[1]:
            return True
    return state_rules(layer.message) != state_rules(softmax.message)
