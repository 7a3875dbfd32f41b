"""What the options of several commands name, read: a caffe.proto, facts about data, plugins, the nets of a file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..engine.configuring import settings_of_paths
from ..proto.schema import Schema, caffe_schema
from ..settings.in_force import CommandLine
from ..source.errors import InputError

if TYPE_CHECKING:
    from ..engine.opening import Opened
    from ..net.data_facts import DataFacts  # keeps json out of the start
    from ..net.job import Job


def read_schema(proto: str | None) -> Schema:
    """The schema to read by: ours, or one compiled from the caffe.proto of `--proto`. Raises InputError."""
    if proto is None:
        return caffe_schema()
    from ..engine.user_schema import user_schema  # loads what runs protoc
    from ..proto.compile import CompileError  # keeps what runs protoc out of the start

    try:
        return user_schema(proto)
    except CompileError as error:
        raise InputError(f"--proto {proto}: {error}") from None


def load_plugins(config: str | None, *, isolated: bool) -> None:
    """Loads the plugins that the configuration of the working directory names. Raises InputError."""
    settings_of_paths(CommandLine(config=config, isolated=isolated), read_schema(None)).of(".")


def read_data_facts(path: str | None) -> DataFacts:
    """The facts about the data in a file, none without one. Raises InputError."""
    if path is None:
        return {}
    from ..net.data_facts import read_facts  # keeps json out of the start

    return read_facts(path)


def open_nets(path: str, *, proto: str | None = None, facts: DataFacts | None = None, **asked: Any) -> Opened:
    """What a solver or a net, or standard input for `-`, would build. Raises InputError.

    `asked` are fields of `CommandLine`. Without `facts` nothing is known of the data.
    """
    from ..engine import opening  # with the readers of nets: not for every call

    source = sys.stdin.buffer.read() if path == "-" else None
    return opening.open_nets(path, CommandLine(**asked), read_schema(proto), facts=facts, source=source)


def open_job(path: str, asked: CommandLine) -> Job:
    """A solver with its nets, by the settings and the facts of its place. Raises InputError."""
    from ..engine.files_in_memory import files_of, nets_for  # with the readers of nets, as above
    from ..net.job import SolverFile  # as above

    schema = read_schema(None)
    settings = settings_of_paths(asked, schema).of(path)
    files = files_of(settings, schema)
    file = files.get(path)
    if file.kind != "solver":
        raise InputError(f"{path}: not a solver")
    return nets_for(files, settings).job(SolverFile(file, settings.caffe_version), None)
