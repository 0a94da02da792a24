"""Truncated and censored responses: probabilities of intervals, densities that add up to one, draws within the bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fixtures.family_cases import COUNTS, OF_TRIALS, UNIT, WITH_TAILS, Case
from fixtures.small_data import dataset_of, design_of
from scipy import integrate, stats

from multilevel import families, intervals, likelihood, truncation

TRUNCATED = [name for name in families.names() if "trunc" in families.get(name).RESPONSE_TERMS]
EVERY = slice(0, None)


def design(name: str, text: str, **columns: Any) -> Any:
    count = len(columns["y"])
    trials = {"n": np.full(count, 9.0)} if name in OF_TRIALS else {}
    beside = text if name not in OF_TRIALS else f"trials(n) + {text}"
    return design_of(f"y | {beside} ~ 1", dataset_of(**columns, **trials), name)


def arguments(name: str, rows: int) -> dict[str, Any]:
    """Arguments with one draw and one value of each for all rows, near the middle of what a family describes."""
    module = families.get(name)
    values = {"sigma": 0.7, "nu": 4.0, "shape": 1.7, "phi": 4.0, "zi": 0.2, "hu": 0.3}
    at: dict[str, Any] = {p: np.array([[values[p]]]) for p in module.PARAMETERS[1:]}
    at |= {"eta": np.full((1, rows), 0.4), "link": module.LINKS[0]}
    return at | ({"trials": np.full(rows, 9.0)} if name in OF_TRIALS else {})


@pytest.mark.parametrize("name", TRUNCATED)
def test_the_density_between_the_bounds_adds_up_to_one(name: str) -> None:
    low, high = (0.1, 0.8) if name in UNIT else (1.0, 5.0)
    if families.get(name).KIND == "discrete":
        y = np.arange(low, high + 1)
        built = design(name, f"trunc(lb={low}, ub={high})", y=y)
        assert np.exp(likelihood.of_rows(built, EVERY, arguments(name, len(y)))).sum() == pytest.approx(1.0, rel=1e-12)
        return

    def density(y: float) -> float:
        built = design(name, f"trunc(lb={low}, ub={high})", y=np.full(3, y))
        return float(np.exp(likelihood.of_rows(built, EVERY, arguments(name, 3)))[0, 0])

    assert integrate.quad(density, low, high)[0] == pytest.approx(1.0, rel=1e-8)


@pytest.mark.parametrize("name", TRUNCATED)
@pytest.mark.parametrize("side", ["lb", "ub"])
def test_with_one_bound_the_density_is_divided_by_one_tail(name: str, side: str) -> None:
    y = np.array([0.3, 0.4, 0.5]) if name in UNIT else np.array([2.0, 3.0, 4.0])
    module, at = families.get(name), arguments(name, 3)
    bound = {"lb": y.min(), "ub": y.max()}[side]
    built = design(name, f"trunc({side}={bound})", y=y)
    whole = module.log_density(y, **at)
    if side == "ub":
        left = module.log_cdf(np.full(3, bound), **at)
    else:  # a count at the bound can be observed
        left = module.log_survival(np.full(3, bound - (module.KIND == "discrete")), **at)
    np.testing.assert_allclose(likelihood.of_rows(built, EVERY, at), whole - left, rtol=1e-13)


def test_bounds_of_counts_are_whole_numbers_that_can_be_observed() -> None:
    built = design("poisson", "trunc(lb=0.5, ub=4.5)", y=np.array([1.0, 2.0, 4.0]))
    lower, upper = intervals.truncation(built) or ((), ())
    np.testing.assert_array_equal(lower, [0.0] * 3)
    np.testing.assert_array_equal(upper, [4.0] * 3)


def test_a_censored_row_lies_within_the_bounds_of_truncation() -> None:
    y, kinds = np.array([1.0, 2.0, 3.0, 1.5]), ["left", "right", "none", "interval"]
    built = design("exponential", "cens(c, 2.5) + trunc(lb=0.5, ub=6)", y=y, c=kinds)
    at = arguments("exponential", 4)
    cdf = stats.expon(scale=np.exp(0.4)).cdf
    within = cdf(6.0) - cdf(0.5)
    found = np.exp(likelihood.of_rows(built, EVERY, at))[0]
    pdf = stats.expon(scale=np.exp(0.4)).pdf(3.0)
    expected = np.array([cdf(1.0) - cdf(0.5), cdf(6.0) - cdf(2.0), pdf, cdf(2.5) - cdf(1.5)]) / within
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("name", WITH_TAILS)
def test_the_probability_of_an_interval_is_the_sum_of_what_lies_in_it(name: str) -> None:
    case = Case(name, families.get(name).LINKS[0], seed=11, size=60)
    if name in COUNTS or name in OF_TRIALS:
        upper = case.y + 4.0
        found = likelihood._log_interval(case.module, case.y, upper, case.arguments)
        inside = [case.module.log_density(case.y + k, **case.arguments) for k in range(1, 5)]
        if name in OF_TRIALS:
            inside = [np.where(case.y + k + 1 <= case.others["trials"], v, -np.inf) for k, v in enumerate(inside)]
        np.testing.assert_allclose(found, np.logaddexp.reduce(inside), rtol=1e-7, atol=1e-9)
    else:
        width = 0.1 * np.minimum(1.0 - case.y, case.y) if name in UNIT else 0.1 * np.abs(case.y)
        found = np.exp(likelihood._log_interval(case.module, case.y, case.y + width, case.arguments))
        for i in range(60):
            area, _ = integrate.quad(
                lambda t, i=i: float(np.exp(case.module.log_density(np.array(t), **case.at(i)))),
                case.y[i], case.y[i] + width[i], epsabs=1e-14,
            )  # fmt: skip
            assert found[i] == pytest.approx(area, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("zero", ["zero_inflated_poisson", "hurdle_poisson"])
def test_an_interval_far_below_the_mean_has_a_probability_though_zeros_are_likely(zero: str) -> None:
    """Neither tail of the mixture is small, and their difference has no digits; the base's has."""
    module, at = (
        families.get(zero),
        {"eta": np.array([4.5]), "zi" if "zi" in families.get(zero).PARAMETERS else "hu": 0.5},
    )
    found = likelihood._log_interval(module, np.array([5.0]), np.array([8.0]), at)[0]
    inside = [module.log_density(np.array([k]), **at)[0] for k in (6.0, 7.0, 8.0)]
    assert found == pytest.approx(np.logaddexp.reduce(inside), rel=1e-10)
    assert found < -50


@pytest.mark.parametrize("name", TRUNCATED)
@pytest.mark.parametrize("far", [False, True])
def test_truncated_draws_come_from_the_distribution_between_the_bounds(name: str, far: bool) -> None:
    """Also where almost none of the whole distribution's draws fall between them."""
    count, module = 4_000, families.get(name)
    at = arguments(name, 1)
    at["eta"] = np.full((count, 1), 0.4)
    if far and "trials" in at:
        at["eta"] -= 5.0
    low, high = {"near": (0.5, 0.9), "far": (1e-4, 2e-3)}["far" if far else "near"] if name in UNIT else (
        (6.0, 9.0) if "trials" in at else (30.0, 60.0) if far else (2.0, 6.0)
    )  # fmt: skip
    rng = np.random.default_rng(12)
    whole = module.draws(rng, **at)
    found = truncation.between(module, rng, whole, np.array([low]), np.array([high]), at)[:, 0]
    assert ((found > low) & (found <= high)).all()
    if far and name not in {"student_t", "lognormal"}:
        assert ((whole > low) & (whole <= high)).mean() < 0.2

    def share(y: Any) -> Any:
        """P(low < Y <= y | low < Y <= high)."""
        y = np.atleast_1d(np.asarray(y, dtype=float))
        one = {
            **at,
            "eta": np.full(y.shape, at["eta"][0, 0]),
            **({"trials": np.full(y.shape, 9.0)} if "trials" in at else {}),
        }
        one |= {p: float(np.ravel(at[p])[0]) for p in module.PARAMETERS[1:]}
        ends = np.full(y.shape, low), np.full(y.shape, high)
        inside = np.where(y > low, likelihood._log_interval(module, ends[0], np.maximum(y, low), one), -np.inf)
        return np.exp(inside - likelihood._log_interval(module, *ends, one))

    above = share(found)
    below = share(found - 1.0) if module.KIND == "discrete" else above
    shares = below + rng.random(count) * (above - below)
    assert stats.kstest(shares, "uniform").pvalue > 1e-6


def test_draws_far_out_in_a_tail_are_found_by_inversion() -> None:
    """40 standard deviations above the mean no draw of the whole distribution ever falls."""
    from multilevel.families import gaussian

    rng, at = np.random.default_rng(1), {"eta": np.zeros((2_000, 1)), "sigma": 1.0}
    found = truncation.between(gaussian, rng, gaussian.draws(rng, **at), np.array([40.0]), np.array([np.inf]), at)
    # Beyond 40 the excess is almost exponential with rate 40; its mean is 1/40 (1 - 1/1600 + ...).
    assert (found > 40.0).all()
    assert (found - 40.0).mean() == pytest.approx(1 / 40, rel=0.1)
    assert stats.kstest((found - 40.0).ravel(), stats.expon(scale=1 / 40).cdf).pvalue > 1e-3


def test_replicates_of_a_truncated_response_lie_within_its_bounds() -> None:
    from multilevel import checks
    from multilevel.predictor import Draws

    built = design("poisson", "trunc(lb=1)", y=np.array([1.0, 1.0, 2.0]))
    draws = Draws(1, 200, np.full((200, 1), -2.0), {}, {})
    found = np.concatenate(list(checks.replicate_blocks(built, draws, seed=1)))
    assert found.min() == 1.0
    assert found.mean() == pytest.approx(np.exp(-2) / -np.expm1(-np.exp(-2)), abs=0.03)
