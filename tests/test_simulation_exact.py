"""What the real Caffe printed, where neither its data nor random weights have a part in it: the simulator's numbers are the same."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

np = pytest.importorskip("numpy", reason="the simulator needs numpy")

CHECKOUT = Path(__file__).resolve().parent.parent
SHARED = CHECKOUT.parent / "shared"
if not (CHECKOUT / "benchmarks").is_dir() or not (SHARED / "divergence").is_dir():
    pytest.skip("the benchmarks, or the runs of the real Caffe, are not here", allow_module_level=True)
sys.path.insert(0, str(CHECKOUT / "benchmarks"))

from simulate_exact import SAME_LOSS, SAME_VALUE, Comparison, compared, is_same, truths  # noqa: E402

RANDOM = re.compile(r"xavier|gaussian|msra|uniform|unitball")
MOST = 2  # runs, the smallest nets first


def constant_runs() -> list[str]:
    """The folders of the smallest nets whose weights all start constant."""
    found = []
    for folder in (*(SHARED / "divergence" / "dev").glob("*"), *(SHARED / "oracle" / "runs").glob("h_*")):
        text = (folder / "net.prototxt").read_text()
        if not RANDOM.search(text):
            found.append((len(text), folder.name))
    return [name for _, name in sorted(found)[:MOST]]


def test_what_nothing_leaves_to_chance_is_as_in_caffe() -> None:
    wanted = set(constant_runs())
    values = 0
    for name, truth in truths(SHARED):
        if name not in wanted:
            continue
        found = compared(truth, steps=2)
        assert isinstance(found, Comparison), (name, found)
        for _, key, ours, caffe in found.values:
            assert is_same(ours, caffe, SAME_VALUE), (name, key, ours, caffe)
        for iteration, ours, caffe in found.losses:
            assert is_same(ours, caffe, SAME_LOSS), (name, iteration, ours, caffe)
        values += len(found.values)
    assert values > 10
