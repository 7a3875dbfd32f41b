"""Recognise the net of a probe (`caffe-lint probe`), and trace its blobs back to the data layers."""

from __future__ import annotations

from ..moments.graph import Blob, Layer
from ..net.net import Net


def is_probe_net(net: Net) -> bool:
    """Whether every loss of a net compares a blob with itself, as in a probe."""
    return bool(net.losses) and all(
        loss.layer.type == "EuclideanLoss" and _compares_with_itself(loss.layer) for loss in net.losses
    )


def origin_of(blob: Blob) -> tuple[Blob | None, bool]:
    """The data layer's top from which a blob is computed, and whether another layer changes it on the way."""
    changed = False
    found: Blob | None = blob
    while found is not None and found.producer is not None and found.producer.bottoms:
        changed = changed or not found.producer.traits.copies
        found = found.producer.bottoms[0]
    return found, changed


def _compares_with_itself(loss: Layer) -> bool:
    return len(loss.bottoms) == 2 and origin_of(loss.bottoms[0]) == origin_of(loss.bottoms[1])
