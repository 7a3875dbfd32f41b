"""What is raised for data that cannot be used. The messages are in our own words, never in those of a library."""


class BrokenData(Exception):
    """Data are damaged, or not what they are taken for; the message says why."""


class BrokenDatabase(BrokenData):
    """A file or folder is no database, or a damaged one; the message says why, of a LevelDB with the file."""
