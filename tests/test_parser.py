"""The lossless tree: every byte is kept, every statement has its place, and every mistake is told once, with its repair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from counted_work import Text, assert_linear
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe_lint.fixes.apply import edited
from caffe_lint.fixes.edit import Edit
from caffe_lint.proto.parser import parse
from caffe_lint.proto.tree import Block, Field, ListValue, Scalar, Tree, render

FRAGMENTS = (
    b'layer { } name: "a" \' " : ; , { } < > [ ] ( ) # // /* */ \n \r\n \t - 1 1.5e3 0x1f 08 \\ \\n \\" '
    b"\0 \x1a \xef\xbb\xbf \xc2\xa0 \xe2\x80\x9c \xe2\x80\x9d \xff a.b:1 [a.b/c] = :: ;; <<<<<<< ======= >>>>>>>"
).split(b" ")


def shape(tree: Tree) -> Any:
    """What a tree says, as plain data: names with texts, lists and blocks."""
    return _block(tree.root)


def _block(block: Block) -> list[tuple[str, Any]]:
    return [(field.name, _value(field.value)) for field in block.fields]


def _value(value: Scalar | Block | ListValue | None) -> Any:
    if isinstance(value, Block):
        return _block(value)
    if isinstance(value, ListValue):
        return tuple(_value(item) for item in value.items)
    return value.text.decode("utf-8", "replace") if value else None


def only_field(text: bytes) -> Field:
    (field,) = parse(text).root.fields
    return field


def repaired(text: bytes) -> bytes:
    """A text after all repairs of its structure."""
    edits = {Edit(*edit) for problem in parse(text).problems for edit in problem.repair or ()}
    return edited(text, edits)


def complaints(text: bytes) -> list[tuple[int, int, str]]:
    """Line, column and kind of each problem."""
    tree = parse(text)
    return [(*tree.line_and_column(problem.start), problem.kind) for problem in tree.problems]


# -- every byte is kept -----------------------------------------------------------------------------------------


@given(st.binary())
def test_any_bytes_come_back(source: bytes) -> None:
    assert render(parse(source)) == source


@given(st.lists(st.sampled_from(FRAGMENTS)).map(b"".join) | st.lists(st.sampled_from(FRAGMENTS)).map(b" ".join))
@settings(max_examples=500)
def test_pieces_of_prototxt_in_any_order_come_back(source: bytes) -> None:
    tree = parse(source)
    assert render(tree) == source
    assert [problem.start for problem in tree.problems] == sorted(problem.start for problem in tree.problems)
    for problem in tree.problems:
        assert 0 <= problem.start <= problem.end <= len(source)


def test_no_text_is_lost_between_windows_lines_tabs_and_a_missing_last_newline() -> None:
    source = b'\tnet: "a"\r\n\r\n# c\xe4\r\n\tbase_lr : 0.1'
    assert render(parse(source)) == source
    assert shape(parse(source)) == [("net", '"a"'), ("base_lr", "0.1")]


# -- where things stand -----------------------------------------------------------------------------------------


def test_a_field_knows_its_name_colon_value_and_end() -> None:
    field = only_field(b"  base_lr : 0.01 ;")
    assert isinstance(field.value, Scalar)
    assert (field.start, field.name_end, field.has_colon) == (2, 9, True)
    assert (field.value.start, field.value.end, field.end) == (12, 16, 18)


def test_a_block_knows_its_braces() -> None:
    field = only_field(b"param { lr_mult: 1 }")
    assert isinstance(field.value, Block)
    assert (field.value.start, field.value.open_end, field.value.close, field.value.end) == (6, 7, 19, 20)
    assert not field.has_colon


def test_lines_and_columns_are_those_of_an_editor() -> None:
    tree = parse("\ufeffä: 1\n\tö: 2".encode())
    assert tree.line_and_column(3) == (1, 1)
    assert tree.line_and_column(5) == (1, 2)
    assert tree.line_and_column(10) == (2, 2)
    assert tree.line_text(2) == "\tö: 2".encode()


# -- what text format is ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a: 1 b { c: 2 } d <e: 3>", [("a", "1"), ("b", [("c", "2")]), ("d", [("e", "3")])]),
        (b"a: 1, b: 2; c: { };", [("a", "1"), ("b", "2"), ("c", [])]),
        (b"a: [1, -2] b: [] c: [{ d: 1 }, < >]", [("a", ("1", "-2")), ("b", ()), ("c", ([("d", "1")], []))]),
        (b"a: 'x' \"y\" # c\n 'z'", [("a", "'x'\"y\"'z'")]),
        (b'a:"x"b:"y"', [("a", '"x"'), ("b", '"y"')]),
        (b"a: - # minus\n 1 b: -inf", [("a", "-1"), ("b", "-inf")]),
        (b"a\n:\n1\nb\n{\n}", [("a", "1"), ("b", [])]),
        (
            b"a: 0x1F b: 017 c: .5 d: 5. e: 1.5E-3f",
            [("a", "0x1F"), ("b", "017"), ("c", ".5"), ("d", "5."), ("e", "1.5E-3f")],
        ),
        (b"# only a comment", []),
        (b"", []),
        (b'a: "# no comment" # but this', [("a", '"# no comment"')]),
        (b"a: 1 # \xff\xfe\n\x0b\x0cb: 2", [("a", "1"), ("b", "2")]),
    ],
)
def test_what_is_right_has_no_problem(text: bytes, said: list[Any]) -> None:
    tree = parse(text)
    assert (tree.problems, tree.malformed) == ([], [])
    assert shape(tree) == said


# -- mistakes, each told once and repaired ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "after"),
    [
        (b"a = 1", (1, 3, "syntax"), b"a : 1"),
        (b"a:: 1", (1, 3, "syntax"), b"a: 1"),
        (b"a; 1", (1, 2, "syntax"), b"a: 1"),
        (b"a: 1;;", (1, 6, "syntax"), b"a: 1;"),
        (b"a: 1,\n, b: 2", (2, 1, "syntax"), b"a: 1,\n b: 2"),
        (b'"a": 1', (1, 1, "syntax"), b"a: 1"),
        (b"a: [1, 2,]", (1, 9, "syntax"), b"a: [1, 2]"),
        (b"a: [1 2 3]", (1, 7, "syntax"), b"a: [1, 2, 3]"),
        (b"a: [1, 2\nb: 3", (1, 4, "syntax"), b"a: [1, 2]\nb: 3"),
        (b"a < b: 1 }", (1, 10, "syntax"), b"a < b: 1 >"),
        (b"a ( b: 1 )", (1, 3, "syntax"), b"a { b: 1 }"),
        (b"a {{ b: 1 }}", (1, 4, "syntax"), b"a { b: 1 }"),
        (b"a -{ b: 1 }", (1, 3, "syntax"), b"a { b: 1 }"),
        (b"a: 1b: 2", (1, 5, "syntax"), b"a: 1 b: 2"),
        (b"a: 1\n  c: trueb: 2", (2, 10, "syntax"), b"a: 1\n  c: true\n  b: 2"),
        (b"a: 1 // so", (1, 6, "c-style-comment"), b"a: 1 # so"),
        (b"a: 1 /* so\n so */\nb: 2", (1, 6, "c-style-comment"), b"a: 1 # so\n# so \nb: 2"),
        (b"a /* so */ : 1", (1, 3, "c-style-comment"), b"a   : 1"),
        (b"a: 1\nthis is prose\nand this too\nb: 2", (2, 1, "syntax"), b"a: 1\n# this is prose\n# and this too\nb: 2"),
        (b"a { } end of a\nb: 2", (1, 7, "syntax"), b"a { } # end of a\nb: 2"),
        (b"a: 1\x1a", (1, 5, "syntax"), b"a: 1"),
        (b"# a\0b\na: 1", (1, 4, "syntax"), b"# ab\na: 1"),
        ("a: “x”".encode(), (1, 4, "smart-quotes"), b'a: "x"'),
        ('a: “x"'.encode(), (1, 4, "smart-quotes"), b'a: "x"'),
        (b"a: \x93x\x94", (1, 4, "smart-quotes"), b'a: "x"'),
        ("\u00a0 a:\u00a01".encode(), (1, 1, "unicode-space"), b"  a: 1"),
        ("a\uff1a1".encode(), (1, 2, "syntax"), b"a:1"),
        ("a: \u22121".encode(), (1, 4, "syntax"), b"a: -1"),
        ("\ufeffa: 1".encode(), (1, 1, "byte-order-mark"), b"a: 1"),
    ],
)
def test_a_mistake_is_reported_once_and_repaired_completely(
    text: bytes, place: tuple[int, int, str], after: bytes
) -> None:
    assert complaints(text) == [place]
    assert repaired(text) == after
    assert (parse(after).problems, parse(after).malformed) == ([], [])
    assert shape(parse(after)) == shape(parse(text))


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (b"a:\nb: 2", (1, 1, "missing-value"), [("a", None), ("b", "2")]),
        (b"a: }", (1, 1, "missing-value"), [("a", None)]),
        (b"a\n", (1, 1, "missing-value"), [("a", None)]),
        (b"[a.b]: 1 b: 2", (1, 1, "syntax"), [("", "1"), ("b", "2")]),
        (b"a: 1\n) b: 2", (2, 1, "syntax"), [("a", "1"), ("b", "2")]),
    ],
)
def test_an_unrepairable_mistake_is_reported_and_parsing_continues(
    text: bytes, place: tuple[int, int, str], said: list[Any]
) -> None:
    assert complaints(text)[0] == place
    assert shape(parse(text)) == said


def test_values_that_are_no_tokens_are_left_to_the_binder() -> None:
    tree = parse(b'a: b/c.txt\nd: "e\nf: 0,01\ng: 1.2.3 # h\nname i\nj-k: 1\n')
    assert tree.problems == []
    malformed = [item.text if isinstance(item, Scalar) else item.name for item in tree.malformed]
    assert malformed == [b"b/c.txt", b'"e', b"0,01", b"1.2.3", "name", "j-k"]


def test_a_closing_quote_that_is_missing_within_a_line_is_missed_there() -> None:
    tree = parse(b'layer { name: "a type: "ReLU" top: "b }')
    assert shape(tree) == [("layer", [("name", '"a'), ("type", '"ReLU"'), ("top", '"b')])]


def test_all_mistakes_of_a_file_are_told_in_one_pass() -> None:
    text = b"a = 1\nb {\n  c: 1;;\n  d: [1 2]\n}\n// e\nf: 2\n"
    assert [place[0] for place in complaints(text)] == [1, 3, 4, 6]
    assert repaired(text) == b"a : 1\nb {\n  c: 1;\n  d: [1, 2]\n}\n# e\nf: 2\n"


# -- braces -----------------------------------------------------------------------------------------------------

NET = b"""\
layer {
  name: "a"
  param {
    lr_mult: 1
  }
  pooling_param {
    pool: MAX
  }
}
layer {
  name: "b"
  # done
}
layer {
  name: "c"
}
"""
LINES = NET.splitlines(keepends=True)


def without(number: int) -> bytes:
    """The net without one of its lines, counted from 1."""
    return b"".join(LINES[: number - 1] + LINES[number:])


@pytest.mark.parametrize("number", [5, 8, 9, 13, 16])
def test_a_missing_closing_brace_is_located_by_indentation(number: int) -> None:
    text = without(number)
    ((_, _, kind),) = complaints(text)
    assert kind == ("unclosed" if number == 16 else "missing-brace")
    assert shape(parse(text)) == shape(parse(NET))
    assert shape(parse(repaired(text))) == shape(parse(NET))
    assert repaired(text).count(b"#") == 1


@pytest.mark.parametrize("number", [5, 8, 9, 13, 16])
def test_an_extra_closing_brace_is_located_by_indentation(number: int) -> None:
    for text in (
        b"".join([*LINES[:number], *LINES[number - 1 :]]),
        b"".join([*LINES[: number - 1], LINES[number - 1].replace(b"}", b"}}"), *LINES[number:]]),
    ):
        ((line, _, kind),) = complaints(text)
        assert (kind, line in (number, number + 1)) == ("extra-brace", True)
        assert shape(parse(repaired(text))) == shape(parse(NET))


@pytest.mark.parametrize("number", [1, 3, 6, 10])
@pytest.mark.parametrize("instead", [b"", b"}", b"(", b"{{"])
def test_an_opening_brace_that_is_missing_or_another_is_put_right(number: int, instead: bytes) -> None:
    text = b"".join([*LINES[: number - 1], LINES[number - 1].replace(b"{", instead), *LINES[number:]])
    assert len(complaints(text)) == 1
    assert shape(parse(repaired(text))) == shape(parse(NET))


def test_without_indentation_a_block_of_the_same_name_shows_that_one_is_open() -> None:
    text = b'layer {\nname: "a"\nlayer {\nname: "b"\n}\n'
    assert complaints(text) == [(3, 1, "missing-brace")]
    assert shape(parse(text)) == [("layer", [("name", '"a"')]), ("layer", [("name", '"b"')])]


def test_a_repeated_opening_line_is_read_once() -> None:
    text = NET.replace(b"  param {\n", b"  param {\n  param {\n")
    assert len(complaints(text)) == 1
    assert repaired(text) == NET


def test_a_file_that_breaks_off_has_one_problem() -> None:
    text = b"".join(LINES[:7])
    ((line, _, kind),) = complaints(text)
    assert (line, kind) == (1, "unclosed")
    assert repaired(text) == text + b"  }\n}\n"


def test_repairs_of_braces_are_not_safe() -> None:
    for text in (without(5), without(16), NET + b"}\n"):
        assert [problem.safe for problem in parse(text).problems] == [False]


def test_where_nobody_can_tell_the_place_is_uncertain() -> None:
    tree = parse(b"layer {\na: 1\n}\nb: 2\n}\n")
    assert [problem.kind for problem in tree.problems] == ["extra-brace"]
    assert tree.problems[0].repair is None
    assert tree.uncertain


# -- what nobody meant as text format ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "word"),
    [
        (NET.decode().encode("utf-16"), "UTF-16"),
        (b"\x0a\x05LeNet\xa2\x06\x00\x00" + bytes(range(256)) * 4, "binary"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "binary"),
        (b"\n<!DOCTYPE html>\n<html lang='en'>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
    ],
)
def test_a_file_that_is_not_text_format_has_one_problem(source: bytes, word: str) -> None:
    tree = parse(source)
    (problem,) = tree.problems
    assert word in problem.message
    assert tree.root.fields == []
    assert render(tree) == source


def test_a_merge_conflict_is_one_problem_and_its_first_side_is_read() -> None:
    tree = parse(b"a: 1\n<<<<<<< HEAD\nb: 2\n=======\nb: 3\n>>>>>>> other\nc: 4\n")
    assert [problem.message.split(":")[0] for problem in tree.problems] == ["unresolved merge conflict"]
    assert shape(tree) == [("a", "1"), ("b", "2"), ("c", "4")]


# -- work ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        lambda n: b"a{" * n,
        lambda n: b"a:[{" * n,
        lambda n: b"a:" + b"[" * n,
        lambda n: b"a<" * n + b">" * n,
        lambda n: b"}" * n,
        lambda n: b"}\nx: 1\n" * n,
        lambda n: b"a: 1 " * n,
        lambda n: b'a: "b\n' * n,
        lambda n: b"a: \"b ' " * n,
        lambda n: b" " * (20 * n),
        lambda n: b"# c\n" * n + b"@",
        lambda n: b"/* " * n,
        lambda n: b"a: [1 " * n,
        lambda n: b"<<<<<<< a\nb: 1\n" * n,
        lambda n: b"a: " + b'"b" ' * n,
        lambda n: b"layer {\n  name: 1\n" * n,
        lambda n: b"layer {\n  name: 1\n}\n}\n" * n,
        lambda n: b"layer {\n" + b" " * n + b"a: 1 " * n,
        lambda n: b"a\xc2\xa0: 1\n" * n,
        lambda n: "a: “b” ".encode() * n,
        lambda n: b"@ " * n,
    ],
)
def test_work_grows_with_the_length_only(text: Callable[[int], bytes]) -> None:
    def read(size: int) -> Callable[[], Tree]:
        source = Text(text(size))
        return lambda: parse(source)

    assert_linear(read, 250)
    large = text(8000)
    assert render(parse(large)) == large


def test_a_hundred_thousand_open_blocks_are_no_problem_but_one() -> None:
    assert len(parse(b"a{" * 100_000).problems) == 1


def test_what_stands_in_lines_after_a_thousand_problems_is_added_to_the_last() -> None:
    source = "".join(f"name: “{number}”\n" for number in range(1500)).encode()
    problems = parse(source).problems
    assert len(problems) == 1000
    assert "and in 500 more lines" in problems[-1].message
    assert repaired(source) == source.replace("“".encode(), b'"').replace("”".encode(), b'"')


@pytest.mark.parametrize("comments", [99, 100, 101, 200, 201, 5000])
def test_any_number_of_comments_may_stand_between_fields(comments: int) -> None:
    source = b"a: 1\n" + b"# c\n" * comments + b"b { # d\n" + b"#\n" * comments + b"}\n" + b"# e\n" * comments
    tree = parse(source)
    assert tree.problems == []
    assert [field.name for field in tree.root.fields] == ["a", "b"]
    assert render(tree) == source
    broken = parse(source + b"# \0 f\n" + b"# g\n" * comments + b"c: 2\n")
    assert [field.name for field in broken.root.fields] == ["a", "b", "c"]
