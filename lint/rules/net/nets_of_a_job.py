"""Test and deploy nets whose layers differ from those of the training net."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import set_field
from ...moments.graph import Layer
from ...moments.shapes import describe, shapes_differ
from ...net.job import Job, NetInPhase
from ...net.names import meant_name, named
from ...net.net import Net
from ...rule.finding import Hit, Related
from ...rule.registry import rule
from ..problems import is_for_unknown_caffe

# So many layers may a test net miss and still be the same net, with some names misspelt.
_MISSED = 50


@rule("E221", "test-net-mismatch", subject="job", severity="error")
def test_net_mismatch(job: Job) -> Iterator[Hit]:
    """A layer of a test net has parameters of other shapes than the training net's layer of that name.

    ## What it does

    Layers of the same name whose number of parameters or whose shapes differ: another num_output or kernel,
    or an InnerProduct that reads a larger image since the crops differ.

    ## Why is this bad?

    The test net takes its weights from the training net, layer by layer of the same name. Caffe stops at the
    first test, which with test_initialization is before iteration 0: `Cannot share param 0 weights from layer
    'fc8'; shape mismatch.` or `Incompatible number of blobs for layer fc8`.

    ## When it is reported

    Never: Caffe stops at the first test.

    ## Example

    There is no fix: only you know which of the two is meant.

    ## References

    net.cpp, Net::ShareTrainedLayersWith; solver.cpp, Solver::Test.
    """
    train = job.train
    if train is None:
        return
    for test in job.tests:
        severity = "warning" if is_for_unknown_caffe(train.file) or is_for_unknown_caffe(test.file) else ""
        targets = _by_name(test.net)
        for source in train.net.layers:
            target = targets.get(source.name)
            if target is None or not source.name or _is_open(source) or _is_open(target):
                continue
            what = _difference(target, source)
            if not what:
                continue
            related: tuple[Related, ...] = (
                Related(train.file, source.place(), "the layer of the training net"),
            )
            if source.entry[1] is target.entry[1]:
                related = ()
                what += "; it reads blobs of different sizes in the two phases"
            message = f"{named(target)}: {what}"
            reason = "The test net takes its weights from there: Caffe stops at the first test."
            yield Hit(test.file, target.place(), message, reason, severity, related)


@rule("N401", "untrained-test-layer", subject="job", severity="warning", fixes="unsafe")
def untrained_test_layer(job: Job) -> Iterator[Hit]:
    """A layer of a test net has parameters that no layer of the training net gives it.

    ## What it does

    Layers with parameters whose name no layer of the training net has, most often since it was renamed in one
    of two files. Layers that the test net shares with others by `param { name: … }` are left out, and so are
    those that never learn (lr_mult 0) and have a filler.

    ## Why is this bad?

    Weights go by the names of layers. This one keeps what its fillers give it, and Caffe says nothing: the
    net tests as if it had not learnt.

    ## When it is reported

    The layer is to test with what its fillers give it: fixed kernels, for example. Written as lr_mult 0 in the test net
    too, it is not reported.

    ## Fix

    Where one layer of the training net has a name within two letters, is of that type and is missed in the test net, its
    name is written. The fix is unsafe: it may be another layer.

    ## References

    net.cpp, Net::ShareTrainedLayersWith.
    """
    train = job.train
    if train is None or is_for_unknown_caffe(train.file):
        return
    trained = _by_name(train.net)
    for test in job.tests:
        here = _by_name(test.net)
        missed = [layer for name, layer in trained.items() if name not in here and layer.params]
        for layer in test.net.layers:
            if layer.name in trained or _is_open(layer) or not _needs_training(layer, trained):
                continue
            yield _untrained(test, layer, missed)


@rule("N407", "deploy-net-mismatch", subject="job", severity="warning", fixes="unsafe")
def deploy_net_mismatch(job: Job) -> Iterator[Hit]:
    """A deploy net beside the training net has other parameters than that learns.

    ## What it does

    A net in the same folder, of the same name with `deploy` for `train_val` or the like, or called
    `deploy.prototxt`: layers of the same name with parameters of other shapes, and layers with parameters of
    a name that the training net does not have. Nothing is said of a net of which not even half the layers
    fit: it is another model's. Where only the last layer differs, or an InnerProduct that reads images of another
    size, it may be the deploy net for other data: that is an advice, unless the net is named by `--deploy`.

    ## Why is this bad?

    Trained weights go by the names of layers. Where shapes differ Caffe stops: `Cannot copy param 0 weights
    from layer 'fc8'; shape mismatch.` A layer without weights keeps what its fillers give it, without a word.

    ## When it is reported

    The deploy net is for weights that were changed after training, such as BatchNorm folded into
    convolutions.

    ## Fix

    Where one layer of the training net has a name within two letters and the same numbers in it, is of that type and is
    missed in the deploy net, its name is written. The fix is unsafe: it may be another layer.

    ## References

    net.cpp, Net::CopyTrainedLayersFrom.
    """
    train, deploy = job.train, job.deploy
    if train is None or deploy is None:
        return
    if is_for_unknown_caffe(train.file) or is_for_unknown_caffe(deploy.file):
        return
    if any(map(_is_open, (*train.net.layers, *deploy.net.layers))):
        return
    trained, here = _by_name(train.net), _by_name(deploy.net)
    weighted = [layer for layer in deploy.net.layers if layer.params]
    differences = {
        layer.name: _difference(layer, trained[layer.name]) for layer in weighted if layer.name in trained
    }
    if 2 * list(differences.values()).count("") < len(weighted):
        return
    missed = [layer for name, layer in trained.items() if name not in here and layer.params]
    for layer in weighted:
        what = differences.get(layer.name)
        if what is None and _needs_training(layer, trained):
            yield _untrained(deploy, layer, missed)
        elif what:
            related = (Related(train.file, trained[layer.name].place(), "the layer of the training net"),)
            reason = "The trained weights do not fit: Caffe stops when it loads them."
            severity = "advice" if not job.deploy_is_named and _is_for_other_data(layer, trained[layer.name]) else ""
            yield Hit(deploy.file, layer.place(), f"{named(layer)}: {what}", reason, severity, related)


def _by_name(net: Net) -> dict[str, Layer]:
    """The layers by their names; of several, the first, as Caffe finds them."""
    layers: dict[str, Layer] = {}
    for layer in net.layers:
        layers.setdefault(layer.name, layer)
    return layers


def _difference(here: Layer, there: Layer) -> str:
    """How the parameters of a layer differ from those of the training net's layer; empty if they do not."""
    if len(here.params) != len(there.params):
        return f"it has {len(here.params)} parameters, {len(there.params)} in the training net"
    for own, other in zip(here.params, there.params, strict=True):
        if shapes_differ(own.shape, other.shape):
            return f"its {own.role} is {describe(own.shape)}, {describe(other.shape)} in the training net"
    return ""


def _is_for_other_data(here: Layer, there: Layer) -> bool:
    """Whether layers differ as they do for other data: by the number of classes, or by the size of the images."""
    if not any(other.params for other in here.downstream()):
        return True
    own, other = here.params[0].shape, there.params[0].shape
    return not here.traits.slides and own is not None and other is not None and own[0] == other[0]


def _untrained(net: NetInPhase, layer: Layer, missed: list[Layer]) -> Hit:
    """The finding for a layer whose name the training net does not have, and which of those missed it may be.

    A net that misses many is another net, in which no name is looked for.
    """
    alike = [other.name for other in missed if other.type == layer.type]
    meant = meant_name(layer.name, alike) if len(alike) <= _MISSED else None
    message = f"{named(layer)}: the training net has no layer of that name"
    fix: Fix | None = None
    if meant is not None:
        message += f"; did you mean '{meant}'?"
        if "name" in layer.message and "v0" not in net.net.upgraded.steps:
            patch = set_field(net.file.tree, layer.message, "name", meant)
            fix = patch.fix(net.file.path, f"write '{meant}'", safe=False)
    place = layer.message.span("name") if "name" in layer.message else layer.place()
    reason = "Weights go by names: this layer keeps what its fillers give it."
    return Hit(net.file, place, message, reason, fix=fix)


def _is_open(layer: Layer) -> bool:
    """Whether a layer may have parameters that we do not know."""
    return layer.kind is None or layer.kind.has_open_params(layer)


def _needs_training(layer: Layer, trained: dict[str, Layer]) -> bool:
    """Whether a layer of a test net has a parameter that makes sense only after training."""
    return any(
        param.owner.layer.name not in trained and (param.lr_mult or param.filler is None)
        for param in layer.params
        if param.constant == 0
    )
