"""Findings for faulty items, at the data layer that reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...rule.finding import Hit

if TYPE_CHECKING:
    from ...data.judging import LayerData


def seen(data: LayerData, kind: str, what: str, reason: str, severity: str = "") -> Iterator[Hit]:
    """A finding for the items with a fault, named at the source."""
    fault = data.report.faults.get(kind)
    if fault is not None:
        of = f" of {data.report.looked_at}" if data.report.looked_at else ""
        yield Hit(
            data.net.file, data.place, f"{data.name}: {fault.count}{of} {what}: {fault.shown()}", reason, severity
        )
