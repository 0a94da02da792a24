"""Multiple membership, known covariances, effects that are student-t or differ by another factor: from formula to report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixtures import small_study
from fixtures.any_draws import any_draws
from fixtures.small_data import dataset_of, design_of
from scipy import stats

from multilevel import (
    cautions,
    dataset,
    default_priors,
    design,
    equations,
    estimands,
    formula,
    gaussian_ml,
    integration,
    nesting,
    predictor,
    quadrature_ml,
    rules,
    units,
)
from multilevel.dataset import of_covariance
from multilevel.predictor import Draws
from multilevel.relationships import read_matrix, read_pedigree
from multilevel.scores import logo, loo

RNG = np.random.default_rng(8)
PLAIN = dataset_of(
    y=RNG.normal(size=12),
    x=RNG.normal(size=12),
    a=[*"pqrs"] * 3,
    b=[*"qrst", *"rstp", *"stpq"],
    u=np.linspace(0.1, 0.9, 12),
    n=np.arange(12.0) % 3,
    n2=np.arange(12.0) % 4 + 2,
    g=["g1", "g2", "g3", "g4"] * 3,
    arm=["t", "c", "t", "c"] * 3,
)
KNOWN = {
    "kin": read_pedigree("id,sire,dam\ng1,,\ng2,,\ng3,g1,g2\ng4,g1,g3\n"),
    "twins": read_matrix("i,j,value\ng1,g1,1\ng2,g2,1\ng1,g2,1\ng3,g3,1\ng4,g4,1\n"),
}
DATA = replace(
    PLAIN, covariances=KNOWN, digests={**PLAIN.digests, **{of_covariance(n): k.digest for n, k in KNOWN.items()}}
)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("(1|mm(a,b))", "(1 | mm(a, b))"),
        ("(1 + x || mm(a, b, weights=cbind(u,1-u)))", "(1 + x || mm(a, b, weights=cbind(u, 1 - u)))"),
        ("(1 | mm(a, b, weights = cbind(n, n2), scale = TRUE))", "(1 | mm(a, b, weights=cbind(n, n2), scale=true))"),
        ("(1 | mm(a, b, weights = cbind(1, -1), scale=false))", "(1 | mm(a, b, weights=cbind(1, -1)))"),
        ("(1 | gr(g))", "(1 | g)"),
        ("(1 | gr(g, cov=kin))", "(1 | gr(g, cov=kin))"),
        ("(1 | gr(g, by=arm, dist='student'))", "(1 | gr(g, by=arm, dist=student))"),
        ("(1 | p | gr(g, cov=kin))", "(1 | p | gr(g, cov=kin))"),
    ],
)
def test_terms_are_written_as_in_brms(written: str, canonical: str) -> None:
    parsed = formula.parse(f"y ~ x + {written}")
    assert str(parsed) == f"y ~ 1 + x + {canonical}"
    assert formula.parse(str(parsed)) == parsed


def test_formulas_read_weights_and_factors() -> None:
    parsed = formula.parse("y ~ (1 | mm(a, b, weights=cbind(u, 1 - n))) + (1 | gr(g, by=arm)) + (1 | gr(h, cov=kin))")
    assert parsed.variables() == {"y", "a", "b", "u", "n", "g", "arm", "h"}
    assert formula.covariances([parsed]) == ["cov(kin)"]
    assert formula.partitions([parsed]) == ["g", "h"]


def test_levels_of_multiple_membership_are_those_of_all_its_columns() -> None:
    (term,) = design_of("y ~ (1 | mm(a, b, weights=cbind(n, n2), scale=true))", DATA).group_terms
    assert term.levels == ("p", "q", "r", "s", "t")
    n, n2 = DATA.frame["n"].to_numpy(), DATA.frame["n2"].to_numpy()
    expected = np.zeros((12, 5))
    for row in range(12):
        for column, weight in (("a", n[row]), ("b", n2[row])):
            expected[row, term.levels.index(DATA.frame[column].iloc[row])] += weight / (n[row] + n2[row])
    np.testing.assert_allclose(term.membership().toarray(), expected)
    effect = RNG.normal(size=5)
    np.testing.assert_allclose(term.of_rows(effect), expected @ effect)
    assert term.sizes.tolist() == (expected != 0).sum(axis=0).tolist()


def test_equal_weights_are_taken_where_none_are_given() -> None:
    (term,) = design_of("y ~ (1 | mm(a, b))", DATA).group_terms
    np.testing.assert_allclose(term.membership().sum(axis=1), 1.0)


def test_one_level_under_two_names_is_plain_membership() -> None:
    same = replace(DATA, frame=DATA.frame.assign(a2=DATA.frame["a"]))
    found = gaussian_ml.maximise(design_of("y ~ x + (1 | mm(a, a2))", same), "ml")
    plain = gaussian_ml.maximise(design_of("y ~ x + (1 | a)", DATA), "ml")
    assert found.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-8)


def test_unequal_sums_are_told_and_signed_weights_are_not() -> None:
    model = {"family": "gaussian"}
    said = cautions.find(design_of("y ~ (1 | mm(a, b, weights=cbind(n, n2)))", DATA), model)
    assert (
        "the weights of 'a+b' sum to between 2 and 7, not to 1; they are taken as they are (scale=true divides them by their "
        "sum)." in said
    )
    for fine in ("cbind(u, 1 - u), normalised=true", "cbind(1, -1)"):
        said = cautions.find(design_of(f"y ~ (1 | mm(a, b, weights={fine}))", DATA), model)
        assert not any("weights" in sentence for sentence in said)


def test_a_covariance_by_another_factor_is_a_term_for_each_of_its_levels() -> None:
    found = design_of("y ~ (1 + x | gr(g, by=arm))", DATA)
    control, treated = found.group_terms
    assert (control.levels, treated.levels) == (("g2", "g4"), ("g1", "g3"))
    assert control.effects == ("Intercept:arm[c]", "x:arm[c]")
    names = [p.parameter for p in default_priors.resolve(found, {})]
    assert "sd(g: Intercept:arm[t])" in names
    assert "cor(g: arm[c])" in names
    effects = {t.key: RNG.normal(size=(1, 2, 2)) for t in found.group_terms}
    eta = predictor.linear_predictor(found, Draws(1, 1, np.zeros((1, 1)), effects, {}), slice(None))[0]
    for row, (g, x) in enumerate(zip(DATA.frame["g"], DATA.frame["x"], strict=True)):
        term = control if g in control.levels else treated
        own = effects[term.key][0, term.levels.index(g)]
        assert eta[row] == pytest.approx(own[0] + own[1] * x)


def test_sds_by_another_factor_maximise_the_likelihood_of_each_part() -> None:
    """With every effect, the mean and residuals too, split by arm, the parts are models of their own."""
    rng = np.random.default_rng(5)
    arm, level = np.repeat([0, 1], 60), np.repeat(np.arange(20), 6)
    y = rng.normal(size=20)[level] * np.where(arm, 3.0, 0.5) + rng.normal(size=120)
    data = dataset_of(
        y=y, g=[f"l{i:02}" for i in level], arm=["ct"[i] for i in arm], index=np.arange(120.0), half=arm.astype(float)
    )
    found = gaussian_ml.maximise(design_of("y ~ half + (1 | gr(g, by=arm))", data), "ml").estimates
    assert found["sd(g: Intercept:arm[t])"] > 2 * found["sd(g: Intercept:arm[c])"]


def test_known_covariances_reach_the_likelihood() -> None:
    found = design_of("y ~ x + (1 | gr(g, cov=kin))", DATA)
    theta, sigma = 0.8, 1.3
    k = KNOWN["kin"].matrix().toarray()
    index = [int(g[1]) - 1 for g in DATA.frame["g"]]
    covariance = sigma**2 * (theta**2 * k[np.ix_(index, index)] + np.eye(12))
    y, x = found.y, found.x
    inverse = np.linalg.inv(covariance)
    b = np.linalg.solve(x.T @ inverse @ x, x.T @ inverse @ y)
    rest = y - x @ b
    rss = sigma**2 * rest @ inverse @ rest
    profiled = np.linalg.slogdet(covariance / sigma**2)[1] + 12 * (1 + np.log(2 * np.pi * rss / 12))
    products = gaussian_ml.CrossProducts.of(found)
    assert products.deviance(np.array([theta]), "ml") == pytest.approx(profiled, abs=1e-9)


def test_designs_hold_factors_of_the_levels_that_occur() -> None:
    twins = design_of("y ~ (1 | gr(g, cov=twins))", DATA).group_terms[0]
    assert (len(twins.levels), twins.sources) == (4, 3)
    assert not twins.exchangeable


def test_covariances_are_stored_and_chosen_with_the_columns(tmp_path: Path) -> None:
    dataset.write(tmp_path / "data.nc", DATA.select(["y", "g", "cov(twins)", "cov(kin)"]))
    read = dataset.read(tmp_path / "data.nc")
    assert read.covariances.keys() == {"kin", "twins"}
    assert {n: k.digest for n, k in read.covariances.items()} == {n: k.digest for n, k in KNOWN.items()}
    assert DATA.select(["y", "g", "cov(kin)"]).covariances.keys() == {"kin"}
    assert DATA.fingerprint(["y", "cov(kin)"]) != DATA.fingerprint(["y", "cov(twins)"])
    built = design_of("y ~ (1 | gr(g, cov=twins))", read)
    np.testing.assert_array_equal(
        built.group_terms[0].factor.toarray(),
        design_of("y ~ (1 | gr(g, cov=twins))", DATA).group_terms[0].factor.toarray(),
    )


def test_degrees_of_freedom_have_a_prior_and_a_name() -> None:
    found = design_of("y ~ (1 | gr(g, dist=student))", DATA)
    priors = {p.parameter: p for p in default_priors.resolve(found, {"df": "gamma(3, 0.2)"})}
    assert str(priors["df(g)"].prior) == "gamma(3, 0.2)"
    assert priors["df(g)"].note == "above 1"
    assert "df(g)" in estimands.catalogue(found)
    assert "icc(g)" not in estimands.catalogue(found)


@pytest.mark.parametrize(
    ("term", "row", "level", "plain"),
    [
        (
            "(1 | mm(a, b))",
            r"\textstyle\sum_m w_{im}\,u^{(1)}_{0,j_{1}[i,m]}",
            r"u^{(1)}_{0,j} \sim \operatorname{Normal}(0,\ \tau^{(1)}_0{}^2)",
            "a row belongs to several levels, whose effects are added with its weights",
        ),
        (
            "(1 | gr(g, cov=kin))",
            r"u^{(1)}_{0,j_{1}[i]}",
            r"u^{(1)}_0 \sim \operatorname{Normal}(0,\ \tau^{(1)}_0{}^2\,K_{\text{kin}})",
            "effects of levels are correlated as their known covariance says (kin)",
        ),
        (
            "(1 | gr(g, dist=student))",
            r"u^{(1)}_{0,j_{1}[i]}",
            r"u^{(1)}_{0,j} \sim \operatorname{Student-t}_{\nu^{(1)}}(0,\ \tau^{(1)}_0{}^2)",
            "independently from the same student-t distribution",
        ),
        (
            "(1 | gr(g, by=arm))",
            r"1_{\text{arm[c]}}(i)\,u^{(1)}_{0,j_{1}[i]}",
            r"u^{(1)}_{0,j} \sim \operatorname{Normal}(0,\ \tau^{(1)}_0{}^2)",
            "each of the 2 levels of g with arm[c] has its own level",
        ),
    ],
)
def test_equations_say_what_is_structured(term: str, row: str, level: str, plain: str) -> None:
    written = equations.describe(design_of(f"y ~ x + {term}", DATA))
    assert row in written["levels"][0]["latex"][-1]
    assert written["levels"][1]["latex"] == [level]
    assert plain in written["plain"]


def test_groupings_of_several_levels_have_no_pictures_of_one() -> None:
    assert design.planes(design_of("y ~ (1 + x | gr(g, cov=kin))", DATA)) == []


SCORED = [
    (
        "(1 | mm(a, b))",
        "a",
        "rows belong to several levels of 'a+b', so that what is left out with one a overlaps with others",
    ),
    (
        "(1 | gr(g, cov=kin))",
        "g",
        "the levels of 'g' have a known covariance, and leaving out one g would integrate some of them out",
    ),
    (
        "(1 | gr(g, dist=student))",
        "g",
        "the effects of 'g' are student-t, and leaving out one g would integrate some of them out",
    ),
    (
        "(1 | gr(g, by=arm))",
        "g",
        (
            "the effects of 'g' have a covariance for each level of another factor, and leaving out one g would integrate some "
            "of them out"
        ),
    ),
]


@pytest.mark.parametrize(("term", "left_out", "reason"), SCORED)
def test_leaving_out_a_group_is_refused_where_its_effects_are_structured(term: str, left_out: str, reason: str) -> None:
    built = design_of(f"y ~ x + {term}", DATA)
    priors = {p.parameter: p.prior for p in default_priors.resolve(built, {})}
    record, table = logo.score(built, any_draws(built, 100), units.of_grouping(DATA.frame, left_out), priors)
    assert record["refused"] == reason
    assert len(table) == 0


@pytest.mark.parametrize("term", [term for term, _, _ in SCORED])
def test_structured_effects_are_given_when_observations_are_left_out(term: str) -> None:
    built = design_of(f"y ~ x + {term}", DATA)
    record, _ = loo.score(built, any_draws(built, 100))
    assert record["estimator"] == loo.CONDITIONAL
    assert record["why_conditional"] == built.group_terms[0].words
    assert nesting.reason_against(built) == built.group_terms[0].words


def test_effects_beside_structured_ones_are_integrated_out() -> None:
    built = design_of("y ~ x + (1 | a) + (1 | gr(g, cov=kin))", DATA)
    draws = any_draws(built, 60)
    record, table = loo.score(built, draws)
    assert record["estimator"] == loo.INTEGRATED
    # By hand: y of a level of a is normal with the effects of g in its mean.
    (level,) = (t for t in built.group_terms if t.group == "a")
    found = integration.integral(built, draws, units.of_term(level))
    (block,) = list(found.blocks(draws))
    for unit, label in enumerate(level.levels):
        rows = np.flatnonzero(level.index == unit)
        for s in range(3):
            one = draws.select(slice(s, s + 1))
            mean = predictor.linear_predictor(built, one, rows)[0] - one.effects[level.key][0, unit, 0]
            covariance = one.sd[level.key][0, 0] ** 2 + one.others["sigma"][0] ** 2 * np.eye(len(rows))
            expected = stats.multivariate_normal(mean, covariance).logpdf(built.y[rows])
            assert block.log_density[s, list(block.units).index(unit)] == pytest.approx(expected, abs=1e-6), label
    assert len(table) == 12


def test_likelihoods_by_quadrature_are_refused() -> None:
    counts = replace(DATA, frame=DATA.frame.assign(k=np.arange(12) % 4))
    built = design_of("k ~ x + (1 | mm(a, b))", counts, "poisson")
    assert quadrature_ml.refusal(built) == (
        "our quadrature is for independent normal effects, and rows belong to several levels of 'a+b'"
    )


def test_a_study_with_structured_terms_is_planned(tmp_path: Path) -> None:
    parents = "id,sire,dam\nA,,\nB,,\nC,A,B\nD,A,C\nE,D,B\nF,D,C\n"
    text = str(small_study.FILES[small_study.STUDY])
    text = text.replace("  filter:", "  covariances: {kin: {pedigree: data/pedigree.csv}}\n  filter:")
    text = text.replace(
        "(1 | school)", "(1 | gr(school, cov = kin)) + (1 | mm(school, region, weights = cbind(1, -1)))"
    )
    text = text.replace("models:\n", "models:\n  by:\n    formula: score ~ hours + (1 | gr(school, by = region))\n", 1)
    made = small_study.made(tmp_path, {small_study.STUDY: text, "data/pedigree.csv": parents})
    assert made["models"]["varying"]["covariances"] == ["cov(kin)"]
    assert made["models"]["varying"]["groups"] == ["school"]
    assert "covariances" not in made["models"]["by"]
    assert "data/pedigree.csv" in rules.raw_tables(made, tmp_path)
    before = made["models"]["varying"]["fingerprint"]
    other = parents.replace("F,D,C", "F,D,B")
    again = small_study.made(tmp_path, {small_study.STUDY: text, "data/pedigree.csv": other})
    assert again["models"]["varying"]["fingerprint"] != before
    assert again["models"]["by"]["fingerprint"] == made["models"]["by"]["fingerprint"]
