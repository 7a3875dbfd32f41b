"""Rules for data and inputs."""
