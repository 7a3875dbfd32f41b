"""Opening a file for a command: its settings, and the nets that Caffe would build from it."""

from __future__ import annotations

from collections.abc import Iterator

from ..layers.custom import schema_with
from ..net.data_facts import DataFacts
from ..net.job import Job, NetInPhase, SolverFile
from ..proto.named_tuple import NamedTuple
from ..proto.schema import Schema, caffe_schema
from ..settings.in_force import CommandLine
from ..settings.settings import Settings
from ..source.files import NetReference, SourceFile
from ..source.opener import Unreadable
from .configuring import settings_of_paths
from .files_in_memory import Files, nets_for
from .selection import layer_types


class Opened(NamedTuple):
    """A file with its nets, the training net first. `job` is None for a net; `missing` are messages on missing nets."""

    file: SourceFile
    job: Job | None
    nets: list[NetInPhase]
    files: Files
    settings: Settings
    missing: list[str]


def open_nets(
    path: str,
    asked: CommandLine | None = None,
    schema: Schema | None = None,
    *,
    facts: DataFacts | None = None,
    source: bytes | None = None,
) -> Opened:
    """Open a solver or net with its nets; `source` is its text if it is not read from disk.

    Without `facts`, nothing is known of the data, even if there is a file of facts. Raises ConfigError, and Unreadable if
    there is no net.
    """
    schema = schema or caffe_schema()
    known = facts or {}
    in_force = settings_of_paths(asked or CommandLine(), schema)

    def settings_of(other: str) -> Settings:
        return in_force.of(other)._replace(facts=known, elsewhere=settings_of)

    settings = settings_of(path)
    files = Files(schema_with(schema, layer_types(settings)), settings.dialect)
    if source is not None:
        files.add(path, source)
    return nets_of(path, files, settings)


def nets_of(path: str, files: Files, settings: Settings) -> Opened:
    """Open a solver or net among `files` with its nets. Raises Unreadable."""
    file = solver_or_net(path, files)
    nets = nets_for(files, settings)
    if file.kind == "net":
        return Opened(file, None, nets.alone(file), files, settings, [])
    job = nets.job(SolverFile(file, settings.caffe_version), None)
    missing = [message for _, message in missing_nets(job)]
    if not job.nets:
        why = "; ".join(missing) or "it names no net, or several training nets"
        raise Unreadable(path, f"no net of this solver could be read: {why}")
    return Opened(file, job, job.nets, files, settings, missing)


def solver_or_net(path: str, files: Files) -> SourceFile:
    """Return the file at a path. Raises Unreadable if it cannot be read, or is neither a solver nor a net."""
    file = files.get(path)
    if file.kind == "template":
        raise Unreadable(path, f"cannot be read: {file.why_not_fixed}")
    if file.kind == "other":
        what = "the file is empty" if not file.source.strip() else "neither a solver nor a net"
        raise Unreadable(path, what)
    return file


def missing_nets(job: Job) -> Iterator[tuple[NetReference, str]]:
    """Yield each net that the solver names and that cannot be read, with a message."""
    read = {known.path for known in job.files if known.kind == "net"}
    for reference in job.references:
        if reference.path is None:
            yield reference, f"net '{reference.written}' is missing or ambiguous"
        elif reference.path not in read:
            yield reference, f"'{reference.written}' could not be read as a net"
