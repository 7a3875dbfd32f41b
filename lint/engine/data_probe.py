"""The probe of a file's data: counting what its nets read, by looking and by facts."""

from __future__ import annotations

from ..data.counting import count_items
from ..data.locations import base_folder
from ..data.probe_files import Probe, data_layers, probe
from ..moments.graph import Layer
from ..net.data_facts import DataFacts, source_of
from .opening import Opened


def probe_of(opened: Opened, facts: DataFacts, folder: str) -> Probe:
    """Return the probe of a solver or a net, to be written to a folder. Raises NothingToRead."""
    layers = [layer for net in opened.nets for layer in data_layers(net)]
    base = base_folder([source for layer in layers if (source := source_of(layer))], opened.file.path)

    def items_of(layer: Layer) -> int | None:
        found = count_items(layer, base)
        known = facts.get(source_of(layer) or "")
        return found if found is not None else known.items if known is not None else None

    solver = opened.job.solver.message if opened.job is not None else None
    return probe(opened.file.path, opened.nets, solver, folder, base, items_of)
