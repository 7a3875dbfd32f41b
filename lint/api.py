"""The public Python API. It prints nothing, ends nothing, and loads protobuf only when a message is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from .proto.named_tuple import NamedTuple
from .proto.schema import caffe_schema
from .source.files import SourceFile

if TYPE_CHECKING:
    from .proto.caffe_pb2 import NetParameter, SolverParameter

__all__ = ["Parsed", "Problem", "parse"]

Kind = Literal["solver", "net", "template", "other"]


class Problem(NamedTuple):
    """Something in a text that Caffe's parser would refuse: from `line` and `column` (both from 1) up to the end.

    `kind` is a short name such as `unknown-field`; `message` says for people what is wrong.
    """

    kind: str
    message: str
    line: int
    column: int
    end_line: int
    end_column: int


class Parsed:
    """A text as Caffe would read it. Everything on it is read-only and is worked out when it is first asked for."""

    __slots__ = ("_file", "_message")

    def __init__(self, file: SourceFile) -> None:
        self._file = file
        self._message: SolverParameter | NetParameter | None = None

    @property
    def kind(self) -> Kind:
        """What Caffe would read the text as: `solver` or `net`, or `other` for what is neither.

        A `template` has placeholders that have to be replaced before Caffe can read it.
        """
        return self._file.kind  # type: ignore[return-value]  # one of these four

    @property
    def dialect(self) -> str:
        """The Caffe that has everything the text uses: `bvlc`, or a fork such as `ssd`."""
        return self._file.bound.dialect

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What Caffe's parser would refuse, in the order of the places. Of `template` and `other`, only faults of syntax."""
        tree = self._file.tree
        found = [*tree.problems, *(self._file.bound.problems if self.kind in ("solver", "net") else ())]
        found.sort(key=lambda problem: problem.start)
        return tuple(
            Problem(each.kind, each.message, *tree.line_and_column(each.start), *tree.line_and_column(each.end)) for each in found
        )

    @property
    def message(self) -> SolverParameter | NetParameter | None:
        """The text as a protobuf message of `caffe_lint.proto.caffe_pb2`; None for `template` and `other`.

        Fields that no known Caffe has are not in it. Where the text has problems with one likely repair, the message
        holds what the repaired text would say.
        """
        if self._message is None and self.kind in ("solver", "net"):
            from .proto.wire import to_protobuf  # protobuf takes longer to load than a text to parse

            self._message = to_protobuf(self._file.message, self.dialect)  # type: ignore[assignment]  # by its kind
        return self._message

    def __repr__(self) -> str:
        return f"<Parsed {self.kind} with {len(self.problems)} problems>"


def parse(text: str | bytes, *, dialect: str | None = None) -> Parsed:
    """Read the text of a solver or a net. Broken text is no exception, but has `problems`.

    `dialect` is the Caffe to hold the text to; without it, that is found out.
    """
    source = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return Parsed(SourceFile("<text>", source, caffe_schema(), dialect))
