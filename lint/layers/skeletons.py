"""What a layer of each type cannot do without, as the text that an editor inserts.

In `${1:64}`, 64 is a value to replace. A type that is missing here needs no settings.
"""

from __future__ import annotations

import re

from .record import TYPES

_SETTINGS = {
    "Convolution": "convolution_param { num_output: ${1:64} kernel_size: ${2:3} }",
    "Crop": "crop_param { axis: ${1:2} }",
    "Data": 'data_param { source: "${1:train_lmdb}" batch_size: ${2:64} backend: ${3:LMDB} }',
    "Deconvolution": "convolution_param { num_output: ${1:64} kernel_size: ${2:4} stride: ${3:2} pad: ${4:1} }",
    "DummyData": "dummy_data_param { shape { dim: ${1:64} dim: ${2:3} dim: ${3:32} dim: ${4:32} } }",
    "Embed": "embed_param { num_output: ${1:64} input_dim: ${2:1000} }",
    "HDF5Data": 'hdf5_data_param { source: "${1:train.txt}" batch_size: ${2:64} }',
    "HDF5Output": 'hdf5_output_param { file_name: "${1:out.h5}" }',
    "ImageData": 'image_data_param { source: "${1:train.txt}" batch_size: ${2:64} }',
    "InfogainLoss": 'infogain_loss_param { source: "${1:infogain.binaryproto}" }',
    "InnerProduct": "inner_product_param { num_output: ${1:10} }",
    "Input": "input_param { shape { dim: ${1:1} dim: ${2:3} dim: ${3:224} dim: ${4:224} } }",
    "LSTM": 'recurrent_param { num_output: ${1:64} weight_filler { type: "xavier" } }',
    "MemoryData": "memory_data_param { batch_size: ${1:64} channels: ${2:3} height: ${3:32} width: ${4:32} }",
    "Parameter": "parameter_param { shape { dim: ${1:1} } }",
    "Pooling": "pooling_param { pool: ${1:MAX} kernel_size: ${2:2} stride: ${3:2} }",
    "Python": 'python_param { module: "${1:module}" layer: "${2:Layer}" }',
    "RNN": 'recurrent_param { num_output: ${1:64} weight_filler { type: "xavier" } }',
    "Reshape": "reshape_param { shape { dim: ${1:0} dim: ${2:-1} } }",
    "SPP": "spp_param { pyramid_height: ${1:3} }",
    "Tile": "tile_param { tiles: ${1:2} }",
    "WindowData": 'window_data_param { source: "${1:windows.txt}" batch_size: ${2:64} crop_size: ${3:227} }',
}
_PLACEHOLDER = re.compile(r"\$\{\d+(?::([^}]*))?\}|\$\d+")


def required_settings(type_name: str, first: int = 1) -> str:
    """Return the settings without which a layer of a type does not work, with places to fill in from number `first` on."""
    text = _SETTINGS.get(type_name, "")
    return re.sub(r"\$\{(\d+)", lambda found: "${" + str(int(found[1]) + first - 1), text)


def skeleton(type_name: str) -> str:
    """Return a whole layer of a type, with places to fill in."""
    known = TYPES.get(type_name)
    kind = known[0] if known else None
    bottoms = kind.bottoms[0] if kind is not None and kind.described else 1
    tops = max(kind.tops[0], not kind.auto_top) if kind is not None and kind.described else 1
    lines = [f'  name: "${{1:{type_name.lower()}}}"', f'  type: "{type_name}"']
    lines += [f'  bottom: "${{{number}:{"data" if number == 2 else "label"}}}"' for number in range(2, 2 + bottoms)]
    lines += [f'  top: "${{{2 + bottoms + number}:{type_name.lower()}{number or ""}}}"' for number in range(tops)]
    settings = required_settings(type_name, 2 + bottoms + tops)
    return "\n".join(["layer {", *lines, *([f"  {settings}"] if settings else []), "}"])


def plain_text(skeleton: str) -> str:
    """Return the text of a skeleton with the values in its places."""
    return _PLACEHOLDER.sub(lambda found: found[1] or "", skeleton)

