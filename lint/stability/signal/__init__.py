"""The signal of a training: how large values, gradients and updates are, computed from the files alone."""
