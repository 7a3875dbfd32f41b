"""A simulated training as Caffe would log it, with debug_info, so that whatever reads logs reads it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..net.job import Job
    from .tape import DebugLine
    from .training_run import Course, Output

_TIME = "0101 00:00:00.000000     1"  # nothing took place, and the same files give the same bytes


def caffe_log(job: Job, course: Course) -> str:
    """The log of a course of a job's training."""
    return "".join(f"{line}\n" for line in _lines(job, course))


def _lines(job: Job, course: Course) -> Iterator[str]:
    yield _line("solver.cpp:45", "Initializing solver from parameters: ")
    yield job.solver.file.source.decode("utf-8", "surrogateescape").rstrip("\n")
    net = job.train
    if net is not None and net.file is not job.solver.file:
        yield _line("net.cpp:53", "Initializing net from parameters: ")
        yield net.file.source.decode("utf-8", "surrogateescape").rstrip("\n")
    yield _line("caffe.cpp:239", "Starting Optimization")
    clip = job.solver.message["clip_gradients"]
    for number, iteration in enumerate(course.iterations):
        for forward, backward, norms in iteration.passes:
            yield from map(_debug, forward)
            yield from map(_debug, backward)
            l1_data, l1_diff, l2_data, l2_diff = map(_shown, norms)
            text = f"L1 norm = ({l1_data}, {l1_diff}); L2 norm = ({l2_data}, {l2_diff})"
            yield _line("net.cpp:721", f"    [Backward] All net params (data, diff): {text}", "E")
        yield _line("solver.cpp:239", f"Iteration {number} (0 iter/s, 0s/1 iters), loss = {_shown(iteration.loss)}")
        yield from _outputs(iteration.outputs)
        yield _line("sgd_solver.cpp:112", f"Iteration {number}, lr = {_shown(iteration.rate)}")
        if iteration.clipping is not None:
            norm, factor = iteration.clipping
            text = f"(L2 norm {_shown(norm)} > {_shown(clip)}) by scale factor {_shown(factor)}"
            yield _line("sgd_solver.cpp:106", f"Gradient clipping: scaling down gradients {text}")
    if course.is_finite:
        yield _line("solver.cpp:327", f"Iteration {len(course.iterations)}, loss = {_shown(course.final_loss)}")
    yield _line("solver.cpp:347", "Optimization Done.")


def _outputs(outputs: tuple[Output, ...]) -> Iterator[str]:
    for number, output in enumerate(sorted(outputs)):
        weighted = f" (* {_shown(output.weight)} = {_shown(output.value * output.weight)} loss)" if output.weight else ""
        yield _line("solver.cpp:258", f"    Train net output #{number}: {output.name} = {_shown(output.value)}{weighted}")


def _debug(line: DebugLine) -> str:
    what = "data" if line.direction == "Forward" else "diff"
    place = {"top": "net.cpp:593", "bottom": "net.cpp:621"}.get(line.role, "net.cpp:605" if what == "data" else "net.cpp:632")
    return _line(place, f"    [{line.direction}] Layer {line.layer}, {line.role} blob {line.blob} {what}: {_shown(line.mean_abs)}")


def _line(place: str, text: str, severity: str = "I") -> str:
    return f"{severity}{_TIME} {place}] {text}"


def _shown(value: float) -> str:
    """A number as C++ prints it."""
    return f"{value:g}" if math.isfinite(value) else "nan" if value != value else "inf" if value > 0 else "-inf"
