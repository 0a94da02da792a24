"""How group effects are sampled: what the study may say, the rule of `auto`, and where hierarchical centring has a mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fixtures.small_data import dataset_of, design_of

from multilevel import parameterisation
from multilevel.dataset import Dataset
from multilevel.errors import FormulaError


def data(levels: int, each: int, tau: float, sigma: float = 1.0) -> Dataset:
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(levels), each)
    x = rng.normal(0.0, 1.0, levels * each)
    effects = tau * rng.standard_normal((levels, 2))
    y = effects[g, 0] + effects[g, 1] * x + sigma * rng.standard_normal(len(g))
    rate = np.exp(1.0 + effects[g, 0])
    return dataset_of(
        y=y,
        x=x,
        w=np.repeat(rng.normal(size=levels), each),
        g=[f"g{i:03}" for i in g],
        h=[f"h{i % 3}" for i in range(len(g))],
        count_=rng.poisson(rate).astype(float),
        yes=(rng.random(len(g)) < 1 / (1 + np.exp(-effects[g, 0]))).astype(float),
    )


def test_a_study_may_say_it_for_all_terms_or_by_term() -> None:
    design = design_of("y ~ x + (1 | g) + (1 | h)", data(10, 6, 1.0))
    assert parameterisation.resolve(design, False) == {"g": "non-centred", "h": "non-centred"}
    assert parameterisation.resolve(design, True) == {"g": "centred", "h": "centred"}
    assert parameterisation.resolve(design, {"g": True}) == {"g": "centred", "h": "non-centred"}
    assert parameterisation.resolve(design, {"h": "hierarchical"}) == {"g": "non-centred", "h": "hierarchical"}


@pytest.mark.parametrize(
    ("formula", "family", "each", "tau", "expected"),
    [
        ("y ~ x + (1 | g)", "gaussian", 50, 1.0, "centred"),
        ("y ~ x + (1 | g)", "gaussian", 3, 0.3, "non-centred"),
        ("y ~ x + (1 + x | g)", "gaussian", 60, 1.0, "centred"),
        ("y ~ x + (1 | g)", "gaussian", 50, 0.0, "non-centred"),
        ("count_ ~ x + (1 | g)", "poisson", 40, 1.0, "centred"),
        ("count_ ~ x + (1 | g)", "poisson", 2, 0.2, "non-centred"),
        ("yes ~ x + (1 | g)", "bernoulli", 80, 1.5, "centred"),
        ("yes ~ x + (1 | g)", "bernoulli", 4, 0.5, "non-centred"),
    ],
)
def test_auto_centres_where_the_data_of_each_level_say_where_its_effect_is(
    formula: str, family: str, each: int, tau: float, expected: str
) -> None:
    design = design_of(formula, data(20, each, tau), family)
    assert parameterisation.resolve(design, "auto") == {"g": expected}


def test_the_share_that_is_kept_is_that_of_a_balanced_one_way_layout() -> None:
    """1 / (1 + n tau^2 / s^2) with the moment estimates of analysis of variance."""
    found = data(20, 8, 0.7)
    design = design_of("y ~ 1 + (1 | g)", found)
    y = found.frame["y"].to_numpy().reshape(20, 8)
    within = y.var(axis=1, ddof=1).mean()
    tau2 = y.mean(axis=1).var(ddof=1) - within / 8
    assert parameterisation.kept(design, design.group_terms[0]) == pytest.approx(1 / (1 + 8 * tau2 / within), rel=1e-9)


def test_auto_of_a_term_stands_where_a_predictor_is_moved() -> None:
    found = data(20, 8, 0.7)
    moved = dataset_of(
        **{c: found.frame[c].to_numpy() + (100 if c == "x" else 0) for c in ("y", "x")}, g=list(found.frame["g"])
    )
    shares = [
        parameterisation.kept(design, design.group_terms[0])
        for design in (design_of("y ~ x + (1 + x | g)", found), design_of("y ~ x + (1 + x | g)", moved))
    ]
    assert shares[0] == pytest.approx(shares[1], rel=1e-6)


def test_predictors_of_levels_are_found() -> None:
    design = design_of("y ~ x + w + (1 | g)", data(10, 6, 1.0))
    assert [design.coefficients[i] for i in parameterisation.of_levels(design.x, design.group_terms[0])] == ["w"]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"school": True}, "the model has no group term 'school'; choose from g"),
        (
            {"g": "hierarchical"},
            (
                "the effects of 'g' have no mean in the model to be centred at: no intercept, no predictor of the levels and no "
                "coefficient of the same name"
            ),
        ),
    ],
)
def test_what_cannot_be_is_told(asked: Any, sentence: str) -> None:
    with pytest.raises(FormulaError) as error:
        parameterisation.resolve(design_of("y ~ 0 + (0 + x | g)", data(10, 6, 1.0)), asked)
    assert str(error.value) == sentence


def structured() -> Dataset:
    rng = np.random.default_rng(6)
    return dataset_of(
        y=rng.normal(size=400),
        x=rng.normal(size=400),
        g=[f"g{i % 8}" for i in range(400)],
        h=[f"h{i % 5}" for i in range(400)],
        k=[f"h{(i + 1 + i // 5 % 4) % 5}" for i in range(400)],
        side=["ab"[i % 8 % 2] for i in range(400)],
    )


def test_the_other_way_changes_every_term_that_has_one() -> None:
    design = design_of("y ~ x + (1 | g) + (1 | h) + (1 | k) + (0 + x | gr(g, dist = student))", structured())
    keys = [term.key for term in design.group_terms]
    chosen = dict(zip(keys, ["centred", "non-centred", "hierarchical", "non-centred"], strict=True))
    found = parameterisation.other_way(design, chosen)
    assert list(found.values()) == ["non-centred", "centred", "non-centred", "non-centred"]


STRUCTURED = ["(1 | gr(g, dist = student))", "(1 | mm(h, k))", "(1 + x | gr(g, by = side))"]


@pytest.mark.parametrize("term", STRUCTURED)
@pytest.mark.parametrize("asked", [True, False, "auto", "hierarchical"])
def test_effects_of_structured_groups_are_offsets_whatever_is_said_of_all_terms(term: str, asked: bool | str) -> None:
    design = design_of(f"y ~ x + {term} + (1 | h)", structured())
    found = parameterisation.resolve(design, asked)
    own = {t.key for t in design.group_terms if not t.exchangeable}
    assert own
    assert {found[key] for key in own} == {"non-centred"}
    if isinstance(asked, bool):
        assert parameterisation.how(design, asked) == found
        assert found["h"] == ("centred" if asked else "non-centred")


@pytest.mark.parametrize(
    ("term", "label", "said"),
    [
        (STRUCTURED[0], "g", "the effects of 'g' are student-t"),
        (STRUCTURED[1], "h+k", "rows belong to several levels of 'h+k'"),
        (STRUCTURED[2], "g", "the effects of 'g' have a covariance for each level of another factor"),
    ],
)
def test_a_structured_group_that_is_named_cannot_be_centred(term: str, label: str, said: str) -> None:
    design = design_of(f"y ~ x + {term}", structured())
    for asked in (False, "auto"):
        assert set(parameterisation.resolve(design, {label: asked}).values()) == {"non-centred"}
    for asked in (True, "hierarchical"):
        with pytest.raises(FormulaError) as error:
            parameterisation.resolve(design, {label: asked})
        assert str(error.value) == f"{said}, so they are sampled as standardised offsets; leave '{label}' out"
