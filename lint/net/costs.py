"""The costs of a net: the multiply-adds of a forward pass, and the memory of its blobs."""

from __future__ import annotations

from collections.abc import Iterable

from ..moments.graph import Blob, Layer
from .net import Net

BYTES = 4  # per value: Caffe's nets use float

OWN = "own"
IN_PLACE = "in place"
SHARED = "shared"


def multiply_adds(layer: Layer) -> int | None:
    """The multiplications with parameters in a forward pass of a layer; None if unknown."""
    kind = layer.kind
    if kind is None:
        return None
    if kind.multiply_adds is not None:
        return kind.multiply_adds(layer)
    return None if layer.params or kind.has_open_params(layer) else 0


def whose_memory(top: Blob) -> str:
    """Whose memory a top uses: its own (OWN), or that of a bottom, IN_PLACE or SHARED under another name."""
    if top.below is not None:
        return IN_PLACE
    layer = top.producer
    shares = layer.kind.shares_memory if layer is not None and layer.kind is not None else False
    return SHARED if layer is not None and (shares(layer) if callable(shares) else shares) else OWN


def batch(net: Net) -> int | None:
    """The number of items in a forward pass: the first dimension of the first blob."""
    for blob in net.blobs():
        return blob.shape[0] if blob.shape else None
    return None


def total(parts: Iterable[int | None]) -> int | None:
    """The sum, None if a part of it is unknown."""
    known = 0
    for part in parts:
        if part is None:
            return None
        known += part
    return known
