"""Plants known mistakes into sound files, and counts which of them are found, and what else is said.

    python benchmarks/mutants.py [--rule CODE] [--seed N] [--per-rule N] [--verbose] [--corpus FOLDER]

Sound are the files of the corpus in which the recommended rules find nothing but advice and G101. Into each goes one
mistake, made by one of the planters in `planting/`, several for a rule and none like the example on the rule's page;
files, places and variants are drawn by chance, repository after repository. The unit is checked before and after. A
mistake counts as found if its rule says something after that it did not say before; whatever other rules say anew is
counted beside it. Families T and D are judged elsewhere: by `log_judge.py`, and by tests on real data. The status is 1
if fewer than 95 % of a rule's mistakes are found, or fewer than 98 % of all.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from planting import building, halves, legacy, numbers, silent, solvers, structure, text, together  # noqa: F401  (they fill the table)
from planting.case import PLANTERS, Case, NotHere, Planter

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.engine.grouping import find_units
from caffe_lint.engine.unit_check import check_unit
from caffe_lint.engine.units import Unit
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.rule.finding import Finding
from caffe_lint.rule.registry import rules_of_files
from caffe_lint.settings.settings import Settings
from caffe_lint.source.files import Unreadable

SHARED = Path(__file__).resolve().parents[2] / "shared"
LARGEST = 120_000  # bytes; a few nets of thousands of layers would take most of the time
FROM_A_REPOSITORY = 8  # units
TRIES = 60  # files that are asked for a place, for each mistake that is to be planted

Said = Counter[tuple[str, str, str]]  # rule, file, message


class Sound(NamedTuple):
    """A unit that has nothing wrong, and for each subject of planters the file of it that is to be changed."""

    unit: Unit
    repository: str
    subjects: dict[str, str]


class Outcome(NamedTuple):
    """What was said after a mistake was planted: by its own rule, and by others."""

    planter: Planter
    path: str
    own: list[Finding]
    others: list[Finding]
    at_its_place: bool
    source: bytes


def sound_units(corpus: Path, chance: random.Random) -> list[Sound]:
    """Some units of every repository in which nothing is found that matters."""
    found = []
    for repository in sorted(path for path in corpus.iterdir() if path.is_dir()):
        files = Files(caffe_schema(), None)
        units = find_units([str(repository)], files, [], [])
        chance.shuffle(units)
        taken = 0
        for unit in units:
            if taken == FROM_A_REPOSITORY:
                break
            if len(unit.paths) > 1 or len(files.sources[unit.paths[0]]) > LARGEST:
                continue
            own = files.release(unit, Settings())
            findings = check_unit(unit, own, Settings())
            if all(finding.severity == "advice" or finding.code == "G101" for finding in findings):
                found.append(Sound(unit, repository.name, _subjects(unit, own)))
                taken += 1
    return found


def _subjects(unit: Unit, files: Files) -> dict[str, str]:
    path = unit.paths[0]
    file = files.get(path)
    subjects = {"text": path}
    if file.kind == "solver":
        subjects["solver"] = path
        job = Case(unit, files, file, random.Random(0)).job
        if job.train is not None and job.train.file is not file and "layer" in job.train.file.message:
            subjects["job"] = job.train.file.path
    elif "layers" in file.message:
        subjects["v1"] = path
    elif "layer" in file.message:
        subjects["net"] = path
        phases = {net.phase for net in Case(unit, files, file, random.Random(0)).nets}
        if "TRAIN" in phases:
            subjects["train"] = path
    return subjects


def plant(planter: Planter, sound: Sound, chance: random.Random) -> Outcome | None:
    """The outcome of planting one mistake into one unit, None if there is no place for it."""
    settings = Settings(extend_select=planter.select)
    subject = chance.choice([subject for subject in planter.subjects if subject in sound.subjects])
    path = sound.subjects[subject]
    files = Files(caffe_schema(), None)
    try:
        source = planter.plant(Case(sound.unit, files, files.get(path), chance))
    except (NotHere, Unreadable):
        return None
    old = files.get(path).source
    if source == old:
        return None
    findings = check_unit(sound.unit, files, settings)
    if any(finding.code == planter.code and finding.place.path == path for finding in findings):
        return None  # some rules speak once in a file
    before = said(findings)
    files = Files(caffe_schema(), None)
    files.patched[path] = source
    after = check_unit(sound.unit, files, settings)
    new = said(after) - before
    anew = [finding for finding in after if new[_key(finding)]]
    codes = (planter.code, *planter.also)
    own = [finding for finding in anew if finding.code in codes]
    first, last = _changed(old, source)
    places = [place for finding in own for place in (finding.place, *finding.related)]
    here = any(place.line - 40 <= last and place.line + 40 >= first for place in places)
    return Outcome(planter, path, own, [finding for finding in anew if finding not in own], here, source)


def said(findings: list[Finding]) -> Said:
    """What is said, without the lines, which a mistake may move."""
    return Counter(_key(finding) for finding in findings)


def _key(finding: Finding) -> tuple[str, str, str]:
    return finding.code, finding.place.path, finding.message


def _changed(old: bytes, new: bytes) -> tuple[int, int]:
    """The first and last line of the new text that differ from the old."""
    before, after = old.split(b"\n"), new.split(b"\n")
    first = next((i for i, (a, b) in enumerate(zip(before, after)) if a != b), min(len(before), len(after)))  # noqa: B905
    rest = next(
        (i for i, (a, b) in enumerate(zip(reversed(before), reversed(after))) if a != b),  # noqa: B905
        min(len(before), len(after)),
    )
    return first + 1, max(first + 1, len(after) - rest)


def outcomes(planter: Planter, sound: list[Sound], wanted: int, seed: int) -> Iterator[Outcome]:
    """As many planted mistakes as wanted, spread over repositories."""
    chance = random.Random(f"{seed} {planter.code} {planter.name}")
    by_repository: dict[str, list[Sound]] = defaultdict(list)
    for one in sound:
        if any(subject in one.subjects for subject in planter.subjects):
            by_repository[one.repository].append(one)
    repositories = sorted(by_repository)
    chance.shuffle(repositories)
    planted = 0
    for number in range(TRIES * wanted):
        if planted == wanted or not repositories:
            return
        one = chance.choice(by_repository[repositories[number % len(repositories)]])
        outcome = plant(planter, one, chance)
        if outcome is not None:
            planted += 1
            yield outcome


def main() -> int:
    """Prints the table; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rule", default="", help="codes or beginnings of codes, separated by commas")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--per-rule", type=int, default=24, help="mistakes to plant for each rule")
    parser.add_argument("--verbose", action="store_true", help="print what was not found, and what else was")
    parser.add_argument("--corpus", type=Path, default=SHARED / "corpus" / "files")
    options = parser.parse_args()
    if not options.corpus.is_dir():
        print(f"{options.corpus} is not there: name the corpus with --corpus", file=sys.stderr)
        return 2
    wanted = tuple(options.rule.split(","))
    chosen: dict[str, list[Planter]] = defaultdict(list)
    for planter in sorted(PLANTERS, key=lambda planter: planter.code):
        if planter.code.startswith(wanted):
            chosen[planter.code].append(planter)
    sound = sound_units(options.corpus, random.Random(options.seed))
    repositories = len({one.repository for one in sound})
    print(f"{len(sound)} sound units of {repositories} repositories, {sum(map(len, chosen.values()))} planters")
    print(f"{'rule':6}{'planted':>8}{'found':>7}{'recall':>8}{'at its place':>14}{'others':>8}  most of them")
    planted = found = at_place = others = 0
    low = []
    for code, planters in chosen.items():
        results = []
        for planter in planters:
            share = -(-options.per_rule // len(planters))
            results += list(outcomes(planter, sound, share, options.seed))
        if not results:
            low.append(f"{code} (no place)")
            continue
        hits = sum(bool(result.own) for result in results)
        here = sum(result.at_its_place for result in results)
        besides = Counter(finding.code for result in results for finding in result.others)
        most = ", ".join(f"{other} {number}" for other, number in besides.most_common(5))
        print(
            f"{code:6}{len(results):8}{hits:7}{hits / len(results):8.1%}{here / max(hits, 1):14.0%}"
            f"{besides.total():8}  {most}"
        )
        planted, found, at_place, others = (
            planted + len(results),
            found + hits,
            at_place + here,
            others + besides.total(),
        )
        if hits < 0.95 * len(results):
            low.append(code)
        if options.verbose:
            for result in results:
                show(result, options.corpus)
    print(f"all   {planted:8}{found:7}{found / max(planted, 1):8.1%}{at_place / max(found, 1):14.0%}{others:8}")
    rules = [code for code, rule in rules_of_files().items() if code not in {planter.code for planter in PLANTERS}]
    print("rules of files without a planter: " + (", ".join(rules) or "none"))
    print("families T and D are judged by log_judge.py and by tests on real data")
    print("rules below 95 %: " + (", ".join(low) or "none"))
    return int(bool(low) or found < 0.98 * planted)


def show(result: Outcome, corpus: Path) -> None:
    """What was planted, if it was not found, or if something else was."""
    if result.own and not result.others and result.at_its_place:
        return
    old = Path(result.path).read_bytes()
    first, last = _changed(old, result.source)
    lines = result.source.split(b"\n")[first - 1 : min(last, first + 2)]
    word = "MISSED" if not result.own else "ELSEWHERE" if not result.at_its_place else "also"
    print(f"  {word} {result.planter.name} {os.path.relpath(result.path, corpus)}:{first}")
    print("    | " + " / ".join(line.decode("utf-8", "replace").strip()[:90] for line in lines))
    for finding in [*result.own[:1], *result.others[:4]]:
        print(f"    {finding.code} {finding.severity} {finding.place.line}: {finding.message}")


if __name__ == "__main__":
    sys.exit(main())
