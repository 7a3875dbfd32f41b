"""Planted mistakes are found, and verdicts are on rules that there are."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

from caffe_lint.rule.registry import all_rules

ROOT = Path(__file__).parent.parent


def test_mistakes_planted_into_the_examples_are_found() -> None:
    """The command at work on files that come with the project; the examples are its repositories."""
    command = [sys.executable, str(ROOT / "benchmarks" / "mutants.py"), "--corpus", str(ROOT / "examples")]
    run = subprocess.run([*command, "--rule", "S107,E103,S121", "--per-rule", "4"], capture_output=True, text=True)
    rows = {row[0]: row for line in run.stdout.splitlines() if re.match(r"[A-Z]\d{3} ", line) for row in [line.split()]}
    assert set(rows) == {"S107", "E103", "S121"}, run.stdout + run.stderr
    assert all(int(row[1]) >= 4 and row[1] == row[2] for row in rows.values()), run.stdout


def test_every_verdict_is_on_a_rule_and_says_why() -> None:
    with (ROOT / "benchmarks" / "verdicts.tsv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    assert len({(row["rule"], row["repository"], row["path"], row["line"]) for row in rows}) == len(rows) > 0
    for row in rows:
        assert row["rule"] in all_rules(), row
        assert row["verdict"] in ("true", "harmless", "false"), row
        assert row["why"], row
