# The R side of peers.Glmnet: keeps X, and answers each line "thresh alpha alpha ..." with the seconds glmnet took.
suppressMessages({library(Matrix); library(glmnet)})
arguments <- commandArgs(trailingOnly = TRUE)
at <- function(name) file.path(arguments[1], name)
n <- as.integer(arguments[2])
p <- as.integer(arguments[3])
whole <- function(name, what, size) readBin(at(name), what, n = file.size(at(name)) / size)

y <- whole("y", "double", 8)
if (file.exists(at("dense"))) {
  X <- matrix(whole("dense", "double", 8), n, p)
} else {
  starts <- whole("indptr", "integer", 4)
  X <- new("dgCMatrix", i = whole("indices", "integer", 4), p = starts, x = whole("data", "double", 8), Dim = c(n, p))
}
# no early end of a path, and columns are left as they are
glmnet.control(fdev = 0, devmax = 1)
common <- list(x = X, y = y, standardize = FALSE, intercept = FALSE, maxit = 1e9)
if (length(arguments) > 3 && nzchar(arguments[4])) common$type.gaussian <- arguments[4]
cat("0\n")
flush(stdout())

input <- file("stdin", "r")
while (length(line <- readLines(input, 1)) > 0) {
  numbers <- as.numeric(strsplit(line, " ")[[1]])
  start <- Sys.time()
  fit <- do.call(glmnet, c(common, list(thresh = numbers[1], lambda = numbers[-1])))
  seconds <- as.numeric(Sys.time() - start, units = "secs")
  beta <- as(fit$beta, "CsparseMatrix")
  writeBin(beta@x, at("coef-x"))
  writeBin(beta@i, at("coef-i"))
  writeBin(beta@p, at("coef-p"))
  cat(format(seconds, digits = 9), "\n")
  flush(stdout())
}
