"""The coefficients of the verdict, and from where on it is certain. Made by `python benchmarks/verdict.py --write`."""

# The least probabilities from which at least 90 % of such statements are right, on families that the verdict was not
# fitted to.
CERTAIN: dict[str, float] = {
    "diverge": 0.71,
    "stall": 0.53,
}

DIVERGES: dict[str, float] = {
    "sharpness": 0.6476,
    "gradient_growth": 0.2749,
    "loss_growth": 1.1262,
    "": -6.4460,
}
STALLS: dict[str, float] = {
    "progress": -1.3367,
    "excess_loss": -0.6301,
    "peak_loss_growth": 0.8250,
    "": -1.4832,
}
