"""The error for users that any room may raise; the command line prints it and exits with status 2."""


class InputError(Exception):
    """A file, a folder or a configuration cannot be used; says which, and why.

    Errors about specific kinds of files derive from it.
    """


def message_of(error: OSError, path: str) -> str:
    """Return what failed with a path that the user wrote. Our own errors, which have no number, say so themselves."""
    return f"{path}: {error.strerror}" if error.strerror else str(error)
