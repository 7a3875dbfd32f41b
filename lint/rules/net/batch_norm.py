"""How BatchNorm layers are used in a net: the Scale after them, the bias before them, the values in their batches."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.fields import Patch, set_field
from ...fixes.layer_edits import Fields, add_message, free_name, insert_layers, remove_bias, state_rules
from ...layers.normalisation import uses_stored_statistics
from ...moments.graph import Layer
from ...moments.shapes import count
from ...net.job import Job, NetInPhase
from ...net.names import also_in, named
from ...proto.binder import Message
from ...rule.finding import Hit, Related
from ...rule.registry import Option, rule
from ...source.wording import counted
from ..in_all_nets import PatchOf, in_all_nets, shared_names, so_in

# Fields of forks whose BatchNorm has its own scale and shift. Intel's has them unless they are switched off.
_OWN_SCALE = frozenset(
    ("scale_bias", "scale_filler", "bias_filler", "weight_filler", "filler", "use_alpha_beta", "use_weight_bias")
)
_SCALING_DIALECTS = frozenset(("intel",))


@rule("N501", "batch-norm-without-scale", subject="net", severity="advice", fixes="unsafe", in_all_nets=True)
def batch_norm_without_scale(subject: NetInPhase) -> Iterator[Hit]:
    """Flags BatchNorm layers that are not followed by a Scale layer with a bias.

    ## What it does

    Flags BatchNorm layers whose output reaches an activation, a pooling, a sum or a loss with no Scale and no layer
    with weights in between. Also flags Scale layers after a BatchNorm that have no bias (`bias_term` is false by
    default). Each of the two is reported once per net, at the first layer.

    ## Why is this bad?

    Batch normalisation as published has two parts: it normalises each channel to mean 0 and variance 1, and then
    applies a learned scale and shift. BVLC's BatchNorm is only the first part. Without the second, every ReLU after
    it cuts off half of the values, whatever would be best.

    ## When it is reported

    Reported as **advice** in nets with a loss. Nothing is reported if the BatchNorm of the fork has a scale of its
    own (`scale_bias`, `scale_filler` and the like), or if the file has fields or values that no known Caffe has.

    Ignore it if the net has to stay as published, or if weights of such a net are loaded.

    ## Fix

    Inserts a Scale layer with a bias after each of these BatchNorm layers, or sets `bias_term` in the existing ones. Does so
    in all nets of the solver that have the layers: the training net, the test nets, and the deploy net if it is known (N407).
    No fix is offered where one of them would need another change, or is not to be changed. The fix is unsafe, because
    weights that were trained without it belong to another net.

    ## References

    `BatchNormLayer::Forward_cpu` in batch_norm_layer.cpp, which has no scale; Ioffe, Szegedy: Batch Normalization,
    2015, section 3.
    """
    net = subject.net
    if not net.losses or subject.file.is_for_unknown_caffe or net.dialect in _SCALING_DIALECTS:
        return
    unshifted = [layer for layer in net.layers if _scales_only(layer)]
    if unshifted:
        parts = in_all_nets(subject, unshifted, f"set bias_term: true in {_where(unshifted)}", _with_shift)
        reason = f"Its bias_term is false, which is the default.{also_in(unshifted, subject.file.tree)}{parts.obstacle}"
        yield Hit(subject.file, unshifted[0].place(), _unshifted(unshifted[0]), reason, fix=parts.own)
        for part in parts.others:
            yield Hit(part.net.file, part.layer.place(), _unshifted(part.layer), so_in(subject), fix=part.fix)
    bare = [layer for layer in net.layers if _is_bare(layer)]
    if not bare:
        return
    total = sum(layer.traits.stores_statistics for layer in net.layers)
    readers = [reader for layer in bare for reader in layer.tops[0].consumers if _wants_scale(reader)]
    reason = "Caffe's BatchNorm only normalises; the learned scale and shift are missing."
    if total > 1:
        verb = "is" if len(bare) == 1 else "are"
        types = " or ".join(sorted({reader.type for reader in readers}))
        reason += f" {len(bare)} of {total} BatchNorm layers {verb} read by {types} layers without a Scale in between."
    related = (Related(subject.file, readers[0].place(), f"{named(readers[0])} reads '{bare[0].tops[0].name}'"),)
    parts = in_all_nets(subject, bare, f"insert a Scale layer after {_where(bare)}", _with_scales(subject, bare))
    yield Hit(subject.file, bare[0].place(), _unscaled(bare[0]), reason + parts.obstacle, related=related, fix=parts.own)
    for part in parts.others:
        yield Hit(part.net.file, part.layer.place(), _unscaled(part.layer), so_in(subject), fix=part.fix)


@rule("N502", "bias-before-batch-norm", subject="net", severity="advice", fixes="unsafe", in_all_nets=True)
def bias_before_batch_norm(subject: NetInPhase) -> Iterator[Hit]:
    """Flags layers whose bias is removed again by the BatchNorm after them.

    ## What it does

    Flags Convolution, Deconvolution and InnerProduct layers that have a learned bias and whose top only a BatchNorm
    reads. Reported once per net, at the first such layer.

    ## Why is this bad?

    BatchNorm subtracts the mean of each channel, and the bias with it. The gradient of the bias is 0 and the bias has
    no effect. It costs memory and a little time, and nothing else.

    ## When it is reported

    Reported as **advice** in nets with a loss. Nothing is reported if the BatchNorm uses stored statistics in
    training, because it then subtracts the stored mean and not the bias, or if the file has fields or values that no
    known Caffe has. Ignore it if trained weights are to be loaded.

    ## Fix

    Sets `bias_term: false` in each of these layers, and removes the `param` and the filler of the bias. Does so in all nets
    of the solver that have the layers: the training net, the test nets, and the deploy net if it is known (N407). No fix is
    offered if a layer of that name in one of them has its bias elsewhere than before a BatchNorm, or if one of the files is
    not to be changed. The fix is unsafe, because weights that were trained with the bias no longer match.

    ## References

    `BatchNormLayer::Forward_cpu` in batch_norm_layer.cpp: the mean is subtracted first.
    """
    net = subject.net
    if not net.losses or subject.file.is_for_unknown_caffe:
        return
    found = [layer for layer in net.layers if _has_useless_bias(layer)]
    if not found:
        return
    reader = found[0].tops[0].consumers[0]
    parts = in_all_nets(subject, found, f"set bias_term: false in {_where(found)}", _without_bias)
    reason = f"It subtracts the mean of each channel, so the bias has no effect.{also_in(found, subject.file.tree)}{parts.obstacle}"
    related = (Related(subject.file, reader.place(), f"{named(reader)} subtracts the mean"),)
    yield Hit(subject.file, found[0].place(), _unbiased(found[0]), reason, related=related, fix=parts.own)
    for part in parts.others:
        yield Hit(part.net.file, part.layer.place(), _unbiased(part.layer), so_in(subject), fix=part.fix)


@rule(
    "N503",
    "batch-norm-too-few-values",
    subject="job",
    severity="advice",
    options={"images": Option(8, "batches of fewer images are reported if iter_size is above 1", least=0)},
)
def batch_norm_too_few_values(job: Job, *, images: int) -> Iterator[Hit]:
    """Flags BatchNorm layers that compute their statistics from too few values.

    ## What it does

    In the training net of a solver, flags BatchNorm layers that use batch statistics and have only a single value per
    channel (a batch of 1 and spatial size 1 x 1), or batches of fewer than 8 images while `iter_size` is above 1.
    Reported once per net.

    ## Why is this bad?

    Mean and variance are computed from the images that are in memory together. `iter_size` accumulates gradients and
    does not change that: with batches of 2 and `iter_size: 16` they are statistics of 2 images, noisy, and different
    from those in the test. The variance of a single value is 0, and the layer then outputs zeros, whatever it reads.

    ## When it is reported

    - **warning** for a single value per channel;
    - **advice** for small batches with `iter_size`.

    Nothing is reported if the net has fields or values that no known Caffe has. Ignore the advice if no more images
    fit into memory, and the layers before the BatchNorm are large enough to make up for it.

    ## Example

    No fix is offered, because only you know how many images fit into memory.

    ## Options

    `images`: batches of fewer images are reported if `iter_size` is above 1.

    ## References

    `BatchNormLayer::Forward_cpu` in batch_norm_layer.cpp; `Solver::Step` in solver.cpp, with one forward pass for
    each of `iter_size`.
    """
    subject = job.train
    if subject is None or subject.file.is_for_unknown_caffe:
        return
    passes = job.solver.message.get("iter_size", 1)
    layers = [
        layer for layer in subject.net.layers if layer.traits.stores_statistics and not uses_stored_statistics(layer) and layer.bottoms
    ]
    for layer in layers:
        if _values_of_a_channel(layer) == 1:
            message = f"{named(layer)} reads one value per channel of {layer.shown()} and outputs zeros"
            reason = "The variance of a single value is 0: in training, no information passes through the layer."
            yield Hit(subject.file, layer.place(), message, reason, "warning")
            return
    for layer in layers:
        shape = layer.bottoms[0].shape
        batch = shape[0] if shape else None
        if passes > 1 and batch is not None and 0 < batch < images:
            images_of_pass = counted(batch, "image")
            message = f"{named(layer)} computes its statistics from {images_of_pass}, not {passes * batch}"
            reason = f"iter_size {passes} accumulates gradients, but each pass normalises its own {images_of_pass}."
            related = (Related(job.solver.file, job.solver.message.span("iter_size"), "only accumulates gradients"),)
            yield Hit(subject.file, layer.place(), message, reason, related=related)
            return


def _settings(layer: Layer) -> Message:
    found: Message = layer.message["batch_norm_param"]
    return found


def _is_plain(layer: Layer) -> bool:
    """Return whether a layer is a BatchNorm like BVLC's, which has no scale of its own."""
    if not layer.traits.stores_statistics or not layer.bottoms or len(layer.tops) != 1:
        return False
    return _OWN_SCALE.isdisjoint(_settings(layer).entries) and len(layer.message["param"]) <= 3


def _is_bare(layer: Layer) -> bool:
    """Return whether a layer is a BatchNorm without a scale, and a reader of it wants one."""
    return _is_plain(layer) and any(map(_wants_scale, layer.tops[0].consumers))


def _wants_scale(reader: Layer) -> bool:
    """Return whether a reader has a known type that neither has its own scale and shift nor only passes values on."""
    return (
        reader.kind is not None
        and not reader.kind.normalises
        and not reader.kind.is_affine
        and not reader.kind.linear
        and not reader.kind.discards
        and not reader.kind.opaque
    )


def _scales_only(layer: Layer) -> bool:
    """Return whether a layer is the Scale of a BatchNorm without a bias, where a bias is needed."""
    if layer.traits.settings != "scale_param" or len(layer.bottoms) != 1 or layer.message["scale_param"]["bias_term"]:
        return False
    producer = layer.bottoms[0].producer
    return producer is not None and _is_plain(producer) and any(map(_wants_scale, layer.tops[0].consumers))


def _has_useless_bias(layer: Layer) -> bool:
    """Return whether a layer has a learned bias that only reaches a BatchNorm, which subtracts it again."""
    return _has_bias(layer) and bool(layer.params[1].lr_mult) and _is_unbiased(layer)


def _has_bias(layer: Layer) -> bool:
    name = layer.traits.settings if layer.traits.weighted_sum else None
    if name is None or len(layer.tops) != 1 or not layer.message[name]["bias_term"]:
        return False
    return [param.role for param in layer.params] == ["weight", "bias"]


def _is_unbiased(layer: Layer) -> bool:
    """Return whether the only top of a layer only reaches a BatchNorm that subtracts its mean."""
    readers = layer.tops[0].consumers
    return len(readers) == 1 and readers[0].traits.stores_statistics and _subtracts_mean(readers[0])


def _subtracts_mean(layer: Layer) -> bool:
    settings = _settings(layer)
    if layer.phase == "TRAIN" and uses_stored_statistics(layer):
        return False
    return "disable_mean" not in settings.entries  # happynear's


def _values_of_a_channel(layer: Layer) -> int | None:
    shape = layer.bottoms[0].shape
    if shape is None or len(shape) < 2:
        return None
    return count((shape[0], *shape[2:]))


def _where(layers: list[Layer]) -> str:
    return f"'{layers[0].name}'" if len(layers) == 1 else f"{len(layers)} layers"


def _unscaled(layer: Layer) -> str:
    return f"{named(layer)} is not followed by a Scale layer"


def _unshifted(layer: Layer) -> str:
    return f"{named(layer)} scales '{layer.bottoms[0].name}' but does not shift it"


def _unbiased(layer: Layer) -> str:
    return f"BatchNorm layer '{layer.tops[0].consumers[0].name}' removes the bias of {named(layer)}"


def _with_scales(subject: NetInPhase, layers: list[Layer]) -> PatchOf:
    """Return what inserts an in-place Scale of one name after the layers of one name, and after their variants for other phases."""
    names = shared_names(subject)
    scales: dict[int, str] = {}
    for layer in layers:
        scales[layer.index] = free_name(names, f"scale_{layer.tops[0].name}")
        names.add(scales[layer.index])

    def patch_of(net: NetInPhase, here: Layer, layer: Layer) -> Patch | None:
        if not _is_bare(here):
            return None
        top = here.tops[0].name
        patch = Patch()
        for entry in (here.entry, *here.variants()):
            fields: Fields = (
                ("name", scales[layer.index]),
                ("type", "Scale"),
                ("bottom", top),
                ("top", top),
                *state_rules(entry[0]),
                ("scale_param", (("bias_term", True),)),
            )
            added = insert_layers(net.file.tree, net.net.message, entry, [fields])
            if added is None:
                return None
            patch += added
        return patch

    return patch_of


def _with_shift(net: NetInPhase, here: Layer, layer: Layer) -> Patch | None:
    """Give a Scale a bias, unless it has one."""
    if here.type != layer.type:
        return None
    patch = Patch()
    for message in (here.message, *(entry[0] for entry in here.variants())):
        if message["scale_param"]["bias_term"]:
            continue
        if "scale_param" in message:
            patch += set_field(net.file.tree, message["scale_param"], "bias_term", True)
        else:
            patch += add_message(net.file.tree, net.net.message, message, "scale_param", (("bias_term", True),))
    return patch


def _without_bias(net: NetInPhase, here: Layer, layer: Layer) -> Patch | None:
    """Take the bias from a layer before a BatchNorm, if it has one."""
    if here.type != layer.type:
        return None
    if not _has_bias(here):
        return Patch()
    if not _is_unbiased(here):
        return None
    patch = Patch()
    for message in (here.message, *(entry[0] for entry in here.variants())):
        settings = here.traits.settings
        without = remove_bias(net.file.tree, message, settings) if settings in message else None
        if without is None:
            return None
        patch += without
    return patch
