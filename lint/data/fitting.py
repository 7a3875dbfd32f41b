"""Check whether a net fits its data by building it with the shapes of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..moments.graph import NetProblem
from ..net.build import build

if TYPE_CHECKING:
    from .judging import LayerData


def new_problems(data: LayerData) -> list[NetProblem]:
    """Return the problems that a net has with the shapes of a data layer, and not without them."""
    shapes = _shapes(data)
    net = data.net.net
    if not shapes:
        return []
    again = build(net.upgraded, net.state, dialect=net.dialect, input_shapes=shapes)
    before = {(problem.kind, problem.start) for problem in net.problems}
    return [problem for problem in again.problems if (problem.kind, problem.start) not in before]


def _shapes(data: LayerData) -> dict[str, tuple[int, ...]]:
    report = data.report
    if report.kind == "hdf5":
        return {
            name: (data.batch or 0, *shape)
            for name, shape in report.array_shapes.items()
            if any(top.name == name for top in data.layer.tops)
        }
    shapes = data.shapes
    if not shapes or report.kind == "windows":
        return {}
    channels, height, width = ({shape[axis] for shape in shapes} for axis in range(3))
    known = tuple(next(iter(sizes)) if len(sizes) == 1 else 0 for sizes in (channels, height, width))
    return {data.layer.tops[0].name: (0, *known)}
