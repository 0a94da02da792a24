"""Fixed matrices and group terms equal those that R's model.matrix, lme4's lFormula and patsy build of the same formulas."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from fixtures.small_data import dataset_of, design_of
from oracle import design_formulas

from multilevel.dataset import Dataset

REFERENCE = Path(__file__).resolve().parents[1] / "oracle" / "reference"
R = json.loads((REFERENCE / "designs_r.json").read_text(encoding="utf-8"))
PATSY = json.loads((REFERENCE / "designs_patsy.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("designs") / "designs.csv"
    digest = design_formulas.write(path)
    assert digest == R["data_sha256"] == PATSY["data_sha256"]
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return dataset_of(**{n: [float(v) for v in c] if n in "yxz" else c for n, c in columns.items()})


def in_r(name: str) -> str:
    """Return a coefficient's name as R writes it: ``k[q]:x`` is ``kq:x``."""
    return re.sub(r"\[([^\]]*)\]", r"\1", name).replace("Intercept", "(Intercept)")


def test_the_reference_holds_every_formula() -> None:
    assert len(design_formulas.IN_R) >= 20
    assert list(R["designs"]) == list(design_formulas.IN_R.values())


@pytest.mark.parametrize("ours", design_formulas.IN_R)
def test_the_fixed_matrix_is_that_of_r(ours: str, data: Dataset) -> None:
    reference = R["designs"][design_formulas.IN_R[ours]]["x"]
    design = design_of(ours, data)
    expected = np.array(reference["values"], dtype=float).reshape(len(design.y), -1)
    assert design.x.shape == expected.shape
    np.testing.assert_allclose(design.x, expected, rtol=1e-12, atol=1e-12)
    if not re.search(r"[a-zA-Z_]\(", ours.replace("(Intercept)", "").split("~")[1].split("(1")[0]):
        assert [in_r(name) for name in design.coefficients] == np.atleast_1d(reference["names"]).tolist()


@pytest.mark.parametrize("ours", [text for text in design_formulas.IN_R if "|" in text])
def test_the_group_terms_are_those_of_lme4(ours: str, data: Dataset) -> None:
    reference = R["designs"][design_formulas.IN_R[ours]]["terms"]
    design = design_of(ours, data)
    assert len(design.group_terms) == len(reference)
    # lme4 sorts its terms by their number of levels, and writes the inner grouping first.
    left = list(reference)
    for term in design.group_terms:
        effects = [in_r(effect) for effect in term.effects]
        levels = [set(term.levels[i].split(":")) for i in term.index]
        found = next(
            other
            for other in left
            if set(re.sub(r"\.\d+$", "", other["group"]).split(":")) == set(term.group.split(":"))
            and [re.sub(r"poly\((\w+), (\d)\)(\d)", r"poly(\1, \2)\3", e) for e in other["effects"]] == effects
        )
        left.remove(found)
        np.testing.assert_allclose(term.z, np.array(found["z"], dtype=float).reshape(term.z.shape), rtol=1e-12)
        assert levels == [set(level.split(":")) for level in found["level"]]
    assert not left


@pytest.mark.parametrize("text", design_formulas.IN_PATSY)
def test_the_fixed_matrix_is_that_of_patsy(text: str, data: Dataset) -> None:
    expected = np.array(PATSY["designs"][text]["values"])
    ours = design_of(f"y ~ {design_formulas.AS_OURS.get(text, text)}", data).x
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-12)
