"""Holds our parser and binder against protobuf's C++ parser, which is protoc's and Caffe's.

    python benchmarks/against_protoc.py [--corpus ../shared/corpus] [--mutations 100000] [--seed 1] [--jobs 2]

Every file of the corpus, and mutated pieces of them, are read by both: each has to be accepted by both, with equal
bytes on the wire, or refused by both. Accepted by us is what has no problem but those that protoc does not look for:
layer types, which it does not know, and required fields, which `--encode` lets pass.

protoc gets the schema of the very Caffe that the file was found to be for: its fields and enum values in its own forms.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pb2 import FileDescriptorSet as DescriptorSet
from grpc_tools import protoc

from caffe_lint.proto.binder import Bound, bind
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import FieldType, MessageType, Schema, caffe_schema
from caffe_lint.proto.tree import Problem, Tree
from caffe_lint.proto.wire import encode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import mutate

NOT_PROTOCS_BUSINESS = frozenset(("unknown-layer-type", "foreign-layer-type", "missing-required-field"))
_WORD = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")


class Reading(NamedTuple):
    """What we make of a text: its tree, its message, and what protoc should complain about as well."""

    tree: Tree
    bound: Bound
    problems: list[Problem]


def read(source: bytes, type_name: str) -> Reading:
    """Our own reading of a text."""
    tree = parse(source)
    bound = bind(tree, caffe_schema(), type_name)
    problems = [*tree.problems, *(problem for problem in bound.problems if problem.kind not in NOT_PROTOCS_BUSINESS)]
    return Reading(tree, bound, problems)


class Protoc:
    """protoc in this very process, as starting it anew for each text would take a hundred times as long."""

    def __init__(self, schema: Schema, descriptors: bytes) -> None:
        self.schema = schema
        self._options: dict[str, bool] = {}
        self._fields: dict[tuple[str, int], FieldDescriptorProto] = {}
        self._enums: dict[str, EnumDescriptorProto] = {}
        file = next(file for file in DescriptorSet.FromString(descriptors).file if file.package == "caffe_lint")
        self._take_apart("", file.message_type, file.enum_type)

    def _take_apart(
        self, scope: str, messages: Iterable[DescriptorProto], enums: Iterable[EnumDescriptorProto]
    ) -> None:
        for enum in enums:
            self._enums[scope + enum.name] = enum
        for message in messages:
            for field in message.field:
                self._fields[scope + message.name, field.number] = field
            self._take_apart(f"{scope}{message.name}.", message.nested_type, message.enum_type)

    def encode(self, source: bytes, type_name: str, dialect: str) -> tuple[bytes | None, str]:
        """The bytes of a text on the wire, None if it is refused, and what protoc says."""
        words = {word.decode() for word in _WORD.findall(source)}
        descriptors = self.descriptors(type_name, dialect, words)
        with _files(descriptors, source) as (schema_path, files):
            saved = [os.dup(number) for number in (0, 1, 2)]
            try:
                for number, file in enumerate(files):
                    os.dup2(file, number)
                status = protoc.main(
                    ["protoc", f"--descriptor_set_in={schema_path}", f"--encode=judge.{_flat(type_name)}"]
                )
            finally:
                for number, file in enumerate(saved):
                    os.dup2(file, number)
                    os.close(file)
            out, said = _content(files[1]), _content(files[2]).decode("utf-8", "replace")
        return (None if status else out), said

    def descriptors(self, type_name: str, dialect: str, words: set[str]) -> bytes:
        """The part of a dialect's schema that a text of these words can reach."""
        file = FileDescriptorProto(name="judge.proto", package="judge", syntax="proto2")
        todo = [self.schema.message(type_name)]
        done = {type_name}
        while todo:
            message = todo.pop()
            described = file.message_type.add(name=_flat(message.name))
            for field in self._fields_of(message, dialect, words):
                copy = described.field.add()
                copy.CopyFrom(self._fields[message.name, field.number])
                copy.name = field.name
                copy.ClearField("options")
                copy.ClearField("default_value")
                copy.ClearField("json_name")
                copy.options.packed = field.packed
                if field.kind not in ("message", "enum"):
                    continue
                copy.type_name = f".judge.{_flat(field.type_name)}" + (".Values" if field.kind == "enum" else "")
                if field.type_name in done:
                    continue
                done.add(field.type_name)
                if field.kind == "message":
                    todo.append(field.message)
                else:
                    self._describe_enum(file, field, dialect)
        return DescriptorSet(file=[file]).SerializeToString()

    def _fields_of(self, message: MessageType, dialect: str, words: set[str]) -> Iterator[FieldType]:
        for name in words.intersection(message.fields):
            field = message.fields_in(dialect)[name]
            if field.is_in(dialect):
                yield field

    def _describe_enum(self, file: FileDescriptorProto, field: FieldType, dialect: str) -> None:
        # In a message of its own, since the names of values have to be unique in the scope around an enum.
        described = file.message_type.add(name=_flat(field.type_name)).enum_type.add(name="Values")
        described.options.allow_alias = True
        enum = field.enum
        numbers = set()
        for value in self._enums[field.type_name].value:
            if dialect in enum.dialects_of.get(value.name, (dialect,)):
                described.value.add(name=value.name, number=value.number)
                numbers.add(value.number)
        if len(numbers) == len(described.value):
            described.ClearField("options")
        if not numbers:
            described.value.add(name="none_of_them", number=-1)


def _flat(name: str) -> str:
    return name.replace(".", "__")


@contextlib.contextmanager
def _files(descriptors: bytes, source: bytes) -> Iterator[tuple[str, list[int]]]:
    """The path of the schema, and open files for standard input, output and errors."""
    folder = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with contextlib.ExitStack() as stack:
        schema, *files = (stack.enter_context(tempfile.NamedTemporaryFile(dir=folder)) for _ in range(4))
        for file, content in ((schema, descriptors), (files[0], source)):
            file.write(content)
            file.seek(0)
        yield schema.name, [file.fileno() for file in files]


def _content(file: int) -> bytes:
    os.lseek(file, 0, os.SEEK_SET)
    return os.read(file, os.fstat(file).st_size)


class Verdict(NamedTuple):
    """How both read a text: `same`, `refused` by both, or how they differ."""

    outcome: str
    ours: str
    protocs: str


def compare(judge: Protoc, source: bytes, type_name: str) -> Verdict:
    """Both readings of one text."""
    reading = read(source, type_name)
    theirs, said = judge.encode(source, type_name, reading.bound.dialect)
    ours = "; ".join(
        ":".join(map(str, reading.tree.line_and_column(problem.start))) + f" {problem.kind}: {problem.message}"
        for problem in reading.problems[:3]
    )
    if theirs is None:
        return Verdict("refused" if reading.problems else "only we accept", ours, said)
    if reading.problems:
        return Verdict("only we refuse", ours, said)
    mine = encode(reading.bound.message, reading.bound.dialect)
    return Verdict("same" if mine == theirs else "other bytes", mine.hex(), theirs.hex())


def type_of(source: bytes) -> str:
    """What a file is read as; anything that is no solver as a net."""
    from caffe_lint.source.files import kind_of

    return "SolverParameter" if kind_of(parse(source)) == "solver" else "NetParameter"


def the_judge() -> Protoc:
    """protoc with our own schema."""
    return Protoc(caffe_schema(), (resources.files("caffe_lint.proto") / "caffe.binpb").read_bytes())


def corpus_files(corpus: Path) -> list[Path]:
    """All files of the corpus, whatever they are."""
    return sorted(path for path in (corpus / "files").rglob("*") if path.is_file())


def pieces(sources: list[bytes], seed: int) -> list[tuple[bytes, str]]:
    """Small pieces of files, some of each, with what they are read as."""
    chance = random.Random(seed)
    found: list[tuple[bytes, str]] = []
    for source in sources:
        type_name = type_of(source)
        found += ((piece, type_name) for piece in mutate.cuts(source, chance, (40, 100, 100, 300, 300, 1000)))
    return found


def judge_mutants(
    sources: list[tuple[bytes, str]], count: int, seed: int
) -> tuple[Counter[str], list[tuple[mutate.Mutant, Verdict]]]:
    """The outcomes for so many mutated pieces, and those that are read otherwise."""
    judge = the_judge()
    chance = random.Random(seed)
    outcomes: Counter[str] = Counter()
    differing = []
    for _ in range(count):
        source, type_name = chance.choice(sources)
        mutant = mutate.mutated(source, chance)
        verdict = compare(judge, mutant.text, type_name)
        outcomes[verdict.outcome] += 1
        if verdict.outcome not in ("same", "refused"):
            differing.append((mutant, verdict))
    return outcomes, differing


def _print_outcomes(what: str, outcomes: Counter[str], seconds: float) -> None:
    differ = outcomes.total() - outcomes["same"] - outcomes["refused"]
    print(
        f"{what}: {outcomes.total()} texts in {seconds:.0f} s: {outcomes['same']} accepted by both with equal bytes,"
        f" {outcomes['refused']} refused by both, {differ} read otherwise",
        flush=True,
    )


def _print_difference(where: str, verdict: Verdict) -> None:
    print(f"  {verdict.outcome}: {where}")
    print(f"    ours:   {verdict.ours[:300]}")
    print(f"    protoc: {verdict.protocs.strip()[:300]}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--corpus", type=Path, default=root.parent / "shared" / "corpus", help="folder of real files")
    parser.add_argument("--mutations", type=int, default=0, help="so many mutated pieces of the files as well")
    parser.add_argument("--seed", type=int, default=1, help="of the mutations")
    parser.add_argument("--jobs", type=int, default=1, help="processes for the mutations")
    arguments = parser.parse_args()
    paths = corpus_files(arguments.corpus)
    if not paths:
        print(f"{arguments.corpus} holds no files", file=sys.stderr)
        return 2

    judge = the_judge()
    outcomes: Counter[str] = Counter()
    start = time.perf_counter()
    sources = [path.read_bytes() for path in paths]
    for path, source in zip(paths, sources, strict=False):
        verdict = compare(judge, source, type_of(source))
        outcomes[verdict.outcome] += 1
        if verdict.outcome not in ("same", "refused"):
            _print_difference(str(path.relative_to(arguments.corpus)), verdict)
    _print_outcomes("corpus", outcomes, time.perf_counter() - start)
    differ = outcomes.total() - outcomes["same"] - outcomes["refused"]

    if arguments.mutations:
        start = time.perf_counter()
        outcomes = Counter()
        small = pieces(sources, arguments.seed)
        share = [arguments.mutations // arguments.jobs] * arguments.jobs
        with ProcessPoolExecutor(arguments.jobs) as pool:
            works = [
                pool.submit(judge_mutants, small, count, arguments.seed * 1000 + number)
                for number, count in enumerate(share)
            ]
            for work in works:
                counts, differing = work.result()
                outcomes += counts
                for mutant, verdict in differing:
                    _print_difference(f"{mutant.text!r} ({', '.join(mutant.how)})", verdict)
        _print_outcomes("mutated", outcomes, time.perf_counter() - start)
        differ += outcomes.total() - outcomes["same"] - outcomes["refused"]
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
