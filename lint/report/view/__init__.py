"""The page of `caffe-lint view`: a net drawn with its findings, its predicted signal, and the runs of its logs."""
