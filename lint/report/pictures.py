"""Draw pictures with matplotlib, if it is installed, and write them in several formats."""

from __future__ import annotations

import base64
import html
import io
import os
from typing import Any

from ..fixes.write import write_whole
from ..source.errors import InputError
from ..source.write_roots import write_roots

FORMATS = (".png", ".svg", ".html")


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


def write(figure: Any, target: str, *, title: str, described: str, text: str = "") -> None:
    """Write a figure in the format given by the file name. Raises OSError.

    `title`, `described` (a description of the picture) and `text` (in HTML) are used for an HTML page.
    """
    form = os.path.splitext(target)[1].lower()
    if form != ".html":
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=110, format=form[1:])
        write_whole(target, drawn.getvalue(), write_roots([target]))
        return
    picture = io.BytesIO()
    figure.savefig(picture, format="svg")
    data = base64.b64encode(picture.getvalue()).decode("ascii")
    page = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>\n'
        f"<body style='font: 14px sans-serif; max-width: 1150px; margin: 1em auto'>\n{text}"
        f'<img style="width: 100%" alt="{html.escape(described)}" src="data:image/svg+xml;base64,{data}">\n'
        "</body></html>\n"
    )
    write_whole(target, page.encode(), write_roots([target]))
