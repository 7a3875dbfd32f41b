"""The coefficients of the verdict. Made by `python benchmarks/verdict.py --write`; not by hand."""

EXPLODES: dict[str, float] = {
    "sharpness": 0.5981,
    "gradients_grow": 0.2275,
    "ends_higher": 1.4353,
    "": -6.3218,
}
STALLS: dict[str, float] = {
    "learning": -1.7287,
    "easy": -0.8288,
    "rises": 1.1554,
    "": -1.9511,
}
