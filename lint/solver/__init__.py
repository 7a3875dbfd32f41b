"""Solvers: schedules, solver types, and ignored fields."""
