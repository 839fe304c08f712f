"""Reports: means and spread over subjects, a line each, entries for the model card."""

import csv
import io

import pytest

from SAMI2ILib.evaluation.metrics import Scores, VolumeScores
from SAMI2ILib.evaluation.report import card_metrics, csv_table, flat_row, summarize, text_table


def scores(nrmse, psnr=20.0):
    one = Scores(psnr=psnr, ssim=0.9, nrmse=nrmse, mae=0.1)
    return VolumeScores(
        full=one, brain=one, volume_full=one, volume_brain=one, slices=3,
        flicker=0.01, flicker_prediction=0.02, flicker_target=0.03, target_rms=0.4,
    )  # fmt: skip


TWO = {"anna": scores(0.3, psnr=20.0), "bert": scores(0.5, psnr=24.0)}


def test_summary_has_mean_and_sample_standard_deviation():
    summary = summarize(TWO)
    assert summary["mean"]["brain_nrmse"] == pytest.approx(0.4)
    assert summary["standard_deviation"]["brain_nrmse"] == pytest.approx(0.2 / 2**0.5)
    assert summary["subjects"]["bert"]["full_psnr"] == 24


def test_one_subject_has_no_standard_deviation():
    assert summarize({"anna": scores(0.3)})["standard_deviation"]["flicker"] is None
    assert card_metrics({"anna": flat_row(scores(0.3))}, "x")[0].standard_deviation is None


def test_card_holds_the_figures_in_the_brain():
    metrics = card_metrics({name: flat_row(one) for name, one in TWO.items()}, "two phantoms")
    assert [(m.name, m.unit, m.region, m.subjects) for m in metrics] == [
        ("PSNR", "dB", "brain", 2),
        ("SSIM", "", "brain", 2),
        ("NRMSE", "", "brain", 2),
    ]
    assert [m.value for m in metrics] == pytest.approx([22, 0.9, 0.4])


def test_tables_have_a_line_a_subject():
    rows = list(csv.DictReader(io.StringIO(csv_table(TWO))))
    assert [(row["subject"], float(row["flicker_target"])) for row in rows] == [
        ("anna", 0.03),
        ("bert", 0.03),
    ]
    assert "mean of 2 subjects" in text_table(TWO).splitlines()[-1]
