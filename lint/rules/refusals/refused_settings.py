"""Settings that make Caffe reject a layer, or crash."""

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


@rule("E208", "missing-setting", subject="net", severity="error")
def missing_setting(subject: NetInPhase) -> Iterator[Hit]:
    """A layer lacks a setting without which its type cannot be made.

    ## What it does

    No `type`, no `num_output`, no `kernel_size`, no `batch_size`, no `tiles`, no class of a Python layer:
    absent or 0, which is what an absent number reads as.

    ## Why is this bad?

    Caffe stops when it builds the net, with a check that seldom names the layer: `Check failed: num_output_ >
    0 (0 vs. 0)`.

    ## When it is reported

    Never: Caffe does not build such a net.

    ## Example

    There is no fix: only you know the value.

    ## References

    base_conv_layer.cpp:119, pooling_layer.cpp:22, layer_factory.hpp and others: the finding names the check.
    """
    return hits(subject, "E208")


@rule("E209", "invalid-setting", subject="net", severity="error")
def invalid_setting(subject: NetInPhase) -> Iterator[Hit]:
    """A setting has a value that its layer type refuses, or two settings exclude each other.

    ## What it does

    `kernel_size` beside `kernel_h`, `axis` beside `concat_dim`, a kernel with `global_pooling`, a pad as
    large as the pooling kernel, an even `local_size`, coefficients for a product, a dropout_ratio over 1, and
    whatever else a layer checks in its own settings.

    ## Why is this bad?

    Caffe stops when it builds the net; for `dropout_ratio` in the first forward pass.

    ## When it is reported

    Never: Caffe does not build such a net.

    ## Example

    There is no fix: more than one value would do.

    ## References

    The LayerSetUp function of each layer in src/caffe/layers: the finding names the check.
    """
    return hits(subject, "E209")


@rule("E210", "invalid-data-settings", subject="net", severity="error", fixes="unsafe")
def invalid_data_settings(subject: NetInPhase) -> Iterator[Hit]:
    """The settings of a data layer contradict each other, or leave its shape open.

    ## What it does

    DummyData and Input layers whose shapes are not one for all tops or one for each, MemoryData without its
    sizes, mean_file beside mean_value, a crop larger than the image that `new_height` and `new_width` make,
    transform_param in HDF5Data.

    ## Why is this bad?

    Caffe stops when it builds the net or reads the first image: `Cannot specify mean_file and mean_value at
    the same time`.

    ## When it is reported

    Never: Caffe does not build such a net.

    ## Fix

    The fix takes the transform_param of an HDF5Data layer out. It is unsafe: what it was to do is to be done when the
    files are written, or by a Power layer. Nothing else is fixed.

    ## References

    dummy_data_layer.cpp, input_layer.cpp, memory_data_layer.cpp, hdf5_data_layer.cpp, data_transformer.cpp.
    """
    for problem in problems_of(subject, "E210"):
        fix = None
        if problem.kind == "hdf5-transform" and problem.layer is not None and not subject.net.upgraded.steps:
            patch = remove_field(subject.file.tree, problem.layer.message, "transform_param")
            fix = patch.fix(subject.file.path, "take transform_param out", safe=False)
        yield hit_of(subject, problem)._replace(fix=fix)


@rule("E213", "invalid-filler", subject="net", severity="error", fixes="safe")
def invalid_filler(subject: NetInPhase) -> Iterator[Hit]:
    """A filler that Caffe does not have, or whose numbers it refuses.

    ## What it does

    Unknown filler types (they are case-sensitive), a gaussian whose std is not over 0, a uniform with min
    over max, `sparse` for anything but a gaussian, a bilinear filler for a kernel that is not square.

    ## Why is this bad?

    Caffe stops when it builds the net: `Unknown filler name: Xavier`.

    ## When it is reported

    Never: Caffe does not build such a net.

    ## Fix

    The fix is safe: it is offered where one filler's name is within two letters of what stands there.

    ## References

    filler.hpp; math_functions.cpp, caffe_rng_gaussian and caffe_rng_uniform.
    """
    for problem in problems_of(subject, "E213"):
        yield hit_of(subject, problem)._replace(fix=_filler_fix(subject, problem))


@rule("E217", "infogain-normalize", subject="net", severity="error")
def infogain_normalize(subject: NetInPhase) -> Iterator[Hit]:
    """An InfogainLoss has `loss_param.normalize`, which it refuses even as `false`.

    ## What it does

    The old switch `normalize` where this layer knows only `normalization`. What it is fed with, and its matrix, are
    G105's.

    ## Why is this bad?

    Caffe stops: `normalize is deprecated. use "normalization"`.

    ## When it is reported

    Never: Caffe does not build such a net.

    ## Example

    There is no fix: `BATCH_SIZE` is what `false` means elsewhere, but was it meant?

    ## References

    infogain_loss_layer.cpp:36.
    """
    return hits(subject, "E217")


@rule("E219", "gpu-only-layer", subject="net", severity="advice", fixes="safe", by_name=True)
def gpu_only_layer(subject: NetInPhase) -> Iterator[Hit]:
    """A layer that only a Caffe built for GPUs can make or run.

    ## What it does

    `engine: CUDNN`; once in a net, with the number of layers.

    ## Why is this bad?

    A Caffe built with CPU_ONLY stops: `Layer conv1 has unknown engine.` All others do not mind.

    ## When it is reported

    The Caffe that reads the file has cuDNN.

    ## Fix

    The fix takes `engine` out of all these layers. It is safe: without it Caffe takes cuDNN where it has it. As the file
    works in a Caffe that has, it is applied only where this rule is selected by its code or name.

    There is no fix: a Caffe with cuDNN takes it as it is.

    ## References

    layer_factory.cpp, GetConvolutionLayer and its like.
    """
    problems = problems_of(subject, "E219")
    for problem in problems[:1]:
        more = f" It is so for {len(problems)} layers of this net." if len(problems) > 1 else ""
        hit = hit_of(subject, problem)
        yield hit._replace(reason=hit.reason + more, fix=_without_engine(subject))


@rule("N101", "silent-crash", subject="net", severity="error")
def silent_crash(subject: NetInPhase) -> Iterator[Hit]:
    """A setting at which Caffe crashes or hangs and says nothing.

    ## What it does

    Settings that no check of Caffe catches: `group: 0` divides by zero, some strides too, `prefetch: 0` waits
    for ever.

    ## Why is this bad?

    The log ends in the middle, without a line that starts with F and without the name of a layer. In a
    release build, which is what people have, the checks for debugging are left out.

    ## When it is reported

    Never: Caffe crashes or waits for ever.

    ## Example

    There is no fix: only you know the value.

    ## References

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
