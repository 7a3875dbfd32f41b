"""Update the generated parts of the documentation: the sessions in README.md, and the tables in docs/rules.md.

    python docs/update_pages.py

A block that starts with `$ caffe-lint` is replaced by what the command prints in the checkout, and the text between the markers of
the tables by the registered rules. tests/test_docs.py fails if one of the pages is out of date.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PAGES = (CHECKOUT / "README.md", CHECKOUT / "docs" / "rules.md")

SESSION = re.compile(r"(?<=```console\n)((?:\$ caffe-lint[^\n]*\n(?:(?!\$ |```)[^\n]*\n)*)+)(?=```)")
COMMAND = re.compile(r"^\$ (caffe-lint[^\n]*)\n", re.MULTILINE)
TABLES = re.compile(r"(?<=<!-- rules -->\n).*?(?=<!-- end of rules -->)", re.DOTALL)


def updated(text: str) -> str:
    """Return the text of a page with up-to-date sessions and tables."""
    text = SESSION.sub(lambda session: "".join(map(_run, COMMAND.findall(session[1]))), text)
    return TABLES.sub(lambda _: _output("caffe-lint rules --output-format markdown"), text)


def _run(command: str) -> str:
    return f"$ {command}\n{_output(command)}"


def _output(command: str) -> str:
    words = [sys.executable, "-m", "caffe_lint", *shlex.split(command)[1:]]
    run = subprocess.run(words, cwd=CHECKOUT, capture_output=True, encoding="utf-8", stdin=subprocess.DEVNULL)
    if run.returncode not in (0, 1):
        raise SystemExit(f"{command}: status {run.returncode}\n{run.stderr}")
    return run.stdout


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(updated(page.read_text(encoding="utf-8")), encoding="utf-8")
