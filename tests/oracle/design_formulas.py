"""Data and formulas that are compared with R and patsy, made with the standard library alone."""

from __future__ import annotations

import csv
import hashlib
import math
import random
from pathlib import Path
from typing import Any

SEED = 20260311
ROWS = 36

IN_R = {
    "y ~ x": "y ~ x",
    "y ~ 0 + x": "y ~ 0 + x",
    "y ~ x * z": "y ~ x * z",
    "y ~ k": "y ~ k",
    "y ~ 0 + k + x": "y ~ 0 + k + x",
    "y ~ k * x": "y ~ k * x",
    "y ~ k:x": "y ~ k:x",
    "y ~ k / x": "y ~ k / x",
    "y ~ (x + z + k)^2": "y ~ (x + z + k)^2",
    "y ~ (x + z + k)^2 - x:z": "y ~ (x + z + k)^2 - x:z",
    "y ~ k * l": "y ~ k * l",
    "y ~ 0 + k:l": "y ~ 0 + k:l",
    "y ~ x - 1 + I(x^2)": "y ~ x - 1 + I(x^2)",
    "y ~ poly(x, 3)": "y ~ poly(x, 3)",
    "y ~ poly(x, 2) * k": "y ~ poly(x, 2) * k",
    "y ~ bs(x, df=5)": "y ~ bs(x, df = 5)",
    "y ~ bs(x, df=6, degree=2)": "y ~ bs(x, df = 6, degree = 2)",
    "y ~ scale(x) + center(z) + log(z)": "y ~ scale(x) + scale(z, scale = FALSE) + log(z)",
    "y ~ C(k, contr.sum) + x": "y ~ C(k, contr.sum) + x",
    "y ~ within(x, g) + between(x, g)": "y ~ I(x - ave(x, g)) + I(ave(x, g) - mean(x))",
    "y ~ group_mean(x, g) * l": "y ~ I(ave(x, g)) * l",
    "y ~ (1 | g)": "y ~ (1 | g)",
    "y ~ x + (x | g)": "y ~ x + (x | g)",
    "y ~ (0 + x | g)": "y ~ (0 + x | g)",
    "y ~ (x - 1 | g)": "y ~ (x - 1 | g)",
    "y ~ (1 | g/h)": "y ~ (1 | g/h)",
    "y ~ (x | g:h)": "y ~ (x | g:h)",
    "y ~ (1 + k | g)": "y ~ (1 + k | g)",
    "y ~ (0 + k | g)": "y ~ (0 + k | g)",
    "y ~ k * x + (1 + x * z | h) + (1 | g)": "y ~ k * x + (1 + x * z | h) + (1 | g)",
    "y ~ (1 | g) + (0 + x | g) + (1 | h)": "y ~ (1 | g) + (0 + x | g) + (1 | h)",
    "y ~ (1 | g:h:l)": "y ~ (1 | g:h:l)",
    "y ~ (poly(x, 2) | g)": "y ~ (poly(x, 2) | g)",
}
"""Formulas as they are written here, and as R wants them."""

IN_PATSY = ("cr(x, df=4)", "cc(x, df=4)", "bs(x, df=5)", "k * x", "C(k, Sum) + x")
"""Right-hand sides for patsy, which has the natural cubic splines that R's packages build in another basis."""

AS_OURS = {"C(k, Sum) + x": "C(k, contr.sum) + x"}


def columns() -> dict[str, list[Any]]:
    """Return the data: numbers x, z > 0 and y; factors k, l, g, h, not balanced."""
    source = random.Random(SEED)
    return {
        "y": [round(source.gauss(0.0, 1.0), 3) for _ in range(ROWS)],
        "x": [round(source.gauss(3.0, 2.0), 3) for _ in range(ROWS)],
        "z": [round(source.uniform(0.5, 4.0), 3) for _ in range(ROWS)],
        "k": [source.choice("pqr") for _ in range(ROWS)],
        "l": [source.choice("uv") for _ in range(ROWS)],
        "g": [source.choice("ABCD") for _ in range(ROWS)],
        "h": [f"s{source.randint(1, 3)}" for _ in range(ROWS)],
    }


def response_columns() -> dict[str, list[Any]]:
    """Return data with what may stand beside a response: weights, kinds of censoring, trials."""
    source = random.Random(SEED + 1)
    x = [round(source.gauss(0.0, 1.0), 3) for _ in range(60)]
    z = [round(source.uniform(-1.0, 1.0), 3) for _ in x]
    y = [round(1.0 + 0.7 * a + source.gauss(0.0, 0.8) * math.exp(0.5 * b), 3) for a, b in zip(x, z, strict=True)]
    trials = [source.randint(1, 12) for _ in x]
    chances = [1.0 / (1.0 + math.exp(0.3 - 0.8 * a)) for a in x]
    return {
        "y": y,
        "x": x,
        "z": z,
        "w": [source.randint(1, 3) for _ in x],
        "kind": [source.choice(["none", "none", "left", "right", "interval"]) for _ in x],
        "upper": [round(value + source.uniform(0.2, 1.0), 3) for value in y],
        "trials": trials,
        "successes": [sum(source.random() < p for _ in range(n)) for n, p in zip(trials, chances, strict=True)],
    }


def category_columns() -> dict[str, list[Any]]:
    """Return data with categories: a rating of four steps, a means of travel of three, weights and predictors."""
    source = random.Random(SEED + 2)
    x = [round(source.gauss(0.0, 1.0), 3) for _ in range(240)]
    z = [round(source.uniform(-1.0, 1.0), 3) for _ in x]
    k = [source.choice("pqr") for _ in x]
    noise = [math.log(u / (1.0 - u)) for u in (source.random() for _ in x)]
    latent = [0.9 * a - 0.7 * b + (0.5 if c == "r" else 0.0) + e for a, b, c, e in zip(x, z, k, noise, strict=True)]
    return {
        "rating": [1 + sum(value > threshold for threshold in (-1.0, 0.4, 1.8)) for value in latent],
        "travel": [
            max(utility, key=utility.__getitem__)
            for a in x
            for utility in [
                {"bus": _gumbel(source), "car": 0.6 * a + _gumbel(source), "on foot": _gumbel(source) - 0.4}
            ]
        ],
        "x": x,
        "z": z,
        "k": k,
        "w": [source.randint(1, 3) for _ in x],
    }


def clinic_columns() -> dict[str, list[Any]]:
    """Return patients in 40 clinics of 4 to 12: a yes or no, a count over an exposure, a predictor."""
    source = random.Random(SEED + 3)
    clinic = [f"c{i:02}" for i in range(40) for _ in range(4 + i % 9)]
    effects = {name: source.gauss(0.0, 0.9) for name in dict.fromkeys(clinic)}
    x = [round(source.gauss(0.5, 1.0), 3) for _ in clinic]
    exposure = [round(source.uniform(0.5, 6.0), 2) for _ in clinic]
    eta = [0.6 * a + effects[name] for a, name in zip(x, clinic, strict=True)]
    return {
        "yes": [int(source.random() < 1.0 / (1.0 + math.exp(-e))) for e in eta],
        "count": [_poisson(source, t * math.exp(e - 0.5)) for e, t in zip(eta, exposure, strict=True)],
        "exposure": exposure,
        "x": x,
        "clinic": clinic,
    }


def penalty_columns() -> dict[str, list[Any]]:
    """Return 8 groups of 8 rows: a normal response, a yes or no and a count, of one linear predictor."""
    source = random.Random(SEED + 4)
    g = [name for name in "abcdefgh" for _ in range(8)]
    effects = {name: source.gauss(0.0, 0.7) for name in "abcdefgh"}
    x = [round(source.gauss(0.0, 1.0), 3) for _ in g]
    eta = [0.5 + 0.6 * a + effects[name] for a, name in zip(x, g, strict=True)]
    return {
        "y": [round(e + source.gauss(0.0, 1.0), 3) for e in eta],
        "yes": [int(source.random() < 1.0 / (1.0 + math.exp(-e))) for e in eta],
        "count": [_poisson(source, math.exp(e)) for e in eta],
        "x": x,
        "g": g,
    }


DRAWS_OF = {"x_alone": "x", "z_alone": "z", "both": "xz", "both_and_groups": "xzg"}
"""Four models of `scored_columns`, and what their draws vary."""


def scored_columns() -> dict[str, list[Any]]:
    """Return 60 rows in 6 groups, of which a few lie far from any line."""
    source = random.Random(SEED + 5)
    g = [name for name in "pqrstu" for _ in range(10)]
    x, z = ([round(source.gauss(0.0, 1.0), 3) for _ in g] for _ in "xz")
    y = [
        1.0 + 0.5 * a + 0.4 * b + source.gauss(0.0, 0.9) + (3.0 if i % 20 == 7 else 0.0)
        for i, (a, b) in enumerate(zip(x, z, strict=True))
    ]
    return {"y": [round(value, 3) for value in y], "x": x, "z": z, "g": g}


def scored_draws() -> dict[str, list[Any]]:
    """Return 900 independent draws of each model of `DRAWS_OF`, 3 sqrt(900) of them a whole number of tail draws.

    Effects are multiples of 1/1024, which single precision holds exactly.
    """
    source = random.Random(SEED + 6)
    rows: list[dict[str, Any]] = []
    for model, varied in DRAWS_OF.items():
        for _ in range(900):
            row: dict[str, Any] = {"model": model, "intercept": source.gauss(1.1, 0.18)}
            row |= {name: source.gauss(0.5, 0.16) if name in varied else 0.0 for name in "xz"}
            row["sigma"] = math.exp(source.gauss(0.1, 0.12))
            effects = {name: source.gauss(0.0, 0.3) if "g" in varied else 0.0 for name in "pqrstu"}
            rows.append(row | {name: round(value * 1024) / 1024 for name, value in effects.items()})
    return {
        name: [round(row[name], 6) if name in {"intercept", "x", "z", "sigma"} else row[name] for row in rows]
        for name in rows[0]
    }


def _poisson(source: random.Random, mean: float) -> int:
    count, product = 0, source.random()
    while product > math.exp(-mean):
        count, product = count + 1, product * source.random()
    return count


def _gumbel(source: random.Random) -> float:
    return -math.log(-math.log(source.random()))


def write(path: Path, data: dict[str, list[Any]] | None = None) -> str:
    """Write data, those of `columns` if left out, as CSV; return its sha256."""
    data = columns() if data is None else data
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(data)
        writer.writerows(zip(*data.values(), strict=True))
    return hashlib.sha256(path.read_bytes()).hexdigest()
