"""Labels of image lists that are beside the net."""

from __future__ import annotations

from collections.abc import Iterator

from ...data.image_list import labels_near
from ...net.classes import label_uses
from ...net.job import NetInPhase
from ...rule.finding import Hit
from ...rule.registry import rule
from .label_ranges import labels_out_of_range

_LIST = "image_data_param"


@rule("D123", "invalid-listed-label", subject="net", severity="error")
def invalid_listed_label(subject: NetInPhase) -> Iterator[Hit]:
    """Flags image lists with labels that are negative or not below the number of classes.

    ## What it does

    Does the same as D107, but in checks and for ImageData lists only. It reads the labels of the list, if it exists in the working
    directory or in the net's folder and is not larger than 5 MB.

    ## Why is this bad?

    A release build of Caffe does not check labels. On a CPU it reads memory outside the scores, and the loss has no meaning;
    on a GPU the loss is NaN or negative.

    ## When it is reported

    Reported as an **error**. Nothing is reported if `caffe-lint.data.json` describes the list: then D107 reports it.

    ## Example

    There is no fix, because only you know how many classes there are.

    ## References

    `Forward_cpu` in softmax_loss_layer.cpp, which checks labels by a DCHECK only; `atoi` in image_data_layer.cpp.
    """
    uses = [use for use in label_uses(subject.net) if use.is_per_item]
    for top in dict.fromkeys(use.top for use in uses):
        layer = top.producer
        if layer is None or layer.traits.settings != _LIST:
            continue
        param = layer.message[_LIST]
        written = param["source"]
        if not written or written in subject.net.built_with.facts:
            continue
        labels = {
            float(label): [number, f"line {line}"]
            for label, number, line in labels_near(subject.file.path, written)
        }
        own = [use for use in uses if use.top is top and use.classes != 1]  # N601 reports a single class
        for message, reason in labels_out_of_range(f"'{written}'", own, lambda use, labels=labels: labels):  # type: ignore[misc]
            yield Hit(subject.file, param.span("source"), message, reason)
