"""The coefficients of the verdict. Made by `python benchmarks/verdict.py --write`; not by hand."""

DIVERGES: dict[str, float] = {
    "sharpness": 0.5993,
    "gradient_growth": 0.2278,
    "loss_growth": 1.4287,
    "": -6.3168,
}
STALLS: dict[str, float] = {
    "progress": -1.7287,
    "excess_loss": -0.8288,
    "peak_loss_growth": 1.1554,
    "": -1.9511,
}
