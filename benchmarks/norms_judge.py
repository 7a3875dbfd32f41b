"""How near the predicted signal of published training nets comes to what the real Caffe printed in iteration 0.

Run: python benchmarks/norms_judge.py [-v] [../shared/norms]

Of each net of `norms/nets`, the norm of all gradients is right if it lies between half the smallest and twice the largest
norm of Caffe's three seeds; it is not given where caffe-lint cannot tell, or if it is no positive number. The rows of
`truth.json`, of seed 1, are held against ours. The noise floor is what another seed of Caffe's would have got: the norms of
seeds 2 and 3 against that of seed 1, and the rows of `more.json`, which some nets have. The nets whose weights are loaded or
have no fillers (`mark`: FT made for fine-tuning, z some weights zero, Z all) are a group of their own, measured as if the
fillers were the truth, whatever caffe-lint says of them; so are those with a regression loss. With -v, the rows that differ
by more than a factor of 2 are listed, the worst first.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from signal_rows import FACTORS, HEADER, WAYS, Key, Prediction, Tally, caffe_rows, job_of, predicted, worst

from caffe_lint.moments.layer_type import REGRESSION
from caffe_lint.stability.signal.basis import CannotTell, obstacle
from caffe_lint.stability.signal.training import Training, training_of


class Net(NamedTuple):
    """A net: what Caffe said of it, what we predict, and what kind of net it is."""

    name: str
    mark: str
    regresses: bool
    norms: Sequence[float]
    seeds: Sequence[dict[Key, float | None]]  # the rows of each seed that has them
    ours: Prediction
    said: CannotTell | None  # why caffe-lint tells nothing of it

    @property
    def computed(self) -> bool:
        """Whether there is a norm at all."""
        return not self.ours.unmodelled and math.isfinite(self.ours.l2) and self.ours.l2 > 0

    @property
    def given(self) -> bool:
        """Whether we give a norm; of marked nets it counts as given if there is one."""
        return self.computed and (self.said is None or bool(self.mark))

    @property
    def right(self) -> bool:
        """Whether the norm that we give is right."""
        return self.given and min(self.norms) / 2 <= self.ours.l2 <= max(self.norms) * 2

    @property
    def verdict(self) -> str:
        """What became of the norm, in words."""
        word = "" if not self.computed else "right" if self.right else "wrong" if self.given else "not given"
        types = ", ".join(sorted({layer.type for layer in self.ours.unmodelled}))
        cause = f"cannot tell: {types or self.said.cause}" if self.said else "" if self.computed else f"{self.ours.l2}"
        return "; ".join(part for part in (word, cause) if part)


def mark_of(meta: dict[str, Any]) -> str:
    """The mark of a net in short, empty for none."""
    said = meta["mark"] or ""
    zeros, weighted = map(int, meta["nofill"].split("/"))
    if zeros and zeros == weighted:
        return "Z"
    return "FT" if "fine-tuning" in said and not zeros else "z" if said else ""


def net_of(folder: Path) -> Net:
    """A net of `norms/nets`."""
    meta, truth = (json.loads((folder / f"{name}.json").read_text()) for name in ("meta", "truth"))
    more = folder / "more.json"
    seeds = [truth["init"], *(json.loads(more.read_text()) if more.exists() else ())]
    job = job_of(folder)
    training = training_of(job)
    assert isinstance(training, Training), folder
    regresses = any(loss.layer.traits.loss_family == REGRESSION for loss in training.net.losses)
    rows = [caffe_rows(seed) for seed in seeds]
    said = obstacle(training.basis, job.origin)
    return Net(folder.name, mark_of(meta), regresses, truth["l2_diff"], rows, predicted(training), said)


def tally_of(nets: Sequence[Net], direction: str) -> Tally:
    """How near our rows come to Caffe's."""
    tally = Tally()
    for net in nets:
        for key, value in net.seeds[0].items():
            if key[0] == direction:
                tally.add(net.ours.rows.get(key), value)
    return tally


def floor_of(nets: Sequence[Net], direction: str) -> Tally:
    """How near the rows of Caffe's other seeds come."""
    tally = Tally()
    for net in nets:
        for other in net.seeds[1:]:
            for key, value in net.seeds[0].items():
                if key[0] == direction:
                    tally.add(other.get(key), value)
    return tally


def norm_of_another_seed(nets: Sequence[Net]) -> str:
    """How often the norm of another seed is within a factor of 2 of the first."""
    found = [norm / net.norms[0] for net in nets for norm in net.norms[1:] if net.norms[0]]
    return f"{sum(0.5 <= ratio <= 2 for ratio in found)} of {len(found)}"


def show(title: str, nets: Sequence[Net]) -> None:
    """Prints the figures of a group of nets."""
    given = [net for net in nets if net.given]
    right = sum(net.right for net in nets)
    untold = sum(net.said is not None for net in nets)
    print(f"{title}: {len(nets)} nets, caffe-lint cannot tell of {untold}; the norm is given for {len(given)}")
    print(
        f"  ({len(given) / max(1, len(nets)):.0%}), right for {right} of them ({right / max(1, len(given)):.0%}); that of"
    )
    print(f"  another seed is within 2x of the first in {norm_of_another_seed(nets)}")
    print(f"  {'':26s} {HEADER}")
    sown = [net for net in nets if len(net.seeds) > 1]
    for direction, way in WAYS.items():
        same, floor = tally_of(sown, direction), floor_of(sown, direction)
        print(f"  {way:26s} {tally_of(nets, direction)}")
        print(f"  {f'  of {len(sown)} nets with seeds':26s} {same}")
        print(f"  {'  noise floor of these':26s} {floor}")
        of_floor = (
            f"{same.share(factor) / max(1e-9, floor.share(factor)):.1%} within {factor:g}x" for factor in FACTORS
        )
        print(f"  {'  share of the floor':26s} {', '.join(of_floor)}")


def main() -> None:
    """Prints a row for each net, and the figures of each group."""
    arguments = [word for word in sys.argv[1:] if word != "-v"]
    root = Path(arguments[0] if arguments else "../shared/norms")
    nets = [net_of(path.parent) for path in sorted(root.glob("nets/*/truth.json"))]
    columns = "".join(f" {f'{way[:4]} {factor:g}x':>9s}" for way in WAYS.values() for factor in FACTORS)
    print(f"{'net':24s} {'mark':4s} {'smallest':>9s} {'largest':>9s} {'ours':>9s}{columns} unmodelled  norm")
    for net in nets:
        tallies = [tally_of([net], direction) for direction in WAYS]
        shares = "".join(f" {tally.share(factor):9.0%}" for tally in tallies for factor in FACTORS)
        norms = f"{min(net.norms):9.4g} {max(net.norms):9.4g} {net.ours.l2:9.4g}"
        unmodelled = sum(tally.unmodelled for tally in tallies)
        print(f"{net.name:24s} {net.mark or '-':4s} {norms}{shares} {unmodelled:10d}  {net.verdict}")
    plain = [net for net in nets if not net.mark]
    print()
    show("without mark", plain)
    show("without mark, regression", [net for net in plain if net.regresses])
    show("with mark (Z, z, FT)", [net for net in nets if net.mark])
    show("all", nets)
    if "-v" in sys.argv:
        wrong = [(off, f"{net.name} {text}") for net in nets for off, text in worst(net.ours.rows, net.seeds[0], 2.0)]
        for off, text in sorted(wrong, reverse=True):
            print(f"{off:9.3g}x {text}")


if __name__ == "__main__":
    main()
