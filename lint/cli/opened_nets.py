"""What is wrong with nets that a command has opened: their input shapes, and all at which Caffe would stop before it trains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..api import Session
from ..moments.shapes import describe
from ..proto.spelling import nearest_name
from ..source.errors import InputError
from .console import complain, print_error

if TYPE_CHECKING:
    from ..engine.opening import Opened
    from ..rule.finding import Finding

InputShapes = tuple[tuple[str, tuple[int, ...]], ...]


def open_training(session: Session, path: str, input_shapes: InputShapes) -> tuple[Opened, list[Finding]]:
    """A solver with its training net, and the errors at which Caffe refuses them, which are printed to standard error.

    Raises InputError if the net cannot be read, or has no top that an input shape names.
    """
    opened = session.training(path)
    check_input_shapes(opened, input_shapes)
    _check_facts(session, opened)
    refusals = session.refusals(opened)
    for line in _stopping(opened, refusals):
        print_error(line)
    return opened, refusals


def _stopping(opened: Opened, refusals: list[Finding]) -> Iterator[str]:
    yield from (problem.line for problem in opened.missing)
    for finding in refusals:
        yield f"{finding.place.shown}: {finding.message}"


def _check_facts(session: Session, opened: Opened) -> None:
    """Say that the facts which the command line names are about no source of the net."""
    path, sources = session.asked.data_facts, opened.sources()
    if path is not None and opened.settings.facts.keys().isdisjoint(sources):
        read = ", ".join(f"'{source}'" for source in sources) or "no source by a name"
        complain(f"--data-facts: {path} has no facts about what the net reads: {read}")


def check_input_shapes(opened: Opened, input_shapes: InputShapes) -> None:
    """Check that data layers have the tops that the command line names, and say which shapes have no effect.

    A configuration may be for other nets as well: of its shapes, those are named that have other axes than a top. Raises InputError.
    """
    nets = opened.job.nets if opened.job is not None else opened.nets
    data = [layer for each in reversed(nets) for layer in each.net.layers if not layer.bottoms]
    tops = {blob.name: blob for layer in data for blob in layer.tops}  # of the training net where several have one
    for top, _ in input_shapes:
        if top != "*" and top not in tops:
            nearest = nearest_name(top, list(tops))
            known = f"did you mean '{nearest}'?" if nearest else f"known tops: {', '.join(tops) or 'none'}"
            raise InputError(f"--input-shape: no data layer has a top '{top}'; {known}")
    asked = dict(input_shapes)
    for top, dims in {**opened.settings.input_shapes, **asked}.items():
        shape = tops[top].shape if top in tops else ()
        has_axes = shape is not None and len(shape) == len(dims)
        if top not in tops or (has_axes and top not in asked):
            continue
        if shape is None or not has_axes or any(a not in (b, 0) for a, b in zip(dims, shape, strict=True)):
            origin, shown = "--input-shape" if top in asked else "[input-shapes]", describe(tuple(dims))
            complain(f"{origin}: '{top}' is {describe(shape)}: the file takes precedence over {shown}")
