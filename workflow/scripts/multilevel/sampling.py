"""Sample with nutpie and turn the trace into the posterior that is stored. A partial trace is refused. Does not import PyMC."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import nutpie
import xarray as xr

from multilevel.default_priors import cor_names
from multilevel.design import Design, Predictor, Term, Thresholds, variable_name
from multilevel.errors import FitError
from multilevel.parameterisation import NON_CENTRED, how
from multilevel.residuals import Residuals

if TYPE_CHECKING:
    import pymc as pm

LOG = logging.getLogger(__name__)

SAMPLE_STATS = {
    "logp": "lp",
    "energy": "energy",
    "diverging": "diverging",
    "depth": "tree_depth",
    "maxdepth_reached": "reached_max_treedepth",
    "n_steps": "n_steps",
    "step_size": "step_size",
    "mean_tree_accept": "acceptance_rate",
}
"""What is kept of nutpie's statistics, under ArviZ's names."""


NO_START = (
    "no chain found a point to start from: the log density of priors and likelihood is no finite number near 0; check in "
    "priors.json that every prior allows values that could have produced the response"
)


class PartialTraceError(FitError):
    """The sampler returned fewer draws than were asked for."""


def sample(
    model: pm.Model, settings: dict[str, Any], seed: int, cores: int, still: frozenset[str] = frozenset()
) -> tuple[xr.DataTree, dict[str, float]]:
    """Compile and sample a model.

    Parameters
    ----------
    model
        The model.
    settings, seed, cores
        What `run` takes.
    still
        Starts of the names of variables that all chains start at one value of (`model.still`); others are jittered.

    Returns
    -------
    tuple
        nutpie's DataTree without warm-up, and the seconds spent compiling and sampling.

    Raises
    ------
    PartialTraceError
        When chains or draws are missing, as after an interrupt.
    FitError
        When the sampler finds no point to start from, or fails on the way.
    """
    started = time.perf_counter()
    compiled = compile_model(model, still)
    compiled_at = time.perf_counter()
    trace = run(compiled, settings, seed, cores)
    return trace, {"compile_s": compiled_at - started, "sample_s": time.perf_counter() - compiled_at}


def compile_model(model: pm.Model, still: frozenset[str] = frozenset()) -> Any:
    """Return what `run` takes; data of the model that have a name are changed by its ``with_data``.

    Parameters
    ----------
    model, still
        As for `sample`.
    """
    started = time.perf_counter()
    LOG.info("compiling")
    moved = {"jitter_rvs": {rv for rv in model.free_RVs if not rv.name.startswith(tuple(still))}} if still else {}
    compiled = nutpie.compile_pymc_model(model, **moved)
    LOG.info("compiled in %.1f s; %d unconstrained parameters", time.perf_counter() - started, compiled.n_dim)
    return compiled


def of_density(size: int, density: Any, store: Any, data: np.ndarray, start: Callable[[int], np.ndarray]) -> Any:
    """Return what `run` takes, for a log density that is already compiled; its trace has the one variable ``x``.

    Parameters
    ----------
    size
        Number of unconstrained parameters.
    density, store
        Numba's C functions, such as those of `marginal_kernels`: nutpie's threads call them without Python.
    data
        What they are handed.
    start
        From a seed to where a chain starts, shape (size,).
    """
    from nutpie.compile_pymc import CompiledPyMCModel  # nutpie's only class for C functions; it needs no PyMC

    return CompiledPyMCModel(
        compiled_logp_func=density,
        compiled_expand_func=store,
        initial_point_func=start,
        shared_data={"data": data},
        shared_var_keys={},
        user_data=data,
        n_expanded=size,
        shape_info=(["x"], [slice(0, size)], [(size,)]),
        logp_func=None,
        expand_func=None,
        _n_dim=size,
        _shapes={"x": (size,)},
        _coords={},
        dims={},
    )


def run(compiled: Any, settings: dict[str, Any], seed: int, cores: int) -> xr.DataTree:
    """Sample what was compiled.

    Parameters
    ----------
    compiled
        A model that nutpie compiled, or what `of_density` returned.
    settings
        ``chains``, ``draws``, ``tune``, ``target_accept``, ``max_treedepth``.
    seed
        Seed; the draws are the same at any number of cores.
    cores
        Chains to run at a time.

    Returns
    -------
    xarray.DataTree
        nutpie's DataTree without warm-up.

    Raises
    ------
    PartialTraceError
        When chains or draws are missing, as after an interrupt.
    FitError
        When the sampler finds no point to start from, or fails on the way.
    """
    started = time.perf_counter()
    try:
        trace: xr.DataTree = nutpie.sample(
            compiled,
            draws=settings["draws"],
            tune=settings["tune"],
            chains=settings["chains"],
            cores=cores,
            seed=seed,
            target_accept=settings["target_accept"],
            maxdepth=settings["max_treedepth"],
            save_warmup=False,
            progress_bar=False,
            progress_callback=_Progress(settings["tune"] + settings["draws"]),
            progress_rate=1000,
        )
    except RuntimeError as error:
        said = str(error).strip().split("\n", 1)[0]
        told = NO_START if "initialization points failed" in said else f"the sampler stopped: {said}"
        raise FitError(told) from error
    LOG.info("sampled in %.1f s", time.perf_counter() - started)
    refuse_partial(trace, settings["chains"], settings["draws"])
    return trace


def refuse_partial(trace: xr.DataTree, chains: int, draws: int) -> None:
    """Raise unless the trace holds every draw of every chain.

    Raises
    ------
    PartialTraceError
        nutpie returns what it has, as if it were whole, when it is interrupted.
    """
    sizes = trace["posterior"].sizes
    found = (sizes.get("chain", 0), sizes.get("draw", 0))
    values = trace["posterior"].to_dataset()
    holes = sum(int(np.isnan(v.to_numpy()).any()) for v in values.values() if v.dtype.kind == "f")
    if found != (chains, draws) or holes:
        raise PartialTraceError(
            f"the sampler returned {found[0]} chains x {found[1]} draws{' with gaps' if holes else ''} of {chains} x {draws}; "
            "nothing is stored"
        )


def attempt(
    design: Design, trace: xr.DataTree, chosen: dict[str, str], settings: dict[str, Any], seed: int
) -> dict[str, Any]:
    """Return what is told of an attempt: how it was made, and how many draws diverged."""
    labels = {term.key: f"{term.label}: {term.by}" if term.by else term.label for term in design.group_terms}
    return {
        "parameterisation": {labels[key]: how for key, how in chosen.items()},
        "target_accept": settings["target_accept"],
        "seed": seed,
        "divergences": int(trace["sample_stats"]["diverging"].to_numpy().sum()),
    }


class _Progress:
    """Writes one line for all chains every few seconds, and one at each tenth of the way."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.started = time.perf_counter()
        self.last = 0.0
        self.tenth = -1

    def __call__(self, chains: list[Any]) -> None:
        done = sum(chain.finished_draws for chain in chains)
        share = done / max(1, self.total * len(chains))
        now = time.perf_counter()
        if int(share * 10) == self.tenth and now - self.last < 10:
            return
        self.tenth, self.last = int(share * 10), now
        left = f"about {(now - self.started) * (1 - share) / share:.0f} s left" if share > 0.02 else "time left unknown"
        state = ", ".join(f"{chain.finished_draws}{'w' if chain.tuning else ''}" for chain in chains)
        divergences = sum(chain.divergences for chain in chains)
        steps = [chain.step_size for chain in chains if chain.started]
        LOG.info(
            "draws of %d by chain (w: warm-up): %s; %d divergences; step size %s; %s",
            self.total,
            state,
            divergences,
            f"{min(steps):.3g} to {max(steps):.3g}" if steps else "-",
            left,
        )


def posterior(
    trace: xr.DataTree, design: Design, centred: bool | Mapping[str, str]
) -> tuple[xr.DataTree, dict[str, dict[str, Any]]]:
    """Turn nutpie's trace into what is stored.

    Parameters
    ----------
    trace
        What `sample` returned.
    design
        The design that the model was built from.
    centred
        Whether group effects were sampled directly, or how those of each term were (`parameterisation`).

    Returns
    -------
    tuple
        A DataTree with the groups posterior, sample_stats, observed_data and constant_data, and the encoding that
        stores it compressed. In the posterior, with S chains x draws:

        ``b`` (chain, draw, coefficient), intercepts and thresholds at predictor values of 0; ``sigma``; and for a term with key k
        ``sd_k`` (effect), ``cor_k`` (pair), ``r_k`` (level, effect) in float32: group effects need no more digits than
        their Monte Carlo error, and they are most of the file. Correlated residuals have ``residual_correlation``
        (residual_parameter).
    """
    raw = trace["posterior"]
    variables: dict[str, xr.DataArray] = {}
    coords: dict[str, Any] = {"chain": raw["chain"].to_numpy(), "draw": raw["draw"].to_numpy()}
    if design.all_coefficients:
        parts = [_coefficients(raw, part) for part in design.predictors]
        if design.thresholds:
            parts = _with_thresholds(raw, design.thresholds, design.predictors[0], parts)
            if design.thresholds.equidistant:
                variables["delta"] = xr.DataArray(raw["delta"].to_numpy(), dims=("chain", "draw"))
        variables["b"] = xr.DataArray(np.concatenate(parts, axis=-1), dims=("chain", "draw", "coefficient"))
        coords["coefficient"] = list(design.all_coefficients)
    ways = how(design, centred)
    for term in design.group_terms:
        level, effect, pair = f"{term.key}_level", f"{term.key}_effect", f"{term.key}_pair"
        sd = raw[f"sd_{term.key}"].to_numpy()
        factor = _factors(raw, term)
        effects = _effects(raw, term, sd, factor, ways[term.key] != NON_CENTRED)
        if term.dist == "student":
            variables[f"df_{term.key}"] = xr.DataArray(raw[f"df_{term.key}"].to_numpy(), dims=("chain", "draw"))
        if term.autoregressive:
            variables[f"phi_{term.key}"] = xr.DataArray(raw[f"phi_{term.key}"].to_numpy(), dims=("chain", "draw"))
        variables[f"sd_{term.key}"] = xr.DataArray(sd, dims=("chain", "draw", effect))
        variables[f"r_{term.key}"] = xr.DataArray(effects.astype(np.float32), dims=("chain", "draw", level, effect))
        coords |= {level: list(term.levels), effect: list(term.effects)}
        if term.correlated:
            correlation = np.einsum("cdij,cdkj->cdik", factor, factor)
            below = np.tril_indices(len(term.effects), k=-1)
            variables[f"cor_{term.key}"] = xr.DataArray(
                correlation[..., below[0], below[1]], dims=("chain", "draw", pair)
            )
            coords[pair] = cor_names(term)
    for name in design.scalars:
        variables[name] = xr.DataArray(raw[name].to_numpy(), dims=("chain", "draw"))
    if design.residuals:
        values = _of_residuals(raw, design.residuals)
        variables["residual_correlation"] = xr.DataArray(values, dims=("chain", "draw", "residual_parameter"))
        coords["residual_parameter"] = list(design.residuals.parameters)
    stats = trace["sample_stats"]
    kept = {new: (["chain", "draw"], stats[old].to_numpy()) for old, new in SAMPLE_STATS.items() if old in stats}
    shared = {"chain": coords["chain"], "draw": coords["draw"]}
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(variables, coords=coords),
            "sample_stats": xr.Dataset(kept, coords=shared),
            "observed_data": xr.Dataset({design.response: ("row", design.y)}),
            "constant_data": xr.Dataset(
                {"offset": ("row", design.offset), **{k: ("row", v) for k, v in design.terms.items()}}
            ),
        }
    )
    encoding = {
        f"/{name}": {str(v): {"zlib": True, "complevel": 4, "shuffle": True} for v in tree[name].data_vars}
        for name in tree.children
    }
    return tree, encoding


def _coefficients(raw: Any, part: Predictor) -> np.ndarray:
    """Return a predictor's coefficients in the order of X, the intercept moved from the predictors' means to zero."""
    out = np.empty((raw.sizes["chain"], raw.sizes["draw"], len(part.coefficients)))
    if part.slopes:
        out[..., part.slopes] = raw[variable_name("slopes", part)].to_numpy()
    if part.has_intercept:
        position = part.coefficients.index(part.intercept)
        shift = out[..., part.slopes] @ part.means if part.slopes else 0.0
        out[..., position] = raw[variable_name("intercept", part)].to_numpy() - shift
    return out


def _with_thresholds(raw: Any, thresholds: Thresholds, part: Predictor, parts: list[np.ndarray]) -> list[np.ndarray]:
    """Put the thresholds before the coefficients and the category-specific effects behind them.

    A predictor's mean times its effect moves a threshold up as it moves an intercept down.
    """
    size = len(thresholds.names)
    if thresholds.equidistant:
        first, delta = (raw[name].to_numpy()[..., None] for name in ("first_threshold", "delta"))
        found = first + delta * np.arange(size)
    else:
        found = raw["thresholds"].to_numpy()
    found = found + (parts[0] @ part.x.mean(axis=0))[..., None]
    if not thresholds.predictors:
        return [found, *parts]
    effects = raw["specific"].to_numpy()
    shifts = np.einsum("cdpk,p->cdk", effects.reshape(*effects.shape[:2], -1, size), thresholds.centre)
    return [found + shifts, *parts, effects]


def _of_residuals(raw: Any, found: Residuals) -> np.ndarray:
    """Return the correlations of residuals, shape (chain, draw, parameters)."""
    if not found.occasions:
        return np.asarray(raw[found.parameters[0]].to_numpy()[..., None])
    factor = _factor_of_partial(raw["partial_residuals"].to_numpy(), len(found.occasions))
    below = np.tril_indices(len(found.occasions), k=-1)
    return np.asarray(np.einsum("cdij,cdkj->cdik", factor, factor)[..., below[0], below[1]])


def _factors(raw: Any, term: Term) -> np.ndarray:
    """Return the Cholesky factors of the correlation matrix, shape (chain, draw, effects, effects)."""
    size = len(term.effects)
    if not term.correlated:
        return np.broadcast_to(np.eye(size), (raw.sizes["chain"], raw.sizes["draw"], size, size))
    return _factor_of_partial(raw[f"partial_{term.key}"].to_numpy(), size)


def _factor_of_partial(places: np.ndarray, size: int) -> np.ndarray:
    """Return Cholesky factors from partial correlations' places between -1 and 1, shape (chain, draw, pairs)."""
    shape = (*places.shape[:2], size, size)
    factor = np.zeros(shape)
    factor[..., 0, 0] = 1.0
    partial = 2.0 * places - 1.0
    position = 0
    for i in range(1, size):
        rest = np.ones(shape[:2])
        for j in range(i):
            p = partial[..., position]
            factor[..., i, j] = p * rest
            rest = rest * np.sqrt(1.0 - p**2)
            position += 1
        factor[..., i, i] = rest
    return factor


def _effects(raw: Any, term: Term, sd: np.ndarray, factor: np.ndarray, centred: bool) -> np.ndarray:
    """Return the group effects, shape (chain, draw, level, effect)."""
    if centred:
        return np.stack([raw[f"effects_{term.key}_{i}"].to_numpy() for i in range(len(term.effects))], axis=-1)
    offsets = raw[f"offsets_{term.key}"].to_numpy()
    if term.factor is not None:
        shape = offsets.shape
        flat = term.factor @ offsets.reshape(-1, shape[-1]).T
        offsets = np.ascontiguousarray(flat.T).reshape(*shape[:-1], len(term.levels))
    return np.asarray(np.einsum("cdi,cdij,cdjl->cdli", sd, factor, offsets, optimize=True))
