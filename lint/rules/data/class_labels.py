"""Class labels that are out of range, not integers, or unevenly distributed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from ...rule.finding import Hit
from ...rule.registry import Option, rule
from ...source.wording import counted
from .faulty_items import faulty_items

if TYPE_CHECKING:
    from ...data.judging import LayerData


def _examples(labels: dict[float, list[Any]]) -> str:
    """Return up to three labels, each with the place of its first occurrence unless that is not known."""
    return "; ".join(
        f"{label:g} ({where})" if where else f"{label:g}" for label, (_, where) in sorted(labels.items())[:3]
    )


def _total(labels: dict[float, list[Any]]) -> int:
    """Return the number of occurrences, 0 if it is not known: facts may have the range of labels only."""
    return sum(number for number, _ in labels.values())

_SHOWN = 8  # classes in a message


@rule("D107", "invalid-class-label", subject="inputs", severity="error")
def invalid_class_label(data: LayerData) -> Iterator[Hit]:
    """Flags class labels that are negative or not below the number of classes.

    ## What it does

    Compares the labels with the number of classes that each loss or accuracy layer expects. It flags labels outside the
    range from 0 to classes - 1, except for `ignore_label`.

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
    if data.report.kind == "hdf5" and len({use.top for use in data.label_uses}) > 1:
        return  # the report counts the labels of all datasets together
    for use in data.label_uses:
        if use.classes is None or not use.whole or (data.report.kind != "hdf5" and use.top.top_index != 1):
            continue
        bad = {
            label: occurrences
            for label, occurrences in data.report.labels.items()
            if not 0 <= int(label) < use.classes and label != use.ignored
        }
        if not bad:
            continue
        number = _total(bad)
        labels = counted(number, "label") if number else "labels"
        reader = f"{use.reader.type} '{use.reader.name}'"
        message = f"{data.name}: {labels} out of range for the {use.classes} classes of {reader}: {_examples(bad)}"
        least, most = min(data.report.labels), max(data.report.labels)
        if least == 1 and most == use.classes and len(bad) == 1:
            message += "; labels seem to count from 1"
        scores = f" of '{use.scores_of.name}'" if use.scores_of is not None else ""
        reason = f"Caffe does not check labels: it reads memory outside the scores{scores}, or the loss is NaN."
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
    fractions = {label: occurrences for label, occurrences in data.report.labels.items() if label != int(label)}
    if fractions and data.label_uses:
        number = _total(fractions)
        labels = "1 label is not an integer" if number == 1 else f"{number or ''} labels are not integers".lstrip()
        message = f"{data.name}: {labels}: {_examples(fractions)}"
        yield Hit(data.net.file, data.place, message, "Caffe truncates the fraction.")


@rule(
    "D109",
    "class-imbalance",
    subject="inputs",
    severity="advice",
    options={"imbalance": Option(100.0, "how many times as often as another class the most frequent class may occur")},
)
def class_imbalance(data: LayerData, *, imbalance: float) -> Iterator[Hit]:
    """Flags classes that never occur in the training data, or much less often than others.

    ## What it does

    Flags training data without any item of a class that the loss expects, and data in which one class occurs more than
    `imbalance` times as often as another.

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
    if not all(number for number, _ in report.labels.values()):
        return  # only the range is known
    for use in data.label_uses[:1]:
        if use.classes is None or not use.whole or (report.kind != "hdf5" and use.top.top_index != 1):
            continue
        counts = {int(label): number for label, (number, _) in report.labels.items() if 0 <= label < use.classes}
        expected = {*counts, use.ignored} if use.ignored is not None and 0 <= use.ignored < use.classes else counts.keys()
        missing = use.classes - len(expected)  # the number is of the net, and may be in the billions
        if missing and counts:
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
