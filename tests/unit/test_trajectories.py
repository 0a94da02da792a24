"""Trajectories: times as measured, curves between them, and a new subject whose effects are drawn from their distribution."""

from __future__ import annotations

import re

import numpy as np
import pytest
from fixtures.small_data import curve_of, dataset_of, design_of
from scipy.stats import norm

from multilevel import predictor, trajectories
from multilevel.design import Design
from multilevel.predictor import Draws
from multilevel.trajectories import Followed, along, expected, points, reason_against, shown

# Unbalanced: four subjects with times of their own, the third followed longest, the fourth measured once.
SUBJECT = list("aaabbbccccccd")
AGE = np.array([1.0, 2.0, 4.5, 8.0, 0.5, 3.0, 0.0, 1.0, 2.5, 2.5, 7.0, 9.0, 4.0])
RNG = np.random.default_rng(8)
DATA = dataset_of(
    age=AGE,
    y=10.0 + AGE + RNG.normal(size=13),
    x=np.repeat([1.0, 2.0, 3.0, 4.0], [3, 3, 6, 1]),
    n=np.full(13, 8.0),
    k=np.arange(13.0) % 9,
    subject=SUBJECT,
    item=list("uvuvuvuvuvuvu"),
)
INDEX = np.repeat(np.arange(4), [3, 3, 6, 1])
FOLLOWED = Followed(AGE, INDEX, tuple("abcd"), "patient")
SIZE = 2000


def draws_of(design: Design, b: list[float], sd: dict[str, list[float]], **others: float) -> Draws:
    rng = np.random.default_rng(3)
    effects = {
        t.key: (rng.normal(0.0, 1.0, (SIZE, len(t.levels), len(t.effects))) * 0.3).astype(np.float32)
        for t in design.group_terms
    }
    sds = {t.key: np.tile(sd[t.key], (SIZE, 1)) for t in design.group_terms}
    cor = {t.key: np.full((SIZE, 1), 0.9) for t in design.group_terms if t.correlated}
    values = np.array(b) + rng.normal(0.0, 0.01, (SIZE, len(b)))
    return Draws(1, SIZE, values, effects, {name: np.full(SIZE, value) for name, value in others.items()}, sds, cor)


def test_a_trajectory_goes_from_the_first_time_to_the_last_through_all_that_were_measured() -> None:
    at = points(FOLLOWED, 1)
    assert at.time[0] == 0.5
    assert at.time[-1] == 8.0
    assert {0.5, 3.0, 8.0} <= set(at.time)
    assert len(at.time) >= trajectories.POINTS  # 3.0 may be one of the evenly spaced times
    assert (np.diff(at.time) > 0).all()
    np.testing.assert_allclose(AGE[at.before] * (1 - at.weight) + AGE[at.after] * at.weight, at.time)
    measured = np.isin(at.time, AGE[INDEX == 1])
    assert (at.weight[measured] == 0).all()
    assert (INDEX[at.before] == 1).all()
    assert (INDEX[at.after] == 1).all()


def test_of_two_rows_at_one_time_the_first_is_taken() -> None:
    at = points(FOLLOWED, 2)
    (place,) = np.flatnonzero(at.time == 2.5)
    assert at.before[place] == at.after[place] == 8


def test_a_subject_measured_once_is_one_point() -> None:
    at = points(FOLLOWED, 3)
    assert (at.time.tolist(), at.before.tolist(), at.weight.tolist()) == ([4.0], [12], [0.0])


def test_a_curve_is_exact_between_the_times_measured() -> None:
    design = curve_of("y ~ logistic(age, a, m, s)", DATA, {"a": "1 + (1 | subject)", "m": "1 + x", "s": "1"})
    draws = draws_of(design, [14.0, 2.0, 0.5, 1.5], {"subject__a": [1.0]}, sigma=0.5)
    at = points(FOLLOWED, 0)
    found = predictor.arguments(along(design, at), draws, slice(0, len(at.time)))["eta"]
    a = draws.b[:, [0]] + draws.effects["subject__a"][:, 0]
    m = draws.b[:, [1]] + draws.b[:, [2]] * 1.0
    np.testing.assert_allclose(found, a / (1.0 + np.exp(-(at.time - m) / draws.b[:, [3]])), rtol=1e-6)


def test_a_line_is_exact_between_the_times_measured_and_a_spline_at_them() -> None:
    line = design_of("y ~ age + (1 + age | subject)", DATA)
    draws = draws_of(line, [10.0, 1.0], {"subject": [1.0, 0.2]}, sigma=0.5)
    at = points(FOLLOWED, 2)
    found = predictor.arguments(along(line, at), draws, slice(0, len(at.time)))["eta"]
    effects = draws.effects["subject"][:, 2]
    np.testing.assert_allclose(
        found, draws.b[:, [0]] + effects[:, [0]] + (draws.b[:, [1]] + effects[:, [1]]) * at.time, rtol=1e-6
    )
    spline = design_of("y ~ bs(age, df=4) + (1 | subject)", DATA)
    draws = draws_of(spline, [10.0, 1.0, 2.0, 3.0, 4.0], {"subject": [1.0]}, sigma=0.5)
    own = along(spline, at)
    whole = predictor.arguments(spline, draws, slice(0, len(AGE)))["eta"]
    found = predictor.arguments(own, draws, slice(0, len(at.time)))["eta"]
    measured = np.flatnonzero(at.weight == 0)
    np.testing.assert_allclose(found[:, measured], whole[:, at.before[measured]], rtol=1e-6)


def test_intervals_are_those_of_the_draws_and_of_new_responses() -> None:
    design = design_of("y ~ age + (1 | subject)", DATA)
    draws = draws_of(design, [10.0, 1.0], {"subject": [1.0]}, sigma=2.0)
    table, whole, note = expected(design, draws, FOLLOWED, 11, seed=1)
    fits = table[(table["panel"] == "b") & (table["kind"] == "fit")]
    row = fits[fits["time"] == 3.0].iloc[0]
    eta = predictor.arguments(design, draws, slice(0, 13))["eta"][:, 5]
    np.testing.assert_allclose(
        row[["lower", "median", "upper"]].to_numpy(float), np.quantile(eta, [0.025, 0.5, 0.975]), rtol=1e-9
    )
    # A new response: its sd, 2, and that of the draws together, within the error of 2000 draws.
    half = 1.96 * np.hypot(2.0, eta.std())
    assert row["predicted_upper"] - row["predicted_lower"] == pytest.approx(2 * half, rel=0.08)
    observed = table[(table["panel"] == "b") & (table["kind"] == "observed")]
    assert sorted(zip(observed["time"], observed["value"], strict=True)) == sorted(
        zip(AGE[3:6], DATA.frame["y"][3:6], strict=True)
    )
    assert list(whole["subject"]) == SUBJECT
    np.testing.assert_array_equal(whole["time"], AGE)
    np.testing.assert_allclose(
        whole["median"], np.median(predictor.arguments(design, draws, slice(0, 13))["eta"], axis=0)
    )
    assert note == "The new one has the times and predictors of patient c."


def test_a_new_subject_has_effects_from_their_distribution() -> None:
    """Of intercepts and slopes with correlation 0.9, the sd of a new line at age t is that of u0 + u1 t."""
    design = design_of("y ~ age + (1 + age | subject)", DATA)
    draws = draws_of(design, [10.0, 1.0], {"subject": [2.0, 0.5]}, sigma=1.0)
    table, _, _ = expected(design, draws, FOLLOWED, 11, seed=1)
    new = table[table["panel"] == "new patient"].set_index("time")
    for t in (0.0, 7.0, 9.0):
        sd = np.sqrt(4.0 + 0.25 * t**2 + 2 * 0.9 * 2.0 * 0.5 * t)
        assert new.loc[t, "upper"] - new.loc[t, "lower"] == pytest.approx(2 * norm.ppf(0.975) * sd, rel=0.08)
        assert new.loc[t, "median"] == pytest.approx(10.0 + t, abs=4 * sd / np.sqrt(SIZE))


def test_effects_shared_with_others_stay_those_of_the_data() -> None:
    design = design_of("y ~ age + (1 | subject) + (1 | item)", DATA)
    draws = draws_of(design, [10.0, 1.0], {"subject": [1e-9], "item": [5.0]}, sigma=1.0)
    table, _, _ = expected(design, draws, FOLLOWED, 11, seed=1)
    new = table[table["panel"] == "new patient"].set_index("time")
    # At age 0 the profile, patient c, has item u: its drawn effects are spread by 0.3, not by 5.
    eta = draws.b[:, 0] + draws.effects["item"][:, 0, 0]
    np.testing.assert_allclose(
        new.loc[0.0, ["lower", "upper"]].to_numpy(float), np.quantile(eta, [0.025, 0.975]), rtol=1e-5
    )


def test_where_nothing_varies_or_effects_are_structured_there_is_no_new_subject() -> None:
    same = design_of("y ~ age", DATA)
    table, _, note = expected(same, draws_of(same, [10.0, 1.0], {}, sigma=1.0), FOLLOWED, 11, seed=1)
    assert "new patient" not in set(table["panel"])
    assert note == "Nothing varies between levels of patient, so that a new one is like these."
    heavy = design_of("y ~ age + (1 | gr(subject, dist=student))", DATA)
    draws = draws_of(heavy, [10.0, 1.0], {"subject": [1.0]}, sigma=1.0)
    table, _, note = expected(heavy, draws, FOLLOWED, 11, seed=1)
    assert "new patient" not in set(table["panel"])
    assert note == "No new patient is drawn, because the effects of 'subject' are student-t."


def test_few_of_many_subjects_are_drawn_from_the_lowest_to_the_highest() -> None:
    means = RNG.permutation(60).astype(float)
    data = dataset_of(
        y=np.repeat(means, 2), age=np.tile([1.0, 2.0], 60), g=[f"g{i:02}" for i in np.repeat(np.arange(60), 2)]
    )
    design = design_of("y ~ age + (1 | g)", data)
    followed = Followed(np.tile([1.0, 2.0], 60), np.repeat(np.arange(60), 2), tuple(f"g{i:02}" for i in range(60)), "g")
    chosen = shown(design, followed, 7)
    assert len(chosen) == 7
    assert sorted(means[chosen]) == [0.0, 10.0, 20.0, 30.0, 39.0, 49.0, 59.0]
    draws = draws_of(design, [10.0, 1.0], {"g": [1.0]}, sigma=1.0)
    _, whole, note = expected(design, draws, followed, 7, seed=1)
    assert note.startswith("7 of 60 levels of g are drawn, evenly spaced in order of their mean; the new one has ")
    assert len(whole) == 120


def test_counts_out_of_trials_are_shares() -> None:
    design = design_of("k | trials(n) ~ age + (1 | subject)", DATA, family="binomial")
    table, whole, _ = expected(design, draws_of(design, [0.0, 0.1], {"subject": [1.0]}), FOLLOWED, 11, seed=1)
    fits = table[table["kind"] == "fit"]
    assert fits[["median", "lower", "upper", "predicted_lower", "predicted_upper"]].to_numpy().max() <= 1.0
    np.testing.assert_allclose(whole["observed"], DATA.frame["k"] / 8.0)


def test_draws_at_which_a_curve_is_undefined_are_left_out_and_counted() -> None:
    design = curve_of("y ~ a * (age / s) ^ 1.3", DATA, {"a": "1", "s": "1 + (1 | subject)"})
    draws = draws_of(design, [10.0, 2.0], {"subject__s": [2.0]}, sigma=1.0)
    table, _, note = expected(design, draws, FOLLOWED, 11, seed=1)
    assert table.loc[table["panel"] == "new patient", "upper"].notna().all()
    # A scale of 2 with an sd of 2 is below 0 with probability Phi(-1), 15.9%.
    (share,) = re.findall(r"its curve is undefined in up to (\d+)% of the draws, which are left out", note)
    assert 13 <= int(share) <= 19


def test_what_has_no_mean_has_no_trajectory() -> None:
    ordinal = design_of(
        "k ~ age", dataset_of(k=np.array([1.0, 2.0, 3.0] * 4), age=np.arange(12.0)), family="cumulative"
    )
    assert (
        reason_against(ordinal)
        == "The responses of the family cumulative are categories, which have no mean to follow over time."
    )
    assert reason_against(design_of("y | trunc(lb=0) ~ age", DATA)).startswith("Responses are truncated")
    assert not reason_against(design_of("y ~ age", DATA))
