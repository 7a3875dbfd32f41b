"""The coefficients of the verdict. Made by `python benchmarks/verdict.py --write`; not by hand."""

EXPLODES: dict[str, float] = {
    "gradients_grow": 0.1321,
    "ends_higher": 1.1906,
    "update": 0.3317,
    "sharpness": 0.5779,
    "clips": -0.5993,
    "adaptive": -1.2225,
    "scores": -0.3345,
    "": -4.7320,
}
STALLS: dict[str, float] = {
    "progress": -0.1573,
    "learning": -0.8311,
    "gradient": -0.4214,
    "rises_but_holds": 0.9389,
    "": -0.8880,
}
