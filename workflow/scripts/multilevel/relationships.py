"""Known covariances over the levels of a group: pedigrees, phylogenies and matrices, read, checked and factored.

A covariance K over levels is used through a factor F with K = F F', which exists where K is singular too (identical
twins): effects are F times independent ones, so that no inverse of K is ever needed.

Of a pedigree, K is the additive relationship matrix A = T D T' (Henderson 1976, Biometrics 32:69). T is built generation by
generation: an individual's row is half that of either parent, and 1 for itself; D holds the Mendelian sampling variances
with inbreeding (Quaas 1976, Biometrics 32:949). Of a phylogeny, K holds the lengths of branches that two tips share, as
under Brownian motion (Felsenstein 1985, American Naturalist 125:1). Of a matrix, F is a Cholesky factor with complete
pivoting that stops at the rank, one for each set of levels that are related at all.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack
from scipy.sparse.csgraph import connected_components

from multilevel.errors import Problem, StudyError, did_you_mean

Array = NDArray[np.float64]
Index = NDArray[np.int64]

UNKNOWN = frozenset({"", "NA", "NaN", "nan", "."})
"""What a pedigree file has for an unknown parent, besides 0 where no individual is called so."""

FATHERS, MOTHERS = ("sire", "father"), ("dam", "mother")

SYMMETRIC = 1e-8
"""Largest difference of two halves of a matrix, in units of its largest element."""

RANK = 1e-10
"""Pivots below this share of the largest variance count as zero."""

PREFIX = "cov("
"""What the names of covariances start with among the digests of a dataset: no column is called so."""


@dataclass(frozen=True)
class Covariance:
    """A covariance over levels, as its file gives it.

    Parameters
    ----------
    kind
        ``pedigree`` or ``matrix``.
    levels
        The levels, shape (levels,).
    rows, columns
        Of a matrix, the positions of its elements on and below the diagonal; of a pedigree, those of father and mother of
        each individual, -1 where unknown.
    values
        Of a matrix, its elements; nothing of a pedigree.
    """

    kind: str
    levels: tuple[str, ...]
    rows: Index
    columns: Index
    values: Array

    @property
    def digest(self) -> str:
        """SHA-256 of everything that it says."""
        parts = [self.kind.encode(), "\x1f".join(self.levels).encode()]
        parts += [a.astype("<i8").tobytes() for a in (self.rows, self.columns)] + [self.values.astype("<f8").tobytes()]
        return hashlib.sha256(b"|".join(parts)).hexdigest()

    def matrix(self) -> Any:
        """Return K over all levels, sparse and symmetric."""
        if self.kind == "pedigree":
            factor = self.whole_factor()
            return (factor @ factor.T).tocsr()
        size = (len(self.levels), len(self.levels))
        lower = sparse.coo_matrix((self.values, (self.rows, self.columns)), shape=size).tocsr()
        return (lower + sparse.tril(lower, k=-1).T).tocsr()

    def whole_factor(self) -> Any:
        """Return F over all levels, sparse, with K = F F'."""
        if self.kind == "matrix":
            return semidefinite_factor(self.matrix())
        t, d = pedigree_factors(self.rows, self.columns)
        return (t @ sparse.diags(np.sqrt(d))).tocsr()

    def factor(self, levels: Sequence[str]) -> Any:
        """Return F over some levels, sparse, shape (levels, columns), without columns of zeros.

        Raises
        ------
        KeyError
            With the first level that it does not know.
        """
        place = {level: i for i, level in enumerate(self.levels)}
        chosen = [place[level] for level in levels]
        if self.kind == "matrix":
            return semidefinite_factor(self.matrix()[chosen][:, chosen])
        own = self.whole_factor()[chosen]
        return own[:, np.flatnonzero(own.getnnz(axis=0))].tocsr()


def semidefinite_factor(matrix: Any) -> Any:
    """Return a sparse F of full column rank with F F' equal to a sparse positive semi-definite matrix.

    Raises
    ------
    ValueError
        With the smallest eigenvalue in units of the largest variance, where it is negative.
    """
    size = matrix.shape[0]
    count, owner = connected_components(matrix, directed=False)
    order = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[order], np.arange(count + 1))
    largest = float(matrix.diagonal().max(initial=0.0))
    rows: list[Index] = []
    columns: list[Index] = []
    values: list[Array] = []
    used = 0
    for part in range(count):
        own = np.sort(order[starts[part] : starts[part + 1]])
        block = matrix[own][:, own].toarray()
        found = _dense_factor(block, largest)
        where = np.nonzero(found)
        rows.append(own[where[0]])
        columns.append(used + where[1])
        values.append(found[where])
        used += found.shape[1]
    place = (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_matrix((np.concatenate(values), place), shape=(size, used))


def _dense_factor(block: Array, largest: float) -> Array:
    if len(block) == 1 and block[0, 0] >= 0:
        return np.sqrt(block) if block[0, 0] > RANK * largest else np.zeros((1, 0))
    found, pivots, rank, _ = lapack.dpstrf(block, tol=RANK * max(largest, 1e-300), lower=1)
    lower = np.tril(found)[:, :rank]
    factor = np.empty_like(lower)
    factor[pivots - 1] = lower
    if np.abs(factor @ factor.T - block).max(initial=0.0) > 1e-7 * largest:
        raise ValueError(f"{np.linalg.eigvalsh(block)[0]:.3g}")
    return factor


def pedigree_factors(fathers: Index, mothers: Index) -> tuple[Any, Array]:
    """Return T and the diagonal of D with A = T D T', in the order of the individuals.

    Parameters
    ----------
    fathers, mothers
        Positions of the parents, -1 where unknown, without a cycle.
    """
    size = len(fathers)
    generation = _generations(fathers, mothers)
    d = np.ones(size)
    inbreeding = np.zeros(size)
    done = sparse.csr_matrix((size, size))
    for number in range(int(generation.max(initial=0)) + 1):
        own = np.flatnonzero(generation == number)
        parents = [(own[side[own] >= 0], side[own][side[own] >= 0]) for side in (fathers, mothers)]
        rows = np.concatenate([own, *(children for children, _ in parents)])
        halves = np.concatenate([np.zeros(len(own)), *(np.full(len(c), 0.5) for c, _ in parents)])
        columns = np.concatenate([own, *(p for _, p in parents)])
        for children, known in parents:
            np.subtract.at(d, children, 0.25 * (1.0 + inbreeding[known]))
        inherited = sparse.csr_matrix((halves, (rows, columns)), shape=(size, size)) @ done
        done = (done + inherited + sparse.csr_matrix((np.ones(len(own)), (own, own)), shape=(size, size))).tocsr()
        inbreeding[own] = np.asarray(done[own].power(2) @ d).ravel() - 1.0
    return done, np.maximum(d, 0.0)


def inverse_relationship(fathers: Index, mothers: Index) -> Any:
    """Return the inverse of A, sparse, by Henderson's rules: (T^-1)' D^-1 T^-1 with T^-1 = I - half for each parent."""
    size = len(fathers)
    _, d = pedigree_factors(fathers, mothers)
    back = sparse.eye(size, format="csr")
    for side in (fathers, mothers):
        children = np.flatnonzero(side >= 0)
        back = back - sparse.csr_matrix((np.full(len(children), 0.5), (children, side[children])), shape=(size, size))
    return (back.T @ sparse.diags(1.0 / d) @ back).tocsr()


def _generations(fathers: Index, mothers: Index) -> Index:
    """Return the longest line of ancestors of each individual, by number."""
    generation = np.zeros(len(fathers), dtype=np.int64)
    for _ in range(len(fathers) + 1):
        above = np.maximum(*(np.where(side >= 0, generation[side] + 1, 0) for side in (fathers, mothers)))
        if np.array_equal(above, generation):
            return generation
        generation = above
    raise ValueError("the pedigree has a cycle")


def _in_a_cycle(fathers: Index, mothers: Index) -> int:
    """Return an individual that is its own ancestor, -1 where there is none: all others can be told one after another."""
    told = np.zeros(len(fathers), dtype=bool)
    while True:
        able = ~told & np.logical_and(*((side < 0) | told[side] for side in (fathers, mothers)))
        if not able.any():
            break
        told |= able
    if told.all():
        return -1
    at = int(np.flatnonzero(~told)[0])
    seen: list[int] = []
    while at not in seen:
        seen.append(at)
        at = next(int(side[at]) for side in (fathers, mothers) if side[at] >= 0 and not told[side[at]])
    return at


# -- files -------------------------------------------------------------------------------------------------------------


def read(name: str, entry: Mapping[str, Any], root: Path) -> Covariance:
    """Read a covariance of the study.

    Parameters
    ----------
    name
        Its name, for messages.
    entry
        ``pedigree``, ``phylogeny`` or ``matrix`` with the path of a file, and ``correlation``.
    root
        The project folder.

    Raises
    ------
    StudyError
        With what is wrong with the file.
    """
    where = f"data.covariances.{name}"
    kinds = [key for key in ("pedigree", "phylogeny", "matrix") if entry.get(key)]
    if len(kinds) != 1:
        given = f"both {' and '.join(kinds)}" if kinds else "none of pedigree, phylogeny and matrix"
        raise StudyError([Problem(where, f"it has {given}", "name one file")])
    kind = kinds[0]
    if kind == "pedigree" and entry.get("correlation"):
        raise StudyError([Problem(where, "a pedigree's variances are 1 and inbreeding, so it takes no correlation")])
    path = root / entry[kind]
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
    except FileNotFoundError:
        raise StudyError([Problem(where, f"there is no file '{entry[kind]}'")]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError([Problem(where, f"'{entry[kind]}' cannot be read ({error})")]) from None
    text = text.removeprefix("\ufeff")
    reader = {"pedigree": read_pedigree, "phylogeny": read_phylogeny, "matrix": read_matrix}[kind]
    try:
        found = reader(text)
        if kind != "pedigree":
            found = _checked(found, scale=bool(entry.get("correlation")))
    except BadFileError as error:
        raise StudyError([Problem(f"{where}.{kind}", error.message, error.hint)]) from None
    return found


class BadFileError(ValueError):
    """What is wrong with the text of a file, and what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def _records(text: str) -> list[list[str]]:
    head = text.split("\n", 1)[0]
    separator = "\t" if "\t" in head else ";" if ";" in head and "," not in head else ","
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines(), delimiter=separator) if any(row)]
    if len(rows) < 2:
        raise BadFileError("the file has no rows")
    if odd := next((i for i, row in enumerate(rows) if len(row) != len(rows[0])), 0):
        raise BadFileError(f"row {odd} has {len(rows[odd])} fields and the header {len(rows[0])}")
    return rows


def _repeated(names: Sequence[str]) -> str | None:
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value]


def read_pedigree(text: str) -> Covariance:
    """Read the parents of each individual."""
    rows = _records(text)
    header = [cell.lower() for cell in rows[0]]
    at = []
    for names in (("id", "animal"), FATHERS, MOTHERS):
        if (found := next((header.index(n) for n in names if n in header), None)) is None:
            raise BadFileError(
                f"the pedigree has no column {' or '.join(f"'{n}'" for n in names)}",
                f"its columns are {', '.join(rows[0])}",
            )
        at.append(found)
    levels = tuple(row[at[0]] for row in rows[1:])
    if (twice := _repeated(levels)) is not None:
        raise BadFileError(f"'{twice}' stands twice in the pedigree", "give each individual one row")
    place = {level: i for i, level in enumerate(levels)}
    parents = []
    for column, noun in zip(at[1:], ("father", "mother"), strict=True):
        side = np.full(len(levels), -1, dtype=np.int64)
        for i, row in enumerate(rows[1:]):
            parent = row[column]
            if parent in UNKNOWN or (parent == "0" and "0" not in place):
                continue
            if parent not in place:
                raise BadFileError(
                    f"the {noun} '{parent}' of '{levels[i]}' is not in the pedigree",
                    "give each parent a row of its own, with empty fields where its parents are unknown",
                )
            side[i] = place[parent]
        parents.append(side)
    if (circular := _in_a_cycle(*parents)) >= 0:
        raise BadFileError(f"'{levels[circular]}' is its own ancestor: {' < '.join(_line(circular, levels, *parents))}")
    return Covariance("pedigree", levels, parents[0], parents[1], np.zeros(0))


def _line(start: int, levels: Sequence[str], fathers: Index, mothers: Index) -> list[str]:
    """Return a line of ancestors from an individual of a cycle back to itself."""
    queue: list[list[int]] = [[start]]
    found: list[int] = []
    while queue and not found:
        line = queue.pop(0)
        for parent in (int(side[line[-1]]) for side in (fathers, mothers)):
            if parent == start:
                found = [*line, start]
            elif parent >= 0 and parent not in line:
                queue.append([*line, parent])
    return [f"'{levels[i]}'" for i in found]


def _number(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise BadFileError(f"'{text}' is no finite number ({what})")
    return value


def read_matrix(text: str) -> Covariance:
    """Read a square matrix with names above and beside it, or its elements as rows of two names and a value."""
    rows = _records(text)
    if len(rows[0]) == 3 and [cell.lower() for cell in rows[0]][2] in {"value", "covariance"}:
        return _elements(rows[1:])
    names, beside = rows[0][1:], [row[0] for row in rows[1:]]
    if len(names) != len(beside):
        raise BadFileError(
            f"the matrix has {len(beside)} rows and {len(names)} columns", "it must be square, with names"
        )
    if (twice := _repeated(names)) is not None:
        raise BadFileError(f"'{twice}' stands twice above the matrix", "name each level once")
    if odd := next(((a, b) for a, b in zip(names, beside, strict=True) if a != b), None):
        raise BadFileError(
            f"the names above and beside the matrix differ: '{odd[0]}' above and '{odd[1]}' beside",
            "give rows and columns the same names in the same order",
        )
    values = np.array([[_number(c, f"row '{row[0]}'") for c in row[1:]] for row in rows[1:]])
    apart = np.abs(values - values.T)
    if apart.max() > SYMMETRIC * np.abs(values).max():
        i, j = np.unravel_index(int(apart.argmax()), apart.shape)
        raise BadFileError(
            f"the matrix is not symmetric: {values[i, j]:g} for '{names[i]}' and '{names[j]}', {values[j, i]:g} the other way"
        )
    where = np.nonzero(np.tril(values))
    return Covariance("matrix", tuple(names), where[0].astype(np.int64), where[1].astype(np.int64), values[where])


def _elements(rows: Sequence[Sequence[str]]) -> Covariance:
    """Read elements; a pair that is not listed has a covariance of 0, and every level its variance."""
    levels = tuple(dict.fromkeys(name for row in rows for name in row[:2]))
    place = {level: i for i, level in enumerate(levels)}
    found: dict[tuple[int, int], float] = {}
    for first, second, text in rows:
        value, pair = _number(text, f"of '{first}' and '{second}'"), (place[first], place[second])
        key = (max(pair), min(pair))
        if (known := found.setdefault(key, value)) != value:
            raise BadFileError(
                f"the matrix is not symmetric: {known:g} for '{second}' and '{first}', {value:g} the other way"
            )
    if (lacking := next((level for i, level in enumerate(levels) if (i, i) not in found), None)) is not None:
        raise BadFileError(f"'{lacking}' has no variance", "add a row of the level with itself")
    keys = np.array(sorted(found), dtype=np.int64)
    values = np.array([found[int(i), int(j)] for i, j in keys])
    return Covariance("matrix", levels, keys[:, 0].copy(), keys[:, 1].copy(), values)


def _checked(found: Covariance, scale: bool) -> Covariance:
    """Refuse a matrix with a negative eigenvalue; scale it to variances of 1 where asked for."""
    variances = found.values[found.rows == found.columns]
    sizes = np.zeros(len(found.levels))
    sizes[found.rows[found.rows == found.columns]] = variances
    if (sizes < 0).any() or not (sizes > 0).any():
        at = int(np.argmin(sizes))
        raise BadFileError(f"the variance of '{found.levels[at]}' is {sizes[at]:g}", "variances cannot be negative")
    try:
        found.whole_factor()
    except ValueError as error:
        raise BadFileError(
            f"the matrix is not positive semi-definite: its smallest eigenvalue is {error}", "no effects can have it"
        ) from None
    if not scale:
        return found
    if (sizes == 0).any():
        raise BadFileError(f"the variance of '{found.levels[int(np.argmin(sizes))]}' is 0, so it has no correlations")
    values = found.values / np.sqrt(sizes[found.rows] * sizes[found.columns])
    return Covariance(found.kind, found.levels, found.rows, found.columns, values)


def read_phylogeny(text: str) -> Covariance:
    """Read a tree in Newick's format, with the lengths of its branches."""
    tips, above, lengths = _newick(text)
    order = list(tips)
    if (twice := _repeated([tips[i] for i in order])) is not None:
        raise BadFileError(f"the tip '{twice}' stands twice in the tree", "name each tip once")
    depth = np.zeros((len(order), len(above)))
    for row, tip in enumerate(order):
        at = tip
        while at > 0:
            depth[row, at] = lengths[at]
            at = above[at]
    shared = (depth > 0).astype(float) @ depth.T
    where = np.nonzero(np.tril(shared))
    names = tuple(tips[i] for i in order)
    return Covariance("matrix", names, where[0].astype(np.int64), where[1].astype(np.int64), shared[where])


def _newick(text: str) -> tuple[dict[int, str], list[int], list[float]]:
    """Return the tips by node, and of each node the one above and the length of the branch to it; node 0 is the root."""
    body = text.strip()
    if not body.endswith(";") or not body.startswith("("):
        raise BadFileError("the file is no tree in Newick's format, such as (a:1,(b:0.5,c:0.5):0.5);")
    above, lengths, labels, leaf = [-1], [0.0], [""], [False]
    at, token = 0, ""

    def close() -> None:
        nonlocal token
        name, _, length = token.strip().partition(":")
        labels[at] = name.strip().strip("'\"")
        if at:
            if not length:
                raise BadFileError(
                    f"the branch of '{labels[at] or 'an inner node'}' has no length", "write name:length"
                )
            lengths[at] = _number(length.strip(), f"the branch of '{labels[at] or 'an inner node'}'")
            if lengths[at] < 0:
                raise BadFileError(f"the branch of '{labels[at] or 'an inner node'}' has a negative length")
        token = ""

    for char in body[:-1]:
        if char in "(,":
            if char == ",":
                close()
            parent = at if char == "(" else above[at]
            leaf[at] = leaf[at] if char == "," else False
            if parent < 0:
                raise BadFileError("the tree has a comma outside its parentheses")
            above.append(parent)
            lengths.append(0.0)
            labels.append("")
            leaf.append(True)
            at = len(above) - 1
        elif char == ")":
            close()
            at = above[at]
            if at < 0:
                raise BadFileError("the tree closes a parenthesis that was not opened")
        else:
            token += char
    close()
    if at != 0:
        raise BadFileError("the tree has a parenthesis that does not close")
    tips = {i: labels[i] for i in range(1, len(above)) if leaf[i]}
    if unnamed := [i for i, label in tips.items() if not label]:
        raise BadFileError(f"{len(unnamed)} tips of the tree have no name")
    return tips, above, lengths


def unknown_level(levels: Sequence[str], group: str, name: str, known: Covariance) -> Problem | None:
    """Return a problem where some levels of a group are not in a covariance."""
    absent = [level for level in levels if level not in set(known.levels)]
    if not absent:
        return None
    shown = ", ".join(f"'{level}'" for level in absent[:3]) + (
        f" and {len(absent) - 3} more" if len(absent) > 3 else ""
    )
    verb = "is" if len(absent) == 1 else "are"
    message = f"{len(absent)} of the {len(levels)} levels of '{group}' {verb} not in the covariance '{name}': {shown}"
    return Problem("", message, did_you_mean(absent[0], known.levels))
