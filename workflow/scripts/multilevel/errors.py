"""Errors that a user of a study file reads: what is wrong, where, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a study.

    Parameters
    ----------
    where
        The place in the study, as a path of keys: ``models.varying_slope.formula``.
    message
        One sentence without a final full stop.
    hint
        What was probably meant, or what to do; may be empty.
    """

    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """Return the problem as one line."""
        tail = f"; {self.hint}" if self.hint else ""
        line = f"{self.where}: {self.message}{tail}" if self.where else f"{self.message}{tail}"
        # What users wrote may hold characters that move the cursor or that no terminal takes.
        return "".join(
            char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in line
        )


class StudyError(Exception):
    """A study that cannot be run, with every problem found.

    Parameters
    ----------
    problems
        At least one problem.
    source
        The study file, named once at the top of the message.
    """

    def __init__(self, problems: Iterable[Problem], source: str = "") -> None:
        self.problems = list(problems)
        self.source = source
        super().__init__(self.render())

    def render(self) -> str:
        """Return the whole message, one line for each problem."""
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        head = f"{self.source}: {count} {noun}" if self.source else f"{count} {noun}"
        return "\n".join([head, *(f"  - {problem}" for problem in self.problems)])


class FormulaError(ValueError):
    """A formula or expression that is refused; the message says why."""


class FitError(RuntimeError):
    """A fit that cannot be made; the message is the sentence that its log ends with."""


def did_you_mean(word: str, choices: Iterable[str], most: int = 12) -> str:
    """Return ``did you mean 'x'?`` for the nearest choice, or the list of choices, or nothing.

    Parameters
    ----------
    word
        What the user wrote.
    choices
        What would have been accepted.
    most
        Most choices that are listed.
    """
    known = sorted({str(choice) for choice in choices})
    lowered = {choice.lower(): choice for choice in known}
    near = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    if near:
        return f"did you mean '{lowered[near[0]]}'?"
    if known and len(known) <= most:
        return "choose from " + ", ".join(known)
    return ""
