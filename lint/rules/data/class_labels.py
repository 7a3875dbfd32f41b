"""Class labels that are out of range, not integers, or unevenly distributed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from ...data.source_report import ITEM_LABELS
from ...net.label_sources import label_sources
from ...rule.finding import Hit
from ...rule.registry import Option, rule
from ...source.wording import counted
from .faulty_items import faulty_items
from .label_ranges import MOST_CLASSES, arriving, examples, labels_out_of_range, total

if TYPE_CHECKING:
    from ...data.judging import LayerData


_SHOWN = 8  # classes in a message
_BOXES = 3  # the bottom of a MultiBoxLoss with the boxes of the data


@rule("D107", "invalid-class-label", subject="inputs", severity="error")
def invalid_class_label(data: LayerData) -> Iterator[Hit]:
    """Flags class labels that are negative or not below the number of classes.

    ## What it does

    Compares the labels with the number of classes that each loss or accuracy layer expects. It flags labels outside the
    range from 0 to classes - 1, except for the `ignore_label` of that layer. Labels are those of the items, the pixels of label
    images in a database or list, or HDF5 datasets, as they arrive after `transform_param`, Slice and Power layers.

    Labels of boxes are compared with `num_classes` and `background_label_id` of SSD's MultiBoxLoss.

    ## Why is this bad?

    A release build of Caffe does not check labels. On a CPU it reads memory outside the scores, and the loss has no meaning;
    on a GPU the loss is NaN or negative. Some runs stop with `malloc(): corrupted top size`.

    ## When it is reported

    Reported as an **error** by `caffe-lint inputs`, and in checks if `caffe-lint.data.json` has the labels.

    There is no fix, because only you know how many classes there are: change the number of classes, the labels or
    `ignore_label`.

    ## References

    `Forward_cpu` in softmax_loss_layer.cpp, which checks labels by a DCHECK only. Verified with the real Caffe.
    """
    uses = [use for use in data.label_uses if use.classes != 1 or not data.from_facts]  # N601 reports these
    for message, reason in labels_out_of_range(data.name, uses, data.labels_of):
        yield Hit(data.net.file, data.place, message, reason)
    yield from _labels_of_boxes(data)


def _labels_of_boxes(data: LayerData) -> Iterator[Hit]:
    """The labels of boxes against the classes of SSD's MultiBoxLoss, one of which is the background."""
    labels = data.report.labels.get(ITEM_LABELS, {})
    for loss in data.net.net.layers if labels else ():
        if loss.traits.settings != "multibox_loss_param" or len(loss.bottoms) <= _BOXES:
            continue
        if not any(source.top.producer is data.layer for source in label_sources(loss.bottoms[_BOXES])):
            continue
        param = loss.message["multibox_loss_param"]
        classes, background = param.get("num_classes", 0), param.get("background_label_id", 0)
        agnostic = param.get("map_object_to_agnostic", False)
        bad = {
            label: found
            for label, found in labels.items()
            if label == background or label < 0 or (classes and label >= classes and not agnostic)
        }
        if not bad:
            continue
        number = total(bad)
        boxes = counted(number, "box", "boxes") if number else "boxes"
        what = f"out of range for the {classes} classes of {loss.type} '{loss.name}'"
        message = f"{data.name}: labels of {boxes} {what}: {examples(bad)}"
        if background in bad:
            reason = f"Caffe stops: Found background label in the dataset. {background} is the background_label_id."
        else:
            reason = "Caffe does not check labels of boxes: it stops, or uses memory outside the scores."
        most = int(max(labels))
        if background == 0 and min(labels) >= 1 and most < MOST_CLASSES:
            reason += f" The background is a class, so labels up to {most} need num_classes: {most + 1}."
        yield Hit(data.net.file, data.place, message, reason)


@rule("D108", "non-integer-label", subject="inputs", severity="warning")
def non_integer_label(data: LayerData) -> Iterator[Hit]:
    """Flags class labels that are not integers.

    ## What it does

    Flags fractions in a dataset that a loss reads as class labels, and labels in an image list that are not integers.

    ## Why is this bad?

    Caffe prints no message and uses another class: it truncates 0.9 to class 0, and reads a word as class 0.

    ## When it is reported

    Reported as a **warning** by `caffe-lint inputs`, and in checks if `caffe-lint.data.json` has the labels. There is no fix,
    because only you know which class is meant.

    ## References

    `Forward_cpu` in softmax_loss_layer.cpp (`static_cast<int>`); image_data_layer.cpp (`atoi`).
    """
    reason = "Caffe reads the digits at the start of such a label, or 0 if there are none."
    yield from faulty_items(data, "label", "label", "is not an integer", "are not integers", reason)
    for use in {use.top: use for use in data.label_uses}.values():
        fractions = {label: found for label, found in data.labels_of(use).items() if label != int(label)}
        if not fractions:
            continue
        number = total(fractions)
        labels = "1 label is not an integer" if number == 1 else f"{number or ''} labels are not integers".lstrip()
        message = f"{data.name}: {labels}: {examples(fractions)}"
        yield Hit(data.net.file, data.place, message, "Caffe truncates the fraction.")


@rule(
    "D109",
    "class-imbalance",
    subject="inputs",
    severity="advice",
    options={
        "imbalance": Option(100.0, "how many times as often as another class the most frequent class may occur", least=1)
    },
)
def class_imbalance(data: LayerData, *, imbalance: float) -> Iterator[Hit]:
    """Flags classes that never occur in the training data, or much less often than others.

    ## What it does

    Flags training data without any item of a class that the loss expects, and data in which one class occurs more than
    `imbalance` times as often as another. D119 reports data with a single class.

    ## Why is this bad?

    A class without items is never learned. If one class is much more frequent than the others, the net learns to predict
    that class.

    ## When it is reported

    Reported as **advice** by `caffe-lint inputs` if all items were read, and in checks if `caffe-lint.data.json` has the
    number of items of each class.

    There is no fix: add data, or lower the number of classes. Ignore it if the missing classes are to be learned later, from
    other data.

    ## Options

    `imbalance`: how many times as often as another class the most frequent class may occur, 100 by default.

    ## References

    Counted in the data.
    """
    report = data.report
    if data.net.phase != "TRAIN" or not report.complete or report.looked_at < (report.items or 0):
        return
    for use in data.label_uses[:1]:
        labels = arriving(use, data.labels_of(use))
        if use.classes is None or not use.source.whole or not all(number for number, _ in labels.values()):
            continue  # perhaps only the range is known
        counts: dict[int, int] = {}
        for label, (number, _) in labels.items():
            if 0 <= label < use.classes and int(label) != use.ignored:
                counts[int(label)] = counts.get(int(label), 0) + number
        expected = {*counts, use.ignored} if use.ignored is not None and 0 <= use.ignored < use.classes else counts.keys()
        missing = use.classes - len(expected)  # the number is of the net, and may be in the billions
        if missing and len(counts) > 1:
            first = islice((label for label in range(use.classes) if label not in expected), _SHOWN)
            shown = ", ".join(map(str, first)) + (" …" if missing > _SHOWN else "")
            verb = "never occurs" if missing == 1 else "never occur"
            message = f"{data.name}: {missing} of {use.classes} classes of '{use.reader.name}' {verb}: {shown}"
            yield Hit(data.net.file, data.place, message, "A class without items is never learned.")
        if len(counts) > 1:
            frequent, rare = max(counts, key=lambda label: counts[label]), min(counts, key=lambda label: counts[label])
            if counts[frequent] > imbalance * counts[rare]:
                message = (
                    f"{data.name}: class {frequent} occurs {counted(counts[frequent], 'time')},"
                    f" class {rare} {counted(counts[rare], 'time')}"
                )
                yield Hit(data.net.file, data.place, message, "The net learns to predict the frequent class.")


@rule("D119", "single-class-data", subject="inputs", severity="warning")
def single_class_data(data: LayerData) -> Iterator[Hit]:
    """Flags training data whose labels are all of one class.

    ## What it does

    Flags labels of training data that have the same value in all items or pixels, apart from the `ignore_label` of the loss that
    reads them.

    ## Why is this bad?

    The net learns to predict this class whatever the input is: the loss falls to 0 and the accuracy on such data is 1. Usually
    the labels were lost when the data were written: `convert_imageset` writes 0 for a line that it cannot read, and a database
    of images has the label 0 in all items if none was set.

    ## When it is reported

    Reported as a **warning** by `caffe-lint inputs` if all items were read, and in checks if `caffe-lint.data.json` has the
    labels. Nothing is reported if the loss gets labels from other sources as well. There is no fix: write the data again.

    ## References

    `ReadImageToDatum` in io.cpp, and `Datum.label`, which is 0 if it is not set.
    """
    report = data.report
    if data.net.phase != "TRAIN" or not report.complete or report.looked_at < (report.items or 0):
        return
    for use in data.label_uses:
        if use.reader.traits.measures or use.classes == 1 or sum(1 for _ in label_sources(use.reader.bottoms[1])) > 1:
            continue
        found = {int(label) for label in arriving(use, data.labels_of(use)) if math.isfinite(label)} - {use.ignored}
        if len(found) == 1 and use.source.whole and (report.items or 0) > 1:
            message = f"{data.name}: all labels of '{use.reader.name}' are {found.pop()}"
            if use.ignored is not None:
                message += f", apart from the ignored {use.ignored}"
            yield Hit(data.net.file, data.place, message, "The net learns to predict this class, whatever the input is.")
            return
