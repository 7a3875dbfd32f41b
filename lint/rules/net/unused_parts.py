"""Tops and settings that nothing reads."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.layer_edits import Fields, free_name, insert_layers, names_in, state_rules
from ...layers.record import is_read, readers
from ...moments.graph import Layer, is_automatic
from ...net.job import NetInPhase
from ...net.names import named
from ...proto.binder import Message
from ...rule.finding import Hit
from ...rule.registry import rule
from ...solver.ignored_fields import Ignored, ignored_in_layer
from ..problems import is_for_bvlc, is_for_unknown_caffe

# Problems that leave blobs without the reader that was meant.
_DISJOINT = ("unknown-bottom", "duplicate-top")


@rule("N303", "unused-top", subject="net", severity="advice", fixes="unsafe")
def unused_top(subject: NetInPhase) -> Iterator[Hit]:
    """A net for training makes blobs that nobody reads.

    ## What it does

    In nets for training with a loss: tops that no layer reads, other than losses and measures such as
    Accuracy. One finding in a net, at the first of them.

    ## Why is this bad?

    Caffe takes what nobody reads for an output of the net, and prints every element of it each time it
    displays. Most often a layer is left over, or reads the wrong blob.

    ## When it is reported

    The blob is to be printed, or is read by a program.

    ## Fix

    The fix lets a Silence layer read all of them. It is unsafe: the layer may be left over, or a reader missing.

    ## References

    net.cpp, Net::Init (net_output_blobs_); solver.cpp, Solver::Step.
    """
    net = subject.net
    if net.phase != "TRAIN" or not net.losses or any(problem.kind in _DISJOINT for problem in net.problems):
        return
    found = []
    for layer in net.layers:
        kind = layer.kind
        if kind is None or kind.is_loss or kind.measures or kind.opaque or not kind.has_backward:
            continue
        for index, top in enumerate(layer.tops):
            if (
                not top.consumers
                and not layer.loss_weight(index)
                and not is_automatic(top)
                and top.count != 1
            ):
                found.append((layer, index))
    if found:
        layer, index = found[0]
        size = layer.tops[index].count
        message = f"{named(layer)}: nobody reads its top '{layer.tops[index].name}'"
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        elements = f"its {size} elements" if size is not None else "all its elements"
        reason = f"Caffe takes it for an output of the net{more}, and prints {elements} whenever it displays."
        yield Hit(subject.file, layer.message.span("top", index), message, reason, fix=_silence(subject, found))


def _silence(subject: NetInPhase, unread: list[tuple[Layer, int]]) -> Fix | None:
    """A Silence layer that reads these tops, behind the last of them; None if they are there in different states."""
    net = subject.net
    last = unread[-1][0]
    rules = state_rules(last.message)
    if net.upgraded.steps or any(state_rules(layer.message) != rules for layer, _ in unread):
        return None
    name = free_name(names_in(net.message), "silence")
    bottoms = tuple(("bottom", layer.tops[index].name) for layer, index in unread)
    fields: Fields = (("name", name), ("type", "Silence"), *bottoms, *rules)
    patch = insert_layers(subject.file.tree, net.message, last.entry, (fields,))
    return patch.fix(subject.file.path, f"let '{name}' read what nobody reads", safe=False) if patch else None


@rule("N304", "ignored-settings", subject="net", severity="warning")
def ignored_settings(subject: NetInPhase) -> Iterator[Hit]:
    """A layer has settings that it does not read: those of another type, or of another mode.

    ## What it does

    - Sub-messages such as pooling_param in a layer of another of BVLC's types. It is an advice where the layer
      has its own settings as well, where nothing is written in them, and in nets for a fork, whose layers may read
      more.
    - Fields of a layer's own settings that it does not read as the others are: `scale`, `mean_file`, `crop_size` and
      `mirror` outside of transform_param, `bias_filler` without a bias, `std` of a filler that is not gaussian, `coeff`
      with MAX, and the like. A warning where they were surely meant to do something, else an advice; each kind once in a
      net.

    ## Why is this bad?

    Caffe ignores them, without a word: the layer works with the defaults of its own settings, the data come unscaled,
    a filler without `type` fills with 0.

    ## When it is reported

    Your Caffe reads them there: give its name with `--dialect`.

    ## Example

    Or another type. There is no fix: either the type or the settings are wrong.

    ## References

    The LayerSetUp function of each layer in src/caffe/layers; filler.hpp. What is read in which mode is written in
    the records of `lint/layers/` and `lint/solver/ignored_fields.py`.
    """
    if is_for_unknown_caffe(subject.file):
        return
    fork = not is_for_bvlc(subject.file)
    for layer in subject.net.layers:
        settings_of = [name for name in layer.message.entries if name.endswith("_param")]
        ignored = [name for name in settings_of if not is_read(name, layer.traits)]
        own = any(name != "transform_param" and name not in ignored for name in settings_of)
        for name in ignored:
            settings: Message = layer.message[name]
            types = " or ".join(readers(name)[:3])
            message = f"{named(layer)}: it does not read {name}, which is for {types}"
            field = layer.message.field(name)
            assert field is not None
            severity = "advice" if own or fork or not settings.entries else ""
            reason = "Caffe ignores it, unless that of this fork is another." if fork else "Caffe ignores it."
            yield Hit(subject.file, (field.start, field.name_end), message, reason, severity)
    alike: dict[str, list[tuple[Layer, Ignored]]] = {}
    for layer in subject.net.layers:
        for found in ignored_in_layer(layer):
            alike.setdefault(found.what, []).append((layer, found))
    for layers in alike.values():
        layer, found = layers[0]
        more = f" (so it is in {len(layers)} places of this net)" if len(layers) > 1 else ""
        severity = "" if found.harmful and not fork else "advice"
        place = found.message.span(found.field)
        yield Hit(subject.file, place, f"{named(layer)}: {found.what}{more}", found.meaning, severity)
