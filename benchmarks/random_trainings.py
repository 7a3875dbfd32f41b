"""Trainings made up at random: a solver, its net and the facts about its data, of some twenty families of nets.

Run: python benchmarks/random_trainings.py FOLDER [--families NAME…] [--count 10] [--seed 0]

Writes `FOLDER/FAMILY-NUMBER/` with `solver.prototxt`, `net.prototxt` and `caffe-lint.data.json`. The same family, number and seed
give the same files. The nets are those of real families made small, so that 25 steps are simulated in well under a second; fillers,
nonlinearities, depths, widths, losses and their weights, the range of the data, batches and solvers vary. Learning rates lie
log-uniformly around where such nets begin to diverge.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from net_writer import Images, NetWriter

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.net.data_facts import read_facts
from caffe_lint.net.job import Job, Nets, SolverFile
from caffe_lint.net.weights_origin import StatedOrigin
from caffe_lint.proto.schema import caffe_schema


class RandomTraining(NamedTuple):
    """A training: its family, its name, and the texts of its files by their names."""

    family: str
    name: str
    files: Mapping[str, str]


def trainings(families: Sequence[str], count: int, seed: int = 0) -> Iterator[RandomTraining]:
    """So many trainings of each family, the families in turn."""
    for number in range(count):
        for family in families:
            yield training(family, number, seed)


def training(family: str, number: int, seed: int = 0) -> RandomTraining:
    """One training; the same arguments give the same texts."""
    draw = random.Random(f"{seed}/{family}/{number}")
    net = NetWriter(draw)
    edge = FAMILIES[family](net)
    name = f"{family}-{number:04d}"
    files = {
        "solver.prototxt": _solver(draw, edge / max(1.0, net.input_size) ** 2),
        "net.prototxt": f'name: "{name}"\n{net.text}',
        "caffe-lint.data.json": json.dumps(net.facts, indent=1) + "\n",
    }
    return RandomTraining(family, name, files)


def job_of_training(one: RandomTraining) -> Job:
    """A training as a job that starts from fillers, with the facts about its data."""
    files = Files(caffe_schema(), "bvlc")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in one.files.items():
            (Path(folder) / name).write_text(text)
        facts = read_facts(f"{folder}/caffe-lint.data.json")
        solver = SolverFile(files.get(f"{folder}/solver.prototxt"), None)
        return Nets(files.get, None, facts_for=lambda path: facts, weights=StatedOrigin(from_scratch=True)).job(
            solver, None
        )


# -- the solver ------------------------------------------------------------------------------------------------------

# Of adaptive solvers, the rate by which nets begin to diverge depends little on the net. Set by hand.
_ADAPTIVE_EDGES = {"Adam": 0.03, "RMSProp": 0.01, "AdaGrad": 0.1, "AdaDelta": 30.0}


def _solver(draw: random.Random, edge: float) -> str:
    """A solver; `edge` is about the rate by which SGD without momentum begins to diverge."""
    kind = draw.choice(("SGD",) * 8 + ("Nesterov", "Nesterov", "Adam", "Adam", *_ADAPTIVE_EDGES))
    momentum = draw.choice((0.0, 0.9, 0.9, 0.9, 0.95, 0.99))
    lines = ['net: "net.prototxt"']
    if kind in _ADAPTIVE_EDGES:
        edge = _ADAPTIVE_EDGES[kind]
        momentum = {"Adam": 0.9, "AdaDelta": 0.95}.get(kind, 0.0)
    else:
        edge *= 1 - momentum
    lines.append(f"base_lr: {edge * 10 ** draw.uniform(-1.2, 3.3):.2g}")
    lines += _policy(draw)
    lines.append(f"max_iter: {draw.choice((500, 2000, 10000, 50000))}")
    lines += [f"momentum: {momentum}"] if momentum else []
    lines += ["momentum2: 0.999", "delta: 1e-8"] if kind == "Adam" and draw.random() < 0.5 else []
    lines += ["delta: 1e-6"] if kind == "AdaDelta" else []
    lines += ["rms_decay: 0.98"] if kind == "RMSProp" else []
    lines += [f"weight_decay: {draw.choice((0.0005, 0.0005, 0.0001, 0.005))}"] if draw.random() < 0.8 else []
    lines += ['regularization_type: "L1"'] if draw.random() < 0.05 else []
    lines += [f"iter_size: {draw.choice((2, 4))}"] if draw.random() < 0.1 else []
    lines += [f"clip_gradients: {draw.choice((0.1, 1, 5, 10, 35))}"] if draw.random() < 0.15 else []
    lines += [f'type: "{kind}"', "display: 20", "snapshot: 5000", 'snapshot_prefix: "snapshot"', "solver_mode: CPU"]
    return "\n".join(lines) + "\n"


def _policy(draw: random.Random) -> list[str]:
    return draw.choice(
        (
            ['lr_policy: "fixed"'],
            ['lr_policy: "step"', "gamma: 0.1", "stepsize: 400"],
            ['lr_policy: "inv"', "gamma: 0.0001", "power: 0.75"],
            ['lr_policy: "poly"', "power: 1"],
            ['lr_policy: "multistep"', "gamma: 0.5", "stepvalue: 200", "stepvalue: 400"],
        )
    )


# -- families: each writes a net, and gives the rate by which SGD begins to diverge if the data are about 1 ------------


def _classes(net: NetWriter) -> int:
    return net.draw.choice((2, 5, 10, 10, 20, 100))


def _lenet(net: NetWriter) -> float:
    """Convolutions, pooling, fully connected layers."""
    draw = net.draw
    images = Images(draw.choice((1, 3)), draw.choice((16, 20, 28)), _classes(net))
    blob = net.images(images)
    for _ in range(draw.randint(1, 3)):
        blob = net.pool(net.unit(blob, draw.choice((8, 16, 24)), draw.choice((3, 5))))
    for _ in range(draw.randint(0, 2)):
        blob = net.hidden(blob, draw.choice((32, 64, 128)))
    net.classified(blob, images.classes)
    return 0.3


def _mlp(net: NetWriter) -> float:
    """A plain net of fully connected layers, shallow or deep, down to a softmax regression."""
    draw = net.draw
    columns, classes = draw.choice((8, 20, 64, 200)), _classes(net)
    facts = net.table(columns)
    net.input_of_table(facts)
    net.arrays(data=facts, label=net.whole(0, classes - 1))
    blob = "data"
    for _ in range(draw.choice((0, 1, 2, 3, 5, 8))):
        blob = net.hidden(blob, draw.choice((16, 32, 64, 128)))
    net.classified(blob, classes)
    return 0.5


def _zero_start(net: NetWriter) -> float:
    """The last layer starts at 0: the loss starts at that of chance, and the layers below learn from the second step on."""
    draw = net.draw
    columns, classes = draw.choice((8, 20, 64)), _classes(net)
    facts = net.table(columns)
    net.input_of_table(facts)
    net.arrays(data=facts, label=net.whole(0, classes - 1))
    blob = "data"
    for _ in range(draw.choice((0, 0, 1, 2))):
        blob = net.hidden(blob, draw.choice((16, 32, 64)))
    scores = net.layer(
        "InnerProduct",
        blob,
        "score",
        f'inner_product_param {{ num_output: {classes} weight_filler {{ type: "constant" }} }}',
    )
    net.loss("SoftmaxWithLoss", f"{scores} label")
    return 0.5


def _deep_plain(net: NetWriter) -> float:
    """VGG: many convolutions of 3 x 3 without shortcuts."""
    draw = net.draw
    images = Images(3, draw.choice((16, 24)), _classes(net))
    blob, width = net.images(images), draw.choice((8, 12, 16))
    for stage in range(3):
        for _ in range(draw.randint(1, 4)):
            blob = net.unit(blob, width * 2 ** min(stage, 1))
        blob = net.pool(blob)
    if draw.random() < 0.6:
        blob = net.hidden(blob, 64)
    net.classified(blob, images.classes)
    return 0.1


def _alexnet(net: NetWriter) -> float:
    """Groups, LRN, overlapping pooling, Dropout."""
    draw = net.draw
    images = Images(3, draw.choice((20, 28)), _classes(net))
    blob = net.images(images, crop=images.side - draw.choice((2, 4)))
    for number in range(draw.randint(2, 3)):
        group = " group: 2" if number else ""
        blob = net.activated(net.conv(blob, draw.choice((16, 24, 32)), draw.choice((3, 5)), more=group))
        blob = net.local_norm(net.pool(blob, 3, 2)) if draw.random() < 0.5 else net.pool(net.local_norm(blob), 3, 2)
    for _ in range(draw.randint(1, 2)):
        blob = net.dropout(net.activated(net.product(blob, draw.choice((64, 128)))))
    net.classified(blob, images.classes)
    return 0.2


def _residual(net: NetWriter) -> float:
    """Blocks with shortcuts, with BatchNorm or without."""
    draw = net.draw
    net.batch_norm = draw.random() < 0.7
    images = Images(3, 16, _classes(net))
    width = draw.choice((8, 12, 16))
    blob = net.unit(net.images(images), width)
    for block in range(draw.randint(2, 6)):
        stride = 2 if block in (2, 4) else 1
        inner = net.conv(net.unit(blob, width * stride, stride=stride), width * stride)
        inner = net.normalised(inner) if net.batch_norm else inner
        shortcut = net.conv(blob, width * stride, 1, stride=2) if stride > 1 else blob
        width *= stride
        blob = net.activated(net.joined([shortcut, inner], "SUM"), "ReLU")
    net.classified(net.global_pool(blob), images.classes)
    return 0.3


def _dense(net: NetWriter) -> float:
    """Layers that read all that is below them, by Concat."""
    draw = net.draw
    images = Images(3, 16, _classes(net))
    growth = draw.choice((4, 8, 12))
    blob = net.conv(net.images(images), 2 * growth)
    width = 2 * growth
    for _ in range(draw.randint(1, 2)):
        for _ in range(draw.randint(2, 5)):
            inner = blob
            if net.batch_norm:
                net.in_place = False
                inner = net.normalised(blob)
            net.in_place = False
            inner = net.conv(net.activated(inner), growth)
            inner = net.dropout(inner) if draw.random() < 0.2 else inner
            blob, width = net.joined([blob, inner]), width + growth
        blob, width = net.pool(net.conv(blob, width // 2, 1)), width // 2
    net.classified(net.global_pool(blob), images.classes)
    return 0.3


def _inception(net: NetWriter) -> float:
    """Branches of different kernels, and losses beside the main one."""
    draw = net.draw
    images = Images(3, 12, _classes(net))
    blob = net.unit(net.images(images), 12)
    for block in range(draw.randint(1, 2)):
        branches = [net.unit(blob, draw.choice((4, 8)), kernel) for kernel in (1, 3, 5)]
        pooled = net.layer(
            "Pooling", blob, net.fresh("pool"), "pooling_param { pool: MAX kernel_size: 3 stride: 1 pad: 1 }"
        )
        branches.append(net.unit(pooled, 8, 1))
        blob = net.joined(branches)
        if block == 0 and draw.random() < 0.7:
            beside = net.hidden(net.pool(blob, 4, 4, kind="AVE"), 32)
            net.classified(beside, images.classes, weight=draw.choice((0.1, 0.3, 0.3, 1, 10)))
    net.classified(net.global_pool(blob), images.classes)
    return 0.3


def _siamese(net: NetWriter) -> float:
    """Two halves with shared parameters and a contrastive loss."""
    draw = net.draw
    side = draw.choice((12, 20))
    facts = net.table(2, side, side, like=draw.choice(("raw", "unit")))
    net.input_of_table(facts)
    net.arrays(pair_data=facts, sim=net.whole(0, 1))
    net.layer("Slice", "pair_data", "data data_p", "slice_param { slice_dim: 1 slice_point: 1 }", name="slice_pair")
    ends, settings = [], (draw.randint(1, 2), draw.choice((8, 16)), draw.choice((32, 64)), draw.choice((2, 8, 32)))
    is_fully_connected = draw.random() < 0.3
    kinds = [draw.choice(("MAX", "AVE")) for _ in range(settings[0])]
    net.batch_norm, state, style = False, draw.getstate(), net.number
    for half in ("", "_p"):
        draw.setstate(state)  # the same layers in both halves
        net.part, net.number = half, style
        blob = f"data{half}"
        for number in range(0 if is_fully_connected else settings[0]):
            blob = net.activated(net.conv(blob, settings[1], 3, top=f"conv{number}{half}"))
            blob = net.layer(
                "Pooling",
                blob,
                f"pool{number}{half}",
                f"pooling_param {{ pool: {kinds[number]} kernel_size: 2 stride: 2 }}",
            )
        blob = net.activated(net.product(blob, settings[2], top=f"ip{half}"))
        ends.append(net.product(blob, settings[3], top=f"feat{half}"))
    net.part = None
    param = f"contrastive_loss_param {{ margin: {draw.choice((0.5, 1, 1, 2, 10))}{draw.choice(('', '', ' legacy_version: true'))} }}"
    if draw.random() < 0.7:
        net.parts = [_with_named_biases(part) for part in net.parts]
    net.loss("ContrastiveLoss", f"{ends[0]} {ends[1]} sim", settings=param)
    return 0.1


def _with_named_biases(part: str) -> str:
    """Siamese nets share their parameters with the usual rates."""
    return part.replace("lr_mult: 2 decay_mult: 0", "lr_mult: 2")


def _triplet(net: NetWriter) -> float:
    """Three parts with shared parameters, of one batch, and a triplet loss made of BVLC's layers."""
    draw = net.draw
    columns, width, features = draw.choice((16, 64)), draw.choice((32, 64)), draw.choice((4, 16))
    facts = net.table(3, columns, like=draw.choice(("unit", "standard", "raw")))
    net.input_of_table(facts)
    net.arrays(triplet=facts)
    net.layer(
        "Slice",
        "triplet",
        "anchor positive negative",
        "slice_param { axis: 1 slice_point: 1 slice_point: 2 }",
        name="parts",
    )
    net.batch_norm, state, depth, ends = False, draw.getstate(), draw.randint(1, 3), []
    for part in ("anchor", "positive", "negative"):
        draw.setstate(state)
        net.part, net.number = f"_{part}", 0
        blob = part
        for number in range(depth):
            blob = net.activated(net.product(blob, width, top=f"ip{number}_{part}"))
        ends.append(net.product(blob, features, top=f"feat_{part}"))
    net.part = None
    for other in ("positive", "negative"):
        net.layer(
            "Eltwise",
            f"{ends[0]} feat_{other}",
            f"minus_{other}",
            "eltwise_param { operation: SUM coeff: 1 coeff: -1 }",
        )
        net.layer("Reduction", f"minus_{other}", f"distance_{other}", "reduction_param { operation: SUMSQ axis: 1 }")
    net.layer(
        "Eltwise",
        "distance_positive distance_negative",
        "margin",
        "eltwise_param { operation: SUM coeff: 1 coeff: -1 }",
    )
    net.layer("Power", "margin", "shifted", f"power_param {{ shift: {draw.choice((0.2, 1, 5))} }}")
    net.layer("ReLU", "shifted", "violation", name="hinge")
    operation, weight = draw.choice((("MEAN", 1), ("SUM", round(1 / net.batch, 4)), ("SUM", 1)))
    net.layer(
        "Reduction",
        "violation",
        "loss",
        f"reduction_param {{ operation: {operation} }}",
        extra=[f"loss_weight: {weight}"],
    )
    return 0.05


def _autoencoder(net: NetWriter) -> float:
    """Fully connected layers down to a code and up again; cross entropy, with a Euclidean loss beside or alone."""
    draw = net.draw
    columns = draw.choice((64, 144, 256))
    like = draw.choice(("unit", "unit", "standard"))
    facts = net.table(columns, like=like)
    net.input_of_table(facts)
    net.arrays(data=facts)
    net.batch_norm = False
    widths = draw.choice(((64, 8), (128, 32, 8), (32,), (128, 64, 16, 4), (100, 2)))
    blob = "data"
    kind = draw.choice(("Sigmoid", "Sigmoid", "ReLU", "TanH"))
    if draw.random() < 0.3:
        net.filler, net.size = "gaussian", draw.choice((0.01, 0.1, 1.0))
        sparse = True
    else:
        sparse = False
    for width in (*widths, *reversed(widths[:-1])):
        blob = net.product(blob, width)
        blob = net.activated(blob, kind)
    if sparse:
        net.parts = [part.replace('type: "gaussian"', 'type: "gaussian" sparse: 15') for part in net.parts]
    decoded = net.product(blob, columns, top="decode")
    loss = draw.choice(("cross", "cross", "both", "euclidean")) if like == "unit" else "euclidean"
    if loss in ("cross", "both"):
        net.loss("SigmoidCrossEntropyLoss", f"{decoded} data", weight=draw.choice((None, 1.0)))
    if loss == "both":
        net.layer("Sigmoid", decoded, "decode_n")
        net.loss("EuclideanLoss", "decode_n data", weight=draw.choice((0.0, 1.0, 0.1)))
    elif loss == "euclidean":
        net.loss("EuclideanLoss", f"{decoded} data")
    return 0.05


def _image_autoencoder(net: NetWriter) -> float:
    """Convolutions with stride down, Deconvolutions up, and a Euclidean loss on the image itself."""
    draw = net.draw
    blob = data = net.images(Images(draw.choice((1, 3)), 16, 10), label=False)
    channels = net.facts["data/train_lmdb"]["shape"][0]
    depth, width = draw.randint(1, 2), draw.choice((8, 16))
    for _ in range(depth):
        blob = net.unit(blob, width, 3, stride=2)
    for number in range(depth):
        outputs = width if number < depth - 1 else channels
        settings = f"num_output: {outputs} kernel_size: 4 stride: 2 pad: 1 {net.weights()}"
        blob = net.layer("Deconvolution", blob, net.fresh("deconv"), f"convolution_param {{ {settings} }}")
        blob = net.activated(blob) if number < depth - 1 else blob
    net.loss("EuclideanLoss", f"{blob} {data}", weight=draw.choice((None, 0.01, 0.001)))
    return 0.001


def _fcn(net: NetWriter) -> float:
    """Segmentation: scores of patches, enlarged by a Deconvolution that interpolates or learns, cropped, with or without a skip."""
    draw = net.draw
    side, classes = draw.choice((16, 24)), draw.choice((2, 5, 21))
    facts = net.table(3, side, side, like=draw.choice(("unit", "raw")))
    net.input_of_table(facts)
    net.arrays(data=facts, label=net.whole(0, classes - 1, 1, side, side))
    blob, width = net.unit("data", 8), draw.choice((8, 16))
    skip = blob = net.pool(net.unit(blob, width))
    blob = net.pool(net.unit(blob, 2 * width))
    for _ in range(draw.randint(0, 1)):
        blob = net.dropout(net.unit(blob, 32, 1))
    blob = net.conv(blob, classes, 1, small=True)
    interpolates = draw.random() < 0.5
    if draw.random() < 0.5:
        blob = _enlarged(net, blob, classes, 2, interpolates=interpolates)
        blob = net.joined([_cropped(net, blob, skip), net.conv(skip, classes, 1, small=True)], "SUM")
    else:
        blob = _enlarged(net, blob, classes, 2, interpolates=interpolates)
    blob = _cropped(net, _enlarged(net, blob, classes, 2, interpolates=interpolates), "data")
    settings = draw.choice(
        ("", "loss_param { ignore_label: 255 normalize: false }", "loss_param { normalization: BATCH_SIZE }")
    )
    net.loss("SoftmaxWithLoss", f"{blob} label", settings=settings)
    return 0.05


def _enlarged(net: NetWriter, bottom: str, outputs: int, factor: int, *, interpolates: bool) -> str:
    kernel = 2 * factor
    top = net.fresh("upscore")
    if interpolates:
        own = f'num_output: {outputs} group: {outputs} bias_term: false weight_filler {{ type: "bilinear" }}'
        settings = f"{own} kernel_size: {kernel} stride: {factor} pad: {factor // 2}"
        return net.layer(
            "Deconvolution",
            bottom,
            top,
            f"convolution_param {{ {settings} }}",
            extra=["param { lr_mult: 0 decay_mult: 0 }"],
        )
    settings = f"num_output: {outputs} bias_term: false kernel_size: {kernel} stride: {factor} {net.weights()}"
    return net.layer("Deconvolution", bottom, top, f"convolution_param {{ {settings} }}")


def _cropped(net: NetWriter, bottom: str, like: str) -> str:
    return net.layer("Crop", f"{bottom} {like}", net.fresh("crop"), "crop_param { axis: 2 offset: 0 }")


def _unet(net: NetWriter) -> float:
    """Down and up again, with Concat from the way down."""
    draw = net.draw
    side, classes = 16, draw.choice((2, 4))
    facts = net.table(1, side, side, like=draw.choice(("unit", "standard", "raw")))
    net.input_of_table(facts)
    net.arrays(data=facts, label=net.whole(0, classes - 1, 1, side, side))
    blob, width, kept = "data", draw.choice((8, 12)), []
    for level in range(2):
        blob = net.unit(net.unit(blob, width * 2**level), width * 2**level)
        kept.append(blob)
        blob = net.pool(blob, kind="MAX")
    blob = net.unit(blob, width * 4)
    for level in (1, 0):
        settings = f"num_output: {width * 2**level} kernel_size: 2 stride: 2 {net.weights()}"
        up = net.layer("Deconvolution", blob, net.fresh("up"), f"convolution_param {{ {settings} }}")
        blob = net.unit(net.joined([net.activated(up), kept[level]]), width * 2**level)
    net.loss("SoftmaxWithLoss", f"{net.conv(blob, classes, 1, small=True)} label")
    return 0.1


def _detection(net: NetWriter) -> float:
    """A grid of cells, each with scores of classes and a box: a loss for either."""
    draw = net.draw
    side, classes, cells = 24, draw.choice((2, 5, 20)), 6
    facts = net.table(3, side, side, like=draw.choice(("unit", "raw")))
    net.input_of_table(facts)
    boxes = net.table(4, cells, cells, like=draw.choice(("unit", "standard", "raw")))
    net.arrays(data=facts, label=net.whole(0, classes - 1, 1, cells, cells), boxes=boxes)
    blob = net.pool(net.unit("data", draw.choice((8, 16))))
    blob = net.pool(net.unit(blob, draw.choice((16, 32))))
    blob = net.unit(blob, 32)
    if draw.random() < 0.5:
        both = net.conv(blob, classes + 4, 1, small=True)
        net.layer("Slice", both, "scores offsets", f"slice_param {{ axis: 1 slice_point: {classes} }}", name="heads")
        scores, offsets = "scores", "offsets"
    else:
        scores, offsets = net.conv(blob, classes, 1, small=True), net.conv(net.unit(blob, 16), 4, 1, small=True)
    offsets = net.activated(offsets, "Sigmoid") if boxes["max"] == 1 and draw.random() < 0.5 else offsets
    net.loss("SoftmaxWithLoss", f"{scores} label")
    net.loss("EuclideanLoss", f"{offsets} boxes", weight=draw.choice((0.01, 0.1, 1, 1, 5)))
    return 0.02


def _lstm(net: NetWriter) -> float:
    """Sequences of words through an Embed and an LSTM or RNN."""
    draw = net.draw
    words, steps, streams, width = (
        draw.choice((20, 100)),
        draw.choice((5, 10)),
        draw.choice((4, 8)),
        draw.choice((16, 32)),
    )
    net.arrays(
        batch=steps,
        cont=net.whole(0, 1, streams),
        input_sentence=net.whole(0, words - 1, streams),
        target_sentence=net.whole(0, words - 1, streams),
    )
    filler = f'weight_filler {{ type: "uniform" min: -{net.size:.2g} max: {net.size:.2g} }}'
    blob = net.layer(
        "Embed",
        "input_sentence",
        "embedding",
        f"embed_param {{ input_dim: {words} num_output: {width} bias_term: false {filler} }}",
    )
    blob = net.dropout(blob) if draw.random() < 0.3 else blob
    for number in range(draw.randint(1, 2)):
        kind = draw.choice(("LSTM", "LSTM", "RNN"))
        settings = f'recurrent_param {{ num_output: {width} {filler} bias_filler {{ type: "constant" value: 0 }} }}'
        blob = net.layer(kind, f"{blob} cont", f"{kind.lower()}{number}", settings)
    settings = f"inner_product_param {{ num_output: {words} axis: 2 {filler} }}"
    scores = net.layer("InnerProduct", blob, "predict", settings)
    settings = draw.choice(
        ("softmax_param { axis: 2 }\n  loss_param { ignore_label: -1 }", "softmax_param { axis: 2 }")
    )
    net.loss(
        "SoftmaxWithLoss",
        f"{scores} target_sentence",
        weight=draw.choice((None, None, float(steps))),
        settings=settings,
    )
    return 1.0


def _sequence(net: NetWriter) -> float:
    """Sequences of measured values through an LSTM or RNN to a regression at each step."""
    draw = net.draw
    steps, streams, columns, width = (
        draw.choice((5, 8)),
        draw.choice((4, 8)),
        draw.choice((3, 12)),
        draw.choice((16, 32)),
    )
    facts = net.table(streams, columns, like=draw.choice(("unit", "standard", "raw")))
    net.input_of_table(facts)
    net.arrays(
        batch=steps,
        data=facts,
        cont=net.whole(0, 1, streams),
        target=net.table(streams, 2, like=draw.choice(("standard", "raw"))),
    )
    kind = draw.choice(("LSTM", "LSTM", "RNN"))
    settings = f"recurrent_param {{ num_output: {width} {net.weights()} }}"
    blob = net.layer(kind, "data cont", "recurrent", settings)
    out = net.layer(
        "InnerProduct", blob, "out", f"inner_product_param {{ num_output: 2 axis: 2 {net.weights(small=True)} }}"
    )
    net.loss("EuclideanLoss", f"{out} target")
    return 0.05


def _gan(net: NetWriter) -> float:
    """A generator and a discriminator of real and made images, trained at once: two losses that share parameters."""
    draw = net.draw
    columns, noise, width = draw.choice((32, 100)), draw.choice((4, 16)), draw.choice((32, 64))
    facts = net.table(columns, like=draw.choice(("unit", "standard")))
    net.input_of_table(facts)
    net.arrays(data=facts)
    net.batch_norm, batch = False, net.batch
    fillers = [
        ('"gaussian" std: 1', f"dim: {batch} dim: {noise}"),
        ('"constant" value: 1', f"dim: {batch} dim: 1"),
        ('"constant" value: 0', f"dim: {batch} dim: 1"),
    ]
    shapes = " ".join(f"shape {{ {shape} }}" for _, shape in fillers)
    settings = (
        f"dummy_data_param {{ {shapes} {' '.join(f'data_filler {{ type: {filler} }}' for filler, _ in fillers)} }}"
    )
    net.layer("DummyData", "", "noise real made", settings, name="noise")
    image = net.product(net.hidden("noise", width), columns, top="image")
    image = net.activated(image, "Sigmoid" if facts["max"] == 1 else "TanH") if draw.random() < 0.7 else image
    state, depth = draw.getstate(), draw.randint(1, 2)
    for blob, answer in (("data", "real"), (image, "made")):
        draw.setstate(state)
        net.part = f"_{answer}"
        for number in range(depth):
            blob = net.activated(net.product(blob, width, top=f"d{number}_{answer}"))
        score = net.product(blob, 1, top=f"score_{answer}")
        net.part = None
        net.loss(
            "SigmoidCrossEntropyLoss",
            f"{score} {answer}",
            weight=None if answer == "real" else draw.choice((None, 0.5, 0.1)),
        )
    return 0.1


def _regression(net: NetWriter) -> float:
    """Tables and a Euclidean loss, on targets that are standardised or raw."""
    draw = net.draw
    facts = net.table(draw.choice((5, 10, 40)))
    net.input_of_table(facts)
    targets = draw.choice((1, 1, 4))
    net.arrays(data=facts, target=net.table(targets))
    blob = "data"
    for _ in range(draw.choice((0, 1, 2, 3))):
        blob = net.hidden(blob, draw.choice((16, 32, 64)))
    net.loss(
        "EuclideanLoss", f"{net.product(blob, targets, small=True)} target", weight=draw.choice((None, None, 0.1, 10))
    )
    return 0.05


def _landmarks(net: NetWriter) -> float:
    """Images and a regression on several coordinates."""
    draw = net.draw
    side, points = 20, draw.choice((2, 10, 30))
    facts = net.table(1, side, side, like=draw.choice(("unit", "raw", "standard")))
    net.input_of_table(facts)
    net.arrays(data=facts, points=net.table(points, like=draw.choice(("unit", "standard", "raw"))))
    blob = "data"
    for _ in range(draw.randint(1, 3)):
        blob = net.pool(net.unit(blob, draw.choice((8, 16, 32))))
    blob = net.hidden(blob, draw.choice((32, 64)))
    net.loss("EuclideanLoss", f"{net.product(blob, points, small=True)} points")
    return 0.02


def _attributes(net: NetWriter) -> float:
    """Several yes-or-no questions about an image, by cross entropy of sigmoids, which Caffe sums over them."""
    draw = net.draw
    side, number = 16, draw.choice((1, 5, 40))
    facts = net.table(3, side, side, like=draw.choice(("unit", "raw")))
    net.input_of_table(facts)
    net.arrays(data=facts, attributes=net.whole(0, 1, number))
    blob = net.pool(net.unit("data", draw.choice((8, 16))))
    blob = net.hidden(net.pool(net.unit(blob, 16)), 32)
    net.loss(
        "SigmoidCrossEntropyLoss",
        f"{net.product(blob, number, small=True)} attributes",
        weight=draw.choice((None, None, 0.1, 100)),
    )
    return 0.1


def _gated(net: NetWriter) -> float:
    """Branches that are multiplied: gates of sigmoids, or products of scores."""
    draw = net.draw
    images = Images(3, 16, _classes(net))
    blob, width = net.images(images), draw.choice((8, 16))
    for _ in range(draw.randint(1, 3)):
        left = net.unit(blob, width)
        right = net.conv(blob, width)
        right = net.activated(right, draw.choice(("Sigmoid", "Sigmoid", "TanH", "ReLU")))
        blob = net.joined([left, right], draw.choice(("PROD", "PROD", "PROD", "MAX", "SUM")))
        blob = net.pool(blob) if draw.random() < 0.6 else blob
    net.classified(net.hidden(blob, 32), images.classes)
    return 0.2


def _mobile(net: NetWriter) -> float:
    """Convolutions of single channels (groups) and of 1 x 1 in turn."""
    draw = net.draw
    net.batch_norm = draw.random() < 0.6
    images = Images(3, 16, _classes(net))
    width = draw.choice((8, 16))
    blob = net.unit(net.images(images), width, stride=2)
    for _ in range(draw.randint(2, 4)):
        blob = net.unit(blob, width, 3, more=f" group: {width}")
        width = min(48, width * draw.choice((1, 2)))
        blob = net.unit(blob, width, 1)
    net.classified(net.global_pool(blob), images.classes)
    return 0.3


def _standardised(net: NetWriter) -> float:
    """MVN, Scale and Bias on their own, Power, and the rarer reshaping layers."""
    draw = net.draw
    images = Images(3, 16, _classes(net))
    net.batch_norm = False
    blob = net.conv(net.images(images), draw.choice((8, 16)))
    for _ in range(draw.randint(1, 3)):
        settings = draw.choice(("", "mvn_param { normalize_variance: false }", "mvn_param { across_channels: true }"))
        blob = net.layer("MVN", blob, net.fresh("mvn"), settings)
        if draw.random() < 0.5:
            blob = net.layer("Scale", blob, net.fresh("scaled"), "scale_param { bias_term: true }")
        if draw.random() < 0.3:
            blob = net.layer("Bias", blob, net.fresh("biased"), 'bias_param { filler { type: "constant" value: 0.1 } }')
        blob = net.pool(net.conv(net.activated(blob), 16))
    blob = net.layer("Flatten", blob, "flat") if draw.random() < 0.5 else blob
    net.classified(net.hidden(blob, 32), images.classes)
    return 0.2


FAMILIES: dict[str, Callable[[NetWriter], float]] = {
    "lenet": _lenet, "mlp": _mlp, "zero_start": _zero_start, "deep_plain": _deep_plain, "alexnet": _alexnet, "residual": _residual,
    "dense": _dense, "inception": _inception, "siamese": _siamese, "triplet": _triplet, "autoencoder": _autoencoder,
    "image_autoencoder": _image_autoencoder, "fcn": _fcn, "unet": _unet, "detection": _detection, "lstm": _lstm, "sequence": _sequence,
    "gan": _gan, "regression": _regression, "landmarks": _landmarks, "attributes": _attributes, "gated": _gated, "mobile": _mobile,
    "standardised": _standardised,
}  # fmt: skip


def main() -> None:
    """Writes the trainings to a folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--families", nargs="+", choices=sorted(FAMILIES), default=list(FAMILIES), metavar="NAME")
    parser.add_argument("--count", type=int, default=10, help="trainings of each family")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for one in trainings(options.families, options.count, options.seed):
        folder = options.folder / one.name
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in one.files.items():
            (folder / name).write_text(text)


if __name__ == "__main__":
    main()
