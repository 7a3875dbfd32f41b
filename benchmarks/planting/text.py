"""Mistakes of typing: what makes a text that Caffe cannot read (E101 to E116)."""

from __future__ import annotations

import re

from caffe_lint.proto.tree import Block, Scalar

from .case import Case, misspelt, plants

_CASE = {"MAX": "max", "AVE": "ave", "TRAIN": "train", "TEST": "test", "LMDB": "lmdb", "GPU": "gpu", "SUM": "Sum"}


@plants("E101", "text")
def equals_sign(case: Case) -> bytes:
    field, _value = case.pick(pair for pair in case.scalars() if pair[0].has_colon)
    colon = case.source.index(b":", field.name_end)
    return case.put(colon, colon + 1, case.pick([" =", "="]))


@plants("E101", "text")
def double_separator(case: Case) -> bytes:
    _, value = case.pick(case.scalars())
    return case.put(value.end, value.end, case.pick([";;", ",,", " ; ;"]))


@plants("E101", "text")
def plus_sign(case: Case) -> bytes:
    _, value = case.pick(case.numbers())
    return case.put(value.start, value.start, "+")


@plants("E101", "text", also=("E110",))
def stray_character(case: Case) -> bytes:
    field, _ = case.pick(case.scalars())
    return case.put(field.start, field.start, case.pick(["@ ", "* ", "| ", "! ", "$"]))


@plants("E101", "text")
def conflict_marker(case: Case) -> bytes:
    field = case.pick(case.tree.root.fields)
    return case.put(field.start, field.start, case.pick(["<<<<<<< HEAD\n", "=======\n", ">>>>>>> master\n"]))


@plants("E101", "text", also=("E110",))
def line_of_something_else(case: Case) -> bytes:
    field = case.pick(case.tree.root.fields)
    return case.put(field.start, field.start, case.pick(["import caffe\n", "...\n", "--- a/net.prototxt\n"]))


@plants("E102", "text")
def brace_lost(case: Case) -> bytes:
    _, field = case.pick(pair for pair in case.fields() if isinstance(pair[1].value, Block))
    assert isinstance(field.value, Block)
    return case.put(field.value.close, field.value.end, "")


@plants("E102", "text")
def brace_too_many(case: Case) -> bytes:
    field = case.pick(case.tree.root.fields)
    return case.put(field.end, field.end, case.pick(["\n}", " }", "\n}\n"]))


@plants("E103", "text")
def comment_of_c(case: Case) -> bytes:
    _, value = case.pick(case.scalars())
    end = case.source.find(b"\n", value.end)
    case.need(end >= 0 and not case.source[value.end : end].strip())
    return case.put(end, end, case.pick(["  // was something else", " //", " /* see the paper */"]))


@plants("E103", "text")
def line_of_c(case: Case) -> bytes:
    field = case.pick(case.tree.root.fields)
    return case.put(field.start, field.start, case.pick(["// the next one\n", "/* this\n   and that */\n", "//////\n"]))


@plants("E104", "text")
def curly_quotes(case: Case) -> bytes:
    _, value = case.pick(case.strings())
    left, right = case.pick(["“”", "\u2018\u2019", "””", "„“", "«»"])
    return case.rewrite(value, left.encode() + value.text[1:-1] + right.encode())


@plants("E104", "text")
def odd_space(case: Case) -> bytes:
    field, value = case.pick(case.scalars())
    spot = case.pick([field.start, value.start, field.name_end])
    return case.put(spot, spot, case.pick(["\u00a0", "\u200b", "\u3000", "\u2009"]))


@plants("E105", "text")
def byte_order_mark(case: Case) -> bytes:
    return b"\xef\xbb\xbf" + case.source


@plants("E106", "text")
def quotes_lost(case: Case) -> bytes:
    _, value = case.pick((f, v) for f, v in case.strings() if re.search(rb"[/.\-]", v.text) and b"\\" not in v.text)
    return case.rewrite(value, value.text[1:-1])


@plants("E106", "text")
def last_quote_lost(case: Case) -> bytes:
    _, value = case.pick(case.strings())
    return case.rewrite(value, value.text[:-1])


@plants("E106", "text")
def first_quote_lost(case: Case) -> bytes:
    _, value = case.pick(case.strings())
    return case.rewrite(value, value.text[1:])


@plants("E107", "text")
def windows_path(case: Case) -> bytes:
    _, value = case.pick(case.strings("source", "net", "train_net", "snapshot_prefix", "mean_file"))
    return case.rewrite(value, case.pick([rb'"D:\Projects\data\lmdb"', rb'"..\images\list.txt"', rb'"E:\my\set"']))


@plants("E107", "text")
def escape_in_a_name(case: Case) -> bytes:
    _, value = case.pick(case.strings())
    return case.put(value.end - 1, value.end - 1, case.pick([r"\d", r"\p", r"\-", r"\%"]))


@plants("E108", "text")
def colon_lost(case: Case) -> bytes:
    field, value = case.pick((f, v) for f, v in case.scalars() if f.has_colon)
    return case.put(field.name_end, value.start, " ")


@plants("E109", "text")
def value_lost(case: Case) -> bytes:
    _, value = case.pick(case.scalars())
    return case.put(value.start, value.end, "")


@plants("E109", "text")
def colon_and_value_lost(case: Case) -> bytes:
    field, value = case.pick((f, v) for f, v in case.scalars() if f.has_colon)
    return case.put(field.name_end, value.end, "")


@plants("E110", "text")
def field_misspelt(case: Case) -> bytes:
    _, field = case.pick((b, f) for b, f in case.fields() if len(f.name) > 4 and f.name not in ("layer", "layers"))
    return case.put(field.start, field.name_end, misspelt(field.name, case.chance))


@plants("E110", "text")
def field_in_camel_case(case: Case) -> bytes:
    _, field = case.pick((b, f) for b, f in case.fields() if "_" in f.name.strip("_"))
    first, *rest = field.name.split("_")
    return case.put(field.start, field.name_end, first + "".join(word.title() for word in rest))


@plants("E110", "solver")
def word_of_another_framework(case: Case) -> bytes:
    words = ["learning_rate: 0.01", "epochs: 10", "batch_size: 32", "optimizer: ADAM", "nesterov: true", "lr: 0.1"]
    return case.end(case.pick(words))


@plants("E110", "net")
def setting_beside_its_message(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers() if layer.type in ("Convolution", "Pooling", "InnerProduct"))
    return case.inside(layer.message, case.pick(["num_output: 10", "stride: 2", "activation: RELU", "kernel_size: 3"]))


@plants("E111", "text")
def number_in_quotes(case: Case) -> bytes:
    _, value = case.pick(case.numbers())
    return case.rewrite(value, b'"' + value.text + b'"')


@plants("E111", "text", also=("E106",))
def number_for_text(case: Case) -> bytes:
    _, value = case.pick(case.strings("name", "bottom", "top", "source", "net", "snapshot_prefix", "lr_policy"))
    return case.rewrite(value, case.pick(["1", "0.5", "-3"]))


@plants("E111", "text")
def fraction_for_whole_number(case: Case) -> bytes:
    names = ("num_output", "kernel_size", "stride", "pad", "batch_size", "max_iter", "display", "stepsize", "test_iter")
    _, value = case.pick(case.numbers(*names))
    return case.rewrite(value, value.text + case.pick([b".5", b".0", b"e2"]))


@plants("E111", "text")
def minus_for_unsigned(case: Case) -> bytes:
    _, value = case.pick(case.numbers("num_output", "kernel_size", "stride", "batch_size", "pad"))
    return case.rewrite(value, b"-1")


@plants("E111", "text")
def enum_in_quotes(case: Case) -> bytes:
    _, value = case.pick(case.scalars("phase", "pool", "backend", "solver_mode", "norm_region", "operation"))
    case.need(value.text.isalpha())
    return case.rewrite(value, b'"' + value.text + b'"')


@plants("E111", "text")
def truth_in_other_words(case: Case) -> bytes:
    _, value = case.pick((f, v) for f, v in case.scalars() if v.text in (b"true", b"false"))
    return case.rewrite(value, case.pick(["TRUE", "yes", "off", '"true"', "2"]))


@plants("E111", "text")
def value_for_message(case: Case) -> bytes:
    _, field = case.pick((b, f) for b, f in case.fields() if f.name.endswith("_param") or f.name.endswith("_filler"))
    assert field.value is not None
    return case.put(field.start, field.value.end, f"{field.name}: " + case.pick(["1", '"xavier"']))


@plants("E111", "text")
def message_for_value(case: Case) -> bytes:
    field, value = case.pick(case.scalars("num_output", "kernel_size", "stride", "base_lr", "max_iter", "momentum"))
    return case.put(field.start, value.end, field.name.encode() + b" { value: " + value.text + b" }")


@plants("E112", "text")
def enum_in_another_case(case: Case) -> bytes:
    _, value = case.pick(case.scalars("phase", "pool", "backend", "solver_mode", "operation"))
    case.need(value.text.isalpha())
    return case.rewrite(value, case.pick([value.text.lower(), value.text.title()]))


@plants("E112", "text")
def enum_by_another_name(case: Case) -> bytes:
    others = {
        "pool": ["AVG", "AVERAGE", "MAXIMUM", "L2"],
        "phase": ["TRAINING", "VAL", "TESTING", "DEPLOY"],
        "backend": ["LMBD", "MDB", "HDF5", "SQLITE"],
        "solver_mode": ["CUDA", "GPUS", "AUTO"],
        "operation": ["ADD", "MUL", "MEAN", "PRODUCT"],
    }
    field, value = case.pick(case.scalars(*others))
    case.need(value.text.isalpha())
    return case.rewrite(value, case.pick(others[field.name]))


@plants("E113", "text")
def field_twice(case: Case) -> bytes:
    names = (
        "base_lr",
        "max_iter",
        "momentum",
        "name",
        "type",
        "net",
        "stride",
        "num_output",
        "batch_size",
        "pool",
        "backend",
    )
    field, _value = case.pick(case.scalars(*names))
    case.need(field.name not in ("stride",) or b"pooling" in case.source[max(0, field.start - 200) : field.start])
    text = case.source[field.start : field.end]
    return case.put(field.end, field.end, b"\n    " + text)


@plants("E113", "text")
def message_twice(case: Case) -> bytes:
    names = (
        "transform_param",
        "convolution_param",
        "inner_product_param",
        "weight_filler",
        "pooling_param",
        "data_param",
    )
    block, field = case.pick((b, f) for b, f in case.fields() if f.name in names)
    case.need(isinstance(field.value, Block) and field.value.fields)
    last = block.fields[-1]
    return case.put(last.end, last.end, b"\n  " + case.source[field.start : field.end])


@plants("E114", "net")
def required_lost(case: Case) -> bytes:
    layer = case.pick(case.layers("PSROIPooling"))
    return case.drop(layer.message["psroi_pooling_param"], case.pick(["spatial_scale", "output_dim", "group_size"]))


@plants("E114", "net")
def required_never_written(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers() if layer.tops)
    top = layer.tops[0].name
    inside = case.pick(["", "output_dim: 8", "spatial_scale: 0.0625 group_size: 3"])
    return case.behind(
        layer,
        f'layer {{ name: "planted" type: "PSROIPooling" bottom: "{top}" bottom: "{top}" top: "planted" '
        f"psroi_pooling_param {{ {inside} }} }}",
    )


@plants("E115", "net")
def fields_of_two_forks(case: Case) -> bytes:
    case.need(case.file.bound.dialect != "bvlc" and case.file.schema.lists_fields(case.file.bound.dialect))
    one = case.pick(
        [
            "detectnet_groundtruth_param { stride: 16 }",
            "dense_image_data_param { }",
            "flow_augmentation_param { }",
            "psroi_pooling_param { spatial_scale: 1 output_dim: 2 group_size: 2 }",
            "multibox_loss_param { num_classes: 3 }",
            "ctc_loss_param { }",
        ]
    )
    layer = case.pick(case.layers())
    name = one.split(" ")[0]
    known = case.file.schema.message("LayerParameter").readable
    case.need(name in known and name.encode() not in case.source)
    together = known[name].dialects
    open_types = {dialect.name for dialect in case.file.schema.dialects if not dialect.lists_types}
    for use in case.file.bound.uses:
        together = together & (use.dialects | open_types if use.what == "layer type" else use.dialects)
    case.need(not together)
    return case.inside(layer.message, one)


@plants("E116", "net")
def type_in_another_case(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers() if layer.kind and layer.type.upper() != layer.type)
    return case.set(layer.message, "type", case.pick([layer.type.lower(), layer.type.upper(), layer.type.swapcase()]))


@plants("E116", "net")
def type_misspelt(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers() if layer.kind and len(layer.type) > 5)
    return case.set(layer.message, "type", misspelt(layer.type, case.chance))


@plants("E116", "net")
def type_by_the_name_of_v1(case: Case) -> bytes:
    names = {"InnerProduct": "INNER_PRODUCT", "SoftmaxWithLoss": "SOFTMAX_LOSS", "Convolution": "CONVOLUTION"}
    layer = case.pick(case.layers(*names))
    return case.set(layer.message, "type", names[layer.type])


@plants("E116", "net")
def type_of_another_framework(case: Case) -> bytes:
    others = {
        "Convolution": ["Conv2D", "Conv"], "InnerProduct": ["Dense", "Linear", "FullyConnected"],
        "BatchNorm": ["BatchNormalization"], "Eltwise": ["Add", "ElementWise"], "SoftmaxWithLoss": ["CrossEntropy"],
    }  # fmt: skip
    layer = case.pick(case.layers(*others))
    return case.set(layer.message, "type", case.pick(others[layer.type]))


@plants("E117", "net")
def layer_of_v1_pasted(case: Case) -> bytes:
    layer = case.pick(layer for layer in case.layers() if layer.tops)
    top = layer.tops[0].name
    pasted = case.pick(
        [
            f'layers {{ name: "pasted" type: RELU bottom: "{top}" top: "{top}" }}',
            f'layers {{ name: "pasted" type: INNER_PRODUCT bottom: "{top}" top: "pasted" blobs_lr: 1 blobs_lr: 2 '
            "inner_product_param { num_output: 2 } }",
        ]
    )
    return case.behind(layer, pasted)


@plants("E117", "v1")
def layer_of_today_pasted(case: Case) -> bytes:
    field = case.pick(field for field in case.tree.root.fields if field.name == "layers")
    assert isinstance(field.value, Block)
    tops = [
        inner.value.text.decode()
        for inner in field.value.fields
        if inner.name == "top" and isinstance(inner.value, Scalar)
    ]
    top = case.pick(tops)
    return case.put(field.end, field.end, f'\nlayer {{ name: "pasted" type: "TanH" bottom: {top} top: "pasted" }}\n')


@plants("E118", "net", "v1")
def dimension_lost(case: Case) -> bytes:
    dims = [field for field in case.tree.root.fields if field.name == "input_dim"]
    field = case.pick(dims)
    return case.put(field.start, field.end, "")


@plants("E118", "net", "v1")
def input_without_shape(case: Case) -> bytes:
    case.need([field for field in case.tree.root.fields if field.name == "input_shape"])
    inputs = [field for field in case.tree.root.fields if field.name == "input"]
    field = case.pick(inputs)
    return case.put(field.end, field.end, '\ninput: "planted_input"')


@plants("E119", "net", "v1")
def dimensions_of_two_kinds(case: Case) -> bytes:
    shapes = [field for field in case.tree.root.fields if field.name == "input_shape"]
    field = case.pick(shapes)
    return case.put(field.end, field.end, "\ninput_dim: 1\ninput_dim: 3\ninput_dim: 32\ninput_dim: 32\n")


@plants("E119", "net", "v1")
def dimension_too_many(case: Case) -> bytes:
    dims = [field for field in case.tree.root.fields if field.name == "input_dim"]
    case.need(dims)
    return case.put(dims[-1].end, dims[-1].end, case.pick(["\ninput_dim: 1", "\ninput_dim: 1\ninput_dim: 1"]))
