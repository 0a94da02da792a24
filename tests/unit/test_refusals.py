"""Studies that would have been fitted to something else than their author meant, or ended in a traceback."""

from pathlib import Path

import pytest

from multilevel import plan
from multilevel.errors import StudyError

ROOT = Path(__file__).resolve().parents[2]
CONFIG = plan.read_config(ROOT / "config" / "config.yaml")


def refusal(tmp_path: Path, formula: str, data: str = "", priors: str = "") -> str:
    path = tmp_path / "odd.yaml"
    text = f"title: x\ndata:\n  table: data/radon/houses.csv\n{data}models:\n  m:\n    formula: {formula}\n{priors}"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StudyError) as caught:
        plan.make(path, CONFIG, ROOT)
    return str(caught.value)


@pytest.mark.parametrize(
    ("formula", "data", "priors", "sentence"),
    [
        (
            "activity ~ Intercept",
            "  rename: {Intercept: floor}\n",
            "",
            "no column can be called 'Intercept' in a model",
        ),
        ("activity ~ C(room, levels=[1, 2])", "", "", "would silently become the reference"),
        ("activity ~ floor + z", "  derive: {z: \"'x'\"}\n", "", "the predictor 'z' is constant ('x' in every row)"),
        ("big ~ floor", "  derive: {big: activity * 1e200}\n", "", "values beyond 1e+100 are too large"),
        ("activity ~ floor + activity", "", "", "the response 'activity' cannot explain itself"),
        ("activity ~ offset(log(activity + 1))", "", "", "the response 'activity' cannot explain itself"),
        (
            "activity ~ floor + offset(same)",
            "  derive: {same: activity + 1}\n",
            "",
            "equals its offset up to a constant",
        ),
        (
            "activity ~ floor + (1 | county)",
            "",
            "    priors: {'sd(county:Intercept)': exponential(1), 'sd( county: Intercept )': exponential(2)}\n",
            "are the same parameter; keep one of them",
        ),
        ("activity ~ floor", "", "    priors: {b: 'normal(0, 1e-320)'}\n", "is too extreme to compute with"),
        ("activity ~ bs(pcterr, df=1000000)", "", "", "'bs' makes at most 200 columns, not 1000000"),
        ("activity ~ poly(pcterr, 99999999)", "", "", "'poly' makes at most 200 columns, not 99999999"),
    ],
)
def test_a_study_is_refused_with_a_sentence(tmp_path, formula, data, priors, sentence):
    assert sentence in refusal(tmp_path, formula, data, priors)


def test_a_typo_in_a_response_is_called_one_and_not_another_response(tmp_path):
    path = tmp_path / "typo.yaml"
    models = "models:\n  a: {formula: activity ~ floor}\n  b: {formula: activty ~ floor}\n"
    path.write_text(f"title: x\ndata: {{table: data/radon/houses.csv}}\n{models}", encoding="utf-8")
    with pytest.raises(StudyError) as caught:
        plan.make(path, CONFIG, ROOT)
    assert [str(p) for p in caught.value.problems] == [
        "models.b.formula: unknown column 'activty'; did you mean 'activity'?"
    ]
