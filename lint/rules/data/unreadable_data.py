"""Data that Caffe cannot read: missing, in another kind of database, corrupt, or listed in a malformed file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...fixes.fields import set_field
from ...rule.finding import Hit
from ...rule.registry import rule
from .faulty_items import seen

if TYPE_CHECKING:
    from ...data.judging import LayerData


@rule("D101", "missing-data-source", subject="inputs", severity="error")
def missing_data_source(data: LayerData) -> Iterator[Hit]:
    """A source is not there, is empty or cannot be opened, or files that a list names are missing.

    ## What it does

    Sources that do not exist from the working directory or the net's folder, databases and lists without items,
    databases and HDF5 files that cannot be opened, and names in lists for which there is no file.

    ## Why is this bad?

    Caffe stops: when it builds the net for a source, or in the middle of an epoch for an image.

    ## When it is reported

    Never: Caffe stops.

    ## Example

    There is no fix: a name in the list may be wrong, or a file lost.

    ## References

    data_layer.cpp, image_data_layer.cpp, hdf5_data_layer.cpp, window_data_layer.cpp: DataLayerSetUp, load_batch.
    """
    report = data.report
    if report.error_kind in ("missing", "unreadable"):
        yield Hit(data.net.file, data.place, report.error, "Caffe stops when it builds the net.")
    elif report.items == 0 and report.complete and not report.faults:
        yield Hit(data.net.file, data.place, f"{data.name} has no items", "Caffe stops, or waits for ever.")
    yield from seen(data, "missing", "files are missing", "Caffe stops when it comes to the first of them.")


@rule("D102", "wrong-data-backend", subject="inputs", severity="error", fixes="safe")
def wrong_data_backend(data: LayerData) -> Iterator[Hit]:
    """`backend` names another kind of database than the one that is there.

    ## What it does

    LEVELDB, which is also what no `backend` means, for an LMDB, and the reverse.

    ## Why is this bad?

    Caffe stops when it builds the net; opening an LMDB as LevelDB may leave new files in its folder.

    ## When it is reported

    Never: Caffe stops.

    ## Fix

    The fix writes the backend that the source has. It is safe: the source would not open otherwise.

    ## References

    data_layer.cpp, DataLayer::DataLayer; util/db.cpp, GetDB. The default of DataParameter.backend is LEVELDB.
    """
    if data.source.field != "data_param" or data.report.error:
        return
    said, is_ = data.param["backend"], data.report.kind.upper()
    if said in ("LEVELDB", "LMDB") and said != is_:
        how = f"backend is {said}" if "backend" in data.param else f"no backend is written, which means {said}"
        patch = set_field(data.net.file.tree, data.param, "backend", is_, text=is_, beside=("source", "batch_size"))
        span = data.param.span("backend") if "backend" in data.param else data.place
        fix = patch.fix(data.net.file.path, f"write backend: {is_}")
        reason = "Caffe stops when it builds the net."
        article = "an" if is_ == "LMDB" else "a"
        yield Hit(data.net.file, span, f"{data.name} is {article} {is_}, but {how}", reason, fix=fix)


@rule("D104", "corrupt-data", subject="inputs", severity="error")
def corrupt_data(data: LayerData) -> Iterator[Hit]:
    """Items are broken: records that are no Datum, data of the wrong length, images that cannot be decoded.

    ## What it does

    Records and files that are empty, break off, or hold something else; Datums whose data are not channels x
    height x width; boxes outside of their image.

    ## Why is this bad?

    Caffe stops at most of them, in the middle of an epoch. An image that breaks off it reads, with the rest grey.

    ## When it is reported

    The images that break off are to be used as they are, the rest grey.

    ## Example

    There is no fix: the items have to be made anew, or taken out.

    ## References

    data_transformer.cpp, Transform; util/io.cpp, DecodeDatumToCVMat, ReadImageToCVMat.
    """
    stops = "Caffe stops when it comes to one, or reads beyond its end."
    yield from seen(data, "broken", "items are broken", stops)
    yield from seen(data, "empty", "items are empty", stops)
    yield from seen(data, "size", "items have data of another length than their shape", stops)
    yield from seen(data, "unreadable", "images cannot be decoded", stops)
    yield from seen(
        data, "truncated", "images break off", "Caffe trains on what there is; the rest is grey.", "warning"
    )
    yield from seen(
        data, "box", "boxes lie outside of their image or have no extent", "They are cut or make NaN.", "warning"
    )


@rule("D106", "malformed-list-file", subject="inputs", severity="error")
def malformed_list_file(data: LayerData) -> Iterator[Hit]:
    """Lines of a list or a window file are not as Caffe reads them.

    ## What it does

    Lines without a label, with a tab or several spaces before it, with several labels; paths with spaces (a
    warning: Caffe before 1.0 breaks them at the first); windows in the foreground with label 0; images of another
    size than the window file says.

    ## Why is this bad?

    What does not follow the last space is taken for the path, and Caffe stops when it looks for that file.

    ## When it is reported

    Never for a line without a label. Paths with spaces are fine in Caffe 1.0 and later.

    ## Example

    There is no fix: only you know the label.

    ## References

    image_data_layer.cpp, window_data_layer.cpp: DataLayerSetUp.
    """
    stops = "Caffe takes all before the last space for the path, and stops when it looks for that file."
    yield from seen(data, "line", "lines are not 'path label'", stops)
    yield from seen(
        data, "space", "paths hold spaces", "Caffe before 1.0 takes the first space for the end.", "warning"
    )
    yield from seen(data, "foreground", "windows in the foreground have label 0 or less", "Caffe stops.")
    if data.report.kind == "windows":
        yield from seen(data, "dims", "images have another size", "Windows are cut from the wrong place.", "warning")
