"""Check the records of a database, whatever its kind: each one is a Datum.

Records with the same shape and data size are recognized by their first bytes, and only the rest is decoded, which is faster
than a bare loop that creates protobuf messages.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from .datum import BrokenDatum, Datum, read_annotated, read_datum
from .images import look_at
from .libraries import is_installed, library
from .source_report import ITEM_LABELS, PIXEL_LABELS, SourceReport, Watch, chosen

CHUNK = 1000
KEPT_FOR_RANGE = 20_000  # items whose bytes are counted: enough for three digits of mean and deviation
MANY = 1 << 18  # from so many items on, only one in SPARSE is considered for the sample of contents
SPARSE = 16
BLOCK = 64  # records that one process takes in a row


class RecordLook:
    """Checks the records of one source and fills its report. `largest` is the number of items of the largest source.

    With `pixel_labels` the values of the images are labels, and each is counted.
    """

    def __init__(
        self, report: SourceReport, watch: Watch, *, annotated: bool, largest: int, pixel_labels: bool
    ) -> None:
        self.report = report
        self.watch = watch
        self.annotated = annotated
        self.pixel_labels = pixel_labels
        self.sparse = largest > MANY
        self.every = max(1, (report.items or 1) // KEPT_FOR_RANGE)
        self._numpy: Any = None
        self._images = is_installed("PIL.Image")

    def look(self, records: Iterable[bytes], key: Any) -> None:
        """Check records; `key()` names the last one read."""
        seen = 0
        report = self.report
        prefix, size, tails, kept = b"", 0, dict[bytes, list[Any]](), list[bytes]()
        shape_count: list[Any] = [0, ""]
        every, sparse = self.every, self.sparse
        countdown = CHUNK
        start = 0
        crc32 = zlib.crc32
        iterator = iter(records)
        for value in iterator:
            countdown -= 1
            if value.startswith(prefix) and prefix:
                known = tails.get(value[size:])
                if known is not None:
                    known[0] += 1
                    shape_count[0] += 1
                    if not sparse or not crc32(value[start:size:97]) % SPARSE:
                        report.content(digest(value[start:size]), key())
                    if not countdown % every:
                        kept.append(value[start:size])
                    if countdown > 0:
                        continue
                    seen += CHUNK
                    countdown = CHUNK
                    self._count_bytes(kept)
                    kept = []
                    if not self.watch.seen(CHUNK):
                        report.interrupted = True
                        break
                    continue
            datum = self.one(value, key)
            if datum is None or not datum.end - datum.start == datum.values > 0 or datum.encoded:
                pass
            elif self.pixel_labels:
                kept.append(value[datum.start : datum.end])
            else:
                # From here on, records that begin like this one are known up to where the data end.
                head = value[: datum.start]
                if head != prefix or datum.end != size:
                    prefix, start, size, tails = head, datum.start, datum.end, {}
                    shape_count = report.shapes.get((datum.channels, datum.height, datum.width), [0, ""])
                if len(value) - size <= 16 and b"\x22" not in value[size:]:
                    found = report.labels[ITEM_LABELS].get(float(datum.label))
                    if found is not None:
                        tails[value[size:]] = found
                kept.append(value[datum.start : datum.end])
            if countdown <= 0:
                seen += CHUNK
                countdown = CHUNK
                self._count_bytes(kept)
                kept = []
                if not self.watch.seen(CHUNK):
                    report.interrupted = True
                    break
        rest = CHUNK - countdown
        self._count_bytes(kept)
        self.watch.seen(rest)
        report.looked_at += seen + rest

    def one(self, value: bytes, key: Any) -> Datum | None:
        """Check one record completely. Return its Datum, None if it is broken or annotated."""
        report = self.report
        where = key()
        if not value:
            report.fault("empty", where)
            return None
        try:
            if self.annotated:
                datum, boxes = read_annotated(value)
            else:
                datum, boxes = read_datum(value), []
        except BrokenDatum as error:
            report.fault("broken", f"{where}: {error}")
            return None
        if self.annotated:
            for box in boxes:
                report.label(ITEM_LABELS, float(box.label), where)
                if not all(-1e-3 <= edge <= 1.001 for edge in box.corners) or (
                    box.corners[2] <= box.corners[0] or box.corners[3] <= box.corners[1]
                ):
                    x0, y0, x1, y1 = box.corners
                    report.fault("box", f"{where}: {x0:.3g}, {y0:.3g} to {x1:.3g}, {y1:.3g}")
        else:
            report.label(ITEM_LABELS, float(datum.label), where)
        self._content(value, datum, where)
        return None if self.annotated else datum

    def _content(self, value: bytes, datum: Datum, where: str) -> None:
        report = self.report
        data = value[datum.start : datum.end]
        if datum.floats:
            self._floats(value, datum, where)
        elif datum.encoded:
            report.encoded += 1
            if data and not self._images:
                library("PIL.Image", "reading encoded images")
            image = look_at(data)
            if image.fault:
                report.fault("empty" if not data else image.fault, f"{where}: {image.detail}")
            if image.fault != "unreadable":
                report.shape((image.channels, image.height, image.width), where)
                report.numbers("data").add_counts(image.histogram)
                if self.pixel_labels:
                    count_pixel_labels(report, image.histogram, where)
        elif not data:
            report.fault("empty", f"{where}: it has no data")
        else:
            if len(data) != datum.values:
                shown = f"{datum.channels} x {datum.height} x {datum.width}"
                report.fault("size", f"{where}: {len(data)} bytes for {shown} = {datum.values}")
            report.shape((datum.channels, datum.height, datum.width), where)
            if self.pixel_labels:
                count_pixel_labels(report, self._histogram(data), where)
        if data and (not self.sparse or not zlib.crc32(data[::97]) % SPARSE):
            report.content(digest(data), where)

    def _floats(self, value: bytes, datum: Datum, where: str) -> None:
        numpy = self._numpy = self._numpy or library("numpy", "reading float_data")
        parts = []
        for start, end, packed in datum.floats:
            raw = numpy.frombuffer(value, numpy.uint8, end - start, start)
            if packed:
                parts.append(raw[: len(raw) // 4 * 4].view("<f4"))
            else:
                parts.append(numpy.ascontiguousarray(raw.reshape(-1, 5)[:, 1:]).view("<f4").reshape(-1))
        floats = parts[0] if len(parts) == 1 else numpy.concatenate(parts)
        report = self.report
        if len(floats) != datum.values:
            shown = f"{datum.channels} x {datum.height} x {datum.width}"
            report.fault("size", f"{where}: {len(floats)} values for {shown} = {datum.values}")
        report.shape((datum.channels, datum.height, datum.width), where)
        nan, infinite = report.numbers("data").add_array(floats.reshape(1, -1), lambda row: where)
        if self.pixel_labels:
            values, counts = numpy.unique(floats[numpy.isfinite(floats)], return_counts=True)
            for one, number in zip(values.tolist(), counts.tolist(), strict=True):
                report.label(PIXEL_LABELS, one, where, number)
        if nan:
            report.fault("nan", where)
        if infinite:
            report.fault("infinite", where)
        if not self.sparse or not zlib.crc32(floats[::97].tobytes()) % SPARSE:
            report.content(digest(floats.tobytes()), where)

    def _count_bytes(self, kept: list[bytes]) -> None:
        if not kept:
            return
        self.report.numbers("data").add_counts(self._histogram(b"".join(kept)))

    def _histogram(self, data: bytes) -> list[int]:
        """How often each byte occurs."""
        numpy = self._numpy = self._numpy or library("numpy", "reading raw images")
        counts: list[int] = numpy.bincount(numpy.frombuffer(data, numpy.uint8), minlength=256).tolist()
        return counts


def count_pixel_labels(report: SourceReport, histogram: list[int], where: str) -> None:
    """Count the labels of an image whose pixels are labels."""
    for value, number in enumerate(histogram):
        if number:
            report.label(PIXEL_LABELS, float(value), where, number)


def digest(content: bytes) -> int:
    """Return a 64-bit digest of the content that is the same in every process."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def chosen_runs(items: int, sample: int | None, part: int, parts: int) -> Iterator[int]:
    """Return the indices of a sample for one of several processes, in contiguous blocks."""
    indices = chosen(items, sample)
    return indices if parts == 1 else (index for index in indices if (index // BLOCK) % parts == part)
