"""Rules for gradients and numerical stability."""
