"""Rotated rows have the density of the rows as they are, and their effects turned back are draws of the levels'."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fixtures.both_ways import distances, summary
from fixtures.small_data import dataset_of, design_of
from scipy import stats

from multilevel import default_priors, nesting, rotation
from multilevel.dataset import of_covariance
from multilevel.design import Design
from multilevel.relationships import read_matrix, read_pedigree

SIGMA = 0.8


def twins() -> Any:
    """Forty pairs of twins, half of them identical, and three whose sister is missing."""
    rng = np.random.default_rng(3)
    people = [f"p{i:02d}" for i in range(80)]
    kin = ["i,j,value"] + [f"{p},{p},1" for p in people]
    kin += [f"p{2 * i:02d},p{2 * i + 1:02d},{1.0 if i < 20 else 0.5}" for i in range(40)]
    known = read_matrix("\n".join(kin) + "\n")
    root = known.factor(tuple(people)).toarray()
    pair = np.arange(80) // 2
    y = 5.0 + root @ rng.normal(size=root.shape[1]) + 0.6 * rng.normal(size=40)[pair] + rng.normal(0, 0.7, 80)
    kept = np.setdiff1d(np.arange(80), [1, 30, 79])
    return with_known(
        {
            "y": y[kept],
            "x": rng.normal(2.0, 1.0, 77),
            "person": [people[i] for i in kept],
            "pair": [f"f{i}" for i in pair[kept]],
        },
        kin=known,
    )


def animals() -> Any:
    """Animals of three generations, most of them measured, some more than once."""
    rng = np.random.default_rng(4)
    lines, names = ["id,sire,dam"], [f"a{i:02d}" for i in range(45)]
    lines += [f"{n},," for n in names[:10]]
    lines += [f"{names[i]},{names[rng.integers(0, 5)]},{names[rng.integers(5, 10)]}" for i in range(10, 30)]
    lines += [f"{names[i]},{names[rng.integers(10, 20)]},{names[rng.integers(20, 30)]}" for i in range(30, 45)]
    known = read_pedigree("\n".join(lines) + "\n")
    root = known.factor(tuple(names)).toarray()
    of_row = np.concatenate([np.arange(8, 45), rng.integers(10, 45, 40)])
    y = 1.0 + (root @ rng.normal(size=root.shape[1]))[of_row] + rng.normal(0, 0.8, len(of_row))
    return with_known({"y": y, "x": rng.normal(size=len(of_row)), "animal": [names[i] for i in of_row]}, kin=known)


def moved() -> Any:
    """Pupils of twenty schools, some of whom changed theirs."""
    rng = np.random.default_rng(5)
    first, second = rng.integers(0, 20, 150), rng.integers(0, 20, 150)
    second = np.where(rng.uniform(size=150) < 0.6, first, second)
    share = rng.uniform(0.2, 0.8, 150)
    effect = rng.normal(0, 1.0, 20)
    y = 3.0 + share * effect[first] + (1 - share) * effect[second] + rng.normal(0, 0.8, 150)
    return dataset_of(
        y=y,
        x=rng.normal(size=150),
        a=[f"s{i}" for i in first],
        b=[f"s{i}" for i in second],
        w=share,
        arm=["tc"[i % 2] for i in first],
    )


def balanced() -> Any:
    """Raters who each rate every dish, twice."""
    rng = np.random.default_rng(6)
    rater, dish = (part.ravel() for part in np.mgrid[0:12, 0:9, 0:2][:2])
    y = rng.normal(0, 1.0, 12)[rater] + rng.normal(0, 0.5, 9)[dish] + rng.normal(0, 0.8, len(rater))
    return dataset_of(y=y, x=rng.normal(size=len(y)), rater=[f"r{i}" for i in rater], dish=[f"d{i}" for i in dish])


def with_known(columns: dict[str, Any], **known: Any) -> Any:
    plain = dataset_of(**columns)
    digests = {**plain.digests, **{of_covariance(n): k.digest for n, k in known.items()}}
    return replace(plain, covariances=known, digests=digests)


CASES = [
    (twins, "y ~ x + (1 | gr(person, cov=kin))", (1.1,)),
    (twins, "y ~ x + (1 | gr(person, cov=kin)) + (1 | pair)", (1.1, 0.6)),
    (animals, "y ~ x + (1 | gr(animal, cov=kin))", (0.9,)),
    (animals, "y ~ 0 + x + (0 + x | gr(animal, cov=kin))", (0.9,)),
    (moved, "y ~ x + (1 | mm(a, b, weights=cbind(w, 1 - w)))", (1.3,)),
    (moved, "y ~ x + (1 | gr(a, by=arm))", (0.7, 1.2)),
    (balanced, "y ~ x + (1 | rater) + (1 | dish)", (1.0, 0.4)),
]


def dense(built: Design, sds: tuple[float, ...]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the rows' covariance, and how the levels' effects of each term vary with the rows."""
    covariance, across = SIGMA**2 * np.eye(len(built.y)), []
    for term, sd in zip(built.group_terms, sds, strict=True):
        rows = np.diag(term.z[:, 0]) @ term.membership().toarray()
        levels = np.eye(len(term.levels)) if term.factor is None else (term.factor @ term.factor.T).toarray()
        covariance += sd**2 * rows @ levels @ rows.T
        across.append(sd**2 * levels @ rows.T)
    return covariance, across


@pytest.mark.parametrize(("data", "text", "sds"), CASES)
def test_the_density_is_that_of_the_rows(data: Any, text: str, sds: tuple[float, ...]) -> None:
    built = design_of(text, data())
    assert rotation.reason_against(built) == ""
    rotated = rotation.of(built).design
    b = np.linspace(0.5, 1.5, len(built.coefficients))
    variance = SIGMA**2 + sum(sd**2 * np.square(t.z[:, 0]) for sd, t in zip(sds, rotated.group_terms, strict=True))
    ours = stats.norm(rotated.x @ b, np.sqrt(variance)).logpdf(rotated.y).sum()
    theirs = stats.multivariate_normal(built.x @ b, dense(built, sds)[0]).logpdf(built.y)
    assert ours == pytest.approx(theirs, rel=1e-10)


@pytest.mark.parametrize(("data", "text", "sds"), CASES)
def test_effects_turned_back_are_draws_given_the_rows(data: Any, text: str, sds: tuple[float, ...]) -> None:
    built = design_of(text, data())
    found = rotation.of(built)
    rng, count = np.random.default_rng(9), 20_000
    b = np.linspace(0.5, 1.5, len(built.coefficients))
    # The rotated rows are independent: their effects given them are normal, term by term and jointly.
    roots = np.stack([t.z[:, 0] for t in found.design.group_terms])
    prior = np.square(sds)[:, None]
    variance = SIGMA**2 + (prior * np.square(roots)).sum(axis=0)
    gain = prior * roots / variance
    residual = found.design.y - found.design.x @ b
    before = rng.normal(size=(count, *roots.shape)) * np.array(sds)[None, :, None]
    fitted = (before * roots).sum(axis=1) + SIGMA * rng.normal(size=(count, len(residual)))
    rotated = before + gain * (residual - fitted)[:, None]
    covariance, across = dense(built, sds)
    for position, term in enumerate(built.group_terms):
        draws = found.effects(term.key, rotated[:, position], np.full(count, sds[position]), rng).astype(float)
        reach = across[position] @ np.linalg.inv(covariance)
        known = np.eye(len(term.levels)) if term.factor is None else (term.factor @ term.factor.T).toarray()
        mean, spread = reach @ (built.y - built.x @ b), sds[position] ** 2 * known - reach @ across[position].T
        z = (draws.mean(axis=0) - mean) / np.sqrt(np.diag(spread) / count)
        assert np.abs(z).max() < 4.5
        error = np.sqrt((np.outer(np.diag(spread), np.diag(spread)) + np.square(spread)) / count)
        assert (np.abs(np.cov(draws.T) - spread) / error).max() < 5.5


@pytest.mark.slow
@pytest.mark.parametrize(("data", "text", "sds"), CASES)
def test_the_posterior_is_that_of_the_sampled_fit(data: Any, text: str, sds: tuple[float, ...]) -> None:
    built = design_of(text, data())
    priors = {r.parameter: r.prior for r in default_priors.resolve(built, {})}
    assert nesting.against_groups(built) != ""
    assert rotation.against_integrating(built, priors) == ""
    ours = summary("integrated", built, {}, 21)
    plain = summary("sampled", built, {}, 22)
    assert distances(ours, plain) == {}


def test_what_cannot_be_rotated_is_told() -> None:
    data = moved()
    assert rotation.reason_against(design_of("y ~ (1 | a) + (1 | b)", data)) == rotation.NO_EIGENVECTORS
    assert rotation.reason_against(design_of("y | weights(w) ~ (1 | mm(a, b))", data)) == (
        "rows have weights or standard errors of their own"
    )
    assert rotation.reason_against(design_of("y ~ (1 + x | mm(a, b))", data)) == "'a+b' has several effects"
    assert (
        rotation.reason_against(design_of("y ~ (1 | gr(a, dist=student))", data)) == "the effects of 'a' are student-t"
    )
    with pytest.raises(ValueError, match="no eigenvectors in common"):
        rotation.of(design_of("y ~ (1 | a) + (1 | b)", data))
