"""Facts about a run that a diagnosis needs: the first values that are not finite, gradient norms, solver and net.

Nothing is judged here. Solver and net are those that were given, otherwise those that Caffe printed at the beginning
of the log.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from ..layers.record import is_loss_type, traits_of
from ..moments.layer_type import LayerType
from ..net.job import Nets
from ..net.loss_sizes import known_shape
from ..proto.named_tuple import NamedTuple
from ..proto.schema import caffe_schema
from ..proto.upgrade import upgrade_solver
from ..source.files import SourceFile
from .probe_nets import is_probe_net
from .runs import Pass, Run, Step, Test, Value

if TYPE_CHECKING:
    from ..moments.graph import Layer
    from ..net.job import Job, NetInPhase
    from ..net.net import Net
    from ..proto.binder import Message

MOST_LIKELY = 7.5  # a loss at iteration 0 that may be ln K of a softmax


def median(values: Iterable[float]) -> float:
    """The middle value (the upper of two). `statistics.median` would import fractions and decimal."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


class Output(NamedTuple):
    """An output of the training net that is a loss: its layer, its weight, and its values before weighting."""

    name: str
    layer: str
    type: str
    weight: float
    first: float
    values: tuple[tuple[int, float], ...]  # iteration, value

    @property
    def traits(self) -> LayerType:
        """The record of its layer's type."""
        return traits_of(self.type)

    @property
    def weighted(self) -> float:
        """Its contribution to the first displayed loss."""
        return self.weight * self.first


class LayerView(NamedTuple):
    """A layer in one pass: the data of its tops, the data and diffs of its params, and the diffs of its bottoms."""

    name: str
    tops: tuple[Value, ...]
    params: tuple[Value, ...]
    bottom_diffs: tuple[Value, ...]
    param_diffs: tuple[Value, ...]


class Evidence:
    """A run and the facts derived from it. `job` is the solver with its nets, if the user gave one."""

    def __init__(self, run: Run, job: Job | None = None) -> None:
        self.run = run
        self.job = job

    # -- the files ------------------------------------------------------------------------------------------

    @cached_property
    def solver(self) -> Message | None:
        """The solver's message: as given, otherwise as printed in the log."""
        if self.job is not None:
            return self.job.solver.message
        if not self.run.solver_text.strip():
            return None
        file = SourceFile("solver", self.run.solver_text, caffe_schema(), None)
        return upgrade_solver(file.message).message if file.kind == "solver" else None

    @cached_property
    def net_in_phase(self) -> NetInPhase | None:
        """The training net: as given, otherwise as printed in the log."""
        if self.job is not None and self.job.train is not None:
            return self.job.train
        return self._net_in_log(0, "TRAIN")

    def _net_in_log(self, index: int, phase: str) -> NetInPhase | None:
        """A net as Caffe printed it at the beginning of the log."""
        if len(self.run.net_texts) <= index:
            return None
        file = SourceFile("net", self.run.net_texts[index], caffe_schema(), None)
        if file.kind != "net":
            return None
        return Nets(lambda path: file, None).alone(file, (phase,))[0]

    def test_net(self, number: int) -> Net | None:
        """A test net: as given, otherwise the first one as printed in the log."""
        if self.job is not None:
            return self.job.tests[number].net if number < len(self.job.tests) else None
        found = self._net_in_log(1, "TEST") if number == 0 else None
        return found.net if found is not None else None

    @cached_property
    def is_probe(self) -> bool:
        """Whether the run is that of a probe: every loss compares a blob with itself, and the learning rate is 0."""
        net = self.net
        return net is not None and self.setting("base_lr") == 0 and is_probe_net(net)

    @property
    def net(self) -> Net | None:
        """The training net as built."""
        return self.net_in_phase.net if self.net_in_phase is not None else None

    @property
    def net_is_cut(self) -> bool:
        """Whether the net as printed in the log is not whole: glog cuts off a message after 30,000 bytes."""
        return self.net_in_phase is not None and bool(self.net_in_phase.file.tree.problems)

    @cached_property
    def layers(self) -> dict[str, Layer]:
        """The layers of the training net by name; empty if the net is unknown."""
        return {layer.name: layer for layer in self.net.layers} if self.net is not None else {}

    def type_of(self, layer: str | None) -> str:
        """A layer's type; empty if it is unknown."""
        found = self.layers.get(layer or "")
        return found.type if found is not None else "Split" if layer and layer.endswith("_split") else ""

    def traits_of(self, layer: str | None) -> LayerType:
        """The record of a layer's type."""
        found = self.layers.get(layer or "")
        return found.traits if found is not None else traits_of(self.type_of(layer))

    def setting(self, name: str) -> float:
        """A number of the solver; 0 if it is unknown."""
        if self.solver is None:
            return 0.0
        value = self.solver.get(name, 0)
        return float(value) if isinstance(value, (int, float)) else 0.0

    @property
    def solver_type(self) -> str:
        """The solver's type; SGD if it is unknown."""
        return str(self.solver.get("type", "SGD")) if self.solver is not None else "SGD"

    def is_data(self, layer: str | None) -> bool:
        """Whether a layer is a data layer: it has no bottoms."""
        found = self.layers.get(layer or "")
        if found is not None:
            return not found.bottoms
        return not self.layers and layer is not None and layer in self._first_layers

    @cached_property
    def _first_layers(self) -> set[str]:
        """The first layer of the first pass, if its name says that it is a data layer; needed if the net is unknown."""
        found: set[str] = set()
        for passed in self.passes[:1]:
            if not passed.values or "data" not in passed.values[0].key.layer.lower():
                return set()
            first = passed.values[0].key.layer
            found = {first}
        return found

    def is_label(self, layer: str | None, blob: str) -> bool:
        """Whether a data layer's top holds labels or targets: by the layers that read it, otherwise by its name."""
        found = self.layers.get(layer or "")
        if found is not None:
            readers = [reader for top in found.tops if top.name == blob for reader in self._readers(top.name)]
            if readers:
                return all(self._measures(reader) for reader in readers)
        return any(word in blob.lower() for word in ("label", "target", "gt"))

    def _readers(self, blob: str) -> list[Layer]:
        return [layer for layer in self.layers.values() if any(bottom.name == blob for bottom in layer.bottoms)]

    @staticmethod
    def _measures(layer: Layer) -> bool:
        traits = layer.traits
        return traits.is_loss or is_loss_type(layer.type) or traits.measures or traits.discards

    # -- steps ----------------------------------------------------------------------------------------------

    @cached_property
    def steps(self) -> list[Step]:
        """The displayed iterations that are kept."""
        return list(self.run.steps)

    @cached_property
    def tests(self) -> list[Test]:
        """The tests that are kept."""
        return list(self.run.tests)

    @cached_property
    def first_bad_step(self) -> Step | None:
        """The first displayed iteration in which the loss or an output is not finite."""
        return next((step for step in self.steps if not step.finite), None)

    @cached_property
    def healthy(self) -> list[Step]:
        """The displayed iterations before anything was not finite."""
        limit = self.first_bad_iteration
        return [step for step in self.steps if (limit is None or step.iteration < limit) and math.isfinite(step.loss)]

    @cached_property
    def first_bad_iteration(self) -> int | None:
        """The first displayed iteration in which anything was not finite."""
        candidates = [self.bad_pass.iteration] if self.bad_pass is not None else []
        if self.first_bad_step is not None:
            candidates.append(self.first_bad_step.iteration)
        known = [iteration for iteration in candidates if iteration is not None]
        return min(known) if known else None

    @cached_property
    def begins_late(self) -> bool:
        """Whether the first displayed loss is that of a net that was trained before: of a snapshot, or of an excerpt."""
        if not self.steps or self.run.resumed:
            return self.run.resumed
        first, second = self.steps[0].iteration, self.steps[min(1, len(self.steps) - 1)].iteration
        return first > 2 * (second - first)

    @cached_property
    def outputs(self) -> list[Output]:
        """The outputs of the training net that are part of its loss."""
        found = []
        for step in self.steps[:1]:
            for out in step.outputs:
                if out.weight is None:
                    continue
                layer = self._layer_of_top(out.name)
                values = tuple(
                    (each.iteration, other.value)
                    for each in self.steps
                    for other in each.outputs
                    if other.position == out.position and other.name == out.name
                )
                found.append(Output(out.name, layer or out.name, self.type_of(layer), out.weight, out.value, values))
        return found

    def _layer_of_top(self, top: str) -> str | None:
        for layer in reversed(self.layers.values()):
            if any(blob.name == top for blob in layer.tops):
                return layer.name
        return None

    @property
    def single_loss(self) -> Output | None:
        """The loss, if there is only one."""
        return self.outputs[0] if len(self.outputs) == 1 else None

    # -- sizes ----------------------------------------------------------------------------------------------

    @cached_property
    def classes(self) -> int | None:
        """The number of classes of the first softmax loss; None if it is unknown."""
        for layer in self.layers.values():
            if layer.traits.log_likelihood and layer.bottoms:
                return self.classes_of(layer)
        return None

    def classes_of(self, layer: Layer) -> int | None:
        """The number of classes of a softmax loss; None if it is unknown."""
        if not layer.bottoms:
            return None
        shape = known_shape(layer.bottoms[0])
        number = shape[1] if shape is not None and len(shape) > 1 else None
        if number is None:
            producer = layer.bottoms[0].producer
            shapes = self.run.shapes.get(producer.name) if producer is not None else None
            number = shapes[0][1] if shapes and len(shapes[0]) > 1 else None
        return number if number and number > 1 else None

    @cached_property
    def chance(self) -> float | None:
        """Chance level, ln K: the loss of a softmax that does not distinguish K classes; None if K is unknown."""
        return math.log(self.classes) if self.classes else None

    @cached_property
    def likely_classes(self) -> int | None:
        """The number of classes, or if the net is unknown, that of which the loss of iteration 0 is the chance level."""
        if self.classes is not None or self.layers:
            return self.classes
        first = self.steps[0] if self.steps else None
        if first is None or first.iteration or self.run.resumed or not 0.5 < self.raw_loss(first) < MOST_LIKELY:
            return None
        return round(math.exp(self.raw_loss(first)))

    @cached_property
    def batch(self) -> int | None:
        """The batch size, from the shape of the first data layer's first top in the log; None if it is unknown."""
        for name, layer in self.layers.items():
            if not layer.bottoms and (shapes := self.run.shapes.get(name)):
                return shapes[0][0]
        return None

    @cached_property
    def loss_scale(self) -> float:
        """The loss weight by which a displayed loss is multiplied, if there is only one loss; otherwise 1."""
        only = self.single_loss
        return abs(only.weight) if only is not None and only.weight else 1.0

    def raw_loss(self, step: Step) -> float:
        """A displayed loss divided by its loss weight, if there is only one loss."""
        return step.loss / self.loss_scale

    @cached_property
    def norms(self) -> list[tuple[Step, float]]:
        """The known L2 norms of the gradient, from debug_info or otherwise from clipping lines."""
        found = []
        for step in self.steps:
            if step.norms is not None:
                found.append((step, step.norms.l2_diff))
            elif step.clipping is not None:
                found.append((step, step.clipping.norm))
        return found

    # -- debug_info -----------------------------------------------------------------------------------------

    @cached_property
    def passes(self) -> list[Pass]:
        """The passes of debug_info that are kept, in the order of the log."""
        return self.run.passes.kept()

    @property
    def bad_pass(self) -> Pass | None:
        """The first pass with a value that is not finite."""
        return self.run.passes.bad

    @cached_property
    def first_bad(self) -> Value | None:
        """The first value of debug_info that is NaN or infinite, in the order of the log."""
        return next((value for value in self.bad_pass if not value.finite), None) if self.bad_pass else None

    @cached_property
    def pass_before_bad(self) -> Pass | None:
        """The last pass before the first that is not finite."""
        if self.bad_pass is None:
            return None
        before = [each for each in self.passes if each.line < self.bad_pass.line]
        return before[-1] if before else None

    @cached_property
    def first_pass(self) -> Pass | None:
        """The first pass of the run."""
        return self.run.passes.first[0] if self.run.passes.first else None

    @cached_property
    def last_pass(self) -> Pass | None:
        """The last pass of the run whose values are all finite."""
        finite = [each for each in self.passes if self.bad_pass is None or each.line < self.bad_pass.line]
        return finite[-1] if finite else None

    def views(self, passed: Pass) -> list[LayerView]:
        """The layers of a pass in forward order, without Split layers."""
        tops: dict[str, list[Value]] = {}
        params: dict[str, list[Value]] = {}
        bottoms: dict[str, list[Value]] = {}
        diffs: dict[str, list[Value]] = {}
        order: dict[str, None] = {}
        backward: list[str] = []
        for value in passed:
            key = value.key
            if key.direction == "Forward":
                order.setdefault(key.layer)
                (tops if key.role == "top" else params).setdefault(key.layer, []).append(value)
            else:
                if key.layer not in backward:
                    backward.append(key.layer)
                if key.role == "param" and key.what == "diff":
                    diffs.setdefault(key.layer, []).append(value)
                elif key.role == "bottom":
                    bottoms.setdefault(key.layer, []).append(value)
        for name in reversed(backward):
            order.setdefault(name)
        return [
            LayerView(
                name,
                tuple(tops.get(name, ())),
                tuple(params.get(name, ())),
                tuple(bottoms.get(name, ())),
                tuple(diffs.get(name, ())),
            )
            for name in order
            if not name.endswith("_split") and not self.traits_of(name).copies
        ]

    def first_params(self, passed: Pass) -> Iterator[tuple[LayerView, Value, Value]]:
        """The layers that learn their first parameter, with its data and its diff, in forward order.

        One that is frozen has no diff (net.cpp, Net::BackwardDebugInfo): the first that is printed is that of the bias.
        """
        for view in self.views(passed):
            if view.params and view.param_diffs and view.param_diffs[0].key.blob == "0":
                yield view, view.params[0], view.param_diffs[0]

    def weights(self, passed: Pass) -> Iterator[tuple[LayerView, Value, Value]]:
        """The layers that learn a weight, with its data and its diff, in forward order. BatchNorm's blobs are statistics."""
        return (each for each in self.first_params(passed) if not self.traits_of(each[0].name).channel_params)

    def bottoms_of(self, passed: Pass, layer: str) -> list[Value]:
        """The data of a layer's bottoms, which are tops of earlier layers; empty if the net is unknown."""
        found = self.layers.get(layer)
        if found is None:
            return []
        wanted = {blob.name for blob in found.bottoms}
        latest: dict[str, Value] = {}
        for value in passed:
            if value.key.direction == "Forward" and value.key.layer == layer:
                break
            if value.key.direction == "Forward" and value.key.role == "top" and value.key.blob in wanted:
                latest[value.key.blob] = value
        return list(latest.values())

    def typical(self, values: list[float]) -> float:
        """The median of the finite values; 0 if there are none."""
        finite = [value for value in values if math.isfinite(value)]
        return median(finite) if finite else 0.0
