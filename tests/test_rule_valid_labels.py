"""G110: losses that divide by no valid label, in Caffes that do not guard it."""

from __future__ import annotations

import pytest
from harness import check, fix

NET = """\
layer {{
  name: "data"
  type: "DummyData"
  top: "data"
  top: "label"
  dummy_data_param {{ shape {{ dim: {items} dim: 3 }} shape {{ dim: {items} }} }}
}}
layer {{ name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param {{ num_output: 5 }} }}
layer {{
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "fc"
  bottom: "label"
  top: "loss"
  loss_param {{ {param} }}
}}
"""


def net(param: str = "ignore_label: 255", items: int = 4) -> str:
    return NET.format(param=param, items=items)


@pytest.mark.parametrize("version", ["rc1", "rc2", "1.0-rc2", "0.9"])
def test_few_labels_that_may_all_be_ignored_are_found_in_an_older_caffe(version: str) -> None:
    (finding,) = check(net(), select=("G110",), caffe_version=version)
    assert (finding.place.line, finding.severity) == (15, "advice")
    assert "all 4 labels" in finding.message


@pytest.mark.parametrize("version", ["rc3", "rc5", "1.0-rc3", "1.0", "2.1", "1.1-rc1", None])
def test_a_caffe_that_guards_it_or_is_not_known_is_clean(version: str | None) -> None:
    assert check(net(), select=("G110",), caffe_version=version) == []


@pytest.mark.parametrize(
    "text",
    [
        net("normalize: true"),
        net("ignore_label: 255 normalize: false"),
        net("ignore_label: 255 normalization: FULL"),
        net(items=64),
        net().replace('"SoftmaxWithLoss"', '"HingeLoss"'),
    ],
)
def test_a_division_by_something_else_or_by_many_labels_is_clean(text: str) -> None:
    assert check(text, select=("G110",), caffe_version="rc2") == []


def test_the_fix_divides_by_items() -> None:
    fixed = fix(net(), unsafe=True, select=("G110",), caffe_version="rc2")
    assert fixed == net("ignore_label: 255 normalize: false")
