"""The figures of the report: one per file, each a pure function from a tidy table to a matplotlib figure.

`theme` holds what all of them share (colours, font, sizes, and `save`), `labels` what makes names from outside safe
and short enough to draw, `layout` the few shapes that several figures are built from. No file here touches pyplot.
"""
