"""The input of a test net compared with that of the training net."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...fixes.fields import Patch, append_field, remove_field, set_field, set_values
from ...fixes.layer_edits import add_message
from ...moments.graph import Layer
from ...net.job import Job
from ...net.names import named
from ...net.net import Net
from ...proto.binder import Message
from ...proto.tree import Tree
from ...rule.finding import Hit, Related
from ...rule.registry import rule
from ..problems import is_for_unknown_caffe


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
