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
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from learning import CHANGES, SetUp, set_ups

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.engine.fixing import fix_unit
from caffe_lint.engine.unit_check import check_unit
from caffe_lint.engine.units import Unit
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
    """A set-up, what is said of it, and what the default and the unsafe fixes write."""

    set_up: SetUp
    said: str
    confidence: str
    probability: float
    default: Written
    unsafe: Written
    why: str
    stable: bool  # whether a second run changes nothing

    @property
    def outcome(self) -> str:
        """What became of it."""
        if self.set_up.explodes:
            return "diverges, repairable" if self.set_up.rescues else "diverges, not repairable"
        return "learns" if self.set_up.learns else "neither"

    @property
    def repaired_by(self) -> str:
        """The kind of the fix that repairs it."""
        return "default" if self.default.repairs else "unsafe" if self.unsafe.repairs else "none"

    @property
    def support(self) -> str:
        """How the repair compares with the changes with which it learned; empty if there is none, or none did."""
        written = self.default if self.default.repairs else self.unsafe
        learned = [strength(self.set_up.signal.update_rule, self.set_up.signal.l2, *CHANGES[name]) for name in self.set_up.rescues]
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
    nets = Nets(files.get, None, facts=facts)
    return nets.job(SolverFile(files.get(str(folder / "solver.prototxt"))), None)


def judge(set_up: SetUp, facts: DataFacts) -> Row:
    """Check a set-up, and fix it in memory."""
    settings = Settings(facts=facts)
    unit = Unit((str(set_up.folder / "solver.prototxt"),), None)
    files = Files(caffe_schema(), "bvlc")
    known = stability_of(read_job(set_up.folder, files, facts))
    findings = [finding for finding in check_unit(unit, files, settings) if finding.code in NUMBERS]
    probability = known.verdict.p_diverges if known is not None else math.nan
    certain = any(finding.confidence == "high" for finding in findings if outlook(1.0) in _text(finding))
    default, patched = _fixed(set_up, unit, settings, facts, unsafe=False)
    unsafe, _ = _fixed(set_up, unit, settings._replace(select=NUMBERS), facts, unsafe=True)
    again = fix_unit(unit, patched, settings, unsafe=False)
    return Row(
        set_up,
        outlook(probability).removeprefix("is ") if known is not None else "cannot tell",
        "high" if certain else "",
        probability,
        default,
        unsafe,
        "; ".join(f"{finding.code}: {finding.message}" for finding in findings),
        not again.applied,
    )


def _text(finding: Finding) -> str:
    return f"{finding.message} {finding.reason}"


def _fixed(
    set_up: SetUp, unit: Unit, settings: Settings, facts: DataFacts, *, unsafe: bool
) -> tuple[Written, Files]:
    """What fixes write, and the files afterwards."""
    folder = set_up.folder
    old_files, files = Files(caffe_schema(), "bvlc"), Files(caffe_schema(), "bvlc")
    fix_unit(unit, files, settings, unsafe=unsafe)
    old, new = read_job(folder, old_files, facts), read_job(folder, files, facts)
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
    before, later = stability_of(old), stability_of(new)
    repairs = bool(changes) and before is not None and before.risky and later is not None and not later.risky
    clip = new.solver.message["clip_gradients"]
    signal = set_up.signal
    rate = new.solver.message["base_lr"] / old.solver.message["base_lr"]
    smaller = strength(signal.update_rule, signal.l2, rate, weight, clip if clip > 0 else math.inf)
    return Written(tuple(changes), smaller, repairs, old.solver.message["clip_gradients"] < 0 < clip), files


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
    diverge = [row for row in rows if row.set_up.explodes]
    learn = [row for row in rows if row.outcome == "learns"]
    without = [row for row in learn if row.set_up.signal.update_rule.clip < 0]
    certain = [row for row in rows if row.confidence == "high"]
    likely = [row for row in rows if row.said == "likely to diverge"]
    fixed = [row for row in rows if row.default.repairs]
    yield f"diverging, called so at high confidence: {share(row.confidence == 'high' for row in diverge)}"
    yield f"called diverging at high confidence, right: {share(row.set_up.explodes for row in certain)}"
    yield f"likely to diverge, right: {share(row.set_up.explodes for row in likely)}"
    yield f"default repairs of diverging ones: {share(row.set_up.explodes for row in fixed)}"
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
            row.set_up.name,
            row.outcome,
            " ".join(row.set_up.rescues),
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
    facts = read_facts(str(root / "data.json"))
    known = list(set_ups(root))
    if "--steps" in arguments:
        steps([set_up for set_up in known if set_up.explodes])
        return
    rows = [judge(set_up, facts) for set_up in known]
    if target is not None:
        target.write_text("\n".join(table(rows)) + "\n", encoding="utf-8")
    summary = [*totals(rows), "", *(f"- {figure}" for figure in figures(rows))]
    print("\n".join(summary))
    if "--write" in arguments:
        replace(PAGE, "repairs", summary)


if __name__ == "__main__":
    main()
