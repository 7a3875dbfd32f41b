"""Layer types that the configuration describes: Python layers, and types of a private fork of Caffe.

    [layers.SpatialMask]             # a type, or for a Python layer "module.Class"
    bottoms = 2                      # how many: 2, "1+" or "1-3"
    tops = 1
    shape = "same as bottom 0"       # of every top; see below
    params = [[64, "bottom 0 axis 1"]]
    loss = true                      # its first top is a loss
    in-place = true                  # its top may be its bottom
    like = "Scale"                   # a known type, for everything that is not set here

All keys are optional; what is not set is unknown. `shape` is `"same as bottom N"` (or `"like bottom N"`), `"scalar"`,
`"unknown"`, or a list of dimensions: a number, 0 for that of bottom 0 on the same axis, `"?"`, or `"bottom N axis M"`. A list
of such shapes has one for each top. `params` has the dimensions of each learnable blob, or is the number of blobs.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..moments.layer_type import IN_PLACE_RIGHT, IN_PLACE_WRONG_VALUES, UNMODELLED, Count, LayerType
from ..moments.shapes import INT_MAX, Shape, axis_index
from ..proto.binder import Message, nearest_name
from ..proto.named_tuple import NamedTuple
from ..proto.schema import Schema
from ..source.wording import as_written, counted
from .record import TYPES, described_names

if TYPE_CHECKING:
    from ..moments.graph import Layer

KEYS = ("bottoms", "tops", "shape", "params", "loss", "in-place", "like")

_SAME = re.compile(r"(?:same as|like) bottom (\d+)").fullmatch
_AXIS = re.compile(r"bottom (\d+) axis (-?\d+)").fullmatch
_COUNT = re.compile(r"(\d+)(?:(\+)|-(\d+))").fullmatch


class SameAs(NamedTuple):
    """The shape of a bottom."""

    bottom: int


class AxisOf(NamedTuple):
    """The dimension of a bottom on an axis."""

    bottom: int
    axis: int


Dim = int | AxisOf | None
ShapeRule = SameAs | tuple[Dim, ...] | None  # None: unknown


class Description(NamedTuple):
    """A layer type as the configuration describes it; None for what it does not set.

    `shapes` are the shapes of the tops, in order; with `one_shape` there is one for all tops.
    """

    name: str
    bottoms: Count | None = None
    tops: Count | None = None
    shapes: tuple[ShapeRule, ...] | None = None
    one_shape: bool = False
    params: tuple[ShapeRule, ...] | None = None
    loss: bool | None = None
    in_place: bool | None = None
    like: str | None = None

    @property
    def is_python(self) -> bool:
        """Whether it describes a Python layer, which is named by module and class."""
        return "." in self.name


# -- reading ---------------------------------------------------------------------------------------


def read_description(name: str, table: Any) -> Description:
    """Read a table of the configuration. Raises ValueError, which says what was expected."""
    where = f"layer type '{name}'"
    if not isinstance(table, dict):
        raise ValueError(f"{where}: expected a table with the keys {', '.join(KEYS)}, not {as_written(table)}")
    for key in table:
        if key not in KEYS:
            nearest = nearest_name(key, list(KEYS))
            hint = f"did you mean '{nearest}'?" if nearest else f"known keys: {', '.join(KEYS)}"
            if isinstance(table[key], dict):
                hint = f'quote the name of a Python layer: [layers."{name}.{key}"]'
            raise ValueError(f"{where}: unknown key '{key}'; {hint}")
    values: dict[str, Any] = {}
    for key in ("bottoms", "tops"):
        if key in table:
            values[key] = _count(where, key, table[key])
    for key in ("loss", "in-place"):
        if key in table:
            if not isinstance(table[key], bool):
                raise ValueError(f"{where}: '{key}' must be true or false, not {as_written(table[key])}")
            values[key.replace("-", "_")] = table[key]
    if "like" in table:
        values["like"] = _known_type(where, table["like"])
    if "params" in table:
        values["params"] = _params(where, table["params"])
    if "shape" in table:
        shape = table["shape"]
        if isinstance(shape, list) and not all(_is_dim(item) for item in shape):
            values["shapes"] = tuple(_shape(where, item) for item in shape)
        else:
            values["shapes"] = (_shape(where, shape),)
            values["one_shape"] = True
    description = Description(name, **values)
    _check_numbers(where, description)
    return description


def _count(where: str, key: str, value: Any) -> Count:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= INT_MAX:
        return (value, value)
    if isinstance(value, str) and (match := _COUNT(value)):
        least, most = int(match[1]), None if match[2] else int(match[3])
        if most is None or least <= most:
            return (least, most)
    raise ValueError(f'{where}: \'{key}\' must be a number such as 2, "1+" or "1-3", not {as_written(value)}')


def _known_type(where: str, value: Any) -> str:
    if isinstance(value, str) and value in described_names():
        return value
    nearest = nearest_name(value, described_names()) if isinstance(value, str) else None
    hint = f"; did you mean '{nearest}'?" if nearest else ""
    raise ValueError(f"{where}: 'like' must be a known layer type, not {as_written(value)}{hint}")


def _is_dim(value: Any) -> bool:
    return _is_size(value) or (isinstance(value, str) and (value == "?" or _AXIS(value) is not None))


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _dims(where: str, key: str, value: list[Any], zero: bool) -> tuple[Dim, ...]:
    dims: list[Dim] = []
    for axis, item in enumerate(value):
        if isinstance(item, str) and (match := _AXIS(item)):
            dims.append(AxisOf(int(match[1]), int(match[2])))
        elif item == "?":
            dims.append(None)
        elif _is_size(item) and 0 < item <= INT_MAX:
            dims.append(item)
        elif zero and _is_size(item) and item == 0:
            dims.append(AxisOf(0, axis))
        else:
            sizes = "a number, 0 for that of bottom 0" if zero else "a number greater than 0"
            known = f'{sizes}, "?" or "bottom N axis M"'
            raise ValueError(f"{where}: a dimension of '{key}' must be {known}, not {as_written(item)}")
    return tuple(dims)


def _shape(where: str, value: Any) -> ShapeRule:
    if isinstance(value, list):
        return _dims(where, "shape", value, zero=True)
    if value == "scalar":
        return ()
    if value == "unknown":
        return None
    if isinstance(value, str) and (match := _SAME(value)):
        return SameAs(int(match[1]))
    known = '"same as bottom N", "scalar", "unknown" or a list of dimensions'
    raise ValueError(f"{where}: 'shape' must be {known}, not {as_written(value)}")


def _params(where: str, value: Any) -> tuple[ShapeRule, ...]:
    if _is_size(value) and 0 <= value <= 1000:
        return (None,) * int(value)
    if isinstance(value, list) and all(isinstance(item, list) for item in value):
        return tuple(_dims(where, "params", item, zero=False) for item in value)
    known = "the number of blobs or a list with the dimensions of each"
    raise ValueError(f"{where}: 'params' must be {known}, not {as_written(value)}")


def _check_numbers(where: str, description: Description) -> None:
    """Raise ValueError if the description refers to bottoms or tops that cannot exist."""
    bottoms, tops, shapes = description.bottoms, description.tops, description.shapes
    if description.like is not None and (bottoms is not None or tops is not None):
        raise ValueError(f"{where}: 'like' already sets the numbers of bottoms and tops; remove one or the other")
    rules = [*(shapes or ()), *(description.params or ())]
    if bottoms is not None and bottoms[1] is not None:
        for bottom in _bottoms_of(rules):
            if bottom >= bottoms[1]:
                most = counted(bottoms[1], "bottom")
                raise ValueError(f"{where}: bottom {bottom} does not exist; it has at most {most}, numbered from 0")
    if tops is not None and tops[1] is not None and shapes is not None and len(shapes) > tops[1] > 0:
        raise ValueError(f"{where}: {len(shapes)} shapes for at most {counted(tops[1], 'top')}")


def _bottoms_of(rules: Iterable[ShapeRule]) -> Iterable[int]:
    for rule in rules:
        if isinstance(rule, SameAs):
            yield rule.bottom
        elif rule is not None:
            yield from (dim.bottom for dim in rule if isinstance(dim, AxisOf))


# -- using -----------------------------------------------------------------------------------------


def described_types(descriptions: Iterable[Description]) -> dict[str, LayerType]:
    """The layer types of descriptions, by name, as `net.build` takes them."""
    return {description.name: _layer_type(description) for description in descriptions}


def described_type(types: Mapping[str, LayerType], layer: Message, type_name: str) -> LayerType | None:
    """The type in `types` for a layer's message; a Python layer is looked up by module and class first."""
    return types.get(name_in_configuration(layer, type_name)) or types.get(type_name)


def name_in_configuration(layer: Message, type_name: str) -> str:
    """The name by which a configuration describes the type of a layer's message: of a Python layer, its module and class."""
    if type_name == "Python" and "python_param" in layer.type.fields:
        param = layer["python_param"]
        if param["layer"]:
            return f"{param['module']}.{param['layer']}"
    return type_name


def schema_with(schema: Schema, names: Iterable[str]) -> Schema:
    """A schema in which layer types of these names are known, whichever Caffe the file is for."""
    added = [name for name in names if "." not in name]
    if schema.layer_types is None or not added:
        return schema
    wider = copy.copy(schema)
    wider.layer_types = {**schema.layer_types, **dict.fromkeys(added, frozenset())}
    wider.custom_types = frozenset(added)
    return wider


def _layer_type(description: Description) -> LayerType:
    loss = bool(description.loss)
    own: dict[str, Any] = {"name": description.name, "infer": _infer(description), "fork_fields": None}
    if description.like is None or description.shapes is not None or description.params is not None:
        own.update(signal=UNMODELLED, simulate="")  # those of the known type are of its own shapes
    if description.bottoms is not None:
        own["bottoms"] = description.bottoms
        own["is_data"] = description.bottoms == (0, 0)
    if description.tops is not None:
        own["tops"] = description.tops
    elif description.shapes is not None and not description.one_shape and description.like is None:
        own["tops"] = (len(description.shapes), len(description.shapes))
    if description.loss is not None:
        own["is_loss"] = loss
        # LossLayer adds its top and gives it weight 1; a Python layer has only a written loss_weight.
        own["auto_top"] = loss and not description.is_python
        own["loss_weight"] = 1.0 if own["auto_top"] else 0.0
    if description.in_place is not None:
        own["in_place"] = IN_PLACE_RIGHT if description.in_place else IN_PLACE_WRONG_VALUES
    if description.params is not None:
        own["open_params"] = False
    if description.is_python:
        python = TYPES["Python"][0]
        own.update(like=python.name, opaque=True, reads=python.reads)
        if description.like is None:
            own["settings"] = python.settings
    if description.like is not None:
        return TYPES[description.like][0]._replace(**{**own, "like": description.like})
    defaults: dict[str, Any] = {
        "bottoms": (0, None),
        "tops": (1, 1) if own.get("auto_top") else (0, None),
        "open_params": True,
    }
    return LayerType(**{**defaults, **own})


def _infer(description: Description) -> Any:
    like = TYPES[description.like][0].infer if description.like is not None else None
    shapes, params = description.shapes, description.params
    if shapes is None and description.loss and like is None:
        shapes = ((),)

    def infer(layer: Layer) -> Sequence[Shape]:
        found = len(layer.context.problems)
        inferred = like(layer) if like is not None else ()
        if description.is_python and len(layer.context.problems) > found:
            del layer.context.problems[found:]  # a Python layer has other settings, and checks what it likes
            layer.params, inferred = (), ()
        if params is not None:
            layer.params = ()
            for i, rule in enumerate(params):
                layer.add_param(f"blob {i}", _evaluated(rule, layer))
        if shapes is None:
            return inferred
        evaluated = [_evaluated(rule, layer) for rule in shapes]
        return evaluated * len(layer.tops) if description.one_shape else evaluated

    return infer


def _evaluated(rule: ShapeRule, layer: Layer) -> Shape:
    """The shape that a rule gives, as far as the layer's bottoms exist and are known."""
    if rule is None:
        return None
    if isinstance(rule, SameAs):
        return layer.bottoms[rule.bottom].shape if rule.bottom < len(layer.bottoms) else None
    return tuple(_axis_of(dim, layer) if isinstance(dim, AxisOf) else dim for dim in rule)


def _axis_of(dim: AxisOf, layer: Layer) -> int | None:
    shape = layer.bottoms[dim.bottom].shape if dim.bottom < len(layer.bottoms) else None
    axis = axis_index(dim.axis, len(shape)) if shape is not None else None
    return shape[axis] if shape is not None and axis is not None else None
