"""Rules for portability, older forms and suppressions."""
