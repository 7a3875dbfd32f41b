"""`NamedTuple` is what that of `typing` is."""

from __future__ import annotations

import pickle
import typing
from typing import Any

import pytest

from caffe_lint.proto.named_tuple import NamedTuple


class Point(NamedTuple):
    """A place."""

    x: int
    y: int = 2
    label: str = ""

    @property
    def total(self) -> int:
        return self.x + self.y


class Theirs(typing.NamedTuple):
    x: int
    y: int = 2
    label: str = ""


@pytest.mark.parametrize("values", [(1,), (1, 3), (1, 3, "a")])
def test_it_is_made_from_values_in_order_with_defaults(values: Any) -> None:
    assert tuple(Point(*values)) == tuple(Theirs(*values)) == Point(*values)


def test_it_is_made_from_names() -> None:
    assert Point(label="b", x=7) == (7, 2, "b")


@pytest.mark.parametrize(("values", "named"), [((), {}), ((1, 2, "a", 4), {}), ((1,), {"z": 1}), ((1,), {"x": 1})])
def test_it_refuses_what_does_not_fit(values: Any, named: Any) -> None:
    for _ in range(2):  # the first constructor and the one after it
        with pytest.raises(TypeError):
            Point(*values, **named)


def test_its_fields_have_names_and_cannot_be_set() -> None:
    point = Point(1)
    assert (point.x, point.y, point.label, point.total) == (1, 2, "", 3)
    for name in ("x", "unknown"):
        with pytest.raises(AttributeError):
            setattr(point, name, 5)
    assert not hasattr(point, "__dict__")


def test_it_has_the_methods_of_a_named_tuple() -> None:
    ours, theirs = Point(1, label="c"), Theirs(1, label="c")
    assert ours._asdict() == theirs._asdict()
    assert ours._fields == theirs._fields
    assert ours._field_defaults == theirs._field_defaults
    assert ours._replace(y=9) == theirs._replace(y=9)
    assert type(ours._replace(y=9)) is Point
    assert Point._make([4, 5, "d"]) == (4, 5, "d")
    assert repr(ours) == repr(theirs).replace("Theirs", "Point")
    assert Point.__doc__ == "A place."
    with pytest.raises(ValueError, match="'z'"):
        ours._replace(z=1)  # type: ignore[call-arg]


def test_it_travels_between_processes() -> None:
    assert pickle.loads(pickle.dumps(Point(3))) == Point(3)
    assert type(pickle.loads(pickle.dumps(Point(3)))) is Point


def test_a_match_takes_it_apart() -> None:
    match Point(3, 4):
        case Point(x, y, label):
            assert (x, y, label) == (3, 4, "")
        case _:
            pytest.fail("no match")


def test_a_field_without_a_default_cannot_follow_one_with_a_default() -> None:
    with pytest.raises(TypeError, match="default"):
        type(NamedTuple)("Wrong", (NamedTuple,), {"__annotations__": {"x": "int", "y": "int"}, "x": 1})
