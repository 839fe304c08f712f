"""Intervals and tests over subjects, against scipy, tables of books and a pencil."""

import numpy as np
import pytest
from scipy import stats

from SAMI2ILib.errors import InputError
from SAMI2ILib.evaluation.subject_statistics import (
    compare_systems,
    holm,
    is_higher_better,
    wilcoxon_p,
)

SUBJECTS = ("anna", "bert", "carl", "dora", "emil", "frau")


def results(**systems):
    """Figures of one metric, given as {system: values of the six subjects}."""
    return {
        system: {name: {"brain_nrmse": value} for name, value in zip(SUBJECTS, row, strict=False)}
        for system, row in systems.items()
    }


def one(summaries, system):
    (found,) = [summary for summary in summaries if summary.system == system]
    return found


def test_mean_and_deviation_are_over_subjects():
    (summary,) = compare_systems(results(unet=[0.2, 0.4, 0.6]), ["brain_nrmse"])
    assert (summary.mean, summary.standard_deviation) == pytest.approx((0.4, 0.2))
    assert (summary.subjects, summary.rank, summary.next_best, summary.p) == (3, 1, "", None)


def test_interval_is_that_of_scipys_percentile_bootstrap():
    values = np.array([0.31, 0.42, 0.25, 0.38, 0.6, 0.29])
    (summary,) = compare_systems(results(unet=values), ["brain_nrmse"], resamples=50_000)
    expected = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=50_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert (summary.low, summary.high) == pytest.approx((expected.low, expected.high), abs=2e-3)


def test_interval_depends_on_the_seed_and_on_nothing_else():
    values = [0.31, 0.42, 0.25, 0.38, 0.6, 0.29]
    first = compare_systems(results(a=values), ["brain_nrmse"], seed=3)[0]
    again = compare_systems(
        {"a": dict(reversed(results(a=values)["a"].items()))}, ["brain_nrmse"], seed=3
    )[0]
    other = compare_systems(results(a=values), ["brain_nrmse"], seed=4)[0]
    assert (first.low, first.high) == (again.low, again.high)
    assert (first.low, first.high) != (other.low, other.high)


def test_systems_are_ranked_and_tested_against_the_next_best():
    summaries = compare_systems(
        results(
            worst=[0.9, 0.8, 0.9, 0.7, 0.95, 0.6],
            best=[0.10, 0.21, 0.32, 0.43, 0.54, 0.15],
            middle=[0.12, 0.25, 0.38, 0.51, 0.64, 0.27],
        ),
        ["brain_nrmse"],
    )
    assert [s.system for s in summaries] == ["best", "middle", "worst"]
    best = one(summaries, "best")
    # every subject is better: 2 of the 2**6 sign patterns are as extreme
    assert (best.next_best, best.better_on, best.p) == ("middle", 6, pytest.approx(2 / 64))
    assert best.difference == pytest.approx(-(0.02 + 0.04 + 0.06 + 0.08 + 0.10 + 0.12) / 6)
    assert best.difference_low < best.difference < best.difference_high < 0
    assert best.p_holm == pytest.approx(2 * 2 / 64)  # two tests
    assert one(summaries, "worst").difference is None


def test_more_is_better_for_psnr_and_ssim_alone():
    rising = [m for m in ("full_psnr", "brain_ssim", "brain_mae", "flicker") if is_higher_better(m)]
    assert rising == ["full_psnr", "brain_ssim"]
    table = {"a": {"anna": {"full_psnr": 20}}, "b": {"anna": {"full_psnr": 25}}}
    first, second = compare_systems(table, ["full_psnr"])
    assert (first.system, first.difference, second.rank) == ("b", 5, 2)


def test_p_is_that_of_scipy_with_and_without_ties():
    differences = np.array([0.1, -0.05, 0.3, 0.21, -0.02, 0.4, 0.17])
    assert wilcoxon_p(differences) == stats.wilcoxon(differences, method="exact").pvalue
    tied = np.array([0.5, 0.5, 0.25, -0.25, 1.0, 2.0])
    assert wilcoxon_p(tied) == stats.wilcoxon(tied, method="approx").pvalue


def test_differences_of_zero_are_dropped_and_none_left_means_no_difference():
    assert wilcoxon_p(np.array([0, 0.1, 0.2, 0, 0.3])) == wilcoxon_p(np.array([0.1, 0.2, 0.3]))
    assert wilcoxon_p(np.zeros(6)) == 1.0


def test_one_subject_has_a_mean_and_nothing_else():
    first, second = compare_systems(results(a=[0.3], b=[0.2]), ["brain_nrmse"])
    assert (first.system, first.mean, first.difference) == ("b", 0.2, pytest.approx(-0.1))
    assert {first.standard_deviation, first.low, first.high, first.difference_low} == {None}
    assert {first.p, first.p_holm, second.low} == {None}
    assert wilcoxon_p(np.array([0.1])) is None


def test_identical_systems_keep_their_order_and_do_not_differ():
    values = [0.3, 0.4, 0.5]
    first, second = compare_systems(results(z=values, a=values), ["brain_nrmse"])
    assert (first.system, second.system) == ("z", "a")
    assert (first.p, first.p_holm, first.difference, first.better_on) == (1.0, 1.0, 0.0, 0)


def test_holm_corrects_as_in_his_rule():
    # sorted .01, .02, .03, .04: times 4, 3, 2, 1 and never falling
    assert holm([0.02, 0.01, 0.04, 0.03]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "no system to compare"),
        ({"a": {}}, "No subject was measured"),
        ({"a": {"x": {"m": 1}}, "b": {"y": {"m": 1}}}, "same subjects.*x, y"),
        ({"a": {"x": {"m": 1}, "y": {}}}, "'a' has no finite 'm' of subject 'y'"),
        ({"a": {"x": {"m": float("inf")}}}, "no finite 'm' of subject 'x'"),
    ],
)
def test_what_cannot_be_compared_is_refused(table, message):
    with pytest.raises(InputError, match=message):
        compare_systems(table, ["m"])
