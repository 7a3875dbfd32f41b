"""Rules for nets that Caffe rejects."""
