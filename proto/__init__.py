"""What Caffe's files say: the schema, the lossless tree, and the messages they bind to."""
