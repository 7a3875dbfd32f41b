"""Patches are made of whatever is offered: no fix is refused afterwards, and fixes that undo each other come to an end."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from harness import SOLVER, check, fix, fix_files, run_in_memory

from caffe_lint.engine.files_in_memory import Files, round_of
from caffe_lint.engine.fixing import fix_unit
from caffe_lint.engine.running import agree
from caffe_lint.engine.unit_check import check_unit
from caffe_lint.engine.units import Unit, UnitResult
from caffe_lint.fixes.apply import edited
from caffe_lint.fixes.bindings import verified
from caffe_lint.fixes.edit import Edit, Fix, Stage
from caffe_lint.fixes.fields import set_field, value_text
from caffe_lint.fixes.unreadable_text import MAX_TRIED, _with_space, misread
from caffe_lint.proto.binder import bind
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.proto.values import float_value, unescape
from caffe_lint.rule.finding import Finding, Fixed
from caffe_lint.settings.settings import Settings
from caffe_lint.source.files import SourceFile
from caffe_lint.source.places import Place

DATA = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 8 dim: 8 } } }\n'

# A brace, a value or a name that is wrong, where its repair makes the rest of the file read in another way: as other blocks, in
# the dialect of another fork, or with other names taken for misspelled.
FAR_REACHING = {
    "a name after a stray byte, and a block that is not closed": (
        'layers {\n  name: "pool"\n  \xdfpooling_param {\n    pool: MAX\n  }\n}\n'
        'layers {\n  name: "score"\n  inner_product_param {\n    num_output: 2\n}\nlayers {\n  name: "prob"\n  type: SOFTMAX\n}\n'
    ),
    "a block in the place of a number": (
        'layer {\n  name: "conv"\n  convolution_param {\n    pad: layer {1\n  }\n}\nlayer {\n  name: "relu"\n  type: "ReLU"\n}\n'
    ),
    "a name broken in two, and a layer in a layer": (
        'layer {\n  name: "a"\n}\nlayer {\n  name: "sum"\n  type: "Eltwise"\nlayer {\n}\nla yer {\n  name: "b"\n}\n'
    ),
    "a value of one dialect in two forms": (
        'layers {\n  name: "pool"\n  type: POOLING\n  bottom: "data"\n  top: "pool"\n  pooling_param {\n    pool: MAX\n'
        "    kernel_size: 3f\n    stride: 9223372036854775807\n  }\n}\n"
    ),
    "a list in the form of another dialect": (
        'layers { name: "a" type: CONVOLUTION bottom: "data" top: a" convolution_param { num_output: 2 kernel_size: 3 } }\n'
        'layers { name: "p" type: POOLING bottom: "a" top: "p" pooling_param { pool: MAX kernel_size: 2 stride: [2, 1] } }\n'
    ),
    "votes for one fork, some of them twice": (
        'layer { name: "s" type: "Split"\n  split_param {\n    engine: CAFFE\n    engine: CAFFE\n    engine: MKLDNN\n    engine: DEFAULT\n  }\n}\n'
        'layer { name: "d" type: "DetectionOutput" detection_output_param { engine: MLU } scale_param { filler { } } }\n'
        'layer { name: "b" type: "BN" bn_param { decay: nan } }\n'
    ),
    "a misspelled field in a layer of a misspelled type": (
        'layer {\n  nname: "conv"\n  type: "Conv\\x4olution"\n  bottom: "data"\n  top: "conv"\n}\n'
    ),
    "two blocks that are to be one": (
        'layer { name: "w" type: "Parameter" top: "w" parameter_param { shape { dim: 2 } } parameter_param { blob_filler { } '
        "blob_filler { alpha: 0.5 } } }\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("select", [(), ("ALL",)])
@pytest.mark.parametrize("text", FAR_REACHING.values(), ids=FAR_REACHING)
def test_no_fix_is_refused_for_what_it_does_to_other_lines(text: str, select: tuple[str, ...]) -> None:
    source = (DATA + text).encode("latin-1")
    results, _ = run_in_memory({"net.prototxt": source}, Settings(select=select), "unsafe")
    for result in results:
        assert result.errors == []
        good, refused = verified(result.patched, result.rounds, caffe_schema())
        assert refused == []
        for patched in good.values():
            assert len(parse(patched).problems) <= len(parse(source).problems)


@pytest.mark.parametrize("text", FAR_REACHING.values(), ids=FAR_REACHING)
def test_every_fix_of_the_syntax_can_be_made_alone(text: str) -> None:
    """As an editor makes them."""
    source = (DATA + text).encode("latin-1")
    for number, finding in enumerate(check(source)):
        if finding.fix is None or finding.fix.stage is not Stage.SYNTAX:
            continue
        files = Files(caffe_schema(), None)
        files.add("net.prototxt", source)
        chosen = check_unit(Unit(("net.prototxt",), None), files, Settings())[number].fix
        assert chosen is not None
        only = Settings(select=(finding.code,))
        alone = fix_unit(Unit(("net.prototxt",), None), files, only, unsafe=True)
        assert alone.errors == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"), (1e-10, "1e-10"), (35.0, "35"), (1 / 255, repr(1 / 255)), (float(2**63), "9.223372036854776e+18"),
        (0.1 + 0.2, "0.30000000000000004"), (5e-324, "4.94065645841e-324"), (2**63 - 1, "9223372036854775807"), (10**15, "1000000000000000"), (-7, "-7"), (math.inf, "inf"),
    ],
)  # fmt: skip
def test_numbers_are_written_with_all_digits_that_they_need(value: float, text: str) -> None:
    assert value_text(value) == text
    assert float_value(text.encode()) == float(value)


def test_strings_are_written_so_that_they_are_read_again() -> None:
    for text in (*map(chr, range(128)), "fc\x007", "a\x0055", "\x1b[2J", "ä", "\u200b", "a\udce4b", "\\", "\\n", "'\"", "\x7f8"):
        written = value_text(text)
        assert not {*map(chr, range(32)), "\x7f"} & set(written)
        assert unescape(written.encode()).decode("utf-8", "surrogateescape") == text


def test_a_name_with_a_control_character_is_written_in_full() -> None:
    net = 'layer { name: "data" type: "Input" top: "fc\\0007" input_param { shape { dim: 1 dim: 2 } } }\n'
    layer = 'layer { name: "ip" type: "InnerProduct" bottom: "fc7" top: "ip" inner_product_param { num_output: 2 } }\n'
    assert fix(net + layer, unsafe=True) == net + layer.replace('bottom: "fc7"', 'bottom: "fc\\0007"')


def test_no_number_equals_itself() -> None:
    layer = (
        'layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip" {} inner_product_param {{ num_output: 2 '
        'weight_filler {{ type: "xavier" }} }} }}\n'
    )
    rates = "blobs_lr: 1 blobs_lr: 2 weight_decay: nan weight_decay: 0"
    params = "param { lr_mult: 1 decay_mult: nan } param { lr_mult: 2 decay_mult: 0 }"
    assert fix(DATA + layer.format(rates)) == DATA + layer.format(params)


def test_the_settings_of_a_training_net_are_copied_with_all_digits() -> None:
    """A scale of 18 digits is not rounded to 12, at which the copy would differ from what the fix says."""
    data = (
        'layer {{ name: "data" type: "MemoryData" top: "data" top: "label" include {{ phase: {} }} transform_param {{{} }} '
        "memory_data_param {{ batch_size: 2 channels: 1 height: 4 width: 4 }} }}\n"
    )
    rest = (
        'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 2 '
        'weight_filler { type: "xavier" } } }\nlayer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }\n'
    )
    train, test = data.format("TRAIN", " scale: 0.003921568627450980392 "), data.format("TEST", " scale: 0.5 ")
    texts = {"solver.prototxt": SOLVER + "test_iter: 1\ntest_interval: 10\n", "net.prototxt": train + test + rest}
    patched = fix_files(texts, unsafe=True, select=("N402",))["net.prototxt"]
    assert patched == train + data.format("TEST", " scale: 0.00392156862745098 ") + rest


# -- fixes that undo each other ---------------------------------------------------------------------------------


def _finding(files: Files, path: str, code: str, old: bytes, new: bytes) -> Iterator[Finding]:
    """A finding about some text, if it is there, with a fix that puts another in its place."""
    source = files.get(path).source
    at = source.find(old)
    if at >= 0:
        patch = Fix(path, f"write {new.decode()}", (Edit(at, at + len(old), new),), (), stage=Stage.STRUCTURE)
        yield Finding(Place(path, 1, 1, 1, 1), code, code, "warning", f"{old.decode()} is wrong", "", "", (), patch)


def test_fixes_of_a_unit_that_undo_each_other_are_not_made_and_the_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_it(unit: Unit, files: Files, settings: Settings) -> list[Finding]:
        changes = (("X1", b"# a\n", b"# b\n"), ("X2", b"# b\n", b"# a\n"), ("X3", b"# c\n", b"# d\n"))
        return [one for change in changes for one in _finding(files, "net.prototxt", *change)]

    monkeypatch.setattr("caffe_lint.engine.fixing.check_unit", check_it)
    text = ("# a\n" + DATA + "# c\n").encode()
    for _ in range(2):
        files = Files(caffe_schema(), None)
        files.add("net.prototxt", text)
        result = fix_unit(Unit(("net.prototxt",), None), files, Settings(), unsafe=False)
        assert result.errors == []
        text = result.patched.get("net.prototxt", text)
        assert text == ("# b\n" + DATA + "# d\n").encode()
        assert [(one.code, one.fix, one.reason) for one in result.findings] == [
            ("X2", None, "No fix: the fixes of X1 and X2 undo each other.")
        ]
        good, refused = verified(result.patched, result.rounds, caffe_schema())
        assert (list(good.values()), refused) == ([text] if result.patched else [], [])


def test_a_file_whose_fixes_undo_each_other_counts_as_not_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_it(unit: Unit, files: Files, settings: Settings) -> list[Finding]:
        changes = ((b"# a\n", b"# b\n"), (b"# b\n", b"# a\n"))
        return [one for change in changes for one in _finding(files, "net.prototxt", "X1", *change)]

    monkeypatch.setattr("caffe_lint.engine.fixing.check_unit", check_it)
    files = Files(caffe_schema(), None)
    files.add("net.prototxt", b"# a\n" + DATA.encode())
    result = fix_unit(Unit(("net.prototxt",), None), files, Settings(), unsafe=False)
    assert (result.patched, result.fixed, result.errors) == ({}, (), [])


def test_fixes_that_find_no_end_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_it(unit: Unit, files: Files, settings: Settings) -> list[Finding]:
        return list(_finding(files, "net.prototxt", "X1", b"#", b"##"))

    monkeypatch.setattr("caffe_lint.engine.fixing.check_unit", check_it)
    files = Files(caffe_schema(), None)
    files.add("net.prototxt", b"#\n" + DATA.encode())
    result = fix_unit(Unit(("net.prototxt",), None), files, Settings(), unsafe=False)
    assert (result.patched, result.fixed, result.rounds) == ({}, (), {})
    assert result.errors == ["net.prototxt: not fixed: gave up after 100 rounds of fixes that trigger each other"]
    assert [one.place.path for one in result.findings] == ["net.prototxt"]


def test_a_fix_that_changes_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "caffe_lint.engine.fixing.check_unit", lambda unit, files, settings: list(_finding(files, "n", "X1", b"data", b"data"))
    )
    files = Files(caffe_schema(), None)
    files.add("n", DATA.encode())
    result = fix_unit(Unit(("n",), None), files, Settings(), unsafe=False)
    assert (result.fixed, result.errors) == ((), [])


def test_a_file_on_which_units_disagree_stays_as_it_is_and_is_named_once() -> None:
    """One unit writes b for a and another a for b; what else they change is kept."""
    units = [Unit(("one",), None), Unit(("two",), None)]
    wanted = {"one": ((b"# a\n", b"# b\n"), (b"# c\n", b"# d\n")), "two": ((b"# b\n", b"# a\n"),)}

    def run(unit: Unit, files: Files, settings: Settings) -> UnitResult:
        fixed = []
        for old, new in wanted[unit.paths[0]]:
            source = files.get("shared").source
            if old in source and not files.why_not_fixed("shared"):
                files.replace("shared", source.replace(old, new))
                fixed.append(Fixed("shared", 1, "X1", f"write {new.decode()[2]}"))
            elif old in source:
                files.leave_alone("shared", checked=True)
        return files.result((), fixed, [])

    text = (DATA + "# a\n# c\n").encode()
    for turn in range(2):
        files = Files(caffe_schema(), None)
        for path in ("one", "two", "shared"):
            files.add(path, text)
            files.get(path)
        work = [(unit, Settings()) for unit in units]
        results = []
        for unit, settings in work:
            results.append(run(unit, files.release(unit, settings), settings))
            files.settle(results[-1])
        agree(work, results, files, run)
        assert {result.patched.get("shared", text) for result in results} == {(DATA + "# a\n# d\n").encode()}
        assert [result.errors for result in results] == [[], []]
        assert {result.left_alone["shared"].reason for result in results if result.left_alone} == {
            "the solvers and nets that share it need different changes, which undo each other"
        }
        assert [one.what for result in results for one in result.fixed] == ([] if turn else ["write d"])
        text = (DATA + "# a\n# d\n").encode()


def test_a_net_that_is_given_and_that_a_unit_does_not_read_is_no_reason_to_run_it_again() -> None:
    """The solver names no net, and the net is repaired on its own."""
    texts = {"solver.prototxt": b'net "else.prototxt"\nbase_lr: 0.1\nlr_policy: "fixed"\nmax_iter: 9\n'}
    texts["net.prototxt"] = DATA.replace('"Input"', '"input"').encode()
    results, _ = run_in_memory(texts, Settings(), "unsafe")
    assert [result.errors for result in results] == [[], []]


def test_statistics_beside_a_layer_without_weights_are_not_taken_for_frozen() -> None:
    """A BatchNorm layer learns nothing, so the one after it is not among frozen layers: N405 would undo what N702 does."""
    norm = 'layer {{ name: "n{0}" type: "BatchNorm" bottom: "{1}" top: "n{0}" }}\n'
    score = (
        'layer { name: "ip" type: "InnerProduct" bottom: "n2" top: "ip" inner_product_param { num_output: 2 '
        'weight_filler { type: "xavier" } } }\nlayer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "ip" top: "loss" }\n'
    )
    net = DATA + norm.format(1, "data") + norm.format(2, "n1") + score
    assert check(net, select=("N702",)) == []


def test_the_text_of_each_round_is_compared_by_the_binder_with_the_next() -> None:
    """Text that protobuf does not read at all: each step changes the field that it names and nothing else."""
    texts = [b"base_lr: - 1\nmomentum: 0.9\n", b"base_lr: - 1\nmomentum: 0.5\n", b"base_lr: - 1\nmomentum: 0.4\n"]
    from caffe_lint.fixes.bindings import verify_rounds
    from caffe_lint.fixes.changes import FixRejected, PathChange

    def rounds(*values: float) -> list[object]:
        return [
            round_of(SourceFile("s", text, caffe_schema(), None), (PathChange((), "momentum", (value,)),))
            for text, value in zip(texts, values, strict=False)
        ]

    verify_rounds(rounds(0.5, 0.4), texts[2], caffe_schema())  # type: ignore[arg-type]
    with pytest.raises(FixRejected, match=r"momentum is 0\.5, expected 0\.6"):
        verify_rounds(rounds(0.6, 0.4), texts[2], caffe_schema())  # type: ignore[arg-type]


@pytest.mark.parametrize("between", [";", "; ", ",", " ", ";\n", " ;\n", "\n;", ";\n\n"])
def test_a_field_is_inserted_between_others_whatever_separates_them(between: str) -> None:
    text = f"base_lr: 0.1{between}momentum: 0.9\n"
    tree = parse(text.encode())
    message = bind(tree, caffe_schema(), "SolverParameter").message
    patch = set_field(tree, message, "gamma", 0.5, beside=("base_lr",))
    after = parse(edited(text.encode(), patch.edits))
    assert not after.problems
    assert [field.name for field in after.root.fields] == ["base_lr", "gamma", "momentum"]


def test_a_guess_that_does_not_hold_is_left_out_and_said_at_its_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a repair that breaks a block: nothing but it is left out, and no error ends the run."""

    def check_it(unit: Unit, files: Files, settings: Settings) -> list[Finding]:
        return [*_finding(files, "n", "X1", b"base_lr", b"base_lr {"), *_finding(files, "n", "X2", b"# c\n", b"# d\n")]

    monkeypatch.setattr("caffe_lint.engine.fixing.check_unit", check_it)
    files = Files(caffe_schema(), None)
    files.add("n", b"base_lr: 0.1\nlr_policy:\nmax_iter: 9\n# c\n")
    result = fix_unit(Unit(("n",), None), files, Settings(), unsafe=False)
    assert result.errors == []
    assert result.patched == {"n": b"base_lr: 0.1\nlr_policy:\nmax_iter: 9\n# d\n"}
    assert [(one.fix, one.reason) for one in result.findings] == [
        (None, "No fix: it would change how other lines with mistakes are read.")
    ]


# -- repairs of text that cannot be read ---------------------------------------------------------------------------


def test_of_several_repairs_only_those_that_change_what_is_read_are_misread() -> None:
    text = b"".join(b"base_lr :1 \n" if number == 0 else b"stepvalue :1 \n" for number in range(12))
    reading = SourceFile("s.prototxt", text, caffe_schema(), None).reading
    spaces = [Fix("s.prototxt", "space", (Edit(place, place + 1, b""),), ()) for place in range(len(text)) if text[place : place + 2] == b" :"]
    assert len(spaces) == 12
    assert misread(reading, []) == misread(reading, spaces) == misread(reading, spaces[:1]) == []
    at = text.index(b"1")
    wrong = Fix("s.prototxt", "another number", (Edit(at, at + 1, b"2"),), ())
    assert misread(reading, [wrong]) == [wrong]
    assert misread(reading, [spaces[0], wrong, spaces[1]]) == [wrong]
    assert misread(reading, [wrong, *spaces]) == [wrong, *spaces[MAX_TRIED - 1 :]]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('base_lr: 1\nnet_param {\n  name: "a"', 'base_lr: 1\nnet_param {\n  name: "a"\n}\n'),
        ('base_lr: 1\nnet_param {\n  name: "a', 'base_lr: 1\nnet_param {\n  name: "a"\n}\n'),
        ("custom {\n  a: 1\nbase_lr: 1\ngamma: 1\n", "custom {\n  a: 1\n}\nbase_lr: 1\ngamma: 1\n"),
        ("base_lr: 1\nmax_iter: 400momentum: 0.9\n", "base_lr: 1\nmax_iter: 400\nmomentum: 0.9\n"),
        ("base_lr: 1 max_iter: 400momentun: 0.9\n", "base_lr: 1 max_iter: 400 momentum: 0.9\n"),
        ("base_lr: 1\nstepvalue: [1, 2\n", "base_lr: 1\nstepvalue: [1, 2]\n"),
    ],
)
def test_what_is_missing_right_before_or_after_a_field_is_inserted(before: str, after: str) -> None:
    assert fix(before, "solver.prototxt", unsafe=True, select=("E1",)) == after


@pytest.mark.parametrize("end", ["", "\n", "\nmax_iter: 5\n"])
def test_no_bracket_is_written_into_a_string_that_is_not_closed(end: str) -> None:
    text = f'base_lr: 1\ntest_net: ["a", "b{end}'
    assert fix(text, "solver.prototxt", unsafe=True, select=("E1",)) == text


@pytest.mark.parametrize(
    ("source", "edit", "written"),
    [
        (b"a,b", (1, 2, b""), b" "),
        (b"1, b", (1, 2, b""), b""),
        (b" ,b", (1, 2, b""), b""),
        (b",b", (0, 1, b""), b""),
        (b"a,", (1, 2, b""), b""),
        (b"a;b", (1, 2, b"x"), b"x "),
        (b"axb", (1, 2, b"y"), b"y"),
        (b"a;b", (1, 2, b","), b","),
        (b"ab", (1, 1, b""), b""),
    ],
)
def test_no_repair_joins_two_words(source: bytes, edit: tuple[int, int, bytes], written: bytes) -> None:
    assert _with_space(source, Edit(*edit)) == Edit(*edit[:2], written)


def test_several_mistakes_in_each_of_several_lists_are_repaired_together() -> None:
    text = "net: \"x\"\ntest_iter: [1,,2 3]\nstepvalue: [10,,20 30]\nstepvalue: [40,,50,,60]\n"
    right = "net: \"x\"\ntest_iter: [1,2, 3]\nstepvalue: [10,20, 30]\nstepvalue: [40,50,60]\n"
    assert fix(text, select=("E101", "E109", "E111")) == right
