"""The examples on the pages of family G: found as they stand there, and fixed as the page says."""

from __future__ import annotations

import pytest
from harness import check_files, fix_files

from caffe_lint.pages import blocks, read_page
from caffe_lint.rule import RULES, all_rules

LABELS = """\
layer {
  name: "image"
  type: "ImageData"
  top: "image"
  top: "label"
  transform_param { crop_size: 10 mean_value: 127 }
  image_data_param { source: "list.txt" batch_size: 32 }
}
"""
SCORE = (
    'layer { name: "score" type: "InnerProduct" bottom: "image" top: "score" inner_product_param { num_output: 10 } }\n'
)
AUX = SCORE.replace('"score"', '"aux_score"')
CONV = """\
layer {
  name: "conv2"
  type: "Convolution"
  bottom: "image"
  top: "conv2"
  convolution_param { num_output: 64 kernel_size: 1 }
}
"""
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }\n'
FILLED = 'inner_product_param { num_output: 10 weight_filler { type: "xavier" }'

# The net that the example of each page is a part of: what stands before it, and behind it.
AROUND = {
    "G103": (LABELS + AUX + SCORE, ""),
    "G104": (LABELS + CONV + CONV.replace("conv2", "conv3"), SCORE.replace('"image"', '"join"') + LOSS),
    "G105": (LABELS + SCORE, ""),
}
SOLVER = 'net: "net.prototxt"\nweights: "first.caffemodel"\nmax_iter: 1000\n'


def files(code: str, section: str) -> dict[str, str]:
    """The files of a page's example, complete."""
    text = next(block for is_code, block in blocks(read_page(RULES[code].page).sections[section]) if is_code)
    if code in AROUND:
        return {"net.prototxt": AROUND[code][0] + text + AROUND[code][1]}
    net = LABELS + SCORE.replace("inner_product_param { num_output: 10", FILLED) + LOSS
    return {"solver.prototxt": SOLVER + text, "net.prototxt": net}


@pytest.mark.parametrize("code", [code for code in all_rules() if code[0] == "G"])
def test_the_example_is_found_and_fixed_as_the_page_says(code: str) -> None:
    settings = {"select": (code,), "caffe_version": "1.0"}
    before, after = files(code, "Example"), files(code, "Fix")
    assert [finding.code for finding in check_files(before, **settings)] == [code]
    assert fix_files(before, unsafe=True, **settings) == after
    assert check_files(after, **settings) == []


@pytest.mark.parametrize("code", [code for code in all_rules() if code[0] == "G"])
def test_a_page_names_its_options(code: str) -> None:
    text = read_page(RULES[code].page).sections.get("Options", "")
    assert all(f"`{name}`" in text for name in RULES[code].options)
