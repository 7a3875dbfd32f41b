"""Compiling a schema from the user's caffe.proto."""

from __future__ import annotations

from pathlib import Path

from ..proto.compile import CompileError, compile_proto, schema_table
from ..proto.schema import Schema, caffe_schema
from ..source.opener import MAX_SETTINGS, Unreadable, check_regular

_ADVICE_ON_PARTS = "pass the one that your Caffe is built with, src/caffe/proto/caffe.proto, with this part merged into it"


def user_schema(path: str) -> Schema:
    """Return the schema of a caffe.proto, with what our schema knows of its fields. Raises CompileError."""
    try:
        check_regular(path, MAX_SETTINGS)
    except Unreadable as error:
        raise CompileError(error.reason) from None
    compiled = compile_proto(Path(path))
    schema = Schema(schema_table(compiled), base=caffe_schema(), descriptor_set=compiled)
    for name in ("NetParameter", "SolverParameter"):
        if not schema.has(name):
            if schema.has_settings:
                raise CompileError(f"only a part of a caffe.proto: it has no message {name}; {_ADVICE_ON_PARTS}")
            raise CompileError(f"not a caffe.proto: it has no message {name}")
    return schema
