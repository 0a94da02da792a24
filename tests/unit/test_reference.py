"""The generated files in config/ say what the schema says."""

from pathlib import Path

import pytest

from multilevel import reference

CONFIG = Path(__file__).resolve().parents[2] / "config"


@pytest.mark.parametrize("name", sorted(reference.contents()))
def test_a_generated_file_is_current(name):
    stored = (CONFIG / name).read_text(encoding="utf-8")
    assert stored == reference.contents()[name], "run `python -m multilevel schema` (PYTHONPATH=workflow/scripts)"


def test_every_leaf_of_the_reference_has_a_sentence():
    rows = [line for line in reference.page().splitlines() if line.startswith("| `") and line.count(" | ") == 3]
    assert len(rows) > 40
    assert [row for row in rows if not row.rstrip(" |").endswith((".", ")", "`"))] == []
