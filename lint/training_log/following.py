"""Watch a training run: pass the log through unchanged, and report the first sign of trouble immediately."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable

from ..proto.named_tuple import NamedTuple
from .course import CERTAIN_GROWTH
from .log_reader import LogReader
from .runs import Run, Step

WARN_GROWTH = 20.0  # times the usual gradient norm, in two displayed iterations in a row
LOSS_GROWTH = 5.0  # times the usual loss, in two in a row
RECENT = 20  # displayed iterations from which usual values are computed
LEAST = 3  # earlier displayed iterations, before a loss is called unusual
_WIDTH = 100
_POLL = 0.5


class Sign(NamedTuple):
    """A sign of divergence: certain if `diverged` is true, otherwise a trend."""

    diverged: bool
    text: str


class Watcher:
    """Watches the steps of a training for the first sign of divergence. Reports a trend and divergence once each."""

    def __init__(self) -> None:
        self._norms: list[float] = []
        self._losses: list[float] = []
        self._first: tuple[float, float] | None = None  # loss and norm of the first step
        self._warned = False
        self._diverged = False
        self.last: Step | None = None

    def step(self, step: Step) -> Sign | None:
        """Takes a displayed iteration and returns the sign that it shows, if any."""
        self.last = step
        sign = self._judge(step)
        self._losses.append(abs(step.loss))
        norm = _norm(step)
        if self._first is None:
            self._first = (abs(step.loss), norm or 0.0)
        if norm is not None:
            self._norms.append(norm)
        del self._losses[:-RECENT], self._norms[:-RECENT]
        if sign is None or self._diverged or (self._warned and not sign.diverged):
            return None
        self._warned, self._diverged = True, sign.diverged
        return sign

    def _judge(self, step: Step) -> Sign | None:
        at = f"iteration {step.iteration}"
        if not math.isfinite(step.loss):
            return Sign(True, f"{at}: the loss is {step.loss:g}")
        if step.rate is not None and not math.isfinite(step.rate):
            return Sign(True, f"{at}: the learning rate is {step.rate:g}")
        norm = _norm(step)
        if norm is not None and not math.isfinite(norm):
            return Sign(True, f"{at}: the gradient's L2 norm is {norm:g}")
        first_loss, first_norm = self._first or (0.0, 0.0)
        # A value that has fallen far may double now and then: it must also exceed its start.
        typical_norm = max(_typical(self._norms), first_norm) if len(self._norms) > 1 else 0.0
        typical_loss = max(_typical(self._losses), first_loss / LOSS_GROWTH)
        if norm is not None and typical_norm and len(self._norms) >= 2:
            if norm > CERTAIN_GROWTH * typical_norm:
                return Sign(True, f"{at}: the gradient's L2 norm is {norm:.3g}, usually {typical_norm:.3g}")
            if min(norm, self._norms[-1]) > WARN_GROWTH * typical_norm and norm > 2 * self._norms[-1]:
                return Sign(
                    False,
                    f"{at}: the gradient's L2 norm grows from {self._norms[-1]:.3g} to {norm:.3g}, usually {typical_norm:.3g}",
                )
        loss = abs(step.loss)
        if typical_loss and len(self._losses) >= LEAST and min(loss, self._losses[-1]) > LOSS_GROWTH * typical_loss:
            return Sign(False, f"{at}: the loss is {step.loss:.4g}, usually {typical_loss:.4g}")
        return None


def _norm(step: Step) -> float | None:
    """The gradient's L2 norm, from debug_info or from clipping."""
    return step.norms.l2_diff if step.norms is not None else step.clipping.norm if step.clipping else None


def _typical(values: list[float]) -> float:
    """The median without the last value, which may be the first that stands out."""
    before = sorted(values[:-1])
    return before[len(before) // 2] if before else 0.0


class Follower:
    """Takes the bytes of a live log in pieces of any size, and reports signs as soon as a step is complete."""

    def __init__(self, report: Callable[[Sign], None], progress: Callable[[str], None] | None) -> None:
        self.reader = LogReader(self)
        self._watcher = Watcher()
        self._report = report
        self._progress = progress
        self._rest = b""
        self._started: tuple[float, int] | None = None
        self._seen: tuple[int, int] = (0, -1)

    def feed(self, piece: bytes) -> None:
        """Takes some bytes, not necessarily whole lines."""
        piece = self._rest + piece
        end = piece.rfind(b"\n") + 1
        self._rest = piece[end:]
        if end:
            self.reader.feed(piece[:end].replace(b"\r\n", b"\n"))
            self._look()

    def finish(self) -> list[Run]:
        """Ends the log, whose last line may be incomplete, and returns its runs."""
        if self._rest:
            self.reader.feed(self._rest)
            self._rest = b""
        return self.reader.finish()

    def _look(self) -> None:
        """Judges the last step before it is complete: its loss and norms are already known."""
        run = self.reader.current
        last = run.steps.last if run is not None else None
        if run is None or last is None or (id(run), last.iteration) == self._seen:
            return
        self._judge(run, last)

    def step(self, run: Run, step: Step) -> None:
        """Judges a complete step."""
        if (id(run), step.iteration) != self._seen:
            self._judge(run, step)

    def passed(self, run: Run, passed: object) -> None:
        """Does nothing: passes are judged by their norms, with their step."""

    def _judge(self, run: Run, step: Step) -> None:
        self._seen = (id(run), step.iteration)
        if self._progress is not None:
            self._progress(self._line(run, step))
        sign = self._watcher.step(step)
        if sign is not None:
            self._report(sign)

    def _line(self, run: Run, step: Step) -> str:
        now = time.monotonic()
        if self._started is None:
            self._started = (now, step.iteration)
        total = _max_iter(run)
        text = f"iteration {step.iteration}" + (f" of {total}" if total else "") + f", loss {step.loss:.4g}"
        if step.rate is not None:
            text += f", lr {step.rate:g}"
        began, first = self._started
        if total and step.iteration > first and now > began:
            left = (total - step.iteration) * (now - began) / (step.iteration - first)
            text += f", {int(left // 3600)}:{int(left // 60) % 60:02}:{int(left) % 60:02} left"
        return text[:_WIDTH]


def _max_iter(run: Run) -> int:
    for line in run.solver_text.split(b"\n"):
        name, _, value = line.partition(b":")
        if name.strip() == b"max_iter" and value.strip()[:19].isdigit():
            return int(value.strip()[:19])
    return 0


def follow(path: str, report: Callable[[Sign], None], *, pass_through: bool, stop: Callable[[], bool]) -> list[Run]:
    """Follows standard input (`-`) or a growing file until it ends or `stop` returns true, and returns the runs.

    A file ends when Caffe reports its end, or on Ctrl-C. Raises OSError.
    """
    terminal = sys.stderr.isatty()
    shown = _Progress(beside_log=pass_through and sys.stdout.isatty())
    follower = Follower(report, shown.show if terminal else None)
    descriptor = 0 if path == "-" else os.open(path, os.O_RDONLY)
    out = sys.stdout.buffer
    try:
        while not stop():
            piece = os.read(descriptor, 1 << 16)
            if piece:
                if pass_through:
                    shown.clear()
                    out.write(piece)
                    out.flush()
                    shown.at_line_start = piece.endswith(b"\n")
                follower.feed(piece)
            elif path == "-" or _ended(follower):
                break
            else:
                time.sleep(_POLL)
    except KeyboardInterrupt:
        pass  # report on what was read so far
    finally:
        if path != "-":
            os.close(descriptor)
        shown.clear()
    return follower.finish()


def _ended(follower: Follower) -> bool:
    run = follower.reader.current
    return run is not None and any(note.kind in ("done", "stopped", "fatal", "crashed") for note in run.notes)


class _Progress:
    """A line of progress on a terminal. If a log goes to the same terminal, it waits for the end of a line."""

    def __init__(self, *, beside_log: bool) -> None:
        self.at_line_start = True
        self._beside_log = beside_log
        self._visible = False

    def show(self, text: str) -> None:
        """Rewrites the line."""
        if self.at_line_start or not self._beside_log:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()
            self._visible = True

    def clear(self) -> None:
        """Removes the line."""
        if self._visible:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._visible = False
