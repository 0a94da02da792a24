# Penalties of Plummer for a normal, a Bernoulli and a Poisson model by JAGS, printed as JSON.
#
# Usage: Rscript penalties_jags.R TABLE.csv        (columns y, yes, count, x, g)
#
# In all: eta_i = mu + b (x_i - mean(x)) + u_g[i], u ~ normal(0, tau); mu ~ normal(0, 3), b ~ normal(0, 2), tau ~ exponential(1),
# and of y sigma ~ exponential(1). (dnorm takes a precision, dexp a rate.)
#
# rjags::dic.samples, 4 chains: type "pD" averages over iterations half the symmetrised divergence between the chains' predictive
# distributions of each row; type "popt" averages twice that, pairs of chains weighted by 1 / (p(y_i | theta_1) p(y_i | theta_2)),
# weights as they are, not smoothed. It says no Monte Carlo error, so that all is repeated from other seeds.

suppressPackageStartupMessages({
  library(rjags)
  library(jsonlite)
})
invisible(load.module("glm", quiet = TRUE))
repeats <- 16
iterations <- 10000

program <- function(row, dispersion = "") sprintf("model {
  for (i in 1:N) { eta[i] <- mu + b * (x[i] - centre) + u[g[i]] }
  for (i in 1:N) { %s }
  for (j in 1:J) { u[j] ~ dnorm(0, pow(tau, -2)) }
  mu ~ dnorm(0, pow(3, -2))
  b ~ dnorm(0, pow(2, -2))
  tau ~ dexp(1)
  %s
}", row, dispersion)

data <- read.csv(commandArgs(trailingOnly = TRUE)[1], stringsAsFactors = FALSE)
group <- as.integer(factor(data$g))
shared <- list(N = nrow(data), J = max(group), g = group, x = data$x, centre = mean(data$x))
models <- list(
  gaussian = list(response = data$y, program = program("y[i] ~ dnorm(eta[i], pow(sigma, -2))", "sigma ~ dexp(1)")),
  bernoulli = list(response = data$yes, program = program("y[i] ~ dbern(p[i])\n    logit(p[i]) <- eta[i]")),
  poisson = list(response = data$count, program = program("y[i] ~ dpois(m[i])\n    log(m[i]) <- eta[i]"))
)

once <- function(model, number) {
  start <- lapply(1:4, function(chain) list(.RNG.name = "base::Mersenne-Twister", .RNG.seed = 100 * number + chain))
  made <- jags.model(textConnection(model$program), c(shared, list(y = model$response)), start, 4, 1000, quiet = TRUE)
  update(made, 1000, progress.bar = "none")
  found <- lapply(c(pD = "pD", popt = "popt"), function(type) dic.samples(made, iterations, type = type, progress.bar = "none"))
  list(dbar = (sum(found$pD$deviance) + sum(found$popt$deviance)) / 2, p_kl = sum(found$pD$penalty), p_opt = sum(found$popt$penalty))
}
found <- lapply(models, function(model) lapply(seq_len(repeats), function(number) once(model, number)))
cat(toJSON(list(
  versions = list(R = as.character(getRversion()), JAGS = as.character(jags.version()), rjags = as.character(packageVersion("rjags"))),
  run = list(chains = 4, adapt = 1000, update = 1000, iterations = iterations, repeats = repeats, seeds = "100 * repeat + chain"),
  models = found
), auto_unbox = TRUE, digits = NA, pretty = TRUE), "\n")
