"""Whether the first thing that we say of a reported problem is its cause.

    python benchmarks/reports.py [--verbose] [--only CASE] [--reports FOLDER]

`../shared/reports` has a folder for each case, rebuilt from a public bug report, and `reports.tsv` a row for each command
that somebody with that problem would run in it:

- `case`: the number that the folder's name starts with;
- `run`: the command, without `caffe-lint`; with `check` or without a word for one, files are checked;
- `first`: the codes of which one must be the first, or prefixes of codes; empty: no finding is expected;
- `place`: the file and line of that finding;
- `says`: what its block must contain, or the whole output if no code is expected; ` & ` joins several, `|` separates
  wordings of which one is enough;
- `never`: codes, and words in quotes, that must not appear anywhere; `quiet` forbids everything at warning or error level.

A finding is ranked as a person reads it: by its place among the blocks of the full output, without those folded beneath
another one. Plain advice of G101 does not count. YES means that every column holds, PARTLY that the cause is named but
something else does not hold, NO that it is not named. A case is as good as its worst row. The status is 1 if fewer than
95 % of the cases are YES, fewer than 90 % of the causes stand first, anything false is said, or a trap is not quiet.
"""

from __future__ import annotations

import argparse
import csv
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

SHARED = Path(__file__).resolve().parents[2] / "shared"
TABLE = Path(__file__).with_name("reports.tsv")
HEADER = re.compile(r"^(error|warning|advice)\[([A-Z]\d+)\]", re.MULTILINE)
QUIET = "quiet"
GRADES = ("NO", "PARTLY", "YES")


class Row(NamedTuple):
    """A command, and what must be said and must not be said after it."""

    case: str
    run: str
    first: list[str]
    place: str
    says: list[str]
    never: list[str]


class Block(NamedTuple):
    """A finding as it is printed, with all that belongs to it."""

    severity: str
    code: str
    text: str

    @property
    def is_plain(self) -> bool:
        """Whether it only advises to set `clip_gradients`."""
        return self.severity == "advice" and self.code == "G101"


class Graded(NamedTuple):
    """How a row did: the index of its grade, the rank of the cause, and what does not hold."""

    row: Row
    grade: int
    rank: int | None
    false: list[str]
    missing: list[str]


def read_table() -> list[Row]:
    """The rows of `reports.tsv`."""

    def parts(text: str, separator: str) -> list[str]:
        return [part.strip() for part in text.split(separator) if part.strip()]

    with TABLE.open(encoding="utf-8", newline="") as file:
        return [
            Row(
                line["case"],
                line["run"],
                parts(line["first"], ","),
                line["place"],
                parts(line["says"], " & "),
                re.findall(r'"[^"]*"|[^\s,"]+', line["never"]),
            )
            for line in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]


def output_of(row: Row, folder: Path) -> str:
    """What the command prints for people."""
    words = shlex.split(row.run)
    options = [] if words[0] == "signal" else ["--isolated"]
    command = [sys.executable, "-m", "caffe_lint", *words, *options]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if ran.returncode == 2:
        raise SystemExit(f"{row.case} {row.run}: {ran.stderr}")
    return ran.stdout


def blocks_of(output: str) -> list[Block]:
    """The findings of an output, in their order, each with what is printed beneath it."""
    headers = list(HEADER.finditer(output))
    starts = [*(header.start() for header in headers), len(output)]
    return [Block(header[1], header[2], output[header.start() : starts[i]]) for i, header in enumerate(headers, 1)]


def grade(row: Row, output: str) -> Graded:
    """Holds an output against its row."""
    blocks = blocks_of(output)
    weighty = [block for block in blocks if not block.is_plain]
    false = [word for word in row.never if _is_said(word, blocks, output)]
    if not row.first:
        missing = [word for word in row.says if not _contains(output, word)]
        return Graded(row, 0 if false or missing else 2, None, false, missing)
    rank = next((i for i, block in enumerate(weighty, 1) if block.code.startswith(tuple(row.first))), None)
    if rank is None:
        return Graded(row, 0, None, false, ["/".join(row.first)])
    text = weighty[rank - 1].text
    missing = [word for word in row.says if not _contains(text, word)]
    if row.place and not re.search(rf"(?<![\w.]){re.escape(row.place)}(?!\d)", text):
        missing.append(row.place)
    return Graded(row, 1 if rank > 1 or false or missing else 2, rank, false, missing)


def _contains(text: str, wordings: str) -> bool:
    """Whether a text, whose notes are wrapped, has one of the wordings."""
    spaced = " ".join(re.sub(r"^ *\|? *", "", line) for line in text.splitlines()).lower()
    return any(wording.strip().lower() in spaced for wording in wordings.split("|"))


def _is_said(word: str, blocks: list[Block], output: str) -> bool:
    if word == QUIET:
        return any(block.severity != "advice" for block in blocks)
    if word.startswith('"'):
        return _contains(output, word.strip('"'))
    return any(block.code == word for block in blocks)


def main() -> int:
    """Runs all rows, prints a line for each, and the totals."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--verbose", action="store_true", help="print the outputs of rows that are not YES")
    parser.add_argument("--only", metavar="CASE", help="run the rows of this case only")
    parser.add_argument("--reports", type=Path, default=SHARED / "reports")
    options = parser.parse_args()
    if not options.reports.is_dir():
        print(f"{options.reports} is missing: the cases do not belong to the project")
        return 1
    folders = {path.name.partition("-")[0]: path for path in sorted(options.reports.iterdir()) if path.is_dir()}
    cases: dict[str, list[Graded]] = defaultdict(list)
    for row in read_table():
        if options.only not in (None, row.case):
            continue
        output = output_of(row, folders[row.case])
        graded = grade(row, output)
        cases[row.case].append(graded)
        notes = [f"said {word}" for word in graded.false] + [f"lacks {word}" for word in graded.missing]
        print(f"{row.case}  {GRADES[graded.grade]:7}{graded.rank or '-':>2}  {row.run:48}  {'; '.join(notes)}".rstrip(), flush=True)
        if options.verbose and graded.grade < 2:
            print("".join(f"      {line}\n" for line in output.splitlines()))
    return _print_totals(list(cases.values()))


def _print_totals(cases: list[list[Graded]]) -> int:
    rows = [graded for case in cases for graded in case]
    traps = [graded for graded in rows if QUIET in graded.row.never]
    silent = sum(QUIET not in graded.false for graded in traps)
    false = sum(word != QUIET for graded in rows for word in graded.false)
    sought = [graded for graded in rows if graded.row.first]
    first = sum(graded.rank == 1 for graded in sought)
    named = sum(graded.rank is not None for graded in sought)
    grades = [min(graded.grade for graded in case) for case in cases]
    print(f"\ncases: {', '.join(f'{grades.count(2 - i)} {GRADES[2 - i]}' for i in range(3))} of {len(cases)}", end="")
    print(f" ({grades.count(2) / max(len(cases), 1):.0%} YES; goal 95%)")
    print(f"true cause first: {first} of {len(sought)} rows ({first / max(len(sought), 1):.0%}; goal 90%), named in {named}")
    print(f"false statements: {false} (goal 0)")
    print(f"traps silent at warning level: {silent} of {len(traps)}")
    good = grades.count(2) >= 0.95 * len(cases) and first >= 0.9 * len(sought) and not false and silent == len(traps)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
