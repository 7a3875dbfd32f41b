"""What data layers do to the data before the net sees it: the scale of the mean, and the order of the items."""

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
    options={
        "small": Option(0.02, "the scale below which items are taken for bytes, as with 1/256 and 1/127", least=0, greatest=1)
    },
)
def mean_scale_mismatch(subject: NetInPhase, *, small: float) -> Iterator[Hit]:
    """Flags a `mean_value` between 0 and 1 that is subtracted from pixels of 0 to 255.

    ## What it does

    Flags data layers for images with a `scale` below 0.02 (`small`), such as 1/256, if every `mean_value` is between 0 and 1.

    ## Why is this bad?

    Caffe subtracts the mean before it scales. A mean of 0.5 that was meant for scaled pixels subtracts half a grey level, so
    that the net sees values of 0 to 1 instead of -0.5 to 0.5.

    ## When it is reported

    Reported as a **warning**. Ignore it if the items are floats that are already small, and are scaled down further.

    ## Fix

    Divides each `mean_value` by `scale`. The fix is unsafe, because it changes the data.

    ## Options

    `small`: the `scale` below which items are taken for bytes of 0 to 255, 0.02 by default. A larger `scale` says nothing
    about the range of the items.

    ## References

    `DataTransformer::Transform` in data_transformer.cpp.
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
            f"{named(layer)} subtracts {shown} from pixels of 0 to 255, before scaling by {number_text(scale)}",
            f"Caffe subtracts the mean first; a mean_value of {', '.join(map(number_text, values))} gives {shown} after scaling.",
            fix=patch.fix(subject.file.path, "divide mean_value by scale", safe=False),
        )


@rule("D122", "unshuffled-list", subject="job", severity="advice", fixes="unsafe")
def unshuffled_list(job: Job) -> Iterator[Hit]:
    """Flags training nets that read an image list in the same order in every epoch.

    ## What it does

    Flags the ImageData layer of a solver's training net if it does not set `shuffle: true`.

    ## Why is this bad?

    Lists are often sorted by class, like folders. A batch then contains one or two classes: the net learns to predict them,
    and forgets them with the next batch. Even if the list is in random order, the same images share a batch in every epoch.

    ## When it is reported

    Reported as **advice**. Nothing is reported if another layer reads data too, because the items of several sources have to
    keep their order.

    Ignore it if the list is in random order, or if its order matters.

    ## Fix

    Sets `shuffle: true`. The fix is unsafe, because it changes the order of the training data.

    ## References

    image_data_layer.cpp, which shuffles the list at the start and after each epoch only if `shuffle` is set.
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
        fix = patch.fix(subject.file.path, "set shuffle to true", safe=False)
    message = f"{named(layer)} reads its list in the same order in every epoch"
    reason = "If the list is sorted by class, whole batches contain a single class."
    yield Hit(subject.file, layer.place(), message, reason, fix=fix)
