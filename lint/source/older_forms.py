"""A file in an old format together with the result of Caffe's upgrade."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from .files import SourceFile

if TYPE_CHECKING:
    from ..fixes.upgrade_text import Source  # keeps rarely needed repairs out of the start


@lru_cache(maxsize=1)
def older_form(file: SourceFile) -> Source | None:
    """Return the file with its upgrade, None if it needs none. Cached, since all rules about old formats ask for it."""
    from ..fixes.upgrade_text import Source  # keeps rarely needed repairs out of the start
    from ..proto.upgrade import upgrade, upgrade_solver  # keeps the upgrade out of the start of current files

    if file.kind == "other":
        return None
    message = file.message
    upgraded = upgrade_solver(message) if file.kind == "solver" else upgrade(message, file.schema)
    return Source(file.path, file.tree, message, upgraded, file.schema) if upgraded.steps else None
