"""Statistics over subjects: intervals by bootstrap, paired tests corrected for their number.

Pure numbers: a table of systems, subjects and figures goes in. The subject is the unit, never the
slice: slices of one head are not independent.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.errors import InputError

FloatArray = NDArray[np.float64]
Results = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Figures by system, then by subject, then by metric."""

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 10_000
_LARGEST_EXACT = 50  # subjects: beyond, the normal approximation is as good and faster
_RISING = ("psnr", "ssim")  # metrics of which more is better end so


@dataclass(frozen=True)
class SystemSummary:
    """One metric of one system over all subjects, and how it stands to the next-best system.

    Attributes:
        system: Its name.
        metric: E.g. `brain_nrmse`.
        subjects: How many.
        mean: Over the subjects.
        standard_deviation: Of the sample; None for one subject.
        low: End of the bootstrap 95 % interval of the mean; None for one subject.
        high: Its other end.
        rank: 1 for the best mean.
        next_best: The system of the next rank; empty for the last.
        difference: Mean over the subjects of own figure minus that of `next_best`; None for the
            last, as all below.
        difference_low: End of its bootstrap 95 % interval; None for one subject.
        difference_high: Its other end.
        better_on: On how many subjects it is better than `next_best`.
        p: Of the two-sided paired Wilcoxon test against `next_best`; None for one subject.
        p_holm: The same after Holm's correction for all tests of this metric.
    """

    system: str
    metric: str
    subjects: int
    mean: float
    standard_deviation: float | None
    low: float | None
    high: float | None
    rank: int
    next_best: str = ""
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    better_on: int | None = None
    p: float | None = None
    p_holm: float | None = None


def is_higher_better(metric: str) -> bool:
    """Whether more of a metric is better: PSNR and SSIM; errors and flicker are to be small."""
    return metric.endswith(_RISING)


def compare_systems(
    results: Results, metrics: Sequence[str], *, seed: int = 0, resamples: int = RESAMPLES
) -> list[SystemSummary]:
    """Summarize systems that were measured on the same subjects, and test neighbors in rank.

    For each metric the systems are ranked by their mean; systems with one mean keep the order in
    which they came. Each is tested against the one that follows it.

    Args:
        results: The figures; every system has the same subjects.
        metrics: Which of them.
        seed: Of the bootstrap. All systems and metrics share its draws of subjects.
        resamples: Of the bootstrap.

    Returns:
        For each metric, in the order given, its systems from the best to the worst.

    Raises:
        InputError: There is no system or no subject, the systems were measured on different
            subjects, or a figure is missing or not finite.
    """
    subjects = _common_subjects(results)
    draws = np.random.default_rng(seed).integers(len(subjects), size=(resamples, len(subjects)))
    summaries: list[SystemSummary] = []
    for metric in metrics:
        figures = {
            system: _figures(system, rows, subjects, metric) for system, rows in results.items()
        }
        summaries += _rank(metric, figures, draws)
    return summaries


def bootstrap_interval(values: FloatArray, draws: NDArray[np.intp]) -> tuple[float, float]:
    """The percentile bootstrap interval of a mean.

    Args:
        values: (N,), a figure a subject; N of at least 2.
        draws: (R, N) subjects of each resample, from 0 to N - 1.

    Returns:
        The 2.5th and 97.5th percentile of the resampled means.

    Source:
        Efron, Tibshirani, An Introduction to the Bootstrap, 1993, Sec. 13.3.
    """
    means = values[draws].mean(axis=1)
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(means, [tail, 100 - tail])
    return float(low), float(high)


def wilcoxon_p(differences: FloatArray) -> float | None:
    """Two-sided p of Wilcoxon's signed-rank test that paired differences lie around zero.

    Differences of zero say nothing for either side and are dropped (Wilcoxon's own rule). Exact
    for up to 50 others of different sizes, by the normal approximation beyond.

    Args:
        differences: (N,), a difference a subject.

    Returns:
        1.0 where all differences are zero; None for a single subject, who proves nothing.
    """
    from scipy.stats import wilcoxon

    if len(differences) < 2:
        return None
    moved = differences[differences != 0]
    if moved.size == 0:
        return 1.0
    has_ties = len(np.unique(np.abs(moved))) < moved.size
    exact = not has_ties and moved.size <= _LARGEST_EXACT
    return float(wilcoxon(moved, method="exact" if exact else "approx").pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for their number by Holm's step-down rule, in the order given.

    Source:
        Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    corrected = [1.0] * len(p_values)
    largest = 0.0
    for rank, n in enumerate(sorted(range(len(p_values)), key=lambda n: p_values[n])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[n]))
        corrected[n] = largest
    return corrected


def _common_subjects(results: Results) -> list[str]:
    if not results:
        raise InputError("There is no system to compare.", "Measure one first.")
    first, *others = results
    subjects = set(results[first])
    for system in others:
        if odd := sorted(subjects ^ set(results[system])):
            raise InputError(
                f"'{first}' and '{system}' were not measured on the same subjects: only one of "
                f"them has {', '.join(odd)}.",
                "Compare systems on the subjects that all of them have.",
            )
    if not subjects:
        raise InputError("No subject was measured.", "Measure at least one.")
    return sorted(subjects)


def _figures(
    system: str, rows: Mapping[str, Mapping[str, float]], subjects: Sequence[str], metric: str
) -> FloatArray:
    for subject in subjects:
        if not math.isfinite(rows[subject].get(metric, math.nan)):
            raise InputError(
                f"'{system}' has no finite '{metric}' of subject '{subject}'.",
                "Measure it again, or leave that metric or subject out.",
            )
    return np.array([rows[subject][metric] for subject in subjects], dtype=np.float64)


def _rank(
    metric: str, figures: Mapping[str, FloatArray], draws: NDArray[np.intp]
) -> list[SystemSummary]:
    """Summarize one metric of all systems, the best first."""
    sign = 1.0 if is_higher_better(metric) else -1.0
    ranked = sorted(figures, key=lambda system: -sign * math.fsum(figures[system]))
    pairs = list(itertools.pairwise(ranked))
    gains = [sign * (figures[better] - figures[worse]) for better, worse in pairs]
    p_values = [p for p in map(wilcoxon_p, gains) if p is not None]
    corrected = holm(p_values)
    summaries = []
    for rank, system in enumerate(ranked):
        mean, deviation, low, high = _mean_and_spread(figures[system], draws)
        summary = SystemSummary(
            system, metric, len(figures[system]), mean, deviation, low, high, rank + 1
        )
        if rank < len(pairs):
            difference, _, low, high = _mean_and_spread(sign * gains[rank], draws)
            summary = replace(
                summary,
                next_best=ranked[rank + 1],
                difference=difference,
                difference_low=low,
                difference_high=high,
                better_on=int((gains[rank] > 0).sum()),
                p=p_values[rank] if p_values else None,
                p_holm=corrected[rank] if corrected else None,
            )
        summaries.append(summary)
    return summaries


def _mean_and_spread(
    values: FloatArray, draws: NDArray[np.intp]
) -> tuple[float, float | None, float | None, float | None]:
    """Mean, standard deviation, and interval; a single subject has the mean alone."""
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, None, None, None
    return mean, float(values.std(ddof=1)), *bootstrap_interval(values, draws)
