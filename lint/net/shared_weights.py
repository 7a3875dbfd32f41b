"""Which nets use the same weights, and where the parameters of their layers differ."""

from __future__ import annotations

from ..moments.graph import Layer
from ..moments.shapes import describe, shapes_differ
from ..source.wording import counted
from .job import Job, NetInPhase
from .names import named
from .net import Net


def sharing_weights(subject: NetInPhase) -> list[NetInPhase]:
    """The other nets of the jobs of a net, which train its weights or use them, each written net once.

    A net that is written once for several phases is one of them.
    """
    nets: dict[int, NetInPhase] = {}
    for job in subject.used_by:
        for net in (*job.nets, *([job.deploy] if job.deploy is not None and has_own_deploy(job) else [])):
            nets.setdefault(id(net.net.message), net)
    nets.pop(id(subject.net.message), None)
    return list(nets.values())


def has_own_deploy(job: Job) -> bool:
    """Whether the deploy net of a job is certainly for its weights: the user named it, or half of its layers with parameters match."""
    if job.train is None or job.deploy is None:
        return False
    differences = differences_in(job.deploy, job.train)
    return job.deploy_is_named or 2 * list(differences.values()).count("") >= len(known_weighted(job.deploy.net))


def known_weighted(net: Net) -> list[Layer]:
    """The layers with parameters, all of which are known."""
    return [layer for layer in net.layers if layer.params and not is_open(layer)]


def differences_in(net: NetInPhase, train: NetInPhase) -> dict[str, str]:
    """How the layers of a net differ from those of the training net with their names, empty for those that do not."""
    trained = by_name(train.net)
    return {
        layer.name: difference(layer, trained[layer.name])
        for layer in known_weighted(net.net)
        if layer.name in trained and are_comparable(layer, trained[layer.name])
    }


def by_name(net: Net) -> dict[str, Layer]:
    """The layers by their names; if several share one, the first, which is the one that Caffe finds."""
    layers: dict[str, Layer] = {}
    for layer in net.layers:
        layers.setdefault(layer.name, layer)
    return layers


def difference(here: Layer, there: Layer) -> str:
    """A message on how the parameters of a layer differ from the training net's; empty if they do not."""
    if len(here.params) != len(there.params):
        return f"{named(here)} has {counted(len(here.params), 'parameter')}, but {len(there.params)} in the training net"
    for own, other in zip(here.params, there.params, strict=True):
        if shapes_differ(own.shape, other.shape):
            shapes = f"is {describe(own.shape)}, but {describe(other.shape)} in the training net"
            return f"{own.role} of {named(here)} {shapes}"
    return ""


def is_open(layer: Layer) -> bool:
    """Whether a layer may have parameters that we do not know."""
    return layer.kind is None or layer.kind.has_open_params(layer)


def are_comparable(here: Layer, there: Layer) -> bool:
    """Whether the parameters of two layers are known, and not of one type as two different Caffes have it."""
    kind = here.kind
    if kind is None or is_open(here) or is_open(there):
        return False
    return here.context.dialect == there.context.dialect or (kind is there.kind and not kind.dialects)
