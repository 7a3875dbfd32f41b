"""The records of Caffe's layer types, one file for each family of types."""

from . import (  # noqa: F401
    activation,
    common,
    data,
    detection,
    loss,
    normalisation,
    recurrent,
    reshaping,
    resizing,
    undescribed,
    vision,
)
