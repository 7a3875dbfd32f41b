"""Running rules on units of files, and applying their fixes."""
