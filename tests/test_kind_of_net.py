"""That the beginning of a net tells its kind, as its whole tree would."""

import tracemalloc

import pytest

from caffe_lint.proto.schema import caffe_schema
from caffe_lint.source.files import SourceFile, kind_of

OPENINGS = [
    b'name: "net"\nlayer { name: "a" type: "ReLU" }',
    b'# a comment { } "\nname: "net" # another\nlayers {\n  bottom: "a"\n}\n',
    b'input: "data"\ninput_dim: 1\ninput_dim: 3\ninput_shape { dim: 1 dim: 2 }\nlayer {\n# first\ntype: "ReLU" }',
    b'name: "net"\nlayer {\nname: "a"\nlayer {\nname: "b"\n}\n',
    b'name: "net"\nlayer { name: "a" } }\nbase_lr: 0.1\nlr_policy: "fixed"\n',
    b'name: "net"\nlayer { name: "a',
]


@pytest.mark.parametrize("source", OPENINGS)
def test_the_beginning_of_a_net_is_enough(source: bytes) -> None:
    file = SourceFile("net.prototxt", source, caffe_schema(), None)
    assert file.kind == "net" == kind_of(file.tree)


def test_no_tree_is_made_to_tell_a_net() -> None:
    file = SourceFile("net.prototxt", OPENINGS[0], caffe_schema(), None)
    assert file.kind == "net"
    assert "tree" not in file.__dict__


@pytest.mark.parametrize(
    "source",
    [
        b'base_lr: 0.1\nlr_policy: "fixed"\n',
        b'item { name: "cat" id: 1 }',
        b'name: "net"\nlayer { top_k: 1 }\n',
        b'name: "net" \0 layer { name: "a" }',
        b'\x01\x02\x03\x04\x05 layer { name: "a" }',
        'name: "é"\nlayer { name: "a" }'.encode(),
        b'name: "net"\nlayer { name: "a" }\n' + b"These are notes, not fields\n" * 5,
        b'name: "net"\nlayer { name: "a" } These are notes\nlayer { } and more\n} And some more\nlast words here\n',
    ],
)
def test_any_other_beginning_is_told_by_the_tree(source: bytes) -> None:
    file = SourceFile("file.prototxt", source, caffe_schema(), None)
    assert not file._opens_as_net
    told = file.kind
    assert told == ("other" if file.is_prose else kind_of(file.tree))


def test_a_file_of_comments_costs_no_memory_to_tell() -> None:
    source = b"# c\n" * 500_000 + b'layer { name: "a" type: "ReLU" }'
    tracemalloc.start()
    SourceFile("net.prototxt", source, caffe_schema(), None)._opens_as_net  # noqa: B018
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(source)
