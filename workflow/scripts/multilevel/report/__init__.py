"""The report: small files of a finished study in, one self-contained page out.

It reads JSON, CSV and figures, never a posterior, and imports none of the libraries that could open one.
"""

from multilevel.report.index import build_index
from multilevel.report.page import build_qmd
from multilevel.report.record import RecordError, build_record
from multilevel.report.render import Renderer, RenderError, find_renderer, render

__all__ = [
    "RecordError",
    "RenderError",
    "Renderer",
    "build_index",
    "build_qmd",
    "build_record",
    "find_renderer",
    "render",
]
