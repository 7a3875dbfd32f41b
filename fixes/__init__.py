"""Change files: edits, fixes, and writing them safely."""
