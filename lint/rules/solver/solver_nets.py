"""The nets of a solver, and how often it tests them."""

from __future__ import annotations

from collections.abc import Iterator

from ...net.job import SolverFile
from ...proto.binder import Message
from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.written import is_absent, is_whole, place_beside

_TRAIN_NETS = ("net", "net_param", "train_net", "train_net_param")


@rule("S101", "train-net-count", subject="solver", severity="error")
def train_net_count(solver: SolverFile) -> Iterator[Hit]:
    """The solver names no net to train, or more than one.

    ## What it does

    None, or several, of `net`, `net_param`, `train_net` and `train_net_param`.

    ## Why is this bad?

    Caffe stops: `SolverParameter must specify a train net using one of these fields`, or `must not contain
    more than one of these fields`.

    ## When it is reported

    The solver is read by a program of your own, which puts the net in.

    ## Example

    There is no fix: only you know which net is meant.

    ## References

    solver.cpp, Solver::InitTrainNet. Tried with the real Caffe.
    """
    message = solver.message
    written = [name for name in _TRAIN_NETS if not is_absent(message, name)]
    if not written:
        shown = "the solver names no net to train"
        reason = f"Caffe stops: it needs one of {', '.join(_TRAIN_NETS)}."
        yield Hit(solver.file, place_beside(message), shown, reason)
    elif len(written) > 1:
        spans = [message.span(name) for name in written if name in message]
        shown = f"the solver names {len(written)} nets to train: {', '.join(written)}"
        span = max(spans) if spans else place_beside(message)
        yield Hit(solver.file, span, shown, "Caffe stops: it takes just one of them.")


@rule("S102", "test-iter-count", subject="solver", severity="error")
def test_iter_count(solver: SolverFile) -> Iterator[Hit]:
    """There is not one `test_iter` for each test net.

    ## What it does

    With `train_net` or `train_net_param`: any other number of `test_iter` than of `test_net` and
    `test_net_param` together. With `net` or `net_param`: fewer; what is over makes test nets of the net
    itself.

    ## Why is this bad?

    Caffe stops: `test_iter must be specified for each test network.`

    ## When it is reported

    Never: Caffe does not start.

    ## Example

    There is no fix: only you know how many batches the test has.

    ## References

    solver.cpp, Solver::InitTestNets. Tried with the real Caffe.
    """
    message = solver.message
    tests = _tests(message)
    if tests is None:
        return
    iterations = len(message["test_iter"])
    if iterations < tests or (iterations > tests and not _shares_net(message)):
        name = "test_iter" if iterations else "test_net" if "test_net" in message else "test_net_param"
        span = message.span(name, len(message.entries[name]) - 1)
        if iterations > tests:
            shown = f"{iterations} test_iter for {tests} test nets"
            reason = "Caffe stops: beside train_net it wants a test_net for each test_iter."
        else:
            shown = f"{tests} test nets, but {iterations} test_iter"
            reason = "Caffe stops: test_iter must be specified for each test network."
        yield Hit(solver.file, span, shown, reason)


@rule("S103", "test-state-count", subject="solver", severity="error")
def test_state_count(solver: SolverFile) -> Iterator[Hit]:
    """There are `test_state`s, but not one for each test net.

    ## What it does

    Any number of `test_state` but none and that of the test nets, counting those that `test_iter` makes of
    `net`.

    ## Why is this bad?

    Caffe stops: `test_state must be unspecified or specified once per test net.`

    ## When it is reported

    Never: Caffe does not start.

    ## Example

    There is no fix: either a state or a test is missing.

    ## References

    solver.cpp, Solver::InitTestNets. Tried with the real Caffe.
    """
    message = solver.message
    tests = _tests(message)
    states = len(message["test_state"])
    if tests is None or not states:
        return
    instances = max(tests, len(message["test_iter"])) if _shares_net(message) else tests
    if states != instances:
        shown = f"{states} test_state for {instances} test nets"
        reason = "Caffe stops: test_state must be unspecified or specified once per test net."
        span = message.field("test_state", states - 1)
        yield Hit(solver.file, (span.start, span.name_end) if span else place_beside(message), shown, reason)


@rule("S104", "missing-test-interval", subject="solver", severity="error")
def missing_test_interval(solver: SolverFile) -> Iterator[Hit]:
    """There is a test net, but no `test_interval`.

    ## What it does

    A `test_iter`, `test_net` or `test_net_param` with a `test_interval` that is missing, 0 or negative.

    ## Why is this bad?

    Caffe stops: `Check failed: param_.test_interval() > 0`.

    ## When it is reported

    Never: Caffe does not start.

    ## Example

    There is no fix: only you know how often to test.

    ## References

    solver.cpp, Solver::InitTestNets. Tried with the real Caffe.
    """
    message = solver.message
    tests = _tests(message)
    if tests is None or message["test_interval"] > 0:
        return
    if tests or (_shares_net(message) and message["test_iter"]):
        reason = f"Caffe stops: Check failed: test_interval() > 0 ({message['test_interval']} vs. 0)."
        if "test_interval" in message:
            shown = f"test_interval is {message['test_interval']}, but there is a test net"
            yield Hit(solver.file, message.span("test_interval"), shown, reason)
        elif is_absent(message, "test_interval"):
            beside = place_beside(message, "test_iter", "test_net", "test_net_param")
            yield Hit(solver.file, beside, "there is a test net, but no test_interval", reason)


@rule("S105", "disabled-testing", subject="solver", severity="advice")
def disabled_testing(solver: SolverFile) -> Iterator[Hit]:
    """The solver looks as if it tested, and does not.

    ## What it does

    A `test_interval` without any `test_iter`, a `test_iter` of 0, and a `test_interval` larger than `max_iter`. With
    `test_initialization: false` and an interval of more than ten times `max_iter` tests are switched off on purpose.

    ## Why is this bad?

    Without `test_iter` no test net is built, without a word. With `test_iter: 0` it is built, takes its
    memory, and is run for no batch: no score is printed. With an interval that is never reached, at most the net
    before its training is tested.

    ## When it is reported

    The net is never tested on purpose, and the field is left over from another solver.

    ## Example

    Or no `test_interval`, if there is nothing to test. There is no fix, as there are these two ways.

    ## References

    solver.cpp, Solver::InitTestNets and Solver::Test. Tried with the real Caffe.
    """
    message = solver.message
    if "test_interval" in message and is_absent(message, "test_iter") and _tests(message) == 0:
        shown = "test_interval is written, but no test_iter"
        yield Hit(
            solver.file, message.span("test_interval"), shown, "Caffe builds no test net and never tests."
        )
    for index, value in enumerate(message["test_iter"]):
        if value <= 0:
            reason = "The test net is built, but run for no batch, and no score is printed."
            yield Hit(solver.file, message.span("test_iter", index), f"test_iter is {value}", reason)
    interval, length, first = message["test_interval"], message["max_iter"], message["test_initialization"]
    if message["test_iter"] and interval > length > 0 and (first or interval <= 10 * length):
        shown = f"test_interval is {interval:,}, but the training ends at max_iter {length:,}"
        reason = "Caffe tests the net before its training, and never again." if first else "Caffe never tests."
        yield Hit(solver.file, message.span("test_interval"), shown, reason)


@rule("S111", "inline-net-old-format", subject="solver", severity="error")
def inline_net_old_format(solver: SolverFile) -> Iterator[Hit]:
    """A net inside a solver is in an old form, which Caffe does not lift there.

    ## What it does

    `layers` or `input` in a `net_param`, `train_net_param` or `test_net_param`.

    ## Why is this bad?

    Caffe brings nets to today's form when it reads them from a file. A net inside a solver it takes as it
    stands: `layers` are not there for it, and what reads an `input` has an unknown bottom. Both end the
    training at its start.

    ## When it is reported

    Never: Caffe does not start.

    ## Example

    There is no fix: put the net into a file of its own, or rewrite it.

    ## References

    solver.cpp, Solver::InitTrainNet and Solver::InitTestNets. Tried with the real Caffe.
    """
    for name in ("net_param", "train_net_param", "test_net_param"):
        for net, _, _ in solver.message.entries.get(name, ()):
            for old in ("layers", "input"):
                field = net.field(old)
                if field is not None:
                    shown = f"{name} has '{old}', which Caffe lifts to today's form only in a file of its own"
                    reason = "In a solver it is taken as it stands, and the net cannot be built."
                    yield Hit(solver.file, (field.start, field.name_end), shown, reason)


def _tests(message: Message) -> int | None:
    """How many test nets the solver names; None if that cannot be told, or Caffe would not come so far."""
    named = ("test_net", "test_net_param")
    if not all(is_whole(message, name) for name in (*named, "test_iter", "test_state")):
        return None
    if sum(not is_absent(message, name) for name in _TRAIN_NETS) != 1:
        return None
    return sum(len(message[name]) for name in named)


def _shares_net(message: Message) -> bool:
    """Whether the training net may serve for tests as well."""
    return not (is_absent(message, "net") and is_absent(message, "net_param"))
