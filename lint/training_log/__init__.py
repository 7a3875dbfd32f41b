"""Caffe's training logs: reading them, what they say went wrong, watching, drawing and exporting them."""
