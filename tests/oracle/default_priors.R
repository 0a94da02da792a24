# Default priors as brms and rstanarm state them, for tests/oracle/reference/default_priors.json.
#
#   Rscript default_priors.R DATA.csv CASES.json OUT.json
#
# brms: get_prior(), of which every row that has a prior or stands for a class is kept. rstanarm: prior_summary() of a fit of
# ten draws, which is what it takes to have one; its scales are those after adjustment (`adjusted_scale`) where there is one.
suppressMessages({
  library(jsonlite)
  library(brms)
  library(rstanarm)
})
arguments <- commandArgs(trailingOnly = TRUE)
data <- read.csv(arguments[1], stringsAsFactors = TRUE)
data$severity <- factor(data$severity, levels = c("low", "middle", "high"), ordered = TRUE)
cases <- fromJSON(arguments[2], simplifyVector = FALSE)

of_brms <- function(case) {
  parts <- c(list(as.formula(case$formula)), lapply(case$parameters, as.formula))
  formula <- do.call(brms::bf, unname(parts))
  family <- eval(parse(text = paste0("brms::brmsfamily('", case$family, "', link = '", case$link, "'",
    if (length(case$threshold)) paste0(", threshold = '", case$threshold, "'"), ")")))
  found <- as.data.frame(brms::get_prior(formula, data = data, family = family))
  found[, c("prior", "class", "coef", "group", "dpar", "lb", "ub")]
}

numbers <- function(prior) {
  if (is.null(prior)) return(NULL)
  kept <- prior[c("dist", "location", "scale", "adjusted_scale", "df", "rate", "regularization", "concentration", "shape")]
  lapply(kept[!vapply(kept, is.null, logical(1))], as.vector)
}

of_rstanarm <- function(case) {
  family <- eval(parse(text = case$r_family))
  fitter <- switch(case$fitter, glmer = stan_glmer, glm = stan_glm, nb = stan_glmer.nb)
  given <- list(as.formula(case$formula), data = data, chains = 1, iter = 10, refresh = 0, seed = 1)
  if (case$fitter != "nb") given$family <- family
  fit <- suppressWarnings(do.call(fitter, given))
  found <- prior_summary(fit)
  list(
    columns = names(fixef_of(fit)), intercept = numbers(found$prior_intercept), b = numbers(found$prior),
    aux = numbers(found$prior_aux), covariance = numbers(found$prior_covariance)
  )
}
fixef_of <- function(fit) if (inherits(fit, "lmerMod")) fixef(fit) else coef(fit)

out <- list(
  versions = list(brms = as.character(packageVersion("brms")), rstanarm = as.character(packageVersion("rstanarm"))),
  brms = lapply(cases$brms, function(case) c(case, list(priors = of_brms(case)))),
  rstanarm = lapply(cases$rstanarm, function(case) c(case, list(priors = of_rstanarm(case))))
)
write(toJSON(out, auto_unbox = TRUE, digits = 15, pretty = 1), arguments[3])
