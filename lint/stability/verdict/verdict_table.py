"""The coefficients of the verdict, and from where on it is certain. Made by `python benchmarks/verdict.py --write`."""

# The least probabilities from which at least 90 % of such statements are right, on families that the verdict was not
# fitted to.
CERTAIN: dict[str, float] = {
    "diverge": 0.72,
    "stall": 0.57,
}

DIVERGES: dict[str, float] = {
    "sharpness": 0.6488,
    "gradient_growth": 0.2497,
    "loss_growth": 1.3126,
    "": -6.5221,
}
STALLS: dict[str, float] = {
    "progress": -1.7640,
    "excess_loss": -0.7971,
    "peak_loss_growth": 1.2650,
    "": -1.8794,
}
