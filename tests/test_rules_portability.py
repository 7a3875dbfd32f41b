"""Family P, what another protobuf, parser or machine does not take: found, and written in other words when asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness import check, fix, places

from caffe_lint.proto.binder import plain
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.source.files import SourceFile

CODES = ("P301", "P302", "P303", "P304", "P305")


def net(inside: str | bytes) -> bytes:
    text = inside if isinstance(inside, bytes) else inside.encode()
    return b'layer {\n  name: "a"\n  type: "Power"\n  bottom: "x"\n  top: "y"\n' + text + b"\n}\n"


def rewritten(text: bytes, code: str) -> bytes:
    """The text after the fix of a rule, proved to mean the same, and to be left alone a second time."""
    new = fix(text.decode("utf-8"), select=(code,)).encode()  # fails for bytes that are no UTF-8
    before, after = (SourceFile("", source, caffe_schema(), None) for source in (text, new))
    assert plain(before.message) == plain(after.message)
    assert fix(new.decode(), select=(code,)).encode() == new
    return new


@pytest.mark.parametrize(
    ("code", "written", "instead"),
    [
        ("P301", "  relu_param { } include { }\n  propagate_down: True propagate_down: False # True\n",
         "  relu_param { } include { }\n  propagate_down: true propagate_down: false # True\n"),
        ("P301", "  param: [{ lr_mult: 1 }, { lr_mult: 2 }]\n", "  param: { lr_mult: 1 } param { lr_mult: 2 }\n"),
        ("P301", "  param [\n    { lr_mult: 1 }, # a, b\n    { lr_mult: 2 }\n  ]\n",
         "  param \n    { lr_mult: 1 } # a, b\n    param { lr_mult: 2 }\n  \n"),
        ("P301", "  loss_weight: []  # none\n  top: \"z\"\n", "  # none\n  top: \"z\"\n"),
        ("P302", "  power_param { scale: - 1.5 shift: -  2 }\n", "  power_param { scale: -1.5 shift: -2 }\n"),
        ("P302", "  propagate_down: 0x1 propagate_down: 00\n", "  propagate_down: true propagate_down: false\n"),
        ("P304", "  power_param {\r\n    scale: 1\r\n  }\r\n", "  power_param {\n    scale: 1\n  }\n"),
        ("P305", "\tpower_param {\n  \t  scale: 1\n\t}\n", "    power_param {\n      scale: 1\n    }\n"),
    ],
)  # fmt: skip
def test_the_fix_writes_the_same_in_other_words(code: str, written: str, instead: str) -> None:
    assert rewritten(net(written), code) == net(instead)


@pytest.mark.parametrize(
    ("code", "inside"),
    [
        ("P301", '  propagate_down: true top: "True" # False\n'),
        ("P301", "  loss_weight: [1, 2]\n"),
        ("P302", "  power_param { scale: -1 } # - 1\n"),
        ("P302", "  propagate_down: 1 param { lr_mult: 0.1 }\n"),
        ("P302", "  # caf\u00e9\n"),
        ("P302", '  top: "C:\\\\data"\n'),
        ("P302", "  # a comment\r\n  # another\r\n"),
        ("P302", '  top: "#\r x"\n'),
        ("P303", '  data_param { source: "data/train_lmdb" }\n'),
        ("P304", "  # none\n"),
        ("P305", "\tpower_param {\n\t\tscale: 1\n\t}\n".replace("\t", "  ")),
        ("P305", "  power_param {\tscale: 1 }\n"),
    ],
)
def test_what_all_read_alike_is_not_reported(code: str, inside: str) -> None:
    assert check(net(inside), select=(code,)) == []


def test_each_kind_is_told_once_with_its_number() -> None:
    found = check(net("  propagate_down: True\n  propagate_down: False\n  loss_weight: []\n"), select=("P301",))
    assert places(found) == [("P301", 6), ("P301", 8)]
    assert "(and 1 more)" in found[0].message
    assert "small" not in found[1].message


@pytest.mark.parametrize("inside", [b"  # caf\xe9", b'  top: "caf\xe9"', b'  top: "a\\xff"'])
def test_bytes_that_are_no_utf_8(inside: bytes) -> None:
    (finding,) = check(net(inside), select=("P302",))
    assert finding.place.line == 6
    assert finding.fix is None


def test_a_carriage_return_hides_a_field_from_caffe_alone() -> None:
    (finding,) = check(net(b"  # note\r  loss_weight: 1"), select=("P302",))
    assert finding.place.line == 6
    assert "comment" in finding.message


@pytest.mark.parametrize("path", ["/data/train_lmdb", "C:\\\\data\\\\train", "D:/data", "\\\\\\\\server\\\\share"])
def test_paths_of_one_machine(path: str) -> None:
    (finding,) = check(net(f'  data_param {{ source: "{path}" }}'), select=("P303",))
    assert finding.place.line == 6
    assert check(net(f'  data_param {{ source: "{path}" }}')) == check(
        net(f'  data_param {{ source: "{path}" }}'), ignore=("P303",)
    )


def test_a_minus_with_a_comment_behind_it_keeps_the_comment() -> None:
    text = net("  power_param { scale: - # down\n 1 }\n").decode()
    assert len(check(text, select=("P302",))) == 1
    assert fix(text, select=("P302",)) == text


@pytest.mark.parametrize("select", [("P",), ("P30",), ("ALL",)])
@pytest.mark.parametrize("inside", ["  propagate_down: True", "\tpower_param { scale: - 1 }\r\n"])
def test_forms_that_work_are_shown_but_not_changed_for_a_selector_that_is_no_name(
    select: tuple[str, ...], inside: str
) -> None:
    text = net(inside).decode()
    found = check(text, select=select, ignore=("E", "N"))
    assert {finding.code for finding in found} & {*CODES}
    assert all(finding.fix is None for finding in found)
    assert fix(text, select=select, ignore=("E", "N"), unsafe=True) == text


def test_a_rule_may_be_selected_by_its_name_or_beside_others() -> None:
    text = net("  propagate_down: True").decode()
    for settings in ({"select": ("newer-protobuf-syntax",)}, {"extend_select": ("p301",)}, {"select": ("P", "P301")}):
        assert "True" not in fix(text, ignore=("E", "N"), **settings)


def test_the_settings_of_the_rule_tell_the_tab_stops() -> None:
    text = net("\tpower_param {\n\t}").decode()
    assert fix(text, select=("P305",), options={"P305": {"tab_width": 2}}) == text.replace("\t", "  ")


def test_python_and_protoc_read_as_the_page_of_p302_says(tmp_path: Path) -> None:
    """The facts behind the rule, with the parsers at hand."""
    from google.protobuf import text_format

    from caffe_lint.proto import caffe_pb2

    schema = Path(sys.modules["caffe_lint.proto"].__path__[0]) / "caffe.binpb"
    program = (
        "import sys; from grpc_tools import protoc; sys.exit(protoc.main(["
        f"'protoc', r'--descriptor_set_in={schema}', '--encode=caffe_lint.NetParameter']))"
    )
    for inside in (b"  power_param { scale: - 1 }", b"  propagate_down: 0x1", b"  # caf\xe9", b'  top: "caf\xe9"'):
        text = net(inside)
        assert check(text, select=("P302",))
        run = subprocess.run([sys.executable, "-c", program], input=text, capture_output=True)
        assert run.returncode == 0, run.stderr
        with pytest.raises((text_format.ParseError, UnicodeDecodeError)):
            text_format.Parse(text, caffe_pb2.NetParameter())
