"""The coefficients of the verdict. Made by `python benchmarks/verdict.py --write`; not by hand."""

EXPLODES: dict[str, float] = {
    "gradients_grow": 0.1831,
    "ends_higher": 1.0997,
    "update": 0.2381,
    "sharpness": 0.5188,
    "clips": -0.3655,
    "adaptive": -1.3063,
    "scores": -0.3317,
    "": -4.6905,
}
STALLS: dict[str, float] = {
    "progress": -0.1637,
    "learning": -0.7937,
    "gradient": -0.4362,
    "rises_but_holds": 0.8019,
    "": -0.8148,
}
