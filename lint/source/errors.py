"""The error for users that any room may raise; the command line prints it and exits with status 2."""


class InputError(Exception):
    """A file, a folder or a configuration cannot be used; says which, and why.

    Errors about specific kinds of files derive from it.
    """
