"""Family E, first half: what Caffe's parser would stop at, from the bytes to the types of fields.

Each rule reports some kinds of the problems that the parser (`proto/parser.py`) and the binder
(`proto/binder.py`) have found, and nothing else: what a file may say is known there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...fixes.rates import OLD_RATES, write_param
from ...fixes.unreadable_text import Text, message_at, repairs
from ...proto.binder import Message, edit_distance
from ...proto.misnomers import MISNOMERS
from ...proto.named_tuple import NamedTuple
from ...proto.tree import Problem, Scalar
from ...rule.finding import Hit, Related
from ...rule.registry import rule
from ...source.files import SourceFile

# The rule that reports each kind of problem. What is not listed goes to E101.
_RULE_OF = {
    "unclosed": "E102",
    "missing-brace": "E102",
    "extra-brace": "E102",
    "c-style-comment": "E103",
    "smart-quotes": "E104",
    "unicode-space": "E104",
    "byte-order-mark": "E105",
    "missing-quotes": "E106",
    "unclosed-string": "E106",
    "invalid-escape": "E107",
    "missing-colon": "E108",
    "missing-value": "E109",
    "unknown-field": "E110",
    "wrong-type": "E111",
    "quoted-enum": "E111",
    "unknown-enum-value": "E112",
    "duplicate-field": "E113",
    "missing-required-field": "E114",
    "foreign-field": "E115",
    "foreign-value": "E115",
    "foreign-layer-type": "E115",
    "unknown-layer-type": "E116",
}


@rule("E101", "syntax-error", subject="file", severity="error", fixes="safe")
def syntax_error(file: SourceFile) -> Iterator[Hit]:
    """Text that is no text format of protobuf.

    ## What it does

    Whatever the parser cannot take and no other rule has a name for: a surplus `;`, `=` for `:`, a `+`
    before a number, a list that is not closed, numbers with a leading zero, stray characters. All of them
    in one pass.

    ## Why is this bad?

    Caffe reads files with protobuf's `TextFormat::Parse` and stops at the first error: `Error parsing
    text-format caffe.NetParameter: LINE:COLUMN`, then `Failed to parse NetParameter file`. The line is
    often right, the reason often not: it says what the parser expected, not what went wrong.

    ## When it is reported

    Never: Caffe does not read the file.

    ## Fix

    The fix is safe, and offered where only one reading is possible.

    ## References

    protobuf: text_format.cc, io/tokenizer.cc. Caffe: io.cpp, ReadProtoFromTextFile.
    """
    return _each(file, "E101")


@rule("E102", "unbalanced-braces", subject="file", severity="error", fixes="unsafe")
def unbalanced_braces(file: SourceFile) -> Iterator[Hit]:
    """A brace is missing, or there is one too many.

    ## What it does

    A block that is never closed, and a brace that closes nothing. Where the indentation tells which block
    has lost its brace, that place is reported and the rest of the file keeps its meaning; otherwise every
    block that is open at the end of the file.

    ## Why is this bad?

    Caffe's parser notices at the end of the file, or at the first field that does not belong where the
    braces put it, which may be hundreds of lines below the mistake.

    ## When it is reported

    Never: Caffe does not read the file. But look where the fix puts the brace.

    ## Fix

    The fix inserts the brace where the indentation puts it. It is unsafe: the braces could be right and the
    indentation wrong.

    ## References

    protobuf: text_format.cc, ConsumeMessage.
    """
    return _each(file, "E102")


@rule("E103", "c-style-comment", subject="file", severity="error", fixes="safe")
def c_style_comment(file: SourceFile) -> Iterator[Hit]:
    """A comment of another language: `//` or `/* */`.

    ## What it does

    `//` and `/* */` where a field or value is expected. Inside a string they are left alone.

    ## Why is this bad?

    Text format knows `#` only. Caffe stops: `Expected identifier, got: /`.

    ## When it is reported

    Never: Caffe does not read the file.

    ## Fix

    The fix is safe. A `/* */` with something behind it on its last line is not repaired.

    ## References

    protobuf: io/tokenizer.cc, SH_COMMENT_STYLE.
    """
    return _each(file, "E103")


@rule("E104", "typographic-characters", subject="file", severity="error", fixes="safe")
def typographic_characters(file: SourceFile) -> Iterator[Hit]:
    """Typographic quotes, or a space that is not ASCII, as word processors and web pages leave them.

    ## What it does

    `“ ” « »` and their single forms in the place of quotes; no-break, zero-width and other spaces of Unicode
    between tokens. Inside comments and strings they are fine.

    ## Why is this bad?

    They look right and are not: Caffe stops with `Interpreting non ascii codepoint` (older builds with an
    error at the next token). A no-break space cannot be seen at all. Python's parser takes some of them, so
    that a file may pass a script and fail in `caffe train`.

    ## When it is reported

    Never: Caffe does not read the file.

    ## Fix

    The fix is safe: it writes `"` and ASCII spaces.

    ## References

    protobuf: io/tokenizer.cc, Tokenizer::Next.
    """
    return _each(file, "E104")


@rule("E105", "byte-order-mark", subject="file", severity="error", fixes="safe")
def byte_order_mark(file: SourceFile) -> Iterator[Hit]:
    """The file starts with a byte-order mark (EF BB BF).

    ## What it does

    The three bytes that some editors of Windows put before a text in UTF-8.

    ## Why is this bad?

    Neither protobuf's C++ parser nor its Python parser skips them: Caffe stops at line 1, column 1, where
    nothing is to be seen.

    ## When it is reported

    Never: Caffe does not read the file.

    ## Fix

    The first line begins with the three bytes, which are shown here as one sign. The fix is safe: it takes them out.

    ## References

    protobuf: io/tokenizer.cc. Tried with the real Caffe.
    """
    return _each(file, "E105")


@rule("E106", "missing-quotes", subject="file", severity="error", fixes="safe")
def missing_quotes(file: SourceFile) -> Iterator[Hit]:
    """A text without its quotes, or with one of them.

    ## What it does

    Paths and names with characters that no identifier has (`models/net.prototxt`, `conv-1`) and no quotes,
    and strings that are not closed on their line.

    ## Why is this bad?

    Caffe stops: strings need quotes, single or double, and end on the line they begin on.

    ## When it is reported

    Never: Caffe does not read the file.

    ## Fix

    The fix is safe and adds the quotes, where the text ends with its line.

    ## References

    protobuf: text_format.cc, ConsumeString; io/tokenizer.cc, ConsumeString.
    """
    return _each(file, "E106")


@rule("E107", "invalid-escape", subject="file", severity="error", fixes="safe")
def invalid_escape(file: SourceFile) -> Iterator[Hit]:
    r"""A backslash in a string that begins no escape sequence, mostly in a path of Windows.

    ## What it does

    Escapes other than `\a \b \f \n \r \t \v \? \\ \' \"`, octal, `\x`, `\u` and `\U`.

    ## Why is this bad?

    Caffe stops: `Invalid escape sequence in string literal`. And what looks like a path may hold escapes
    that are valid: in `"C:\train\new"` the parser sees a tab and a line feed. Python's parser takes what
    C++ refuses.

    ## When it is reported

    Never: Caffe does not read the file.

    ## Fix

    Or `/`, which Windows takes as well. The fix is safe: it doubles the backslashes of a path that can only
    be one of Windows.

    ## References

    protobuf: io/tokenizer.cc, ConsumeString.
    """
    return _each(file, "E107")


@rule("E108", "missing-colon", subject="file", severity="error", fixes="safe")
def missing_colon(file: SourceFile) -> Iterator[Hit]:
    """No colon between the name of a field and its value.

    ## What it does

    `base_lr 0.01`. Before a block the colon may be left out, before anything else it may not.

    ## Why is this bad?

    Caffe stops: `Expected ":", found "0.01"`.

    ## When it is reported

    Never: Caffe does not read the file.

    ## Fix

    The fix is safe.

    ## References

    protobuf: text_format.cc, ConsumeField.
    """
    return _each(file, "E108")


@rule("E109", "missing-value", subject="file", severity="error", fixes="")
def missing_value(file: SourceFile) -> Iterator[Hit]:
    """A field without a value.

    ## What it does

    `base_lr:` with the next field behind it, and a name with nothing at all.

    ## Why is this bad?

    Caffe stops, or worse: the parser takes the name of the next field for the value, and the error it
    reports is about that one.

    ## When it is reported

    Never: Caffe does not read the file.

    ## Example

    There is no fix: only you know the value.

    ## References

    protobuf: text_format.cc, ConsumeField.
    """
    return _each(file, "E109")


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
        for hit, problem in _hits(file, "E110")
        if not _is_old_rate(file, problem)
    ]
    for hit in _once(found):
        known = MISNOMERS.get(message_at(file.message, *hit.span).type.name, {})
        name = known.get(file.tree.source[hit.span[0] : hit.span[1]].decode("utf-8", "replace"))
        if name is not None and hit.fix is None:
            yield hit._replace(message=f"{hit.message}; Caffe calls it '{name}'")
        elif hit.fix is None and file.schema.base is None:  # there is a base where --proto was given
            yield hit._replace(reason=f"{hit.reason} If your own Caffe has it, name its caffe.proto with --proto.")
        else:
            yield hit


@rule("E111", "wrong-type", subject="file", severity="error", fixes="safe")
def wrong_type(file: SourceFile) -> Iterator[Hit]:
    """A value of a type that its field does not take.

    ## What it does

    Numbers and names in quotes where none belong, texts without, `TRUE`, `1e3` and `2.0` for whole numbers,
    a minus for unsigned ones, numbers out of range, a block for a value or a value for a block.

    ## Why is this bad?

    Caffe stops: `Expected integer or identifier, got: "CPU"`. Names of enums stand without quotes, texts
    with: in today's nets `type` is text, in V1 nets (`layers`) it is a name.

    ## When it is reported

    Never: Caffe does not read the file.

    ## Fix

    The fix is safe, and offered where the value can be written in the right type without loss.

    ## References

    protobuf: text_format.cc, ConsumeFieldValue.
    """
    return _each(file, "E111")


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
    return _once(
        (hit if _is_near_value(file, problem) else hit._replace(fix=None), problem)
        for hit, problem in _hits(file, "E112")
    )


@rule("E113", "duplicate-field", subject="file", severity="error", fixes="safe, unsafe")
def duplicate_field(file: SourceFile) -> Iterator[Hit]:
    """A field that is written twice in one message, which takes it once.

    ## What it does

    The second and later `base_lr`, `transform_param`, `type`, … of one message.

    ## Why is this bad?

    Caffe stops: `Non-repeated field "base_lr" is specified multiple times`. It neither takes the last one
    nor joins two blocks.

    ## When it is reported

    Never: Caffe does not read the file.

    ## Fix

    The fix is safe where it makes no difference which of them goes. Two blocks that have no field in common are joined
    by an unsafe one. Otherwise only you know which one was meant.

    ## References

    protobuf: text_format.cc, ConsumeField (singular_overwrite_policy).
    """
    for hit, problem in _hits(file, "E113"):
        name = file.tree.source[problem.start : problem.end].decode("utf-8", "replace")
        first = message_at(file.message, problem.start, problem.end).field(name)
        related = (
            (Related(file, (first.start, first.name_end), "written here before"),)
            if first is not None and first.start < problem.start
            else ()
        )
        yield hit._replace(related=related)


@rule("E114", "missing-required-field", subject="file", severity="error", fixes="")
def missing_required_field(file: SourceFile) -> Iterator[Hit]:
    """A field that must be written is not.

    ## What it does

    Fields that caffe.proto declares `required`. BVLC's own has none in nets and solvers, forks have some.

    ## Why is this bad?

    Caffe stops: `Message type "caffe.PSROIPoolingParameter" is missing required fields`.

    ## When it is reported

    Never: Caffe does not read the file.

    ## Example

    There is no fix: only you know the value.

    ## References

    protobuf: text_format.cc, TextFormat::Parser::Parse.
    """
    return _each(file, "E114")


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
    for hit in _once(_hits(file, "E115")):
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
    for hit, problem in _hits(file, "E116"):
        if hit.fix is not None and _is_near_type(file, problem):
            misspelt.append(hit)
        else:
            own.append((hit._replace(fix=None), problem))
    yield from misspelt
    for hit in _once(own):
        reason = "If it is a layer of your own, all is well, but what comes behind it cannot be checked."
        yield hit._replace(severity="advice", reason=reason)


# -- from problems to hits --------------------------------------------------------------------------------


class _Found(NamedTuple):
    hit: Hit
    problem: Problem


def _hits(file: SourceFile, code: str) -> list[_Found]:
    """What a rule reports: the problems of its kinds, each with its fix."""
    problems = [
        problem
        for problem in (*file.tree.problems, *file.bound.problems)
        if _RULE_OF.get(problem.kind, "E101") == code
    ]
    if not problems:
        return []
    text = Text(file.path, file.tree, file.message, file.schema, file.asked_dialect)
    reason = f"Caffe stops here: Failed to parse {file.message.type.name} file."
    if code == "E116":
        reason = "Caffe stops: Unknown layer type."
    return [
        _Found(Hit(file, (problem.start, problem.end), problem.message, reason, fix=fix), problem)
        for problem, fix in zip(problems, repairs(text, problems), strict=True)
    ]


def _each(file: SourceFile, code: str) -> Iterator[Hit]:
    return (found.hit for found in _hits(file, code))


def _once(found: Iterable[tuple[Hit, Problem]]) -> Iterator[Hit]:
    """Those with a repair one by one; of others that say the same only the first, with their number."""
    alike: dict[str, list[Hit]] = {}
    for hit, problem in found:
        alike.setdefault(
            problem.message if hit.fix is None else f"{problem.message} {problem.start}", []
        ).append(hit)
    for hits in alike.values():
        count = f" It stands {len(hits)} times in this file." if len(hits) > 1 else ""
        yield hits[0]._replace(reason=hits[0].reason + count)


def _is_old_rate(file: SourceFile, problem: Problem) -> bool:
    """Whether a field is a V1 layer's rate in a layer of today's form."""
    if file.tree.source[problem.start : problem.end].decode("utf-8", "replace") not in OLD_RATES:
        return False
    return message_at(file.message, problem.start, problem.end).type.name == "LayerParameter"


def _old_rates(file: SourceFile) -> Iterator[Hit]:
    """The layers of today's form with rates of the older one, each once."""
    layers: dict[int, tuple[Message, _Found]] = {}
    for found in _hits(file, "E110"):
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
