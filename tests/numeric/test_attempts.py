"""A fit whose draws diverge is made once more, the other way, and both are told; hierarchical centring changes no density."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from fixtures.small_data import dataset_of, design_of

from multilevel import attempts, default_priors, methods, model, sampling
from multilevel.design import Design
from multilevel.methods import sampled

SETTINGS = {"chains": 2, "draws": 300, "tune": 300, "target_accept": 0.9, "max_treedepth": 10}


def schools() -> Design:
    """Eight schools (Rubin 1981): centred, the classic of divergences."""
    data = dataset_of(
        y=np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0]),
        s=np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0]),
        school=list("ABCDEFGH"),
    )
    return design_of("y | se(s) ~ 1 + (1 | school)", data)


def levels() -> Design:
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(6), 5)
    data = dataset_of(
        y=rng.normal(size=30), x=rng.normal(3.0, 1.0, 30), w=rng.normal(size=6)[g], g=[f"g{i}" for i in g]
    )
    return design_of("y ~ x + w + (1 + x | g)", data)


def test_a_fit_that_diverges_is_made_once_more_and_the_better_one_kept() -> None:
    design = schools()
    priors = default_priors.resolve(design, {"sd": "half_cauchy(25)"})
    posterior, _, _, tried = attempts.fit(
        design, True, {**SETTINGS, "draws": 600, "target_accept": 0.6}, 3, 2, sampled.sampling_of(design, priors)
    )
    first, second = tried
    assert first["parameterisation"] == {"school": "centred"}
    assert second["parameterisation"] == {"school": "non-centred"}
    assert first["divergences"] > second["divergences"]
    assert (first["kept"], second["kept"]) == (False, True)
    assert second["target_accept"] == pytest.approx(0.92)
    assert second["seed"] == attempts.second_seed(3) != 3
    assert second["why"] == f"{first['divergences']} divergences the first way, {second['divergences']} the other way"
    assert int(posterior["sample_stats"]["diverging"].sum()) == second["divergences"]


def fake(divergences: list[int], calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    def sample(_: Any, settings: dict[str, Any], seed: int, *__: Any) -> tuple[xr.DataTree, dict[str, float]]:
        calls.append({"seed": seed, **settings})
        diverging = np.arange(10) < divergences[len(calls) - 1]
        return xr.DataTree.from_dict({"sample_stats": xr.Dataset({"diverging": ("draw", diverging)})}), {
            "sample_s": 1.0
        }

    monkeypatch.setattr(sampling, "sample", sample)
    monkeypatch.setattr(sampling, "posterior", lambda trace, _, chosen: ((trace, chosen), {}))


@pytest.mark.parametrize(
    ("divergences", "kept"), [([0], [True]), ([3, 0], [False, True]), ([3, 3], [True, False]), ([3, 5], [True, False])]
)
def test_what_is_kept_and_how_often_it_is_tried(
    divergences: list[int], kept: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []
    fake(divergences, calls, monkeypatch)
    design = schools()
    (_, chosen), _, timings, tried = attempts.fit(
        design, False, SETTINGS, 1, 1, sampled.sampling_of(design, default_priors.resolve(design, {}))
    )
    assert [attempt["kept"] for attempt in tried] == kept
    assert len(calls) == len(kept) == timings["sample_s"]
    assert chosen == {"school": "non-centred" if kept[0] else "centred"}


def test_a_model_without_groups_is_fitted_again_with_smaller_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    fake([5, 0], calls, monkeypatch)
    design = design_of("y ~ x", dataset_of(y=np.arange(9.0), x=np.arange(9.0) ** 2))
    *_, tried = attempts.fit(
        design, False, SETTINGS, 1, 1, sampled.sampling_of(design, default_priors.resolve(design, {}))
    )
    assert [(attempt["divergences"], attempt["kept"]) for attempt in tried] == [(5, False), (0, True)]
    assert tried[1]["why"] == "5 divergences the first way, 0 with smaller steps"
    assert [call["target_accept"] for call in calls] == [0.9, 0.98]


@pytest.mark.parametrize(("divergences", "kept"), [([0], [True]), ([4, 1], [False, True]), ([4, 4], [True, False])])
def test_an_integrated_fit_that_diverges_is_made_again_with_smaller_steps(
    divergences: list[int], kept: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter(divergences)
    run = sampling.run
    targets: list[float] = []

    def diverging(compiled: Any, settings: dict[str, Any], seed: int, cores: int) -> xr.DataTree:
        targets.append(settings["target_accept"])
        trace = run(compiled, settings, seed, cores)
        shape = trace["sample_stats"]["diverging"].shape
        trace["sample_stats"]["diverging"][:] = (np.arange(np.prod(shape)) < next(left)).reshape(shape)
        return trace

    monkeypatch.setattr(sampling, "run", diverging)
    design = schools()
    priors = default_priors.resolve(design, {})
    posterior, _, _, tried = methods.get("integrated").fit(design, priors, {}, SETTINGS, 1, 2)
    assert [attempt["kept"] for attempt in tried] == kept
    assert targets == [0.9, 0.98][: len(kept)]
    assert int(posterior["sample_stats"]["diverging"].sum()) == divergences[kept.index(True)]


def test_hierarchical_centring_is_a_shift_of_the_effects_by_their_means() -> None:
    """Its Jacobian is 1: at effects plus means the density is that of the effects."""
    from pytensor.compile.mode import Mode

    design = levels()
    priors = default_priors.resolve(design, {})
    plain, shifted = (model.build(design, priors, {"g": how}) for how in ("centred", "hierarchical"))
    rng = np.random.default_rng(2)
    point = {name: np.asarray(rng.normal(0, 0.6, np.shape(value))) for name, value in plain.initial_point().items()}
    slopes = dict(zip([design.coefficients[i] for i in design.predictors[0].slopes], point["slopes"], strict=True))
    w = design.x[:, design.coefficients.index("w")]
    means = point["intercept"] + (w[::5] - w.mean()) * slopes["w"]
    other = {name: value for name, value in point.items() if not name.startswith("effects_g")}
    other |= {"level_g_0": point["effects_g_0"] + means, "level_g_1": point["effects_g_1"] + slopes["x"]}
    mode = Mode(linker="py", optimizer=None)
    densities = plain.compile_logp(mode=mode)(point), shifted.compile_logp(mode=mode)(other)
    assert float(densities[0]) == pytest.approx(float(densities[1]), rel=0, abs=1e-8)
