"""The published ML and REML numbers of the studies against our own fits: every one is reproduced but those that are explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from multilevel import correlated_ml, design, gaussian_ml, plan, preparation, quadrature_ml, replication, strict_yaml
from multilevel.replication import Results

ROOT = Path(__file__).resolve().parents[2]
LISTED = strict_yaml.read(ROOT / "config" / "published.yaml")[0]["studies"]

# What differs in each study; its note in the study file says why.
DIFFERING = {
    "radon": [("cross_level", "sd(county: Intercept)", "0.00"), ("cross_level", "sd(county: floor)", "0.37")],
    "hsb": [
        ("random_coefficient", "var(School: CSES)", "0.68"),
        ("intercepts_and_slopes", "b(MEANSES:CSES)", "1.03"),
        ("intercepts_and_slopes", "var(School: CSES)", "0.15"),
        ("intercepts_and_slopes", "var(sigma)", "36.68"),
        ("unconditional", "Intercept", "0.2443"),
        ("unconditional", "var(School: Intercept)", "8.6097"),
        ("unconditional", "var(sigma)", "39.1487"),
    ],
    "language": [
        ("unconditional", "deviance", "16251.380618"),
        ("random_slope", "b(iqvc)", "2.526371"),
        ("random_slope", "sd(schoolNR: Intercept)", "3.058361"),
        ("random_slope", "sd(schoolNR: iqvc)", ".4583786"),
        ("random_slope", "sigma", "6.440508"),
        ("cross_level", "b(iqvc)", "2.515011"),
        ("cross_level", "b(sesc)", ".2410466"),
        ("cross_level", "b(iqvc:sesc)", "-.0470625"),
        ("cross_level", "var(schoolNR: Intercept)", "8.22376"),
        ("cross_level", "var(schoolNR: iqvc)", ".1489215"),
        ("cross_level", "cov(schoolNR: Intercept, iqvc)", "-.8862652"),
        ("cross_level", "var(sigma)", "41.51683"),
        ("contextual", "var(schoolNR: Intercept)", "7.9177"),
        ("contextual", "cov(schoolNR: Intercept, iqvc)", "-0.8198"),
        ("contextual", "var(schoolNR: iqvc)", "0.1994"),
        ("contextual", "var(sigma)", "41.3525"),
    ],
    "sleepstudy": [
        ("correlated", "sd(Subject: Intercept)", "24.740658"),
        ("correlated", "cov(Subject: Intercept, Days)", "9.6044"),
    ],
    "konstantopoulos": [("three_levels", "log_likelihood", "-7.9587")],
    "contraception": [
        ("intercepts", "b(years)", "-0.0264981"),
        ("intercepts", "b(children[1])", "1.116001"),
        ("intercepts", "b(children[3+])", "1.344031"),
        ("intercepts", "b(children[3+])", "0.17965"),
        ("intercepts", "var(district: Intercept)", "0.215618"),
        ("slopes", "b(town)", "0.8157875"),
        ("slopes", "b(children[3+])", "1.353827"),
    ],
    "cbpp": [],
    "scotssec": [("crossed", "b(sex[F])", ".49851")],
    "twinbmi": [("AE", "var(sigma)", ".1730462")],
    "flatlizards": [],
    "multiple_membership": [],
    "pedigree": [],
    "orthodont": [],
}
COUNTS = {
    "radon": 37,
    "hsb": 60,
    "language": 38,
    "sleepstudy": 36,
    "konstantopoulos": 18,
    "contraception": 31,
    "cbpp": 16,
    "scotssec": 8,
    "twinbmi": 4,
    "flatlizards": 4,
    "multiple_membership": 2,
    "pedigree": 3,
    "orthodont": 30,
}


def made(name: str) -> dict[str, Any]:
    config = plan.read_config(ROOT / "config" / "config.yaml")
    return plan.make(Path("config") / "studies" / f"{name}.yaml", config, ROOT)


def maximum(built: design.Design, estimator: Any) -> gaussian_ml.Maximum:
    if built.family != "gaussian":
        return quadrature_ml.maximise(built)
    fit = correlated_ml.maximise if correlated_ml.applies(built) else gaussian_ml.maximise
    return fit(built, estimator)


def compared(study: dict[str, Any]) -> pd.DataFrame:
    """Return the replication table of a study whose models have not been fitted: what needs no draws."""
    data = preparation.prepare(study["data"], study["drop_missing_in"], ROOT)
    results = {}
    for name in {row["model"] for row in study["published"]}:
        built = design.build(study["models"][name], data)
        wanted = {row["estimator"] for row in study["published"] if row["model"] == name and not row["reason"]}
        maxima = {e: gaussian_ml.as_record(maximum(built, e)) for e in sorted(wanted - {"posterior"})}
        assert all(record["converged"] for record in maxima.values())
        results[name] = Results("not fitted", maxima=maxima)
    return replication.replicate(study["published"], results)


@pytest.mark.parametrize("name", sorted(DIFFERING))
def test_every_number_is_reproduced_but_those_that_are_explained(name: str) -> None:
    study = made(name)
    table = compared(study)
    assert len(table) == COUNTS[name]
    assert set(table["verdict"]) <= {"reproduced", "differs", "not comparable"}
    apart = table[table["verdict"] == "not comparable"]
    assert (apart["reason"].str.len() > 40).all()
    assert set(apart["estimator"]) <= {"laplace", "pql", "other"} or set(apart["statistic"]) == {"se"}
    differing = table[table["verdict"] == "differs"]
    assert list(differing[["model", "quantity", "published"]].itertuples(index=False, name=None)) == DIFFERING[name]
    assert (differing["note"].str.len() > 40).all()


@pytest.mark.parametrize("name", sorted(DIFFERING))
def test_a_study_has_all_that_a_reader_needs(name: str) -> None:
    study = made(name)
    assert all(study[key] for key in ("title", "question", "citation", "description"))
    assert all(model["description"] and model["label"] for model in study["models"].values())
    assert all(comparison["reference"] for comparison in study["comparisons"].values())
    assert not study["warnings"]
    data = preparation.prepare(study["data"], study["drop_missing_in"], ROOT)
    assert all(table["source"] and table["licence"] and table["citation"] for table in data.summary["tables"])


def test_two_codings_of_the_response_give_the_numbers_published_of_each() -> None:
    table = compared(made("radon")).query("quantity == 'Intercept' and statistic == 'estimate'").set_index("model")
    assert table.loc["varying_intercept", "ours"] == pytest.approx(1.4616, abs=5e-5)
    assert table.loc["varying_intercept_plus", "ours"] == pytest.approx(1.4924, abs=5e-5)


def test_every_study_with_published_numbers_is_listed() -> None:
    files = sorted((ROOT / "config" / "studies").glob("*.yaml"))
    publishing = [path for path in files if "published" in strict_yaml.read(path)[0]]
    assert set(LISTED) == {str(path.relative_to(ROOT)) for path in publishing}
    assert [path.stem for path in files if path not in publishing] == ["epil_grid", "insteval"]
    content = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    assert content["studies"] == ["config/studies/radon.yaml"]  # the README's first command stays short


def test_three_formulas_two_families_and_two_sets_of_priors_fit_a_short_file() -> None:
    path = ROOT / "config" / "studies" / "epil_grid.yaml"
    assert len(path.read_text(encoding="utf-8").splitlines()) < 40
    study = made("epil_grid")
    assert len(study["models"]) == 12
    assert not study.get("aliases")
    assert len({model["formula"] for model in study["models"].values()}) == 3
    assert {model["family"] for model in study["models"].values()} == {"poisson", "negative_binomial"}
    sceptical = [name for name in study["models"] if name.endswith("sceptical")]
    assert len(sceptical) == 6
    for name in sceptical:
        given = study["models"][name]["priors"]
        assert given != study["models"][name.removesuffix(".sceptical")]["priors"]
        assert given["b"] == "normal(0, 0.5)"
