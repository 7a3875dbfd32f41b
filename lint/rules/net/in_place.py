"""Layers that overwrite values which are still needed: Caffe prints no message, but outputs or gradients are wrong."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.wiring import write_new_blob
from ...moments.graph import Blob, Layer
from ...moments.layer_type import IN_PLACE_WRONG_GRADIENT, IN_PLACE_WRONG_VALUES
from ...net.job import NetInPhase
from ...net.names import named
from ...net.overwriting import changes_values, overwritten_tops, same_memory
from ...rule.finding import Hit, Related
from ...rule.registry import rule


@rule("N111", "in-place-wrong-output", subject="net", severity="warning", fixes="safe")
def in_place_wrong_output(subject: NetInPhase) -> Iterator[Hit]:
    """Flags in-place layers of types that compute wrong values in place.

    ## What it does

    Flags Convolution, Deconvolution, Pooling, InnerProduct, Reduction, LRN across channels and Eltwise (sum or maximum)
    layers whose top is also their bottom.

    ## Why is this bad?

    These layers write their top while they still read their bottom, or give it another shape. Eltwise with SUM first
    sets its top to 0 and so loses the first summand; MAX pooling produces NaN at once. Caffe prints no message.

    ## When it is reported

    Reported as a **warning**. Do not ignore it: the values are wrong.

    ## Fix

    Gives the layer a top of its own, which all layers after it read. The fix is safe, because nothing else can be meant.
    No fix is offered if the layer has `include` or `exclude` rules.

    ## References

    Measured with BVLC Caffe on the CPU: the loss of the same net with the layer in place and with a top of its own.
    """
    for layer, index in _in_place(subject, IN_PLACE_WRONG_VALUES):
        message = f"{named(layer)} works in place on '{layer.tops[index].name}' and computes wrong values"
        reason = f"Caffe accepts this, but {layer.type} writes its top while it still reads its bottom."
        yield _hit(subject, layer, index, message, reason)


@rule("N112", "in-place-wrong-gradient", subject="net", severity="warning", fixes="safe")
def in_place_wrong_gradient(subject: NetInPhase) -> Iterator[Hit]:
    """Flags in-place layers that overwrite values from which a gradient is computed.

    ## What it does

    - Flags Power, Log, BNLL, Clip, MVN with variance normalisation, LRN within channels, Eltwise products and ReLU with
      a negative `negative_slope` that work in place. Their backward pass needs the values of their bottom, or writes over the
      gradient that it still reads (Power with `power: 1`).
    - Flags any layer that works in place on the top of a Sigmoid, TanH, ELU, Swish, Exp, Softmax, LRN across channels,
      MVN with variance normalisation or Power layer whose backward pass needs the values of that top. A Reshape or
      Flatten in between makes no difference, because it shares the memory of its bottom.

    ## Why is this bad?

    The forward pass is correct, so tests look fine. But the layers before the overwritten values learn from a wrong
    gradient.

    ## When it is reported

    Reported as a **warning** in nets for training, if a gradient passes through the overwritten values. Nothing is
    reported for a ReLU after values that are never negative, which it does not change.

    If the layers before are not meant to learn, set their `lr_mult` to 0, and the finding disappears.

    ## Fix

    Gives the layer a top of its own, which all layers after it read. The fix is safe, because it changes no value of the
    forward pass. No fix is offered if the layer has `include` or `exclude` rules.

    ## References

    Measured with BVLC Caffe on the CPU: gradients of the same net with the layer in place and with a top of its own.
    """
    if subject.phase != "TRAIN":
        return
    for layer, index in _in_place(subject, IN_PLACE_WRONG_GRADIENT):
        if layer.runs_backward and index < len(layer.bottoms) and layer.gradient_bottoms[index]:
            name = layer.tops[index].name
            message = f"{named(layer)} works in place on '{name}' and computes a wrong gradient"
            reason = f"{layer.type} computes its gradient from values that are overwritten by then."
            yield _hit(subject, layer, index, message, reason)
    for blob, layer, index in overwritten_tops(subject.net):
        producer = blob.producer
        assert producer is not None
        name = producer.name
        message = f"{named(layer)} overwrites the top of layer '{name}' and makes its gradient wrong"
        reason = f"{producer.type} computes its gradient from its top '{blob.name}', which is overwritten by then."
        related = Related(subject.file, producer.place(), f"{producer.type} layer '{name}'")
        yield _hit(subject, layer, index, message, reason)._replace(related=(related,))


@rule("N113", "shared-memory-overwrite", subject="net", severity="warning", fixes="safe")
def shared_memory_overwrite(subject: NetInPhase) -> Iterator[Hit]:
    """Flags in-place layers that also overwrite another blob in the same memory.

    ## What it does

    The top of a Reshape, Flatten or Split, of a Concat with one bottom and of a Slice with one top shares the memory of
    the bottom. A layer that works in place on such a top also changes the other blob. It is flagged if a layer after it
    reads that blob.

    ## Why is this bad?

    The layers that read the other blob get the values that the in-place layer wrote. Caffe does not notice, because the
    blobs have different names.

    ## When it is reported

    Reported as a **warning**. Nothing is reported for Dropout in phase TEST, where it changes nothing. Do not ignore it:
    the values are wrong.

    ## Fix

    Gives the layer a top of its own, which all layers after it read. The fix is safe, because the other blob then keeps
    the values that its own layer wrote. No fix is offered if the layer has `include` or `exclude` rules.

    ## References

    `ShareData` in reshape_layer.cpp, flatten_layer.cpp, split_layer.cpp, concat_layer.cpp and slice_layer.cpp.
    """
    for layer in subject.net.layers:
        for index, top in enumerate(layer.tops):
            if top.below is None or not changes_values(layer):
                continue
            for blob in _other_names(top.below):
                reader = next((other for other in blob.consumers if other.index > layer.index), None)
                if reader is not None:
                    message = f"{named(layer)} works in place on '{top.name}' and also overwrites '{blob.name}'"
                    reason = f"The two share memory, so layer '{reader.name}' reads overwritten values from '{blob.name}'."
                    related = Related(subject.file, reader.place(), f"reads '{blob.name}'")
                    yield _hit(subject, layer, index, message, reason)._replace(related=(related,))
                    break


def _in_place(subject: NetInPhase, effect: str) -> Iterator[tuple[Layer, int]]:
    """Yield the layers that are known to have this effect in place, with the index of the in-place top."""
    for layer in subject.net.layers:
        for index, top in enumerate(layer.tops):
            if top.below is not None and layer.kind is not None:
                if layer.kind.in_place_effect(layer) == effect:
                    yield layer, index
                break


def _hit(subject: NetInPhase, layer: Layer, index: int, message: str, reason: str) -> Hit:
    place = layer.message.span("top", index)
    return Hit(subject.file, place, message, reason, fix=_fix(subject, layer, index))


def _fix(subject: NetInPhase, layer: Layer, index: int) -> Fix | None:
    if "v0" in subject.net.upgraded.steps:
        return None
    found = write_new_blob(subject.net.message, layer.message, index)
    if found is None:
        return None
    patch, name = found
    return patch.fix(subject.file.path, f"rename its top to '{name}', also where later layers read it")


def _other_names(blob: Blob) -> Iterator[Blob]:
    """Yield the other blobs that share the memory of this one: those it is made from, and tops of the same layers."""
    memory = same_memory(blob)
    yield from memory[1:]
    for shared in memory[:-1]:
        assert shared.producer is not None
        yield from (top for top in shared.producer.tops if top is not shared)
