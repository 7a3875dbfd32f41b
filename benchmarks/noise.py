"""How much the rules say about real files, and how much of that is true.

    python benchmarks/noise.py [--select CODES] [--only NAME] [--list [--all]] [--sample N] [--write] [--corpus FOLDER]
    python benchmarks/noise.py --fresh 200 --seed 1

Each repository is checked as a folder with the recommended rules. A few repositories bring hundreds of near twins, so
the number of repositories says more than the number of files. Printed are, for each rule and severity, findings, files
and the share of repositories; how many warnings a file has; and what `verdicts.tsv` says of findings that were read by
hand: true, true but harmless, or false. Of a rule that warns, precision is the share that is not false, of all rules the
mean over the repositories that they fire in. A finding is useful if it is true and a maintainer would change the file for
it, so not a harmless one. `oracle_findings.py` counts errors on files that the real Caffe builds.

With --list findings are printed, one of a kind for each repository unless --all is given; with --sample N as many of
each rule as that, spread over the repositories, with the lines around them, leaving out what has a verdict. --write
writes the tables into docs/noise.md.

With --fresh N, only warnings and errors that a seed chooses are looked at, at most two of a rule and repository: those
that have no verdict are printed, and of those that have one the shares that are true and useful, with 95 % intervals.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import math
import random
import re
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.engine.grouping import find_units
from caffe_lint.engine.running import run_units
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.rule.finding import Finding
from caffe_lint.rule.registry import all_rules
from caffe_lint.settings.settings import SEVERITIES, Settings

ROOT = Path(__file__).resolve().parents[1]
VERDICTS = Path(__file__).with_name("verdicts.tsv")
DOCS = ROOT / "docs" / "noise.md"
BEGIN, END = "<!-- tables: python benchmarks/noise.py --write -->", "<!-- end of tables -->"
OFTEN = 0.02  # of the repositories: rules that fire on more are read by hand
WORDS = ("true", "harmless", "false")


class Found(NamedTuple):
    """A finding, and where it is: the path is that within the repository."""

    repository: str
    path: str
    finding: Finding

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What a verdict is kept under."""
        return self.finding.code, self.repository, self.path, self.finding.place.line

    @property
    def kind(self) -> tuple[str, str, str, str]:
        """What near twins have in common."""
        return self.repository, self.finding.code, self.finding.severity, re.sub(r"\d+|'[^']*'", "", self.finding.message)


class Corpus(NamedTuple):
    """What was found in all repositories, and how many files were checked."""

    repositories: int
    files: dict[tuple[str, str], int]  # repository and path: how many warnings and errors
    found: list[Found]


def check(repositories: list[Path], settings: Settings) -> Corpus:
    """Checks each repository as a folder."""
    files: dict[tuple[str, str], int] = {}
    found = []
    for repository in repositories:
        store = Files(caffe_schema(), settings.dialect)
        store.with_verdicts = False  # which would take most of the time
        units = find_units([str(repository)], store, [], [])
        for result in run_units([(unit, settings) for unit in units], store, "", 1):
            for path in result.checked:
                files.setdefault((repository.name, _within(path, repository)), 0)
            for finding in result.findings:
                one = Found(repository.name, _within(finding.place.path, repository), finding)
                found.append(one)
                files[one.repository, one.path] = files.get((one.repository, one.path), 0) + finding.reaches("warning")
    return Corpus(len(repositories), files, found)


def _within(path: str, repository: Path) -> str:
    real = Path(path).resolve()
    return str(real.relative_to(repository)) if real.is_relative_to(repository) else str(path)


def verdicts() -> dict[tuple[str, str, str, int], tuple[str, str]]:
    """What was found by reading: verdict and reason, by rule, repository, path and line."""
    if not VERDICTS.is_file():
        return {}
    with VERDICTS.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    return {(row["rule"], row["repository"], row["path"], int(row["line"])): (row["verdict"], row["why"]) for row in rows}


def table(corpus: Corpus) -> Iterator[str]:
    """Findings, files and repositories of each rule and severity, with the verdicts on them."""
    known = verdicts()
    groups: dict[tuple[str, str], list[Found]] = defaultdict(list)
    for one in corpus.found:
        groups[one.finding.code, one.finding.severity].append(one)
    yield "| rule | severity | findings | files | repositories | read | true | harmless | false |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for code, severity in sorted(groups, key=lambda key: (key[0], -SEVERITIES.index(key[1]))):
        group = groups[code, severity]
        words = Counter(known[one.key][0] for one in {one.key: one for one in group}.values() if one.key in known)
        repositories = len({one.repository for one in group})
        share = f"{repositories} ({repositories / corpus.repositories:.1%})"
        read = "".join(f" {words[word] or ''} |" for word in WORDS) if words else " | | |"
        name = all_rules()[code].name
        yield (
            f"| {code} {name} | {severity} | {len(group)} | {len({(one.repository, one.path) for one in group})} "
            f"| {share} | {words.total() or ''} |{read}"
        )


def summary(corpus: Corpus) -> Iterator[str]:
    """Warnings for each file, and precision."""
    known = verdicts()
    counts = list(corpus.files.values())
    by_repository: dict[str, list[int]] = defaultdict(list)
    for (repository, _), number in corpus.files.items():
        by_repository[repository].append(number)
    yield (
        f"{corpus.repositories} repositories, {len(counts)} files. Warnings and errors per file: median "
        f"{statistics.median(counts):g}, mean {statistics.mean(counts):.2f}; none in {counts.count(0) / len(counts):.0%}; "
        f"median of the repositories' means {statistics.median(map(statistics.mean, by_repository.values())):.2f}."
    )
    serious = [one for one in corpus.found if one.finding.reaches("warning")]
    read = {one.key: one for one in serious if one.key in known}
    words = Counter(known[key][0] for key in read)
    yield (
        f"Of {len(serious)} warnings and errors ({len({one.kind for one in serious})} distinct ones) "
        f"{len(read)} were judged: {words['true']} true, {words['harmless']} true but harmless, {words['false']} false."
    )
    weights: Counter[str] = Counter()
    for code, _ in {(one.finding.code, one.repository) for one in serious}:
        weights[code] += 1
    true = total = exactly = 0.0
    for code, weight in weights.items():
        of_rule = Counter(known[key][0] for key in read if key[0] == code)
        if of_rule:
            total += weight
            true += weight * (1 - of_rule["false"] / of_rule.total())
            exactly += weight * of_rule["true"] / of_rule.total()
    if total:
        unread = weights.total() - total
        yield (
            f"Precision, with rules weighted by the repositories they fire in: {true / total:.1%}; {exactly / total:.1%} without "
            f"harmless ones. Rules with {unread:g} of {weights.total()} cases have not been judged."
        )
    often: dict[str, set[str]] = defaultdict(set)
    for one in corpus.found:
        often[one.finding.code].add(one.repository)
    short = []
    for code, repositories in sorted(often.items()):
        group = {one.kind for one in corpus.found if one.finding.code == code}
        has = len({one.key for one in corpus.found if one.finding.code == code and one.key in known})
        if len(repositories) > OFTEN * corpus.repositories and has < min(20, len(group)):
            short.append(f"{code} ({has} of {min(20, len(group))})")
    yield f"Rules in more than {OFTEN:.0%} of the repositories that need more judgments: {', '.join(short) or 'none'}."


def sample(corpus: Corpus, number: int) -> Iterator[Found]:
    """So many findings of each rule, of as many repositories as there are, without those that have a verdict."""
    chance = random.Random(1)
    known = verdicts()
    by_rule: dict[str, dict[str, list[Found]]] = defaultdict(lambda: defaultdict(list))
    kinds = set()
    for one in chance.sample(corpus.found, len(corpus.found)):
        if one.kind not in kinds:
            kinds.add(one.kind)
            by_rule[one.finding.code][one.repository].append(one)
    for code in sorted(by_rule):
        queues = list(by_rule[code].values())
        has = sum(one.key in known for one in {one.key: one for one in corpus.found if one.finding.code == code}.values())
        for index in range(max(map(len, queues))):
            for queue in queues:
                if index < len(queue) and has < number and queue[index].key not in known:
                    has += 1
                    yield queue[index]


def fresh(corpus: Corpus, number: int, seed: int) -> list[Found]:
    """So many warnings and errors, chosen at random, at most two of a rule and repository.

    Each has a random number of its own, so that most of a sample stays the same if the rules change.
    """

    def number_of(one: Found) -> bytes:
        return hashlib.blake2b(repr((seed, *one.key)).encode()).digest()

    serious = {one.key: one for one in corpus.found if one.finding.reaches("warning")}
    taken: Counter[tuple[str, str]] = Counter()
    chosen: list[Found] = []
    for one in sorted(serious.values(), key=number_of):
        if taken[one.finding.code, one.repository] < 2 and len(chosen) < number:
            taken[one.finding.code, one.repository] += 1
            chosen.append(one)
    return chosen


def shares(chosen: list[Found], seed: int) -> Iterator[str]:
    """What the verdicts say of a sample."""
    known = verdicts()
    words = [known[one.key][0] for one in chosen if one.key in known]
    yield f"Sample of {len(chosen)} warnings and errors, seed {seed}: {len(words)} were read."
    for name, count in (("true", len(words) - words.count("false")), ("useful", words.count("true"))):
        if words:
            low, high = wilson(count, len(words))
            yield f"{name}: {count} of {len(words)} ({count / len(words):.1%}, 95 % interval {low:.1%} to {high:.1%})"


def wilson(count: int, number: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, Probable Inference, 1927)."""
    z = 1.96
    middle = (count + z * z / 2) / (number + z * z)
    half = z / (number + z * z) * math.sqrt(count * (number - count) / number + z * z / 4)
    return middle - half, middle + half


def show(one: Found, folder: Path, around: int) -> None:
    """A finding, with the lines around it if asked for."""
    finding = one.finding
    print(f"{one.repository}/{one.path}:{finding.place.line}: {finding.code} {finding.severity}: {finding.message}")
    print(f"    {finding.reason}")
    if around:
        text = (folder / one.repository / one.path).read_bytes().decode("utf-8", "replace").split("\n")
        first = max(0, finding.place.line - 1 - around)
        for number, line in enumerate(text[first : finding.place.line + around], first + 1):
            print(f"    {number}{'>' if number == finding.place.line else ' '} {line.rstrip()[:110]}")


def main() -> int:
    """Prints the tables, and the findings if asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=ROOT.parent / "shared" / "corpus")
    parser.add_argument("--select", default="", help="codes and names, separated by commas")
    parser.add_argument("--ignore", default="", help="codes and names, separated by commas: G leaves out what takes most of the time")
    parser.add_argument("--only", default="", help="repositories whose name has this in it")
    parser.add_argument("--list", action="store_true", help="print the findings")
    parser.add_argument("--all", action="store_true", help="with --list: also the like of what was printed")
    parser.add_argument("--sample", type=int, default=0, help="findings of each rule to print, for reading")
    parser.add_argument("--fresh", type=int, default=0, help="warnings and errors to choose at random")
    parser.add_argument("--seed", type=int, default=1, help="of that choice")
    parser.add_argument("--around", type=int, default=0, help="lines to print around each of these")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/noise.md")
    options = parser.parse_args()
    folder = (options.corpus / "files").resolve()
    if not folder.is_dir():
        print(f"{folder} is not there: name the corpus with --corpus", file=sys.stderr)
        return 2
    select, ignore = (tuple(filter(None, text.split(","))) for text in (options.select, options.ignore))
    settings = Settings(select=select, ignore=ignore)
    corpus = check(sorted(path for path in folder.iterdir() if path.is_dir() and options.only in path.name), settings)
    if options.fresh:
        known = verdicts()
        chosen = fresh(corpus, options.fresh, options.seed)
        for one in chosen:
            if one.key not in known:
                show(one, folder, options.around)
        print("\n".join(shares(chosen, options.seed)))
        return 0
    if options.list:
        kinds = set()
        for one in corpus.found:
            if options.all or one.kind not in kinds:
                kinds.add(one.kind)
                show(one, folder, options.around)
    for one in sample(corpus, options.sample):
        show(one, folder, options.around)
    text = "\n".join([*summary(corpus), "", *table(corpus)])
    print(text)
    if options.write:
        before, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        paragraphs = "\n\n".join(summary(corpus)) + "\n\n" + "\n".join(table(corpus))
        DOCS.write_text(f"{before}{BEGIN}\n\n{paragraphs}\n\n{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
