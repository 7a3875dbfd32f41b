"""How good the verdict is: every family of set-ups judged by what was learned from the others.

Run: python benchmarks/verdict.py [--write] [--robust] [--limits] [--confidence] [--simulated] [-v] [../shared/divergence]

Whether a training diverges is fitted to those that the real Caffe ran, and whether it stalls to those of `random_trainings.py` that
`simulated_labels.py` has simulated, which are of other families and many more. Whatever is judged, its family had no part in the fit.

Prints, for "diverges" and for "stalls", accuracy, precision, recall and the area under the curve, leaving one
family out at a time, beside two baselines: always the majority, and the best threshold on base_lr. `--robust` also
leaves two and three families out at a time, and judges the trainings with rates a quarter higher and a fifth lower.
`--write` fits the coefficients on all families and writes them and these limits into lint/stability/verdict/verdict_table.py,
and all tables into docs/signal.md.
`--limits` compares the limits of set-ups that diverged with the weakest single change with which the real Caffe
ended lower than it began: as strong as that, and not a hundred times stronger. `--confidence` prints what is said at
which probability, and how often that is right, leaving one family out at a time: the verdict is certain from the least
probability on from which it is right in 90 % of cases. The last rows hold how often a training that is said to diverge does not
learn as it is (`learning.py`), by the kind of solver: where that is at least 90 % of many, a repair is a default fix.

`--simulated` asks the same of the simulated trainings: how well the verdict says what becomes of them, and how well one does
that is fitted to them, to the real ones or to both; what each is worth on the real ones; and how often what is said with some
probability happens (reliability).
"""

from __future__ import annotations

import csv
import math
import sys
from bisect import bisect
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import NamedTuple

from learning import SetUp, set_ups, trial_of
from random_trainings import job_of_training
from simulated_labels import LABELS, labelled
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from caffe_lint.rules.stability.learning_rate import SHORT_STEP
from caffe_lint.stability.advice.limits import limits
from caffe_lint.stability.advice.safety import risk
from caffe_lint.stability.advice.stability import LOOSE_CLIP
from caffe_lint.stability.signal.basis import obstacle
from caffe_lint.stability.signal.features import Signal, Trial, signal_of, signal_with, unit_step
from caffe_lint.stability.signal.training import Training, training_of
from caffe_lint.stability.verdict.verdict import DIVERGES_SIGNS, EVEN, RISKY, STALLS_SIGNS, logistic

RIDGE = 1.0  # of the regression on standardised features; set by hand, keeps coefficients of rare outcomes small
ROUNDS = 100  # of Newton's method at most
TABLE = Path(__file__).parent.parent / "lint" / "stability" / "verdict" / "verdict_table.py"
PAGE = Path(__file__).parent.parent / "docs" / "signal.md"
PRECISION = 0.9  # of what people are told
CLAIMS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.85, 0.95, 1.0)  # the steps of the table of reliability
NORMAL_95 = 1.96  # half the width of a 95 % interval, in standard deviations
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


def fit(
    rows: Sequence[Mapping[str, float]], outcomes: Sequence[float], signs: Mapping[str, int], weights: Sequence[float]
) -> dict[str, float]:
    """The coefficients of a logistic regression on some features; those of the wrong sign are left out.

    An outcome is the share of the seeds with which it comes about, and a weight what a training counts for.
    """
    names = list(signs)
    while True:
        found = _fit(rows, outcomes, names, weights)
        wrong = [name for name in names if signs[name] and found[name] * signs[name] < 0]
        if not wrong:
            return found
        names.remove(min(wrong, key=lambda name: found[name] * signs[name]))


def _fit(
    rows: Sequence[Mapping[str, float]], outcomes: Sequence[float], names: Sequence[str], weights: Sequence[float]
) -> dict[str, float]:
    """Logistic regression on standardised features with a ridge; what depends on the seed counts as both."""
    scaler = StandardScaler()
    table = scaler.fit_transform([[row[name] for name in names] for row in rows])
    twice = [*table, *table]
    answers = [True] * len(table) + [False] * len(table)
    counts = [w * p for w, p in zip(weights, outcomes, strict=True)] + [
        w * (1 - p) for w, p in zip(weights, outcomes, strict=True)
    ]
    model = LogisticRegression(C=1 / RIDGE, solver="newton-cholesky", tol=1e-10, max_iter=ROUNDS)
    model.fit(twice, answers, sample_weight=counts)
    slopes = model.coef_[0] / scaler.scale_
    found = {name: float(slope) for name, slope in zip(names, slopes, strict=True)}
    found[""] = float(model.intercept_[0] - slopes @ scaler.mean_)
    return found


class Row(NamedTuple):
    """A training, what became of it, and what we compute of it.

    `diverges` is the share of the seeds with which it does, `stalls` that of the others with which it stalls.
    """

    family: str
    diverges: float
    stalls: float
    learns: bool  # see `learning`; not known of simulated ones
    adaptive: bool
    rate: float
    features: Mapping[str, float]


Model = dict[str, dict[str, float]]


def row_of(set_up: SetUp) -> Row:
    """A set-up as a row to fit to."""
    rule = set_up.signal.update_rule
    outcomes = float(set_up.explodes), float(set_up.label == "stalled")
    return Row(set_up.family, *outcomes, set_up.learns, rule.adaptive, rule.rate, set_up.signal.features)


def simulated_rows(path: Path) -> list[Row]:
    """The trainings that were simulated (simulated_labels.py), as far as the static signal can tell anything of them."""
    found = []
    for label, made in labelled(path):
        job = job_of_training(made)
        training = training_of(job)
        if isinstance(training, Training) and obstacle(training.basis, job.origin) is None:
            signal = signal_of(training)
            rule = signal.update_rule
            outcomes = label.diverges, label.stalls or 0.0
            found.append(Row(label.family, *outcomes, False, rule.adaptive, rule.rate, signal.features))
    return found


class Teachers(NamedTuple):
    """The trainings to which the two halves of the verdict are fitted."""

    diverging: Sequence[Row]
    stalling: Sequence[Row]

    def without(self, families: Collection[str]) -> Teachers:
        """Those of other families."""
        return Teachers(*([row for row in rows if row.family not in families] for rows in self))


def taught(by: Teachers) -> Model:
    """The fitted coefficients: of divergence, and of stalling among those that do not diverge."""
    diverging, stalling = by
    calm = [1 - row.diverges for row in stalling]
    return {
        "DIVERGES": fit(_features(diverging), [row.diverges for row in diverging], DIVERGES_SIGNS, [1.0] * len(diverging)),
        "STALLS": fit(_features(stalling), [row.stalls for row in stalling], STALLS_SIGNS, calm),
    }


def _features(rows: Sequence[Row]) -> list[Mapping[str, float]]:
    return [row.features for row in rows]


def judged(model: Model, features: Mapping[str, float]) -> tuple[float, float]:
    """The probabilities of divergence and of stalling."""
    diverges = logistic(model["DIVERGES"], features)
    return diverges, logistic(model["STALLS"], features) * (1 - diverges)


def left_out(
    rows: Sequence[Row], number: int, by: Teachers, others: Sequence[Mapping[str, float]] | None = None
) -> list[tuple[float, float]]:
    """The chances of each set-up, judged by what families teach of which so many, its own among them, are left out.

    The mean over all such choices. `others` are features to judge in place of the rows' own.
    """
    families = sorted({row.family for row in rows})
    found: list[list[tuple[float, float]]] = [[] for _ in rows]
    for group in combinations(families, number):
        model = taught(by.without(group))
        for i, row in enumerate(rows):
            if row.family in group:
                found[i].append(judged(model, others[i] if others else row.features))
    return [(sum(p for p, _ in each) / len(each), sum(q for _, q in each) / len(each)) for each in found]


def by_threshold(rows: Sequence[Row], of: str) -> list[float]:
    """Whether each set-up lies over the best threshold on base_lr for the other families."""
    limits = {}
    for family in {row.family for row in rows}:
        others = [row for row in rows if row.family != family]
        limits[family] = threshold([row.rate for row in others], [getattr(row, of) >= EVEN for row in others])
    return [float(row.rate >= limits[row.family]) for row in rows]


def robust(rows: Sequence[Row], by: Teachers, found: Sequence[Signal]) -> None:
    """Prints how the figures hold when more families are left out, and when rates are others."""
    for title, number, factor in (
        ("two families left out", 2, 1.0), ("three families left out", 3, 1.0), ("rates times 1.25", 1, 1.25),
        ("rates times 0.8", 1, 0.8),
    ):  # fmt: skip
        others = None if factor == 1 else [signal_with(signal, Trial(rate=factor)).features for signal in found]
        chances = left_out(rows, number, by, others)
        scores(f"  diverges, {title}", [p for p, _ in chances], [row.diverges >= EVEN for row in rows])
        scores(f"  stalls, {title}", [q for _, q in chances], [row.stalls >= EVEN for row in rows])


def worked(outcome: str) -> bool:
    """Whether a training ended finite and lower than it began."""
    first, _, last = outcome.partition(":")[2].partition(">")
    return bool(last) and math.isfinite(float(last)) and float(last) < float(first)


def judge_limits(root: Path, known: Mapping[str, Signal]) -> None:
    """Prints how the limits of set-ups that diverged compare with the changes that helped."""
    counts = {name: [0, 0, 0, 0] for name in ("base_lr", "clip_gradients")}
    with open(root / "rescues.tsv", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["setup"] not in known:  # its loss has no minimum
                continue
            signal = known[row["setup"]]
            found = limits([signal])
            for name, tries, limit in (
                (
                    "base_lr",
                    {"lr_10": 0.1 * signal.update_rule.rate, "lr_100": 0.01 * signal.update_rule.rate},
                    found.base_lr,
                ),
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


STEPS = (0.01, SHORT_STEP, LOOSE_CLIP, math.inf)  # times the norm of the weights: ranges that are counted


def judge_loose_clips(known: Iterable[SetUp]) -> None:
    """Prints how many trainings learn that only a clip threshold keeps from diverging, by how far it lets a step move the weights.

    They are taken as they are, and with the thresholds that were tried.
    """
    counts: Counter[tuple[int, bool]] = Counter()
    for each in known:
        signals = {"": each.signal} | {
            change: signal_with(each.signal, trial_of(each.signal, change)) for change in ("clip10", "clip1") if change in each.changed
        }
        for change, signal in signals.items():
            step = signal.update_rule.clip * unit_step(signal.update_rule, signal.training.net)
            if step >= STEPS[0] and risk(signal) < EVEN <= risk(signal_with(signal, Trial(clip=-1.0))):
                counts[bisect(STEPS, step), each.learns_with(change) if change else each.learns] += 1
    print("trainings that only a clip threshold keeps from diverging, by the longest step, in times the norm of the weights:")
    for number, (low, high) in enumerate(pairwise(STEPS), 1):
        print(f"  {low:g} to {high:g}: {counts[number, True]} of {counts[number, True] + counts[number, False]} learned")


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
        judged = [(pair[index], getattr(row, outcome) >= EVEN) for row, pair in zip(rows, chances, strict=True)]
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
                (getattr(row, outcome) >= EVEN) is expected
                for row, pair in zip(rows, chances, strict=True)
                if least <= pair[index] < most
            ]
            lines.append(f"| {words} | {least:g} to {min(most, 1):g} | {len(said)} | {right(said)} |")
    for kind, adaptive in (("SGD or Nesterov", False), ("another solver", True)):
        fails = [
            not row.learns for row, (p, _) in zip(rows, chances, strict=True) if p >= EVEN and row.adaptive is adaptive
        ]
        lines.append(
            f"| does not learn as it is, with {kind} | {EVEN:g} to 1 (diverges) | {len(fails)} | {right(fails)} |"
        )
    return lines


def right(said: Sequence[bool]) -> str:
    """The share of statements that are true, and their number."""
    return f"{sum(said) / len(said):.0%} ({sum(said)})" if said else ""


def compare(real: Sequence[Row], made: Sequence[Row], in_force: Teachers) -> list[str]:
    """The table of what fits to real trainings, to simulated ones and to both are worth.

    No family has a part in the fit that judges it.
    """
    both = [*real, *made]
    fits = {
        "real": Teachers(real, real),
        "simulated": Teachers(made, made),
        "both": Teachers(both, both),
        "real, and stalling simulated: in force": in_force,
    }
    lines = [
        "| fitted to | judged | diverges: AUC, accuracy, Brier | stalls: AUC, accuracy, Brier |",
        "|---|---|---|---|",
    ]
    for name, by in fits.items():
        for title, rows in (("real", real), ("simulated", made)):
            chances = left_out(rows, 1, by)
            cells = ("{:.3f}, {:.3f}, {:.4f}".format(*figures(rows, chances, index)) for index in (0, 1))
            lines.append(f"| {name} | {len(rows)} {title} | {' | '.join(cells)} |")
    return lines


def figures(rows: Sequence[Row], chances: Sequence[tuple[float, float]], index: int) -> tuple[float, float, float]:
    """The area under the curve, the accuracy, and the mean squared error of the probabilities (Brier 1950)."""
    said, outcomes = [pair[index] for pair in chances], shares(rows, index)
    happened = [outcome >= EVEN for outcome in outcomes]
    accuracy = sum((p >= EVEN) == one for p, one in zip(said, happened, strict=True)) / len(rows)
    error = sum((p - outcome) ** 2 for p, outcome in zip(said, outcomes, strict=True)) / len(rows)
    return area(said, happened), accuracy, error


def shares(rows: Sequence[Row], index: int) -> list[float]:
    """The share of the seeds with which each training diverges (0), or stalls (1)."""
    return [row.diverges if index == 0 else row.stalls * (1 - row.diverges) for row in rows]


def reliability(judgements: Mapping[str, tuple[Sequence[Row], Sequence[tuple[float, float]]]]) -> list[str]:
    """The table of how often it happens what is said with some probability."""
    lines = ["| said to | with | " + " | ".join(f"{title} | that did | 95 % interval" for title in judgements) + " |"]
    lines.append("|---|---|" + "---:|---:|---:|" * len(judgements))
    for index, fate in enumerate(FATES):
        for low, high in pairwise(CLAIMS):
            cells = []
            for rows, chances in judgements.values():
                inside = [
                    share
                    for share, pair in zip(shares(rows, index), chances, strict=True)
                    if low <= pair[index] < high or pair[index] == high == 1
                ]
                cells.append(happened_text(inside))
            lines.append(f"| {fate} | {low:.0%} to {high:.0%} | {' | '.join(cells)} |")
    return lines


def happened_text(outcomes: Sequence[float]) -> str:
    """The number of cases, the share of them that happened, and its 95 % interval, as cells of a table."""
    if not outcomes:
        return "0 | |"
    share = sum(outcomes) / len(outcomes)
    low, high = wilson(share, len(outcomes))
    return f"{len(outcomes)} | {share:.0%} | {low:.0%} to {high:.0%}"


def wilson(share: float, number: int) -> tuple[float, float]:
    """The 95 % interval of a share of so many cases (Wilson 1927)."""
    z = NORMAL_95 * NORMAL_95 / number
    middle, half = share + z / 2, math.sqrt(z * (share * (1 - share) + z / 4))
    return (middle - half) / (1 + z), (middle + half) / (1 + z)


def by_family(rows: Sequence[Row], chances: Sequence[tuple[float, float]]) -> list[str]:
    """The table of how well each family is judged, with 95 % intervals of the accuracy."""
    lines = [
        "| family | number | diverge | AUC | accuracy | 95 % interval | stall | AUC | accuracy | 95 % interval |",
        "|---|" + "---:|" * 9,
    ]
    for family in (*sorted({row.family for row in rows}), "all"):
        some = [i for i, row in enumerate(rows) if family in (row.family, "all")]
        inside, said = [rows[i] for i in some], [chances[i] for i in some]
        cells = [family, str(len(some))]
        for index in (0, 1):
            area_of, accuracy, _ = figures(inside, said, index)
            low, high = wilson(accuracy, len(some))
            number = sum(share >= EVEN for share in shares(inside, index))
            cells += [
                str(number),
                f"{area_of:.2f}" if area_of == area_of else "",
                f"{accuracy:.2f}",
                f"{low:.2f} to {high:.2f}",
            ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Prints the figures; with --write also writes the coefficients."""
    arguments = [word for word in sys.argv[1:] if not word.startswith("-")]
    known = [each for each in set_ups(Path(arguments[0] if arguments else "../shared/divergence")) if each.has_minimum]
    rows, made = [row_of(each) for each in known], simulated_rows(LABELS)
    by = Teachers(rows, made)
    chances = left_out(rows, 1, by)
    for index, title in enumerate(("diverges", "stalls")):
        outcomes = [getattr(row, title) >= EVEN for row in rows]
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
        robust(rows, by, [each.signal for each in known])
    if "--limits" in sys.argv:
        root = Path(arguments[0] if arguments else "../shared/divergence")
        judge_limits(root, {each.name: each.signal for each in known})
        judge_loose_clips(known)
    if "--simulated" in sys.argv or "--write" in sys.argv:
        of_made = left_out(made, 1, by)
        tables = {
            "fits": compare(rows, made, by),
            "reliability": reliability({"simulated": (made, of_made), "real": (rows, chances)}),
            "simulated families": by_family(made, of_made),
        }
        print("\n".join(line for lines in tables.values() for line in lines))
        if "--write" in sys.argv:
            for name, lines in tables.items():
                replace(name, lines)
    table = confidence(rows, chances)
    if "--confidence" in sys.argv:
        print("\n".join(table))
    if "--write" in sys.argv:
        write(taught(by), certain(rows, chances))
        replace("confidence", table)


if __name__ == "__main__":
    main()
