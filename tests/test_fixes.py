"""Editing in the style of the file, and the proof that a fix did what it says."""

from __future__ import annotations

import copy
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.engine.fixing import apply_round
from caffe_lint.fixes.apply import edited, next_round, select, verify, what_changes
from caffe_lint.fixes.changes import (
    FixRejected,
    PathChange,
    PathChanges,
    PathInsertion,
    after_changes,
    changes_by_path,
    require_equal,
)
from caffe_lint.fixes.edit import Change, Edit, Fix, Replacement, Stage
from caffe_lint.fixes.fields import (
    Patch,
    append_field,
    number_text,
    remove_field,
    set_field,
    set_values,
    string_text,
    value_text,
)
from caffe_lint.fixes.layer_edits import insert_layers
from caffe_lint.fixes.message_text import message_lines
from caffe_lint.fixes.readings import compare
from caffe_lint.fixes.write import FileChanged, write_atomically, write_copy
from caffe_lint.proto.binder import Message, bind, plain
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.source.files import SourceFile


def read(source: bytes, type_name: str = "SolverParameter") -> Message:
    return bind(parse(source), caffe_schema(), type_name).message


def inserted(text: str, **anchors: tuple[str, ...]) -> str:
    """A solver after clip_gradients was written into it, proved to mean just that."""
    source = text.encode()
    tree = parse(source)
    message = bind(tree, caffe_schema(), "SolverParameter").message
    fix = set_field(tree, message, "clip_gradients", 10, **anchors).fix("solver.prototxt", "insert")
    new = edited(source, fix.edits)
    verify(message, read(new), [fix])
    return new.decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("base_lr: 0.1\nmax_iter: 5\n", "base_lr: 0.1\nmax_iter: 5\nclip_gradients: 10\n"),
        ("base_lr: 0.1", "base_lr: 0.1\nclip_gradients: 10"),
        ("base_lr:0.1\n", "base_lr:0.1\nclip_gradients:10\n"),
        ("base_lr : 0.1\r\n", "base_lr : 0.1\r\nclip_gradients : 10\r\n"),
        ("base_lr: 0.1 # high\n# end\n", "base_lr: 0.1 # high\nclip_gradients: 10\n# end\n"),
        ("  base_lr: 0.1\n", "  base_lr: 0.1\n  clip_gradients: 10\n"),
        ("base_lr: 0.1 max_iter: 5", "base_lr: 0.1 max_iter: 5\nclip_gradients: 10"),
        ("# only a comment\n", "# only a comment\nclip_gradients: 10\n"),
        ("clip_gradients: 0 # off\n", "clip_gradients: 10 # off\n"),
    ],
)
def test_a_new_field_takes_the_style_of_its_neighbours(before: str, after: str) -> None:
    assert inserted(before) == after


@pytest.mark.parametrize("opening", [b"layer {", b"layer{", b"layer\n{", b"layer # last\n{", b"layer \x85{", b"layer <"])
def test_a_layer_is_inserted_below_one_however_it_is_opened(opening: bytes) -> None:
    closing = b">" if opening.endswith(b"<") else b"}"
    source = opening + b' name: "a" type: "Input" top: "x" ' + closing + b"\n"
    tree = parse(source)
    net = bind(tree, caffe_schema(), "NetParameter").message
    patch = insert_layers(tree, net, net.entries["layer"][-1], ((("name", "s"), ("type", "Silence"), ("bottom", "x")),))
    new = edited(source, patch.edits)
    assert new.startswith(source)
    added = read(new[len(source) :], "NetParameter")
    assert [layer["type"] for layer in added["layer"]] == ["Silence"]
    assert not parse(new[len(source) :]).problems


def test_a_new_field_is_inserted_next_to_related_fields() -> None:
    text = "base_lr: 0.1\nmomentum: 0.9\nweight_decay: 5e-4 # l2\nmax_iter: 5\n"
    assert inserted(text, beside=("momentum", "weight_decay")) == (
        "base_lr: 0.1\nmomentum: 0.9\nweight_decay: 5e-4 # l2\nclip_gradients: 10\nmax_iter: 5\n"
    )


def test_within_a_line_a_new_field_stays_on_it() -> None:
    assert inserted("base_lr: 0.1 momentum: 0.9\n", beside=("base_lr",)) == (
        "base_lr: 0.1 clip_gradients: 10 momentum: 0.9\n"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('layer { name: "a" }\n', 'layer { name: "a" loss_weight: 2 }\n'),
        ("layer {}\n", "layer { loss_weight: 2 }\n"),
        ('layer {\n  name: "a" # x\n}\n', 'layer {\n  name: "a" # x\n  loss_weight: 2\n}\n'),
        ("layer {\n}\n", "layer {\n  loss_weight: 2\n}\n"),
        ("layer {\n  loss_weight: 1\n  # c\n}", "layer {\n  loss_weight: 1\n  loss_weight: 2\n  # c\n}"),
    ],
)
def test_a_field_is_inserted_into_a_block_of_any_shape(before: str, after: str) -> None:
    source = before.encode()
    tree = parse(source)
    net = bind(tree, caffe_schema(), "NetParameter").message
    fix = append_field(tree, net["layer"][0], "loss_weight", 2).fix("net.prototxt", "append")
    new = edited(source, fix.edits)
    verify(net, read(new, "NetParameter"), [fix])
    assert new.decode() == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("base_lr: 1\nstepsize: 5\nmax_iter: 2\n", "base_lr: 1\nmax_iter: 2\n"),
        ("base_lr: 1\nstepsize: 5 # why\nmax_iter: 2\n", "base_lr: 1\n# why\nmax_iter: 2\n"),
        ("base_lr: 1 stepsize: 5 max_iter: 2\n", "base_lr: 1 max_iter: 2\n"),
        ("base_lr: 1; stepsize: 5;\n", "base_lr: 1;\n"),
    ],
)
def test_removing_a_field_takes_its_line_and_leaves_comments(before: str, after: str) -> None:
    source = before.encode()
    tree = parse(source)
    message = bind(tree, caffe_schema(), "SolverParameter").message
    fix = remove_field(tree, message, "stepsize").fix("solver.prototxt", "remove")
    new = edited(source, fix.edits)
    verify(message, read(new), [fix])
    assert new.decode() == after


def test_numbers_are_written_as_people_write_them() -> None:
    assert [number_text(n) for n in (35, 0.001, 1e-10, 0.1 + 0.2, 1e6)] == [
        "35",
        "0.001",
        "1e-10",
        "0.3",
        "1000000",
    ]


def test_a_fix_with_undeclared_changes_is_rejected() -> None:
    source = b"base_lr: 1\nmomentum: 0.9\n"
    message = read(source)
    fix = Fix("s", "t", (Edit(9, 10, b"2"),), (Change(message.block, "base_lr", (2.0,)),))
    verify(message, read(b"base_lr: 2\nmomentum: 0.9\n"), [fix])
    with pytest.raises(FixRejected, match=r"momentum is 0\.5, expected 0\.9"):
        verify(message, read(b"base_lr: 2\nmomentum: 0.5\n"), [fix])
    with pytest.raises(FixRejected, match="base_lr"):
        verify(message, message, [fix])


def test_only_the_first_of_two_conflicting_fixes_is_applied() -> None:
    message = read(b"base_lr: 1\nmomentum: 0.9\n")
    first = Fix("s", "a", (Edit(9, 10, b"2"),), (Change(message.block, "base_lr", (2.0,)),))
    same_text = Fix("s", "b", (Edit(9, 10, b"3"),), ())
    same_field = Fix("s", "c", (Edit(24, 24, b" base_lr: 4"),), (Change(message.block, "base_lr", (4.0,)),))
    other = Fix("s", "d", (Edit(21, 24, b"0.5"),), (Change(message.block, "momentum", (0.5,)),))
    assert select([other, same_field, same_text, first]) == [first, other]


@pytest.mark.parametrize(
    ("fields", "stage"),
    [
        ((), Stage.SYNTAX),
        (("?base_Ir", "base_lr"), Stage.NAMES),
        (("num_output",), Stage.STRUCTURE),
        (("momentum",), Stage.STRUCTURE),
        (("loss_weight",), Stage.LOSS_WEIGHTS),
        (("loss_weight", "top"), Stage.STRUCTURE),
        (("base_lr",), Stage.RATE),
        (("base_lr", "clip_gradients"), Stage.RATE),
        (("clip_gradients",), Stage.CLIPPING),
    ],
)
def test_what_a_fix_changes_decides_its_stage(fields: tuple[str, ...], stage: Stage) -> None:
    block = read(b"base_lr: 1\n").block
    changes = tuple(Change(block, field, (1,)) for field in fields)
    assert Patch((Edit(9, 10, b"2"),), changes).fix("s", "t").stage == stage


def test_a_round_has_only_fixes_of_the_earliest_stage_in_all_files() -> None:
    fixes = [
        Fix("solver", "clip", (Edit(9, 9, b"x"),), (), stage=Stage.CLIPPING),
        Fix("net", "first weight", (Edit(1, 2, b"x"),), (), stage=Stage.LOSS_WEIGHTS),
        Fix("net", "second weight", (Edit(5, 6, b"x"),), (), stage=Stage.LOSS_WEIGHTS),
        Fix("net", "name", (Edit(3, 4, b"x"),), (), stage=Stage.NAMES),
        Fix("net", "other name", (Edit(7, 8, b"x"),), (), stage=Stage.NAMES),
        Fix("solver", "rate", (Edit(0, 1, b"x"),), (), stage=Stage.RATE),
    ]
    rounds = []
    while fixes:
        chosen = [fix for of_file in next_round(fixes).values() for fix in of_file]
        rounds.append([fix.title for fix in chosen])
        fixes = [fix for fix in fixes if fix not in chosen]
    assert rounds == [["name", "other name"], ["first weight"], ["second weight"], ["rate"], ["clip"]]


def test_the_parts_of_a_repair_are_applied_in_one_round_or_not_at_all() -> None:
    weight = Fix("net", "weight", (Edit(5, 6, b"x"),), ()).part_of("solver", 3)
    filler = Fix("net", "filler", (Edit(8, 9, b"x"),), ()).part_of("solver", 3)
    rate = Fix("solver", "rate", (Edit(0, 1, b"x"),), ()).part_of("solver", 3)
    other = Fix("net", "other weight", (Edit(1, 2, b"x"),), (), stage=Stage.LOSS_WEIGHTS)
    assert next_round([rate, weight, other, filler, weight]) == {"solver": [rate], "net": [weight, filler]}
    assert next_round([rate, weight, other]) == {"net": [other]}
    assert next_round([rate, weight, weight]) == {}


def test_a_repair_waits_if_one_of_its_parts_cannot_be_applied_in_the_round() -> None:
    one = [Fix(path, "one", (Edit(5, 8, b"x"),), ()).part_of("one", 2, Stage.STRUCTURE) for path in ("train", "test")]
    rename = Fix("test", "rename", (Edit(4, 6, b"x"),), ())
    assert next_round([*one, rename]) == {"test": [rename]}
    first, second = Edit(1, 4, b"x"), Edit(2, 5, b"x")
    a = [Fix("train", "a", (first,), ()).part_of("a", 2, Stage.STRUCTURE), Fix("test", "a", (second,), ()).part_of("a", 2, Stage.STRUCTURE)]
    b = [Fix("train", "b", (second,), ()).part_of("b", 2, Stage.STRUCTURE), Fix("test", "b", (first,), ()).part_of("b", 2, Stage.STRUCTURE)]
    assert next_round([*a, *b]) == {"train": [a[0]], "test": [a[1]]}


def test_a_repair_of_one_fix_is_a_fix_like_others() -> None:
    fix = Fix("solver", "rate", (Edit(0, 1, b"x"),), (), stage=Stage.RATE)
    assert fix.part_of("solver", 1) == fix


def test_overlapping_edits_are_a_fault() -> None:
    with pytest.raises(FixRejected, match="its edits overlap at byte 2"):
        edited(b"abcdef", [Edit(0, 3, b""), Edit(2, 4, b"")])
    assert edited(b"abcdef", [Edit(3, 4, b"X"), Edit(0, 3, b""), Edit(3, 3, b"+")]) == b"+Xef"


def test_a_fix_whose_edits_overlap_is_left_out_and_the_others_are_made() -> None:
    files = Files(caffe_schema(), None)
    files.add("s.prototxt", b"base_lr: 1\nmomentum: 0.9\n")
    block = files.get("s.prototxt").message.block
    wrong = Fix("s.prototxt", "a", (Edit(9, 10, b"2"), Edit(8, 11, b"")), (Change(block, "base_lr", (2.0,)),))
    other = Fix("s.prototxt", "b", (Edit(21, 24, b"0.5"),), (Change(block, "momentum", (0.5,)),))
    done, failed = apply_round(files, {"s.prototxt": [wrong, other]})
    assert (done, [fix for fix, _ in failed]) == ([], [wrong])
    done, failed = apply_round(files, {"s.prototxt": [other]})
    assert (done, failed, files.patched["s.prototxt"]) == ([other], [], b"base_lr: 1\nmomentum: 0.5\n")


def test_writing_keeps_the_mode_and_follows_links(tmp_path: Path) -> None:
    target = tmp_path / "real.prototxt"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link = tmp_path / "link.prototxt"
    link.symlink_to(target)
    write_atomically(str(link), b"old", b"new", [str(tmp_path)])
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert sorted(os.listdir(tmp_path)) == ["link.prototxt", "real.prototxt"]


def test_a_file_that_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "s.prototxt"
    path.write_bytes(b"somebody else's")
    with pytest.raises(FileChanged):
        write_atomically(str(path), b"old", b"new", [str(tmp_path)])
    assert path.read_bytes() == b"somebody else's"


def test_a_copy_never_lands_on_the_original(tmp_path: Path) -> None:
    path = tmp_path / "s.prototxt"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        write_copy(str(path), str(tmp_path / "."), "s.prototxt", b"new")
    write_copy(str(path), str(tmp_path / "deep"), "s.prototxt", b"new")
    assert (path.read_bytes(), (tmp_path / "deep" / "s.prototxt").read_bytes()) == (b"old", b"new")


# -- what is said of a fix that was applied ---------------------------------------------------------------


SAID = "lr: 0.1\nrate: 5\n"


def _said(title: str, *edits: tuple[str, str], named: tuple[str, ...] = ()) -> str:
    """What is said of a fix that replaces texts of `SAID`, and names the changes of some fields."""
    tree = parse(SAID.encode())
    places = [(SAID.index(old), SAID.index(old) + len(old), new.encode()) for old, new in edits]
    changes = tuple(Change(tree.root, name, ()) for name in named)
    return what_changes(Fix("s.prototxt", title, tuple(Edit(*place) for place in places), changes), SAID.encode())


def test_values_that_a_fix_changes_are_all_named() -> None:
    assert _said("lower the rate", ("0.1", "0.01"), named=("lr",)) == "lr 0.1 → 0.01"
    assert _said("lower both", ("0.1", "0.01"), ("5", "2"), named=("lr", "rate")) == "lr 0.1 → 0.01, rate 5 → 2"


def test_a_title_that_does_not_say_what_is_written_is_completed() -> None:
    assert _said("as in the paper", ("rate: 5\n", "rate: 5\ndecay:\t1\n")) == "as in the paper: rate: 5 → rate: 5 decay: 1"
    assert _said("remove the second one", ("rate: 5\n", "")) == "remove the second one: rate: 5 removed"
    long = "x" * 100
    assert _said("use another", ("rate: 5\n", long)) == f"use another: rate: 5 → {'x' * 60}…"


def test_a_title_that_says_what_is_written_is_enough() -> None:
    assert _said("write rate: 6", ("rate: 5\n", "rate: 6\n")) == "write rate: 6"
    assert _said("remove rate: 5", ("rate: 5\n", "")) == "remove rate: 5"
    assert _said("end lines with LF", ("\n", "")) == "end lines with LF"


# -- one field ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "clip_gradients: 10\n"),
        ("# only", "# only\nclip_gradients: 10\n"),
        ("# only\r\n", "# only\r\nclip_gradients: 10\r\n"),
        ("\nbase_lr: 1\r\n", "\nbase_lr: 1\r\nclip_gradients: 10\n"),
        ("base_lr:\t1\n", "base_lr:\t1\nclip_gradients:\t10\n"),
        ("base_lr:  1\n", "base_lr:  1\nclip_gradients: 10\n"),
        ("max_iter:5 base_lr : 1\n", "max_iter:5 base_lr : 1\nclip_gradients : 10\n"),
        ("base_lr: 1;max_iter: 5\n", "base_lr: 1;max_iter: 5\nclip_gradients: 10\n"),
    ],
)
def test_a_new_field_of_a_file_of_any_form(before: str, after: str) -> None:
    assert inserted(before) == after


def test_a_new_field_beside_several_comes_after_the_last_of_them() -> None:
    text = "momentum: 0.9\nbase_lr: 1\nmax_iter: 5\n"
    after = "momentum: 0.9\nbase_lr: 1\nclip_gradients: 10\nmax_iter: 5\n"
    assert inserted(text, beside=("base_lr", "momentum")) == after
    assert inserted(text, beside=("gamma",)) == text + "clip_gradients: 10\n"
    assert inserted("base_lr: 1;max_iter: 5\n", beside=("base_lr",)) == "base_lr: 1; clip_gradients: 10 max_iter: 5\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("stepsize: 5", ""),
        ("base_lr: 1 \t stepsize: 5  \nmax_iter: 2\n", "base_lr: 1  \nmax_iter: 2\n"),
        ("stepsize: 5 \t base_lr: 1\n", "base_lr: 1\n"),
        ("  stepsize: 5\n  base_lr: 1\n", "  base_lr: 1\n"),
        ("base_lr: 1\n\nstepsize: 5\r\n", "base_lr: 1\n\n"),
        ("stepvalue: 1\nstepsize: 5\nstepvalue: 2\n", "stepvalue: 1\nstepvalue: 2\n"),
    ],
)
def test_a_removed_field_leaves_no_gap(before: str, after: str) -> None:
    tree = parse(before.encode())
    message = read(before.encode())
    fix = remove_field(tree, message, "stepsize").fix("s", "remove")
    new = edited(before.encode(), fix.edits)
    verify(message, read(new), [fix])
    assert new.decode() == after


def test_all_values_of_a_repeated_field_are_removed() -> None:
    source = b"stepvalue: 1\nbase_lr: 1\nstepvalue: [2, 3]\n"
    message = read(source)
    fix = remove_field(parse(source), message, "stepvalue").fix("s", "remove")
    new = edited(source, fix.edits)
    verify(message, read(new), [fix])
    assert new == b"base_lr: 1\n"


def test_only_values_that_differ_are_written() -> None:
    source = b"stepvalue: 010\nstepvalue: 20\nstepvalue: 30\n"
    message = read(source)
    fix = set_values(message, "stepvalue", (8, 25, 30)).fix("s", "values")
    assert len(fix.edits) == 1
    new = edited(source, fix.edits)
    verify(message, read(new), [fix])
    assert new == b"stepvalue: 010\nstepvalue: 25\nstepvalue: 30\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (0, "0"), (-3, "-3"), (0.1, "0.1"), (1 / 3, "0.3333333333333333"), (1e-10, "1e-10"),
     (1.5e20, "1.5e20"), ("a", '"a"'), ('say "a\\b"', '"say \\"a\\\\b\\""'), ("a\nb\x01", '"a\\nb\\001"'), ("\udce4", '"\\344"')],
)  # fmt: skip
def test_values_are_written_so_that_they_are_read_again(value: object, text: str) -> None:
    assert value_text(value) == text


def test_a_string_is_written_in_the_quotes_that_are_asked_for() -> None:
    assert string_text("it's", "'") == "'it\\'s'"
    assert string_text('"a"', "'") == "'\"a\"'"


# -- fixes together -----------------------------------------------------------------------------------------------


def test_a_message_written_in_full_is_read_as_the_same_one() -> None:
    text = (
        rb'layer { name: "a\\b" type: "Pooling" bottom: ["x", "y"] loss_weight: 0.1 pooling_param <pool: AVE pad: 1'
        b" global_pooling: false> include { phase: TEST stage: 'deploy' } include { phase: TRAIN } }"
    )
    (layer,) = read(text, "NetParameter")["layer"]
    (again,) = read("\n".join(["layer {", *message_lines(layer), "}"]).encode(), "NetParameter")["layer"]
    assert plain(again) == plain(layer)
    some = read("\n".join(message_lines(layer, without=("include", "name"))).encode(), "LayerParameter")
    assert some.entries.keys() == layer.entries.keys() - {"include", "name"}


def test_a_fix_of_a_whole_file_is_applied_alone() -> None:
    message = read(b"base_lr: 1\nmomentum: 0.9\n")
    whole = Fix("s", "all", (Edit(3, 4, b"x"),), (Replacement({}),))
    before = Fix("s", "before", (Edit(0, 1, b"x"),), (Change(message.block, "base_lr", (2.0,)),))
    behind = Fix("s", "behind", (Edit(9, 10, b"x"),), (Change(message.block, "momentum", (2.0,)),))
    assert select([behind, whole]) == [whole]
    assert select([whole, behind, before]) == [before, behind]


def test_edits_that_touch_wait_for_the_next_round() -> None:
    def fix(*places: tuple[int, int]) -> Fix:
        return Fix("s", str(places), tuple(Edit(*place, b"") for place in places), ())

    wide, inside, at_its_end, behind = fix((0, 2), (8, 10)), fix((4, 5)), fix((10, 11)), fix((11, 12))
    assert select([inside, at_its_end, behind, wide]) == [wide, behind]
    assert select([fix((3, 4)), fix((3, 4))]) == [fix((3, 4))]


def test_the_next_round_of_each_file_has_all_of_its_fixes_or_one_that_is_computed() -> None:
    def fix(path: str, start: int, stage: Stage) -> Fix:
        return Fix(path, str(start), (Edit(start, start + 1, b""),), (), stage=stage)

    names = [fix("a", 0, Stage.NAMES), fix("a", 4, Stage.NAMES), fix("b", 0, Stage.NAMES)]
    weights = [fix("a", 8, Stage.LOSS_WEIGHTS), fix("a", 12, Stage.LOSS_WEIGHTS)]
    assert next_round([*weights, *names]) == {"a": names[:2], "b": names[2:]}
    assert next_round(weights) == {"a": weights[:1]}
    assert next_round([]) == {}


@pytest.mark.parametrize(
    ("expected", "found", "said"),
    [
        ({"a": [1]}, {"a": [2]}, "a is 2, expected 1"),
        ({"a": [1]}, {}, "a has 0 values, expected 1"),
        ({}, {"a": [1]}, "a has 1 value, expected 0"),
        ({"a": [1, 2]}, {"a": [1, 3]}, "a[1] is 3, expected 2"),
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, "a has 3 values, expected 2"),
        ({"a": [1], "b": [{"c": [{"d": [1]}]}]}, {"a": [1], "b": [{"c": [{"d": [2]}]}]}, "b.c.d is 2, expected 1"),
        ({"b": [{"c": [1]}]}, {"b": [2]}, "b is 2, expected {'c': [1]}"),
        ({"b": [{"c": [1]}, {}]}, {"b": [{}, {}]}, "b[0].c has 0 values, expected 1"),
    ],
)
def test_the_first_unexpected_change_is_named(expected: dict[str, list[Any]], found: dict[str, list[Any]], said: str) -> None:
    with pytest.raises(FixRejected) as caught:
        require_equal(expected, found)
    assert str(caught.value) == f"the patched text has an unexpected change: {said}"
    require_equal(expected, {**expected})


def test_changes_refer_to_the_message_as_it_was() -> None:
    values = {"layer": [{"name": ["a"]}, {"name": ["b"], "top": ["x", "y"]}], "name": ["n"]}
    changes: PathChanges = (
        PathInsertion((), "layer", 0, {"name": ["first"]}),
        PathInsertion((), "layer", 1, {"name": ["between"]}),
        PathInsertion((), "layer", 2, {"name": ["last"]}),
        PathChange((("layer", 1),), "top", ("z",)),
        PathChange((("layer", 1),), "type", ("ReLU",)),
        PathChange((), "name", ()),
        PathChange((), "gone", ()),
    )
    before = copy.deepcopy(values)
    assert after_changes(values, changes) == {
        "layer": [
            {"name": ["first"]},
            {"name": ["a"]},
            {"name": ["between"]},
            {"name": ["b"], "top": ["z"], "type": ["ReLU"]},
            {"name": ["last"]},
        ]
    }
    assert values == before
    assert after_changes(values, ()) == before
    assert after_changes(values, (Replacement({"a": [1]}), *changes, Replacement({"b": [2]}))) == {"b": [2]}


def test_a_change_of_a_message_that_is_not_in_the_text_is_rejected() -> None:
    message, other = read(b"base_lr: 1\n"), read(b"base_lr: 1\n")
    fix = Fix("s", "t", (Edit(9, 10, b"2"),), (Change(other.block, "base_lr", (2.0,)),))
    with pytest.raises(FixRejected, match="a fix names 'base_lr' in a message that is not in the text"):
        changes_by_path(message, [fix])


def test_paths_lead_to_messages_within_messages() -> None:
    net = read(b'layer { param { lr_mult: 1 } }\nlayer { param { lr_mult: 1 } param { lr_mult: 2 } }\n', "NetParameter")
    second = net["layer"][1]["param"][1].block
    change = Change(second, "lr_mult", (float("nan"),))
    assert changes_by_path(net, [Fix("s", "t", (Edit(0, 0, b""),), (change,))]) == (
        PathChange((("layer", 1), ("param", 1)), "lr_mult", ("nan",)),
    )


def test_texts_are_compared_in_the_dialect_of_the_first_with_repairs_and_then_without() -> None:
    source = b'layer { type: "Normalize" norm_param { across_spatia: false } }\n'
    old, new = (SourceFile("n", text, caffe_schema(), None).reading for text in (source, b'layer { type: "ReLU" }\n'))
    assert (old.bound.dialect, new.bound.dialect) == ("ssd", "bvlc")
    seen: list[bool] = []

    def check(old: Message, new: Message) -> None:
        seen.append("across_spatial" in old["layer"][0]["norm_param"])
        raise FixRejected(f"in way {len(seen)}")

    with pytest.raises(FixRejected, match="in way 1"):
        compare(old, new, check)
    assert seen == [True, False]
    assert compare(old, new, lambda old, new: (old["layer"][0]["type"], new["layer"][0]["type"])) == ("Normalize", "ReLU")
