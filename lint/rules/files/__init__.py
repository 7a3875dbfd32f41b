"""Rules for files that cannot be read."""
