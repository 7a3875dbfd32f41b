"""The content of Caffe's files: the schema, the lossless tree, and the messages it is bound to."""
