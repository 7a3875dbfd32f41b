"""What Caffe's files mean, and what will go wrong with them."""
