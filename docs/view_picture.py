"""Take the picture of `caffe-lint view` in README.md with a headless Chromium.

python docs/view_picture.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
SOLVER = "examples/faces/solver.prototxt"
LAYER = "points_loss"
PICTURE = CHECKOUT / "docs" / "pictures" / "view.png"


def main() -> None:
    """Write the page of an example, open it at the layer that is to blame, and take its picture."""
    sys.path.insert(0, str(CHECKOUT / "tests"))
    from browser import Browser  # the browser of the tests, which is no package

    with tempfile.TemporaryDirectory() as folder, Browser() as browser:
        target = Path(folder) / "page.html"
        subprocess.run(
            [sys.executable, "-m", "caffe_lint", "view", SOLVER, "-o", str(target)], cwd=CHECKOUT, check=True
        )
        page = browser.page()
        page.open(target, width=1280, height=760)
        page.run(f"goToName('{LAYER}')")
        page.settle()
        page.run("document.getElementById('fit').click()")
        page.settle()
        page.screenshot(PICTURE)


if __name__ == "__main__":
    main()
