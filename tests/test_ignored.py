"""What `.gitignore` files exclude, and that their patterns are compiled only if one of them may."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe_lint.source.ignored import Ignored, _Patterns
from caffe_lint.source.patterns import spec_of_file

PIECES = ("a", "b", "ab", "/", "*", "**", "/**/", "?", "[ab]", "[!a]", "[^a]", "[a/b]", "[", "]", "\\", "\\*", "!", "#", " ", ".", "_")
PATTERN = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)
NAME = st.lists(st.sampled_from(("a", "b", "ab", "[", "]", "^", "*", "#", "!", " ", ".", "_")), min_size=1, max_size=3).map("".join)


@settings(max_examples=1000)
@given(st.lists(PATTERN, max_size=4), st.lists(NAME, min_size=1, max_size=3), st.booleans())
def test_no_path_is_excluded_otherwise_than_by_the_compiled_patterns(lines: list[str], names: list[str], is_folder: bool) -> None:
    path = os.sep.join(names)
    expected = bool(spec_of_file(lines).match_file(path + "/" * is_folder))
    assert _Patterns(lines).match(path, is_folder=is_folder) == expected


@pytest.mark.parametrize(
    ("line", "compiled"),
    [
        ("", False), ("# net*", False), ("!net.prototxt", False), ("*.pyc", False), ("/build/", False), ("build/**/x", False),
        ("[._]*.sw?", False), ("net.*[cod]", True), ("net.*", True), ("*.prototxt", True), ("/models", True), ("models/**", True), ("*", True), (" x", True),
        ("*.py[cod]", False), ("*.p[!y]", True), ("*.p[ry]*", True), ("?odel[st]", True), ("?odel", False), ("n[e]t.*", True), ("a\\b", True), ("*.sw[a-p]", False), ("*~", False),
    ],
)  # fmt: skip
def test_patterns_are_compiled_for_a_path_that_one_of_them_may_match(line: str, compiled: bool) -> None:
    patterns = _Patterns([line])
    patterns.match(os.path.join("models", "net.prototxt"), is_folder=False)
    assert (patterns._spec is not None) == compiled


def test_the_patterns_of_a_folder_hold_for_all_below_it(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / "a" / ".gitignore").write_text("/b\n!c.log\n")
    ignored = Ignored(str(tmp_path))
    for folder in (tmp_path, tmp_path / "a"):
        ignored.read(str(folder))
    assert ignored(str(tmp_path / "a" / "b"), is_folder=True)
    assert ignored(str(tmp_path / "a" / "c.log"), is_folder=False)
    assert not ignored(str(tmp_path / "a" / "c"), is_folder=False)
    assert not ignored(str(tmp_path / "b"), is_folder=True)
