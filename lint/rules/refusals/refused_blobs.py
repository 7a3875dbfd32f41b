"""Bottoms that no layer produces, tops that two layers produce, and tops that may not be in place."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from ...fixes.edit import Change, Edit, Fix
from ...fixes.fields import Patch, remove_field, remove_text, separator, set_field
from ...fixes.layer_edits import EnumName, remove_layer, written_net
from ...fixes.wiring import free_blob, rename_blob, write_new_blob
from ...moments.graph import Layer, NetProblem
from ...moments.layer_type import SIGMOID, SOFTMAX
from ...net.job import NetInPhase
from ...net.net import Net
from ...net.phases import NetState, is_kept
from ...proto.binder import Message
from ...proto.spelling import is_certain, nearest_name, same_numbers
from ...rule.finding import Hit
from ...rule.registry import rule
from ..problems import hit_of, index_of, problems_of

# For how many unknown bottoms of a net similar names are searched; if there are more, they are not typos.
_SEARCHES = 50
_SET_BOTTOM = "set bottom to "


@rule("E201", "unknown-bottom", subject="net", severity="error", fixes="safe, unsafe")
def unknown_bottom(subject: NetInPhase) -> Iterator[Hit]:
    """Flags bottoms that no earlier layer produces.

    ## What it does

    Flags bottoms that are not a top of an earlier layer in the same phase, level and stages. Order counts: a layer cannot read
    what a later layer produces.

    ## Why is this bad?

    Caffe stops: `Unknown bottom blob 'conv_1' (layer 'relu1', bottom index 0)`.

    ## When it is reported

    - **advice** if the layer that produces the blob is included only in a stage, and no solver of this run trains the net:
      programs such as DIGITS give the stage;
    - **warning** if a solver trains it and gives no stage;
    - **error** otherwise.

    Ignore the warning if you run `caffe train` with that `--stage`.

    ## Fix

    Replaces the name with that of an earlier blob, if exactly one is spelled similarly: at most two letters differ, or one in
    names of up to four letters. The fix is safe if the names differ in one letter, in two swapped ones, or in case and
    underscores only. It is unsafe if they differ in more or in their numbers (`conv3` for `conv4`: a layer may be missing),
    or if the layer would then break another one. It is not offered for a blob that exists in the other phase, because
    then a data layer or an `include` is missing, nor for a label if the names differ in their numbers, or the similar blob is one
    that class scores are computed from.

    In a net whose only sources are Input layers, a loss without labels becomes the Softmax or Sigmoid that it applies, with one
    bottom and one top; other losses, and Accuracy layers, are removed. This fix is unsafe.

    ## References

    `InsertSplits` in insert_splits.cpp; `Net::AppendBottom` in net.cpp.
    """
    problems = problems_of(subject, "E201")
    unreadable = _names_of_unreadable(subject.net, kept=False) if problems else ()
    for number, problem in enumerate(problems):
        layer = problem.layer
        assert layer is not None
        if problem.subject in unreadable:
            continue
        if problem.subject in subject.net.message["input"]:
            continue  # of a net inside a solver, where Caffe does not upgrade it: S111
        message, severity, advice = problem.message, "", ""
        fix = _spelling_fix(subject, problem) if number < _SEARCHES else None
        if fix is not None:
            message += f"; did you mean {fix.title.removeprefix(_SET_BOTTOM)}?"
        elif _is_made_by_others(subject.net, layer, problem.subject, kept=False):
            other = "TEST" if subject.phase == "TRAIN" else "TRAIN"
            state = NetState(other, subject.net.state.level, subject.net.state.stages)
            if any(is_kept(maker.layer, state) for maker in subject.net.makers[problem.subject]):
                message += f" in phase {subject.phase}"
                advice = (
                    f". Produce it in phase {subject.phase} as well, or restrict this layer to {other}:"
                    f" include {{ phase: {other} }}."
                )
            else:
                message += " in any phase"
            if not subject.net.state.stages and _waits_for_stage(subject.net, problem.subject):
                message += ", unless a stage is given"
                severity = "warning" if subject.jobs else "advice"
        elif _wants_label(subject, layer, problem.subject):
            message += "; deploy nets have no labels"
            fix = _as_deployed(subject, layer) if _deploy_type(layer) else _without_layer(subject, layer)
        hit = hit_of(subject, problem)
        yield hit._replace(message=message, reason=hit.reason + advice, severity=severity, fix=fix)


def _wants_label(subject: NetInPhase, layer: Layer, name: str) -> bool:
    """Whether a loss, an accuracy or what remains of them lacks labels in a net whose input comes from a program."""
    if layer.kind is None or not (layer.kind.is_loss or layer.kind.measures or layer.kind.activation):
        return False
    return subject.net.is_fed and layer.message["bottom"][1:2] == [name]


def _deploy_type(layer: Layer) -> str:
    """The type that computes what a loss would compare with labels, for a deploy net; empty if there is none."""
    traits = layer.traits
    return _ACTIVATIONS.get(traits.activation, "") or ("" if traits.takes_matrix else _ACTIVATIONS.get(traits.applies, ""))


def _as_deployed(subject: NetInPhase, layer: Layer) -> Fix | None:
    """The fix that turns a loss into the Softmax or Sigmoid that it applies: one bottom, one top, no settings of the loss."""
    message, tree, written = layer.message, subject.file.tree, _deploy_type(layer)
    bottoms, tops = message.entries["bottom"], message.entries.get("top", ())
    apart = all(node is field.value for _, node, field in (*bottoms, *tops))
    if not apart or len(tops) > 1 or "v0" in subject.net.upgraded.steps:
        return None
    patch, title = Patch(), "remove the label"
    if written != layer.type:
        old_name = _OLD_NAMES[written] if "v1" in subject.net.upgraded.steps else ""
        patch = set_field(tree, message, "type", EnumName(old_name) if old_name else written, text=old_name)
        title = f"make it a {written}"
    if tops:
        patch += Patch(tuple(remove_text(tree, field) for _, _, field in bottoms[1:]))
    else:
        name = free_blob(subject.net.message, "prob")
        first, *others = (field for _, _, field in bottoms[1:])
        top = Edit(first.start, first.end, f'top{separator(tree, message.block)}"{name}"'.encode())
        patch += Patch((top, *(remove_text(tree, field) for field in others)), (Change(message.block, "top", (name,)),))
        title = f"{title} with the top '{name}'" if written != layer.type else f"replace the label with the top '{name}'"
    patch += Patch((), (Change(message.block, "bottom", (bottoms[0][0],)),))
    for name in ("loss_param", "loss_weight", "propagate_down"):
        if name in message.entries:
            patch += remove_field(tree, message, name)
    return patch.fix(subject.file.path, title, safe=False)


# The layers of the activations that losses apply, and their names in the old format.
_ACTIVATIONS = {SOFTMAX: "Softmax", SIGMOID: "Sigmoid"}
_OLD_NAMES = {"Softmax": "SOFTMAX", "Sigmoid": "SIGMOID"}


def _without_layer(subject: NetInPhase, layer: Layer) -> Fix | None:
    written = written_net(subject.file.message, subject.net.message.block)
    if written is None or any(top.consumers for top in layer.tops):
        return None
    patch = remove_layer(subject.file.tree, written, layer.entry)
    return patch.fix(subject.file.path, f"remove layer '{layer.name}'", safe=False) if patch is not None else None


@rule("E202", "duplicate-top", subject="net", severity="error", fixes="safe")
def duplicate_top(subject: NetInPhase) -> Iterator[Hit]:
    """Flags tops that an earlier layer of the same phase already produces.

    ## What it does

    Flags tops with the name of an earlier top, unless the blob is also the layer's bottom at the same position, which makes the
    layer work in place.

    ## Why is this bad?

    Caffe stops: `Top blob 'ip1' produced by multiple sources.`

    ## When it is reported

    **error** for every such top.

    ## Fix

    Renames the top to the name of its layer, if a later layer reads a blob of that name and no layer produces it. The fix is
    safe, and is not offered otherwise: only you know which of the two layers is meant.

    ## Example

    Comes with: E201.

    ## References

    `Net::AppendTop` in net.cpp.
    """
    problems = problems_of(subject, "E202")
    unreadable = _names_of_unreadable(subject.net, kept=True) if problems else ()
    read_last = _last_readers(subject.net) if problems else {}
    for problem in problems:
        assert problem.layer is not None
        if problem.subject not in unreadable and not _is_partly_unreadable(problem.layer.message):
            yield hit_of(subject, problem)._replace(fix=_own_name_fix(subject, problem, read_last))


@rule("E203", "in-place-not-allowed", subject="net", severity="error", fixes="safe")
def in_place_not_allowed(subject: NetInPhase) -> Iterator[Hit]:
    """Flags layers that work in place where Caffe does not allow it.

    ## What it does

    - Flags layers that overwrite a bottom which an earlier layer also reads, which the layer itself lists twice, or which has a
      `loss_weight`. Layers after it are fine, because they read the new values.
    - Flags AbsVal, Flatten, Reshape and Split in place, which these types never allow.

    ## Why is this bad?

    Caffe splits a blob with several readers. The layer then reads `conv1_conv1_0_split_1` and writes `conv1`, and Caffe stops:
    `Top blob 'conv1' produced by multiple sources.` For the types that never work in place, it stops with `Flatten Layer does not
    allow in-place computation.`

    ## When it is reported

    **error** for every such layer.

    ## Fix

    Gives the layer a top of its own, and lets all layers after it read that top. The fix is safe, because these layers already
    read what this layer writes. It is not offered

    - if the layer is included in some phases only;
    - if what the earlier layer makes of the bottom leads neither to a loss or a measure nor to a layer after this one: most
      likely, this layer is meant to work on that, and the fix would drop a residual connection.

    ## References

    `InsertSplits` in insert_splits.cpp; `Net::AppendTop` in net.cpp; absval_layer.cpp, flatten_layer.cpp, reshape_layer.cpp,
    split_layer.cpp.
    """
    for problem in problems_of(subject, "E203"):
        hit = hit_of(subject, problem)
        unread = _left_unread(problem)
        if unread:
            assert problem.layer is not None
            why = f"with a top of its own, nothing would read '{unread}'. Should '{problem.layer.name}' work on '{unread}'?"
            yield hit._replace(reason=f"{hit.reason} No fix: {why}")
        else:
            yield hit._replace(fix=_own_top_fix(subject, problem))


def _is_partly_unreadable(layer: Message) -> bool:
    """Whether parts of a layer that may affect its wiring cannot be read, which is reported elsewhere."""
    if any(not field.name.endswith("_param") for field in layer.unknown):
        return True
    rules = [*layer["include"], *layer["exclude"]]
    return any(
        rule.unknown or sum(map(len, rule.entries.values())) < len(rule.block.fields) for rule in rules
    )


def _names_of_unreadable(net: Net, *, kept: bool) -> Container[str]:
    """The names of blobs that a layer of which parts cannot be read produces: one in the net, or without `kept` one left out."""
    return {
        name
        for name, makers in net.makers.items()
        if any(maker.kept == kept and _is_partly_unreadable(maker.layer) for maker in makers)
    }


def _is_made_by_others(net: Net, layer: Layer, name: str, *, kept: bool | None = None) -> bool:
    """Whether another layer of the file produces a blob of that name, at any position.

    `kept` asks only for layers in the net, or for those that are left out.
    """
    return any(
        maker.layer.block is not layer.message.block and kept in (None, maker.kept) for maker in net.makers.get(name, ())
    )


def _waits_for_stage(net: Net, name: str) -> bool:
    """Whether a layer that is left out would produce the blob if a stage were given."""
    for maker in net.makers.get(name, ()):
        if not maker.kept:
            stages = tuple(stage for rule in maker.layer["include"] for stage in rule["stage"])
            if stages and is_kept(maker.layer, NetState(net.phase, net.state.level, stages)):
                return True
    return False


def _is_read_after(net: Net, layer: Layer, name: str) -> bool:
    return any(blob.name == name for other in net.layers[layer.index + 1 :] for blob in other.bottoms)


def _is_overwritten_after(net: Net, layer: Layer, name: str) -> bool:
    """Whether a later layer overwrites the blob in place, which is not allowed if this layer reads it too."""
    return any(
        top.name == name and top.below is not None
        for other in net.layers[layer.index + 1 :]
        for top in other.tops
    )


def _spelling_fix(subject: NetInPhase, problem: NetProblem) -> Fix | None:
    """The fix that replaces an unknown bottom by the one earlier blob with a similar name, if there is exactly one."""
    layer, written = problem.layer, problem.subject
    assert layer is not None
    index = index_of(problem, "bottom")
    if not _is_in_file(subject, layer) or _is_made_by_others(subject.net, layer, written):
        return None
    if any(written in (twice.subject, twice.layer.name) for twice in _twice(subject.net) if twice.layer):
        return None  # the intended top has another name: see `_own_name_fix`
    before = subject.net.layers[: layer.index]
    made = list({blob.name for other in before for blob in other.tops})
    name = nearest_name(written, made)
    if name is None or (index == 1 and _is_no_label(layer, written, name)):
        return None
    safe = is_certain(written, name, made)
    uses = [(layer.message, "bottom", index)]
    if index < len(layer.tops) and layer.tops[index].name == written:
        # Misspelled twice, the layer was meant to work in place, unless another layer reads its top.
        if not layer.tops[index].consumers:
            uses.append((layer.message, "top", index))
        elif _is_read_after(subject.net, layer, name):
            safe = False
    if _is_overwritten_after(subject.net, layer, name):
        safe = False
    return rename_blob(uses, name).fix(subject.file.path, f"{_SET_BOTTOM}'{name}'", safe=safe)


def _is_no_label(layer: Layer, written: str, name: str) -> bool:
    """Whether a similarly named blob cannot be the label that a loss or an Accuracy lacks: it has another number, or classes are
    computed from it.
    """
    if not (layer.kind is not None and (layer.kind.is_loss or layer.kind.measures)):
        return False
    if not same_numbers(written, name):
        return True
    scored = (layer.bottoms[0], *(blob for other in layer.upstream() for blob in other.bottoms))
    return layer.traits.class_axis is not None and any(blob.name == name for blob in scored)


def _is_in_file(subject: NetInPhase, layer: Layer) -> bool:
    """Whether the layer's bottoms are those in the file: upgrading a V0 net removes its padding layers."""
    return "v0" not in subject.net.upgraded.steps and "bottom" in layer.message.entries


def _twice(net: Net) -> list[NetProblem]:
    return [problem for problem in net.problems if problem.kind == "duplicate-top"]


def _last_readers(net: Net) -> dict[str, int]:
    """By the names of unknown bottoms, the index of the last layer that reads one."""
    return {
        problem.subject: problem.layer.index
        for problem in net.problems
        if problem.kind == "unknown-bottom" and problem.layer
    }


def _own_name_fix(subject: NetInPhase, problem: NetProblem, read_last: Mapping[str, int]) -> Fix | None:
    """The fix that renames a duplicate top to its layer's name, if a later layer reads a blob of that name."""
    layer = problem.layer
    assert layer is not None
    name = layer.name
    if read_last.get(name, -1) <= layer.index or _is_made_by_others(subject.net, layer, name) or name in layer.message["top"]:
        return None
    uses = [(layer.message, "top", index_of(problem, "top"))]
    return rename_blob(uses, name).fix(subject.file.path, f"rename its top to '{name}'")


def _left_unread(problem: NetProblem) -> str:
    """Return a blob made of what a layer overwrites that leads nowhere; empty if all that reads that is of use, or may be."""
    layer = problem.layer
    assert layer is not None
    after = {other.index for other in layer.downstream()}
    if not after:
        return ""  # this layer's top is an output as well
    for top in layer.tops:
        for reader in top.below.consumers if top.below is not None else ():
            led_to = [reader, *reader.downstream()]
            if reader is not layer and not any(other.index in after or _is_of_use(other) for other in led_to):
                return next((blob.name for other in led_to for blob in other.tops if not blob.consumers), "")
    return ""


def _is_of_use(layer: Layer) -> bool:
    """Return whether a layer learns or measures something, ends a branch on purpose, or is unknown."""
    kind = layer.kind
    if kind is None or kind.opaque or kind.is_loss or kind.measures or not layer.tops:
        return True
    return any(map(layer.loss_weight, range(len(layer.tops))))


def _own_top_fix(subject: NetInPhase, problem: NetProblem) -> Fix | None:
    """The fix that gives a layer that must not work in place a top of its own."""
    layer = problem.layer
    assert layer is not None
    index = next((i for i, top in enumerate(layer.tops) if top.below is not None), None)
    if index is None or not _is_in_file(subject, layer):
        return None
    found = write_new_blob(subject.net.message, layer.message, index)
    if found is None:
        return None
    patch, name = found
    return patch.fix(subject.file.path, f"rename its top to '{name}', also where later layers read it")
