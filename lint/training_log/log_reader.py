"""Read a log of any size and origin into runs.

Most of a large log is debug_info. A block of it is recognised by having as many line feeds as markers of debug_info,
and is kept as text; only what a diagnosis needs is parsed. Other lines are parsed one by one.
"""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, BinaryIO, Protocol

from ..source.opener import Unreadable, open_regular
from . import log_lines as lines
from .log_lines import Message, Norms, Note, Output
from .runs import BAD_STEPS, BAD_TESTS, FRAMES, NOTES, Clipped, Noted, Pass, Run, Step, Test

BLOCK = 1 << 22
MARK = b"]     ["  # between the glog prefix and the text in every line of debug_info
_END_OF_PASS = b"All net params"
_FIRST_WINDOW = 1 << 13
_LONGEST_PASS = 1 << 20  # bytes in which the end of a pass is searched
_STREAMS_CHECKED = 16  # one in so many blocks of debug_info is checked for lines of several processes
HEADER_BYTES = 16_000_000  # of the text of a solver or net in the log
_HEAD_OF_PASS = 1 << 14
UNNUMBERED = 64  # passes that may wait for the line with their iteration (iter_size)
LONGEST_LINE = 1 << 24
_LONGEST_TRACEBACK = 1000  # lines
_PYTHON_PLACE = re.compile(rb'\s+File "([^"]{1,1000})", line (\d{1,9})')
_RAISED = re.compile(rb"[A-Za-z_][\w.]{0,100}(?:Error|Exception|Exit|Interrupt|StopIteration|Failure)(?::|\s*$)")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # the byte order mark, with which PowerShell begins a file
_COLOURS = re.compile(rb"\x1b\[[\d;?]{0,20}[A-Za-z]")
_SAMPLE = 1 << 14
_BREAK = re.compile(rb"<br ?/?>\s{0,9}\n")


def read_log(path: str) -> list[Run]:
    """The runs of a log, which may be gzipped; `-` is standard input. Raises Unreadable."""
    reader = LogReader()
    for block in blocks(path):
        reader.feed(block)
    return reader.finish()


def blocks(path: str) -> Iterator[bytes]:
    """The bytes of a log in blocks of whole lines. Raises Unreadable."""
    try:
        with _opened(path) as file:
            yield from whole_lines(file)
    except EOFError:
        raise Unreadable(path, "its gzip data are truncated") from None
    except OSError as error:
        raise Unreadable(path, error.strerror or "its gzip data are damaged") from None
    except Exception as error:  # zlib.error, without importing zlib
        if type(error).__name__ != "error":
            raise
        raise Unreadable(path, "its gzip data are damaged") from None


def _opened(path: str) -> Any:
    file: Any = sys.stdin.buffer if path == "-" else open_regular(path)  # of any size: it is read in blocks
    start = file.peek(2)[:2] if hasattr(file, "peek") else b""
    if start == b"\x1f\x8b":
        import gzip  # keeps gzip out of the start

        return gzip.GzipFile(fileobj=file)
    if start in _UTF_16:
        return codecs.EncodedFile(file, "utf-8", "utf-16", "replace")
    return file


def whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """The content of a file in blocks of whole lines with Unix line endings; the last line may lack its own."""
    rest = b""
    while block := file.read(BLOCK):
        end = block.rfind(b"\n") + 1
        if not end and len(rest) < LONGEST_LINE:
            rest += block
            continue
        yield plain(rest + block[:end])
        rest = block[end:]
    if rest:
        yield plain(rest)


def plain(block: bytes) -> bytes:
    """Whole lines without colours, and without blanks and the line ends of other systems at their ends."""
    if b"\x1b" in block:
        block = _COLOURS.sub(b"", block)
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    if b">" in block:
        block = _BREAK.sub(b"\n", block)
    # Blanks at the ends of lines are at those of many: two samples tell. Single bytes are found ten times as fast.
    samples = block[:_SAMPLE], block[-_SAMPLE:]
    if any(byte in block for byte in (b"\r", b"\t", b"`")) or any(b" \n" in sample for sample in samples):
        block = b"\n".join([line.rstrip(b" \t\r`") for line in block.split(b"\n")])
    return block


class Observer(Protocol):
    """Receives every complete step and pass of debug_info; a run keeps only some of them."""

    def step(self, run: Run, step: Step) -> None:
        """Takes a displayed iteration with everything that the log says about it."""

    def passed(self, run: Run, passed: Pass) -> None:
        """Takes a pass whose iteration is known."""


class LogReader:
    """Takes blocks of whole lines and sorts them into runs, by process if several wrote to the same log."""

    def __init__(self, observer: Observer | None = None) -> None:
        self.line = 1  # the number of the next line
        self._observer = observer
        self._streams: dict[bytes, _Stream] = {}
        self._blocks = 0
        self._mixed = False
        self._current: _Stream | None = None
        self._prefix: re.Pattern[bytes] | None = None  # of other programs, before each line
        self._of_rank: dict[bytes, _Stream] = {}  # the latest of each

    def feed(self, block: bytes) -> None:
        """Reads some whole lines."""
        position, end = 0, len(block)
        while position < end:
            line_end = block.find(b"\n", position)
            line_end = end if line_end < 0 else line_end
            if block.find(MARK, position, line_end) >= 0:
                stop, count = debug_block(block, position)
                self._debug(block[position:stop], count)
                position = stop
                self.line += count
                continue
            self._line(block[position:line_end])
            position = line_end + 1
            self.line += 1

    def finish(self) -> list[Run]:
        """The runs, in the order of the log. Those without any training are left out unless there are no others."""
        for stream in self._streams.values():
            stream.close()
        runs = [run for stream in self._streams.values() for run in stream.runs]
        runs.sort(key=lambda run: run.first_line)
        _join_threads(runs)
        for run in runs:
            if not run.stream and any(other.first_line > run.first_line and not other.empty for other in runs):
                run.notes = [note for note in run.notes if note.kind not in ("crashed", "raised")]  # of what ran before the training
        telling = [run for run in runs if not run.empty or run.told or any(n.kind in ("fatal", "crashed") for n in run.notes)]
        runs = telling or runs[-1:]
        for number, run in enumerate(runs, 1):
            run.number = number
        return runs

    @property
    def current(self) -> Run | None:
        """The run that the last line belongs to."""
        return self._current.run if self._current else None

    def _line(self, text: bytes) -> None:
        said = lines.message(text)
        stream = self._current
        if said.severity:
            if said.prefix.strip() and (self._prefix is None or self._prefix.match(text) is None):
                self._prefix = lines.prefixes_like(said.prefix)
        elif self._prefix is not None and (found := self._prefix.match(text)) is not None:
            text = text[found.end() :]
            said = lines.message(text)
            stream = self._of_rank.get(lines.rank_of(found[0]), stream)
        event = lines.event(said)
        if said.severity:
            # Data are read by threads of their own, whose errors are of the run that reads them.
            stops_here = isinstance(event, Note) and event.kind in ("fatal", "told")
            is_other = bool(said.stream) and stream is not None and said.stream != stream.key
            if stream is None or (is_other and event is not None and not stops_here):
                stream = self._stream(said.stream)
        elif stream is None:
            stream = self._stream(b"")
        self._current = stream
        stream.line(text, said, event, self.line)

    def _stream(self, key: bytes) -> _Stream:
        if key not in self._streams:
            self._streams[key] = _Stream(key, self.line, self._observer)
        self._of_rank[lines.process_of(key)] = self._streams[key]
        return self._streams[key]

    def _debug(self, text: bytes, count: int) -> None:
        """Takes a block of debug_info, from one process or from several whose lines are interleaved."""
        first = lines.message(text[: text.find(b"\n") if b"\n" in text else len(text)]).stream
        thread = b" " + first.rpartition(b"/")[2] + b" "
        self._blocks += 1
        check = self._mixed or self._blocks % _STREAMS_CHECKED == 1
        if check and (first.startswith(b"[") or text.count(thread) < count):
            self._mixed = True
        else:
            stream = self._current = self._stream(first)
            stream.debug(text, self.line, count)
            return
        for number, written in enumerate(text.splitlines(), self.line):
            key = lines.message(written).stream
            stream = self._current = self._stream(key or first)
            stream.debug(written + b"\n", number, 1)


def _join_threads(runs: list[Run]) -> None:
    """Give what one thread of a process printed while it built the solver to the run of another, which trains it.

    Source: parallel.cpp of NVIDIA's fork, P2PManager::Run, starts a thread for each GPU.
    """
    for building, training in pairwise(runs):
        of_one = building.stream != training.stream and lines.process_of(building.stream) == lines.process_of(training.stream)
        if of_one and building.empty and building.solver_text and not training.empty and not training.solver_text:
            training.take_built(building)


def debug_block(block: bytes, start: int) -> tuple[int, int]:
    """The end and number of lines of the debug_info that begins at `start`.

    Usually it ends with a pass. If other lines come before that, the end is searched in windows that double in size as long
    as they have as many markers as lines, and then by bisection.
    """
    end = len(block)
    found = block.find(_END_OF_PASS, start, start + _LONGEST_PASS)
    if found >= 0:
        stop = block.find(b"\n", found) + 1 or end
        number = block.count(b"\n", start, stop) + (block[stop - 1] != 10)
        if block.count(MARK, start, stop) >= number:
            return stop, number
    position, count, size = start, 0, _FIRST_WINDOW
    while position < end:
        stop = block.find(b"\n", min(position + size, end - 1)) + 1 or end
        number = block.count(b"\n", position, stop) or 1
        if block.count(MARK, position, stop) >= number:
            position, count = stop, count + number
            size *= 2
            continue
        if stop - position <= 512 or number == 1:
            return _by_line(block, position, stop, count)
        size = (stop - position) // 2
        while size > 256:
            middle = block.find(b"\n", position + size, stop) + 1
            if middle and middle < stop:
                number = block.count(b"\n", position, middle)
                if block.count(MARK, position, middle) >= number:
                    position, count = middle, count + number
                else:
                    stop = middle
            size //= 2
        return _by_line(block, position, stop, count)
    return position, max(count, 1)


def _by_line(block: bytes, position: int, stop: int, count: int) -> tuple[int, int]:
    while position < stop:
        line_end = block.find(b"\n", position) + 1 or len(block)
        if block.find(MARK, position, line_end) < 0:
            break
        position, count = line_end, count + 1
    return position, count


class _Stream:
    """The output of one process: its runs, the last of which is being read."""

    def __init__(self, key: bytes, line: int, observer: Observer | None) -> None:
        self.key = key
        self._observer = observer
        self.run = Run(line, key)
        self.runs = [self.run]
        self._pieces: list[bytes] = []  # debug_info of an incomplete pass
        self._pieces_line = 0
        self._pieces_end = 0
        self._waiting: list[tuple[Pass, bool]] = []  # passes whose iteration is not yet known
        self._testing: tuple[int, int] | None = None  # iteration and number of the test net that is running
        self._outputs: list[Output] = []
        self._outputs_line = 0
        self._rate: tuple[int, float, int] | None = None
        self._header: list[bytes] | None = None
        self._header_size = 0
        self._header_is_net = False
        self._setting_up = ""
        self._last: tuple[bytes, int] = (b"", 0)  # the last line with words, and its number
        self._traceback: list[bytes] | None = None  # of Python, as far as it was read

    # -- lines ----------------------------------------------------------------------------------------------

    def line(self, text: bytes, said: Message, event: lines.Event | None, number: int) -> None:
        """Takes a line that is not debug_info, or is debug_info without a glog prefix."""
        self.run.last_line = number
        told = isinstance(event, Note) and event.kind == "told"  # such as any error
        self.run.recognised |= bool(said.severity) or (event is not None and not told)
        if self._header is not None:
            if not said.severity:
                if self._header_size < HEADER_BYTES:
                    self._header.append(text)
                    self._header_size += len(text)
                return
            self._end_header()
        if self._traceback is not None:
            self._read_traceback(said, number)
        before, self._last = self._last, (said.text, number) if said.text.strip() else self._last
        if isinstance(event, Note) and event.kind == "trace":
            self._trace(*before)
        elif event is None:
            return
        elif isinstance(event, (lines.Debug, Norms)):
            self.debug(text + b"\n", number, 1)
        elif isinstance(event, lines.Loss):
            self._loss(event, number)
        elif isinstance(event, Output):
            self._output(event, number)
        elif isinstance(event, lines.Rate):
            self._set_rate(event, number)
        elif isinstance(event, lines.Testing):
            self._end_test()
            self._testing = (event.iteration, event.net)
            self.run.reached = event.iteration
        elif isinstance(event, lines.Clipping):
            self._clip(event, number)
        else:
            self._of_building(text, said, event, number)

    def _of_building(self, text: bytes, said: Message, event: lines.Event, number: int) -> None:
        run = self.run
        if isinstance(event, (lines.Solver, lines.NetText)):
            self._header_is_net = isinstance(event, lines.NetText)
            if not self._header_is_net and (not run.empty or run.solver_text):
                run = self._next_run(number)
            self._header, self._header_size = [], 0
        elif isinstance(event, lines.NoBackward):
            if len(run.net_texts) < 2:
                run.no_backward.add(event.layer)
        elif isinstance(event, lines.SettingUp):
            self._setting_up = event.layer if event.layer not in run.shapes else ""
        elif isinstance(event, lines.Creating):
            run.creating = event.layer
        elif isinstance(event, lines.TopShape):
            if self._setting_up:
                run.shapes.setdefault(self._setting_up, []).append(event.shape)
        elif isinstance(event, Note):
            self._note(event, said, number)

    def _trace(self, text: bytes, number: int) -> None:
        """Takes the line before a stack trace for the check that failed, if nothing marked it as such."""
        if text.strip() and not any(note.kind in ("fatal", "crashed") for note in self.run.notes):
            self.run.notes.append(Noted("fatal", lines.text_of(text.strip()), "", number))

    def _read_traceback(self, said: Message, number: int) -> None:
        """Takes a line after the start of a traceback, and at its end notes what was raised, and in which line of which file."""
        assert self._traceback is not None
        if said.text[:1].isspace() and not said.severity and len(self._traceback) < _LONGEST_TRACEBACK:
            self._traceback.append(said.text)
            return
        if not said.severity and _RAISED.match(said.text) is not None:
            places = [found for each in self._traceback if (found := _PYTHON_PLACE.match(each)) is not None]
            source = b"%s:%s" % (re.split(rb"[/\\]", places[-1][1])[-1], places[-1][2]) if places else b""
            self._noted("raised", lines.text_of(said.text.strip()), lines.text_of(source), number)
            self.run.recognised |= any(b"caffe" in each or b"solver" in each for each in self._traceback)
        self._traceback = None

    def _note(self, event: Note, said: Message, number: int) -> None:
        if event.kind in ("told", "frame"):
            if event.text.startswith("Traceback (most recent"):
                self._traceback = []
            ended = any(note.kind in ("fatal", "crashed") for note in self.run.notes)
            if event.kind == "frame" and len(self.run.frames) < FRAMES:
                self.run.frames.append(Noted("frame", event.text, "", number))
            elif event.kind == "told" and not ended:
                self.run.told.append(Noted("told", event.text, said.source, number))
            return
        if event.kind in ("done", "stopped"):
            self._end_test()
        self._noted(event.kind, event.text, said.source, number)

    def _noted(self, kind: str, text: str, source: str, number: int) -> None:
        if len(self.run.notes) < NOTES:
            self.run.notes.append(Noted(kind, text, source, number))

    def _end_header(self) -> None:
        assert self._header is not None
        text = b"\n".join(self._header) + b"\n"
        self._header = None
        if not self._header_is_net:
            self.run.solver_text = text
        elif len(self.run.net_texts) < 2:  # the training net, then a test net
            self.run.net_texts.append(text)

    # -- steps ----------------------------------------------------------------------------------------------

    def _loss(self, event: lines.Loss, number: int) -> None:
        self._end_test()
        self._end_pass(None, 0)
        last = self.run.steps.last
        if last is not None and event.iteration < last.iteration:
            self._next_run(number)
        norms, norms_line = None, 0
        for passed, bad in self._waiting:
            norms, norms_line = passed.norms, passed.norms_line
            self._keep(passed, event.iteration, bad)
        self._waiting.clear()
        rate, rate_line = None, 0
        if self._rate is not None and self._rate[0] == event.iteration:
            _, rate, rate_line = self._rate
        last = self.run.steps.last
        if last is not None and last.iteration == event.iteration and not last.outputs and not norms:
            return  # the last line of a run, or a line of another rank
        self._end_step()
        self.run.reached = event.iteration
        self.run.steps.append(Step(event.iteration, number, event.value, rate, rate_line, (), norms, norms_line))

    def _set_rate(self, event: lines.Rate, number: int) -> None:
        self._rate = (event.iteration, event.value, number)
        self.run.reached = event.iteration
        last = self.run.steps.last
        if last is not None and last.iteration == event.iteration:
            self.run.steps.replace_last(last._replace(rate=event.value, rate_line=number))

    def _output(self, event: Output, number: int) -> None:
        if event.phase == "Train":
            last = self.run.steps.last
            if last is not None and len(last.outputs) < 64:
                self.run.steps.replace_last(last._replace(outputs=(*last.outputs, event)))
            return
        self._end_pass(None, 0)
        if not self._outputs:
            self._outputs_line = number
        if len(self._outputs) < 256:
            self._outputs.append(event)

    def _clip(self, event: lines.Clipping, number: int) -> None:
        self._end_test()
        last = self.run.steps.last
        if last is not None and last.clipping is None:
            self.run.steps.replace_last(last._replace(clipping=event))
        iteration = last.iteration if last is not None else None
        self.run.clipped.append(Clipped(iteration, number, event.norm, event.bound))

    def _end_test(self) -> None:
        """Ends a test, all outputs of which are known."""
        if self._testing is not None and self._pieces:
            self._end_pass(None, 0)
        if self._outputs:
            iteration, net = self._testing or (None, 0)
            self.run.tests.append(Test(iteration, self._outputs_line, net, tuple(self._outputs)))
            self._outputs = []
        self._testing = None

    # -- passes ---------------------------------------------------------------------------------------------

    def debug(self, text: bytes, line: int, count: int) -> None:
        """Takes a block of debug_info, in which passes end and begin."""
        self.run.last_line = line + count - 1
        if self._outputs:
            self._end_test()
        position = 0
        while True:
            found = text.find(_END_OF_PASS, position)
            if found < 0:
                break
            stop = text.find(b"\n", found) + 1 or len(text)
            whole = position == 0 and stop == len(text)
            lines_here = count if whole else text.count(b"\n", position, stop)
            number = line + lines_here - 1
            norms = lines.debug(lines.message(text[text.rfind(b"\n", 0, found) + 1 : stop]).text)
            self._add(text[position:stop], line, lines_here)
            self._end_pass(norms if isinstance(norms, Norms) else None, number)
            line, position = number + 1, stop
        if position < len(text):
            self._add(text[position:], line, count if position == 0 else text.count(b"\n", position))

    def _add(self, text: bytes, line: int, count: int) -> None:
        if not self._pieces:
            self._pieces_line = line
        elif line != self._pieces_end:  # other lines came between: keep the line numbers right
            self._pieces.append(b"\n" * (line - self._pieces_end))
        self._pieces.append(text)
        self._pieces_end = line + count

    def _end_pass(self, norms: Norms | None, norms_line: int) -> None:
        if not self._pieces:
            return
        text = b"".join(self._pieces)
        passed = Pass(text, self._pieces_line, norms, norms_line)
        self._pieces = []
        run = self.run
        if self._testing is not None and norms is None and b"[Backward]" not in text:
            if len(run.tests_bad) < BAD_TESTS and not_finite(text):
                passed.iteration = self._testing[0]
                run.tests_bad.append((self._testing[1], passed))
            return
        bad = run.passes.bad is None and not any(bad for _, bad in self._waiting) and not_finite(text)
        self._waiting.append((passed, bad))
        if len(self._waiting) > UNNUMBERED:
            passed, bad = self._waiting.pop(0)
            self._keep(passed, None, bad)

    # -- runs -----------------------------------------------------------------------------------------------

    def _next_run(self, line: int) -> Run:
        waiting, self._waiting = self._waiting, []
        self.close()
        self._waiting = waiting
        self.run = Run(line, self.key)
        self.runs.append(self.run)
        return self.run

    def close(self) -> None:
        """Ends the run, and adds passes whose iteration never came."""
        if self._header is not None:
            self._end_header()
        testing = self._testing
        self._end_test()
        self._end_pass(None, 0)
        last = self.run.steps.last
        following = testing[0] if testing else None
        if last is not None:
            following = last.iteration + _display(self.run)
        for passed, bad in self._waiting:
            self._keep(passed, following, bad)
        self._waiting = []
        self._end_step()

    def _keep(self, passed: Pass, iteration: int | None, bad: bool) -> None:
        passed.iteration = iteration
        self.run.passes.append(passed, bad=bad)
        if self._observer is not None:
            self._observer.passed(self.run, passed)

    def _end_step(self) -> None:
        """Ends the last step, all lines of which were read."""
        last = self.run.steps.last
        bad = self.run.bad_steps
        if last is not None and len(bad) < BAD_STEPS and not last.finite and last not in bad[-1:]:
            bad.append(last)
        if self._observer is not None and last is not None:
            self._observer.step(self.run, last)


def _display(run: Run) -> int:
    """The number of iterations between two that are displayed."""
    steps = list(run.steps)[:2]
    return steps[1].iteration - steps[0].iteration if len(steps) > 1 else 1


def not_finite(text: bytes) -> bool:
    """Whether a block of debug_info has a value that is NaN or infinite."""
    if b"nan\n" in text or b"inf\n" in text or b"nan(" in text:
        return True
    # Windows prints 1.#INF, Caffe in 2014 printed a second value in parentheses, and the last line may be incomplete. The
    # format is the same in the whole log, so the beginning tells.
    head = text[:_HEAD_OF_PASS]
    if b"[debug_info]" in head and (b"nan)" in text or b"inf)" in text):
        return True
    return b".#" in text[-_HEAD_OF_PASS:] or b".#" in head or text.endswith((b"nan", b"inf"))
