"""Which layers a net keeps in a phase, at a level, with stages; and in which phases a file is meant to be used.

Source: net.cpp, Net::FilterNet and Net::StateMeetsRule; solver.cpp, InitTrainNet and InitTestNets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .proto.binder import Entry, Message

TRAIN = "TRAIN"
TEST = "TEST"


@dataclass(frozen=True)
class NetState:
    """The phase, level and stages that a net is built for (NetState of caffe.proto)."""

    phase: str = TEST
    level: int = 0
    stages: tuple[str, ...] = ()

    def merged(self, written: Message) -> NetState:
        """This state with what a NetState message says: it wins, and stages are appended (MergeFrom)."""
        return NetState(
            written.get("phase", self.phase),
            written.get("level", self.level),
            self.stages + tuple(written["stage"]),
        )


def file_state(net: Message, phase: str, level: int = 0, stages: tuple[str, ...] = ()) -> NetState:
    """The state when a net's file is loaded for a phase, as pycaffe and the tools do (Net::Net with a file name).

    Phase and level win over the file's own state, the stages are appended to it.
    """
    return NetState(phase, level, tuple(net["state"]["stage"]) + stages)


def solver_state(
    solver: Message, net: Message, test: int | None = None, level: int = 0, stages: tuple[str, ...] = ()
) -> NetState:
    """The state of a solver's training net, or of its test net of index `test`, under `caffe train`.

    A `state` in the net's file wins over the phase, the solver's `train_state` or `test_state` over both; `caffe
    train` overwrites the level of these with that of its command line, and appends its stages.
    """
    if test is None:
        state = NetState(TRAIN).merged(net["state"]).merged(solver["train_state"])
    else:
        state = NetState(TEST).merged(net["state"])
        written = solver["test_state"]
        if test >= len(written):
            return state
        state = state.merged(written[test])
    return NetState(state.phase, level, state.stages + stages)


def kept_layers(net: Message, state: NetState) -> Iterator[tuple[Entry, bool]]:
    """Each `layer` entry of an upgraded net, and whether it is kept in that state (Net::FilterNet).

    A layer with both include and exclude, which Caffe refuses, is kept if both would keep it.
    """
    for entry in net.entries.get("layer", ()):
        entries = entry[0].entries
        keep = True
        if "include" in entries:
            keep = any(rule_is_met(rule, state) for rule, _, _ in entries["include"])
        if "exclude" in entries and keep:
            keep = not any(rule_is_met(rule, state) for rule, _, _ in entries["exclude"])
        yield entry, keep


def rule_is_met(rule: Message, state: NetState) -> bool:
    """Whether an include or exclude rule is met: all that is written in it must hold (Net::StateMeetsRule)."""
    entries = rule.entries
    if not entries:
        return True
    if "phase" in entries and entries["phase"][0][0] != state.phase:
        return False
    if "min_level" in entries and state.level < entries["min_level"][0][0]:
        return False
    if "max_level" in entries and state.level > entries["max_level"][0][0]:
        return False
    return all(stage in state.stages for stage in rule["stage"]) and not any(
        stage in state.stages for stage in rule["not_stage"]
    )


def phases_of(net: Message) -> tuple[str, ...]:
    """The phases that an upgraded net's file is made for, when no solver says it.

    Public nets come as one file for both phases, as a pair of files for one phase each, and as deploy files. A file
    is for both phases if its rules tell them apart; a file with a loss only for TRAIN if what that loss reads is
    there in TRAIN only; one without a loss, or with nothing but declared inputs, for TEST.
    """
    entries = net.entries.get("layer", ())
    if "state" in net.entries and "phase" in net["state"].entries:
        return (net["state"]["phase"],)
    if not entries:
        return (TEST,)
    named = {rule["phase"] for rule in _rules(entry[0] for entry in entries) if "phase" in rule.entries}
    whole = {phase for phase in (TRAIN, TEST) if _hangs_together(net, phase)}
    if named:
        # A rule for one phase alone often only guards an Accuracy: the other phase is meant too, if it can be.
        if len(named) == 2 or whole >= {TRAIN, TEST}:
            return (TRAIN, TEST) if len(named) == 2 else _by_content(net, whole)
        return tuple(phase for phase in (TRAIN, TEST) if phase in whole) or tuple(sorted(named, reverse=True))
    return _by_content(net, whole)


def _by_content(net: Message, whole: set[str]) -> tuple[str, ...]:
    layers = [entry[0] for entry in net.entries["layer"]]
    types = {layer["type"] for layer in layers}
    has_loss = any(_is_loss(layer) for layer in layers)
    if not has_loss or (types & {"Input"} and not types & _DATA_TYPES):
        return (TEST,)
    if whole == {TEST}:
        return (TEST,)
    return (TRAIN,) if not _rules(layers) else (TRAIN, TEST)


_DATA_TYPES = {
    "Data",
    "ImageData",
    "WindowData",
    "HDF5Data",
    "MemoryData",
    "DummyData",
    "AnnotatedData",
    "Python",
}


def _is_loss(layer: Message) -> bool:
    return "Loss" in layer["type"] or any(weight for weight in layer["loss_weight"])


def _rules(layers: Iterable[Message]) -> list[Message]:
    return [rule for layer in layers for name in ("include", "exclude") for rule in layer[name]]


def _hangs_together(net: Message, phase: str) -> bool:
    """Whether every bottom is made by an earlier layer of that phase."""
    made: set[str] = set()
    for (layer, _, _), keep in kept_layers(net, file_state(net, phase)):
        if keep:
            if any(name not in made for name in layer["bottom"]):
                return False
            made.update(layer["top"])
    return True
