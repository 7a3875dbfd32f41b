"""Stages that a solver sets and no layer asks for."""

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
    """Flags stages that no layer asks for, if a layer asks for a similar one.

    ## What it does

    Flags stages of the solver's `train_state` and `test_state` that no `include` or `exclude` rule of its nets
    mentions, if a rule mentions a stage at most two letters away that this state does not set.

    ## Why is this bad?

    The layers that ask for the stage are left out of the net. Caffe only logs one line about each.

    ## When it is reported

    Reported as a **warning**. Ignore it if the layers of the similar stage are left out on purpose.

    ## Fix

    Sets the stage that the rule mentions. The fix is unsafe, because the misspelled stage may be the one in the rule.
    No fix is offered if the state sets several stages.

    ## References

    `Net::StateMeetsRule` in net.cpp; `InitTrainNet` and `InitTestNets` in solver.cpp.
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
            reason = f"Layers that ask for '{meant}' are left out of the net; Caffe only logs it."
            fix: Fix | None = None
            if len(state["stage"]) == 1:
                patch = set_field(job.solver.file.tree, state, "stage", meant)
                fix = patch.fix(job.solver.file.path, f"change the stage to '{meant}'", safe=False)
            yield Hit(job.solver.file, state.span("stage", index), message, reason, fix=fix)
