"""The equations of a model, level by level, as LaTeX made from its design."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from multilevel import structures
from multilevel.design import INTERCEPT, Design, Term


def describe(design: Design, family: str) -> dict[str, Any]:
    """Return the equations of a design.

    Parameters
    ----------
    design
        The design.
    family
        Name of the response distribution.

    Returns
    -------
    dict
        ``levels``: one entry for the rows and one for each group term, with ``title`` and ``latex`` lines; ``plain``: a
        sentence. A predictor that is constant within the levels of a model's only group stands at the group's level.
    """
    single = design.group_terms[0] if len(design.group_terms) == 1 else None
    upper = _upper_columns(design, single) if single else {}
    moved = {name for names in upper.values() for name, _ in names}
    rows = [_response(design, family), _row_equation(design, single, moved)]
    levels = [{"level": 1, "title": f"Level 1: rows ({len(design.y)})", "latex": rows}]
    for number, term in enumerate(design.group_terms):
        levels.append(
            {
                "level": 2,
                "title": f"Level 2: {term.group} ({len(term.levels)})",
                "latex": _group_equations(design, term, number, single is term, upper),
            }
        )
    return {"levels": levels, "plain": _plain(design)}


def _symbol(name: str) -> str:
    """Return a name as LaTeX text."""
    escaped = re.sub(r"([_%&#${}])", r"\\\1", name.replace("\\", " ")).replace("^", r"\^{}").replace("~", r"\~{}")
    return rf"\text{{{escaped}}}"


def _response(design: Design, family: str) -> str:
    distribution = {"gaussian": r"\operatorname{Normal}(\eta_i,\ \sigma^2)"}.get(
        family, rf"\operatorname{{{family}}}(\eta_i)"
    )
    return rf"{_symbol(design.response)}_i \sim {distribution}"


def _row_equation(design: Design, single: Term | None, moved: set[str]) -> str:
    parts: list[str] = []
    varying = set(single.effects) if single else set()
    if single:
        for position, effect in enumerate(single.effects):
            parts.append(rf"\beta_{{{position},j[i]}}" + ("" if effect == INTERCEPT else rf"\,{_symbol(effect)}_i"))
    parts += _row_coefficients(design, moved | (varying if single else set()))
    if not single:
        parts += [_deviations(term, number) for number, term in enumerate(design.group_terms)]
    if design.offset.any():
        parts.append(r"\text{offset}_i")
    return r"\eta_i = " + (" + ".join(parts) if parts else "0")


def _row_coefficients(design: Design, skip: set[str]) -> list[str]:
    """Return the fixed coefficients that stay at the level of rows; many contrasts of one factor become one symbol."""
    parts: list[str] = []
    done: set[str] = set()
    for name, term in zip(design.coefficients, design.terms_of, strict=True):
        if name in skip or term in done:
            continue
        same = [c for c, t in zip(design.coefficients, design.terms_of, strict=True) if t == term]
        if len(same) > 3:
            done.add(term)
            parts.append(rf"\gamma_{{{_symbol(term)}[i]}}")
        elif name == INTERCEPT:
            parts.append(r"\gamma_{0}")
        else:
            parts.append(rf"\gamma_{{{_symbol(name)}}}\,{_symbol(name)}_i")
    return parts


def _upper_columns(design: Design, term: Term) -> dict[int, list[tuple[str, str]]]:
    """Return, for each effect of a term, the fixed columns that predict it at the group's level, with the predictor's name.

    A column does so where it is the effect's own column times something constant within levels.
    """
    found: dict[int, list[tuple[str, str]]] = {}
    for name, column in zip(design.coefficients, design.x.T, strict=True):
        if name == INTERCEPT or name in term.effects:
            continue
        for position, effect in enumerate(term.effects):
            pieces = name.split(":")
            if effect == INTERCEPT:
                if _constant_within(column, term):
                    found.setdefault(position, []).append((name, name))
                    break
            elif effect in pieces:
                rest = [p for p in pieces if p != effect]
                index = [design.coefficients.index(p) for p in rest if p in design.coefficients]
                if rest and len(index) == len(rest) and all(_constant_within(design.x[:, i], term) for i in index):
                    found.setdefault(position, []).append((name, ":".join(rest)))
                    break
    return found


def _constant_within(column: np.ndarray, term: Term) -> bool:
    low = np.full(len(term.levels), np.inf)
    high = np.full(len(term.levels), -np.inf)
    np.minimum.at(low, term.index, column)
    np.maximum.at(high, term.index, column)
    return bool((high - low <= 1e-12 * np.maximum(1.0, np.abs(high))).all())


def _deviations(term: Term, number: int) -> str:
    pieces = [
        rf"u^{{({number + 1})}}_{{{position},k[i]}}" + ("" if effect == INTERCEPT else rf"\,{_symbol(effect)}_i")
        for position, effect in enumerate(term.effects)
    ]
    return " + ".join(pieces).replace("k[i]", f"j_{{{number + 1}}}[i]")


def _group_equations(
    design: Design, term: Term, number: int, single: bool, upper: dict[int, list[tuple[str, str]]]
) -> list[str]:
    lines: list[str] = []
    if single:
        for position, effect in enumerate(term.effects):
            parts = (
                [rf"\gamma_{{{'0' if effect == INTERCEPT else _symbol(effect)}}}"]
                if effect in design.coefficients
                else []
            )
            parts += [
                rf"\gamma_{{{_symbol(name)}}}\,{_symbol(predictor)}_j" for name, predictor in upper.get(position, [])
            ]
            lines.append(rf"\beta_{{{position},j}} = " + " + ".join([*parts, rf"u_{{{position},j}}"]))
    superscript = "" if single else rf"^{{({number + 1})}}"
    size = len(term.effects)
    if size == 1:
        lines.append(rf"u{superscript}_{{0,j}} \sim \operatorname{{Normal}}(0,\ \tau{superscript}_0{{}}^2)")
    elif not term.correlated:
        lines += [
            rf"u{superscript}_{{{i},j}} \sim \operatorname{{Normal}}(0,\ \tau{superscript}_{i}{{}}^2)"
            for i in range(size)
        ]
    else:
        vector = r" \\ ".join(rf"u{superscript}_{{{i},j}}" for i in range(size))
        cells = r" \\ ".join(
            " & ".join(
                rf"\tau{superscript}_{i}{{}}^2" if i == j else _covariance(superscript, min(i, j), max(i, j))
                for j in range(size)
            )
            for i in range(size)
        )
        zero = r" \\ ".join(["0"] * size)
        lines.append(
            rf"\begin{{pmatrix}} {vector} \end{{pmatrix}} \sim "
            rf"\operatorname{{Normal}}\left(\begin{{pmatrix}} {zero} \end{{pmatrix}},\ "
            rf"\begin{{pmatrix}} {cells} \end{{pmatrix}}\right)"
        )
    return lines


def _covariance(superscript: str, first: int, second: int) -> str:
    deviations = rf"\tau{superscript}_{first}\,\tau{superscript}_{second}"
    return rf"\rho{superscript}_{{{first}{second}}}\,{deviations}"


def _plain(design: Design) -> str:
    predictors = list(dict.fromkeys(t for t in design.terms_of if t != INTERCEPT))
    first = (
        f"{design.response} is explained by {', '.join(predictors)}"
        if predictors
        else f"{design.response} has {'one common mean' if design.has_intercept else 'mean 0'}"
    )
    if not design.group_terms:
        return f"{first}; rows are independent given these, whatever group they belong to."
    parts = []
    for term in design.group_terms:
        names = ["level" if e == INTERCEPT else f"effect of {e}" for e in term.effects]
        link = " and ".join(names) + (
            ", correlated" if term.correlated else (", independent of each other" if len(names) > 1 else "")
        )
        sentence = structures.get(term.structure).SENTENCE
        parts.append(f"each of the {len(term.levels)} levels of {term.group} has its own {link} ({sentence})")
    return f"{first}; {'; '.join(parts)}."
