"""The coefficients of the verdict, and from where on it is certain. Made by `python benchmarks/verdict.py --write`."""

# The least probabilities from which at least 90 % of such statements are right, on families that the verdict was not
# fitted to.
CERTAIN: dict[str, float] = {
    "diverge": 0.72,
    "stall": 0.57,
}

DIVERGES: dict[str, float] = {
    "sharpness": 0.6502,
    "gradient_growth": 0.2500,
    "loss_growth": 1.3166,
    "": -6.5425,
}
STALLS: dict[str, float] = {
    "progress": -1.7693,
    "excess_loss": -0.8004,
    "peak_loss_growth": 1.2586,
    "": -1.8701,
}
