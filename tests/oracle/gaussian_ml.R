# Maximum-likelihood and REML fits of simulated data, printed as JSON.
#
# Usage: Rscript gaussian_ml.R SIMULATED.csv        (columns y, flat, x, arm, school, class, rater)
#
# `flat` is y with the schools' means pulled together, so that schools do not differ at the maximum: a boundary. Every model is
# fitted from several starts, by one optimiser and then another from where the first ended, and the best is kept. Predicted
# group effects are those of the first grouping, first effect. Where a standard deviation is zero its correlation means nothing
# and is printed as null.

suppressPackageStartupMessages({
  library(lme4)
  library(jsonlite)
})

formulas <- list(
  intercept = y ~ x + arm + (1 | school),
  slope = y ~ x + arm + (1 + x | school),
  uncorrelated = y ~ x + arm + (1 + x || school),
  three_effects = y ~ x + arm + (1 + x + arm | school),
  nested = y ~ x + arm + (1 | school) + (1 | class),
  crossed = y ~ x + arm + (1 | school) + (1 | rater),
  crossed_slope = y ~ x * arm + (1 + x | school) + (1 | rater),
  boundary = flat ~ x + (1 | school),
  boundary_slope = flat ~ x + (1 + x | school)
)

starts <- function(lower) {
  free <- !is.finite(lower)
  c(list(as.numeric(!free)), lapply(if (any(free)) c(-0.2, 0.2) else 0.2, function(v) ifelse(free, v, 0.2)))
}

our_name <- function(column) if (column == "(Intercept)") "Intercept" else sprintf("b(%s)", column)
named_by_us <- function(values) setNames(as.list(values), vapply(names(values), our_name, ""))

fit <- function(formula, data, reml) {
  nlopt <- lmerControl("nloptwrap", optCtrl = list(algorithm = "NLOPT_LN_BOBYQA", xtol_abs = 1e-12, xtol_rel = 1e-12,
                                                   ftol_abs = 1e-14, ftol_rel = 1e-14, maxeval = 1e5))
  minqa <- lmerControl("bobyqa", optCtrl = list(rhobeg = 0.02, rhoend = 1e-10, maxfun = 1e5))
  quietly <- function(...) suppressWarnings(suppressMessages(lmer(formula, data, REML = reml, ...)))
  by_default <- quietly()
  fit_from <- function(start) quietly(control = minqa, start = getME(quietly(control = nlopt, start = start), "theta"))
  fits <- lapply(starts(getME(by_default, "lower")), fit_from)
  best <- fits[[which.max(vapply(fits, function(f) as.numeric(logLik(f)), 0))]]

  table <- as.data.frame(VarCorr(best))
  label <- function(e) ifelse(e == "(Intercept)", "Intercept", e)
  sds <- table[is.na(table$var2) & table$grp != "Residual", ]
  cors <- table[!is.na(table$var2), ]
  cors$sdcor[!is.finite(cors$sdcor)] <- NA
  group <- sub("\\.[0-9]+$", "", sds$grp)
  effects <- ranef(best)[["school"]]
  list(
    formula = paste(deparse(formula, width.cutoff = 500), collapse = ""),
    estimator = if (reml) "reml" else "ml",
    fixed = named_by_us(fixef(best)),
    standard_errors = named_by_us(sqrt(diag(as.matrix(vcov(best))))),
    sd = setNames(as.list(sds$sdcor), sprintf("sd(%s: %s)", group, label(sds$var1))),
    cor = setNames(as.list(cors$sdcor), sprintf("cor(%s: %s, %s)", cors$grp, label(cors$var1), label(cors$var2))),
    sigma = sigma(best),
    log_likelihood = as.numeric(logLik(best)),
    aic = if (reml) NULL else AIC(best),
    bic = if (reml) NULL else BIC(best),
    theta = I(unname(getME(best, "theta"))),
    singular = isSingular(best),
    school_intercepts = setNames(as.list(effects[["(Intercept)"]]), rownames(effects))
  )
}

data <- read.csv(commandArgs(trailingOnly = TRUE)[1], stringsAsFactors = FALSE)
models <- list()
for (name in names(formulas)) {
  for (reml in c(FALSE, TRUE)) {
    models[[paste0(name, if (reml) ".reml" else ".ml")]] <- fit(formulas[[name]], data, reml)
  }
}
versions <- list(R = as.character(getRversion()), lme4 = as.character(packageVersion("lme4")))
cat(toJSON(list(versions = versions, n_rows = nrow(data), models = models),
           auto_unbox = TRUE, digits = NA, na = "null", null = "null", pretty = TRUE), "\n")
