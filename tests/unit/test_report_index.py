"""The front page lists the studies, the best candidate and whether the fits passed."""

from __future__ import annotations

import re
from pathlib import Path

from fixtures.finished_study import write_study

from multilevel.report import build_index, build_record


def test_the_studies_are_listed_by_name(tmp_path: Path) -> None:
    good = build_record(*write_study(tmp_path / "a"))
    bad = {**build_record(*write_study(tmp_path / "b", failed=["no_pooling"])), "study": "b_radon"}
    missing = {**build_record(*write_study(tmp_path / "c", not_fitted=["no_pooling"])), "study": "z"}
    page = build_index([missing, good, bad])
    assert re.findall(r'href="([^"]+)"', page) == ["b_radon/report.html", "radon/report.html", "z/report.html"]
    assert "✓ Passed: all 6 fits passed every check" in page
    assert "✕ Failed: 1 of 6 fits failed a check" in page
    assert "▲ Incomplete: 1 of 6 candidates not fitted" in page
    assert page.count("<strong>Cross level</strong>, 2.2 elpd ahead of the next, standard error 2.6: not decisive") == 3
    assert page.count("Radon in Minnesota homes") == 3
    assert build_index([good, bad, missing]) == page


def test_a_study_without_results_is_listed(tmp_path: Path) -> None:
    _, plan = write_study(tmp_path / "a")
    page = build_index([build_record(tmp_path / "nowhere", plan)])
    assert "No candidate could be ranked." in page
    assert "Incomplete: 6 of 6" in page


def test_no_study_at_all_is_said() -> None:
    assert "No study has been run yet." in build_index([])


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    folder, plan = write_study(tmp_path)
    bad = '</h2><script>x</script>" onmouseover="y\' & {{ 7 * 7 }}'
    plan.update(title=bad, question=bad, study=f"../{bad}")
    plan["models"]["cross_level"]["label"] = bad
    page = build_index([build_record(folder, plan)])
    assert "<script" not in page
    assert 'onmouseover="y' not in page
    assert "49" not in page
    assert "javascript:" not in page
