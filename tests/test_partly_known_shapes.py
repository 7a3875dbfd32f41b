"""A size that is known is checked even if the other sizes of its blob are not."""

from __future__ import annotations

import pytest
from harness import check

from caffe_lint.moments.shapes import counts_differ

IMAGES = 'layer { name: "data" type: "Data" top: "data" top: "label" data_param { source: "x" batch_size: 4 } %s }\n'
HDF5 = 'layer { name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "x.txt" batch_size: 100 } }\n'
CONV = 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 8 kernel_size: %s } }\n'
POOL = 'layer { name: "p" type: "Pooling" bottom: "data" top: "p" pooling_param { kernel_size: 9 stride: 4 } }\n'
SCORE = 'layer { name: "s" type: "InnerProduct" bottom: "data" top: "s" inner_product_param { num_output: %d } }\n'
LOSS = 'layer { name: "loss" type: "%s" bottom: "%s" bottom: "label" top: "loss" }\n'


def found(text: str, **shapes: tuple[int, ...]) -> list[tuple[str, str]]:
    findings = check(text, select=("E205", "E206", "E207"), input_shapes=shapes)
    return [(finding.code, finding.message) for finding in findings]


@pytest.mark.parametrize("layer", [CONV % 9, POOL])
@pytest.mark.parametrize("shape", [(0, 3, 2, 0), (0, 0, 0, 2), (0, 0, 2, 40)])
def test_a_window_that_does_not_fit_one_side_is_too_large_whatever_the_rest_is(layer: str, shape: tuple[int, ...]) -> None:
    ((code, message),) = found(HDF5 + layer, data=shape)
    assert code == "E207"
    assert "'data'" in message


def test_nothing_is_said_of_sides_that_are_unknown() -> None:
    assert found(IMAGES % "" + CONV % 9) == []
    assert found(HDF5 + CONV % 9) == []
    assert found(HDF5 + CONV % 9, data=(0, 3, 0, 0)) == []


def test_the_finding_names_the_kernel_and_the_shapes() -> None:
    ((_, message),) = found(HDF5 + CONV % 5, data=(0, 1, 1, 96))
    assert message.endswith("100 x 8 x -3 x 92; a kernel of 5 x 5 does not fit 'data' (100 x 1 x 1 x 96)")


def test_rows_of_hdf5_come_in_batches_of_batch_size() -> None:
    ((_, message),) = found(HDF5 + SCORE % 2 + LOSS % ("SoftmaxWithLoss", "s"), data=(0, 7), label=(0, 3))
    assert "(100 x 2)" in message
    assert "(100 x 3)" in message


def test_a_blob_is_too_large_by_the_sizes_that_are_known() -> None:
    images = IMAGES % "transform_param { crop_size: 60000 }"
    ((code, message),) = found(images)
    assert code == "E207"
    assert "at least 14400000000 elements" in message


@pytest.mark.parametrize("loss", ["SigmoidCrossEntropyLoss", "EuclideanLoss"])
def test_targets_of_another_number_are_found_without_the_batch_size(loss: str) -> None:
    programs = 'layer { name: "data" type: "MemoryData" top: "data" top: "label" memory_data_param { channels: 3 height: 4 width: 4 } }\n'
    both = found(programs + SCORE % 8 + LOSS % (loss, "s"))
    assert [code for code, _ in both] == ["E205"]
    assert found(programs + SCORE % 1 + LOSS % (loss, "s")) == []


def test_labels_of_a_score_map_are_found_without_the_batch_size() -> None:
    programs = 'layer { name: "data" type: "MemoryData" top: "data" top: "label" memory_data_param { channels: 3 height: 4 width: 4 } }\n'
    assert [code for code, _ in found(programs + CONV % 1 + LOSS % ("SoftmaxWithLoss", "c"))] == ["E205"]
    assert found(programs + CONV % 4 + LOSS % ("SoftmaxWithLoss", "c")) == []


def test_a_reshape_of_another_number_is_found_without_the_batch_size() -> None:
    reshape = 'layer { name: "r" type: "Reshape" bottom: "s" top: "r" reshape_param { shape { dim: 0 dim: %d } } }\n'
    unknown = 'layer { name: "data" type: "MemoryData" top: "data" top: "label" memory_data_param { channels: 3 height: 4 width: 4 } }\n'
    assert [code for code, _ in found(unknown + SCORE % 8 + reshape % 9)] == ["E205"]
    assert found(unknown + SCORE % 8 + reshape % 8) == []


@pytest.mark.parametrize(
    ("a", "b", "surely"),
    [
        ((2, 3), (6,), False),
        ((2, 3), (7,), True),
        ((None, 4), (8,), False),
        ((None, 4), (6,), True),
        ((None, 4), (2,), True),
        ((None,), (None, 2), False),
        (None, (2,), False),
        ((None, 0), (2,), True),
        ((None, 2), (0,), False),
    ],
)
def test_numbers_of_elements_differ_only_if_no_unknown_size_can_make_them_equal(
    a: tuple[int | None, ...] | None, b: tuple[int | None, ...] | None, surely: bool
) -> None:
    assert counts_differ(a, b) is surely
    assert counts_differ(b, a) is surely
