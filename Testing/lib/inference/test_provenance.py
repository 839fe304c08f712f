"""The record beside a synthetic volume."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from SAMI2ILib.errors import InputError, OutputError
from SAMI2ILib.imaging.io import read_volume
from SAMI2ILib.imaging.volume import Volume
from SAMI2ILib.inference.output_files import is_synthetic_record
from SAMI2ILib.inference.saving import write_sidecar
from SAMI2ILib.inference.source_file import describe_source_file
from SAMI2ILib.inference.translate_file import save_translation


def test_source_file_is_named_without_its_folder(tmp_path):
    path = tmp_path / "head.nii"
    path.write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert describe_source_file(path) == {"file": "head.nii", "sha256": expected}


def test_source_folder_is_named_by_the_content_of_its_series_alone(save_dicom):
    head = np.arange(24).reshape(2, 3, 4)
    folder = save_dicom(head, folder="DOE^JANE", uid="1.2.826.0.1.3680043.8.498.1")
    digests = [hashlib.sha256(p.read_bytes()).digest() for p in sorted(folder.iterdir())]
    expected = {
        "file": "DICOM series of 2 files",
        "sha256": hashlib.sha256(b"".join(digests)).hexdigest(),
    }
    assert describe_source_file(folder) == expected
    (folder / "notes.txt").write_text("not of the series")
    assert describe_source_file(folder) == expected
    save_dicom(head, folder="DOE^JANE", uid="1.2.826.0.1.3680043.8.498.2")
    assert describe_source_file(folder, "1.2.826.0.1.3680043.8.498.1") == expected
    with pytest.raises(InputError, match="holds 2 DICOM series"):
        describe_source_file(folder)


def test_hash_of_a_series_is_the_same_on_windows(save_dicom, windows_order):
    folder = save_dicom(np.arange(24).reshape(2, 3, 4))
    first, second = sorted(folder.iterdir(), key=lambda path: path.name)
    first.rename(folder / "b.dcm")
    second.rename(folder / "C.dcm")
    digests = [hashlib.sha256((folder / name).read_bytes()).digest() for name in ("C.dcm", "b.dcm")]
    expected = hashlib.sha256(b"".join(digests)).hexdigest()
    assert describe_source_file(folder)["sha256"] == expected


def test_record_keeps_letters_of_every_language(tmp_path):
    write_sidecar({"source": "Käthe 頭.nii"}, tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == {
        "source": "Käthe 頭.nii"
    }


def test_volume_and_record_are_written_together(tmp_path):
    volume = Volume(np.ones((2, 3, 4)), np.eye(4))
    save_translation(volume, {"synthetic": True}, tmp_path / "new" / "x.nrrd")
    assert np.array_equal(read_volume(tmp_path / "new" / "x.nrrd").array_kji, volume.array_kji)
    assert is_synthetic_record(tmp_path / "new" / "x.json")


def test_failed_volume_keeps_the_record_of_the_earlier_one(tmp_path, monkeypatch):
    (tmp_path / "x.json").write_text('{"synthetic": true, "run": 1}')

    def fail(*_args, **_kwargs):
        raise OutputError("x.nrrd could not be written completely.")

    monkeypatch.setattr("SAMI2ILib.inference.saving.write_volume", fail)
    with pytest.raises(OutputError, match=r"x\.nrrd could not be written"):
        save_translation(Volume(np.ones((2, 3, 4)), np.eye(4)), {"run": 2}, tmp_path / "x.nrrd")
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
    assert json.loads((tmp_path / "x.json").read_text())["run"] == 1


def test_volume_that_is_held_open_keeps_its_own_record(tmp_path, monkeypatch):
    volume = Volume(np.ones((2, 3, 4)), np.eye(4))
    save_translation(volume, {"synthetic": True, "run": 1}, tmp_path / "x.nrrd")
    before = (tmp_path / "x.nrrd").read_bytes()
    real = Path.replace

    def refuse_images(self, target):
        if target == tmp_path / "x.nrrd":  # as Windows does while a program has it open
            raise PermissionError(13, "Permission denied")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", refuse_images)
    with pytest.raises(OutputError, match=r"'x\.nrrd' cannot be written: Permission denied"):
        save_translation(volume, {"synthetic": True, "run": 2}, tmp_path / "x.nrrd")
    assert json.loads((tmp_path / "x.json").read_text())["run"] == 1
    assert (tmp_path / "x.nrrd").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2
