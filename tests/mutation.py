"""Changes the installed fixes and binder in random places, one at a time, and counts the changes that tests notice.

    python tests/mutation.py [--mutants 200] [--seed 0]

Run by `make mutation`, with the Python of an environment whose installed copy may be changed: never with that of a checkout.
A place is chosen first and then one of the changes that are possible there (cosmic-ray's operators), so that places where
many are possible do not count more. Annotations are left out, since nothing evaluates them. Each change that no test noticed
is printed as a diff.
"""

from __future__ import annotations

import argparse
import ast
import random
import sys
from collections import defaultdict
from pathlib import Path

from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.testing import run_tests
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome

import caffe_lint.fixes
import caffe_lint.proto.binder

TESTS = Path(__file__).resolve().parent
# Those of this code. The second group runs only if the first one passes, and the first failure ends the run.
TEST_FILES = (
    "binder fixes fixes_layers upgrade verification patching".split(),
    "rule_legacy parser same_fixes shared_files solver_repairs misspelled_names against_protoc rule_pages add_ignore writing".split(),
)
FIRST = {"write.py": "writing"}  # files of tests that are about one module, and begin its run
TIMEOUT = 600.0  # seconds; a change may make a loop endless


def main() -> int:
    """Print how many of the changes were noticed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mutants", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    modules = [*sorted(Path(caffe_lint.fixes.__path__[0]).glob("*.py")), Path(caffe_lint.proto.binder.__file__)]
    if not all("site-packages" in module.parts for module in modules):
        parser.error("the code that would be changed is not an installed copy")
    if run_tests(_command(""), TIMEOUT)[0] != TestOutcome.SURVIVED:
        parser.error("the tests fail even without a change")
    places = _places(modules)
    chosen = random.Random(options.seed)
    found = chosen.sample(sorted(places), min(options.mutants, len(places)))
    noticed = 0
    for number, place in enumerate(found, start=1):
        result = mutate_and_test([chosen.choice(places[place])], _command(Path(place[0]).name), TIMEOUT)
        if result.test_outcome == TestOutcome.SURVIVED:
            print(result.diff, flush=True)
        else:
            noticed += 1
        print(f"{number} changes, {noticed} noticed ({noticed / number:.1%})", flush=True)
    print(f"{len(places)} places, {len(found)} chosen with seed {options.seed}: {noticed} noticed ({noticed / len(found):.1%})")
    return 0


def _command(module: str) -> str:
    """The command that runs the tests of a changed module."""
    groups = ([FIRST[module]], *TEST_FILES) if module in FIRST else TEST_FILES
    pytest = f"{sys.executable} -m pytest -x -q -p no:cacheprovider --rootdir {TESTS.parent}"
    runs = (" ".join([pytest, *(str(TESTS / f"test_{name}.py") for name in group)]) for group in groups)
    return f"sh -c '{' && '.join(runs)}'"


def _places(modules: list[Path]) -> dict[tuple[str, tuple[int, int]], list[MutationSpec]]:
    """The changes that are possible at each place that is evaluated."""
    places = defaultdict(list)
    annotated = {str(module): _annotations(module) for module in modules}
    with use_db(":memory:", WorkDB.Mode.create) as database:
        init(modules, database, {})
        for item in database.work_items:
            (change,) = item.mutations
            line, column = change.start_pos
            if not any(start <= (line, column) < end for start, end in annotated[str(change.module_path)]):
                places[str(change.module_path), change.start_pos].append(change)
    return places


def _annotations(module: Path) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where annotations begin and end."""
    found: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            found.append(node.returns)
        elif isinstance(node, (ast.arg, ast.AnnAssign)):
            found.append(node.annotation)
    return [
        ((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)) for node in found if node is not None
    ]


if __name__ == "__main__":
    sys.exit(main())
