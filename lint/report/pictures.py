"""Draw pictures with matplotlib, if it is installed, and write them in several formats."""

from __future__ import annotations

import io
import os
from typing import Any

from ..source.errors import InputError
from ..source.output import write_named

FORMATS = (".png", ".svg")


class Missing(InputError):
    """A library is not installed, or a format is unknown; the message says what to do."""


def figure_type(target: str) -> Any:
    """Return matplotlib's Figure type for a picture to be written to `target`. Raises Missing."""
    if os.path.splitext(target)[1].lower() not in FORMATS:
        raise Missing(f"--plot {target}: the name must end in {', '.join(FORMATS)}")
    try:
        import matplotlib  # of the extra `plot`

        matplotlib.use("Agg")
        from matplotlib.figure import Figure  # of the extra `plot`
    except ImportError:
        raise Missing("--plot needs matplotlib: pip install matplotlib") from None
    return Figure


def write(figure: Any, target: str) -> None:
    """Write a figure in the format given by the file name. Raises OSError, and InputError for a file that was read."""
    form = os.path.splitext(target)[1].lower()
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=110, format=form[1:])
    write_named(target, drawn.getvalue())
