"""What the data themselves are like: rules of `caffe-lint inputs`, which has looked into the sources."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...fixes.edit import Fix
from ...fixes.fields import Patch, remove_field, set_field
from ...rule.finding import Hit
from ...rule.registry import Option, rule
from .test_passes import judge_pass

if TYPE_CHECKING:  # a check, which loads all rules, does not look into data
    from ...data.judging import LayerData

_DATABASE = "data_param"


def _named(values: dict[float, list[Any]]) -> str:
    """Some labels, each with where it was seen; facts do not tell where."""
    return "; ".join(f"{label:g} ({seen[1]})" if seen[1] else f"{label:g}" for label, seen in sorted(values.items())[:3])


def _number(values: dict[float, list[Any]]) -> str:
    """How many labels they are; facts may tell the range alone."""
    number = sum(seen[0] for seen in values.values())
    return f"{number} labels" if number else "labels"


def _seen(data: LayerData, kind: str, what: str, reason: str, severity: str = "") -> Iterator[Hit]:
    """A finding for the items with a fault, named at the source."""
    fault = data.report.faults.get(kind)
    if fault is not None:
        of = f" of {data.report.looked_at}" if data.report.looked_at else ""
        yield Hit(
            data.net.file, data.place, f"{data.name}: {fault.count}{of} {what}: {fault.shown()}", reason, severity
        )


@rule("D101", "missing-data-source", subject="inputs", severity="error")
def missing_data_source(data: LayerData) -> Iterator[Hit]:
    """A source is not there, is empty or cannot be opened, or files that a list names are missing.

    ## What it does

    Sources that do not exist from the working directory or the net's folder, databases and lists without items,
    databases and HDF5 files that cannot be opened, and names in lists for which there is no file.

    ## Why is this bad?

    Caffe stops: when it builds the net for a source, or in the middle of an epoch for an image.

    ## When it is reported

    Never: Caffe stops.

    ## Example

    There is no fix: a name in the list may be wrong, or a file lost.

    ## References

    data_layer.cpp, image_data_layer.cpp, hdf5_data_layer.cpp, window_data_layer.cpp: DataLayerSetUp, load_batch.
    """
    report = data.report
    if report.trouble_kind in ("missing", "unreadable"):
        yield Hit(data.net.file, data.place, report.trouble, "Caffe stops when it builds the net.")
    elif report.items == 0 and report.complete and not report.faults:
        yield Hit(data.net.file, data.place, f"{data.name} has no items", "Caffe stops, or waits for ever.")
    yield from _seen(data, "missing", "files are missing", "Caffe stops when it comes to the first of them.")


@rule("D102", "wrong-data-backend", subject="inputs", severity="error", fixes="safe")
def wrong_data_backend(data: LayerData) -> Iterator[Hit]:
    """`backend` names another kind of database than the one that is there.

    ## What it does

    LEVELDB, which is also what no `backend` means, for an LMDB, and the reverse.

    ## Why is this bad?

    Caffe stops when it builds the net; opening an LMDB as LevelDB may leave new files in its folder.

    ## When it is reported

    Never: Caffe stops.

    ## Fix

    The fix writes the backend that the source has. It is safe: the source would not open otherwise.

    ## References

    data_layer.cpp, DataLayer::DataLayer; util/db.cpp, GetDB. The default of DataParameter.backend is LEVELDB.
    """
    if data.source.field != _DATABASE or data.report.trouble:
        return
    said, is_ = data.param["backend"], data.report.kind.upper()
    if said in ("LEVELDB", "LMDB") and said != is_:
        how = f"backend is {said}" if "backend" in data.param else f"no backend is written, which means {said}"
        patch = set_field(data.net.file.tree, data.param, "backend", is_, text=is_, beside=("source", "batch_size"))
        span = data.param.span("backend") if "backend" in data.param else data.place
        fix = patch.fix(data.net.file.path, f"write backend: {is_}")
        reason = "Caffe stops when it builds the net."
        article = "an" if is_ == "LMDB" else "a"
        yield Hit(data.net.file, span, f"{data.name} is {article} {is_}, but {how}", reason, fix=fix)


@rule("D103", "non-finite-data", subject="inputs", severity="error")
def non_finite_data(data: LayerData) -> Iterator[Hit]:
    """Items hold NaN or infinity.

    ## What it does

    Values of HDF5 datasets, of float_data and of mean files that are not finite.

    ## Why is this bad?

    Out of a healthy training every weight becomes NaN in the iteration that meets the item, every time.

    ## When it is reported

    Never: every weight is NaN after the iteration that meets one.

    ## Example

    There is no fix: what makes the data has to be repaired.

    ## References

    Seen with the real Caffe: the run-up is healthy, the first bad line of the log is a data layer's top.
    """
    reason = "Every weight is NaN after the iteration that meets one."
    yield from _seen(data, "nan", "items hold NaN", reason)
    yield from _seen(data, "infinite", "items hold infinity", reason)


@rule("D104", "corrupt-data", subject="inputs", severity="error")
def corrupt_data(data: LayerData) -> Iterator[Hit]:
    """Items are broken: records that are no Datum, data of the wrong length, images that cannot be decoded.

    ## What it does

    Records and files that are empty, break off, or hold something else; Datums whose data are not channels x
    height x width; boxes outside of their image.

    ## Why is this bad?

    Caffe stops at most of them, in the middle of an epoch. An image that breaks off it reads, with the rest grey.

    ## When it is reported

    The images that break off are to be used as they are, the rest grey.

    ## Example

    There is no fix: the items have to be made anew, or taken out.

    ## References

    data_transformer.cpp, Transform; util/io.cpp, DecodeDatumToCVMat, ReadImageToCVMat.
    """
    stops = "Caffe stops when it comes to one, or reads beyond its end."
    yield from _seen(data, "broken", "items are broken", stops)
    yield from _seen(data, "empty", "items are empty", stops)
    yield from _seen(data, "size", "items have data of another length than their shape", stops)
    yield from _seen(data, "unreadable", "images cannot be decoded", stops)
    yield from _seen(
        data, "truncated", "images break off", "Caffe trains on what there is; the rest is grey.", "warning"
    )
    yield from _seen(
        data, "box", "boxes lie outside of their image or have no extent", "They are cut or make NaN.", "warning"
    )


@rule(
    "D105",
    "data-outliers",
    subject="inputs",
    severity="warning",
    options={"factor": Option(1000.0, "how many times the greatest value of the item in the middle is too much")},
)
def data_outliers(data: LayerData, *, factor: float) -> Iterator[Hit]:
    """A few items have values out of all proportion to the others.

    ## What it does

    Items whose greatest magnitude is `factor` times that of the item in the middle, if they are at most one in
    a hundred.

    ## Why is this bad?

    One of them makes a gradient that throws the weights away, often in the same iteration of every epoch.

    ## When it is reported

    The values are right, and the loss bounds its gradient (a Huber loss, say) or the solver has clip_gradients.

    ## Example

    Or bound the values before the net learns from them. There is no fix: only you know what they ought to be.

    ## Options

    `factor`: 1000 by default.

    ## References

    The gradient of a layer's weights is proportional to its input.
    """
    for name, numbers in data.report.data.items():
        number = numbers.out_of_proportion(factor)
        if number and number * 100 <= sum(numbers.exponents.values()):
            worst = "; ".join(f"{where}: {size:.4g}" for size, where in numbers.largest[: min(3, number)])
            of = f" of '{name}'" if data.report.kind == "hdf5" else ""
            message = f"{data.name}: {number} items{of} have values over {factor:g} times those of the others: {worst}"
            yield Hit(data.net.file, data.place, message, "Their gradients are as many times as large.")


@rule("D106", "malformed-list-file", subject="inputs", severity="error")
def malformed_list_file(data: LayerData) -> Iterator[Hit]:
    """Lines of a list or a window file are not as Caffe reads them.

    ## What it does

    Lines without a label, with a tab or several spaces before it, with several labels; paths with spaces (a
    warning: Caffe before 1.0 breaks them at the first); windows in the foreground with label 0; images of another
    size than the window file says.

    ## Why is this bad?

    What does not follow the last space is taken for the path, and Caffe stops when it looks for that file.

    ## When it is reported

    Never for a line without a label. Paths with spaces are fine in Caffe 1.0 and later.

    ## Example

    There is no fix: only you know the label.

    ## References

    image_data_layer.cpp, window_data_layer.cpp: DataLayerSetUp.
    """
    stops = "Caffe takes all before the last space for the path, and stops when it looks for that file."
    yield from _seen(data, "line", "lines are not 'path label'", stops)
    yield from _seen(
        data, "space", "paths hold spaces", "Caffe before 1.0 takes the first space for the end.", "warning"
    )
    yield from _seen(data, "foreground", "windows in the foreground have label 0 or less", "Caffe stops.")
    if data.report.kind == "windows":
        yield from _seen(data, "dims", "images have another size", "Windows are cut from the wrong place.", "warning")


@rule("D107", "invalid-class-label", subject="inputs", severity="error")
def invalid_class_label(data: LayerData) -> Iterator[Hit]:
    """Labels are negative, or not below the number of classes that a loss or an accuracy compares them with.

    ## What it does

    For each use of a top as label: values outside of 0 to classes - 1, other than `ignore_label`.

    ## Why is this bad?

    A release build does not check: on a CPU it reads what lies beside the scores, and the loss means nothing; on a
    GPU it is NaN or negative. Some stop with `malloc(): corrupted top size`.

    ## When it is reported

    Never: the loss reads memory that is not its own.

    ## Example

    Or another label, or `ignore_label`. There is no fix: only you know how many classes there are.

    ## References

    softmax_loss_layer.cpp, Forward_cpu: the check is a DCHECK. Seen with the real Caffe.
    """
    if data.report.kind == "hdf5" and len({use.top for use in data.label_uses}) > 1:
        return  # the report counts the labels of all datasets together
    for use in data.label_uses:
        if use.classes is None or not use.whole or (data.report.kind != "hdf5" and use.top.top_index != 1):
            continue
        bad = {
            label: seen
            for label, seen in data.report.labels.items()
            if not 0 <= int(label) < use.classes and label != use.ignored
        }
        if not bad:
            continue
        scores = use.scores_of
        where = f" ('{scores.name}')" if scores is not None else ""
        message = (
            f"{data.name}: {_number(bad)} are not among the {use.classes} classes"
            f" of {use.reader.type} '{use.reader.name}'{where}: {_named(bad)}"
        )
        least, most = min(data.report.labels), max(data.report.labels)
        if least == 1 and most == use.classes and len(bad) == 1:
            message += "; they seem to count from 1"
        reason = "Caffe does not check: it reads beside the scores, or the loss is NaN."
        yield Hit(data.net.file, data.place, message, reason)


@rule("D108", "non-integer-label", subject="inputs", severity="warning")
def non_integer_label(data: LayerData) -> Iterator[Hit]:
    """Labels of classes are not integers.

    ## What it does

    Fractions in a dataset that a loss takes for classes; labels in a list that are no integer.

    ## Why is this bad?

    Caffe cuts them off without a word: 0.9 is class 0, and a word is class 0 as well.

    ## When it is reported

    Never: a word is class 0.

    ## Example

    There is no fix: only you know which class it is.

    ## References

    softmax_loss_layer.cpp, Forward_cpu (static_cast<int>); image_data_layer.cpp (atoi).
    """
    yield from _seen(data, "label", "labels are no integers", "Caffe reads the digits they begin with, else 0.")
    broken = {label: seen for label, seen in data.report.labels.items() if label != int(label)}
    if broken and data.label_uses:
        message = f"{data.name}: {_number(broken)} are no integers: {_named(broken)}"
        yield Hit(data.net.file, data.place, message, "Caffe cuts off the fraction.")


@rule(
    "D109",
    "class-imbalance",
    subject="inputs",
    severity="advice",
    options={"imbalance": Option(100.0, "how many times as often the most frequent class may occur")},
)
def class_imbalance(data: LayerData, *, imbalance: float) -> Iterator[Hit]:
    """Classes never occur in the training data, or some far more often than others.

    ## What it does

    In TRAIN: classes of the loss for which there is no item; a class that occurs over `imbalance` times as often as
    another.

    ## Why is this bad?

    What never occurs is never learnt. With heavy imbalance the net learns to name the frequent class.

    ## When it is reported

    The classes are to be learnt later, from other data.

    ## Example

    Or fewer classes. There is no fix: the data have to be completed.

    ## Options

    `imbalance`: 100 by default.

    ## References

    The counts of the data.
    """
    report = data.report
    if data.net.phase != "TRAIN" or not report.complete or report.looked_at < (report.items or 0):
        return
    if not all(number for number, _ in report.labels.values()):
        return  # only the range is known
    for use in data.label_uses[:1]:
        if use.classes is None or not use.whole or (report.kind != "hdf5" and use.top.top_index != 1):
            continue
        counts = {int(label): seen[0] for label, seen in report.labels.items() if 0 <= label < use.classes}
        never = [label for label in range(use.classes) if label not in counts and label != use.ignored]
        if never and counts:
            shown = ", ".join(map(str, never[:8])) + (" …" if len(never) > 8 else "")
            message = (
                f"{data.name}: {len(never)} of the {use.classes} classes of '{use.reader.name}' never occur: {shown}"
            )
            yield Hit(data.net.file, data.place, message, "What never occurs is not learnt.")
        if len(counts) > 1:
            often, seldom = max(counts, key=lambda one: counts[one]), min(counts, key=lambda one: counts[one])
            if counts[often] > imbalance * counts[seldom]:
                message = (
                    f"{data.name}: class {often} occurs {counts[often]} times, class {seldom} {counts[seldom]} times"
                )
                yield Hit(data.net.file, data.place, message, "The net learns to name the frequent class.")


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
        is_mixed = data.report.encoded and main[0] == 3 and data.source.field == _DATABASE
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
    yield from _seen(data, "no-dataset", "datasets are missing", stops)
    yield from _seen(data, "type", "datasets hold neither floats nor integers", stops)
    yield from _seen(data, "dims", "datasets have other dimensions", stops)
    yield from _seen(data, "lengths", "files have datasets of different lengths", stops)
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


@rule("D114", "test-iter-mismatch", subject="inputs", severity="warning", fixes="safe")
def test_iter_mismatch(data: LayerData) -> Iterator[Hit]:
    """A test does not go through the test data once.

    ## What it does

    `test_iter` times the batch size of the test net that is less than the number of items, or reaches it a batch or
    more too late.

    ## Why is this bad?

    A part of the data is never tested in that pass, or some count twice: the accuracy is that of other data each time.

    ## When it is reported

    The test data are so many that a part of them is enough.

    ## Fix

    The fix writes the number of batches, rounded up. It is safe: it changes what is tested, not what is learnt.

    ## References

    solver.cpp, Solver::Test; the data layers begin anew at the end.
    """
    if data.job is not None and data.test is not None:
        hit = judge_pass(data.job.solver, data.test, data.report.items or 0, data.batch or 0, data.name)
        if hit is not None:
            yield hit


@rule("D115", "train-test-overlap", subject="inputs", severity="warning")
def train_test_overlap(data: LayerData) -> Iterator[Hit]:
    """Items of the test data are among those of the training data.

    ## What it does

    Items with the same content, compared by a sample of up to 65,536 contents of each source that takes the same
    items of both. A test that names the source of the training is said so.

    ## Why is this bad?

    The accuracy is of what was learnt by heart, and does not show overfitting.

    ## When it is reported

    The test is there to show how well the training data are learnt.

    ## Example

    There is no fix: the items have to be taken out of one of the two.

    ## References

    The contents of the items.
    """
    if data.net.phase != "TEST":
        return
    for other in data.others:
        if other.net.phase != "TRAIN" or other.source.field != data.source.field:
            continue
        if os.path.realpath(other.source.path) == os.path.realpath(data.source.path):
            if data.from_facts:
                continue  # which a check is told by N403
            message = f"the test reads {data.name}, which the training reads too"
            yield Hit(data.net.file, data.place, message, "The accuracy is of what was learnt.")
            continue
        shared, of, examples = data.report.same_contents(other.report)
        if shared:
            mine, theirs = examples[0]
            share = f"{shared} of {of}" + (" sampled" if (data.report.items or 0) > of else "")
            message = f"{share} items of {data.name} are in {other.name} as well: {mine} is {theirs} there"
            yield Hit(data.net.file, data.place, message, "The accuracy is of what was learnt.")
