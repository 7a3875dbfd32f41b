"""Tops and settings that nothing reads."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.layer_edits import Fields, free_name, insert_layers, names_in, state_rules
from ...layers.record import is_read, readers
from ...moments.graph import Layer, is_automatic
from ...net.job import NetInPhase
from ...net.names import also_in, named
from ...proto.binder import Message
from ...rule.finding import Hit
from ...rule.registry import rule
from ...solver.ignored_fields import Ignored, ignored_in_layer

# Problems because of which a blob may lack its intended reader.
_DISJOINT = ("unknown-bottom", "duplicate-top", "in-place-on-shared-blob")


@rule("N303", "unused-top", subject="net", severity="advice", fixes="unsafe")
def unused_top(subject: NetInPhase) -> Iterator[Hit]:
    """Flags tops in nets for training that no layer reads.

    ## What it does

    Flags tops of more than one element in nets for training with a loss, if no layer reads them and the layer is neither
    a loss nor a measure such as Accuracy.

    ## Why is this bad?

    Caffe treats such a top as an output of the net and prints each of its elements whenever it displays the loss. Most
    often, a layer is left over, or another layer reads the wrong blob.

    ## When it is reported

    Reported as **advice**, once per net, at the first such top. Ignore it if the blob is meant to be printed, or if a
    program reads it.

    ## Fix

    Inserts a Silence layer that reads all such tops. The fix is unsafe, because the layer may be left over, or a reader
    may be missing. No fix is offered if the tops exist in different phases or the net is written in an old format.

    ## References

    `Net::Init` (`net_output_blobs_`) in net.cpp; `Solver::Step` in solver.cpp.
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
        message = f"no layer reads top '{layer.tops[index].name}' of {named(layer)}"
        elements = f"its {size} elements" if size is not None else "all its elements"
        reason = f"Caffe treats it as an output of the net and prints {elements} whenever it displays the loss."
        others = [f"'{other.tops[i].name}'" for other, i in found[1:]]
        if others:
            reason += f" Also unread: {', '.join(others[:3])}{', …' if len(others) > 3 else ''}."
        yield Hit(subject.file, layer.message.span("top", index), message, reason, fix=_silence(subject, found))


def _silence(subject: NetInPhase, unread: list[tuple[Layer, int]]) -> Fix | None:
    """Return a fix that inserts a Silence layer after the last of these tops, or None if their layers have different rules."""
    net = subject.net
    last = unread[-1][0]
    rules = state_rules(last.message)
    if net.upgraded.steps or any(state_rules(layer.message) != rules for layer, _ in unread):
        return None
    name = free_name(names_in(net.message), "silence")
    bottoms = tuple(("bottom", layer.tops[index].name) for layer, index in unread)
    fields: Fields = (("name", name), ("type", "Silence"), *bottoms, *rules)
    patch = insert_layers(subject.file.tree, net.message, last.entry, (fields,))
    return patch.fix(subject.file.path, f"insert Silence layer '{name}'", safe=False) if patch else None


@rule("N304", "ignored-settings", subject="net", severity="warning")
def ignored_settings(subject: NetInPhase) -> Iterator[Hit]:
    """Flags settings that a layer ignores because of its type or its other settings.

    ## What it does

    - Flags sub-messages such as `pooling_param` in layers of another BVLC type.
    - Flags fields of a layer's own settings that have no effect in combination with the others: `scale`, `mean_file`,
      `crop_size` and `mirror` outside `transform_param`, `bias_filler` without a bias, `std` of a filler that is not
      gaussian, `coeff` with MAX, and the like. Each kind is reported once per net.

    ## Why is this bad?

    Caffe ignores them without a message: the layer works with the defaults of its own settings, the data are not scaled,
    a filler without `type` fills with 0.

    ## When it is reported

    - **warning** for a sub-message of another type, and for fields that were surely meant to have an effect;
    - **advice** for a sub-message if it is empty or the layer has settings of its own, for other fields, and for all
      findings in nets for a fork, whose layers may read more.

    Nothing is reported for files with fields that no known Caffe has. There is no fix, because either the type or the
    settings may be wrong. If your Caffe reads the settings, name it with `--dialect`.

    ## References

    The `LayerSetUp` function of each layer in src/caffe/layers; filler.hpp. The records in `lint/layers/` and
    `lint/solver/ignored_fields.py` list what is read when.
    """
    if subject.file.is_for_unknown_caffe:
        return
    fork = not subject.file.is_for_bvlc
    for layer in subject.net.layers:
        settings_of = [name for name in layer.message.entries if name.endswith("_param")]
        ignored = [name for name in settings_of if not is_read(name, layer.traits)]
        own = any(name != "transform_param" and name not in ignored for name in settings_of)
        for name in ignored:
            settings: Message = layer.message[name]
            message = f"{named(layer)} ignores {name}"
            field = layer.message.field(name)
            assert field is not None
            severity = "advice" if own or fork or not settings.entries else ""
            reason = f"{name} is read by {', '.join(readers(name)[:3])}"
            reason += " and ignored here, unless this fork's layer reads it." if fork else " and ignored here."
            yield Hit(subject.file, (field.start, field.name_end), message, reason, severity)
    by_kind: dict[str, list[tuple[Layer, Ignored]]] = {}
    for layer in subject.net.layers:
        for found in ignored_in_layer(layer):
            by_kind.setdefault(found.what, []).append((layer, found))
    for same_kind in by_kind.values():
        layer, found = same_kind[0]
        reason = found.meaning + also_in(list(dict.fromkeys(layer for layer, _ in same_kind)), subject.file.tree)
        severity = "" if found.harmful and not fork else "advice"
        place = found.message.span(found.field)
        yield Hit(subject.file, place, f"{named(layer)} {found.what}", reason, severity)
