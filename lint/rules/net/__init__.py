"""Rules for the structure of nets."""
