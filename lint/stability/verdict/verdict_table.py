"""The coefficients of the verdict, and from where on it is certain. Made by `python benchmarks/verdict.py --write`."""

# The least probabilities from which at least 90 % of such statements are right, on families that the verdict was not
# fitted to.
CERTAIN: dict[str, float] = {
    "diverge": 0.72,
    "stall": 0.57,
}

DIVERGES: dict[str, float] = {
    "sharpness": 0.6525,
    "gradient_growth": 0.2431,
    "loss_growth": 1.3416,
    "": -6.4954,
}
STALLS: dict[str, float] = {
    "progress": -1.7753,
    "excess_loss": -0.7963,
    "peak_loss_growth": 1.2503,
    "": -1.8656,
}
