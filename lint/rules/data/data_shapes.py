"""Shapes of the data that do not match each other, the mean or the net."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...fixes.edit import Fix
from ...fixes.fields import Patch, remove_field, set_field
from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.wording import counted
from .faulty_items import faulty_items
from .matrix_files import read_matrix

if TYPE_CHECKING:
    from ...data.judging import LayerData


@rule("D110", "image-size-mismatch", subject="inputs", severity="error", fixes="unsafe")
def image_size_mismatch(data: LayerData) -> Iterator[Hit]:
    """Flags items that are smaller than `crop_size`, or that differ in size or number of channels.

    ## What it does

    - Flags items whose height or width is smaller than `crop_size`.
    - Without `crop_size`, flags items of different sizes, unless `batch_size` is 1 or an ImageData layer sets `new_height`
      and `new_width`.
    - Flags items with different numbers of channels, such as greyscale images among colour images in a database of encoded
      images.

    ## Why is this bad?

    Caffe stops at the first such item, often in the middle of an epoch.

    ## When it is reported

    Reported as an **error** by `caffe-lint inputs`, and in checks if `caffe-lint.data.json` has the size of the items.

    ## Fix

    For ImageData, sets `new_height` and `new_width`: the most frequent size, or `crop_size` where that is larger. This fix
    is unsafe, because it changes what the net sees.

    For greyscale among colour images in a database, sets `force_color: true` in an existing `transform_param`. This fix is
    safe: Caffe applies `force_color` to encoded images only.

    ## References

    `Transform` in data_transformer.cpp, which checks `channels == datum_channels` and `datum_height >= crop_size`.
    """
    shapes = data.shapes
    if not shapes or data.report.kind == "windows":
        return
    images = data.report.kind == "images"
    transform = data.layer.message["transform_param"]
    if "resize_param" in transform.entries:
        return
    crop = transform["crop_size"]
    stops = "Caffe stops at the first such item, often in the middle of an epoch."
    resized = images and data.param["new_height"] and data.param["new_width"]
    main = max(shapes, key=lambda shape: shapes[shape][0])
    if len({shape[0] for shape in shapes}) > 1:
        others = {shape: occurrences for shape, occurrences in shapes.items() if shape[0] != main[0]}
        number = sum(count for count, _ in others.values())
        shape, (_, where) = next(iter(others.items()))
        verb = "does" if number == 1 else "do"
        message = (
            f"{data.name}: {counted(number, 'item')} {verb} not have {counted(main[0], 'channel')} like most:"
            f" {where} has {shape[0]}"
        )
        fix = None
        is_mixed = data.report.encoded and main[0] == 3 and data.source.field == "data_param"
        if is_mixed and "transform_param" in data.layer.message:
            patch = set_field(data.net.file.tree, transform, "force_color", True)
            fix = patch.fix(data.net.file.path, "set force_color to true")
        yield Hit(data.net.file, data.place, message, stops, fix=fix)
    if resized:
        return
    if crop:
        small = {shape: occurrences for shape, occurrences in shapes.items() if min(shape[1:]) < crop}
        if small:
            number = sum(count for count, _ in small.values())
            shape, (_, where) = min(small.items(), key=lambda one: min(one[0][1:]))
            verb = "is" if number == 1 else "are"
            message = (
                f"{data.name}: {counted(number, 'item')} {verb} smaller than crop_size {crop}:"
                f" {where + ' is ' if where else ''}{shape[1]} x {shape[2]}"
            )
            fix = _resize(data, max(crop, main[1]), max(crop, main[2])) if images else None
            yield Hit(data.net.file, transform.span("crop_size"), message, stops, fix=fix)
    elif len({shape[1:] for shape in shapes}) > 1 and data.batch != 1:
        shown = ", ".join(f"{shape[1]} x {shape[2]} ({where})" for shape, (_, where) in list(shapes.items())[:3])
        sizes = len({shape[1:] for shape in shapes})
        message = f"{data.name}: items have {sizes} different sizes, and no crop_size is set: {shown}"
        fix = _resize(data, main[1], main[2]) if images else None
        reason = "All items of a batch must have one size. Caffe stops at the first that differs, often in the middle of an epoch."
        yield Hit(data.net.file, data.place, message, reason, fix=fix)


def _resize(data: LayerData, height: int, width: int) -> Fix | None:
    if "v1" in data.net.net.upgraded.steps:
        return None
    patch = Patch()
    for name, size in (("new_height", height), ("new_width", width)):
        patch += set_field(data.net.file.tree, data.param, name, size)
    return patch.fix(data.net.file.path, f"set new_height to {height} and new_width to {width}", safe=False)


@rule("D111", "mean-mismatch", subject="inputs", severity="error", fixes="safe")
def mean_mismatch(data: LayerData) -> Iterator[Hit]:
    """Flags `mean_value` entries and mean files that do not match the data.

    ## What it does

    Flags `mean_value` entries whose number is neither 1 nor the number of channels, and mean files that are missing or
    invalid, contain NaN or infinity, or differ in shape from the items.

    ## Why is this bad?

    Caffe stops: for a missing or invalid mean file, when it builds the net; for a mean that does not match, at the first
    item. A NaN in the mean file makes every item NaN.

    ## When it is reported

    Reported as an **error** by `caffe-lint inputs`. The number of `mean_value` entries is also compared in checks, if
    `caffe-lint.data.json` has the shape of the items.

    ## Fix

    If all `mean_value` entries are equal, keeps one of them, which Caffe uses for every channel. The fix is safe. Other
    mismatches are not fixed.

    ## References

    The constructor of `DataTransformer` and `Transform` in data_transformer.cpp.
    """
    transform = data.layer.message["transform_param"]
    shapes = data.shapes
    main = max(shapes, key=lambda shape: shapes[shape][0]) if shapes else None
    means = transform["mean_value"]
    if main is not None and len(means) > 1 and len(means) != main[0]:
        message = f"{len(means)} mean_value entries, but {data.name} has {counted(main[0], 'channel')}"
        fix = None
        if len(set(means)) == 1:
            tree = data.net.file.tree
            left = remove_field(tree, transform, "mean_value")
            edits = sorted(left.edits, key=lambda edit: edit.start)[1:]
            change = left.changes[0]._replace(values=(means[0],))  # type: ignore[call-arg]
            if edits and len(edits) == len(means) - 1:
                fix = Patch(tuple(edits), (change,)).fix(data.net.file.path, "keep one mean_value for all channels")
        reason = "Caffe stops at the first item: it expects one entry, or one per channel."
        yield Hit(data.net.file, transform.span("mean_value"), message, reason, fix=fix)
    written = transform.get("mean_file")
    if not written or data.from_facts:
        return
    span = transform.span("mean_file")
    mean, faults = read_matrix(data, span, written, "mean file", "Every item becomes NaN.")
    yield from faults
    if mean is None:
        return
    size = tuple(main) if main is not None else ()
    if data.report.kind == "images" and data.param["new_height"] and data.param["new_width"] and main is not None:
        size = (main[0], data.param["new_height"], data.param["new_width"])
    if size and mean.shape != size and data.report.kind != "windows" and "resize_param" not in transform.entries:
        shown, own = " x ".join(map(str, mean.shape)), " x ".join(map(str, size))
        message = f"mean file '{written}' is {shown}, but the items of {data.name} are {own}"
        yield Hit(data.net.file, span, message, "Caffe stops at the first item.")


@rule("D112", "hdf5-dataset-mismatch", subject="inputs", severity="error")
def hdf5_dataset_mismatch(data: LayerData) -> Iterator[Hit]:
    """Flags HDF5 files whose datasets do not match the tops of the layer.

    ## What it does

    - Flags tops without a dataset of the same name, and datasets that contain neither floats nor integers.
    - Flags datasets of one file with different numbers of items, and files whose items differ in shape.
    - Flags HDF5Data layers with a `transform_param` (in checks, E210 reports them).
    - Flags a number of items that is not divisible by `batch_size`.

    ## Why is this bad?

    Caffe stops when it reads the file; for a later file of the list, that is in the middle of an epoch. If the batch size does
    not divide the number of items, the last batch of an epoch also contains the first items of the next one.

    ## When it is reported

    - **advice** for a number of items that is not divisible by `batch_size`; also in checks, if `caffe-lint.data.json` has the
      number of items;
    - **error** for everything else, by `caffe-lint inputs`.

    There is no fix, because only you know which dataset is meant. Rename the top or the dataset; if the file belongs to
    another net, remove it from the list.

    ## References

    `LoadHDF5FileData` in hdf5_data_layer.cpp and `hdf5_load_nd_dataset_helper` in util/hdf5.cpp.
    """
    stops = "Caffe stops when it reads the file."
    if data.report.kind != "hdf5":
        return
    yield from faulty_items(data, "no-dataset", "dataset", "is missing", "are missing", stops)
    one, several = "contains neither floats nor integers", "contain neither floats nor integers"
    yield from faulty_items(data, "type", "dataset", one, several, stops)
    yield from faulty_items(data, "dims", "dataset", "has the wrong shape", "have the wrong shape", stops)
    one, several = "has datasets of different lengths", "have datasets of different lengths"
    yield from faulty_items(data, "lengths", "file", one, several, stops)
    if "transform_param" in data.layer.message and not data.from_facts:
        span = data.layer.message.span("transform_param")
        message = f"{data.name}: HDF5Data does not support transform_param"
        yield Hit(data.net.file, span, message, "Caffe stops when it builds the net.")
    items, batch = data.report.items or 0, data.batch
    if batch and items and items % batch and not data.report.faults:
        message = f"{data.name}: {counted(items, 'item')} cannot be divided into batches of {batch}"
        span = data.param.span("batch_size")
        extra = batch - items % batch
        reason = f"The last of {-(-items // batch)} batches also contains the first {counted(extra, 'item')} again."
        yield Hit(data.net.file, span, message, reason, "advice")


@rule("D113", "data-shape-mismatch", subject="inputs", severity="error")
def data_shape_mismatch(data: LayerData) -> Iterator[Hit]:
    """Flags nets that Caffe cannot build with the shapes of the data.

    ## What it does

    Builds the net with the shapes of its data, and flags what the rules for nets would report if the net contained these
    shapes: numbers of channels that `group` does not divide, targets that differ in size from the predictions, images that
    are too small for the pooling layers.

    ## Why is this bad?

    Caffe stops when it builds the net.

    ## When it is reported

    Reported as an **error** by `caffe-lint inputs`, unless the net has the same problem without these shapes. There is no
    fix, because the architecture or the data have to change.

    ## References

    Those of E205 to E209.
    """
    if data.from_facts:
        return  # checks build the net with these shapes anyway
    from ...data.fitting import new_problems  # keeps what builds trial nets out of the start

    for problem in new_problems(data):
        reason = f"The shape is that of the items of {data.name}; Caffe stops ({problem.source})."
        yield Hit(data.net.file, (problem.start, problem.end), problem.message, reason)
