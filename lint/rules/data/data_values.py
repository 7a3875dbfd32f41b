"""Values of the data: NaN, infinity and outliers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...rule.finding import Hit
from ...rule.registry import Option, rule
from ...source.wording import counted
from .faulty_items import faulty_items

if TYPE_CHECKING:
    from ...data.judging import LayerData


@rule("D103", "non-finite-data", subject="inputs", severity="error")
def non_finite_data(data: LayerData) -> Iterator[Hit]:
    """Flags items that contain NaN or infinity.

    ## What it does

    Flags values of HDF5 datasets and of `float_data` that are not finite. D111 reports mean files that contain such values.

    ## Why is this bad?

    In the iteration that reads such an item, every weight becomes NaN, however well the training went until then. The same
    happens in every run.

    ## When it is reported

    Reported as an **error** by `caffe-lint inputs`. There is no fix: repair the program that creates the data.

    ## References

    Verified with the real Caffe: the log is healthy at first, and its first bad line is the top of a data layer.
    """
    reason = "In the iteration that reads such an item, every weight becomes NaN."
    yield from faulty_items(data, "nan", "item", "contains NaN", "contain NaN", reason)
    yield from faulty_items(data, "infinite", "item", "contains infinity", "contain infinity", reason)


@rule(
    "D105",
    "data-outliers",
    subject="inputs",
    severity="warning",
    options={"factor": Option(1000.0, "how many times the largest value of the median item is an outlier", least=1)},
)
def data_outliers(data: LayerData, *, factor: float) -> Iterator[Hit]:
    """Flags a few items with values much larger than those of the other items.

    ## What it does

    Flags items whose largest magnitude is at least `factor` times that of the median item, if they are at most 1 % of all
    items.

    ## Why is this bad?

    The gradient of the weights is proportional to the input, so one such item can produce a gradient that wrecks the
    weights, often in the same iteration of every epoch.

    ## When it is reported

    Reported as a **warning** by `caffe-lint inputs`. There is no fix, because only you know the right values: correct them,
    or limit them before the net reads them.

    Ignore it if the values are right, and the solver sets `clip_gradients` or the loss limits its gradient, as a Huber loss
    does.

    ## Options

    `factor`: how many times the largest value of the median item is an outlier, 1000 by default.

    ## References

    `InnerProductLayer::Backward_cpu` in inner_product_layer.cpp.
    """
    for name, numbers in data.report.data.items():
        number = numbers.out_of_proportion(factor)
        if number and number * 100 <= sum(numbers.exponents.values()):
            largest = "; ".join(f"{where}: {size:.4g}" for size, where in numbers.largest[: min(3, number)])
            dataset = f" of dataset '{name}'" if data.report.kind == "hdf5" else ""
            has = "has a value" if number == 1 else "have values"
            message = (
                f"{data.name}: {counted(number, 'item')}{dataset} {has} over {factor:g} times the median: {largest}"
            )
            reason = f"The gradients of such items can be over {factor:g} times as large as those of the others."
            yield Hit(data.net.file, data.place, message, reason)
