"""Limits and repairs: what would make a training stable."""
