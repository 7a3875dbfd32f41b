"""How findings are shown, one file for a format."""
