"""A replacement for `typing.NamedTuple` whose classes are created faster.

A check creates about a hundred such classes before it reads the first file. `typing.NamedTuple` compiles every annotation
and constructor at that point: with it, a check of examples/digits takes 1.16 to 1.20 times the processor time
(`benchmarks/speed.py --part d`). Here annotations are left alone, and a constructor is compiled when the first tuple of its
class is created, which for most classes is never.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    from functools import cache
    from operator import is_, itemgetter
    from types import FunctionType

    try:
        from _collections import _tuplegetter as getter_of  # used by collections.namedtuple, twice as fast
    except ImportError:

        def getter_of(index, doc):
            return property(itemgetter(index), doc=doc)

    @cache
    def _code_of(count):
        """Return the code of a constructor with that many fields, whatever their names."""
        names = "".join(f"_{number}, " for number in range(count))
        return eval(f"lambda _cls, {names}: _new(_cls, ({names}))").__code__

    def _first(cls, *values, **named):
        """The initial constructor of a class, which replaces itself when the first tuple is created."""
        owner = next(base for base in cls.__mro__ if "_fields" in vars(base))
        code = _code_of(len(owner._fields)).replace(co_name="__new__", co_varnames=("_cls", *owner._fields))
        owner.__new__ = constructor = FunctionType(code, {"_new": tuple.__new__}, "__new__")
        constructor.__qualname__ = f"{owner.__qualname__}.__new__"
        constructor.__defaults__ = tuple(owner._field_defaults.values())
        return constructor(cls, *values, **named)

    class _NamedTuple(tuple):
        """The methods of all named tuples, with the names of `collections.namedtuple`."""

        __slots__ = ()
        __new__ = _first

        @classmethod
        def _make(cls, values):
            return cls(*values)

        def _replace(self, **named):
            """Return a copy with other values of some fields; the tuple itself, and no copy, if it has these already."""
            changed = tuple.__new__(type(self), map(named.pop, self._fields, self))
            if named:
                raise ValueError(f"{type(self).__name__} has no field {', '.join(map(repr, named))}")
            return self if all(map(is_, self, changed)) else changed

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self):
            return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"

        def __getnewargs__(self):
            return tuple(self)

    class _Maker(type):
        """Turns a class with annotations into a tuple class with these fields."""

        def __new__(cls, name, bases, namespace):
            fields = tuple(namespace.get("__annotations__", ()))
            defaults = {field: namespace[field] for field in fields if field in namespace}
            if tuple(defaults) != fields[len(fields) - len(defaults) :]:
                raise TypeError(f"{name}: a field without a default follows one with a default")
            for index, field in enumerate(fields):
                namespace[field] = getter_of(index, None)
            namespace.update(
                _fields=fields, _field_defaults=defaults, __match_args__=fields, __slots__=(), __new__=_first
            )
            return type(name, (_NamedTuple,), namespace)

    NamedTuple = type.__new__(_Maker, "NamedTuple", (), {})
