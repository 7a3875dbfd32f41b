"""Problems at which Caffe would stop, as findings: which rule reports them, how certain they are, and what Caffe prints."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import lru_cache

from ..moments.graph import Layer, NetProblem
from ..net.backward import backward_problems
from ..net.job import NetInPhase
from ..net.net import Net
from ..rule.finding import Hit, Related
from ..source.files import SourceFile

# The kinds of problems of each rule. A problem at which Caffe crashes or hangs belongs to N101, whatever its kind.
KINDS: dict[str, str] = {
    "E201": "unknown-bottom",
    "E202": "duplicate-top",
    "E203": "in-place-on-shared-blob in-place",
    "E204": "bottom-count top-count slice-tops loss-second-top",
    "E205": (
        "bottom-shapes concat-axes concat-shapes loss-shapes loss-batch label-count target-count "
        "reshape-count slice-uneven slice-points crop-size group prior-count psroi-channels "
        "recurrent-markers recurrent-state recurrent-still"
    ),
    "E206": "axis axes num-axes kernel-axes flatten-axes permute-order too-many-axes",
    "E207": "empty-top empty-input negative-size blob-too-large spp-size",
    "E208": (
        "num-output-missing input-dim-missing kernel-missing pooling-kernel batch-size-missing "
        "layer-type-missing python-class-missing num-classes tiles crop-missing source-missing"
    ),
    "E209": (
        "axis-twice kernel-twice kernel-count kernel-zero stride-zero group-zero pooling-global "
        "pooling-pad pooling-pair lrn-size base dropout-ratio top-k eltwise-coeff reshape-infer "
        "reshape-copy engine-dilation crop-offsets spp-height roi-size prior-size prior-variance"
    ),
    "E210": (
        "dummy-shape dummy-fillers input-shape input-without-shape memory-size image-size "
        "mean-twice mean-count crop-too-large prefetch hdf5-transform"
    ),
    "E211": "too-many-params batch-norm-learns",
    "E212": "shared-param-shape shared-param-multiplier shared-param-in-layer",
    "E213": "filler-type filler-of-fork filler-std filler-sparse filler-range filler-bilinear filler-empty",
    "E214": "loss-weight-count propagate-down-count",
    "E215": "include-and-exclude",
    "E216": "no-backward no-gradient",
    "E217": "infogain-normalize",
    "E218": "net-empty",
    "E219": "gpu-only-layer",
    "E222": "wrong-type",
    "G105": "infogain-matrix",  # the rule about an InfogainLoss and what it is fed with
}
RULE_OF = {kind: code for code, kinds in KINDS.items() for kind in kinds.split()}

# What Caffe prints, for kinds where its words are easier to search for than the file and line of the check.
_WORDS = {
    "unknown-bottom": "Unknown bottom blob '{subject}' (layer '{layer}', bottom index {index})",
    "duplicate-top": "Top blob '{subject}' produced by multiple sources.",
    "in-place-on-shared-blob": "Top blob '{subject}' produced by multiple sources.",
    "in-place": "{type} Layer does not allow in-place computation.",
    "concat-axes": "All inputs must have the same #axes.",
    "concat-shapes": "All inputs must have the same shape, except at concat_axis.",
    "too-many-params": "Too many params specified for layer {layer}",
    "batch-norm-learns": "Cannot configure batch normalization statistics as layer parameters.",
    "shared-param-multiplier": "Shared param '{subject}' has mismatched lr_mult or decay_mult.",
    "include-and-exclude": "Specify either include rules or exclude rules; not both.",
    "no-backward": "Not Implemented Yet",
    "no-gradient": "{type} Layer cannot backpropagate to label inputs.",
    "mean-twice": "Cannot specify mean_file and mean_value at the same time",
}
_WHEN = {
    "setup": "when it builds the net",
    "cpu": "when it builds the net, if it was built with CPU_ONLY",
    "forward": "in the first forward pass",
    "backward": "in the first backward pass",
}

# What Caffe itself checks, whatever the layer type does.
_OF_THE_NET = ("E201", "E202", "E203", "E212", "E215", "E218")
# What forks often extend in BVLC's layer types: bottoms and tops, parameters, fillers, data settings.
_OFTEN_CHANGED = ("E204", "E210", "E211", "E213", "E214")
# What depends on how each layer before it infers its shapes.
_OF_SHAPES = frozenset(("E204", "E205", "E206", "E207"))
# What Caffe checks in a layer by itself, whatever layers come before it.
_OF_THE_LAYER = frozenset(("E208", "E209", "E214", "E216", "E219", "E222"))


def code_of(problem: NetProblem) -> str:
    """The rule that reports a problem. A kind that the table does not have is an invalid setting."""
    return "N101" if problem.how != "fatal" else RULE_OF.get(problem.kind, "E209")


def problems_of(subject: NetInPhase, code: str) -> list[NetProblem]:
    """The problems of a net that a rule reports; E216 includes those of the first backward pass of a training net.

    Of a fork whose layers are known by name only, those of its own layers are left out, and those of layers after them that
    depend on more than the layer itself.
    """
    net = subject.net
    problems = net.problems
    if code == "E216" and net.phase == "TRAIN":
        problems = [*problems, *backward_problems(net)]
    if problems and code not in _OF_THE_NET and not subject.file.schema.knows_layers(subject.file.bound.dialect):
        find_foreign = _forked if code in _OF_THE_LAYER else _under_forks
        foreign = find_foreign(subject.file, net)
        problems = [problem for problem in problems if problem.layer is None or problem.layer.index not in foreign]
    return [problem for problem in problems if code_of(problem) == code] if problems else problems


def hits(subject: NetInPhase, code: str) -> Iterator[Hit]:
    """The problems of a rule as findings, unchanged.

    Nothing is reported about numbers of blobs and shapes in a file for an unknown Caffe: of such findings in public files,
    nine in ten were wrong (docs/noise.md).
    """
    if code in _OF_SHAPES and subject.file.is_for_unknown_caffe:
        return iter(())
    return (hit_of(subject, problem) for problem in problems_of(subject, code))


def hit_of(subject: NetInPhase, problem: NetProblem) -> Hit:
    """A problem as a finding; as advice, and less certain, if the Caffe that the file is for may differ from BVLC's."""
    related = tuple(Related(subject.file, (start, end), text) for start, end, text in problem.related)
    severity = "" if _is_sure(subject, problem) else "advice"
    reason = _reason(problem)
    if severity:
        of_bvlc = problem.layer is None or not _is_of_forks(subject.file, problem.layer)
        which = "This is BVLC's Caffe; the fork" if of_bvlc else "The Caffe"
        reason = f"{reason.rstrip('.')}. {which} that this file is for may differ."
    confidence = "medium" if severity else ""
    place = problem.start, problem.end
    return Hit(subject.file, place, problem.message, reason, severity, related, confidence=confidence)


def _reason(problem: NetProblem) -> str:
    """What Caffe does, in which pass, and where in its source."""
    when = _WHEN[problem.when]
    if problem.how == "hang":
        return f"Caffe hangs {when}, without a message ({problem.source})."
    if problem.how == "crash":
        return f"Caffe crashes {when}, without a message ({problem.source})."
    words = _WORDS.get(problem.kind)
    if words is None:
        return f"Caffe stops {when} ({problem.source})."
    layer = problem.layer
    printed = words.format(
        subject=problem.subject,
        layer=layer.name if layer else "",
        type=layer.type if layer else "",
        index=index_of(problem, "bottom"),
    )
    return f"Caffe stops {when}: {printed}"


def index_of(problem: NetProblem, field: str) -> int:
    """The index of the bottom or top that a problem is about; 0 if it is about none."""
    entries = problem.layer.message.entries.get(field, []) if problem.layer else []
    return next((i for i, (_, node, _) in enumerate(entries) if node.start == problem.start), 0)


def _is_sure(subject: NetInPhase, problem: NetProblem) -> bool:
    """Whether the Caffe that the file is for would certainly stop: a fork may have changed the layer type.

    In a file for a known fork, BVLC's layer types are taken to be unchanged, unless a fork's field or layer type
    occurs in the layer or before it. What is known of a type that only forks have is how they check it.
    """
    file, code, layer = subject.file, code_of(problem), problem.layer
    if code in _OF_THE_NET or layer is None:
        return True
    if file.is_for_unknown_caffe:
        return False
    if file.bound.dialect == "bvlc":
        return True
    if code in _OFTEN_CHANGED:
        return False
    if _is_of_forks(file, layer):
        return layer.index not in _under_changed(file, subject.net)
    return layer.index not in _under_forks(file, subject.net)


def _is_of_forks(file: SourceFile, layer: Layer) -> bool:
    """Whether only forks have the type of a layer."""
    known = file.schema.layer_types
    return known is not None and bool(known.get(layer.type))


@lru_cache(maxsize=4)
def _under_forks(file: SourceFile, net: Net) -> frozenset[int]:
    """The indices of layers that have a fork's type or field, or get values from a layer that has one."""
    forked = _forked(file, net)
    return _under(net, lambda layer: layer.index in forked)


@lru_cache(maxsize=4)
def _forked(file: SourceFile, net: Net) -> frozenset[int]:
    """The indices of layers that have a fork's type or field."""
    known = file.schema.layer_types
    return frozenset(
        layer.index
        for layer in net.layers
        if (known is not None and known.get(layer.type) != frozenset()) or _has_fork_field(file, layer)
    )


@lru_cache(maxsize=4)
def _under_changed(file: SourceFile, net: Net) -> frozenset[int]:
    """The indices of layers that a fork may have changed: of a type that is not described, or of one of BVLC's with a fork's
    field; and of those that get values from one.
    """
    return _under(
        net, lambda layer: layer.kind is None or (not _is_of_forks(file, layer) and _has_fork_field(file, layer))
    )


def _has_fork_field(file: SourceFile, layer: Layer) -> bool:
    node, uses = layer.entry[1], _uses(file)
    return bisect_left(uses, node.start) < bisect_left(uses, node.end)


@lru_cache(maxsize=4)
def _uses(file: SourceFile) -> list[int]:
    """Where a file uses what only forks have."""
    return sorted(use.start for use in file.bound.uses)


def _under(net: Net, is_meant: Callable[[Layer], bool]) -> frozenset[int]:
    """The indices of such layers, and of those that get values from one."""
    found: set[int] = set()
    for layer in net.layers:
        makers = [blob.producer.index for blob in layer.bottoms if blob.producer is not None]
        if not found.isdisjoint(makers) or is_meant(layer):
            found.add(layer.index)
    return frozenset(found)
