"""Unified diffs: they show the lines that an edit touched and no others, and give the new text when they are applied."""

from __future__ import annotations

import difflib
import random
from collections.abc import Callable

import pytest
from counted_work import assert_linear

from caffe_lint.report.unified import unified_lines


def net(layers: int) -> list[str]:
    text = "".join(
        f'layer {{\n  name: "conv{number}"\n  type: "Convolution"\n  bottom: "conv{number - 1}"\n  top: "conv{number}"\n'
        "  param {\n    lr_mult: 1\n  }\n  param {\n    lr_mult: 2\n  }\n  convolution_param {\n    num_output: 64\n"
        '    weight_filler {\n      type: "gaussian"\n      std: 0.01\n    }\n  }\n}\n'
        for number in range(layers)
    )
    return text.splitlines(keepends=True)


def changed(lines: list[str], number: int, kind: str, seed: int = 1) -> list[str]:
    lines = list(lines)
    chance = random.Random(seed)
    for at in sorted(chance.sample(range(len(lines)), number), reverse=True):
        lines[at : at + (kind != "insert")] = [] if kind == "remove" else ["      std: 0.02\n"]
    return lines


def applied(old: list[str], diff: list[str]) -> list[str]:
    """The text that a diff makes of another one, where its hunks say."""
    new: list[str] = []
    at = 0
    for line in diff:
        if line.startswith("@@"):
            first, _, length = line.split(" ")[1][1:].partition(",")
            start = int(first) - (length != "0")
            new += old[at:start]
            at = start
        elif line.startswith("+"):
            new.append(line[1:])
        else:
            assert old[at] == line[1:]
            new += [old[at]] if line.startswith(" ") else []
            at += 1
    return new + old[at:]


@pytest.mark.parametrize("kind", ["insert", "replace", "remove"])
@pytest.mark.parametrize("number", [1, 20, 200])
def test_only_lines_that_were_touched_are_shown_as_changed(kind: str, number: int) -> None:
    old = net(100)
    new = changed(old, number, kind)
    diff = list(unified_lines(old, new, 3))
    assert applied(old, diff) == new
    removed, added = (sum(line.startswith(sign) for line in diff) for sign in "-+")
    assert (removed, added) <= (number * (kind != "insert"), number * (kind != "remove"))


@pytest.mark.parametrize("seed", range(200))
def test_any_diff_gives_the_new_text(seed: int) -> None:
    chance = random.Random(seed)
    old, new = ([f"{chance.randrange(chance.choice((2, 9, 40)))}\n" for _ in range(chance.randrange(30))] for _ in range(2))
    assert applied(old, list(unified_lines(old, new, chance.randrange(4)))) == new


def test_a_diff_has_the_form_of_pythons() -> None:
    texts = ["", "a\n", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n", "a\nX\nc\nd\ne\nf\ng\nh\ni\n", "b"]
    for old in texts:
        for new in texts:
            lines = old.splitlines(keepends=True), new.splitlines(keepends=True)
            assert list(unified_lines(*lines, 3, "a/x", "b/x")) == list(difflib.unified_diff(*lines, "a/x", "b/x"))
            assert list(unified_lines(*lines, 3)) == list(difflib.unified_diff(*lines))[2:]


def test_the_time_grows_with_the_lines() -> None:
    def diff_of(layers: int) -> Callable[[], object]:
        old = net(layers)
        new = changed(old, layers, "replace")
        return lambda: list(unified_lines(old, new, 3))

    assert_linear(diff_of, 200)
