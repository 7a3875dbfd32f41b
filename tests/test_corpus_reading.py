"""Real files: every byte comes back, and what Caffe's parser stopped at is found at its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from caffe_lint.proto.binder import bind
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.proto.tree import Problem, Tree, render
from caffe_lint.source.files import kind_of

SHARED = Path(__file__).resolve().parents[2] / "shared"
FILES = SHARED / "corpus" / "files"
BROKEN = SHARED / "oracle" / "broken"

with_corpus = pytest.mark.skipif(not FILES.is_dir(), reason=f"there are no real files at {FILES}")
with_oracle = pytest.mark.skipif(not BROKEN.is_dir(), reason=f"there are no files with Caffe's words at {BROKEN}")


def problems_of(tree: Tree) -> list[Problem]:
    type_name = "SolverParameter" if kind_of(tree) == "solver" else "NetParameter"
    return [*tree.problems, *bind(tree, caffe_schema(), type_name).problems]


@with_corpus
def test_every_file_comes_back_byte_by_byte_and_binds() -> None:
    malformed = 0
    for path in sorted(path for path in FILES.rglob("*") if path.is_file()):
        source = path.read_bytes()
        tree = parse(source)
        assert render(tree) == source, path
        problems = problems_of(tree)
        assert all(0 <= problem.start <= problem.end <= len(source) for problem in problems), path
        malformed += bool(tree.problems or tree.malformed)
    assert malformed < 40  # of two thousand: more would be mistakes of the parser


@with_oracle
def test_what_the_real_caffe_could_not_parse_has_a_problem_at_that_line() -> None:
    told = 0
    for path in sorted([*BROKEN.glob("*.prototxt"), *(BROKEN / "solvers").glob("*.prototxt")]):
        words = path.with_suffix(".txt")
        said = re.search(
            r"Error parsing text-format caffe\.(\w+): (\d+):\d+: (.*)", words.read_text() if words.exists() else ""
        )
        tree = parse(path.read_bytes())
        if said is None or ("has no field named" in said[3] and not problems_of(tree)):
            continue  # Caffe parsed it, or some fork has the field
        lines = {tree.line_of(problem.start) for problem in problems_of(tree)}
        # Caffe names the line on which its parser stopped: at times the one after the mistake, or the end of the file.
        line = int(said[2])
        stops_later = "Expected identifier" in said[3] and min(lines) <= line
        assert lines & {line, line - 1} or stops_later or path.name.startswith("v1_layers"), (path.name, lines, said[0])
        told += 1
    assert told >= 10
