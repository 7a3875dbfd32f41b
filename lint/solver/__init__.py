"""Solvers: schedules, solver types, and fields that are not read."""
