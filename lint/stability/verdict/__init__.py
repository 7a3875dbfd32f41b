"""The verdict on a training, and its reasons."""
