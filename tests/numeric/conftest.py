"""The radon data as the workflow prepares them, and posteriors of its six models drawn in this process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from multilevel import dataset, design, plan, preparation

ROOT = Path(__file__).resolve().parents[2]
DRAWS = {"chains": 4, "draws": 2000, "tune": 1000, "target_accept": 0.9, "max_treedepth": 10}


@pytest.fixture(scope="session")
def radon_plan() -> dict[str, Any]:
    return plan.make(Path("config/studies/radon.yaml"), plan.read_config(ROOT / "config" / "config.yaml"), ROOT)


@pytest.fixture(scope="session")
def radon(radon_plan: dict[str, Any]) -> dataset.Dataset:
    return preparation.prepare(radon_plan["data"], radon_plan["drop_missing_in"], ROOT)


@dataclass(frozen=True)
class Fit:
    """One fitted model: its design, where its posterior is stored, and its summary."""

    built: design.Design
    path: Path
    summary: pd.DataFrame


@pytest.fixture(scope="session")
def fits(
    radon_plan: dict[str, Any], radon: dataset.Dataset, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Fit]:
    """Return every model of the radon study, sampled by the library as the fit's job does; PyMC is imported once."""
    from multilevel import convergence, default_priors, model, sampling, storage

    folder = tmp_path_factory.mktemp("posteriors")
    found = {}
    for name, spec in radon_plan["models"].items():
        built = design.build(spec, radon)
        priors = default_priors.resolve(built, spec["priors"])
        compiled = model.build(built, priors, spec["centred"])
        trace, _ = sampling.sample(compiled, DRAWS, spec["seed"], 2)
        posterior, encoding = sampling.posterior(trace, built, spec["centred"])
        path = folder / f"{name}.nc"
        storage.write_netcdf(path, posterior, encoding)
        stored, _, _ = convergence.read(path)
        found[name] = Fit(built, path, convergence.summarise(convergence.quantities(stored, built)))
    return found
