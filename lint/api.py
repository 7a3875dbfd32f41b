"""The public Python API: checking, fixing, nets, predictions and logs, for programs, editors and notebooks.

It prints nothing, exits never, and keeps nothing between calls. Importing it loads no library, and protobuf is loaded only when a
message is asked for or a text is fixed. Results are frozen; in a notebook, they are shown as tables and curves.

Text that is wrong is no exception but has findings. `InputError` is raised for what cannot be used: a configuration that is
invalid, a path that cannot be read, a text of the wrong kind.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from .engine.job_verdicts import JobVerdict
from .engine.session import Keeping, Session
from .moments.shapes import Shape, count, describe
from .net.phases import TEST, TRAIN
from .proto.named_tuple import NamedTuple
from .proto.schema import caffe_schema
from .rule.finding import Finding, Fixed
from .settings.in_force import CommandLine as Settings
from .source.errors import InputError
from .source.files import SourceFile
from .source.places import Place

if TYPE_CHECKING:
    from .fixes.edit import Fix
    from .net.job import Job
    from .net.net import Net as BuiltNet
    from .proto.caffe_pb2 import NetParameter, SolverParameter
    from .stability.advice.prediction import Prediction, Row, Size
    from .training_log.causes import Diagnosed
    from .training_log.runs import Run as LoggedRun

__all__ = [
    "Blob", "Finding", "Fixed", "InputError", "JobVerdict", "Keeping", "Layer", "Log", "Net", "Param", "Parsed", "Patched",
    "Place", "Problem", "Report", "Run", "Session", "Settings", "Stability", "apply_fixes", "build_net", "check", "check_text",
    "parse", "read_log", "stability", "stability_of_job", "view",
]  # fmt: skip

Kind = Literal["solver", "net", "template", "other"]
Text = str | bytes
FilePath = str | os.PathLike[str]
DEFAULT = Settings()
TEXT = "<text>"  # the path of a text without one
NO_TEXTS: Mapping[str, Text] = {}


# -- reading ---------------------------------------------------------------------------------------


class Problem(NamedTuple):
    """Something in a text that Caffe would refuse: from `line` and `column` (both from 1) up to the end.

    `kind` is a short name such as `unknown-field`; `message` says for people what is wrong.
    """

    kind: str
    message: str
    line: int
    column: int
    end_line: int
    end_column: int


class Parsed:
    """A text as Caffe would read it. Everything on it is read-only and is worked out when it is first asked for."""

    __slots__ = ("_file", "_message")

    def __init__(self, file: SourceFile) -> None:
        self._file = file
        self._message: SolverParameter | NetParameter | None = None

    @property
    def kind(self) -> Kind:
        """What Caffe would read the text as: `solver` or `net`, or `other` for what is neither.

        A `template` has placeholders that have to be replaced before Caffe can read it.
        """
        return self._file.kind  # type: ignore[return-value]  # one of these four

    @property
    def dialect(self) -> str:
        """The Caffe that has everything the text uses: `bvlc`, or a fork such as `ssd`."""
        return self._file.bound.dialect

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What Caffe's parser would refuse, in the order of the places. Of `template` and `other`, only faults of syntax."""
        tree = self._file.tree
        found = [*tree.problems, *(self._file.bound.problems if self.kind in ("solver", "net") else ())]
        found.sort(key=lambda problem: problem.start)
        return tuple(_problem(self._file, each.kind, each.message, each.start, each.end) for each in found)

    @property
    def message(self) -> SolverParameter | NetParameter | None:
        """The text as a protobuf message of `caffe_lint.proto.caffe_pb2`; None for `template` and `other`.

        Fields that no known Caffe has are not in it. Where the text has problems with one likely repair, the message
        holds what the repaired text would say.
        """
        if self._message is None and self.kind in ("solver", "net"):
            from .proto.wire import to_protobuf  # protobuf takes longer to load than a text to parse

            self._message = to_protobuf(self._file.message, self.dialect)  # type: ignore[assignment]  # by its kind
        return self._message

    def __repr__(self) -> str:
        return f"<Parsed {self.kind} with {len(self.problems)} problems>"


def parse(text: Text, *, dialect: str | None = None) -> Parsed:
    """Read the text of a solver or a net. Broken text is no exception, but has `problems`.

    `dialect` is the Caffe to hold the text to; without it, that is found out.
    """
    return Parsed(SourceFile(TEXT, _bytes(text), caffe_schema(), dialect))


# -- checking and fixing ---------------------------------------------------------------------------


class Report(NamedTuple):
    """The result of a check: the findings in the order of path, line, column and code, and a verdict on each solver or lone net.

    `checked` are the paths of the files that were read. `errors` say what could not be checked, `notes` what was left out.
    """

    findings: tuple[Finding, ...]
    verdicts: tuple[JobVerdict, ...]
    checked: tuple[str, ...]
    errors: tuple[str, ...]
    notes: tuple[str, ...]

    def reaches(self, severity: str) -> bool:
        """Whether a finding is at least as severe as `advice`, `warning` or `error`."""
        return any(finding.reaches(severity) for finding in self.findings)

    def _repr_html_(self) -> str:
        from .report.notebook import findings_html  # only in notebooks

        return findings_html(
            self.findings, [verdict.sentence for verdict in self.verdicts], (*self.errors, *self.notes)
        )


class Patched(NamedTuple):
    """A text after its fixes: what was fixed, the findings that are left, and why some fixes were not made (`errors`)."""

    text: str
    fixed: tuple[Fixed, ...]
    findings: tuple[Finding, ...]
    errors: tuple[str, ...]

    def _repr_html_(self) -> str:
        from .report.notebook import findings_html  # only in notebooks

        return findings_html(self.findings, [one.sentence for one in self.fixed], self.errors)


def check_text(
    text: Text,
    path: FilePath = TEXT,
    *,
    settings: Settings = DEFAULT,
    texts: Mapping[str, Text] = NO_TEXTS,
    verdicts: bool = True,
    proto: str | None = None,
) -> Report:
    """Check a text as if it were the file at a path. See `check`."""
    return check(path, settings=settings, texts={**texts, _path(path): text}, verdicts=verdicts, proto=proto)


def check(
    paths: FilePath | Iterable[FilePath],
    *,
    settings: Settings = DEFAULT,
    texts: Mapping[str, Text] = NO_TEXTS,
    verdicts: bool = True,
    jobs: int = 1,
    proto: str | None = None,
) -> Report:
    """Check a file or folder, or several, solvers together with the nets that they name, as the command line does. Raises InputError.

    `texts` are texts by path that replace those on disk, such as those of an editor. Configuration files apply as always, unless
    `settings` are isolated. Without `verdicts`, it takes less time. `jobs` is the number of processes, 0 for one for each core.
    """
    session, named = _session(settings, proto), _each(paths)
    files = session.files(named, _bytes_of(texts))
    files.with_verdicts = verdicts
    checked = session.check(named, files, partial(session.run, jobs=jobs or None))
    return Report(
        tuple(map(_without_tree, checked.findings)),
        tuple(verdict for result in checked.results for verdict in result.verdicts),
        tuple(checked.sources),
        tuple(checked.errors),
        (
            *checked.notes,
            *(f"{path}: not checked: {left.reason}" for path, left in checked.left_alone.items() if not left.checked),
        ),
    )


def apply_fixes(
    text: Text,
    safe: bool = True,
    *,
    path: FilePath = TEXT,
    settings: Settings = DEFAULT,
    texts: Mapping[str, Text] = NO_TEXTS,
    proto: str | None = None,
) -> Patched:
    """Return a text with its fixes, the safe ones or, if `safe` is False, all of them. Raises InputError.

    Other files of its job are read from disk or from `texts`; their fixes do not count. The new text is verified by protobuf's own
    parser to differ only in what the fixes name: `caffe-lint --fix` writes the same bytes.
    """
    session, path = _session(settings, proto), _path(path)
    files = session.files((path,), _bytes_of({**texts, path: text}))
    files.with_verdicts = False
    checked = session.check((path,), files, partial(session.run, patch="safe" if safe else "unsafe"))
    patched = {name: new for name, new in checked.patched.items() if name == path}
    errors = list(checked.errors)
    if patched:
        patched, refused = session.verified(patched, checked.rounds)
        errors += refused
    new = patched.get(path)
    return Patched(
        (new if new is not None else files.given[path]).decode("utf-8", "surrogateescape"),
        tuple(one for one in checked.fixed if one.path == path) if new is not None else (),
        tuple(_without_tree(finding) for finding in checked.findings if finding.place.path == path),
        tuple(errors),
    )


def _each(paths: FilePath | Iterable[FilePath]) -> tuple[str, ...]:
    """Return paths as text, of one or of several: a text is one path, not many of a letter each."""
    return tuple(map(_path, (paths,) if isinstance(paths, str | os.PathLike) else paths))


def _path(path: FilePath) -> str:
    """Return a path as text. Raises InputError for one that no system has."""
    text = os.fspath(path)
    if "\0" in text:
        raise InputError(f"{text}: a path has no null byte")
    return text


def _session(settings: Settings, proto: str | None) -> Session:
    """Return the settings of a call; what was remembered of the disk is forgotten."""
    from .source.disk_caches import forget_disk  # for calls that follow others: the command line has one

    forget_disk()
    return Session(settings, proto)


def _without_tree(finding: Finding) -> Finding:
    """Return a finding whose fix has the edits alone, without the parts of the tree that they change."""
    fix: Fix | None = finding.fix
    return finding if fix is None else finding._replace(fix=fix._replace(changes=()))


def _bytes(text: Text) -> bytes:
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text


def _bytes_of(texts: Mapping[str, Text]) -> dict[str, bytes]:
    return {path: _bytes(text) for path, text in texts.items()}


# -- nets ------------------------------------------------------------------------------------------


class Blob(NamedTuple):
    """A blob: its shape has None for what is unknown, and is None if even the number of axes is."""

    name: str
    shape: Shape


class Param(NamedTuple):
    """A parameter of a layer. `owner` is the layer with which it is shared, the layer itself if it is not."""

    role: str
    name: str
    shape: Shape
    owner: str

    @property
    def size(self) -> int | None:
        """The number of its values."""
        return count(self.shape)


class Layer(NamedTuple):
    """A layer as Caffe builds it, in the order of the net. `line` is where it stands, `multiply_adds` those of a forward pass."""

    name: str
    type: str
    line: int
    bottoms: tuple[Blob, ...]
    tops: tuple[Blob, ...]
    params: tuple[Param, ...]
    multiply_adds: int | None

    @property
    def parameters(self) -> int | None:
        """The number of values in its own parameters, those that are shared with another layer aside."""
        from .net.costs import total  # only where nets are shown

        return total(param.size for param in self.params if param.owner == self.name)


class Net(NamedTuple):
    """A net as Caffe builds it in a phase. `problems` are those at which Caffe would stop.

    `parameters` and `multiply_adds` are None if a part of them is unknown.
    """

    name: str
    phase: str
    dialect: str
    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]
    parameters: int | None
    multiply_adds: int | None
    problems: tuple[Problem, ...]

    def layer(self, name: str) -> Layer:
        """Return the layer of a name. Raises KeyError."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def blob(self, name: str) -> Blob:
        """Return the blob of a name as the last layer leaves it. Raises KeyError."""
        for layer in reversed(self.layers):
            for top in layer.tops:
                if top.name == name:
                    return top
        raise KeyError(name)

    def _repr_html_(self) -> str:
        from .report.notebook import rows_html  # only in notebooks

        rows = [
            [
                layer.name,
                layer.type,
                ", ".join(f"{blob.name}: {describe(blob.shape)}" for blob in layer.tops),
                layer.parameters,
                layer.multiply_adds,
            ]
            for layer in self.layers
        ]
        caption = f"{self.name or 'net'} ({self.phase})"
        return rows_html(("layer", "type", "tops", "parameters", "multiply-adds"), rows, caption)


def build_net(
    text: Text,
    phase: str = TRAIN,
    *,
    path: FilePath = TEXT,
    settings: Settings = DEFAULT,
    level: int = 0,
    stages: tuple[str, ...] = (),
    proto: str | None = None,
) -> Net:
    """Build a net as Caffe would in a phase, `TRAIN` or `TEST`. Raises InputError if the text is no net.

    >>> from caffe_lint import api
    >>> net = api.build_net('''
    ...     layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
    ...     layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
    ...             convolution_param { num_output: 4 kernel_size: 3 } }''', "TEST")
    >>> net.layer("conv").tops[0].shape, net.parameters, net.multiply_adds
    ((1, 4, 6, 6), 112, 3888)
    """
    if phase not in (TRAIN, TEST):
        raise InputError(f"no phase is called '{phase}': it is TRAIN or TEST")
    session, path = _session(settings, proto), _path(path)
    file, files = session.open(path, {path: _bytes(text)})
    if file.kind == "solver":
        raise InputError(f"{path}: this is a solver, not a net")
    return _net_of(file, session.nets_among(path, files, phase=phase, level=level, stages=stages).nets[0].net)


def _net_of(file: SourceFile, net: BuiltNet) -> Net:
    from .net.costs import multiply_adds, total  # only where nets are shown

    layers = tuple(
        Layer(
            layer.name,
            layer.type,
            file.tree.line_of(layer.entry[1].start),
            tuple(Blob(blob.name, blob.shape) for blob in layer.bottoms),
            tuple(Blob(blob.name, blob.shape) for blob in layer.tops),
            tuple(Param(param.role, param.name, param.shape, param.owner.layer.name) for param in layer.params),
            multiply_adds(layer),
        )
        for layer in net.layers
    )
    problems = [
        *(
            _problem(file, each.kind, each.message, each.start, each.end)
            for each in net.upgraded.problems
            if each.fatal
        ),
        *(_problem(file, each.kind, each.message, each.start, each.end) for each in net.problems),
    ]
    return Net(
        net.name,
        net.phase,
        net.dialect,
        layers,
        tuple(net.outputs),
        net.learnable,
        total(layer.multiply_adds for layer in layers),
        tuple(problems),
    )


def _problem(file: SourceFile, kind: str, message: str, start: int, end: int) -> Problem:
    return Problem(kind, message, *file.tree.line_and_column(start), *file.tree.line_and_column(end))


# -- predictions -----------------------------------------------------------------------------------


class Stability(NamedTuple):
    """What is predicted of a training: `diverges`, `stalls`, `learns` or `cannot tell`.

    `unknown` says why nothing can be told, and what would settle it; it is empty otherwise, and the probabilities are None where
    they are not known. `sizes` has the mean absolute value of each blob in iteration 0 by layer and blob, `gradients` those of its
    gradient, and `updates` the first update of parameters relative to their size, by layer and number of the parameter.
    `simulation` are the losses of the first simulated iterations.
    """

    verdict: str
    p_diverges: float | None
    p_stalls: float | None
    reasons: tuple[str, ...]
    unknown: str
    assumed: tuple[str, ...]
    largest_base_lr: float | None
    loss: float | None
    gradient_norm: float | None
    sizes: Mapping[tuple[str, str], float]
    gradients: Mapping[tuple[str, str], float]
    updates: Mapping[tuple[str, int], float]
    simulation: tuple[float, ...]

    def _repr_html_(self) -> str:
        from .report.notebook import curves_html, rows_html  # only in notebooks

        rows = [(layer, blob, size, self.gradients.get((layer, blob))) for (layer, blob), size in self.sizes.items()]
        said = "; ".join((self.verdict, *self.reasons, *filter(None, (self.unknown,))))
        curve = curves_html([("simulated loss", list(enumerate(self.simulation)))], "simulated loss")
        return rows_html(("layer", "blob", "mean |activation|", "mean |gradient|"), rows, said) + curve


def stability(
    solver: FilePath, *, settings: Settings = DEFAULT, texts: Mapping[str, Text] = NO_TEXTS, proto: str | None = None
) -> Stability:
    """Predict from the files alone what becomes of the training of the solver at a path.

    Raises InputError, also if its training net cannot be read.

    `texts` are texts by path that replace those on disk, or files that are not there.
    """
    session = _session(settings, proto)
    opened = session.training(_path(solver), _bytes_of(texts))
    return _stability_of(session.prediction(opened, session.refusals(opened)))


def stability_of_job(job: Job) -> Stability:
    """Predict what becomes of a training that was opened before."""
    from .stability.advice.prediction import prediction_of  # keeps the signal models out of the start

    return _stability_of(prediction_of(job))


def _stability_of(found: Prediction) -> Stability:
    verdict = found.verdict
    return Stability(
        found.word,
        verdict.p_diverges if verdict is not None else None,
        verdict.p_stalls if verdict is not None else None,
        tuple(reason.sentence for reason in found.reasons),
        found.cannot_tell.sentence if found.cannot_tell is not None else "",
        tuple(found.basis.assumed) if found.basis is not None else (),
        found.limits.base_lr,
        _usual(found.loss),
        _usual(found.gradient_norm),
        _of_blobs(found.forward),
        _of_blobs(found.backward),
        MappingProxyType(
            {(row.layer, row.param): row.size.usual for row in found.updates if row.param is not None and row.size}
        ),
        tuple(found.simulation),
    )


def _of_blobs(rows: Iterable[Row]) -> Mapping[tuple[str, str], float]:
    return MappingProxyType(
        {(row.layer, row.blob): row.size.usual for row in rows if row.blob is not None and row.size}
    )


def _usual(size: Size | None) -> float | None:
    return size.usual if size is not None else None


# -- pages ---------------------------------------------------------------------------------------


def view(
    path: FilePath | None = None,
    *,
    logs: FilePath | Iterable[FilePath] = (),
    settings: Settings = DEFAULT,
    texts: Mapping[str, Text] = NO_TEXTS,
    proto: str | None = None,
) -> str:
    """Return the page that `caffe-lint view` writes for a solver or a net, and logs, as HTML. Raises InputError.

    Without a path, it shows the net that Caffe printed into the first log that has one.
    """
    from .report.view.contents import view_content  # with json and the readers of logs
    from .report.view.page import render  # as above

    read, path = _each(logs), _path(path) if path is not None else None
    if path is None and not read:
        raise InputError("name a solver, a net or a log")
    session, main = _session(settings, proto), path or read[0]
    files = session.files((main,), _bytes_of(texts), named=(os.curdir if main == "-" else main,))
    return render(view_content(path, files, session, read))


# -- logs ------------------------------------------------------------------------------------------


class Run(NamedTuple):
    """One training in a log: its losses and learning rates by iteration, and the outputs of tests.

    `losses` and `rates` are pairs of an iteration and a number, `tests` triples of an iteration, the name of an output and its
    value. Of a long log they are a sample, with the first and the last iterations.
    """

    number: int
    losses: tuple[tuple[int, float], ...]
    rates: tuple[tuple[int, float], ...]
    tests: tuple[tuple[int, str, float], ...]


class Log(NamedTuple):
    """A training log: its runs, and the causes of what went wrong, the most likely one of the last run first."""

    runs: tuple[Run, ...]
    causes: tuple[Diagnosed, ...]

    def _repr_html_(self) -> str:
        from .report.notebook import curves_html, rows_html  # only in notebooks

        rows = [(each.run, each.severity, each.code, each.cause.message, each.cause.help) for each in self.causes]
        curves = curves_html([(f"run {run.number}", run.losses) for run in self.runs], "loss")
        said = "most likely cause first" if rows else "no problem found"
        return curves + rows_html(("run", "severity", "rule", "cause", "help"), rows, said)


def read_log(
    path: FilePath,
    *,
    solver: FilePath | None = None,
    settings: Settings = DEFAULT,
    texts: Mapping[str, Text] = NO_TEXTS,
) -> Log:
    """Read a log of Caffe, which may be gzipped, and diagnose it, with its solver if that is given. Raises InputError.

    A solver of another training is not used: `caffe-lint log` says how they differ.
    """
    session, path = _session(settings, None), _path(path)
    solver = _path(solver) if solver is not None else None
    job = session.job(solver, _bytes_of(texts))[0] if solver is not None else None
    runs = session.read_log(path)
    return Log(tuple(map(_run_of, runs)), tuple(session.diagnosis(runs, solver or path, job).causes))


def _run_of(run: LoggedRun) -> Run:
    return Run(
        run.number,
        tuple((step.iteration, step.loss) for step in run.steps),
        tuple((step.iteration, step.rate) for step in run.steps if step.rate is not None),
        tuple(
            (test.iteration, out.name, out.value)
            for test in run.tests
            if test.iteration is not None
            for out in test.outputs
        ),
    )
