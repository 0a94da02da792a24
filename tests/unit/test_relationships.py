"""Known covariances over levels: pedigrees, phylogenies and matrices, and the factors that effects are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multilevel import relationships
from multilevel.relationships import Covariance, inverse_relationship, read_matrix, read_pedigree, read_phylogeny


def tabular(fathers: np.ndarray, mothers: np.ndarray) -> np.ndarray:
    """Additive relationships of individuals whose parents stand before them, by the tabular method."""
    size = len(fathers)
    found = np.zeros((size, size))
    for i, parents in enumerate(zip(fathers, mothers, strict=True)):
        known = [p for p in parents if p >= 0]
        for p in known:
            found[i, :i] += 0.5 * found[p, :i]
        found[:i, i] = found[i, :i]
        found[i, i] = 1.0 + (0.5 * found[known[0], known[1]] if len(known) == 2 else 0.0)
    return found


def pedigree(fathers: np.ndarray, mothers: np.ndarray) -> Covariance:
    return Covariance("pedigree", tuple(f"a{i}" for i in range(len(fathers))), fathers, mothers, np.zeros(0))


@given(st.integers(1, 25), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_additive_relationships_are_those_of_the_tabular_method(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sides = [np.array([rng.integers(-1, i) if i else -1 for i in range(size)], dtype=np.int64) for _ in range(2)]
    expected = tabular(*sides)
    found = pedigree(*sides)
    np.testing.assert_allclose(found.matrix().toarray(), expected, atol=1e-12)
    if np.linalg.eigvalsh(expected)[0] > 1e-6:  # repeated selfing makes individuals that are all but alike
        np.testing.assert_allclose(inverse_relationship(*sides).toarray() @ expected, np.eye(size), atol=1e-6)


def test_the_order_of_a_pedigree_does_not_matter() -> None:
    rows = ["e,c,d", "a,,", "c,a,b", "b,,", "d,a,c"]
    found = read_pedigree("id,Father,Mother\n" + "\n".join(rows) + "\n")
    ordered = read_pedigree("id,sire,dam\n" + "\n".join(sorted(rows)) + "\n")
    place = [ordered.levels.index(level) for level in found.levels]
    np.testing.assert_allclose(found.matrix().toarray(), ordered.matrix().toarray()[np.ix_(place, place)], atol=1e-15)
    # A daughter of full sibs' parent and child: (1 + 0.25) of d, whose parents are a and a's offspring c.
    assert ordered.matrix().toarray()[3, 3] == 1.25


@pytest.mark.parametrize("unknown", ["", "NA", "0", "."])
def test_unknown_parents_may_be_written_in_several_ways(unknown: str) -> None:
    found = read_pedigree(f"id\tsire\tdam\na\t{unknown}\t{unknown}\nb\ta\t{unknown}\n")
    np.testing.assert_allclose(found.matrix().toarray(), [[1.0, 0.5], [0.5, 1.0]])


def test_a_large_pedigree_stays_sparse() -> None:
    rng = np.random.default_rng(3)
    size = 20_000
    sides = [np.where(np.arange(size) < 4_000, -1, rng.integers(0, 4_000, size)) for _ in range(2)]
    found = pedigree(*sides)
    factor = found.factor(found.levels[10_000:])
    assert factor.shape[0] == 10_000
    assert factor.nnz <= 3 * 10_000
    np.testing.assert_allclose(
        np.asarray(factor.power(2).sum(axis=1)).ravel()[:5], found.matrix().diagonal()[10_000:10_005]
    )


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_a_factor_has_the_rank_of_its_matrix(size: int, rank: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(size, rank))
    matrix = half @ half.T
    names = [f"l{i}" for i in range(size)]
    text = "id," + ",".join(names) + "\n"
    text += "\n".join(f"{n}," + ",".join(repr(float(v)) for v in row) for n, row in zip(names, matrix, strict=True))
    found = read_matrix(text)
    factor = found.whole_factor()
    assert factor.shape[1] == min(size, rank)
    np.testing.assert_allclose((factor @ factor.T).toarray(), matrix, atol=1e-9 * np.abs(matrix).max())


def test_identical_twins_have_one_effect() -> None:
    found = read_matrix("first,second,value\na,a,1\nb,b,1\nb,a,1\nc,c,1\nd,d,1\nc,d,0.5\n")
    factor = found.factor(["a", "b", "c", "d"])
    assert factor.shape == (4, 3)
    assert factor[0].toarray().tolist() == factor[1].toarray().tolist()
    assert found.factor(["b", "d"]).toarray().tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_a_tree_gives_the_lengths_that_tips_share() -> None:
    found = read_phylogeny("((a:1,'b':1):2,(c:0.5,d:0.75)inner:2.25,e:3)root;\n")
    assert found.levels == ("a", "b", "c", "d", "e")
    assert found.matrix().toarray().tolist() == [
        [3.0, 2.0, 0.0, 0.0, 0.0],
        [2.0, 3.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 2.75, 2.25, 0.0],
        [0.0, 0.0, 2.25, 3.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 3.0],
    ]


def test_a_matrix_may_be_scaled_to_correlations(tmp_path: Path) -> None:
    (tmp_path / "k.csv").write_text("id,a,b\na,4,1\nb,1,9\n", encoding="utf-8")
    found = relationships.read("k", {"matrix": "k.csv", "correlation": True}, tmp_path)
    np.testing.assert_allclose(found.matrix().toarray(), [[1.0, 1 / 6], [1 / 6, 1.0]])


def test_digests_tell_covariances_apart() -> None:
    texts = ["id,a,b\na,1,0\nb,0,1\n", "id,a,b\na,1,0.5\nb,0.5,1\n", "id,a,c\na,1,0\nc,0,1\n"]
    digests = {read_matrix(text).digest for text in texts} | {read_pedigree("id,sire,dam\na,,\nb,,\n").digest}
    assert len(digests) == 4
