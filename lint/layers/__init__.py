"""What is known of Caffe's layer types, one file for a family of types."""

from . import activation, common, data, detection, loss, normalisation, recurrent, reshaping, resizing, vision  # noqa: F401
