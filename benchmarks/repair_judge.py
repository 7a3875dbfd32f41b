"""What `--fix` does to trainings that diverge, and to those that do not: held against what made the real Caffe train.

Run: python benchmarks/repair_judge.py [--table FILE] [--write] [--steps] [../shared/divergence]

Of each set-up: what became of it (`learning.py` says what *learns* means), with which single changes it learned, what it is
said to do, which numbers a default fix changes, which ones only an unsafe fix changes, and the reason that is given. A set-up
that diverges and learned with none of the changes is not repairable, as far as was tried: no number is right for it.

Our changes were not trained. A repair is *supported* if it is as strong as a change with which the set-up learned, or lies
between two of them; strength is how many times smaller it makes the first step: by the rate, a loss weight, or a bound below
the gradients' norm (which counts nothing for solvers that scale them).

Prints the totals; `--table` writes all set-ups, `--write` the totals into docs/signal.md. `--steps` prints how far bounds let a
step carry the weights, and how often trainings that diverged then learned (`LARGEST_STEP`).
"""

from __future__ import annotations

import math
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

from learning import CHANGES, SetUp, set_ups

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.engine.fixing import fix_unit
from caffe_lint.engine.unit_check import check_unit
from caffe_lint.engine.units import Unit, UnitResult
from caffe_lint.net.data_facts import DataFacts, read_facts
from caffe_lint.net.job import Job, Nets, SolverFile
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.rule.finding import Finding
from caffe_lint.settings.settings import Settings
from caffe_lint.solver.step_limit import LARGEST_STEP
from caffe_lint.stability.advice.limits import norm_limit
from caffe_lint.stability.computed import stability_of
from caffe_lint.stability.signal.update_rule import UpdateRule
from caffe_lint.stability.verdict.verdict import outlook

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "signal.md"
NUMBERS = ("G101", "G102", "G103")  # the rules whose fixes change numbers so that a training does not diverge
FIELDS = ("base_lr", "momentum", "weight_decay", "clip_gradients")  # of a solver, that such fixes may change
CLOSE = 3.2  # half a decade: two changes are equally strong up to this factor
STEPS = (0.0003, 0.001, 0.003, 0.01, 0.05, 0.1, 0.3, 1.0, 10.0, math.inf)


class Written(NamedTuple):
    """The numbers that a fix writes, how many times smaller the first step is with them, and whether it counts as a repair.

    `inserts_bound` says that a `clip_gradients` was added.
    """

    changes: tuple[str, ...]
    strength: float
    repairs: bool
    inserts_bound: bool

    @property
    def only_a_bound(self) -> bool:
        """Whether nothing is written but a `clip_gradients` that is no repair."""
        return not self.repairs and all(change.startswith("clip_gradients") for change in self.changes)


class Row(NamedTuple):
    """A set-up, what became of it, what is said of it, and what the default and the unsafe fixes write.

    `support` says how the repair compares with the changes with which it learned; empty if there is none, or none did.
    """

    name: str
    outcome: str
    rescues: list[str]
    clips: bool
    said: str
    confidence: str
    probability: float
    default: Written
    unsafe: Written
    support: str
    why: str
    stable: bool  # whether a second run changes nothing

    @property
    def explodes(self) -> bool:
        """Whether it diverges."""
        return self.outcome.startswith("diverges")

    @property
    def repaired_by(self) -> str:
        """The kind of the fix that repairs it."""
        return "default" if self.default.repairs else "unsafe" if self.unsafe.repairs else "none"


def outcome_of(set_up: SetUp) -> str:
    """What became of a set-up."""
    if set_up.explodes:
        return "diverges, repairable" if set_up.rescues else "diverges, not repairable"
    return "learns" if set_up.learns else "neither"


def support_of(set_up: SetUp, written: Written) -> str:
    """How a repair compares with the changes with which a set-up learned; empty if there is none, or none did."""
    learned = [strength(set_up.signal.update_rule, set_up.signal.l2, *CHANGES[name]) for name in set_up.rescues]
    if not written.repairs or not learned:
        return ""
    if written.strength > max(learned) * CLOSE:
        return "weaker"
    return "stronger" if written.strength < min(learned) / CLOSE else "supported"


def strength(rule: UpdateRule, norm: float, rate: float, weight: float, bound: float) -> float:
    """How many times smaller the first step becomes with a factor for the rate, one for the weight of a loss, and a bound."""
    if rule.adaptive:
        return rate
    present = rule.clip if rule.clip > 0 else math.inf
    return rate * min(norm * weight, bound, present) / min(norm, present) if norm > 0 else rate


def read_job(folder: Path, files: Files, facts: DataFacts) -> Job:
    """A set-up as a job."""
    nets = Nets(files.get, None, facts_for=lambda path: facts)
    return nets.job(SolverFile(files.get(str(folder / "solver.prototxt"))), None)


def judge(set_up: SetUp, facts: DataFacts) -> Row:
    """Check a set-up, and fix it in memory."""
    settings = Settings(facts=facts)
    unit = Unit((str(set_up.folder / "solver.prototxt"),), None)
    old = read_job(set_up.folder, new_files(), facts)
    known = stability_of(old)
    default, patched, result = _fixed(old, set_up, unit, settings, facts, unsafe=False)
    # Where nothing was fixed, the findings are those of the first check, and a second run would be the same.
    findings = check_unit(unit, new_files(), settings) if result.fixed else result.findings
    again = fix_unit(unit, patched, settings, unsafe=False) if result.fixed else result
    numbers = [finding for finding in findings if finding.code in NUMBERS]
    if any(finding.fix is not None and not finding.fix.safe for finding in numbers) or result.fixed:
        unsafe, _, _ = _fixed(old, set_up, unit, settings._replace(select=NUMBERS), facts, unsafe=True)
    else:
        unsafe = default  # nothing to fix
    probability = known.verdict.p_diverges if known is not None else math.nan
    certain = any(finding.confidence == "high" for finding in numbers if outlook(1.0) in _text(finding))
    return Row(
        set_up.name,
        outcome_of(set_up),
        set_up.rescues,
        set_up.signal.update_rule.clip > 0,
        outlook(probability).removeprefix("is ") if known is not None else "cannot tell",
        "high" if certain else "",
        probability,
        default,
        unsafe,
        support_of(set_up, default if default.repairs else unsafe),
        "; ".join(f"{finding.code}: {finding.message}" for finding in numbers),
        not again.fixed,
    )


def judge_part(root: Path, part: slice) -> list[Row]:
    """Judge a part of the set-ups."""
    facts = read_facts(str(root / "data.json"))
    return [judge(set_up, facts) for set_up in set_ups(root, part)]


def judge_all(root: Path) -> list[Row]:
    """Judge all set-ups, on all processors."""
    number = os.cpu_count() or 1
    with ProcessPoolExecutor(number) as pool:
        parts = pool.map(judge_part, repeat(root), [slice(first, None, number) for first in range(number)])
        return sorted((row for rows in parts for row in rows), key=lambda row: row.name)


def new_files() -> Files:
    """The files on disk."""
    return Files(caffe_schema(), "bvlc")


def _text(finding: Finding) -> str:
    return f"{finding.message} {finding.reason}"


def _fixed(
    old: Job, set_up: SetUp, unit: Unit, settings: Settings, facts: DataFacts, *, unsafe: bool
) -> tuple[Written, Files, UnitResult]:
    """What fixes write, the files afterwards, and the result."""
    files = new_files()
    result = fix_unit(unit, files, settings, unsafe=unsafe)
    new = read_job(set_up.folder, files, facts) if result.fixed else old
    assert old.train is not None
    assert new.train is not None
    changes = [
        f"{name} {old.solver.message[name]:g} -> {new.solver.message[name]:g}"
        for name in FIELDS
        if old.solver.message[name] != new.solver.message[name]
    ]
    weight = 1.0
    after = {loss.layer.name: loss.weight for loss in new.train.net.losses}
    for loss in old.train.net.losses:
        now = after.get(loss.layer.name, loss.weight)
        if now != loss.weight:
            changes.append(f"loss_weight of '{loss.layer.name}' {loss.weight:g} -> {now:g}")
            weight = min(weight, abs(now / loss.weight)) if loss.weight else weight
    before = stability_of(old)
    later = stability_of(new) if changes and before is not None and before.risky else None
    repairs = later is not None and not later.risky
    clip = new.solver.message["clip_gradients"]
    signal = set_up.signal
    rate = new.solver.message["base_lr"] / old.solver.message["base_lr"]
    smaller = strength(signal.update_rule, signal.l2, rate, weight, clip if clip > 0 else math.inf)
    inserts_bound = old.solver.message["clip_gradients"] < 0 < clip
    return Written(tuple(changes), smaller, repairs, inserts_bound), files, result


def share(said: Iterable[bool]) -> str:
    """How many are true, and their share."""
    values = list(said)
    return f"{sum(values)} of {len(values)} ({sum(values) / len(values):.0%})" if values else "none"


def totals(rows: Sequence[Row]) -> list[str]:
    """The totals, as a table for the documentation."""
    lines = ["| set-ups | number | default repair | only an unsafe one | no number |", "|---|---:|---:|---:|---:|"]
    for outcome in ("diverges, repairable", "diverges, not repairable", "neither", "learns"):
        those = [row for row in rows if row.outcome == outcome]
        count = Counter(row.repaired_by for row in those)
        lines.append(f"| {outcome} | {len(those)} | {count['default']} | {count['unsafe']} | {count['none']} |")
    return lines


def figures(rows: Sequence[Row]) -> Iterator[str]:
    """The other figures, one a line."""
    diverge = [row for row in rows if row.explodes]
    learn = [row for row in rows if row.outcome == "learns"]
    without = [row for row in learn if not row.clips]
    certain = [row for row in rows if row.confidence == "high"]
    likely = [row for row in rows if row.said == "likely to diverge"]
    fixed = [row for row in rows if row.default.repairs]
    yield f"diverging, called so at high confidence: {share(row.confidence == 'high' for row in diverge)}"
    yield f"called diverging at high confidence, right: {share(row.explodes for row in certain)}"
    yield f"likely to diverge, right: {share(row.explodes for row in likely)}"
    yield f"default repairs of diverging ones: {share(row.explodes for row in fixed)}"
    for kind in ("default", "unsafe"):
        count = Counter(row.support for row in rows if row.repaired_by == kind)
        numbers = ", ".join(f"{name} {count[name]}" for name in ("supported", "stronger", "weaker"))
        yield f"{kind} repairs of repairable ones: {numbers}"
    yield f"learning, nothing but a bound changed by default: {share(row.default.only_a_bound for row in learn)}"
    yield f"learning, without clip_gradients, given a bound: {share(row.default.inserts_bound for row in without)}"
    yield f"unchanged by a second run: {share(row.stable for row in rows)}"


def table(rows: Sequence[Row]) -> Iterator[str]:
    """All set-ups, with tabs between the cells."""
    yield "set-up\toutcome\tlearned with\tprobability\tsaid\tconfidence\tdefault fix\tunsafe fix\trepair\tstrength\twhy"
    for row in rows:
        written = row.default if row.default.repairs else row.unsafe
        cells = (
            row.name,
            row.outcome,
            " ".join(row.rescues),
            f"{row.probability:.2f}",
            row.said,
            row.confidence,
            ", ".join(row.default.changes),
            ", ".join(row.unsafe.changes),
            row.repaired_by,
            f"{row.support} {written.strength:.2g}" if row.support else "",
            row.why,
        )
        yield "\t".join(cells)


def steps(rows: Sequence[SetUp]) -> None:
    """Prints how far bounds let a step carry the weights, and how often trainings that diverged then learned."""
    found: dict[float, list[bool]] = {limit: [] for limit in STEPS}
    for set_up in rows:
        for name in set_up.changed:
            scale, _, clip = CHANGES[name]
            if clip < math.inf and not set_up.signal.update_rule.adaptive:
                part = LARGEST_STEP * clip / norm_limit(set_up.signal, scale)
                found[next(limit for limit in STEPS if part <= limit)].append(set_up.learns_with(name))
    print("how far clip1, clip10 and clip1_lr_10 let a step carry the weights, as a part of their size: how many learned")
    for limit, learned in found.items():
        print(f"  up to {limit:<8g} {sum(learned):3d} of {len(learned)}")


def replace(page: Path, name: str, lines: Sequence[str]) -> None:
    """Writes lines between their markers in the documentation."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    text = page.read_text(encoding="utf-8")
    page.write_text(text.split(begin)[0] + "\n".join([begin, *lines, end]) + text.split(end)[1], encoding="utf-8")


def main() -> None:
    """Prints the totals."""
    arguments = sys.argv[1:]
    target = Path(arguments.pop(arguments.index("--table") + 1)) if "--table" in arguments else None
    paths = [word for word in arguments if not word.startswith("-")]
    root = Path(paths[0] if paths else "../shared/divergence")
    if not (root / "rescues.tsv").is_file():
        print(f"{root} is not there: no set-ups")
        return
    if "--steps" in arguments:
        steps([set_up for set_up in set_ups(root) if set_up.explodes])
        return
    rows = judge_all(root)
    if target is not None:
        target.write_text("\n".join(table(rows)) + "\n", encoding="utf-8")
    summary = [*totals(rows), "", *(f"- {figure}" for figure in figures(rows))]
    print("\n".join(summary))
    if "--write" in arguments:
        replace(PAGE, "repairs", summary)


if __name__ == "__main__":
    main()
