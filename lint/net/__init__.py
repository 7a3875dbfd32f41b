"""Nets as Caffe builds them for a phase, and jobs: solvers with their nets."""
