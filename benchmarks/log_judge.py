"""Compare the diagnoses of logs with real training runs: cause, layer and iteration, and silence on healthy runs.

    python benchmarks/log_judge.py [--misses]

Reads `../shared/oracle/runs`, runs of the real Caffe whose outcome is described in a `verdict.md`, and `../shared/logs`,
published logs and excerpts from threads. Prints how many diagnoses are correct.
"""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from typing import NamedTuple

from caffe_lint.api import Session
from caffe_lint.engine.diagnosis import diagnose
from caffe_lint.engine.opening import Opened
from caffe_lint.training_log.causes import Diagnosed
from caffe_lint.training_log.evidence import Evidence
from caffe_lint.training_log.following import Watcher
from caffe_lint.training_log.log_reader import read_log
from caffe_lint.training_log.log_repair import apply_fixes, fixes_for
from caffe_lint.training_log.same_training import compare

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"

# What happened in the runs of each family, according to their verdicts: the first pattern that matches the name wins.
# Several causes if the verdict leaves more than one open; an empty set if the log shows no sign of it.
TRUTH: tuple[tuple[str, set[str]], ...] = (
    (r"b_|c_|o_(Adam|RMSProp|Nesterov|AdaDelta)|l_mll_softmax_lr|m_bn_high_lr", {"learning-rate-too-high"}),
    (r"d_main_lw_negative", {"loss-weight-negative"}),
    (r"d_aux", {"loss-weight-too-high"}),
    (r"e_infogain_(20x5|all_ones)", {"uniform-infogain-matrix"}),
    (r"[el]_(infogain_after|double)_?softmax", {"double-softmax"}),
    (r"l_sce_presigmoid", {"double-sigmoid"}),
    (r"e_infogain_axis0", {"shape-mismatch"}),
    (r"e_infogain_(bottomH_9x9|size)", {"infogain-matrix-size"}),
    (r"e_infogain_bottomH_zero|k_allignored", {"loss-always-zero"}),
    (r"e_infogain_ident_x1e4", {"infogain-matrix-scale"}),
    (r"e_infogain_label255|k_label_huge", {"label-out-of-range"}),
    (r"e_infogain_missing_file", {"file-missing"}),
    (r"e_infogain_neg", {"infogain-matrix-negative"}),
    (r"e_infogain_no_source", {"missing-setting"}),
    (r".*_norm_NONE", {"loss-not-normalised"}),
    (r"e_infogain_normalize", {"infogain-normalize"}),
    (r"e_infogain_one_inf", {"infogain-matrix-not-finite"}),
    (r"e_infogain_swapped", {"invalid-axis", "shape-mismatch"}),
    (r"f_inf_data", {"inf-in-data"}),
    (r"f_nan_data", {"nan-in-data"}),
    (r"f_nan_target", {"nan-in-label"}),
    (r"f_raw255|o_sat_.*raw255", {"input-not-scaled"}),
    (r"g_explode|o_gauss_default", {"weights-too-large", "saturated-activations"}),
    (r"g_vanish", {"vanishing-gradient", "vanishing-signal"}),
    (r"h_const", {"constant-weights"}),
    (r"h_dead_relu", {"dead-relu"}),
    (r"h_lr0", {"zero-learning-rate"}),
    (r"h_lr_mult0_all", {"all-frozen"}),
    (r"h_momentum", {"momentum-too-high"}),
    (r"h_negative_lr", {"learning-rate-negative"}),
    (r"h_propagate", {"propagate-down-false"}),
    (r"h_weight_decay", {"weight-decay-too-high"}),
    (r"h_zero_weights", {"zero-weights"}),
    (r"i_eucl_recon|j_deconv", {"loss-not-normalised", "learning-rate-too-high"}),
    (r"i_|l_eucl_on_labels", {"targets-not-scaled"}),
    (r"j_SUM_bn|j_expand|j_.*_msra_lr1$", {"learning-rate-too-high", "residual-growth"}),
    (r"j_SUM", {"residual-growth", "learning-rate-too-high", "loss-not-decreasing"}),
    (
        r"j_(PROD|concat|plain)",
        {"vanishing-signal", "vanishing-gradient", "loss-not-decreasing", "dead-relu", "learning-rate-too-high"},
    ),
    (r"l_eltwise_div", {"layer-amplifies"}),
    (r"l_sce_target", {"target-out-of-range"}),
    (r"m_bn_eps0_batch1", {"batch-norm-zero-variance"}),
    (r"m_bn_global", {"batch-norm-blank-statistics"}),
    (r"o_overfit", {"overfitting"}),
    (r"o_step", {"learning-rate-step"}),
    (r"o_test_net", {"nan-in-test", "nan-in-test-data"}),
)
# These learned, although something is wrong that the log shows.
WRONG_ALL_THE_SAME = r"e_infogain_label255|o_overfit|o_test_net"

# The answers in the threads that the excerpts come from, by file; empty if the excerpt shows no problem.
THREADS = {
    "BVLC_caffe_1230.log": {"abs-gradient"},
    "BVLC_caffe_PR796.log": set(),
    "Russell91_nlpcaffe_4.log": set(),
    "VisionLearningGroup_AAA_1.log": set(),
    "VisionU_HF-FCN_6.log": {"constant-clipping"},
    "intel_caffe_209.log": set(),
    "lippman1125_caffe_s3fd_2.log": {"batch-norm-blank-statistics"},
    "shicai_MobileNet-Caffe_75.log": {"forward-not-finite"},
    "wy1iu_sphereface_75.log": {"loss-gradient-not-finite"},
}


class Tally:
    """The numbers of correct and of all diagnoses, with the names of the misses."""

    def __init__(self) -> None:
        self.all = 0
        self.misses: list[str] = []

    def count(self, right: bool, name: str) -> None:
        self.all += 1
        if not right:
            self.misses.append(name)

    def __str__(self) -> str:
        return f"{self.all - len(self.misses)} of {self.all}"


def judge_runs(tallies: dict[str, Tally], codes: dict[str, int]) -> None:
    """Compare the diagnosis of every run of the oracle with its verdict."""
    judge_origins(tallies)
    for folder in sorted((SHARED / "oracle" / "runs").iterdir()):
        verdict = (folder / "verdict.md").read_text(encoding="utf-8")
        outcome = re.search(r"outcome: (\S+)", verdict)
        log = next(folder.glob("log.txt*"), None)
        if outcome is None or log is None:
            continue
        runs = read_log(str(log))
        found = diagnose(runs)
        for each in found[:1]:
            codes[each.code] = codes.get(each.code, 0) + 1
        name = folder.name
        healthy = outcome[1] == "LEARNS" and not re.match(WRONG_ALL_THE_SAME, name)
        if healthy:
            tallies["silent on healthy runs"].count(not found, f"{name}: {_said(found)}")
            tallies["no early warning on healthy runs"].count(not _warned(runs)[0], name)
            continue
        truth = next((words for pattern, words in TRUTH if re.match(pattern, name)), set())
        if outcome[1] == "SLOW" and not found and not any(word.startswith("double") for word in truth):
            tallies["silent on runs that learn slowly"].count(True, name)
            continue
        tallies["most likely cause correct"].count(bool(found) and found[0].cause.cause in truth, f"{name}: {_said(found)}")
        tallies["cause among those named"].count(any(f.cause.cause in truth for f in found), f"{name}: {_said(found)}")
        place = re.search(r"first bad debug line: it (\d+) \[\w+\] Layer (.+?), \w+ blob (\S+)", verdict)
        nan = re.search(r"NAN loss from iter (\d+)", verdict)
        if place and found:
            bad = Evidence(next(run for run in runs if run.number == found[0].run)).first_bad_iteration
            value = Evidence(next(run for run in runs if run.number == found[0].run)).first_bad
            tallies["iteration correct"].count(found[0].cause.iteration == int(place[1]) == bad, name)
            tallies["layer and blob correct"].count(
                value is not None and (value.key.layer, value.key.blob) == (place[2], place[3]), name
            )
        elif nan and found:
            tallies["iteration correct"].count(found[0].cause.iteration == int(nan[1]), name)
        judge_repair(folder, verdict, tallies)
        if nan and int(nan[1]) > 4:
            tallies["warned before the NaN"].count(_warned(runs)[1], name)


def judge_origins(tallies: dict[str, Tally]) -> None:
    """Whether a log is taken for that of its own solver, and not for that of the next solver of another family.

    Some families differ only in their data and fillers, which no log prints.
    """
    folders = [folder for folder in sorted((SHARED / "oracle" / "runs").iterdir()) if next(folder.glob("log.txt*"), None)]
    jobs = {folder: Session().nets(str(folder / "solver.prototxt"), facts={}).job for folder in folders}
    for number, folder in enumerate(folders):
        run = read_log(str(next(folder.glob("log.txt*"))))[-1]
        own, others = jobs[folder], [*folders[number:], *folders]
        stranger = next(other for other in others if other.name[0] != folder.name[0])
        other = jobs[stranger]
        assert own is not None
        assert other is not None
        tallies["log of its own solver accepted"].count(compare(run, own).is_same, folder.name)
        tallies["log of another solver refused"].count(not compare(run, other).is_same, f"{folder.name}, {stranger.name}")


class Strength(NamedTuple):
    """The strength of a fix: the divisors of the learning rate and of the loss weight at fault, and its clip threshold."""

    rate: float
    weight: float
    clip: float

    @property
    def divisor(self) -> float:
        """The divisor of steps that are not clipped."""
        return self.rate * self.weight

    def step(self, base_lr: float) -> float:
        """The longest step."""
        return self.clip * base_lr / self.rate


def judge_repair(folder: Path, verdict: str, tallies: dict[str, Tally]) -> None:
    """Whether `--fix` is as strong as a change that made the real Caffe learn, and not 100 times stronger."""
    learns = re.search(r"learns[^:]*with: (.+)", verdict)
    if learns is None or learns[1].strip() == "none":
        return
    recipes = [_recipe(name) for name in learns[1].split(", ")]
    opened = Session().nets(str(folder / "solver.prototxt"), facts={})
    assert opened.job is not None
    runs = read_log(str(next(folder.glob("log.txt*"))))
    found = diagnose(runs, opened.job)
    fixes = fixes_for(Evidence(runs[-1], opened.job), found, opened.job) if found else []
    patched, errors = apply_fixes(fixes, {each.path: each for each in (opened.job.solver.file, *opened.job.files)})
    for path, (source, _) in patched.items():
        opened.files.replace(path, source)
    after = Session().nets_among(opened.file.path, opened.files)
    assert after.job is not None
    assert not errors
    base_lr = float(opened.job.solver.message["base_lr"])
    guilty = found[0].cause.layer if found else None
    mine = Strength(
        base_lr / float(after.job.solver.message["base_lr"]),
        _weight(opened, guilty) / _weight(after, guilty) if guilty else 1.0,
        float(after.job.solver.message["clip_gradients"]),
    )
    mine = mine._replace(clip=mine.clip if mine.clip > 0 else math.inf)
    strong = any(_at_least(mine, recipe, base_lr) for recipe in recipes)
    gentle = any(
        mine.divisor <= 100 * recipe.divisor
        and (recipe.clip == math.inf or 100 * mine.step(base_lr) >= recipe.step(base_lr))
        for recipe in recipes
    )
    name = f"{folder.name}: {mine} beside {learns[1]}"
    tallies["fix as strong as one that learned"].count(strong, name)
    tallies["and not 100 times stronger"].count(gentle, name)


def _recipe(name: str) -> Strength:
    """A change by its name in the verdicts: clip10_lr_div100."""
    numbers = {kind: float(number) for kind, number in re.findall(r"(clip|lr_div|lw_div)(\d+)", name)}
    return Strength(numbers.get("lr_div", 1.0), numbers.get("lw_div", 1.0), numbers.get("clip", math.inf))


def _at_least(one: Strength, other: Strength, base_lr: float) -> bool:
    """Whether a fix is at least as strong as another wherever that one acts (its threshold may be up to 1.5 times as high)."""
    clips = other.clip < math.inf and one.step(base_lr) <= 1.5 * other.step(base_lr)
    return clips or (other.clip == math.inf and one.divisor >= 0.99 * other.divisor)


def _weight(opened: Opened, layer: str) -> float:
    """The weight of a loss; 1 for a layer that is not one."""
    return next((loss.weight for loss in opened.nets[0].net.losses if loss.layer.name == layer), 1.0) or 1.0


def _warned(runs: list[object]) -> tuple[bool, bool]:
    """Whether the watcher warned, and whether it did so before the loss was NaN."""
    watcher = Watcher()
    for step in runs[-1].steps:  # type: ignore[attr-defined]
        sign = watcher.step(step)
        if sign is not None:
            return True, step.loss == step.loss
    return False, False


def _said(found: list[Diagnosed]) -> str:
    return ", ".join(each.cause.cause for each in found) or "nothing"


def judge_published(tallies: dict[str, Tally]) -> None:
    """Judge published logs: those that are not excerpts from threads are of healthy runs, or of runs that Caffe stopped."""
    for path in sorted((SHARED / "logs").rglob("*")):
        if not path.is_file() or path.suffix in (".tsv", ".md"):
            continue
        found = diagnose(read_log(str(path)))
        if path.parent.name == "issues":
            truth = THREADS.get(path.name)
            if truth is not None:
                said = {each.cause.cause for each in found[:1]}
                tallies["answers of threads"].count(said == truth, f"{path.name}: {_said(found)}")
            continue
        wrong = [each for each in found if each.code not in ("T501", "T502")]
        tallies["silent on published logs"].count(not wrong, f"{path.relative_to(SHARED)}: {_said(wrong)}")


def main() -> None:
    """Print the numbers."""
    if not SHARED.exists():
        sys.exit("this needs ../shared beside the checkout")
    names = (
        "most likely cause correct", "cause among those named", "iteration correct", "layer and blob correct",
        "silent on healthy runs", "silent on runs that learn slowly", "warned before the NaN",
        "no early warning on healthy runs", "fix as strong as one that learned", "and not 100 times stronger",
        "log of its own solver accepted", "log of another solver refused",
        "answers of threads", "silent on published logs",
    )  # fmt: skip
    tallies = {name: Tally() for name in names}
    codes: dict[str, int] = {}
    judge_runs(tallies, codes)
    judge_published(tallies)
    for name, tally in tallies.items():
        print(f"{name:36}{tally}")
        if "--misses" in sys.argv:
            for miss in tally.misses:
                print(f"    {miss}")
    print("first causes by rule: " + ", ".join(f"{code} {number}" for code, number in sorted(codes.items())))


if __name__ == "__main__":
    main()
