"""The subjects of data rules (a data layer of a net with the report on its source), and facts derived from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..moments.blob_facts import BlobFacts
from ..moments.graph import Blob, Layer
from ..net.batch_size import batch_size
from ..net.classes import LabelUse, label_uses
from ..net.data_facts import DataFacts, SourceFacts
from ..net.job import Job, NetInPhase
from ..proto.binder import Message
from ..proto.named_tuple import NamedTuple
from .counting import DATABASE, HDF5
from .looking import Source, array_of, source_in
from .probe_files import data_layers
from .source_report import ITEM_LABELS, PIXEL_LABELS, Numbers, SourceReport

_MOST_COUNTED = 1000  # labels whose number of occurrences is written to a file of facts


class LayerData(NamedTuple):
    """A data layer of a net and the report on its source. `test` is the index of the test net, None for other nets.

    `from_facts` is set if the source was not read, and the report comes from a file of facts.
    """

    net: NetInPhase
    layer: Layer
    source: Source
    report: SourceReport
    job: Job | None
    test: int | None
    others: tuple[LayerData, ...]
    from_facts: bool = False

    @property
    def param(self) -> Message:
        """The message of the layer that names the source, such as data_param."""
        param: Message = self.layer.message[self.source.field]
        return param

    @property
    def place(self) -> tuple[int, int]:
        """The place where the source is named."""
        return self.param.span("source")

    @property
    def batch(self) -> int | None:
        """The batch size."""
        return batch_size(self.layer)

    @property
    def name(self) -> str:
        """The name of the source in messages."""
        return f"'{self.source.written}'"

    @property
    def label_uses(self) -> list[LabelUse]:
        """How other layers compare its tops with scores."""
        return [use for use in label_uses(self.net.net) if use.top.producer is self.layer]

    def labels_of(self, use: LabelUse) -> dict[float, list[Any]]:
        """The labels of a use as the data have them, each with its number and first place."""
        return self.report.labels.get(array_of(self.source.field, use.top), {})

    def range_of(self, top: Blob) -> tuple[float, float] | None:
        """The smallest and the largest value of one of its tops in the data, None if they are not known."""
        array = array_of(self.source.field, top)
        if self.source.field != HDF5 and array == ITEM_LABELS:
            labels = self.report.labels.get(ITEM_LABELS)
            return (min(labels), max(labels)) if labels else None
        numbers = self.report.data.get(array)
        return (numbers.low, numbers.high) if numbers is not None and numbers.count else None

    @property
    def shapes(self) -> dict[tuple[int, ...], list[Any]]:
        """The shapes of items as the layer reads them, with the number of image channels that it asks for."""
        channels = self._forced_channels()
        if channels is None:
            return self.report.shapes
        found: dict[tuple[int, ...], list[Any]] = {}
        for (_, height, width), (number, where) in self.report.shapes.items():
            entry = found.setdefault((channels, height, width), [0, where])
            entry[0] += number
        return found

    def _forced_channels(self) -> int | None:
        if self.source.field == HDF5:
            return None
        if self.source.field != DATABASE:
            return 3 if self.source.field == "window_data_param" or self.param["is_color"] else 1
        if not self.report.encoded:
            return None
        transform = self.layer.message["transform_param"]
        if transform["force_color"] or self.param["force_encoded_color"]:
            return 3
        return 1 if transform["force_gray"] else None


def sources_of(nets: Iterable[NetInPhase], base: str) -> list[tuple[NetInPhase, Layer, Source]]:
    """Return every data layer with a source that can be read."""
    return [
        (net, layer, source)
        for net in nets
        for layer in data_layers(net)
        if (source := source_in(net, layer, base)) is not None
    ]


def subjects(
    nets: Iterable[NetInPhase], job: Job | None, base: str, reports: Mapping[Source, SourceReport]
) -> list[LayerData]:
    """Return the subjects of the rules after the data were read."""
    found = [
        LayerData(net, layer, source, reports[source], job, _index_of_test(net, job), ())
        for net, layer, source in sources_of(nets, base)
        if source in reports
    ]
    return [subject._replace(others=tuple(found)) for subject in found]


def subjects_of_facts(nets: Iterable[NetInPhase], job: Job | None) -> list[LayerData]:
    """Return the subjects of the rules if only facts about the data are available: those that the nets were built with."""
    return [
        LayerData(net, layer, source, report_of(facts[source.written], source.labels), job, _index_of_test(net, job), (), True)
        for net in nets
        if (facts := net.net.built_with.facts)
        for layer in data_layers(net)
        if (source := source_in(net, layer, "")) is not None and source.written in facts
    ]


def _index_of_test(net: NetInPhase, job: Job | None) -> int | None:
    return next((index for index, test in enumerate(job.tests) if test is net), None) if job else None


def report_of(facts: SourceFacts, label_arrays: tuple[str, ...] = ()) -> SourceReport:
    """Convert the facts about a source to a report, without the places of items.

    `label_arrays` are the arrays that hold labels. If only the range of labels is known, each one counts 0 times.
    """
    report = SourceReport(facts.kind, "")
    report.items = facts.items
    report.looked_at = facts.more.get("looked_at", facts.items) or 0
    for label, number in facts.more.get("label_counts", {}).items():
        report.label(ITEM_LABELS, float(label), "", number)
    for label in facts.labels or ():
        report.label(ITEM_LABELS, label, "", 0)
    for name, blob in facts.data.items():
        if name in label_arrays:
            for label, number in (blob.counts or {}).items():
                report.label(name, label, "", number)
            for limit in (blob.minimum, blob.maximum):
                if limit is not None:
                    report.label(name, limit, "", 0)
        if facts.kind == "hdf5":
            if blob.shape is not None:
                report.array_shapes[name] = blob.shape
        elif blob.shape is not None and len(blob.shape) == 3 and all(blob.shape):
            report.shape(blob.shape, "", facts.items or 0)
    return report


def facts_of(subjects: list[LayerData], date: str) -> DataFacts:
    """Return the facts about all sources that could be read."""
    facts: DataFacts = {}
    for subject in subjects:
        report = subject.report
        if report.error or not report.looked_at:
            continue
        more: dict[str, Any] = {"looked_at": report.looked_at, "date": date}
        data: dict[str, BlobFacts] = {}
        if report.kind == "hdf5":
            data = {
                name: _blob(numbers, report.array_shapes.get(name), report.labels.get(name))
                for name, numbers in report.data.items()
            }
        else:
            shapes = subject.shapes
            main = max(shapes, key=lambda shape: shapes[shape][0]) if shapes else None
            if len(shapes) > 1 and main is not None:
                more["mixed_shapes"] = len(shapes)
                main = tuple(
                    size if all(shape[axis] == size for shape in shapes) else 0 for axis, size in enumerate(main)
                )
            data["data"] = _blob(report.data.get("data", Numbers()), main, report.labels.get(PIXEL_LABELS))
        found = report.labels.get(ITEM_LABELS) if report.kind != "hdf5" else None
        labels = (int(min(found)), int(max(found))) if found else None
        if found and len(found) <= _MOST_COUNTED:
            more["label_counts"] = {f"{label:g}": number for label, (number, _) in sorted(found.items())}
        facts[subject.source.written] = SourceFacts(report.kind, report.items, data, labels, more)
    return facts


def _blob(numbers: Numbers, shape: tuple[int, ...] | None, labels: dict[float, list[Any]] | None) -> BlobFacts:
    counts = {label: number for label, (number, _) in labels.items()} if labels and len(labels) <= _MOST_COUNTED else None
    if not numbers.count:
        return BlobFacts(shape, counts=counts)
    return BlobFacts(shape, numbers.low, numbers.high, numbers.mean, numbers.mean_abs, numbers.std, counts)
