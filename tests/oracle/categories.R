# Maximum-likelihood fits in R of ordered and unordered categories: their estimates and log likelihoods, printed as JSON.
#
# Usage: Rscript categories.R DATA.csv
#
# polr's linear predictor is threshold - eta, as ours. VGAM's is threshold + effects; in acat and cratio it is larger where
# higher categories are likelier, in sratio and cumulative where lower ones are.
# (Not polr for cauchit: it cuts threshold - eta at 100 and -100, where a Cauchy distribution still has 0.3 % beyond.)

suppressPackageStartupMessages({
  library(MASS)
  library(nnet)
  library(VGAM)
  library(jsonlite)
})

data <- read.csv(commandArgs(trailingOnly = TRUE)[1], stringsAsFactors = TRUE)
data$ordered <- factor(data$rating, ordered = TRUE)

polr_fits <- lapply(c(logit = "logistic", probit = "probit", cloglog = "cloglog"), function(method) {
  fit <- polr(ordered ~ x + k, data = data, weights = w, method = method, Hess = FALSE,
              control = list(reltol = 1e-15, maxit = 1000))
  list(thresholds = unname(fit$zeta), effects = unname(fit$coefficients), log_likelihood = as.numeric(logLik(fit)))
})

# Without, and with, an effect of z on each threshold.
tight <- vglm.control(epsilon = 1e-12, maxit = 200)
vglm_fit <- function(family, specific) {
  fit <- if (specific) {
    vglm(rating ~ x + z, family = family(parallel = FALSE ~ z), data = data, weights = w, control = tight)
  } else {
    vglm(rating ~ x + z, family = family(parallel = TRUE), data = data, weights = w, control = tight)
  }
  b <- coef(fit)
  list(thresholds = unname(b[grep("Intercept", names(b))]), x = unname(b[grep("^x", names(b))]),
       z = unname(b[grep("^z", names(b))]), log_likelihood = as.numeric(logLik(fit)))
}
families <- list(
  cumulative = function(parallel) cumulative(link = "logitlink", parallel = parallel),
  cumulative_cauchit = function(parallel) cumulative(link = "cauchitlink", parallel = parallel),
  sequential = function(parallel) sratio(link = "logitlink", parallel = parallel),
  sequential_cloglog = function(parallel) sratio(link = "clogloglink", parallel = parallel),
  continuation_cloglog = function(parallel) cratio(link = "clogloglink", parallel = parallel),
  adjacent = function(parallel) acat(parallel = parallel)
)
vglm_fits <- lapply(families, function(family) list(
  same = vglm_fit(family, FALSE),
  specific = vglm_fit(family, TRUE)
))

multinomial <- multinom(travel ~ x + k, data = data, weights = w, trace = FALSE, reltol = 1e-15, maxit = 2000)
cat(toJSON(list(
  versions = list(R = as.character(getRversion()), MASS = as.character(packageVersion("MASS")),
                  nnet = as.character(packageVersion("nnet")), VGAM = as.character(packageVersion("VGAM"))),
  polr = polr_fits,
  vglm = vglm_fits,
  multinom = list(categories = rownames(coef(multinomial)), terms = colnames(coef(multinomial)),
                  b = unname(coef(multinomial)), log_likelihood = as.numeric(logLik(multinomial)))
), auto_unbox = TRUE, digits = NA), "\n")
