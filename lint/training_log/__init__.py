"""Caffe's training logs: reading and watching them, the facts and causes found in them, and fixes."""
