"""Count the items of a source without reading them."""

from __future__ import annotations

import os

from ..moments.graph import Layer
from ..net.data_facts import source_param
from ..source.opener import Unreadable
from . import hdf5_source, image_list, leveldb_source, lmdb_source, window_file
from .broken import BrokenData
from .libraries import MissingLibrary

HDF5, LIST, WINDOWS, DATABASE = "hdf5_data_param", "image_data_param", "window_data_param", "data_param"


def count_items(layer: Layer, base: str) -> int | None:
    """Return the number of items of a data layer's source, None if it does not exist or cannot be read."""
    found = source_param(layer.message)
    if found is None:
        return None
    name, param = found
    path = os.path.join(base, param["source"])
    try:
        if name == HDF5:
            return hdf5_source.count(path, base, layer.tops[0].name)
        if name == WINDOWS:
            return window_file.count(path)
        if name == DATABASE:
            if leveldb_source.is_leveldb(path):
                return leveldb_source.count(path)
            return lmdb_source.count(path) if os.path.exists(path) else None
        return image_list.count(path) if name == LIST else None
    except (OSError, Unreadable, MissingLibrary, BrokenData):
        return None
