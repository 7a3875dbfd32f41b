"""What is remembered of the disk during a run, and forgetting it when files may have changed since."""

from __future__ import annotations

from .files import forget_folders
from .opener import forget_read
from .repository_files import forget_repositories
from .run_scripts import forget_runs
from .solver_index import forget_index


def forget_disk() -> None:
    """Forget which files there are and which were read, so that the next check looks again."""
    forget_read()
    forget_folders()
    forget_repositories()
    forget_runs()
    forget_index()
