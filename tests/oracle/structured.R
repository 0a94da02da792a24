# Crossed groups, multiple membership and a pedigree by lme4 and JAGS, printed as JSON.
#
# Usage: Rscript structured.R DATA          (the folder data/ of the project)
#
# lme4: maximum-likelihood and REML fits of two crossed studies. JAGS: posteriors of the multiple membership and of the animal
# model under the project's default priors (dnorm takes a precision, dexp a rate; s_y = sd(y), ddof 1):
#   intercept at the mean of the predictors ~ normal(mean(y), 2.5 s_y);   b(sex[m]) ~ normal(0, 2.5 s_y)
#   every sd and sigma ~ exponential(1 / s_y)
# The animal model is written as a pedigree is read: an animal's value is half that of either parent and Mendelian sampling,
# whose variance comes from the tabular method (the relationship of two animals is half that of the younger one's parents).

suppressPackageStartupMessages({
  library(lme4)
  library(rjags)
  library(posterior)
  library(jsonlite)
})
options(mc.cores = 1)
folder <- commandArgs(trailingOnly = TRUE)[1]
table_of <- function(...) read.csv(file.path(folder, ...), stringsAsFactors = FALSE)

fit <- function(formula, data, reml) {
  nlopt <- lmerControl("nloptwrap", optCtrl = list(algorithm = "NLOPT_LN_BOBYQA", xtol_abs = 1e-12, xtol_rel = 1e-12,
                                                   ftol_abs = 1e-14, ftol_rel = 1e-14, maxeval = 1e5))
  found <- lmer(formula, data, REML = reml, control = nlopt)
  deviations <- as.data.frame(VarCorr(found))
  list(log_likelihood = as.numeric(logLik(found)), coefficients = as.list(unname(fixef(found))),
       sds = as.list(setNames(deviations$sdcor, deviations$grp)))
}
scots <- table_of("scotssec", "pupils.csv")
scots$sex <- factor(scots$sex, levels = c("M", "F"))
ratings <- table_of("insteval", "evaluations.csv")
likelihood <- list(
  scotssec.reml = fit(attain ~ sex + (1 | primary) + (1 | second), scots, TRUE),
  scotssec.ml = fit(attain ~ sex + (1 | primary) + (1 | second), scots, FALSE),
  insteval.ml = fit(y ~ service + (1 | s) + (1 | d), ratings, FALSE)
)

described <- function(draws) {
  one <- function(name) {
    values <- extract_variable_matrix(draws, name)
    list(mean = mean(values), sd = sd(values), mcse_mean = mcse_mean(values), mcse_sd = mcse_sd(values), ess = ess_bulk(values))
  }
  setNames(lapply(variables(draws), one), variables(draws))
}
sampled <- function(code, data, names, iterations, thin) {
  seeds <- lapply(1:4, function(chain) list(.RNG.name = "base::Mersenne-Twister", .RNG.seed = 20260 + chain))
  model <- jags.model(textConnection(code), data, inits = seeds, n.chains = 4, n.adapt = 1000, quiet = TRUE)
  update(model, 1000, progress.bar = "none")
  described(as_draws_array(coda.samples(model, names, iterations, thin, progress.bar = "none")))
}

pupils <- table_of("multiple_membership", "pupils.csv")
schools <- sort(unique(c(pupils$school_1, pupils$school_2)))
membership <- sampled("model {
  for (i in 1:N) { y[i] ~ dnorm(mu + w1[i] * u[s1[i]] + w2[i] * u[s2[i]], pow(sigma, -2)) }
  for (j in 1:J) { u[j] ~ dnorm(0, pow(tau, -2)) }
  mu ~ dnorm(m, pow(2.5 * s, -2))
  tau ~ dexp(1 / s)
  sigma ~ dexp(1 / s)
}", list(y = pupils$score, N = nrow(pupils), J = length(schools), m = mean(pupils$score), s = sd(pupils$score),
         s1 = match(pupils$school_1, schools), s2 = match(pupils$school_2, schools),
         w1 = pupils$years_1 / 6, w2 = pupils$years_2 / 6), c("mu", "tau", "sigma"), 20000, 4)

animals <- table_of("pedigree", "animals.csv")
pedigree <- read.csv(file.path(folder, "pedigree", "pedigree.csv"), colClasses = "character", na.strings = "")
sire <- match(pedigree$sire, pedigree$id)
dam <- match(pedigree$dam, pedigree$id)
size <- nrow(pedigree)
related <- matrix(0, size, size)
for (i in seq_len(size)) {                       # parents stand before their offspring
  known <- !is.na(sire[i])
  if (known && i > 1) {
    before <- seq_len(i - 1)
    related[i, before] <- related[before, i] <- 0.5 * (related[sire[i], before] + related[dam[i], before])
  }
  related[i, i] <- 1 + if (known) 0.5 * related[sire[i], dam[i]] else 0
}
founders <- which(is.na(sire))
others <- which(!is.na(sire))
mendelian <- 0.5 - 0.25 * (diag(related)[sire[others]] + diag(related)[dam[others]] - 2)
male <- as.numeric(animals$sex == "m")
animal <- sampled("model {
  for (i in 1:N) { y[i] ~ dnorm(mu + b * (x[i] - centre) + a[own[i]] + l[litter[i]], pow(sigma, -2)) }
  for (k in 1:F) { a[founders[k]] ~ dnorm(0, pow(tau, -2)) }
  for (k in 1:O) { a[others[k]] ~ dnorm(0.5 * (a[sire[k]] + a[dam[k]]), pow(tau, -2) / mendelian[k]) }
  for (j in 1:L) { l[j] ~ dnorm(0, pow(lambda, -2)) }
  mu ~ dnorm(m, pow(2.5 * s, -2))
  b ~ dnorm(0, pow(2.5 * s, -2))
  tau ~ dexp(1 / s)
  lambda ~ dexp(1 / s)
  sigma ~ dexp(1 / s)
}", list(y = animals$weight, N = nrow(animals), x = male, centre = mean(male), own = match(animals$animal, pedigree$id),
         litter = as.integer(factor(animals$litter)), L = length(unique(animals$litter)), F = length(founders),
         founders = founders, O = length(others), others = others, sire = sire[others], dam = dam[others],
         mendelian = mendelian, m = mean(animals$weight), s = sd(animals$weight)),
   c("b", "tau", "lambda", "sigma"), 60000, 20)

versions <- lapply(c(R = "base", lme4 = "lme4", rjags = "rjags", posterior = "posterior"),
                   function(p) as.character(packageVersion(p)))
versions$JAGS <- as.character(jags.version())
cat(toJSON(list(versions = versions, likelihood = likelihood, inbreeding = mean(diag(related)) - 1,
                posterior = list(multiple_membership = membership, pedigree = animal)),
           auto_unbox = TRUE, digits = 12, pretty = TRUE))
