"""Bad batches in the log of a probe: those with values that are not finite, or with labels outside the classes.

A probe (`caffe-lint probe`) learns nothing, so that a bad batch does not affect the next one, and each of them shows.
Its learning rate of 0 and the missing gradients are part of its design, not causes of anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..net.batch_size import batch_size
from ..net.data_facts import source_param
from ..proto.named_tuple import NamedTuple
from .causes import Cause, shown, step_line, value_line
from .evidence import Evidence
from .probe_nets import origin_of
from .runs import Pass, Step, Value

if TYPE_CHECKING:
    from ..moments.graph import Blob, Layer
    from ..net.net import Net

_OUT_OF_RANGE = "label-out-of-range"
_SHOWN = 5  # batches that a message names


class _Bad(NamedTuple):
    """Batches of one top that are bad in one way, counted from 0; `tests` is the index of the test net, else None."""

    cause: str
    layer: Layer
    top: str
    test: int | None
    batches: list[int]
    value: Value | None
    step: Step | None


def bad_batches(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T101 finds in the log of a probe: one per top and kind of fault."""
    for bad in [*_of_training(log), *_of_tests(log)]:
        iteration, batch = bad.batches[0], batch_size(bad.layer)
        source = source_param(bad.layer.message)
        where = f" of '{source[1]['source']}'" if source is not None else ""
        many = len(bad.batches)
        named = ", ".join(map(str, bad.batches[:_SHOWN])) + (f" and {many - _SHOWN} more" if many > _SHOWN else "")
        test = f" of test net #{bad.test}" if bad.test is not None else ""
        reason = f"{f'Batch {named}' if many == 1 else f'Batches {named}'}{where}, counted from 0"
        if batch:
            spans = [f"{batch * number} to {batch * (number + 1) - 1}" for number in bad.batches[:_SHOWN]]
            reason += f": items {', '.join(spans)}{', …' if many > _SHOWN else ''}, if nothing is shuffled"
        line = bad.value.line if bad.value is not None else bad.step.line if bad.step is not None else None
        yield Cause(
            bad.cause,
            f"{_FAULTS[bad.cause]} in {many} {'batch' if many == 1 else 'batches'}: "
            f"top '{bad.top}' of data layer '{bad.layer.name}'{test}",
            f"{reason}. If the data are available, `caffe-lint inputs` names the items.",
            0.98,
            bad.layer.name,
            bad.top,
            iteration if bad.test is None else 0,
            line,
            shown(value_line(bad.value) if bad.value else None, step_line(bad.step) if bad.step else None),
        )


_FAULTS = {
    "nan-in-data": "NaN in the data",
    "inf-in-data": "infinity in the data",
    "nan-in-label": "NaN in the labels",
    "inf-in-label": "infinity in the labels",
    _OUT_OF_RANGE: "labels out of range",
}


def _of_training(log: Evidence) -> list[_Bad]:
    """The bad tops of the training net, according to the outputs of every iteration that is not finite."""
    assert log.net is not None
    found: dict[tuple[str, bool], _Bad] = {}
    passes = {passed.iteration: passed for passed in log.passes}
    for step in log.run.bad_steps:
        values = passes.get(step.iteration)
        names = {out.name for out in step.outputs if not math.isfinite(out.value)}
        for cause, layer, top in _faults(log.net, names, values):
            value = next((each for each in values or () if each.key.blob == top and not each.finite), None)
            entry = found.setdefault((top, cause == _OUT_OF_RANGE), _Bad(cause, layer, top, None, [], value, step))
            entry.batches.append(step.iteration)
    return list(found.values())


def _of_tests(log: Evidence) -> list[_Bad]:
    """The bad tops of the test nets, according to the debug_info of every iteration of a test."""
    found: list[_Bad] = []
    for number, passed in log.run.tests_bad:
        net = log.test_net(number)
        if net is None:
            continue
        mine: dict[tuple[str, bool], _Bad] = {}
        for batch, values in enumerate(passed.sweeps()):
            names = {value.key.blob for value in values if not value.finite}
            for cause, layer, top in _faults(net, names, values):
                value = next((each for each in values if each.key.blob in (top, *names) and not each.finite), None)
                entry = mine.setdefault((top, cause == _OUT_OF_RANGE), _Bad(cause, layer, top, number, [], value, None))
                entry.batches.append(batch)
        found += mine.values()
    return found


def _faults(
    net: Net, outputs: set[str], values: list[Value] | Pass | None
) -> Iterator[tuple[str, Layer, str]]:
    """The cause, data layer and top for each of a probe's `outputs` that is not finite.

    Labels that are not finite are not reported as out of range as well.
    """
    not_finite: set[str] = set()
    for loss in net.losses:
        if loss.blob.name not in outputs:
            continue
        top, through_log = origin_of(loss.layer.bottoms[0])
        if top is None or top.producer is None or (through_log and top.name in not_finite):
            continue
        if through_log:
            not_finite.add(top.name)
            yield _OUT_OF_RANGE, top.producer, top.name
            continue
        not_finite.add(top.name)
        what = "label" if _is_label(net, top) else "data"
        is_infinite = any(math.isinf(each.value) for each in values or () if each.key.blob == top.name)
        yield f"{'inf' if is_infinite else 'nan'}-in-{what}", top.producer, top.name


def _is_label(net: Net, top: Blob) -> bool:
    """Whether a probe treats a top as labels: it also passes it through logarithms."""
    return any(origin_of(loss.layer.bottoms[0]) == (top, True) for loss in net.losses)
