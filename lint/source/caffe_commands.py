"""Commands that start a training with Caffe: which solver, whether weights are loaded, on how many GPUs.

Sources: tools/caffe.cpp, train; the older tools train_net and finetune_net.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from ..proto.named_tuple import NamedTuple
from .script_values import UNKNOWN
from .shell_text import Command, commands

ALL_GPUS = -1

_CAFFE = re.compile(r"caffe[\w.+-]{0,40}")
_OPTION = re.compile(r"--?(solver|weights|snapshot|gpus?)(?:=(.*))?", re.DOTALL)
_OLD_TOOL = re.compile(r"(train_net|finetune_net)(\.bin|\.exe)?")
_WRAPPERS = frozenset({"nohup", "time", "sudo", "exec", "env", "@", "-"})
_PRINTING = frozenset({"echo", "printf", "cat", "ls", "grep", "rm", "cp", "mv", "touch", "test", "["})


class TrainingRun(NamedTuple):
    """A training that a script starts.

    `solver` is the path as written, with `UNKNOWN` for what is known only when the script runs, and `folder` where the script
    changed to before. `loads` says whether it starts from trained weights, None if the script decides when it runs; `resumes`
    whether it goes on from a snapshot. `gpus` is 0 if the script does not say how many, or `ALL_GPUS`. `weights` are the files of
    trained weights, as written, separated by commas. `steps` says whether a program counts the iterations, by calls of `step`.
    """

    script: str
    line: int
    folder: str
    solver: str
    loads: bool | None
    resumes: bool = False
    gpus: int = 0
    weights: str = ""
    steps: bool = False


def runs_of_commands(script: str, found: Iterable[Command]) -> Iterator[TrainingRun]:
    """Yield the trainings that the commands of a script start."""
    for command in found:
        for each in (command, *_commands_inside(command)):
            run = _run_of_command(script, each)
            if run is not None:
                yield run


def _commands_inside(command: Command) -> Iterator[Command]:
    """Yield the commands in the arguments of one that runs them, such as `sh -c "…"` or `ssh host "…"`."""
    if _basename(command.words[0]) not in _PRINTING:
        for word in command.words[1:]:
            if " " in word and "train" in word:
                for inside in commands(word):
                    yield Command(inside.words, command.line, inside.folder or command.folder)


def _run_of_command(script: str, command: Command) -> TrainingRun | None:
    """Return the training that a command starts; None for other commands."""
    words = [word for word in command.words if word not in _WRAPPERS]
    if not words or _basename(words[0]) in _PRINTING:
        return None
    old = _OLD_TOOL.fullmatch(_basename(words[0]))
    if old is not None and len(words) > 1 and not words[1].startswith("-"):
        given = len(words) > 2  # weights, or for train_net a snapshot
        resumes = given and old[1] == "train_net"
        weights = words[2] if given and not resumes else ""
        return TrainingRun(script, command.line, command.folder, words[1], given, resumes, weights=weights)
    options: dict[str, str] = {}
    others = []
    left = iter(words)
    for word in left:
        match = _OPTION.fullmatch(word)
        if match is None:
            others.append(word)
            continue
        value = match[2] if match[2] is not None else next(left, "")
        options[match[1].rstrip("s") if match[1] == "gpus" else match[1]] = value
    solver = options.get("solver", "")
    is_caffe = "train" in others and any(
        _CAFFE.fullmatch(_basename(word)) or word.startswith(UNKNOWN) for word in others[: others.index("train")]
    )
    if not solver:
        return None
    weights, snapshot = options.get("weights", ""), options.get("snapshot", "")
    loads: bool | None = bool(weights or snapshot)
    if not loads and not is_caffe:
        return None  # a program of their own, which may load them itself
    if not loads and _has_unknown_option(others[others.index("train") :]):
        loads = None
    gpus = _number_of_gpus(options.get("gpu", "")) if is_caffe else 0
    return TrainingRun(script, command.line, command.folder, solver, loads, bool(snapshot) and not weights, gpus, weights)


def _has_unknown_option(words: list[str]) -> bool:
    """Whether a word that is not known stands where an option may be, rather than the value of one."""
    return any(
        word.startswith(UNKNOWN) and (not before.startswith("-") or "=" in before)
        for before, word in pairwise(words)
    )


def _number_of_gpus(written: str) -> int:
    if written == "all":
        return ALL_GPUS
    ids = written.split(",")
    return len(ids) if all(each.strip().isdigit() for each in ids) else 0


def _basename(word: str) -> str:
    return word.replace("\\", "/").rpartition("/")[2]
