"""Check the data that nets read, without writing to it; one file per kind of source."""
