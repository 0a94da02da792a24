"""Leave-future-out agrees with what no Monte Carlo is in: evidences on a grid, whose differences are the scores.

With Z_i = p(y at the first i times), log p(y at time i + 1 | y before it) = log Z_{i+1} - log Z_i. Some groups first appear
at a later time. In the first part draws are independent and exact, so that nothing but the score is under test; in the
second the model is fitted, by every way of fitting, as a job does it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures import exact_posteriors as exact
from fixtures.small_data import dataset_of, design_of
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from multilevel import default_priors, refits, units
from multilevel.design import Design
from multilevel.errors import FitError
from multilevel.predictor import Draws
from multilevel.scores import lfo
from multilevel.scores.lfo import Fitted, Settings

SIZE = 8000
PRIORS = {"Intercept": "normal(0, 3)", "sd(g)": "exponential(1)", "sigma": "exponential(1)"}
EVERY_TIME = -9.0
"""A Pareto k that every other is above."""
SAMPLER = {"chains": 4, "draws": 2000, "tune": 1000, "target_accept": 0.95, "max_treedepth": 10}
FAMILIES = {"gaussian": exact.NORMAL, "poisson": exact.POISSON, "bernoulli": exact.BERNOULLI}
NOTHING: dict[str, Any] = {"passed": True, "failed": []}


@dataclass(frozen=True)
class Panel:
    """Rows ``y ~ p(mu + tau z_j)`` of groups at times 0, 1, ..., with mu ~ normal(0, 3) and exponential(1) tau and sigma."""

    family: str
    y: np.ndarray
    group: np.ndarray
    time: np.ndarray
    axes: tuple[np.ndarray, ...]

    @property
    def times(self) -> int:
        return int(self.time.max()) + 1

    @property
    def units(self) -> units.Units:
        return units.Units("day", tuple(str(t) for t in range(self.times)), self.time.astype(np.int64))

    def design(self) -> Design:
        return design_of("y ~ 1 + (1 | g)", dataset_of(y=self.y, g=[f"{j:02d}" for j in self.group]), self.family)

    def log_joint(self, points: np.ndarray, seen: int) -> np.ndarray:
        """Return log p(mu, log tau, log sigma) + log p(y at the first times | them), group by group."""
        total = exact._weak(*points.T) if self.family == "gaussian" else exact._weak(points[:, 0], points[:, 1], 0.0)
        for j in np.unique(self.group):
            y = self.y[(self.group == j) & (self.time < seen)]
            if len(y):
                total = total + (self._normal(points, y) if self.family == "gaussian" else self._by_z(points, y))
        return np.asarray(total)

    def _normal(self, points: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the log density of exchangeable normal values, in closed form."""
        n, mu, tau2, sigma2 = len(y), points[:, 0], np.exp(2 * points[:, 1]), np.exp(2 * points[:, 2])
        within, between = np.square(y - y.mean()).sum(), n * np.square(y.mean() - mu)
        of_mean = sigma2 + n * tau2
        logs = n * np.log(2 * np.pi) + (n - 1) * np.log(sigma2) + np.log(of_mean)
        return -0.5 * (logs + within / sigma2 + between / of_mean)

    def _by_z(self, points: np.ndarray, y: np.ndarray) -> np.ndarray:
        z = np.linspace(-7.0, 7.0, 121)
        eta = points[:, :1] + np.exp(points[:, 1:2]) * z
        values = sum(FAMILIES[self.family].log_density(value, eta, 0.0) for value in y)
        return logsumexp(values + norm.logpdf(z) + np.log(z[1] - z[0]), axis=1)

    def grid(self, seen: int) -> tuple[np.ndarray, np.ndarray]:
        points = np.stack([a.ravel() for a in np.meshgrid(*self.axes, indexing="ij")], axis=1)
        return points, self.log_joint(points, seen)

    def elpd(self, after: int, steps: int = 1) -> np.ndarray:
        z = {seen: logsumexp(self.grid(seen)[1]) for seen in range(after, self.times + 1)}
        return np.array([z[seen + steps] - z[seen] for seen in range(after, self.times - steps + 1)])

    def drawn(self, seen: int) -> Draws:
        """Return independent draws of the posterior given the first times; effects are not a number: no use is made of them."""
        rng, (points, joint) = np.random.default_rng(seen), self.grid(seen)
        kept = joint > joint.max() - 25
        found = exact._independent(
            rng, (points[kept], joint[kept], None), self.axes, SIZE, lambda at: self.log_joint(at, seen)
        )
        groups = len(np.unique(self.group))
        others = {"sigma": np.exp(found[:, 2])} if self.family == "gaussian" else {}
        effects = {"g": np.full((SIZE, groups, 1), np.nan, np.float32)}
        return Draws(4, SIZE // 4, found[:, :1], effects, others, {"g": np.exp(found[:, 1:2])})


@cache
def panel(name: str) -> Panel:
    """10 groups, of which three, more unlike the others, appear at day 3; 6 days. In `surprise`, noise is then threefold."""
    family = "gaussian" if name == "surprise" else name
    rng = np.random.default_rng(21)
    group, time = (part.ravel() for part in np.meshgrid(np.arange(10), np.arange(6), indexing="ij"))
    kept = ~((group >= 7) & (time < 3))
    group, time = group[kept], time[kept]
    effect = rng.normal(size=10) * np.where(np.arange(10) >= 7, 2.0, 0.7)
    if family == "gaussian":
        noise = np.where((time >= 3) & (name == "surprise"), 1.8, 0.6)
        y = 0.5 + effect[group] + noise * rng.normal(size=len(group))
        axes = (np.linspace(-3.0, 3.5, 53), np.linspace(-5.0, 1.8, 69), np.linspace(-1.6, 0.8, 49))
    elif family == "poisson":
        y = rng.poisson(np.exp(0.6 + 0.6 * effect[group])).astype(float)
        axes = (np.linspace(-2.0, 3.2, 61), np.linspace(-6.0, 1.6, 71))
    else:
        y = (rng.random(len(group)) < 1 / (1 + np.exp(-effect[group]))).astype(float)
        axes = (np.linspace(-4.0, 4.0, 61), np.linspace(-6.0, 2.4, 71))
    return Panel(family, y, group, time, axes)


@cache
def truth(family: str, after: int, steps: int = 1) -> np.ndarray:
    return panel(family).elpd(after, steps)


@cache
def independent_fit(family: str, seen: int) -> Fitted:
    return Fitted(panel(family).drawn(seen), NOTHING)


def independent(family: str) -> Callable[[int], Fitted]:
    """Fit by exact, independent draws."""
    return lambda seen: independent_fit(family, seen)


def close(table: Any, record: dict[str, Any], elpd: np.ndarray, least: float = 0.0) -> None:
    """Every value within 4 of its Monte Carlo errors of the truth, and the total too."""
    off = table["elpd"].to_numpy() - elpd
    assert (np.abs(off) < 4 * np.maximum(table["mcse"], least)).all(), (off, table)
    assert abs(record["elpd"] - elpd.sum()) < 4 * max(record["mcse"], least)


# -- exact draws -------------------------------------------------------------------------------------------------------


def test_the_evidence_does_not_depend_on_the_grid() -> None:
    for family in FAMILIES:
        coarse = replace(panel(family), axes=tuple(a[::2] for a in panel(family).axes))
        np.testing.assert_allclose(coarse.elpd(2), truth(family, 2), atol=5e-3)


@pytest.mark.parametrize("family", ["gaussian", "poisson", "bernoulli"])
def test_reweighted_and_refitted_draws_agree_with_the_evidence(family: str) -> None:
    one, fit = panel(family), independent(family)
    record, table = lfo.score(one.design(), one.units, Settings(2), fit)
    close(table, record, truth(family, 2))
    # Refitting at every time, the score is that of exact refits.
    exactly, each = lfo.score(one.design(), one.units, Settings(2, pareto_k=EVERY_TIME), fit)
    close(each, exactly, truth(family, 2))
    assert len(record["fits"]) < len(exactly["fits"]) == len(each) == 4
    # What one draws' noise explains is small enough for an error in the algorithm to show.
    assert record["mcse"] < 0.2
    assert list(table["level"]) == ["2", "3", "4", "5"]
    assert list(table["rows"]) == [7, 10, 10, 10]


def test_a_surprise_makes_k_high_and_the_model_is_fitted_anew() -> None:
    one = panel("surprise")
    record, table = lfo.score(one.design(), one.units, Settings(3), independent("surprise"))
    refitted = table[table["refit"]]
    assert len(refitted) >= 1
    assert (refitted["pareto_k_before"] > 0.7).all()
    assert (refitted["pareto_k"] == 0).all()
    assert (table["pareto_k"] <= record["k_threshold"]).all()
    assert record["k_threshold"] == 0.7
    assert record["refits"] == len(refitted) == len(record["fits"]) - 1
    assert record["k_max_before_refits"] == refitted["pareto_k_before"].max()
    assert list(table.loc[table["estimator"] == lfo.EXACT, "fit_to"]) == [fit["to"] for fit in record["fits"]]
    close(table, record, truth("surprise", 3))


def test_several_times_ahead_are_predicted_jointly() -> None:
    one = panel("gaussian")
    record, table = lfo.score(one.design(), one.units, Settings(2, steps=3), independent("gaussian"))
    assert list(table["level"]) == ["2 to 4", "3 to 5"]
    assert list(table["rows"]) == [27, 30]
    close(table, record, truth("gaussian", 2, 3))
    # A joint density is the product of the conditional ones.
    np.testing.assert_allclose(truth("gaussian", 2, 3)[0], truth("gaussian", 2)[:3].sum(), atol=1e-9)


def test_what_later_rows_say_of_a_group_is_not_used() -> None:
    one = panel("gaussian")
    changed = replace(one, y=np.where(one.time == 5, one.y + 50.0, one.y))
    before = lfo.score(one.design(), one.units, Settings(2), independent("gaussian"))[1]
    after = lfo.score(changed.design(), one.units, Settings(2), independent("gaussian"))[1]
    np.testing.assert_array_equal(before["elpd"][:3], after["elpd"][:3])
    assert after["elpd"][3] < before["elpd"][3] - 100


def test_too_many_fits_stop_with_a_sentence() -> None:
    one = panel("gaussian")
    said = (
        r"2 fits are made, as many as 'most_refits' allows, and the Pareto k of day 4 is [-0-9.]+, so that one more is needed; "
        r"raise 'most_refits' of the study file \(no more than 4 are ever needed\). The fits made are kept"
    )
    with pytest.raises(FitError, match=said):
        lfo.score(one.design(), one.units, Settings(2, pareto_k=EVERY_TIME, most_refits=2), independent("gaussian"))


def test_a_fit_that_failed_its_checks_makes_the_score_unreliable() -> None:
    one, fit = panel("gaussian"), independent("gaussian")

    def failing(seen: int) -> Fitted:
        return replace(fit(seen), record={"passed": seen > 2, "failed": [] if seen > 2 else ["Divergent transitions"]})

    record, _ = lfo.score(one.design(), one.units, Settings(2), failing)
    assert record["unreliable"] == "failed checks of the fit to the rows up to day 1 (Divergent transitions)"
    assert any("1 of " in warning for warning in record["warnings"])


# -- what is integrated out and what is given --------------------------------------------------------------------------


def crossed() -> tuple[Design, units.Units, Draws]:
    """Subjects crossed with items; at first, each item is seen in one subject only."""
    rng = np.random.default_rng(5)
    subject = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 3, 3])
    item = np.array([0, 1, 2, 1, 2, 0, 2, 0, 1, 0, 3])
    day = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3])
    data = dataset_of(y=rng.normal(size=11), s=[f"s{i}" for i in subject], i=[f"i{i}" for i in item], day=day)
    design = design_of("y ~ 1 + (1 | s) + (1 | i)", data)
    size = 40
    effects = {"s": rng.normal(size=(size, 4, 1)), "i": rng.normal(size=(size, 4, 1))}
    draws = Draws(
        4, 10, rng.normal(size=(size, 1)), {k: v.astype(np.float32) for k, v in effects.items()},
        {"sigma": rng.uniform(0.5, 1, size)}, {k: rng.uniform(0.5, 2, (size, 1)) for k in effects},
    )  # fmt: skip
    return design, units.of_time(data.frame, "day"), draws


def test_of_crossed_groups_the_same_effects_are_integrated_out_at_all_times() -> None:
    """Item 3 is only ever seen in one subject, and items 0 to 2 are so at first: all items are given, at every time."""
    design, times, draws = crossed()
    split = lfo.Split.of(design)
    assert (split.key, split.conditioned) == ("s", ("i",))
    since = lfo._Since.of(design, times, split, 1, draws, Settings(1), 3)
    subject, item = (term.index for term in design.group_terms)
    for seen in (1, 2, 3, 4):
        rows = times.index < seen
        for s in range(draws.size):
            mean = draws.b[s, 0] + draws.effects["i"][s, item[rows], 0]
            same = subject[rows][:, None] == subject[rows]
            covariance = draws.sd["s"][s, 0] ** 2 * same + draws.others["sigma"][s] ** 2 * np.eye(rows.sum())
            wanted = multivariate_normal(mean, covariance).logpdf(design.y[rows])
            assert since.log_density(seen)[s] == pytest.approx(wanted, abs=1e-6)
    assert since.likelihood == "integrated out by closed form: the effects of s; given the effects of i"


def test_structured_effects_are_given_as_the_fit_drew_them() -> None:
    design, times, draws = crossed()
    terms = tuple(replace(t, dist="student") for t in design.group_terms)
    design = replace(design, group_terms=terms)
    since = lfo._Since.of(design, times, lfo.Split.of(design), 1, draws, Settings(1), 3)
    subject, item = (term.index for term in terms)
    mean = draws.b + draws.effects["s"][:, subject, 0] + draws.effects["i"][:, item, 0]
    of_rows = norm.logpdf(design.y, mean, draws.others["sigma"][:, None])
    for seen in (2, 3, 4):
        later = (times.index >= 1) & (times.index < seen)
        found = since.log_density(seen) - since.log_density(1)
        np.testing.assert_allclose(found, of_rows[:, later].sum(axis=1), atol=1e-6)
    assert since.likelihood == "given the group effects; the effects of 's' are student-t"


def test_nested_groups_are_integrated_out_whole() -> None:
    data = dataset_of(
        y=np.arange(8.0), s=list("aaaabbbb"), c=["a1", "a1", "a2", "a2", "b1", "b1", "b2", "b2"], day=[0, 1, 0, 1] * 2
    )
    split = lfo.Split.of(design_of("y ~ 1 + (1 | s) + (1 | c)", data))
    assert (split.key, split.conditioned) == ("s", ())


# -- fits --------------------------------------------------------------------------------------------------------------


def fitting(
    folder: Path, family: str, method: str, code: str = "code"
) -> tuple[refits.Refits, Callable[[int], Fitted]]:
    design = panel(family).design()
    given = {k: v for k, v in PRIORS.items() if k != "sigma" or family == "gaussian"}
    identity = {"model": {"centred": False}, "method": method, "sampler": SAMPLER, "seed": 3}
    made = refits.Refits(design, default_priors.resolve(design, given), identity, code, 1, folder)
    return made, lambda seen: Fitted(made.fit(panel(family).time < seen).draws, NOTHING)


@pytest.mark.parametrize(
    ("family", "method"),
    [("gaussian", "integrated"), ("gaussian", "sampled"), pytest.param("poisson", "sampled", marks=pytest.mark.slow)],
)
def test_fits_to_earlier_rows_agree_with_the_evidence(tmp_path: Path, family: str, method: str) -> None:
    """Sampled fits share one compiled model, of which rows are switched off; groups without rows are drawn from the prior."""
    one = panel(family)
    made, fit = fitting(tmp_path, family, method)
    for highest, fits in ((0.7, 1), (EVERY_TIME, 4)):
        record, table = lfo.score(one.design(), one.units, Settings(2, pareto_k=highest), fit)
        close(table, record, truth(family, 2))
        assert len(list(tmp_path.rglob("*.nc"))) == len(record["fits"]) >= fits
    assert len(made.compiled) <= (2 if method == "sampled" else 0)


def test_unseen_rows_say_nothing_and_unseen_groups_follow_their_prior(tmp_path: Path) -> None:
    one = panel("gaussian")
    made, _ = fitting(tmp_path, "gaussian", "sampled")
    few = made.fit(one.time < 2).draws
    late = few.effects["g"][:, 7:, 0] / few.sd["g"]
    np.testing.assert_allclose(late.mean(axis=0), 0.0, atol=0.08)
    np.testing.assert_allclose(late.std(axis=0), 1.0, atol=0.05)
    assert abs(np.corrcoef(late.T) - np.eye(3)).max() < 0.08
    other, _ = fitting(tmp_path / "other", "gaussian", "integrated")
    closed = other.fit(one.time < 2).draws
    for name in ("sigma", "sd"):
        a, b = (d.others["sigma"] if name == "sigma" else d.sd["g"][:, 0] for d in (few, closed))
        assert abs(np.log(a).mean() - np.log(b).mean()) < 0.06
    assert abs(few.b.mean() - closed.b.mean()) < 0.06


def test_a_kept_fit_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = panel("gaussian")
    first = fitting(tmp_path, "gaussian", "integrated")[0].fit(one.time < 3)
    monkeypatch.setattr(refits.Refits, "_integrated", lambda *_: pytest.fail("fitted again"))
    again, fit = fitting(tmp_path, "gaussian", "integrated")
    np.testing.assert_array_equal(fit(3).draws.b, first.draws.b)
    stale = tmp_path / "0123456789abcdef" / "stale.nc"
    stale.parent.mkdir()
    stale.write_text("")
    again.forget_others()
    assert list(tmp_path.rglob("*.nc")) == [first.path]
    for changed in (fitting(tmp_path, "gaussian", "integrated", "new code")[0], again):
        rows = one.time < (3 if changed is not again else 4)
        with pytest.raises(pytest.fail.Exception, match="fitted again"):
            changed.fit(rows)


def test_a_coefficient_that_earlier_rows_say_nothing_of_follows_its_prior(tmp_path: Path) -> None:
    """Then X has columns of zeros at first, and the fit is sampled; with a flat prior it is refused."""
    rng = np.random.default_rng(2)
    day = np.repeat(np.arange(4), 10)
    data = dataset_of(y=rng.normal(size=40), day=day, era=["old" if t < 3 else "new" for t in day])
    design = design_of("y ~ 0 + era", data)
    priors = default_priors.resolve(design, {"b": "normal(0.5, 2)"})
    identity = {"model": {"centred": False}, "method": "integrated", "sampler": SAMPLER, "seed": 3}
    made = refits.Refits(design, priors, identity, "code", 1, tmp_path)
    found = made.fit(day < 3)
    new = found.draws.b[:, design.coefficients.index("era[new]")]
    assert found.method == "sampled"
    assert abs(new.mean() - 0.5) < 0.15
    assert abs(new.std() - 2.0) < 0.15
    assert made.fit(day < 4).method == "integrated"
    flat = dict.fromkeys(design.coefficients, True)
    said = "the rows that are seen at first say nothing of 'era[new]', whose prior is flat"
    assert lfo.improper_before(design, day < 3, flat) == said
    assert lfo.improper_before(design, day < 4, flat) == ""
    assert lfo.improper_before(design, day < 3, {}) == ""


@pytest.mark.parametrize("method", ["integrated", "sampled"])
def test_a_fit_to_some_rows_keeps_the_priors_where_all_rows_put_them(tmp_path: Path, method: str) -> None:
    """The intercept's prior stands at the mean of the predictor over all rows, days 0 to 9, not over the days seen."""
    day = np.repeat(np.arange(10.0), 3)
    y = 4.0 + 0.8 * day + np.random.default_rng(8).normal(size=30)
    design = design_of("y ~ day", dataset_of(y=y, day=day))
    given = {"Intercept": "normal(5, 0.5)", "b(day)": "normal(0, 0.3)", "sigma": "uniform(0.999, 1.001)"}
    identity = {"model": {"centred": False}, "method": method, "sampler": SAMPLER, "seed": 3}
    made = refits.Refits(design, default_priors.resolve(design, given), identity, "code", 1, tmp_path)
    seen = day < 3
    found = made.fit(seen)
    assert found.method == method
    x = np.column_stack([np.ones(9), day[seen] - 4.5])
    precision = x.T @ x + np.diag([0.5**-2, 0.3**-2])
    mean = np.linalg.solve(precision, x.T @ y[seen] + np.array([5 * 0.5**-2, 0.0]))
    drawn = np.column_stack([found.draws.b[:, 0] + 4.5 * found.draws.b[:, 1], found.draws.b[:, 1]])
    sd = np.sqrt(np.diag(np.linalg.inv(precision)))
    assert (np.abs(drawn.mean(axis=0) - mean) < 5 * sd / np.sqrt(2000)).all()
    np.testing.assert_allclose(drawn.std(axis=0), sd, rtol=0.06)
    # The next day, from these draws, is a normal density.
    times = units.of_time(dataset_of(day=day).frame, "day")
    _, table = lfo.score(design, times, Settings(3), lambda n: Fitted(made.fit(times.index < n).draws, NOTHING))
    at = np.column_stack([np.ones(3), np.full(3, 3.0 - 4.5)])
    wanted = multivariate_normal(at @ mean, np.eye(3) + at @ np.linalg.inv(precision) @ at.T).logpdf(y[day == 3])
    assert abs(table["elpd"][0] - wanted) < 4 * max(table["mcse"][0], 1e-3)


def test_draws_that_rule_out_what_was_seen_have_no_weight() -> None:
    """Counts whose mean underflows to 0, or overflows, at some draws: those count as ruled out, and nothing is not a number."""
    day = np.repeat(np.arange(4), 5)
    y = np.random.default_rng(4).poisson(2.0, 20).astype(float)
    design = design_of("y ~ 1", dataset_of(y=y, day=day), "poisson")
    b = np.random.default_rng(5).normal(np.log(2.0), 0.3, (4000, 1))
    b[::10] = -2000.0  # rules out any count, so that its weight is 0 at later times and its density 0 at the first
    times = units.of_time(dataset_of(day=day).frame, "day")

    def fit(_: int) -> Fitted:
        return Fitted(Draws(4, 1000, b, {}, {}), NOTHING)

    record, table = lfo.score(design, times, Settings(1), fit)
    kept = np.delete(b[:, 0], np.arange(0, 4000, 10))
    of_rows = (
        y * kept[:, None]
        - np.exp(kept)[:, None]
        - np.cumsum(np.log(np.arange(1, 30)))[np.maximum(y.astype(int), 1) - 1]
    )
    by_day = of_rows.reshape(-1, 4, 5).sum(axis=2)
    first = logsumexp(by_day[:, 1]) - np.log(4000)  # of equal weights, a tenth lies at draws of density 0
    then = logsumexp(by_day[:, 1] + by_day[:, 2]) - logsumexp(by_day[:, 1])
    assert table["elpd"][0] == pytest.approx(first, abs=1e-9)
    assert abs(table["elpd"][1] - then) < 0.01
    assert np.isfinite(table["mcse"]).all()
    assert np.isfinite(record["elpd"])
