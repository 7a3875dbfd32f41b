"""Runs that Caffe or the operating system ended: failed checks, messages of protobuf, and crashes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ...rule.registry import rule
from ...training_log.causes import Cause, Shown, shown
from ...training_log.evidence import Evidence
from ...training_log.refusal_messages import (
    COMMAND,
    DATA,
    FILES,
    Explained,
    causes,
    explain,
    explain_crash,
    function_of,
)
from ...training_log.runs import Noted, Run

_LONGEST_NOTE = 500  # characters
_SET_UP = ("Opening file ", "A total of ", "Number of HDF5 files")  # what data layers say when they are created
_OF_MEMORY = re.compile(r"Segmentation fault|SIGSEGV|malloc|free\(|double free|corrupted size")
_BY_USER = ("KeyboardInterrupt", "SystemExit")
_NEAR = 12  # lines before the end within which an error explains it
_ALONE = re.compile(r"Error parsing text-format|A total of 0 |Number of HDF5 files: 0|No module named|could not broadcast")


@rule("T501", "caffe-fatal-error", subject="log", severity="error", causes=causes())
def caffe_fatal_error(log: Evidence) -> Iterator[Cause]:
    """Flags failed checks (`F… Check failed: …`) with which Caffe stopped, and explains them.

    ## What it does

    Flags the first FATAL line of a run, with or without its prefix, and says what it means, with the numbers in it. The errors
    before it, messages of protobuf among them, and the stack frames after it decide where a check can fail for several
    reasons. With `--solver`, it points to the layer in it or the layer that was being set up.

    It also says when Caffe stopped. Before the first iteration, the files or the command are at fault; after it, they had
    passed, and the data of a batch are.

    An exception of Python that ends a training is reported like a failed check, unless the user interrupted it.

    ## Why is this bad?

    Caffe stopped: nothing was trained from there on.

    ## When it is reported

    **error**, always.

    ## Example

    There is no automatic fix here. Run `caffe-lint` on the solver: it shows where the mistake is, and can often fix it.

    ## References

    The source file that the line itself names. The table of all messages is `lint/training_log/refusal_messages.py`.
    """
    run = log.run
    fatal = next((note for note in run.notes if note.kind == "fatal"), None) or _raised(run)
    if fatal is None and not log.steps:
        fatal = next((note for note in run.told if _ALONE.search(note.text[:1000])), None)
    if fatal is None or (fatal.kind == "told" and any(note.kind == "crashed" for note in run.notes)):
        return
    told = _before(run, fatal)
    found = explain(_text(told), f"{fatal.source} {fatal.text}", _text(run.frames), had_begun=_had_begun(log))
    text = fatal.text.strip()
    at = f" at {fatal.source}" if fatal.source else ""
    function = next((name for name in map(function_of, (frame.text for frame in run.frames)) if name), "")
    if found is None and not fatal.source and "Check failed" not in text:
        message = f"Caffe stopped, and the line before the stack trace is: {text}"
        why = "If that is not what Caffe said, the line of the check that failed is missing in this log."
    elif found is None:
        message, why = f"Caffe stopped{at}: {text}", "The line itself shows the check that failed."
    else:
        message, why = f"Caffe stopped: {found.what}", found.why
    yield Cause(
        found.cause if found else "caffe-fatal-error",
        message,
        " ".join(filter(None, (why, _when(log, found.where if found else FILES), f"It failed in {function}." if function else ""))),
        0.99,
        (found.layer if found else None) or _under_construction(log) or _by_source(log, fatal),
        found.blob if found else None,
        log.run.reached,
        _line(found, told, fatal),
        shown(map(_shown, told[-3:]), _shown(fatal), map(_shown, run.frames[:1])),
        help=found.help if found else "",
    )


@rule("T502", "process-crash", subject="log", severity="error", causes=causes())
def process_crash(log: Evidence) -> Iterator[Cause]:
    """Flags processes that died without a FATAL line, for example by a segmentation fault.

    ## What it does

    Flags `*** Aborted at`, `*** SIG…`, `Segmentation fault`, `malloc(): …`, `Killed` and `std::bad_alloc` in the log of a run
    that did not end with `Optimization Done.` and did not go on after it. The signal tells a division by 0, a processor that is too
    old, a database that was cut off, and an end that came from outside. The errors before it and the stack frames after it say in
    which layer it died: an ImageData layer whose list is empty, or a loss that read beyond its scores.

    ## Why is this bad?

    Release builds do not check labels: one that is far out of range reads or writes outside the blob. `Killed` means that
    the operating system ended the process because memory ran out.

    ## When it is reported

    **error**. Ignore it if you ended the process yourself.

    ## Example

    There is nothing to change in the solver: look for labels out of range with `caffe-lint inputs`, or give the process more
    memory. `good/train.log` is that of a training that ended normally.

    ## References

    softmax_loss_layer.cpp (checks that are compiled out). Checked by running Caffe with labels of 1e9.
    """
    run = log.run
    crashed = [note for note in run.notes if note.kind == "crashed" and not _went_on(run, note)]
    if not crashed or any(other.kind in ("fatal", "done", "stopped") for other in run.notes) or _raised(run) is not None:
        return
    note, words = crashed[0], "\n".join(each.text for each in crashed)
    told = _before(run, note)
    frames = [frame.text for frame in run.frames]
    found = explain(_text(told), words, _text(run.frames), had_begun=_had_begun(log))
    crash = explain_crash(frames)
    inside = f" in {crash.function}" if crash is not None else ""
    if found is not None:
        cause, message, why, help_, where = found.cause, f"the process died: {found.what}", found.why, found.help, found.where
    elif crash is not None and crash.why:
        cause, message = crash.cause, f"the process died{inside}"
        why, help_, where = f"Caffe printed no reason, but {crash.why}.", "Check the labels with `caffe-lint inputs`.", DATA
    elif _OF_MEMORY.search(words):
        cause, message, where = "process-crash", f"the process died{inside}: {note.text}", FILES
        why = "Caffe printed no reason. Labels out of range can cause this, since release builds do not check them."
        help_ = "Check the labels with `caffe-lint inputs`."
    else:
        cause, message, where = "process-crash", f"the process died{inside}: {note.text}", ""
        why, help_ = "It ended itself, as at a check that fails: what it said before that is missing in this log.", ""
    yield Cause(
        cause,
        message,
        f"{why} {_when(log, where)}".strip(),
        0.9,
        _under_construction(log),
        None,
        log.run.reached,
        _line(found, told, note),
        shown(map(_shown, told[-3:]), _shown(note), map(_shown, [f for f in run.frames if function_of(f.text)][:1])),
        help=help_,
    )


def _went_on(run: Run, note: Noted) -> bool:
    """Whether the training went on after a line, so that it was not its end."""
    return run.steps.last is not None and run.steps.last.line > note.line


def _raised(run: Run) -> Noted | None:
    """The exception of Python that ended a training; None if it went on, had ended, or the user interrupted it."""
    if any(note.kind in ("done", "stopped") for note in run.notes):
        return None
    raised = [note for note in run.notes if note.kind == "raised" and not _went_on(run, note)]
    return raised[0] if raised and not raised[0].text.startswith(_BY_USER) else None


def _before(run: Run, end: Noted) -> list[Noted]:
    """The errors shortly before the end of a run, and the file that it started from."""
    started = [note for note in run.notes if note.kind in ("resumed", "finetuned") and not run.steps]
    near = [note for note in run.told if end.line - _NEAR <= note.line <= end.line and note is not end]
    return [*started[-1:], *near]


def _text(notes: Iterable[Noted]) -> str:
    """The lines of notes, each cut to what tells something."""
    return "\n".join(f"{note.source} {note.text}".strip()[:_LONGEST_NOTE] for note in notes)


def _line(found: Explained | None, told: list[Noted], end: Noted) -> int:
    """The line that says the cause: an earlier error, or the end itself."""
    if found is None or found.told is None or found.told >= len(told) or told[found.told].kind != "told":
        return end.line
    return told[found.told].line


def _shown(note: Noted) -> Shown:
    text = note.text.strip()[:500]
    return Shown(note.line, f"{note.source}] {text}" if note.source else text)


def _had_begun(log: Evidence) -> bool | None:
    """Whether an iteration or a test came before the end; None if the log is too short an excerpt to say."""
    run = log.run
    if run.reached is not None or log.tests or log.first_pass is not None:
        return True
    is_set_up = any(note.text.startswith(_SET_UP) for note in run.told)
    prints_net = bool(run.creating or run.shapes or run.solver_text or run.net_texts)
    starts = any(note.kind in ("start", "resumed", "finetuned") for note in run.notes)
    return False if is_set_up or prints_net or starts else None


def _when(log: Evidence, where: str) -> str:
    """When the run ended, and what that says about where to look."""
    begun = True if any("::Forward" in frame.text or "load_batch" in frame.text for frame in log.run.frames) else _had_begun(log)
    if where not in (FILES, DATA, COMMAND):
        return ""
    if begun is None and where == COMMAND:
        return ""
    if begun is None:
        return "This excerpt does not show when: before the first iteration, look at the files; after it, at the data."
    if not begun:
        what = "the command line and the files that it names" if where == COMMAND else "the files"
        return f"It came before the first iteration: look at {what}."
    if log.run.reached is None:
        return "It came in the first pass, so the net could be built: look at the data."
    return f"It came after iteration {log.run.reached}, so the files had passed until then: look at the data."


def _under_construction(log: Evidence) -> str | None:
    """The last layer that Caffe announced to create, if the training had not begun."""
    return log.run.creating if log.run.reached is None else None


def _by_source(log: Evidence, fatal: Noted) -> str | None:
    """The only layer whose type is that of the source file: infogain_loss_layer.cpp is InfogainLoss."""
    stem = fatal.source.partition(".")[0].removesuffix("_layer").replace("_", "")
    names = [layer.name for layer in log.layers.values() if layer.type.lower() == stem]
    return names[0] if len(names) == 1 else None
