"""How good the verdict is: every family of set-ups judged by what was learned from the others.

Run: python benchmarks/verdict.py [--write] [--robust] [--limits] [--confidence] [-v] [../shared/divergence]

Prints, for "diverges" and for "stalls", accuracy, precision, recall and the area under the curve, leaving one
family out at a time, beside two baselines: always the majority, and the best threshold on base_lr. `--robust` also
leaves two and three families out at a time, and judges the trainings with rates a quarter higher and a fifth lower.
`--write` fits the coefficients on all families and writes them and these limits into lint/stability/verdict/verdict_table.py,
and both tables into docs/signal.md.
`--limits` compares the limits of set-ups that diverged with the weakest single change with which the real Caffe
ended lower than it began: as strong as that, and not a hundred times stronger. `--confidence` prints what is said at
which probability, and how often that is right, leaving one family out at a time: the verdict is certain from the least
probability on from which it is right in 90 % of cases. The last rows hold how often a training that is said to diverge does not
learn as it is (`learning.py`), by the kind of solver: where that is at least 90 % of many, a repair is a default fix.
"""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from learning import SetUp, set_ups
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from caffe_lint.stability.advice.limits import limits
from caffe_lint.stability.signal.features import Signal, Trial, signal_with
from caffe_lint.stability.verdict.verdict import DIVERGES_SIGNS, EVEN, RISKY, STALLS_SIGNS, logistic

RIDGE = 1.0  # of the regression on standardised features; set by hand, keeps coefficients of rare outcomes small
ROUNDS = 100  # of Newton's method at most
TABLE = Path(__file__).parent.parent / "lint" / "stability" / "verdict" / "verdict_table.py"
PAGE = Path(__file__).parent.parent / "docs" / "signal.md"
PRECISION = 0.9  # of what people are told
FATES = {"diverge": "diverges", "stall": "stalls"}


def area(chances: Sequence[float], outcomes: Sequence[bool]) -> float:
    """The area under the ROC curve: how often one that did ranks above one that did not."""
    return float(roc_auc_score(outcomes, chances)) if len(set(outcomes)) == 2 else math.nan


def scores(name: str, chances: Sequence[float], outcomes: Sequence[bool]) -> None:
    """Prints one line of figures."""
    said = [chance >= 0.5 for chance in chances]
    right = sum(a == b for a, b in zip(said, outcomes, strict=True))
    both = sum(a and b for a, b in zip(said, outcomes, strict=True))
    print(
        f"{name:38s} accuracy {right / len(said):.3f}  precision {both / max(1, sum(said)):.3f}"
        f"  recall {both / max(1, sum(outcomes)):.3f}  AUC {area(chances, outcomes):.3f}"
    )


def threshold(rates: Sequence[float], outcomes: Sequence[bool]) -> float:
    """The rate above which saying yes is right most often."""
    return max([*rates, math.inf], key=lambda t: sum((r >= t) == o for r, o in zip(rates, outcomes, strict=True)))


def fit(rows: Sequence[Mapping[str, float]], outcomes: Sequence[bool], signs: Mapping[str, int]) -> dict[str, float]:
    """The coefficients of a logistic regression on some features; those of the wrong sign are left out."""
    names = list(signs)
    while True:
        found = _fit(rows, outcomes, names)
        wrong = [name for name in names if signs[name] and found[name] * signs[name] < 0]
        if not wrong:
            return found
        names.remove(min(wrong, key=lambda name: found[name] * signs[name]))


def _fit(rows: Sequence[Mapping[str, float]], outcomes: Sequence[bool], names: Sequence[str]) -> dict[str, float]:
    """Logistic regression on standardised features with a ridge."""
    scaler = StandardScaler()
    table = scaler.fit_transform([[row[name] for name in names] for row in rows])
    model = LogisticRegression(C=1 / RIDGE, solver="newton-cholesky", tol=1e-10, max_iter=ROUNDS).fit(table, outcomes)
    weights = model.coef_[0] / scaler.scale_
    found = {name: float(weight) for name, weight in zip(names, weights, strict=True)}
    found[""] = float(model.intercept_[0] - weights @ scaler.mean_)
    return found


class Row(NamedTuple):
    """A set-up, what became of it, and what we compute of it."""

    name: str
    family: str
    diverges: bool
    stalls: bool
    learns: bool  # see `learning`
    adaptive: bool
    rate: float
    features: Mapping[str, float]


Model = dict[str, dict[str, float]]


def row_of(set_up: SetUp) -> Row:
    """A set-up as a row to fit to."""
    rule = set_up.signal.update_rule
    stalls = set_up.label == "stalled"
    return Row(
        set_up.name, set_up.family, set_up.explodes, stalls, set_up.learns, rule.adaptive, rule.rate, set_up.signal.features
    )


def taught(rows: Sequence[Row]) -> Model:
    """The coefficients fitted to some set-ups: of divergence, and of stalling among those that do not diverge."""
    calm = [row for row in rows if not row.diverges]
    return {
        "DIVERGES": fit([row.features for row in rows], [row.diverges for row in rows], DIVERGES_SIGNS),
        "STALLS": fit([row.features for row in calm], [row.stalls for row in calm], STALLS_SIGNS),
    }


def judged(model: Model, features: Mapping[str, float]) -> tuple[float, float]:
    """The probabilities of divergence and of stalling."""
    diverges = logistic(model["DIVERGES"], features)
    return diverges, logistic(model["STALLS"], features) * (1 - diverges)


def left_out(
    rows: Sequence[Row], number: int, others: Sequence[Mapping[str, float]] | None = None
) -> list[tuple[float, float]]:
    """The chances of each set-up, judged by what families teach of which so many, its own among them, are left out.

    The mean over all such choices. `others` are features to judge in place of the rows' own.
    """
    families = sorted({row.family for row in rows})
    found: list[list[tuple[float, float]]] = [[] for _ in rows]
    for group in combinations(families, number):
        model = taught([row for row in rows if row.family not in group])
        for i, row in enumerate(rows):
            if row.family in group:
                found[i].append(judged(model, others[i] if others else row.features))
    return [(sum(p for p, _ in each) / len(each), sum(q for _, q in each) / len(each)) for each in found]


def by_threshold(rows: Sequence[Row], of: str) -> list[float]:
    """Whether each set-up lies over the best threshold on base_lr for the other families."""
    limits = {}
    for family in {row.family for row in rows}:
        others = [row for row in rows if row.family != family]
        limits[family] = threshold([row.rate for row in others], [getattr(row, of) for row in others])
    return [float(row.rate >= limits[row.family]) for row in rows]


def robust(rows: Sequence[Row], found: Sequence[Signal]) -> None:
    """Prints how the figures hold when more families are left out, and when rates are others."""
    for title, number, factor in (
        ("two families left out", 2, 1.0), ("three families left out", 3, 1.0), ("rates times 1.25", 1, 1.25),
        ("rates times 0.8", 1, 0.8),
    ):  # fmt: skip
        others = None if factor == 1 else [signal_with(signal, Trial(rate=factor)).features for signal in found]
        chances = left_out(rows, number, others)
        scores(f"  diverges, {title}", [p for p, _ in chances], [row.diverges for row in rows])
        scores(f"  stalls, {title}", [q for _, q in chances], [row.stalls for row in rows])


def worked(outcome: str) -> bool:
    """Whether a training ended finite and lower than it began."""
    first, _, last = outcome.partition(":")[2].partition(">")
    return bool(last) and math.isfinite(float(last)) and float(last) < float(first)


def judge_limits(root: Path, known: Mapping[str, Signal]) -> None:
    """Prints how the limits of set-ups that diverged compare with the changes that helped."""
    counts = {name: [0, 0, 0, 0] for name in ("base_lr", "clip_gradients")}
    with open(root / "rescues.tsv", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            signal = known[row["setup"]]
            found = limits([signal])
            for name, tries, limit in (
                ("base_lr", {"lr_10": 0.1 * signal.update_rule.rate, "lr_100": 0.01 * signal.update_rule.rate}, found.base_lr),
                ("clip_gradients", {"clip10": 10.0, "clip1": 1.0}, found.clip_gradients),
            ):
                weakest = max((value for key, value in tries.items() if worked(row[key])), default=None)
                if weakest is not None:
                    count = counts[name]
                    count[0] += 1
                    count[1] += limit is None
                    count[2] += limit is not None and limit <= weakest * 1.001
                    count[3] += limit is not None and limit * 100.1 >= weakest
    print("limits, of set-ups that one of the changes tried made train:")
    for name, (total, none, strong, mild) in counts.items():
        print(f"  {name:16s} {total} set-ups, as strong {strong}, not 100 times stronger {mild}, no limit found {none}")


def write(model: Model, limits: Mapping[str, float]) -> None:
    """Writes the coefficients into the package and into the documentation, and from where on the verdict is certain."""
    lines = [
        '"""The coefficients of the verdict, and from where on it is certain. Made by `python benchmarks/verdict.py --write`."""',
        "",
        "# The least probabilities from which at least 90 % of such statements are right, on families that the verdict was not",
        "# fitted to.",
        "CERTAIN: dict[str, float] = {",
        *(f'    "{fate}": {least:g},' for fate, least in limits.items()),
        "}",
        "",
    ]
    for title, coefficients in model.items():
        lines.append(f"{title}: dict[str, float] = {{")
        lines += [f'    "{name}": {value:.4f},' for name, value in coefficients.items()]
        lines.append("}")
    TABLE.write_text("\n".join(lines) + "\n")
    table = ["| number | diverges | stalls |", "|---|---:|---:|"]
    for name in dict.fromkeys([*DIVERGES_SIGNS, *STALLS_SIGNS, ""]):
        cells = (f"{model[of][name]:+.2f}" if name in model[of] else "" for of in model)
        table.append(f"| {f'`{name}`' if name else 'constant'} | {' | '.join(cells)} |")
    replace("coefficients", table)


def replace(name: str, lines: Sequence[str]) -> None:
    """Writes a table between its markers in the documentation."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    text = PAGE.read_text()
    PAGE.write_text(text.split(begin)[0] + "\n".join([begin, *lines, end]) + text.split(end)[1])


def certain(rows: Sequence[Row], chances: Sequence[tuple[float, float]]) -> dict[str, float]:
    """The least probability of each outcome from which at least 90 % of such statements are right."""
    found = {}
    for index, (fate, outcome) in enumerate(FATES.items()):
        judged = [(pair[index], getattr(row, outcome)) for row, pair in zip(rows, chances, strict=True)]
        found[fate] = next(
            step / 100
            for step in range(1, 100)
            if (said := [happened for p, happened in judged if p >= step / 100]) and sum(said) >= PRECISION * len(said)
        )
    return found


def confidence(rows: Sequence[Row], chances: Sequence[tuple[float, float]]) -> list[str]:
    """The table of what is said at which probability, and how often it is right."""
    lines = ["| said | probability | cases in left-out families | right |", "|---|---|---:|---:|"]
    limits = certain(rows, chances)
    for index, (fate, outcome) in enumerate(FATES.items()):
        for words, least, most, expected in (
            (f"likely to {fate}, at high confidence", limits[fate], math.inf, True),
            (f"may {fate}", RISKY, limits[fate], True),
            (f"unlikely to {fate}", 0.0, RISKY, False),
        ):
            said = [
                getattr(row, outcome) is expected
                for row, pair in zip(rows, chances, strict=True)
                if least <= pair[index] < most
            ]
            lines.append(f"| {words} | {least:g} to {min(most, 1):g} | {len(said)} | {right(said)} |")
    for kind, adaptive in (("SGD or Nesterov", False), ("another solver", True)):
        fails = [not row.learns for row, (p, _) in zip(rows, chances, strict=True) if p >= EVEN and row.adaptive is adaptive]
        lines.append(f"| does not learn as it is, with {kind} | {EVEN:g} to 1 (diverges) | {len(fails)} | {right(fails)} |")
    return lines


def right(said: Sequence[bool]) -> str:
    """The share of statements that are true, and their number."""
    return f"{sum(said) / len(said):.0%} ({sum(said)})" if said else ""


def main() -> None:
    """Prints the figures; with --write also writes the coefficients."""
    arguments = [word for word in sys.argv[1:] if not word.startswith("-")]
    known = [each for each in set_ups(Path(arguments[0] if arguments else "../shared/divergence")) if each.has_minimum]
    rows = [row_of(each) for each in known]
    chances = left_out(rows, 1)
    for index, title in enumerate(("diverges", "stalls")):
        outcomes: list[bool] = [getattr(row, title) for row in rows]
        ours = [pair[index] for pair in chances]
        print(f"{title}, each family judged by the others ({sum(outcomes)} of {len(rows)}):")
        scores("  this verdict", ours, outcomes)
        scores("  majority", [0.0] * len(rows), outcomes)
        scores("  threshold on base_lr", by_threshold(rows, title), outcomes)
        print(f"{'  ranked by base_lr':38s} {'':47s}  AUC {area([row.rate for row in rows], outcomes):.3f}")
        for family in sorted({row.family for row in rows}):
            inside = [i for i, row in enumerate(rows) if row.family == family]
            scores(f"    {family}", [ours[i] for i in inside], [outcomes[i] for i in inside])
        if "-v" in sys.argv:
            for each, said, outcome in zip(known, ours, outcomes, strict=True):
                if (said >= EVEN) != outcome:
                    shown = " ".join(f"{key} {value:.1f}" for key, value in each.signal.features.items())
                    print(f"    {each.name} {each.label} {said:.2f} {shown}")
    if "--robust" in sys.argv:
        print("how these figures hold:")
        robust(rows, [each.signal for each in known])
    if "--limits" in sys.argv:
        root = Path(arguments[0] if arguments else "../shared/divergence")
        judge_limits(root, {each.name: each.signal for each in known})
    table = confidence(rows, chances)
    if "--confidence" in sys.argv:
        print("\n".join(table))
    if "--write" in sys.argv:
        write(taught(rows), certain(rows, chances))
        replace("confidence", table)


if __name__ == "__main__":
    main()
