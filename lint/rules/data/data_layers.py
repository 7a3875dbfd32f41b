"""What data layers do to the data before the net sees them: means in other units, and the order of the items."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import number_text, set_field, set_values
from ...net.job import Job, NetInPhase
from ...net.names import named
from ...proto.binder import Message
from ...rule.finding import Hit
from ...rule.registry import Option, rule


@rule(
    "D121",
    "mean-scale-mismatch",
    subject="net",
    severity="warning",
    fixes="unsafe",
    options={"small": Option(0.02, "a scale below this brings bytes to about 1, as 1/256 and 1/127 do")},
)
def mean_scale_mismatch(subject: NetInPhase, *, small: float) -> Iterator[Hit]:
    """A mean between 0 and 1 is subtracted from pixels of 0 to 255.

    ## What it does

    Data layers of images with a `scale` below 0.02, such as 1/256, and every `mean_value` between 0 and 1.

    ## Why is this bad?

    Caffe subtracts the mean first and scales then. A mean of 0.5 that was meant for scaled pixels takes half a grey
    level away, and the net sees values of 0 to 1 instead of -0.5 to 0.5.

    ## When it is reported

    The items are floats that are so small themselves, and are scaled down further.

    ## Fix

    The fix divides the mean by the scale. It is unsafe: the data change.

    ## Options

    `small`: 0.02, between which and 1 a `scale` says nothing about the range of the items.

    ## References

    data_transformer.cpp, DataTransformer::Transform.
    """
    for layer in subject.net.layers:
        if not layer.traits.transforms or "transform_param" not in layer.message:
            continue
        transform: Message = layer.message["transform_param"]
        scale, means = transform["scale"], transform["mean_value"]
        if not means or not 0 < scale < small or not all(0 < mean <= 1 for mean in means):
            continue
        shown = ", ".join(number_text(mean) for mean in means)
        values = [float(f"{mean / scale:.6g}") for mean in means]
        patch = set_values(transform, "mean_value", values)
        yield Hit(
            subject.file,
            transform.span("mean_value"),
            f"{named(layer)}: it subtracts {shown} from pixels of 0 to 255, and then scales them by {number_text(scale)}",
            f"Caffe takes the mean off first: {', '.join(map(number_text, values))} would be that mean after scaling.",
            fix=patch.fix(subject.file.path, "divide the mean by the scale", safe=False),
        )


@rule("D122", "unshuffled-list", subject="job", severity="advice", fixes="unsafe")
def unshuffled_list(job: Job) -> Iterator[Hit]:
    """A training net reads a list of images in its order, round after round.

    ## What it does

    The ImageData layer of a solver's training net, if it has no `shuffle: true`. Nothing is said where another
    layer brings data as well: what is read side by side has to keep its order.

    ## Why is this bad?

    Lists are often written class by class, as folders are. A batch then holds one class or two: the net learns to say
    that class, and forgets it with the next. Also in a list that is mixed the same images meet in every round.

    ## When it is reported

    The list was mixed when it was written, or its order matters.

    ## Fix

    The fix is unsafe, since it changes the order of the training.

    ## References

    image_data_layer.cpp: the list is read in its order, and shuffled at its start and at each end only with `shuffle`.
    """
    subject = job.train
    sources = [layer for layer in subject.net.layers if not layer.bottoms] if subject else []
    if subject is None or [layer.traits.settings for layer in sources] != ["image_data_param"]:
        return
    layer = sources[0]
    if layer.message["image_data_param"]["shuffle"]:
        return
    settings: Message = layer.message["image_data_param"]
    fix: Fix | None = None
    if "image_data_param" in layer.message:
        patch = set_field(subject.file.tree, settings, "shuffle", True, beside=("batch_size", "source"))
        fix = patch.fix(subject.file.path, "write shuffle: true", safe=False)
    message = f"{named(layer)}: it reads its list in the order in which it stands, in every round"
    reason = "If the list goes by classes, whole batches are of one class."
    yield Hit(subject.file, layer.place(), message, reason, fix=fix)
