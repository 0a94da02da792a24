"""Multilevel model comparison: the library behind the workflow."""
