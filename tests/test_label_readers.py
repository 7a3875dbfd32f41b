"""Labels and their readers, as far as the files tell: N212 to N216, N603, N604, and score maps against one label per item (E205),
and lists beside the net (D123)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from harness import check, fix
from nets import net_of

from caffe_lint.moments.blob_facts import BlobFacts
from caffe_lint.net import score_maps
from caffe_lint.net.build import rebuilt
from caffe_lint.net.data_facts import SourceFacts
from caffe_lint.net.label_sources import ARRAY, COMPUTED, FILLER, PER_ITEM, PIXELS, PROGRAM, label_sources
from caffe_lint.net.score_maps import is_score_map


def data(top: str, transform: str = "", kind: str = "Data", param: str = "data_param", more: str = "") -> str:
    inside = f"transform_param {{ {transform} }}" if transform else ""
    return f'layer {{ name: "{top}" type: "{kind}" top: "{top}" {more} {inside} {param} {{ source: "{top}_db" batch_size: 4 }} }}\n'


def layer(kind: str, bottoms: str, top: str, more: str = "", name: str = "") -> str:
    read = " ".join(f'bottom: "{bottom}"' for bottom in bottoms.split())
    return f'layer {{ name: "{name or top}" type: "{kind}" {read} top: "{top}" {more} }}\n'


def conv(number: int, bottom: str = "data", top: str = "score", more: str = "kernel_size: 3 pad: 1") -> str:
    return layer("Convolution", bottom, top, f"convolution_param {{ num_output: {number} {more} }}")


def full(number: int, bottom: str = "data", top: str = "score") -> str:
    return layer("InnerProduct", bottom, top, f"inner_product_param {{ num_output: {number} }}")


def loss(more: str = "", labels: str = "label", scores: str = "score", kind: str = "SoftmaxWithLoss", top: str = "loss") -> str:
    return layer(kind, f"{scores} {labels}", top, more)


SEGMENTATION = data("data") + data("label") + conv(6)
IGNORING = "loss_param { ignore_label: %d }"


def said(text: str, code: str, facts: Mapping[str, SourceFacts] | None = None) -> list[tuple[str, str]]:
    return [(finding.severity, finding.message) for finding in check(text, select=(code,), facts=dict(facts or {}))]


# -- where labels come from ------------------------------------------------------------------------------------


def sources(text: str, blob: str) -> list[tuple[str, str, bool, float, float | None]]:
    found = net_of(text).blob(blob)
    assert found is not None
    return [(one.top.name, one.kind, one.whole, one.scale, one.shift) for one in label_sources(found)]


def test_the_kinds_of_sources() -> None:
    text = data("data", more='top: "label"') + data("h", kind="HDF5Data", param="hdf5_data_param") + full(3)
    text += 'layer { name: "i" type: "Input" top: "i" input_param { shape { dim: 4 } } }\n'
    text += 'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 4 } } }\n'
    kinds = {"label": PER_ITEM, "data": PIXELS, "h": ARRAY, "i": PROGRAM, "d": FILLER, "score": COMPUTED}
    assert {top: kind for top in kinds for _, kind, _, _, _ in sources(text, top)} == kinds


def test_what_moves_values_is_passed_and_what_changes_them_is_recorded() -> None:
    text = data("data", "scale: 0.5 mean_value: 10") + layer("Flatten", "data", "flat")
    text += layer("Power", "flat", "less", "power_param { scale: 2 shift: -1 }")
    text += 'layer { name: "cut" type: "Slice" bottom: "less" top: "one" top: "two" }\n'
    text += layer("Concat", "one one", "both") + layer("Power", "less", "square", "power_param { power: 2 }")
    assert sources(text, "less") == [("data", PIXELS, True, 1.0, -11.0)]
    assert sources(text, "both") == [("data", PIXELS, False, 1.0, -11.0)]
    assert sources(text, "square") == [("square", COMPUTED, True, 1.0, 0.0)]
    assert sources(data("data", 'mean_file: "m"'), "data") == [("data", PIXELS, True, 1.0, None)]
    assert sources(data("data", "mean_value: 1 mean_value: 2"), "data") == [("data", PIXELS, True, 1.0, None)]


def test_a_ladder_of_joined_blobs_is_traced_in_bounded_work() -> None:
    text = data("b0") + "".join(layer("Concat", f"b{i} b{i}", f"b{i + 1}") for i in range(60))
    assert [one[:3] for one in sources(text, "b60")] == [("b0", PIXELS, True)]


# -- score maps ------------------------------------------------------------------------------------------------


UNPADDED = "kernel_size: 3"
POOL = layer("Pooling", "data", "pooled", "pooling_param { pool: MAX kernel_size: 2 stride: 2 }")
GLOBAL = layer("Pooling", "map", "score", "pooling_param { pool: AVE global_pooling: true }")


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (conv(6), True),
        (conv(6, more="kernel_size: 1"), True),
        (conv(6, top="map") + GLOBAL, False),
        (conv(6, more=UNPADDED), False),  # 1 x 1 for images of 3 x 3
        (POOL + conv(6, "pooled"), True),
        (full(6), False),
        (layer("Deconvolution", "data", "up", "convolution_param { num_output: 3 kernel_size: 4 stride: 4 }") + conv(6, "up"), True),
        (conv(6, top="small", more=UNPADDED) + layer("Crop", "data small", "cut") + conv(6, "cut"), False),
    ],
)
def test_score_maps_are_told_without_the_size_of_the_images(layers: str, expected: bool) -> None:
    net = net_of(data("data") + layers)
    scores = net.blob("score")
    assert scores is not None
    assert is_score_map(net, scores) is expected


@pytest.mark.parametrize("layers", [1, 40, 100])
def test_the_smallest_images_are_found_in_few_trials(layers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    monkeypatch.setattr(score_maps, "rebuilt", lambda net, shapes: built.append(shapes) or rebuilt(net, shapes))
    deep = "".join(conv(2, f"b{i}", f"b{i + 1}", UNPADDED) for i in range(layers))
    net = net_of(data("b0", more='top: "label"') + deep + loss(scores=f"b{layers}"))
    assert list(score_maps.one_label_for_a_map(net)) == []  # images of 2 * layers + 1 give a single position
    assert len(built) <= 13
    head = layer("InnerProduct", "data", "score", "inner_product_param { num_output: 2 }")
    assert list(score_maps.one_label_for_a_map(net_of(data("data", more='top: "label"') + head + loss()))) == []
    assert len(built) <= 13


@pytest.mark.parametrize("kind", ["SoftmaxWithLoss", "Accuracy", "EuclideanLoss", "SigmoidCrossEntropyLoss"])
@pytest.mark.parametrize("channels", [1, 6])
def test_a_map_does_not_go_with_one_label_per_item(kind: str, channels: int) -> None:
    items = data("data", more='top: "label"')
    (finding,) = check(items + conv(channels) + loss(kind=kind), select=("E205",))
    assert finding.severity == ("warning" if kind == "EuclideanLoss" else "error")
    assert [place.message for place in finding.related] == ["Data layer 'data' gives one label per item"]
    assert said(items + conv(6, top="map") + GLOBAL + loss(kind="SoftmaxWithLoss"), "E205") == []
    listed = items.replace('"Data"', '"ImageData"').replace("data_param", "image_data_param")
    assert [severity for severity, _ in said(listed + conv(channels) + loss(kind=kind), "E205")] == ["error"]
    assert said(SEGMENTATION + loss(kind=kind), "E205") == []
    assert said(items + layer("Python", "label", "map") + conv(channels) + loss(labels="map", kind=kind), "E205") == []


def test_a_map_of_unknown_size_is_named() -> None:
    text = data("data", more='top: "label"') + conv(1) + loss(kind="EuclideanLoss")
    assert said(text, "E205")[0][1] == "EuclideanLoss layer 'loss': 'score' is a map, but 'label' has one label per item"
    ((_, message),) = said(text.replace("EuclideanLoss", "SoftmaxWithLoss"), "E205")
    assert message == "SoftmaxWithLoss layer 'loss': 'score' is a score map, but 'label' has one label per item"


def test_the_layer_that_gives_one_label_per_item_is_named() -> None:
    text = data("data", more='top: "label"', kind="ImageData", param="image_data_param") + full(8) + loss(kind="EuclideanLoss")
    (finding,) = check(text, select=("E205",))
    assert [place.message for place in finding.related] == ["ImageData layer 'data' gives one label per item"]


@pytest.mark.parametrize(
    ("kind", "other", "severity"),
    [
        ("EuclideanLoss", layer("Landmarks", "score", "x"), "warning"),
        ("EuclideanLoss", "", "error"),
        ("EuclideanLoss", layer("Relu", "score", "x"), "error"),  # a misspelled type is no custom one
        ("EuclideanLoss", layer("Python", "score", "x"), "error"),
        ("SigmoidCrossEntropyLoss", layer("Landmarks", "score", "x"), "error"),
    ],
)
def test_a_caffe_with_custom_layers_may_read_several_targets_from_a_database(kind: str, other: str, severity: str) -> None:
    (finding,) = check(data("data", more='top: "label"') + full(8) + other + loss(kind=kind), select=("E205",))
    assert (finding.severity, finding.confidence) == (severity, "medium" if severity == "warning" else "high")
    assert ("its Caffe may read several from a database" in finding.reason) is (severity == "warning")


def test_a_caffe_with_custom_layers_reads_one_label_of_each_listed_image() -> None:
    listed = data("data", more='top: "label"', kind="ImageData", param="image_data_param")
    assert [severity for severity, _ in said(listed + full(8) + layer("Landmarks", "score", "x") + loss(kind="EuclideanLoss"), "E205")] == ["error"]


# -- N212 ------------------------------------------------------------------------------------------------------


def accuracy(more: str = "", labels: str = "label") -> str:
    return loss(more, labels, kind="Accuracy", top="accuracy")


@pytest.mark.parametrize(("ignored", "severity"), [(255, "warning"), (6, "warning"), (-1, "warning"), (0, "advice")])
def test_an_accuracy_that_counts_what_the_loss_ignores(ignored: int, severity: str) -> None:
    text = SEGMENTATION + loss(IGNORING % ignored) + accuracy()
    ((found, message),) = said(text, "N212")
    assert (found, message) == (severity, f"Accuracy layer 'accuracy' counts label {ignored}, which loss 'loss' ignores")
    fixed = fix(text, select=("N212",), unsafe=True)
    assert said(fixed, "N212") == []
    assert fix(text, select=("N212",)) == text


def test_an_accuracy_that_ignores_the_same_or_reads_other_labels() -> None:
    same = accuracy("accuracy_param { ignore_label: 255 }")
    assert said(SEGMENTATION + loss(IGNORING % 255) + same, "N212") == []
    assert said(SEGMENTATION + loss() + accuracy(), "N212") == []
    other = data("other") + accuracy(labels="other")
    assert said(SEGMENTATION + loss(IGNORING % 255) + other, "N212") == []
    moved = layer("Reshape", "label", "moved", "reshape_param { shape { dim: 0 dim: -1 } }")
    assert len(said(SEGMENTATION + moved + loss(IGNORING % 255) + accuracy(labels="moved"), "N212")) == 1
    only = accuracy("accuracy_param { ignore_label: 255 }")
    assert said(SEGMENTATION + loss() + only, "N212") == [
        ("warning", "SoftmaxWithLoss layer 'loss' reads label 255, which 'accuracy' ignores")
    ]
    assert said(SEGMENTATION + loss() + only.replace("255", "0"), "N212") == []
    assert said(SEGMENTATION + loss() + only.replace("255", "-1"), "N212") == []
    wrong = accuracy("accuracy_param { top_k: 1 ignore_label: 254 }")
    assert said(SEGMENTATION + loss(IGNORING % 255) + wrong, "N212")[0][1].endswith("ignores and ignores 254 instead")


# -- N213 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transform", "classes", "expected"),
    [
        ("scale: 0.00390625", 2, "error"),  # 255 / 256 is truncated to 0
        ("scale: 0.00392157", 2, ""),
        ("scale: 0.00392157", 6, "warning"),
        ("scale: 0.0625", 6, ""),  # 16 greys for a class
        ("mean_value: 1", 6, ""),
        ("mean_value: 104", 6, "warning"),
        ("mean_value: 104 mean_value: 117 mean_value: 123", 6, "warning"),
        ('mean_file: "m"', 6, "warning"),
        ("mirror: true", 6, ""),
        ("scale: 300", 6, "error"),
    ],
)
def test_transformed_labels(transform: str, classes: int, expected: str) -> None:
    text = data("data") + data("label", transform) + conv(classes) + loss()
    assert [severity for severity, _ in said(text, "N213")] == [expected] * bool(expected)


@pytest.mark.parametrize(
    ("transform", "place"),
    [
        ("mirror: true scale: 0.00390625", "0.00390625"),
        ("mean_value: 0 mirror: true scale: 0.00390625", "0.00390625"),
        ("scale: 1 mirror: true mean_value: 104", "104"),
        ('crop_size: 3 mean_file: "m"', '"m"'),
    ],
)
def test_the_setting_that_changes_labels_is_pointed_at(transform: str, place: str) -> None:
    text = data("data") + data("label", transform) + conv(6) + loss()
    (finding,) = check(text, select=("N213",))
    assert finding.line_text[finding.place.column - 1 : finding.place.end_column - 1] == place


def test_the_layer_that_changes_labels_is_named() -> None:
    power = layer("Power", "label", "less", "power_param { scale: 0.001 }")
    ((_, message),) = said(SEGMENTATION + power + loss(labels="less"), "N213")
    assert message == "class labels of 'loss' are multiplied by 0.001 by Power layer 'less'"


# -- N214 ------------------------------------------------------------------------------------------------------


def test_one_blob_as_class_and_as_target() -> None:
    both = data("data", more='top: "label"') + full(5) + full(1, top="size") + loss()
    ((severity, message),) = said(both + loss(scores="size", kind="EuclideanLoss", top="other"), "N214")
    assert severity == "warning"
    assert message == "EuclideanLoss layer 'other' reads 'label' as targets, 'loss' as class labels"
    sigmoid = loss(scores="size", kind="SigmoidCrossEntropyLoss", top="other")
    assert [severity for severity, _ in said(both + sigmoid, "N214")] == ["warning"]
    two = both.replace("num_output: 5", "num_output: 2")
    assert said(two + sigmoid, "N214") == []
    assert [severity for severity, _ in said(two + loss(scores="size", kind="EuclideanLoss", top="other"), "N214")] == ["advice"]
    halved = layer("Power", "label", "half", "power_param { scale: 0.1 }")
    assert said(both + halved + loss(scores="size", labels="half", kind="EuclideanLoss", top="other"), "N214") == []
    assert said(both + loss(scores="size", labels="size", kind="EuclideanLoss", top="other"), "N214") == []


# -- N215 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "label", "expected"),
    [
        ("mirror: true", "mirror: true", "warning"),
        ("mirror: true", "scale: 1", "warning"),
        ("scale: 1", "mirror: true", "warning"),
        ("scale: 1", "scale: 1", ""),
        ("crop_size: 64", "crop_size: 64", "advice"),
    ],
)
def test_images_and_label_maps_that_do_not_stay_aligned(image: str, label: str, expected: str) -> None:
    text = data("data", image) + data("label", label) + conv(6) + loss()
    assert [severity for severity, _ in said(text, "N215")] == [expected] * bool(expected)


@pytest.mark.parametrize(("side", "expected"), [(64, ""), (80, "warning")])
def test_a_crop_of_images_of_known_size(side: int, expected: str) -> None:
    facts = {f"{top}_db": SourceFacts("lmdb", 9, {"data": BlobFacts((1, side, side))}, None, {}) for top in ("data", "label")}
    text = data("data", "crop_size: 64") + data("label", "crop_size: 64") + conv(6) + loss()
    assert [severity for severity, _ in said(text, "N215", facts)] == [expected] * bool(expected)


def test_a_vector_of_labels_has_no_place_to_be_aligned_with() -> None:
    text = data("data", "mirror: true") + data("label") + full(6) + loss(kind="SigmoidCrossEntropyLoss")
    assert said(text, "N215") == []


def test_labels_of_the_same_layer_stay_aligned() -> None:
    text = data("data", "mirror: true") + 'layer { name: "s" type: "Slice" bottom: "data" top: "image" top: "label" }\n'
    assert said(text + conv(6, "image") + loss(), "N215") == []


# -- N216, N603, N604 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "more", "found"), [(5, "", 0), (6, "", 1), (-1, "", 1), (6, IGNORING % 6, 0), (6, IGNORING % 5, 1), ("inf", "", 1), ("nan", "", 1)])
def test_constant_labels(value: int | str, more: str, found: int) -> None:
    dummy = f"""\
layer {{
  name: "d" type: "DummyData" top: "data" top: "label"
  dummy_data_param {{
    shape {{ dim: 4 dim: 3 }} shape {{ dim: 4 }}
    data_filler {{ type: "gaussian" }} data_filler {{ type: "constant" value: {value} }}
  }}
}}
"""
    assert [severity for severity, _ in said(dummy + full(6) + loss(more), "N216")] == ["error"] * found


@pytest.mark.parametrize(("classes", "ignored", "found"), [(2, 0, 1), (2, 1, 1), (2, 2, 0), (2, 255, 0), (3, 0, 0)])
def test_a_loss_that_ignores_one_of_two_classes(classes: int, ignored: int, found: int) -> None:
    text = data("data") + data("label") + conv(classes) + loss(IGNORING % ignored)
    assert [severity for severity, _ in said(text, "N603")] == ["warning"] * found


@pytest.mark.parametrize(
    ("classes", "weights", "read", "expected"),
    [(3, 3, "true", ""), (3, 2, "true", "error"), (11, 2, "true", "error"), (3, 2, "false", "advice"), (3, 0, "true", "")],
)
def test_the_number_of_class_weights(classes: int, weights: int, read: str, expected: str) -> None:
    param = f"loss_param {{ weight_by_label_freqs: {read} ignore_label: {classes} {'class_weighting: 0.5 ' * weights}}}"
    text = data("data") + data("label") + conv(classes) + loss(param)
    assert [severity for severity, _ in said(text, "N604")] == [expected] * bool(expected)


def test_numbers_that_are_not_finite_stop_nothing() -> None:
    for number in ("inf", "nan", "-1e38", "1e38"):
        changes = f"scale: {number} mean_value: {number}"
        text = data("data", changes) + data("label", changes, more='top: "unused"') + conv(6) + loss()
        text += layer("Power", "unused", "power", f"power_param {{ scale: {number} shift: {number} }}") + loss(labels="power", top="more")
        facts = {"label_db": SourceFacts("lmdb", 9, {"data": BlobFacts((1, 2, 2), 0.0, 9.0)}, (0.0, 9.0), {})}
        check(text + loss(kind="SigmoidCrossEntropyLoss", top="other"), facts=facts)


# -- lists beside the net --------------------------------------------------------------------------------------

LISTED = data("data", more='top: "label"', kind="ImageData", param="image_data_param")


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data_db"


def test_labels_of_a_list_beside_the_net(listed: Path) -> None:
    text = LISTED + full(3) + loss() + accuracy()
    assert said(text, "D123") == []
    listed.write_text("a.png 1\nb c.png 2\n\nd.png 3\ne.png 3\nf.png cat\n")
    readers = "SoftmaxWithLoss 'loss' and Accuracy 'accuracy'"
    assert said(text, "D123") == [
        ("error", f"'data_db': 2 labels out of range for the 3 classes of {readers}: 3 (line 4); labels seem to count from 1")
    ]
    assert said(text, "D123", {"data_db": SourceFacts("images", 4, {}, (1.0, 3.0), {})}) == []
    shifted = LISTED + layer("Power", "label", "less", "power_param { shift: -1 }") + full(3) + loss(labels="less")
    assert said(shifted, "D123") == []
    listed.write_bytes(b"\0\1")
    assert said(text, "D123") == []


def test_a_list_tells_how_many_outputs_are_meant(listed: Path) -> None:
    text = LISTED + full(1) + loss()
    assert fix(text, select=("N601",), unsafe=True) == text
    listed.write_text("a.png 0\nb.png 6\n")
    assert fix(text, select=("N601",), unsafe=True) == text.replace("num_output: 1 ", "num_output: 7 ")
    assert said(text, "D123") == []
