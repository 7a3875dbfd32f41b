"""The trainings in the text of one script: a shell script, a Makefile, a batch file, a Python program, a README."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from .caffe_commands import TrainingRun, runs_of_commands
from .pycaffe_programs import runs_of_program
from .shell_text import Command, commands

_PROMPT = re.compile(r"[ \t]*(?:\$|>) ")
_FENCE = re.compile(r"[ \t]{0,3}(?:>[ ]?)?(```|~~~)[ \t]*\{?\.?([\w+-]*)")


def trainings_in(path: str, text: str) -> Iterator[TrainingRun]:
    """Yield the trainings that a script starts; its name says what kind of script it is."""
    name = os.path.basename(path).lower()
    if name.endswith(".py"):
        yield from runs_of_program(path, text)
    elif name.partition(".")[0] == "readme":
        yield from _runs_in_readme(path, text)
    else:
        kind = "make" if "makefile" in name or name.endswith(".mk") else "batch" if name.endswith((".bat", ".cmd")) else "shell"
        yield from runs_of_commands(path, commands(text, kind=kind))


def _runs_in_readme(path: str, text: str) -> Iterator[TrainingRun]:
    """Yield the trainings in the code of a README: fenced or indented blocks, and lines with a prompt."""
    blocks: list[tuple[int, str, list[str]]] = []  # the first line, the language, and the lines
    fence = ""
    was_code = False
    for number, line in enumerate(text.split("\n"), start=1):
        match = _FENCE.match(line)
        if match is not None and (not fence or match[1] == fence):
            fence = "" if fence else match[1]
            if fence:
                blocks.append((number + 1, match[2].lower(), []))
            was_code = False
            continue
        is_code = bool(fence) or line.startswith(("    ", "\t")) or _PROMPT.match(line) is not None
        if is_code:
            if not fence and not was_code:
                blocks.append((number, "", []))
            prompt = _PROMPT.match(line)
            blocks[-1][2].append(line[prompt.end() :] if prompt is not None else line)
        elif line.strip():
            was_code = False
            continue
        elif blocks and was_code and not fence:
            blocks[-1][2].append("")
        was_code = is_code or (was_code and not line.strip())
    shell: list[Command] = []
    for first, language, lines in blocks:
        code = "\n".join(lines)
        if language.startswith("py") or (not language and "Solver(" in code):
            yield from runs_of_program(path, code, first)
        else:
            shell += commands(code, first_line=first)
    yield from runs_of_commands(path, shell)
