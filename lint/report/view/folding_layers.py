"""What the drawing of a net folds: small layers into the one before them, parts of the net into blocks, blocks into repetitions.

Caffe's layers are in an order in which all blobs are made before they are read. Where only one blob is still to be read, the
net can be cut in two: between two cuts lies a piece, which is laid out on its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ...layers.sliding_windows import window_of
from ...moments.graph import Layer, is_automatic
from ...net.net import Net
from ...proto.named_tuple import NamedTuple

FAR = 2  # layers from a source up to which its reader is connected by a line; farther away, the name of the blob is enough
LEAST_BLOCK = 3  # layers, without those that are folded into others
LEAST_REPEATED = 4
LONGEST_PERIOD = 12  # pieces that may repeat together


class Edge(NamedTuple):
    """A blob that one layer makes and another reads: their indices, and those of the top and the bottom.

    `is_far`: it comes from a data layer, and its reader is so far away that a line would only cross the net.
    """

    source: int
    target: int
    top: int
    bottom: int
    is_far: bool


class Piece(NamedTuple):
    """The layers between two cuts of a net, without folded ones, and the layer before the first cut, -1 for none."""

    anchor: int
    layers: Sequence[int]


class Block(NamedTuple):
    """Layers that can be collapsed: `parent` is the number of the block that this one is in, -1 for none.

    `times` is how often what is in it repeats, 1 for a single block. `layers` do not include folded ones.
    """

    title: str
    parent: int
    times: int
    layers: Sequence[int]


class Folded(NamedTuple):
    """For each layer, the index of the layer that it is drawn in, which may be itself; and edges, pieces and blocks."""

    hosts: Sequence[int]
    edges: Sequence[Edge]
    pieces: Sequence[Piece]
    blocks: Sequence[Block]


def folded(net: Net) -> Folded:
    """What can be folded in the drawing of a net."""
    hosts = _hosts(net)
    edges = list(_edges(net, hosts))
    pieces = list(_pieces(hosts, edges))
    blocks = list(_blocks(net, hosts, edges, pieces))
    piece_of = {index: number for number, piece in enumerate(pieces) for index in piece.layers}
    near = [
        edge._replace(is_far=edge.is_far and piece_of[hosts[edge.source]] != piece_of[hosts[edge.target]])
        for edge in edges
    ]
    return Folded(hosts, near, pieces, blocks)


def _hosts(net: Net) -> list[int]:
    """The layer that each layer is drawn in: a small one with a single bottom is drawn in the layer that makes that."""
    hosts: list[int] = []
    for layer in net.layers:
        host = layer.index
        below = layer.bottoms[0] if len(layer.bottoms) == 1 else None
        maker = below.producer if below is not None else None
        if below is not None and maker is not None and maker.bottoms and len(layer.tops) == 1 and _is_small(layer):
            alone = len(below.consumers) == 1 and len([top for top in maker.tops if not is_automatic(top)]) == 1
            if alone and not any(maker.loss_weights):
                host = hosts[maker.index]
        hosts.append(host)
    return hosts


def _is_small(layer: Layer) -> bool:
    """Whether a layer only normalises, scales or bends the values of the one before it, each for itself."""
    traits = layer.traits
    bends = traits.rectifies or (traits.nonlinear and traits.keeps_shape) or traits.trains_only
    return (
        (bends or traits.stores_statistics or traits.scales_channels)
        and not traits.is_loss
        and not any(layer.loss_weights)
    )


def _edges(net: Net, hosts: Sequence[int]) -> Iterator[Edge]:
    depths: list[int] = []
    for layer in net.layers:
        below = [depths[blob.producer.index] for blob in layer.bottoms if blob.producer is not None]
        host = hosts[layer.index]
        depth = depths[host] if host != layer.index else max(below, default=-1) + 1
        depths.append(depth)
        for number, blob in enumerate(layer.bottoms):
            maker = blob.producer
            if maker is not None:
                is_far = not maker.bottoms and depth > FAR
                yield Edge(maker.index, layer.index, blob.top_index, number, is_far)


def _pieces(hosts: Sequence[int], edges: Sequence[Edge]) -> Iterator[Piece]:
    """Yield the pieces, in order. A blob of the layer before a cut is the only one that is read after it."""
    ends: dict[int, int] = {}  # the last layer that reads from a layer, by its host
    makers: dict[int, int] = {}
    for edge in edges:
        source, target = hosts[edge.source], hosts[edge.target]
        if source != target and not edge.is_far:
            ends[source] = max(ends.get(source, -1), target)
            makers[source] = max(makers.get(source, -1), edge.source)
    anchor, piece, open_ = -1, list[int](), set[int]()
    closing: dict[int, list[int]] = {}
    for source, end in ends.items():
        closing.setdefault(end, []).append(source)
    for index, host in enumerate(hosts):
        if host != index:
            continue
        piece.append(index)
        open_.difference_update(closing.get(index, ()))
        if index in ends:
            open_.add(index)
        if len(open_) == 1 and index in open_:
            yield Piece(anchor, piece)
            anchor, piece = makers[index], []
    if piece:
        yield Piece(anchor, piece)


def _blocks(net: Net, hosts: Sequence[int], edges: Sequence[Edge], pieces: Sequence[Piece]) -> Iterator[Block]:
    """Yield the blocks, each after the one that it is in: repetitions of pieces, and pieces of several layers."""
    readers: dict[int, set[int]] = {}
    members: dict[int, list[Layer]] = {}
    for layer in net.layers:
        members.setdefault(hosts[layer.index], []).append(layer)
    for edge in edges:
        source, target = hosts[edge.source], hosts[edge.target]
        if source != target and not edge.is_far:
            readers.setdefault(source, set()).add(target)
    bodies = [_body(piece, readers, is_last=piece is pieces[-1]) for piece in pieces]
    signs = [_sign(piece, body, readers, members) for piece, body in zip(pieces, bodies, strict=True)]
    number, position = 0, 0
    while position < len(pieces):
        period, times = _repetition(signs, bodies, position)
        units = [
            [index for body in bodies[start : start + period] for index in body]
            for start in range(position, position + period * times, period)
        ]
        parent = -1
        if times > 1:
            layers = [index for unit in units for index in unit]
            parent = number
            titles = [_title(net, unit) for unit in (units[0], units[-1])]
            yield Block(" … ".join(dict.fromkeys(titles)), -1, times, layers)
            number += 1
        for unit in units:
            if len(unit) >= LEAST_BLOCK or (times > 1 and len(unit) > 1):
                yield Block(_title(net, unit), parent, 1, unit)
                number += 1
        position += period * times


def _body(piece: Piece, readers: Mapping[int, set[int]], *, is_last: bool) -> list[int]:
    """The layers of a piece from which its end is reached, empty if it has no single end: branches that end in it are left out."""
    if is_last and piece.layers[-1] in readers:
        return []
    end = piece.layers[-1]
    reaching = {end}
    for index in reversed(piece.layers[:-1]):
        if not reaching.isdisjoint(readers.get(index, ())):
            reaching.add(index)
    body = [index for index in piece.layers if index in reaching]
    return body if piece.anchor >= 0 and not (is_last and len(body) < len(piece.layers)) else []


def _sign(
    piece: Piece, body: Sequence[int], readers: Mapping[int, set[int]], members: Mapping[int, Sequence[Layer]]
) -> tuple[object, ...]:
    """What is equal for pieces that repeat: types, windows and numbers of outputs of their layers, and how these are connected."""
    places = {index: number for number, index in enumerate(piece.layers)}
    found: list[object] = []
    for index in piece.layers:
        types = tuple((layer.type, _outputs(layer), window_of(layer)) for layer in members[index])
        found.append((types, tuple(sorted(places.get(reader, -1) for reader in readers.get(index, ())))))
    return (len(body), *found)


def _outputs(layer: Layer) -> object:
    settings = layer.traits.settings
    param = layer.message.get(settings) if settings else None
    return param.get("num_output") if param is not None and "num_output" in param.type.fields else None


def _repetition(signs: Sequence[tuple[object, ...]], bodies: Sequence[Sequence[int]], start: int) -> tuple[int, int]:
    """How many pieces from `start` on repeat together, the fewest that do, and how often: 1 and 1 if none do."""
    for period in range(1, min(LONGEST_PERIOD, (len(signs) - start) // 2) + 1):
        if not all(bodies[start : start + period]):
            break
        if (
            period > 2
            and signs[start + period - 1] == signs[start + period - 2]
            and len(bodies[start + period - 1]) > 1
        ):
            break  # what repeats inside is a repetition of its own
        end = start + period
        while end < len(signs) and signs[end] == signs[end - period] and bodies[end]:
            end += 1
        times = (end - start) // period
        size = sum(len(body) for body in bodies[start : start + period * times])
        if times > 1 and size >= LEAST_REPEATED:
            return period, times
    return 1, 1


def _title(net: Net, layers: Sequence[int]) -> str:
    """What the names of layers have in common, or the first and the last of them."""
    names = [net.layers[index].name for index in layers]
    first, last = min(names), max(names)
    length = next(
        (place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first)
    )
    common = re.sub(r"[\W_]+$", "", first[:length])
    if len(common) > 1 and common != names[0]:
        return common
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"
