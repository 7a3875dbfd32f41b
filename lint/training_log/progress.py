"""How a training went that neither broke nor stood still: overfitting, tests at chance, clipping, labels."""

from __future__ import annotations

import math
from collections.abc import Iterator

from .causes import Cause, Shown, shown, step_line, value_line
from .course import explosion, learnt
from .evidence import Evidence, median
from .runs import Test

_ACCURACIES = ("acc", "top1", "top-1", "top5", "top-5", "precision", "score")


def overfitting(log: Evidence, *, rise: float) -> Iterator[Cause]:
    """The causes that rule T401 finds: see its page."""
    if log.first_bad_iteration is not None or explosion(log) is not None:
        return
    for net in sorted({test.net for test in log.tests}):
        curve = [
            (test, out.value)
            for test in log.tests
            if test.net == net
            for out in test.outputs[:8]
            if out.weight and out.weight > 0 and math.isfinite(out.value)
        ]
        if len({test.line for test, _ in curve}) < 4:
            continue
        names = [out.name for out in curve[0][0].outputs if out.weight]
        if len(names) != 1:
            continue
        lowest = min(range(len(curve)), key=lambda index: curve[index][1])
        end = median([value for _, value in curve[-max(1, len(curve) // 8) :]])
        at, best = curve[lowest]
        if lowest >= len(curve) * 0.75 or end < rise * best or end - best < 0.02:
            continue
        train_then = [s.loss for s in log.steps if at.iteration is not None and s.iteration <= at.iteration][-5:]
        train_now = [s.loss for s in log.steps][-5:]
        if not train_then or median(train_now) > median(train_then) or median(train_now) > end:
            continue
        last = curve[-1][0]
        scored = [(_accuracy(test), test) for test, _ in curve]
        reached = _accuracy(at)
        if reached is not None and (scored[-1][0] or 0.0) >= reached:
            continue  # its guesses are better, if bolder
        yield Cause(
            "overfitting",
            f"the test loss rose from {best:.4g} (iteration {at.iteration}) to {end:.4g} while the "
            f"training loss fell to {median(train_now):.4g}",
            f"From iteration {at.iteration} on the training set is learnt by heart.",
            0.85,
            None,
            names[0],
            at.iteration,
            at.line,
            shown(_test_line(at, best), _test_line(last, end), step_line(log.steps[-1])),
        )


def _accuracy(test: Test) -> float | None:
    return next((out.value for out in test.outputs if "acc" in out.name.lower()), None)


def _test_line(test: Test, value: float) -> Shown:
    return Shown(test.line, f"Iteration {test.iteration}, Testing net (#{test.net}): loss = {value:g}")


def test_at_chance(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T402 finds: see its page."""
    for test in log.tests:
        perfect = [out for out in test.outputs if "acc" in out.name.lower() and out.value == 1]
        broken = [out for out in test.outputs if not math.isfinite(out.value) or 87.3 < out.value < 87.37]
        if perfect and broken:
            yield Cause(
                "accuracy-of-nan",
                f"accuracy is 1 while {broken[0].name} = {broken[0].value:g}: the scores are NaN",
                "Comparisons with NaN are false, so Accuracy counts every item as right.",
                0.4,
                None,
                perfect[0].name,
                test.iteration,
                test.line,
                (_test_line(test, broken[0].value),),
            )
            break
    if log.classes is None or log.classes < 3 or log.first_bad_iteration is not None or not learnt(log):
        return
    only = log.single_loss
    if only is None or not only.traits.log_likelihood or only.traits.takes_matrix:
        return
    last = log.tests[-3:]
    if len(last) < 3 or (log.tests[-1].iteration or 0) == 0:
        return
    values = [
        out.value for test in last for out in test.outputs if any(word in out.name.lower() for word in _ACCURACIES)
    ]
    if not values or any(abs(value - 1 / log.classes) > 0.1 / log.classes for value in values):
        return
    yield Cause(
        "chance-level-accuracy",
        f"the test accuracy stays at {values[-1]:.4g}, which is 1/{log.classes}, while "
        f"the training loss fell to {log.steps[-1].loss:.4g}",
        "Training and test do not see the same: compare transform_param, mean and label order, and "
        "BatchNorm's use_global_stats.",
        0.8,
        None,
        None,
        log.tests[-1].iteration,
        log.tests[-1].line,
        shown(
            (
                Shown(
                    t.line,
                    f"Iteration {t.iteration}: " + ", ".join(f"{o.name} = {o.value:g}" for o in t.outputs[:3]),
                )
                for t in last
            ),
            step_line(log.steps[-1]),
        ),
    )


def clipping_always(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T403 finds: see its page."""
    clipped = list(log.run.clipped)
    if len(clipped) < 4 or not all(math.isfinite(each.norm) for each in clipped):
        return
    norms = [each.norm for each in clipped]
    times = median(norms) / clipped[-1].bound if clipped[-1].bound > 0 else math.inf
    iterations = log.steps[-1].iteration - log.steps[0].iteration if len(log.steps) > 1 else 0
    always = iterations == 0 or log.run.clipped.count >= 0.95 * iterations
    if not always or times < 10 or learnt(log) or explosion(log) is not None:
        return
    yield Cause(
        "constant-clipping",
        f"gradients are clipped in every iteration: a norm of {median(norms):.3g} "
        f"against a bound of {clipped[-1].bound:g}",
        f"Each step is cut to 1/{times:.0f}: the bound, not the rate, sets its length. Norms that large "
        f"come of a loss that is a sum, or of targets that are not scaled.",
        0.75,
        None,
        None,
        clipped[0].iteration,
        clipped[0].line,
        shown(Shown(each.line, f"Gradient clipping: L2 norm {each.norm:g} > {each.bound:g}") for each in clipped[:3]),
    )


def label_out_of_range(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T404 finds: see its page."""
    for out in log.outputs:
        layer = log.layers.get(out.layer)
        classes = log.classes_of(layer) if layer is not None and out.traits.log_likelihood else None
        if layer is None or classes is None or len(layer.bottoms) < 2:
            continue
        if "loss_param" in layer.message and "ignore_label" in layer.message["loss_param"]:
            continue
        for passed in (*log.run.passes.sample, *log.passes):
            label = next((v for v in log.bottoms_of(passed, out.layer) if v.key.blob == layer.bottoms[1].name), None)
            if label is None or not label.finite or label.value <= classes - 1:
                continue
            step = next((s for s in log.steps if s.iteration == passed.iteration), log.steps[-1])
            yield Cause(
                "label-out-of-range",
                f"labels are out of range: the mean of '{label.key.blob}' is {label.value:.6g}, for {classes} classes",
                f"The largest label that '{out.layer}' can take is {classes - 1}; a release build reads "
                f"memory beside the scores instead of complaining.",
                0.97,
                label.key.layer,
                label.key.blob,
                passed.iteration,
                label.line,
                shown(value_line(label), step_line(step)),
            )
            return


UNEXPLAINED = "not-finite"  # said where no rule knows more


def need_debug_info(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T405 finds: see its page."""
    bad = log.first_bad
    if bad is not None:
        iteration = log.bad_pass.iteration if log.bad_pass is not None else None
        yield Cause(
            UNEXPLAINED,
            f"values are not finite from iteration {iteration} on: the first is {bad.key.role} '{bad.key.blob}' of layer"
            f" '{bad.key.layer}'",
            "Nothing in the log tells why: neither loss nor gradients had grown before.",
            0.1,
            bad.key.layer,
            bad.key.blob,
            iteration,
            bad.line,
            shown((step_line(each) for each in log.healthy[-2:]), value_line(bad)),
        )
        return
    step = log.first_bad_step
    if step is None:
        return
    sound = len(log.healthy)
    yield Cause(
        "missing-debug-info" if sound else "nan-from-the-start",
        f"the loss is {step.loss:g} at iteration {step.iteration}, and the log has no debug_info to tell "
        f"which layer went first",
        f"Set debug_info: true and display: 1, and run it again for {step.iteration + 1} iterations.",
        0.2 if sound > 1 else 0.5,
        None,
        None,
        step.iteration,
        step.line,
        shown((step_line(s) for s in log.healthy[-2:]), step_line(step)),
    )
