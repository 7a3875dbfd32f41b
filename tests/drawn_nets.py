"""Nets for tests and benchmarks of the page: a chain, Inception blocks with losses beside them, a DenseNet of 1,000 layers."""

from __future__ import annotations


def layer(name: str, kind: str, bottoms: str = "", top: str = "", settings: str = "") -> str:
    """A layer; `top` is its name if it is not given."""
    read = "".join(f' bottom: "{bottom}"' for bottom in bottoms.split())
    return f'layer {{ name: "{name}" type: "{kind}"{read} top: "{top or name}" {settings} }}\n'


def data(batch: int = 8, side: int = 32) -> str:
    """Made-up images with labels."""
    shapes = f"shape {{ dim: {batch} dim: 3 dim: {side} dim: {side} }} shape {{ dim: {batch} }}"
    fillers = 'data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 0 }'
    return f'layer {{ name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {{ {shapes} {fillers} }} }}\n'


def conv(name: str, bottom: str, outputs: int, kernel: int = 1, *, bias: bool = True) -> str:
    """A convolution that keeps the size of the image."""
    filler = 'weight_filler { type: "msra" }' + ("" if bias else " bias_term: false")
    return layer(
        name,
        "Convolution",
        bottom,
        name,
        f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} pad: {kernel // 2} {filler} }}",
    )


def relu(name: str, blob: str) -> str:
    """A rectifier in place."""
    return layer(name, "ReLU", blob, blob)


def score(bottom: str, name: str = "score", outputs: int = 10) -> str:
    """A classifier and its loss."""
    settings = f'inner_product_param {{ num_output: {outputs} weight_filler {{ type: "xavier" }} }}'
    return layer(name, "InnerProduct", bottom, name, settings) + layer(
        f"{name}_loss", "SoftmaxWithLoss", f"{name} label"
    )


def lenet() -> str:
    """Two convolutions and two products: 9 layers, one of them folded."""
    pool = "pooling_param { kernel_size: 2 stride: 2 }"
    text = (
        'name: "LeNet"\n' + data(64, 28) + conv("conv1", "data", 20, 5) + layer("pool1", "Pooling", "conv1", "", pool)
    )
    text += conv("conv2", "pool1", 50, 5) + layer("pool2", "Pooling", "conv2", "", pool)
    text += layer(
        "ip1", "InnerProduct", "pool2", "", 'inner_product_param { num_output: 500 weight_filler { type: "xavier" } }'
    )
    return text + relu("relu1", "ip1") + score("ip1")


def inceptions(number: int = 4, *, wrong: bool = False) -> str:
    """Blocks of four branches; every second one has a loss of its own beside it. `wrong` gives a loss a huge weight."""
    text = 'name: "Inceptions"\n' + data() + conv("stem", "data", 32, 3) + relu("stem_relu", "stem")
    below = "stem"
    for block in range(1, number + 1):
        name = f"inception_{block}"
        text += conv(f"{name}/1x1", below, 16) + relu(f"{name}/relu_1x1", f"{name}/1x1")
        for kernel in (3, 5):
            text += conv(f"{name}/{kernel}x{kernel}_reduce", below, 8 * kernel) + relu(
                f"{name}/relu_{kernel}_reduce", f"{name}/{kernel}x{kernel}_reduce"
            )
            text += conv(f"{name}/{kernel}x{kernel}", f"{name}/{kernel}x{kernel}_reduce", 16, kernel)
            text += relu(f"{name}/relu_{kernel}x{kernel}", f"{name}/{kernel}x{kernel}")
        text += layer(f"{name}/pool", "Pooling", below, "", "pooling_param { kernel_size: 3 stride: 1 pad: 1 }")
        text += conv(f"{name}/pool_proj", f"{name}/pool", 16) + relu(f"{name}/relu_pool_proj", f"{name}/pool_proj")
        branches = " ".join(f"{name}/{end}" for end in ("1x1", "3x3", "5x5", "pool_proj"))
        text += layer(f"{name}/output", "Concat", branches)
        below = f"{name}/output"
        if block % 2 == 0 and block < number:
            text += score(below, f"side_{block}")
    ending = score(below)
    return text + (
        ending.replace('type: "SoftmaxWithLoss"', 'type: "SoftmaxWithLoss" loss_weight: 1000') if wrong else ending
    )


def densenet(units: int = 36) -> str:
    """Three dense blocks: with 36 units each, 990 layers."""
    parts = ['name: "DenseNet"\n', data(), conv("conv1", "data", 24, 3, bias=False)]

    def normalised(name: str, bottom: str) -> str:
        parts.append(layer(f"{name}_bn", "BatchNorm", bottom))
        parts.append(layer(f"{name}_scale", "Scale", f"{name}_bn", f"{name}_bn", "scale_param { bias_term: true }"))
        parts.append(relu(f"{name}_relu", f"{name}_bn"))
        return f"{name}_bn"

    below = "conv1"
    for block in range(1, 4):
        for unit in range(1, units + 1):
            name = f"b{block}_u{unit}"
            parts.append(conv(f"{name}_1x1", normalised(f"{name}_a", below), 48, bias=False))
            parts.append(conv(f"{name}_3x3", normalised(f"{name}_b", f"{name}_1x1"), 12, 3, bias=False))
            parts.append(layer(f"{name}_concat", "Concat", f"{below} {name}_3x3"))
            below = f"{name}_concat"
        if block < 3:
            parts.append(conv(f"t{block}_conv", normalised(f"t{block}", below), 128, bias=False))
            parts.append(
                layer(
                    f"t{block}_pool",
                    "Pooling",
                    f"t{block}_conv",
                    "",
                    "pooling_param { pool: AVE kernel_size: 2 stride: 2 }",
                )
            )
            below = f"t{block}_pool"
    parts.append(
        layer("pool", "Pooling", normalised("last", below), "", "pooling_param { pool: AVE global_pooling: true }")
    )
    return "".join([*parts, score("pool")])


SOLVER = """\
net: "net.prototxt"
base_lr: 0.01
lr_policy: "step"
gamma: 0.1
stepsize: 3000
max_iter: 10000
momentum: 0.9
clip_gradients: 10
snapshot_prefix: "snapshots/net"
"""
