"""Choose how long a log must be before `caffe-lint log` says that no problem was found.

    python benchmarks/log_length.py

Reads `../shared/divergence`, 360 set-ups that the real Caffe trained for 150 iterations, and prints in which iteration
those that diverge have shown it: the first loss that is not finite, or is 3 times the first one. A family of nets is left
out at a time, and the share of its set-ups that the others' number of iterations covers is printed.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

from caffe_lint.training_log.remarks import ENOUGH

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
SHARE = 0.97
GROWN = 3.0  # times the first loss
CURVE_STEP = 10  # iterations between two losses of a curve


def shown_at(truth: dict[str, object]) -> float | None:
    """The iteration in which a set-up has visibly diverged; None if it does not."""
    if truth["label"] == "nan":
        return float(str(truth["nan_iter"]))
    if truth["label"] != "exploded":
        return None
    first = abs(float(str(truth["first"])))
    curve = truth["curve"]
    assert isinstance(curve, list)
    high = [CURVE_STEP * index for index, loss in enumerate(curve) if loss is not None and abs(loss) > GROWN * first]
    return float(high[0]) if high else math.inf


def covering(iterations: list[float]) -> float:
    """The number of iterations after which nearly all of them have passed."""
    ordered = sorted(iterations)
    return ordered[min(len(ordered) - 1, int(SHARE * len(ordered)))]


def main() -> None:
    """Print the numbers."""
    if not SHARED.exists():
        sys.exit("this needs ../shared beside the checkout")
    families: dict[str, list[float]] = {}
    for path in sorted((SHARED / "divergence" / "dev").glob("*/truth.json")):
        at = shown_at(json.loads(path.read_text(encoding="utf-8")))
        if at is not None:
            families.setdefault(path.parent.name.rpartition("-")[0], []).append(at)
    everything = [at for found in families.values() for at in found]
    print(f"{len(everything)} set-ups diverge; {SHARE:.0%} within {covering(everything):.0f} iterations; ENOUGH is {ENOUGH}")
    for family, found in families.items():
        bar = covering([at for other, each in families.items() if other != family for at in each])
        covered = sum(at <= bar for at in found)
        print(f"  without {family}: {bar:.0f} iterations, which cover {covered} of its {len(found)}")
    print(f"  ENOUGH covers {sum(at <= ENOUGH for at in everything)} of {len(everything)}")


if __name__ == "__main__":
    main()
