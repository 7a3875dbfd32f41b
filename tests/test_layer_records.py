"""The records of layer types: one for every type of the schema, each with a signal model or without one in so many words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from caffe_lint.layers.models import model_class
from caffe_lint.layers.models.data_models import DataSource, DummyData
from caffe_lint.layers.models.loss_models import Loss, Scores
from caffe_lint.layers.record import TYPES, find_type
from caffe_lint.moments.layer_type import UNMODELLED, LayerType
from caffe_lint.moments.signal_model import SignalModel
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.proto.v1_types import FORK_V1_TYPES, V1_TYPES

RECORDS = [kind for kinds in TYPES.values() for kind in kinds]


def test_the_schema_and_the_records_have_the_same_types() -> None:
    assert sorted(caffe_schema().layer_types or ()) == sorted(TYPES)


def test_every_name_that_an_older_format_has_for_a_type_leads_to_its_record() -> None:
    assert {*V1_TYPES.values(), *FORK_V1_TYPES.values()} - {"", *TYPES} == set()


@pytest.mark.parametrize(
    "name", sorted({kind.signal for kind in RECORDS if isinstance(kind.signal, str) and kind.signal})
)
def test_a_record_names_a_signal_model_that_is_there(name: str) -> None:
    assert issubclass(model_class(name), SignalModel)


MODELLED = [
    pytest.param(kind, model_class(name), id=f"{kind.name} as {name}")
    for kind in RECORDS
    for name in (
        [kind.signal] if isinstance(kind.signal, str) else ["data_models.DataSource"]
    )  # of Python without bottoms
    if name != UNMODELLED
]
# Layers whose Backward_cpu computes nothing, or zeros (hdf5_output_layer.cpp, silence_layer.cpp).
NO_GRADIENT = {"HDF5Output", "Silence"}


@pytest.mark.parametrize(("kind", "model"), MODELLED)
def test_a_signal_model_computes_tops_and_gradients(kind: LayerType, model: type[SignalModel]) -> None:
    assert model.forward is not SignalModel.forward
    if issubclass(model, Loss):
        assert model.value is not Loss.value
        assert model.score_gradient is not Loss.score_gradient
    elif kind.has_backward and kind.name not in NO_GRADIENT and not issubclass(model, (DataSource, DummyData)):
        assert model.backward is not SignalModel.backward


@pytest.mark.parametrize(("kind", "model"), [each for each in MODELLED if issubclass(each.values[1], Scores)])
def test_a_loss_over_classes_has_a_value_at_chance(kind: LayerType, model: type[Scores]) -> None:
    assert kind.chance is not None


def test_only_a_type_that_is_modelled_in_part_computes_its_model() -> None:
    assert {kind.name for kind in RECORDS if callable(kind.signal)} == {
        "BatchNorm", "CenterLoss", "LRN", "LSTM", "Python", "RNN", "SmoothL1Loss", "SmoothL1LossOHEM",
    }  # fmt: skip


def test_a_type_of_which_only_the_name_is_known_is_not_described() -> None:
    assert not TYPES["TripletLoss"][0].described
    assert find_type("TripletLoss", "happynear", 3) is None


def test_a_type_without_a_description_has_no_signal_model() -> None:
    assert [kind.name for kind in RECORDS if not kind.described and kind.signal != UNMODELLED] == []


def test_the_example_in_the_contributor_s_guide_is_in_the_tree() -> None:
    root = Path(__file__).parents[1]
    guide = (root / "docs" / "README.md").read_text()
    record, row = re.findall(r"^```(?:python)?\n(.*Mish.*)\n```$", guide, re.MULTILINE)
    assert record in (root / "lint" / "layers" / "activation.py").read_text().splitlines()
    assert row in (root / "proto" / "layer_types.tsv").read_text().splitlines()
