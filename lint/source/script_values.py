"""The texts that the variables of a script may have, as far as reading it tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, product

# Stand for parts of a text: one that is known only when the script runs, and the folder of the script.
UNKNOWN = "\0"
SCRIPT_FOLDER = "\1"

MAX_VALUES = 8  # of one variable
MAX_COMBINATIONS = 16  # of the values of several
MAX_LENGTH = 4_000  # of a value

Block = tuple[int, ...]  # the blocks around a place, the outermost first: branches, loops, functions


class Variables:
    """The values of variables: an assignment replaces the earlier ones, unless it may not run where they did."""

    def __init__(self) -> None:
        self._values: dict[str, list[tuple[Block, list[str]]]] = {}

    def assign(self, name: str, values: Iterable[str], block: Block) -> None:
        """Give a variable one of some values in a block."""
        found = [value[:MAX_LENGTH] for value in islice(dict.fromkeys(values), MAX_VALUES)]
        before = self._values.get(name, [])
        kept = [entry for entry in before if entry[0][: len(block)] != block]
        self._values[name] = [*kept, (block, found)][-MAX_VALUES:]

    def append(self, name: str, values: Iterable[str], block: Block) -> None:
        """Add one of some texts at the end of a variable."""
        longer = [old + new for old, new in product(self.get(name) or [""], values)]
        self.assign(name, longer, block)

    def get(self, name: str) -> list[str]:
        """Return the values that a variable may have; empty if none is known."""
        values = (value for _, found in self._values.get(name, ()) for value in found)
        return list(islice(dict.fromkeys(values), MAX_VALUES))

    def combinations(self, names: Iterable[str]) -> Iterator[Mapping[str, str]]:
        """Yield the values that some variables may have together; those of which nothing is known are left out."""
        known = {name: values for name in dict.fromkeys(names) if (values := self.get(name))}
        for chosen in islice(product(*known.values()), MAX_COMBINATIONS):
            yield dict(zip(known, chosen, strict=True))


def joined(folder: str, path: str) -> str:
    """Return a path that is relative to a folder, as written; one that starts elsewhere is not."""
    return path if not folder or path.startswith(("/", "~", UNKNOWN, SCRIPT_FOLDER)) else f"{folder}/{path}"
