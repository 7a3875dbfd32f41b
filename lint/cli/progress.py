"""Progress bars on standard error: of checks that take more than a second, and of work that is counted as it goes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

AFTER = 1.0  # seconds
_BAR = 30  # characters
_CLEARED = "\r\x1b[2K\x1b[?25h"  # an empty line, and the cursor, which click hides


class Progress:
    """The bar, which appears once a check has run for `AFTER` seconds, if standard error is a terminal."""

    def __init__(self) -> None:
        self._total = 0
        self._began = time.monotonic()
        self._bar: Any = None
        self._simulations = 0

    def of(self, total: int) -> None:
        """Set the number of units to check."""
        self._total = total

    def show(self, done: int) -> None:
        """Draw the bar if it is time for it, with the number of units that are done."""
        if self._bar is None:
            if not sys.stderr.isatty() or time.monotonic() - self._began < AFTER:
                return
            import click  # keeps click out of checks that take less

            self._bar = click.progressbar(length=self._total, label="checking", show_pos=True, file=sys.stderr)
        self._bar.update(done - self._bar.pos)

    def simulated(self) -> None:
        """Draw how many trainings were simulated so far: all that there is to see of the check of a single job."""
        self._simulations += 1
        if time.monotonic() - self._began >= AFTER:
            draw_bar("simulations", self._simulations, 0)

    def clear(self) -> None:
        """Remove the bar, for a text or for good; it is drawn again with the next number."""
        if self._simulations:
            draw_bar("simulations", -1, 0)
        if self._bar is not None:
            sys.stderr.write(_CLEARED)
            sys.stderr.flush()


@contextmanager
def progress() -> Iterator[Progress]:
    """A bar that is removed in the end, whatever happens."""
    bar = Progress()
    try:
        yield bar
    finally:
        bar.clear()


def draw_bar(unit: str, done: int, total: int) -> None:
    """Draw how much is done if standard error is a terminal; a negative number removes the bar. A total of 0 is unknown."""
    if not sys.stderr.isatty():
        return
    if done < 0:
        text = f"{' ' * (_BAR + 40)}\r"
    else:
        part = min(_BAR, _BAR * done // total) if total else 0
        text = f"[{'#' * part}{' ' * (_BAR - part)}] {done} of {total or '?'} {unit}"
    sys.stderr.write(f"\r{text}")
    sys.stderr.flush()
