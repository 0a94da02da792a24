"""A fit counts as converged only where every check is passed, and what cannot be computed is not passed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fixtures.small_data import dataset_of, design_of

from multilevel import convergence, mcmc
from multilevel.convergence import Quantity

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # ArviZ divides by the variance of a constant

THRESHOLDS = {
    "r_hat": 1.01, "r_hat_group_effects": 1.05, "r_hat_group_effects_share": 0.01, "ess_per_chain": 100.0, "e_bfmi": 0.3,
    "divergences": 0, "max_treedepth_share": 0.0,
}  # fmt: skip
CHAINS, DRAWS = 4, 250


def stats(**changes: Any) -> xr.Dataset:
    rng = np.random.default_rng(3)
    values = {
        "lp": rng.normal(size=(CHAINS, DRAWS)),
        "energy": rng.normal(size=(CHAINS, DRAWS)),
        "diverging": np.zeros((CHAINS, DRAWS), dtype=bool),
        "reached_max_treedepth": np.zeros((CHAINS, DRAWS), dtype=bool),
        **changes,
    }
    return xr.Dataset({name: (("chain", "draw"), value) for name, value in values.items()})


def summary(
    r_hat: float = 1.001, group: list[float] | None = None, bulk: float = 900.0, tail: float = 800.0
) -> pd.DataFrame:
    rows = [("sigma", "residual", 1.0, 950.0, 850.0), ("b(x)", "population", r_hat, bulk, tail)]
    rows += [(f"g[{i}: Intercept]", "group", value, 950.0, 850.0) for i, value in enumerate(group or [])]
    return pd.DataFrame(rows, columns=["parameter", "kind", "r_hat", "ess_bulk", "ess_tail"])


def failed(*arguments: Any) -> list[tuple[str, str]]:
    """Return the name and the place of every check that is not passed."""
    record = convergence.diagnose(*arguments, THRESHOLDS)
    assert record["passed"] is all(check["passed"] for check in record["checks"])
    assert record["failed"] == [check["label"] for check in record["checks"] if not check["passed"]]
    return [(check["name"], check["where"]) for check in record["checks"] if not check["passed"]]


def where(mask_of: tuple[int, int]) -> np.ndarray:
    mask = np.zeros((CHAINS, DRAWS), dtype=bool)
    mask[mask_of] = True
    return mask


@pytest.mark.parametrize(
    ("table", "changes", "expected"),
    [
        (summary(), {}, []),
        (summary(group=[1.0] * 10), {}, []),
        # R-hat must be below 1.01, not at it.
        (summary(r_hat=1.0099), {}, []),
        (summary(r_hat=1.01), {}, [("r_hat", "b(x)")]),
        (summary(r_hat=math.inf), {}, [("r_hat", "b(x)")]),
        (summary(r_hat=math.nan), {}, [("r_hat", "b(x)")]),
        # 100 for each chain.
        (summary(bulk=400.0, tail=400.0), {}, []),
        (summary(bulk=399.9), {}, [("ess_bulk", "b(x)")]),
        (summary(tail=399.9), {}, [("ess_tail", "b(x)")]),
        (summary(bulk=math.nan), {}, [("ess_bulk", "b(x)")]),
        (summary(tail=math.nan), {}, [("ess_tail", "b(x)")]),
        # Of many group effects a few may lie above 1.01, none above 1.05.
        (summary(group=[1.05] + [1.0] * 99), {}, []),
        (summary(group=[1.0501] + [1.0] * 99), {}, [("r_hat_group_effects", "g[0: Intercept]")]),
        (summary(group=[1.02, 1.02] + [1.0] * 98), {}, [("r_hat_group_effects_share", "")]),
        (summary(group=[1.0] * 199 + [math.nan]), {}, [("r_hat_group_effects", "g[199: Intercept]")]),
        (
            summary(group=[math.nan] * 50 + [1.0] * 50),
            {},
            [("r_hat_group_effects", "g[0: Intercept]"), ("r_hat_group_effects_share", "")],
        ),
        (summary(), {"diverging": where((1, 7))}, [("divergences", "")]),
        (summary(), {"reached_max_treedepth": where((0, 0))}, [("max_treedepth", "")]),
        (
            summary(),
            {"energy": np.vstack([stats()["energy"][:3], np.cumsum(stats()["energy"][3:], axis=1)])},
            [("e_bfmi", "chain 4")],
        ),
        (summary(), {"energy": np.where(where((2, 3)), np.nan, stats()["energy"])}, [("e_bfmi", "chain 3")]),
        (summary(), {"lp": stats()["lp"].to_numpy() + np.arange(4)[:, None]}, [("r_hat", "log posterior")]),
        (summary(), {"lp": np.zeros((4, 250))}, [("r_hat", "log posterior")]),
    ],
)
def test_each_check_fails_by_itself_and_names_the_place(
    table: pd.DataFrame, changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert failed(table, stats(**changes)) == expected


def test_the_record_has_every_value_with_its_threshold() -> None:
    record = convergence.diagnose(summary(group=[1.0]), stats(diverging=where((0, 1))), THRESHOLDS)
    assert (record["chains"], record["draws"], record["divergences"]) == (4, 250, 1)
    by_name = {check["name"]: check for check in record["checks"]}
    assert list(by_name) == [
        "r_hat", "r_hat_group_effects", "r_hat_group_effects_share", "ess_bulk", "ess_tail", "divergences", "e_bfmi",
        "max_treedepth",
    ]  # fmt: skip
    assert (by_name["divergences"]["value"], by_name["divergences"]["threshold"]) == (1, 0)
    assert (by_name["ess_bulk"]["value"], by_name["ess_bulk"]["threshold"], by_name["ess_bulk"]["rule"]) == (
        900.0,
        400.0,
        ">=",
    )


def test_a_model_without_group_effects_has_no_checks_of_them() -> None:
    names = [check["name"] for check in convergence.diagnose(summary(), stats(), THRESHOLDS)["checks"]]
    assert "r_hat_group_effects" not in names


# From draws.


def draws(kind: str) -> np.ndarray:
    rng = np.random.default_rng(5)
    independent = rng.normal(size=(CHAINS, DRAWS))
    match kind:
        case "constant":
            return np.full((CHAINS, DRAWS), 0.5)
        case "one chain stuck":
            independent[2] = 0.1
        case "chains apart":
            independent += np.arange(CHAINS)[:, None]
        case "chains of other width":
            independent *= np.array([1, 1, 1, 4])[:, None]
        case "random walk":
            return np.cumsum(independent, axis=1)
        case "missing":
            independent[0, 3] = np.nan
    return independent


def of(parameter: str, values: np.ndarray, kind: str = "population") -> Quantity:
    return Quantity(parameter, kind, "", "", "", values)


@pytest.mark.parametrize(
    ("kind", "fails"),
    [
        ("sound", []),
        ("constant", ["r_hat"]),
        ("one chain stuck", ["r_hat"]),
        ("chains apart", ["r_hat", "ess_bulk", "ess_tail"]),
        ("chains of other width", ["r_hat"]),
        ("random walk", ["r_hat", "ess_bulk", "ess_tail"]),
        ("missing", ["r_hat", "ess_bulk", "ess_tail"]),
    ],
)
def test_draws_that_did_not_converge_fail(kind: str, fails: list[str]) -> None:
    table = convergence.summarise([of("sigma", draws("sound")), of("b(x)", draws(kind))])
    found = failed(table, stats())
    assert set(fails) <= {name for name, _ in found}
    assert bool(fails) is bool(found)
    assert all(place == "b(x)" for _, place in found)


def test_a_summary_gives_moments_quantiles_and_their_errors() -> None:
    values = np.random.default_rng(8).normal(2.0, 3.0, size=(4, 2500))
    [row] = convergence.summarise([of("b(x)", values)]).to_dict("records")
    assert (row["mean"], row["sd"]) == (pytest.approx(values.mean()), pytest.approx(values.std(ddof=1)))
    assert [row["lower"], row["median"], row["upper"]] == pytest.approx(np.quantile(values, [0.025, 0.5, 0.975]))
    # Of independent draws: an effective size near 10,000 (its own error is a few per cent) and sd / 100.
    assert row["ess_bulk"] == pytest.approx(10_000, rel=0.1)
    assert row["mcse_mean"] == pytest.approx(0.03, rel=0.1)
    # A quantile's error: sqrt(p (1 - p) / S) / density, 0.080 here; its estimate from order statistics is rough.
    density = np.exp(-(1.96**2) / 2) / np.sqrt(2 * np.pi) / 3
    assert row["mcse_lower"] == pytest.approx(np.sqrt(0.025 * 0.975 / 10_000) / density, rel=0.3)


def test_e_bfmi_is_the_mean_squared_step_over_the_variance() -> None:
    energy = np.random.default_rng(2).normal(size=(3, 400)).cumsum(axis=1) * 0.1 + np.random.default_rng(3).normal(
        size=(3, 400)
    )
    expected = np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy, axis=1, ddof=1)
    # Sum over sum (Betancourt 2016) and mean over variance differ by (N - 1) terms in both: nothing.
    np.testing.assert_allclose(mcmc.e_bfmi(energy), expected, rtol=1e-3)


def test_quantities_carry_the_names_that_people_write() -> None:
    data = dataset_of(y=[1.0, 2.0, 4.0, 3.0], x=[0.0, 1.0, 0.0, 1.0], g=["a", "a", "b", "b"])
    design = design_of("y ~ x + (1 + x | g)", data)
    shape = (2, 5)
    posterior = xr.Dataset({
        "b": (("chain", "draw", "coefficient"), np.zeros((*shape, 2))),
        "sd_g": (("chain", "draw", "g_effect"), np.ones((*shape, 2))),
        "cor_g": (("chain", "draw", "g_pair"), np.zeros((*shape, 1))),
        "r_g": (("chain", "draw", "g_level", "g_effect"), np.zeros((*shape, 2, 2), dtype=np.float32)),
        "sigma": (("chain", "draw"), np.ones(shape)),
    })  # fmt: skip
    found = convergence.quantities(posterior, design)
    assert [(q.parameter, q.kind) for q in found] == [
        ("Intercept", "population"),
        ("b(x)", "population"),
        ("sd(g: Intercept)", "sd"),
        ("sd(g: x)", "sd"),
        ("cor(g: Intercept, x)", "cor"),
        ("sigma", "residual"),
        ("g[a: Intercept]", "group"),
        ("g[a: x]", "group"),
        ("g[b: Intercept]", "group"),
        ("g[b: x]", "group"),
    ]
    assert all(q.values.shape == shape and q.values.dtype == np.float64 for q in found)
