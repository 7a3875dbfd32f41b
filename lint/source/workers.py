"""Worker processes, none of which outlives the run, whatever ends it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

_POLL = 1.0  # seconds between two looks at whether the program still runs


@contextmanager
def worker_pool(
    jobs: int, begin: Callable[..., None] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """A pool of worker processes, each of which first calls `begin` with the arguments.

    They are ended at once if an error or a signal ends the block, and end by themselves if the program was killed.
    """
    pool = ProcessPoolExecutor(jobs, initializer=_begin, initargs=(os.getpid(), begin, arguments))
    try:
        yield pool
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(cancel_futures=True)  # waits, since Python would wake what is closed at the same time
        raise
    pool.shutdown()


def _begin(parent: int, begin: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    for name in ("SIGTERM", "SIGHUP"):  # of which the program has made its own
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    if os.name == "posix":
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if begin is not None:
        begin(*arguments)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL)
    os._exit(1)
