"""What every command shares at the terminal: errors for people, exit codes, and printing whatever a text holds.

Without click: the usual call, which has no options, does not load it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from ..report.colours import with_codes
from ..report.wrapping import fitted
from ..source.errors import InputError, message_of
from ..source.visible import visible, visible_lines, without_commands

EXIT_CLEAN, EXIT_FINDINGS, EXIT_FAILED, EXIT_STOPPED = 0, 1, 2, 3
EXIT_INTERRUPTED = 130  # as shells have it: 128 + SIGINT
_WIDEST = 110


class UsageError(Exception):
    """The command line asks for what makes no sense; says what does."""


def complain(sentence: str) -> None:
    """Prints a sentence of the program's own to standard error."""
    print_error(f"caffe-lint: {sentence}")


def print_error(sentence: str) -> None:
    """Prints a sentence, which begins with the place that it is about, to standard error: one line, whatever names are in it."""
    print_fitted(f"{visible(sentence)}\n", to_stderr=True)


def print_fitted(text: str, *, to_stderr: bool = False) -> None:
    """Prints sentences and tables, with lines that fit the terminal."""
    print_text(fitted(text, text_width(to_stderr=to_stderr)), to_stderr=to_stderr)


def terminal_width(*, to_stderr: bool = False) -> int | None:
    """The columns of the terminal that output goes to, as COLUMNS or the terminal itself gives them; None for another place."""
    stream = sys.stderr if to_stderr else sys.stdout
    if not stream.isatty():
        return None
    given = os.environ.get("COLUMNS", "")
    try:
        return int(given) if given.isdigit() and int(given) else os.get_terminal_size(stream.fileno()).columns or None
    except OSError:
        return None


def text_width(*, to_stderr: bool = False) -> int | None:
    """The columns that text may take in the terminal, at most as many as are easy to read."""
    columns = terminal_width(to_stderr=to_stderr)
    return columns and min(columns, _WIDEST)


def print_text(text: str, *, to_stderr: bool = False, has_commands: bool = False) -> None:
    """Writes text whatever it holds; all that the program prints passes here.

    In UTF-8, bytes that came in undecoded going out unchanged, but control characters as `\\x1b`, and no line as a command to a CI
    server unless the text `has_commands` of our own.
    """
    stream = sys.stderr if to_stderr else sys.stdout
    stream.flush()
    stream.buffer.write(_cleaned(text, has_commands))
    stream.buffer.flush()


def print_bytes(lines: bytes) -> None:
    """Writes lines of a log that is passed through, to standard output."""
    print_text(lines.decode("utf-8", "surrogateescape"))


def _cleaned(text: str, has_commands: bool) -> bytes:
    text = visible_lines(text)
    if not has_commands:
        text = without_commands(text)
    return with_codes(text).encode("utf-8", "surrogateescape")


def show_diff(
    patched: Mapping[str, bytes],
    sources: Mapping[str, bytes],
    output_file: str | None,
    *,
    colour: bool,
    to_stderr: bool = False,
) -> list[str]:
    """Writes the patches of files to a file, without colours, or prints them if none is named. Raises InputError.

    Gives what to say of where they are to be applied, if not in the working directory.
    """
    from ..report.diff import base_of, render  # keeps difflib out of the start

    base = base_of(patched)
    colour = colour and not output_file
    text = "".join(render(path, sources[path], patched[path], base=base, colour=colour) for path in sorted(patched))
    write_report(text, output_file, to_stderr=to_stderr)
    if base == os.path.realpath(os.curdir):
        return []
    return [f"the paths of the patch begin in {base}: apply it with patch -p1 -d {base}"]


def write_report(
    text: str, output_file: str | None, *, to_stderr: bool = False, has_commands: bool = False
) -> None:
    """Writes a report to a file, or prints it if none is named. Raises InputError."""
    if not output_file:
        print_text(text, to_stderr=to_stderr, has_commands=has_commands)
        return
    write_output(output_file, _cleaned(text, has_commands))


def write_output(path: str, content: bytes, *, mode: int | None = None) -> None:
    """Writes a file that the user named for output. Raises InputError, also for one that this run has read."""
    from ..source.output import write_named  # keeps what writes files out of the start

    try:
        write_named(path, content, mode=mode)
    except OSError as error:
        raise InputError(message_of(error, path)) from None


def check_output_folder(folder: str | None) -> None:
    """Raises InputError if a folder that the user named for output is reached by a link that may lead anywhere."""
    from ..source.write_roots import output_folder_problem  # keeps what is asked for output out of the start

    if folder is not None and (problem := output_folder_problem(folder)):
        raise InputError(f"nothing was written: {problem}")


def in_colour(choice: str, *, to_stderr: bool = False) -> bool:
    """Whether output is coloured, by `--color`: auto, always or never.

    By default it is on a terminal; NO_COLOR and FORCE_COLOR decide otherwise if they are not empty, NO_COLOR first.
    """
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stderr if to_stderr else sys.stdout).isatty()
