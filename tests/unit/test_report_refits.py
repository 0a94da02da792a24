"""What the report says of a fit that was made twice, and of what the priors predict."""

from __future__ import annotations

import html
from typing import Any

from multilevel.report.sections import models, quality


def attempt(how: str, divergences: int, kept: bool) -> dict[str, Any]:
    why = "7 divergences the first way, 0 the other way"
    ways = {"school": how}
    return {"parameterisation": ways, "target_accept": 0.98, "divergences": divergences, "kept": kept, "why": why}


def test_a_fit_made_twice_is_told_with_both_counts() -> None:
    twice = [attempt("centred", 7, False), attempt("non-centred", 0, True)]
    record: Any = {
        "models": [
            {"label": "Twice", "diagnostics": {"attempts": twice}},
            {"label": "Once", "diagnostics": {"attempts": twice[:1]}},
            {"label": "Failed", "diagnostics": None},
        ]
    }
    (sentence,) = quality.refits(record)
    assert html.unescape(sentence.replace("\\", "")) == (
        "Twice was fitted twice because draws diverged: 7 divergences the first way, 0 the other way. The second fit is shown "
        "(school non-centred; target acceptance 0.98)."
    )


def test_what_priors_predict_stands_beside_the_data() -> None:
    drawn = {
        "quantiles": {"0.05": -20.0, "0.95": 30.0},
        "lowest": 0.0,
        "highest": 4.0,
        "ratio": 12.5,
        "scale": "response",
    }
    flat = {"quantiles": {}, "lowest": 0.0, "highest": 4.0, "ratio": None, "scale": "", "warnings": []}
    fine = {**drawn, "ratio": 3.0, "reason": "", "warnings": [], "factor": 10.0, "most_at_edge": 0.5}
    record: Any = {
        "models": [
            {"label": "Fine", "prior_predictive": fine},
            {"label": "Share", "prior_predictive": {**fine, "ratio": 0.2, "scale": "probability"}},
            {"label": "Wide", "prior_predictive": {**drawn, "reason": "", "warnings": ["the priors are far wider"]}},
            {"label": "Flat", "prior_predictive": {**flat, "reason": "the prior of b is improper"}},
        ]
    }
    text = html.unescape(models.prior_predictions(record).replace("\\", ""))
    for part in (
        "-20 to 30",
        "0 to 4",
        "12 (ranges)",
        "at most 10 ranges wide, and around the median",
        "at most 50 % at 0 or 1",
        "the priors are far wider",
        "not drawn",
        "the prior of b is improper",
    ):
        assert part in text
