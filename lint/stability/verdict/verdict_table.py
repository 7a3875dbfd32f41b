"""The coefficients of the verdict. Made by `python benchmarks/verdict.py --write`; not by hand."""

EXPLODES: dict[str, float] = {
    "sharpness": 0.5993,
    "gradients_grow": 0.2278,
    "ends_higher": 1.4287,
    "": -6.3168,
}
STALLS: dict[str, float] = {
    "learning": -1.7287,
    "easy": -0.8288,
    "rises": 1.1554,
    "": -1.9511,
}
