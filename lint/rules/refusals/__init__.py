"""Rules for nets that Caffe refuses to build."""
