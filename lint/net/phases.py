"""Which layers a net includes in a phase, at a level, with stages; and for which of these a file is made.

Source: net.cpp, Net::FilterNet and Net::StateMeetsRule; solver.cpp, InitTrainNet and InitTestNets.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..layers.record import is_loss_type, traits_of
from ..moments.layer_type import are_fed
from ..proto.binder import Entry, Message
from ..proto.named_tuple import NamedTuple

TRAIN = "TRAIN"
TEST = "TEST"
# How many stages that its rules name a net without a solver is tried with: nets have a few, and each costs a pass over the net.
MOST_STAGES = 16


class NetState(NamedTuple):
    """The phase, level and stages that a net is built for (NetState of caffe.proto)."""

    phase: str = TEST
    level: int = 0
    stages: tuple[str, ...] = ()

    def merged(self, written: Message) -> NetState:
        """This state, merged with a NetState message, which takes precedence; its stages are appended (MergeFrom)."""
        return NetState(
            written.get("phase", self.phase),
            written.get("level", self.level),
            self.stages + tuple(written["stage"]),
        )


def file_state(net: Message, phase: str, level: int = 0, stages: tuple[str, ...] = ()) -> NetState:
    """The state if the file of a net is loaded for a phase, as pycaffe and the tools do.

    Phase and level take precedence over the state in the file; the stages are appended to it.
    """
    return NetState(phase, level, tuple(net["state"]["stage"]) + stages)


def solver_state(
    solver: Message, net: Message, test: int | None = None, level: int = 0, stages: tuple[str, ...] = ()
) -> NetState:
    """The state of a solver's training net, or of its test net of index `test`, under `caffe train`.

    A `state` in the file of the net takes precedence over the phase, and the solver's `train_state` or `test_state` over
    both; `caffe train` replaces their level with that of its command line, and appends its stages.
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
    """Each `layer` entry of an upgraded net, and whether that state includes it (Net::FilterNet).

    A layer with both include and exclude, which Caffe rejects, is included if both rules would include it.
    """
    for entry in net.entries.get("layer", ()):
        yield entry, is_kept(entry[0], state)


def is_kept(layer: Message, state: NetState) -> bool:
    """Whether a state includes a layer, see `kept_layers`."""
    entries = layer.entries
    keep = True
    if "include" in entries:
        keep = any(rule_is_met(rule, state) for rule, _, _ in entries["include"])
    if "exclude" in entries and keep:
        keep = not any(rule_is_met(rule, state) for rule, _, _ in entries["exclude"])
    return keep


def rule_is_met(rule: Message, state: NetState) -> bool:
    """Whether a state meets an include or exclude rule, with all its conditions (Net::StateMeetsRule)."""
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


def states_of(net: Message) -> tuple[NetState, ...]:
    """The states that the file of an upgraded net is made for, if no solver specifies them.

    Public nets come as one file for both phases, as two files for one phase each, and as deploy files. A file is made for the
    phases and stages with the fewest unknown bottoms and duplicate tops. If both phases are equal in this, it is made for both
    if rules distinguish them, unless a program feeds it and it has no loss, as deploy files are; otherwise for TRAIN if it has
    a loss, and for TEST if not. It is also made for both if each phase has data layers of its own, whatever else is missing in
    one of them. Of the stages that rules name, only the first MOST_STAGES are tried.
    """
    written = net["state"]
    phases = [written["phase"]] if "phase" in written.entries else [TRAIN, TEST]
    rules = _rules(net)
    if not rules:
        phase = phases[0] if len(phases) == 1 else TRAIN if learns(net) else TEST
        return (file_state(net, phase),)
    named = {stage for rule in rules for name in ("stage", "not_stage") for stage in rule[name]}
    choices: list[tuple[str, ...]] = [(), *((stage,) for stage in sorted(named)[:MOST_STAGES])]
    faults = {
        (phase, stages): _faults(net, file_state(net, phase, stages=stages))
        for phase in phases
        for stages in choices
    }
    if len(phases) == 2 and all(_has_own_data(net, phase) for phase in phases):
        least = {phase: min(faults[phase, stages] for stages in choices) for phase in phases}
    else:
        least = dict.fromkeys(phases, min(faults.values()))
    best = [(phase, stages) for (phase, stages), number in faults.items() if number == least[phase]]
    if any(not stages for _, stages in best):
        best = [(phase, stages) for phase, stages in best if not stages]
    if len({phase for phase, _ in best}) == 2:
        is_training = learns(net)
        if not any("phase" in rule.entries for rule in rules) or (not is_training and _is_fed(net)):
            meant = TRAIN if is_training else TEST
            best = [(phase, stages) for phase, stages in best if phase == meant]
    return tuple(file_state(net, phase, stages=stages) for phase, stages in best)


def phases_of(net: Message) -> tuple[str, ...]:
    """The phases of `states_of`."""
    return tuple(dict.fromkeys(state.phase for state in states_of(net)))


def _rules(net: Message) -> list[Message]:
    return [
        rule
        for layer, _, _ in net.entries.get("layer", ())
        for name in ("include", "exclude")
        if name in layer.entries
        for rule, _, _ in layer.entries[name]
    ]


def learns(net: Message) -> bool:
    """Whether a layer is a loss, by its type, the class that it names, or a loss_weight, which deploy files have on other
    layers too.
    """
    weighted = []
    for layer, _, _ in net.entries.get("layer", ()):
        traits = traits_of(layer["type"])
        if is_loss_type(layer["python_param"]["layer"] if traits.opaque else layer["type"]):
            return True
        if any(layer["loss_weight"]):
            weighted.append(traits)
    return bool(weighted) and not (all(traits.makes_features for traits in weighted) and _is_fed(net))


def _is_fed(net: Message) -> bool:
    """Whether a program provides all data of a net."""
    return are_fed(traits_of(layer["type"]) for layer, _, _ in net.entries.get("layer", ()) if "bottom" not in layer.entries)


def _has_own_data(net: Message, phase: str) -> bool:
    """Whether a layer without bottoms is included in that phase only."""
    return any(
        "bottom" not in layer.entries and [rule["phase"] for rule in layer["include"] if "phase" in rule] == [phase]
        for layer, _, _ in net.entries.get("layer", ())
    )


def _faults(net: Message, state: NetState) -> int:
    """The number of unknown bottoms and duplicate tops; an empty net has more than any other."""
    made: set[str] = set()
    number = layers = 0
    for (layer, _, _), keep in kept_layers(net, state):
        if not keep:
            continue
        layers += 1
        entries = layer.entries
        bottoms = [name for name, _, _ in entries.get("bottom", ())]
        for name in bottoms:
            if name not in made:
                number += 1
        for i, (name, _, _) in enumerate(entries.get("top", ())):
            if name not in made:
                made.add(name)
            elif i >= len(bottoms) or bottoms[i] != name:
                number += 1
    return number if layers else len(net.entries.get("layer", ())) + 1
