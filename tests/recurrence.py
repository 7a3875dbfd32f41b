"""LSTM and RNN in NumPy, forward and backward through time, as lstm_layer.cpp, lstm_unit_layer.cpp and rnn_layer.cpp say."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def lstm(x: Array, still: Array, weights: dict[str, Array], d: Array) -> tuple[Array, dict[str, Array]]:
    """The top, and the gradients of x, the static input and the weights, for a gradient of the top."""
    steps, streams, _ = x.shape
    width = weights["hidden"].shape[1]
    h = c = np.zeros((streams, width))
    kept = []
    for t in range(steps):
        read = x[t] @ weights["input"].T + weights["bias"] + still @ weights["static"].T + h @ weights["hidden"].T
        i, f, o = (sigmoid(read[:, k * width : (k + 1) * width]) for k in range(3))
        g = np.tanh(read[:, 3 * width :])
        before, old = c, h
        c = f * c + i * g
        h = o * np.tanh(c)
        kept.append((i, f, o, g, before, old, c, h))
    found = {name: np.zeros_like(array) for name, array in weights.items()} | {"x": np.zeros_like(x), "still": 0 * still}
    dh, dc = np.zeros((2, streams, width))
    for t in reversed(range(steps)):
        i, f, o, g, before, old, c, _ = kept[t]
        dh = dh + d[t]
        shown = np.tanh(c)
        dc = dc + dh * o * (1 - shown**2)
        gates = dc * g * i * (1 - i), dc * before * f * (1 - f), dh * shown * o * (1 - o), dc * i * (1 - g**2)
        _add(found, np.concatenate(gates, 1), x[t], still, old, weights, t)
        dh, dc = np.concatenate(gates, 1) @ weights["hidden"], dc * f
    return np.stack([each[-1] for each in kept]), found


def rnn(x: Array, still: Array, weights: dict[str, Array], d: Array) -> tuple[Array, dict[str, Array]]:
    """The same for an RNN."""
    steps, streams, _ = x.shape
    h = np.zeros((streams, weights["hidden"].shape[1]))
    kept = []
    for t in range(steps):
        old = h
        h = np.tanh(
            x[t] @ weights["input"].T + weights["bias"] + still @ weights["static"].T + h @ weights["hidden"].T
        )
        kept.append((old, h, np.tanh(h @ weights["output"].T + weights["output bias"])))
    found = {name: np.zeros_like(array) for name, array in weights.items()} | {"x": np.zeros_like(x), "still": 0 * still}
    dh = np.zeros_like(h)
    for t in reversed(range(steps)):
        old, h, o = kept[t]
        shown = d[t] * (1 - o**2)
        found["output"] += shown.T @ h
        found["output bias"] += shown.sum(0)
        gate = (dh + shown @ weights["output"]) * (1 - h**2)
        _add(found, gate, x[t], still, old, weights, t)
        dh = gate @ weights["hidden"]
    return np.stack([each[-1] for each in kept]), found


def _add(
    found: dict[str, Array], gates: Array, x: Array, still: Array, old: Array, weights: dict[str, Array], t: int
) -> None:
    found["input"] += gates.T @ x
    found["bias"] += gates.sum(0)
    found["static"] += gates.T @ still
    found["hidden"] += gates.T @ old
    found["x"][t] = gates @ weights["input"]
    found["still"] += gates @ weights["static"]
