"""Rules for training logs."""
