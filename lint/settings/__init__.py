"""Settings: options, configuration files, and what is in force for a path."""
