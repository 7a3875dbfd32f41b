"""Names of fields, enum values and layer types that the schema does not have."""

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
    """Flags fields that no known Caffe has.

    ## What it does

    Flags field names that are in neither BVLC's caffe.proto nor that of any known fork. A name without a fix is
    reported once for each kind of message.

    ## Why is this bad?

    Caffe stops: `Message type "caffe.SolverParameter" has no field named "learning_rate"`. It never skips unknown
    fields.

    ## When it is reported

    Reported as an **error**. If your Caffe has the field, pass its `caffe.proto` with `--proto`: fields are then
    checked against it.

    ## Fix

    Renames the field if exactly one known name differs by at most two letters. The fix is safe. It is not offered for
    names that suggest a Caffe that is not known here: names that match the layer's own type (`grn_param` in a layer of
    type `GRN`), and names that add a word to a known one (`crop_size_h`).

    In a `layer`, replaces `blobs_lr` and `weight_decay`, which are fields of V1 layers, with `param`.

    ## References

    `ConsumeField` in protobuf's text_format.cc. The known forks: `proto/dialects.tsv`.
    """
    yield from _v1_rates(file)
    found = [
        (hit if _is_typo(file, problem) else hit._replace(fix=None), problem)
        for hit, problem in problems_of(file, "E110")
        if not _is_v1_rate(file, problem)
    ]
    for hit in once(found):
        known = MISNOMERS.get(message_at(file.message, *hit.span).type.name, {})
        name = known.get(file.tree.source[hit.span[0] : hit.span[1]].decode("utf-8", "replace"))
        if name is not None and hit.fix is None:
            yield hit._replace(message=f"{hit.message}; Caffe calls it '{name}'")
        elif hit.fix is None and file.schema.base is None:  # there is a base if --proto was given
            yield hit._replace(reason=f"{hit.reason} If your Caffe has this field, pass its caffe.proto with --proto.")
        else:
            yield hit


@rule("E112", "unknown-enum-value", subject="file", severity="error", fixes="safe")
def unknown_enum_value(file: SourceFile) -> Iterator[Hit]:
    """Flags enum values that no known Caffe has.

    ## What it does

    Flags misspelled names of enum values, and those of unknown forks. The names are case-sensitive: `max` is not `MAX`.
    A name without a fix is reported once.

    ## Why is this bad?

    Caffe stops: `Unknown enumeration value of "max" for field "pool"`.

    ## When it is reported

    Reported as an **error**. If your Caffe has the value, pass its `caffe.proto` with `--proto`.

    ## Fix

    Replaces the name with the value that is spelled most similarly. The fix is safe, and is offered only if exactly one
    value of the enum is close. Types of V1 layers, of which every fork has more, must differ by at most one letter.

    ## References

    `ConsumeFieldValue` in protobuf's text_format.cc.
    """
    return once(
        (hit if _is_near_value(file, problem) else hit._replace(fix=None), problem)
        for hit, problem in problems_of(file, "E112")
    )


@rule("E115", "fork-specific", subject="file", severity="warning", fixes="")
def fork_specific(file: SourceFile) -> Iterator[Hit]:
    """Flags fields, values and layer types that other forks have, but not the Caffe of this file.

    ## What it does

    - With `--dialect`, flags everything that this Caffe lacks and others have.
    - Without it, finds the known Caffe that has most of what the file uses, and flags the rest.

    ## Why is this bad?

    Caffe stops at unknown fields and values, and at an `Unknown layer type`. A file that mixes what two forks have
    works in neither of them.

    ## When it is reported

    - **error** with `--dialect`;
    - **warning** otherwise, if no single known Caffe has everything that the file uses.

    There is no fix, because only you know which Caffe you use. If yours has both, as many forks that were merged from
    others do, pass its `caffe.proto` with `--proto`.

    ## Example

    A net for NVIDIA's fork with a data layer of the SSD fork. You can also use a Caffe that has both layers.

    ## References

    caffe.proto and the layers of the forks: `proto/caffe.proto` lists the forks of each field, `proto/layer_types.tsv`
    those of each layer type.
    """
    asked = file.asked_dialect is not None
    reason = "" if asked else "No single known Caffe has everything that this file uses."
    for hit in once(problems_of(file, "E115")):
        yield hit._replace(severity="error") if asked else hit._replace(severity="warning", reason=reason)


@rule("E116", "unknown-layer-type", subject="file", severity="error", fixes="safe")
def unknown_layer_type(file: SourceFile) -> Iterator[Hit]:
    """Flags layer types that no known Caffe has.

    ## What it does

    Flags misspelled types (`Relu` instead of `ReLU`), and types that do not resemble any known one.

    ## Why is this bad?

    Caffe stops: `Unknown layer type: Relu (known types: …)`. Types are case-sensitive.

    ## When it is reported

    - **error** for a misspelled type;
    - **advice** for a type that does not resemble a known one, once per file. It may be a custom layer. The shapes
      after it are unknown, so rules that need them report nothing.

    Ignore the advice if you use custom layers: `ignore = ["unknown-layer-type"]`.

    ## Fix

    Corrects the spelling. The fix is safe. It is offered if the type differs from a known one in case or underscores
    only, or, with five letters or more, in one letter, and if the known type is one of BVLC's or of the Caffe given by
    `--dialect`. Types that differ more are usually custom layers.

    ## References

    `LayerRegistry::CreateLayer` in layer_factory.hpp. The known types: `proto/layer_types.tsv`.
    """
    misspelled, custom = [], []
    for hit, problem in problems_of(file, "E116"):
        if hit.fix is not None and _is_near_type(file, problem):
            misspelled.append(hit)
        else:
            custom.append((hit._replace(fix=None), problem))
    yield from misspelled
    for hit in once(custom):
        reason = "A custom layer is fine, but the shapes after it are unknown and cannot be checked."
        yield hit._replace(severity="advice", reason=reason)


def _is_v1_rate(file: SourceFile, problem: Problem) -> bool:
    """Whether a field is a learning rate or decay of V1 layers in a layer of the current format."""
    if file.tree.source[problem.start : problem.end].decode("utf-8", "replace") not in OLD_RATES:
        return False
    return message_at(file.message, problem.start, problem.end).type.name == "LayerParameter"


def _v1_rates(file: SourceFile) -> Iterator[Hit]:
    """Yield one finding for each layer of the current format that has rates of V1 layers."""
    layers: dict[int, tuple[Message, FoundProblem]] = {}
    for found in problems_of(file, "E110"):
        if _is_v1_rate(file, found.problem):
            layer = message_at(file.message, found.problem.start, found.problem.end)
            layers.setdefault(id(layer.block), (layer, found))
    for layer, found in layers.values():
        patch = write_param(file.tree, layer)
        fix = patch.fix(file.path, "use param instead") if patch is not None else None
        name = file.tree.source[found.problem.start : found.problem.end].decode()
        message = f"'{name}' is a field of V1 layers (`layers`); a `layer` uses `param {{ {OLD_RATES[name]}: … }}`"
        yield found.hit._replace(message=message, fix=fix)


def _is_typo(file: SourceFile, problem: Problem) -> bool:
    """Whether an unknown field is a misspelled known one, rather than a field of an unknown Caffe."""
    if _follows_syntax_error(file, problem):
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


def _follows_syntax_error(file: SourceFile, problem: Problem) -> bool:
    """Whether there is a syntax error before this on the same line, so that it may not be a field at all."""
    line_start = file.source.rfind(b"\n", 0, problem.start) + 1
    return any(
        other.kind == "syntax" and line_start <= other.start < problem.start for other in file.tree.problems
    )


def _is_near_value(file: SourceFile, problem: Problem) -> bool:
    """Whether the value that a repair would write is certainly the one that was meant."""
    written, meant = _words(file, problem)
    message = message_at(file.message, problem.start, problem.end)
    if message.type.name != "V1LayerParameter" or _fold(written) == _fold(meant):
        return True
    return edit_distance(written.upper(), meant, 1) <= 1


def _is_near_type(file: SourceFile, problem: Problem) -> bool:
    """Whether a layer type is certainly a known one, spelled differently or with one wrong letter."""
    written, meant = _words(file, problem)
    dialects = (file.schema.layer_types or {}).get(meant)
    if dialects and file.asked_dialect not in dialects:  # forks spell the same layer in different ways
        return False
    return _fold(written) == _fold(meant) or (len(written) >= 5 and edit_distance(written, meant, 1) <= 1)


def _words(file: SourceFile, problem: Problem) -> tuple[str, str]:
    """Return the word in the text and the one that a repair would write (the same if there is no repair), unquoted."""
    written = file.tree.source[problem.start : problem.end].decode("utf-8", "replace").strip("\"'")
    meant = problem.repair[0][2].decode("utf-8", "replace").strip("\"'") if problem.repair else written
    return written, meant


def _type_of(layer: Message) -> str:
    """Return the type of a layer as written, whether it is known or not."""
    for field in layer.block.fields:
        if field.name == "type" and isinstance(field.value, Scalar):
            return field.value.text.decode("utf-8", "replace").strip("\"'")
    return ""


def _fold(name: str) -> str:
    """Return a name in lower case and without underscores, in which spellings differ."""
    return name.replace("_", "").lower()
