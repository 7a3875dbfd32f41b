"""Fields whose value or number of values the schema does not allow."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.unreadable_text import message_at
from ...rule.finding import Hit, Related
from ...rule.registry import rule
from ...source.files import SourceFile
from .problems_of_text import each_problem, problems_of


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
    return each_problem(file, "E111")


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
    for hit, problem in problems_of(file, "E113"):
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
    return each_problem(file, "E114")
