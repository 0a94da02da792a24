"""Why a matrix cannot be built, in the words of a study: what formulaic and NumPy say is made for programmers."""

from __future__ import annotations

import ast
import re

import pandas as pd

from multilevel import formula, transforms

_SAID = (
    (r".*contains null values.*", "has no value in some rows, such as the logarithm of a number below 0"),
    (r".*`df` must be greater than (\d+).*", r"needs a df above \1"),
    (r".*[Mm]ust specify either 'df' or 'knots'.*", "needs a df, or knots"),
    (r".*cannot specify both `df` and `knots`.*", "takes a df or knots, not both"),
    (
        r".*Value `'?(.*?)'?` for `.*` is not among the provided levels.*",
        r"names the level '\1', which is not in the data",
    ),
    (r".*extend beyond upper and/or lower bounds.*|.*outside.*bounds.*", "has values outside its bounds"),
    (r".*could not convert string to float: (.*)", r"holds the text \1 where numbers are needed"),
    (r".*[Kk]not.*", "has knots that do not fit the values"),
    (r".*Cannot perform .* with less than .*|.*at least .* unique.*", "needs more different values"),
)
"""What is said, and what it means for a factor of the formula."""


def text_in_arithmetic(text: str, frame: pd.DataFrame) -> list[str]:
    """Return a sentence for each function of the formula that computes with a column of text.

    Parameters
    ----------
    text
        A checked right-hand side.
    frame
        The columns.
    """
    found = []
    for call in formula.calls(text):
        assert isinstance(call.func, ast.Name)
        if call.func.id in transforms.OF_LEVELS:
            continue
        names = sorted(formula.predictor_names(ast.unparse(call)) & set(map(str, frame.columns)))
        found += [
            f"'{ast.unparse(call)}' computes with the column '{name}', which is text"
            for name in names
            if frame[name].dtype.kind not in "fiub"
        ]
    return list(dict.fromkeys(found))


def sentence(text: str, error: Exception) -> str:
    """Return a sentence for an error raised while a matrix was built.

    Parameters
    ----------
    text
        The right-hand side.
    error
        What formulaic or NumPy raised.
    """
    said = " ".join(str(error).split())
    factor = re.search(r"factor `(.+?)`\. \[(?:\w+: )?(.*)\]$", said) or re.search(r"nulls in `(.+?)`: (.*)", said)
    subject, reason = (factor.group(1), factor.group(2)) if factor else (re.sub(r"^[01] \+ ", "", text), said)
    for pattern, words in _SAID:
        if match := re.fullmatch(pattern, reason):
            return f"'{subject}' {match.expand(words)}"
    reason = reason.replace("`", "'").rstrip(".")
    return (
        f"'{subject}' cannot be computed ({reason[:1].lower()}{reason[1:]})"
        if reason
        else f"'{subject}' cannot be computed"
    )
