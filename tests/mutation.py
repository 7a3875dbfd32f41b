"""Changes the installed fixes and binder in random places, one at a time, and counts the changes that tests notice.

    python tests/mutation.py [--mutants 200] [--seed 0]

Run by `make mutation`, with the Python of an environment whose installed copy may be changed: never with that of a checkout.
A place is chosen first and then one of the changes that are possible there (cosmic-ray's operators), so that places where
many are possible do not count more. Annotations are left out, since nothing evaluates them. The tests that run the changed line
are run first, and then, unless one of them failed, all of those named here. Each change that no test noticed is printed as a diff.
"""

from __future__ import annotations

import argparse
import ast
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome
from coverage import CoverageData

import caffe_lint.fixes
import caffe_lint.proto.binder

TESTS = Path(__file__).resolve().parent
TEST_FILES = [
    str(TESTS / f"test_{name}.py")
    for name in "binder fixes fixes_layers upgrade verification patching rule_legacy parser same_fixes shared_files "
    "solver_repairs misspelled_names against_protoc rule_pages add_ignore writing interactive cache".split()
]
PATIENCE = 5.0  # times what the tests take without a change, which may make a loop endless


def main() -> int:
    """Print how many of the changes were noticed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mutants", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    modules = [*sorted(Path(caffe_lint.fixes.__path__[0]).glob("*.py")), Path(caffe_lint.proto.binder.__file__)]
    if not all("site-packages" in module.parts for module in modules):
        parser.error("the code that would be changed is not an installed copy")
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        covered = _covered(Path(folder))
        timeout = PATIENCE * (time.monotonic() - started)
        if covered is None:
            parser.error("the tests fail even without a change")
        places = _places(modules)
        chosen = random.Random(options.seed)
        found = chosen.sample(sorted(places), min(options.mutants, len(places)))
        noticed = 0
        for number, place in enumerate(found, start=1):
            change = chosen.choice(places[place])
            tests = Path(folder) / "tests"
            tests.write_text("\n".join([*_tests_of(change, covered), *TEST_FILES]), encoding="utf-8")
            result = mutate_and_test([change], _pytest(f"@{tests}"), timeout)
            if result.test_outcome == TestOutcome.SURVIVED:
                print(result.diff, flush=True)
            else:
                noticed += 1
            print(f"{number} changes, {noticed} noticed ({noticed / number:.1%})", flush=True)
    print(f"{len(places)} places, {len(found)} chosen with seed {options.seed}: {noticed} noticed ({noticed / len(found):.1%})")
    return 0


def _pytest(*tests: str) -> str:
    return f"{sys.executable} -m pytest -x -q -p no:cacheprovider --rootdir {TESTS.parent} {' '.join(tests)}"


def _covered(folder: Path) -> CoverageData | None:
    """Run all tests, and return which of them ran which lines; None if one fails."""
    data, settings = folder / "data", folder / "settings"
    settings.write_text("[run]\ndynamic_context = test_function\nsource_pkgs = caffe_lint\n", encoding="utf-8")
    run = [sys.executable, "-m", "coverage", "run", f"--rcfile={settings}", f"--data-file={data}", *_pytest(*TEST_FILES).split()[1:]]
    if subprocess.run(run, stdout=subprocess.DEVNULL, check=False).returncode:
        return None
    covered = CoverageData(str(data))
    covered.read()
    return covered


def _tests_of(change: MutationSpec, covered: CoverageData) -> list[str]:
    """The tests that run the lines of a change, in the order of their files; each is named with its module's name in front."""
    lines = covered.contexts_by_lineno(str(change.module_path))
    names = {name for line in range(change.start_pos[0], change.end_pos[0] + 1) for name in lines.get(line, ()) if name}
    return [f"{file}::{name.rpartition('.')[2]}" for file in TEST_FILES for name in sorted(names) if f"{Path(file).stem}." in name]


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
