"""Phases in the `state` of a net, which take precedence over those in which a solver builds it."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.fields import remove_field
from ...net.job import Job
from ...net.phases import TEST, TRAIN
from ...proto.binder import Message
from ...rule.finding import Hit
from ...rule.registry import rule


@rule("N409", "overridden-phase", subject="job", severity="warning", fixes="unsafe")
def overridden_phase(job: Job) -> Iterator[Hit]:
    """Flags nets whose `state` turns the test net of a solver into a training net, or the training net into a test net.

    ## What it does

    Flags a `phase` in the `state` of a net from which a solver builds a net for the other phase, such as `state { phase: TRAIN }`
    in a net that is tested as well. Reported once per phase and net.

    ## Why is this bad?

    The `state` of a net takes precedence over the phase in which the solver builds it, and Caffe prints no message. A test net of
    phase TRAIN reads the training data, layers that are included in TEST only are never used, and Dropout and BatchNorm work as
    in training. In a training net of phase TEST, it is the other way round.

    ## When it is reported

    Reported as a **warning**. Nothing is reported if the solver's `train_state` or `test_state` names a phase, which takes
    precedence over both. Ignore it if the net is meant to be tested as it is trained.

    ## Fix

    Removes `phase` from `state`: the solver names the phase. The fix is unsafe, because it changes which layers are used.

    ## References

    `InitTrainNet` and `InitTestNets` in solver.cpp, which merge the states; `Net::StateMeetsRule` in net.cpp.
    """
    solver = job.solver.message
    trained = [(job.train, solver["train_state"], TRAIN)] if job.train is not None else []
    states: list[Message] = solver["test_state"]
    tested = [(net, states[index] if index < len(states) else None, TEST) for index, net in enumerate(job.tests)]
    seen: set[tuple[int, str]] = set()
    for net, asked, phase in (*trained, *tested):
        state: Message = net.net.message["state"]
        key = (id(net.net.message), phase)
        if state.get("phase", phase) == phase or (asked is not None and "phase" in asked) or key in seen:
            continue
        seen.add(key)
        what, used = ("training", "a test") if phase == TRAIN else ("test", "training")
        message = f"the state of this net builds the solver's {what} net in phase {state['phase']}"
        reason = (
            f"It takes precedence over the solver's phase: layers of phase {phase} are never used, and Dropout and BatchNorm work as"
            f" in {used}. Remove phase from state."
        )
        fix = remove_field(net.file.tree, state, "phase").fix(net.file.path, "remove phase from state", safe=False)
        yield Hit(net.file, state.span("phase"), message, reason, fix=fix)
