"""`--uncertainty` of `translate` and `translate-cohort` as their user sees it."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from SAMI2ILib.imaging.io import read_volume, write_volume
from SAMI2ILib.imaging.notice import Notice
from SAMI2ILib.inference import back_ends
from SAMI2ILib.inference.device import Device
from SAMI2ILib.inference.output_files import uncertainty_path
from SAMI2ILib.weights import file_sha256, read_spec, write_model
from SAMI2ILib.weights.model_file import read_tensors


@pytest.fixture
def second_model_file(tiny_model_file, tmp_path):
    """The same network with its last layer moved, under another name."""
    tensors = {
        name: value + np.float32(0.05) for name, value in read_tensors(tiny_model_file).items()
    }
    path = tmp_path / "second.safetensors"
    write_model(path, replace(read_spec(tiny_model_file), id="second-t1-t2"), tensors)
    return path


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_translate_writes_a_map_with_a_record_beside_the_mean(
    translate, head_file, tiny_model_file, tmp_path, files_below
):
    out = tmp_path / "out"
    outcome = translate(head_file, out, "--uncertainty", "--progress", "json")
    assert outcome.code == 0, outcome.err
    name = "head_synth-T2_uncertainty"
    assert files_below(out) == [
        "head_synth-T2.json", "head_synth-T2.nii.gz", f"{name}.json", f"{name}.nii.gz",
    ]  # fmt: skip
    image, doubt = read_volume(out / "head_synth-T2.nii.gz"), read_volume(out / f"{name}.nii.gz")
    assert doubt.grid.is_same(image.grid)
    assert doubt.array_kji.max() > 0
    assert not doubt.array_kji[image.array_kji == 0].any()
    record, its_record = read_json(out / "head_synth-T2.json"), read_json(out / f"{name}.json")
    assert record["ensemble"]["passes"] == 6
    assert record["ensemble"]["models"] == [
        {"id": "tiny-t1-t2", "sha256": file_sha256(tiny_model_file)}
    ]
    assert its_record["synthetic"] is True
    assert its_record["quantity"] == "uncertainty"
    assert its_record["uncertainty_of"] == record["volume"]
    assert its_record["volume"]["sha256"] == file_sha256(out / f"{name}.nii.gz")
    result = outcome.events[-1]
    assert result["uncertainty"] == str(out / f"{name}.nii.gz")
    counts = [event["done"] for event in outcome.events if event.get("stage") == "translate"]
    assert counts[-1] == 6 * record["slices"]["translated"]


def test_a_further_model_doubles_the_passes_and_is_named(
    translate, head_file, second_model_file, tmp_path
):
    outcome = translate(head_file, tmp_path / "x.nrrd", "--ensemble-with", second_model_file)
    assert outcome.code == 0, outcome.err
    assert "Uncertainty from 12 passes" in outcome.err
    models = read_json(tmp_path / "x.json")["ensemble"]["models"]
    assert [model["id"] for model in models] == ["tiny-t1-t2", "second-t1-t2"]
    assert (tmp_path / "x_uncertainty.nrrd").is_file()


def test_further_models_follow_the_first_from_a_full_gpu_to_the_cpu(
    translate, head_file, second_model_file, tmp_path, monkeypatch
):
    """A stand-in for the GPU: the first model does not fit, and goes on on the CPU."""
    real, on_cpu = back_ends.make_predictor, Device("cpu", "CPU", "the GPU is full", "fp32")

    def make(network, device, shape, back_end, batch_size, on_notice, cuda_graphs):
        if device.is_cuda:
            on_notice(Notice("memory-device", "GPU ran out of memory; going on on the CPU."))
            device, cuda_graphs = on_cpu, False
        return real(network, device, shape, back_end, batch_size, on_notice, cuda_graphs)

    monkeypatch.setattr(back_ends, "make_predictor", make)
    monkeypatch.setattr(
        back_ends, "select_inference_device", lambda *_: Device("cuda:0", "GPU", "it works", "fp32")
    )
    outcome = translate(
        head_file, tmp_path / "x.nrrd", "--cuda-graphs", "--ensemble-with", second_model_file
    )
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("warning (memory-device)") == 1
    assert (tmp_path / "x_uncertainty.nrrd").is_file()


def test_the_map_replaces_no_scan(translate, head_file, make_head, tmp_path):
    taken = tmp_path / "x_uncertainty.nrrd"
    write_volume(make_head(), taken)
    before = taken.read_bytes()
    outcome = translate(head_file, tmp_path / "x.nrrd", "--uncertainty")
    assert outcome.code == 2
    assert "'x_uncertainty.nrrd' exists and is not a synthetic volume's" in outcome.error_line
    assert taken.read_bytes() == before
    assert not (tmp_path / "x.nrrd").exists()


def test_a_map_is_not_exported_as_dicom(sami2i, translate, head_file, tmp_path):
    translate(head_file, tmp_path / "x.nrrd", "--uncertainty")
    outcome = sami2i("export-dicom", tmp_path / "x_uncertainty.nrrd", "-o", tmp_path / "series")
    assert outcome.code == 2
    assert "map of the uncertainty and no image" in outcome.error_line
    assert not (tmp_path / "series").exists()


def test_cohort_makes_maps_and_goes_on_only_from_the_same_ensemble(
    sami2i, head_file, tiny_model_file, tmp_path
):
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    for name in ("anna_T1.nii.gz", "ben_T1.nii.gz"):
        shutil.copy(head_file, scans / name)
    command = [
        "translate-cohort",
        scans,
        "-o",
        out,
        "--model",
        tiny_model_file,
        "--progress",
        "json",
    ]

    def earlier(*options):
        outcome = sami2i(*command, *options)
        assert outcome.code == 0, outcome.err
        return outcome.events[-1]["from_earlier_runs"]

    assert earlier() == 0
    assert earlier("--uncertainty") == 0  # a single pass is no ensemble
    assert (out / "ben_T1_synth-T2_uncertainty.nii.gz").is_file()
    assert earlier("--uncertainty") == 2
    (out / "ben_T1_synth-T2_uncertainty.nii.gz").unlink()
    assert earlier("--uncertainty") == 1
    write_volume(read_volume(head_file), out / "anna_T1_synth-T2_uncertainty.nii.gz")
    assert earlier("--uncertainty") == 1
    assert earlier() == 0  # an ensemble is no single pass


def test_cohort_of_bids_names_the_map_as_a_derivative(sami2i, head_file, tiny_model_file, tmp_path):
    scan = tmp_path / "data/sub-01/anat/sub-01_T1w.nii.gz"
    scan.parent.mkdir(parents=True)
    shutil.copy(head_file, scan)
    outcome = sami2i(
        "translate-cohort", tmp_path / "data", "-o", tmp_path / "out", "--model", tiny_model_file,
        "--uncertainty",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    doubt = tmp_path / "out/sub-01/anat/sub-01_desc-syntheticUncertainty_T2w.nii.gz"
    assert doubt == uncertainty_path(doubt.with_name("sub-01_desc-synthetic_T2w.nii.gz"))
    assert doubt.is_file()
    record = read_json(doubt.with_name("sub-01_desc-syntheticUncertainty_T2w.json"))
    assert record["Description"].startswith("Uncertainty, not an image.")
