"""How BatchNorm layers are built into a net: the Scale behind them, the bias before them, the values they see."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import Patch, set_field
from ...fixes.layer_edits import Fields, add_message, free_name, insert_layers, names_in, remove_bias, state_rules
from ...moments.graph import Layer
from ...moments.shapes import count
from ...net.job import Job, NetInPhase
from ...net.names import named
from ...proto.binder import Message
from ...rule.finding import Hit, Related
from ...rule.registry import Option, rule
from ..problems import is_for_unknown_caffe

# Forks' fields by which a BatchNorm scales and shifts by itself. Intel's does so unless told not to.
_OWN_SCALE = frozenset(
    ("scale_bias", "scale_filler", "bias_filler", "weight_filler", "filler", "use_alpha_beta", "use_weight_bias")
)
_SCALING_DIALECTS = frozenset(("intel",))

@rule("N501", "batch-norm-without-scale", subject="net", severity="advice", fixes="unsafe")
def batch_norm_without_scale(subject: NetInPhase) -> Iterator[Hit]:
    """A BatchNorm is not followed by a Scale, so that what it makes has mean 0 and variance 1 for ever.

    ## What it does

    BatchNorm layers in nets with a loss whose values reach an activation, a pooling, a sum or a loss without a Scale
    or a layer with weights in between, or with a Scale that has no bias (`bias_term` is false unless written). Once in
    a net for each of the two, with the number of layers. Nothing is said where the fork's BatchNorm scales by itself
    (`scale_bias`, `scale_filler` and the like).

    ## Why is this bad?

    Batch normalisation as published has two parts: it brings each channel to mean 0 and variance 1, and then scales
    and shifts it by two numbers that are learnt. BVLC's BatchNorm is the first part alone. Without the second, every
    ReLU behind it cuts off one half of its values, whatever would be best.

    ## When it is reported

    The net is to be as published, or weights of such a net are loaded.

    ## Fix

    The fix puts a Scale with a bias behind each of them, or gives the Scale that is there its bias. It is unsafe:
    weights that were trained without are for another net.

    ## References

    batch_norm_layer.cpp, Forward_cpu, which has no scale; S. Ioffe, C. Szegedy: Batch Normalization, 2015, section 3.
    """
    net = subject.net
    if not net.losses or is_for_unknown_caffe(subject.file) or net.dialect in _SCALING_DIALECTS:
        return
    unshifted = [layer for layer in net.layers if _scales_only(layer)]
    if unshifted:
        message = f"{named(unshifted[0])}: it scales what '{unshifted[0].bottoms[0].name}' holds and does not shift it"
        reason = "Its bias_term is false, as it is unless written."
        if len(unshifted) > 1:
            reason += f" So it is for {len(unshifted)} Scale layers of this net."
        yield Hit(subject.file, unshifted[0].place(), message, reason, fix=_shift_fix(subject, unshifted))
    bare = [layer for layer in net.layers if _is_plain(layer) and any(map(_wants_scale, layer.tops[0].consumers))]
    if not bare:
        return
    total = sum(layer.traits.stores_statistics for layer in net.layers)
    readers = bare[0].tops[0].consumers
    message = f"{named(bare[0])}: no Scale follows, so nothing scales and shifts what it makes"
    reason = "Caffe's BatchNorm only normalises."
    if total > 1:
        reason += f" So it is for {len(bare)} of {total} of them in this net."
    related = (Related(subject.file, readers[0].place(), f"{named(readers[0])} reads '{bare[0].tops[0].name}'"),)
    fix = _scale_fix(subject, bare)
    yield Hit(subject.file, bare[0].place(), message, reason, related=related, fix=fix)


@rule("N502", "bias-before-batch-norm", subject="net", severity="advice", fixes="unsafe")
def bias_before_batch_norm(subject: NetInPhase) -> Iterator[Hit]:
    """A layer has a bias that the BatchNorm behind it takes away again.

    ## What it does

    Convolution, Deconvolution and InnerProduct layers with a bias whose top only a BatchNorm reads, in nets with a
    loss; once in a net, with the number of layers. BatchNorm layers that use stored statistics in training are left
    out: they take away what they have stored, not the bias.

    ## Why is this bad?

    BatchNorm subtracts the mean of each channel, and with it the bias, which gets a gradient of 0 and is learnt in
    vain. It costs memory and a little time, and nothing else.

    ## When it is reported

    Trained weights are to be loaded, or the deploy net is to stay as it is.

    ## Fix

    The fix writes `bias_term: false` in each of them, and takes out the `param` and the filler of the bias. It is
    unsafe: weights that were trained with the bias no longer fit.

    ## References

    batch_norm_layer.cpp, Forward_cpu: the mean is subtracted first.
    """
    net = subject.net
    if not net.losses or is_for_unknown_caffe(subject.file):
        return
    found = [layer for layer in net.layers if _has_idle_bias(layer)]
    if not found:
        return
    reader = found[0].tops[0].consumers[0]
    message = f"{named(found[0])}: its bias is taken away again by BatchNorm '{reader.name}'"
    reason = "It subtracts the mean of each channel; the bias is learnt in vain."
    if len(found) > 1:
        reason += f" So it is for {len(found)} layers of this net."
    related = (Related(subject.file, reader.place(), f"{named(reader)} subtracts the mean"),)
    yield Hit(subject.file, found[0].place(), message, reason, related=related, fix=_bias_fix(subject, found))


@rule(
    "N503",
    "batch-norm-too-few-values",
    subject="job",
    severity="advice",
    options={"images": Option(8, "Batches of fewer images are reported where the solver gathers several of them.")},
)
def batch_norm_too_few_values(job: Job, *, images: int) -> Iterator[Hit]:
    """A BatchNorm has too few values to take a mean of.

    ## What it does

    In the training net of a solver, a BatchNorm that normalises by the batch: as a warning, one that has a single
    value for each channel, a batch of 1 and no area; as an advice, batches of fewer than eight images if the solver
    gathers gradients of several of them (`iter_size`). Once in a net.

    ## Why is this bad?

    Mean and variance are taken of the images that are in memory together. `iter_size` adds up gradients and changes
    nothing about that: with batches of 2 and `iter_size: 16` they are statistics of 2 images, noisy, and of other
    images in the test. Of a single value the variance is 0, and what comes out is 0, whatever went in.

    ## When it is reported

    More images do not fit, and the layers before the BatchNorm are large enough to make up for it.

    ## Example

    No fix: how many images fit into memory, only you know.

    ## Options

    `images`: batches of fewer images are reported where `iter_size` is over 1.

    ## References

    batch_norm_layer.cpp, Forward_cpu; solver.cpp, Solver::Step: one Forward for each of `iter_size`.
    """
    subject = job.train
    if subject is None or is_for_unknown_caffe(subject.file):
        return
    gathered = job.solver.message.get("iter_size", 1)
    layers = [
        layer for layer in subject.net.layers if layer.traits.stores_statistics and _is_of_batch(layer) and layer.bottoms
    ]
    for layer in layers:
        if _values_of_a_channel(layer) == 1:
            message = f"{named(layer)}: it has one value for each channel ({layer.shown()}), and makes 0 of it"
            reason = "The variance of one value is 0: nothing comes through in training."
            yield Hit(subject.file, layer.place(), message, reason, "warning")
            return
    for layer in layers:
        shape = layer.bottoms[0].shape
        batch = shape[0] if shape else None
        if gathered > 1 and batch is not None and 0 < batch < images:
            message = f"{named(layer)}: its statistics are of {batch} image{'s'[: batch > 1]}, not of {gathered * batch}"
            reason = f"iter_size {gathered} gathers gradients; each pass normalises its own {batch}."
            related = (Related(job.solver.file, job.solver.message.span("iter_size"), "gathers gradients only"),)
            yield Hit(subject.file, layer.place(), message, reason, related=related)
            return


def _settings(layer: Layer) -> Message:
    found: Message = layer.message["batch_norm_param"]
    return found


def _is_plain(layer: Layer) -> bool:
    """Whether a layer is a BatchNorm as BVLC's, which has no scale of its own."""
    if not layer.traits.stores_statistics or not layer.bottoms or len(layer.tops) != 1:
        return False
    return _OWN_SCALE.isdisjoint(_settings(layer).entries) and len(layer.message["param"]) <= 3


def _is_of_batch(layer: Layer) -> bool:
    """Whether a BatchNorm normalises by the batch, rather than by stored statistics."""
    return not _settings(layer).get("use_global_stats", layer.phase == "TEST")


def _wants_scale(reader: Layer) -> bool:
    """Whether a reader is of a known kind that neither scales and shifts by itself nor only passes values on."""
    return (
        reader.kind is not None
        and not reader.kind.normalises
        and not reader.kind.is_affine
        and not reader.kind.linear
        and not reader.kind.discards
        and not reader.kind.opaque
    )


def _scales_only(layer: Layer) -> bool:
    """Whether a layer is the Scale behind a BatchNorm, without a bias, before what wants one."""
    if layer.traits.settings != "scale_param" or len(layer.bottoms) != 1 or layer.message["scale_param"]["bias_term"]:
        return False
    maker = layer.bottoms[0].producer
    return maker is not None and _is_plain(maker) and any(map(_wants_scale, layer.tops[0].consumers))


def _has_idle_bias(layer: Layer) -> bool:
    """Whether a layer's bias reaches nothing but a BatchNorm that subtracts it again."""
    name = layer.traits.settings if layer.traits.weighted_sum else None
    if name is None or len(layer.tops) != 1 or not layer.message[name]["bias_term"]:
        return False
    if [param.role for param in layer.params] != ["weight", "bias"] or not layer.params[1].lr_mult:
        return False
    readers = layer.tops[0].consumers
    return len(readers) == 1 and readers[0].traits.stores_statistics and _subtracts_mean(readers[0])


def _subtracts_mean(layer: Layer) -> bool:
    settings = _settings(layer)
    if layer.phase == "TRAIN" and not _is_of_batch(layer):
        return False
    return "disable_mean" not in settings.entries  # happynear's


def _values_of_a_channel(layer: Layer) -> int | None:
    shape = layer.bottoms[0].shape
    if shape is None or len(shape) < 2:
        return None
    return count((shape[0], *shape[2:]))


def _scale_fix(subject: NetInPhase, layers: list[Layer]) -> Fix | None:
    """A Scale in place behind each layer, and behind its like for other phases."""
    patch = Patch()
    names = names_in(subject.net.message)
    for layer in layers:
        top = layer.tops[0].name
        name = free_name(names, f"scale_{top}")
        names.add(name)
        for entry in (layer.entry, *layer.variants()):
            fields: Fields = (
                ("name", name),
                ("type", "Scale"),
                ("bottom", top),
                ("top", top),
                *state_rules(entry[0]),
                ("scale_param", (("bias_term", True),)),
            )
            added = insert_layers(subject.file.tree, subject.net.message, entry, [fields])
            if added is None:
                return None
            patch += added
    where = f"'{layers[0].name}'" if len(layers) == 1 else f"{len(layers)} layers"
    return patch.fix(subject.file.path, f"put a Scale behind {where}", safe=False)


def _shift_fix(subject: NetInPhase, layers: list[Layer]) -> Fix:
    tree, net = subject.file.tree, subject.net.message
    patch = Patch()
    for layer in layers:
        for message in (layer.message, *(entry[0] for entry in layer.variants())):
            if "scale_param" in message:
                patch += set_field(tree, message["scale_param"], "bias_term", True)
            else:
                patch += add_message(tree, net, message, "scale_param", (("bias_term", True),))
    where = f"'{layers[0].name}'" if len(layers) == 1 else f"{len(layers)} layers"
    return patch.fix(subject.file.path, f"write bias_term: true in {where}", safe=False)


def _bias_fix(subject: NetInPhase, layers: list[Layer]) -> Fix | None:
    patch = Patch()
    for layer in layers:
        for message in (layer.message, *(entry[0] for entry in layer.variants())):
            settings = layer.traits.settings
            without = remove_bias(subject.file.tree, message, settings) if settings in message else None
            if without is None:
                return None
            patch += without
    where = f"'{layers[0].name}'" if len(layers) == 1 else f"{len(layers)} layers"
    return patch.fix(subject.file.path, f"write bias_term: false in {where}", safe=False)
