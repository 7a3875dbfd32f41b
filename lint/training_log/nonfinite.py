"""What is NaN or infinite without having grown so: data, labels, a layer out of its domain, a broken
update.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from .causes import Cause, Shown, norms_line, shown, step_line, value_line
from .course import grew
from .evidence import Evidence
from .probing import bad_batches
from .runs import Value


def input_not_finite(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T101 finds: see its page."""
    if log.is_probe:
        yield from bad_batches(log)
        return
    bad = log.first_bad
    if bad is not None and bad.key.direction == "Forward" and log.is_data(bad.key.layer):
        kind = "inf" if math.isinf(bad.value) else "nan"
        what = "label" if log.is_label(bad.key.layer, bad.key.blob) else "data"
        assert log.bad_pass is not None
        number, size = log.bad_pass.iteration, log.batch
        batch = f" It is batch {number}, counted from 0" if number is not None else ""
        if number is not None and size:
            batch += f": entries {size * number} to {size * (number + 1) - 1} if nothing is shuffled"
        yield Cause(
            f"{kind}-in-{what}",
            f"the {what} itself is {'infinite' if kind == 'inf' else 'NaN'}: top '{bad.key.blob}' of "
            f"data layer '{bad.key.layer}'",
            f"Everything before it is finite, and no solver setting can rescue a training from such a value.{batch}.",
            0.98,
            bad.key.layer,
            bad.key.blob,
            log.bad_pass.iteration,
            bad.line,
            shown((step_line(step) for step in log.healthy[-2:]), _norms_before(log), value_line(bad)),
        )
        return
    step = log.first_bad_step
    if step is None or grew(log) or len(log.healthy) < 2:
        return
    if not _hidden(log, step.iteration):
        return
    before = log.healthy[-1]
    yield Cause(
        "nan-in-data",
        f"a batch between iterations {before.iteration} and {step.iteration} is likely NaN or infinite itself",
        f"At iteration {before.iteration} loss and gradients were sound and had not grown; at "
        f"{step.iteration} all is NaN. "
        "With `display: 1` and `debug_info: true` the log would show the data layer first.",
        0.6,
        bad.key.layer if bad is not None else None,
        bad.key.blob if bad is not None else None,
        step.iteration,
        bad.line if bad is not None else step.line,
        shown((step_line(each) for each in log.healthy[-3:]), step_line(step), value_line(bad) if bad else None),
    )


def _hidden(log: Evidence, iteration: int) -> bool:
    """Whether what happened lies in iterations that were not displayed, or that have no debug_info."""
    bad = log.first_bad
    if bad is None:
        return True
    if log.healthy and iteration - log.healthy[-1].iteration <= 1:
        return False
    return weights_bad(log, bad)


def weights_bad(log: Evidence, bad: Value) -> bool:
    """Whether the layer's weights are not finite either, so that the fault lies before this pass."""
    assert log.bad_pass is not None
    if bad.key.role == "param" and bad.key.direction == "Forward":
        return True
    return any(
        not value.finite
        for value in log.bad_pass
        if value.key.layer == bad.key.layer and value.key.direction == "Forward" and value.key.role == "param"
    )


def _norms_before(log: Evidence) -> Shown | None:
    before = log.pass_before_bad
    return norms_line(before) if before is not None else None


def layer_out_of_domain(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T102 finds: see its page."""
    bad = log.first_bad
    if bad is None or bad.key.direction != "Forward" or bad.key.role != "top" or log.is_data(bad.key.layer):
        return
    if weights_bad(log, bad) or (grew(log) and not _at_once(log)):
        return
    assert log.bad_pass is not None
    bottoms = log.bottoms_of(log.bad_pass, bad.key.layer)
    if any(not bottom.finite for bottom in bottoms):
        return
    kind = log.type_of(bad.key.layer)
    loss = "Loss" in kind or kind == ""
    cause, why = log.traits_of(bad.key.layer).hazard or (
        "loss-out-of-domain" if loss else "non-finite-activation",
        "its inputs are finite, so it was asked for what has no value",
    )
    blank = _blank_statistics(log, bad)
    if blank:
        cause, why = (
            "batch-norm-blank-statistics",
            (
                "the statistics of the BatchNorm below are all 0 (blobs 0 to 2), so it divides by sqrt(eps): "
                "use_global_stats needs trained statistics"
            ),
        )
    yield Cause(
        cause,
        f"layer '{bad.key.layer}'{f' ({kind})' if kind else ''} makes {bad.value:g} out of finite inputs",
        f"Its bottoms and weights are finite in the same pass: {why}.",
        0.93 if bottoms or blank else 0.7,
        bad.key.layer,
        bad.key.blob,
        log.bad_pass.iteration,
        bad.line,
        shown(
            (value_line(value) for value in (*blank, *bottoms)),
            value_line(bad),
            (step_line(s) for s in log.healthy[-1:]),
        ),
    )


def _at_once(log: Evidence) -> bool:
    return log.first_bad_iteration is not None and not log.healthy


def _blank_statistics(log: Evidence, bad: Value) -> list[Value]:
    """Three blobs of zeros just before: a BatchNorm whose statistics were never trained."""
    assert log.bad_pass is not None
    before = [value for value in log.bad_pass if value.line < bad.line][-3:]
    if len(before) == 3 and all(value.key.role == "param" and value.value == 0 for value in before):
        return before
    return []


def gradient_not_finite(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T103 finds: see its page."""
    bad = log.first_bad
    if bad is None or bad.key.direction != "Backward" or grew(log):
        return
    assert log.bad_pass is not None
    kind = log.type_of(bad.key.layer)
    is_loss = "Loss" in kind or (not kind and "loss" in bad.key.layer.lower())
    forward = any(value.key.direction == "Forward" for value in log.bad_pass)
    after = [value for value in log.bad_pass if value.line > bad.line]
    above = [value for value in log.bad_pass if value.line < bad.line and value.key.direction == "Backward"]
    stops = next((value for value in after if value.finite and value.value == 0 and value.key.role == "bottom"), None)
    absolute = log.traits_of(bad.key.layer).takes_absolute or (not kind and "abs" in bad.key.layer.lower())
    cause, reason = (
        "non-finite-gradient",
        "The gradients above it are finite, so this layer's own has no value.",
    )
    if bad.key.role == "param" and above and above[-1].value == 0 and not forward:
        # A param's diff is its input times the diff above: 0 * NaN. Its bottom's diff is weights times the
        # same 0.
        cause, reason = (
            "forward-not-finite",
            (
                "The gradients beside it are exactly 0, and 0 times a finite input would be 0: the "
                "layer's input is NaN or infinite, "
                "so the forward pass broke before. Weights or data are bad from the start, or the "
                "statistics of a BatchNorm are blank."
            ),
        )
    elif is_loss:
        cause, reason = (
            "loss-gradient-not-finite",
            "It is the loss's own: its scores are NaN or infinite, or it is out of its domain.",
        )
    elif absolute:
        cause, reason = (
            "abs-gradient",
            "Caffe of before 2014-10 divided x by |x| for the sign, which is 0/0 where x is 0 "
            "(BVLC/caffe#1326 repaired it).",
        )
    if not forward and cause != "abs-gradient":
        reason += " The excerpt has no forward pass to tell more: `debug_info: true` with `display: 1` would."
    if stops is not None and cause != "forward-not-finite":
        reason += f" Below '{stops.key.layer}' the gradients are exactly 0."
    yield Cause(
        cause,
        f"the gradient of layer '{bad.key.layer}'{f' ({kind})' if kind else ''} is {bad.value:g}: "
        f"{bad.key.role} '{bad.key.blob}'",
        reason,
        0.85 if forward else 0.7,
        bad.key.layer,
        bad.key.blob,
        log.bad_pass.iteration,
        bad.line,
        shown(
            (above[-1:] and value_line(above[-1])) or None,
            value_line(bad),
            (value_line(value) for value in after[:2]),
            value_line(stops) if stops else None,
        ),
    )


def update_not_finite(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T104 finds: see its page."""
    for step in log.steps:
        if step.rate is not None and not math.isfinite(step.rate):
            yield Cause(
                "learning-rate-not-finite",
                f"the learning rate is {step.rate:g} in iteration {step.iteration}",
                "base_lr, gamma and power are to blame: every update is NaN from here on.",
                0.99,
                iteration=step.iteration,
                line=step.rate_line,
                evidence=(Shown(step.rate_line, f"Iteration {step.iteration}, lr = {step.rate:g}"),),
            )
            return
    bad, before = log.first_bad, log.pass_before_bad
    if bad is None or before is None or log.bad_pass is None or not weights_bad(log, bad) or grew(log):
        return
    if before.iteration is None or log.bad_pass.iteration != before.iteration + 1:
        return
    if before.norms is not None and not all(math.isfinite(norm) for norm in before.norms):
        return
    culprits = [
        text
        for wrong, text in (
            (log.setting("momentum") >= 1, f"momentum is {log.setting('momentum'):g}"),
            (log.solver is not None and "delta" in log.solver and log.setting("delta") == 0, "delta is 0"),
        )
        if wrong
    ]
    settings = "; ".join(culprits) or f"look at the settings of the solver ({log.solver_type})"
    yield Cause(
        "non-finite-update",
        f"the update after iteration {before.iteration} made the weights of '{bad.key.layer}' {bad.value:g}",
        f"All gradients of iteration {before.iteration} were finite and ordinary, so the solver's own "
        f"arithmetic broke: {settings}.",
        0.9,
        bad.key.layer,
        bad.key.blob,
        log.bad_pass.iteration,
        bad.line,
        shown(norms_line(before), value_line(bad)),
    )


def test_not_finite(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T105 finds: see its page."""
    for test in log.tests:
        limit = log.first_bad_iteration
        if limit is not None and test.iteration is not None and test.iteration >= limit:
            return
        wrong = [out for out in test.outputs if not math.isfinite(out.value)]
        if not wrong:
            continue
        passed = log.run.test_bad
        bad = next((value for value in passed if not value.finite), None) if passed is not None else None
        first = bad.key if bad is not None else None
        in_data = first is not None and first == next(iter(passed or ())).key
        yield Cause(
            "nan-in-test-data" if in_data else "nan-in-test",
            f"test net #{test.net} gives {wrong[0].name} = {wrong[0].value:g} at iteration "
            f"{test.iteration} while the training is finite",
            "The weights are sound, so look at the test's own data and transform, and at BatchNorm's "
            "stored statistics."
            + (f" The first value that is not finite is '{first.blob}' of layer '{first.layer}'." if first else ""),
            0.9,
            first.layer if first else None,
            first.blob if first else wrong[0].name,
            test.iteration,
            bad.line if bad else test.line,
            shown(
                value_line(bad) if bad else None,
                Shown(
                    test.line,
                    f"Iteration {test.iteration}, Testing net (#{test.net}): {wrong[0].name} = {wrong[0].value:g}",
                ),
                (step_line(step) for step in log.healthy[-1:]),
            ),
        )
        return
