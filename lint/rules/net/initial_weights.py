"""Initial weights: those that are zero, and upsampling that is meant to interpolate but does not."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import Patch, set_field
from ...fixes.layer_edits import set_weight_filler
from ...layers.fillers import suiting_filler
from ...layers.sliding_windows import window_of
from ...moments.graph import Layer, Param
from ...net.equal_units import equal_units, groups_of, outputs_of_group
from ...net.job import NetInPhase
from ...net.names import also_in, named
from ...net.zero_weights import (
    blocking_weights,
    constant_of,
    frozen_zero_weights,
    has_weights_after,
    initial_bias,
    outputs_bias,
    starts_at_zero,
    starts_from_scratch,
    upsamples,
    weights_of,
)
from ...proto.binder import Message
from ...rule.finding import Hit
from ...rule.registry import rule


@rule("N205", "zero-weights", subject="net", severity="advice", fixes="unsafe")
def zero_weights(subject: NetInPhase) -> Iterator[Hit]:
    """Flags layers whose initial weights are zero, so that nothing passes through them.

    ## What it does

    Flags, in nets for training, layers without `weight_filler`, or with one that is constant 0, between the data and
    another layer with weights. Not flagged are a last layer that starts at zero, which can learn, layers whose `lr_mult`
    is 0, and upsampling, which N504 checks. Nor are layers with a `bias_filler` other than 0, as at the end of the
    localisation net of a spatial transformer: they output their bias, their weights learn from iteration 0 on, and the
    layers before them from iteration 1 on. They are flagged if a ReLU cuts the bias, or a BatchNorm subtracts it.

    ## Why is this bad?

    Without a filler, weights are 0. The layer then outputs zeros whatever it reads, and the gradient that it passes on is
    0; if a ReLU follows, so is the gradient of its own weights. The loss stays at chance level (2.3026 for ten classes).

    ## When it is reported

    - **warning** if the net looks as if it is trained from scratch: only one of four or more layers with weights has no
      filler, or fewer than half have none and one that has a filler comes before them; or if a script of the repository
      or the option `--from-scratch` says so;
    - **advice** otherwise. Most public nets with such layers are meant to start from trained weights. Also advice if the
      only loss can be a last layer of a type that no known Caffe has, in a net that a solver trains.

    It is reported once per net, at the first such layer. Nothing is reported if weights are loaded, as the solver
    (`weights`), a script of the repository (`caffe train --weights`, `copy_from`) or the option `--weights` says.

    ## Fix

    Inserts a `weight_filler` in all such layers of the net: msra if a ReLU follows, otherwise xavier. The fix is unsafe,
    because trained weights may be loaded.

    ## References

    `ConstantFiller` in filler.hpp; `FillerParameter` in caffe.proto (type "constant", value 0). xavier: Glorot and Bengio,
    2010. msra: He and others, 2015.
    """
    loss = _possible_loss(subject)
    if (not _learns(subject) and loss is None) or subject.weights_loaded:
        return
    zero = _before(loss, blocking_weights(subject.net, idle=loss is not None))
    if not zero:
        return
    weights = weights_of(subject.net, idle=loss is not None)
    layer = zero[0].layer
    bias = initial_bias(layer)
    message = f"{named(layer)} has zero initial weights and outputs {'zeros' if bias == 0 else 'only its bias'}"
    from_fillers = subject.weights_from_fillers
    reason = "No trained weights are loaded." if from_fillers else "This is correct only if trained weights are loaded."
    if bias != 0:
        reason = f"The layers after it turn the bias into zeros. {reason}"
    if len(weights) > 1:
        own = len(weights) < sum(param.role == "weight" for param in subject.net.params())
        others = " that learn, shared ones counted once" if own else ""
        reason += f" It concerns {len(zero)} of {len(weights)} layers with weights{others}."
    is_meant = starts_from_scratch(subject.net, zero) or from_fillers
    severity = "warning" if is_meant and loss is None else "advice"
    yield Hit(subject.file, _filler_place(zero[0]), message, reason + _may_be_loss(loss), severity, fix=_fix(subject, zero))


@rule("N218", "constant-weights", subject="net", severity="warning", fixes="unsafe")
def constant_weights(subject: NetInPhase) -> Iterator[Hit]:
    """Flags layers whose outputs all start equal and stay equal.

    ## What it does

    Flags, in nets for training, Convolution, Deconvolution and InnerProduct layers with several outputs, whose weights and
    biases have constant fillers, if all that reads their outputs treats them alike: activations, pooling and normalisation,
    up to layers whose weights are constant, too. Not flagged are upsampling, layers whose `lr_mult` is 0, and layers that N205
    flags.

    ## Why is this bad?

    All outputs of such a layer are equal, and so are their gradients: each learns what the others learn, and the layer has the
    effect of one with a single output. Random weights in the next layer are enough to tell the outputs apart, and so is a
    Dropout.

    ## When it is reported

    - **warning** if a constant other than 0 is written, or if the net looks as if it is trained from scratch (see N205);
    - **advice** otherwise, if frozen weights without a filler show that trained weights are to be loaded, or if the only loss
      can be a layer of unknown type, as for N205.

    It is reported once per net, at the first such layer. Nothing is reported if weights are loaded, as for N205.

    ## Fix

    Inserts a `weight_filler` in all such layers of the net: msra if a ReLU follows, otherwise xavier. The fix is unsafe, because
    trained weights may be loaded.

    ## References

    `ConstantFiller` in filler.hpp. Goodfellow, Bengio, Courville: Deep Learning, 2016, section 8.4.
    """
    loss = _possible_loss(subject)
    if (not _learns(subject) and loss is None) or subject.weights_loaded:
        return
    equal = _before(loss, equal_units(subject.net, idle=loss is not None))
    if not equal:
        return
    first = equal[0]
    of_group = " in each group" if groups_of(first.layer) > 1 else ""
    message = f"all {outputs_of_group(first.layer)} outputs{of_group} of {named(first.layer)} start equal and stay equal"
    reason = f"Their weights are all {constant_of(first):g}, and the layers that read them treat them alike, so they learn the same."
    from_fillers = subject.weights_from_fillers
    if not from_fillers:
        reason += " This is correct only if trained weights are loaded."
    reason += also_in([param.layer for param in equal], subject.file.tree)
    is_meant = any(constant_of(param) for param in equal) and not frozen_zero_weights(subject.net)
    is_meant = is_meant or from_fillers or starts_from_scratch(subject.net, equal)
    severity = "warning" if is_meant and loss is None else "advice"
    yield Hit(subject.file, _filler_place(first), message, reason + _may_be_loss(loss), severity, fix=_fix(subject, equal))


@rule("N504", "upsampling-filler", subject="net", severity="warning", fixes="unsafe")
def upsampling_filler(subject: NetInPhase) -> Iterator[Hit]:
    """Flags upsampling Deconvolution layers whose initial weights do not interpolate.

    ## What it does

    Flags, in nets for training, Deconvolution layers with a stride above 1 that have

    - zero initial weights, unless they learn and the layer has a `bias_filler` other than 0;
    - a bilinear filler, but fewer groups than channels, so that each output adds up several channels;
    - a bilinear filler with a kernel size that does not interpolate at this stride.

    Each of these is reported once per net.

    ## Why is this bad?

    Zero weights give the same scores everywhere and pass no gradient down; with `lr_mult: 0` they stay zero forever. The bilinear
    filler writes the same kernel for every pair of an input and an output channel. Only if `group` is the number of
    channels is each channel upsampled by itself; with one group, every output is the sum of all inputs, and all
    outputs are equal. A stride of f needs a kernel of `2 f - f % 2` and a pad of `(f - 1) / 2`, rounded up; other
    kernels produce stripes.

    ## When it is reported

    - **warning** for too few groups, and for zero weights if the net looks as if it is trained from scratch (see
      N205);
    - **advice** for other zero weights, and for the kernel size.

    Zero weights are not reported if trained weights are loaded, as for N205. Ignore it if a program writes the weights,
    as the ones that come with FCN do.

    ## Fix

    If a layer has as many output as input channels, sets a bilinear filler and `group`; for zero weights only if the kernel
    interpolates. The bias stays. Other weights that learn get an msra or xavier filler. The fix is unsafe, because it makes
    a different layer.

    ## References

    `BilinearFiller` in filler.hpp; base_conv_layer.cpp and deconv_layer.cpp for the groups. Long, Shelhamer, Darrell:
    Fully Convolutional Networks, 2015, section 3.3.
    """
    if not _learns(subject) or subject.file.is_for_unknown_caffe:
        return
    layers = [param for param in weights_of(subject.net, idle=True) if upsamples(param.layer)]
    zero = [param for param in layers if starts_at_zero(param) and not (param.lr_mult and outputs_bias(param.layer))]
    if zero and not subject.weights_loaded:
        learning = [param for param in zero if param.lr_mult and has_weights_after(param.layer)]
        first = (learning or zero)[0]
        weights = "zero initial weights" if first.lr_mult else "zero weights that do not learn (lr_mult 0)"
        outputs = "zeros" if initial_bias(first.layer) == 0 else "only its bias"
        message = f"{named(first.layer)} has {weights} and outputs {outputs}"
        reason = "This is correct only if a program writes the weights, or trained ones are loaded."
        severity = "warning" if learning and starts_from_scratch(subject.net, learning) else "advice"
        reason += also_in([first.layer, *(param.layer for param in zero if param is not first)], subject.file.tree)
        yield Hit(subject.file, _filler_place(first), message, reason, severity, fix=_fix(subject, zero))
    bilinear = [param for param in layers if param.filler is not None and param.filler["type"] == "bilinear"]
    mixing = [param for param in bilinear if _channels_of_an_output(param) > 1]
    if mixing:
        number = _channels_of_an_output(mixing[0])
        message = f"each output of {named(mixing[0].layer)} adds up {number} channels"
        reason = "The bilinear filler writes equal kernels, so all outputs start equal unless group is the number of channels."
        reason += also_in([param.layer for param in mixing], subject.file.tree)
        yield Hit(subject.file, _filler_place(mixing[0]), message, reason, fix=_fix(subject, mixing))
    for param in bilinear:
        kernel, stride = _window(param.layer)
        if kernel and stride and kernel != _interpolating(stride):
            message = f"kernel {kernel} of {named(param.layer)} does not interpolate at stride {stride}"
            reason = f"At this stride, a bilinear filler needs a kernel of {_interpolating(stride)} and a pad of {stride // 2}."
            yield Hit(subject.file, _filler_place(param), message, reason, "advice")
            return


def _learns(subject: NetInPhase) -> bool:
    return subject.phase == "TRAIN" and any(loss.weight for loss in subject.net.losses)


def _possible_loss(subject: NetInPhase) -> Layer | None:
    """Return the last layer of unknown type that nothing reads, in a net that a solver trains and that has no known loss."""
    if subject.phase != "TRAIN" or not subject.jobs or _learns(subject):
        return None
    unread = (layer for layer in subject.net.layers if layer.bottoms and not any(top.consumers for top in layer.tops))
    return next((layer for layer in reversed(list(unread)) if layer.kind is None), None)


def _before(loss: Layer | None, params: list[Param]) -> list[Param]:
    """Return the parameters before a possible loss; all of them if there is none, since the known losses decide."""
    if loss is None:
        return params
    layers = set(loss.upstream())
    return [param for param in params if param.layer in layers]


def _may_be_loss(layer: Layer | None) -> str:
    return f" {named(layer)} may be the loss: no known Caffe has its type." if layer is not None else ""


def _filler_place(param: Param) -> tuple[int, int]:
    return param.filler.span("type") if param.filler is not None else param.layer.place()


def _channels(layer: Layer) -> int | None:
    """Return the channels that a layer reads, or None if they are unknown or not on the usual axis."""
    shape = layer.bottoms[0].shape if layer.bottoms else None
    usual = layer.message["convolution_param"]["axis"] == 1
    return shape[1] if shape is not None and len(shape) > 1 and usual else None


def _channels_of_an_output(param: Param) -> int:
    """Return how many channels are summed into one output, 0 if unknown."""
    group = param.layer.message["convolution_param"]["group"]
    return (_channels(param.layer) or 0) // group if group else 0


def _window(layer: Layer) -> tuple[int, int]:
    """Return the side of a layer's kernel and its stride, 0 for one that is unknown or differs between height and width."""
    window = window_of(layer)
    kernel, stride = (set(window.kernel), set(window.stride)) if window is not None else (set(), set())
    return (kernel.pop() if len(kernel) == 1 else 0), (stride.pop() if len(stride) == 1 else 0)


def _interpolating(stride: int) -> int:
    """Return the kernel size that interpolates at a stride."""
    return 2 * stride - stride % 2


def _fix(subject: NetInPhase, params: list[Param]) -> Fix | None:
    """Return the fix that writes a suitable filler for all these weights, or None if one of them has none."""
    if "v0" in subject.net.upgraded.steps:
        return None
    patch = Patch()
    titles = []
    for param in params:
        found = _interpolation(subject, param) or _random(subject, param)
        if found is None:
            return None
        titles.append(found[0])
        patch += found[1]
    where = f" in {len(titles)} layers" if len(titles) > 1 else ""
    title = f"use {' and '.join(dict.fromkeys(titles))}{where}"
    return patch.fix(subject.file.path, title, safe=False)


def _random(subject: NetInPhase, param: Param) -> tuple[str, Patch] | None:
    """Return the title and patch of a filler with random weights, for weights that learn."""
    filler = suiting_filler(param)
    if not param.lr_mult or filler is None:
        return None
    settings: Message = param.layer.message[param.layer.traits.settings]
    return f'weight_filler {{ type: "{filler}" }}', set_weight_filler(subject.file.tree, subject.net.message, settings, filler)


def _interpolation(subject: NetInPhase, param: Param) -> tuple[str, Patch] | None:
    """Return the title and patch that make a layer enlarge each channel separately: bilinear filler, and groups."""
    layer = param.layer
    if not upsamples(layer) or not {"v0", "v1"}.isdisjoint(subject.net.upgraded.steps):
        return None
    settings: Message = layer.message["convolution_param"]
    channels, tree = _channels(layer), subject.file.tree
    kernel, stride = _window(layer)
    is_bilinear = param.filler is not None and param.filler["type"] == "bilinear"
    if channels is None or settings["num_output"] != channels or layer.phase != "TRAIN":
        return None
    if not is_bilinear and (not kernel or not stride or kernel != _interpolating(stride)):
        return None
    patch = Patch() if is_bilinear else set_weight_filler(tree, subject.net.message, settings, "bilinear")
    if settings["group"] != channels:
        patch += set_field(tree, settings, "group", channels)
    return f"a bilinear filler{f' in {channels} groups' if channels > 1 else ''}", patch
