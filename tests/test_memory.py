"""What a check has built is gone when its findings are made, without the garbage collector."""

from __future__ import annotations

import gc
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from growing_inputs import KINDS

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.engine.grouping import find_units
from caffe_lint.engine.running import run_units
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.proto.tree import Block
from caffe_lint.settings.settings import Settings

SOLVER = 'net: "net.prototxt" base_lr: 10 lr_policy: "fixed" momentum: 0.9 max_iter: 1000\n'
DATA = """\
layer {
  name: "data" type: "ImageData" top: "data" top: "label"
  image_data_param { source: "list.txt" batch_size: 8 }
}
"""
CONVOLUTION = """\
layer {
  name: "conv%d" type: "Convolution" bottom: "%s" top: "conv%d"
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } }
}
layer { name: "relu%d" type: "ReLU" bottom: "conv%d" top: "conv%d" }
"""
LOSS = """\
layer {
  name: "score" type: "InnerProduct" bottom: "%s" top: "score"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
"""


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def run(folder: Path, layers: int, patch: str = "") -> list[object]:
    """The results of a run over a solver and its net."""
    blobs = ["data", *(f"conv{number}" for number in range(layers))]
    chain = "".join(CONVOLUTION % (number, blobs[number], *[number] * 4) for number in range(layers))
    (folder / "solver.prototxt").write_text(SOLVER)
    (folder / "net.prototxt").write_text(DATA + chain + LOSS % blobs[-1])
    files = Files(caffe_schema(), None)
    units = find_units([str(folder)], files, [], [])
    return list(run_units([(unit, Settings()) for unit in units], files, patch, 1))


@pytest.mark.parametrize("patch", ["", "safe"])
def test_nothing_waits_for_the_garbage_collector(patch: str, tmp_path: Path) -> None:
    run(tmp_path, 4, patch)  # imports, and what is kept from then on
    gc.collect()
    run(tmp_path, 4, patch)
    few = gc.collect()
    run(tmp_path, 64, patch)
    assert gc.collect() <= few + 100  # a layer is more than ten objects


def test_findings_keep_no_trees(tmp_path: Path) -> None:
    results = run(tmp_path, 4)
    reached: list[object] = [results]
    seen: set[int] = set()
    while reached:
        one = reached.pop()
        assert not isinstance(one, Block)
        if id(one) not in seen and isinstance(one, (list, tuple, dict)):
            seen.add(id(one))
            reached += [*one.keys(), *one.values()] if isinstance(one, dict) else one


def allocated(source: str) -> int:
    """The most bytes that a check of a net allocates at one time."""
    files = Files(caffe_schema(), None)
    files.add("net.prototxt", source.encode())
    units = find_units(["net.prototxt"], files, [], [])
    tracemalloc.start()
    run_units([(unit, Settings()) for unit in units], files, "", 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("kind", ["readers of one blob", "layers with one top", "params", "typographic quotes"])
def test_what_a_check_allocates_grows_as_the_file(kind: str) -> None:
    allocated(KINDS[kind](50))  # imports, and what is cached
    few = allocated(KINDS[kind](600))  # first: names that are kept from the longer text would not be counted in it
    assert allocated(KINDS[kind](2400)) <= 5 * few


def test_layers_and_numbers_take_a_bounded_multiple_of_their_text() -> None:
    layers, numbers = KINDS["readers of one blob"](1000), KINDS["dimensions"](4000)
    allocated(layers[:5000])
    assert allocated(layers) <= 45 * len(layers)
    assert allocated(numbers) <= 48 * len(numbers)


PARSING = """
import resource, sys
from caffe_lint.proto.parser import parse
source = b"# c\\n" * 300_000
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
before = peak()
assert parse(source).problems == []
print((peak() - before) / len(source))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the peak memory of a process is asked for as POSIX has it")
def test_comments_take_no_memory_of_the_pattern_that_passes_them() -> None:
    done = subprocess.run([sys.executable, "-c", PARSING], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 10
