"""Designs are the matrices that one would write down by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fixtures.radon import MODELS, radon_data, radon_design
from fixtures.small_data import dataset_of, design_of, with_reference
from scipy.interpolate import BSpline

from multilevel import preflight
from multilevel.design import code_levels
from multilevel.errors import StudyError

X = [1.0, 2.0, 4.0, 7.0, 11.0, 16.0]
Z = [3.0, 1.0, 0.0, -1.0, 2.0, 5.0]
K = ["low", "high", "mid", "low", "high", "mid"]
G = ["b", "a", "b", "c", "a", "c"]
DATA = dataset_of(
    y=[0.5, 1.5, 2.5, 3.5, 4.5, 5.5], x=X, z=Z, k=with_reference(K, "low", "mid", "high"), g=G, n=[10, 9, 10, 2, 9, 2]
)
ONE = [1, 1, 1, 1, 1, 1]
LOW, MID, HIGH = ([int(level == name) for level in K] for name in ("low", "mid", "high"))


def times(*columns: list[float]) -> list[float]:
    return list(np.prod(columns, axis=0))


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("y ~ 1", {"Intercept": ONE}),
        ("y ~ 0 + x", {"x": X}),
        ("y ~ x + z", {"Intercept": ONE, "x": X, "z": Z}),
        ("y ~ x * z", {"Intercept": ONE, "x": X, "z": Z, "x:z": times(X, Z)}),
        ("y ~ x * z - x", {"Intercept": ONE, "z": Z, "x:z": times(X, Z)}),
        ("y ~ (x + z)^2", {"Intercept": ONE, "x": X, "z": Z, "x:z": times(X, Z)}),
        # A factor: contrasts with its first level, which is the reference that the study names.
        ("y ~ k", {"Intercept": ONE, "k[mid]": MID, "k[high]": HIGH}),
        ("y ~ 0 + k", {"k[low]": LOW, "k[mid]": MID, "k[high]": HIGH}),
        ("y ~ 0 + k + x", {"k[low]": LOW, "k[mid]": MID, "k[high]": HIGH, "x": X}),
        (
            "y ~ k * x",
            {
                "Intercept": ONE,
                "k[mid]": MID,
                "k[high]": HIGH,
                "x": X,
                "k[mid]:x": times(MID, X),
                "k[high]:x": times(HIGH, X),
            },
        ),
        (
            "y ~ k:x",
            {"Intercept": ONE, "k[low]:x": times(LOW, X), "k[mid]:x": times(MID, X), "k[high]:x": times(HIGH, X)},
        ),
        ("y ~ log(x) + I(x^2)", {"Intercept": ONE, "log(x)": list(np.log(X)), "I(x ** 2)": times(X, X)}),
        ("y ~ center(x)", {"Intercept": ONE, "center(x)": list(np.array(X) - np.mean(X))}),
        (
            "y ~ scale(x)",
            {"Intercept": ONE, "scale(x)": list((np.array(X) - np.mean(X)) / np.std(X, ddof=1))},
        ),
        # A number as a factor.
        (
            "y ~ C(n)",
            {"Intercept": ONE, "C(n)[9]": [0, 1, 0, 0, 1, 0], "C(n)[10]": [1, 0, 1, 0, 0, 0]},
        ),
        (
            "y ~ C(k, contr.sum)",
            {
                "Intercept": ONE,
                "C(k, contr.sum)[S.low]": list(np.subtract(LOW, HIGH)),
                "C(k, contr.sum)[S.mid]": list(np.subtract(MID, HIGH)),
            },
        ),
        (
            "y ~ C(k, contr.treatment('mid'))",
            {
                "Intercept": ONE,
                "C(k, contr.treatment('mid'))[low]": LOW,
                "C(k, contr.treatment('mid'))[high]": HIGH,
            },
        ),
    ],
)  # fmt: skip
def test_the_fixed_matrix_is_the_one_written_by_hand(text: str, columns: dict[str, list[float]]) -> None:
    design = design_of(text, DATA)
    assert design.coefficients == tuple(columns)
    np.testing.assert_allclose(design.x, np.column_stack(list(columns.values())), rtol=1e-14, atol=1e-15)
    assert design.has_intercept is ("Intercept" in columns)


def test_a_polynomial_is_orthonormal_and_spans_the_powers() -> None:
    design = design_of("y ~ poly(x, 2)", DATA)
    assert design.coefficients == ("Intercept", "poly(x, 2)[1]", "poly(x, 2)[2]")
    made, x = design.x[:, 1:], np.array(X)
    np.testing.assert_allclose(made.T @ made, np.eye(2), atol=1e-13)
    np.testing.assert_allclose(made.sum(axis=0), 0, atol=1e-13)
    powers = np.column_stack([np.ones(6), x, x**2])
    np.testing.assert_allclose(powers @ np.linalg.lstsq(powers, made, rcond=None)[0], made, atol=1e-12)


def test_a_spline_is_the_b_spline_basis_without_its_first_column() -> None:
    x = np.linspace(0.0, 3.0, 25)
    design = design_of("y ~ bs(x, df=5)", dataset_of(y=x, x=x))
    # Five columns of degree 3 without the intercept's: two inner knots, at the thirds.
    knots = np.concatenate([[0.0] * 4, np.quantile(x, [1 / 3, 2 / 3]), [3.0] * 4])
    basis = BSpline.design_matrix(x, knots, 3).toarray()
    np.testing.assert_allclose(design.x[:, 1:], basis[:, 1:], atol=1e-12)


def test_coefficients_know_the_term_they_belong_to() -> None:
    design = design_of("y ~ k * x + poly(z, 2)", DATA)
    assert design.terms_of == ("Intercept", "k", "k", "x", "poly(z, 2)", "poly(z, 2)", "k:x", "k:x")


# Group terms.


@pytest.mark.parametrize(
    ("text", "effects", "correlated"),
    [
        ("y ~ (1 | g)", {"Intercept": ONE}, False),
        ("y ~ (x | g)", {"Intercept": ONE, "x": X}, True),
        ("y ~ (1 + x | g)", {"Intercept": ONE, "x": X}, True),
        ("y ~ (x || g)", {"Intercept": ONE, "x": X}, False),
        ("y ~ (0 + x | g)", {"x": X}, False),
        ("y ~ (1 + x + z | g)", {"Intercept": ONE, "x": X, "z": Z}, True),
        ("y ~ (1 + k | g)", {"Intercept": ONE, "k[mid]": MID, "k[high]": HIGH}, True),
        ("y ~ (0 + k | g)", {"k[low]": LOW, "k[mid]": MID, "k[high]": HIGH}, True),
        ("y ~ (x * z || g)", {"Intercept": ONE, "x": X, "z": Z, "x:z": times(X, Z)}, False),
    ],
)
def test_the_columns_of_a_group_term_are_those_written_by_hand(
    text: str, effects: dict[str, list[float]], correlated: bool
) -> None:
    [term] = design_of(text, DATA).group_terms
    assert term.effects == tuple(effects)
    np.testing.assert_allclose(term.z, np.column_stack(list(effects.values())), rtol=1e-14)
    assert term.correlated is correlated
    assert term.levels == ("a", "b", "c")
    assert [term.levels[i] for i in term.index] == G


def test_the_covariate_of_a_group_term_is_not_centred() -> None:
    [term] = design_of("y ~ x + (1 + x | g)", DATA).group_terms
    assert list(term.z[:, 1]) == X


def test_several_terms_of_a_group_have_keys_of_their_own() -> None:
    terms = design_of("y ~ (1 | g) + (0 + x | g) + (1 | k) + (0 + z | g)", DATA).group_terms
    assert [(t.key, t.group, t.effects) for t in terms] == [
        ("g", "g", ("Intercept",)),
        ("g_2", "g", ("x",)),
        ("k", "k", ("Intercept",)),
        ("g_3", "g", ("z",)),
    ]


def test_a_key_never_takes_the_name_of_another_group() -> None:
    data = dataset_of(y=X, x=X, g=G, g_2=K)
    terms = design_of("y ~ (1 | g) + (0 + x | g) + (1 | g_2)", data).group_terms
    assert [t.key for t in terms] == ["g", "g_3", "g_2"]


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (["b", "a", "b"], ("a", "b")),
        (with_reference(["b", "a", "b"], "b", "a"), ("a", "b")),
        (with_reference(["b", "a", "b"], "c", "b", "a"), ("a", "b")),
        ([10, 9, 10], ("9", "10")),
        ([2.0, 10.0, 2.0], ("2", "10")),
        ([0.5, 0.25, 0.5], ("0.25", "0.5")),
        ([1000001.0, 1000002.0, 1000001.0], ("1000001", "1000002")),
        ([12345678901.0, 12345678902.0, 12345678901.0], ("12345678901", "12345678902")),
        (["10", "9", "10"], ("10", "9")),
        ([True, False, True], ("False", "True")),
    ],
)
def test_levels_that_occur_stand_in_sorted_order_numbers_by_value(values: object, levels: tuple[str, ...]) -> None:
    index, found = code_levels(dataset_of(g=values).frame["g"])
    assert found == levels
    assert [found[i] for i in index] == [
        str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in pd.Series(list(values))
    ]


def test_offsets_are_added_up_and_may_be_any_expression() -> None:
    design = design_of("y ~ x + offset(log(x)) + offset(-(2 * z)) + offset(where(k == 'low', 1, 0))", DATA)
    np.testing.assert_allclose(design.offset, np.log(X) - 2 * np.array(Z) + LOW, rtol=1e-15)
    assert design.coefficients == ("Intercept", "x")


def test_a_design_without_offset_has_zeros() -> None:
    assert not design_of("y ~ x", DATA).offset.any()


def test_a_model_may_have_group_effects_alone() -> None:
    design = design_of("y ~ 0 + (1 | g)", DATA)
    assert design.x.shape == (6, 0)
    assert len(design.group_terms) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("k ~ x", "the column 'k' is text (such as 'low') where numbers are needed"),
        ("y ~ offset(log(z))", "offset(log(z)) is not finite in 2 rows"),
        ("y ~ offset(nothing)", "unknown column 'nothing'"),
        ("y ~ log(k)", "'log(k)' computes with the column 'k', which is text"),
        ("y ~ bs(x, df=1)", "'bs(x, df=1)' needs a df above 3"),
        (
            "y ~ C(k, contr.treatment('none'))",
            "'C(k, contr.treatment('none'))' names the level 'none', which is not in the data",
        ),
        ("y ~ I('a')", "'I('a')' holds the text 'a' where numbers are needed"),
    ],
)
def test_what_cannot_be_built_is_told(text: str, sentence: str) -> None:
    with pytest.raises(StudyError) as caught:
        design_of(text, DATA)
    assert sentence in str(caught.value)


# Checks against the data, before anything is fitted.


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("y ~ x + I(2 * x)", "collinear columns: 'I(2 * x)' can be computed from the columns before; leave one out"),
        ("y ~ k + C(k, contr.sum)", "collinear columns: 'C(k, contr.sum)[S.low]'"),
        ("y ~ one", "the predictor 'one' is constant (1 in every row); leave it out"),
        ("one ~ x", "the response 'one' is constant (1 in all 6 rows), so there is nothing to model"),
        ("y ~ (1 | each)", "the group 'each' has as many levels as rows (6)"),
        ("y ~ (1 | same)", "the group 'same' has one level ('s'), so nothing varies between levels"),
        ("y ~ (0 | g)", "the group term of 'g' has no effects; write (1 | g)"),
    ],
)
def test_what_no_fit_could_mend_is_refused(text: str, problem: str) -> None:
    data = dataset_of(
        **{name: DATA.frame[name].array for name in ("y", "x", "k", "g")},
        one=[1.0] * 6, each=list("abcdef"), same=["s"] * 6,
    )  # fmt: skip
    _, problems, _ = preflight.check("m", {"formula": text, "family": "gaussian"}, data)
    assert len(problems) == 1
    assert str(problems[0]).startswith("models.m.formula: ")
    assert problem in str(problems[0])


def test_few_levels_and_scales_far_apart_are_warned_of() -> None:
    data = dataset_of(y=X, wide=np.array(Z) * 1e6, g=G)
    _, problems, warnings = preflight.check("m", {"formula": "y ~ wide + (1 | g)", "family": "gaussian"}, data)
    assert problems == []
    assert len(warnings) == 2
    assert warnings[0].startswith("Model m: the group 'g' has only 3 levels")
    assert warnings[1].startswith("Model m: the scales of the predictors differ by a factor of")


# The radon study.


@pytest.mark.parametrize("model", MODELS)
def test_the_radon_designs_are_those_made_from_the_frame(model: str) -> None:
    frame, design = radon_data().frame, radon_design(model)
    counties = sorted(frame["county"].astype(str).unique())
    parts = {
        "Intercept": np.ones(919),
        "floor": frame["floor"],
        "log_uranium": frame["log_uranium"],
        "floor:log_uranium": frame["floor"] * frame["log_uranium"],
        **{f"county[{county}]": frame["county"] == county for county in counties},
    }
    assert len(counties) == 85
    np.testing.assert_array_equal(design.x, np.column_stack([np.asarray(parts[c], float) for c in design.coefficients]))
    np.testing.assert_array_equal(design.y, frame[design.response])
    for term in design.group_terms:
        assert list(term.levels) == counties
        np.testing.assert_array_equal(term.z, np.column_stack([np.asarray(parts[e], float) for e in term.effects]))
        assert [term.levels[i] for i in term.index] == list(frame["county"])


def test_the_radon_responses_count_a_measured_zero_as_a_tenth() -> None:
    frame = radon_data().frame
    zero = frame["activity"] == 0
    assert zero.sum() == 3
    assert np.allclose(frame["log_radon"], np.log(frame["activity"].where(~zero, 0.1)), rtol=0, atol=0)
    assert np.allclose(frame["log_uranium"], np.log(frame["uranium_ppm"]), rtol=0, atol=0)


# Groupings of several columns, shared ids, other parameters, what stands beside the response.


def test_the_levels_of_a_crossed_grouping_are_the_combinations_that_occur() -> None:
    data = dataset_of(y=[1.0, 2.0, 3.0, 4.0, 5.0], g=["b", "a", "b", "a", "b"], n=[10, 2, 2, 2, 10])
    [term] = design_of("y ~ (1 | g:n)", data).group_terms
    assert term.levels == ("a:2", "b:2", "b:10")  # in the order of the columns' own levels
    assert [term.levels[i] for i in term.index] == ["b:10", "a:2", "b:2", "a:2", "b:10"]
    assert (term.key, term.label) == ("g__n", "g:n")


def test_a_nested_grouping_is_the_outer_one_and_the_crossed_one() -> None:
    nested, written_out = design_of("y ~ (x | g/k)", DATA), design_of("y ~ (x | g) + (x | g:k)", DATA)
    assert [t.label for t in nested.group_terms] == ["g", "g:k"]
    for one, other in zip(nested.group_terms, written_out.group_terms, strict=True):
        np.testing.assert_array_equal(one.index, other.index)
        np.testing.assert_array_equal(one.z, other.z)
        assert (one.levels, one.effects, one.correlated) == (other.levels, other.effects, other.correlated)


def test_terms_that_share_an_id_are_one_term_across_parameters() -> None:
    design = design_of("y ~ x + (1 + x | p | g)", DATA, sigma="1 + z + (1 | p | g) + (1 | k)")
    joint, other = design.group_terms
    assert joint.effects == ("Intercept", "x", "sigma_Intercept")
    assert joint.parameters == ("mu", "mu", "sigma")
    assert joint.correlated
    np.testing.assert_array_equal(joint.z, np.column_stack([ONE, X, ONE]))
    assert (other.key, other.label, other.effects) == ("k__sigma", "k", ("sigma_Intercept",))
    assert design.all_coefficients == ("Intercept", "x", "sigma_Intercept", "sigma_z")
    assert design.coefficients == ("Intercept", "x")
    assert design.columns_of("sigma") == slice(2, 4)
    assert design.parameters == ("mu", "sigma")
    assert design.scalars == ()


def test_terms_that_share_an_id_within_one_formula_are_correlated() -> None:
    [term] = design_of("y ~ (1 | p | g) + (0 + x | p | g)", DATA).group_terms
    [plain] = design_of("y ~ (1 + x | g)", DATA).group_terms
    assert (term.effects, term.correlated) == (plain.effects, plain.correlated)
    np.testing.assert_array_equal(term.z, plain.z)


def test_an_effect_that_two_terms_of_one_id_hold_is_refused() -> None:
    with pytest.raises(StudyError, match="terms that share an id both hold the effect 'Intercept' of 'g'"):
        design_of("y ~ (1 | p | g) + (1 + x | p | g)", DATA)


def test_known_standard_errors_take_the_place_of_sigma() -> None:
    assert design_of("y | se(x) ~ 1", DATA).parameters == ("mu",)
    assert design_of("y | se(x, sigma=true) ~ 1", DATA).parameters == ("mu", "sigma")
    np.testing.assert_array_equal(design_of("y | se(2 * x) ~ 1", DATA).terms["se"], 2 * np.array(X))


def test_within_and_between_split_a_predictor() -> None:
    data = dataset_of(y=[1.0, 2.0, 3.0, 4.0], x=[1.0, 3.0, 10.0, 20.0], g=["a", "a", "b", "b"])
    design = design_of("y ~ within(x, g) + between(x, g)", data)
    assert design.coefficients == ("Intercept", "within(x, g)", "between(x, g)")
    np.testing.assert_allclose(design.x[:, 1], [-1, 1, -5, 5])
    np.testing.assert_allclose(design.x[:, 2], [-6.5, -6.5, 6.5, 6.5])
    np.testing.assert_allclose(design_of("y ~ group_mean(x, g)", data).x[:, 1], [2, 2, 15, 15])


KINDS = ["none", "left", "right", "interval", "none", "none"]


def test_censoring_is_read_by_name_and_by_code() -> None:
    data = dataset_of(y=X, k=KINDS, c=[0, -1, 1, 2, 0, 0], u=[0.0, 0.0, 0.0, 9.0, 0.0, 0.0])
    by_name, by_code = (design_of(f"y | cens({c}, u) ~ 1", data) for c in "kc")
    np.testing.assert_array_equal(by_name.terms["cens"], [0, -1, 1, 2, 0, 0])
    np.testing.assert_array_equal(by_code.terms["cens"], by_name.terms["cens"])
    assert by_name.terms["cens_upper"][3] == 9.0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("y | weights(z) ~ x", "weights(z) is negative in 1 row (-1 in row 4); a weight counts how often a row stands"),
        ("y | se(z) ~ x", "se(z) is negative in 1 row (-1 in row 4); a standard error cannot be negative"),
        ("y | se(z + 1) ~ x", "se(z + 1) is 0 in row 4, which leaves its response without any error"),
        ("y | weights(0 * x) ~ x", "weights(0 * x) is 0 in every row, so no row counts"),
        ("y | weights(k) ~ x", "weights(k) is text where numbers are needed"),
        ("y | cens(k) ~ x", "cens(k): 'low' is no kind of censoring; choose from none (0), left (-1), right (1), interval (2)"),
        ("y | cens(n) ~ x", "cens(n): '10' is no kind of censoring; choose from none (0), left (-1), right (1), interval (2)"),
        (
            "y | trunc(lb=2, ub=x) ~ 1",
            "trunc(lb=2, ub=x): the bounds of row 1 leave nothing between 2 and 1; lb must be below ub",
        ),
        ("y | trunc(ub=k) ~ x", "trunc(ub=k) is text where numbers are needed"),
        ("y ~ within(k, g)", "'within(k, g)' computes with the column 'k', which is text"),
    ],
)  # fmt: skip
def test_what_cannot_stand_beside_the_response_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(StudyError) as caught:
        design_of(text, DATA)
    assert sentence in str(caught.value)


def test_an_interval_needs_an_upper_end_above_its_start() -> None:
    data = dataset_of(y=X, k=KINDS, u=[9.0, 9.0, 9.0, 7.0, 9.0, 9.0])
    with pytest.raises(StudyError, match=r"cens\(k\) has intervals in 1 rows and no upper end; write cens\(k, upper\)"):
        design_of("y | cens(k) ~ 1", data)
    with pytest.raises(StudyError, match=r"the interval of row 4 ends at 7, not above its start 7"):
        design_of("y | cens(k, u) ~ 1", data)


def test_bounds_are_one_for_each_row_and_every_response_lies_between_them() -> None:
    data = dataset_of(y=[2.0, 3.0, 9.0], u=[5.0, 6.0, 9.0])
    terms = design_of("y | trunc(lb=1, ub=u + 1) ~ 1", data).terms
    np.testing.assert_array_equal(terms["lb"], [1.0] * 3)
    np.testing.assert_array_equal(terms["ub"], [6.0, 7.0, 10.0])
    for text, sentence in (
        ("y | trunc(lb=2.5) ~ 1", "in 1 rows (2 in row 1, below lb = 2.5); truncated values are never observed"),
        ("y | trunc(ub=u - 3) ~ 1", "in 1 rows (9 in row 3, above ub = 6); truncated values are never observed"),
    ):
        with pytest.raises(StudyError) as caught:
            design_of(text, data)
        assert "the response 'y' lies outside the bounds of trunc" in str(caught.value)
        assert sentence in str(caught.value)
