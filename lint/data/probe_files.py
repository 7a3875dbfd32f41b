"""The probe: a small net and solver that read the data of another one, and whose loss is NaN as soon as an input is bad.

An EuclideanLoss compares each blob with itself: x - x is 0, but NaN if x is NaN or infinite. Class labels pass through
logarithms that are finite only for valid classes.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable
from typing import Any

from ..fixes.message_text import message_lines, scalar_text
from ..moments.graph import Layer
from ..moments.layer_type import FROM_PROGRAM
from ..net.batch_size import batch_size
from ..net.classes import LabelUse, label_uses
from ..net.job import NetInPhase
from ..net.phases import TEST, TRAIN
from ..proto.binder import Message
from ..proto.named_tuple import NamedTuple
from ..source.errors import InputError
from ..source.visible import visible

# Solver fields that say where training runs.
_KEPT = ("solver_mode", "device_id", "random_seed")
# The files to write and their templates.
FILES = {
    "net.prototxt": "probe_net.prototxt.j2",
    "solver.prototxt": "probe_solver.prototxt.j2",
    "run.sh": "probe_run.sh.j2",
    "caffe-lint.toml": "probe_config.toml.j2",
}
ITERATIONS = 1000  # if the size of the data is not known


class NothingToRead(InputError):
    """No layer of the nets reads data."""


class Probe(NamedTuple):
    """The files of a probe by name. `complete` says whether its iterations cover the data once."""

    files: dict[str, str]
    iterations: int
    complete: bool


class _Part(NamedTuple):
    """A net of the probe: what it reads and in which phase. `stage` is empty for the only net of its phase."""

    data: list[Layer]
    uses: list[LabelUse]
    phase: str
    stage: str


def probe(
    path: str,
    nets: list[NetInPhase],
    solver: Message | None,
    folder: str,
    base: str,
    items_of: Callable[[Layer], int | None],
) -> Probe:
    """Return the probe for the nets of a solver or for a single net at `path`, to be written to `folder` and run in `base`.

    `items_of` returns the number of items of a data layer's source, None if it is not known.
    Raises NothingToRead.
    """
    parts = _parts(nets)
    if not parts:
        names = {layer.type for net in nets for layer in net.net.layers if not layer.bottoms}
        has = f"only {', '.join(sorted(names))}" if names else "no layer without bottoms"
        raise NothingToRead(f"{path}: no layer reads data from files or a database; it has {has}")
    sizes: list[str] = []
    iterations = {id(part): _iterations(part, items_of, sizes) for part in parts}
    training = [part for part in parts if part.phase == TRAIN]
    tests = [part for part in parts if part.phase == TEST]
    net_path = _path_from(base, os.path.join(folder, "net.prototxt"))
    complete = all(iterations[id(part)] is not None for part in parts)
    if not training:  # Caffe requires a training net, so it reads the same data
        training = [tests[0]._replace(phase=TRAIN, stage="")]
        iterations[id(training[0])] = iterations[id(tests[0])]
        tests = tests[1:]
    passes = iterations[id(training[0])] or ITERATIONS
    values = {
        "origin": visible(os.path.basename(path)),
        "nets": [_values(part) for part in [*training, *tests]],
        "net": scalar_text(net_path, "string"),
        "sizes": sizes,
        "iterations": passes,
        "tests": [{"iterations": iterations[id(part)] or ITERATIONS, "stage": part.stage} for part in tests],
        "kept": _kept(solver),
        "base": f'"$here"/{shlex.quote(os.path.relpath(base, folder))}',
        "solver": shlex.quote(_path_from(base, os.path.join(folder, "solver.prototxt"))),
    }
    return Probe({name: _rendered(template, values) for name, template in FILES.items()}, passes, complete)


def data_layers(net: NetInPhase) -> list[Layer]:
    """Return the layers of a net that read data."""
    return [
        layer
        for layer in net.net.layers
        if not layer.bottoms and layer.tops
        and (layer.kind is None or (layer.kind.is_data and layer.kind.origin != FROM_PROGRAM))
    ]  # fmt: skip


def _parts(nets: Iterable[NetInPhase]) -> list[_Part]:
    """Return each net whose data are not read by another net of the same phase."""
    parts: list[_Part] = []
    seen: set[tuple[str, ...]] = set()
    for net in nets:
        data = data_layers(net)
        key = (net.phase, *("\n".join(_layer_lines(layer)) for layer in data))
        if not data or key in seen:
            continue
        seen.add(key)
        uses = [use for use in label_uses(net.net) if use.top.producer in data and _arrive_as_read(use)]
        parts.append(_Part(data, uses, net.phase, ""))
    tests = [part for part in parts if part.phase == TEST]
    if len(tests) < 2:
        return parts
    staged = {id(part): part._replace(stage=f"probe{number}") for number, part in enumerate(tests)}
    return [staged.get(id(part), part) for part in parts]


def _arrive_as_read(use: LabelUse) -> bool:
    """Whether labels reach their reader as the data layer outputs them, all of them."""
    return use.source.whole and all(layer is use.top.producer for layer in use.source.changed_by)


def _layer_lines(layer: Layer) -> list[str]:
    return message_lines(layer.message, without=("include", "exclude", "loss_weight"))


def _values(part: _Part) -> dict[str, Any]:
    stage = f' stage: "{part.stage}"' if part.stage else ""
    return {
        "rule": f"include {{ phase: {part.phase}{stage} }}",
        "layers": [_layer_lines(layer) for layer in part.data],
        "checks": _checks(part),
    }


def _checks(part: _Part) -> list[dict[str, Any]]:
    taken = {top.name for layer in part.data for top in layer.tops}
    checks: list[dict[str, Any]] = []
    for layer in part.data:
        for top in layer.tops:
            name = _free(top.name, taken)
            checks.append({"label": False, "name": name, "top": scalar_text(top.name, "string")})
    seen: set[tuple[str, int, int | None]] = set()
    for use in part.uses:
        if use.classes is None or (use.top.name, use.classes, use.ignored) in seen:
            continue
        seen.add((use.top.name, use.classes, use.ignored))
        name = _free(f"{use.top.name}_of_{use.reader.name}", taken)
        label = scalar_text(use.top.name, "string")
        checks.append(
            {
                "label": True,
                "name": name,
                "top": label,
                "bottom": label if use.ignored is None else f'"{name}_or_0"',
                "reader": visible(f"{use.reader.type} layer '{use.reader.name}'"),
                "classes": use.classes,
                "ignored": use.ignored,
                "sides": [("below", f"scale: -1 shift: {use.classes}"), ("above", "shift: 1")],
            }
        )
    return checks


def _free(name: str, taken: set[str]) -> str:
    """Return a name for blobs that conflicts with neither the data layers nor other checks."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
    while any(other.startswith((f"bad_{plain}", f"{plain}_")) for other in taken):
        plain += "x"
    taken.add(f"bad_{plain}")
    return plain


def _iterations(part: _Part, items_of: Callable[[Layer], int | None], sizes: list[str]) -> int | None:
    """Return the number of batches in one pass over the largest source, None if the size of a source is not known."""
    most = 0
    known = True
    for layer in part.data:
        items, batch = items_of(layer), batch_size(layer)
        if items and batch:
            most = max(most, -(-items // batch))
            sizes.append(visible(f"{part.phase}, {layer.name}: {items} items in batches of {batch}"))
        else:
            known = False
            field = "test_iter" if part.phase == TEST else "max_iter"
            sizes.append(
                visible(f"{part.phase}, {layer.name}: size not known. Set {field} to its number of items")
                + f" / {batch or 'its batch size'}, rounded up."
            )
    return max(most, 1) if known else max(most, ITERATIONS) if most else None


def _kept(solver: Message | None) -> list[str]:
    if solver is None:
        return ["solver_mode: CPU"]
    return [
        f"{name}: {scalar_text(solver[name], solver.type.fields[name].kind)}"
        for name in _KEPT
        if name in solver.entries
    ]


def _path_from(base: str, path: str) -> str:
    """Return a path relative to `base` if it is inside, otherwise the absolute path."""
    relative = os.path.relpath(path, base)
    return os.path.abspath(path) if relative.startswith("..") else relative


def _rendered(template: str, values: dict[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # keeps jinja2 out of the start

    environment = Environment(
        loader=PackageLoader("caffe_lint.report", "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(template).render(values)
