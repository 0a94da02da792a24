"""The computed parts of the report, a module for each section; the prose around them is in ``reports/templates``."""
