"""Accept and refuse as protobuf's C++ parser does, with equal bytes; and repairs that both parsers take."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from caffe_lint.fixes.apply import edited
from caffe_lint.fixes.edit import Edit
from caffe_lint.proto.binder import plain

pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed")
BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("the benchmarks, which hold the judge, are not here", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))

import mutate  # noqa: E402
from against_protoc import Protoc, compare, pieces, read, the_judge  # noqa: E402

CHECKOUT = Path(__file__).resolve().parent.parent
EXAMPLES = [path.read_bytes() for path in sorted((CHECKOUT / "examples").rglob("*.prototxt"))]

# Texts of a solver. `base_lr` is a float, `max_iter` and `stepvalue` are int32 (the latter repeated), `net` is a string,
# `debug_info` a bool, `solver_mode` an enum, `random_seed` an int64, `net_param` and `train_state` are messages,
# `test_state` is a repeated one.
ODD_SOLVERS = rb"""
base_lr: 1f | base_lr: 1F | base_lr: 1.5f | base_lr: 1.f | base_lr: 1fx | base_lr: 1.5e | base_lr: .5 | base_lr: .
base_lr: 1.2.3 | base_lr: 0x10 | base_lr: 010 | base_lr: 00 | base_lr: 00.5 | base_lr: 0e1 | base_lr: 0f | base_lr: 1e999
base_lr: -1e999 | base_lr: 1e39 | base_lr: 3.4028235e38 | base_lr: 3.40282357e38 | base_lr: 1e-46 | base_lr: 18446744073709551616
base_lr: 99999999999999999999999999 | base_lr: inf | base_lr: -inf | base_lr: - inf | base_lr: infinity | base_lr: NaN
base_lr: -nan | base_lr: inff | base_lr: infinityf | base_lr: --1 | base_lr: +1 | base_lr: -.5 | base_lr: -0x1 | base_lr: 1 .5
base_lr: 5. | base_lr: 5.a | base_lr: 5e5e5 | base_lr: 0_1 | base_lr: 1E-3F | base_lr: 1.e+3 | base_lr: a.5 | base_lr.5: 1
max_iter: 010 | max_iter: 09 | max_iter: 0x1F | max_iter: 0X1f | max_iter: 0x | max_iter: -010 | max_iter: -0x1 | max_iter: 1.0
max_iter: 1e3 | max_iter: 10name | max_iter:10net:"a" | max_iter:10 net:"a" | max_iter:10}  | max_iter: 2147483647
max_iter: 2147483648 | max_iter: -2147483648 | max_iter: -2147483649 | random_seed: 9223372036854775807 | max_iter: 1f
random_seed: 9223372036854775808 | random_seed: -9223372036854775808 | max_iter: - 1 | max_iter: 1/2 | max_iter: 1//x
max_iter: 1/*x*/ | max_iter 1 | max_iter:1 max_iter:2 | max_iter: {} | max_iter: 1] | max_iter: [1] | max_iter: []
max_iter:1;; | max_iter:1, | max_iter:1;base_lr:2 | max_iter:1 , base_lr:2 ; | ; | , | max_iter ; 1 | max_iter = 1 | max_iter:: 1
debug_info: true | debug_info: True | debug_info: t | debug_info: TRUE | debug_info: T | debug_info: 1 | debug_info: 0x1
debug_info: 01 | debug_info: 2 | debug_info: -1 | debug_info: -0 | debug_info: 1.0 | debug_info: 1f | debug_info: f | debug_info: "true"
solver_mode: GPU | solver_mode: 1 | solver_mode: 0x1 | solver_mode: -0 | solver_mode: 5 | solver_mode: gpu | solver_mode: "GPU"
net: "a" | net: 'a' | net: 'a"b' "c" | net: "a"'b' | net:"a"base_lr:1 | net: a | net: 1 | net: "a | net: a" | net: ""
net: "\?\a\b\v\f\r\n\t\\\'\"" | net: "\q" | net: "C:\data" | net: "\x" | net: "\x4" | net: "\x414" | net: "\400" | net: "\777"
net: "\8" | net: "\1" | net: "\e" | net: "\u12" | net: "\u1234" | net: "\U00012345" | net: "\U12345678" | net: "\U0010FFFF"
net: "\U00110000" | net: "\U001FFFFF" | net: "\U00200000" | net: "\ud83d\ude00" | net: "\ud83d" | net: "\U0000d83d\ude00"
net: "\ude00\ud83d" | net: 'a\'b' | net: ("a") | net: ["a"] | net: "a" "b" | net: "a", "b" | net: "\" | net: "a\
stepvalue: [] | stepvalue [1] | stepvalue: [1 2] | stepvalue: [1, 2], stepvalue: 3 | stepvalue: [1, 2 | stepvalue: [1,]
stepvalue: [,1] | stepvalue: [[1]] | stepvalue: [1;2] | stepvalue: 1, 2 | stepvalue: [-1, - 2] | stepvalue: {1}
net_param: <name:"a"> | net_param <name:"a"} | net_param:{name:"a"}, | net_param: [{name:"a"}] | net_param: name:"a"
net_param: 1 | net_param {} net_param {} | Net_param {} | net_param { | net_param {}} | net_param [] | net_param: "a" | net_param
test_state: [{level:1},<level:2>] | test_state: [{level:1},] | test_state [{level:1}] | test_state [] | test_state: [{}{}] | test_state {} test_state <>
[x.y]: 1 | [a.com/M] {max_iter:1} | net_param {[a.com/M] {name:"a"}} | reserved: 1 | "net" | "net": "a" | 1:2 | {} | { net: "a" } | } | > | )
max_iter:1 # x | max_iter:1# x | // x | /* x */ | # only this | max_iter: 1 %
"""
ODD_BYTES = [
    b"", b"\xef\xbb\xbfmax_iter: 1", b"max_iter\xc2\xa0: 1", b"max_iter:\xc2\xa01", b"# \xff\xfe\nmax_iter:1", b'net:"\xff"', b'net:"\x00"',
    b"\x00", b"max_iter:1\x01", b"# \x00\nmax_iter:1", b"max_iter:1 # \x00", b'net:"\x01"', b'net:"\x7f"', b"\x7f", b'net:"a\nb"',
    b'net:"a\\\nb"', b"base_lr:-\n#x\n1", b"max_iter:1\n\n\n", b"\t\v\f\rmax_iter:1", b'net\v:\f"a"', b'net:"a"\r#x\rmax_iter:1', b"max_iter:1\xe2\x80\x9c", b'net: "a" # c\n "b"',
    b"max_iter:1 #", b"max_iter:1 # no end", b"net: '\xc3\xa4'", b"max_iter:1 # c\rbase_lr:2", b"n\xc3\xa4t: 1", b"\xff\xfen\0e\0t\0", b"net:\n\"a\"",
    b"net: \"a\"\r\n\"b\"\r\n", b"<<<<<<< a\nmax_iter: 1\n=======\nmax_iter: 2\n>>>>>>> b\n",
]  # fmt: skip


def odd_texts() -> list[bytes]:
    texts = [text for line in ODD_SOLVERS.strip().splitlines() for text in line.split(b" | ")]
    return [*texts, *ODD_BYTES]


@pytest.fixture(scope="module")
def judge() -> Protoc:
    return the_judge()


@pytest.mark.parametrize("text", odd_texts())
def test_an_odd_solver_is_read_as_protoc_reads_it(judge: Protoc, text: bytes) -> None:
    verdict = compare(judge, text, "SolverParameter")
    assert verdict.outcome in ("same", "refused"), verdict


@pytest.mark.parametrize(
    "text",
    [
        b'layer { name: "a" type: "Pooling" pooling_param { kernel_size: 3 kernel_size: 2 } }',
        b"layer { convolution_param { kernel_size: 3 kernel_size: [2] pad: 1 } }",
        b'layer { type: "Normalize" norm_param { across_spatial: true } } layer { lrn_param { norm_region: WITHIN_CHANNEL } }',
        b'layers { type: CONVOLUTION } layers { type: "Convolution" }',
        b"layer { dense_image_data_param { } } layer { permute_param { order: 1 } }",
        b'input: "data" input_shape { dim: [1, 3] dim: 2 } input_dim: 4',
        b"state { phase: TEST level: -1 } force_backward: t",
        b"layer { blobs { data: [1.5, 2] double_data: 1e400 shape { dim: 1 } } }",
    ],
)
def test_a_net_is_read_as_protoc_reads_it_in_the_dialect_that_it_is_in(judge: Protoc, text: bytes) -> None:
    verdict = compare(judge, text, "NetParameter")
    assert verdict.outcome in ("same", "refused"), verdict


def test_the_judge_can_tell_the_difference(judge: Protoc) -> None:
    assert compare(judge, b"max_iter: 1", "SolverParameter").outcome == "same"
    assert compare(judge, b"max_iter: 1.0", "SolverParameter").outcome == "refused"
    assert judge.encode(b"layer { permute_param { } }", "NetParameter", "bvlc")[0] is None
    assert judge.encode(b"layer { permute_param { } }", "NetParameter", "ssd")[0] is not None


def test_mutated_files_are_read_as_protoc_reads_them_and_repairs_mean_what_was_read(judge: Protoc) -> None:
    chance = random.Random(7)
    small = pieces(EXAMPLES, 7)
    outcomes = {"same": 0, "refused": 0}
    entirely_repaired = 0
    for _ in range(600):
        source, type_name = chance.choice(small)
        mutant = mutate.mutated(source, chance)
        verdict = compare(judge, mutant.text, type_name)
        assert verdict.outcome in outcomes, (mutant, verdict)
        outcomes[verdict.outcome] += 1
        entirely_repaired += _repairs_mean_what_was_read(judge, mutant.text, type_name)
    assert min(outcomes.values()) > 100
    assert entirely_repaired > 100


def _repairs_mean_what_was_read(judge: Protoc, text: bytes, type_name: str) -> bool:
    """Whether a text has mistakes that can all be repaired; the repaired text has to be right and to mean the same."""
    reading = read(text, type_name)
    if not reading.problems or not all(problem.repair for problem in reading.problems):
        return False
    repaired, again = text, reading
    while again.problems:  # of two repairs at one place, the second comes in the next round
        edits = {edit[0]: Edit(*edit) for problem in again.problems for edit in problem.repair or ()}
        assert edits, (text, repaired)
        repaired = edited(repaired, edits.values())
        again = read(repaired, type_name)
        assert len(again.problems) < len(reading.problems), (text, repaired)
    assert plain(again.bound.message) == plain(reading.bound.message), (text, repaired)
    assert judge.encode(repaired, type_name, again.bound.dialect)[0] is not None, (text, repaired)
    return True
