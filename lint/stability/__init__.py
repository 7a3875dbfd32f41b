"""Numerical stability of a training, computed from its files."""
