"""Models are compared on the same data only, differences carry the error of a paired difference, and weights are the optimum."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from multilevel import comparison
from multilevel.comparison import Candidate, UnequalDataError, compare


def scored(model: str, elpd: Any, status: str = "ok", rows: list[str] | None = None, **fingerprint: Any) -> Candidate:
    """Return a candidate with the given pointwise scores."""
    values = np.asarray(elpd, dtype=float)
    with np.errstate(invalid="ignore"):
        se = float(np.sqrt(len(values) * np.var(values, ddof=1)))
    record = {
        "elpd": float(values.sum()),
        "se": se,
        "p_loo": 2.0,
        "k_max": 0.4,
        "k_threshold": 0.7,
        "k_counts": {"good": len(values), "bad": 0, "very_bad": 0},
        "likelihood": "conditional on the group effects",
        "unit": "observation",
        "fingerprint": {"rows": "r", "response": "y", "n": len(values), "criterion": "loo", **fingerprint},
    }
    ids = rows or [str(i + 1) for i in range(len(values))]
    dic = {"dic": 10.0, "p_d": 2.0, "dic_p_v_dbar": 11.0, "p_v": 3.0}
    return Candidate(model, status, record, pd.DataFrame({"row_id": ids, "elpd": values}), dic)


A = np.array([-1.0, -2.0, -1.5, -0.5])
B = np.array([-1.5, -2.5, -1.0, -1.5])


def test_a_difference_and_its_error_are_those_computed_by_hand() -> None:
    table = compare([scored("b", B), scored("a", A)])
    best, second = table.to_dict("records")
    assert (best["rank"], best["model"], best["elpd"], best["elpd_diff"], best["se_diff"]) == (1, "a", -5.0, 0.0, 0.0)
    assert (second["rank"], second["model"], second["elpd"], second["elpd_diff"]) == (2, "b", -6.5, -1.5)
    # Differences -0.5, -0.5, 0.5, -1: mean -0.375, squared deviations 2 * 0.015625 + 0.765625 + 0.390625 = 1.1875.
    assert second["se_diff"] == pytest.approx(math.sqrt(4 * 1.1875 / 3), rel=1e-15)  # ddof 1
    assert second["p_worse"] == pytest.approx(0.5 * math.erfc(-1.5 / second["se_diff"] / math.sqrt(2)), rel=1e-14)
    assert second["diag_diff"] == "N < 100; |elpd_diff| < 4"


def test_the_table_has_the_same_columns_whatever_the_models() -> None:
    for candidates in ([scored("a", A)], [Candidate("x", "not fitted")], []):
        assert tuple(compare(candidates).columns) == (*comparison.COLUMNS, *comparison.CONDITIONAL_DIC, "note")


@pytest.mark.parametrize(
    ("count", "shift", "flags"),
    [
        (99, 0.0, "N < 100; |elpd_diff| < 4"),
        (99, 1.0, "N < 100"),
        (100, 0.0, "|elpd_diff| < 4"),
        (100, 0.0399, "|elpd_diff| < 4"),
        (100, 0.0401, ""),
    ],
)
def test_a_difference_is_flagged_where_the_normal_approximation_is_poor(count: int, shift: float, flags: str) -> None:
    values = np.linspace(-3, -1, count)
    wobble = np.linspace(-0.1, 0.1, count)  # so that the difference has an error
    table = compare([scored("a", values), scored("b", values - shift - wobble)])
    assert table.loc[table["rank"] == 2, "diag_diff"].item() == flags


def test_dic_and_both_of_its_penalties_stand_in_columns_of_their_own() -> None:
    [row] = compare([scored("a", A)]).to_dict("records")
    assert (row["dic"], row["p_d"], row["dic_p_v"], row["p_v"]) == (10.0, 2.0, 11.0, 3.0)


def test_unreliable_scores_are_counted() -> None:
    candidate = scored("a", A)
    candidate.scores[0]["k_counts"] = {"good": 1, "bad": 2, "very_bad": 1}
    [row] = compare([candidate]).to_dict("records")
    assert (row["k_bad"], row["diag_elpd"]) == (3, "3 k > 0.70")


# Models that must not be compared.


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (scored("b", B, rows=["2", "1", "3", "4"]), "models a and b cannot be compared: the same rows stand in another order"),
        (scored("b", B[:3]), "models a and b cannot be compared: they were scored on 4 and 3 rows"),
        (scored("b", B, rows=["1", "2", "3", "5"]), "they were scored on different rows (only the first has 4)"),
        # As many rows, with the same identifiers, of another response or of other data.
        (
            scored("b", B, scored="weights 1a2b3c4d5e6f"),
            "models a and b cannot be compared: rows are weighted or censored differently (None and weights 1a2b3c4d5e6f)",
        ),
        (scored("b", B, response="log_y"), "models a and b cannot be compared: the response differs (y and log_y)"),
        (scored("b", B, criterion="logo"), "the criteria differ (loo and logo)"),
        (scored("b", B, kind="discrete"), "one response is discrete and the other continuous (None and discrete)"),
    ],
)  # fmt: skip
def test_models_scored_on_other_data_are_refused(other: Candidate, sentence: str) -> None:
    with pytest.raises(UnequalDataError) as caught:
        compare([scored("a", A), other])
    assert sentence in str(caught.value)


def test_rows_of_other_data_are_refused_though_their_identifiers_agree() -> None:
    other = scored("b", B)
    other.scores[0]["fingerprint"]["rows"] = "q"
    with pytest.raises(UnequalDataError, match=r"the rows differ \(r and q\)"):
        compare([scored("a", A), other])


@pytest.mark.parametrize(("key", "value"), [("estimand", "log p(y_j | y_-j)"), ("unit", "county")])
def test_scores_of_different_estimands_are_refused(key: str, value: str) -> None:
    other = scored("b", B)
    other.scores[0][key] = value
    with pytest.raises(UnequalDataError, match=re.escape(f"the other {value}")):
        compare([scored("a", A), other])


# Models that are shown and not ranked.


def test_fits_that_failed_or_do_not_exist_are_shown_and_neither_ranked_nor_weighted() -> None:
    failed = replace(scored("failed", A + 100, status="failed checks"), note="failed: Largest R-hat")
    absent = Candidate("absent", "not fitted", note="see its log")
    table = compare([absent, failed, scored("b", B), scored("a", A)])
    assert list(table["model"]) == ["a", "b", "absent", "failed"]
    assert list(table["status"]) == ["ok", "ok", "not fitted", "failed checks"]
    assert table["rank"].isna().tolist() == [False, False, True, True]
    assert table["weight"].isna().tolist() == [False, False, True, True]
    assert table.loc[table["model"] == "failed", ["elpd_diff", "se_diff", "p_worse"]].isna().all(axis=None)
    assert table.loc[table["model"] == "failed", "elpd"].item() == pytest.approx(395.0)
    assert table.loc[table["model"] == "failed", "note"].item() == "failed: Largest R-hat"
    # The weights are those of the comparison without them.
    alone = compare([scored("b", B), scored("a", A)])
    assert list(table["weight"][:2]) == list(alone["weight"])


@pytest.mark.parametrize(
    ("values", "row"), [([-1.0, -math.inf, -1.0, -1.0], 2), ([-1.0, -1.0, math.nan, -1.0], 3), ([math.inf, *A[1:]], 1)]
)
def test_a_model_without_a_finite_score_is_shown_with_the_reason_and_not_ranked(values: list[float], row: int) -> None:
    odd, sound = scored("b", values), scored("a", A)
    for candidates in ([odd], [odd, sound], [sound, odd]):
        table = compare(candidates)
        told = table[table["model"] == "b"].iloc[0]
        assert (told["status"], told["note"]) == (
            "not scored",
            f"no finite score for row {row}, so its sum means nothing",
        )
        assert table.loc[table["model"] == "b", ["rank", "weight", "elpd_diff"]].isna().all(axis=None)
        assert list(table.loc[table["model"] == "a", "rank"]) == [1] * (len(candidates) - 1)
    assert comparison.differences([sound, odd], "a").empty
    assert comparison.notes(table) == ["1 of 2 candidates could not be scored, and the note says why."]


def test_a_refused_score_is_shown_with_its_reason_and_not_ranked() -> None:
    refused = Candidate("b", "ok", {"refused": "why", "unit": "observation"}, pd.DataFrame({"level": [], "elpd": []}))
    failed = replace(refused, model="c", status="failed checks", note="failed: R-hat")
    table = compare([refused, scored("a", A), failed])
    assert list(table["model"]) == ["a", "b", "c"]
    assert list(table["status"]) == ["ok", "not scored", "failed checks"]
    assert list(table["note"]) == ["", "why", "failed: R-hat; why"]
    assert table["elpd"].isna().tolist() == [False, True, True]


def test_where_groups_are_left_out_units_are_levels_and_no_conditional_dic_stands_beside() -> None:
    def grouped(model: str, values: list[float], levels: list[str]) -> Candidate:
        made = scored(model, values, groups="g")
        record = made.scores[0] | {"unit": "county", "estimand": "log p(y of one county | y of all others)"}
        return replace(made, record=record, pointwise=pd.DataFrame({"level": levels, "elpd": values}))

    first, second = grouped("a", [-4.0, -5.0, -3.0], ["x", "y", "z"]), grouped("b", [-4.5, -5.0, -4.0], ["x", "y", "z"])
    table = compare([first, second])
    assert tuple(table.columns) == (*comparison.COLUMNS, "note")
    assert table.loc[1, "se_diff"] == pytest.approx(
        np.sqrt(3) * np.std([-0.5, 0.0, -1.0], ddof=1)
    )  # 3 groups, whatever rows
    assert list(comparison.differences([first, second], "a").columns) == ["level", "model", "diff"]
    for other, sentence in (
        (grouped("b", [-4.0, -5.0, -3.0], ["x", "z", "y"]), "the same countys stand in another order"),
        (scored("b", A), "one score is county, the other observation"),
    ):
        with pytest.raises(UnequalDataError, match=sentence):
            compare([first, other])
    other = grouped("b", [-4.5, -5.0, -4.0], ["x", "y", "z"])
    other.scores[0]["fingerprint"]["groups"] = "h"
    with pytest.raises(UnequalDataError, match=r"rows belong to other groups \(g and h\)"):
        compare([first, other])


def test_waic_stands_beside_loo_with_the_number_of_its_high_variances() -> None:
    candidate = scored("a", A)
    candidate.scores[0]["waic"] = {"elpd": -5.1, "high_variances": 2}
    [row] = compare([candidate, scored("b", B)]).to_dict("records")[:1]
    assert (row["elpd_waic"], row["waic_high"]) == (-5.1, 2)


def test_a_failed_fit_without_a_finite_score_keeps_no_others_from_being_ranked() -> None:
    failed = scored("failed", [-1.0, -math.inf, -1.0, -1.0], status="failed checks")
    assert compare([failed, scored("a", A)])["rank"].tolist()[0] == 1


def test_a_failed_fit_must_be_of_the_same_data_all_the_same() -> None:
    with pytest.raises(UnequalDataError):
        compare([scored("a", A), scored("b", B, status="failed checks", response="z")])


def test_a_single_model_has_weight_one_and_no_difference() -> None:
    [row] = compare([scored("a", A)]).to_dict("records")
    assert (row["rank"], row["weight"], row["elpd_diff"], row["se_diff"]) == (1, 1.0, 0.0, 0.0)
    assert math.isnan(row["p_worse"])


def test_models_that_tie_share_the_weight_and_stand_in_the_order_of_their_names() -> None:
    table = compare([scored("b", A), scored("a", A)])
    assert list(table["model"]) == ["a", "b"]
    assert list(table["rank"]) == [1, 2]
    assert list(table["weight"]) == [0.5, 0.5]
    assert table["elpd_diff"].tolist() == [0.0, 0.0]
    assert table["se_diff"].tolist() == [0.0, 0.0]
    assert math.isnan(table["p_worse"].iloc[1])


def test_the_order_of_the_candidates_changes_nothing() -> None:
    rng = np.random.default_rng(4)
    candidates = [scored(name, rng.normal(-1, 0.5, 50)) for name in "abcd"]
    one, other = compare(candidates), compare(candidates[::-1])
    assert list(one["model"]) == list(other["model"])
    # The optimiser starts from another corner; its own tolerance on the mean log score is 1e-10.
    np.testing.assert_allclose(one["weight"], other["weight"], atol=1e-4)
    columns = [c for c in comparison.COLUMNS if c not in {"weight", "pseudo_bma"}]
    pd.testing.assert_frame_equal(one[columns], other[columns])


def test_pointwise_differences_are_from_the_best_and_of_ranked_models_only() -> None:
    candidates = [scored("a", A), scored("b", B), scored("c", B, status="failed checks"), Candidate("d", "not fitted")]
    found = comparison.differences(candidates, "a")
    assert set(found["model"]) == {"b"}
    np.testing.assert_array_equal(found["diff"], B - A)
    assert list(found["row_id"]) == ["1", "2", "3", "4"]
    assert comparison.differences(candidates[:1], "a").empty


@pytest.mark.parametrize(("count", "told"), [(11, False), (12, True)])
def test_many_candidates_are_warned_of(count: int, told: bool) -> None:
    table = compare([scored(f"m{i}", A - 0.1 * i) for i in range(count)])
    assert bool(comparison.notes(table)) is told


def test_a_lead_is_called_chance_where_the_best_of_equal_candidates_would_have_it() -> None:
    rng = np.random.default_rng(8)
    equal = [scored(f"m{i:02d}", A + value) for i, value in enumerate(rng.normal(0, 1, 30))]
    [sentence] = comparison.notes(compare(equal))
    assert "so all of its lead may be chance" in sentence
    [sentence] = comparison.notes(compare([*equal, scored("best", A + 20)]))
    assert "may be chance" not in sentence


def test_the_lead_by_chance_is_that_of_the_best_of_equally_good_candidates() -> None:
    # The expected largest of 40 standard normal values is 2.161 (Harter 1961); the rule of thumb is within 5 % of it.
    rng = np.random.default_rng(9)
    expected = np.mean([comparison.lead_by_chance(rng.standard_normal(41))[1] for _ in range(2000)])
    assert expected == pytest.approx(2.161, rel=0.05)
