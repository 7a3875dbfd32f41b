"""Values of the data: NaN, infinity and outliers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...rule.finding import Hit
from ...rule.registry import Option, rule
from .faulty_items import seen

if TYPE_CHECKING:
    from ...data.judging import LayerData


@rule("D103", "non-finite-data", subject="inputs", severity="error")
def non_finite_data(data: LayerData) -> Iterator[Hit]:
    """Items hold NaN or infinity.

    ## What it does

    Values of HDF5 datasets, of float_data and of mean files that are not finite.

    ## Why is this bad?

    Out of a healthy training every weight becomes NaN in the iteration that meets the item, every time.

    ## When it is reported

    Never: every weight is NaN after the iteration that meets one.

    ## Example

    There is no fix: what makes the data has to be repaired.

    ## References

    Seen with the real Caffe: the run-up is healthy, the first bad line of the log is a data layer's top.
    """
    reason = "Every weight is NaN after the iteration that meets one."
    yield from seen(data, "nan", "items hold NaN", reason)
    yield from seen(data, "infinite", "items hold infinity", reason)


@rule(
    "D105",
    "data-outliers",
    subject="inputs",
    severity="warning",
    options={"factor": Option(1000.0, "how many times the greatest value of the item in the middle is too much")},
)
def data_outliers(data: LayerData, *, factor: float) -> Iterator[Hit]:
    """A few items have values out of all proportion to the others.

    ## What it does

    Items whose greatest magnitude is `factor` times that of the item in the middle, if they are at most one in
    a hundred.

    ## Why is this bad?

    One of them makes a gradient that throws the weights away, often in the same iteration of every epoch.

    ## When it is reported

    The values are right, and the loss bounds its gradient (a Huber loss, say) or the solver has clip_gradients.

    ## Example

    Or bound the values before the net learns from them. There is no fix: only you know what they ought to be.

    ## Options

    `factor`: 1000 by default.

    ## References

    The gradient of a layer's weights is proportional to its input.
    """
    for name, numbers in data.report.data.items():
        number = numbers.out_of_proportion(factor)
        if number and number * 100 <= sum(numbers.exponents.values()):
            worst = "; ".join(f"{where}: {size:.4g}" for size, where in numbers.largest[: min(3, number)])
            of = f" of '{name}'" if data.report.kind == "hdf5" else ""
            message = f"{data.name}: {number} items{of} have values over {factor:g} times those of the others: {worst}"
            yield Hit(data.net.file, data.place, message, "Their gradients are as many times as large.")
