"""Inputs of test nets that differ from those of the training net, or are the same data."""

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


@rule("N402", "transform-mismatch", subject="job", severity="warning", fixes="unsafe")
def transform_mismatch(job: Job) -> Iterator[Hit]:
    """Flags test data that is scaled, mean-subtracted or cropped differently from the training data.

    ## What it does

    Compares the `transform_param` of data layers of the same type that make the same blob in the training net and in
    a test net. Flags a different `scale`, different `mean_value`s, a mean in only one of them, a different
    `mean_file`, and a crop in only one of them.

    ## Why is this bad?

    The net is tested on values of another range than those it learned from: the test results look bad, and get worse
    as the net learns.

    ## When it is reported

    - **warning** for a different `scale` or `mean_value`, and for a mean in only one of the nets;
    - **advice** for a different `mean_file`, and for a crop in only one of the nets.

    Nothing is reported if the paths of the two nets do not lead to them from the same folder, so that one of them may be another
    run's. Ignore it if the two sources differ in the same way, for example because the test data was scaled when it was
    written.

    ## Fix

    Writes the scale and the mean of the training net into the test net; a crop is left as it is. The fix is unsafe,
    because the test net's values may be the right ones.

    ## References

    `DataTransformer::Transform` in data_transformer.cpp, which subtracts the mean and then scales.
    """
    if job.train is None:
        return
    for test in job.tests_of_run:
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
                related = (Related(job.train.file, other_place, "in the training net"),)
                text = f"{named(here)}: {message}"
                reason = "The net is tested on data that is preprocessed differently from its training data."
                fix = None
                if field != "crop_size" and not test.net.upgraded.steps:
                    patch = _as_trained(test.file.tree, test.net.message, here.message, there.message)
                    if patch is not None and patch.edits:
                        fix = patch.fix(test.file.path, "use the scale and mean of the training net", safe=False)
                yield Hit(test.file, place, text, reason, severity, related, fix)


@rule("N403", "test-on-training-data", subject="job", severity="advice")
def test_on_training_data(job: Job) -> Iterator[Hit]:
    """Flags test nets that read the data that the training net learns from.

    ## What it does

    Flags data layers of a test net whose `source` is also the `source` of a data layer in the training net.

    ## Why is this bad?

    Such a test shows how well the net fits its training data. It cannot show that the net is overfitted.

    ## When it is reported

    Reported as **advice** if all sources of the solver's test nets are training data. Nothing is reported if a test
    net also reads other data, if the paths of the two nets do not lead to them from the same folder, or if the training net has
    fields or values that no known Caffe has. Ignore it if you are only trying out the set-up.

    ## Example

    No fix is offered, because only you know which data to test on.

    ## References

    data_layer.cpp and the other data layers: they identify data by its `source` alone.
    """
    if job.train is None or job.train.file.is_for_unknown_caffe:
        return
    trained: dict[tuple[str, Any], Layer] = {}
    for layer in job.train.net.layers:
        for key, _ in _sources_of(layer):
            trained.setdefault(key, layer)
    tested = {key for test in job.tests for layer in test.net.layers for key, _ in _sources_of(layer)}
    if not tested <= set(trained):
        return  # one of the test nets reads other data
    for test in job.tests_of_run:
        for layer in test.net.layers:
            for key, place in _sources_of(layer):
                first = trained.get(key)
                if first is not None:
                    message = f"{named(layer)} tests on the training data '{key[1]}'"
                    reason = "The test cannot show whether the net is overfitted."
                    related: tuple[Related, ...] = ()
                    if first.entry[1] is not layer.entry[1]:
                        related = (Related(job.train.file, first.place(), "in the training net"),)
                    yield Hit(test.file, place, message, reason, related=related)


def _same_data(net: Net, layer: Layer) -> Layer | None:
    """Return the data layer of a net that makes the same blob as a data layer of another net, or None."""
    if layer.bottoms or not layer.tops or (layer.kind is not None and not layer.kind.transforms):
        return None
    for other in net.layers:
        names = [top.name for top in other.tops]
        if not other.bottoms and other.type == layer.type and names[:1] == [layer.tops[0].name]:
            return other
    return None


def _transform_differences(here: Message, there: Message) -> Iterator[tuple[str, str, str]]:
    """Yield the fields in which the transforms of a test and a training net differ, each with message and severity."""
    if here["scale"] != there["scale"]:
        yield "scale", f"scale is {here['scale']:g}, but {there['scale']:g} in training", ""
    own, other = here["mean_value"], there["mean_value"]
    if "mean_file" in here and "mean_file" in there:
        if here["mean_file"] != there["mean_file"]:
            text = f"mean_file is '{here['mean_file']}', but '{there['mean_file']}' in training"
            yield "mean_file", text, "advice"
    elif not own and "mean_file" not in here and (other or "mean_file" in there):
        yield "mean_value", "no mean is subtracted, unlike in training", ""
    elif not other and "mean_file" not in there and (own or "mean_file" in here):
        field = "mean_file" if "mean_file" in here else "mean_value"
        yield field, "a mean is subtracted, unlike in training", ""
    elif own != other and own and other:
        yield "mean_value", f"mean_value is {_numbers(own)}, but {_numbers(other)} in training", ""
    if bool(here["crop_size"]) != bool(there["crop_size"]):
        with_, without = ("the test", "training") if here["crop_size"] else ("training", "the test")
        size = here["crop_size"] or there["crop_size"]
        text = f"images are cropped to {size} in {with_}, but not in {without}"
        yield "crop_size", text, "advice"


def _as_trained(tree: Tree, net: Message, here: Message, there: Message) -> Patch | None:
    """Return the patch that writes the scale and mean of training into a test's data layer.

    None if it would have to replace a mean file by values, or change how many values there are.
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
    """Yield the sources of a data layer, each with the place where it is written."""
    if layer.bottoms:
        return
    for name in ("data_param", "image_data_param", "hdf5_data_param", "window_data_param"):
        if name in layer.message:
            settings: Message = layer.message[name]
            if "source" in settings:
                yield (name, settings["source"]), settings.span("source")
