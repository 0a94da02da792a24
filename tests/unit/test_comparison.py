"""Models are compared on the same data only, differences carry the error of a paired difference, and weights are the optimum."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

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
        assert tuple(compare(candidates).columns) == comparison.COLUMNS


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
        (scored("b", [-1.0, -math.inf, -1.0, -1.0]), "model b has no finite score for row 2, so its sum means nothing"),
        (scored("b", [-1.0, -1.0, math.nan, -1.0]), "model b has no finite score for row 3, so its sum means nothing"),
        (scored("b", [math.inf, -1.0, math.nan, -1.0]), "model b has no finite score for row 1"),
    ],
)  # fmt: skip
def test_models_scored_on_other_data_or_without_a_finite_score_are_refused(other: Candidate, sentence: str) -> None:
    with pytest.raises(UnequalDataError) as caught:
        compare([scored("a", A), other])
    assert sentence in str(caught.value)


def test_rows_of_other_data_are_refused_though_their_identifiers_agree() -> None:
    other = scored("b", B)
    other.scores[0]["fingerprint"]["rows"] = "q"
    with pytest.raises(UnequalDataError, match=r"the rows differ \(r and q\)"):
        compare([scored("a", A), other])


@pytest.mark.parametrize(("key", "value"), [("likelihood", "group effects integrated out"), ("unit", "group")])
def test_scores_of_different_estimands_are_refused(key: str, value: str) -> None:
    other = scored("b", B)
    other.scores[0][key] = value
    with pytest.raises(UnequalDataError, match=f"the other {value}"):
        compare([scored("a", A), other])


def test_a_model_without_a_finite_score_is_refused_also_alone_and_also_first() -> None:
    infinite = scored("a", [-1.0, -math.inf])
    for candidates in ([infinite], [infinite, scored("b", [-1.0, -1.0])]):
        with pytest.raises(UnequalDataError, match="model a has no finite score for row 2"):
            compare(candidates)


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
    columns = [c for c in comparison.COLUMNS if c != "weight"]
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
    assert bool(comparison.notes([scored(f"m{i}", A) for i in range(count)])) is told


# Stacking.


def two_model_optimum(elpd: np.ndarray) -> float:
    """Return the weight of the first of two models by bisection with 60 digits, from the densities themselves."""
    with localcontext() as context:
        context.prec = 60
        first, second = ([Decimal(float(v)).exp() for v in column] for column in elpd.T)

        def slope(weight: Decimal) -> Decimal:
            return sum((a - b) / (weight * a + (1 - weight) * b) for a, b in zip(first, second, strict=True))

        low, high = Decimal(0), Decimal(1)
        if slope(low) <= 0:
            return 0.0
        if slope(high) >= 0:
            return 1.0
        for _ in range(120):
            middle = (low + high) / 2
            low, high = (middle, high) if slope(middle) > 0 else (low, middle)
        return float(low)


def gradients(elpd: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return mean_i p_ik / sum_l w_l p_il for each model, with 60 digits; at the optimum 1 where w > 0, else at most 1."""
    with localcontext() as context:
        context.prec = 60
        density = [[Decimal(float(v)).exp() for v in row] for row in elpd]
        mixtures = [sum(Decimal(float(w)) * p for w, p in zip(weights, row, strict=True)) for row in density]
        return np.array([
            float(sum(row[k] / m for row, m in zip(density, mixtures, strict=True)) / len(density))
            for k in range(elpd.shape[1])
        ])  # fmt: skip


def two_models(seed: int, count: int, below: float, spread: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, spread, (count, 2)) + below


@pytest.mark.parametrize("below", [0.0, -700.0, -746.0, -2000.0, -1e5])
@pytest.mark.parametrize(("seed", "spread"), [(1, 0.3), (2, 2.0), (3, 10.0)])
def test_weights_of_two_models_are_the_optimum_however_small_the_densities(
    below: float, seed: int, spread: float
) -> None:
    elpd = two_models(seed, 40, below, spread)
    # Below exp(-745) a density underflows to 0, and all weights would be equal.
    # The objective is flat at its optimum: what the optimiser leaves of it, 1e-12, is 1e-6 of a weight.
    assert comparison.stack(elpd)[0] == pytest.approx(two_model_optimum(elpd), abs=2e-5)


def test_a_shift_of_all_scores_changes_no_weight() -> None:
    elpd = two_models(7, 60, 0.0, 1.0)
    shifts = np.linspace(-3000, 3000, 60)[:, None]
    np.testing.assert_allclose(comparison.stack(elpd + shifts), comparison.stack(elpd), atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("below", [0.0, -900.0])
def test_weights_of_many_models_are_optimal(seed: int, below: float) -> None:
    rng = np.random.default_rng(seed)
    elpd = rng.normal(-1, 0.6, (80, 6)) + rng.normal(0, 0.2, 6) + below
    weights = comparison.stack(elpd)
    assert weights.sum() == pytest.approx(1.0, abs=1e-15)
    found = gradients(elpd, weights)
    # Each excess is the gain in mean log score from the last bit of weight: 1e-5 of 80 rows is less than 0.001 elpd.
    assert found.max() <= 1 + 1e-5
    np.testing.assert_allclose(found[weights > 0], 1.0, atol=1e-5)


@pytest.mark.parametrize(
    ("elpd", "weights"),
    [
        ([[-1.0, -2.0], [-1.0, -3.0]], [1.0, 0.0]),
        ([[-1.0, -3000.0], [-3000.0, -1.0]], [0.5, 0.5]),
        ([[-1.0, -3000.0], [-1.0, -3000.0], [-3000.0, -1.0]], [2 / 3, 1 / 3]),
        ([[-1e4, -1.0], [-1e4, -1.0]], [0.0, 1.0]),
        ([[-1.0, -1.0, -1.0]], [1 / 3, 1 / 3, 1 / 3]),
        ([[-5.0], [-800.0]], [1.0]),
    ],
)
def test_weights_known_by_reason(elpd: list[list[float]], weights: list[float]) -> None:
    np.testing.assert_allclose(comparison.stack(np.array(elpd)), weights, atol=1e-6)


@settings(max_examples=50)
@given(
    hnp.arrays(
        float, st.tuples(st.integers(2, 30), st.integers(2, 5)), elements=st.floats(-5000, 50, allow_subnormal=False)
    )
)
def test_weights_are_always_a_distribution_that_no_single_model_beats(elpd: np.ndarray) -> None:
    weights = comparison.stack(elpd)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    with np.errstate(divide="ignore"):
        mixture = np.logaddexp.reduce(elpd + np.log(weights), axis=1).sum()
    # Weights below 1e-6 are set to 0, which costs at most 1e-6 in each row that only such a model explains.
    assert mixture >= elpd.sum(axis=0).max() - 1e-3 * len(elpd)
