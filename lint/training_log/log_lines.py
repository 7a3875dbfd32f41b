"""Parse single lines of Caffe's log, in the formats of BVLC Caffe and its forks since 2013.

`tee`, MPI, containers and terminals add prefixes before that of glog, colours, CRLF line endings, and truncated lines.
Source: solver.cpp, Solver::Step, TestAll; net.cpp, ForwardDebugInfo, BackwardDebugInfo, UpdateDebugInfo;
sgd_solver.cpp, ClipGradients, ApplyUpdate.
"""

from __future__ import annotations

import math
import re

from ..proto.named_tuple import NamedTuple

# No pattern may take more than linear time on any line: what stands before something that is searched has a bound, and so
# have the digits of a number.

# The prefix of glog, after those of other programs: severity, date, time, thread, file and line.
_GLOG = re.compile(rb"([IWEF])(\d{4}|\d{8}) +\d\d:\d\d:\d\d\.\d+ +(\d+) +([\w.+-]+\.\w+:\d+)\] ?(.*)", re.DOTALL)
# What is left of that prefix where people paste the end of it.
_CUT = re.compile(rb"([\w+-]{1,100}\.(?:cpp|cu|hpp|cc|h):\d{1,9})\] ?(.*)", re.DOTALL)
# Logs of Windows ports, and of DIGITS around Caffe's words.
_WINDOWS = re.compile(rb"\b(INFO|WARNING|ERROR|FATAL): +(?:[^ ]{0,300}[/\\])?([^ /\\]{1,100}) : line (\d{1,9}) : ?(.*)", re.DOTALL)
_DIGITS = re.compile(rb"\] \[(DEBUG|INFO|WARNING|ERROR|CRITICAL) *\] (?:Train Caffe Model: )?(.*)", re.DOTALL)
_RANK = re.compile(rb"(?:^|\s)(\[(?:\d{1,9},)?\d{1,9}\](?:<\w{1,20}>)?:?|[A-Za-z][\w.\[\]-]{0,60} {0,20}[|:>])\s*$")
_WORDS = re.compile(rb"\d+|\s+|[A-Za-z]+|[^\dA-Za-z\s]+")
_LONGEST_RANK, _LONGEST_PREFIX = 120, 200
_SEVERITIES = {b"INFO": "I", b"DEBUG": "I", b"WARNING": "W", b"ERROR": "E", b"CRITICAL": "F", b"FATAL": "F"}
_FRAME = re.compile(rb"[\s>|]{0,40}(?:PC: )?@ {1,40}(?:0x|\()")
_FAILED = re.compile(rb"[\s>#|*`-]{0,20}(?:ERROR: )?(Check failed: .*)", re.DOTALL)
_VALUE = rb"(-?(?:nan(?:\([\w]*\))?|inf(?:inity)?|\d+\.#\w+|[\d.]+(?:e[+-]?\d+)?))"
_DEBUG = re.compile(
    rb"\[(Forward|Backward|Update)\] Layer (.{1,500}), (top|bottom|param)(?: blob)? (.{0,500}?)"
    rb"(?: (data|diff))?: " + _VALUE + rb"(?: \(" + _VALUE + rb"\)|; diff: " + _VALUE + rb")?\s*$",
    re.IGNORECASE,
)
_NORMS = re.compile(
    rb"\[Backward\] All net params \(data, diff\): L1 norm = \("
    + _VALUE + rb", " + _VALUE + rb"\); L2 norm = \(" + _VALUE + rb", " + _VALUE + rb"\)",
    re.IGNORECASE,
)  # fmt: skip
_LOSS = re.compile(rb"(?:\[\d+\] )?Iteration (\d{1,18})(?: \([^)]{0,200}\))?, (?:[\w ./]{0,200}, )?loss = " + _VALUE, re.IGNORECASE)
_RATE = re.compile(rb"(?:\[\d+\] )?Iteration (\d{1,18}), lr = " + _VALUE, re.IGNORECASE)
_TESTING = re.compile(rb"(?:\[\d+\] )?Iteration (\d{1,18}), Testing net \(#(\d{1,18})\)")
_OUTPUT = re.compile(
    rb"(Train|Test) net output #(\d{1,18}): (.{0,500}?) = " + _VALUE
    + rb"(?: \(\\?\* " + _VALUE + rb" = " + _VALUE + rb" loss\))?\s*$",
    re.IGNORECASE,
)  # fmt: skip
_SCORE = re.compile(rb"Test (?:score #(\d{1,18})|loss): " + _VALUE, re.IGNORECASE)
_CLIPPING = re.compile(
    rb"Gradient clipping: scaling down gradients \(L2 norm " + _VALUE + rb" > " + _VALUE + rb"\) by "
    rb"scale factor "
    + _VALUE,
    re.IGNORECASE,
)  # fmt: skip
_NO_BACKWARD = re.compile(rb"(\S+) does not need backward computation\.")
_TOP_SHAPE = re.compile(rb"Top shape: ([\d ]{1,400}) \(\d+\)")
_SETTING_UP = re.compile(rb"Setting up (\S+)$")
_CREATING = re.compile(rb"(?:Creating layer|Creating Layer) (\S+)$")
_SOLVER_HEAD = b"Initializing solver from parameters"
_NET_HEAD = b"Initializing net from parameters"


class Message(NamedTuple):
    """A line without its prefixes: the stream it belongs to (MPI rank, thread), its severity and source."""

    stream: bytes
    severity: str  # I, W, E, F; empty if the line has no glog prefix
    source: str  # file.cpp:123
    text: bytes
    prefix: bytes = b""  # what another program wrote before that of glog


class Debug(NamedTuple):
    """A value of debug_info: the mean of |x| over a blob's data or diff."""

    direction: str  # Forward, Backward, Update
    layer: str
    role: str  # top, bottom, param
    blob: str
    what: str  # data, diff
    value: float


class Norms(NamedTuple):
    """The last line of a backward pass: sums of |x| and Euclidean norms over all learnable parameters."""

    l1_data: float
    l1_diff: float
    l2_data: float
    l2_diff: float


class Loss(NamedTuple):
    """`Iteration N, loss = v`."""

    iteration: int
    value: float


class Rate(NamedTuple):
    """`Iteration N, lr = v`."""

    iteration: int
    value: float


class Testing(NamedTuple):
    """`Iteration N, Testing net (#i)`."""

    iteration: int
    net: int


class Output(NamedTuple):
    """An output of the net, with its loss weight if it is a loss."""

    phase: str  # Train, Test
    position: int
    name: str
    value: float
    weight: float | None


class Clipping(NamedTuple):
    """Gradients scaled down: their L2 norm and the threshold that it exceeded."""

    norm: float
    bound: float


class NoBackward(NamedTuple):
    """A layer without a backward pass."""

    layer: str


class Solver(NamedTuple):
    """The solver follows, in text format."""


class NetText(NamedTuple):
    """The net follows, in text format."""


class SettingUp(NamedTuple):
    """The shapes of this layer's tops follow."""

    layer: str


class Creating(NamedTuple):
    """Caffe starts to create this layer."""

    layer: str


class TopShape(NamedTuple):
    """The shape of a top."""

    shape: tuple[int, ...]


class Note(NamedTuple):
    """An event in the life of a run: `done`, `stopped`, `resumed`, `finetuned`, `fatal`, `crashed`, `raised`, `start`.

    `told` is what may explain one that ends it, `trace` says that stack frames follow, `frame` is one of them.
    """

    kind: str
    text: str


Event = (
    Debug | Norms | Loss | Rate | Testing | Output | Clipping | NoBackward | Solver | NetText | SettingUp
    | Creating | TopShape | Note
)  # fmt: skip

_NOTES = (
    (b"Optimization Done.", "done"),
    (b"Optimization stopped early.", "stopped"),
    (b"Restoring previous solver status from", "resumed"),
    (b"Resuming from", "resumed"),
    (b"Finetuning from", "finetuned"),
    (b"Starting Optimization", "start"),
    (b"A total of ", "told"),
    (b"Opening file ", "told"),
    (b"Number of HDF5 files", "told"),
)
_CRASHES = (
    b"*** Aborted at", b"*** SIG", b"Segmentation fault", b"terminate called", b"malloc():", b"double free or corruption",
    b"free(): invalid", b"corrupted size", b"std::bad_alloc", b"Aborted (core",
    b"Illegal instruction", b"Floating point exception", b"Bus error", b"out of memory",
)  # fmt: skip
# What stands before what shells say of a process that was ended, if it does not stand alone.
SHELL = r"(?:\S{1,300}: line \d{1,9}: *\d{1,9} |zsh: |\[\d{1,9}\][+-]? {1,9}(?:\d{1,9} {1,9})?)"
_ENDED = re.compile(SHELL.encode() + rb"(?:[Kk]illed|[Tt]erminated)\b|(?:Killed(?:: 9)?|Terminated(?:: 15)?)\s*$")


_TOLD = (
    b"[libprotobuf ", b"Could not decode", b"Could not open", b"Could not load", b"Error parsing text-format", b"A total of 0 ",
    b"Corrupt JPEG", b"libpng error", b"OpenCV Error", b"OpenCV(", b"No module named", b"cannot import name",
    b"Traceback (most recent", b"could not broadcast", b"Error: ",
)  # fmt: skip


def number(text: bytes) -> float:
    """A number as C++ prints it: also `nan`, `-nan`, `inf`, and Windows' `1.#INF`, `-1.#IND`, `1.#QNAN`."""
    try:
        return float(text)
    except ValueError:
        pass
    lower = text.lower()
    if b"#inf" in lower or b"#j" in lower:
        return -math.inf if lower.startswith(b"-") else math.inf
    return math.nan


def message(line: bytes) -> Message:
    """Splits a line into the prefixes of other programs, that of glog, and the text."""
    match = _GLOG.search(line)
    if match is None:
        return _without_prefix(line)
    prefix = line[: match.start()]
    return Message(
        rank_of(prefix) + b"/" + match[3], match[1].decode(), match[4].decode("ascii", "replace"), match[5], prefix
    )


def rank_of(prefix: bytes) -> bytes:
    """What a prefix says of the process that a line is of, such as `[1,0]<stderr>:` or `worker-0 |`; empty if nothing.

    Times, numbers of lines and the like change from line to line.
    """
    found = _RANK.search(prefix[-_LONGEST_RANK:]) if prefix else None
    return found[1] if found is not None else b""


def process_of(stream: bytes) -> bytes:
    """The process of a stream, as far as its key says: without the thread."""
    return stream.rpartition(b"/")[0]


def prefixes_like(prefix: bytes) -> re.Pattern[bytes]:
    """What matches the prefix of each line, given one of them: numbers, widths and the names of months and days may change."""
    words = _WORDS.findall(prefix.strip()[-_LONGEST_PREFIX:])
    return re.compile(rb"[ \t]*" + b"".join(map(_like, words)) + rb"[ \t]?")


def _like(word: bytes) -> bytes:
    if word.isdigit():
        return rb"\d{1,20}"
    if word.isspace():
        return rb"[ \t]{1,20}"
    if word in (b"stderr", b"stdout"):
        return rb"std(?:err|out)"
    return rb"[A-Z][a-z]{2}" if len(word) == 3 and word.istitle() else re.escape(word)


def _without_prefix(line: bytes) -> Message:
    """A line without the prefix of glog: of a Windows port, of DIGITS, or pasted without it or with its end only."""
    if b" : line " in line and (found := _WINDOWS.search(line)) is not None:
        source = b"%s:%s" % (found[2], found[3])
        return Message(b"", _SEVERITIES[found[1]], source.decode("ascii", "replace"), found[4])
    if b"] [" in line and (found := _DIGITS.search(line)) is not None:
        failed = _FAILED.match(found[2])
        return Message(b"", "F" if failed else _SEVERITIES[found[1]], "", failed[1] if failed else found[2])
    if b"] " in line and (found := _CUT.search(line)) is not None:
        failed = _FAILED.match(found[2])
        return Message(b"", "F" if failed else "I", found[1].decode("ascii", "replace"), failed[1] if failed else found[2])
    if b"Check failed: " in line and (found := _FAILED.match(line)) is not None:
        return Message(b"", "F", "", found[1])
    return Message(b"", "", "", line)


def event(said: Message) -> Event | None:
    """What a line says; None if it is not needed or truncated."""
    text = said.text
    found: re.Match[bytes] | None
    if b"] Layer " in text or b"] All net params" in text:
        return debug(text)
    if b"Iteration " in text:
        if (found := _LOSS.search(text)) is not None:
            return Loss(int(found[1]), number(found[2]))
        if (found := _RATE.search(text)) is not None:
            return Rate(int(found[1]), number(found[2]))
        if (found := _TESTING.search(text)) is not None:
            return Testing(int(found[1]), int(found[2]))
    elif b" net output #" in text:
        if (found := _OUTPUT.search(text)) is not None:
            weight = number(found[5]) if found[5] else None
            phase = found[1].decode().capitalize()
            return Output(phase, int(found[2]), text_of(found[3]), number(found[4]), weight)
    elif b"Test " in text and (found := _SCORE.match(text)) is not None:
        name = f"score {int(found[1])}" if found[1] else "loss"
        return Output("Test", int(found[1] or 0), name, number(found[2]), None)
    if said.severity == "F":
        return Note("fatal", text_of(text))
    if said.severity or text.startswith(b"Gradient clipping"):
        if (of_glog := _of_glog(text)) is not None:
            return of_glog
        tells = said.severity in ("W", "E") or any(sign in text for sign in _TOLD)
        return Note("told", text_of(text.strip())) if tells else None
    return _of_others(text)


def _of_others(text: bytes) -> Event | None:
    """What a line says that is none of Caffe's, or was pasted without its prefix."""
    if b"@ " in text[:40] and _FRAME.match(text) is not None:
        return Note("frame", text_of(text.strip()))
    if text.startswith(b"*** Check failure stack trace"):
        return Note("trace", "")
    for sign in _TOLD:
        if sign in text:
            return Note("told", text_of(text.strip()))
    if any(sign in text for sign in _CRASHES) or _ENDED.match(text) is not None:
        return Note("crashed", text_of(text.strip()))
    for sign, kind in _NOTES:
        if text.startswith(sign):
            return Note(kind, text_of(text))
    return None


def _of_glog(text: bytes) -> Event | None:
    found: re.Match[bytes] | None
    if (found := _CLIPPING.match(text)) is not None:
        return Clipping(number(found[1]), number(found[2]))
    if (found := _SETTING_UP.match(text)) is not None:
        return SettingUp(text_of(found[1]))
    if (found := _CREATING.match(text)) is not None:
        return Creating(text_of(found[1]))
    if (found := _TOP_SHAPE.match(text)) is not None:
        return TopShape(tuple(int(word) for word in found[1].split()))
    if (found := _NO_BACKWARD.match(text)) is not None:
        return NoBackward(text_of(found[1]))
    if text.startswith(_SOLVER_HEAD):
        return Solver()
    if text.startswith(_NET_HEAD):
        return NetText()
    for sign, kind in _NOTES:
        if sign in text:
            return Note(kind, text_of(text))
    return None


def debug(text: bytes) -> Debug | Norms | None:
    """A line of debug_info, or the norms at the end of a backward pass. Of an [Update] line, the diff."""
    found = _DEBUG.match(text, _start(text))
    if found is not None:
        direction = found[1].decode().capitalize()
        # The first format, of 2014 (BVLC/caffe#796), had the sum of |x|, and the mean in parentheses.
        value, what = found[7] or found[6], (found[5] or b"data").decode().lower()
        if direction == "Update" and found[8]:
            value, what = found[8], "diff"
        return Debug(direction, text_of(found[2]), found[3].decode().lower(), text_of(found[4]), what, number(value))
    found = _NORMS.match(text, _start(text))
    if found is not None:
        return Norms(number(found[1]), number(found[2]), number(found[3]), number(found[4]))
    return None


def _start(text: bytes) -> int:
    """Where debug_info begins in a line, which may have lost a part of its prefix."""
    end = text.find(b"] Layer ")
    end = text.find(b"] All net params") if end < 0 else end
    return max(0, text.rfind(b"[", 0, max(0, end)))


def text_of(text: bytes) -> str:
    """Bytes of a log as text; invalid UTF-8 is replaced."""
    return text.decode("utf-8", "replace")
