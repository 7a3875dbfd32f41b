"""Runs a probe as Caffe would and writes its log: `python probe_runner.py train --solver=probe/solver.prototxt`.

It knows what probes are made of, and no more: HDF5Data, Log and EuclideanLoss, no parameters, no gradients. The lines
are those of Caffe 1.0 with debug_info.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy

from caffe_lint.api import Session
from caffe_lint.fixes.message_text import message_lines


def say(source: str, text: str) -> None:
    sys.stderr.write(f"I1122 07:05:33.108484  4180 {source}] {text}\n")


def batches(layer: Any) -> Iterator[list[Any]]:
    """The tops of a data layer, batch after batch, beginning anew at the end."""
    param = layer.message["hdf5_data_param"]
    files = Path(param["source"]).read_text().split()
    arrays = [
        numpy.concatenate([h5py.File(name)[top.name][:] for name in files]).astype("f4") for top in layer.tops
    ]
    rows = itertools.cycle(range(len(arrays[0])))
    while True:
        chosen = list(itertools.islice(rows, param["batch_size"]))
        yield [array[chosen] for array in arrays]


def forward(net: Any, sources: dict[str, Iterator[list[Any]]]) -> dict[str, float]:
    """One pass over a net, told line by line; gives its losses."""
    blobs: dict[str, Any] = {}
    losses = {}
    for layer in net.layers:
        if layer.type == "HDF5Data":
            tops = next(sources[layer.name])
        elif layer.type == "Log":
            param = layer.message["log_param"]
            tops = [numpy.log(param["shift"] + param["scale"] * blobs[layer.bottoms[0].name])]
        elif layer.type == "EuclideanLoss":
            first, second = (blobs[bottom.name] for bottom in layer.bottoms)
            tops = [numpy.array(((first - second) ** 2).sum() / 2 / len(first))]
            losses[layer.tops[0].name] = float(tops[0])
        elif layer.type == "Split":
            tops = [blobs[layer.bottoms[0].name]] * len(layer.tops)
        else:
            raise NotImplementedError(layer.type)
        for top, values in zip(layer.tops, tops, strict=True):
            blobs[top.name] = values
            mean = float(numpy.abs(values).mean())
            say("net.cpp:593", f"    [Forward] Layer {layer.name}, top blob {top.name} data: {mean:g}")
    return losses


def header(net: Any) -> None:
    """A net's layers as Caffe writes them before it builds it: those of its phase."""
    say("net.cpp:53", "Initializing net from parameters: ")
    sys.stderr.write('name: "probe"\n')
    for layer in net.net.layers:
        if layer.type != "Split":
            sys.stderr.write("layer {\n" + "\n".join(f"  {line}" for line in message_lines(layer.message)) + "\n}\n")
    say("net.cpp:86", "Creating Layer " + net.net.layers[0].name)


def main() -> None:
    """The training of a solver."""
    path = next(argument for argument in sys.argv if argument.startswith("--solver=")).partition("=")[2]
    opened = Session().nets(path, facts={})
    assert opened.job is not None
    solver = opened.job.solver.message
    text = opened.job.solver.file.source.decode().replace("#", "\n#")
    say("solver.cpp:45", "Initializing solver from parameters: ")
    sys.stderr.writelines(line + "\n" for line in text.splitlines() if line.strip() and line[0] != "#")
    say("solver.cpp:102", f"Creating training net from net file: {solver['net']}")
    header(opened.nets[0])
    for test in opened.job.tests:
        header(test)
    say("solver.cpp:289", "Solving probe")
    say("solver.cpp:290", "Learning Rate Policy: fixed")
    train, tests = opened.nets[0].net, [net.net for net in opened.job.tests]
    every = [train, *tests]
    sources = [{layer.name: batches(layer) for layer in net.layers if layer.type == "HDF5Data"} for net in every]
    for number, test in enumerate(tests):
        say("solver.cpp:347", f"Iteration 0, Testing net (#{number})")
        sums: dict[str, float] = {}
        for _ in range(solver["test_iter"][number]):
            for name, loss in forward(test, sources[1 + number]).items():
                sums[name] = sums.get(name, 0.0) + loss
        for index, (name, total) in enumerate(sums.items()):
            mean = total / solver["test_iter"][number]
            say("solver.cpp:414", f"    Test net output #{index}: {name} = {mean:g} (* 1 = {mean:g} loss)")
    for iteration in range(solver["max_iter"]):
        losses = forward(train, sources[0])
        sys.stderr.write(
            "E1122 07:05:33.108484  4180 net.cpp:721]     [Backward] All net params (data, diff):"
            " L1 norm = (0, 0); L2 norm = (0, 0)\n"
        )
        say("solver.cpp:239", f"Iteration {iteration} (47.6 iter/s, 0.021s/1 iters), loss = {sum(losses.values()):g}")
        for index, (name, loss) in enumerate(losses.items()):
            say("solver.cpp:258", f"    Train net output #{index}: {name} = {loss:g} (* 1 = {loss:g} loss)")
        say("sgd_solver.cpp:112", f"Iteration {iteration}, lr = 0")
    say("caffe.cpp:259", "Optimization Done.")


if __name__ == "__main__":
    main()
