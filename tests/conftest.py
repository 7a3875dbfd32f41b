"""Makes `harness` importable by the tests, takes no time of them, and runs them in an empty folder, wherever pytest is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

# No test fails because the machine is busy.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder without files, and outside of any repository."""
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(scope="session", autouse=True)
def _not_the_environment_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep results of checks in a folder of the tests, and take no colours, whatever whoever runs them has set."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("NO_COLOR", raising=False)
        patch.delenv("FORCE_COLOR", raising=False)
        yield


@pytest.fixture(autouse=True)
def _in_empty_folder(empty_folder: Path) -> Iterator[None]:
    """Run the test in an empty folder, since a solver's net is searched for from the working directory."""
    before = os.getcwd()
    os.chdir(empty_folder)
    yield
    os.chdir(before)
