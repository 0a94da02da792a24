"""The equations of a model say at which level each predictor acts."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from fixtures.family_cases import PAIRS
from fixtures.radon import MODELS, radon_design
from fixtures.small_data import dataset_of, design_of, with_reference

from multilevel import equations

ROWS = r"\text{log\_radon}_i \sim \operatorname{Normal}(\eta_i,\ \sigma^2)"
ONE_DEVIATION = r"u_{0,j} \sim \operatorname{Normal}(0,\ \tau_0{}^2)"
TWO_DEVIATIONS = (
    r"\begin{pmatrix} u_{0,j} \\ u_{1,j} \end{pmatrix} \sim "
    r"\operatorname{Normal}\left(\begin{pmatrix} 0 \\ 0 \end{pmatrix},\ "
    r"\begin{pmatrix} \tau_0{}^2 & \rho_{01}\,\tau_0\,\tau_1 \\ \rho_{01}\,\tau_0\,\tau_1 & \tau_1{}^2 \end{pmatrix}\right)"
)
FLOOR = r"\gamma_{\text{floor}}\,\text{floor}_i"
URANIUM = r"\gamma_{\text{log\_uranium}}\,\text{log\_uranium}_j"


@pytest.mark.parametrize(
    ("model", "level_1", "level_2"),
    [
        ("complete_pooling", rf"\eta_i = \gamma_{{0}} + {FLOOR}", []),
        ("no_pooling", rf"\eta_i = \gamma_{{\text{{county}}[i]}} + {FLOOR}", []),
        (
            "varying_intercept",
            rf"\eta_i = \beta_{{0,j[i]}} + {FLOOR}",
            [r"\beta_{0,j} = \gamma_{0} + u_{0,j}", ONE_DEVIATION],
        ),
        # Uranium is measured once for a county: it stands at the level of counties.
        (
            "county_uranium",
            rf"\eta_i = \beta_{{0,j[i]}} + {FLOOR}",
            [rf"\beta_{{0,j}} = \gamma_{{0}} + {URANIUM} + u_{{0,j}}", ONE_DEVIATION],
        ),
        (
            "varying_slope",
            r"\eta_i = \beta_{0,j[i]} + \beta_{1,j[i]}\,\text{floor}_i",
            [
                r"\beta_{0,j} = \gamma_{0} + u_{0,j}",
                r"\beta_{1,j} = \gamma_{\text{floor}} + u_{1,j}",
                TWO_DEVIATIONS,
            ],
        ),
        # The cross-level interaction is what uranium does to a county's floor effect.
        (
            "cross_level",
            r"\eta_i = \beta_{0,j[i]} + \beta_{1,j[i]}\,\text{floor}_i",
            [
                rf"\beta_{{0,j}} = \gamma_{{0}} + {URANIUM} + u_{{0,j}}",
                r"\beta_{1,j} = \gamma_{\text{floor}} + \gamma_{\text{floor:log\_uranium}}\,\text{log\_uranium}_j + u_{1,j}",
                TWO_DEVIATIONS,
            ],
        ),
    ],
)
def test_the_radon_models_stand_as_a_textbook_writes_them(model: str, level_1: str, level_2: list[str]) -> None:
    found = equations.describe(radon_design(model))
    first, *rest = found["levels"]
    assert first == {"level": 1, "title": "Level 1: rows (919)", "latex": [ROWS, level_1]}
    assert [entry["title"] for entry in rest] == (["Level 2: county (85)"] if level_2 else [])
    assert [line for entry in rest for line in entry["latex"]] == level_2


@pytest.mark.parametrize("model", MODELS)
def test_every_coefficient_of_a_model_stands_in_its_equations_once(model: str) -> None:
    design = radon_design(model)
    text = " ".join(line for entry in equations.describe(design)["levels"] for line in entry["latex"])
    gammas = re.findall(r"\\gamma_\{(0|\\text\{[^}]*\})", text)
    assert len(gammas) == len(set(gammas)) == len(dict.fromkeys(design.terms_of))


DATA = dataset_of(
    y=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
    x_1=[1.0, 2.0, 4.0, 3.0, 5.0, 4.0, 3.0, 1.0],
    z=[1.0, 1.0, 2.0, 2.0, 0.0, 0.0, 3.0, 3.0],
    k=with_reference("abcabcab", "a", "b", "c"),
    many=list("abcdeabc"),
    odd=with_reference(["a"] * 4 + ["$_{%}^&#~\\"] * 4, "a", "$_{%}^&#~\\"),
    g=list("ppqqrrss"),
    h=list("uvuvuvvu"),
)


Z = r"\gamma_{\text{z}}\,\text{z}_i"


def lines(text: str) -> list[str]:
    return [line for entry in equations.describe(design_of(text, DATA))["levels"] for line in entry["latex"]]


@pytest.mark.parametrize(
    ("text", "equation"),
    [
        ("y ~ 1", r"\eta_i = \gamma_{0}"),
        ("y ~ 0", r"\eta_i = 0"),
        (
            "y ~ k",
            r"\eta_i = \gamma_{0} + \gamma_{\text{k[b]}}\,\text{k[b]}_i + \gamma_{\text{k[c]}}\,\text{k[c]}_i",
        ),
        ("y ~ many", r"\eta_i = \gamma_{0} + \gamma_{\text{many}[i]}"),
        ("y ~ x_1 + offset(z)", r"\eta_i = \gamma_{0} + \gamma_{\text{x\_1}}\,\text{x\_1}_i + \text{offset}_i"),
        # Without a varying intercept nothing moves up.
        ("y ~ x_1 + z + (0 + x_1 | g)", rf"\eta_i = \beta_{{0,j[i]}}\,\text{{x\_1}}_i + \gamma_{{0}} + {Z}"),
        # Nor where rows belong to two groups.
        ("y ~ 0 + z + (1 | g) + (1 | h)", rf"\eta_i = {Z} + u^{{(1)}}_{{0,j_{{1}}[i]}} + u^{{(2)}}_{{0,j_{{2}}[i]}}"),
        ("y ~ 0 + (1 | g)", r"\eta_i = \beta_{0,j[i]}"),
    ],
)  # fmt: skip
def test_the_linear_predictor_is_written_out(text: str, equation: str) -> None:
    assert lines(text)[1] == equation


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y ~ 0 + (1 | g)", [r"\beta_{0,j} = u_{0,j}"]),
        ("y ~ (1 + x_1 || g)", [r"\beta_{1,j} = u_{1,j}", r"u_{1,j} \sim \operatorname{Normal}(0,\ \tau_1{}^2)"]),
        ("y ~ x_1 * z + (1 + x_1 || g)", [r"\beta_{1,j} = \gamma_{\text{x\_1}} + \gamma_{\text{x\_1:z}}\,\text{z}_j + u_{1,j}"]),
        ("y ~ z * x_1 + (1 + x_1 || g)", [r"\beta_{1,j} = \gamma_{\text{x\_1}} + \gamma_{\text{z:x\_1}}\,\text{z}_j + u_{1,j}"]),
        # An interaction of two predictors of rows is one of rows.
        ("y ~ x_1 * k + (1 | g)", [r"\beta_{0,j} = \gamma_{0} + u_{0,j}"]),
        # Each group's deviations have symbols of their own.
        ("y ~ (1 + x_1 | g) + (1 + x_1 | h)", [r"\rho^{(2)}_{01}\,\tau^{(2)}_0\,\tau^{(2)}_1", r"\tau^{(1)}_0{}^2"]),
    ],
)  # fmt: skip
def test_group_effects_are_written_out(text: str, expected: list[str]) -> None:
    found = lines(text)
    for part in expected:
        assert any(part in line for line in found), (part, found)


def test_names_are_text_whatever_they_hold() -> None:
    text = " ".join(lines("y ~ odd"))
    assert r"\text{odd[\$\_\{\%\}\^{}\&\#\~{} ]}" in text
    without_commands = re.sub(r"\\[a-z]+|\\.", "", text)
    assert not set(without_commands) & set("$%&#~\\")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("y ~ x_1 + k", "y is explained by x_1, k; rows are independent given these"),
        ("y ~ 1", "y has one common mean; rows are independent"),
        ("y ~ 0 + (1 | g)", "y has mean 0; each of the 4 levels of g has its own level"),
        ("y ~ x_1 + (1 + x_1 | g)", "each of the 4 levels of g has its own level and effect of x_1, correlated"),
        ("y ~ x_1 + (1 + x_1 || g)", "its own level and effect of x_1, independent of each other"),
        (
            "y ~ (1 | g) + (1 | h)",
            "each of the 4 levels of g has its own level (levels are exchangeable: each one's effects",
        ),
    ],
)
def test_a_sentence_says_the_same_in_words(text: str, sentence: str) -> None:
    plain: Any = equations.describe(design_of(text, DATA))["plain"]
    assert sentence in plain
    assert plain.endswith(".")


@pytest.mark.parametrize(
    ("text", "family", "parameters", "expected"),
    [
        ("y | se(z + 1) ~ x_1", "gaussian", {}, [r"\text{y}_i \sim \operatorname{Normal}(\eta_i,\ s_i^2)"]),
        ("y | se(z, sigma=true) ~ 1", "gaussian", {}, [r"\operatorname{Normal}(\eta_i,\ \sigma^2 + s_i^2)"]),
        (
            "y ~ x_1 + (1 | p | g)",
            "gaussian",
            {"sigma": "1 + z + (1 | p | g)"},
            [
                r"\text{y}_i \sim \operatorname{Normal}(\eta_i,\ \sigma_i^2)",
                r"\eta_i = \gamma_{0} + \gamma_{\text{x\_1}}\,\text{x\_1}_i + u^{(1)}_{0,j_{1}[i]}",
                r"\log \sigma_i = \delta_{0} + \delta_{\text{z}}\,\text{z}_i + u^{(1)}_{1,j_{1}[i]}",
                r"\rho^{(1)}_{01}\,\tau^{(1)}_0\,\tau^{(1)}_1",
            ],
        ),
        (
            "y | trials(9) ~ x_1",
            "binomial",
            {},
            [r"\operatorname{Binomial}(n_i,\ p_i)", r"\operatorname{logit}(p_i) = \eta_i = \gamma_{0}"],
        ),
    ],
)
def test_other_parameters_and_response_terms_are_written_out(
    text: str, family: str, parameters: dict[str, str], expected: list[str]
) -> None:
    design = design_of(text, DATA, family, **parameters)
    found = [line for entry in equations.describe(design)["levels"] for line in entry["latex"]]
    for part in expected:
        assert any(part in line for line in found), (part, found)


def test_the_sentence_names_the_parameter_that_an_effect_is_on() -> None:
    design = design_of("y ~ (1 | p | g)", DATA, sigma="1 + (1 + z | p | g)")
    assert (
        "its own level and level of sigma and effect of z on sigma, correlated" in equations.describe(design)["plain"]
    )


COUNT = 12
RNG = np.random.default_rng(1)
MANY = dataset_of(
    y=RNG.normal(0.0, 1.0, COUNT), x=RNG.normal(0.0, 1.0, COUNT), waiting=RNG.gamma(2.0, 1.0, COUNT),
    count_=RNG.poisson(2.0, COUNT).astype(float), share=RNG.beta(2.0, 2.0, COUNT), yes=(RNG.random(COUNT) < 0.5).astype(float),
    n=np.full(COUNT, 9.0), s=np.full(COUNT, 0.5), top=20.0 + np.arange(COUNT), g=list("abcd") * 3,
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "family", "parameters", "lines"),
    [
        (
            "count_ ~ x", "negative_binomial", {},
            [r"\text{count\_}_i \sim \operatorname{NegBinomial}(\mu_i,\ \text{shape})", r"\log \mu_i = \eta_i = \gamma_{0} + "],
        ),
        (
            "count_ ~ 1", "zero_inflated_poisson", {"zi": "1 + x"},
            [
                r"\operatorname{ZeroInflatedPoisson}(\mu_i,\ \text{zi}_i)",
                r"\operatorname{logit}(\text{zi}_i) = \delta_{0} + ",
            ],
        ),
        ("yes ~ x", "bernoulli", {}, [r"\operatorname{Bernoulli}(p_i)", r"\operatorname{logit}(p_i) = \eta_i = \gamma_{0}"]),
        ("yes | trials(n) ~ x", "beta_binomial", {}, [r"\operatorname{BetaBinomial}(n_i,\ p_i,\ \phi)"]),
        ("share ~ x", "beta", {"phi": "1 + x"}, [r"\operatorname{Beta}(p_i,\ \phi_i)", r"\log \phi_i = \delta_{0}"]),
        ("y ~ x", "student_t", {"nu": "1 + x"}, [r"(\mu_i,\ \sigma,\ \nu_i)", r"\log(\nu_i - 1) = \delta_{0}"]),
        ("y | se(s) ~ x", "student_t", {}, [r"\operatorname{StudentT}(\mu_i,\ s_i,\ \nu)"]),
        ("y | se(s, sigma=true) ~ x", "student_t", {}, [r"\operatorname{StudentT}(\mu_i,\ \sqrt{\sigma^2 + s_i^2},\ \nu)"]),
        (
            "count_ | trunc(lb=0, ub=top) ~ x", "poisson", {},
            [r"\operatorname{Poisson}(\mu_i),\quad 0 \le \text{count\_}_i \le b_i"],
        ),
        ("y | trunc(ub=9) ~ x", "gaussian", {}, [r"\sigma^2),\quad \text{y}_i \le 9"]),
        ("waiting ~ x", "weibull", {}, [r"\operatorname{Weibull}(\mu_i,\ \text{shape})", r"\log \mu_i = \eta_i"]),
    ],
)  # fmt: skip
def test_every_family_is_written_with_its_parameters_and_links(
    text: str, family: str, parameters: dict[str, str], lines: list[str]
) -> None:
    rows = equations.describe(design_of(text, MANY, family, **parameters))["levels"][0]["latex"]
    for line in lines:
        assert any(line in row for row in rows), (line, rows)


@pytest.mark.parametrize(("family", "link"), PAIRS)
def test_every_family_has_equations_under_every_link(family: str, link: str) -> None:
    from multilevel import design, families

    text = {
        "bernoulli": "yes",
        "beta": "share",
        "zero_one_inflated_beta": "share",
        "gaussian": "y",
        "student_t": "y",
    }.get(family, "count_" if families.get(family).KIND == "discrete" else "waiting")
    built = design.build({"formula": f"{text} ~ 1 + x + (1 | g)", "family": family, "link": link}, MANY)
    latex = " ".join(equations.describe(built)["levels"][0]["latex"])
    assert families.get(family).SYMBOL in latex
    assert latex.count("{") == latex.count("}")
