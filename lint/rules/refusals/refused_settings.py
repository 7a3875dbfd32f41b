"""Settings that make Caffe reject a layer, or crash."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import Patch, remove_field, set_field
from ...layers.fillers import FILLER_TYPES, FORK_FILLERS
from ...moments.graph import Layer, NetProblem
from ...net.job import NetInPhase
from ...net.names import also_in
from ...net.net import Net
from ...proto.binder import Message
from ...proto.message import message_at
from ...proto.spelling import is_certain, nearest_name
from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.wording import counted
from ..problems import hit_of, hits, problems_of

_SEVERAL = 2  # outputs: in one alone, the number is more likely forgotten


@rule("E208", "missing-setting", subject="net", severity="error")
def missing_setting(subject: NetInPhase) -> Iterator[Hit]:
    """Flags layers without a setting that their type requires.

    ## What it does

    Flags a missing `type`, `num_output`, `kernel_size`, `batch_size` or `tiles`, a Python layer without a class, and a layer that
    reads files without a `source`. A number that is 0 counts as missing, because Caffe reads both the same way.

    ## Why is this bad?

    Caffe stops when it builds the net, with a check that rarely names the layer: `Check failed: num_output_ > 0 (0 vs. 0)`.

    ## When it is reported

    - **advice** if this layer, or one that it gets values from, has a type or a field of a fork, or if the file has fields or
      values that no known Caffe has;
    - **advice**, once for all of them, if just the layers that give the outputs, and all of these if they are several, have no
      `num_output`: programs such as DIGITS and DeepDetect fill in the number of classes;
    - **warning** for an HDF5Data without a `batch_size` if no layer reads its tops: Caffe accepts it, and makes empty batches;
    - **error** otherwise.

    ## Example

    There is no fix: only you know the value.

    ## References

    base_conv_layer.cpp:119, pooling_layer.cpp:22, layer_factory.hpp and others; the finding names the check.
    """
    left_open = _outputs_left_open(subject.net, problems_of(subject, "E208"))
    for number, problem in enumerate(left_open):
        if number == 0:
            text = f"num_output of all {len(left_open)} output layers is left open"
            reason = "A program such as DIGITS or DeepDetect fills in the number of classes. Without it, Caffe stops."
            reason += also_in([other.layer for other in left_open if other.layer is not None], subject.file.tree)
            yield hit_of(subject, problem)._replace(message=text, reason=reason, severity="advice", confidence="medium")
    kept = {(problem.start, problem.end) for problem in left_open}
    for problem in problems_of(subject, "E208"):
        if (problem.start, problem.end) not in kept:
            hit = hit_of(subject, problem)
            yield _of_unread_data(hit) if problem.kind == "batch-size-missing" and _is_unread_hdf5(problem.layer) else hit


def _is_unread_hdf5(layer: Layer | None) -> bool:
    return layer is not None and layer.traits.settings == "hdf5_data_param" and not any(top.consumers for top in layer.tops)


def _of_unread_data(hit: Hit) -> Hit:
    reason = "Caffe makes empty batches, and stops as soon as a layer reads one of the tops."
    return hit._replace(reason=reason, severity=hit.severity or "warning")


def _outputs_left_open(net: Net, problems: list[NetProblem]) -> list[NetProblem]:
    """Return the problems of a net that leaves open the num_output of all of its several output layers, and of no other."""
    missing = [problem for problem in problems if problem.kind == "num-output-missing"]
    if len(missing) < _SEVERAL:
        return []
    inner: set[int] = set()
    outputs = set()
    for layer in reversed(net.layers):
        feeds = any(reader.index in inner or reader.traits.weighted_sum for top in layer.tops for reader in top.consumers)
        if feeds:
            inner.add(layer.index)
        elif layer.traits.weighted_sum:
            outputs.add(layer.index)
    return missing if outputs == {problem.layer.index for problem in missing if problem.layer is not None} else []


@rule("E209", "invalid-setting", subject="net", severity="error")
def invalid_setting(subject: NetInPhase) -> Iterator[Hit]:
    """Flags settings that a layer type rejects, alone or in combination.

    ## What it does

    Flags `kernel_size` beside `kernel_h`, `axis` beside `concat_dim`, a kernel size with `global_pooling`, a pad as large as the
    pooling kernel, an even `local_size`, `coeff` for a product, a `dropout_ratio` above 1, and everything else that a layer checks
    in its own settings.

    ## Why is this bad?

    Caffe stops when it builds the net, or for `dropout_ratio` in the first forward pass.

    ## When it is reported

    - **advice** if this layer, or one that it gets values from, has a type or a field of a fork, or if the file has fields or
      values that no known Caffe has;
    - **error** otherwise.

    ## Example

    There is no fix: more than one value would be valid.

    ## References

    The `LayerSetUp` function of each layer in src/caffe/layers; the finding names the check.
    """
    return hits(subject, "E209")


@rule("E210", "invalid-data-settings", subject="net", severity="error", fixes="unsafe")
def invalid_data_settings(subject: NetInPhase) -> Iterator[Hit]:
    """Flags data layers whose settings contradict each other or leave their shape open.

    ## What it does

    Flags DummyData and Input layers whose number of shapes is neither 1 nor that of their tops, MemoryData without its sizes,
    `mean_file` beside `mean_value`, a crop that is larger than the image that `new_height` and `new_width` give, and
    `transform_param` in HDF5Data.

    ## Why is this bad?

    Caffe stops when it builds the net or reads the first image: `Cannot specify mean_file and mean_value at the same time`.

    ## When it is reported

    - **error** in a file for BVLC's Caffe;
    - **advice** in a file for a fork, because forks often change this.

    ## Fix

    Removes the `transform_param` of an HDF5Data layer. The fix is unsafe: what it was meant to do must be done when the files are
    written, or by a Power layer. Nothing else is fixed.

    ## References

    dummy_data_layer.cpp, input_layer.cpp, memory_data_layer.cpp, hdf5_data_layer.cpp, data_transformer.cpp.
    """
    for problem in problems_of(subject, "E210"):
        fix = None
        if problem.kind == "hdf5-transform" and problem.layer is not None and not subject.net.upgraded.steps:
            patch = remove_field(subject.file.tree, problem.layer.message, "transform_param")
            fix = patch.fix(subject.file.path, "remove transform_param", safe=False)
        yield hit_of(subject, problem)._replace(fix=fix)


@rule("E213", "invalid-filler", subject="net", severity="error", fixes="safe, unsafe")
def invalid_filler(subject: NetInPhase) -> Iterator[Hit]:
    """Flags fillers that Caffe does not know, or whose settings it rejects.

    ## What it does

    Flags unknown filler types (they are case-sensitive), `gaussian` with a `std` that is not greater than 0, `uniform` with `min`
    greater than `max`, `sparse` for any type but `gaussian`, and `bilinear` for a kernel that is not square, of parameters and of the
    tops of DummyData layers.

    ## Why is this bad?

    Caffe stops when it builds the net: `Unknown filler name: Xavier`.

    ## When it is reported

    - **error** in a file for BVLC's Caffe;
    - **advice** in a file for a fork, because forks often change this.

    Fillers that only forks have are reported if `--dialect` names a Caffe that lacks them.

    ## Fix

    Replaces the type with the known type that is spelled most similarly, if exactly one differs by at most two letters. The fix
    is safe in a file for BVLC's Caffe, or for the one that `--dialect` names, if the two differ in one letter, in two swapped
    ones, or in case and underscores only, otherwise unsafe.

    ## References

    filler.hpp; `caffe_rng_gaussian` and `caffe_rng_uniform` in math_functions.cpp.
    """
    asked = subject.file.asked_dialect
    for problem in problems_of(subject, "E213"):
        if problem.kind == "filler-of-fork" and (asked is None or _has_filler(subject, problem, asked)):
            continue
        yield hit_of(subject, problem)._replace(fix=_filler_fix(subject, problem))


@rule("E217", "infogain-normalize", subject="net", severity="error")
def infogain_normalize(subject: NetInPhase) -> Iterator[Hit]:
    """Flags InfogainLoss layers with `loss_param.normalize`, which they reject even if it is false.

    ## What it does

    Flags the old field `normalize`, instead of which this layer knows only `normalization`. The inputs of the layer and its
    matrix are checked by G105.

    ## Why is this bad?

    Caffe stops: `normalize is deprecated. use "normalization"`.

    ## When it is reported

    - **advice** if this layer, or one that it gets values from, has a type or a field of a fork, or if the file has fields or
      values that no known Caffe has;
    - **error** otherwise.

    ## Example

    There is no fix: in other losses `false` means `BATCH_SIZE`, but it is not known whether that was meant here.

    ## References

    infogain_loss_layer.cpp:36.
    """
    return hits(subject, "E217")


@rule("E219", "gpu-only-layer", subject="net", severity="advice", fixes="safe", by_name=True)
def gpu_only_layer(subject: NetInPhase) -> Iterator[Hit]:
    """Flags layers that only a Caffe built for GPUs can create or run.

    ## What it does

    Flags `engine: CUDNN` and stochastic pooling, once per net, with the number of layers.

    ## Why is this bad?

    A Caffe built with CPU_ONLY stops: `Layer conv1 has unknown engine.` Other builds accept it.

    ## When it is reported

    **advice**, because a Caffe with cuDNN accepts the file. Ignore it if every Caffe that reads the file has cuDNN.

    ## Fix

    Removes `engine` from all these layers. The fix is safe: without it Caffe uses cuDNN if it is available. Because the file works
    in a Caffe with cuDNN, the fix is offered only if you select this rule by its code or name.

    ## References

    `GetConvolutionLayer` and similar functions in layer_factory.cpp.
    """
    problems = problems_of(subject, "E219")
    for problem in problems[:1]:
        more = f" Also in {counted(len(problems) - 1, 'other layer')} of this net." if len(problems) > 1 else ""
        hit = hit_of(subject, problem)
        yield hit._replace(reason=hit.reason + more, fix=_without_engine(subject))


@rule("N101", "silent-crash", subject="net", severity="error")
def silent_crash(subject: NetInPhase) -> Iterator[Hit]:
    """Flags settings with which Caffe crashes or hangs without a message.

    ## What it does

    Flags settings that no check of Caffe catches: `group: 0` and some strides of 0 divide by zero, `prefetch: 0` waits forever.

    ## Why is this bad?

    The log ends abruptly, without a line that starts with F and without the name of a layer. Release builds, which most people
    use, leave out the checks for debugging.

    ## When it is reported

    - **advice** if this layer, or one that it gets values from, has a type or a field of a fork, or if the file has fields or
      values that no known Caffe has;
    - **error** otherwise.

    ## Example

    There is no fix: only you know the value.

    ## References

    Measured with a CPU-only release build of BVLC's Caffe; the finding names the file.
    """
    return hits(subject, "N101")


@rule("E222", "wrong-layer-type", subject="net", severity="error", fixes="unsafe")
def wrong_layer_type(subject: NetInPhase) -> Iterator[Hit]:
    """Flags layers that have the settings of another type, and not those that their own type requires.

    ## What it does

    Flags layers that their type rejects or leaves without a shape, if their only settings are named after another type of BVLC's
    Caffe, which takes as many bottoms and tops: an Input with `data_param` instead of `input_param`, a Pooling with
    `convolution_param`. Layers of one type with the same mistake are one finding. Whatever reads the layer is checked as if it had
    the other type.

    ## Why is this bad?

    Caffe ignores the settings of other types. An Input without a shape has no axes, and Caffe stops at the first layer that reads
    it: `axis 1 out of range for 0-D Blob with shape (0)`. The message names neither the type nor the settings.

    ## When it is reported

    - **advice** if this layer, or one that it gets values from, has a type or a field of a fork, or if the file has fields or
      values that no known Caffe has;
    - **error** otherwise.

    ## Fix

    Sets `type` to the type that the settings are named after. The fix is unsafe, because the settings may be wrong instead. It is
    not offered in older formats.

    ## References

    `InputLayer::LayerSetUp` in input_layer.cpp; the `LayerSetUp` functions of the other layers.
    """
    alike: dict[tuple[str, str], list[NetProblem]] = {}
    for problem in problems_of(subject, "E222"):
        assert problem.layer is not None
        alike.setdefault((problem.layer.type, problem.subject), []).append(problem)
    for (own, meant), problems in alike.items():
        hit = hit_of(subject, problems[0])
        layers = [problem.layer for problem in problems if problem.layer is not None]
        patch = Patch()
        for layer in layers:
            patch += set_field(subject.file.tree, layer.message, "type", meant)
        fix = patch.fix(subject.file.path, f'set type to "{meant}"', safe=False)
        reason = f"Caffe ignores the settings: {own} needs others, and stops without them."
        if hit.severity:
            reason += " The fork that this file is for may differ."
        reason += also_in(layers, subject.file.tree)
        message = f'{hit.message}; did you mean type "{meant}"?'
        yield hit._replace(message=message, reason=reason, fix=None if subject.net.upgraded.steps else fix)


def _without_engine(subject: NetInPhase) -> Fix | None:
    """The fix that removes every `engine: CUDNN`; None for an upgraded net, whose file may have it elsewhere."""
    if subject.net.upgraded.steps:
        return None
    patch = Patch()
    for layer, _, _ in subject.net.message.entries.get("layer", ()):
        for entries in layer.entries.values():
            settings = entries[0][0]
            if isinstance(settings, Message) and settings.entries.get("engine", ((None,),))[0][0] == "CUDNN":
                patch += remove_field(subject.file.tree, settings, "engine")
    return patch.fix(subject.file.path, "remove engine: CUDNN", safe=True) if patch.edits else None


def _has_filler(subject: NetInPhase, problem: NetProblem, dialect: str) -> bool:
    """Whether a dialect, or another branch of it, has the filler that a problem is about."""
    written = subject.file.tree.source[problem.start : problem.end].decode("utf-8", "replace").strip("\"'")
    return not subject.file.schema.branches(dialect).isdisjoint(FORK_FILLERS.get(written, ()))


def _filler_fix(subject: NetInPhase, problem: NetProblem) -> Fix | None:
    tree = subject.file.tree
    written = tree.source[problem.start : problem.end].decode("utf-8", "replace").strip("\"'")
    name = nearest_name(written, list(FILLER_TYPES)) if problem.kind == "filler-type" else None
    if name is None:
        return None
    filler = message_at(subject.file.message, problem.start, problem.end)
    safe = is_certain(written, name, FILLER_TYPES) and subject.file.is_for_known_caffe
    return set_field(tree, filler, "type", name).fix(subject.file.path, f'set type to "{name}"', safe=safe)
