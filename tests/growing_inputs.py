"""Nets of any size, each of which has much of one thing."""

from __future__ import annotations

from collections.abc import Callable

DATA = 'layer { name: "d" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } }\n'
RELU = 'layer {{ name: "a{0}" type: "ReLU" bottom: "{1}" top: "{2}" {3} }}\n'


def relus(bottom: str, top: str, more: str = "") -> Callable[[int], str]:
    """Layers whose names are numbered, and so is each `%` of their blobs and of what else they have."""
    def text(size: int) -> str:
        return DATA + "".join(RELU.format(i, *(part.replace("%", str(i)) for part in (bottom, top, more))) for i in range(size))

    return text


def one(inside: Callable[[int], str], kind: str = "ReLU") -> Callable[[int], str]:
    """A layer that has something many times."""
    return lambda size: f'{DATA}layer {{ name: "a" type: "{kind}" bottom: "x" top: "y" {inside(size)} }}\n'


def numbered(text: str) -> Callable[[int], str]:
    return lambda size: "".join(text.replace("%", str(i)) for i in range(size))


FC = "inner_product_param { num_output: 3 }"
KINDS: dict[str, Callable[[int], str]] = {
    "layers with a stage of their own": relus("x", "y", 'include { stage: "s%" }'),
    "layers left out of a stage": relus("x", "y%", 'exclude { stage: "s%" }'),
    "rules to include a layer": one(numbered('include { stage: "s%" not_stage: "t%" }\n')),
    "rules to exclude a layer": one(numbered('exclude { stage: "s%" }\n')),
    "stages of one rule": one(lambda size: "include { " + numbered('stage: "s%" ')(size) + "}"),
    "layers of both phases by turns": relus("x", "y%", "include { phase: TRAIN } exclude { phase: TEST }"),
    "layers with one top": relus("x", "y"),
    "layers with one name": lambda size: DATA + RELU.format("", "x", "x", "") * size,
    "bottoms that nothing produces": relus("missing%", "y%"),
    "one bottom that nothing produces": relus("missing", "y%"),
    "a bottom that layers left out produce": lambda size: (
        relus("x", "y", "include { phase: TEST }")(size) + relus("y", "z%", "include { phase: TRAIN }")(size)
    ),
    "layers in place": relus("x", "x"),
    "readers of one blob": relus("x", "y%"),
    "a chain": lambda size: DATA + "".join(RELU.format(i, f"y{i - 1}" if i else "x", f"y{i}", "") for i in range(size)),
    "unknown types": lambda size: relus("x", "y%")(size).replace("ReLU", "RLeU"),
    "types that nobody has": lambda size: DATA + numbered('layer { name: "a%" type: "Own%" bottom: "x" top: "a%" }\n')(size),
    "unknown fields": one(numbered("num_outpu%: 1\n")),
    "unknown fields of the net": lambda size: DATA + numbered("num_outpu%: 1\n")(size),
    "a field again and again": one(lambda size: f"relu_param {{ {'negative_slope: 1 ' * size} }}"),
    "params": one(lambda size: "param { lr_mult: 1 } " * size + FC, "InnerProduct"),
    "shared params": lambda size: DATA + numbered(
        f'layer {{ name: "a%" type: "InnerProduct" bottom: "x" top: "a%" param {{ name: "w" lr_mult: % }} {FC} }}\n'
    )(size),
    "bottoms of one layer": one(lambda size: 'bottom: "x" ' * size, "Concat"),
    "tops of one layer": one(numbered('top: "y%" '), "Slice"),
    "dimensions": lambda size: DATA.replace("dim: 3", "dim: 3 " * size),
    "colons": lambda size: DATA + "a:" * size,
    "typographic quotes": lambda size: DATA + "name: “x”\n" * size,
    "quotes that are not closed": lambda size: DATA + 'a: "x\n' * size,
    "missing colons": one(lambda size: 'param { name "w" } ' * size),
    "suppressions": lambda size: relus("x", "y%", "# caffe-lint: ignore[E116]\n")(size).replace("ReLU", "Relu"),
    "codes of one suppression": lambda size: f"# caffe-lint: ignore[{'E116,' * size}E101]\n{DATA}",
    "layers on one line": lambda size: relus("x", "y%")(size).replace("\n", " ").replace("ReLU", "Relu"),
    "comments": lambda size: DATA + "# c\n" * size,
    "layers of the second format": lambda size: 'input: "x" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8\n' + numbered(
        'layers { name: "a%" type: RELU bottom: "x" top: "a%" blobs_lr: 1 weight_decay: 1 }\n'
    )(size),
}  # fmt: skip
