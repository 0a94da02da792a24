"""A digest of code changes with what a job runs, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from multilevel import code, provenance, rules

FILES = {
    "fit.py": '''
"""Fit."""
from multilevel import model, storage
from multilevel.errors import StudyError

def fit(path):
    """Fit one model."""
    return model.build(path)
''',
    "multilevel/__init__.py": "",
    "multilevel/errors.py": "class StudyError(Exception): ...\n",
    "multilevel/storage.py": "def write(path): ...\n",
    "multilevel/model.py": '''
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multilevel import frames

FEW = 8
"""Up to this many columns."""

def build(path):
    from multilevel.design import matrix
    return matrix(path) + FEW
''',
    "multilevel/design.py": "import multilevel.formula\n\ndef matrix(path):\n    return 1\n",
    "multilevel/formula.py": "DEPTH = 40\n",
    "multilevel/frames.py": "class Frame: ...\n",
    "multilevel/figures.py": "def draw(): ...\n",
    "multilevel/families/__init__.py": "def get(name): ...\n",
    "multilevel/families/gaussian.py": "def log_density(y): ...\n",
    "multilevel/families/poisson.py": "def log_density(y): ...\n",
}

Digest = Callable[..., str]


@pytest.fixture
def digest_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Digest:
    """Return a function that gives the digest of fit.py after some files were changed."""
    monkeypatch.setattr(code, "KEPT", tmp_path / "kept.json")
    count = iter(range(100))

    def digest(changes: dict[str, tuple[str, str]] | None = None, extra: tuple[str, ...] = ()) -> str:
        code._read.cache_clear()
        code._kept.cache_clear()
        folder = tmp_path / str(next(count))
        for name, text in FILES.items():
            before, after = (changes or {}).get(name, ("", ""))
            assert before in text
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace(before, after) if before else text + after)
        return code.digest("fit.py", extra, scripts=folder)

    yield digest
    code._read.cache_clear()
    code._kept.cache_clear()


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("fit.py", "", "# a comment\n"),
        ("fit.py", '"""Fit one model."""', '"""Fit one model, and say so."""'),
        ("fit.py", "    return", "\n\n    # the end\n    return"),
        ("multilevel/model.py", '"""Up to this many columns."""', '"""Up to that many columns."""'),
        ("multilevel/model.py", "(path) + FEW", "( path )+FEW"),
        ("multilevel/formula.py", "40", "0x28"),
    ],
)
def test_comments_docstrings_and_layout_change_no_digest(
    name: str, before: str, after: str, digest_with: Digest
) -> None:
    assert digest_with({name: (before, after)}) == digest_with()


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("fit.py", "model.build(path)", "model.build(str(path))"),
        ("multilevel/model.py", "FEW = 8", "FEW = 9"),
        ("multilevel/storage.py", "def write(path)", "def write(path, mode=0)"),
        # Imported inside a function, and from there by `import multilevel.formula`.
        ("multilevel/design.py", "return 1", "return 2"),
        ("multilevel/formula.py", "40", "41"),
        (
            "multilevel/model.py",
            "    from multilevel import frames\n",
            "    pass\nelse:\n    from multilevel import frames\n",
        ),
    ],
)
def test_a_change_of_code_that_the_job_reaches_changes_the_digest(
    name: str, before: str, after: str, digest_with: Digest
) -> None:
    assert digest_with({name: (before, after)}) != digest_with()


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("multilevel/errors.py", "Exception"),  # words, no results
        ("multilevel/frames.py", "Frame"),  # imported for annotations only
        ("multilevel/figures.py", "draw"),  # not imported
        ("multilevel/families/poisson.py", "log_density"),  # another model's
    ],
)
def test_a_change_of_code_that_cannot_change_the_result_changes_no_digest(
    name: str, before: str, digest_with: Digest
) -> None:
    assert digest_with({name: (before, f"other_{before}")}) == digest_with()


def test_what_an_else_branch_imports_at_run_time_is_reached(digest_with: Digest) -> None:
    other = ("    from multilevel import frames\n", "    pass\nelse:\n    from multilevel import frames\n")
    frames = ("Frame", "Frames")
    one = digest_with({"multilevel/model.py": other})
    assert digest_with({"multilevel/model.py": other, "multilevel/frames.py": frames}) != one


def test_modules_that_a_job_loads_by_name_are_named_as_extra(digest_with: Digest) -> None:
    extra = ("multilevel.families.gaussian",)
    changed = {"multilevel/families/gaussian.py": ("log_density", "log_pdf")}
    assert digest_with() != digest_with(extra=extra)
    assert digest_with(extra=extra) != digest_with(changed, extra=extra)
    assert digest_with() == digest_with(changed)


def test_a_module_that_does_not_exist_is_an_error(digest_with: Digest) -> None:
    with pytest.raises(FileNotFoundError, match=r"no module multilevel\.families\.binomial"):
        digest_with(extra=("multilevel.families.binomial",))


@pytest.mark.parametrize("kept", ["", "{", "[]", '{"a": 1}', "null"])
def test_kept_analyses_that_are_damaged_cost_only_time(kept: str, digest_with: Digest) -> None:
    before = digest_with()
    code.KEPT.write_text(kept)
    assert digest_with() == before


def test_kept_analyses_give_the_same_digest(digest_with: Digest) -> None:
    assert digest_with() == digest_with()
    assert code.KEPT.is_file()


def reached_from(script: Path) -> set[str]:
    found: set[str] = set()
    queue = list(code._read(script, code.SCRIPTS)[1])
    while queue:
        if (module := queue.pop()) not in found:
            found.add(module)
            path = code._path(module, code.SCRIPTS)
            assert path is not None
            queue += code._read(path, code.SCRIPTS)[1]
    return found


def test_only_fitting_reaches_the_code_that_samples() -> None:
    """The fit loads the code that samples by name, so that each way of fitting counts for its own fits alone."""
    sampling = {"multilevel.sampling", "multilevel.model", "multilevel.marginal", "multilevel.marginal_kernels"}
    assert [path.name for path in code.SCRIPTS.glob("*.py") if sampling & reached_from(path)] == []
    reached = {}
    for method in provenance.STACKS:
        modules = rules.fit_modules({"family": "gaussian", "method": method})
        paths = [path for module in modules if (path := code._path(module, code.SCRIPTS))]
        assert len(paths) == len(modules)
        reached[method] = set().union(*map(reached_from, paths))
    assert reached["sampled"] & sampling == {"multilevel.sampling", "multilevel.model"}
    assert reached["integrated"] & sampling == sampling - {"multilevel.model"}
