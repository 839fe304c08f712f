"""The logistic regressions, how they are fitted and how they are counted."""

import json

import numpy as np
import pytest

from SAMI2ILib.assets import asset_path
from SAMI2ILib.checks.classifier import FILE_NAME, LogisticModel, read_classifiers, softmax
from SAMI2ILib.checks.training.fit import fit_logistic
from SAMI2ILib.checks.training.report import Judged, exact_interval, table


def test_softmax_equals_the_values_worked_out_by_hand():
    scores = np.log([[1.0, 3.0]]) + 700  # e^700 alone would overflow a little later
    np.testing.assert_allclose(softmax(scores), [[0.25, 0.75]])


def test_model_weighs_constant_measurement_and_square():
    # x = (5 - 3) / 2 = 1; scores: 0.5 + 2 * 1 + 4 * (1 - 1) = 2.5 against 0
    model = LogisticModel(("a", "b"), ("x",), (3.0,), (2.0,), ((0.5, 2.0, 4.0), (0.0, 0.0, 0.0)))
    expected = 1 / (1 + np.exp(-2.5))
    assert model.probabilities(np.array([5.0]))[0, 0] == pytest.approx(expected)


def test_measurement_far_away_counts_as_four_deviations():
    model = LogisticModel(("a", "b"), ("x",), (0.0,), (1.0,), ((0.0, 1.0, 0.0), (0.0, 0.0, 0.0)))
    near, far = model.probabilities(np.array([[4.0], [4000.0]]))
    np.testing.assert_array_equal(near, far)


def test_fit_separates_two_classes_and_gives_the_same_weights_twice():
    rng = np.random.default_rng(0)
    measured = np.concatenate([rng.normal(-2, 1, (80, 1)), rng.normal(2, 1, (40, 1))])
    kinds = ["low"] * 80 + ["high"] * 40
    first, second = (fit_logistic(measured, kinds, ("low", "high"), ("x",), 0.02) for _ in range(2))
    assert first == second
    assert first.probabilities(np.array([-2.0]))[0, 0] > 0.8
    assert first.probabilities(np.array([2.0]))[0, 0] < 0.2


def test_shipped_file_is_read_and_one_of_another_version_refused():
    text = asset_path(FILE_NAME).read_text()
    assert read_classifiers(text).contrast.classes == ("T1", "T1CE", "T2", "PD", "FLAIR")
    fields = json.loads(text)
    fields["head"]["features"] = ["x"]
    with pytest.raises(ValueError, match="made by another version"):
        read_classifiers(json.dumps(fields))


@pytest.mark.parametrize(
    ("hits", "count", "interval"),
    [(0, 10, (0.0, 0.3085)), (10, 10, (0.6915, 1.0)), (5, 10, (0.1871, 0.8129))],
)
def test_exact_interval_equals_published_values(hits, count, interval):
    assert exact_interval(hits, count) == pytest.approx(interval, abs=1e-4)


def test_table_counts_what_was_caught_and_how():
    judged = [
        Judged("T1", "1", False, "T1", False),
        Judged("T2", "1", False, "T2", True),
        Judged("T2", "2", True, "PD", False),
        Judged("other", "limb", False, "T1", False),
    ]
    lines = table("Trial", judged).splitlines()
    assert lines[4] == "| T1 | 1 | 0 | 0.0 % | 0.0 to 97.5 % | 0 | 1 of 1 |"
    assert lines[5] == "| T2 | 2 | 2 | 100.0 % | 15.8 to 100.0 % | 1 | 1 of 2 |"
    assert lines[6] == "| no MR head: limb | 1 | 0 | 0.0 % | 0.0 to 97.5 % | 0 |  |"
    assert lines[7].startswith("| all but T1 | 3 | 2 | 66.7 % |")
