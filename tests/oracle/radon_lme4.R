# Maximum-likelihood fits of the radon candidates, printed as JSON.
#
# Usage: Rscript radon_lme4.R PREPARED.csv        (columns log_radon, floor, log_uranium, county)
#
# REML is FALSE throughout: the log likelihood has the group effects integrated out, at the estimates printed
# beside it. A multilevel model is fitted from several starts, by one optimiser and then another from where the first
# ended, and the best is kept: from its own start, with its own settings, lmer stops at a point of cross_level that is
# no maximum (sd 0, singular, log likelihood 2.5 too low), and says only "singular". What lmer does by default is
# printed as lme4_default. Where a standard deviation is zero the correlation means nothing and is printed as null.

suppressPackageStartupMessages({
  library(lme4)
  library(jsonlite)
})

formulas <- list(
  complete_pooling = log_radon ~ floor,
  no_pooling = log_radon ~ 0 + county + floor,
  varying_intercept = log_radon ~ floor + (1 | county),
  county_uranium = log_radon ~ floor + log_uranium + (1 | county),
  varying_slope = log_radon ~ floor + (1 + floor | county),
  varying_slope_uncorrelated = log_radon ~ floor + (1 + floor || county),
  cross_level = log_radon ~ floor * log_uranium + (1 + floor | county)
)

# "(Intercept)" -> "Intercept", "countyAITKIN" -> "b(county[AITKIN])", "floor" -> "b(floor)"
our_name <- function(column) {
  if (column == "(Intercept)") return("Intercept")
  if (startsWith(column, "county")) return(sprintf("b(county[%s])", sub("^county", "", column)))
  sprintf("b(%s)", column)
}

named_by_us <- function(values) setNames(as.list(values), vapply(names(values), our_name, ""))

fit_lm <- function(formula, houses) {
  fit <- lm(formula, houses)
  list(
    formula = paste(deparse(formula, width.cutoff = 500), collapse = ""),
    fixed = named_by_us(coef(fit)),
    sigma = sqrt(mean(residuals(fit)^2)),
    log_likelihood = as.numeric(logLik(fit, REML = FALSE)),
    n_parameters = attr(logLik(fit, REML = FALSE), "df"),
    design_columns = colnames(model.matrix(fit))
  )
}

# Values of theta to start from. Its entries are the Cholesky factor of the relative covariance, column by column: those
# bounded below by zero are its diagonal, the others (one, of two correlated effects) are tried with either sign.
starts <- function(lower) {
  free <- !is.finite(lower)
  c(list(as.numeric(!free)), lapply(if (any(free)) c(-0.2, 0.2) else 0.2, function(v) ifelse(free, v, 0.2)))
}

fit_lmer <- function(formula, houses) {
  nlopt <- lmerControl("nloptwrap", optCtrl = list(algorithm = "NLOPT_LN_BOBYQA", xtol_abs = 1e-12, xtol_rel = 1e-12,
                                                   ftol_abs = 1e-14, ftol_rel = 1e-14, maxeval = 1e5))
  minqa <- lmerControl("bobyqa", optCtrl = list(rhobeg = 0.02, rhoend = 1e-10, maxfun = 1e5))
  by_default <- suppressMessages(lmer(formula, houses, REML = FALSE))
  fit_from <- function(start) {
    first <- suppressMessages(lmer(formula, houses, REML = FALSE, control = nlopt, start = start))
    suppressMessages(lmer(formula, houses, REML = FALSE, control = minqa, start = getME(first, "theta")))
  }
  fits <- lapply(starts(getME(by_default, "lower")), fit_from)
  reached <- vapply(fits, function(f) as.numeric(logLik(f)), 0)
  fit <- fits[[which.max(reached)]]

  # one block per term in VarCorr; `||` gives two blocks of one effect each
  effects <- unlist(lapply(VarCorr(fit), colnames), use.names = FALSE)
  label <- vapply(effects, function(e) if (e == "(Intercept)") "Intercept" else e, "")
  sd <- unlist(lapply(VarCorr(fit), attr, "stddev"), use.names = FALSE)
  result <- list(
    formula = paste(deparse(formula, width.cutoff = 500), collapse = ""),
    fixed = named_by_us(fixef(fit)),
    sd = setNames(as.list(sd), sprintf("sd(county: %s)", label))
  )
  if (length(VarCorr(fit)) == 1 && length(effects) == 2) {
    cor <- if (min(sd) < 1e-6) NA_real_ else attr(VarCorr(fit)[[1]], "correlation")[2, 1]
    result$cor <- setNames(list(cor), sprintf("cor(county: %s)", paste(label, collapse = ", ")))
    result$covariance <- unname(VarCorr(fit)[[1]][1:2, 1:2])
  }
  c(result, list(
    sigma = sigma(fit),
    log_likelihood = as.numeric(logLik(fit, REML = FALSE)),
    n_parameters = attr(logLik(fit, REML = FALSE), "df"),
    design_columns = colnames(getME(fit, "X")),
    theta = unname(getME(fit, "theta")),
    singular = isSingular(fit),
    log_likelihood_by_start = reached,
    lme4_default = list(log_likelihood = as.numeric(logLik(by_default)), singular = isSingular(by_default)),
    messages = as.list(as.character(fit@optinfo$conv$lme4$messages))
  ))
}

path <- commandArgs(trailingOnly = TRUE)[1]
houses <- read.csv(path, stringsAsFactors = FALSE)
houses$county <- factor(houses$county, levels = sort(unique(houses$county), method = "radix"))
models <- lapply(formulas, function(f) (if (grepl("|", deparse(f), fixed = TRUE)) fit_lmer else fit_lm)(f, houses))
versions <- list(R = as.character(getRversion()), lme4 = as.character(packageVersion("lme4")))
cat(toJSON(list(versions = versions, n_rows = nrow(houses), models = models),
           auto_unbox = TRUE, digits = NA, na = "null", null = "null", pretty = TRUE), "\n")
