"""Fits of a model to some of its rows: same priors, same coding of predictors, same sampler; a seed of their own.

Priors that are scaled to data are those of all rows, and means of predictors too, where intercepts have their prior: it is the
same model. Where its effects are integrated out, the rows are compressed anew, which takes no time. Otherwise one model is
compiled, of all rows, with data that say which rows are seen; levels without any have effects drawn as their prior says, given
the others.

Every fit is kept in a file named after what decides it, so that a job that was stopped, or whose settings changed, makes none
of them again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from multilevel import aggregate, methods, predictor, provenance, rotation, storage
from multilevel.default_priors import Resolved
from multilevel.design import Design
from multilevel.predictor import Draws

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]

LOG = logging.getLogger(__name__)

SAMPLED, INTEGRATED = "sampled", "integrated"


@dataclass
class Refits:
    """Fits of one model to some of its rows.

    Parameters
    ----------
    design
        The design of all rows.
    priors
        The prior of every parameter, resolved from all rows.
    identity
        What decides the draws of the fit to all rows (`rules.identity`).
    code
        Digest of the code that fits.
    cores
        Chains to run at a time.
    folder
        Where fits are kept.
    """

    design: Design
    priors: Sequence[Resolved]
    identity: Mapping[str, Any]
    code: str
    cores: int
    folder: Path
    compiled: dict[str, Any] = field(default_factory=dict)

    def fit(self, rows: Mask) -> Refit:
        """Return the fit to some rows: as it was kept, or made and kept.

        Parameters
        ----------
        rows
            Which rows are seen, shape (rows,).

        Raises
        ------
        multilevel.errors.FitError
            When the sampler fails or returns fewer draws than asked for.
        """
        method = self._method(rows)
        digest = self._digest(rows, method)
        path = self._home / f"{digest[:24]}.nc"
        seed = int.from_bytes(
            hashlib.sha256(f"{self.identity['seed']}\x1f{_of_rows(rows)}".encode()).digest()[:4], "big"
        )
        seen: Design = self.design
        kept: dict[str, Index] = {}
        if method == INTEGRATED:
            seen, kept = aggregate.with_levels_of(aggregate.of_rows(self.design, np.flatnonzero(rows)))
        if not path.is_file():
            began = time.perf_counter()
            tree, encoding = self._integrated(seen, seed) if method == INTEGRATED else self._sampled(rows, seed)
            tree.attrs = {"digest": digest, "seed": seed, "rows": int(rows.sum()), "method": method}
            storage.write_netcdf(path, tree, encoding)
            LOG.info(
                "fitted %d of %d rows in %.0f s; further fits take about as long, without compiling",
                rows.sum(), len(rows), time.perf_counter() - began,
            )  # fmt: skip
        else:
            LOG.info("the fit to %d of %d rows is there already: %s", rows.sum(), len(rows), path.name)
        draws = predictor.read(path, seen)
        return Refit(path, seen, extended(draws, self.design, kept) if kept else draws, seed, method)

    def forget_others(self) -> None:
        """Remove kept fits of another model, of other data or by other code; those of this one stay, used now or not."""
        for path in self.folder.glob("*"):
            if path != self._home:
                shutil.rmtree(path, ignore_errors=True)

    @property
    def _home(self) -> Path:
        """Where fits of this model to these data by this code are kept."""
        own = json.dumps([self.identity, self.code], sort_keys=True)
        return self.folder / hashlib.sha256(own.encode()).hexdigest()[:16]

    def _method(self, rows: Mask) -> str:
        """Return how some rows are fitted: as all are, unless columns of X say nothing or groups are no longer balanced."""
        if self.identity["method"] == SAMPLED:
            return SAMPLED
        cut = aggregate.of_rows(self.design, np.flatnonzero(rows))
        if rotation.against_integrating(cut, {entry.parameter: entry.prior for entry in self.priors}):
            return SAMPLED
        part = self.design.predictors[0]
        x = part.x[rows].copy()
        if part.has_intercept:
            x[:, part.slopes] -= part.means
        scale = np.maximum(np.sqrt(np.square(x).sum(axis=0)), np.finfo(float).tiny)
        return INTEGRATED if np.linalg.matrix_rank(x / scale) == x.shape[1] else SAMPLED

    def _digest(self, rows: Mask, method: str) -> str:
        stack = {
            name: found for name, found in provenance.versions(provenance.STACKS[method]).items() if name != "python"
        }
        own = {"identity": self.identity, "rows": _of_rows(rows), "method": method, "code": self.code, "stack": stack}
        return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()

    def _integrated(self, seen: Design, seed: int) -> tuple[xr.DataTree, dict[str, dict[str, Any]]]:
        made = methods.get(INTEGRATED).fit(
            seen, self.priors, self.identity["model"], self.identity["sampler"], seed, self.cores
        )
        return made[0], made[1]

    def _sampled(self, rows: Mask, seed: int) -> tuple[xr.DataTree, dict[str, dict[str, Any]]]:
        made = methods.get(SAMPLED).fit_rows(
            self.design,
            self.priors,
            self.identity["model"],
            self.identity["sampler"],
            seed,
            self.cores,
            rows,
            self.compiled,
        )
        return made[0], made[1]


@dataclass(frozen=True)
class Refit:
    """A fit to some rows.

    Parameters
    ----------
    path
        The file with its posterior.
    design
        The design that the posterior is of: all levels, or, where effects are integrated out, those of the rows seen.
    draws
        Its draws, with a place for the effects of every level; not a number where the fit did not draw them.
    seed
        Seed of the sampler.
    method
        How it was fitted (`methods`).
    """

    path: Path
    design: Design
    draws: Draws
    seed: int
    method: str


def extended(draws: Draws, design: Design, kept: Mapping[str, Index]) -> Draws:
    """Return draws with a place for the effects of all levels of a design; those not drawn are not a number.

    Parameters
    ----------
    draws
        Draws of a fit that saw some levels only.
    design
        The design of all rows.
    kept
        By term key, which of its levels the fit saw.
    """
    effects = {}
    for term in design.group_terms:
        whole = np.full((draws.size, len(term.levels), len(term.effects)), np.nan, np.float32)
        whole[:, kept[term.key]] = draws.effects[term.key]
        effects[term.key] = whole
    return replace(draws, effects=effects)


def _of_rows(rows: Mask) -> str:
    return hashlib.sha256(np.packbits(rows).tobytes() + str(len(rows)).encode()).hexdigest()
