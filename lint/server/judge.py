"""The process that does what takes long: simulating trainings, checking folders, fixing until nothing is left.

The server stays free to answer while it works. It is started when it is first needed, does one thing after another, and is ended if
what it does is no longer wanted. Requests and answers are pickled, each after its length in eight bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import struct
import sys
from typing import Any, BinaryIO

from ..api import InputError
from ..proto.named_tuple import NamedTuple
from ..settings.in_force import CommandLine
from ..source.files import use_working_folders
from .project import Found, Project

PATIENCE = 1.5  # seconds that a check whose texts have changed since may still take
_LENGTH = struct.Struct("!Q")
# Like `python -m caffe_lint`, without the working folder on the path on which modules are searched for.
_PROGRAM = (
    "import os, sys; here = os.path.realpath(os.curdir);"
    " sys.path[:] = [folder for folder in sys.path if os.path.realpath(folder) != here or folder == {ours!r}];"
    " from caffe_lint.server.judge import main; main()"
)
_OURS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Request(NamedTuple):
    """What to do: the name of a method of `Project` and its arguments, with the texts and settings to do it with.

    `is_fresh` says that files on disk may have changed since the request before. `folders` are those of the editor.
    """

    method: str
    arguments: tuple[Any, ...]
    named: dict[str, Any]
    asked: CommandLine
    texts: dict[str, bytes]
    is_fresh: bool
    folders: tuple[str, ...] = ()


class Judge:
    """The process, as the server sees it. All methods are for the server's event loop."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._began: float | None = None

    async def ask(self, request: Request) -> Any:
        """Return the answer to a request. Raises InputError, and ConnectionError if the process was ended meanwhile."""
        async with self._turn:
            process = await self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            self._began = asyncio.get_running_loop().time()
            try:
                content = pickle.dumps(request)
                process.stdin.write(_LENGTH.pack(len(content)) + content)
                await process.stdin.drain()
                (length,) = _LENGTH.unpack(await process.stdout.readexactly(_LENGTH.size))
                answer = pickle.loads(await process.stdout.readexactly(length))
            except (asyncio.IncompleteReadError, OSError):
                await self._end()
                raise ConnectionError("the process was ended") from None
            except asyncio.CancelledError:
                await self._end()  # its answer would be taken for that to the next request
                raise
            finally:
                self._began = None
        if isinstance(answer, InputError):
            raise answer
        return answer

    def hurry(self) -> None:
        """End what the process is doing, which is not wanted any more, if it has taken long."""
        if self._began is not None and asyncio.get_running_loop().time() - self._began > PATIENCE:
            self.stop()

    def stop(self) -> None:
        """End the process."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                _PROGRAM.format(ours=_OURS),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        return self._process

    async def _end(self) -> None:
        self.stop()
        if self._process is not None:
            await self._process.wait()
            self._process = None


def main() -> None:
    """Answer requests on standard input until it ends. Whatever is printed goes to standard error."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    project = Project(CommandLine())
    while len(head := requests.read(_LENGTH.size)) == _LENGTH.size:
        content = requests.read(_LENGTH.unpack(head)[0])
        _send(answers, _answer(project, pickle.loads(content)))


def _send(answers: BinaryIO, answer: Any) -> None:
    content = pickle.dumps(answer)
    answers.write(_LENGTH.pack(len(content)) + content)
    answers.flush()


def _answer(project: Project, request: Request) -> Any:
    if request.asked != project.asked or request.is_fresh:
        project.asked = request.asked
        project.forget()
    project.texts = request.texts
    use_working_folders(request.folders)
    try:
        answer = getattr(project, request.method)(*request.arguments, **request.named)
    except InputError as error:
        return InputError(str(error))
    except Exception as error:  # a mistake of ours must not cost the editor its server
        return InputError(f"{type(error).__name__}: {error}")
    return _without_trees(project, answer) if isinstance(answer, Found) else answer


def _without_trees(project: Project, found: Found) -> Found:
    """Return what was found for another process: fixes have no trees, and only those that verify are left."""
    findings = {}
    for path, listed in found.findings.items():
        own = []
        for finding in listed:
            fix = finding.fix
            if fix is not None:
                fix = fix._replace(changes=()) if project.verified(fix) else None
            own.append(finding._replace(fix=fix))
        findings[path] = tuple(own)
    return found._replace(findings=findings)
