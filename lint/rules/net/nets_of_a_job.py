"""Test and deploy nets whose layers do not match those of the training net."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import set_field
from ...fixes.layer_edits import remove_bias
from ...moments.graph import Layer
from ...moments.shapes import shapes_differ
from ...net.job import Job, NetInPhase
from ...net.names import also_in, meant_name, named
from ...net.shared_weights import (
    are_comparable,
    by_name,
    difference,
    differences_in,
    has_own_deploy,
    is_open,
    known_weighted,
)
from ...rule.finding import Hit, Related
from ...rule.registry import rule

# A test net that lacks more layers of the training net is taken for another net, not for one with misspelled names.
_MISSED = 50


@rule("E221", "test-net-mismatch", subject="job", severity="error")
def test_net_mismatch(job: Job) -> Iterator[Hit]:
    """Flags test-net layers whose parameters have other shapes than in the training net.

    ## What it does

    Compares layers of the same name in the training net and the test nets of a solver. Flags those that differ in the
    number or the shapes of their parameters, for example because `num_output`, the kernel size, or the size of the
    images that an InnerProduct reads is different.

    ## Why is this bad?

    A test net takes its weights from the training net, layer by layer of the same name. Caffe stops at the first
    test, which with `test_initialization` (the default) comes before iteration 0: `Cannot share param 0 weights from
    layer 'fc8'; shape mismatch.` or `Incompatible number of blobs for layer fc8`.

    ## When it is reported

    - **warning** if one of the two files has fields or values that no known Caffe has;
    - **error** otherwise.

    Layers that may have parameters unknown to us, such as Python layers, are not compared. Nothing is reported if the paths of
    the two nets do not lead to them from the same folder, so that one of them may be another run's. Do not ignore it: Caffe
    stops at the first test.

    ## Example

    No fix is offered, because the tool cannot tell which of the two nets is right.

    ## References

    `Net::ShareTrainedLayersWith` in net.cpp; `Solver::Test` in solver.cpp.
    """
    train = job.train
    if train is None:
        return
    for test in job.tests_of_run:
        severity = "warning" if train.file.is_for_unknown_caffe or test.file.is_for_unknown_caffe else ""
        targets = by_name(test.net)
        for source in train.net.layers:
            target = targets.get(source.name)
            if target is None or not source.name or not are_comparable(target, source):
                continue
            message = difference(target, source)
            if not message:
                continue
            related: tuple[Related, ...] = (
                Related(train.file, source.place(), "the layer in the training net"),
            )
            reason = "The test net takes its weights from the training net: Caffe stops at the first test."
            if source.entry[1] is target.entry[1]:
                related = ()
                reason += " The layer reads blobs of different sizes in the two phases."
            yield Hit(test.file, target.place(), message, reason, severity, related)


@rule("N401", "untrained-test-layer", subject="job", severity="warning", fixes="unsafe")
def untrained_test_layer(job: Job) -> Iterator[Hit]:
    """Flags test-net layers that get no weights from the training net, and trained Scale layers that the test net lacks.

    ## What it does

    Flags layers with parameters whose name does not occur in the training net, usually because the layer was renamed
    in one of two files. Layers that share all their parameters with layers of the training net (`param { name: … }`)
    are left out, and so are fixed layers: those with `lr_mult: 0` and a filler.

    Also flags a BatchNorm that both nets have, if the training net trains a Scale right after it and the test net has none.

    ## Why is this bad?

    Caffe matches weights by the names of layers. A layer without a counterpart keeps the initial weights of its
    filler, and Caffe prints no message: the net tests as if this layer had learned nothing. The weights of a Scale that the
    test net lacks are left out without a message as well: the test is one of another net than is trained.

    ## When it is reported

    Reported as a **warning**. Nothing is reported if the training net has fields or values that no known Caffe has, or if
    the paths of the two nets do not lead to them from the same folder, so that one of them may be another run's. Ignore
    it if the layer is meant to be tested with its initial weights, such as fixed kernels; with `lr_mult: 0` and a filler
    in the test net, it is not reported.

    ## Fix

    Renames the layer if the training net has a layer of the same type, with a name at most two letters away and the
    same numbers in it, that the test net lacks. The fix is unsafe, because another layer may be meant.

    ## References

    `Net::ShareTrainedLayersWith` in net.cpp.
    """
    train = job.train
    if train is None or train.file.is_for_unknown_caffe:
        return
    trained = by_name(train.net)
    for test in job.tests_of_run:
        here = by_name(test.net)
        missed = [layer for name, layer in trained.items() if name not in here and layer.params]
        for layer in test.net.layers:
            if layer.name in trained or is_open(layer) or not _needs_training(layer, trained):
                continue
            yield _untrained(test, layer, missed, train)
        yield from _without_scales(test, train, "tests")


@rule("N407", "deploy-net-mismatch", subject="job", severity="warning", fixes="unsafe")
def deploy_net_mismatch(job: Job) -> Iterator[Hit]:
    """Flags deploy nets whose layers do not match the weights of the training net.

    ## What it does

    The deploy net is the one in the training net's folder that has the same name with `deploy` for `train_val` or the
    like, or is called `deploy.prototxt`; or it is the one that `--deploy` names. Flags its layers with parameters
    whose shapes differ from those of the training net's layer of the same name, or whose name does not occur in the
    training net. Also flags a BatchNorm that both nets have, if the training net trains a Scale right after it and the deploy
    net has none.

    ## Why is this bad?

    Caffe matches trained weights by the names of layers. If the shapes differ, it stops: `Cannot copy param 0 weights
    from layer 'fc8'; shape mismatch.` A layer without weights keeps its initial ones, and weights without a layer are left
    out; Caffe prints no message.

    ## When it is reported

    - **error** if `--deploy` names the net, and Caffe stops when it loads the weights, or finds none for any layer;
    - **advice** if the last layer has other shapes, or an InnerProduct that reads images of another size, and `--deploy`
      is not used: the deploy net may be for other data;
    - **warning** otherwise.

    Without `--deploy`, nothing is reported if fewer than half of the layers with parameters match, because the net then
    belongs to another model. Layers that may have parameters unknown to us are not compared, and beside them missing
    names count only with `--deploy`. Ignore it if the deploy net is for weights that were changed after training, for
    example by folding BatchNorm into convolutions.

    ## Fix

    Renames the layer if the training net has a layer of the same type, with a name at most two letters away and the
    same numbers in it, that the deploy net lacks. Removes a bias that was not trained. The fixes are unsafe, because
    another layer or other weights may be meant.

    ## References

    `Net::CopyTrainedLayersFrom` in net.cpp.
    """
    train, deploy = job.train, job.deploy
    if train is None or deploy is None:
        return
    if train.file.is_for_unknown_caffe or deploy.file.is_for_unknown_caffe:
        return
    trained, here = by_name(train.net), by_name(deploy.net)
    weighted = known_weighted(deploy.net)
    differences = differences_in(deploy, train)
    if job.deploy_is_named and weighted and not any(layer.name in trained for layer in deploy.net.layers if layer.params):
        message = f"no layer of this net gets weights from the training net ({train.file.path})"
        reason = "Caffe matches weights by layer name, and no layer with parameters has the name of a trained one."
        yield Hit(deploy.file, weighted[0].place(), message, reason, "error")
        return
    if not has_own_deploy(job):
        return
    missed = [layer for name, layer in trained.items() if name not in here and layer.params]
    # Next to a net with layers of its author's own, there are often several deploy nets: only a named one is sure to be its.
    is_its_own = job.deploy_is_named or not any(map(is_open, (*train.net.layers, *deploy.net.layers)))
    for layer in weighted:
        message = differences.get(layer.name, "")
        if is_its_own and layer.name not in trained and _needs_training(layer, trained):
            yield _untrained(deploy, layer, missed, train)
        elif message:
            yield _misfit(job, deploy, layer, trained[layer.name], message)
    yield from _without_scales(deploy, train, "computes")


def _misfit(job: Job, deploy: NetInPhase, layer: Layer, trained: Layer, message: str) -> Hit:
    """Return the finding for a layer of the deploy net that Caffe cannot load the weights of `trained` into."""
    assert job.train is not None
    related = (Related(job.train.file, trained.place(), "the layer in the training net"),)
    reason = "The trained weights do not match: Caffe stops when it loads them."
    severity, fix = "error" if job.deploy_is_named else "", None
    if _has_bias_only_here(layer, trained):
        message = f"{named(layer)} has a bias, but {named(trained)} of the training net has none"
        reason += " Set bias_term: false."
        if "v0" not in deploy.net.upgraded.steps:
            patch = remove_bias(deploy.file.tree, layer.message, layer.traits.settings)
            fix = patch.fix(deploy.file.path, "set bias_term: false", safe=False) if patch is not None else None
    elif not severity and len(layer.params) == len(trained.params) and _is_for_other_data(layer, trained):
        severity = "advice"
    return Hit(deploy.file, layer.place(), message, reason, severity, related, fix=fix)


def _has_bias_only_here(layer: Layer, trained: Layer) -> bool:
    """Return whether all that two layers with weights differ in is that the first one has a bias."""
    if not layer.traits.weighted_sum or [param.role for param in layer.params] != ["weight", "bias"]:
        return False
    return len(trained.params) == 1 and not shapes_differ(layer.params[0].shape, trained.params[0].shape)


def _is_for_other_data(here: Layer, there: Layer) -> bool:
    """Return whether layers differ as they do for other data: in the number of classes or the size of the images."""
    if not any(other.params for other in here.downstream()):
        return True
    own, other = here.params[0].shape, there.params[0].shape
    return not here.traits.slides and own is not None and other is not None and own[0] == other[0]


def _untrained(net: NetInPhase, layer: Layer, missed: list[Layer], train: NetInPhase) -> Hit:
    """Return the finding for a layer whose name the training net `train` lacks.

    It suggests one of the layers that `net` lacks, unless these are so many that it must be another net.
    """
    alike = [other.name for other in missed if other.type == layer.type]
    meant = meant_name(layer.name, alike) if len(alike) <= _MISSED else None
    where = "" if train.file is net.file else f" ({train.file.path})"
    message = f"{named(layer)} does not exist in the training net{where}"
    fix: Fix | None = None
    if meant is not None:
        message += f"; did you mean '{meant}'?"
        if "name" in layer.message and "v0" not in net.net.upgraded.steps:
            patch = set_field(net.file.tree, layer.message, "name", meant)
            fix = patch.fix(net.file.path, f"rename the layer to '{meant}'", safe=False)
    place = layer.message.span("name") if "name" in layer.message else layer.place()
    reason = "Caffe matches weights by layer name, so this layer keeps its initial weights."
    return Hit(net.file, place, message, reason, fix=fix)


def _without_scales(net: NetInPhase, train: NetInPhase, does: str) -> Iterator[Hit]:
    """Yield the finding for the BatchNorm layers of a net that lack the Scale which the training net trains after them.

    A net without the BatchNorm has both folded into other layers; a Scale may be as well, if a layer with weights follows.
    """
    here = by_name(net.net)
    found = []
    for scale in train.net.layers:
        norm = scale.bottoms[0].producer if len(scale.bottoms) == 1 else None
        is_trained = scale.traits.settings == "scale_param" and any(param.lr_mult for param in scale.params)
        if norm is None or not is_trained or not norm.traits.stores_statistics or scale.name in here:
            continue
        own = here.get(norm.name)
        if own is None or not _normalise_alike(own, norm):
            continue
        readers = [reader for top in own.tops for reader in top.consumers]
        if readers and not any(reader.kind is None or reader.kind.is_affine or reader.kind.opaque for reader in readers):
            found.append((own, scale))
    if found:
        own, scale = found[0]
        message = f"no Scale follows {named(own)}, but '{scale.name}' does in the training net"
        reason = f"The net {does} without the scale and shift that are learned.{also_in([each for each, _ in found], net.file.tree)}"
        related = (Related(train.file, scale.place(), "the layer in the training net"),)
        yield Hit(net.file, own.place(), message, reason, related=related)


def _normalise_alike(own: Layer, norm: Layer) -> bool:
    """Return whether two layers are a BatchNorm of one Caffe, and the first has no settings, as a scale, that the other lacks."""
    if own.type != norm.type or own.context.dialect != norm.context.dialect:
        return False
    settings, others = (set(layer.message["batch_norm_param"].entries) for layer in (own, norm))
    return settings <= others | {"use_global_stats", "eps", "moving_average_fraction"}


def _needs_training(layer: Layer, trained: dict[str, Layer]) -> bool:
    """Return whether a layer of a test net has a parameter that must come from training."""
    return any(
        param.owner.layer.name not in trained and (param.lr_mult or param.filler is None)
        for param in layer.params
        if param.constant == 0
    )
