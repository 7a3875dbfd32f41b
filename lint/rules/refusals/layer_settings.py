"""What layer types refuse: numbers of blobs, shapes, axes and settings at which Caffe stops or dies."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import Patch, remove_field, set_field
from ...layers.fillers import FILLER_TYPES
from ...moments.graph import NetProblem
from ...net.job import NetInPhase
from ...proto.binder import Message, nearest_name
from ...rule.finding import Hit
from ...rule.registry import rule
from ..problems import hit_of, hits, problems_of


@rule("E204", "blob-count", subject="net", severity="error")
def blob_count(subject: NetInPhase) -> Iterator[Hit]:
    """A layer has more or fewer bottoms or tops than its type takes.

    ## What it finds

    Numbers of bottoms and tops outside what the layer type allows, also where they depend on each other.

    ## Why it hurts

    Caffe stops when it builds the net: `SoftmaxWithLoss Layer takes 2 bottom blob(s) as input.`

    ## Example

        layer {
          name: "data"
          type: "Input"
          top: "data"
          input_param { shape { dim: 1 dim: 8 } }
        }
        layer {
          name: "sum"
          type: "Eltwise"
          bottom: "data"
          top: "sum"
        }

    ## Use instead

        layer {
          name: "data"
          type: "Input"
          top: "data"
          input_param { shape { dim: 1 dim: 8 } }
        }
        layer {
          name: "sum"
          type: "Eltwise"
          bottom: "data"
          bottom: "data"
          top: "sum"
        }

    There is no fix: only you know which blob is missing, or too many.

    ## When to ignore it

    Never: Caffe does not build such a net.

    ## Sources

    layer.hpp, Layer::CheckBlobCounts.
    """
    return hits(subject, "E204")


@rule("E205", "shapes-do-not-fit", subject="net", severity="error")
def shapes_do_not_fit(subject: NetInPhase) -> Iterator[Hit]:
    """The shapes of a layer's bottoms do not fit each other, or its settings.

    ## What it finds

    Everything where a layer type compares sizes: Eltwise, Concat and Crop inputs, scores and labels of a loss
    or an Accuracy, what a Slice or a Reshape is to divide, `group` and the number of channels. Shapes that
    the files do not tell (images of a database without `crop_size`) are unknown, and nothing is said about
    them; `caffe-lint net FILE` shows them all.

    ## Why it hurts

    Caffe stops when it builds the net, at the first of them.

    ## Example

        layer {
          name: "data"
          type: "Input"
          top: "data"
          top: "more"
          input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } shape { dim: 1 dim: 3 dim: 7 dim: 7 } }
        }
        layer {
          name: "sum"
          type: "Eltwise"
          bottom: "data"
          bottom: "more"
          top: "sum"
        }

    ## Use instead

        layer {
          name: "data"
          type: "Input"
          top: "data"
          top: "more"
          input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } shape { dim: 1 dim: 3 dim: 8 dim: 8 } }
        }
        layer {
          name: "sum"
          type: "Eltwise"
          bottom: "data"
          bottom: "more"
          top: "sum"
        }

    There is no fix: it is a decision of the architecture.

    ## When to ignore it

    Never: Caffe does not build such a net.

    ## Sources

    The Reshape function of each layer in src/caffe/layers.
    """
    return hits(subject, "E205")


@rule("E206", "no-such-axis", subject="net", severity="error")
def no_such_axis(subject: NetInPhase) -> Iterator[Hit]:
    """A layer names an axis that its bottom does not have, or wants another number of axes.

    ## What it finds

    `axis` beyond the last axis, layers for images (Pooling, LRN) on blobs that are not 4-dimensional,
    `num_axes` that reach too far, a Flatten that ends before it starts.

    ## Why it hurts

    Caffe stops when it builds the net: `axis 4 out of range for 4-D Blob with shape 8 8 18 18`.

    ## Example

        layer {
          name: "data"
          type: "Input"
          top: "data"
          input_param { shape { dim: 1 dim: 8 } }
        }
        layer {
          name: "pool"
          type: "Pooling"
          bottom: "data"
          top: "pool"
          pooling_param { kernel_size: 2 stride: 2 }
        }

    ## Use instead

        layer {
          name: "data"
          type: "Input"
          top: "data"
          input_param { shape { dim: 1 dim: 8 dim: 4 dim: 4 } }
        }
        layer {
          name: "pool"
          type: "Pooling"
          bottom: "data"
          top: "pool"
          pooling_param { kernel_size: 2 stride: 2 }
        }

    There is no fix: it is a decision of the architecture.

    ## When to ignore it

    Never: Caffe does not build such a net.

    ## Sources

    blob.hpp, Blob::CanonicalAxisIndex; the layers in src/caffe/layers.
    """
    return hits(subject, "E206")


@rule("E207", "nothing-left", subject="net", severity="error")
def nothing_left(subject: NetInPhase) -> Iterator[Hit]:
    """A layer would make a blob without elements, of negative size, or too large to count.

    ## What it finds

    Kernels larger than what is left of the image, most often after too many poolings or with a smaller input
    than the net was made for, and blobs of more than 2,147,483,647 elements.

    ## Why it hurts

    Caffe stops: `Check failed: data_` in blob.cpp for an empty blob, `blob size exceeds INT_MAX` for a large
    one. Neither says which layer it is.

    ## Example

        layer {
          name: "data"
          type: "Input"
          top: "data"
          input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } }
        }
        layer {
          name: "conv"
          type: "Convolution"
          bottom: "data"
          top: "conv"
          convolution_param { num_output: 8 kernel_size: 5 }
        }

    ## Use instead

        layer {
          name: "data"
          type: "Input"
          top: "data"
          input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } }
        }
        layer {
          name: "conv"
          type: "Convolution"
          bottom: "data"
          top: "conv"
          convolution_param { num_output: 8 kernel_size: 3 }
        }

    or a larger image, or a `pad`. There is no fix: it is a decision of the architecture.

    ## When to ignore it

    Never: Caffe does not build such a net.

    ## Sources

    base_conv_layer.cpp, pooling_layer.cpp; blob.cpp, Blob::Reshape and Blob::cpu_data.
    """
    return hits(subject, "E207")


@rule("E208", "setting-missing", subject="net", severity="error")
def setting_missing(subject: NetInPhase) -> Iterator[Hit]:
    """A layer lacks a setting without which its type cannot be made.

    ## What it finds

    No `type`, no `num_output`, no `kernel_size`, no `batch_size`, no `tiles`, no class of a Python layer:
    absent or 0, which is what an absent number reads as.

    ## Why it hurts

    Caffe stops when it builds the net, with a check that seldom names the layer: `Check failed: num_output_ >
    0 (0 vs. 0)`.

    ## Example

        layer {
          name: "data"
          type: "Input"
          top: "data"
          input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } }
        }
        layer {
          name: "conv"
          type: "Convolution"
          bottom: "data"
          top: "conv"
          convolution_param { kernel_size: 3 }
        }

    ## Use instead

        layer {
          name: "data"
          type: "Input"
          top: "data"
          input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } }
        }
        layer {
          name: "conv"
          type: "Convolution"
          bottom: "data"
          top: "conv"
          convolution_param { num_output: 8 kernel_size: 3 }
        }

    There is no fix: only you know the value.

    ## When to ignore it

    Never: Caffe does not build such a net.

    ## Sources

    base_conv_layer.cpp:119, pooling_layer.cpp:22, layer_factory.hpp and others: the finding names the check.
    """
    return hits(subject, "E208")


@rule("E209", "setting-refused", subject="net", severity="error")
def setting_refused(subject: NetInPhase) -> Iterator[Hit]:
    """A setting has a value that its layer type refuses, or two settings exclude each other.

    ## What it finds

    `kernel_size` beside `kernel_h`, `axis` beside `concat_dim`, a kernel with `global_pooling`, a pad as
    large as the pooling kernel, an even `local_size`, coefficients for a product, a dropout_ratio over 1, and
    whatever else a layer checks in its own settings.

    ## Why it hurts

    Caffe stops when it builds the net; for `dropout_ratio` in the first forward pass.

    ## Example

        layer {
          name: "data"
          type: "Input"
          top: "data"
          input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } }
        }
        layer {
          name: "norm"
          type: "LRN"
          bottom: "data"
          top: "norm"
          lrn_param { local_size: 4 }
        }

    ## Use instead

        layer {
          name: "data"
          type: "Input"
          top: "data"
          input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } }
        }
        layer {
          name: "norm"
          type: "LRN"
          bottom: "data"
          top: "norm"
          lrn_param { local_size: 5 }
        }

    There is no fix: more than one value would do.

    ## When to ignore it

    Never: Caffe does not build such a net.

    ## Sources

    The LayerSetUp function of each layer in src/caffe/layers: the finding names the check.
    """
    return hits(subject, "E209")


@rule("E210", "data-settings", subject="net", severity="error", fixes="unsafe")
def data_settings(subject: NetInPhase) -> Iterator[Hit]:
    """The settings of a data layer contradict each other, or leave its shape open.

    ## What it finds

    DummyData and Input layers whose shapes are not one for all tops or one for each, MemoryData without its
    sizes, mean_file beside mean_value, a crop larger than the image that `new_height` and `new_width` make,
    transform_param in HDF5Data.

    ## Why it hurts

    Caffe stops when it builds the net or reads the first image: `Cannot specify mean_file and mean_value at
    the same time`.

    ## Example

        layer {
          name: "data"
          type: "HDF5Data"
          top: "data"
          top: "label"
          transform_param { scale: 0.00390625 }
          hdf5_data_param { source: "files.txt" batch_size: 64 }
        }

    ## Use instead

        layer {
          name: "data"
          type: "HDF5Data"
          top: "data"
          top: "label"
          hdf5_data_param { source: "files.txt" batch_size: 64 }
        }

    The fix takes the transform_param of an HDF5Data layer out. It is unsafe: what it was to do is to be done when the
    files are written, or by a Power layer. Nothing else is fixed.

    ## When to ignore it

    Never: Caffe does not build such a net.

    ## Sources

    dummy_data_layer.cpp, input_layer.cpp, memory_data_layer.cpp, hdf5_data_layer.cpp, data_transformer.cpp.
    """
    for problem in problems_of(subject, "E210"):
        fix = None
        if problem.kind == "hdf5-transform" and problem.layer is not None and not subject.net.upgraded.steps:
            patch = remove_field(subject.file.tree, problem.layer.message, "transform_param")
            fix = patch.fix(subject.file.path, "take transform_param out", safe=False)
        yield hit_of(subject, problem)._replace(fix=fix)


@rule("E213", "filler-refused", subject="net", severity="error", fixes="safe")
def filler_refused(subject: NetInPhase) -> Iterator[Hit]:
    """A filler that Caffe does not have, or whose numbers it refuses.

    ## What it finds

    Unknown filler types (they are case-sensitive), a gaussian whose std is not over 0, a uniform with min
    over max, `sparse` for anything but a gaussian, a bilinear filler for a kernel that is not square.

    ## Why it hurts

    Caffe stops when it builds the net: `Unknown filler name: Xavier`.

    ## Example

        layer {
          name: "data"
          type: "Input"
          top: "data"
          input_param { shape { dim: 1 dim: 8 } }
        }
        layer {
          name: "ip"
          type: "InnerProduct"
          bottom: "data"
          top: "ip"
          inner_product_param { num_output: 4 weight_filler { type: "Xavier" } }
        }

    ## Use instead

        layer {
          name: "data"
          type: "Input"
          top: "data"
          input_param { shape { dim: 1 dim: 8 } }
        }
        layer {
          name: "ip"
          type: "InnerProduct"
          bottom: "data"
          top: "ip"
          inner_product_param { num_output: 4 weight_filler { type: "xavier" } }
        }

    The fix is safe: it is offered where one filler's name is within two letters of what stands there.

    ## When to ignore it

    Never: Caffe does not build such a net.

    ## Sources

    filler.hpp; math_functions.cpp, caffe_rng_gaussian and caffe_rng_uniform.
    """
    for problem in problems_of(subject, "E213"):
        yield hit_of(subject, problem)._replace(fix=_filler_fix(subject, problem))


@rule("E217", "infogain-normalize", subject="net", severity="error")
def infogain_normalize(subject: NetInPhase) -> Iterator[Hit]:
    """An InfogainLoss has `loss_param.normalize`, which it refuses even as `false`.

    ## What it finds

    The old switch `normalize` where this layer knows only `normalization`. What it is fed with, and its matrix, are
    G105's.

    ## Why it hurts

    Caffe stops: `normalize is deprecated. use "normalization"`.

    ## Example

        layer {
          name: "data"
          type: "DummyData"
          top: "data"
          top: "label"
          dummy_data_param { shape { dim: 8 dim: 3 } shape { dim: 8 } }
        }
        layer {
          name: "loss"
          type: "InfogainLoss"
          bottom: "data"
          bottom: "label"
          top: "loss"
          infogain_loss_param { source: "H.binaryproto" }
          loss_param { normalize: false }
        }

    ## Use instead

        layer {
          name: "data"
          type: "DummyData"
          top: "data"
          top: "label"
          dummy_data_param { shape { dim: 8 dim: 3 } shape { dim: 8 } }
        }
        layer {
          name: "loss"
          type: "InfogainLoss"
          bottom: "data"
          bottom: "label"
          top: "loss"
          infogain_loss_param { source: "H.binaryproto" }
          loss_param { normalization: BATCH_SIZE }
        }

    There is no fix: `BATCH_SIZE` is what `false` means elsewhere, but was it meant?

    ## When to ignore it

    Never: Caffe does not build such a net.

    ## Sources

    infogain_loss_layer.cpp:36.
    """
    return hits(subject, "E217")


@rule("E219", "needs-gpu", subject="net", severity="advice", fixes="safe", by_name=True)
def needs_gpu(subject: NetInPhase) -> Iterator[Hit]:
    """A layer that only a Caffe built for GPUs can make or run.

    ## What it finds

    `engine: CUDNN`; once in a net, with the number of layers.

    ## Why it hurts

    A Caffe built with CPU_ONLY stops: `Layer conv1 has unknown engine.` All others do not mind.

    ## Example

        layer {
          name: "data"
          type: "Input"
          top: "data"
          input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } }
        }
        layer {
          name: "conv"
          type: "Convolution"
          bottom: "data"
          top: "conv"
          convolution_param { num_output: 8 kernel_size: 3 engine: CUDNN }
        }

    ## Use instead

        layer {
          name: "data"
          type: "Input"
          top: "data"
          input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } }
        }
        layer {
          name: "conv"
          type: "Convolution"
          bottom: "data"
          top: "conv"
          convolution_param { num_output: 8 kernel_size: 3 }
        }

    The fix takes `engine` out of all these layers. It is safe: without it Caffe takes cuDNN where it has it. As the file
    works in a Caffe that has, it is applied only where this rule is selected by its code or name.

    There is no fix: a Caffe with cuDNN takes it as it is.

    ## When to ignore it

    The Caffe that reads the file has cuDNN.

    ## Sources

    layer_factory.cpp, GetConvolutionLayer and its like.
    """
    problems = problems_of(subject, "E219")
    for problem in problems[:1]:
        more = f" It is so for {len(problems)} layers of this net." if len(problems) > 1 else ""
        hit = hit_of(subject, problem)
        yield hit._replace(reason=hit.reason + more, fix=_without_engine(subject))


@rule("N101", "dies-without-message", subject="net", severity="error")
def dies_without_message(subject: NetInPhase) -> Iterator[Hit]:
    """A setting at which Caffe crashes or hangs and says nothing.

    ## What it finds

    Settings that no check of Caffe catches: `group: 0` divides by zero, some strides too, `prefetch: 0` waits
    for ever.

    ## Why it hurts

    The log ends in the middle, without a line that starts with F and without the name of a layer. In a
    release build, which is what people have, the checks for debugging are left out.

    ## Example

        layer {
          name: "data"
          type: "Input"
          top: "data"
          input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } }
        }
        layer {
          name: "conv"
          type: "Convolution"
          bottom: "data"
          top: "conv"
          convolution_param { num_output: 8 kernel_size: 3 group: 0 }
        }

    ## Use instead

        layer {
          name: "data"
          type: "Input"
          top: "data"
          input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } }
        }
        layer {
          name: "conv"
          type: "Convolution"
          bottom: "data"
          top: "conv"
          convolution_param { num_output: 8 kernel_size: 3 group: 1 }
        }

    There is no fix: only you know the value.

    ## When to ignore it

    Never: Caffe crashes or waits for ever.

    ## Sources

    Measured with a release build for CPUs of BVLC's Caffe; the finding names the file.
    """
    return hits(subject, "N101")


def _without_engine(subject: NetInPhase) -> Fix | None:
    """The net without any `engine: CUDNN`; None for an old form, in which the settings may stand elsewhere."""
    if subject.net.upgraded.steps:
        return None
    patch = Patch()
    for layer, _, _ in subject.net.message.entries.get("layer", ()):
        for entries in layer.entries.values():
            settings = entries[0][0]
            if isinstance(settings, Message) and settings.entries.get("engine", ((None,),))[0][0] == "CUDNN":
                patch += remove_field(subject.file.tree, settings, "engine")
    return patch.fix(subject.file.path, "take engine out", safe=True) if patch.edits else None


def _filler_fix(subject: NetInPhase, problem: NetProblem) -> Fix | None:
    tree = subject.file.tree
    written = tree.source[problem.start : problem.end].decode("utf-8", "replace").strip("\"'")
    name = nearest_name(written, list(FILLER_TYPES)) if problem.kind == "filler-type" else None
    if name is None or problem.layer is None:
        return None
    for param in problem.layer.params:
        if param.filler is not None and param.filler.span("type") == (problem.start, problem.end):
            return set_field(tree, param.filler, "type", name).fix(subject.file.path, f"write '{name}'")
    return None
