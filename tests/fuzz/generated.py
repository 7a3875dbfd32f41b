"""Random nets and solvers, built from the schema and from a layer of each type; and changes of them.

Each is a function of a source of choices: hypothesis's in the tests, the bytes of a fuzzer in long runs.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import mutate
from layer_cases import MADE, Made

from caffe_lint.layers.record import traits_of
from caffe_lint.proto.schema import FieldType, MessageType, caffe_schema

# What no training has: the largest int32 and the first number that is no int64, the largest and the least double.
EXTREMES = ("nan", "inf", "-inf", "0", "-1", "1", "2147483647", "9223372036854775808", "1e308", "5e-324")
_USUAL = ("0", "1", "2", "3", "4", "5", "8", "16", "0.5", "0.1", "0.001", "-1", "1e-5", "100")
_BLOB = re.compile(r'((?:bottom|top): )"(\w+)"')
_TYPE = re.compile(r'type: "(\w+)"')
_NUMERIC = ("float", "double", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64")
_NAMES = ("a", "b", "w", "conv1", "stage", "s1", "net.prototxt", "", "x y", "ä", "\\001")
_SAME_SHAPE = (
    'type: "ReLU" bottom: "%s" top: "%s"', 'type: "BatchNorm" bottom: "%s" top: "%s"', 'type: "Dropout" bottom: "%s" top: "%s"',
    'type: "Scale" bottom: "%s" top: "%s" scale_param { bias_term: true }', 'type: "LRN" bottom: "%s" top: "%s"',
    'type: "Convolution" bottom: "%s" top: "%s" convolution_param { num_output: 3 kernel_size: 3 pad: 1 weight_filler { type: "msra" } }',
    'type: "Sigmoid" bottom: "%s" top: "%s"', 'type: "Power" bottom: "%s" top: "%s" power_param { scale: 2 }',
)  # fmt: skip
_RULES = (
    "include { phase: TRAIN }", "include { phase: TEST }", 'include { stage: "s1" }', 'exclude { not_stage: "s1" }',
    "exclude { min_level: 1 }", "include { max_level: 2 phase: TEST }", 'exclude { stage: "a" stage: "b" }',
    'param { name: "w" lr_mult: 1 } param { lr_mult: 0 }', 'param { name: "w" }', "loss_weight: 0.5", "propagate_down: false",
    "phase: TEST", 'param { name: "w" share_mode: PERMISSIVE }', "loss_weight: -1 loss_weight: 2",
)  # fmt: skip
_LEGACY = (
    'input: "data" input_dim: 2 input_dim: 3 input_dim: 8 input_dim: 8\nlayers { name: "c" type: CONVOLUTION bottom: "data" top: "c" '
    'blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0 convolution_param { num_output: 2 kernel_size: 3 } }\n'
    'layers { name: "p" type: POOLING bottom: "c" top: "p" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }\n',
    'layers { layer { name: "d" type: "data" source: "db" batchsize: 2 scale: 0.004 meanfile: "m" } top: "data" top: "label" }\n'
    'layers { layer { name: "i" type: "innerproduct" num_output: 3 biasterm: true weight_filler { type: "xavier" } } bottom: "data" top: "i" }\n'
    'layers { layer { name: "l" type: "softmax_loss" } bottom: "i" bottom: "label" }\n',
    'layers { name: "d" type: DATA top: "data" top: "label" data_param { source: "db" batch_size: 2 backend: LMDB } '
    "transform_param { crop_size: 7 mean_value: 104 } }\n",
)


class Job(NamedTuple):
    """The texts of a solver and its net, by path, and the dialect that their layers are of."""

    texts: dict[str, bytes]
    dialect: str


def job(chance: random.Random) -> Job:
    """Return a solver with a net that Caffe could build, for the greatest part."""
    text, dialect = net(chance)
    return Job({"solver.prototxt": solver(chance).encode(), "net.prototxt": text.encode()}, dialect)


def mutated_job(chance: random.Random) -> Job:
    """Return a solver and its net with mistakes in one of them, or in both."""
    texts, dialect = job(chance)
    for path in chance.choice((("net.prototxt",), ("net.prototxt",), ("solver.prototxt",), tuple(texts))):
        texts[path] = mutate.mutated(texts[path], chance).text
    return Job(texts, dialect)


def extreme_job(chance: random.Random) -> Job:
    """Return a small solver and net with a number that no training has in one numeric field of all."""
    fields = numeric_fields()
    return job_with(fields[chance.randrange(len(fields))], chance.choice(EXTREMES))


def job_with(path: tuple[str, ...], value: str) -> Job:
    """Return a small solver and net in which one numeric field, such as `layer.convolution_param.pad`, has a value."""
    place, *inside = path
    written = " { ".join(inside) + f": {value}" + " }" * (len(inside) - 1)
    layer, solver_lines = "", _SOLVER
    if place == "solver":
        solver_lines += written + "\n"
    case = _case_of(inside[0]) if place == "layer" else None
    parts = [f'layer {{ name: "in{number}" type: "Input" top: "{name}" input_param {{ shape {{ {_dims(shape)} }} }} }}'
             for number, (name, shape) in enumerate((case.inputs if case else {"x": "2 3 8 8"}).items())]  # fmt: skip
    if place == "layer":
        layer = case.layer if case else 'type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 2 }'
        parts.append(f'layer {{ name: "it" {layer} {written} }}')
    elif place == "net":
        parts.append(written)
    text = "\n".join([*parts, ""])
    return Job({"solver.prototxt": solver_lines.encode(), "net.prototxt": text.encode()}, case.dialect if case else "bvlc")


_SOLVER = 'net: "net.prototxt"\nbase_lr: 0.01\nlr_policy: "step"\ngamma: 0.1\nstepsize: 10\nmax_iter: 100\nmomentum: 0.9\n'


@cache
def numeric_fields() -> tuple[tuple[str, ...], ...]:
    """Return the paths of all numeric fields of solvers, nets, and layers with the settings of all types."""
    schema = caffe_schema()
    found: list[tuple[str, ...]] = []
    for place, name in (("solver", "SolverParameter"), ("net", "NetParameter"), ("layer", "LayerParameter")):
        found += ((place, *path) for path in _numeric_in(schema.message(name), 3 if place == "layer" else 2))
    return tuple(found)


def _numeric_in(message: MessageType, depth: int) -> Iterator[tuple[str, ...]]:
    for field in message.fields.values():
        if field.kind in _NUMERIC:
            yield (field.name,)
        elif field.kind == "message" and depth > 1 and field.name not in ("layer", "layers", "net_param", "train_net_param", "test_net_param", "blobs"):
            yield from ((field.name, *path) for path in _numeric_in(field.message, depth - 1))


@cache
def _cases() -> dict[str, Made]:
    cases = {traits_of(kind[1]).settings: case for case in reversed(MADE) if (kind := _TYPE.search(case.layer))}
    return {**cases, "loss_param": next(case for case in MADE if 'type: "SoftmaxWithLoss"' in case.layer)}


def _case_of(settings: str) -> Made | None:
    return _cases().get(settings)


def net(chance: random.Random) -> tuple[str, str]:
    """Return a net of layers of random types, each with bottoms that fit it, and the dialect of its layers."""
    if chance.random() < 0.1:
        return chance.choice(_LEGACY), "bvlc"
    lines: list[str] = []
    blobs: dict[str, list[str]] = {}
    dialect = "bvlc"

    def bottom(shape: str) -> str:
        if shape in blobs and chance.random() < 0.7:
            return chance.choice(blobs[shape])
        name = f"in{len(lines)}"
        lines.append(f'name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {_dims(shape)} }} }}')
        blobs.setdefault(shape, []).append(name)
        return name

    for _ in range(chance.choice((1, 1, 1, 1, 1, 2, 2, 3))):  # mostly small nets
        if chance.random() < 0.3:
            here = bottom("2 3 8 8")
            for _ in range(chance.choice((1, 1, 1, 1, 2, 2, 3, 20))):
                layer = chance.choice(_SAME_SHAPE)
                top = here if chance.random() < 0.3 and "Conv" not in layer else f"y{len(lines)}"
                lines.append(f'name: "l{len(lines)}" ' + layer % (here, top) + _more(chance))
                here = top
            blobs["2 3 8 8"].append(here)
            continue
        case = chance.choice(MADE)
        kind = _TYPE.search(case.layer)
        names = {name: bottom(shape) for name, shape in case.inputs.items()}
        tops = {name: f"{name}{len(lines)}" for name in case.tops if name not in names}
        layer = _BLOB.sub(lambda found: f'{found[1]}"{ {**tops, **names}.get(found[2], found[2])}"', case.layer)  # noqa: B023
        dialect = case.dialect if case.dialect != "bvlc" else dialect
        settings = traits_of(kind[1]).settings if kind else ""
        if settings and chance.random() < 0.3:
            field = caffe_schema().message("LayerParameter").fields_in(dialect).get(settings)
            layer += f" {settings} {{ {_fields(chance, field.message, 2)} }}" if field else ""
        lines.append(f'name: "l{len(lines)}" {layer}' + _more(chance))
        for name, shape in case.tops.items():
            if name in tops and "?" not in shape:
                blobs.setdefault(shape, []).append(tops[name])
    if chance.random() < 0.5:
        scores, labels = bottom("2 5"), bottom("2")
        loss = chance.choice(("SoftmaxWithLoss", "MultinomialLogisticLoss", "HingeLoss", "Accuracy"))
        lines.append(f'name: "loss" type: "{loss}" bottom: "{scores}" bottom: "{labels}" top: "loss"')
    return chance.choice(('name: "n"\n', "", "# c\n")) + "".join(f"layer {{ {line} }}\n" for line in lines), dialect


def solver(chance: random.Random) -> str:
    """Return a solver with a schedule, and some of all fields that a solver has."""
    policy = chance.choice(("fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid"))
    text = f'net: "net.prototxt"\nbase_lr: {chance.choice(("0.1", "0.01", "1e-4", "10"))}\nlr_policy: "{policy}"\n'
    text += "".join(line for line in ("gamma: 0.1\n", "power: 0.75\n", "stepsize: 10\n", "stepvalue: 5 stepvalue: 9\n") if chance.random() < 0.6)
    text += "".join(
        line
        for line in ("max_iter: 100\n", "momentum: 0.9\n", "weight_decay: 5e-4\n", "test_iter: 2 test_interval: 5\n", 'type: "Adam"\n',
                     'snapshot_prefix: "s"\n', "clip_gradients: 5\n", "train_state { stage: \"s1\" level: 1 }\n", "iter_size: 2\n")
        if chance.random() < 0.4
    )  # fmt: skip
    if chance.random() < 0.4:
        text += _fields(chance, caffe_schema().message("SolverParameter"), 1) + "\n"
    return text


def _more(chance: random.Random) -> str:
    return " " + chance.choice(_RULES) if chance.random() < 0.2 else ""


def _dims(shape: str) -> str:
    return " ".join(f"dim: {dim}" for dim in shape.split())


def _fields(chance: random.Random, message: MessageType, depth: int) -> str:
    """Return some fields of a message, as the schema has them."""
    fields = list(message.fields.values())
    return " ".join(_field(chance, field, depth) for field in (chance.choice(fields) for _ in range(chance.randint(0, 3))))


def _field(chance: random.Random, field: FieldType, depth: int) -> str:
    if field.kind == "message":
        return f"{field.name} {{ {_fields(chance, field.message, depth - 1) if depth > 1 else ''} }}"
    if field.kind in ("string", "bytes"):
        return f'{field.name}: "{chance.choice(_NAMES)}"'
    if field.kind == "bool":
        return f"{field.name}: {chance.choice(('true', 'false'))}"
    if field.kind == "enum":
        return f"{field.name}: {chance.choice(list(field.enum.values))}"
    number = chance.choice(_USUAL)
    return f"{field.name}: {number if field.kind in ('float', 'double') else number.partition('.')[0].partition('e')[0]}"
