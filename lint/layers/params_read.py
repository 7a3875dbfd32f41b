"""Which sub-messages of LayerParameter each of BVLC's layer types reads; what else is written is ignored."""

from __future__ import annotations

# Source: the files of the layers in src/caffe/layers, and layer_factory.cpp.
_READERS: dict[str, tuple[str, ...]] = {
    "accuracy_param": ("Accuracy",),
    "argmax_param": ("ArgMax",),
    "batch_norm_param": ("BatchNorm",),
    "bias_param": ("Bias",),
    "clip_param": ("Clip",),
    "concat_param": ("Concat",),
    "contrastive_loss_param": ("ContrastiveLoss",),
    "convolution_param": ("Convolution", "Deconvolution", "Im2col"),
    "crop_param": ("Crop",),
    "data_param": ("Data", "ImageData", "WindowData"),
    "dropout_param": ("Dropout",),
    "dummy_data_param": ("DummyData",),
    "eltwise_param": ("Eltwise",),
    "elu_param": ("ELU",),
    "embed_param": ("Embed",),
    "exp_param": ("Exp",),
    "flatten_param": ("Flatten",),
    "hdf5_data_param": ("HDF5Data",),
    "hdf5_output_param": ("HDF5Output",),
    "hinge_loss_param": ("HingeLoss",),
    "image_data_param": ("ImageData",),
    "infogain_loss_param": ("InfogainLoss",),
    "inner_product_param": ("InnerProduct",),
    "input_param": ("Input",),
    "log_param": ("Log",),
    "loss_param": ("SoftmaxWithLoss", "SigmoidCrossEntropyLoss", "InfogainLoss"),
    "lrn_param": ("LRN",),
    "memory_data_param": ("MemoryData",),
    "mvn_param": ("MVN",),
    "parameter_param": ("Parameter",),
    "pooling_param": ("Pooling",),
    "power_param": ("Power",),
    "prelu_param": ("PReLU",),
    "python_param": ("Python",),
    "recurrent_param": ("LSTM", "RNN"),
    "reduction_param": ("Reduction",),
    "relu_param": ("ReLU",),
    "reshape_param": ("Reshape",),
    "scale_param": ("Scale",),
    "sigmoid_param": ("Sigmoid",),
    "slice_param": ("Slice",),
    "softmax_param": ("Softmax", "SoftmaxWithLoss", "InfogainLoss"),
    "spp_param": ("SPP",),
    "swish_param": ("Swish",),
    "tanh_param": ("TanH",),
    "threshold_param": ("Threshold",),
    "tile_param": ("Tile",),
    "transform_param": ("Data", "ImageData", "WindowData", "MemoryData", "HDF5Data"),
    "window_data_param": ("WindowData",),
}  # fmt: skip
_OWN_TYPES = frozenset(name for readers in _READERS.values() for name in readers) | {
    "AbsVal", "BNLL", "BatchReindex", "EuclideanLoss", "Filter", "MultinomialLogisticLoss", "Silence", "Split",
}  # fmt: skip


def is_read(field: str, layer_type: str) -> bool:
    """Whether a layer type reads a sub-message; True where one of the two is not BVLC's."""
    return layer_type not in _OWN_TYPES or field not in _READERS or layer_type in _READERS[field]


def readers(field: str) -> tuple[str, ...]:
    """The layer types that read a sub-message."""
    return _READERS[field]
