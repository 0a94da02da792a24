"""Numbers as a reader wants them: no more digits than the simulation supports."""

from __future__ import annotations

import math
from typing import Any

ABSENT = "—"
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def as_float(value: Any) -> float | None:
    """Return a number, or None for what is absent, empty, not a number or a truth value."""
    if value is None or isinstance(value, bool) or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else number


def fixed(value: Any, decimals: int) -> str:
    """Return a number with `decimals` digits after the point and a true minus sign."""
    number = as_float(value)
    if number is None:
        return ABSENT
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    text = f"{number:,.{max(0, decimals)}f}" if abs(number) >= 10_000 else f"{number:.{max(0, decimals)}f}"
    is_zero = not text.strip("-0.,")
    return text.lstrip("-") if is_zero else text.replace("-", "−")


def decimals_for(mcse: Any, sd: Any = None) -> int | None:
    """Return how many decimals a simulated number supports, or None where nothing is known.

    The Monte Carlo standard error is at most two units of the last digit, and no more than two significant digits of
    the posterior standard deviation are shown.
    """
    error, spread = as_float(mcse), as_float(sd)
    limits = []
    if error is not None and 0 < error < math.inf:
        limits.append(math.floor(-math.log10(error / 2)))
    if spread is not None and 0 < spread < math.inf:
        limits.append(1 - math.floor(math.log10(spread)))
    return min(8, max(0, min(limits))) if limits else None


def significant(value: Any, digits: int = 3) -> str:
    """Return a number with `digits` significant digits; whole numbers are not cut."""
    number = as_float(value)
    if number is None or math.isinf(number) or number == 0:
        return fixed(value, 0)
    if abs(number) >= 1e7 or abs(number) < 1e-4:
        mantissa, exponent = f"{number:.{digits - 1}e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    return fixed(number, max(0, digits - 1 - math.floor(math.log10(abs(number)))))


def shortest(value: Any, digits: int = 4) -> str:
    """Return a number that a person chose, such as a threshold, without zeros at its end."""
    text = significant(value, digits)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def estimate(value: Any, mcse: Any = None, sd: Any = None) -> str:
    """Return an estimate with the digits that its Monte Carlo error supports, else with three significant digits."""
    decimals = decimals_for(mcse, sd)
    return significant(value) if decimals is None else fixed(value, decimals)


def interval(lower: Any, upper: Any, mcse: Any = None, sd: Any = None) -> str:
    """Return ``0.12 to 0.34``: a reader cannot take the word for a minus sign."""
    return f"{estimate(lower, mcse, sd)} to {estimate(upper, mcse, sd)}"


def count(value: Any) -> str:
    """Return a whole number with commas between the thousands."""
    number = as_float(value)
    if number is None or math.isinf(number):
        return fixed(value, 0)
    return f"{number:,.0f}".replace("-", "−")


def in_words(number: int) -> str:
    """Return a small count as a word."""
    return _WORDS[number] if 0 <= number < len(_WORDS) else count(number)


def probability(value: Any) -> str:
    """Return a probability with two or three decimals; never a false zero or one."""
    number = as_float(value)
    if number is None:
        return ABSENT
    if 0 <= number < 0.001:
        return "< 0.001"
    if 0.999 < number <= 1:
        return "> 0.999"
    return fixed(number, 3 if number < 0.1 or number > 0.9 else 2)


def plural(number: Any, singular: str, plural_form: str = "") -> str:
    """Return ``1 row`` or ``3 rows``."""
    word = singular if as_float(number) == 1 else plural_form or f"{singular}s"
    return f"{count(number)} {word}"
