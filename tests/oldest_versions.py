"""Print the lower bounds in pyproject.toml as constraints for pip, one `name==version` a line.

    python tests/oldest_versions.py >oldest.txt

`make oldest` installs by them and runs the tests, so that each bound is a version that works.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
BOUND = re.compile(r"([\w-]+)>=([\d.]+)")


def constraints(text: str) -> list[str]:
    """Return a constraint for each requirement of a pyproject.toml that has a lower bound, of the build, the program and its extras."""
    tables = tomllib.loads(text)
    project = tables["project"]
    extras = project["optional-dependencies"].values()
    requirements = [*tables["build-system"]["requires"], *project["dependencies"], *(one for extra in extras for one in extra)]
    return sorted({f"{match[1]}=={match[2]}" for one in requirements if (match := BOUND.match(one))}, key=str.lower)


if __name__ == "__main__":
    print("\n".join(constraints(PYPROJECT.read_text(encoding="utf-8"))))
