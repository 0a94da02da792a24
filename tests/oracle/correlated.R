# Gaussian models with residuals correlated within subjects, fitted by nlme's gls and lme, printed as JSON.
#
# Usage: Rscript correlated.R GROWTH.csv ORTHODONT.csv     (columns y, age, week, visit, arm, subject; distance, age, Subject, Sex)
#
# GROWTH is simulated and unbalanced: visits are missing, ages have unequal gaps, weeks are whole with gaps that differ. Every
# model is fitted by ML and by REML. Correlations and sds of unstructured residuals are those of all pairs of occasions.

suppressPackageStartupMessages({
  library(nlme)
  library(jsonlite)
})

paths <- commandArgs(trailingOnly = TRUE)
growth <- read.csv(paths[1], stringsAsFactors = FALSE)
growth <- growth[order(growth$subject, growth$age), ]
growth$subject <- factor(growth$subject)
orthodont <- read.csv(paths[2], stringsAsFactors = FALSE)
orthodont$Subject <- factor(orthodont$Subject)
orthodont$Sex <- factor(orthodont$Sex, levels = c("Female", "Male"))
orthodont$occasion <- as.integer((orthodont$age - 6) / 2)

by_gls <- glsControl(tolerance = 1e-10, msTol = 1e-12, maxIter = 500, msMaxIter = 500)
by_lme <- lmeControl(tolerance = 1e-10, msTol = 1e-12, maxIter = 500, msMaxIter = 500, niterEM = 100)

y <- y ~ age * arm
distance <- distance ~ age * Sex
fits <- list(
  ar1 = function(m) gls(y, growth, corAR1(0.3, form = ~ week | subject), method = m, control = by_gls),
  car1 = function(m) gls(y, growth, corCAR1(0.3, form = ~ age | subject), method = m, control = by_gls),
  cs = function(m) gls(y, growth, corCompSymm(0.3, form = ~ 1 | subject), method = m, control = by_gls),
  unstructured = function(m) gls(y, growth, corSymm(form = ~ visit | subject), method = m, control = by_gls),
  unstructured_sds = function(m) gls(y, growth, corSymm(form = ~ visit | subject), varIdent(form = ~ 1 | visit),
                                     method = m, control = by_gls),
  sds = function(m) gls(y, growth, weights = varIdent(form = ~ 1 | visit), method = m, control = by_gls),
  car1_sds = function(m) gls(y, growth, corCAR1(0.3, form = ~ age | subject), varIdent(form = ~ 1 | visit),
                             method = m, control = by_gls),
  car1_intercepts = function(m) lme(y, growth, ~ 1 | subject, corCAR1(0.3, form = ~ age | subject), method = m,
                                    control = by_lme),
  ar1_slopes = function(m) lme(y, growth, ~ age | subject, corAR1(0.3, form = ~ week | subject), method = m,
                               control = by_lme),
  orthodont_cs = function(m) gls(distance, orthodont, corCompSymm(0.3, form = ~ 1 | Subject), method = m, control = by_gls),
  orthodont_ar1 = function(m) gls(distance, orthodont, corAR1(0.3, form = ~ occasion | Subject), method = m, control = by_gls),
  orthodont_car1 = function(m) gls(distance, orthodont, corCAR1(0.3, form = ~ age | Subject), method = m, control = by_gls),
  orthodont_unstructured = function(m) gls(distance, orthodont, corSymm(form = ~ occasion | Subject),
                                           varIdent(form = ~ 1 | age), method = m, control = by_gls),
  orthodont_intercepts_ar1 = function(m) lme(distance, orthodont, ~ 1 | Subject, corAR1(0.3, form = ~ occasion | Subject),
                                             method = m, control = by_lme),
  orthodont_intercepts = function(m) lme(distance, orthodont, ~ 1 | Subject, method = m, control = by_lme),
  orthodont_slopes = function(m) lme(distance, orthodont, ~ age | Subject, method = m, control = by_lme),
  orthodont_slopes_by_sex = function(m) lme(distance, orthodont, ~ age | Subject, weights = varIdent(form = ~ 1 | Sex),
                                            method = m, control = by_lme)
)

described <- function(fit) {
  structure <- fit$modelStruct
  correlation <- if (is.null(structure$corStruct)) NULL else unname(coef(structure$corStruct, unconstrained = FALSE))
  relative <- if (is.null(structure$varStruct)) NULL else as.list(coef(structure$varStruct, unconstrained = FALSE, allCoef = TRUE))
  effects <- if (inherits(fit, "lme")) unclass(getVarCov(fit)) else NULL
  list(
    estimator = tolower(fit$method),
    fixed = as.list(if (inherits(fit, "lme")) fixef(fit) else coef(fit)),
    sigma = fit$sigma,
    correlation = if (is.null(correlation)) NULL else I(correlation),
    relative_sds = relative,
    covariance = if (is.null(effects)) NULL else matrix(effects, nrow(effects)),
    log_likelihood = as.numeric(logLik(fit)),
    aic = if (fit$method == "ML") AIC(fit) else NULL,
    bic = if (fit$method == "ML") BIC(fit) else NULL
  )
}

models <- list()
for (name in names(fits)) {
  for (method in c("ML", "REML")) models[[paste0(name, ".", tolower(method))]] <- described(fits[[name]](method))
}
versions <- list(R = as.character(getRversion()), nlme = as.character(packageVersion("nlme")))
cat(toJSON(list(versions = versions, models = models), auto_unbox = TRUE, digits = NA, null = "null", pretty = TRUE), "\n")
