"""`sami2i evaluate --data`: several models on a prepared dataset."""

import json
from dataclasses import replace

import numpy as np
import pytest

from SAMI2ILib.weights import read_spec, read_tensors, write_model
from Testing.lib.files import read_csv


@pytest.fixture(scope="module")
def data(tmp_path_factory, make_dataset):
    """Three train, two test, and one for tests who has no T2."""
    return make_dataset(
        tmp_path_factory.mktemp("data"),
        dict.fromkeys(("anna", "bert", "carl", "dora", "emil"), "T1 T2 PD") | {"frau": "T1 PD"},
        {"dora": "test", "emil": "test", "frau": "test"},
    )


def test_models_and_lookup_table_get_tables_with_statistics(sami2i, data, model, tmp_path):
    report = tmp_path / "report"
    outcome = sami2i(
        "evaluate", model, f"twin={model}", "--data", data, "-o", report,
        "--lookup-table-from", "train",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    subjects = read_csv(report / "subjects.csv")
    assert [(row["system"], row["subject"]) for row in subjects] == [
        (system, subject)
        for system in ("tiny-t1-t2", "twin", "lookup-table")
        for subject in ("dora", "emil")
    ]
    figures = {(row["system"], row["subject"]): float(row["brain_nrmse"]) for row in subjects}
    summary = {(row["system"], row["metric"]): row for row in read_csv(report / "summary.csv")}
    best = summary["lookup-table", "brain_nrmse"]
    assert (best["rank"], best["next_best"], best["better_on"]) == ("1", "tiny-t1-t2", "2")
    mean = np.mean([figures["lookup-table", name] for name in ("dora", "emil")])
    assert float(best["mean"]) == pytest.approx(mean, rel=1e-6)
    same = summary["tiny-t1-t2", "brain_ssim"]
    assert (same["next_best"], same["difference"], same["p"]) == ("twin", "0.0", "1.0")
    slices = read_csv(report / "slices.csv")
    of_dora = [row for row in slices if (row["system"], row["subject"]) == ("twin", "dora")]
    assert np.mean([float(row["full_psnr"]) for row in of_dora]) == pytest.approx(
        float(next(row for row in subjects if row["system"] == "twin")["full_psnr"])
    )


def test_json_and_page_say_what_was_measured(sami2i, data, model, tmp_path):
    report = tmp_path / "report"
    outcome = sami2i("evaluate", model, f"twin={model}", "--data", data, "-o", report)
    assert outcome.code == 0, outcome.err
    document = json.loads((report / "evaluation.json").read_text(encoding="utf-8"))
    assert [system["system"] for system in document["systems"]] == ["tiny-t1-t2", "twin"]
    assert len(document["systems"][0]["facts"]["sha256"]) == 64
    assert document["statistics"]["seed"] == 0
    page = (report / "evaluation.md").read_text(encoding="utf-8")
    for words in (
        "# T1 to T2 on phantoms",
        "license of the data: CC0-1.0",
        "subjects: dora, emil",
        "root mean square of the targets",
        "**",
        "no p can be below 0.5",
        "| dora |",
    ):
        assert words in page
    assert str(data) not in page + json.dumps(document)
    assert "tiny-t1-t2" in outcome.out


def test_figures_are_recorded_in_the_model_file(sami2i, data, model, tmp_path):
    outcome = sami2i(
        "evaluate", model, "--data", data, "--split", "train", "--exclude", "bert",
        "-o", tmp_path / "report", "--record", "phantoms",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    found = [(m.name, m.data, m.subjects) for m in read_spec(model).metrics]
    assert found == [(name, "phantoms", 2) for name in ("PSNR", "SSIM", "NRMSE")]


def test_lookup_table_fitted_on_the_measured_is_warned_of(sami2i, data, model, tmp_path):
    outcome = sami2i(
        "evaluate", model, "--data", data, "--only", "anna", "-o", tmp_path / "report",
        "--lookup-table-from", "anna,bert",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "fitted on subjects that it is measured on: anna" in outcome.err
    assert "One subject allows neither" in (tmp_path / "report/evaluation.md").read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--only", "zoe"), "--only names zoe"),
        (("--only", "frau"), "No subject of those named has both T1 and T2"),
        (("--split", "validation"), "No subject in the part 'validation'"),
        (("--lookup-table-from", "zoe"), "--lookup-table-from names zoe"),
        (("--lookup-table-from", "frau"), "names no subject with both"),
    ],
)
def test_subjects_that_are_not_there_are_refused(sami2i, data, model, tmp_path, flags, message):
    outcome = sami2i("evaluate", model, "--data", data, "-o", tmp_path / "report", *flags)
    assert (outcome.code, message in outcome.error_line) == (2, True), outcome.error_line


def test_models_of_two_directions_are_refused(sami2i, data, model, tmp_path):
    other = tmp_path / "tiny-t1-pd.safetensors"
    spec = replace(read_spec(model), id="tiny-t1-pd", target_contrast="PD")
    write_model(other, spec, read_tensors(model))
    outcome = sami2i("evaluate", model, other, "--data", data, "-o", tmp_path / "report")
    assert outcome.code == 2
    assert "cannot be compared" in outcome.error_line


def test_one_name_for_two_models_is_refused(sami2i, data, model, tmp_path):
    outcome = sami2i("evaluate", model, model, "--data", data, "-o", tmp_path / "report")
    assert outcome.code == 2
    assert "Two systems are called 'tiny-t1-t2'" in outcome.error_line
    outcome = sami2i("evaluate", "=x", "--data", data, "-o", tmp_path / "report")
    assert "expected NAME=MODEL" in outcome.error_line


def test_several_models_on_scans_are_refused(sami2i, data, model, tmp_path):
    outcome = sami2i("evaluate", model, model, "--subjects", data, "-o", tmp_path / "report")
    assert outcome.code == 2
    assert "one model is measured at a time" in outcome.error_line
