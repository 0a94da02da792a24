# PSIS-LOO, WAIC, their comparison and weights of four models by R's loo, from stored draws, printed as JSON.
#
# Usage: Rscript loo_of_draws.R TABLE.csv DRAWS.csv
#
# TABLE: columns y, x, z, g. DRAWS: columns model, intercept, x, z, sigma and one for each level of g; coefficients that a model
# does not have are 0. The log likelihood of a row at a draw is that of a normal with mean intercept + x x_i + z z_i + effect of g_i.
# The draws are independent, and r_eff is 1. Pseudo-BMA+ is random: it is repeated, from loo's default of 1000 bootstrap draws.

suppressPackageStartupMessages({
  library(loo)
  library(jsonlite)
})
options(mc.cores = 1)
arguments <- commandArgs(trailingOnly = TRUE)
rows <- read.csv(arguments[1], stringsAsFactors = FALSE)
draws <- read.csv(arguments[2], stringsAsFactors = FALSE)

log_likelihood <- function(d) {
  effects <- as.matrix(d[, rows$g])
  mean <- d$intercept + d$x %*% t(rows$x) + d$z %*% t(rows$z) + effects
  matrix(dnorm(rep(rows$y, each = nrow(d)), mean, d$sigma, log = TRUE), nrow(d))
}
matrices <- lapply(split(draws, factor(draws$model, unique(draws$model))), log_likelihood)
loos <- lapply(matrices, function(m) suppressWarnings(loo(m, r_eff = rep(1, ncol(m)))))
waics <- lapply(matrices, function(m) suppressWarnings(waic(m)))

totals <- function(found) lapply(setNames(rownames(found$estimates), rownames(found$estimates)),
                                 function(name) list(estimate = found$estimates[name, 1], se = found$estimates[name, 2]))
described <- function(name) list(
  loo = totals(loos[[name]]), elpd = unname(loos[[name]]$pointwise[, "elpd_loo"]),
  p_loo = unname(loos[[name]]$pointwise[, "p_loo"]), pareto_k = loos[[name]]$diagnostics$pareto_k,
  waic = totals(waics[[name]]), p_waic = unname(waics[[name]]$pointwise[, "p_waic"])
)
compared <- loo_compare(loos)
set.seed(1)
bootstrap <- t(replicate(25, as.numeric(loo_model_weights(loos, method = "pseudobma"))))
stacked <- loo_model_weights(loos, method = "stacking", optim_control = list(reltol = 1e-14))
cat(toJSON(list(
  versions = list(R = as.character(getRversion()), loo = as.character(packageVersion("loo"))),
  models = lapply(setNames(names(matrices), names(matrices)), described),
  compare = lapply(rownames(compared), function(m) list(model = m, elpd_diff = compared[m, "elpd_diff"], se_diff = compared[m, "se_diff"])),
  stacking = as.list(setNames(as.numeric(stacked), names(loos))),
  pseudo_bma = list(seed = 1, repeats = apply(bootstrap, 1, function(w) as.list(setNames(w, names(loos)))))
), auto_unbox = TRUE, digits = NA, pretty = FALSE), "\n")
