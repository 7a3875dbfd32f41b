"""Stages that a solver sets and no layer mentions."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import set_field
from ...net.job import Job
from ...net.names import meant_name
from ...proto.binder import Message
from ...rule.finding import Hit
from ...rule.registry import rule


@rule("N406", "misspelled-stage", subject="job", severity="warning", fixes="unsafe")
def misspelled_stage(job: Job) -> Iterator[Hit]:
    """A solver gives a stage that no layer asks for, while layers ask for one that is nearly called so.

    ## What it does

    Stages of train_state and test_state that no include or exclude rule of the net knows, if a rule knows one
    within two letters that this state does not give.

    ## Why is this bad?

    The layers that wait for the stage are not there. Caffe logs one line about each.

    ## When it is reported

    The layers of that stage are left out on purpose.

    ## Fix

    The fix writes the stage of the rule into the solver. It is unsafe: the rule may be the one that is misspelt.

    ## References

    net.cpp, Net::StateMeetsRule; solver.cpp, InitTrainNet and InitTestNets.
    """
    wanted: dict[str, None] = {}
    for subject in job.nets:
        for entry in subject.net.message.entries.get("layer", ()):
            for field in ("include", "exclude"):
                for rule_ in entry[0][field]:
                    wanted.update(dict.fromkeys([*rule_["stage"], *rule_["not_stage"]]))
    solver = job.solver.message
    states: list[Message] = [
        entry[0] for name in ("train_state", "test_state") for entry in solver.entries.get(name, ())
    ]
    for state in states:
        for index, stage in enumerate(state["stage"]):
            meant = meant_name(stage, [name for name in wanted if name not in state["stage"]])
            if stage in wanted or meant is None:
                continue
            message = f"no layer asks for stage '{stage}'; did you mean '{meant}'?"
            reason = f"Layers that ask for '{meant}' are not there, without a word."
            fix: Fix | None = None
            if len(state["stage"]) == 1:
                patch = set_field(job.solver.file.tree, state, "stage", meant)
                fix = patch.fix(job.solver.file.path, f"write '{meant}'", safe=False)
            yield Hit(job.solver.file, state.span("stage", index), message, reason, fix=fix)
