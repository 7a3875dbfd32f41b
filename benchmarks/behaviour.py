"""What a change of the program does to findings and patches on real files.

    python benchmarks/behaviour.py record before.json [--program .venv/bin/caffe-lint]
    python benchmarks/behaviour.py compare before.json after.json

`record` checks the corpus and the examples with the recommended rules and writes down every finding (path, line, column,
code, severity) and the digest of every file that `--fix`, and `--fix --unsafe-fixes`, would write. `compare` lists what
came, went or changed, by rule, and leaves with 1 if anything did. Codes keep their meaning from version to version, so
two versions of the program can be compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT.parent / "shared" / "corpus" / "files"
PATCHES = {"safe": ("--fix",), "unsafe": ("--fix", "--unsafe-fixes")}


def record(program: list[str], folders: list[Path]) -> dict[str, Any]:
    """The findings on some folders, and the digests of patched files, by their paths from the folder."""
    findings: list[list[Any]] = []
    patches: dict[str, dict[str, str]] = {name: {} for name in PATCHES}
    for folder in folders:
        common = [*program, ".", "--isolated", "--exit-zero", "--jobs=2"]
        output = subprocess.run([*common, "--output-format=json"], cwd=folder, capture_output=True, check=False).stdout
        findings += (
            [f"{folder.name}/{one['path']}", one["line"], one["column"], one["code"], one["severity"]]
            for one in json.loads(output)["findings"]
        )
        for name, options in PATCHES.items():
            with tempfile.TemporaryDirectory() as target:
                patching = [*common, *options, f"--output-dir={target}"]
                subprocess.run(patching, cwd=folder, capture_output=True, check=False)
                for path in sorted(Path(target).rglob("*")):
                    if path.is_file():
                        where = f"{folder.name}/{path.relative_to(target)}"
                        patches[name][where] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return {"findings": sorted(findings), "patches": patches}


def compare(before: dict[str, Any], after: dict[str, Any], shown: int) -> int:
    """Prints the differences; gives their number."""
    old, new = (Counter(map(tuple, run["findings"])) for run in (before, after))
    by_code: dict[str, list[str]] = defaultdict(list)
    for sign, one in [*(("-", each) for each in (old - new)), *(("+", each) for each in (new - old))]:
        path, line, column, code, severity = one
        by_code[code].append(f"{sign} {path}:{line}:{column} {severity}")
    print(f"findings: {old.total()} before, {new.total()} after, {sum(map(len, by_code.values()))} differ")
    for code, lines in sorted(by_code.items()):
        print(f"{code}: {sum(line[0] == '-' for line in lines)} went, {sum(line[0] == '+' for line in lines)} came")
        print("".join(f"  {line}\n" for line in sorted(lines, key=lambda line: line[2:])[:shown]), end="")
    differing = sum(map(len, by_code.values()))
    for name in PATCHES:
        mine, theirs = before["patches"][name], after["patches"][name]
        other = sorted(path for path in {*mine, *theirs} if mine.get(path) != theirs.get(path))
        print(f"patched ({name}): {len(mine)} files before, {len(theirs)} after, {len(other)} differ")
        print("".join(f"  {path}\n" for path in other[:shown]), end="")
        differing += len(other)
    return differing


def main() -> None:
    """Runs the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("output", type=Path)
    recording.add_argument("--program", nargs="+", default=[sys.executable, "-m", "caffe_lint"])
    recording.add_argument("--corpus", type=Path, default=CORPUS)
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    comparing.add_argument("--shown", type=int, default=20, help="how many of a rule's differences are listed")
    arguments = parser.parse_args()
    if arguments.command == "compare":
        before, after = (json.loads(path.read_text()) for path in (arguments.before, arguments.after))
        sys.exit(1 if compare(before, after, arguments.shown) else 0)
    folders = [ROOT / "examples"]
    if arguments.corpus.is_dir():
        folders.append(arguments.corpus)
    else:
        print(f"no corpus at {arguments.corpus}: only the examples are looked at")
    program = [str(Path(word).resolve()) if "/" in word else word for word in arguments.program]
    found = record(program, folders)
    arguments.output.write_text(json.dumps(found, indent=0))
    print(f"{len(found['findings'])} findings, " + ", ".join(f"{len(p)} files patched ({n})" for n, p in found["patches"].items()))


if __name__ == "__main__":
    main()
