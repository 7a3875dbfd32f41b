"""The error for people that any room may raise; the command line prints it and ends with status 2."""


class InputError(Exception):
    """A file, a folder or a configuration cannot be used; says which, and why.

    What a room has to say of files of its own is a kind of it.
    """
