"""What PyMC samples from are the families' own functions: densities and tail probabilities agree, and gradients are finite."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from fixtures.family_cases import PAIRS, WITH_TAILS, Case

FEW = 15


def compiled(name: str, function: str, case: Case, gradients: bool) -> list[np.ndarray]:
    """Return the values of a response's function at the points of a case, and its derivatives by eta and each parameter."""
    import pytensor
    import pytensor.tensor as pt
    from pytensor.compile.mode import Mode

    from multilevel import responses

    known = {k: v for k, v in case.others.items() if k == "trials"}
    symbols: dict[str, Any] = {k: pt.dvector(k) for k in ("eta", *case.others) if k not in known}
    value = getattr(responses.get(name), function)(case.y, link=case.link, **symbols, **known)
    outputs = [value, *(pt.grad(value.sum(), list(symbols.values())) if gradients else [])]
    # Run by Python: compiling it would take longer than the tests.
    run = pytensor.function(list(symbols.values()), outputs, mode=Mode(linker="py", optimizer=None))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of branches that are not taken
        return list(run(case.eta, *(v for k, v in case.others.items() if k not in known)))


@pytest.mark.parametrize(("name", "link"), PAIRS)
def test_densities_agree_and_have_finite_gradients(name: str, link: str) -> None:
    case = Case(name, link, seed=7, size=300, extreme=True)
    ours = case.module.log_density(case.y, **case.arguments)
    theirs, *gradients = compiled(name, "log_density", case, gradients=True)
    np.testing.assert_allclose(theirs, ours, rtol=1e-12, atol=1e-10)
    for gradient in gradients:
        assert np.isfinite(gradient[np.isfinite(ours) & (np.abs(ours) < 1e200)]).all()


@pytest.mark.parametrize("function", ["log_cdf", "log_survival"])
@pytest.mark.parametrize(("name", "link"), [pair for pair in PAIRS if pair[0] in WITH_TAILS])
def test_tail_probabilities_agree_also_where_they_underflow(name: str, link: str, function: str) -> None:
    case = Case(name, link, seed=8, size=300, extreme=True)
    ours = getattr(case.module, function)(case.y, **case.arguments)
    [theirs] = compiled(name, function, case, gradients=False)
    assert not np.isnan(theirs).any()
    shown = ours > -1e200  # below, nothing but the size of nothing differs
    np.testing.assert_allclose(theirs[shown], ours[shown], rtol=1e-8, atol=1e-10)
    assert (theirs[~shown] < -600).all()


@pytest.mark.slow
@pytest.mark.parametrize("function", ["log_cdf", "log_survival"])
@pytest.mark.parametrize(("name", "link"), [pair for pair in PAIRS if pair[0] in WITH_TAILS])
def test_gradients_of_tail_probabilities_are_those_of_numpys(name: str, link: str, function: str) -> None:
    """By central differences of the family's own function, at moderate parameters."""
    case = Case(name, link, seed=9, size=FEW)
    at, module = case.arguments, case.module
    [_, *gradients] = compiled(name, function, case, gradients=True)
    parameters = [k for k in at if k not in {"link", "trials"}]
    assert len(gradients) == len(parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        step = 1e-5 * np.maximum(np.abs(at[parameter]), 0.1)
        if parameter in {"zi", "hu"}:
            step = 1e-5 * np.minimum(at[parameter], 1 - at[parameter])
        up, down = (getattr(module, function)(case.y, **{**at, parameter: at[parameter] + s * step}) for s in (1, -1))
        usable = np.isfinite(up) & np.isfinite(down) & (up > -500)
        assert usable.sum() > FEW // 4
        difference = (up[usable] - down[usable]) / (2 * step[usable])
        # Differences of a log probability near 0 keep few digits.
        np.testing.assert_allclose(gradient[usable], difference, rtol=2e-4, atol=2e-5 * (1 + np.abs(difference).max()))
