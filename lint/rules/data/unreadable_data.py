"""Data that Caffe cannot read: missing, in another kind of database, corrupt, or listed in a malformed file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...fixes.fields import set_field
from ...rule.finding import Hit
from ...rule.registry import rule
from .faulty_items import faulty_items

if TYPE_CHECKING:
    from ...data.judging import LayerData

_DATABASES = {"LMDB": "an LMDB", "LEVELDB": "a LevelDB"}


@rule("D101", "missing-data-source", subject="inputs", severity="error")
def missing_data_source(data: LayerData) -> Iterator[Hit]:
    """Flags data sources and listed files that are missing, and sources that are empty or cannot be opened.

    ## What it does

    Flags sources that exist neither in the working directory nor near the net, databases and lists without items,
    databases, lists and window files that cannot be opened, and files that a list names but that do not exist.

    ## Why is this bad?

    Caffe stops: for a source, when it builds the net; for a file in a list, when it reads that file, which may be in the
    middle of an epoch.

    ## When it is reported

    Reported as an **error** by `caffe-lint inputs`. There is no fix, because only you know whether a file is missing or
    its name is wrong.

    ## References

    `DataLayerSetUp` and `load_batch` in data_layer.cpp, image_data_layer.cpp, hdf5_data_layer.cpp and
    window_data_layer.cpp.
    """
    report = data.report
    if report.error_kind in ("missing", "unreadable"):
        yield Hit(data.net.file, data.place, f"{data.name} {report.error}", "Caffe stops when it builds the net.")
    elif report.items == 0 and report.complete and not report.faults:
        yield Hit(data.net.file, data.place, f"{data.name} has no items", "Caffe stops or waits forever.")
    yield from faulty_items(
        data, "missing", "file", "is missing", "are missing", "Caffe stops when it reads the first missing file."
    )


@rule("D102", "wrong-data-backend", subject="inputs", severity="error", fixes="safe")
def wrong_data_backend(data: LayerData) -> Iterator[Hit]:
    """Flags a `backend` that is not the kind of the database at `source`.

    ## What it does

    Flags `backend: LEVELDB`, which is also the default, for an LMDB, and `backend: LMDB` for a LevelDB.

    ## Why is this bad?

    Caffe stops when it builds the net. Opening an LMDB as a LevelDB may leave new files in its folder.

    ## When it is reported

    Reported as an **error** by `caffe-lint inputs`, and in checks if `caffe-lint.data.json` says which kind of database it
    is.

    ## Fix

    Sets `backend` to the kind of the database. The fix is safe, because the database cannot be opened otherwise.

    ## References

    `DataLayer::DataLayer` in data_layer.cpp and `GetDB` in util/db.cpp. The default of `DataParameter.backend` is LEVELDB.
    """
    if data.source.field != "data_param" or data.report.error:
        return
    backend, actual = data.param["backend"], data.report.kind.upper()
    if backend in _DATABASES and backend != actual:
        is_set = "backend" in data.param
        stated = f"backend is {backend}" if is_set else f"backend is not set and defaults to {backend}"
        patch = set_field(
            data.net.file.tree, data.param, "backend", actual, text=actual, beside=("source", "batch_size")
        )
        span = data.param.span("backend") if is_set else data.place
        fix = patch.fix(data.net.file.path, f"set backend to {actual}")
        kind = _DATABASES.get(actual, f"of kind {data.report.kind}")
        message = f"{data.name} is {kind}, but {stated}"
        yield Hit(data.net.file, span, message, "Caffe stops when it builds the net.", fix=fix)


@rule("D104", "corrupt-data", subject="inputs", severity="error")
def corrupt_data(data: LayerData) -> Iterator[Hit]:
    """Flags corrupt items: invalid Datum records, data of the wrong size, and damaged images.

    ## What it does

    Flags records and files that are empty, truncated or not of the expected format, Datum records whose data are not channels x
    height x width values, images that cannot be decoded, and bounding boxes that are empty or outside their image.

    ## Why is this bad?

    Caffe stops at most of these items, often in the middle of an epoch. It decodes truncated images and fills the rest with
    grey.

    ## When it is reported

    - **error** for corrupt or empty items, data of the wrong size and images that cannot be decoded;
    - **warning** for truncated images and for bounding boxes.

    Reported by `caffe-lint inputs`. There is no fix: create the items anew, or remove them. Ignore it if the truncated
    images are meant to be used as they are.

    ## References

    `Transform` in data_transformer.cpp, `DecodeDatumToCVMat` and `ReadImageToCVMat` in util/io.cpp.
    """
    stops = "Caffe stops when it reads such an item, or reads past its end."
    yield from faulty_items(data, "broken", "item", "is corrupt", "are corrupt", stops)
    yield from faulty_items(data, "empty", "item", "is empty", "are empty", stops)
    yield from faulty_items(data, "size", "item", "has data of the wrong size", "have data of the wrong size", stops)
    yield from faulty_items(data, "unreadable", "image", "cannot be decoded", "cannot be decoded", stops)
    reason = "Caffe uses the part that it can decode and fills the rest with grey."
    yield from faulty_items(data, "truncated", "image", "is truncated", "are truncated", reason, "warning")
    one, several = "has a box that is empty or outside its image", "have a box that is empty or outside its image"
    yield from faulty_items(data, "box", "item", one, several, "Such boxes are clipped or produce NaN.", "warning")


@rule("D106", "malformed-list-file", subject="inputs", severity="error")
def malformed_list_file(data: LayerData) -> Iterator[Hit]:
    """Flags lines of image lists and entries of window files that Caffe misreads or refuses.

    ## What it does

    Flags lines without a label, with several labels, or with a tab or several spaces before the label; paths that contain
    spaces; foreground windows with label 0 or less; and images whose size differs from the one in the window file.

    ## Why is this bad?

    Caffe takes everything before the last space as the path, and stops when it cannot open that file. It crops windows from
    the wrong place if the size of the image is wrong.

    ## When it is reported

    - **error** for malformed lines and for foreground windows;
    - **warning** for paths with spaces, which only Caffe before 1.0 cuts off at the first space, and for images of another
      size.

    Reported by `caffe-lint inputs`. There is no fix, because only you know the label. Ignore paths with spaces if you use
    Caffe 1.0 or later.

    ## References

    `DataLayerSetUp` in image_data_layer.cpp and window_data_layer.cpp.
    """
    stops = "Caffe takes everything before the last space as the path, and stops when it cannot open that file."
    yield from faulty_items(data, "line", "line", "is malformed", "are malformed", stops)
    cut_off = "Caffe before 1.0 cuts the path off at the first space."
    yield from faulty_items(data, "space", "path", "contains spaces", "contain spaces", cut_off, "warning")
    one, several = "has a label of 0 or less", "have a label of 0 or less"
    yield from faulty_items(data, "foreground", "foreground window", one, several, "Caffe stops.")
    if data.report.kind == "windows":
        one, several = "differs in size from the window file", "differ in size from the window file"
        reason = "Caffe crops the windows from the wrong place."
        yield from faulty_items(data, "dims", "image", one, several, reason, "warning")
