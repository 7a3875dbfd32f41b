"""Where the program starts: Ctrl-C while it is loaded ends it as quietly as afterwards."""

import sys


def main() -> None:
    """Load the program and run it."""
    try:
        from .main import main as run  # here, where its loading is guarded
    except KeyboardInterrupt:  # nothing is there yet that handles it
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    run()
