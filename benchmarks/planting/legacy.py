"""Forms that work and are old, or that only some parsers take (P201 on): found where their rules are selected."""

from __future__ import annotations

from caffe_lint.fixes.edit import Edit
from caffe_lint.proto.tree import Block
from caffe_lint.proto.v1_types import V1_TYPES

from .case import Case, plants


@plants("P201", "net", select=("P201",))
def written_in_the_form_of_before(case: Case) -> bytes:
    """Where every layer has a type, and only fields, that the V1 form has as well."""
    old = {new: name for name, new in V1_TYPES.items()}
    layers = [field for field in case.tree.root.fields if field.name == "layer"]
    messages = [message for message, _, _ in case.message.entries["layer"]]
    case.need(all(message["type"] in old and "param" not in message for message in messages))
    edits = [Edit(field.start, field.start + len(b"layer"), b"layers") for field in layers]
    edits += [Edit(*message.span("type"), old[message["type"]].encode()) for message in messages]
    return case.edit(edits)


@plants("P203", "v1", select=("P203",))
def transform_in_the_settings_of_data(case: Case) -> bytes:
    block = case.pick(
        field.value for _, field in case.fields() if field.name in ("data_param", "image_data_param") and isinstance(field.value, Block)
    )
    return case.put(block.close, block.close, case.pick([" mirror: true ", " scale: 0.00390625 ", " crop_size: 24 "]))


@plants("P202", "net", select=("P202",))
def inputs_of_the_net(case: Case) -> bytes:
    layer = case.pick(case.layers("Input"))
    case.need(len(case.layers("Input")) == 1 and len(layer.tops) == 1 and "input" not in case.message)
    shape = layer.message["input_param"]["shape"]
    case.need(len(shape) == 1 and len(shape[0]["dim"]) == 4)
    field = layer.entry[2]
    dims = shape[0]["dim"]
    text = f'input: "{layer.tops[0].name}"\n' + case.pick(
        [
            "".join(f"input_dim: {dim}\n" for dim in dims),
            "input_shape { " + " ".join(f"dim: {dim}" for dim in dims) + " }\n",
        ]
    )
    return case.put(field.start, field.end, text)


@plants("P204", "net", select=("P204",))
def three_params_that_learn(case: Case) -> bytes:
    case.need(all(len(layer.message["param"]) != 3 for layer in case.layers("BatchNorm")))
    layer = case.pick(layer for layer in case.layers("BatchNorm") if "param" not in layer.message)
    return case.inside(
        layer.message, case.pick(["param { lr_mult: 1 } " * 3, "param { lr_mult: 0 } " * 3, "param { } " * 3])
    )


@plants("P205", "solver", select=("P205",))
def type_as_enum(case: Case) -> bytes:
    case.need("solver_type" not in case.message)
    source = case.drop(case.message, "type") if "type" in case.message else case.source
    return source + b"\nsolver_type: " + case.pick([b"SGD", b"NESTEROV", b"ADAM"]) + b"\n"


@plants("P301", "net")
def truth_with_a_capital(case: Case) -> bytes:
    _, value = case.pick((f, v) for f, v in case.scalars() if v.text in (b"true", b"false"))
    return case.rewrite(value, value.text.title())


@plants("P302", "text")
def minus_apart(case: Case) -> bytes:
    _, value = case.pick(case.numbers("base_lr", "momentum", "value", "std", "lr_mult", "scale", "mean_value"))
    return case.put(value.start, value.start, "- ")


@plants("P302", "text")
def comment_of_another_encoding(case: Case) -> bytes:
    return case.source + b"# " + case.pick([b"Gr\xfc\xdfe", b"\xc4\xe3\xba\xc3"]) + b"\n"


@plants("P303", "text", select=("P303",))
def path_of_this_disk(case: Case) -> bytes:
    _, value = case.pick(case.strings("source", "net", "snapshot_prefix", "mean_file"))
    case.need(value.text[1:2] != b"/")
    return case.rewrite(value, b'"' + case.pick([b"/data/", b"/home/me/", b"D:/"]) + value.text[1:-1] + b'"')


@plants("P304", "text", select=("P304",))
def ends_of_lines(case: Case) -> bytes:
    case.need(b"\r" not in case.source)
    return case.source.replace(b"\n", b"\r\n", case.pick([-1, 3]))


@plants("P305", "text", select=("P305",))
def tabs_among_spaces(case: Case) -> bytes:
    case.need(b"\n\t" not in case.source and b"\n  " in case.source)
    return case.source.replace(b"\n  ", b"\n\t", 1)


@plants("P902", "text")
def suppression_misspelt(case: Case) -> bytes:
    text = case.pick([b"# caffe-lint: ingore[S110]", b"# caffe-lint: ignore", b"# caffe-lint: ignore[Z999]", b"# caffe-lint: disable=G101"])
    return text + b"\n" + case.source


@plants("P901", "text")
def suppression_of_nothing(case: Case) -> bytes:
    return case.pick([b"# caffe-lint: file-ignore[E105]", b"# caffe-lint: file-ignore[byte-order-mark]"]) + b"\n" + case.source
