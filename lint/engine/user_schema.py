"""A schema compiled from a caffe.proto of the user's own."""

from __future__ import annotations

from pathlib import Path

from ..proto.compile import CompileError, compile_proto, schema_table
from ..proto.schema import Schema, caffe_schema


def user_schema(path: str) -> Schema:
    """The schema of a caffe.proto, with what ours knows of its fields. Raises CompileError."""
    compiled = compile_proto(Path(path))
    schema = Schema(schema_table(compiled), base=caffe_schema(), descriptor_set=compiled)
    for name in ("NetParameter", "SolverParameter"):
        if not schema.has(name):
            raise CompileError(f"it has no message {name}, so it is no caffe.proto")
    return schema
