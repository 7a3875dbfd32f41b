"""Class labels: out of range, not integers, or unevenly distributed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...rule.finding import Hit
from ...rule.registry import Option, rule
from .faulty_items import seen

if TYPE_CHECKING:
    from ...data.judging import LayerData


def _named(values: dict[float, list[Any]]) -> str:
    """Some labels, each with where it was seen; facts do not tell where."""
    return "; ".join(f"{label:g} ({seen[1]})" if seen[1] else f"{label:g}" for label, seen in sorted(values.items())[:3])


def _number(values: dict[float, list[Any]]) -> str:
    """How many labels they are; facts may tell the range alone."""
    number = sum(seen[0] for seen in values.values())
    return f"{number} labels" if number else "labels"


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
    yield from seen(data, "label", "labels are no integers", "Caffe reads the digits they begin with, else 0.")
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
