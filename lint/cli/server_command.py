"""`caffe-lint server`: the language server, for editors."""

from __future__ import annotations

import logging
import os
import sys

import click

from ..source.errors import InputError
from .console import EXIT_CLEAN
from .help_groups import GroupedCommand


@click.command(cls=GroupedCommand)
@click.option("--stdio", is_flag=True, help="Talk over standard input and output. [always]")
def server(stdio: bool) -> int:
    """Start the language server, which editors talk to over standard input and output.

    It needs pygls (pip install pygls). How to set up editors is described in docs/editors.md.
    """
    try:
        from ..server.language_server import create  # of the extra `server`
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("pygls", "lsprotocol"):
            raise
        raise InputError("the language server needs pygls: pip install pygls") from None
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever else is printed must not come between the answers
    _log_in_sentences()
    try:
        create().start_io(sys.stdin.buffer, answers)
    except MemoryError:
        raise InputError("the language server: a message of the editor is larger than the memory") from None
    return EXIT_CLEAN


def _log_in_sentences() -> None:
    """Has pygls log broken messages of the editor without its tracebacks, which tell nothing about them."""

    class Sentence(logging.Formatter):
        def formatException(self, ei: object) -> str:
            return ""

    handler = logging.StreamHandler()
    handler.setFormatter(Sentence("caffe-lint: %(message)s"))
    logger = logging.getLogger("pygls")
    logger.addHandler(handler)
    logger.propagate = False
