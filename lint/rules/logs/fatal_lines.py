"""Runs that Caffe or the operating system ended: FATAL lines and crashes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...proto.named_tuple import NamedTuple
from ...rule.registry import rule
from ...training_log.causes import Cause, Shown
from ...training_log.evidence import Evidence
from ...training_log.runs import Noted


class Meaning(NamedTuple):
    """What a FATAL line means: a pattern for its text, a name for the cause, and an explanation."""

    pattern: str
    cause: str
    meaning: str

# The first that matches wins. Sources: the files of BVLC/caffe that the messages name.
MEANINGS = (
    Meaning(
        r"(Unknown|unknown) layer type:? ?(?P<name>\S*)",
        "unknown-layer-type",
        "this build of Caffe does not have that layer type: it belongs to a fork, is misspelled, or was not compiled in",
    ),
    Meaning(
        r"Unknown bottom blob '(?P<blob>[^']*)' \(layer '(?P<layer>[^']*)'",
        "unknown-bottom",
        "no earlier layer produces that blob in this phase: the name is misspelled, or the layer is included "
        "in the other phase only",
    ),
    Meaning(
        r"Top blob '(?P<blob>[^']*)' produced by multiple sources",
        "duplicate-top",
        "two layers produce the same blob, or an in-place layer changes a blob that another layer reads as well",
    ),
    Meaning(
        r"Cannot copy param (?P<blob>\d+) weights from layer '(?P<layer>[^']*)'",
        "weights-do-not-fit",
        "the caffemodel has a layer of that name with another shape; rename the layer to initialise it anew",
    ),
    Meaning(
        r"Cannot share param",
        "shared-params-do-not-fit",
        "layers that share a param by name differ in its shape; set share_mode: PERMISSIVE, or use the same sizes",
    ),
    Meaning(
        r"Number of labels must match number of predictions",
        "label-count",
        "scores and labels do not match: the bottoms of the loss are swapped, its axis is wrong, or scores and labels "
        "differ in size",
    ),
    Meaning(
        r"(infogain|Infogain).*source must be specified|has_source\(\)",
        "infogain-source-missing",
        "InfogainLoss needs infogain_loss_param { source } or a third bottom",
    ),
    Meaning(
        r"infogain->count\(\) == num_labels_",
        "infogain-matrix-size",
        "the infogain matrix must have K * K entries for K classes",
    ),
    Meaning(r"normalize is deprecated", "infogain-normalize", "InfogainLoss takes normalization, not normalize"),
    Meaning(
        r"axis \d+ out of range|CanonicalAxisIndex|axis_index < num_axes",
        "axis-out-of-range",
        "a layer's axis does not exist in its bottom: the bottoms are swapped, or the axis is wrong",
    ),
    Meaning(
        r"[Oo]ut of memory|cudaErrorMemoryAllocation|== cudaSuccess \(2 vs|std::bad_alloc",
        "out-of-memory",
        "memory ran out; a smaller batch_size with a larger iter_size gives the same gradients",
    ),
    Meaning(
        r"cudaSuccess \((?P<name>\d+) vs|CUDNN_STATUS|CUBLAS_STATUS|cudnnStatus",
        "cuda-error",
        "CUDA failed: build and driver do not match, or a layer accessed memory outside its blobs, for example because of labels "
        "out of range",
    ),
    Meaning(r"Cannot use GPU in CPU-only Caffe", "cpu-only-build", "solver_mode is GPU, but this build has no CUDA"),
    Meaning(
        r"Failed to parse (Net|Solver)Parameter|Error parsing text-format|ReadProtoFromTextFile",
        "file-not-read",
        "the file is not a valid prototxt; run `caffe-lint` on it to see where",
    ),
    Meaning(
        r"File not found: (?P<name>\S+)|fd != -1.*File not found|No such file|Failed to "
        r"open|mdb_status == 0|Could not open|could not open",
        "file-missing",
        "a file named in the prototxt does not exist (paths are relative to the folder in which caffe runs)",
    ),
    Meaning(
        r"Unknown (learning rate|lr) policy|Unknown learning rate policy",
        "lr-policy",
        "lr_policy is missing, or this Caffe does not know it",
    ),
    Meaning(
        r"test_iter|Test(ing)? net.*specified|test_interval",
        "test-settings",
        "test_iter, test_interval and the test nets do not match",
    ),
    Meaning(
        r"All inputs must have the same shape, except at concat_axis",
        "concat-shapes",
        "the bottoms of Concat differ along another axis than its own, as often after odd down- and upsampling",
    ),
    Meaning(r"in-place computation", "in-place", "this layer type cannot have the same blob as bottom and top"),
    Meaning(
        r"momentum.*(AdaGrad|RMSProp)|Momentum cannot be used with",
        "momentum-with-adaptive",
        "AdaGrad and RMSProp do not support momentum; set it to 0, or use another solver type",
    ),
    Meaning(
        r"Snapshot|snapshot_prefix|Cannot write to snapshot",
        "snapshot-prefix",
        "the folder of snapshot_prefix does not exist or is not writable",
    ),
    Meaning(
        r"label_value|label < |Label.*range",
        "label-out-of-range",
        "a label is outside the classes",
    ),
    Meaning(
        r"Not Implemented Yet",
        "not-implemented",
        "the layer has no backward pass, so no layer below it may need a gradient",
    ),
    Meaning(
        r"(bottom|top)_(size|blobs)|(Min|Max|Exact)Num(Bottom|Top)",
        "blob-count-mismatch",
        "the layer has too many or too few bottoms or tops",
    ),
    Meaning(r"unknown engine", "engine", "this build does not have that engine (CUDNN without cuDNN)"),
    Meaning(
        r"crop_size|mean_(value|file)|data_transformer",
        "transform",
        "transform_param does not match the data: the crop is larger than the image, the mean has another size, or "
        "mean_value and mean_file are both set",
    ),
    Meaning(
        r"Check failed: .*shape|(height|width|channels|num)\(\)",
        "shapes-differ",
        "two blobs that must have the same shape differ; `caffe-lint net` shows all shapes",
    ),
)


@rule("T501", "caffe-fatal-error", subject="log", severity="error")
def caffe_fatal_error(log: Evidence) -> Iterator[Cause]:
    """Flags FATAL lines (`F… Check failed: …`) with which Caffe stopped, and explains them.

    ## What it does

    Flags the first FATAL line of a run, says what it means, and names the layer in it or the layer that was being set up.
    With `--solver`, it points to that layer.

    ## Why is this bad?

    Caffe stopped: nothing was trained from there on.

    ## When it is reported

    **error**, always.

    ## Example

    There is no automatic fix here. Run `caffe-lint` on the solver: it shows where the mistake is, and can often fix it.

    ## References

    The source file that the line itself names.
    """
    fatal = next((note for note in log.run.notes if note.kind == "fatal"), None)
    if fatal is None:
        return
    cause, meaning, layer, blob = explain(fatal)
    layer = layer or _under_construction(log) or _by_source(log, fatal)
    text = fatal.text.strip()
    yield Cause(
        cause,
        f"Caffe stopped at {fatal.source}: {text}",
        (meaning[:1].upper() + meaning[1:] if meaning else "The line itself shows the check that failed") + ".",
        0.99,
        layer,
        blob,
        log.steps[-1].iteration if log.steps else None,
        fatal.line,
        (Shown(fatal.line, f"{fatal.source}] {text}"),),
    )


@rule("T502", "process-crash", subject="log", severity="error")
def process_crash(log: Evidence) -> Iterator[Cause]:
    """Flags processes that died without a FATAL line, for example by a segmentation fault.

    ## What it does

    Flags `*** Aborted at`, `Segmentation fault`, `malloc(): …`, `Killed` and `std::bad_alloc` in the log of a run that did
    not end with `Optimization Done.`

    ## Why is this bad?

    Release builds do not check labels: one that is far out of range reads or writes outside the blob. `Killed` means that
    the operating system ended the process because memory ran out.

    ## When it is reported

    **error**. Ignore it if you ended the process yourself.

    ## Example

    There is nothing to change in the solver: look for labels out of range with `caffe-lint inputs`, or give the process more
    memory. `good/train.log` is that of a training that ended normally.

    ## References

    softmax_loss_layer.cpp (checks that are compiled out). Checked by running Caffe with labels of 1e9.
    """
    note = next((note for note in log.run.notes if note.kind == "crashed"), None)
    if note is None or any(other.kind in ("fatal", "done", "stopped") for other in log.run.notes):
        return
    memory = any(word in note.text for word in ("bad_alloc", "Killed", "out of memory"))
    yield Cause(
        "out-of-memory" if memory else "process-crash",
        f"the process died: {note.text}",
        "Memory ran out; use a smaller batch_size."
        if memory
        else "Caffe printed no reason. Labels out of range can cause this, since release builds do not check them.",
        0.9,
        None,
        None,
        log.steps[-1].iteration if log.steps else None,
        note.line,
        (Shown(note.line, note.text),),
    )


def explain(fatal: Noted) -> tuple[str, str, str | None, str | None]:
    """What a FATAL line means: the name of the cause, an explanation, and the layer and blob that it names."""
    for meaning in MEANINGS:
        found = re.search(meaning.pattern, f"{fatal.source} {fatal.text}")
        if found is not None:
            groups = found.groupdict()
            return meaning.cause, meaning.meaning, groups.get("layer"), groups.get("blob")
    return "caffe-fatal-error", "", None, None


def _under_construction(log: Evidence) -> str | None:
    """The last layer that Caffe announced to create, if the training had not begun."""
    return log.run.creating if not log.steps else None


def _by_source(log: Evidence, fatal: Noted) -> str | None:
    """The only layer whose type is that of the source file: infogain_loss_layer.cpp is InfogainLoss."""
    stem = fatal.source.partition(".")[0].removesuffix("_layer").replace("_", "")
    names = [layer.name for layer in log.layers.values() if layer.type.lower() == stem]
    return names[0] if len(names) == 1 else None
