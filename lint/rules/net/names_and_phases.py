"""Names of layers, and the rules that say in which states they exist."""

from __future__ import annotations

from collections.abc import Iterator

from ...moments.graph import Layer
from ...net.job import NetInPhase
from ...net.names import also_in, named
from ...proto.binder import Message
from ...rule.finding import Hit, Related
from ...rule.registry import rule


@rule("N301", "duplicate-layer-name", subject="net", severity="warning")
def duplicate_layer_name(subject: NetInPhase) -> Iterator[Hit]:
    """Flags layers that have the same name as an earlier layer.

    ## What it does

    Flags a layer whose name an earlier layer of the same phase already has.

    ## Why is this bad?

    Weights are saved, loaded and shared with the test net by layer name, and the first layer of a name gets them. The
    other keeps the values of its fillers, or Caffe stops because the number of parameters differs.

    ## When it is reported

    - **warning** if one of the layers has parameters;
    - **advice** otherwise, once per net.

    There is no fix, because trained weights are found by the name of their layer. Ignore it if trained weights are
    neither saved nor loaded.

    ## References

    `Net::CopyTrainedLayersFrom` and `Net::ShareTrainedLayersWith` in net.cpp.
    """
    twice = {problem.layer for problem in subject.net.problems if problem.kind == "duplicate-top"}
    harmless: list[tuple[Layer, Hit]] = []
    first: dict[str, Layer] = {}
    for layer in subject.net.layers:
        other = first.setdefault(layer.name, layer)
        if other is layer or not layer.name or layer in twice or "input" in (layer.entry[2].name, other.entry[2].name):
            continue
        message = f"{named(layer)} has the same name as "
        message += "another layer" if other.type == layer.type else f"the {other.type} layer before it"
        loses = bool(layer.params or other.params)
        reason = (
            "Weights are saved and loaded by layer name, so this layer does not get its own."
            if loses
            else "Neither layer has parameters, so only the log is harder to read."
        )
        related = (Related(subject.file, _name_of(other), "first layer of this name"),)
        hit = Hit(subject.file, _name_of(layer), message, reason, "" if loses else "advice", related)
        if loses:
            yield hit
        else:
            harmless.append((layer, hit))
    for _, hit in harmless[:1]:
        yield hit._replace(reason=hit.reason + also_in([layer for layer, _ in harmless], subject.file.tree))


@rule("N302", "unreachable-rule", subject="net", severity="warning")
def unreachable_rule(subject: NetInPhase) -> Iterator[Hit]:
    """Flags `include` and `exclude` rules that can never apply.

    ## What it does

    Flags rules whose `min_level` is greater than their `max_level`, or that name the same stage in `stage` and
    `not_stage`.

    ## Why is this bad?

    A layer with such an `include` is never part of the net; one with such an `exclude` always is. Caffe only logs a line
    about it.

    ## When it is reported

    Reported as a **warning**. There is no fix, because only you know the intended state. Ignore it if the layer is
    switched off on purpose; commenting it out would be clearer.

    ## References

    `Net::StateMeetsRule` in net.cpp.
    """
    for entry in subject.net.message.entries.get("layer", ()):
        layer: Message = entry[0]
        for field in ("include", "exclude"):
            for rule_, _, _ in layer.entries.get(field, ()):
                why = _contradiction(rule_)
                if why:
                    message = f"{field} rule of {layer['type']} layer '{layer['name']}' can never apply: {why}"
                    reason = f"The layer is {'never' if field == 'include' else 'always'} part of the net."
                    yield Hit(subject.file, (rule_.block.start, rule_.block.end), message, reason)


def _name_of(layer: Layer) -> tuple[int, int]:
    return layer.message.span("name") if "name" in layer.message else layer.place()


def _contradiction(rule_: Message) -> str:
    """Return why no state can meet an include or exclude rule, or an empty string if one may."""
    low, high = rule_.get("min_level"), rule_.get("max_level")
    if low is not None and high is not None and low > high:
        return f"min_level {low} is greater than max_level {high}"
    for stage in rule_["stage"]:
        if stage in rule_["not_stage"]:
            return f"'{stage}' is both in stage and not_stage"
    return ""
