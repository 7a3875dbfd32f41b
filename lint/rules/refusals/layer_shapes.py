"""Layers whose bottoms have the wrong number, shape or axes, or give an empty output."""

from __future__ import annotations

from collections.abc import Iterator

from ...moments.layer_type import FROM_PROGRAM, REGRESSION
from ...net.fitting_shapes import what_fits
from ...net.job import NetInPhase
from ...net.names import named
from ...net.score_maps import LabelPerItem, labels_per_item, one_label_for_a_map
from ...rule.finding import Hit, Related
from ...rule.registry import rule
from ..problems import hit_of, hits, problems_of

_EXPLAINED = 5  # the shapes of a net for which it is computed what would make them fit


@rule("E204", "blob-count-mismatch", subject="net", severity="error")
def blob_count_mismatch(subject: NetInPhase) -> Iterator[Hit]:
    """Flags layers with a number of bottoms or tops that their type does not take.

    ## What it does

    Compares the numbers of bottoms and tops with what the layer type takes, also where they depend on each other or on a
    setting: a Convolution has one top for each bottom, only MAX Pooling may have a second top. SoftmaxWithLoss accepts a second
    top, but BVLC's Caffe cannot build it: both tops need a `loss_weight`, and its inner Softmax rejects the two weights.

    ## Why is this bad?

    Caffe stops when it builds the net: `SoftmaxWithLoss Layer takes 2 bottom blob(s) as input.`

    ## When it is reported

    - **error** in a file for BVLC's Caffe;
    - **advice** in a file for a known fork, because forks often take other numbers.

    Not reported in a file with fields or values that no known Caffe has: nine in ten such findings were wrong (docs/noise.md).

    ## Example

    There is no fix: only you know which blob is missing or superfluous.

    ## References

    `Layer::CheckBlobCounts` in layer.hpp.
    """
    return hits(subject, "E204")


@rule("E205", "shape-mismatch", subject="net", severity="error")
def shape_mismatch(subject: NetInPhase) -> Iterator[Hit]:
    """Flags bottoms whose shapes do not match each other or the settings of their layer.

    ## What it does

    Checks every size that a layer type compares: the inputs of Eltwise, Concat and Crop, the scores and labels of a loss or an
    Accuracy, what a Slice or a Reshape divides, and `group` against the number of channels.

    Shapes that the files do not specify, such as images of a database without `crop_size`, are unknown. `caffe-lint net FILE` prints
    all shapes. Nothing is reported about unknown ones, but what is known is compared: 8 scores per item do not fit one target,
    whatever the batch size is, nor does a score for each pixel fit one label per item, whatever the size of the images.

    ## Why is this bad?

    Caffe stops when it builds the net, at the first such layer.

    ## When it is reported

    - **advice** if this layer is of a type of BVLC's, and it, or one that it gets values from, has a type or a field of a fork; or
      if it is of a fork's type, and gets values from a type that is not known well enough;
    - **warning** for a regression against one label per item of a database, if its outputs are of unknown size, or the net has a
      custom layer type: some have changed Caffe so that it reads more targets from there;
    - **error** otherwise.

    Not reported in a file with fields or values that no known Caffe has: nine in ten such findings were wrong (docs/noise.md).

    ## Example

    The finding says what would make the shapes fit, where that can be computed: which `num_output` of an earlier layer, which
    sizes of the images, and where Pooling has rounded up. There is no fix: which of them is right is a decision about the
    architecture.

    ## References

    The `Reshape` function of each layer in src/caffe/layers.
    """
    fits = {
        (problem.start, problem.message): what_fits(subject.net, problem)
        for problem in problems_of(subject, "E205")[:_EXPLAINED]
    }
    for hit in hits(subject, "E205"):
        action = fits.get((hit.span[0], hit.message))
        hit = hit._replace(reason=f"{hit.reason} {action}") if action else hit
        label = next((one for one in labels_per_item(subject.net) if one.place == hit.span), None)
        yield hit if label is None else _of_labels(subject, hit, label)
    for problem in [] if subject.file.is_for_unknown_caffe else one_label_for_a_map(subject.net):
        hit = hit_of(subject, problem)
        yield from (_of_labels(subject, hit, label) for label in labels_per_item(subject.net) if label.place == hit.span)


def _of_labels(subject: NetInPhase, hit: Hit, label: LabelPerItem) -> Hit:
    """A finding about labels with the layer that gives one of them for each item.

    Unpublished versions of Caffe read several targets of a regression from a database, so the finding is less certain for these
    if their number is not known, or if the net shows that it is for such a version.
    """
    reason = f"{hit.reason} {_SEVERAL_LABELS}"
    producer, scores = label.top.producer, label.scores.shape
    if producer is not None and not hit.related:
        hit = hit._replace(related=(Related(subject.file, producer.place(), f"{named(producer)} gives one label per item"),))
    is_database = producer is not None and producer.traits.settings == "data_param"
    is_open = scores is None or None in scores[1:]
    is_changed = subject.file.has_custom_types
    if is_database and (is_open or is_changed) and label.reader.traits.loss_family == REGRESSION and not hit.severity:
        reason += _MAY_DIFFER * is_changed
        return hit._replace(reason=reason, severity="warning", confidence="medium")
    return hit._replace(reason=reason)


_MAY_DIFFER = " The net has a custom layer type, so its Caffe may read several from a database, too."
_SEVERAL_LABELS = "Several values per item come from HDF5Data, or from a second data layer that reads them as images."


@rule("E206", "invalid-axis", subject="net", severity="error")
def invalid_axis(subject: NetInPhase) -> Iterator[Hit]:
    """Flags axes that do not exist, and bottoms with a number of axes that their layer does not take.

    ## What it does

    Flags an `axis` after the last axis of the bottom, layers for images (Pooling, LRN) on blobs that are not 4-dimensional,
    `num_axes` that reaches past the last axis, and a Flatten whose `end_axis` is before its `axis`.

    ## Why is this bad?

    Caffe stops when it builds the net: `axis 4 out of range for 4-D Blob with shape 8 8 18 18`.

    ## When it is reported

    - **advice** if this layer, or one that it gets values from, has a type or a field of a fork;
    - **error** otherwise.

    Not reported in a file with fields or values that no known Caffe has: nine in ten such findings were wrong (docs/noise.md).

    ## Example

    There is no fix: which axis is right is a decision about the architecture.

    ## References

    `Blob::CanonicalAxisIndex` in blob.hpp; the layers in src/caffe/layers.
    """
    return hits(subject, "E206")


@rule("E207", "empty-output", subject="net", severity="error")
def empty_output(subject: NetInPhase) -> Iterator[Hit]:
    """Flags layers whose output is empty, of negative size, or too large for Caffe.

    ## What it does

    Flags kernels that are larger than what remains of the image, usually after too many poolings or because the input is smaller
    than the net was designed for, inputs with a dimension of 0, and blobs of more than 2,147,483,647 elements. A size is checked
    as soon as the dimensions in question are known, whatever the batch size is.

    ## Why is this bad?

    Caffe stops with `Check failed: data_` in blob.cpp for an empty blob, or with `blob size exceeds INT_MAX` for one that is too
    large. Neither message names the layer. It accepts an input with a dimension of 0, and stops in the first pass.

    ## When it is reported

    - **warning** for an Input or MemoryData with a dimension of 0, because a program may still reshape it;
    - **advice** if this layer, or one that it gets values from, has a type or a field of a fork;
    - **error** otherwise.

    Not reported in a file with fields or values that no known Caffe has: nine in ten such findings were wrong (docs/noise.md).

    ## Example

    A larger image or a `pad` would help as well. There is no fix: it is a decision about the architecture.

    ## References

    base_conv_layer.cpp, pooling_layer.cpp; `Blob::Reshape` and `Blob::cpu_data` in blob.cpp.
    """
    fed = {
        problem.start
        for problem in problems_of(subject, "E207")
        if problem.kind == "empty-input" and problem.layer is not None and problem.layer.traits.origin == FROM_PROGRAM
    }
    for hit in hits(subject, "E207"):
        yield hit._replace(severity=hit.severity or "warning") if hit.span[0] in fed else hit
