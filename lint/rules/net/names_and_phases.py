"""Names of layers, and the rules that say in which states they exist."""

from __future__ import annotations

from collections.abc import Iterator

from ...moments.graph import Layer
from ...net.job import NetInPhase
from ...net.names import named
from ...proto.binder import Message
from ...rule.finding import Hit, Related
from ...rule.registry import rule


@rule("N301", "duplicate-layer-name", subject="net", severity="warning")
def duplicate_layer_name(subject: NetInPhase) -> Iterator[Hit]:
    """Two layers of a net have the same name.

    ## What it does

    Names that stand twice in the same phase. A warning if one of the layers has parameters, else an
    advice, once in a net.

    ## Why is this bad?

    Weights are saved, loaded and handed to the test net by the names of layers, and the first layer of a name
    is taken: the other keeps what its fillers gave it, or Caffe stops since the number of parameters differs.

    ## When it is reported

    The two never meet: trained weights are neither saved nor loaded.

    ## Example

    There is no fix: trained weights know a layer by its name.

    ## References

    net.cpp, Net::CopyTrainedLayersFrom, Net::ShareTrainedLayersWith.
    """
    twice = {problem.layer for problem in subject.net.problems if problem.kind == "duplicate-top"}
    harmless: list[Hit] = []
    first: dict[str, Layer] = {}
    for layer in subject.net.layers:
        other = first.setdefault(layer.name, layer)
        if other is layer or not layer.name or layer in twice or "input" in (layer.entry[2].name, other.entry[2].name):
            continue
        message = f"{named(layer)}: {other.type} layer has that name as well"
        if other.type == layer.type:
            message = f"{named(layer)}: another layer has that name as well"
        loses = bool(layer.params or other.params)
        reason = (
            "Weights are saved and loaded by name: the second layer does not get its own."
            if loses
            else "Neither has parameters, so that only logs are harder to read."
        )
        related = (Related(subject.file, _name_of(other), "the first of them"),)
        hit = Hit(subject.file, _name_of(layer), message, reason, "" if loses else "advice", related)
        if loses:
            yield hit
        else:
            harmless.append(hit)
    for hit in harmless[:1]:
        more = f" So it is for {len(harmless)} layers of this net." if len(harmless) > 1 else ""
        yield hit._replace(reason=hit.reason + more)


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
