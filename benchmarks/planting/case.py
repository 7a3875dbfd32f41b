"""What a planter is given: a sound file of a unit, and ways to write a mistake into it.

A planter is a function that takes a `Case` and gives the bytes of the file with one mistake in it. It raises `NotHere`
where the file has no place for it. What it plants is found in the file at random, so that one planter makes many.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import NamedTuple, TypeVar

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.engine.units import Unit
from caffe_lint.fixes.apply import edited
from caffe_lint.fixes.edit import Edit
from caffe_lint.fixes.fields import Patch, remove_field, set_field
from caffe_lint.moments.graph import Layer
from caffe_lint.net.job import Job, NetInPhase, Nets, SolverFile
from caffe_lint.net.net import Net
from caffe_lint.proto.binder import Message
from caffe_lint.proto.tree import Block, Field, Scalar, Tree
from caffe_lint.source.files import SourceFile

T = TypeVar("T")

# What a planter can be asked to work on: any text; a net in today's form, one for training, one of the V1 form;
# a solver; the file of the net that a solver trains, checked with that solver.
SUBJECTS = ("text", "net", "train", "v1", "solver", "job")


class NotHere(Exception):
    """The file has no place for this mistake."""


class Planter(NamedTuple):
    """How one mistake is made.

    `also` are other rules that may be the ones to name it. `select` are rules that have to be switched on for that.
    """

    code: str
    name: str
    subjects: tuple[str, ...]
    plant: Callable[[Case], bytes]
    also: tuple[str, ...]
    select: tuple[str, ...]


PLANTERS: list[Planter] = []


def plants(
    code: str, *subjects: str, also: tuple[str, ...] = (), select: tuple[str, ...] = ()
) -> Callable[[Callable[[Case], bytes]], Callable[[Case], bytes]]:
    """Enters a planter for a rule, for files of one of these subjects."""

    def enter(plant: Callable[[Case], bytes]) -> Callable[[Case], bytes]:
        assert subjects
        assert set(subjects) <= set(SUBJECTS)
        PLANTERS.append(Planter(code, plant.__name__, subjects, plant, also, select))
        return plant

    return enter


class Case:
    """A file of a unit in which the rules find nothing that matters, and a source of chance."""

    def __init__(self, unit: Unit, files: Files, file: SourceFile, chance: random.Random) -> None:
        self.unit = unit
        self.files = files
        self.file = file
        self.chance = chance

    @property
    def tree(self) -> Tree:
        """The tree of the file."""
        return self.file.tree

    @property
    def source(self) -> bytes:
        """The bytes of the file."""
        return self.file.source

    @property
    def message(self) -> Message:
        """The message that the file holds."""
        return self.file.message

    @cached_property
    def _nets(self) -> Nets:
        return Nets(self.files.get, None)

    @cached_property
    def job(self) -> Job:
        """The job of the unit's solver."""
        return self._nets.job(SolverFile(self.files.get(self.unit.paths[0]), None), self.unit.root)

    @cached_property
    def nets(self) -> list[NetInPhase]:
        """The nets that are built from the file, one for each phase that it is made for."""
        if self.files.get(self.unit.paths[0]).kind == "solver":
            return [net for net in self.job.nets if net.file is self.file]
        return self._nets.alone(self.file)

    @property
    def net(self) -> Net:
        """The training net, or else the first that the file makes."""
        nets = sorted(self.nets, key=lambda net: net.phase != "TRAIN")
        if not nets:
            raise NotHere
        return nets[0].net

    def pick(self, things: Iterable[T]) -> T:
        """One of them by chance. Raises NotHere if there is none."""
        several = list(things)
        if not several:
            raise NotHere
        return self.chance.choice(several)

    def need(self, condition: object) -> None:
        """Raises NotHere unless the condition holds."""
        if not condition:
            raise NotHere

    # -- what there is ----------------------------------------------------------------------------------------

    def layers(self, *types: str) -> list[Layer]:
        """The layers of the net that stand in the file in today's form, of these types if any are given."""
        written = {id(entry[1]) for entry in self.message.entries.get("layer", ())}
        return [
            layer for layer in self.net.layers if id(layer.entry[1]) in written and (not types or layer.type in types)
        ]

    def fields(self) -> Iterator[tuple[Block, Field]]:
        """Every field of the file with the block it stands in."""
        blocks = [self.tree.root]
        for block in blocks:
            for field in block.fields:
                yield block, field
                if isinstance(field.value, Block):
                    blocks.append(field.value)

    def scalars(self, *names: str) -> list[tuple[Field, Scalar]]:
        """Fields with one value that is no message, of these names if any are given."""
        return [
            (field, field.value)
            for _, field in self.fields()
            if isinstance(field.value, Scalar) and (not names or field.name in names)
        ]

    def strings(self, *names: str) -> list[tuple[Field, Scalar]]:
        """Fields whose value is a text in one pair of quotes, with something in it."""
        return [(f, v) for f, v in self.scalars(*names) if v.text[:1] in b"\"'" and len(v.text) == v.end - v.start > 2]

    def numbers(self, *names: str) -> list[tuple[Field, Scalar]]:
        """Fields whose value is a number in decimals."""
        return [(f, v) for f, v in self.scalars(*names) if v.text.replace(b".", b"", 1).isdigit()]

    # -- ways to write ----------------------------------------------------------------------------------------

    def put(self, start: int, end: int, text: str | bytes) -> bytes:
        """The file with other text between two places."""
        return self.source[:start] + (text.encode() if isinstance(text, str) else text) + self.source[end:]

    def rewrite(self, node: Scalar | Block, text: str | bytes) -> bytes:
        """The file with another value."""
        return self.put(node.start, node.end, text)

    def apply(self, patch: Patch | None) -> bytes:
        """The file with a patch of `fixes`."""
        if patch is None:
            raise NotHere
        return edited(self.source, patch.edits)

    def edit(self, edits: Iterable[Edit]) -> bytes:
        """The file with several edits."""
        return edited(self.source, edits)

    def set(self, message: Message, name: str, value: object, text: str = "") -> bytes:
        """The file with `name: value` in a message, in place of what it has."""
        return self.apply(set_field(self.tree, message, name, value, text=text))

    def drop(self, message: Message, *names: str) -> bytes:
        """The file without these fields of a message. Raises NotHere if none of them is written."""
        patch = Patch()
        for name in names:
            if name in message:
                patch += remove_field(self.tree, message, name)
        self.need(patch.edits)
        return self.apply(patch)

    def drop_at(self, message: Message, path: str) -> bytes:
        """The file without a field of a message within this one: `convolution_param.num_output`."""
        *outer, name = path.split(".")
        for step in outer:
            self.need(step in message)
            message = message[step]
        return self.drop(message, name)

    def inside(self, message: Message, text: str) -> bytes:
        """The file with more text at the end of a message."""
        block = message.block
        self.need(block is not self.tree.root)
        return self.put(block.close, block.close, f"  {text}\n  ")

    def within(self, layer: Layer, name: str, text: str) -> bytes:
        """The file with more text in a message of a layer, which is written anew if it is not there."""
        if name in layer.message:
            return self.inside(layer.message[name], text)
        return self.inside(layer.message, f"{name} {{ {text} }}")

    def behind(self, layer: Layer, text: str) -> bytes:
        """The file with a layer more, behind another."""
        end = layer.entry[2].end
        return self.put(end, end, f"\n{text}\n")

    def end(self, text: str) -> bytes:
        """The file with more text at its end."""
        return self.source + ("" if self.source.endswith(b"\n") else "\n").encode() + text.encode() + b"\n"

    def rename(self, layer: Layer, role: str, index: int, name: str) -> bytes:
        """The file with another name of a bottom or top of a layer."""
        start, end = layer.message.span(role, index)
        return self.put(start, end, f'"{name}"')

    def rules_of(self, layer: Layer) -> str:
        """The include and exclude rules of a layer, as they are written, for a layer that is to stand beside it."""
        fields = [field for name in ("include", "exclude") for field in _fields(layer.message, name)]
        return " ".join(self.source[field.start : field.end].decode("utf-8", "replace") for field in fields)


def _fields(message: Message, name: str) -> list[Field]:
    return [entry[2] for entry in message.entries.get(name, ())]


def misspelt(word: str, chance: random.Random) -> str:
    """A word with one slip of the hand: two letters swapped, one doubled, one lost, one wrong."""
    spot = chance.randrange(1, len(word) - 1) if len(word) > 2 else 0
    match chance.randrange(4):
        case 0:
            new = word[:spot] + word[spot + 1 : spot + 2] + word[spot] + word[spot + 2 :]
        case 1:
            new = word[:spot] + word[spot] + word[spot:]
        case 2:
            new = word[:spot] + word[spot + 1 :]
        case _:
            new = word[:spot] + chance.choice("aeiourstn") + word[spot + 1 :]
    return new if new != word and new else word + "s"
