"""Opening a file with the nets that Caffe would build from it."""

from __future__ import annotations

from collections.abc import Iterator

from ..net.data_facts import DataFacts, source_of
from ..net.job import Job, NetInPhase, SolverFile
from ..proto.named_tuple import NamedTuple
from ..rule.registry import all_rules
from ..settings.in_force import SettingsOfPaths
from ..settings.settings import Settings
from ..source.files import SourceFile
from ..source.opener import Unreadable
from ..source.places import Place, place_of
from .files_in_memory import Files, nets_for


class Problem(NamedTuple):
    """Something at which Caffe would stop, and where."""

    place: Place
    message: str

    @property
    def line(self) -> str:
        """The problem as compilers print it."""
        return f"{self.place.shown}: {self.message}"


class Opened(NamedTuple):
    """A file with its nets, the training net first. `job` is None for a net; `missing` are the nets that cannot be read."""

    file: SourceFile
    job: Job | None
    nets: list[NetInPhase]
    files: Files
    settings: Settings
    missing: list[Problem]

    def sources(self) -> list[str]:
        """Return the sources that the data layers of its nets name, as written, each once."""
        layers = [layer for each in self.nets for layer in each.net.layers]
        return list(dict.fromkeys(source for layer in layers if (source := source_of(layer)) is not None))

    def problems(self) -> list[Problem]:
        """Return everything at which Caffe would stop before the first iteration: while reading the files and building the nets."""
        found = dict.fromkeys(self.missing)
        for source in {id(source): source for source in (self.file, *(each.file for each in self.nets))}.values():
            found.update(dict.fromkeys(_of_parser(source)))
        for each in self.nets:
            found.update(dict.fromkeys(_of_net(each)))
        return list(found)


def nets_of(
    path: str,
    files: Files,
    settings: Settings,
    *,
    phase: str | None = None,
    level: int = 0,
    stages: tuple[str, ...] = (),
) -> Opened:
    """Open a solver or net among `files` with its nets, those of a phase if that is given. Raises Unreadable if it is neither."""
    file = solver_or_net(path, files)
    nets = nets_for(files, settings, level=level, stages=stages)
    if file.kind == "net":
        return Opened(file, None, nets.alone(file, [phase] if phase else ()), files, settings, [])
    job = nets.job(SolverFile(file, settings.caffe_version), None)
    built = [each for each in job.nets if phase in (None, each.phase)]
    return Opened(file, job, built, files, settings, list(missing_nets(job)))


def require_nets(opened: Opened, phase: str | None) -> Opened:
    """Return what was opened. Raises Unreadable if it has no net, as that of a phase that was asked for."""
    if opened.job is not None and not opened.nets:
        why = "; ".join(problem.line for problem in opened.missing) or (
            f"it has no net of phase {phase}" if opened.job.nets else "it names no net, or several training nets"
        )
        raise Unreadable(opened.file.path, f"no net of this solver can be read: {why}")
    return opened


def with_facts(settings: SettingsOfPaths, path: str, facts: DataFacts) -> Settings:
    """Return the settings of a path, with these facts about data and no others."""

    def settings_of(other: str) -> Settings:
        return settings.of(other)._replace(facts=facts, elsewhere=settings_of)

    return settings_of(path)


def solver_or_net(path: str, files: Files) -> SourceFile:
    """Return the file at a path. Raises Unreadable if it cannot be read, or is neither a solver nor a net."""
    file = files.get(path)
    if file.kind == "template":
        raise Unreadable(path, f"cannot be read: {file.why_not_fixed}")
    if file.kind == "other":
        what = "the file is empty" if not file.source.strip() else "neither a solver nor a net"
        raise Unreadable(path, what)
    return file


def missing_nets(job: Job) -> Iterator[Problem]:
    """Yield each net that the solver names and that cannot be read."""
    file = job.solver.file
    read = {known.path for known in job.files if known.kind == "net"}
    for reference in job.references:
        place = place_of(file, file.message.span(reference.field, reference.number))
        if reference.path is None:
            yield Problem(place, f"net '{reference.written}' is missing or ambiguous")
        elif reference.path not in read:
            yield Problem(place, f"'{reference.written}' could not be read as a net")


def _of_parser(file: SourceFile) -> Iterator[Problem]:
    """Yield what stops Caffe's parser, as reported by the rules of family E."""
    for rule in all_rules().values():
        if rule.code[0] == "E" and rule.subject == "file":
            options = {name: option.default for name, option in rule.options.items()}
            for hit in rule.check(file, **options):
                if (hit.severity or rule.severity) == "error":
                    yield Problem(place_of(hit.file, hit.span), hit.message)


def _of_net(built: NetInPhase) -> Iterator[Problem]:
    """Yield what stops the upgrade and `Net::Init`."""
    for problem in built.net.upgraded.problems:
        if problem.fatal:
            yield Problem(place_of(built.file, (problem.start, problem.end)), problem.message)
    for refusal in built.net.problems:
        if refusal.when == "setup":
            yield Problem(place_of(built.file, (refusal.start, refusal.end)), refusal.message)
