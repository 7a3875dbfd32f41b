"""Fixes of layers that all nets of a job have: made in all of them, or in none.

Caffe passes weights from net to net by the names of layers. If one of two nets is changed alone, Caffe refuses to share the
weights, or tests and deploys another net than it trains.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from ..fixes.edit import Fix, Stage
from ..fixes.fields import Patch
from ..fixes.layer_edits import names_in
from ..moments.graph import Layer
from ..net.job import NetInPhase
from ..net.shared_weights import by_name, sharing_weights
from ..proto.named_tuple import NamedTuple

# Gives the change of a layer of a net that has the name of another one, which it gets too: empty if none is needed, None if it
# cannot be made.
PatchOf = Callable[[NetInPhase, Layer, Layer], "Patch | None"]


class Part(NamedTuple):
    """The fix of one file, with the first layer that it changes."""

    net: NetInPhase
    layer: Layer
    fix: Fix


class Parts(NamedTuple):
    """The fixes of all files, that of the subject's own first. If there are none because of another net, `obstacle` says so."""

    fixes: tuple[Part, ...] = ()
    obstacle: str = ""

    @property
    def own(self) -> Fix | None:
        """The fix of the subject's own file."""
        return self.fixes[0].fix if self.fixes else None

    @property
    def others(self) -> tuple[Part, ...]:
        """The fixes of other files."""
        return self.fixes[1:]


def in_all_nets(subject: NetInPhase, layers: Iterable[Layer], title: str, patch_of: PatchOf) -> Parts:
    """Return unsafe fixes of layers of a net, and of those with their names in the nets that share its weights."""
    layers = list(layers)
    patches: dict[str, tuple[NetInPhase, Layer, Patch]] = {}
    for net in (subject, *sharing_weights(subject)):
        for here, layer in [(layer, layer) for layer in layers] if net is subject else _counterparts(net, layers):
            patch = patch_of(net, here, layer)
            if patch is None:
                where = "" if net is subject else f" No fix: '{here.name}' in {net.file.path} cannot be changed in the same way."
                return Parts(obstacle=where)
            if patch.edits:
                _, first, before = patches.get(net.file.path, (net, here, Patch()))
                patches[net.file.path] = net, first, before + patch
    files = list(map(os.path.basename, patches))
    together = f"{title}, in {', '.join(files[:-1])} and {files[-1]}" if len(files) > 1 else title
    repair = f"{subject.file.path}: {title}"
    return Parts(tuple(
        Part(net, layer, patch.fix(path, together, safe=False).part_of(repair, len(patches), Stage.STRUCTURE))
        for path, (net, layer, patch) in patches.items()
    ))


def so_in(subject: NetInPhase) -> str:
    """Return the reason of a finding in another net that is about the same layers as in a subject."""
    return f"The same holds in {subject.file.path}, which shares weights with this net."


def shared_names(subject: NetInPhase) -> set[str]:
    """Return the names of layers and blobs in a net and in those that share its weights."""
    return {name for net in (subject, *sharing_weights(subject)) for name in names_in(net.net.message)}


def _counterparts(net: NetInPhase, layers: Iterable[Layer]) -> list[tuple[Layer, Layer]]:
    """Return the layers of a net that have the names of others, each with that one."""
    there = by_name(net.net)
    return [(there[layer.name], layer) for layer in layers if layer.name and layer.name in there]
