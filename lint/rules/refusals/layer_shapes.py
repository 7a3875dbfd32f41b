"""Layers whose bottoms do not fit, in number, shape or axes, or leave an empty output."""

from __future__ import annotations

from collections.abc import Iterator

from ...net.job import NetInPhase
from ...rule.finding import Hit
from ...rule.registry import rule
from ..problems import hits


@rule("E204", "blob-count-mismatch", subject="net", severity="error")
def blob_count_mismatch(subject: NetInPhase) -> Iterator[Hit]:
    """A layer has more or fewer bottoms or tops than its type takes.

    ## What it does

    Numbers of bottoms and tops outside what the layer type allows, also where they depend on each other.

    ## Why is this bad?

    Caffe stops when it builds the net: `SoftmaxWithLoss Layer takes 2 bottom blob(s) as input.`

    ## When it is reported

    Never: Caffe does not build such a net.

    ## Example

    There is no fix: only you know which blob is missing, or too many.

    ## References

    layer.hpp, Layer::CheckBlobCounts.
    """
    return hits(subject, "E204")


@rule("E205", "shape-mismatch", subject="net", severity="error")
def shape_mismatch(subject: NetInPhase) -> Iterator[Hit]:
    """The shapes of a layer's bottoms do not fit each other, or its settings.

    ## What it does

    Everything where a layer type compares sizes: Eltwise, Concat and Crop inputs, scores and labels of a loss
    or an Accuracy, what a Slice or a Reshape is to divide, `group` and the number of channels. Shapes that
    the files do not tell (images of a database without `crop_size`) are unknown, and nothing is said about
    them; `caffe-lint net FILE` shows them all.

    ## Why is this bad?

    Caffe stops when it builds the net, at the first of them.

    ## When it is reported

    Never: Caffe does not build such a net.

    ## Example

    There is no fix: it is a decision of the architecture.

    ## References

    The Reshape function of each layer in src/caffe/layers.
    """
    return hits(subject, "E205")


@rule("E206", "invalid-axis", subject="net", severity="error")
def invalid_axis(subject: NetInPhase) -> Iterator[Hit]:
    """A layer names an axis that its bottom does not have, or wants another number of axes.

    ## What it does

    `axis` beyond the last axis, layers for images (Pooling, LRN) on blobs that are not 4-dimensional,
    `num_axes` that reach too far, a Flatten that ends before it starts.

    ## Why is this bad?

    Caffe stops when it builds the net: `axis 4 out of range for 4-D Blob with shape 8 8 18 18`.

    ## When it is reported

    Never: Caffe does not build such a net.

    ## Example

    There is no fix: it is a decision of the architecture.

    ## References

    blob.hpp, Blob::CanonicalAxisIndex; the layers in src/caffe/layers.
    """
    return hits(subject, "E206")


@rule("E207", "empty-output", subject="net", severity="error")
def empty_output(subject: NetInPhase) -> Iterator[Hit]:
    """A layer would make a blob without elements, of negative size, or too large to count.

    ## What it does

    Kernels larger than what is left of the image, most often after too many poolings or with a smaller input
    than the net was made for, and blobs of more than 2,147,483,647 elements.

    ## Why is this bad?

    Caffe stops: `Check failed: data_` in blob.cpp for an empty blob, `blob size exceeds INT_MAX` for a large
    one. Neither says which layer it is.

    ## When it is reported

    Never: Caffe does not build such a net.

    ## Example

    Or a larger image, or a `pad`. There is no fix: it is a decision of the architecture.

    ## References

    base_conv_layer.cpp, pooling_layer.cpp; blob.cpp, Blob::Reshape and Blob::cpu_data.
    """
    return hits(subject, "E207")
