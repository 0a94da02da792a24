"""First-order autoregression in continuous time: cor(e_t, e_u) = phi^|t - u|, 0 < phi < 1, for times as they were measured.

phi is the correlation of residuals one unit of time apart, as corCAR1 of R's nlme has it.
"""

from __future__ import annotations

from multilevel.residuals.ar1 import coloured, correlation, log_determinant, precision, whitened

__all__ = ["SENTENCE", "TIME", "coloured", "correlation", "log_determinant", "precision", "whitened"]

SENTENCE = "residuals of one {group} are correlated, by phi to the power of the time ({time}) between them"
TIME = "number"
