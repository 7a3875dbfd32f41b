"""What is known of Caffe's layer types, one file for a family of types."""
