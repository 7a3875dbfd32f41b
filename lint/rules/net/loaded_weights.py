"""Trained weights that do not match the nets that they are loaded into."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import Patch, set_field
from ...moments.graph import Layer
from ...net.job import Job, NetInPhase
from ...net.trained_weights import BrokenWeights, misfits
from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.errors import InputError


@rule("E223", "weights-mismatch", subject="job", severity="error", fixes="unsafe")
def weights_mismatch(job: Job) -> Iterator[Hit]:
    """Flags layers whose parameters have other shapes than in the file of weights that is loaded into them.

    ## What it does

    The file is that of `--weights`, or the one that the solver (`weights`) or a script of the repository names
    (`caffe train --weights …`), if it is there. Flags the layers of the training and test nets that have the name of one
    in the file, but another number of parameters, or parameters of other shapes. Flags a file that is no .caffemodel
    as well, such as a truncated download, but not a Git LFS pointer: the file may be there on the machine that trains. Only
    shapes are read, so a large file costs little.

    ## Why is this bad?

    Caffe stops when it loads the weights: `Cannot copy param 0 weights from layer 'fc8'; shape mismatch.` or
    `Incompatible number of blobs for layer fc8`. The usual cause is a layer with another `num_output` that kept its name,
    or images of another size before an InnerProduct.

    ## When it is reported

    - **warning** if the net is for a fork, which may load weights in another way;
    - **error** otherwise.

    Layers that may have parameters unknown to us, such as Python layers, are not compared, nor are nets with fields or values
    that no known Caffe has.

    ## Fix

    Renames the layer, so that it starts from its filler, as Caffe itself suggests. It is unsafe: another file of weights
    may be meant. It is offered if the layer has a `weight_filler`, and no other file has a layer of this name.

    ## References

    `Net::CopyTrainedLayersFrom` in net.cpp; `BlobProto` in caffe.proto.
    """
    try:
        weights = job.loaded_shapes
    except BrokenWeights as error:
        solver = job.solver.file
        name = next((name for name in ("weights", "net", "train_net") if name in solver.message), "net")
        yield Hit(solver, solver.message.span(name), str(error), f"Caffe stops when it reads this file{_place(job)}.")
        return
    except InputError:  # the file cannot be opened here, or what reads it is not installed
        return
    if weights is None:
        return
    seen = set()
    for net in job.nets:
        if net.file.is_for_unknown_caffe:
            continue
        for layer, difference in misfits(net.net, weights):
            span = layer.message.span("name") if "name" in layer.message else layer.place()
            if (net.file.path, span) in seen:
                continue
            seen.add((net.file.path, span))
            reason = f"Caffe stops at this layer when it loads the weights{_place(job)}."
            fix = None
            if layer.params and layer.params[0].filler is not None:
                reason += " Under another name, it starts from its filler."
                fix = _renamed(job, net, layer)
            yield Hit(net.file, span, difference, reason, "" if net.file.is_for_bvlc else "warning", fix=fix)


@rule("N408", "ignored-weights", subject="job", severity="warning")
def ignored_weights(job: Job) -> Iterator[Hit]:
    """Flags training nets that have no layer in common with the file of weights that is loaded into them.

    ## What it does

    Looks at the names of the layers with parameters, and at those in the file of weights: that of `--weights`, or the one
    that the solver or a script of the repository names, if it is there.

    ## Why is this bad?

    Caffe matches weights by the names of layers. It passes over those that the net does not have with a line `Ignoring source
    layer` for each, and trains the whole net from its fillers.

    ## When it is reported

    Reported as a **warning**. Nothing is reported if layers may have parameters unknown to us, such as Python layers, or if the
    net has fields or values that no known Caffe has.

    There is no fix, because the tool cannot tell which file of weights is meant.

    ## References

    `Net::CopyTrainedLayersFrom` in net.cpp.
    """
    try:
        weights = job.loaded_shapes
    except InputError:  # which E223 reports if it is broken
        return
    if weights is None or job.train is None or job.train.file.is_for_unknown_caffe or not any(weights.layers.values()):
        return
    layers = job.train.net.layers
    learning = [layer for layer in layers if layer.params]
    is_open = any(layer.kind is None or layer.kind.has_open_params(layer) for layer in layers)
    if not learning or is_open or any(weights.layers.get(layer.name) for layer in layers):
        return
    message = f"no layer of this net is in {weights.path}, so no weights are loaded"
    other = next(name for name, blobs in weights.layers.items() if blobs)
    reason = f"Caffe matches weights by layer name: there is a '{other}' there, but no '{learning[0].name}'. The net starts from"
    yield Hit(job.train.file, learning[0].place(), message, f"{reason} its fillers{_place(job)}.")


def _place(job: Job) -> str:
    """Return where a script or the solver names the weights, in brackets; empty if the user did."""
    where = job.origin.evidence.partition("(")[2] if job.origin.named else ""
    return f" ({where}" if where else ""


def _renamed(job: Job, net: NetInPhase, layer: Layer) -> Fix | None:
    """Return the fix that gives a layer another name, in all phases; None if another file may have it, too."""
    if job.deploy is not None or {other.file.path for other in job.nets} != {net.file.path} or "v0" in net.net.upgraded.steps:
        return None
    layers = [each for other in job.nets for each in other.net.layers]
    name = f"{layer.name}_new"
    if "name" not in layer.message or any(each.name == name for each in layers):
        return None
    patch, seen = Patch(), set()
    for each in layers:
        if each.name == layer.name and each.place() not in seen:
            seen.add(each.place())
            patch += set_field(net.file.tree, each.message, "name", name)
    return patch.fix(net.file.path, f"rename the layer to '{name}'", safe=False)
