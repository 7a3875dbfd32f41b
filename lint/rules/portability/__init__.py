"""Rules for portability, older formats and suppressions."""
