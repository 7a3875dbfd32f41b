"""How a file is changed: edits, fixes, and writing them safely."""
