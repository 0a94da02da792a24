"""The presets are the defaults that brms and rstanarm state themselves: `get_prior` and `prior_summary`, as stored."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fixtures.small_data import dataset_of
from oracle import default_prior_cases

from multilevel import default_priors, design, formula
from multilevel.dataset import Dataset
from multilevel.default_priors import Resolved
from multilevel.design import Design

REFERENCE = Path(__file__).resolve().parents[1] / "oracle" / "reference"
R = json.loads((REFERENCE / "default_priors.json").read_text(encoding="utf-8"))

FAMILIES = {"student": "student_t", "negbinomial": "negative_binomial", "sratio": "sequential"}

CHANGED = {("negbinomial", "shape"): "inverse_gamma(0.4, 0.3)"}
"""What later versions of brms changed; the stored outputs are of 2.18 and say gamma(0.01, 0.01)."""


def data() -> Dataset:
    columns: dict[str, Any] = default_prior_cases.rows()
    return dataset_of(
        **{**columns, "severity": pd.Categorical(columns["severity"], ["low", "middle", "high"], ordered=True)}
    )


def built(case: dict[str, Any], text: str) -> Design:
    spec = {
        "formula": str(formula.parse(text)),
        "family": FAMILIES.get(case["family"], case["family"]),
        "link": case["link"],
        "parameters": {n: t.split("~")[1].strip() for n, t in (case.get("parameters") or {}).items()},
        **({"thresholds": case["threshold"]} if case.get("threshold") else {}),
    }
    return design.build(spec, data())


def name_of(case: dict[str, Any]) -> str:
    more = " ".join((case.get("parameters") or {}).values())
    return f"{case['formula']} {case['family']} {case['link']} {more}".strip()


def test_the_stored_outputs_are_those_of_the_cases() -> None:
    for stored, cases in ((R["brms"], default_prior_cases.BRMS), (R["rstanarm"], default_prior_cases.RSTANARM)):
        assert [{k: v for k, v in case.items() if k != "priors"} for case in stored] == cases
        assert len(cases) >= 10
    assert R["versions"] == {"brms": "2.18.0", "rstanarm": "2.21.3"}


@pytest.mark.parametrize("case", R["brms"], ids=name_of)
def test_the_preset_brms_is_get_prior(case: dict[str, Any]) -> None:
    resolved = default_priors.resolve(built(case, case["formula"]), {}, "brms")
    stated = {(row["class"], row["dpar"]): row for row in case["priors"] if not (row["coef"] or row["group"])}
    used = set()
    for entry in resolved:
        key = class_in_brms(entry.parameter, case)
        assert key in stated, (entry.parameter, key)
        used.add(key)
        text = CHANGED.get((case["family"], key[0])) or stated[key]["prior"]
        same(entry, text, stated[key]["lb"] == "0" and key[0] in {"sd", "sigma", "delta"})
    unsaid = {key for key, row in stated.items() if row["prior"] and key not in used}
    assert not unsaid


def class_in_brms(parameter: str, case: dict[str, Any]) -> tuple[str, str]:
    """Return class and dpar of a parameter: ("sd", "sigma") of ``sd(h: sigma_Intercept)``."""
    others = [*(case.get("parameters") or {}), *(["mucar", "muwalk"] if case["family"] == "categorical" else [])]
    inside = re.split(r"[(:]\s*", parameter)[-1].removesuffix(")")
    dpar = next(
        (o for o in others for written in (o, o.replace("mu", "mu_", 1)) if inside.startswith(f"{written}_")), ""
    )
    kind = re.split(r"[(\[]", parameter)[0]
    return ("Intercept" if kind.endswith("Intercept") else kind), dpar


def same(entry: Resolved, text: str, half: bool) -> None:
    """Compare a prior with what brms writes, which prints numbers with up to 15 digits."""
    if not text:
        assert entry.prior.name == ("half_flat" if half else "flat")
        assert "improper" in entry.note
        return
    name, inside = text.removesuffix(")").split("(")
    numbers = [float(value) for value in inside.split(",")]
    if half:
        assert numbers[1] == 0
        name, numbers = f"half_{name}", [numbers[0], numbers[2]]
    assert entry.prior.name == name.replace("inv_gamma", "inverse_gamma")
    np.testing.assert_allclose(entry.prior.arguments, numbers, rtol=1e-13)


@pytest.mark.parametrize("case", R["rstanarm"], ids=name_of)
def test_the_preset_rstanarm_is_prior_summary(case: dict[str, Any]) -> None:
    text = case["formula"].replace("cbind(successes, n - successes)", "successes | trials(n)")
    found = built(case, text)
    resolved = {entry.parameter: entry for entry in default_priors.resolve(found, {}, "rstanarm")}
    said = case["priors"]
    if said["intercept"]:
        prior = resolved.pop("Intercept").prior
        assert prior.name == said["intercept"]["dist"] == "normal"
        scale = said["intercept"].get("adjusted_scale", said["intercept"]["scale"])
        np.testing.assert_allclose(prior.arguments, [said["intercept"]["location"], scale], rtol=1e-12)
    slopes = [resolved.pop(f"b({c})").prior for c in found.coefficients if c != "Intercept"]
    in_r = [c for c in np.atleast_1d(said["columns"]) if c != "(Intercept)"]
    order = [in_r.index(c.replace("[", "").replace("]", "")) for c in found.coefficients if c != "Intercept"]
    np.testing.assert_allclose(
        [p.arguments[1] for p in slopes], np.atleast_1d(said["b"]["adjusted_scale"])[order], rtol=1e-12
    )
    assert {(p.name, p.arguments[0]) for p in slopes} == {("normal", 0.0)}
    if said["aux"]:
        (name,) = found.scalars
        prior = resolved.pop(name).prior
        assert prior.name == said["aux"]["dist"] == "exponential"
        np.testing.assert_allclose(1 / prior.arguments[0], said["aux"].get("adjusted_scale", 1 / said["aux"]["rate"]))
    for term in found.group_terms:
        prior, stated = resolved.pop(f"cov({term.label})").prior, said["covariance"]
        assert prior.name == stated["dist"] == "decov"
        assert prior.arguments == tuple(stated[k] for k in ("regularization", "concentration", "shape", "scale"))
        assert prior.unit == ("sigma" if case["family"] == "gaussian" else "")
    assert not resolved
