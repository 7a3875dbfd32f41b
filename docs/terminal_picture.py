"""Take the picture of a terminal in README.md: run a command in a terminal of its own, and draw what it shows as SVG.

    python docs/terminal_picture.py

Needs rich (pip install rich) and a POSIX system. tests/test_docs.py fails if the picture shows something else than the command
prints today.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from html import unescape
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
COMMAND = "caffe-lint examples/faces/solver.prototxt"
PICTURE = CHECKOUT / "docs" / "pictures" / "terminal.svg"
COLUMNS = 100
LETTER = 12.2  # the width of a letter in rich's pictures, in pixels


def shown(command: str) -> str:
    """Return what a terminal of COLUMNS shows of a command, with its codes of colours."""
    ours, theirs = os.openpty()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    for name in ("NO_COLOR", "FORCE_COLOR"):
        environment.pop(name, None)
    words = [sys.executable, "-m", "caffe_lint", *shlex.split(command)[1:]]
    with subprocess.Popen(words, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=theirs, env=environment):
        os.close(theirs)
        text = b""
        try:
            while piece := os.read(ours, 65536):
                text += piece
        except OSError:  # Linux ends a terminal that nobody writes to any more with an error
            pass
        os.close(ours)
    return text.decode().replace("\r\n", "\n")


def svg_of(command: str, output: str) -> str:
    """Return the picture of a terminal with a command and its output. It asks for no font of another host."""
    from rich.console import Console  # the test compares texts without it
    from rich.text import Text

    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
    console.print(Text("$ ", "bold green") + Text(command, "bold"))
    console.print(Text.from_ansi(output.rstrip("\n")))
    drawn = console.export_svg(title="caffe-lint", unique_id="caffe-lint")
    return re.sub(r"\s*@font-face \{.*?\}", "", drawn, flags=re.DOTALL)


def text_in(svg: str) -> list[str]:
    """Return the lines of text in such a picture."""
    lines: dict[int, str] = {}
    for x, number, text in re.findall(
        r'<text [^>]*x="([\d.]+)"[^>]*clip-path="url\(#[\w-]*-line-(\d+)\)"[^>]*>([^<]*)</text>', svg
    ):
        before = lines.get(int(number), "").ljust(round(float(x) / LETTER))
        lines[int(number)] = before + unescape(text).replace("\xa0", " ")
    return [lines.get(number, "").rstrip() for number in range(max(lines, default=-1) + 1)]


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(svg_of(COMMAND, shown(COMMAND)), encoding="utf-8")
