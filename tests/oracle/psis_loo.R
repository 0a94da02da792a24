# Pareto-smoothed leave-one-out of a given matrix of log likelihoods by R's loo, printed as JSON.
#
# Usage: Rscript psis_loo.R MATRIX.csv CHAINS    (a row per draw, chain after chain; a column per observation)

suppressPackageStartupMessages({
  library(loo)
  library(jsonlite)
})
options(mc.cores = 1)

arguments <- commandArgs(trailingOnly = TRUE)
log_lik <- as.matrix(read.csv(arguments[1]))
chain <- rep(seq_len(as.integer(arguments[2])), each = nrow(log_lik) / as.integer(arguments[2]))
r_eff <- relative_eff(exp(log_lik), chain_id = chain)
found <- suppressWarnings(loo(log_lik, r_eff = r_eff))
cat(toJSON(list(
  versions = list(R = as.character(getRversion()), loo = as.character(packageVersion("loo"))),
  draws = nrow(log_lik),
  elpd = found$estimates["elpd_loo", 1], se = found$estimates["elpd_loo", 2], p_loo = found$estimates["p_loo", 1],
  looic = found$estimates["looic", 1],
  pointwise = lapply(setNames(seq_len(ncol(log_lik)), colnames(log_lik)), function(i) list(
    elpd = found$pointwise[i, "elpd_loo"], p_loo = found$pointwise[i, "p_loo"],
    mcse = found$pointwise[i, "mcse_elpd_loo"], pareto_k = found$diagnostics$pareto_k[i], r_eff = unname(r_eff)[i]
  ))
), auto_unbox = TRUE, digits = NA, na = "null", null = "null", pretty = TRUE), "\n")
