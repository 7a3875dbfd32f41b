"""Names that the schema does not have: of fields, enum values and layer types."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.rates import OLD_RATES, write_param
from ...fixes.unreadable_text import message_at
from ...proto.binder import Message, edit_distance
from ...proto.misnomers import MISNOMERS
from ...proto.tree import Problem, Scalar
from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.files import SourceFile
from .problems_of_text import FoundProblem, once, problems_of


@rule("E110", "unknown-field", subject="file", severity="error", fixes="safe")
def unknown_field(file: SourceFile) -> Iterator[Hit]:
    """A field that no known Caffe has.

    ## What it does

    Names of fields that are neither BVLC's nor any of the known forks'. Reported once for a name in a kind of
    message, unless it can be repaired.

    ## Why is this bad?

    Caffe stops: `Message type "caffe.SolverParameter" has no field named "learning_rate"`. It never passes
    over what it does not know.

    ## When it is reported

    Your Caffe has the field. Give its `caffe.proto` with `--proto`, and fields are checked against that.

    ## Fix

    The fix is safe. It renames the field if just one known name is within two letters, and if that makes
    sense: not where the name goes with the layer's own type (`grn_param` in a layer of type `GRN`), or
    where the known name is all of it but for another word (`crop_size_h`): such fields belong to a Caffe
    that is not known here. In a `layer` it writes `param` for the `blobs_lr` and `weight_decay` of V1 layers.

    ## References

    protobuf: text_format.cc, ConsumeField. The known forks: `proto/dialects.tsv`.
    """
    yield from _old_rates(file)
    found = [
        (hit if _is_typo(file, problem) else hit._replace(fix=None), problem)
        for hit, problem in problems_of(file, "E110")
        if not _is_old_rate(file, problem)
    ]
    for hit in once(found):
        known = MISNOMERS.get(message_at(file.message, *hit.span).type.name, {})
        name = known.get(file.tree.source[hit.span[0] : hit.span[1]].decode("utf-8", "replace"))
        if name is not None and hit.fix is None:
            yield hit._replace(message=f"{hit.message}; Caffe calls it '{name}'")
        elif hit.fix is None and file.schema.base is None:  # there is a base where --proto was given
            yield hit._replace(reason=f"{hit.reason} If your own Caffe has it, name its caffe.proto with --proto.")
        else:
            yield hit


@rule("E112", "unknown-enum-value", subject="file", severity="error", fixes="safe")
def unknown_enum_value(file: SourceFile) -> Iterator[Hit]:
    """A value that its enum has in no known Caffe.

    ## What it does

    Misspelt names of enum values, and those of Caffes that are not known here. They are case-sensitive:
    `max` is not `MAX`. Reported once for a value, unless it can be repaired.

    ## Why is this bad?

    Caffe stops: `Unknown enumeration value of "max" for field "pool"`.

    ## When it is reported

    Your Caffe has the value: give its `caffe.proto` with `--proto`.

    ## Fix

    The fix is safe, and offered if just one value of the enum is near. Types of V1 layers, of which every
    fork has more, must be within one letter.

    ## References

    protobuf: text_format.cc, ConsumeFieldValue.
    """
    return once(
        (hit if _is_near_value(file, problem) else hit._replace(fix=None), problem)
        for hit, problem in problems_of(file, "E112")
    )


@rule("E115", "fork-specific", subject="file", severity="warning", fixes="")
def fork_specific(file: SourceFile) -> Iterator[Hit]:
    """A field, value or layer type that the file's Caffe does not have, but others do.

    ## What it does

    With `--dialect`: all that this Caffe lacks, as errors. Without: what is left over when no single known
    Caffe has all that the file uses, as warnings against the one that has most of it.

    ## Why is this bad?

    Caffe stops at a field or value it does not know, and at `Unknown layer type`. A file that mixes what
    two forks have works in neither of them.

    ## When it is reported

    Your Caffe has both, as many do that grew by copying. Give its `caffe.proto` with `--proto`.

    ## Example

    A net for NVIDIA's fork, whose data layer is one of SSD's:

    Or take the Caffe that has the other layer. There is no fix: only you know which Caffe is yours.

    ## References

    The forks' own caffe.proto and layers: `proto/caffe.proto` says for each field who has it,
    `proto/layer_types.tsv` for each layer type.
    """
    asked = file.asked_dialect is not None
    reason = "" if asked else "No single known Caffe has all that this file uses."
    for hit in once(problems_of(file, "E115")):
        yield hit._replace(severity="error") if asked else hit._replace(severity="warning", reason=reason)


@rule("E116", "unknown-layer-type", subject="file", severity="error", fixes="safe")
def unknown_layer_type(file: SourceFile) -> Iterator[Hit]:
    """A layer type that no known Caffe has.

    ## What it does

    Types that are written otherwise (`Relu` for `ReLU`) are errors. A type like no other is an advice, once
    in a file: it may be a layer of your own.

    ## Why is this bad?

    Caffe stops: `Unknown layer type: Relu (known types: …)`. Types are case-sensitive.

    ## When it is reported

    Advice about your own layers: `ignore = ["unknown-layer-type"]`. Behind such a layer nothing is known of
    shapes, so rules that need them keep silent.

    ## Fix

    The fix is safe: it is offered for another case or other underscores, and for one wrong letter in five
    or more, if the type is BVLC's own or that of the Caffe asked for with `--dialect`. Further off than that,
    a name is more often somebody's own layer.

    ## References

    layer_factory.hpp, LayerRegistry::CreateLayer. The known types: `proto/layer_types.tsv`.
    """
    misspelt, own = [], []
    for hit, problem in problems_of(file, "E116"):
        if hit.fix is not None and _is_near_type(file, problem):
            misspelt.append(hit)
        else:
            own.append((hit._replace(fix=None), problem))
    yield from misspelt
    for hit in once(own):
        reason = "If it is a layer of your own, all is well, but what comes behind it cannot be checked."
        yield hit._replace(severity="advice", reason=reason)


def _is_old_rate(file: SourceFile, problem: Problem) -> bool:
    """Whether a field is a V1 layer's rate in a layer of today's form."""
    if file.tree.source[problem.start : problem.end].decode("utf-8", "replace") not in OLD_RATES:
        return False
    return message_at(file.message, problem.start, problem.end).type.name == "LayerParameter"


def _old_rates(file: SourceFile) -> Iterator[Hit]:
    """The layers of today's form with rates of the older one, each once."""
    layers: dict[int, tuple[Message, FoundProblem]] = {}
    for found in problems_of(file, "E110"):
        if _is_old_rate(file, found.problem):
            layer = message_at(file.message, found.problem.start, found.problem.end)
            layers.setdefault(id(layer.block), (layer, found))
    for layer, found in layers.values():
        patch = write_param(file.tree, layer)
        fix = patch.fix(file.path, "write param for them") if patch is not None else None
        name = file.tree.source[found.problem.start : found.problem.end].decode()
        message = f"'{name}' is of V1 layers (`layers`); a `layer` has `param {{ {OLD_RATES[name]}: … }}` for it"
        yield found.hit._replace(message=message, fix=fix)


def _is_typo(file: SourceFile, problem: Problem) -> bool:
    """Whether a field that no Caffe has is a known one misspelt, not a field of a Caffe that is not known."""
    if _in_wreckage(file, problem):
        return False
    written, meant = _words(file, problem)
    if _fold(written) == _fold(meant):
        return True
    if written.startswith(meant + "_") or written.endswith("_" + meant):
        return False
    if not written.endswith("_param"):
        return True
    type_name = _type_of(message_at(file.message, problem.start, problem.end))
    return _fold(type_name) != _fold(written.removesuffix("_param"))


def _in_wreckage(file: SourceFile, problem: Problem) -> bool:
    """Whether the parser lost its way before this on the same line, so that it need not be a field."""
    line_start = file.source.rfind(b"\n", 0, problem.start) + 1
    return any(
        other.kind == "syntax" and line_start <= other.start < problem.start for other in file.tree.problems
    )


def _is_near_value(file: SourceFile, problem: Problem) -> bool:
    """Whether the value that a repair would write is surely the one that was meant."""
    written, meant = _words(file, problem)
    message = message_at(file.message, problem.start, problem.end)
    if message.type.name != "V1LayerParameter" or _fold(written) == _fold(meant):
        return True
    return edit_distance(written.upper(), meant, 1) <= 1


def _is_near_type(file: SourceFile, problem: Problem) -> bool:
    """Whether a layer type is surely a known one, in another spelling or with one letter wrong."""
    written, meant = _words(file, problem)
    dialects = (file.schema.layer_types or {}).get(meant)
    if dialects and file.asked_dialect not in dialects:  # forks spell the same layer in several ways
        return False
    return _fold(written) == _fold(meant) or (len(written) >= 5 and edit_distance(written, meant, 1) <= 1)


def _words(file: SourceFile, problem: Problem) -> tuple[str, str]:
    """The word that stands there and the one that a repair would write (the same without), unquoted."""
    written = file.tree.source[problem.start : problem.end].decode("utf-8", "replace").strip("\"'")
    meant = problem.repair[0][2].decode("utf-8", "replace").strip("\"'") if problem.repair else written
    return written, meant


def _type_of(layer: Message) -> str:
    """The type that a layer has in the text, known or not."""
    for field in layer.block.fields:
        if field.name == "type" and isinstance(field.value, Scalar):
            return field.value.text.decode("utf-8", "replace").strip("\"'")
    return ""


def _fold(name: str) -> str:
    """A name without what people vary: case and underscores."""
    return name.replace("_", "").lower()
