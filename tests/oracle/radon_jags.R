# Posterior of the radon candidates under the project's default priors, by Gibbs sampling in JAGS, printed as JSON.
#
# Usage: Rscript radon_jags.R PREPARED.csv [MODEL ...]    (columns log_radon, floor, log_uranium, county)
#
# Priors (JAGS: dnorm takes a precision, dexp a rate), with s_y = sd(y) and s_x the sd of a numeric predictor (ddof 1,
# over houses; for an interaction the product of those of its factors):
#   intercept at the mean of the predictors ~ normal(mean(y), 2.5 s_y)   (columns of X centred; if there is one)
#   b(x) ~ normal(0, 2.5 s_y / s_x)          b(county[...]) of no_pooling ~ normal(0, 10)
#   sigma and sd(county: Intercept) ~ exponential(1 / s_y)     sd(county: x) ~ exponential(s_x / s_y)
#   cor ~ lkj(2), for two effects (cor + 1) / 2 ~ beta(2, 2)
# County effects are written as sd times a standard normal: the same model as the centred form, and it mixes far better
# here. The covariate of a group term is not centred. "Intercept" is reported at x = 0. Rows (k_max_row) count from 1.

suppressPackageStartupMessages({
  library(rjags)
  library(posterior)
  library(loo)
  library(jsonlite)
})
invisible(load.module("glm", quiet = TRUE))
options(mc.cores = 1)

# fixed part, effects by county, iterations kept per chain = iterations / thin
candidates <- list(
  complete_pooling = list(
    formula = "log_radon ~ floor", fixed = ~ floor, effects = character(),
    iterations = 5000, thin = 1
  ),
  no_pooling = list(
    formula = "log_radon ~ 0 + county + floor", fixed = ~ 0 + county + floor, effects = character(),
    iterations = 5000, thin = 1
  ),
  varying_intercept = list(
    formula = "log_radon ~ floor + (1 | county)", fixed = ~ floor, effects = "Intercept",
    iterations = 20000, thin = 4
  ),
  county_uranium = list(
    formula = "log_radon ~ floor + log_uranium + (1 | county)", fixed = ~ floor + log_uranium, effects = "Intercept",
    iterations = 40000, thin = 8
  ),
  varying_slope = list(
    formula = "log_radon ~ floor + (1 + floor | county)", fixed = ~ floor, effects = c("Intercept", "floor"),
    iterations = 40000, thin = 8
  ),
  cross_level = list(
    formula = "log_radon ~ floor * log_uranium + (1 + floor | county)", fixed = ~ floor * log_uranium,
    effects = c("Intercept", "floor"),
    iterations = 40000, thin = 8
  )
)
n_chains <- 4
burn_in <- list(adapt = 1000, update = 1000)
reported_counties <- c("AITKIN", "LAC QUI PARLE", "ST LOUIS", "HENNEPIN", "STEARNS", "LINCOLN")

likelihood <- "
  for (i in 1:N) { y[i] ~ dnorm(mu[i], pow(sigma, -2)); mu[i] <- MEAN }
  for (k in 1:K) { beta[k] ~ dnorm(prior_mean[k], pow(prior_sd[k], -2)) }
  sigma ~ dexp(sigma_rate)
"
one_effect <- "
  for (c in 1:J) { z[c] ~ dnorm(0, 1); u[c, 1] <- s[1] * z[c] }
  s[1] ~ dexp(s_rate[1])
"
two_effects <- "
  for (c in 1:J) {
    z[c, 1] ~ dnorm(0, 1)
    z[c, 2] ~ dnorm(0, 1)
    u[c, 1] <- s[1] * z[c, 1]
    u[c, 2] <- s[2] * (r * z[c, 1] + sqrt(1 - r * r) * z[c, 2])
  }
  s[1] ~ dexp(s_rate[1])
  s[2] ~ dexp(s_rate[2])
  half ~ dbeta(2, 2)
  r <- 2 * half - 1
"

program <- function(has_intercept, n_effects) {
  # without an intercept X is one dummy per county, in order, then floor: written out, because inprod would be slow
  mean <- if (has_intercept) "inprod(X[i, ], beta)" else "beta[county[i]] + beta[K] * floor[i]"
  if (n_effects >= 1) mean <- paste(mean, "+ u[county[i], 1]")
  if (n_effects == 2) mean <- paste(mean, "+ u[county[i], 2] * floor[i]")
  sprintf("model {%s%s}", sub("MEAN", mean, likelihood, fixed = TRUE), c("", one_effect, two_effects)[n_effects + 1])
}

prior_table <- function(columns, has_intercept, effects, scale) {
  s_x <- function(column) prod(scale$s_x[strsplit(column, ":", fixed = TRUE)[[1]]])
  prior_sd <- vapply(columns, function(column) {
    if (column == "(Intercept)") return(2.5 * scale$s_y)
    if (startsWith(column, "county")) return(10)
    2.5 * scale$s_y / s_x(column)
  }, 0)
  rate <- vapply(effects, function(e) if (e == "Intercept") 1 / scale$s_y else s_x(e) / scale$s_y, 0)
  list(mean = ifelse(columns == "(Intercept)", scale$mean_y, 0), sd = unname(prior_sd), sigma_rate = 1 / scale$s_y,
       s_rate = unname(rate))
}

our_name <- function(column) {
  if (column == "(Intercept)") return("Intercept")
  if (startsWith(column, "county")) return(sprintf("b(county[%s])", sub("^county", "", column)))
  sprintf("b(%s)", column)
}

# draws: matrix (chain after chain) -> array of iterations x chains x variables
by_chain <- function(draws) {
  draws <- as.matrix(draws)
  array(draws, c(nrow(draws) / n_chains, n_chains, ncol(draws)), list(NULL, NULL, colnames(draws)))
}

summarise <- function(draws) {
  values <- by_chain(draws)
  rows <- lapply(dimnames(values)[[3]], function(name) {
    x <- values[, , name]
    q <- quantile(x, c(0.025, 0.975), names = FALSE)
    mcse_q <- unname(mcse_quantile(x, c(0.025, 0.975)))
    list(mean = mean(x), sd = sd(x), mcse_mean = mcse_mean(x), lower = q[1], upper = q[2], mcse_lower = mcse_q[1],
         mcse_upper = mcse_q[2], ess_bulk = ess_bulk(x), ess_tail = ess_tail(x), r_hat = rhat(x))
  })
  setNames(rows, dimnames(values)[[3]])
}

# conditional on the county effects: log_lik is draws x houses, eta the linear predictor
information <- function(log_lik, eta, sigma, y) {
  chain <- rep(seq_len(n_chains), each = nrow(log_lik) / n_chains)
  found <- suppressWarnings(loo(log_lik, r_eff = relative_eff(exp(log_lik), chain_id = chain)))
  k <- pareto_k_values(found)
  deviance <- -2 * rowSums(log_lik)
  d_chain <- by_chain(cbind(d = deviance))[, , 1]
  at_plug_in <- -2 * sum(dnorm(y, colMeans(eta), exp(mean(log(sigma))), log = TRUE))
  list(
    loo = found,
    record = list(
      loo = list(elpd = found$estimates["elpd_loo", 1], se = found$estimates["elpd_loo", 2],
                 mcse = mcse_loo(found, threshold = Inf), p_loo = found$estimates["p_loo", 1],
                 se_p_loo = found$estimates["p_loo", 2], k_max = max(k), k_max_row = which.max(k),
                 n_k_above_0.7 = sum(k > 0.7)),
      dic = list(likelihood = "conditional", plug_in = "posterior mean of each linear predictor and of log(sigma)",
                 dbar = mean(deviance), mcse_dbar = mcse_mean(d_chain), deviance_at_plug_in = at_plug_in,
                 p_d = mean(deviance) - at_plug_in, p_v = var(deviance) / 2,
                 mcse_p_v = mcse_mean((d_chain - mean(deviance))^2) / 2)
    )
  )
}

fit <- function(name, houses, scale) {
  wanted <- candidates[[name]]
  n_effects <- length(wanted$effects)
  X <- model.matrix(wanted$fixed, houses)
  has_intercept <- "(Intercept)" %in% colnames(X)
  priors <- prior_table(colnames(X), has_intercept, wanted$effects, scale)
  centre <- if (has_intercept) ifelse(colnames(X) == "(Intercept)", 0, colMeans(X)) else rep(0, ncol(X))
  data <- list(N = nrow(X), K = ncol(X), y = houses$log_radon, prior_mean = priors$mean, prior_sd = priors$sd,
               sigma_rate = priors$sigma_rate)
  if (has_intercept) data$X <- sweep(X, 2, centre)
  if (n_effects > 0) data <- c(data, list(J = nlevels(houses$county), s_rate = as.array(priors$s_rate)))
  if (n_effects > 0 || !has_intercept) data$county <- as.integer(houses$county)
  if (n_effects > 1 || !has_intercept) data$floor <- houses$floor

  seeds <- 1000 * match(name, names(candidates)) + seq_len(n_chains)
  start <- lapply(seeds, function(seed) list(.RNG.name = "base::Mersenne-Twister", .RNG.seed = seed))
  text <- textConnection(program(has_intercept, n_effects))
  model <- jags.model(text, data, start, n_chains, burn_in$adapt, quiet = TRUE)
  update(model, burn_in$update, progress.bar = "none")
  monitored <- c("beta", "sigma", c("u", "s", "r")[seq_len(c(0, 2, 3)[n_effects + 1])])
  draws <- as.matrix(coda.samples(model, monitored, wanted$iterations, wanted$thin, progress.bar = "none"))

  beta <- draws[, sprintf("beta[%d]", seq_len(ncol(X))), drop = FALSE]
  sigma <- draws[, "sigma"]
  eta <- beta %*% t(sweep(X, 2, centre))
  for (e in seq_len(n_effects)) {
    effect <- draws[, sprintf("u[%d,%d]", as.integer(houses$county), e), drop = FALSE]
    eta <- eta + if (wanted$effects[e] == "Intercept") effect else sweep(effect, 2, houses$floor, "*")
  }
  log_lik <- dnorm(rep(houses$log_radon, each = nrow(eta)), eta, sigma, log = TRUE)  # sigma recycles down the columns
  log_lik <- matrix(log_lik, nrow(eta))

  # back to the value at x = 0, then the reported parameters under our names
  if (has_intercept) beta[, 1] <- beta[, 1] - beta[, -1, drop = FALSE] %*% centre[-1]
  colnames(beta) <- vapply(colnames(X), our_name, "")
  keep <- !startsWith(colnames(X), "county") | colnames(X) %in% paste0("county", reported_counties)
  reported <- cbind(beta[, keep, drop = FALSE], sigma = sigma)
  if (n_effects > 0) {
    s <- draws[, if (n_effects == 1) "s" else c("s[1]", "s[2]"), drop = FALSE]
    colnames(s) <- sprintf("sd(county: %s)", wanted$effects)
    reported <- cbind(reported, s)
  }
  if (n_effects == 2) reported <- cbind(reported, `cor(county: Intercept, floor)` = draws[, "r"])
  for (e in seq_len(n_effects)) {
    u <- draws[, sprintf("u[%d,%d]", match(reported_counties, levels(houses$county)), e)]
    colnames(u) <- sprintf("county[%s: %s]", reported_counties, wanted$effects[e])
    reported <- cbind(reported, u)
  }

  scores <- information(log_lik, eta, sigma, houses$log_radon)
  prior_names <- vapply(colnames(X), our_name, "")
  prior_names[prior_names == "Intercept"] <- "Intercept at the mean of the predictors"
  prior_names <- sub("^b\\(county\\[.*", "b(county)", prior_names)
  record <- list(
    formula = wanted$formula,
    priors = c(
      setNames(as.list(sprintf("normal(%.17g, %.17g)", priors$mean, priors$sd)), prior_names)[!duplicated(prior_names)],
      list(sigma = sprintf("exponential(%.17g)", priors$sigma_rate)),
      setNames(as.list(sprintf("exponential(%.17g)", priors$s_rate)), sprintf("sd(county: %s)", wanted$effects)),
      if (n_effects == 2) list(`cor(county: Intercept, floor)` = "lkj(2)")
    ),
    run = list(chains = n_chains, adapt = burn_in$adapt, update = burn_in$update, iterations = wanted$iterations,
               thin = wanted$thin, draws_kept = nrow(draws), seeds = seeds, rng = "base::Mersenne-Twister",
               samplers = as.list(table(names(list.samplers(model))))),
    parameters = summarise(reported)
  )
  list(loo = scores$loo, record = c(record, scores$record))
}

arguments <- commandArgs(trailingOnly = TRUE)
houses <- read.csv(arguments[1], stringsAsFactors = FALSE)
houses$county <- factor(houses$county, levels = sort(unique(houses$county), method = "radix"))
scale <- list(s_y = sd(houses$log_radon), mean_y = mean(houses$log_radon),
              s_x = c(floor = sd(houses$floor), log_uranium = sd(houses$log_uranium)))
chosen <- if (length(arguments) > 1) arguments[-1] else names(candidates)
fits <- list()
for (name in chosen) {
  seconds <- system.time(fits[[name]] <- fit(name, houses, scale))[["elapsed"]]
  ess <- vapply(fits[[name]]$record$parameters, function(p) p$ess_bulk, 0)
  r_hat <- vapply(fits[[name]]$record$parameters, function(p) p$r_hat, 0)
  message(sprintf("%s: %.0f s, smallest bulk ESS %.0f (%s), largest R-hat %.4f", name, seconds, min(ess),
                  names(which.min(ess)), max(r_hat)))
}
comparison <- if (length(fits) > 1) {
  table <- loo_compare(lapply(fits, `[[`, "loo"))
  lapply(rownames(table), function(m) list(model = m, elpd_diff = table[m, "elpd_diff"], se_diff = table[m, "se_diff"]))
}
package_versions <- lapply(c(rjags = "rjags", coda = "coda", posterior = "posterior", loo = "loo"),
                           function(p) as.character(packageVersion(p)))
cat(toJSON(list(
  versions = c(list(R = as.character(getRversion()), JAGS = as.character(jags.version())), package_versions),
  n_rows = nrow(houses),
  data_scale = c(scale[c("s_y", "mean_y")], list(s_x = as.list(scale$s_x))),
  models = lapply(fits, `[[`, "record"),
  comparison = comparison
), auto_unbox = TRUE, digits = NA, na = "null", null = "null", pretty = TRUE), "\n")
