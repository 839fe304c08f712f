"""`sami2i evaluate` on subjects whose truth is known."""

import json
import re

import numpy as np
import pytest

from SAMI2ILib.weights import read_spec, read_tensors
from Testing.lib.files import read_csv


def test_report_holds_each_subject_and_the_means(sami2i, subjects, model, tmp_path):
    outcome = sami2i("evaluate", model, "--subjects", subjects, "-o", tmp_path / "report")
    assert outcome.code == 0, outcome.err
    rows = read_csv(tmp_path / "report/metrics.csv")
    assert [row["subject"] for row in rows] == ["anna", "bert"]
    summary = json.loads((tmp_path / "report/metrics.json").read_text())["tiny-t1-t2"]
    nrmse = [float(row["brain_nrmse"]) for row in rows]
    assert summary["mean"]["brain_nrmse"] == pytest.approx(np.mean(nrmse), rel=1e-4)
    assert summary["standard_deviation"]["brain_nrmse"] == pytest.approx(
        np.std(nrmse, ddof=1), rel=1e-3
    )
    assert (tmp_path / "report/tiny-t1-t2_anna.png").is_file()
    assert "2 subjects" in outcome.out


def test_figures_are_recorded_in_the_model_and_its_weights_stay(sami2i, subjects, model, tmp_path):
    before = read_tensors(model)
    for _ in range(2):
        outcome = sami2i(
            "evaluate", model, "--subjects", subjects, "--only", "bert", "-o", tmp_path / "report",
            "--record", "one phantom",
        )  # fmt: skip
        assert outcome.code == 0, outcome.err
    metrics = read_spec(model).metrics
    assert [(m.name, m.data, m.subjects) for m in metrics] == [
        (name, "one phantom", 1) for name in ("PSNR", "SSIM", "NRMSE")
    ]
    assert all(np.array_equal(before[name], value) for name, value in read_tensors(model).items())


def test_unknown_subject_is_refused(sami2i, subjects, model, tmp_path):
    outcome = sami2i(
        "evaluate", model, "--subjects", subjects, "--only", "dora", "-o", tmp_path / "report"
    )
    assert outcome.code == 2
    assert "dora" in outcome.error_line
    assert "anna" in outcome.error_line


def test_subjects_without_the_target_are_refused(sami2i, subjects, model, tmp_path):
    outcome = sami2i(
        "evaluate", model, "--subjects", subjects, "--only", "carl", "-o", tmp_path / "report"
    )
    assert outcome.code == 2
    assert "No subject has both T1 and T2" in outcome.error_line


def test_best_lookup_table_is_measured_beside_the_model(sami2i, subjects, model, tmp_path):
    outcome = sami2i(
        "evaluate", model, "--subjects", subjects, "--only", "anna", "-o", tmp_path / "report",
        "--lookup-table-from", "anna",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    report = json.loads((tmp_path / "report/metrics.json").read_text())
    assert report["lookup-table"]["fitted_on"] == ["anna"]
    # anna's T2 is a function of her T1, which a table can learn and random weights cannot
    table = report["lookup-table"]["mean"]["brain_nrmse"]
    assert table < 0.1 < report["tiny-t1-t2"]["mean"]["brain_nrmse"]


@pytest.mark.parametrize(
    ("further", "said"),
    [
        (["--lookup-table-from", "dora"], "--lookup-table-from names dora, which .* It holds anna"),
        (["--keep-background"], "--keep-background is for a dataset"),
    ],
)
def test_option_that_cannot_be_followed_is_refused_before_anything_is_measured(
    sami2i, subjects, model, tmp_path, further, said
):
    folder = tmp_path / "report"
    outcome = sami2i("evaluate", model, "--subjects", subjects, "-o", folder, *further)
    assert outcome.code == 2
    assert re.search(said, outcome.error_line)
    assert not folder.exists()


def test_output_that_is_a_file_is_refused(sami2i, subjects, model, tmp_path):
    (tmp_path / "report").write_text("taken")
    outcome = sami2i("evaluate", model, "--subjects", subjects, "-o", tmp_path / "report")
    assert outcome.code == 1
    assert "cannot be made" in outcome.error_line
