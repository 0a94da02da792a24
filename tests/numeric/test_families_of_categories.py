"""Probabilities of ordinal and unordered categories, against their definitions in decimal arithmetic and in SciPy."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from fixtures.decimals import INVERSE_LINKS
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import log_softmax, logsumexp

from multilevel import families
from multilevel.families import binomial, categorical

ORDINAL = ["cumulative", "sequential", "continuation", "adjacent"]
LINKS = ["logit", "probit", "cloglog", "cauchit"]
FROZEN = {"logit": stats.logistic, "probit": stats.norm, "cloglog": stats.gumbel_l, "cauchit": stats.cauchy}


def defined(family: str, F: Any, S: Any, z: list[Any], one: Any) -> list[Any]:
    """Return the probabilities of K categories as the families are defined; z_k is disc (threshold_k - eta), S is 1 - F."""
    count = len(z) + 1
    match family:
        case "cumulative":
            below = [0 * one, *(F(value) for value in z), one]
            above = [one, *(S(value) for value in z), 0 * one]
            upper = [2 * below[k] > one for k in range(count)]  # differences are taken in the tail that is nearer
            return [above[k] - above[k + 1] if upper[k] else below[k + 1] - below[k] for k in range(count)]
        case "sequential":
            stop, go = [*(F(value) for value in z), one], [*(S(value) for value in z), 0 * one]
        case "continuation":
            stop, go = [*(S(-value) for value in z), one], [*(F(-value) for value in z), 0 * one]
        case "adjacent":
            # p_{k+1} / p_k is F(-z_k) / (1 - F(-z_k)).
            weights = [one]
            for value in z:
                weights.append(weights[-1] * F(-value) / S(-value))
            return [w / sum(weights) for w in weights]
    found = []
    for k in range(count):
        product = stop[k]
        for j in range(k):
            product = product * go[j]
        found.append(product)
    return found


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("family", ORDINAL)
@pytest.mark.parametrize(
    ("eta", "thresholds", "disc"),
    [
        (0.0, [-1.0, 0.5, 2.0], 1.0),
        (-0.75, [1.0, 1.5], 2.5),
        (6.0, [-1.0, -0.5, 0.25, 3.0], 1.0),
        (-6.0, [-1.0, -0.5, 0.25, 3.0], 1.0),
        (3.0, [0.0, 2.0**-10, 1.0], 1.0),
        (-20.0, [0.0, 2.0, 9.5], 1.0),
        (20.0, [0.0, 2.0, 15.5], 1.0),
        (2.0, [1.0, 5.0], 0.0625),
        (0.0, [-30.0, 0.0, 30.0], 1.0),
        (4.0, [-3.0], 8.0),
    ],
)
def test_every_digit_of_a_log_probability_is_right(
    family: str, link: str, eta: float, thresholds: list[float], disc: float
) -> None:
    while link == "cloglog" and disc * max(abs(t - eta) for t in thresholds) > 40:
        disc /= 2  # decimals have exponents down to -1e18
    z = [Decimal(disc) * (Decimal(t) - Decimal(eta)) for t in thresholds]
    probabilities = defined(family, *INVERSE_LINKS[link], z, Decimal(1))
    expected = [float(p.ln()) for p in probabilities]
    arguments = (np.array(eta), np.array(thresholds), disc, link)
    found = families.get(family).log_probabilities(*arguments)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-15)
    np.testing.assert_allclose(families.get(family).probabilities(*arguments), np.exp(expected), rtol=1e-11)


INCREASING = st.lists(st.floats(0.05, 3.0), min_size=1, max_size=5)


@settings(max_examples=300)
@given(
    st.sampled_from(ORDINAL), st.sampled_from(LINKS), st.floats(-2, 2), st.floats(-2, 2), INCREASING, st.floats(0.2, 3)
)
def test_probabilities_are_those_of_the_definition_in_scipy(
    family: str, link: str, eta: float, first: float, gaps: list[float], disc: float
) -> None:
    thresholds = first + np.concatenate([[0.0], np.cumsum(gaps)])
    with np.errstate(all="ignore"):
        expected = np.array(defined(family, FROZEN[link].cdf, FROZEN[link].sf, list(disc * (thresholds - eta)), 1.0))
    assume(np.isfinite(expected).all())
    module = families.get(family)
    found = module.probabilities(np.array([eta]), thresholds, disc, link)
    assert found.shape == (1, len(thresholds) + 1)
    kept = expected > 1e-8  # where SciPy's own differences keep their digits
    np.testing.assert_allclose(found[0, kept], expected[kept], rtol=1e-6)
    numbers = np.arange(1, len(thresholds) + 2)
    mean = (numbers * found[0]).sum()
    assert module.mean(np.array([eta]), thresholds, disc, link)[0] == pytest.approx(mean, rel=1e-12)
    variance = module.variance(np.array([eta]), thresholds, disc, link)[0]
    assert variance == pytest.approx(((numbers - mean) ** 2 * found[0]).sum(), rel=1e-12)


@settings(max_examples=300)
@given(
    st.sampled_from(ORDINAL),
    st.sampled_from(LINKS),
    st.floats(-1e3, 1e3),
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=5),
    st.floats(1e-3, 1e2),
)
def test_extreme_parameters_give_no_nan_and_probabilities_that_add_up(
    family: str, link: str, eta: float, thresholds: list[float], disc: float
) -> None:
    ordered = np.sort(thresholds) if family == "cumulative" else np.array(thresholds)
    found = families.get(family).log_probabilities(np.array(eta), ordered, disc, link)
    assert not np.isnan(found).any()
    assert (found <= 1e-12).all()
    assert logsumexp(found) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("family", ORDINAL)
def test_a_larger_predictor_means_higher_categories(family: str, link: str) -> None:
    eta = np.linspace(-3, 3, 25)
    means = families.get(family).mean(eta, np.array([-1.0, 0.2, 1.0]), 1.0, link)
    assert (np.diff(means) > 0).all()


@pytest.mark.parametrize("link", ["logit", "probit", "cauchit"])
def test_a_symmetric_link_makes_sequential_and_continuation_one(link: str) -> None:
    arguments = (np.linspace(-2, 2, 7), np.array([0.5, -0.5, 1.0]), 1.5, link)
    np.testing.assert_allclose(
        families.get("sequential").log_probabilities(*arguments),
        families.get("continuation").log_probabilities(*arguments),
        rtol=1e-13,
    )


def test_cumulative_and_sequential_are_one_under_cloglog() -> None:
    """Läärä & Matthews (1985, Biometrika 72:206): the cumulative thresholds are logs of sums of hazards."""
    eta, free = np.linspace(-2, 2, 9), np.array([-1.5, -0.3, -1.0, 0.4])
    summed = np.log(np.cumsum(np.exp(free)))
    np.testing.assert_allclose(
        families.get("sequential").log_probabilities(eta, free, 1.0, "cloglog"),
        families.get("cumulative").log_probabilities(eta, summed, 1.0, "cloglog"),
        rtol=1e-12,
    )


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
@pytest.mark.parametrize("family", ["continuation", "adjacent"])
def test_two_categories_are_a_binomial(family: str, link: str) -> None:
    eta, threshold = np.linspace(-8, 3, 12), 0.5
    found = families.get(family).log_probabilities(eta, np.array([threshold]), 1.0, link)
    for y in (0.0, 1.0):
        ours = binomial.log_density(np.full(12, y), eta - threshold, 1.0, link)
        np.testing.assert_allclose(found[:, int(y)], ours, rtol=1e-12, atol=1e-15)


@given(st.lists(st.floats(-800, 800), min_size=1, max_size=6))
def test_unordered_categories_are_scipys_softmax(eta: list[float]) -> None:
    found = categorical.log_probabilities(np.array([eta]))
    np.testing.assert_allclose(found[0], log_softmax([0.0, *eta]), rtol=1e-12, atol=1e-15)
    assert np.exp(logsumexp(found)) == pytest.approx(1.0, abs=1e-12)


def test_a_density_is_the_probability_of_the_category_observed() -> None:
    """Shapes as in a likelihood: two draws of three rows, thresholds of each draw or of each draw and row."""
    rng = np.random.default_rng(1)
    y, eta = np.array([3.0, 1.0, 2.0]), rng.normal(size=(2, 3))
    by_draw, by_row = rng.normal(size=(2, 1, 2)), rng.normal(size=(2, 3, 2))
    module = families.get("sequential")
    for thresholds in (by_draw, by_row):
        whole = module.log_probabilities(eta, thresholds)
        assert whole.shape == (2, 3, 3)
        found = module.log_density(y, eta, thresholds)
        np.testing.assert_array_equal(found, np.stack([whole[:, 0, 2], whole[:, 1, 0], whole[:, 2, 1]], axis=1))
    own = module.log_probabilities(eta[1, 2], by_row[1, 2])
    np.testing.assert_allclose(module.log_density(np.array(2.0), eta[1, 2], by_row[1, 2]), own[1], rtol=1e-15)
    assert module.log_density(np.array([0.0, 4.0, 1.5]), eta, by_row).tolist() == [[-np.inf] * 3] * 2


@pytest.mark.parametrize("family", [*ORDINAL, "categorical"])
def test_draws_come_from_the_probabilities(family: str) -> None:
    module = families.get(family)
    arguments: dict[str, Any] = {"eta": np.full((2, 30_000), 0.4), "thresholds": np.array([[[-1.0, 0.3, 0.9]]])}
    if family == "categorical":
        arguments = {"eta": np.broadcast_to([0.5, -1.0, 0.1], (2, 30_000, 3))}
    found = module.draws(np.random.default_rng(5), **arguments)
    assert found.shape == (2, 30_000)
    probabilities = module.probabilities(**arguments)[0, 0]
    counts = np.bincount(found.astype(int).ravel(), minlength=5)
    assert counts[0] == 0
    assert stats.chisquare(counts[1:], probabilities * found.size).pvalue > 1e-6


def test_unordered_categories_have_no_mean() -> None:
    for moment in (categorical.mean, categorical.variance):
        with pytest.raises(TypeError, match="no mean or variance"):
            moment(np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("y", "sentence"),
    [
        ([1, 2, 3], None),
        ([1, 2.5, 3], "has categories that are no whole numbers (2.5 in row 2, 1 rows in all)"),
        ([0, 1, 2], "has categories below 1 (0 in row 1, 1 rows in all)"),
        ([1, 3, np.nan], "has values that are not finite (nan in row 3, 1 rows in all)"),
        ([1, 2, 5], "has no row of category 3, 4 (of 5)"),
        ([1, 1, 1], "has one category only"),
        ([1, 2, 1], "has only two categories; use the family bernoulli"),
        ([1, 2, 4000], "goes up to 4000, which is more categories than the 100 that are allowed"),
    ],
)
def test_what_is_no_category_is_said_in_a_sentence(y: list[float], sentence: str | None) -> None:
    found = families.get("cumulative").support_problem(np.array(y, dtype=float), {})
    assert found is None if sentence is None else str(found).startswith(sentence)


def test_families_have_the_names_of_brms_too() -> None:
    assert [families.canonical(name) for name in ("sratio", "cratio", "acat", "cumulative")] == ORDINAL[1:] + ORDINAL[
        :1
    ]
    assert set(families.ALIASES.values()) <= set(families.names())


@pytest.mark.parametrize("link", LINKS)
def test_pytensors_tails_are_numpys_and_have_a_gradient_everywhere(link: str) -> None:
    import pytensor
    import pytensor.tensor as pt
    from pytensor.compile.mode import Mode

    from multilevel import links, responses
    from multilevel.families import _ordinal
    from multilevel.responses import _categories

    z = np.array([-300.0, -60.0, -38.6, -5.0, -1.0, -0.3, 0.0, 1.2, 3.5, *([] if link == "cloglog" else [38.6, 300.0])])
    lower = pt.dvector("lower")
    tails = [responses.log_cdf(link, lower), responses.log_survival(link, lower)]
    between = _categories.log_between(link, lower, lower + np.asarray(0.75))
    outputs = [*tails, between, *(pytensor.grad(value.sum(), lower) for value in (*tails, between))]
    found = pytensor.function([lower], outputs, mode=Mode(linker="py", optimizer=None))(z)
    expected = [*links.log_tails(link, z), _ordinal.log_between(link, z, z + 0.75)]
    for ours, numpys in zip(found[:3], expected, strict=True):
        np.testing.assert_allclose(ours, numpys, rtol=1e-12, atol=1e-15)
    step = 1e-5 * np.maximum(1.0, abs(z))
    for gradient, function in zip(
        found[3:],
        (
            lambda x: links.log_tails(link, x)[0],
            lambda x: links.log_tails(link, x)[1],
            lambda x: _ordinal.log_between(link, x, x + 0.75),
        ),
        strict=True,
    ):
        np.testing.assert_allclose(
            gradient, (function(z + step) - function(z - step)) / (2 * step), rtol=1e-4, atol=1e-9
        )
