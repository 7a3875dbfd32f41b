"""How often G108 (stalled-training) and G109 (saturated-units) are right about trainings with the real Caffe.

Run: python benchmarks/standing_still.py [../shared/divergence]

Prints, for several chances to stall, how many set-ups have such a one, each family judged by what the others taught, how
many of these did stall (precision), and the part of all that stalled (recall). Then what became of the set-ups that G108
speaks of, whose weights are neither 0 nor too small, and of those in which G109 finds layers that start flat.
For public solvers: `python benchmarks/noise.py --select G108,G109 --list --all`.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from learning import set_ups
from simulated_labels import LABELS
from verdict import Teachers, left_out, row_of, simulated_rows

from caffe_lint.rules.stability.saturated_units import SATURATED
from caffe_lint.stability.advice.stability import Stability

CHANCES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def main() -> int:
    """Prints the figures."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/divergence")
    if not (root / "dev").is_dir():
        print(f"{root} is not there: name it", file=sys.stderr)
        return 2
    known = [each for each in set_ups(root) if each.has_minimum]
    rows = [row_of(each) for each in known]
    chances = [stalls for _, stalls in left_out(rows, 1, Teachers(rows, simulated_rows(LABELS)))]
    stalled = sum(row.stalls for row in rows)
    print(f"chance to stall, each family judged by the others ({stalled} of {len(rows)} stalled):")
    for least in CHANCES:
        said = [row for row, chance in zip(rows, chances, strict=True) if chance >= least]
        right = sum(row.stalls for row in said)
        print(
            f"  from {least:.0%} on  {len(said):3} set-ups  precision {right / max(1, len(said)):.3f}"
            f"  recall {right / max(1, stalled):.3f}"
        )
    standing: Counter[str] = Counter()
    flat: Counter[str] = Counter()
    for each in known:
        computed = Stability(each.signal.training)
        standing[each.label] += computed.will_stall
        flat[each.label] += any(computed.saturated_layers(SATURATED))
    for code, counts in (("G108", standing), ("G109", flat)):
        what = ", ".join(f"{number} {label}" for label, number in sorted(counts.items()) if number)
        print(f"{code} has findings in {sum(counts.values())} set-ups: {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
