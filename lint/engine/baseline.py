"""The baseline: known findings that are not reported, so that later runs show only new ones.

A finding is identified by its file, its rule and its field, within the layer of that name - not by its line, which
moves, nor by its message, whose numbers change. Findings equal in all three are counted. Layout, version 1:

    {"version": 1, "findings": {"models/net.prototxt": {"G104": {"layer[up1].type": 1}}}}

Paths are relative to the folder of the file.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from ..proto.named_tuple import NamedTuple
from ..proto.parser import parse
from ..proto.tree import Block, Field, Scalar, fields_at
from ..rule.finding import Finding
from ..source.errors import InputError
from ..source.json_file import NotJson, read_json
from ..source.opener import Unreadable
from ..source.wording import as_written

VERSION = 1
LAYERS = ("layer", "layers")

Key = tuple[str, str, str]  # path of a file, code of a rule, address in the file


class BaselineError(InputError):
    """A baseline that cannot be read or written. The message says which, and why."""


class Baseline(NamedTuple):
    """Counts of known findings. The paths in the keys are absolute. A baseline that is yet to be written is empty."""

    path: str
    counts: dict[Key, int]


class Comparison(NamedTuple):
    """How often a check hid each known finding, and the rules that checked all of each file."""

    hidden: Mapping[Key, int]
    judged: Mapping[str, frozenset[str]]


def address(root: Block, position: int) -> str:
    """Return the address of a position, by field and layer names: `layer[conv1].convolution_param.pad`.

    `layers` of older nets are called `layer` as well. Empty outside all fields.
    """
    return ".".join(_step(field) for field in fields_at(root, position))


def _step(field: Field) -> str:
    if field.name not in LAYERS or not isinstance(field.value, Block):
        return field.name
    inner = field.value.fields
    for nested in inner:  # of the oldest format, layers { layer { name: … } }
        if nested.name == "layer" and isinstance(nested.value, Block):
            inner = nested.value.fields
    for name in ("name", "type", "top"):
        for each in inner:
            if each.name == name and isinstance(each.value, Scalar):
                return f"layer[{each.value.text.decode('utf-8', 'replace').strip(chr(34) + chr(39))}]"
    return "layer[]"


def keys_of(findings: Iterable[Finding], texts: Mapping[str, bytes]) -> list[Key]:
    """Return the key of each finding; `texts` are the texts of the files with findings."""
    roots: dict[str, Block] = {}
    keys = []
    for finding in findings:
        path = finding.place.path
        if path not in roots:
            roots[path] = parse(texts[path]).root
        keys.append((os.path.abspath(path), finding.code, address(roots[path], finding.start)))
    return keys


def without_known(
    findings: list[Finding], texts: Mapping[str, bytes], baseline_of: Callable[[str], Baseline | None]
) -> tuple[list[Finding], Counter[Key]]:
    """Return the new findings, and how many of each key are known. If there are more than known, the last ones are new.

    `baseline_of` returns the baseline that applies to a path.
    """
    hidden: Counter[Key] = Counter()
    new = []
    for finding, key in zip(findings, keys_of(findings, texts), strict=True):
        baseline = baseline_of(finding.place.path)
        if baseline is not None and hidden[key] < baseline.counts.get(key, 0):
            hidden[key] += 1
        else:
            new.append(finding)
    return new, +hidden


def joined(comparisons: Iterable[Comparison]) -> Comparison:
    """Merge the comparisons of several checks, some of which may have checked the same file."""
    hidden: Counter[Key] = Counter()
    judged: dict[str, frozenset[str]] = {}
    for one in comparisons:
        hidden |= Counter(one.hidden)  # the greater of two numbers
        for path, codes in one.judged.items():
            judged[path] = judged.get(path, frozenset()) | codes
    return Comparison(hidden, judged)


def stale(baseline: Baseline, comparison: Comparison) -> list[Key]:
    """Return the known findings that no longer occur, or less often, in files that were checked or no longer exist."""
    judged = {os.path.abspath(path): codes for path, codes in comparison.judged.items()}
    return sorted(
        key
        for key, count in baseline.counts.items()
        if not os.path.exists(key[0])
        or (key[1] in judged.get(key[0], frozenset()) and comparison.hidden.get(key, 0) < count)
    )


def updated(baseline: Baseline, found: Mapping[Key, int], judged: Mapping[str, frozenset[str]]) -> Baseline:
    """Return a baseline of what was found, and of what it knew before of everything that was not checked."""
    checked = {os.path.abspath(path): codes for path, codes in judged.items()}
    counts = {
        key: count
        for key, count in baseline.counts.items()
        if os.path.exists(key[0]) and key[1] not in checked.get(key[0], frozenset())
    }
    return Baseline(baseline.path, {**counts, **found})


def record(
    path: str, findings: list[Finding], texts: Mapping[str, bytes], comparisons: Iterable[Comparison | None]
) -> Baseline:
    """Write the findings of a check to a new or existing baseline. Raises BaselineError."""
    old = read_baseline(path) if os.path.exists(path) else Baseline(path, {})
    judged = joined(comparison for comparison in comparisons if comparison is not None).judged
    new = updated(old, Counter(keys_of(findings, texts)), judged)
    write_baseline(new)
    return new


def read_baseline(path: str) -> Baseline:
    """Read a baseline from its file. Raises BaselineError."""
    try:
        content = read_json(path)
    except NotJson as error:
        raise BaselineError(f"{path}: not a baseline: {error.reason}") from None
    except Unreadable as error:
        if not os.path.lexists(path):
            raise BaselineError(f"{path}: no such baseline; create it with --write-baseline {path}") from None
        raise BaselineError(str(error)) from None
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise BaselineError(f"{path}: not a baseline of version {VERSION}")
    folder = os.path.dirname(os.path.abspath(path))
    counts: dict[Key, int] = {}
    try:
        for name, codes in content["findings"].items():
            for code, addresses in codes.items():
                for where, count in addresses.items():
                    if type(count) is not int or count < 1:
                        raise BaselineError(
                            f"{path}: number of findings must be positive, not {as_written(count)} ({name}, {code})"
                        )
                    counts[os.path.normpath(os.path.join(folder, name)), code, where] = count
    except (AttributeError, KeyError):
        raise BaselineError(
            f"{path}: 'findings' must map files to codes, and these to addresses with numbers"
        ) from None
    return Baseline(path, counts)


def write_baseline(baseline: Baseline) -> None:
    """Write a baseline, sorted, so that two of them can be compared. Raises BaselineError."""
    from ..source.output import write_named  # keeps what writes files out of the start

    folder = os.path.dirname(os.path.abspath(baseline.path))
    findings: dict[str, dict[str, dict[str, int]]] = {}
    for (path, code, where), count in sorted(baseline.counts.items()):
        shown = os.path.relpath(path, folder).replace(os.sep, "/")
        findings.setdefault(shown, {}).setdefault(code, {})[where] = count
    text = json.dumps({"version": VERSION, "findings": findings}, indent=2, ensure_ascii=False) + "\n"
    try:
        write_named(baseline.path, text.encode("utf-8", "surrogateescape"), updates=True)
    except OSError as error:
        raise BaselineError(f"{baseline.path}: {error.strerror or error}") from None
