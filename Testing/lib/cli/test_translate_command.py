"""`sami2i translate` as its user sees it: files, records, exit codes, one-line errors."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from SAMI2ILib.imaging.io import read_volume, write_volume
from SAMI2ILib.weights import file_sha256
from Testing.lib.processes import wait_for_line

REPOSITORY = Path(__file__).resolve().parents[3]


def test_translate_writes_volume_and_record_on_the_grid_of_the_input(
    translate, head_file, tmp_path, files_below
):
    before = head_file.read_bytes()
    outcome = translate(head_file, tmp_path / "out")
    assert outcome.code == 0, outcome.err
    assert files_below(tmp_path / "out") == ["head_synth-T2.json", "head_synth-T2.nii.gz"]
    source, result = read_volume(head_file), read_volume(tmp_path / "out/head_synth-T2.nii.gz")
    assert result.grid.is_same(source.grid)
    assert result.array_kji.max() > 0
    assert head_file.read_bytes() == before


def test_record_says_synthetic_and_names_no_folder(translate, head_file, tiny_model_file, tmp_path):
    translate(head_file, tmp_path / "x.nrrd")
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    record = json.loads(text)
    assert record["synthetic"] is True
    assert record["intended_use"].startswith("Research use only")
    assert record["source"] == {"file": "head.nii.gz", "sha256": file_sha256(head_file)}
    assert record["model"]["sha256"] == file_sha256(tiny_model_file)
    assert (record["source_contrast"], record["target_contrast"]) == ("T1", "T2")
    assert str(tmp_path) not in text


def test_json_progress_is_one_object_a_line_from_start_to_result(translate, head_file, tmp_path):
    outcome = translate(head_file, tmp_path / "o", "--progress", "json", "--device", "cpu")
    events = outcome.events
    back_end = events[0].pop("back_end")
    assert events[0] == {
        "event": "start",
        "protocol": 1,
        "device": "CPU",
        "reason": "it was asked for",
    }
    assert back_end["name"] in ("openvino", "torch")
    assert back_end["agreement_db"] >= 45
    assert events[-1]["back_end"] == back_end
    assert events[-1]["event"] == "result"
    assert Path(events[-1]["output"]).is_file()
    counts = [e["done"] for e in events if e.get("stage") == "translate"]
    assert counts == sorted(counts)
    assert counts[-1] == events[-1]["slices"]["translated"]


def test_json_error_names_kind_message_and_hint(translate, tmp_path):
    outcome = translate(tmp_path / "no.nii.gz", tmp_path / "o", "--progress", "json")
    assert outcome.code == 2
    error = outcome.events[-1]
    assert (error["event"], error["kind"]) == ("error", "input")
    assert "no.nii.gz" in error["message"]
    assert error["hint"]


@pytest.mark.fault("non-ascii-path")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sub-01_ses-2_T1w.nii.gz", "sub-01_ses-2_desc-synthetic_T2w.nii.gz"),
        ("head.v2.nrrd", "head.v2_synth-T2.nrrd"),
        ("Käthe head.mha", "Käthe head_synth-T2.mha"),
    ],
)
def test_output_is_named_after_the_input(translate, make_head, tmp_path, name, expected):
    write_volume(make_head(), tmp_path / name)
    outcome = translate(tmp_path / name, tmp_path / "out")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "out" / expected).is_file()


def test_dicom_folder_is_translated_and_named_by_content_only(translate, make_head, tmp_path):
    folder = tmp_path / "DOE^JANE"
    folder.mkdir()
    head = make_head(shape_kji=(9, 40, 32))
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k, image in enumerate(head.array_kji):
        slice_ = sitk.GetImageFromArray(image[np.newaxis].astype(np.int16))
        slice_.SetOrigin((0.0, 0.0, 2.0 * k))
        slice_.SetSpacing((1.0, 1.0, 2.0))
        for tag, value in {
            "0008|0060": "MR",
            "0020|000e": "1.2.3.4",
            "0020|000d": "1.2.3",
            "0008|0018": f"1.2.3.4.{k + 1}",
            "0020|0013": str(k + 1),
            "0010|0010": "DOE^JANE",
            "0020|0032": f"0\\0\\{2 * k}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }.items():
            slice_.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{k}.dcm"))
        writer.Execute(slice_)
    outcome = translate(folder, tmp_path / "o.nii.gz")
    assert outcome.code == 0, outcome.err
    assert read_volume(tmp_path / "o.nii.gz").spacing_mm[2] == pytest.approx(2.0)
    text = (tmp_path / "o.json").read_text()
    assert "DOE" not in text
    assert json.loads(text)["source"]["file"] == "DICOM series of 9 files"


def test_unknown_target_lists_what_there_is(sami2i, head_file, tmp_path):
    outcome = sami2i("translate", head_file, "-o", tmp_path / "o", "--target", "FLAIR")
    assert outcome.code == 3
    assert "FLAIR" in outcome.error_line


@pytest.mark.parametrize("name", ["absent.nii.gz", "notes.txt"])
def test_wrong_input_is_said_before_a_model_is_loaded(sami2i, tmp_path, monkeypatch, name):
    monkeypatch.setattr("SAMI2ILib.inference.model_loader.load_model", pytest.fail)
    (tmp_path / "notes.txt").touch()
    outcome = sami2i("translate", tmp_path / name, "-o", tmp_path / "o", "--target", "T2")
    assert outcome.code == 2
    assert name in outcome.error_line


@pytest.mark.parametrize("name", ["head.nii.gz", "head.dcm"])
def test_wrong_output_is_said_before_a_model_is_loaded(
    sami2i, head_file, monkeypatch, name, tmp_path
):
    monkeypatch.setattr("SAMI2ILib.inference.model_loader.load_model", pytest.fail)
    output = head_file if name == "head.nii.gz" else tmp_path / name
    outcome = sami2i("translate", head_file, "-o", output, "--target", "T2")
    assert outcome.code == 2
    assert "-o" in outcome.error_line or "cannot be written" in outcome.error_line


def test_missing_target_is_wrong_usage(sami2i, head_file, tmp_path):
    outcome = sami2i("translate", head_file, "-o", tmp_path / "o")
    assert outcome.code == 2
    assert "Neither --target nor --model" in outcome.error_line


@pytest.mark.parametrize("flag", ["--source", "--target"])
def test_model_for_another_contrast_is_refused(translate, head_file, tmp_path, flag):
    outcome = translate(head_file, tmp_path / "o", flag, "PD")
    assert outcome.code == 2
    assert "not PD" in outcome.error_line


@pytest.mark.fault("model-truncated")
def test_truncated_model_is_refused(sami2i, head_file, tiny_model_file, tmp_path):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(tiny_model_file.read_bytes()[:-1000])
    outcome = sami2i("translate", head_file, "-o", tmp_path / "o", "--model", broken)
    assert outcome.code == 2
    assert outcome.error_line
    assert not (tmp_path / "o").exists()


@pytest.mark.fault("output-over-input")
def test_existing_file_that_is_not_synthetic_is_not_replaced(translate, head_file, tmp_path):
    real = tmp_path / "real_T2.nii.gz"
    real.write_bytes(b"a real scan")
    outcome = translate(head_file, real)
    assert outcome.code == 2
    assert "is not replaced" in outcome.error_line
    assert real.read_bytes() == b"a real scan"


def test_synthetic_volume_of_an_earlier_run_is_replaced(translate, head_file, tmp_path):
    for _ in range(2):
        outcome = translate(head_file, tmp_path / "o.nii")
        assert outcome.code == 0, outcome.err


@pytest.mark.fault("output-over-input")
def test_output_over_the_input_is_refused(translate, head_file):
    before = head_file.read_bytes()
    outcome = translate(head_file, head_file)
    assert outcome.code == 2
    assert "the input itself" in outcome.error_line
    assert head_file.read_bytes() == before


def test_output_folder_below_a_file_is_refused(translate, head_file, tmp_path):
    (tmp_path / "file").write_text("in the way")
    outcome = translate(head_file, tmp_path / "file/out")
    assert outcome.code == 1
    assert "is not a folder that may be written to" in outcome.error_line


@pytest.mark.fault("disk-full")
@pytest.mark.skipif(sys.platform == "win32", reason="file-size limits are a POSIX feature")
def test_full_disk_leaves_nothing_behind(
    start_limited, head_file, tiny_model_file, tmp_path, files_below, error_line
):
    process = start_limited(
        20_000, "translate", head_file, "-o", tmp_path / "o.nii", "--model", tiny_model_file
    )
    _out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    error_line(err)
    assert files_below(tmp_path) == ["input/head.nii.gz"]


@pytest.fixture
def start_limited():
    """Start the command under a file-size limit, which fails writes as a full disk does."""
    code = (
        "import resource, runpy, sys; limit = int(sys.argv.pop(1)); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)); "
        "runpy.run_module('SAMI2ILib', run_name='__main__')"
    )

    def start(limit_bytes, *arguments):
        return subprocess.Popen(
            [sys.executable, "-c", code, str(limit_bytes), *map(str, arguments)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    return start


@pytest.fixture
def long_head_file(tmp_path, make_head):
    path = tmp_path / "long.nii"
    write_volume(make_head(shape_kji=(600, 64, 64)), path)
    return path


@pytest.mark.fault("cancelled")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to a child")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_in_the_middle_ends_with_130_and_leaves_nothing(
    start_sami2i, long_head_file, tiny_model_file, tmp_path, number, files_below, error_line
):
    process = start_sami2i(
        "translate", long_head_file, "-o", tmp_path / "out", "--model", tiny_model_file,
        "--progress", "json", "--batch-size", 1,
    )  # fmt: skip
    wait_for_line(process, '"stage": "translate"')
    os.kill(process.pid, number)
    _out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error_line(err) == "sami2i: error: Cancelled."
    assert files_below(tmp_path) == ["long.nii"]


@pytest.mark.fault("cancelled")
def test_closed_stdin_cancels_when_asked_to(
    start_sami2i, long_head_file, tiny_model_file, tmp_path, files_below
):
    process = start_sami2i(
        "translate", long_head_file, "-o", tmp_path / "out", "--model", tiny_model_file,
        "--progress", "json", "--batch-size", 1, "--stop-on-stdin-close",
    )  # fmt: skip
    wait_for_line(process, '"stage": "translate"')
    process.stdin.close()
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.returncode == 130
    assert files_below(tmp_path) == ["long.nii"]
    process.stdout.close()
    process.stderr.close()


def test_working_grid_is_written_with_a_record_of_its_own(
    translate, make_head, tmp_path, files_below
):
    write_volume(make_head(ijk_to_ras=np.diag([-2.0, -2.0, 2.0, 1.0])), tmp_path / "coarse.nii")
    out = tmp_path / "o"
    outcome = translate(
        tmp_path / "coarse.nii", out / "full.nrrd", "--working-grid", out / "slices.nrrd"
    )
    assert outcome.code == 0, outcome.err
    names = ["full.json", "full.nrrd", "slices.json", "slices.nrrd"]
    assert files_below(out) == names
    assert read_volume(tmp_path / "o/slices.nrrd").spacing_mm == pytest.approx((1.0, 1.0, 2.0))
    assert read_volume(tmp_path / "o/full.nrrd").spacing_mm == pytest.approx((2.0, 2.0, 2.0))


def test_working_grid_over_the_input_is_refused_by_its_own_name(translate, head_file, tmp_path):
    outcome = translate(head_file, tmp_path / "o.nii", "--working-grid", head_file)
    assert outcome.code == 2
    assert "is the input itself. Choose another name for --working-grid" in outcome.error_line


def test_debug_shows_the_traceback(translate, tmp_path):
    outcome = translate(tmp_path / "no.nii", tmp_path / "o", "--debug")
    assert "Traceback" in outcome.err


def test_gzip_written_is_whole(translate, head_file, tmp_path):
    translate(head_file, tmp_path / "o.nii.gz")
    with gzip.open(tmp_path / "o.nii.gz") as file:
        assert len(file.read()) == 352 + 4 * 24 * 48 * 40
