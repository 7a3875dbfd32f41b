"""Forms that work and are old, or that only some parsers take (P201 on): found where their rules are selected."""

from __future__ import annotations

from .case import Case, plants


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
