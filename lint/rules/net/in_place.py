"""Layers that write over what is still needed: no message, and wrong values or wrong gradients."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.wiring import write_new_blob
from ...moments.graph import Blob, Layer
from ...moments.interval import UNKNOWN_INTERVAL
from ...moments.layer_type import IN_PLACE_WRONG_GRADIENT, IN_PLACE_WRONG_VALUES
from ...net.job import NetInPhase
from ...net.names import named
from ...rule.finding import Hit, Related
from ...rule.registry import rule


@rule("N111", "in-place-wrong-output", subject="net", severity="warning", fixes="safe")
def in_place_wrong_output(subject: NetInPhase) -> Iterator[Hit]:
    """A layer works in place whose type cannot: its values come out wrong, and Caffe says nothing.

    ## What it does

    Convolution, Deconvolution, Pooling, InnerProduct, Reduction, LRN across channels and Eltwise (sum or
    maximum) whose top is their bottom.

    ## Why is this bad?

    They write their top while they still read their bottom, or give it another shape. Eltwise with SUM sets
    its top to 0 first, and so loses the first summand; a MAX Pooling gives NaN at once.

    ## When it is reported

    Never: the values are wrong.

    ## Fix

    The fix gives the layer a top of its own, which every layer behind it reads: safe, nothing else can be
    meant. None is offered where the layer is there in some phases only.

    ## References

    Measured with BVLC's Caffe on the CPU: losses of the same net in place and with a top of its own.
    """
    for layer, index in _in_place(subject, IN_PLACE_WRONG_VALUES):
        message = f"{named(layer)}: it works in place on '{layer.tops[index].name}', which gives wrong values"
        reason = f"Caffe builds it, and {layer.type} writes its top while it still needs its bottom."
        yield _hit(subject, layer, index, message, reason)


@rule("N112", "in-place-wrong-gradient", subject="net", severity="warning", fixes="safe")
def in_place_wrong_gradient(subject: NetInPhase) -> Iterator[Hit]:
    """A layer works in place, and a gradient is computed from the values that it has written over.

    ## What it does

    In nets for training, where something below learns:

    - Power, Log, BNLL, Clip, MVN with variance, LRN within channels, Eltwise products and ReLU with a
      negative slope under 0 that work in place: they need their own bottom in the backward pass.
    - any layer in place on the top of a Sigmoid, TanH, ELU, Swish, Exp, Softmax, LRN across channels, MVN
      with variance or Power that needs its own top there, also through a Reshape or Flatten, which share
      memory.

    ## Why is this bad?

    The values going forward are right, so that the net even tests well. What is below learns from a wrong
    gradient.

    ## When it is reported

    The weights below are not to learn from this: then write lr_mult 0 for them, and the finding goes.

    ## Fix

    The fix gives the layer a top of its own, which every layer behind it reads: safe, no value going forward
    changes. None is offered where the layer is there in some phases only.

    ## References

    Measured with BVLC's Caffe on the CPU: gradients of the same net in place and with a top of its own.
    """
    if subject.phase != "TRAIN":
        return
    for layer, index in _in_place(subject, IN_PLACE_WRONG_GRADIENT):
        if layer.runs_backward and index < len(layer.bottoms) and layer.gradient_bottoms[index]:
            name = layer.tops[index].name
            message = f"{named(layer)}: it works in place on '{name}', which gives a wrong gradient"
            reason = f"{layer.type} computes its gradient from its bottom, which is gone by then."
            yield _hit(subject, layer, index, message, reason)
    for layer in subject.net.layers:
        for index, top in enumerate(layer.tops):
            below = top.below
            if below is None or not _changes_values(layer):
                continue
            for blob in _same_memory(below):
                producer = blob.producer
                if producer is None or not _reads_top(producer) or not any(producer.gradient_bottoms):
                    continue
                if layer.traits.cuts_negatives(layer) and _is_positive(producer):
                    continue
                name = producer.name
                message = (
                    f"{named(layer)}: it writes over the top of layer '{name}', which spoils its gradient"
                )
                reason = f"{producer.type} computes its gradient from its own top, '{blob.name}'."
                related = Related(subject.file, producer.place(), f"{producer.type} layer '{name}'")
                yield _hit(subject, layer, index, message, reason)._replace(related=(related,))


@rule("N113", "shared-memory-overwrite", subject="net", severity="warning", fixes="safe")
def shared_memory_overwrite(subject: NetInPhase) -> Iterator[Hit]:
    """A layer works in place on a blob whose memory another blob has as well, which is read later.

    ## What it does

    Reshape, Flatten, Split and a Concat or Slice of one blob give their top the memory of their bottom. A
    layer that works in place on that top changes the bottom too; it is reported if somebody reads that
    afterwards.

    ## Why is this bad?

    Who reads the other blob gets what the in-place layer wrote. Caffe does not notice, since the two have
    different names.

    ## When it is reported

    Never: who reads the other blob gets something else than its name says.

    ## Fix

    The fix gives the layer a top of its own, which every layer behind it reads: safe, since the
    other blob is what its name says again.

    ## References

    reshape_layer.cpp, flatten_layer.cpp, split_layer.cpp, concat_layer.cpp, slice_layer.cpp: ShareData.
    """
    for layer in subject.net.layers:
        for index, top in enumerate(layer.tops):
            if top.below is None or not _changes_values(layer):
                continue
            for blob in _other_names(top.below):
                reader = next((other for other in blob.consumers if other.index > layer.index), None)
                if reader is not None:
                    message = (
                        f"{named(layer)}: it works in place on '{top.name}', and so on '{blob.name}' as well"
                    )
                    reason = (
                        f"The two have one memory, and layer '{reader.name}' reads '{blob.name}' afterwards."
                    )
                    related = Related(subject.file, reader.place(), f"reads '{blob.name}'")
                    yield _hit(subject, layer, index, message, reason)._replace(related=(related,))
                    break


def _in_place(subject: NetInPhase, verdict: str) -> Iterator[tuple[Layer, int]]:
    """The layers of which it is known that in place they do this, with the index of that top."""
    for layer in subject.net.layers:
        for index, top in enumerate(layer.tops):
            if top.below is not None and layer.kind is not None:
                if layer.kind.in_place_effect(layer) == verdict:
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
    return patch.fix(subject.file.path, f"write '{name}', and read that behind layer '{layer.name}'")


def _changes_values(layer: Layer) -> bool:
    """Whether a layer in place may leave other values than it found; a Dropout does not in TEST."""
    return not (layer.traits.trains_only and layer.phase == "TEST")


def _is_positive(layer: Layer) -> bool:
    """Whether no value that a layer makes is below 0, whatever it reads, so that a ReLU leaves them as they are."""
    return layer.traits.range_of(layer, [UNKNOWN_INTERVAL] * len(layer.bottoms)).low >= 0


def _reads_top(layer: Layer) -> bool:
    return layer.traits.needs_its_top(layer)


def _same_memory(blob: Blob) -> list[Blob]:
    """The blob, and those before it whose memory it has under another name."""
    blobs = [blob]
    while True:
        producer = blobs[-1].producer
        if producer is None or producer.kind is None or not producer.bottoms:
            return blobs
        if producer.in_place or not producer.kind.is_alias(producer):
            return blobs
        blobs.append(producer.bottoms[0])


def _other_names(blob: Blob) -> Iterator[Blob]:
    """The other blobs that have the memory of this one: those it is made of, and the tops beside it."""
    memory = _same_memory(blob)
    yield from memory[1:]
    for shared in memory[:-1]:
        assert shared.producer is not None
        yield from (top for top in shared.producer.tops if top is not shared)
