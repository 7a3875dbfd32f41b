"""How long a step of a simulated convolution takes, against the bare im2col and matrix products of the same sizes.

Run: python benchmarks/simulate_speed.py

Forward and backward, in seconds of processor time, for layers of well-known nets with 8 items; the bare ones copy each window into
columns and call three matrix products for each item, as Caffe does on a CPU. The last line is the ratio over all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.net.job import Nets
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.simulation.arrays import np
from caffe_lint.simulation.operator import operator_of

ITEMS, REPEATS = 8, 3
# Channels, side, outputs, kernel, stride, pad.
LAYERS = {
    "AlexNet conv1": (3, 227, 96, 11, 4, 0),
    "AlexNet conv3": (256, 13, 384, 3, 1, 1),
    "VGG conv4_2": (512, 28, 512, 3, 1, 1),
    "ResNet 1x1": (256, 56, 64, 1, 1, 0),
    "LeNet conv2": (20, 12, 50, 5, 1, 0),
    "CIFAR conv1": (3, 32, 32, 5, 1, 2),
}


def simulated(sizes: tuple[int, ...]) -> Callable[[], None]:
    """A step of the simulator's layer."""
    channels, side, outputs, kernel, stride, pad = sizes
    text = f"""
    layer {{ name: "d" type: "Input" top: "x" input_param {{ shape {{ dim: {ITEMS} dim: {channels} dim: {side} dim: {side} }} }} }}
    layer {{ name: "c" type: "Convolution" bottom: "x" top: "y"
             convolution_param {{ num_output: {outputs} kernel_size: {kernel} stride: {stride} pad: {pad} }} }}"""
    files = Files(caffe_schema(), "bvlc")
    files.add("net.prototxt", text.encode())
    (net,) = Nets(files.get, None, files.given).alone(files.get("net.prototxt"), ("TRAIN",))
    layer = net.net.layers[-1]
    draw = np.random.default_rng(0)
    x = draw.standard_normal((ITEMS, channels, side, side), np.float32)
    params = [draw.standard_normal(param.shape, np.float32) for param in layer.params]
    operator = operator_of(layer, draw)

    def step() -> None:
        (top,) = operator.forward([x], params)
        operator.backward([top], [top], [x], params, [True])

    return step


def bare(sizes: tuple[int, ...]) -> Callable[[], None]:
    """The same by im2col, three matrix products and col2im, item by item."""
    channels, side, outputs, kernel, stride, pad = sizes
    draw = np.random.default_rng(0)
    x = draw.standard_normal((ITEMS, channels, side + 2 * pad, side + 2 * pad), np.float32)
    weights = draw.standard_normal((outputs, channels * kernel * kernel), np.float32)
    number = (side + 2 * pad - kernel) // stride + 1
    columns = np.empty((channels, kernel, kernel, number, number), np.float32)
    places = [
        (i, j, slice(i, i + stride * (number - 1) + 1, stride), slice(j, j + stride * (number - 1) + 1, stride))
        for i in range(kernel)
        for j in range(kernel)
    ]

    def step() -> None:
        gradient = np.zeros_like(weights)
        back = np.zeros_like(x)
        for item in range(ITEMS):
            for i, j, rows, wide in places:
                columns[:, i, j] = x[item, :, rows, wide]
            flat = columns.reshape(weights.shape[1], -1)
            top = weights @ flat
            for i, j, rows, wide in places:  # Caffe makes the columns again for the backward pass
                columns[:, i, j] = x[item, :, rows, wide]
            gradient[:] += top @ flat.T
            of_columns = (weights.T @ top).reshape(columns.shape)
            for i, j, rows, wide in places:
                back[item, :, rows, wide] += of_columns[:, i, j]

    return step


def seconds(step: Callable[[], None]) -> float:
    """The shortest time of a few runs."""
    found = []
    for _ in range(REPEATS):
        started = time.process_time()
        step()
        found.append(time.process_time() - started)
    return min(found)


def main() -> None:
    """Prints the figures."""
    totals = [0.0, 0.0]
    for name, sizes in LAYERS.items():
        ours, plain = seconds(simulated(sizes)), seconds(bare(sizes))
        totals = [totals[0] + ours, totals[1] + plain]
        print(f"{name:16s} {ours:8.4f} s   bare {plain:8.4f} s   ratio {ours / plain:5.2f}")
    print(f"{'all':16s} {totals[0]:8.4f} s   bare {totals[1]:8.4f} s   ratio {totals[0] / totals[1]:5.2f}")


if __name__ == "__main__":
    main()
