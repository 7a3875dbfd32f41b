"""Watch a training run: pass the log through unchanged, and report the first sign of trouble immediately."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable

from ..proto.named_tuple import NamedTuple
from ..source.opener import open_regular
from .course import CERTAIN_GROWTH
from .log_reader import LogReader, plain
from .runs import Run, Step

WARN_GROWTH = 20.0  # times the usual gradient norm, in two displayed iterations in a row
LOSS_GROWTH = 5.0  # times the usual loss, in two in a row
RECENT = 20  # displayed iterations from which usual values are computed
LEAST = 3  # earlier displayed iterations, before a loss is called unusual
_WIDTH = 100
_POLL = 0.5
_PIECE = 1 << 16  # bytes read at once
_LONGEST = 1 << 20  # bytes of a line that is passed on before its end


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
            self.reader.feed(plain(piece[:end]))
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


def follow(
    path: str, report: Callable[[Sign], None], *, pass_on: Callable[[bytes], None] | None, stop: Callable[[], bool]
) -> list[Run]:
    """Follows standard input (`-`) or a growing file until it ends or `stop` returns true, and returns the runs.

    `pass_on` is called with whole lines as they come. A file ends when Caffe reports its end, or on Ctrl-C; it may be renamed
    and begun anew, or cut off, as when logs are rotated. Raises Unreadable and OSError.
    """
    terminal = sys.stderr.isatty()
    shown = _Progress()
    follower = Follower(report, shown.show if terminal else None)
    source = _Standard() if path == "-" else _Growing(path)
    waiting = b""  # the beginning of a line
    try:
        while not stop():
            piece = source.read()
            if piece:
                if pass_on is not None:
                    lines, end, waiting = (waiting + piece).rpartition(b"\n")
                    if end or len(waiting) > _LONGEST:
                        shown.clear()
                        pass_on(lines + end if end else waiting)
                        waiting = waiting if end else b""
                follower.feed(piece)
            elif path == "-" or _ended(follower):
                break
            else:
                time.sleep(_POLL)
    except KeyboardInterrupt:
        pass  # report on what was read so far
    finally:
        source.close()
        shown.clear()
    if pass_on is not None and waiting:
        pass_on(waiting)
    return follower.finish()


class _Standard:
    """Standard input."""

    def read(self) -> bytes:
        """Returns what has come; waits for it, and returns nothing at the end."""
        return os.read(0, _PIECE)

    def close(self) -> None:
        """Leaves it open."""


class _Growing:
    """A file that grows, by its name: also if it is renamed and begun anew, or cut off. Raises Unreadable and OSError."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = open_regular(path)
        self._in_line = False

    def read(self) -> bytes:
        """Returns what has come; nothing if nothing has."""
        piece = os.read(self._file.fileno(), _PIECE)
        if not piece and self._begin_anew():
            piece = os.read(self._file.fileno(), _PIECE)
            if self._in_line and piece:
                piece = b"\n" + piece  # the last line of the old file stays unfinished
        if piece:
            self._in_line = not piece.endswith(b"\n")
        return piece

    def _begin_anew(self) -> bool:
        """Goes to the beginning of what the path names now, if that is another file or the file was cut off."""
        known = os.fstat(self._file.fileno())
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return False  # it was renamed, and the new one is yet to come
        if (found.st_dev, found.st_ino) != (known.st_dev, known.st_ino):
            new = open_regular(self._path)
            self._file.close()
            self._file = new
            return True
        if known.st_size < os.lseek(self._file.fileno(), 0, os.SEEK_CUR):
            os.lseek(self._file.fileno(), 0, os.SEEK_SET)
            return True
        return False

    def close(self) -> None:
        """Closes it."""
        self._file.close()


def _ended(follower: Follower) -> bool:
    run = follower.reader.current
    return run is not None and any(note.kind in ("done", "stopped", "fatal", "crashed") for note in run.notes)


class _Progress:
    """A line of progress on a terminal."""

    def __init__(self) -> None:
        self._visible = False

    def show(self, text: str) -> None:
        """Rewrites the line."""
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
        self._visible = True

    def clear(self) -> None:
        """Removes the line."""
        if self._visible:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._visible = False
