# Values of glmnet (Friedman, Hastie and Tibshirani, J. Stat. Softw. 2010) for tests/test_known_answers.py and
# tests/test_moving.py, and of l1ce (Osborne, Presnell and Turlach, J. Comput. Graph. Statist. 2000) for the prostate
# example of Tibshirani (JRSS B, 1996).
#
#     Rscript tests/golden/glmnet.R > tests/golden/glmnet.json
#
# needs R with glmnet, lasso2 and jsonlite (Debian: r-base-core r-cran-glmnet r-cran-lasso2 r-cran-jsonlite).

suppressMessages({library(glmnet); library(lasso2); library(jsonlite)})

set.seed(20)
n <- 40; p <- 8
X <- round(8 * matrix(rnorm(n * p), n, p) %*% diag(c(1, 2, 4, 1, 0.5, 1, 3, 1))) / 8  # exact in binary
X[, 8] <- X[, 1] + round(8 * rnorm(n) / 4) / 8
y <- round(64 * (X %*% c(2, -1, 0, 0.5, 0, 0, 0.3, 0) + rnorm(n) + 5)) / 64
weights <- sample(1:4, n, TRUE)

solve_one <- function(lambda, ...) {
  options <- list(...)
  fit <- do.call(glmnet, c(list(x = X, y = y, family = "gaussian", lambda = lambda, thresh = 1e-22, maxit = 1e7), options))
  stopifnot(fit$jerr == 0)
  c(list(lambda = lambda), options, list(intercept_found = unname(fit$a0), coef = as.numeric(fit$beta)))
}

cases <- list(
  "lasso" = solve_one(0.3, alpha = 1, standardize = FALSE, intercept = TRUE),
  "lasso, standardised" = solve_one(0.3, alpha = 1, standardize = TRUE, intercept = TRUE),
  "lasso, no intercept" = solve_one(0.3, alpha = 1, standardize = FALSE, intercept = FALSE),
  "elastic net" = solve_one(0.4, alpha = 0.5, standardize = FALSE, intercept = TRUE),
  "elastic net, standardised" = solve_one(0.4, alpha = 0.5, standardize = TRUE, intercept = TRUE),
  "elastic net, no intercept" = solve_one(0.4, alpha = 0.5, standardize = FALSE, intercept = FALSE),
  "ridge" = solve_one(0.4, alpha = 0, standardize = FALSE, intercept = TRUE),
  "penalty factors" = solve_one(0.3, alpha = 1, standardize = FALSE, intercept = TRUE,
                                penalty.factor = c(0, 1, 2, 1, 0.5, 1, 3, 1)),
  "limits" = solve_one(0.1, alpha = 1, standardize = FALSE, intercept = TRUE,
                       lower.limits = rep(-0.25, p), upper.limits = rep(0.75, p)),
  "non-negative" = solve_one(0.1, alpha = 1, standardize = FALSE, intercept = TRUE, lower.limits = rep(0, p)),
  "weights" = solve_one(0.3, alpha = 1, standardize = FALSE, intercept = TRUE, weights = weights),
  "all" = solve_one(0.2, alpha = 0.5, standardize = TRUE, intercept = TRUE, weights = weights,
                    penalty.factor = c(0, 1, 2, 1, 0.5, 1, 3, 1), lower.limits = rep(-0.5, p), upper.limits = rep(1, p))
)

# Several targets: one of them larger, so that scaling it would show.
Y <- cbind(y, round(64 * (3 * X[, 2] - 2 * X[, 3] + rnorm(n))) / 64)
several <- lapply(list("lasso" = list(alpha = 1), "elastic net" = list(alpha = 0.5)), function(options) {
  fit <- do.call(glmnet, c(list(x = X, y = Y, family = "mgaussian", lambda = 0.5, standardize = FALSE,
                                standardize.response = FALSE, thresh = 1e-22, maxit = 1e7), options))
  c(list(lambda = 0.5), options, list(intercept_found = as.numeric(fit$a0),
                                      coef = unname(t(sapply(fit$beta, as.numeric)))))
})

# The blend of the Lasso and least squares on its support.
relaxed <- glmnet(X, y, lambda = c(1, 0.5, 0.3), relax = TRUE, standardize = FALSE, thresh = 1e-22, maxit = 1e7)
relaxed <- list(lambda = 0.3, gamma = 0.25, coef = as.numeric(coef(relaxed, s = 0.3, gamma = 0.25)))

# Cross-validation with folds of one size, and with folds of 13, 13 and 14.
foldids <- list(equal = rep(1:4, length.out = n), unequal = rep(1:3, length.out = n))
lambdas <- 2 * 0.7^(0:14)
folds <- lapply(foldids, function(foldid) {
  fit <- cv.glmnet(X, y, lambda = lambdas, foldid = foldid, standardize = FALSE, thresh = 1e-22, maxit = 1e7)
  list(foldid = foldid, cvm = as.numeric(fit$cvm), cvsd = as.numeric(fit$cvsd),
       lambda.min = fit$lambda.min, lambda.1se = fit$lambda.1se)
})

# The grid of lambda by default, first with its early end (below), then without: 40 x 8, and its first 6 rows.
grid <- function(rows) {
  lambda <- glmnet(X[rows, ], y[rows], standardize = FALSE)$lambda
  list(length = length(lambda), first = lambda[1], last = lambda[length(lambda)])
}
ended <- grid(1:n)
glmnet.control(fdev = 0, devmax = 1)
grids <- list(ended = ended, tall = grid(1:n), wide = grid(1:6))

# The prostate data as its correlations, which determine the coefficients of the standardised predictors.
data(Prostate)
predictors <- scale(as.matrix(Prostate[, 1:8]))
found <- l1ce(lpsa ~ ., data = data.frame(predictors, lpsa = Prostate$lpsa), bound = 0.44, sweep.out = ~1, standardize = FALSE)
prostate <- list(
  names = colnames(predictors), n = nrow(predictors), mean = mean(Prostate$lpsa), bound = 0.44,
  gram = crossprod(predictors), moments = as.numeric(crossprod(predictors, Prostate$lpsa)),
  coef = as.numeric(coef(found))
)

versions <- c(R = as.character(getRversion()), glmnet = as.character(packageVersion("glmnet")),
              lasso2 = as.character(packageVersion("lasso2")))
report <- list(versions = as.list(versions), X = X, y = as.numeric(y), weights = weights, cases = cases, Y = unname(Y),
               several = several, relaxed = relaxed, lambdas = lambdas, folds = folds, grids = grids, prostate = prostate)
cat(toJSON(lapply(report, identity), digits = I(17), auto_unbox = TRUE), "\n", sep = "")
