"""What signal models compute with: moments of values and gradients, and the passive parts of a net."""
