"""The program's entry. A call with nothing but paths goes straight to the check; all else is click's.

Loading click takes as long as checking a small solver, and paths alone are what pre-commit and most people pass.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from types import FrameType

from ..source.errors import InputError
from .command_table import COMMANDS
from .console import EXIT_FAILED, EXIT_INTERRUPTED, UsageError, complain


def main() -> None:
    """Runs the program. A closed pipe, Ctrl-C and the signals that ask it to end do so quietly."""
    _open_what_is_closed()
    _end_when_asked()
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)  # trees and nets are many small objects that live to the end
    arguments = sys.argv[1:]
    try:
        status = _run_to_its_end(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # Whoever read the output has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:  # mostly a full disk below standard output
        complain(f"{error.filename or 'standard output'}: {error.strerror or error}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    # Python would take all modules and trees apart, which is a tenth of the time of a small check.
    atexit._run_exitfuncs()
    os._exit(status)


def _end_when_asked() -> None:
    """Makes the signals that end a program raise SystemExit, so that no temporary file and no worker is left."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP; nohup ignores it
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)


_asked: list[int] = []  # the signal that ended the program


def _end(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    _asked.append(number)
    sys.exit(128 + number)  # as shells have it


def _run_to_its_end(arguments: list[str]) -> int:
    try:
        return _run(arguments)
    except BaseException:
        if _asked:  # whatever became of SystemExit on its way through libraries
            os._exit(128 + _asked[0])
        raise


def _open_what_is_closed() -> None:
    """A standard stream that the caller closed, as cron jobs do, is /dev/null instead."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open to the end


def _only_paths(arguments: list[str]) -> bool:
    return bool(arguments) and arguments[0] not in COMMANDS and not any(word.startswith("-") for word in arguments)


def _run(arguments: list[str]) -> int:
    try:
        if _only_paths(arguments):
            from .check import Options, check  # keeps the check out of the other commands

            return check(tuple(arguments), Options())
        from .commands import run  # loads click

        return run(arguments)
    except (InputError, UsageError) as error:
        complain(str(error))
        return EXIT_FAILED
    except MemoryError:
        pass  # it holds what fills the memory: nothing can be said before that is gone
    complain("out of memory: this takes more than there is, or than the limit of this process allows")
    return EXIT_FAILED
