"""What does not fit between the training net and the test nets of a solver."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...fixes.edit import Fix
from ...fixes.fields import Patch, append_field, remove_field, set_field, set_values
from ...fixes.layer_edits import add_message
from ...moments.graph import Layer
from ...moments.shapes import describe, shapes_differ
from ...net.job import Job, NetInPhase
from ...net.names import meant_name, named
from ...net.net import Net
from ...proto.binder import Message
from ...proto.tree import Tree
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


@rule("N402", "transform-mismatch", subject="job", severity="warning", fixes="unsafe")
def transform_mismatch(job: Job) -> Iterator[Hit]:
    """The data of a test net are scaled, or freed of their mean, otherwise than those of the training net.

    ## What it does

    Data layers that make the same blob in training and in a test, with another `scale`, other `mean_value`,
    or a mean in one of them only. Another mean_file, and a crop in one of them only, are an advice.

    ## Why is this bad?

    The net is tested on numbers of another size than it learnt from; it looks bad, and gets worse as it
    learns.

    ## When it is reported

    The sources differ by just that: the test data were scaled when they were written.

    ## Fix

    The fix writes the scale and the mean of the training net into the test net. It is unsafe: the test's may be right. A
    crop is left as it is.

    ## References

    data_transformer.cpp, DataTransformer::Transform: subtracts the mean, then scales.
    """
    if job.train is None:
        return
    for test in job.tests:
        for here in test.net.layers:
            there = _same_data(job.train.net, here)
            if there is None or there.entry[1] is here.entry[1]:
                continue
            for field, message, severity in _transform_differences(
                here.message["transform_param"], there.message["transform_param"]
            ):
                transform = here.message["transform_param"]
                place = transform.span(field) if field in transform else here.place()
                other = there.message["transform_param"]
                other_place = other.span(field) if field in other else there.place()
                related = (Related(job.train.file, other_place, "the training net's"),)
                text = f"{named(here)}: {message}"
                reason = "The net is tested on other numbers than it learns from."
                fix = None
                if field != "crop_size" and not test.net.upgraded.steps:
                    patch = _as_trained(test.file.tree, test.net.message, here.message, there.message)
                    if patch is not None and patch.edits:
                        fix = patch.fix(test.file.path, "scale and mean as in training", safe=False)
                yield Hit(test.file, place, text, reason, severity, related, fix)


@rule("N403", "test-on-training-data", subject="job", severity="advice")
def test_on_training_data(job: Job) -> Iterator[Hit]:
    """A test net reads the data that the training net learns from.

    ## What it does

    Data layers of a test net whose `source` is that of a data layer of the training net.

    ## Why is this bad?

    The test shows how well the net knows its training data, and never that it has learnt them by heart.

    ## When it is reported

    A test net that is there for this, beside another one, or a set-up that is only tried out.

    ## Example

    There is no fix: only you know the other data.

    ## References

    data_layer.cpp and the other data layers: the source is all that tells them apart.
    """
    if job.train is None or is_for_unknown_caffe(job.train.file):
        return
    learnt: dict[tuple[str, Any], Layer] = {}
    for layer in job.train.net.layers:
        for key, _ in _sources_of(layer):
            learnt.setdefault(key, layer)
    tested = {key for test in job.tests for layer in test.net.layers for key, _ in _sources_of(layer)}
    if not tested <= set(learnt):
        return  # one of the test nets has data of its own
    for test in job.tests:
        for layer in test.net.layers:
            for key, place in _sources_of(layer):
                first = learnt.get(key)
                if first is not None:
                    message = f"{named(layer)}: it tests on the training data, {key[1]!r}"
                    reason = "The test cannot show whether the net has learnt them by heart."
                    related: tuple[Related, ...] = ()
                    if first.entry[1] is not layer.entry[1]:
                        related = (Related(job.train.file, first.place(), "the training net's"),)
                    yield Hit(test.file, place, message, reason, related=related)


@rule("N404", "batch-statistics-in-test", subject="net", severity="warning", fixes="unsafe")
def batch_statistics_in_test(subject: NetInPhase) -> Iterator[Hit]:
    """A BatchNorm normalises by the batch where the net is tested or used.

    ## What it does

    `use_global_stats: false` in a layer of phase TEST; once in a net, with the number of layers. It is a
    warning in a net without a loss, which is there to be used, and an advice in one that tests while it
    trains.

    ## Why is this bad?

    What comes out for an image then depends on the other images of the batch, and a batch of one image at 1 x
    1 comes out as 0. Left out, the field is false in training and true in a test, which is right for both.

    ## When it is reported

    Statistics are wanted of the batch: styles that go by the image, or nets that were trained with batches so small that
    their statistics are no use.

    ## Fix

    The fix takes the field out of all of them. It is unsafe: the net gives other values in a test.

    ## References

    batch_norm_layer.cpp, LayerSetUp: use_global_stats is true in phase TEST if it is not written.
    """
    severity = "advice" if subject.net.losses else ""
    for hit in _global_stats(subject, "TEST", False):
        yield hit._replace(severity=severity)


@rule("N405", "frozen-statistics-in-training", subject="job", severity="warning", fixes="unsafe")
def frozen_statistics_in_training(job: Job) -> Iterator[Hit]:
    """A BatchNorm normalises by stored statistics while the net learns from scratch.

    ## What it does

    `use_global_stats: true` in the training net of a solver, if that looks as if it were trained from
    scratch: no weight is frozen, all have a filler that is not constant, and the solver has no `weights`. Once
    in a net, with the number of layers.

    ## Why is this bad?

    The statistics are never computed. From scratch they are 0, which makes Caffe divide by the square root of
    eps: values grow 316 times at every BatchNorm. Trained so, a net had a loss of 79 in iteration 0, and NaN
    in iteration 2.

    ## When it is reported

    Weights and statistics are loaded before training.

    ## Fix

    The fix takes the field out of all of them. It is unsafe: in a net that is fine-tuned, frozen statistics are often meant.

    ## References

    batch_norm_layer.cpp, LayerSetUp and Forward_cpu; the training with BVLC's Caffe on the CPU.
    """
    subject = job.train
    if subject is None or subject.weights_loaded:
        return
    weights = [param for param in subject.net.params() if param.role == "weight" and param.lr_mult]
    if not weights or any(param.filler is None or param.filler["type"] == "constant" for param in weights):
        return
    if any(param.role == "weight" and not param.lr_mult for param in subject.net.params()):
        return  # what is frozen was loaded
    yield from _global_stats(subject, "TRAIN", True)


@rule("N406", "misspelled-stage", subject="job", severity="warning", fixes="unsafe")
def misspelled_stage(job: Job) -> Iterator[Hit]:
    """A solver gives a stage that no layer asks for, while layers ask for one that is nearly called so.

    ## What it does

    Stages of train_state and test_state that no include or exclude rule of the net knows, if a rule knows one
    within two letters that this state does not give.

    ## Why is this bad?

    The layers that wait for the stage are not there. Caffe logs one line about each.

    ## When it is reported

    The layers of that stage are left out on purpose.

    ## Fix

    The fix writes the stage of the rule into the solver. It is unsafe: the rule may be the one that is misspelt.

    ## References

    net.cpp, Net::StateMeetsRule; solver.cpp, InitTrainNet and InitTestNets.
    """
    wanted: dict[str, None] = {}
    for subject in job.nets:
        for entry in subject.net.message.entries.get("layer", ()):
            for field in ("include", "exclude"):
                for rule_ in entry[0][field]:
                    wanted.update(dict.fromkeys([*rule_["stage"], *rule_["not_stage"]]))
    solver = job.solver.message
    states: list[Message] = [
        entry[0] for name in ("train_state", "test_state") for entry in solver.entries.get(name, ())
    ]
    for state in states:
        for index, stage in enumerate(state["stage"]):
            meant = meant_name(stage, [name for name in wanted if name not in state["stage"]])
            if stage in wanted or meant is None:
                continue
            message = f"no layer asks for stage '{stage}'; did you mean '{meant}'?"
            reason = f"Layers that ask for '{meant}' are not there, without a word."
            fix: Fix | None = None
            if len(state["stage"]) == 1:
                patch = set_field(job.solver.file.tree, state, "stage", meant)
                fix = patch.fix(job.solver.file.path, f"write '{meant}'", safe=False)
            yield Hit(job.solver.file, state.span("stage", index), message, reason, fix=fix)


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


def _same_data(net: Net, layer: Layer) -> Layer | None:
    """The data layer of a net that makes what a data layer of another makes."""
    if layer.bottoms or not layer.tops or (layer.kind is not None and not layer.kind.transforms):
        return None
    for other in net.layers:
        names = [top.name for top in other.tops]
        if not other.bottoms and other.type == layer.type and names[:1] == [layer.tops[0].name]:
            return other
    return None


def _transform_differences(here: Message, there: Message) -> Iterator[tuple[str, str, str]]:
    """In which field the transforms of a test and a training differ, in words, and how bad that is."""
    if here["scale"] != there["scale"]:
        yield "scale", f"scale is {here['scale']:g}, {there['scale']:g} in training", ""
    own, other = here["mean_value"], there["mean_value"]
    if "mean_file" in here and "mean_file" in there:
        if here["mean_file"] != there["mean_file"]:
            text = f"mean_file is {here['mean_file']!r}, {there['mean_file']!r} in training"
            yield "mean_file", text, "advice"
    elif not own and "mean_file" not in here and (other or "mean_file" in there):
        yield "mean_value", "no mean is subtracted, as it is in training", ""
    elif not other and "mean_file" not in there and (own or "mean_file" in here):
        field = "mean_file" if "mean_file" in here else "mean_value"
        yield field, "a mean is subtracted, which it is not in training", ""
    elif own != other and own and other:
        yield "mean_value", f"mean_value is {_numbers(own)}, {_numbers(other)} in training", ""
    if bool(here["crop_size"]) != bool(there["crop_size"]):
        with_, without = ("a test", "training") if here["crop_size"] else ("training", "a test")
        size = here["crop_size"] or there["crop_size"]
        text = f"images are cropped to {size} in {with_}, and not in {without}"
        yield "crop_size", text, "advice"


def _as_trained(tree: Tree, net: Message, here: Message, there: Message) -> Patch | None:
    """The scale and the mean of a training's transform, written into a test's data layer.

    None where means of both kinds, or of another number, would have to be exchanged.
    """
    own, other = here["transform_param"], there["transform_param"]
    means = other["mean_value"]
    if "transform_param" not in here:
        wanted = [(name, other[name]) for name in ("scale", "mean_file") if name in other]
        return add_message(tree, net, here, "transform_param", (*wanted, *(("mean_value", mean) for mean in means)))
    if (own["mean_value"] and means and len(own["mean_value"]) != len(means)) or ("mean_file" in own and means):
        return None
    patch = Patch()
    for name in ("scale", "mean_file"):
        if name in other and own.get(name) != other[name]:
            patch += set_field(tree, own, name, other[name])
        elif name in own and name not in other:
            patch += remove_field(tree, own, name)
    if own["mean_value"] and means:
        patch += set_values(own, "mean_value", means)
    elif means:
        patch += append_field(tree, own, "mean_value", *means)
    elif own["mean_value"]:
        patch += remove_field(tree, own, "mean_value")
    return patch


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _sources_of(layer: Layer) -> Iterator[tuple[tuple[str, Any], tuple[int, int]]]:
    """Where a data layer gets its data from, and where that is written."""
    if layer.bottoms:
        return
    for name in ("data_param", "image_data_param", "hdf5_data_param", "window_data_param"):
        if name in layer.message:
            settings: Message = layer.message[name]
            if "source" in settings:
                yield (name, settings["source"]), settings.span("source")


def _global_stats(subject: NetInPhase, phase: str, value: bool) -> Iterator[Hit]:
    """The BatchNorm layers of a phase where use_global_stats is written with that value, as one hit."""
    layers = [
        layer
        for layer in subject.net.layers
        if layer.traits.stores_statistics
        and layer.phase == phase
        and layer.message["batch_norm_param"].get("use_global_stats") is value
    ]
    for layer in layers[:1]:
        param: Message = layer.message["batch_norm_param"]
        where = "in training" if value else "in a test"
        what = (
            "stored statistics, not those of the batch"
            if value
            else "the batch, not the statistics of training"
        )
        message = f"BatchNorm layer '{layer.name}': {where} it normalises by {what}"
        reason = f"use_global_stats is {'true' if value else 'false'} there."
        if len(layers) > 1:
            reason += f" So it is for {len(layers)} layers of this net."
        patch = Patch()
        for other in layers:
            patch += remove_field(subject.file.tree, other.message["batch_norm_param"], "use_global_stats")
        fix = patch.fix(subject.file.path, "take out use_global_stats", safe=False)
        yield Hit(subject.file, param.span("use_global_stats"), message, reason, fix=fix)
