# Maximum-likelihood fits of Bernoulli and Poisson models with a varying intercept, printed as JSON.
#
# Usage: Rscript glmer.R TABLE.csv        (columns yes, count, exposure, x, clinic)
#
# nAGQ = 25: the clinics' effects are integrated out by adaptive Gauss-Hermite quadrature with 25 nodes. With nAGQ > 1 logLik()
# of this lme4 is -1/2 of a deviance whose rows are measured from the saturated model, so it is the log likelihood less that of
# the saturated model, sum_i log p(y_i | mean y_i): 0 for Bernoulli rows, not for Poisson ones. With nAGQ = 1 (Laplace) it is the
# log likelihood itself. Both are printed as they are, and the saturated model's beside them.

suppressPackageStartupMessages({
  library(lme4)
  library(jsonlite)
})

our_name <- function(column) if (column == "(Intercept)") "Intercept" else sprintf("b(%s)", column)

fit <- function(formula, family, data, saturated) {
  control <- glmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.02, rhoend = 1e-9, maxfun = 1e5))
  of_nodes <- function(nodes) glmer(formula, data, family, nAGQ = nodes, control = control)
  laplace <- of_nodes(1)
  best <- of_nodes(25)
  described <- function(found) list(
    fixed = setNames(as.list(unname(fixef(found))), vapply(names(fixef(found)), our_name, "")),
    sd = setNames(list(attr(VarCorr(found)$clinic, "stddev")[[1]]), "sd(clinic: Intercept)"),
    log_lik = as.numeric(logLik(found))
  )
  c(list(formula = paste(deparse(formula, width.cutoff = 500), collapse = ""), family = family$family, link = family$link,
         saturated = sum(saturated)),
    list(agq = described(best), laplace = described(laplace)))
}

data <- read.csv(commandArgs(trailingOnly = TRUE)[1], stringsAsFactors = FALSE)
models <- list(
  bernoulli = fit(yes ~ x + (1 | clinic), binomial("logit"), data, dbinom(data$yes, 1, data$yes, log = TRUE)),
  poisson = fit(count ~ x + offset(log(exposure)) + (1 | clinic), poisson("log"), data,
                dpois(data$count, data$count, log = TRUE))
)
versions <- list(R = as.character(getRversion()), lme4 = as.character(packageVersion("lme4")))
cat(toJSON(list(versions = versions, n_rows = nrow(data), models = models),
           auto_unbox = TRUE, digits = NA, na = "null", null = "null", pretty = TRUE), "\n")
