"""`sami2i calibrate` on subjects whose truth is known."""

import json

import numpy as np
import pytest

from Testing.lib.files import read_csv


def test_report_holds_figures_bins_cost_and_plot(sami2i, subjects, tiny_model_file, tmp_path):
    out = tmp_path / "out"
    outcome = sami2i("calibrate", tiny_model_file, "--subjects", subjects, "-o", out)
    assert outcome.code == 0, outcome.err
    assert "In the brain, 6 passes" in outcome.out
    report = json.loads((out / "calibration.json").read_text(encoding="utf-8"))
    assert report["ensemble"]["passes"] == 6
    assert list(report["subjects"]) == ["anna", "bert"]
    anna = report["subjects"]["anna"]
    assert len(anna["bins"]) == 10
    # the network's weights are random: its error is hundreds of units, its views hardly differ
    assert anna["rmse"] > 100
    assert anna["factor"] > 1
    assert -1 <= anna["rank_correlation"] <= 1
    assert anna["trained_on"] is False
    assert anna["seconds"] > 0
    mean = np.mean([row["rank_correlation"] for row in report["subjects"].values()])
    assert report["mean"]["rank_correlation"] == pytest.approx(mean)
    bert = read_csv(out / "calibration.csv")[1]
    assert float(bert["rmse"]) == report["subjects"]["bert"]["rmse"]
    assert (out / "calibration.png").read_bytes().startswith(b"\x89PNG")


def test_a_subject_of_the_training_data_is_marked(sami2i, subjects, tiny_model_file, tmp_path):
    from dataclasses import replace

    from SAMI2ILib.weights import read_spec, write_model
    from SAMI2ILib.weights.model_file import read_tensors
    from SAMI2ILib.weights.spec import TrainingData

    spec = read_spec(tiny_model_file)
    data = (TrainingData(name="Heads", note="Weight 0.7. bert, carl"),)
    model = tmp_path / "own.safetensors"
    write_model(
        model,
        replace(spec, training=replace(spec.training, data=data)),
        read_tensors(tiny_model_file),
    )
    outcome = sami2i("calibrate", model, "--subjects", subjects, "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    assert "bert *" in outcome.out
    assert "anna *" not in outcome.out


def test_an_unknown_subject_is_named(sami2i, subjects, tiny_model_file, tmp_path):
    outcome = sami2i(
        "calibrate", tiny_model_file, "--subjects", subjects, "-o", tmp_path, "--only", "zoe"
    )
    assert outcome.code == 2
    assert "--only names zoe" in outcome.error_line
