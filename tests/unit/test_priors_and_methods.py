"""Priors, presets and parameterisations where they meet ways of fitting and structured groups: what a plan makes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.small_data import dataset_of, design_of
from scipy import stats

from multilevel import default_priors, nesting, plan, prior_predictive, rules
from multilevel.dataset import Dataset
from multilevel.errors import FormulaError, StudyError
from multilevel.relationships import read_pedigree

RNG = np.random.default_rng(12)
TABLE = "y,x,school,room,other\n" + "".join(
    f"{RNG.normal() + i % 6:.4f},{RNG.normal():.4f},s{i % 6},s{i % 6}r{i // 6 % 3},s{(i + 1 + i // 6 % 4) % 6}\n"
    for i in range(72)
)


def made(folder: Path, models: dict[str, str], defaults: str = "{}") -> dict[str, Any]:
    (folder / "pupils.csv").write_text(TABLE)
    (folder / "config.yaml").write_text("studies: [study.yaml]\n")
    lines = "\n".join(f"  {name}: {{{text}}}" for name, text in models.items())
    (folder / "study.yaml").write_text(
        f"title: t\ndata: {{table: pupils.csv}}\ndefaults: {defaults}\nmodels:\n{lines}\n"
    )
    return plan.make(Path("study.yaml"), plan.read_config(folder / "config.yaml"), folder)


GROUPS = "formula: y ~ x + (1 + x | school)"


@pytest.mark.parametrize(
    ("model", "method"),
    [
        (GROUPS, "integrated"),
        (f"{GROUPS}, priors_preset: brms", "integrated"),
        ("formula: y ~ x, priors_preset: rstanarm", "integrated"),
        (f"{GROUPS}, priors_preset: rstanarm", "sampled"),
        (f"{GROUPS}, priors_preset: rstanarm, priors: {{sd: half_normal(1)}}", "integrated"),
        (f"{GROUPS}, priors: {{'cov(school)': 'inverse_wishart(3, 1)'}}", "sampled"),
        (f"{GROUPS}, priors: {{'precision(school)': 'wishart(3, 1)'}}", "sampled"),
        (f"{GROUPS}, priors: {{'precision(school)': 'gamma(1, 1)', 'var(sigma)': 'gamma(1, 1)'}}", "integrated"),
        (f"{GROUPS}, priors: {{b: 'logistic(0, 1)', sd: 'sqrt_inverse_gamma(1, 1)'}}", "integrated"),
        (f"{GROUPS}, priors_preset: brms, integrate: false", "sampled"),
        ("formula: 'y ~ x + (1 | mm(school, other))', priors_preset: brms", "integrated"),
        ("formula: 'y ~ x + (1 | gr(school, dist=student))', centred: auto", "sampled"),
    ],
)
def test_how_a_model_is_fitted_follows_from_its_priors_too(model: str, method: str, tmp_path: Path) -> None:
    assert made(tmp_path, {"only": model})["models"]["only"]["method"] == method


def test_a_preset_of_the_study_stands_where_a_model_has_none_of_its_own(tmp_path: Path) -> None:
    models = {"a": GROUPS, "b": f"{GROUPS}, priors_preset: brms"}
    found = made(tmp_path, models, "{priors_preset: rstanarm}")["models"]
    assert {name: (model["preset"], model["method"]) for name, model in found.items()} == {
        "a": ("rstanarm", "sampled"),
        "b": ("brms", "integrated"),
    }
    assert "preset" in rules.model_spec(found["a"])


def small() -> Dataset:
    frame = [line.split(",") for line in TABLE.splitlines()[1:]]
    y, x, school, room, other = zip(*frame, strict=True)
    data = dataset_of(
        y=np.array(y, float), x=np.array(x, float), school=[*school], room=[*room], other=[*other],
        arm=["ab"[int(s[1]) % 2] for s in school],
    )  # fmt: skip
    family = read_pedigree("id,sire,dam\ns0,,\ns1,,\ns2,s0,s1\ns3,s0,s2\ns4,,s3\ns5,,\n")
    return replace(data, covariances={"kin": family})


@pytest.mark.parametrize(
    ("preset", "given", "reason"),
    [
        ("", {}, ""),
        ("brms", {}, ""),
        ("rstanarm", {}, "cov(school) has one prior as a whole"),
        ("rstanarm", {"sd": "exponential(1)"}, ""),
        ("", {"cov(school)": "wishart(3, 1)"}, "cov(school) has one prior as a whole"),
        ("", {"precision": "gamma(1, 1)"}, ""),
    ],
)
def test_why_priors_speak_against_integrating(preset: str, given: dict[str, str], reason: str) -> None:
    design = design_of("y ~ x + (1 + x | school)", small())
    priors = {r.parameter: r.prior for r in default_priors.resolve(design, given, preset)}
    assert nesting.reason_against(design, priors) == reason
    assert nesting.reason_against(design) == ""


def test_parameterisations_make_no_other_model_where_effects_are_integrated_out(tmp_path: Path) -> None:
    """Two that differ in it alone are one, and are noted; sampled, they are two."""
    models = {"a": GROUPS, "b": f"{GROUPS}, centred: auto", "c": f"{GROUPS}, centred: {{school: hierarchical}}"}
    noted = [w for w in made(tmp_path, models)["warnings"] if "same" in w]
    assert noted == [
        f"Models a and {other} are the same model under two names; it is fitted once, as a." for other in "bc"
    ]
    sampled = {"a": f"{GROUPS}, integrate: false", "b": f"{GROUPS}, integrate: false, centred: true"}
    assert not [w for w in made(tmp_path, sampled)["warnings"] if "same" in w]


@pytest.mark.parametrize("asked", ["auto", "true", "hierarchical"])
def test_structured_effects_are_one_model_whatever_is_said_of_all_terms(asked: str, tmp_path: Path) -> None:
    own = "formula: 'y ~ x + (1 | gr(school, dist=student))'"
    noted = [w for w in made(tmp_path, {"a": own, "b": f"{own}, centred: {asked}"})["warnings"] if "same" in w]
    assert len(noted) == 1


def test_a_structured_term_that_is_named_cannot_be_centred(tmp_path: Path) -> None:
    with pytest.raises(StudyError) as caught:
        made(tmp_path, {"a": "formula: 'y ~ x + (1 | mm(school, other))', centred: {school+other: true}"})
    assert [str(problem) for problem in caught.value.problems] == [
        (
            "models.a.centred: rows belong to several levels of 'school+other', so they are sampled as standardised offsets; "
            "leave 'school+other' out"
        )
    ]


STRUCTURED = {
    "(1 | mm(school, other))": "rows belong to several levels of 'school+other'",
    "(1 + x | gr(school, cov=kin))": "the levels of 'school' have a known covariance",
    "(1 | gr(school, dist=student))": "the effects of 'school' are student-t",
    "(1 | gr(school, by=arm))": "the effects of 'school' have a covariance for each level of another factor",
}


@pytest.mark.parametrize(("term", "words"), STRUCTURED.items())
def test_presets_of_structured_groups(term: str, words: str) -> None:
    """Of brms every parameter has a default, the degrees of freedom among them; rstanarm has no such groups."""
    design = design_of(f"y ~ x + {term}", small())
    found = {r.parameter: str(r.prior) for r in default_priors.resolve(design, {}, "brms")}
    sds = [name for name in found if name.startswith("sd(")]
    assert len(sds) == sum(len(t.effects) for t in design.group_terms)
    assert {found[name] for name in sds} == {"half_student_t(3, 2.5)"}
    if "dist" in term:
        assert found["df(school)"] == "gamma(2, 0.1)"
    with pytest.raises(FormulaError) as error:
        default_priors.resolve(design, {}, "rstanarm")
    assert str(error.value) == f"the preset rstanarm covers no structured groups, which rstanarm has not: {words}"


def drawn(term: str, **given: str) -> tuple[Any, np.ndarray]:
    """Return a term's levels by name, and its effects drawn from the prior with an sd of 2."""
    design = design_of(f"y ~ x + {term}", small())
    priors = default_priors.resolve(design, {"sd": "uniform(1.99999, 2.00001)", **given})
    found = prior_predictive.draws(design, priors, np.random.default_rng(2), 20_000)
    (own,) = design.group_terms
    return own, found.effects[own.key]


def test_prior_predictive_effects_have_their_known_covariance() -> None:
    term, effects = drawn("(1 + x | gr(school, cov=kin))", cor="lkj(1000000)")
    whole = term.factor.toarray()
    for position in range(2):
        found = np.cov(effects[:, :, position].T)
        np.testing.assert_allclose(found, 4.0 * whole @ whole.T, atol=0.25)
    assert abs(np.corrcoef(effects[:, 2, 0], effects[:, 2, 1])[0, 1]) < 0.03


def test_prior_predictive_effects_are_student_t() -> None:
    _, effects = drawn("(1 + x | gr(school, dist=student))", df="uniform(3.9999, 4.0001)")
    for level, position in ((0, 0), (5, 1)):
        assert stats.kstest(effects[:, level, position] / 2.0, stats.t(4).cdf).pvalue > 1e-3
    # One level's effects share their tails: squares are correlated, though with little of a linear correlation.
    large = np.abs(effects[:, 1]) > 2.0 * stats.t(4).ppf(0.975)
    assert (large[:, 0] & large[:, 1]).mean() > 2.0 * 0.05**2
    assert (large[:, 0] & (np.abs(effects[:, 2, 1]) > 2.0 * stats.t(4).ppf(0.975))).mean() < 1.5 * 0.05**2


@pytest.mark.parametrize("term", STRUCTURED)
def test_the_prior_predictive_gate_takes_structured_groups(term: str) -> None:
    design = design_of(f"y ~ x + {term}", small())
    found = prior_predictive.gate(design, default_priors.resolve(design, {}), 5)
    assert found.quantiles
    assert found.warnings == ()
    (sentence,) = prior_predictive.gate(design, default_priors.resolve(design, {"sd": "half_normal(1000)"}), 5).warnings
    assert sentence.startswith("the priors are far wider than the data")
