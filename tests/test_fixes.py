"""Editing in the style of the file, and the proof that a fix did what it says."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from caffe_lint.fixes.apply import edited, next_round, select, verify, what_changes
from caffe_lint.fixes.changes import FixRejected
from caffe_lint.fixes.edit import Change, Edit, Fix, Stage
from caffe_lint.fixes.fields import Patch, append_field, number_text, remove_field, set_field
from caffe_lint.fixes.layer_edits import insert_layers
from caffe_lint.fixes.write import FileChanged, write_atomically, write_copy
from caffe_lint.proto.binder import Message, bind
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema


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


def test_overlapping_edits_are_a_fault() -> None:
    with pytest.raises(ValueError, match="overlap"):
        edited(b"abcdef", [Edit(0, 3, b""), Edit(2, 4, b"")])


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
