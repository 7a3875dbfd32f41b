"""Names of fields, enum values and layer types that the schema does not have."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import set_field
from ...fixes.rates import OLD_RATES, write_param
from ...layers.record import settings_unread, traits_of, type_of_settings
from ...proto.binder import Message
from ...proto.message import message_at
from ...proto.misnomers import MISNOMERS
from ...proto.tree import Problem
from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.files import SourceFile
from .problems_of_text import FoundProblem, once, problems_of


@rule("E110", "unknown-field", subject="file", severity="error", fixes="safe, unsafe")
def unknown_field(file: SourceFile) -> Iterator[Hit]:
    """Flags fields that no known Caffe has.

    ## What it does

    Flags field names that are in neither BVLC's caffe.proto nor that of any known fork. A name without a fix is
    reported once for each kind of message.

    ## Why is this bad?

    Caffe stops: `Message type "caffe.SolverParameter" has no field named "learning_rate"`. It never skips unknown
    fields.

    ## When it is reported

    - **advice** for the settings of a layer whose type no known Caffe has either: they belong to the custom layer;
    - **advice** in a file with a V1 layer of such a type, which only a `caffe.proto` of its own can have;
    - **advice** in a file for a Caffe of which not all fields are known (MyCaffe);
    - **error** otherwise.

    Nothing is reported of fields that a `caffe.proto` in the same repository has. If your Caffe has the field, pass its
    `caffe.proto` with `--proto`: fields are then checked against it.

    ## Fix

    Renames the field. The fix is safe if

    - the field belongs to BVLC's Caffe or to the one that `--dialect` names, in a layer of a type that this Caffe has;
    - the names differ in one letter, in two swapped letters, or in case and underscores only, and no other is as close;
    - the value fits, and the file has no field in such a message that suggests a Caffe that is not known here.

    It is unsafe if up to two letters differ, or if the field belongs to a fork. It is not offered in layers of unknown types,
    which may have a field of that name, for names that match the layer's own type (`grn_param` in a layer of type `GRN`),
    for names that add a word to a known one (`crop_size_h`), and for lists of what Caffe takes only one of (`values: 1 values: 2`).

    In a `layer`, replaces `blobs_lr` and `weight_decay`, which are fields of V1 layers, with `param`.

    ## References

    `ConsumeField` in protobuf's text_format.cc. The known forks: `proto/dialects.tsv`.
    """
    yield from _v1_rates(file)
    syntax = sorted(problem.start for problem in file.tree.problems if problem.kind == "syntax")
    found = [
        (hit._replace(fix=None, guess=None) if _follows_one_of(syntax, file, problem) else hit, problem)
        for hit, problem in problems_of(file, "E110")
        if not _is_v1_rate(file, problem)
    ]
    custom = {id(layer.block) for layer in _custom_layers(file)} if found else ()
    has_own_proto = any(_is_unquoted(file, problem) for problem in _custom_v1_types(file)) if found else False
    for hit in once(found):
        hit = _as_far_as_known(file, hit)
        message = message_at(file.message, *hit.span)
        if not hit.has_fix and id(message.block) in custom and file.source[slice(*hit.span)].endswith(b"_param"):
            reason = "The layer is of a type that no known Caffe has, and so are its settings."
            yield hit._replace(severity="advice", reason=reason)
            continue
        known = MISNOMERS.get(message.type.name, {})
        name = known.get(file.tree.source[hit.span[0] : hit.span[1]].decode("utf-8", "replace"))
        if name is not None and not hit.has_fix:
            yield hit._replace(message=f"{hit.message}; Caffe calls it '{name}'")
        elif not hit.has_fix and has_own_proto:
            reason = "A V1 layer is of a type that no known Caffe has: the Caffe that has it may have this field as well."
            yield hit._replace(severity="advice", reason=reason)
        elif not hit.has_fix and file.schema.base is None:  # there is a base if --proto was given
            yield hit._replace(reason=f"{hit.reason} If your Caffe has this field, pass its caffe.proto with --proto.")
        else:
            yield hit


@rule("E112", "unknown-enum-value", subject="file", severity="error", fixes="safe, unsafe")
def unknown_enum_value(file: SourceFile) -> Iterator[Hit]:
    """Flags enum values that no known Caffe has.

    ## What it does

    Flags misspelled names of enum values, and those of unknown forks. The names are case-sensitive: `max` is not `MAX`.
    A name without a fix is reported once.

    ## Why is this bad?

    Caffe stops: `Unknown enumeration value of "max" for field "pool"`.

    ## When it is reported

    - **advice** for the type of a V1 layer that does not resemble a known one, which may be a custom layer, unless it is
      quoted, and in a file for a Caffe of which not all values are known (MyCaffe);
    - **error** otherwise.

    Nothing is reported of values that a `caffe.proto` in the same repository has. If your Caffe has the value, pass its
    `caffe.proto` with `--proto`.

    ## Fix

    Replaces the name with the value that is spelled most similarly, if exactly one is close. The fix is safe under the
    conditions under which E110 renames a field, otherwise unsafe. It is not offered in layers of unknown types, and for types
    of V1 layers, of which every fork has more, only if it is safe.

    ## References

    `ConsumeFieldValue` in protobuf's text_format.cc.
    """
    for hit in once(
        (_of_custom_type(file, found) if _is_custom_v1_type(file, found) else found.hit, found.problem)
        for found in problems_of(file, "E112")
    ):
        yield _as_far_as_known(file, hit)


@rule("E115", "fork-specific", subject="file", severity="advice", fixes="")
def fork_specific(file: SourceFile) -> Iterator[Hit]:
    """Flags fields, values and layer types that other forks have, but not the Caffe of this file.

    ## What it does

    - With `--dialect`, flags everything that this Caffe lacks and others have.
    - Without it, finds the known Caffe that has most of what the file uses, and flags the rest.

    What any branch of a fork's repository has, the others are taken to have, too.

    ## Why is this bad?

    Caffe stops at unknown fields and values, and at an `Unknown layer type`. A file that mixes what two forks have
    works in neither of them.

    ## When it is reported

    - **error** with `--dialect`;
    - **advice** otherwise, if no single known Caffe has everything that the file uses. In public files, it is nearly always
      a Caffe that nobody published.

    Nothing is reported of what a `caffe.proto` in the same repository has, unless `--dialect` is used. There is no fix, because
    only you know which Caffe you use. If yours has both, as many forks that were merged from
    others do, pass its `caffe.proto` with `--proto`.

    ## Example

    A net for NVIDIA's fork with a data layer of SegNet's. You can also use a Caffe that has both layers.

    ## References

    caffe.proto and the layers of the forks: `proto/caffe.proto` lists the forks of each field, `proto/layer_types.tsv`
    those of each layer type.
    """
    if file.asked_dialect is not None:
        yield from (hit._replace(severity="error") for hit in once(problems_of(file, "E115")))
        return
    guessed = f"{file.bound.dialect} has no "
    for hit in once(problems_of(file, "E115")):
        message = hit.message
        if file.is_for_unknown_caffe:  # then the guess says little
            message = f"BVLC's Caffe has no {message.removeprefix(guessed)}"
        reason = "No single known Caffe has everything that this file uses."
        yield hit._replace(message=message, severity="advice", reason=reason)


@rule("E116", "unknown-layer-type", subject="file", severity="error", fixes="safe, unsafe")
def unknown_layer_type(file: SourceFile) -> Iterator[Hit]:
    """Flags layer types that no known Caffe has.

    ## What it does

    Flags misspelled types (`Relu` instead of `ReLU`), and types that do not resemble any known one.

    ## Why is this bad?

    Caffe stops: `Unknown layer type: Relu (known types: …)`. Types are case-sensitive.

    ## When it is reported

    - **error** for a misspelled type;
    - **advice** for a type that does not resemble a known one, once per file. It may be a custom layer. The shapes
      after it are unknown, so rules that need them report nothing. A known type is suggested, or written by the fix, only for a
      name of five letters or more, and if the layer has no settings of that name (`pooling_nd_param` for `PoolingND`), unless the
      names differ in case or underscores only.

    Nothing is reported of types for which a `caffe.proto` in the same repository has settings (`gr_norm_param` for `GRNorm`)
    or a V1 type, or which a C++ source there registers. Ignore the advice if you use custom layers: `ignore = ["unknown-layer-type"]`.

    ## Fix

    Corrects the spelling. The fix is safe. It is offered if the type differs from a known one in case or underscores
    only, or in one letter or two swapped ones, if no other type is as close, and if the known
    type is one of BVLC's or of the Caffe given by `--dialect`. Types that differ more are usually custom layers.

    It is unsafe if the layer has the settings of another type only, as a `data` with `input_param`: it then writes the type
    that these are named after, as E222 does, or the similar one if they do not tell.

    ## References

    `LayerRegistry::CreateLayer` in layer_factory.hpp. The known types: `proto/layer_types.tsv`.
    """
    misspelled, custom = [], []
    for hit, problem in problems_of(file, "E116"):
        if hit.fix is not None:
            misspelled.append(_as_settings_say(file, hit, hit.fix, problem))
        else:
            custom.append((hit, problem))
    yield from misspelled
    for hit in once(custom):
        reason = "A custom layer is fine, but the shapes after it are unknown and cannot be checked."
        yield hit._replace(severity="advice", reason=reason)


def _as_settings_say(file: SourceFile, hit: Hit, fix: Fix, problem: Problem) -> Hit:
    """Return a finding on a misspelled type; with another correction if its layer has settings of another type only."""
    assert problem.repair is not None
    layer = message_at(file.message, problem.start, problem.end)
    nearest = traits_of(problem.repair[0][2].decode().strip('"'))
    unread = settings_unread(layer, nearest)
    if not unread:
        return hit
    meant = type_of_settings(layer, nearest)
    if meant is None:
        reason = f"{hit.reason} {nearest.name} does not read {unread[0]}."
        return hit._replace(fix=fix._replace(safe=False), reason=reason)
    message = f"no known Caffe has a layer type '{layer['type']}'; its {unread[0]} is for type '{meant.name}'"
    by_settings = set_field(file.tree, layer, "type", meant.name).fix(file.path, f"write '{meant.name}'", safe=False)
    return hit._replace(message=message, fix=by_settings)


def _custom_layers(file: SourceFile) -> list[Message]:
    """The layers whose type no known Caffe has, and which is no misspelled one."""
    current = [problem for hit, problem in problems_of(file, "E116") if not hit.has_fix]
    return [message_at(file.message, problem.start, problem.end) for problem in (*current, *_custom_v1_types(file))]


def _custom_v1_types(file: SourceFile) -> list[Problem]:
    return [found.problem for code in ("E111", "E112") for found in problems_of(file, code) if _is_custom_v1_type(file, found)]


def _is_custom_v1_type(file: SourceFile, found: FoundProblem) -> bool:
    """Whether the type of a V1 layer is one that no known Caffe has, rather than a misspelled one."""
    if found.problem.kind not in ("quoted-enum", "unknown-enum-value") or (found.hit.has_fix and found.problem.safe):
        return False
    return message_at(file.message, *found.hit.span).type.name == "V1LayerParameter"


def _of_custom_type(file: SourceFile, found: FoundProblem) -> Hit:
    """Return a finding on the type of a V1 layer; as advice if some Caffe may have the value, which none has in quotes."""
    severity = "advice" if _is_unquoted(file, found.problem) else ""
    return found.hit._replace(fix=None, guess=None, severity=severity)


def _is_unquoted(file: SourceFile, problem: Problem) -> bool:
    """Whether an unknown type of a V1 layer is a word, which some Caffe may have, rather than a string."""
    return file.source[problem.start : problem.start + 1] not in (b'"', b"'")


def _as_far_as_known(file: SourceFile, hit: Hit) -> Hit:
    """Return a finding on an unknown name; as advice if the Caffe that the file is for may have it all the same."""
    return hit if file.schema.lists_fields(file.bound.dialect) else hit._replace(severity="advice")


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
        yield found.hit._replace(message=message, fix=fix, guess=None)


def _follows_one_of(syntax: list[int], file: SourceFile, problem: Problem) -> bool:
    """Whether there is a syntax error before this on the same line, so that it may not be a field at all."""
    before = bisect_left(syntax, problem.start) - 1
    return before >= 0 and file.source.find(b"\n", syntax[before], problem.start) < 0
