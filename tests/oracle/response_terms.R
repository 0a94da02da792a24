# Maximum-likelihood fits in R of models with weights, known standard errors, censoring, trials and a predicted sigma: their
# estimates and log likelihoods, printed as JSON.
#
# Usage: Rscript response_terms.R DATA.csv

suppressPackageStartupMessages({
  library(nlme)
  library(survival)
  library(jsonlite)
})

data <- read.csv(commandArgs(trailingOnly = TRUE)[1])

# sigma_i = sigma exp(t z_i)
power <- gls(y ~ x, data = data, weights = varExp(form = ~ z), method = "ML", control = glsControl(tolerance = 1e-12))
# Interval-censored rows run from y to upper; left-censored ones end at y, right-censored ones start there.
start <- ifelse(data$kind == "left", NA, data$y)
end <- ifelse(data$kind == "right", NA, ifelse(data$kind == "interval", data$upper, data$y))
censored <- survreg(Surv(start, end, type = "interval2") ~ x, data = data, weights = w, dist = "gaussian",
                    control = survreg.control(rel.tolerance = 1e-12, maxiter = 200))
tight <- glm.control(epsilon = 1e-14, maxit = 100)
links <- lapply(setNames(nm = c("logit", "probit", "cloglog")), function(link) {
  fit <- glm(cbind(successes, trials - successes) ~ x, data = data, family = binomial(link), control = tight)
  list(b = unname(coef(fit)), log_likelihood = as.numeric(logLik(fit)))
})
weighted <- glm(cbind(successes, trials - successes) ~ x, data = data[rep(seq_len(nrow(data)), data$w), ],
                family = binomial, control = tight)
cat(toJSON(list(
  versions = list(R = as.character(getRversion()), nlme = as.character(packageVersion("nlme")),
                  survival = as.character(packageVersion("survival"))),
  predicted_sigma = list(b = unname(coef(power)), sigma = c(log(power$sigma), unname(coef(power$modelStruct$varStruct))),
                         log_likelihood = as.numeric(logLik(power))),
  censored = list(b = unname(coef(censored)), sigma = censored$scale, log_likelihood = as.numeric(logLik(censored))),
  binomial = links,
  # Rows that stand w times are rows of weight w.
  repeated_rows = list(b = unname(coef(weighted)), log_likelihood = as.numeric(logLik(weighted)))
), auto_unbox = TRUE, digits = NA), "\n")
