"""Export a log as tables of iterations and of debug_info values, in CSV, JSON or Parquet.

Rows are written while the log is read, so that a long log needs no more memory than a short one.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from ..proto.named_tuple import NamedTuple
from ..source.errors import InputError
from ..source.output import require_output, write_named
from ..training_log.log_reader import LogReader, blocks
from ..training_log.runs import Pass, Run, Step

ITERATIONS = (
    "run",
    "iteration",
    "log_line",
    "loss",
    "lr",
    "l1_data",
    "l1_diff",
    "l2_data",
    "l2_diff",
    "clip_norm",
    "clip_bound",
    "outputs",
)
DEBUG = ("run", "iteration", "log_line", "direction", "layer", "role", "blob", "what", "mean_abs")
ROWS = 50_000  # of a group in a Parquet file


class Missing(InputError):
    """A library is not installed; the message says how to install it."""


class Table(NamedTuple):
    """The destination of rows: functions to write one and to close it."""

    write: Callable[[tuple[Any, ...]], None]
    close: Callable[[], None]


class Exporter:
    """Writes each step and each value from a log's reader into two tables."""

    def __init__(self, iterations: Table, debug: Table) -> None:
        self._iterations = iterations
        self._debug = debug
        self._numbers: dict[int, int] = {}

    def step(self, run: Run, step: Step) -> None:
        """Write a row for an iteration."""
        norms = step.norms or (None, None, None, None)
        clipping = step.clipping or (None, None)
        outputs = json.dumps([_output(out) for out in step.outputs])
        self._iterations.write(
            (self._number(run), step.iteration, step.line, step.loss, step.rate, *norms, *clipping, outputs)
        )

    def passed(self, run: Run, passed: Pass) -> None:
        """Write rows for the values of a pass."""
        number = self._number(run)
        for value in passed:
            self._debug.write((number, passed.iteration, value.line, *value.key, value.value))

    def _number(self, run: Run) -> int:
        return self._numbers.setdefault(id(run), len(self._numbers) + 1)

    def close(self) -> None:
        """Close both tables."""
        try:
            self._iterations.close()
        finally:
            self._debug.close()


def _output(out: Any) -> dict[str, Any]:
    return {
        "name": out.name,
        "value": out.value if math.isfinite(out.value) else str(out.value),
        "loss_weight": out.weight,
    }


def export(path: str, target: str, form: str) -> list[str]:
    """Write a log's tables to `target` and, for debug_info, to a file next to it. Return the paths.

    Raises OSError, Missing, Unreadable, and InputError for a file that this run has read.
    """
    stem, suffix = os.path.splitext(target)
    beside = f"{stem}.debug{suffix}"
    for written in (target, beside):
        require_output(written)
    exporter = Exporter(_TABLES[form](target, ITERATIONS), _TABLES[form](beside, DEBUG))
    reader = LogReader(exporter)
    try:
        for block in blocks(path):
            reader.feed(block)
        reader.finish()
    finally:
        exporter.close()
    return [target, beside]


class _Spool:
    """A temporary file in which a table is collected before it is written to its path in one step."""

    def __init__(self, path: str) -> None:
        self.file: BinaryIO = TemporaryFile()  # noqa: SIM115  (closed by `keep`)
        self.text = io.TextIOWrapper(self.file, encoding="utf-8", newline="")
        self._path = path

    def keep(self) -> None:
        """Write the table. Raises OSError."""
        with self.text:
            self.text.flush()
            self.file.seek(0)
            write_named(self._path, self.file)


def _csv(path: str, names: tuple[str, ...]) -> Table:
    spool = _Spool(path)
    writer = csv.writer(spool.text)
    writer.writerow(names)
    return Table(writer.writerow, spool.keep)


def _json(path: str, names: tuple[str, ...]) -> Table:
    """Write an array of objects. Values that are not finite are strings, since JSON has no numbers for them."""
    spool = _Spool(path)
    spool.text.write("[")
    state = {"first": True}

    def write(row: tuple[Any, ...]) -> None:
        values = (str(value) if isinstance(value, float) and not math.isfinite(value) else value for value in row)
        entry = dict(zip(names, values, strict=True))
        if "outputs" in entry:
            entry["outputs"] = json.loads(entry["outputs"])
        spool.text.write(("\n" if state["first"] else ",\n") + json.dumps(entry))
        state["first"] = False

    def close() -> None:
        spool.text.write("\n]\n")
        spool.keep()

    return Table(write, close)


def _parquet(path: str, names: tuple[str, ...]) -> Table:
    try:
        import pyarrow  # type: ignore[import-not-found,import-untyped,unused-ignore]
        import pyarrow.parquet  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise Missing("--parquet needs pyarrow: pip install pyarrow") from None
    integers = {"run", "iteration", "log_line"}
    texts = {"outputs", "direction", "layer", "role", "blob", "what"}
    schema = pyarrow.schema(
        [
            (
                name,
                pyarrow.int64() if name in integers else pyarrow.string() if name in texts else pyarrow.float64(),
            )
            for name in names
        ]
    )
    spool = _Spool(path)
    writer = pyarrow.parquet.ParquetWriter(spool.file, schema)
    rows: list[tuple[Any, ...]] = []

    def flush() -> None:
        if rows:
            columns = [
                pyarrow.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)
            ]
            writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema))
            rows.clear()

    def write(row: tuple[Any, ...]) -> None:
        rows.append(row)
        if len(rows) >= ROWS:
            flush()

    def close() -> None:
        flush()
        writer.close()
        spool.keep()

    return Table(write, close)


_TABLES: dict[str, Callable[[str, tuple[str, ...]], Table]] = {
    "csv": _csv,
    "json": _json,
    "parquet": _parquet,
}
