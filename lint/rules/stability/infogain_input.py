"""InfogainLoss: which input it expects depends on the version of Caffe, and it needs its matrix."""

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
from ...net.score_maps import is_score_map
from ...proto.named_tuple import NamedTuple
from ...rule.finding import Hit, Related
from ...rule.registry import rule
from ...source.caffe_versions import is_before
from ...stability.computed import stability_of_net

PROBABILITIES, SCORES = "probabilities", "scores"

# Forks whose InfogainLoss is known, by the input it expects.
_OLD_FORM = frozenset({
    "ssd", "refinedet", "ssd-chuanqi305", "segnet", "enet", "pspnet", "caffe-face", "brocolli", "nvcaffe",
    "nvcaffe-0.15", "nvcaffe-0.16",
})  # fmt: skip
_NEW_FORM = frozenset({"intel", "mobilenet-yolo"})


class _Wanted(NamedTuple):
    """The input that InfogainLoss expects (empty: unknown), and how that is known."""

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
    - a score map where this Caffe takes one label per item: all versions that expect probabilities (error);
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
            yield from _maps(net, layer)
            yield from _input(net, layer)


def _matrix(net: NetInPhase, layer: Layer) -> Iterator[Hit]:
    """Whether H is there and can be a matrix. Caffe checks its presence and size when it builds the net."""
    labels = _labels_as_matrix(layer)
    if labels:
        message = f"third bottom of '{layer.name}' must be the matrix H, but '{layer.bottoms[2].name}' is {labels}"
        reason = "Caffe checks only the number of its elements, and reads them as class weights."
        yield Hit(net.file, layer.message.span("bottom", 2), message, reason, severity="error")
        return
    for problem in net.net.problems:
        if problem.kind == "infogain-matrix" and problem.layer is layer:
            span = problem.start, problem.end
            reason = (
                "Caffe stops when it builds the net. Name a file with K x K values for K classes in "
                "infogain_loss_param.source; with the identity matrix the loss equals SoftmaxWithLoss."
            )
            yield Hit(net.file, span, problem.message, reason, severity="error")


def _labels_as_matrix(layer: Layer) -> str:
    if len(layer.bottoms) < 3:
        return ""
    matrix = layer.bottoms[2]
    if matrix in layer.bottoms[:2]:
        return "also its first bottom" if matrix is layer.bottoms[0] else "also its label"
    producer = matrix.producer
    is_images = producer is not None and producer.traits.images
    return "the label of a data layer" if is_images and matrix.top_index == 1 else ""


def _maps(net: NetInPhase, layer: Layer) -> Iterator[Hit]:
    """Whether a Caffe with the old form reads a score map, for which it has no labels."""
    wanted = _wanted(net, layer)
    if wanted.form != PROBABILITIES or not is_score_map(net.net, layer.bottoms[0]):
        return
    message = f"'{layer.name}' takes one label per item ({wanted.because}), but '{layer.bottoms[0].name}' is a score map"
    reason = (
        "Before 1.0, Caffe stops unless the labels have channels, height and width of 1. Newer versions take a label for each "
        "position; so does SoftmaxWithLoss."
    )
    yield Hit(net.file, layer.message.span("bottom", 0), message, reason, "error")


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
        related = (Related(net.file, softmax.place(), f"Softmax '{softmax.name}' makes them"),)
        what = f"'{name}' holds probabilities"
        if wanted.form:
            message = f"{what}, but '{layer.name}' applies softmax itself ({wanted.because})"
            fix = _bypass(net, layer, softmax)
        else:
            message = f"{what}, but since Caffe 1.0 '{layer.name}' applies softmax itself"
        reason = "Softmax applied twice gives a nearly uniform distribution, so the loss hardly falls."
        reason += _through_softmax(net, softmax)
        severity = "warning"
    else:
        what = f"'{name}' holds raw scores"
        if wanted.form:
            message = f"{what}, but '{layer.name}' expects probabilities ({wanted.because})"
            fix = _softmax_before(net, layer)
        else:
            message = f"{what}, but up to Caffe 1.0-rc5 '{layer.name}' expects probabilities"
        reason = "It takes their logarithm and divides by them in the gradient: NaN in the next iteration."
        reason += _below_zero(net, layer)
        severity = "error" if wanted.form else "advice"
    if not wanted.form:
        reason += " Scores are right since Caffe 1.0; pass --caffe-version to decide."
    yield Hit(net.file, layer.message.span("bottom", 0), message, reason, severity, related, fix)


def _through_softmax(net: NetInPhase, softmax: Layer) -> str:
    """What a Softmax before the loss does to the signal of iteration 0, where it can be computed."""
    computed = stability_of_net(net)
    if computed is None:
        return ""
    flow = computed.flow(softmax, softmax)
    if flow is None:
        return ""
    text = flow.text(known=computed.basis.is_known)
    return f" Predicted for iteration 0{computed.assumed}: through the Softmax, {text}."


def _below_zero(net: NetInPhase, layer: Layer) -> str:
    """How many of the scores that a loss reads in iteration 0 have no logarithm, where it can be computed."""
    computed = stability_of_net(net)
    share = computed.negative_share(layer) if computed is not None else None
    if computed is None or not share:
        return ""
    at_least = "" if computed.basis.is_known else "at least "
    return f" Predicted for iteration 0{computed.assumed}: {at_least}{share:.0%} of them are negative and clamped to 1e-20."


def _wanted(net: NetInPhase, layer: Layer) -> _Wanted:
    version, dialect = net.caffe_version, net.net.dialect
    if version is not None:
        return _Wanted(PROBABILITIES if is_before(version, "1.0") else SCORES, f"Caffe {version}")
    # An older Caffe stops at an axis and at a second top, but accepts a loss_param without reading it.
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


def _given(blob: Blob) -> tuple[str, Layer | None]:
    """What a blob holds: probabilities of a softmax, raw scores, or unknown values (empty)."""
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
    """Inserts a Softmax between the scores and the loss, in every phase that has the loss."""
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
    return patch.fix(net.file.path, f"insert a Softmax before '{layer.name}'", safe=False)


def _bypass(net: NetInPhase, layer: Layer, softmax: Layer) -> Fix | None:
    """Makes the loss read the input of the Softmax, and removes the Softmax if nothing else uses it."""
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
    return patch.fix(net.file.path, f"connect '{layer.name}' to '{scores.name}' instead of the Softmax", safe=False)


def _other_readers(net: NetInPhase, name: str, softmax: Layer, layer: Layer) -> bool:
    """Whether something besides the loss uses the Softmax: another layer, or a phase without the loss."""
    for message, node, _ in net.net.message.entries["layer"]:
        if name in message["bottom"] and node is not softmax.entry[1] and node is not layer.entry[1]:
            return True
    return state_rules(layer.message) != state_rules(softmax.message)
