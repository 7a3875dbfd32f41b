"""Text that is not in protobuf's text format."""

from __future__ import annotations

from collections.abc import Iterator

from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.files import SourceFile
from .problems_of_text import each_problem


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
    return each_problem(file, "E101")


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
    return each_problem(file, "E102")


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
    return each_problem(file, "E103")


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
    return each_problem(file, "E104")


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
    return each_problem(file, "E105")


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
    return each_problem(file, "E106")


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
    return each_problem(file, "E107")


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
    return each_problem(file, "E108")


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
    return each_problem(file, "E109")
