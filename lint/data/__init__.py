"""Check the data that nets name, read-only: one file per kind of source."""
