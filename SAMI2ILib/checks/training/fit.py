"""Fit a logistic regression: convex, so that the same cases always give the same weights."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.checks.classifier import LogisticModel, softmax

_DIGITS = 5


def fit_logistic(
    measured: NDArray[np.float64],
    kinds: Sequence[str],
    classes: Sequence[str],
    features: Sequence[str],
    penalty: float,
) -> LogisticModel:
    """Fit by penalized maximum likelihood; every class counts as much as any other.

    Args:
        measured: (n, features).
        kinds: The class of each case.
        classes: All classes.
        features: Names of the measurements.
        penalty: Weight of the squared weights against the mean log likelihood of a case.
    """
    from scipy.optimize import minimize

    mean, scale = measured.mean(axis=0), measured.std(axis=0) + 1e-6
    model = LogisticModel(
        tuple(classes), tuple(features), _rounded(mean), _rounded(np.maximum(scale, 1e-4)), ()
    )
    terms = model.terms(measured)
    truth = np.array([[kind == name for name in classes] for kind in kinds], float)
    balance = (truth / truth.sum(axis=0) / len(classes)).sum(axis=1)

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(len(classes), -1)
        chances = softmax(terms @ weights.T)
        fit = -float(balance @ np.log((chances * truth).sum(axis=1) + 1e-300))
        kept = weights.copy()
        kept[:, 0] = 0.0
        slope = ((chances - truth) * balance[:, None]).T @ terms + 2 * penalty * kept
        return fit + penalty * float((kept**2).sum()), slope.ravel()

    start = np.zeros(len(classes) * terms.shape[1])
    solved = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000})
    weights = solved.x.reshape(len(classes), -1)
    return LogisticModel(
        model.classes, model.features, model.mean, model.scale, tuple(map(_rounded, weights))
    )


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(value), _DIGITS) for value in values)
