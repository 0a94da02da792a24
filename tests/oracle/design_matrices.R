# Fixed matrices and group terms of formulas, as R's model.matrix and lme4's lFormula build them, printed as JSON.
#
# Usage: Rscript design_matrices.R DATA.csv FORMULAS.txt    (one formula in a line)

suppressPackageStartupMessages({
  library(lme4)
  library(splines)
  library(jsonlite)
})

arguments <- commandArgs(trailingOnly = TRUE)
data <- read.csv(arguments[1], stringsAsFactors = TRUE)
texts <- readLines(arguments[2])

plain <- function(x) {
  m <- matrix(as.numeric(x), nrow(x), ncol(x))
  list(names = colnames(x), values = m)
}

# The columns that a term's effects are multiplied by, row by row, out of lme4's transposed Z.
group_term <- function(re, k) {
  effects <- re$cnms[[k]]
  factor <- re$flist[[attr(re$flist, "assign")[k]]]
  zt <- as.matrix(re$Ztlist[[k]])
  q <- length(effects)
  z <- t(sapply(seq_along(factor), function(i) zt[(as.integer(factor)[i] - 1) * q + seq_len(q), i]))
  if (q == 1) z <- t(z)
  list(group = names(re$cnms)[k], effects = I(effects), z = matrix(as.numeric(z), length(factor), q),
       level = as.character(factor))
}

describe <- function(text) {
  f <- as.formula(text)
  if (length(findbars(f)) == 0) return(list(x = plain(model.matrix(f, data)), terms = list()))
  # More effects than rows would allow are of no concern here: nothing is fitted.
  free <- lmerControl(check.nobs.vs.nRE = "ignore", check.nobs.vs.nlev = "ignore", check.nlev.gtr.1 = "ignore",
                      check.rankX = "ignore")
  made <- lFormula(f, data, control = free)
  list(x = plain(made$X), terms = lapply(seq_along(made$reTrms$cnms), function(k) group_term(made$reTrms, k)))
}

cat(toJSON(list(
  versions = list(R = as.character(getRversion()), lme4 = as.character(packageVersion("lme4"))),
  designs = lapply(setNames(texts, texts), describe)
), auto_unbox = TRUE, digits = NA, matrix = "rowmajor"), "\n")
