"""
Which alpha, and which features?
================================

The Lasso gives a model for every strength. Which one to take depends on the question: one that predicts well keeps
features that are noise, and one whose features can be trusted shrinks them, or keeps fewer. Here the truth is known:
10 of 400 features count, with neighbours that are correlated, and there are 150 samples to learn from.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import lfilter

import l1fast

n_samples, n_features, n_true, correlation = 150, 400, 10, 0.5
rng = np.random.default_rng(0)


def draw(n):
    """Rows whose features are an autoregression: the correlation of features j and k is 0.5 ** |j - k|."""
    steps = rng.standard_normal((n, n_features))
    steps[:, 1:] *= np.sqrt(1.0 - correlation**2)
    return lfilter([1.0], [1.0, -correlation], steps, axis=1)


truth = np.zeros(n_features)
truth[rng.choice(n_features, n_true, replace=False)] = rng.choice([-1.0, 1.0], n_true) * np.linspace(0.4, 1.5, n_true)
X, X_test = draw(n_samples), draw(5_000)
y = X @ truth + rng.standard_normal(n_samples)
y_test = X_test @ truth + rng.standard_normal(len(X_test))

# %%
# Seven answers
# -------------
#
# - *CV, minimum* and *CV, 1 SE*: the alpha with the smallest mean error on 10 folds, and the largest alpha within one
#   standard error of it.
# - *BIC* and *EBIC*: the likelihood against the number of features; the extended BIC knows that there were 400 to
#   choose from. There are more features than samples, so that the noise variance is that of each model itself, and the
#   path ends before the models interpolate the data.
# - *Relaxed*: between the Lasso and least squares on its support, alpha and the blend by cross-validation.
# - *Adaptive*: weights from a ridge fit, made anew in every fold.
# - *Stability*: the features that at least 60 % of 100 half samples select, over a range of alphas that bounds the
#   expected number of false ones by 1; then least squares on them.

likelihood = {"noise_variance": "profile", "eps": 0.05}
models = {
    "CV, minimum": l1fast.LassoCV(cv=10).fit(X, y),
    "CV, 1 SE": l1fast.LassoCV(cv=10, selection_rule="1se").fit(X, y),
    "BIC": l1fast.LassoIC("bic", **likelihood).fit(X, y),
    "EBIC": l1fast.LassoIC("ebic", **likelihood).fit(X, y),
    "Relaxed": l1fast.RelaxedLassoCV(cv=10, eps=0.05).fit(X, y),
    "Adaptive": l1fast.AdaptiveLassoCV(cv=10).fit(X, y),
}
stable = l1fast.StabilitySelection(threshold=0.6, max_false_positives=1.0, random_state=0).fit(X, y)
chosen = stable.get_support()
models["Stability"] = l1fast.RelaxedLasso(phi=0.0, penalty_factor=np.where(chosen, 0.0, 1.0), alpha=1e3).fit(X, y)

supports = {name: model.coef_ != 0.0 for name, model in models.items()}
right = {name: int(np.count_nonzero(support & (truth != 0.0))) for name, support in supports.items()}
wrong = {name: int(np.count_nonzero(support & (truth == 0.0))) for name, support in supports.items()}
error = {name: float(np.mean((y_test - model.predict(X_test)) ** 2)) for name, model in models.items()}
print(f"{'':13}{'true':>6}{'false':>7}{'test error':>12}")
for name in models:
    print(f"{name:13}{right[name]:6d}{wrong[name]:7d}{error[name]:12.2f}")
print(f"blend of the relaxed Lasso: {models['Relaxed'].phi_}")

# %%
# The noise has the variance 1: no model can have a smaller test error.

places = np.arange(len(models))
fig, (left, mid) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained", sharey=True)
left.barh(places, list(right.values()), color="tab:blue", label="true features")
left.barh(places, list(wrong.values()), left=list(right.values()), color="tab:orange", label="false features")
left.axvline(n_true, color="black", linewidth=1.0, linestyle="--")
left.set_yticks(places, list(models))
left.invert_yaxis()
left.set_xlabel("features selected (dashed: how many count)")
left.set_title("Support")
left.legend(loc="lower right")
mid.plot(list(error.values()), places, "o", color="tab:blue", markersize=9)
for place, value in zip(places, error.values(), strict=True):
    mid.annotate(f"{value:.2f}", (value, place), xytext=(9, 0), textcoords="offset points", va="center")
mid.axvline(1.0, color="black", linewidth=1.0, linestyle="--")
mid.set_xlim(0.9, 1.15 * max(error.values()))
mid.set_xlabel("mean squared error on 5,000 new samples (dashed: the noise)")
mid.set_title("Prediction")
mid.grid(axis="y", alpha=0.3)
plt.show()

# %%
# How stability selection sees it
# -------------------------------
#
# For each feature, the share of the half samples on which the Lasso selects it, against alpha. Only the alphas to the
# left of the dotted line are used: beyond it more features are selected than the bound allows.

share, alphas = stable.stability_scores_, stable.alphas_
fig, ax = plt.subplots(figsize=(8, 4.6), layout="constrained")
ax.plot(alphas, share[truth == 0.0].T, color="0.75", linewidth=0.7)
ax.plot(alphas, share[truth != 0.0].T, color="tab:blue", linewidth=1.8)
ax.axhline(stable.threshold, color="black", linewidth=1.0, linestyle="--")
ax.axvline(alphas[stable.n_alphas_used_ - 1], color="black", linewidth=1.0, linestyle=":")
ax.set_xscale("log")
ax.invert_xaxis()
ax.set_xlabel("alpha")
ax.set_ylabel("share of half samples that select the feature")
ax.set_title("Blue: the features that count; grey: the others; dashed: the threshold")
plt.show()

# %%
print(f"features selected on a half: {stable.n_selected_path_[stable.n_alphas_used_ - 1]:.1f} on average")
print(f"expected false ones: at most {stable.expected_false_positives_:.2f}", end="; ")
print(f"at most {stable.expected_false_positives_unimodal_:.2f} if the shares are unimodal")
