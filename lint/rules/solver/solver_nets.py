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
    """Flags solvers with no training net, or with more than one.

    ## What it does

    Flags solvers that set none, or several, of `net`, `net_param`, `train_net` and `train_net_param`.

    ## Why is this bad?

    Caffe stops: `SolverParameter must specify a train net using one of these fields`, or `must not contain more than
    one of these fields`.

    ## When it is reported

    Reported as an **error**, unless the file is for MyCaffe, whose programs bring the net. There is no fix, because only you know
    which net is meant. Ignore it if a program of your own reads the solver and sets the net.

    ## References

    `Solver::InitTrainNet` in solver.cpp. Verified with the real Caffe.
    """
    message = solver.message
    written = [name for name in _TRAIN_NETS if not is_absent(message, name)]
    if not written and not solver.file.schema.lists_fields(solver.file.bound.dialect):
        return  # its program brings the net
    if not written:
        shown = "the solver has no training net"
        reason = f"Caffe stops: one of {', '.join(_TRAIN_NETS)} is required."
        yield Hit(solver.file, place_beside(message), shown, reason)
    elif len(written) > 1:
        spans = [message.span(name) for name in written if name in message]
        shown = f"the solver has {len(written)} training nets: {', '.join(written)}"
        span = max(spans) if spans else place_beside(message)
        yield Hit(solver.file, span, shown, "Caffe stops: exactly one is allowed.")


@rule("S102", "test-iter-count", subject="solver", severity="error")
def test_iter_count(solver: SolverFile) -> Iterator[Hit]:
    """Flags solvers whose number of `test_iter` does not match their test nets.

    ## What it does

    - With `train_net` or `train_net_param`, flags a number of `test_iter` that differs from the number of `test_net`
      and `test_net_param` together.
    - With `net` or `net_param`, flags fewer `test_iter` than test nets. Caffe builds additional test nets from the
      net itself for any others.

    ## Why is this bad?

    Caffe stops: `test_iter must be specified for each test network.`

    ## When it is reported

    Reported as an **error**. There is no fix, because only you know how many batches the test has.

    ## References

    `Solver::InitTestNets` in solver.cpp. Verified with the real Caffe.
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
            shown = f"number of test_iter ({iterations}) differs from number of test nets ({tests})"
            reason = "Caffe stops: with train_net, each test_iter requires a test_net."
        else:
            shown = f"number of test_iter ({iterations}) is below number of test nets ({tests})"
            reason = "Caffe stops: test_iter must be specified for each test network."
        yield Hit(solver.file, span, shown, reason)


@rule("S103", "test-state-count", subject="solver", severity="error")
def test_state_count(solver: SolverFile) -> Iterator[Hit]:
    """Flags solvers whose number of `test_state` does not match their test nets.

    ## What it does

    Flags a number of `test_state` that is neither 0 nor the number of test nets, including the test nets that Caffe
    builds from `net` for `test_iter`.

    ## Why is this bad?

    Caffe stops: `test_state must be unspecified or specified once per test net.`

    ## When it is reported

    Reported as an **error**. There is no fix, since either a state or a test may be missing.

    ## References

    `Solver::InitTestNets` in solver.cpp. Verified with the real Caffe.
    """
    message = solver.message
    tests = _tests(message)
    states = len(message["test_state"])
    if tests is None or not states:
        return
    instances = max(tests, len(message["test_iter"])) if _shares_net(message) else tests
    if states != instances:
        shown = f"number of test_state ({states}) differs from number of test nets ({instances})"
        reason = "Caffe stops: test_state must be unspecified or specified once per test net."
        span = message.field("test_state", states - 1)
        yield Hit(solver.file, (span.start, span.name_end) if span else place_beside(message), shown, reason)


@rule("S104", "missing-test-interval", subject="solver", severity="error")
def missing_test_interval(solver: SolverFile) -> Iterator[Hit]:
    """Flags solvers with a test net but no positive `test_interval`.

    ## What it does

    Flags `test_iter`, `test_net` or `test_net_param` with a `test_interval` that is missing, 0 or negative.

    ## Why is this bad?

    Caffe stops: `Check failed: param_.test_interval() > 0`.

    ## When it is reported

    Reported as an **error**. There is no fix, because only you know how often to test.

    ## References

    `Solver::InitTestNets` in solver.cpp. Verified with the real Caffe.
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
            yield Hit(solver.file, beside, "the solver has a test net, but no test_interval", reason)


@rule("S105", "disabled-testing", subject="solver", severity="advice")
def disabled_testing(solver: SolverFile) -> Iterator[Hit]:
    """Flags solvers that appear to test their net but never do.

    ## What it does

    Flags a `test_interval` without any `test_iter`, a `test_iter` of 0 or less, and a `test_interval` larger than
    `max_iter`.

    ## Why is this bad?

    - Without `test_iter`, Caffe builds no test net and prints no message.
    - With `test_iter: 0`, the test net is built and takes memory, but runs on no batch and prints no score.
    - With an interval that is never reached, the net is tested at most once, before the training.

    ## When it is reported

    Reported as **advice**. Nothing is reported for `test_initialization: false` with an interval of more than ten
    times `max_iter`, which switches tests off on purpose. There is no fix, since either field may be wrong. Ignore it
    if the net is not meant to be tested and the field is a leftover.

    ## Example

    If there is nothing to test, the other way to correct it is to remove `test_interval`.

    ## References

    `Solver::InitTestNets` and `Solver::Test` in solver.cpp. Verified with the real Caffe.
    """
    message = solver.message
    if "test_interval" in message and is_absent(message, "test_iter") and _tests(message) == 0:
        shown = "test_interval is set, but test_iter is missing"
        yield Hit(solver.file, message.span("test_interval"), shown, "Caffe builds no test net and never runs a test.")
    for index, value in enumerate(message["test_iter"]):
        if value <= 0:
            reason = "The test net is built, but runs on no batch and prints no score."
            yield Hit(solver.file, message.span("test_iter", index), f"test_iter is {value}", reason)
    interval, length, first = message["test_interval"], message["max_iter"], message["test_initialization"]
    if message["test_iter"] and interval > length > 0 and (first or interval <= 10 * length):
        shown = f"test_interval {interval:,} exceeds max_iter {length:,}"
        reason = "Caffe tests the net before the training, and never again." if first else "Caffe never tests the net."
        yield Hit(solver.file, message.span("test_interval"), shown, reason)


@rule("S111", "inline-net-old-format", subject="solver", severity="error")
def inline_net_old_format(solver: SolverFile) -> Iterator[Hit]:
    """Flags nets inside a solver in an old format that Caffe does not upgrade there.

    ## What it does

    Flags `layers` or `input` in a `net_param`, `train_net_param` or `test_net_param`.

    ## Why is this bad?

    Caffe upgrades a net to the current format when it reads the net from a file, but not a net inside a solver.
    There, `layers` are ignored, and a layer that reads an `input` has an unknown bottom. Either way the training
    stops at its start.

    ## When it is reported

    Reported as an **error**. There is no fix: move the net to a file of its own, or rewrite it in the current format.

    ## References

    `Solver::InitTrainNet` and `Solver::InitTestNets` in solver.cpp. Verified with the real Caffe.
    """
    for name in ("net_param", "train_net_param", "test_net_param"):
        for net, _, _ in solver.message.entries.get(name, ()):
            for old in ("layers", "input"):
                field = net.field(old)
                if field is not None:
                    shown = f"{name} is in an old format: '{old}' is not supported in a solver"
                    reason = "Caffe upgrades an old format only in a separate net file, so this net cannot be built."
                    yield Hit(solver.file, (field.start, field.name_end), shown, reason)


def _tests(message: Message) -> int | None:
    """Return the number of test nets that the solver names; None if it is unknown, or Caffe would stop before it counts
    them.
    """
    named = ("test_net", "test_net_param")
    if not all(is_whole(message, name) for name in (*named, "test_iter", "test_state")):
        return None
    if sum(not is_absent(message, name) for name in _TRAIN_NETS) != 1:
        return None
    return sum(len(message[name]) for name in named)


def _shares_net(message: Message) -> bool:
    """Return whether the training net may be used for tests as well."""
    return not (is_absent(message, "net") and is_absent(message, "net_param"))
