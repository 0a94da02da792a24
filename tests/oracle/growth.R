# Growth curves by nlme and lme4, by maximum likelihood, printed as JSON.
#
# Usage: Rscript growth.R DATA          (the folder data/ of the project)
#
# nlme: curves whose asymptote alone varies. That effect enters linearly, so that nlme's linearisation is exact and so is its
# likelihood. Starts are those of the self-starting functions' help pages.
# lme4: splines and polynomials with varying coefficients; `bs` of the R package splines, `poly` orthonormal.

suppressPackageStartupMessages({
  library(nlme)
  library(lme4)
  library(splines)
  library(jsonlite)
})
folder <- commandArgs(trailingOnly = TRUE)[1]
orange <- read.csv(file.path(folder, "orange", "trees.csv"))
pines <- read.csv(file.path(folder, "loblolly", "trees.csv"))

control <- nlmeControl(tolerance = 1e-8, msTol = 1e-12, maxIter = 500, pnlsMaxIter = 50, msMaxIter = 500)
of_curve <- function(model, data, group, start) {
  found <- nlme(model, data = data, fixed = as.formula(paste(paste(names(start), collapse = " + "), "~ 1")),
                random = as.formula(paste("Asym ~ 1 |", group)), start = start, control = control)
  list(log_likelihood = as.numeric(logLik(found)), coefficients = as.list(fixef(found)),
       sd = as.numeric(VarCorr(found)["Asym", "StdDev"]), sigma = found$sigma)
}
nloptwrap <- lmerControl("nloptwrap", optCtrl = list(algorithm = "NLOPT_LN_BOBYQA", xtol_abs = 1e-12, xtol_rel = 1e-12,
                                                     ftol_abs = 1e-14, ftol_rel = 1e-14, maxeval = 1e5))
of_lines <- function(formula) {
  found <- lmer(formula, pines, REML = FALSE, control = nloptwrap)
  deviations <- as.data.frame(VarCorr(found))
  named <- ifelse(is.na(deviations$var2), deviations$var1, paste(deviations$var1, deviations$var2, sep = ", "))
  list(log_likelihood = as.numeric(logLik(found)), coefficients = as.list(fixef(found)),
       deviations = as.list(setNames(deviations$sdcor, ifelse(deviations$grp == "Residual", "sigma", named))))
}
cat(toJSON(list(
  versions = list(R = as.character(getRversion()), nlme = as.character(packageVersion("nlme")),
                  lme4 = as.character(packageVersion("lme4"))),
  curves = list(
    orange = of_curve(circumference ~ SSlogis(age, Asym, xmid, scal), orange, "Tree", c(Asym = 192, xmid = 728, scal = 353)),
    loblolly = of_curve(height ~ SSasymp(age, Asym, R0, lrc), pines, "Seed", c(Asym = 103, R0 = -8.5, lrc = -3.3))
  ),
  lines = list(
    spline = of_lines(height ~ bs(age, df = 4) + (1 | Seed)),
    spline_slopes = of_lines(height ~ bs(age, df = 4) + (1 + age | Seed)),
    varying_spline = of_lines(height ~ bs(age, df = 4) + (1 + bs(age, df = 3) | Seed)),
    varying_parabola = of_lines(height ~ poly(age, 3) + (1 + poly(age, 2) | Seed))
  )
), digits = NA, auto_unbox = TRUE, pretty = TRUE))
