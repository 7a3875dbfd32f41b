"""The error for users that any room may raise; the command line prints it and exits with status 2."""


class InputError(Exception):
    """A file, a folder or a configuration cannot be used; says which, and why.

    Errors about specific kinds of files derive from it.
    """


def message_of(error: OSError, path: str) -> str:
    """Return what failed, and with which file: the one that the error names, else `path`. Our own errors say so themselves."""
    return f"{error.filename or path}: {error.strerror}" if error.strerror else str(error)
