"""Findings for faulty items, reported at the data layer that reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...rule.finding import Hit
from ...source.wording import counted

if TYPE_CHECKING:
    from ...data.judging import LayerData


def faulty_items(
    data: LayerData, fault: str, noun: str, one: str, several: str, reason: str, severity: str = ""
) -> Iterator[Hit]:
    """Yield a finding if a source has items with a fault, such as `2 of 44 items are corrupt`, followed by a few of them.

    `one` and `several` say what is wrong with one item and with several.
    """
    found = data.report.faults.get(fault)
    if found is not None:
        looked_at = data.report.looked_at
        items = f"{found.count} of {counted(looked_at, noun)}" if looked_at else counted(found.count, noun)
        message = f"{data.name}: {items} {one if found.count == 1 else several}: {found.shown()}"
        yield Hit(data.net.file, data.place, message, reason, severity)
