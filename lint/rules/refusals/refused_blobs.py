"""Bottoms that no layer produces, and tops that two layers produce, or one in place."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.layer_edits import remove_layer, written_net
from ...fixes.wiring import rename_blob, write_new_blob
from ...moments.graph import Layer, NetProblem
from ...moments.layer_type import FROM_PROGRAM
from ...net.job import NetInPhase
from ...net.names import same_numbers
from ...net.net import Net
from ...net.phases import NetState, kept_layers
from ...proto.binder import Message, nearest_name
from ...rule.finding import Hit
from ...rule.registry import rule
from ..problems import hit_of, index_of, problems_of

# So many unknown bottoms of a net are looked up among its blobs; more of them are no slips of the pen.
_SEARCHES = 50


@rule("E201", "unknown-bottom", subject="net", severity="error", fixes="safe, unsafe")
def unknown_bottom(subject: NetInPhase) -> Iterator[Hit]:
    """A layer reads a blob that no layer before it makes.

    ## What it does

    Bottoms that no earlier layer of the same phase, level and stages has as a top. Order counts: a layer
    cannot read what a layer further down makes.

    ## Why is this bad?

    Caffe stops: `Unknown bottom blob 'conv_1' (layer 'relu1', bottom index 0)`.

    ## When it is reported

    Never: Caffe does not build such a net. The warning about a stage is void where `caffe train --stage` gives it.

    ## Fix

    The fix writes the one blob that is there and within two letters of the name (one, for names of up to
    four). It is unsafe where the two differ in their numbers (`conv3` for `conv4`: a layer may be missing),
    and none is offered for a blob that another phase has: then it is a data layer or an `include` that is
    missing. In a net with Input layers alone, which a program feeds, a loss or an Accuracy without labels is taken
    out; that is unsafe as well. A blob whose layer waits for a stage is a warning where none is given: `caffe train --stage` can
    give it.

    ## References

    insert_splits.cpp, InsertSplits; net.cpp, Net::AppendBottom.
    """
    for number, problem in enumerate(problems_of(subject, "E201")):
        layer = problem.layer
        assert layer is not None
        if any(map(_is_half_read, _makers(subject.net, layer, problem.subject, kept=False))):
            continue
        if problem.subject in subject.net.message["input"]:
            continue  # of a net inside a solver, where Caffe does not lift it: S111
        message, severity, advice = problem.message, "", ""
        fix = _spelling_fix(subject, problem) if number < _SEARCHES else None
        if fix is not None:
            message += f"; did you mean {fix.title.removeprefix('write ')}?"
        elif _makers(subject.net, layer, problem.subject, kept=False):
            other = "TEST" if subject.phase == "TRAIN" else "TRAIN"
            state = NetState(other, subject.net.state.level, subject.net.state.stages)
            in_other = any(
                problem.subject in maker["top"] for maker, keep in _layers(subject.net, state) if keep
            )
            if in_other:
                message += f" in phase {subject.phase}"
                advice = (
                    f". Let a layer make it in {subject.phase} too, or let this one stand in {other} only:"
                    f" include {{ phase: {other} }}."
                )
            else:
                message += " in any phase that this file is built for"
            if not subject.net.state.stages and _waits_for_stage(subject.net, layer, problem.subject):
                message += ", unless a stage is given"
                severity = "warning"
        elif _wants_label(subject, layer, problem.subject):
            message += ": a net that is used has no labels"
            fix = _without_layer(subject, layer)
        hit = hit_of(subject, problem)
        yield hit._replace(message=message, reason=hit.reason + advice, severity=severity, fix=fix)


def _wants_label(subject: NetInPhase, layer: Layer, name: str) -> bool:
    """Whether a loss or a measure lacks the labels in a net that a program feeds."""
    if layer.kind is None or not (layer.kind.is_loss or layer.kind.measures):
        return False
    sources = [other for other in subject.net.layers if not other.bottoms]
    is_fed = bool(sources) and all(other.traits.origin == FROM_PROGRAM for other in sources)
    return is_fed and layer.message["bottom"][1:2] == [name]


def _without_layer(subject: NetInPhase, layer: Layer) -> Fix | None:
    written = written_net(subject.file.message, subject.net.message.block)
    if written is None or any(top.consumers for top in layer.tops):
        return None
    patch = remove_layer(subject.file.tree, written, layer.entry)
    return patch.fix(subject.file.path, f"take out layer '{layer.name}'", safe=False) if patch is not None else None


@rule("E202", "duplicate-top", subject="net", severity="error", fixes="safe")
def duplicate_top(subject: NetInPhase) -> Iterator[Hit]:
    """Two layers of the same phase make a blob of the same name.

    ## What it does

    A top whose name an earlier layer has already used, without being the same layer's bottom at the same
    place (which would be in place).

    ## Why is this bad?

    Caffe stops: `Top blob 'ip1' produced by multiple sources.`

    ## When it is reported

    Never: Caffe does not build such a net.

    ## Fix

    The fix is offered where a layer further down reads a blob of the second layer's name, which nothing
    makes: then it is safe. Otherwise only you know which of the two is meant.

    ## Example

    Comes with: E201.

    ## References

    net.cpp, Net::AppendTop.
    """
    for problem in problems_of(subject, "E202"):
        layer = problem.layer
        assert layer is not None
        if any(map(_is_half_read, (layer.message, *_makers(subject.net, layer, problem.subject, kept=True)))):
            continue
        yield hit_of(subject, problem)._replace(fix=_own_name_fix(subject, problem))


@rule("E203", "in-place-not-allowed", subject="net", severity="error", fixes="safe")
def in_place_not_allowed(subject: NetInPhase) -> Iterator[Hit]:
    """A layer works in place where Caffe does not let it.

    ## What it does

    - A top that is also the layer's bottom while an earlier layer reads that blob too, the layer itself lists
      it twice, or the blob has a loss_weight. Layers that come after it are fine: they read what it wrote.
    - AbsVal, Flatten, Reshape and Split, which never work in place.

    ## Why is this bad?

    Caffe splits a blob with several readers. The layer then reads `conv1_conv1_0_split_1` and writes `conv1`,
    and Caffe stops: `Top blob 'conv1' produced by multiple sources.` The second kind stops with `Flatten
    Layer does not allow in-place computation.`

    ## When it is reported

    Never: Caffe does not build such a net.

    ## Fix

    The fix gives the layer a top of its own, which every layer behind it reads: safe, since that is the order
    in which the file says who reads what. None is offered where the layer is there in some phases only.

    ## References

    insert_splits.cpp, InsertSplits; net.cpp, Net::AppendTop; absval_layer.cpp, flatten_layer.cpp,
    reshape_layer.cpp, split_layer.cpp.
    """
    for problem in problems_of(subject, "E203"):
        yield hit_of(subject, problem)._replace(fix=_own_top_fix(subject, problem))


def _is_half_read(layer: Message) -> bool:
    """Whether something that may tell where a layer belongs cannot be read, which is reported elsewhere."""
    if any(not field.name.endswith("_param") for field in layer.unknown):
        return True
    rules = [*layer["include"], *layer["exclude"]]
    return any(
        rule.unknown or sum(map(len, rule.entries.values())) < len(rule.block.fields) for rule in rules
    )


def _layers(net: Net, state: NetState) -> Iterator[tuple[Message, bool]]:
    """Each layer of the file, and whether a net in that state has it."""
    return ((entry[0], keep) for entry, keep in kept_layers(net.message, state))


def _makers(net: Net, layer: Layer, name: str, *, kept: bool) -> list[Message]:
    """The other layers that make a blob of that name: those that the net has, or those left out."""
    return [
        other
        for other, keep in _layers(net, net.state)
        if keep == kept and other.block is not layer.message.block and name in other["top"]
    ]


def _is_made_by_others(net: Net, layer: Layer, name: str) -> bool:
    """Whether another layer of the file makes a blob of that name, in whatever phase or further down."""
    return bool(_makers(net, layer, name, kept=True) or _makers(net, layer, name, kept=False))


def _waits_for_stage(net: Net, layer: Layer, name: str) -> bool:
    """Whether one of the layers left out would make the blob if a stage were given."""
    for maker in _makers(net, layer, name, kept=False):
        stages = tuple(stage for rule in maker["include"] for stage in rule["stage"])
        state = NetState(net.phase, net.state.level, stages)
        if stages and any(keep and other.block is maker.block for other, keep in _layers(net, state)):
            return True
    return False


def _is_read_behind(net: Net, layer: Layer, name: str) -> bool:
    return any(blob.name == name for other in net.layers[layer.index + 1 :] for blob in other.bottoms)


def _is_written_over_behind(net: Net, layer: Layer, name: str) -> bool:
    """Whether a later layer works in place on the blob, which it must not if this one reads it as well."""
    return any(
        top.name == name and top.below is not None
        for other in net.layers[layer.index + 1 :]
        for top in other.tops
    )


def _spelling_fix(subject: NetInPhase, problem: NetProblem) -> Fix | None:
    """Another name for a bottom that nothing makes, if there is just one that looks like it."""
    layer, written = problem.layer, problem.subject
    assert layer is not None
    index = index_of(problem, "bottom")
    if not _is_in_file(subject, layer) or _is_made_by_others(subject.net, layer, written):
        return None
    if any(written in (twice.subject, twice.layer.name) for twice in _twice(subject.net) if twice.layer):
        return None  # the top that was meant has another name: see `_own_name_fix`
    before = subject.net.layers[: layer.index]
    name = nearest_name(written, list({blob.name for other in before for blob in other.tops}))
    if name is None:
        return None
    safe = same_numbers(name, written)
    uses = [(layer.message, "bottom", index)]
    if index < len(layer.tops) and layer.tops[index].name == written:
        # Misspelt twice, the layer was to work in place, unless somebody wants what it writes.
        if not layer.tops[index].consumers:
            uses.append((layer.message, "top", index))
        elif _is_read_behind(subject.net, layer, name):
            safe = False
    if _is_written_over_behind(subject.net, layer, name):
        safe = False
    return rename_blob(uses, name).fix(subject.file.path, f"write '{name}'", safe=safe)


def _is_in_file(subject: NetInPhase, layer: Layer) -> bool:
    """Whether the layer's bottoms are the file's own: V0 nets have padding layers, which are gone here."""
    return "v0" not in subject.net.upgraded.steps and "bottom" in layer.message.entries


def _twice(net: Net) -> list[NetProblem]:
    return [problem for problem in net.problems if problem.kind == "duplicate-top"]


def _own_name_fix(subject: NetInPhase, problem: NetProblem) -> Fix | None:
    """The layer's own name for a top that another has, if somebody further down reads a blob so called."""
    layer = problem.layer
    assert layer is not None
    name = layer.name
    wanted = any(
        other.kind == "unknown-bottom"
        and other.subject == name
        and other.layer
        and other.layer.index > layer.index
        for other in subject.net.problems
    )
    if not wanted or _is_made_by_others(subject.net, layer, name) or name in layer.message["top"]:
        return None
    uses = [(layer.message, "top", index_of(problem, "top"))]
    return rename_blob(uses, name).fix(subject.file.path, f"write '{name}'")


def _own_top_fix(subject: NetInPhase, problem: NetProblem) -> Fix | None:
    """A new top for a layer that must not work in place."""
    layer = problem.layer
    assert layer is not None
    index = next((i for i, top in enumerate(layer.tops) if top.below is not None), None)
    if index is None or not _is_in_file(subject, layer):
        return None
    found = write_new_blob(subject.net.message, layer.message, index)
    if found is None:
        return None
    patch, name = found
    return patch.fix(subject.file.path, f"write '{name}', and read that behind layer '{layer.name}'")
