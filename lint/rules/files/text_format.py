"""Text that is not valid protobuf text format."""

from __future__ import annotations

from collections.abc import Iterator

from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.files import SourceFile
from .problems_of_text import each_problem


@rule("E101", "syntax-error", subject="file", severity="error", fixes="safe")
def syntax_error(file: SourceFile) -> Iterator[Hit]:
    """Flags text that is not valid protobuf text format.

    ## What it does

    Flags everything the parser rejects that no other rule covers: an extra `;`, `=` instead of `:`, a `+` before a
    number, an unclosed list, numbers with a leading zero, stray characters. All errors of a file are reported at once.

    ## Why is this bad?

    Caffe reads files with protobuf's `TextFormat::Parse` and stops at the first error: `Error parsing text-format
    caffe.NetParameter: LINE:COLUMN`, then `Failed to parse NetParameter file`. The line is often right, but the message
    says what the parser expected, which is often not what went wrong.

    ## When it is reported

    Reported as an **error**.

    ## Fix

    Repairs the text. The fix is safe, and is offered only if just one reading is possible.

    ## References

    text_format.cc and io/tokenizer.cc in protobuf; `ReadProtoFromTextFile` in Caffe's io.cpp.
    """
    return each_problem(file, "E101")


@rule("E102", "unbalanced-braces", subject="file", severity="error", fixes="unsafe")
def unbalanced_braces(file: SourceFile) -> Iterator[Hit]:
    """Flags missing and extra braces.

    ## What it does

    Flags blocks that are never closed, and closing braces without a block. If the indentation shows which block lacks
    its brace, that place is reported and the rest of the file is read as indented. Otherwise every block that is still
    open at the end of the file is reported.

    ## Why is this bad?

    Caffe's parser notices the mistake only at the end of the file, or at the first field that is not allowed where the
    braces put it. That can be hundreds of lines below the mistake.

    ## When it is reported

    Reported as an **error**.

    ## Fix

    Inserts the missing brace where the indentation suggests it, or removes the extra one. The fix is unsafe, since the
    braces could be right and the indentation wrong: check where it puts the brace.

    ## References

    `ConsumeMessage` in protobuf's text_format.cc.
    """
    return each_problem(file, "E102")


@rule("E103", "c-style-comment", subject="file", severity="error", fixes="safe")
def c_style_comment(file: SourceFile) -> Iterator[Hit]:
    """Flags comments in the style of C: `//` and `/* */`.

    ## What it does

    Flags `//` and `/* */` where a field or a value is expected. Inside strings both are allowed.

    ## Why is this bad?

    In text format only `#` starts a comment. Caffe stops: `Expected identifier, got: /`.

    ## When it is reported

    Reported as an **error**.

    ## Fix

    Replaces the comment with `#` comments. The fix is safe. It is not offered for a `/* */` that is followed by text on
    its last line.

    ## References

    `SH_COMMENT_STYLE` in protobuf's io/tokenizer.cc.
    """
    return each_problem(file, "E103")


@rule("E104", "typographic-characters", subject="file", severity="error", fixes="safe")
def typographic_characters(file: SourceFile) -> Iterator[Hit]:
    """Flags typographic quotes, and spaces that are not ASCII.

    ## What it does

    Flags `“ ” « »` and their single forms in place of quotes, and no-break, zero-width and other Unicode spaces between
    tokens. Word processors and web pages insert them. In comments and strings they are allowed.

    ## Why is this bad?

    They look right, but Caffe stops: `Interpreting non ascii codepoint` (older versions report an error at the next
    token). A no-break space is invisible. Python's parser accepts some of these characters, so a script may read a file
    that `caffe train` cannot.

    ## When it is reported

    Reported as an **error**.

    ## Fix

    Replaces them with `"` and ASCII spaces. The fix is safe.

    ## References

    `Tokenizer::Next` in protobuf's io/tokenizer.cc.
    """
    return each_problem(file, "E104")


@rule("E105", "byte-order-mark", subject="file", severity="error", fixes="safe")
def byte_order_mark(file: SourceFile) -> Iterator[Hit]:
    """Flags files that start with a byte-order mark (EF BB BF).

    ## What it does

    Flags the three bytes that some editors on Windows write before UTF-8 text.

    ## Why is this bad?

    Neither protobuf's C++ parser nor its Python parser skips them: Caffe stops at line 1, column 1, where nothing is
    visible.

    ## When it is reported

    Reported as an **error**.

    ## Fix

    Removes the three bytes. The fix is safe.

    ## Example

    The byte-order mark is shown as one visible character.

    ## References

    protobuf's io/tokenizer.cc. Verified with the real Caffe.
    """
    return each_problem(file, "E105")


@rule("E106", "missing-quotes", subject="file", severity="error", fixes="safe")
def missing_quotes(file: SourceFile) -> Iterator[Hit]:
    """Flags strings without quotes, or with only one.

    ## What it does

    Flags unquoted paths and names that contain characters not allowed in identifiers (`models/net.prototxt`, `conv-1`),
    and strings that are not closed on their line.

    ## Why is this bad?

    Caffe stops: a string needs single or double quotes, and must end on the line on which it starts.

    ## When it is reported

    Reported as an **error**.

    ## Fix

    Adds the quotes. The fix is safe, and is offered only if the string extends to the end of its line.

    ## References

    `ConsumeString` in protobuf's text_format.cc and io/tokenizer.cc.
    """
    return each_problem(file, "E106")


@rule("E107", "invalid-escape", subject="file", severity="error", fixes="safe")
def invalid_escape(file: SourceFile) -> Iterator[Hit]:
    r"""Flags backslashes in strings that do not start an escape sequence.

    ## What it does

    Flags escapes other than `\a \b \f \n \r \t \v \? \\ \' \"`, octal, `\x`, `\u` and `\U`. Most are in Windows paths.

    ## Why is this bad?

    Caffe stops: `Invalid escape sequence in string literal`. Other escapes in a path are valid, but not meant: in
    `"C:\train\new"` the parser reads a tab and a line feed. Python's parser accepts escapes that C++ rejects.

    ## When it is reported

    Reported as an **error**.

    ## Fix

    Doubles the backslashes of a string that can only be a Windows path. That is safe. You can also write `/`, which
    Windows accepts in paths.

    ## References

    `ConsumeString` in protobuf's io/tokenizer.cc.
    """
    return each_problem(file, "E107")


@rule("E108", "missing-colon", subject="file", severity="error", fixes="safe")
def missing_colon(file: SourceFile) -> Iterator[Hit]:
    """Flags fields without a colon between name and value.

    ## What it does

    Flags `base_lr 0.01`. The colon is optional before a block, and required before any other value.

    ## Why is this bad?

    Caffe stops: `Expected ":", found "0.01"`.

    ## When it is reported

    Reported as an **error**.

    ## Fix

    Inserts the colon. The fix is safe.

    ## References

    `ConsumeField` in protobuf's text_format.cc.
    """
    return each_problem(file, "E108")


@rule("E109", "missing-value", subject="file", severity="error", fixes="")
def missing_value(file: SourceFile) -> Iterator[Hit]:
    """Flags fields without a value.

    ## What it does

    Flags `base_lr:` followed by the next field, and a field name on its own.

    ## Why is this bad?

    Caffe stops. Its message may be misleading: the parser reads the name of the next field as the value, and reports an
    error at that field.

    ## When it is reported

    Reported as an **error**. There is no fix, because only you know the value.

    ## References

    `ConsumeField` in protobuf's text_format.cc.
    """
    return each_problem(file, "E109")
