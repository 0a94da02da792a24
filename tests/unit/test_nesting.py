"""Which groupings are nested in one another, and which designs their effects can be integrated out of."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from fixtures.small_data import dataset_of, design_of
from hypothesis import given
from hypothesis import strategies as st

from multilevel import nesting
from multilevel.design import Term

DATA = dataset_of(
    y=np.random.default_rng(1).normal(size=12),
    x=np.arange(12.0),
    w=np.arange(1.0, 13.0),
    s=np.ones(12),
    c=["none", "left"] * 6,
    n=np.arange(12.0) % 3,
    school=list("aaaabbbbcccc"),
    alias=list("zzzzyyyyxxxx"),
    room=list("pqpqrsrsttuu"),
    number=list("121212121212"),
    year=list("mnomnomnomno"),
)


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("y ~ x", []),
        ("y ~ (1 | school)", [["school"]]),
        ("y ~ (1 | school) + (0 + x | school)", [["school", "school"]]),
        ("y ~ (1 | school/number)", [["school"], ["school:number"]]),
        # Found from the data, in whatever order and under whatever name.
        ("y ~ (1 | room) + (1 | school)", [["school"], ["room"]]),
        ("y ~ (1 | school) + (0 + x | alias) + (1 | room)", [["school", "alias"], ["room"]]),
        ("y ~ (1 | alias/room) + (1 | school)", [["alias", "school"], ["alias:room"]]),
    ],
)
def test_a_chain_stands_from_the_coarsest_to_the_finest(text: str, groups: list[list[str]]) -> None:
    found = nesting.chain(design_of(text, DATA).group_terms)
    assert isinstance(found, list)
    assert [[term.group for term in grouping.terms] for grouping in found] == groups


def test_levels_follow_the_level_that_they_are_part_of() -> None:
    design = design_of("y ~ (1 | room) + (1 | alias) + (0 + x | school)", DATA)
    outer, inner = nesting.chain(design.group_terms)
    # Aliases sort the other way round than schools; rooms are numbered within them.
    assert outer.index.tolist() == [2] * 4 + [1] * 4 + [0] * 4
    assert inner.parents.tolist() == sorted(inner.parents.tolist())
    for grouping in (outer, inner):
        for term, order in zip(grouping.terms, grouping.orders, strict=True):
            np.testing.assert_array_equal(order[grouping.index], term.index)
    np.testing.assert_array_equal(inner.parents[inner.index], outer.index)


@pytest.mark.parametrize(
    "text", ["y ~ (1 | school) + (1 | year)", "y ~ (1 | room) + (1 | number)", "y ~ (1 | school/number) + (1 | number)"]
)
def test_crossed_groupings_make_no_chain(text: str) -> None:
    found = nesting.chain(design_of(text, DATA).group_terms)
    assert isinstance(found, tuple)
    assert set(found) < {"school", "year", "room", "number", "school:number"}


def term(index: list[int], name: str) -> Term:
    levels, codes = np.unique(index, return_inverse=True)
    one = np.ones((len(index), 1))
    names = tuple(str(level) for level in levels)
    return Term(
        name,
        name,
        name,
        ("Intercept",),
        ("mu",),
        one,
        codes.astype(np.int64),
        names,
        correlated=False,
        scales=np.ones(1),
    )


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=2, max_size=40))
def test_a_chain_is_found_exactly_where_every_level_has_one_parent(rows: list[tuple[int, int, int]]) -> None:
    indexes = [[row[0] for row in rows], [row[0] * 3 + row[1] for row in rows], [row[2] for row in rows]]
    terms = [term(index, name) for index, name in zip(indexes, "abc", strict=True)]

    def nested(fine: list[int], coarse: list[int]) -> bool:
        return len(set(zip(fine, coarse, strict=True))) == len(set(fine))

    is_chain = all(nested(one, other) or nested(other, one) for one in indexes for other in indexes)
    found = nesting.chain(terms)
    assert isinstance(found, list) == is_chain
    if isinstance(found, list):
        for above, below in itertools.pairwise(found):
            np.testing.assert_array_equal(below.parents[below.index], above.index)
            assert (np.diff(below.parents) >= 0).all()
            assert above.levels < below.levels


@pytest.mark.parametrize(
    ("text", "family", "parameters", "reason"),
    [
        ("y ~ x + (1 | school/number)", "gaussian", {}, ""),
        ("y ~ x", "gaussian", {}, ""),
        ("y ~ x + (1 | school)", "gaussian", {"sigma": "1 + x"}, "sigma is not one number for all rows"),
        ("y | weights(w) ~ x", "gaussian", {}, ""),
        ("y | weights(w - 1) ~ x", "gaussian", {}, "some rows have a weight of 0"),
        ("y | se(s) ~ x + (1 | school)", "gaussian", {}, ""),
        ("y | se(s) ~ x", "gaussian", {}, "nothing would be left to sample"),
        ("y | se(s, sigma=true) ~ x + (1 | school)", "gaussian", {}, "sigma is not one number for all rows"),
        ("y | cens(c) ~ x", "gaussian", {}, "the formula has cens()"),
        ("y ~ (1 | school) + (1 | year)", "gaussian", {}, "the groups school and year are crossed"),
        ("n | trials(3) ~ x + (1 | school)", "binomial", {}, "the family is binomial with a logit link"),
    ],
)
def test_why_effects_are_not_integrated_out(text: str, family: str, parameters: dict[str, str], reason: str) -> None:
    assert nesting.reason_against(design_of(text, DATA, family, **parameters)) == reason


def test_a_log_link_has_no_closed_form() -> None:
    from multilevel import design

    spec = {"formula": "n ~ 1 + x", "family": "gaussian", "link": "log"}
    assert nesting.reason_against(design.build(spec, DATA)) == "the family is gaussian with a log link"
