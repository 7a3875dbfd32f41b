"""Worker processes, none of which outlives the run, whatever ends it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection
from typing import Any

from ..proto.named_tuple import NamedTuple
from .errors import InputError

# On Linux a worker begins as a copy of the program, with all that was read so far; elsewhere that is not safe.
CONTEXT = multiprocessing.get_context("fork" if sys.platform.startswith("linux") else None)
POLL = 0.1  # seconds between two calls of `waiting`
_PARENT_POLL = 1.0  # seconds between two looks at whether the program still runs
_LAST_SECONDS = 10.0  # that a worker has to end by itself when all is done, be the machine ever so busy
_AHEAD = 2  # pieces of work that a worker has at a time, so that it never waits for the next


class WorkerDied(InputError):
    """A worker process ended before its work was done; `number` is the piece of work that it was at, `how` says how it ended."""

    def __init__(self, number: int, how: str) -> None:
        super().__init__(f"a worker process ended with {how}")
        self.number = number
        self.how = how


class _Worker(NamedTuple):
    process: Any
    pipe: connection.Connection
    todo: list[int]  # the numbers that it has been given and not answered


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spread(
    work: Callable[[int], Any], number: int, jobs: int, waiting: Callable[[], None] | None = None
) -> Iterator[tuple[int, Any]]:
    """Call `work` with each number below `number` in some processes; yield the numbers with the results, as they are done.

    What `work` refers to is copied to each process once, and each is given its next number when it is free. `waiting` is
    called every POLL seconds at least. An error in `work` is raised here. Raises WorkerDied. The processes are ended at
    once if an error or a signal ends the loop, and end by themselves if the program was killed.
    """
    ahead = iter(range(number))
    workers = []
    try:
        for _ in range(min(jobs, number)):
            with _signals_held_back():  # else one might end the program between the start and the note of it
                workers.append(_start(work))
            _hand_out(workers[-1], ahead, _AHEAD)
        by_pipe = {worker.pipe: worker for worker in workers}
        while any(worker.todo for worker in workers):
            busy = [worker.pipe for worker in workers if worker.todo]
            for pipe in connection.wait(busy, None if waiting is None else POLL):
                worker = by_pipe[pipe]  # type: ignore[index]
                try:
                    is_error, result = worker.pipe.recv()
                except (EOFError, OSError):
                    worker.process.join()
                    raise WorkerDied(worker.todo[0], _how(worker.process.exitcode)) from None
                if is_error:
                    raise result
                done = worker.todo.pop(0)
                _hand_out(worker, ahead, 1)
                yield done, result
            if waiting is not None:
                waiting()
        for worker in workers:
            with suppress(OSError):
                worker.pipe.send(None)  # nothing is left: it ends by itself
        for worker in workers:
            worker.process.join(_LAST_SECONDS)
    finally:
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()
            worker.pipe.close()


def limit_memory(most: int) -> None:
    """Let this process have at most so many bytes of memory of its own; files that are mapped do not count. Not on Windows."""
    if os.name == "posix":
        import resource  # which Windows does not have

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def limit_processor_time(more: int) -> None:
    """End this process after so many more seconds of processor time, unless it is called again before. Not on Windows."""
    if os.name == "posix":
        import resource  # as above

        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        most = int(time.process_time()) + more
        resource.setrlimit(resource.RLIMIT_CPU, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _start(work: Callable[[int], Any]) -> _Worker:
    here, there = CONTEXT.Pipe()
    process = CONTEXT.Process(target=_run, args=(work, there, os.getpid()), daemon=True)
    process.start()
    there.close()  # else nobody would see that the worker died
    return _Worker(process, here, [])


# Those that end the program, which has handlers of its own for them. A worker begins with a copy of these handlers, and
# Python loses what a handler raises while it forks; so signals wait until the worker has its own. Windows has no such masks.
_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} if os.name == "posix" else set()


@contextmanager
def _signals_held_back() -> Iterator[None]:
    if not _SIGNALS:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _hand_out(worker: _Worker, ahead: Iterator[int], pieces: int) -> None:
    for _, number in zip(range(pieces), ahead, strict=False):
        worker.todo.append(number)
        with suppress(OSError):  # it died: what waits for its answer will say so
            worker.pipe.send(number)


def _run(work: Callable[[int], Any], pipe: connection.Connection, parent: int) -> None:
    """The whole life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process, but only the program handles it
    for number in _SIGNALS:
        if callable(signal.getsignal(number)):  # a handler of the program; what nohup ignores stays ignored
            signal.signal(number, signal.SIG_DFL)
    if os.name == "posix":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    with suppress(EOFError, OSError):  # the program ended
        while (number := pipe.recv()) is not None:
            try:
                answer = (False, work(number))
            except Exception as error:
                answer = (True, error)
            pipe.send(answer)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PARENT_POLL)
    os._exit(1)


def _how(exit_code: int | None) -> str:
    """How a process ended, as a phrase."""
    if exit_code is not None and exit_code < 0:
        with suppress(ValueError):
            return signal.Signals(-exit_code).name
    return f"exit status {exit_code}"
