"""What families of categories share: responses are 1 to K, log probabilities have shape (..., K)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MOST = 100
"""Most categories: each has a parameter, or several, of its own."""


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:  # noqa: ARG001 (one shape)
    """Say what values cannot be categories numbered from 1 without a gap."""
    for bad, words, hint in (
        (~np.isfinite(y), "has values that are not finite", ""),
        (y != np.floor(y), "has categories that are no whole numbers", "number the categories 1, 2, 3 and so on"),
        (y < 1, "has categories below 1", "number the categories from 1 (data.derive)"),
    ):
        if bad.any():
            row = int(np.argmax(bad))
            note = f"; {hint}" if hint else ""
            return f"{words} ({y[row]:g} in row {row + 1}, {int(bad.sum())} rows in all){note}"
    last = int(y.max())
    if last == 1:
        return "has one category only"
    found = np.unique(y)
    if last > max(MOST, len(found)):
        return f"goes up to {last}, which is more categories than the {MOST} that are allowed; is it a count?"
    if empty := sorted(set(range(1, last + 1)) - {int(k) for k in found}):
        shown = ", ".join(map(str, empty[:5])) + (" and more" if len(empty) > 5 else "")
        return f"has no row of category {shown} (of {last}); number the categories that occur without a gap"
    if last == 2:
        return "has only two categories; use the family bernoulli"
    return None


def pick(log_probabilities: Array, y: Array) -> Array:
    """Return the log probability of each category observed; minus infinity for what is no category."""
    y = np.asarray(y, dtype=np.float64)
    size = log_probabilities.shape[-1]
    shape = np.broadcast_shapes(y.shape, log_probabilities.shape[:-1])
    valid = (y >= 1) & (y <= size) & (y == np.floor(y))
    index = np.broadcast_to(np.where(valid, y - 1, 0).astype(np.int64), shape)
    chosen = np.take_along_axis(np.broadcast_to(log_probabilities, (*shape, size)), index[..., None], axis=-1)[..., 0]
    return np.where(valid, chosen, -np.inf)


def draw(rng: np.random.Generator, probabilities: Array) -> Array:
    """Return one category for each set of probabilities."""
    below = np.cumsum(probabilities[..., :-1], axis=-1)
    return np.asarray(1.0 + (rng.random((*below.shape[:-1], 1)) > below).sum(axis=-1))


def moments(probabilities: Array) -> tuple[Array, Array]:
    """Return mean and variance of the number of the category."""
    numbers = np.arange(1.0, probabilities.shape[-1] + 1)
    mean = probabilities @ numbers
    return np.asarray(mean), np.asarray((probabilities * np.square(numbers - mean[..., None])).sum(axis=-1))


def log_normalised(log_weights: Array) -> Array:
    """Return log probabilities from their logarithms up to a constant, along the last axis."""
    shifted = log_weights - log_weights.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
