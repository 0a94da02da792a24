"""Names that users give."""

NAME_PATTERN = r"[A-Za-z][A-Za-z0-9_]{0,63}"
"""What users may call a study, a model or a comparison; also the wildcard constraint of every rule."""

RESERVED = frozenset({"Intercept", "chain", "coefficient", "draw", "offset", "row", "row_id"})
"""Names that a column used in a model cannot have: they stand for something else in formulas and stored posteriors."""
