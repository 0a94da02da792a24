"""The stored reference values are what R gives today, on the data as they stand today."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.oracle

HERE = Path(__file__).resolve().parent


def stored(program: str) -> dict[str, Any]:
    text = (HERE / "reference" / f"radon_{program}.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def make_reference(what: str, into: Path) -> str:
    command = [sys.executable, str(HERE / "make_reference.py"), what, "--into", str(into)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def made_again(program: str, into: Path) -> dict[str, Any]:
    make_reference(program, into)
    return dict(json.loads((into / f"radon_{program}.json").read_text(encoding="utf-8")))


def need_r(*packages: str) -> None:
    """Skip, saying why, where R or one of the packages is not installed."""
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed")
    for package in packages:
        call = f"quit(status = !requireNamespace('{package}', quietly = TRUE))"
        if subprocess.run(["Rscript", "--vanilla", "-e", call], check=False, capture_output=True).returncode:
            pytest.skip(f"the R package {package} is not installed, or does not load")


@pytest.mark.parametrize("program", ["lme4", "jags"])
def test_reference_was_made_from_these_data(program: str, tmp_path: Path) -> None:
    assert stored(program)["data_sha256"] == make_reference("prepare", tmp_path)


def test_lme4_gives_the_stored_values(tmp_path: Path) -> None:
    need_r("lme4", "jsonlite")
    before, now = stored("lme4")["models"], made_again("lme4", tmp_path)["models"]
    assert list(now) == list(before)
    for name, model in before.items():
        assert now[name]["log_likelihood"] == pytest.approx(model["log_likelihood"], rel=0, abs=1e-6), name
        for part in ("fixed", "sd", "cor"):
            assert now[name].get(part, {}) == pytest.approx(model.get(part, {}), rel=0, abs=1e-4), (name, part)


def test_nlme_gives_the_stored_fits_of_correlated_residuals(tmp_path: Path) -> None:
    need_r("nlme", "jsonlite")
    before = json.loads((HERE / "reference" / "correlated_nlme.json").read_text(encoding="utf-8"))
    make_reference("correlated", tmp_path)
    now = json.loads((tmp_path / "correlated_nlme.json").read_text(encoding="utf-8"))
    assert (now["data_sha256"], now["orthodont_sha256"]) == (before["data_sha256"], before["orthodont_sha256"])
    assert list(now["models"]) == list(before["models"])
    for name, model in before["models"].items():
        assert now["models"][name]["log_likelihood"] == pytest.approx(model["log_likelihood"], rel=0, abs=1e-6), name
        assert now["models"][name]["fixed"] == pytest.approx(model["fixed"], rel=0, abs=1e-4), name


def test_lme4_gives_the_stored_fits_of_simulated_data(tmp_path: Path) -> None:
    need_r("lme4", "jsonlite")
    before = json.loads((HERE / "reference" / "gaussian_ml_lme4.json").read_text(encoding="utf-8"))
    make_reference("ml", tmp_path)
    now = json.loads((tmp_path / "gaussian_ml_lme4.json").read_text(encoding="utf-8"))
    assert now["data_sha256"] == before["data_sha256"]
    assert list(now["models"]) == list(before["models"])
    for name, model in before["models"].items():
        assert now["models"][name]["log_likelihood"] == pytest.approx(model["log_likelihood"], rel=0, abs=1e-6), name
        for part in ("fixed", "standard_errors", "sd", "cor"):
            assert now["models"][name][part] == pytest.approx(model[part], rel=1e-4, abs=1e-4), (name, part)


@pytest.mark.skipif(
    os.environ.get("ORACLE_SLOW") != "1", reason="takes a quarter of an hour; set ORACLE_SLOW=1 to run it"
)
def test_jags_gives_the_stored_posterior(tmp_path: Path) -> None:
    need_r("rjags", "loo", "posterior", "jsonlite")
    before, now = stored("jags")["models"], made_again("jags", tmp_path)["models"]
    assert list(now) == list(before)
    far = []
    for name, model in before.items():
        assert list(now[name]["parameters"]) == list(model["parameters"]), name
        for parameter, was in model["parameters"].items():
            new = now[name]["parameters"][parameter]
            if abs(new["mean"] - was["mean"]) > 4 * math.hypot(new["mcse_mean"], was["mcse_mean"]):
                far.append((name, parameter, was["mean"], new["mean"]))
    assert not far, "means further apart than 4 combined Monte Carlo standard errors"


def test_r_builds_the_stored_design_matrices(tmp_path: Path) -> None:
    need_r("lme4", "jsonlite")
    make_reference("designs", tmp_path)
    now = json.loads((tmp_path / "designs_r.json").read_text(encoding="utf-8"))
    before = json.loads((HERE / "reference" / "designs_r.json").read_text(encoding="utf-8"))
    assert now["data_sha256"] == before["data_sha256"]
    assert now["designs"].keys() == before["designs"].keys()
    for text, design in before["designs"].items():
        for one, other in zip(design["x"]["values"], now["designs"][text]["x"]["values"], strict=True):
            assert other == pytest.approx(one, rel=1e-12, abs=1e-12), text
        assert [t["effects"] for t in now["designs"][text]["terms"]] == [t["effects"] for t in design["terms"]]


def test_r_gives_the_stored_fits_of_response_terms(tmp_path: Path) -> None:
    need_r("nlme", "survival", "jsonlite")
    make_reference("responses", tmp_path)
    now = json.loads((tmp_path / "response_terms.json").read_text(encoding="utf-8"))
    before = json.loads((HERE / "reference" / "response_terms.json").read_text(encoding="utf-8"))
    assert now["data_sha256"] == before["data_sha256"]
    for name in ("predicted_sigma", "censored", "repeated_rows"):
        assert now[name]["log_likelihood"] == pytest.approx(before[name]["log_likelihood"], rel=0, abs=1e-6), name
        assert now[name]["b"] == pytest.approx(before[name]["b"], rel=0, abs=1e-4), name


def test_r_gives_the_stored_fits_of_categories(tmp_path: Path) -> None:
    need_r("MASS", "nnet", "VGAM", "jsonlite")
    make_reference("categories", tmp_path)
    now = json.loads((tmp_path / "categories_r.json").read_text(encoding="utf-8"))
    before = json.loads((HERE / "reference" / "categories_r.json").read_text(encoding="utf-8"))
    assert now["data_sha256"] == before["data_sha256"]
    fits = [(now["polr"][link], before["polr"][link]) for link in before["polr"]]
    fits += [(now["vglm"][name][kind], fit) for name, kinds in before["vglm"].items() for kind, fit in kinds.items()]
    for new, old in [*fits, (now["multinom"], before["multinom"])]:
        assert new["log_likelihood"] == pytest.approx(old["log_likelihood"], rel=0, abs=1e-6)
        assert new.get("thresholds", []) == pytest.approx(old.get("thresholds", []), rel=0, abs=1e-4)


def test_r_gives_the_stored_fits_of_structured_groups(tmp_path: Path) -> None:
    need_r("lme4", "rjags", "posterior", "jsonlite")
    make_reference("structured", tmp_path)
    before, now = (
        json.loads((folder / "structured.json").read_text(encoding="utf-8"))
        for folder in (HERE / "reference", tmp_path)
    )
    assert now["data_sha256"] == before["data_sha256"]
    for name, fit in before["likelihood"].items():
        assert math.isclose(now["likelihood"][name]["log_likelihood"], fit["log_likelihood"], rel_tol=1e-9)
    for study, parameters in before["posterior"].items():
        for name, values in parameters.items():
            error = math.hypot(values["mcse_mean"], now["posterior"][study][name]["mcse_mean"])
            assert abs(now["posterior"][study][name]["mean"] - values["mean"]) < 4 * error


def test_r_gives_the_stored_growth_curves(tmp_path: Path) -> None:
    need_r("nlme", "lme4", "jsonlite")
    make_reference("growth", tmp_path)
    before, now = (json.loads((f / "growth.json").read_text(encoding="utf-8")) for f in (HERE / "reference", tmp_path))
    assert now["data_sha256"] == before["data_sha256"]
    for kind in ("curves", "lines"):
        for name, fit in before[kind].items():
            assert math.isclose(now[kind][name]["log_likelihood"], fit["log_likelihood"], rel_tol=1e-8)
            assert now[kind][name]["coefficients"] == pytest.approx(fit["coefficients"], rel=1e-4)


def test_brms_and_rstanarm_state_the_stored_default_priors(tmp_path: Path) -> None:
    need_r("brms", "rstanarm", "jsonlite")
    make_reference("priors", tmp_path)
    before, now = (json.loads((f / "default_priors.json").read_text()) for f in (HERE / "reference", tmp_path))
    assert now == before
