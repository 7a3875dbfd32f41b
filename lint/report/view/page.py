"""The page of `caffe-lint view`: one HTML file that needs nothing else, neither files nor a network.

The drawing is laid out by dagre, which is in `report/vendor` as its authors publish it. The scripts in `browser/` are ours. All
text of files comes as JSON in which no `<` is left, and only the scripts with the hashes in the page's policy run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files

from ..html_page import html_page
from .contents import ViewContent

# The scripts of the page, in the order in which they run; `layout.js` runs in a worker, after dagre.
SCRIPTS = ("basics.js", "picture.js", "colours.js", "drawing.js", "charts.js", "panels.js", "page.js")


def render(content: ViewContent) -> str:
    """The page; equal contents give equal bytes."""
    scripts = [_read("view", "browser", name) for name in SCRIPTS]
    return html_page(
        "view.html.j2",
        title=content["title"],
        data=_as_json(content),
        style=_read("view", "browser", "page.css"),
        licence=_read("vendor", "LICENSE.dagre"),
        dagre=_read("vendor", "dagre.min.js"),
        layout=_read("view", "browser", "layout.js"),
        scripts=scripts,
        hashes=[_hash(script) for script in scripts],
    )


def _as_json(content: ViewContent) -> str:
    """The content as JSON that ends no script element, whatever its texts are."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _read(*names: str) -> str:
    return files("caffe_lint.report").joinpath(*names).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """What the policy of the page says of a script that may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
