"""What is remembered of folders during a run, and forgetting it when files may have changed since."""

from __future__ import annotations

from .files import forget_folders
from .repository_files import forget_repositories
from .run_scripts import forget_runs
from .solver_index import forget_index


def forget_disk() -> None:
    """Forget which files there are, so that the next check looks again."""
    forget_folders()
    forget_repositories()
    forget_runs()
    forget_index()
