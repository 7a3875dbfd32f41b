"""Looking into the data that nets name: one file for a kind of source, reading only."""
