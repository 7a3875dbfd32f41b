"""What rules are told of a simulated training, by the same files always the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..stability.verdict.simulated import Simulated, SimulatedCourse
from .simulating import SPEED, Plan, simulate

if TYPE_CHECKING:
    from ..net.job import Job
    from ..stability.verdict.simulated import Effort
    from .training_run import Course


def simulated(job: Job, effort: Effort) -> Simulated:
    """What becomes of a job's training on made-up data. As many steps as for a verdict must fit the usual budget."""
    usual = Plan()
    budget = usual.budget * max(1.0, effort.steps / usual.steps) if effort.seconds is None else effort.seconds
    plan = usual._replace(
        steps=effort.steps,
        batch=None if usual.batch is None or effort.times == math.inf else int(usual.batch * effort.times),
        seeds=effort.seeds,
        budget=budget,
        first_seed=effort.first_seed,
        high=effort.high,
        watch=effort.watch,
    )
    found = simulate(job, plan)
    return Simulated(
        found.word,
        found.cannot_tell,
        found.p_diverges or 0.0,
        found.p_stalls or 0.0,
        tuple(map(_shown, found.courses)),
        found.diverging,
        found.first_layer,
        found.first_iteration,
        found.cut,
        found.multiply_adds / max(1, len(found.courses)) / SPEED,
        found.part,
        found.is_confirmed,
    )


def _shown(course: Course) -> SimulatedCourse:
    norms = tuple(each.passes[-1][2].l2_diff for each in course.iterations if each.passes)
    return SimulatedCourse(tuple(course.losses), course.before, norms)
