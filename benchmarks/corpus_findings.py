"""What the rules say about real files: how many of them, and of how many repositories, each rule finds.

    python benchmarks/corpus_findings.py [--select CODES] [--only NAME] [--list [--all]] [--corpus FOLDER]

Each repository is checked as a folder. A few repositories bring hundreds of near twins, so the number of
repositories says more than the number of files. With --list every finding is printed, one of a kind for each
repository unless --all is given.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from caffe_lint.config import Settings
from caffe_lint.engine import Files, find_units, run_units
from caffe_lint.findings import SEVERITIES, Finding
from caffe_lint.proto.schema import caffe_schema


def findings_of(repository: Path, settings: Settings) -> Iterator[Finding]:
    """The findings on all solvers and nets of a repository."""
    files = Files(caffe_schema(), settings.dialect)
    units = find_units([str(repository)], files, [], [])
    for result in run_units([(unit, settings) for unit in units], files, "", 1):
        yield from result.findings


def main() -> int:
    """Prints the table, and the findings if asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus"))
    parser.add_argument("--select", default="", help="codes and names, separated by commas")
    parser.add_argument("--only", default="", help="repositories whose name has this in it")
    parser.add_argument("--list", action="store_true", help="print the findings")
    parser.add_argument("--all", action="store_true", help="with --list: also the like of what was printed")
    options = parser.parse_args()
    folder = options.corpus / "files"
    if not folder.is_dir():
        print(f"{folder} is not there: name the corpus with --corpus", file=sys.stderr)
        return 2
    settings = Settings(select=tuple(options.select.split(","))) if options.select else Settings()
    files: dict[tuple[str, str], set[str]] = defaultdict(set)
    repositories: dict[tuple[str, str], set[str]] = defaultdict(set)
    total: Counter[str] = Counter()
    for repository in sorted(path for path in folder.iterdir() if path.is_dir() and options.only in path.name):
        total["repositories"] += 1
        shown: set[tuple[str, str]] = set()
        for finding in findings_of(repository.resolve(), settings):
            key = finding.code, finding.severity
            files[key].add(finding.place.path)
            repositories[key].add(repository.name)
            if options.list and (options.all or (finding.code, finding.message) not in shown):
                shown.add((finding.code, finding.message))
                print_finding(finding, repository.resolve())
    print(f"{total['repositories']} repositories")
    print(f"{'rule':6}{'severity':10}{'files':>7}{'repositories':>14}")
    for code, severity in sorted(files, key=lambda key: (key[0], -SEVERITIES.index(key[1]))):
        key = code, severity
        print(f"{code:6}{severity:10}{len(files[key]):7}{len(repositories[key]):14}")
    return 0


def print_finding(finding: Finding, repository: Path) -> None:
    """One finding in two lines."""
    path = Path(finding.place.path).resolve()
    shown = path.relative_to(repository.parent) if path.is_relative_to(repository.parent) else path
    print(f"{shown}:{finding.place.line}: {finding.code} {finding.severity}: {finding.message}")
    print(f"    {finding.reason}")


if __name__ == "__main__":
    sys.exit(main())
