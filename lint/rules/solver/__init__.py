"""Rules for solvers and schedules."""
