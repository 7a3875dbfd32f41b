"""Shapes of the data: against each other, the mean and the net."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...fixes.edit import Fix
from ...fixes.fields import Patch, remove_field, set_field
from ...rule.finding import Hit
from ...rule.registry import rule
from .faulty_items import seen

if TYPE_CHECKING:
    from ...data.judging import LayerData


@rule("D110", "image-size-mismatch", subject="inputs", severity="error", fixes="unsafe")
def image_size_mismatch(data: LayerData) -> Iterator[Hit]:
    """Items are smaller than the crop, or of several sizes in one batch.

    ## What it does

    `crop_size` over the height or width of an item; without `crop_size`, items of several sizes (for ImageData
    without `new_height` and `new_width`); items with several numbers of channels, such as grayscale among colour
    images in a database of encoded images.

    ## Why is this bad?

    Caffe stops at the first of them, in the middle of an epoch.

    ## When it is reported

    Never: Caffe stops. With `batch_size: 1`, items of several sizes are fine and not reported.

    ## Fix

    For ImageData: writes `new_height` and `new_width`, the size of most images, or the crop's where that is larger.
    Unsafe: it changes what the net sees. For a database with grayscale among colour images: `force_color: true` in
    transform_param, which Caffe applies to encoded images only; safe.

    ## References

    data_transformer.cpp, Transform: `channels == datum_channels`, `datum_height >= crop_size`.
    """
    shapes = data.shapes
    if not shapes or data.report.kind == "windows":
        return
    images = data.report.kind == "images"
    transform = data.layer.message["transform_param"]
    if "resize_param" in transform.entries:
        return
    crop = transform["crop_size"]
    stops = "Caffe stops at the first of them, in the middle of an epoch."
    resized = images and data.param["new_height"] and data.param["new_width"]
    main = max(shapes, key=lambda shape: shapes[shape][0])
    if len({shape[0] for shape in shapes}) > 1:
        odd = {shape: seen for shape, seen in shapes.items() if shape[0] != main[0]}
        number = sum(seen[0] for seen in odd.values())
        example = next(iter(odd.items()))
        message = (
            f"{data.name}: {number} items have not {main[0]} channels as most have: {example[1][1]} has {example[0][0]}"
        )
        fix = None
        is_mixed = data.report.encoded and main[0] == 3 and data.source.field == "data_param"
        if is_mixed and "transform_param" in data.layer.message:
            patch = set_field(data.net.file.tree, transform, "force_color", True)
            fix = patch.fix(data.net.file.path, "read all images in colour")
        yield Hit(data.net.file, data.place, message, stops, fix=fix)
    if resized:
        return
    if crop:
        small = {shape: seen for shape, seen in shapes.items() if min(shape[1:]) < crop}
        if small:
            number = sum(seen[0] for seen in small.values())
            shape, seen = min(small.items(), key=lambda one: min(one[0][1:]))
            message = (
                f"{data.name}: {number} items are smaller than crop_size {crop}:"
                f" {seen[1] + ' is ' if seen[1] else ''}{shape[1]} x {shape[2]}"
            )
            fix = _resize(data, max(crop, main[1]), max(crop, main[2])) if images else None
            yield Hit(data.net.file, transform.span("crop_size"), message, stops, fix=fix)
    elif len({shape[1:] for shape in shapes}) > 1 and data.batch != 1:
        shown = ", ".join(f"{shape[1]} x {shape[2]} ({seen[1]})" for shape, seen in list(shapes.items())[:3])
        message = f"{data.name}: items have {len({shape[1:] for shape in shapes})} sizes and are not cropped: {shown}"
        fix = _resize(data, main[1], main[2]) if images else None
        yield Hit(data.net.file, data.place, message, "A batch takes items of one size. " + stops, fix=fix)


def _resize(data: LayerData, height: int, width: int) -> Fix | None:
    if "v1" in data.net.net.upgraded.steps:
        return None
    patch = Patch()
    for name, size in (("new_height", height), ("new_width", width)):
        patch += set_field(data.net.file.tree, data.param, name, size)
    return patch.fix(data.net.file.path, f"resize to {height} x {width}", safe=False)


@rule("D111", "mean-mismatch", subject="inputs", severity="error", fixes="safe")
def mean_mismatch(data: LayerData) -> Iterator[Hit]:
    """The mean to subtract does not fit the data.

    ## What it does

    More than one `mean_value`, but not as many as channels; a mean file that is missing, is none, holds NaN, or has
    another size than the items.

    ## Why is this bad?

    Caffe stops, for the file when it builds the net, for the rest at the first item.

    ## When it is reported

    Never: Caffe stops.

    ## Fix

    Where all values are the same, the fix leaves one, which counts for every channel: it is safe.

    ## References

    data_transformer.cpp, constructor and Transform.
    """
    from ...data import mean_file  # keeps the reader of mean files out of the start

    transform = data.layer.message["transform_param"]
    shapes = data.shapes
    main = max(shapes, key=lambda shape: shapes[shape][0]) if shapes else None
    means = transform["mean_value"]
    if main is not None and len(means) > 1 and len(means) != main[0]:
        message = f"there are {len(means)} mean_value, but {data.name} has {main[0]} channels"
        fix = None
        if len(set(means)) == 1:
            tree = data.net.file.tree
            left = remove_field(tree, transform, "mean_value")
            edits = sorted(left.edits, key=lambda edit: edit.start)[1:]
            change = left.changes[0]._replace(values=(means[0],))  # type: ignore[call-arg]
            if edits and len(edits) == len(means) - 1:
                fix = Patch(tuple(edits), (change,)).fix(data.net.file.path, "leave one mean_value, for every channel")
        reason = "Caffe stops at the first item: it wants one, or one for each channel."
        yield Hit(data.net.file, transform.span("mean_value"), message, reason, fix=fix)
    written = transform.get("mean_file")
    if not written or data.from_facts:
        return
    span = transform.span("mean_file")
    stops = "Caffe stops when it builds the net."
    try:
        mean = mean_file.read(os.path.join(data.source.base, written))
    except OSError as error:
        yield Hit(data.net.file, span, f"mean file '{written}': {error.strerror or error}", stops)
        return
    except mean_file.BrokenMean as error:
        yield Hit(data.net.file, span, f"mean file '{written}': {error}", stops)
        return
    if mean.faulty:
        yield Hit(data.net.file, span, f"mean file '{written}': {mean.faulty}", "Every item becomes NaN.")
    size = tuple(main) if main is not None else ()
    if data.report.kind == "images" and data.param["new_height"] and data.param["new_width"] and main is not None:
        size = (main[0], data.param["new_height"], data.param["new_width"])
    if size and mean.shape != size and data.report.kind != "windows" and "resize_param" not in transform.entries:
        shown, own = " x ".join(map(str, mean.shape)), " x ".join(map(str, size))
        message = f"mean file '{written}' is {shown}, the items of {data.name} are {own}"
        yield Hit(data.net.file, span, message, "Caffe stops at the first item.")


@rule("D112", "hdf5-dataset-mismatch", subject="inputs", severity="error")
def hdf5_dataset_mismatch(data: LayerData) -> Iterator[Hit]:
    """HDF5 files do not hold what the layer's tops want.

    ## What it does

    No dataset that is called like a top; datasets that hold neither floats nor integers; datasets of one file with
    different numbers of items; files whose items have different dimensions; a transform_param (E210 finds it in a
    check); as an advice, a last batch that begins anew.

    ## Why is this bad?

    Caffe stops, for a later file of the list in the middle of an epoch.

    ## When it is reported

    The file is there for another net, and the list is to be divided.

    ## Example

    Or another name for the top. There is no fix: only you know which dataset is meant.

    ## References

    hdf5_data_layer.cpp, LoadHDF5FileData; util/hdf5.cpp, hdf5_load_nd_dataset_helper.
    """
    stops = "Caffe stops when it reads the file."
    if data.report.kind != "hdf5":
        return
    yield from seen(data, "no-dataset", "datasets are missing", stops)
    yield from seen(data, "type", "datasets hold neither floats nor integers", stops)
    yield from seen(data, "dims", "datasets have other dimensions", stops)
    yield from seen(data, "lengths", "files have datasets of different lengths", stops)
    if "transform_param" in data.layer.message and not data.from_facts:
        span = data.layer.message.span("transform_param")
        message = f"{data.name}: HDF5Data transforms nothing, but there is a transform_param"
        yield Hit(data.net.file, span, message, "Caffe stops when it builds the net.")
    items, batch = data.report.items or 0, data.batch
    if batch and items and items % batch and not data.report.faults:
        message = (
            f"{data.name} has {items} items, which {batch} do not divide: the last batch begins with the first again"
        )
        span = data.param.span("batch_size")
        reason = f"An epoch is {-(-items // batch)} batches less {batch - items % batch} items."
        yield Hit(data.net.file, span, message, reason, "advice")


@rule("D113", "data-shape-mismatch", subject="inputs", severity="error")
def data_shape_mismatch(data: LayerData) -> Iterator[Hit]:
    """With the shapes that the data have, Caffe would refuse the net.

    ## What it does

    What the rules about nets would find if the net said what the data are like: numbers of channels that `group`
    does not divide, targets of another size than the predictions, images that are too small for the poolings.

    ## Why is this bad?

    Caffe stops when it builds the net.

    ## When it is reported

    Never: Caffe does not build the net from these data.

    ## Example

    There is no fix: it is a decision of the architecture.

    ## References

    As for E205 to E209.
    """
    if data.from_facts:
        return  # the check has built the net with these shapes
    from ...data.fitting import new_problems  # keeps what builds trial nets out of the start

    for problem in new_problems(data):
        reason = f"The items of {data.name} have this shape; Caffe stops ({problem.source})."
        yield Hit(data.net.file, (problem.start, problem.end), problem.message, reason)
