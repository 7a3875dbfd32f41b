"""Fields whose value, or number of values, the schema does not allow."""

from __future__ import annotations

from collections.abc import Iterator

from ...proto.message import message_at
from ...proto.tree import fields_at
from ...rule.finding import Hit, Related
from ...rule.registry import rule
from ...source.files import SourceFile
from ...source.foreign_text import is_placeholder
from .problems_of_text import each_problem, problems_of


@rule("E111", "wrong-type", subject="file", severity="error", fixes="safe")
def wrong_type(file: SourceFile) -> Iterator[Hit]:
    """Flags values whose type does not fit their field.

    ## What it does

    Flags quoted numbers and enum names, unquoted strings, `TRUE`, `1e3` and `2.0` for integers, negative values for
    unsigned fields, numbers that are out of range, and blocks in place of values or the reverse.

    ## Why is this bad?

    Caffe stops: `Expected integer or identifier, got: "CPU"`. Names of enum values are written without quotes, strings
    with quotes: `type` is a string in a `layer`, and an enum name in a V1 layer (`layers`).

    ## When it is reported

    - **advice** if a script replaces the value: it is the name of the field in capitals, as in `random_seed: RANDOM_SEED`, or in
      place of a path words in capitals, as in `source: TRAIN_DATA`;
    - **error** otherwise, unless a `caffe.proto` in the same repository has the field with another type that fits.

    ## Fix

    Writes the value as the right type. The fix is safe, and is offered only if the value stays the same.

    ## References

    `ConsumeFieldValue` in protobuf's text_format.cc.
    """
    for hit, problem in problems_of(file, "E111"):
        value = file.tree.source[problem.start : problem.end].decode("utf-8", "replace")
        fields = fields_at(file.tree.root, problem.start) if value.isupper() else []
        if fields and is_placeholder(fields[-1].name, value):
            yield hit._replace(severity="advice", reason=f"{value} is a placeholder, which a script replaces.", fix=None, guess=None)
        else:
            yield hit


@rule("E113", "duplicate-field", subject="file", severity="error", fixes="safe, unsafe")
def duplicate_field(file: SourceFile) -> Iterator[Hit]:
    """Flags fields that are set twice in one message but may be set only once.

    ## What it does

    Flags the second and any later `base_lr`, `transform_param`, `type`, … of the same message.

    ## Why is this bad?

    Caffe stops: `Non-repeated field "base_lr" is specified multiple times`. It does not use the last value, and does
    not merge two blocks.

    ## When it is reported

    Reported as an **error**.

    ## Fix

    Removes one of the fields if it makes no difference which, which is safe, or merges two blocks without a common
    field, which is unsafe. Otherwise there is no fix, because only you know which value is meant.

    ## References

    `ConsumeField` in protobuf's text_format.cc (`singular_overwrite_policy`).
    """
    for hit, problem in problems_of(file, "E113"):
        name = file.tree.source[problem.start : problem.end].decode("utf-8", "replace")
        first = message_at(file.message, problem.start, problem.end).field(name)
        related = (
            (Related(file, (first.start, first.name_end), "first set here"),)
            if first is not None and first.start < problem.start
            else ()
        )
        yield hit._replace(related=related)


@rule("E114", "missing-required-field", subject="file", severity="error", fixes="")
def missing_required_field(file: SourceFile) -> Iterator[Hit]:
    """Flags required fields that are not set.

    ## What it does

    Flags missing fields that caffe.proto declares as `required`. BVLC's caffe.proto has none in nets and solvers, but
    those of some forks do.

    ## Why is this bad?

    Caffe stops: `Message type "caffe.PSROIPoolingParameter" is missing required fields`.

    ## When it is reported

    Reported as an **error**. There is no fix, because only you know the value.

    ## References

    `TextFormat::Parser::Parse` in protobuf's text_format.cc.
    """
    return each_problem(file, "E114")
