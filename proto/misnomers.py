"""Names that people use for fields that Caffe calls otherwise, such as the names in other frameworks.

Names within edit distance 2 of the right one are not listed; `spelling` finds them.
"""

MISNOMERS: dict[str, dict[str, str]] = {
    "SolverParameter": {
        "iter_step": "iter_size", "accumulate_iter": "iter_size", "accum_iter": "iter_size", "learning_rate": "base_lr",
        "lr": "base_lr", "max_iterations": "max_iter", "iterations": "max_iter", "num_iter": "max_iter",
        "steps": "stepvalue", "milestones": "stepvalue", "policy": "lr_policy",
        "l2_decay": "weight_decay", "clip_norm": "clip_gradients", "gradient_clipping": "clip_gradients",
        "optimizer": "type", "beta1": "momentum", "beta2": "momentum2", "epsilon": "delta", "seed": "random_seed",
        "print_interval": "display", "save_interval": "snapshot",
    },
    "LayerParameter": {"input": "bottom", "inputs": "bottom", "output": "top", "outputs": "top"},
    "ConvolutionParameter": {
        "filters": "num_output", "num_filters": "num_output", "out_channels": "num_output", "kernel": "kernel_size",
        "filter_size": "kernel_size", "padding": "pad", "bias": "bias_term", "groups": "group",
    },
    "PoolingParameter": {"kernel": "kernel_size", "size": "kernel_size", "padding": "pad", "method": "pool", "type": "pool"},
    "InnerProductParameter": {"units": "num_output", "num_units": "num_output", "out_features": "num_output", "bias": "bias_term"},
    "DropoutParameter": {"ratio": "dropout_ratio", "rate": "dropout_ratio", "p": "dropout_ratio"},
    "DataParameter": {"path": "source", "file": "source", "batch": "batch_size"},
    "ParamSpec": {"lr": "lr_mult", "blobs_lr": "lr_mult", "weight_decay": "decay_mult", "decay": "decay_mult"},
}  # fmt: skip
