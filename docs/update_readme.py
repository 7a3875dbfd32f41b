"""Writes into README.md what a program knows better: the output of the commands it shows, the table of rules.

    python docs/update_readme.py

A block that begins with `$ caffe-lint` gets what that command prints in the checkout; what stands between the
marks of the table gets the rules that are registered. tests/test_docs.py fails where the README fell behind.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
README = CHECKOUT / "README.md"

SESSION = re.compile(r"(?<=```console\n)((?:\$ caffe-lint[^\n]*\n(?:(?!\$ |```)[^\n]*\n)*)+)(?=```)")
COMMAND = re.compile(r"^\$ (caffe-lint[^\n]*)\n", re.MULTILINE)
TABLE = re.compile(r"(?<=<!-- rules -->\n).*?(?=<!-- end of rules -->)", re.DOTALL)


def updated(text: str) -> str:
    """The README's text with every session and the table as they should be."""
    text = SESSION.sub(lambda session: "".join(map(_run, COMMAND.findall(session[1]))), text)
    return TABLE.sub(lambda _: _output("caffe-lint rules --output-format markdown"), text)


def _run(command: str) -> str:
    return f"$ {command}\n{_output(command)}"


def _output(command: str) -> str:
    words = [sys.executable, "-m", "caffe_lint", *shlex.split(command)[1:]]
    run = subprocess.run(words, cwd=CHECKOUT, capture_output=True, encoding="utf-8", stdin=subprocess.DEVNULL)
    if run.returncode not in (0, 1):
        raise SystemExit(f"{command}: status {run.returncode}\n{run.stderr}")
    return run.stdout


if __name__ == "__main__":
    README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
