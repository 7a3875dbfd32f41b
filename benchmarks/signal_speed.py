"""How fast a training is judged, against reading its files, and as nets grow.

    python benchmarks/signal_speed.py [--layers 150 --layers 600 --layers 2400]

Residual nets of convolutions, BatchNorm, Scale and ReLU are made in as many layers as asked for. All numbers are
ratios of two things measured in turns in one run: the signal of iteration 0, the verdict with its simulation, and the
limits of a training that explodes, each as a multiple of reading solver and net and building the net.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.stability.advice.limits import limits
from caffe_lint.stability.signal.features import signal_of
from caffe_lint.stability.signal.passes import Back, Pass, initial_weights
from caffe_lint.stability.signal.training import Training, training_of_file

REPEATS = 5
SOLVER = 'net: "net.prototxt" base_lr: {rate} momentum: 0.9 lr_policy: "fixed" max_iter: 10000\n'
HEAD = """\
layer {
  name: "data" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 32 dim: 3 dim: 64 dim: 64 } shape { dim: 32 } }
}
layer {
  name: "block0" type: "Convolution" bottom: "data" top: "block0"
  convolution_param { num_output: 64 kernel_size: 7 stride: 2 pad: 3 weight_filler { type: "msra" } }
}
"""
BLOCK = """\
layer {{
  name: "conv{i}" type: "Convolution" bottom: "{below}" top: "conv{i}"
  convolution_param {{ num_output: 64 kernel_size: 3 pad: 1 bias_term: false weight_filler {{ type: "msra" }} }}
}}
layer {{ name: "bn{i}" type: "BatchNorm" bottom: "conv{i}" top: "conv{i}" }}
layer {{ name: "scale{i}" type: "Scale" bottom: "conv{i}" top: "conv{i}" scale_param {{ bias_term: true }} }}
layer {{ name: "relu{i}" type: "ReLU" bottom: "conv{i}" top: "conv{i}" }}
layer {{ name: "block{i}" type: "Eltwise" bottom: "{below}" bottom: "conv{i}" top: "block{i}" }}
"""
TAIL = """\
layer {{
  name: "scores" type: "InnerProduct" bottom: "{below}" top: "scores"
  inner_product_param {{ num_output: 10 weight_filler {{ type: "msra" }} }}
}}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss" }}
"""


def written(folder: Path, layers: int, rate: float) -> str:
    """The path of a solver whose net has about so many layers."""
    blocks = max(1, (layers - 4) // 5)
    text = HEAD + "".join(BLOCK.format(i=i + 1, below=f"block{i}") for i in range(blocks))
    (folder / "net.prototxt").write_text(text + TAIL.format(below=f"block{blocks}"))
    (folder / "solver.prototxt").write_text(SOLVER.format(rate=rate))
    return str(folder / "solver.prototxt")


def read(path: str) -> Training:
    """The training of a solver, read anew."""
    files = Files(caffe_schema(), "bvlc")
    training = training_of_file(files.get(path), files.get, {})
    assert isinstance(training, Training)
    return training


def least_time(work: Callable[[], object]) -> float:
    """The processor's time, the least of several."""
    found = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def first_iteration(training: Training) -> Back:
    """The signal of iteration 0."""
    return Back(Pass(training.prepared, initial_weights(training.net)))


def main() -> None:
    """Prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, action="append")
    print(f"{'layers':>7s} {'signal':>8s} {'verdict':>8s} {'verdict and limits':>19s}   of reading the files")
    for layers in parser.parse_args().layers or [150, 600, 2400]:
        with tempfile.TemporaryDirectory() as name:
            path = written(Path(name), layers, 1e4)
            reading = least_time(lambda path=path: read(path))  # type: ignore[misc]
            training = read(path)
            times = [
                least_time(lambda training=training: first_iteration(training)),  # type: ignore[misc]
                least_time(lambda training=training: signal_of(training)),  # type: ignore[misc]
                least_time(lambda training=training: limits([signal_of(training)])),  # type: ignore[misc]
            ]
            signal, verdict, all_of_it = (each / reading for each in times)
            print(f"{len(training.net.layers):7d} {signal:8.2f} {verdict:8.2f} {all_of_it:19.2f}")


if __name__ == "__main__":
    main()
