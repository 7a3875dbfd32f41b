"""The records of layer types: one for every type of the schema, each with a signal model or without one in so many words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from caffe_lint.layers.models import model_class
from caffe_lint.layers.record import TYPES, find_type
from caffe_lint.moments.layer_type import UNMODELLED
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


def test_only_a_type_that_is_modelled_in_part_computes_its_model() -> None:
    assert [kind.name for kind in RECORDS if callable(kind.signal)] == ["Python"]


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
