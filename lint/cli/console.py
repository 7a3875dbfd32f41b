"""What every command shares at the terminal: errors for people, exit codes, and printing whatever a text holds.

Without click: the usual call, which has no options, does not load it.
"""

from __future__ import annotations

import os
import sys

from ..source.errors import InputError

EXIT_CLEAN, EXIT_FINDINGS, EXIT_FAILED, EXIT_STOPPED = 0, 1, 2, 3
EXIT_INTERRUPTED = 130  # as shells have it: 128 + SIGINT


class UsageError(Exception):
    """The command line asks for what makes no sense; says what does."""


def complain(sentence: str) -> None:
    """Prints a sentence to standard error."""
    print_text(f"caffe-lint: {sentence}\n", to_stderr=True)


def print_text(text: str, *, to_stderr: bool = False) -> None:
    """Writes text whatever it holds: in UTF-8, bytes that came in undecoded going out unchanged."""
    stream = sys.stderr if to_stderr else sys.stdout
    stream.flush()
    stream.buffer.write(text.encode("utf-8", "surrogateescape"))
    stream.buffer.flush()


def write_report(text: str, output_file: str | None, *, to_stderr: bool = False) -> None:
    """Writes a report to a file, or prints it if none is named. Raises InputError."""
    if not output_file:
        print_text(text, to_stderr=to_stderr)
        return
    try:
        with open(output_file, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
    except OSError as error:
        raise InputError(f"{output_file}: {error.strerror}") from None


def in_colour(choice: str, *, to_stderr: bool = False) -> bool:
    """Whether output is coloured, by `--color`: auto, always or never."""
    if choice != "auto":
        return choice == "always"
    return (sys.stderr if to_stderr else sys.stdout).isatty() and "NO_COLOR" not in os.environ
